"""Cassettes: what a server sent, and when, in a file of JSON lines.

``sse-tail --record FILE`` writes one, and so does a `CassetteWriter` in a program. The first line
is a header; each further one says what happened:

| line | what it says |
| --- | --- |
| ``{"format": "sse-recording", "version": 1}`` | that this is a cassette; it may have a ``url`` |
| ``{"connection": 1, "time": 0, "request": {...}, "response": {...}}`` | it was opened |
| ``{"connection": 1, "time": 0.1, "text": "data: x\n\n"}`` | a chunk arrived, valid UTF-8 |
| ``{"connection": 1, "time": 0.1, "base64": "/w=="}`` | a chunk arrived, which is not |
| ``{"connection": 1, "time": 0.2, "end": null}`` | the body ended properly |
| ``{"connection": 1, "time": 0.2, "end": "ReadError: ..."}`` | it broke, or failed |

``connection`` counts from 1, and ``time`` is in seconds since the recording began; neither ever
decreases. A request has ``method``, ``url`` and ``headers``, a response ``status`` and ``headers``;
headers are lists of pairs. Chunks are the bytes that the decoder gets: without transfer coding and
content coding, cut as they arrived.

A connection without an opening counts as a GET that was answered with an event stream, and ended.
One with an opening but without an end counts as broken.

Secrets in header values and URLs are written as ``REDACTED``.
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

_FORMAT: Final = "sse-recording"
_VERSION: Final = 1
_SECRET_PARAMETER: Final = re.compile(
    r"([?&](?:[^=&#]*[-_])?(?:key|token|secret|password|signature|sig)=)[^&#]*", re.IGNORECASE
)
_USER: Final = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/?#@]*@", re.IGNORECASE)

# They describe how the bytes were sent, not the bytes in the cassette.
_OF_THE_WIRE: Final = frozenset({"connection", "content-encoding", "content-length", "keep-alive"})
_NOT_REPLAYED: Final = _OF_THE_WIRE | {"transfer-encoding", "set-cookie", "date"}


class CassetteError(ValueError):
    """A file is not a cassette, or one of a later version. The text names the line."""


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
    """When it was opened, or else its first chunk came: seconds since the recording began."""
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
        """The response's headers, without those that say how the bytes were sent."""
        return [(name, value) for name, value in self.headers if name.lower() not in _NOT_REPLAYED]


@dataclass(frozen=True)
class Cassette:
    """What was recorded."""

    recordings: tuple[Recording, ...]

    @classmethod
    def read(cls, path: str | Path) -> Cassette:
        """Read a file.

        Raises:
            CassetteError: It is not a cassette.
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
            file: Where to write; the caller closes it.
            secret_headers: Names, in lower case, of headers whose values are not written.
            clock: Seconds of a clock that is never set.
        """
        self._file: Final = file
        self._secret_headers: Final = secret_headers
        self._clock: Final = clock
        self._began: Final = clock()
        self._number = 0
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
        self._number += 1
        redacted_url = _SECRET_PARAMETER.sub(rf"\1{REDACTED}", _USER.sub(rf"\1{REDACTED}@", url))
        self._write(
            {
                **self._stamp(),
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
        line = self._stamp()
        try:
            line["text"] = data.decode("utf-8")
        except UnicodeDecodeError:
            line["base64"] = base64.b64encode(data).decode("ascii")
        self._write(line)

    def end(self, error: BaseException | None = None) -> None:
        """The body ended, or the connection broke with this error."""
        told = None if error is None else f"{type(error).__name__}: {error}"
        self._write({**self._stamp(), "end": told})

    def _redacted(self, headers: Iterable[tuple[str, str]]) -> list[list[str]]:
        return [
            [name, REDACTED if name.lower() in self._secret_headers else value]
            for name, value in headers
        ]

    def _stamp(self) -> dict[str, object]:
        return {"connection": self._number, "time": round(self._clock() - self._began, 6)}

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


# -- reading ---------------------------------------------------------------------------------------


def _recordings(lines: Iterable[str]) -> list[Recording]:
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line]
    header = _object(*numbered[0]) if numbered else {}
    if header.get("format") != _FORMAT:
        raise CassetteError("line 1: not a cassette")
    if header.get("version") != _VERSION:
        raise CassetteError(f"line 1: version {header.get('version')!r}, not {_VERSION}")
    url = str(header.get("url", ""))
    found: list[_Open] = []
    last = 0, 0.0
    for number, line in numbered[1:]:
        told = _object(number, line)
        try:
            stamp = int(told["connection"]), float(told["time"])
            if stamp[0] < last[0] or stamp[1] < last[1]:
                raise ValueError(f"{stamp} comes after {last}")
            if stamp[0] > last[0]:
                found.append(_Open(stamp[1], told, url))
            last = stamp
            found[-1].take(stamp[1], told)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise CassetteError(f"line {number}: {error!r}") from error
    return [each.recording() for each in found]


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        told: object = json.loads(line)
    except ValueError as error:
        raise CassetteError(f"line {number}: {error}") from error
    if not isinstance(told, dict):
        raise CassetteError(f"line {number}: not a cassette")
    return cast("dict[str, Any]", told)


class _Open:
    """A connection, as far as it has been read."""

    def __init__(self, at: float, first: dict[str, Any], url: str) -> None:
        self._at: Final = at
        self._chunks: Final[list[Chunk]] = []
        self._has_ended = False
        # The opening may be missing.
        request: dict[str, Any] = {"method": "GET", "url": url, "headers": []}
        response: dict[str, Any] = {
            "status": 200,
            "headers": [("content-type", "text/event-stream")],
        }
        self._error: str | None = None
        if "response" in first:
            request, response = first["request"], first["response"]
            self._error = "the recording was broken off"
        self._method, self._url = str(request["method"]), str(request["url"])
        self._request_headers: Final = _pairs(request["headers"])
        self._status, self._headers = int(response["status"]), _pairs(response["headers"])

    def take(self, at: float, told: dict[str, Any]) -> None:
        """Take one line."""
        if self._has_ended:
            raise ValueError("the connection has ended")
        if "response" in told:
            return
        if "end" in told:
            self._error, self._has_ended = told["end"], True
        elif "text" in told:
            self._chunks.append(Chunk(at, told["text"].encode("utf-8")))
        else:
            self._chunks.append(Chunk(at, base64.b64decode(told["base64"], validate=True)))

    def recording(self) -> Recording:
        return Recording(
            self._at,
            self._method,
            self._url,
            self._request_headers,
            self._status,
            self._headers,
            tuple(self._chunks),
            self._error,
        )


def _pairs(headers: Iterable[tuple[object, object]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in headers)
