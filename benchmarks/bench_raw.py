"""What `feed_raw` and `feed_parsed` bring over `feed` where payloads are handed on.

Run as ``python -m benchmarks.bench_raw [--quick]``.

Three uses of a payload, each from text (`feed`), from a view (`feed_raw`) and by the decoder itself
(`feed_parsed`): `orjson.loads`, msgspec into a `Struct`, and all payloads of a chunk as bytes for a
socket. What each use got is checked in the first round, against what `json` makes of the shape's
expected events. Interleaved rounds, best of each; no time is ever asserted. The tables are those of
docs/explanation/performance.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import GenericAlias
from typing import Any, Final, TypeAlias

import sse_proto._feed
from sse_proto import ServerSentEvent, by_event

from .bench_decoder import environment
from .shapes import ONE_BLOCK, Shape, anthropic, chunking_name, multibyte, openai

__all__ = ["main"]

_ROUNDS: Final = 40
_QUICK_ROUNDS: Final = 5
_READ: Final = 16 * 1024  # bytes
_LARGE: Final = "64 KiB of data"

Take: TypeAlias = Callable[[Any, list[bytes], list[Any]], None]
"""Feeds the chunks to a decoder, and appends to the list what was made of them."""


@dataclass(frozen=True)
class Use:
    """What is done with payloads, in each of three ways."""

    name: str
    takes: tuple[Take, Take, Take]
    """From `feed`, from `feed_raw`, from `feed_parsed`."""
    expected: Callable[[list[ServerSentEvent]], Any]
    """What is to come of it, in the form that `found` gives it."""
    found: Callable[[list[Any]], Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_raw")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds")
    options = parser.parse_args(arguments)
    rounds = _QUICK_ROUNDS if options.quick else _ROUNDS

    print(*environment(), f"best of {rounds} rounds", sep="\n")
    for name in ("orjson", "msgspec"):
        try:
            print(name, import_module(name).__version__)
        except ImportError as error:
            print(f"{name} is left out: {error}")
    for name, decoder_class in _twins():
        print(f"\n{name}: feed, and how many times as fast are feed_raw and feed_parsed\n")
        uses = [use.name for use in _uses("")]
        print(f"| shape, chunk | {' | '.join(uses)} |", f"| --- {'| ---: ' * len(uses)}|", sep="\n")
        for shape in _shapes():
            for chunking in shape.chunkings:
                cells = [
                    _cell(*_measure(decoder_class, use, shape, chunking, rounds))
                    for use in _uses(shape.name)
                ]
                print(f"| {shape.name}, {chunking_name(chunking)} | {' | '.join(cells)} |")
    return 0


def _cell(feed: float, raw: float, parsed: float) -> str:
    return f"{feed:.0f} ns: {feed / raw:.2f}, {feed / parsed:.2f}"


def _twins() -> list[tuple[str, Any]]:
    twins: list[tuple[str, Any]] = [("sse-proto (Python)", sse_proto._feed.SSEDecoder)]
    try:
        twins.insert(0, ("sse-proto (C)", import_module("sse_proto._speedups").SSEDecoder))
    except ImportError as error:
        print(f"sse-proto (C) is left out: {error}")
    return twins


# The shapes, without what is no JSON.


def _shapes() -> list[Shape]:
    return [_only_json(openai()), _only_json(anthropic()), _only_json(multibyte()), _large()]


def _only_json(shape: Shape) -> Shape:
    if shape.events[-1].data != "[DONE]":
        return shape
    return Shape(
        shape.name, shape.stands_for, shape.blocks[:-1], shape.events[:-1], shape.chunkings
    )


def _large(events: int = 20) -> Shape:
    """Return events of 64 KiB of data in one line."""
    rng = random.Random("large")
    shell = '{"type":"image","b64_json":""}'
    digits = 64 * 1024 - len(shell)
    data = [
        f"{shell[:-2]}{rng.getrandbits(4 * digits):0{digits}x}{shell[-2:]}" for _ in range(events)
    ]
    return Shape(
        name=_LARGE,
        stands_for="images, embeddings: 64 KiB of data in one line",
        blocks=tuple(f"data: {value}\n\n".encode() for value in data),
        events=tuple(ServerSentEvent(data=value) for value in data),
        # Whole, as HTTP/2 and large reads may deliver it; and cut, so that it has to be joined.
        chunkings=(ONE_BLOCK, _READ),
    )


# The uses.


def _uses(shape: str) -> list[Use]:
    uses = [
        Use("handed on", (_text_to_socket, _raw_to_socket, _parsed_to_socket), _payloads, b"".join)
    ]
    try:
        msgspec: Any = import_module("msgspec")
    except ImportError:
        pass
    else:
        uses.insert(0, _parsing("msgspec", msgspec.json.Decoder(_struct(msgspec, shape)).decode))
    try:
        orjson: Any = import_module("orjson")
    except ImportError:
        pass
    else:
        uses.insert(0, _parsing("orjson", orjson.loads))
    return uses


def _parsing(name: str, parse: Callable[[Any], Any]) -> Use:
    def from_text(decoder: Any, chunks: list[bytes], results: list[Any]) -> None:
        feed, append = decoder.feed, results.append
        for chunk in chunks:
            for event in feed(chunk):
                append(parse(event.data))

    def from_raw(decoder: Any, chunks: list[bytes], results: list[Any]) -> None:
        feed_raw, append = decoder.feed_raw, results.append
        for chunk in chunks:
            for event in feed_raw(chunk):
                append(parse(event.data))

    by_type = by_event({}, parse)

    def from_parsed(decoder: Any, chunks: list[bytes], results: list[Any]) -> None:
        feed_parsed, append = decoder.feed_parsed, results.append
        for chunk in chunks:
            for event in feed_parsed(chunk, by_type):
                append(event.data)

    # A Struct has some of the fields: it is compared by those.
    def expected(events: list[ServerSentEvent]) -> Any:
        objects = [json.loads(event.data) for event in events]
        return objects if name == "orjson" else [_chosen(value) for value in objects]

    def found(results: list[Any]) -> Any:
        return results if name == "orjson" else [_chosen_of_struct(value) for value in results]

    return Use(name, (from_text, from_raw, from_parsed), expected, found)


def _text_to_socket(decoder: Any, chunks: list[bytes], results: list[Any]) -> None:
    results += ["".join([event.data for event in decoder.feed(c)]).encode() for c in chunks]


def _raw_to_socket(decoder: Any, chunks: list[bytes], results: list[Any]) -> None:
    results += [b"".join([event.data for event in decoder.feed_raw(c)]) for c in chunks]


def _parsed_to_socket(decoder: Any, chunks: list[bytes], results: list[Any]) -> None:
    results += [b"".join([event.data for event in decoder.feed_parsed(c, _same)]) for c in chunks]


def _same(_: str, data: bytes) -> bytes:
    return data


def _payloads(events: list[ServerSentEvent]) -> bytes:
    return "".join(event.data for event in events).encode()


def _struct(msgspec: Any, shape: str) -> Any:
    """Return a Struct of what a program wants of an event."""
    optional_str: Any = str | None
    if shape == "anthropic":
        delta = msgspec.defstruct("Delta", [("text", str)])
        return msgspec.defstruct("Block", [("type", str), ("delta", delta | None, None)])
    if shape == _LARGE:
        return msgspec.defstruct("Image", [("type", str), ("b64_json", str)])
    delta = msgspec.defstruct("Delta", [("content", str)])
    choice: Any = msgspec.defstruct("Choice", [("delta", delta), ("finish_reason", optional_str)])
    return msgspec.defstruct("Chunk", [("id", str), ("choices", GenericAlias(list, (choice,)))])


def _chosen(value: dict[str, Any]) -> tuple[str, ...]:
    """Return what tells an object from the others of its shape."""
    if "choices" in value:
        return value["id"], value["choices"][0]["delta"]["content"]
    if "b64_json" in value:
        return value["type"], value["b64_json"]
    return value["type"], value["delta"]["text"] if "delta" in value else ""


def _chosen_of_struct(value: Any) -> tuple[str, ...]:
    if hasattr(value, "choices"):
        return value.id, value.choices[0].delta.content
    if hasattr(value, "b64_json"):
        return value.type, value.b64_json
    return value.type, value.delta.text if value.delta is not None else ""


# Measuring.


def _measure(decoder_class: Any, use: Use, shape: Shape, chunking: int, rounds: int) -> list[float]:
    """Return the nanoseconds an event takes, in each of the use's ways."""
    chunks = shape.chunks(chunking)
    expected = use.expected(list(shape.events))
    for take in use.takes:  # also warms up
        results: list[Any] = []
        take(decoder_class(), chunks, results)
        if use.found(results) != expected:
            raise AssertionError(f"{shape.name}, {use.name}: wrong")

    times: list[list[int]] = [[] for _ in use.takes]
    gc.collect()
    gc.disable()
    try:
        for _round in range(rounds):
            for take, own in zip(use.takes, times, strict=True):
                results = []
                start = time.perf_counter_ns()
                take(decoder_class(), chunks, results)
                own.append(time.perf_counter_ns() - start)
                del results
    finally:
        gc.enable()
    return [min(own) / len(shape.events) for own in times]


if __name__ == "__main__":
    sys.exit(main())
