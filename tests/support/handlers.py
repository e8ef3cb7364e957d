"""Handlers for `RawServer`: what a server may do about a request. (More are in harness.py.)"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from tests.support.harness import sends

if TYPE_CHECKING:
    from tests.support.servers import Exchange, Handler

__all__ = [
    "DigestHandler",
    "gone",
    "in_turn",
    "lost",
    "redirect",
    "silent",
    "slow_refusal",
    "status",
    "stream",
]

# Seconds for which a handler that sends no more waits for its client to close.
_TIMEOUT: Final = 10.0


def in_turn(*handlers: Handler) -> Handler:
    """Return a handler that leaves each request to the next one of these; then, status 204."""
    left = list(handlers)

    def handle(exchange: Exchange) -> None:
        (left.pop(0) if left else gone)(exchange)

    return handle


def gone(exchange: Exchange) -> None:
    exchange.respond(204)


def stream(body: bytes, *, hold: bool = False) -> Handler:
    """Return a handler that sends this, and then ends the stream, or leaves it open."""

    def handle(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(body)
        if hold:
            exchange.wait_closed(_TIMEOUT)

    return handle


def status(code: int, *headers: tuple[str, str], body: bytes = b"no") -> Handler:
    return lambda exchange: exchange.respond(code, headers, body)


def redirect(code: int, location: str) -> Handler:
    return status(code, ("Location", location))


def lost(exchange: Exchange) -> None:
    """Break the stream off after no event."""
    exchange.start()
    exchange.truncate()


def silent(exchange: Exchange) -> None:
    """Send nothing, no header either."""
    exchange.wait_closed(_TIMEOUT)


def slow_refusal(exchange: Exchange) -> None:
    """Refuse, with a body that does not go on."""
    exchange.start(404, content_type="text/plain")
    exchange.send(b"not here")
    exchange.wait_closed(_TIMEOUT)


class DigestHandler:
    """Handler that sends events to who answers its digest challenge (RFC 7616, MD5, qop=auth)."""

    realm, nonce, opaque = "streams", "dcd98b7102dd2f0e8b11d0f600bfb0c0", "5ccc069c403ebaf9"

    def __init__(self, user: str, password: str) -> None:
        self._secret: Final[str] = self._hash(user, self.realm, password)

    def __call__(self, exchange: Exchange) -> None:
        if self._is_right(exchange):
            sends("1", hold=True)(exchange)
            return
        challenge = (
            f'Digest realm="{self.realm}", qop="auth", algorithm=MD5,'
            f' nonce="{self.nonce}", opaque="{self.opaque}"'
        )
        exchange.respond(401, [("WWW-Authenticate", challenge)], b"who are you?")

    def _is_right(self, exchange: Exchange) -> bool:
        scheme, _, rest = (exchange.header("authorization") or "").partition(" ")
        pairs = re.finditer(r'(\w+)=("[^"]*"|[^,]+)', rest)
        fields = {str(pair[1]): str(pair[2]).strip('"') for pair in pairs}
        if scheme != "Digest" or fields.get("uri") != exchange.target:
            return False
        action = self._hash(exchange.method, exchange.target)
        middle = [self.nonce, fields["nc"], fields["cnonce"], "auth"]
        return fields["response"] == self._hash(self._secret, *middle, action)

    @staticmethod
    def _hash(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode()).hexdigest()
