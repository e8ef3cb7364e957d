"""The chunks of a body, as the decoder gets them: none that comes too late."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from ._coding import CodingError, ContentDecoder, content_decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from ._body import Body

__all__ = ["Chunks"]

_START_SIZE: Final = 1024
"""Bytes of a refused body that are read: enough for a message of the server's."""
_START_SECONDS: Final = 1.0
"""The longest wait for these, where a wait can be bounded."""


class Chunks:
    """The chunks of a body.

    Args:
        body: Where they come from.
        monotonic: The clock, in seconds.
    """

    def __init__(self, body: Body[Any], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._body: Final = body
        self._read: Final = _Decoded(body).read if body.content_encoding else body.read
        self._monotonic: Final = monotonic
        # Since when reads wait for the next chunk. A read that is cancelled does not change it; so
        # a server's silence is seen also by those who poll.
        self._silent_since: float | None = None

    def read(self, idle_timeout: float | None) -> Coroutine[Any, Any, bytes | None]:
        """Return the next chunk; ``None`` at the end of the body.

        Args:
            idle_timeout: Seconds of silence after which the read fails; ``None``: never.

        Raises:
            UnknownCoding: The body has a content coding that cannot be undone.
            Exception: As `Body.read`, and `Body.timeout_error` in the place of TimeoutError;
                `Body.coding_error`.
        """
        # No coroutine of its own where there is nothing to add: 0.3 us a chunk.
        if idle_timeout is None:
            return self._read(None)
        return self._read_within(idle_timeout)

    async def _read_within(self, idle_timeout: float) -> bytes | None:
        now = self._monotonic()
        if self._silent_since is None:
            self._silent_since = now
        try:
            chunk = await self._read(max(0.0, self._silent_since + idle_timeout - now))
        except TimeoutError:
            self._silent_since = None
            message = f"no byte from the server for {idle_timeout} s"
            raise self._body.timeout_error(message) from None
        self._silent_since = None
        return chunk

    async def start(self) -> bytes:
        """Return the start of a body that is refused, or what came of it in a short time."""
        start = b""
        deadline = time.monotonic() + _START_SECONDS
        while len(start) < _START_SIZE and (left := deadline - time.monotonic()) > 0:
            try:
                chunk = await self._read(min(left, self._body.idle_timeout or left))
            except Exception:  # whatever it is, the response is refused for another reason
                break
            if chunk is None:
                break
            start += chunk
        return start[:_START_SIZE]


class _Decoded:
    """The chunks of a body without its content codings, in pieces of a bounded size."""

    def __init__(self, body: Body[Any]) -> None:
        self._body: Final = body
        self._decoder: ContentDecoder | None = None
        self._pieces: Iterator[bytes] = iter(())  # what the last chunk still has

    async def read(self, seconds: float | None) -> bytes | None:
        """Return the next piece, as `Body.read` returns a chunk."""
        if self._decoder is None:
            self._decoder = content_decoder(self._body.content_encoding)
        if self._decoder is None:
            return await self._body.read(seconds)
        try:
            while True:
                piece = next(self._pieces, None)
                if piece is not None:
                    return piece
                chunk = await self._body.read(seconds)
                if chunk is None:
                    self._decoder.finish()
                    return None
                self._pieces = self._decoder.decode(chunk)
        except CodingError as error:
            raise self._body.coding_error(str(error)) from error
