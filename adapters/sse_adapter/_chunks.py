"""The chunks of a body as the decoder gets them: each within its time limit, none still encoded.

A byte's way: `Body.read`, here with a deadline; the content decoder, if the client leaves a coding
to us; then, a piece at a time, whoever calls `Chunks.read`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from sse_proto import TimeLimit

from ._coding import CodingError, content_decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from ._body import Body

__all__ = ["Chunks"]

_START_SIZE: Final = 64 * 1024
"""How many bytes of a refused body are read: enough for any API's error."""
_START_SECONDS: Final = 1.0
"""The longest wait for these, where a wait can be bounded."""
_REST_SECONDS: Final = 0.01
"""The longest wait for the end of a body that nobody needs any more. A server that means to keep
the connection sends it with the last event, or right after: this allows for the way from there."""


class Chunks:
    """The chunks of a body.

    Args:
        body: Where they come from.
        monotonic: The clock, in seconds.
    """

    def __init__(self, body: Body[Any], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._body: Final = body
        self._monotonic: Final = monotonic
        self._decoder = None
        self.objection: str | None = None
        """Why the body cannot be decoded; ``None`` if it can."""
        try:
            self._decoder = content_decoder(body.content_encoding)
        except CodingError as error:
            self.objection = str(error)
        # Of the last chunk, decoded when asked for.
        self._pieces: Iterator[bytes] | None = None
        self._malformed: CodingError | None = None
        self._is_told = False  # that it is

    def read(
        self, limit: TimeLimit | None, waited: Callable[[float], object]
    ) -> Coroutine[Any, Any, bytes | None]:
        """Return the next chunk, decoded; ``None`` at the end of the body.

        Args:
            limit: How long to wait for it; ``None``: for ever.
            waited: Called with how long that took, if there is a limit.

        Raises:
            Exception: As `Body.read`, with `Body.timeout_error` for TimeoutError. Or
                `Body.decoding_error`, and the body is closed.
        """
        if self._decoder is not None:
            return self._read_decoded(limit, waited)
        # No coroutine of its own if there is nothing to add: saves 0.3 us a chunk.
        if limit is None:
            return self._body.read(None)
        return self._read_within(limit, waited)

    async def _read_within(
        self, limit: TimeLimit | None, waited: Callable[[float], object]
    ) -> bytes | None:
        if limit is None:
            return await self._body.read(None)
        begun = self._monotonic()
        try:
            return await self._body.read(limit.seconds)
        except TimeoutError:
            raise self._body.timeout_error(limit.reason) from None
        finally:  # even if the read is cancelled: those who poll must notice silence too
            waited(self._monotonic() - begun)

    async def _read_decoded(
        self, limit: TimeLimit | None, waited: Callable[[float], object]
    ) -> bytes | None:
        assert self._decoder is not None
        try:
            while self._malformed is None:
                if self._pieces is not None:
                    for piece in self._pieces:
                        return piece
                    self._pieces = None
                chunk = await self._read_within(limit, waited)
                if chunk is None:
                    self._decoder.finish()
                    return None
                self._pieces = self._decoder.decode(chunk)
        except CodingError as error:
            self._malformed = error
        if self._is_told:
            raise self._body.closed_error()
        await self._body.close()  # if that is cancelled, the next read gets here again
        self._is_told = True
        raise self._body.decoding_error(str(self._malformed)) from self._malformed

    async def drain(self) -> None:
        """Read a body that nobody needs to its end, if that is there, for the connection's sake.

        A client only reuses a connection if the body was read whole.
        """
        if not self._body.can_drain:
            return
        size = 0
        deadline = time.monotonic() + _REST_SECONDS
        try:
            while size < _START_SIZE and (left := deadline - time.monotonic()) > 0:
                chunk = await self._body.read(left)
                if chunk is None:
                    return
                size += len(chunk)
        except Exception:  # then it is closed before its end
            pass

    async def start(self) -> bytes:
        """Return the start of a refused body, or as much as came in a short time.

        A body that came whole is given to the response (`Body.keep`).
        """
        start = b""
        if self.objection is not None:
            return start
        deadline = time.monotonic() + _START_SECONDS
        while len(start) < _START_SIZE and (left := deadline - time.monotonic()) > 0:
            try:
                seconds = min(left, self._body.idle_timeout or left)
                chunk = await self.read(TimeLimit(seconds, "refused"), _ignore)
            except Exception:  # whatever it is, the response is being refused for another reason
                break
            if chunk is None:
                await self._body.keep(start)
                break
            start += chunk
        return start[:_START_SIZE]


def _ignore(_seconds: float) -> None:
    """Nobody adds up the waits for a refused body."""
