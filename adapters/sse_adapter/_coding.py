"""Content codings, decoded live and in bounded steps (RFC 9110, 8.4).

Live: what can be decoded of a chunk comes out with that chunk. Bounded: it comes out in pieces, and
each is made only when asked for. So whoever has had enough of a body (an event that grows beyond
its limit) stops before the rest of it is made, and a kilobyte that stands for a gigabyte takes no
more memory than any other.

A `_Coding` decodes one coding: it gets its input in small steps, and yields what each step makes.
For several codings on top of each other, these are nested generators.

gzip and deflate are in the standard library. brotli and zstd need a package; `_load_brotli` and
`_load_zstd` say which. They are imported when a response comes that needs them.
"""

from __future__ import annotations

import sys
import zlib
from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["CodingError", "ContentDecoder", "UnknownCoding", "content_decoder"]

_PIECE_SIZE: Final = 64 * 1024
"""The most bytes to decode at a time, if the library can stop there."""
_STEP_SIZE: Final = 4096
"""Bytes of input at a time. The standard library copies what it leaves over; with many small gzip
members in one chunk, or much output, it would copy the chunk again and again."""
_MAX_CODINGS: Final = 5
"""The most codings of one body. Nobody applies more than two; each takes memory."""
_MAX_ZSTD_WINDOW_LOG: Final = 23
"""8 MiB, the most that a server may use (RFC 9659, 3); zstd itself would allow 128 MiB."""


class CodingError(ValueError):
    """The body is not what its ``Content-Encoding`` says."""


class UnknownCoding(CodingError):
    """A content coding that cannot be decoded here.

    Attributes:
        coding: Its name, in lower case.
    """

    def __init__(self, coding: str, why: str = "unknown") -> None:
        super().__init__(coding, why)
        self.coding = coding
        self.why = why

    def __str__(self) -> str:
        return f"content coding {self.coding!r:.100} cannot be decoded: {self.why}"


