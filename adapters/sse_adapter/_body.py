"""`Body`: all that the kit asks of a client's response."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from ._errors import SSEError

__all__ = ["Body", "run"]

_R = TypeVar("_R")
_T = TypeVar("_T")


class Body(ABC, Generic[_R]):
    """The body of one response: sync or asynchronous, never both.

    The methods are coroutines in either case, so that what stands on them is written once. Those of
    a sync body block where those of an asynchronous one suspend, and never suspend.

    Args:
        response: The client's response. Nothing is done with it before the first `read`.
        idle_timeout: Seconds that a `read` may wait for bytes; ``None``: for ever. For those who
            open responses themselves, and want another timeout than the client's own.
    """

    is_async: ClassVar[bool]
    """Which of the two this is."""

    def __init__(self, response: _R, *, idle_timeout: float | None = None) -> None:
        self.response = response
        self.idle_timeout = idle_timeout

    @property
    @abstractmethod
    def status_code(self) -> int:
        """The response's status."""

    @property
    @abstractmethod
    def headers(self) -> Iterable[tuple[str, str]]:
        """The response's header fields, in any case of letters."""

    @property
    def content_encoding(self) -> str:
        """The ``Content-Encoding`` that `read` leaves for the kit to undo; ``""``: none."""
        return ""

    def check(self) -> None:  # not abstract: some clients have one kind of response
        """Check that the response can be read in this way. Called once, before the first `read`.

        Raises:
            TypeError: It is asynchronous for a sync body, or sync for an asynchronous one.
            Exception: The client's own, if the response was read before and kept nothing.
        """

    @abstractmethod
    async def read(self, seconds: float | None) -> bytes | None:
        """Return the next chunk, of any size; ``None`` at the end of the body.

        Args:
            seconds: How long to wait at most; ``None``: for ever. Where the client cannot change it
                between two reads, the first one counts.

        Raises:
            TimeoutError: Nothing came within ``seconds``.
            Exception: The client's own, if the connection broke or the body is malformed.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the response and its connection. May be called again, and without any read."""

    def interrupt(self) -> None:  # not abstract: closing is enough for some
        """End a read that another thread or task waits in, by an error of whatever kind."""

    def goes_on_after(self, error: BaseException) -> bool:  # noqa: ARG002  # for those who override
        """Whether reading may go on after a read has raised this. If not, the body is closed."""
        return False

    # Errors, in terms of the client.

    @abstractmethod
    def sse_error(self, message: str, start: bytes | None) -> SSEError:
        """Return the adapter's ``SSEError``.

        Args:
            message: What is wrong.
            start: The start of the body, where the response itself is what is wrong.
        """

    @abstractmethod
    def timeout_error(self, message: str) -> Exception:
        """Return the client's error for a read that took too long."""

    def coding_error(self, message: str) -> Exception:
        """Return the client's error for a body that is not what its ``Content-Encoding`` says."""
        return self.sse_error(message, None)

    @abstractmethod
    def closed_error(self) -> Exception:
        """Return what reading raises after the body was closed before its end."""


def run(coroutine: Coroutine[object, object, _T]) -> _T:
    """Run a coroutine that never suspends, as those of a sync body; return what it returns."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: _T = done.value
        return result
    coroutine.close()
    raise AssertionError("a sync body suspended")
