"""The HTTP client: the one asked for, or the first that is installed."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Generator, Mapping

    from sse_adapter import Subscription

__all__ = ["NAMES", "ConnectionFailed", "HTTPClient", "load_client"]

NAMES: Final = ("httpxr", "httpx", "httpx2")
"""The clients that there are adapters for, the preferred one first."""


class ConnectionFailed(Exception):
    """The client could not connect, or lost the connection for good; its text says why."""


class HTTPClient(NamedTuple):
    """A client's library, and the package that reads event streams on it, as modules."""

    library: Any
    adapter: Any

    def network(self, parser: ArgumentParser, options: Namespace) -> dict[str, Any]:
        """Return a client with the proxy and the certificates that the options ask for.

        Returns:
            The arguments of `subscribe` that stand for it. The environment's proxies and roots
            apply too.
        """
        try:
            # For httpxr too, which accepts a file without certificates.
            context = options.cacert and ssl.create_default_context(cafile=options.cacert)
        except OSError as error:
            parser.error(f"--cacert {options.cacert}: {error}")
        is_httpxr = self.library.__name__ == "httpxr"
        if is_httpxr and options.proxy is not None and "@" in options.proxy:
            parser.error("--proxy: httpxr does not send a user and password to a proxy")
        verify: Any = not options.insecure
        try:
            if is_httpxr:  # its sync client keeps a proxy and certificates to itself
                verify = options.cacert or verify
                transport = self.library.AsyncClient(verify=verify, proxy=options.proxy)
                return {"client": self.library.Client(), "transport": transport}
            return {"client": self.library.Client(verify=context or verify, proxy=options.proxy)}
        except Exception as error:  # each client has its own kinds, and ImportError for socks5
            parser.error(f"--proxy: {error}")

    @contextmanager
    def subscribe(self, request: Mapping[str, Any]) -> Generator[Subscription[Any]]:
        """Subscribe to a stream; close the client at the end.

        Args:
            request: The arguments of the adapter's ``subscribe``.

        Raises:
            ConnectionFailed: The client's own error, whichever client it is.
            sse_proto.SSEError: As the adapter raises it.
        """
        with request["client"], self.reported(), self.adapter.subscribe(**request) as events:
            yield events

    @contextmanager
    def reported(self) -> Generator[None]:
        """Raise the client's own errors as `ConnectionFailed`."""
        try:
            yield
        except self.library.RequestError as error:
            if isinstance(error, self.adapter.SSEError):
                raise
            raise ConnectionFailed(str(error) or type(error).__name__) from error


def load_client(parser: ArgumentParser, name: str | None) -> HTTPClient:
    """Import a client and its adapter.

    Args:
        parser: Reports that it is not installed.
        name: One of `NAMES`; ``None``: the first of them that is installed.
    """
    for candidate in NAMES if name is None else (name,):
        try:
            library = import_module(candidate)
        except ImportError:
            continue
        adapter = "sse_httpxr" if candidate == "httpxr" else "sse_httpx"
        return HTTPClient(library, import_module(adapter))
    if name is not None:
        parser.error(f"--client {name}: not installed; pip install 'sse-proto[{name}]'")
    commands = " or ".join(f"'sse-proto[{name}]'" for name in NAMES)
    parser.error(f"no HTTP client is installed; pip install {commands}")