def content_decoder(content_encoding: str) -> ContentDecoder | None:
    """Return a decoder for the codings of a body; ``None`` if it has none.

    Args:
        content_encoding: The value of ``Content-Encoding`` (RFC 9110, 8.4), several fields joined
            by commas; ``""``: there was none.

    Raises:
        UnknownCoding: One of them cannot be decoded here.
        CodingError: There are more than five.
    """
    names = [name.strip(" \t").lower() for name in content_encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > _MAX_CODINGS:
        raise CodingError(f"{len(names)} content codings, limit is {_MAX_CODINGS}")
    return ContentDecoder([_coding(name) for name in reversed(names)]) if names else None


class ContentDecoder:
    """Decodes the content codings of one body. See `content_decoder`."""

    def __init__(self, codings: list[_Coding]) -> None:
        self._codings: Final = codings  # the one applied last comes first

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Decode one chunk.

        Args:
            chunk: Bytes of the body, any length, cut anywhere.

        Returns:
            An iterator over what they stand for, in pieces of about 64 KiB at most, none of them
            empty. A piece is made when asked for. Take them all before the next chunk. (With
            packages that cannot stop there, a piece may be larger: zstandard 1 MiB, brotli before
            1.2 16 MiB.)

        The iterator raises:
            CodingError: The body is malformed, or goes on after its end.
        """
        pieces: Iterable[bytes] = (chunk,)
        for coding in self._codings:
            pieces = coding.decode(pieces)
        return iter(pieces)

    def finish(self) -> None:
        """Check that the body may end here. An empty one may.

        Raises:
            CodingError: It is cut off.
        """
        for coding in self._codings:
            if not coding.is_complete():
                raise CodingError(f"the body ends within its content coding, {coding.name}")


class _Coding(ABC):
    """One content coding of one body."""

    step_size: ClassVar[int] = _STEP_SIZE
    """How much input a step may get, so that its output is bounded."""

    def __init__(self, name: str) -> None:
        self.name: Final = name

    def decode(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what these chunks stand for, in non-empty pieces."""
        for chunk in chunks:
            for start in range(0, len(chunk), self.step_size):
                try:
                    for piece in self.step(chunk[start : start + self.step_size]):
                        if piece:
                            yield piece
                except self.errors() as error:
                    raise CodingError(f"malformed {self.name} content: {error}") from error

    @abstractmethod
    def errors(self) -> tuple[type[Exception], ...]:
        """What a step raises when the body is malformed."""

    @abstractmethod
    def step(self, data: bytes) -> Iterator[bytes]:
        """Yield what this bit of input, which is not empty, stands for."""

    @abstractmethod
    def is_complete(self) -> bool:
        """Whether the body may end here."""

    def at_end(self, rest: bytes) -> None:
        """Check that nothing follows the end of the content."""
        if rest:
            raise CodingError(f"{self.name} content goes on after its end, with {rest!r:.50}")


class _Inflating(Protocol):
    """What `zlib.decompressobj` returns."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip(_Coding):
    """gzip, RFC 1952: members in a row (2.2), usually just one."""

    _member: _Inflating | None = None  # that has begun

    def errors(self) -> tuple[type[Exception], ...]:
        return (zlib.error,)

    def step(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None:
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield from _inflated(self._member, data)
            data = self._member.unused_data
            if self._member.eof:
                self._member = None

    def is_complete(self) -> bool:
        return self._member is None


class _Deflate(_Coding):
    """deflate: the zlib format, RFC 1950; or, as some servers send it, bare RFC 1951."""

    _start = b""
    _content: _Inflating | None = None

    def errors(self) -> tuple[type[Exception], ...]:
        return (zlib.error,)

    def step(self, data: bytes) -> Iterator[bytes]:
        if self._content is None:
            self._start += data
            if len(self._start) < 2:
                return
            data = self._start
            # RFC 1950, 2.2: method 8 with a window of up to 32 KiB, and a check of these two bytes.
            is_zlib = data[0] & 0x8F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._content = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        if self._content.eof:
            self.at_end(data)
        yield from _inflated(self._content, data)
        self.at_end(self._content.unused_data)

    def is_complete(self) -> bool:
        return not self._start if self._content is None else self._content.eof


def _inflated(stream: _Inflating, data: bytes) -> Iterator[bytes]:
    """Yield what zlib makes of this, in pieces."""
    while True:
        piece = stream.decompress(data, _PIECE_SIZE)
        yield piece
        data = stream.unconsumed_tail
        # After a full piece there may be more, even if all input was taken.
        if stream.eof or (not data and len(piece) < _PIECE_SIZE):
            return


class _Brotli(_Coding):
    """br, RFC 7932."""

    _has_begun = False

    def __init__(self, name: str, library: Any) -> None:
        super().__init__(name)
        self._library: Final = library
        self._content: Final[Any] = library.Decompressor()

    def errors(self) -> tuple[type[Exception], ...]:
        return (self._library.error,)

    def step(self, data: bytes) -> Iterator[bytes]:
        self._has_begun = True
        # Half the size: it may return twice what it is told.
        piece = self._content.process(data, output_buffer_limit=_PIECE_SIZE // 2)
        while piece:
            yield piece
            piece = self._content.process(b"", output_buffer_limit=_PIECE_SIZE // 2)

    def is_complete(self) -> bool:
        return not self._has_begun or self._content.is_finished()


class _UnboundedBrotli(_Brotli):
    """br, with a library that decodes all its input at once: brotli before 1.2.

    It gets single bytes. None can complete more than one meta-block, of 16 MiB (RFC 7932, 9.2).
    """

    step_size = 1

    def step(self, data: bytes) -> Iterator[bytes]:
        self._has_begun = True
        yield self._content.process(data)


class _Zstd(_Coding):
    """zstd, RFC 8878: frames in a row (3.1)."""

    _frame: Any = None  # that has begun

    def __init__(self, name: str, new_frame: Callable[[], Any], error: type[Exception]) -> None:
        super().__init__(name)
        self._new_frame: Final = new_frame
        self._error: Final = error

    def errors(self) -> tuple[type[Exception], ...]:
        return (self._error,)

    def step(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._frame is None:
                self._frame = self._new_frame()
            frame = self._frame
            yield from self.decompressed(frame, data)
            data = frame.unused_data
            if frame.eof:
                self._frame = None

    def decompressed(self, frame: Any, data: bytes) -> Iterator[bytes]:
        yield frame.decompress(data, _PIECE_SIZE)
        while not (frame.eof or frame.needs_input):
            yield frame.decompress(b"", _PIECE_SIZE)

    def is_complete(self) -> bool:
        return self._frame is None


class _UnboundedZstd(_Zstd):
    """zstd, with a library that decodes all its input at once: zstandard.

    It gets a few bytes. Every four of them can complete a block, of 128 KiB (RFC 8878, 3.1.1.2).
    """

    step_size = 32

    def decompressed(self, frame: Any, data: bytes) -> Iterator[bytes]:
        yield frame.decompress(data)


def _load_brotli() -> Callable[[str], _Coding]:
    """Return what decodes br; raise ImportError if there is no package for it."""
    try:
        library: Any = import_module("brotli")
    except ImportError:
        library = import_module("brotlicffi")
    try:
        library.Decompressor().process(b"", output_buffer_limit=1)
    except TypeError:
        return lambda name: _UnboundedBrotli(name, library)
    return lambda name: _Brotli(name, library)


def _load_zstd() -> Callable[[str], _Coding]:
    """Return what decodes zstd; raise ImportError if there is no package for it."""
    library: Any
    try:
        library = import_module(
            "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        )
    except ImportError:
        library = import_module("zstandard")
        window_size = 1 << _MAX_ZSTD_WINDOW_LOG
        return lambda name: _UnboundedZstd(
            name,
            lambda: library.ZstdDecompressor(max_window_size=window_size).decompressobj(),
            library.ZstdError,
        )
    options = {library.DecompressionParameter.window_log_max: _MAX_ZSTD_WINDOW_LOG}
    return lambda name: _Zstd(
        name, lambda: library.ZstdDecompressor(options=options), library.ZstdError
    )


_OPTIONAL: Final[dict[str, tuple[Callable[[], Callable[[str], _Coding]], str]]] = {
    "br": (_load_brotli, "brotli or brotlicffi"),
    "zstd": (_load_zstd, "backports.zstd or zstandard"),
}


def _coding(name: str) -> _Coding:
    if name in ("gzip", "x-gzip"):  # the latter for the former, RFC 9110, 8.4.1.3
        return _Gzip(name)
    if name == "deflate":
        return _Deflate(name)
    if name not in _OPTIONAL:
        raise UnknownCoding(name)
    load, packages = _OPTIONAL[name]
    try:
        return load()(name)
    except ImportError:
        raise UnknownCoding(name, f"it needs the package {packages}") from None
