"""For people who test parsers of event streams, and programs that read them.

For parsers: `vectors` and `reference` say what a stream means, `strategies` makes streams for
hypothesis, `assert_decodes_like_the_standard` does it all in one call, and the command
``sse-conformance`` asks a parser in any language.

Nothing is imported before it is used: the pytest plugin of this package is loaded wherever the
package is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from . import strategies as strategies
    from ._assertion import WrongDecoding as WrongDecoding
    from ._assertion import assert_decodes_like_the_standard as assert_decodes_like_the_standard
    from ._conformance import ConformanceReport as ConformanceReport
    from ._conformance import Failure as Failure
    from ._conformance import FamilyCount as FamilyCount
    from ._conformance import run_conformance as run_conformance
    from ._driver import ConformanceError as ConformanceError
    from ._misreadings import Misreading as Misreading
    from ._random import pieces_of as pieces_of
    from ._reference import Event as Event
    from ._reference import Outcome as Outcome
    from ._reference import reference as reference
    from ._vectors import VECTORS_VERSION as VECTORS_VERSION
    from ._vectors import Rule as Rule
    from ._vectors import Vector as Vector
    from ._vectors import rules as rules
    from ._vectors import vectors as vectors

_HOMES: Final = {
    "VECTORS_VERSION": "_vectors",
    "ConformanceError": "_driver",
    "ConformanceReport": "_conformance",
    "Event": "_reference",
    "Failure": "_conformance",
    "FamilyCount": "_conformance",
    "Misreading": "_misreadings",
    "Outcome": "_reference",
    "Rule": "_vectors",
    "Vector": "_vectors",
    "WrongDecoding": "_assertion",
    "assert_decodes_like_the_standard": "_assertion",
    "pieces_of": "_random",
    "reference": "_reference",
    "rules": "_vectors",
    "run_conformance": "_conformance",
    "strategies": "strategies",
    "vectors": "_vectors",
}

__all__ = [*_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{home}")
    value: object = module if name == home else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
