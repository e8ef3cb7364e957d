"""Cassettes: what a server sent, with its times, in a file of JSON lines.

``sse-tail --record FILE`` writes one. The first line is a header, each further one an event:

| line | what it says |
| --- | --- |
| ``{"format": "sse-cassette", "version": 1}`` | that this is a cassette |
| ``{"at": 0.0, "request": {...}, "response": {...}}`` | a connection was opened |
| ``{"at": 0.1, "text": "data: x\\n\\n"}`` | a chunk arrived, which is valid UTF-8 |
| ``{"at": 0.1, "base64": "/w=="}`` | a chunk arrived, which is not |
| ``{"at": 0.2, "end": null}`` | the body ended properly |
| ``{"at": 0.2, "end": "ReadError: ..."}`` | the connection broke, or failed |

``at`` is the time in seconds since the recording began, never less than on the line before. A
request has ``method``, ``url`` and ``headers``, a response ``status`` and ``headers``; headers are
lists of pairs. Chunks are the bytes that the decoder gets: without transfer coding and content
coding, cut as they arrived. A connection ends with its ``end`` line, the next connection, or the
end of the file (if the recording was broken off; it counts as broken then).

Values of headers that are secrets, and secrets in URLs, are written as ``REDACTED``.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast, final

__all__ = [
    "REDACTED",
    "SECRET_HEADERS",
    "Cassette",
    "CassetteError",
    "CassetteWriter",
    "Chunk",
    "Recording",
]

REDACTED: Final = "REDACTED"

SECRET_HEADERS: Final = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "x-api-key",
        "x-goog-api-key",
    }
)
"""Names of headers, in lower case, whose values are not written."""

_FORMAT: Final = "sse-cassette"
_VERSION: Final = 1
_SECRET_PARAMETER: Final = re.compile(
    r"([?&](?:[^=&#]*[-_])?(?:key|token|secret|password|signature|sig)=)[^&#]*", re.IGNORECASE
)
_USER: Final = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/?#@]*@", re.IGNORECASE)

# They describe how the bytes were sent, not those that are in the cassette.
_OF_THE_WIRE: Final = frozenset({"connection", "content-encoding", "content-length", "keep-alive"})
_NOT_REPLAYED: Final = _OF_THE_WIRE | {"transfer-encoding", "set-cookie", "date"}


class CassetteError(ValueError):
    """A file is no cassette, or one of a later version. The text tells the line."""


@dataclass(frozen=True)
class Chunk:
    """Bytes that arrived at once."""

    at: float
    """Seconds since the recording began."""
    data: bytes


@dataclass(frozen=True)
class Recording:
    """One connection."""

    at: float
    """Seconds since the recording began, when the response's head was there."""
    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...]
    status: int
    headers: tuple[tuple[str, str], ...]
    """Of the response."""
    chunks: tuple[Chunk, ...]
    error: str | None
    """How it broke; ``None``: it ended properly."""

    @property
    def replayed_headers(self) -> list[tuple[str, str]]:
        """The response's headers, without those that tell how the bytes were sent."""
        return [(name, value) for name, value in self.headers if name.lower() not in _NOT_REPLAYED]


@dataclass(frozen=True)
class Cassette:
    """What was recorded."""

    recordings: tuple[Recording, ...]

    @classmethod
    def read(cls, path: str | Path) -> Cassette:
        """Read a file.

        Raises:
            CassetteError: It is no cassette.
            OSError: It cannot be read.
        """
        lines = Path(path).read_text("utf-8").split("\n")
        return cls(tuple(_recordings(lines)))


