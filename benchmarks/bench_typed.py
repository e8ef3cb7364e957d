"""Typed payloads, of decoders and adapters. ``python -m benchmarks.bench_typed``.

The same chunks, parser and values; only the way from the wire to them differs. All values are
compared before. Interleaved rounds, best of each; no time is ever asserted. "Parser" is what the
parser takes alone, called with the same data in a loop: no way can take less.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import GenericAlias
from typing import Any, Final, TypeAlias

import sse_proto._feed
from sse_httpx import EventSource, connect_sse
from sse_proto import by_event

from .bench_decoder import environment
from .shapes import Shape, multibyte, openai

__all__ = ["main"]

_ROUNDS: Final = 60
_QUICK_ROUNDS: Final = 5
_READ: Final = 16 * 1024  # bytes

# Makes the values of a whole stream with a decoder of this class; returns the last one.
Chain: TypeAlias = Callable[[Any, Sequence[Any]], Any]


@dataclass(frozen=True)
class Ratio:
    """A chain beside what it is measured against."""

    decoder: str
    chain: str
    against: str
    bar: str
    time: float
    """Nanoseconds an event, in the best round."""
    time_against: float
    parser: float | None
    """Nanoseconds an event of the parser alone; `None`: not measured."""
    parser_against: float | None
    """The same of the other chain; `None` also where that has no parser."""

    @property
    def ratio(self) -> float:
        """How many times as fast."""
        return self.time_against / self.time


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_typed")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds")
    parser.add_argument("--json", metavar="FILE", help="also write all results to this file")
    options = parser.parse_args(arguments)
    rounds = _QUICK_ROUNDS if options.quick else _ROUNDS

    lines = environment()
    for name in ("msgspec", "orjson"):
        lines.append(f"{name} {import_module(name).__version__}")
    print(*lines, f"best of {rounds} rounds", "", sep="\n")
    print(f"{'ns per event':48}{'against':>10}{'ours':>10}{'parser':>10}{'ratio':>8}  bar")
    ratios: list[Ratio] = []
    for ratio in _ratios(rounds):
        ratios.append(ratio)
        title = f"{ratio.decoder}: {ratio.chain}"
        parser_time = "" if ratio.parser is None else f"{ratio.parser:.0f}"
        print(
            f"{title:48}{ratio.time_against:10.0f}{ratio.time:10.0f}{parser_time:>10}"
            f"{ratio.ratio:8.2f}  {ratio.bar}"
        )
    if options.json:
        report = {"environment": lines, "rounds": rounds, "ratios": [asdict(r) for r in ratios]}
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _ratios(rounds: int) -> list[Ratio]:
    msgspec: Any = import_module("msgspec")
    orjson: Any = import_module("orjson")
    chunk: Any = _chunk_struct(msgspec)
    shapes = [("chat", _only_json(openai())), ("CJK chat", _only_json(multibyte()))]
    ratios: list[Ratio] = []
    for name, decoder_class in _twins():
        is_c = name == "C"
        for shape_name, shape in shapes:
            bar = ("1.6" if shape_name.startswith("CJK") else "1.2") if is_c else "1.0"
            for loads_name, loads, loads_bar in (
                ("msgspec Struct", msgspec.json.Decoder(chunk).decode, bar),
                ("orjson", orjson.loads, ""),
            ):
                _check(decoder_class, shape, loads)
                against, ours, alone = _measure(decoder_class, shape, _loop(loads), loads, rounds)
                title = f"{shape_name}, {loads_name}, feed_parsed"
                ratios.append(
                    Ratio(name, title, "feed and a loop", loads_bar, ours, against, alone, alone)
                )
        against, ours, alone = _measure(decoder_class, shapes[0][1], _feed, len, rounds)
        title = "chat, a parser that does nothing"
        bar = "1/1.3 = 0.77" if is_c else ""
        ratios.append(Ratio(name, title, "feed", bar, ours, against, alone, None))
    ratios.append(_iter_json(orjson.loads, shapes[0][1], rounds))
    ratios.append(_end_to_end(msgspec.json.Decoder(chunk).decode, openai(), rounds))
    return ratios


# The adapters.


def _iter_json(loads: Callable[[Any], Any], shape: Shape, rounds: int) -> Ratio:
    """Compare ``iter_json(orjson.loads)`` with ``iter_json()``, over an iterator of chunks."""
    httpx: Any = import_module("httpx")
    chunks = shape.chunks(_READ)
    headers = {"Content-Type": "text/event-stream"}
    text = [event.data for event in shape.events]  # what `json.loads` gets; bytes take it longer
    parsers: list[tuple[Callable[[Any], Any], Sequence[Any]]]
    parsers = [(json.loads, text), (loads, [data.encode() for data in text])]
    times: tuple[list[int], list[int]] = [], []
    alone: tuple[list[int], list[int]] = [], []
    for _ in range(rounds):
        for (parse, data), its_times in zip(parsers, alone, strict=True):
            its_times.append(_time(_alone(parse), None, data))
        for arguments, its_times in zip(((), (loads,)), times, strict=True):
            response = httpx.Response(200, headers=headers, content=iter(chunks))
            items: Any = EventSource(response).iter_json(*arguments)
            start = time.perf_counter_ns()
            count = sum(1 for _ in items)
            its_times.append(time.perf_counter_ns() - start)
            assert count == len(shape.events)
    against, ours, parser_against, parser = (
        min(its_times) / len(shape.events) for its_times in (*times, *alone)
    )
    title = "chat, iter_json(orjson.loads)"
    return Ratio("sse_httpx", title, "iter_json()", "5.0", ours, against, parser, parser_against)


def _end_to_end(loads: Callable[[Any], Any], shape: Shape, rounds: int) -> Ratio:
    """Compare the CPU time of typed chunks with OpenAI's SDK, from one local server.

    That of the calling thread: the server has another one.
    """
    library = "httpx2" if sys.version_info >= (3, 11) else "httpx"
    httpx: Any = import_module(library)
    sdk: Any = import_module("openai")
    events = len(shape.events) - 1  # without [DONE]
    times: tuple[list[int], list[int]] = [], []
    with _serve(shape.chunks(_READ)) as url, httpx.Client() as client:
        with sdk.OpenAI(api_key="none", base_url=url) as api:

            def theirs() -> int:
                stream = api.chat.completions.create(model="m", messages=[], stream=True)
                return sum(1 for _ in stream)

            def ours() -> int:
                with connect_sse(client, "POST", f"{url}/chat/completions", json={}) as source:
                    return sum(1 for _ in source.iter_json(loads))

            for _ in range(max(5, rounds // 6)):
                for chain, its_times in zip((theirs, ours), times, strict=True):
                    start = time.thread_time_ns()
                    count = chain()
                    its_times.append(time.thread_time_ns() - start)
                    assert count == events
    against, own = (min(its_times) / events for its_times in times)
    title = "chat, Struct, end to end (CPU)"
    return Ratio(library, title, "OpenAI's SDK", "30", own, against, None, None)


@contextmanager
def _serve(chunks: Sequence[bytes]) -> Generator[str, None, None]:
    """Answer each POST with these chunks, from a thread."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(sum(map(len, chunks))))
            self.end_headers()
            for chunk in chunks:
                self.wfile.write(chunk)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _twins() -> list[tuple[str, Any]]:
    twins: list[tuple[str, Any]] = [("Python", sse_proto._feed.SSEDecoder)]
    try:
        twins.insert(0, ("C", import_module("sse_proto._speedups").SSEDecoder))
    except ImportError as error:
        print(f"C is left out: {error}")
    return twins


