"""Why a TLS connection failed: whether the server's certificate was refused, and for what reason.

httpxr raises the same error as for every failed connection, which says nothing. Its TLS library
logs the reason, through `logging`, before that error is raised, but not which connection it is
about. So it is attributed to an opening only if no other opening of ours was under way at the time.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

import httpxr

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["CertificateRefused", "Watch"]

_LOGGER: Final = logging.getLogger("rustls_platform_verifier::verification::others")
_OPENING: Final = "failed to verify TLS certificate: "


class CertificateRefused(httpxr.ConnectError):
    """The server's certificate is not trusted; the next attempt will find the same."""


class Watch:
    """Watches one opening, as a context manager."""

    def __init__(self) -> None:
        self._is_alone = True
        self._reason = ""

    def __enter__(self) -> Watch:
        with _lock:
            for other in _watches:
                other._is_alone = self._is_alone = False
            _watches.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with _lock:
            _watches.discard(self)

    @property
    def reason(self) -> str:
        """Why the certificate was refused; ``""`` if it was not, or nobody can tell."""
        return self._reason if self._is_alone else ""

    def note(self, reason: str) -> None:
        self._reason = reason


_watches: Final[set[Watch]] = set()
_lock: Final = threading.Lock()


class _Listener(logging.Filter):
    """Lets every record pass, and tells the watches about those on certificates."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message.startswith(_OPENING):
            with _lock:
                for watch in _watches:
                    watch.note(message.removeprefix(_OPENING))
        return True


_LOGGER.addFilter(_Listener())