@final
class CassetteWriter:
    """Writes a cassette, line by line; each line is in the file when the method returns."""

    def __init__(
        self,
        file: IO[str],
        *,
        secret_headers: Collection[str] = SECRET_HEADERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write the header.

        Args:
            file: Where to; the caller closes it.
            secret_headers: Names, in lower case, of headers whose values are not written.
            clock: Seconds of a clock that is never set.
        """
        self._file: Final = file
        self._secret_headers: Final = secret_headers
        self._clock: Final = clock
        self._began: Final = clock()
        self._write({"format": _FORMAT, "version": _VERSION})

    def connection(
        self,
        *,
        method: str,
        url: str,
        request_headers: Iterable[tuple[str, str]],
        status: int,
        headers: Iterable[tuple[str, str]],
    ) -> None:
        """A connection was opened: write its request and the head of its response."""
        redacted_url = _SECRET_PARAMETER.sub(rf"\1{REDACTED}", _USER.sub(rf"\1{REDACTED}@", url))
        self._write(
            {
                "at": self._now(),
                "request": {
                    "method": method,
                    "url": redacted_url,
                    "headers": self._redacted(request_headers),
                },
                "response": {"status": status, "headers": self._redacted(headers)},
            }
        )

    def chunk(self, data: bytes) -> None:
        """A chunk arrived."""
        line: dict[str, object] = {"at": self._now()}
        try:
            line["text"] = data.decode("utf-8")
        except UnicodeDecodeError:
            line["base64"] = base64.b64encode(data).decode("ascii")
        self._write(line)

    def end(self, error: BaseException | None = None) -> None:
        """The body ended, or the connection broke with this error."""
        told = None if error is None else f"{type(error).__name__}: {error}"
        self._write({"at": self._now(), "end": told})

    def _redacted(self, headers: Iterable[tuple[str, str]]) -> list[list[str]]:
        return [
            [name, REDACTED if name.lower() in self._secret_headers else value]
            for name, value in headers
        ]

    def _now(self) -> float:
        return round(self._clock() - self._began, 6)

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


# -- reading ---------------------------------------------------------------------------------------


def _recordings(lines: Iterable[str]) -> list[Recording]:
    found: list[_Open] = []
    is_open = False
    header, *rest = [(number, line) for number, line in enumerate(lines, start=1) if line] or [
        (1, "null")
    ]
    told = _object(*header)
    if told.get("format") != _FORMAT:
        raise CassetteError("line 1: this is no cassette")
    if told.get("version") != _VERSION:
        raise CassetteError(f"line 1: version {told.get('version')!r}, not {_VERSION}")
    last = 0.0
    for number, line in rest:
        told = _object(number, line)
        try:
            at = float(told["at"])
            if at < last:
                raise ValueError(f"the time goes back from {last} to {at}")
            last = at
            if "response" in told:
                found.append(_Open(at, told["request"], told["response"], []))
                is_open = True
            elif not is_open:
                raise ValueError("no connection is open")
            elif "end" in told:
                found[-1].error = told["end"]
                is_open = False
            else:
                data = (
                    told["text"].encode("utf-8")
                    if "text" in told
                    else base64.b64decode(told["base64"], validate=True)
                )
                found[-1].chunks.append(Chunk(at, data))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CassetteError(f"line {number}: {error!r}") from error
    return [each.recording() for each in found]


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        told: object = json.loads(line)
    except ValueError as error:
        raise CassetteError(f"line {number}: {error}") from error
    if not isinstance(told, dict):
        raise CassetteError(f"line {number}: this is no cassette")
    return cast("dict[str, Any]", told)


@dataclass
class _Open:
    """A connection, as far as it has been read."""

    at: float
    request: dict[str, Any]
    response: dict[str, Any]
    chunks: list[Chunk]
    error: str | None = "the recording was broken off"

    def __post_init__(self) -> None:
        self.recording()  # so that what is missing shows with its line

    def recording(self) -> Recording:
        return Recording(
            self.at,
            str(self.request["method"]),
            str(self.request["url"]),
            tuple((str(name), str(value)) for name, value in self.request["headers"]),
            int(self.response["status"]),
            tuple((str(name), str(value)) for name, value in self.response["headers"]),
            tuple(self.chunks),
            self.error,
        )
