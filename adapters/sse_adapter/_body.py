"""`Body`: all that the kit asks of a client's response."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from ._coding import CodingError
from ._errors import SSEError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

__all__ = ["Body", "run"]

_R = TypeVar("_R")
_T = TypeVar("_T")


class Body(ABC, Generic[_R]):
    """The body of one response: sync or asynchronous, never both.

    An adapter derives a class for each kind that its client has. It must define ``is_async``,
    `status_code`, `headers`, `read` and `close`; the rest has defaults.

    The methods are coroutines in either case, so that everything above them is written once. A sync
    body's methods block where an asynchronous body's suspend, and must never suspend.

    Args:
        response: The client's response. It is not touched before the first `read`.
        idle_timeout: Seconds that a `read` may wait for bytes; ``None``: for ever. For adapters
            that enforce this time themselves; if the client does, it is ``None``.
    """

    is_async: ClassVar[bool]
    """Whether it is asynchronous."""

    def __init__(self, response: _R, *, idle_timeout: float | None = None) -> None:
        self.response: _R = response
        """As it was given."""
        self.idle_timeout: float | None = idle_timeout
        """As it was given."""

    @property
    @abstractmethod
    def status_code(self) -> int:
        """The response's status."""

    @property
    @abstractmethod
    def headers(self) -> Iterable[tuple[str, str]]:
        """The response's header fields, names in any case."""

    @property
    def content_encoding(self) -> str:
        """The ``Content-Encoding`` that `read` leaves for the kit to decode; ``""``: none.

        Several header fields are joined by commas. Codings that the client decodes are not in it.
        """
        return ""

    @property
    def can_drain(self) -> bool:
        """Whether each `read` keeps to its ``seconds``, and may be followed by `close` even then.

        If so, what follows a body's last event is read, if it is there already, so that the client
        can reuse the connection. Default: no.
        """
        return False

    def check(self) -> None:  # not abstract: some clients have one kind of response
        """Check that the response can be read this way. Called once, before the first `read`.

        Raises:
            TypeError: It is asynchronous and this body is sync, or vice versa.
            Exception: The client's own, if the response has been read and nothing was kept.
        """

    @abstractmethod
    async def read(self, seconds: float | None) -> bytes | None:
        """Return the next chunk as soon as there is one, of any size; ``None`` at the body's end.

        Args:
            seconds: The longest time to wait; ``None``: as long as the client itself would. If the
                client cannot change it between two reads, the value of the first read holds.

        Raises:
            TimeoutError: Nothing came within ``seconds``.
            Exception: The client's own, if the connection broke or the body is malformed.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the response, and its connection unless the body has been read to its end.

        May be called again, and before any read.
        """

    async def keep(self, content: bytes) -> None:  # not abstract: a convenience
        """Make this the content of the response, for its ``json()`` and the like.

        Called with the whole decoded body of a refused response, before it is closed.
        """

    def interrupt(self) -> None:  # not abstract: closing is enough for some
        """Make a read that another thread or task is waiting in fail, with any error."""

    def goes_on_after(self, error: BaseException) -> bool:  # noqa: ARG002  # for those who override
        """Return whether reading may go on after a read raised this. If not, the body is closed."""
        return False

    # Errors: an adapter overrides these to raise what its client's users catch.

    def sse_error(self, message: str, start: bytes | None) -> SSEError:
        """Return the error for a response that is not an event stream, or one beyond the limits.

        Args:
            message: What is wrong.
            start: The start of the body if the response itself is at fault; otherwise ``None``.
        """
        if start is None:
            return SSEError(message)
        return SSEError(
            message,
            status_code=self.status_code,
            headers=self.headers,
            body=start.decode("utf-8", "replace"),
        )

    def timeout_error(self, message: str) -> Exception:
        """Return the error for a read that took too long."""
        return TimeoutError(message)

    def decoding_error(self, message: str) -> Exception:
        """Return the client's error for a body that is not what its ``Content-Encoding`` says.

        Needed only if `content_encoding` leaves something to the kit. Default: `CodingError`.
        """
        return CodingError(message)

    def closed_error(self) -> Exception:
        """Return the error for reading on after the body was closed before its end."""
        return SSEError("the stream was closed before its end")


def run(coroutine: Coroutine[object, object, _T]) -> _T:
    """Run a coroutine that never suspends, such as those of a sync body; return its result."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: _T = done.value
        return result
    coroutine.close()
    raise AssertionError("a sync body suspended")
