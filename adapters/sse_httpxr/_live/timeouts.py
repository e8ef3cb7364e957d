"""How long to wait for what. httpxr gets no timeout: it would count the whole stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import httpxr

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._options import RequestOptions
    from .compat import AnyClient

__all__ = ["Timeouts"]


class Timeouts(NamedTuple):
    """Times in seconds; ``None``: for ever."""

    open: float | None
    """For the connection and the response's head: httpxr does not tell them apart."""
    idle: float | None
    """For the next byte of the body."""
    pool: float | None
    """For a free connection within the client's limits."""
    error: Callable[..., httpxr.TimeoutException]
    """The exception when `open` is over."""

    @classmethod
    def of(cls, client: AnyClient, options: RequestOptions) -> Timeouts:
        """Return what the option ``timeout`` means, or else the client's own."""
        timeout: Any = options.get("timeout", client.timeout)
        if timeout is not None and not isinstance(timeout, (httpxr.Timeout, int, float, tuple)):
            # httpxr would mistake it for no timeout.
            expected = "seconds, an httpxr.Timeout, a tuple or None"
            raise TypeError(f"timeout must be {expected}, not {type(timeout).__name__}")
        if not isinstance(timeout, httpxr.Timeout):
            timeout = httpxr.Timeout(cast("Any", timeout))
        connect, read = timeout.connect, timeout.read
        open_ = max((t for t in (connect, read) if t is not None), default=None)
        error = httpxr.ReadTimeout if open_ == read else httpxr.ConnectTimeout
        return cls(open_, read, timeout.pool, error)

    def over(self, request: httpxr.Request) -> httpxr.TimeoutException:
        return self.error(f"no response headers within {self.open} s", request=request)
