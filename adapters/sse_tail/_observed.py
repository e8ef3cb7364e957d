"""A decoder whose chunks others see too: how a program gets at the bytes of a subscription."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from sse_proto import SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sse_proto import DecoderFactory, ServerSentEvent

__all__ = ["Observer", "observed"]


class Observer(Protocol):
    """Sees the chunks of a stream."""

    def connected(self) -> None:
        """Another connection is open: what follows is its body."""

    def received(self, chunk: bytes) -> None:
        """A chunk has come, without its content coding; the decoder is next."""

    def ended(self) -> None:
        """The body has ended, or the connection was lost."""


def observed(
    observers: Sequence[Observer], on_comment: Callable[[str], object] | None = None
) -> DecoderFactory:
    """Return a factory for a subscription's decoders that shows its chunks to observers.

    Args:
        observers: Who sees them.
        on_comment: As `SSEDecoder` takes it.
    """

    def make(*, last_event_id: str | None) -> SSEDecoder:
        for observer in observers:
            observer.connected()
        decoder = SSEDecoder(last_event_id=last_event_id, on_comment=on_comment)
        # One by its shape only: the decoder in C cannot be subclassed.
        return cast("SSEDecoder", _ObservedDecoder(decoder, observers)) if observers else decoder

    return make


class _ObservedDecoder:
    """As much of an `SSEDecoder` as a subscription uses."""

    def __init__(self, decoder: SSEDecoder, observers: Sequence[Observer]) -> None:
        self._decoder = decoder
        self._observers = observers

    def feed(self, chunk: bytes, /) -> list[ServerSentEvent]:
        for observer in self._observers:
            observer.received(chunk)
        return self._decoder.feed(chunk)

    def close(self) -> None:
        for observer in self._observers:
            observer.ended()
        self._decoder.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)