def _only_json(shape: Shape) -> Shape:
    return Shape(shape.name, shape.stands_for, shape.blocks[:-1], shape.events[:-1])


def _chunk_struct(msgspec: Any) -> Any:
    """Return the Struct that a program would declare for chat chunks."""
    delta = msgspec.defstruct("Delta", [("content", "str | None", None)])
    choice = msgspec.defstruct(
        "Choice", [("index", int), ("delta", delta), ("finish_reason", "str | None", None)]
    )
    return msgspec.defstruct(
        "Chunk", [("id", str), ("model", str), ("choices", GenericAlias(list, (choice,)))]
    )


# The chains. Each takes what it makes of an event, and drops it, as a program does that shows it:
# what keeping it costs is not the decoder's.


def _loop(loads: Callable[[Any], Any]) -> Chain:
    def chain(decoder_class: Any, chunks: Sequence[bytes]) -> Any:
        value: Any = None
        feed = decoder_class().feed
        for chunk in chunks:
            for event in feed(chunk):
                value = loads(event.data)
        return value

    return chain


def _parsed(parse: Callable[[str, bytes], Any]) -> Chain:
    def chain(decoder_class: Any, chunks: Sequence[bytes]) -> Any:
        value: Any = None
        feed_parsed = decoder_class().feed_parsed
        for chunk in chunks:
            for event in feed_parsed(chunk, parse):
                value = event.data
        return value

    return chain


def _feed(decoder_class: Any, chunks: Sequence[bytes]) -> Any:
    value: Any = None
    feed = decoder_class().feed
    for chunk in chunks:
        for event in feed(chunk):
            value = event.data
    return value


def _alone(parse: Callable[[Any], Any]) -> Chain:
    """Call the parser with each item, without a decoder."""

    def chain(_: Any, data: Sequence[Any]) -> Any:
        value: Any = None
        for item in data:
            value = parse(item)
        return value

    return chain


def _check(decoder_class: Any, shape: Shape, loads: Callable[[Any], Any]) -> None:
    """Fail if the values are not those of the shape's events."""
    expected = [loads(event.data) for event in shape.events]
    decoder = decoder_class()
    events = [
        event
        for chunk in shape.chunks(_READ)
        for event in decoder.feed_parsed(chunk, by_event({}, loads))
    ]
    assert [event.data for event in events] == expected


def _measure(
    decoder_class: Any, shape: Shape, against: Chain, loads: Callable[[Any], Any], rounds: int
) -> tuple[float, float, float]:
    """Return the nanoseconds an event, in the best round of each.

    Of the other chain, of `feed_parsed` with this parser, and of the parser alone.
    """
    chunks = shape.chunks(_READ)
    data = [event.data.encode() for event in shape.events]
    runs = (against, chunks), (_parsed(by_event({}, loads)), chunks), (_alone(loads), data)
    times: tuple[list[int], list[int], list[int]] = [], [], []
    gc.collect()
    gc.disable()  # a collection would hit one of them by chance
    for _ in range(rounds):
        for (chain, its_input), its_times in zip(runs, times, strict=True):
            its_times.append(_time(chain, decoder_class, its_input))
    gc.enable()
    events = len(shape.events)
    return min(times[0]) / events, min(times[1]) / events, min(times[2]) / events


def _time(chain: Chain, decoder_class: Any, chunks: Sequence[Any]) -> int:
    """Return the nanoseconds that the chain takes."""
    start = time.perf_counter_ns()
    chain(decoder_class, chunks)
    return time.perf_counter_ns() - start


if __name__ == "__main__":
    sys.exit(main())
