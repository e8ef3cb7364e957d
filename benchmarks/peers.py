"""The decoders that are compared: ours, and other people's, each fed as its users feed it.

A peer is a function from chunks to an iterator of its own events, as its users have it: most own
their loop in a generator, ours leaves it to the caller. What is not installed is left out, with a
notice.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from itertools import chain
from typing import Any, Final, Protocol, TypeAlias

import sse_proto
import sse_proto._feed

__all__ = ["PEERS", "Decode", "Event", "Peer", "find_peers", "pairs", "version"]


class Event(Protocol):
    """What all decoders' events have in common."""

    @property
    def event(self) -> str | None: ...

    @property
    def data(self) -> str: ...


Decode: TypeAlias = Callable[[Iterable[bytes]], Iterator[Event]]
"""Decodes one stream, from its first chunk to its end."""


@dataclass(frozen=True)
class Peer:
    """A decoder that is installed."""

    name: str
    version: str
    decode: Decode
    is_ours: bool = False


def pairs(events: Iterable[Event]) -> list[tuple[str, str]]:
    """Return what is compared of events: type and data. On ID and retry no two peers agree.

    A type of ``None`` or ``""`` is taken for the standard's default: some leave that to the caller.
    """
    return [(event.event or "message", event.data) for event in events]


# Ours.


def _ours(decoder_class: Callable[[], Any]) -> Decode:
    def decode(chunks: Iterable[bytes]) -> Iterator[Event]:
        return chain.from_iterable(map(decoder_class().feed, chunks))

    return decode


def _python() -> Decode:
    return _ours(sse_proto._feed.SSEDecoder)


def _speedups() -> Decode:
    return _ours(import_module("sse_proto._speedups").SSEDecoder)


# Theirs. Most take text: their users get it from httpx's or httpxr's iter_text(), which leaves
# out chunks that complete no character.


def _texts(chunks: Iterable[bytes]) -> Iterator[str]:
    # At C speed, so that nothing of ours is timed. What the stream's end leaves of a character is
    # not flushed: it completes no event.
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    return filter(None, map(decode, chunks))


def _line_decoders(module: Any) -> Decode:
    """Return httpx-sse's loop, and that of its copies: lines from text, events from lines."""

    def decode(chunks: Iterable[bytes]) -> Iterator[Event]:
        lines = module.SSELineDecoder()
        decoder = module.SSEDecoder()
        for text in _texts(chunks):
            for line in lines.decode(text):
                event = decoder.decode(line.rstrip("\n"))
                if event is not None:
                    yield event
        for line in lines.flush():
            event = decoder.decode(line.rstrip("\n"))
            if event is not None:
                yield event

    return decode


def _httpx_sse() -> Decode:
    return _line_decoders(import_module("httpx_sse._decoders"))


def _httpxr() -> Decode:
    return _line_decoders(import_module("httpxr.sse._decoders"))


def _httpx2() -> Decode:
    module: Any = import_module("httpx2._sse")
    parser_class = module._SSEParser

    def decode(chunks: Iterable[bytes]) -> Iterator[Event]:
        parser = parser_class(None)  # its default, 1 MiB, would refuse the huge line
        yield from chain.from_iterable(map(parser.decode, _texts(chunks)))
        yield from parser.flush()

    return decode


def _launchdarkly() -> Decode:
    module: Any = import_module("ld_eventsource.reader")
    lines_from, reader_class = module._BufferedLineReader.lines_from, module._SSEReader
    event_class = import_module("ld_eventsource.actions").Event

    def decode(chunks: Iterable[bytes]) -> Iterator[Event]:
        actions = reader_class(lines_from(chunks)).events_and_comments()
        return (action for action in actions if isinstance(action, event_class))

    return decode


def _openai() -> Decode:
    decoder_class: Any = import_module("openai._streaming").SSEDecoder
    return lambda chunks: decoder_class().iter_bytes(iter(chunks))


def _anthropic() -> Decode:
    decoder_class: Any = import_module("anthropic._streaming").SSEDecoder
    return lambda chunks: decoder_class().iter_bytes(iter(chunks))


def _sseclient() -> Decode:
    client_class: Any = import_module("sseclient").SSEClient
    if not hasattr(client_class, "events"):
        raise ImportError("'sseclient' is another package of that name")
    return lambda chunks: client_class(chunks).events()


def _assel() -> Decode:
    module: Any = import_module("assel")

    def decode(chunks: Iterable[bytes]) -> Iterator[Event]:
        # All its parsers share one decoder of UTF-8: a stream that ended within a character would
        # spoil each stream after it, and say nothing about those.
        module.LineParser.utf8dec.reset()
        return module.parse(chunks)  # type: ignore[no-any-return]  # of its events

    return decode


class _NiquestsResponse:
    """As much of a response as niquests' parser, part of urllib3-future, asks for."""

    _dsa = _police_officer = None  # for writing, and for locks

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._fp = self

    def stream(self, _amount: int, **_options: object) -> Iterator[bytes]:
        return iter(self._chunks)


def _niquests() -> Decode:
    # Not "urllib3", which is this one's or the other's, whichever was installed last.
    module: Any = import_module("urllib3_future.contrib.webextensions.sse")
    parser_class = module.ServerSideEventExtensionFromHTTP

    def decode(chunks: Iterable[bytes]) -> Iterator[Event]:
        parser = parser_class()
        parser.start(_NiquestsResponse(chunks))
        return iter(parser.next_payload, None)

    return decode


_OURS: Final = "sse-proto"

# Name, distribution, and what gives the decoder, or ImportError.
PEERS: Final[dict[str, tuple[str, Callable[[], Decode]]]] = {
    "sse-proto (C)": (_OURS, _speedups),
    "sse-proto (Python)": (_OURS, _python),
    "httpx-sse": ("httpx-sse", _httpx_sse),
    "httpxr.sse": ("httpxr", _httpxr),
    "httpx2": ("httpx2", _httpx2),
    "launchdarkly-eventsource": ("launchdarkly-eventsource", _launchdarkly),
    "openai": ("openai", _openai),
    "anthropic": ("anthropic", _anthropic),
    "sseclient-py": ("sseclient-py", _sseclient),
    "assel": ("assel", _assel),
    "niquests": ("urllib3-future", _niquests),
}


def find_peers(names: Iterable[str] = PEERS) -> tuple[list[Peer], list[str]]:
    """Return those of the named peers that are installed, and a notice for each other one.

    Raises:
        KeyError: There is no such peer.
    """
    peers: list[Peer] = []
    notices: list[str] = []
    for name in names:
        distribution, load = PEERS[name]
        try:
            decode = load()
        except ImportError as error:
            notices.append(f"{name} is left out: {error}")
        else:
            peers.append(Peer(name, version(distribution), decode, distribution == _OURS))
    return peers, notices


def version(distribution: str) -> str:
    """Return the version of what is installed under this name."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed, from the source tree"
