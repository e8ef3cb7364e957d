"""Mutants that do what their decoder does, each with the reason. They are not counted."""

from __future__ import annotations

import re
from typing import Final

from .mutate import Mutant

__all__ = ["is_equivalent"]

# Decoder, a pattern for the whole text of the mutant, and the reason.
_EQUIVALENT: Final = [
    ("lines", r"False becomes True: skips_lf = False", "an LF at the start is a blank line"),
    (".*", r"'utf-8' becomes 'utf-': .*", "another name of it"),
    ("spans", r"find becomes rfind: .* < 0:", "any NUL counts"),
    (
        "spans",
        r".*: if colon >= 0:",
        "a line that begins with a colon has no known name either way",
    ),
    ("reference", r".*block_has_field.*", "for `dispatch_empty` alone, which is not asked"),
    ("reference", r".*: if data_buffer.endswith.*", "there is always an LF"),
    ("reference", r"condition is true: if event_type_buffer != .*", "no type passes for message"),
    ("reference", r".*: if line\[0\] == \":\":", "a comment is a field of no name either way"),
    ("reference", r".*: if needed:", "in an unfinished line, which is discarded"),
    ("reference", r".* becomes '': text.append\(\"\\ufffd\"\)", "see `if needed`"),
    ("reference", r".*MAX_RETRY_DIGITS.*", "of ours: the standard has no bound"),
    ("reference", r"len.*", "of ours: the standard has no bound"),
]


def is_equivalent(mutant: Mutant) -> bool:
    """Return whether nobody can tell a mutant from its decoder."""
    text = f"{mutant.change}: {mutant.line_text}"
    return any(
        re.fullmatch(decoder, mutant.decoder) and re.fullmatch(pattern, text)
        for decoder, pattern, _ in _EQUIVALENT
    )
