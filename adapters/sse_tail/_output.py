"""Events as text: an event stream, JSON, just the data, or one value from it."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from sse_proto import encode, encode_comment

if TYPE_CHECKING:
    from argparse import Namespace

    from sse_proto import ServerSentEvent

__all__ = ["Form"]


class Form:
    """Turns events into text, in the form that the options ask for.

    Args:
        options: As the parser has them.
        encoding: The output's.
    """

    def __init__(self, options: Namespace, encoding: str) -> None:
        self._is_json: bool = options.json
        self._is_data: bool = options.data
        self._path: list[str] | None = None if options.field is None else options.field.split(".")
        # If the output cannot have all characters, JSON's own escapes are better than Python's.
        self._is_utf8 = codecs.lookup(encoding).name == "utf-8"
        # Holds a high surrogate, the first half of a pair, back until the second comes: servers cut
        # strings between the two, and send each half in its own event. A half that stays alone
        # becomes U+FFFD.
        self._pairs = codecs.getincrementaldecoder("utf-16-le")("replace")

    def text_of(self, event: ServerSentEvent) -> str | None:
        """Return what to print for an event; ``None``: it does not count as printed."""
        if self._path is not None:
            return self._field(self._path, event.data)
        if self._is_json:
            return self._as_json(event._asdict()) + "\n"
        return event.data + "\n" if self._is_data else encode(event).decode()

    def comment(self, text: str) -> str:
        """Return what to print for a comment."""
        if self._is_json:
            return self._as_json({"comment": text}) + "\n"
        return encode_comment(text).decode()

    def rest(self) -> str:
        """Return what was held back, now that nothing follows; ``""``: nothing was."""
        rest = self._pairs.decode(b"", final=True)
        self._pairs.reset()
        return rest

    def _field(self, path: Sequence[str], data: str) -> str | None:
        value = _value_at(path, data)
        if value is None:
            return None
        if isinstance(value, str):
            return self._pairs.decode(value.encode("utf-16-le", "surrogatepass"))
        return self.rest() + self._as_json(value)

    def _as_json(self, value: object) -> str:
        return json.dumps(value, ensure_ascii=not self._is_utf8)


def _value_at(path: Sequence[str], data: str) -> object:
    """Return a value within JSON data; ``None`` if there is none."""
    try:
        value: object = json.loads(data)
        for name in path:
            if isinstance(value, list):
                value = {str(i): item for i, item in enumerate(cast("list[object]", value))}
            if not isinstance(value, Mapping):
                return None
            value = cast("Mapping[str, object]", value).get(name)
        return value
    except (ValueError, RecursionError):  # of 10,000 brackets
        return None
