"""The decoder in C: the same as the one in Python, sound in memory, and chosen as it should be."""

from __future__ import annotations

import gc
import importlib
import inspect
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
import weakref
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

import sse_proto
from sse_proto import EventTooLarge, RawEvent, ServerSentEvent
from tests.fuzz.twins import implementation
from tests.support.c_docstrings import HEADER, header

if TYPE_CHECKING:
    from sse_proto import SSEDecoder

PACKAGE: Final = Path(sse_proto.__file__).parent
WINDOW: Final = 64 * 1024


def test_a_view_of_two_dimensions_is_one_window(decoder_class: type[SSEDecoder]) -> None:
    chunk = b"data: x\n" * (WINDOW // 2)
    view = memoryview(chunk).cast("B", (len(chunk) // 8, 8))
    with pytest.raises(EventTooLarge) as caught:
        decoder_class(max_event_size=WINDOW).feed(view)
    assert caught.value.size == WINDOW + len("data: x\n")


# The same interface.


def test_signatures_are_the_same(c_class: type[SSEDecoder]) -> None:
    def parameters(function: Callable[..., object]) -> list[tuple[str, object, object]]:
        signature = inspect.signature(function)
        return [(p.name, p.kind, p.default) for p in signature.parameters.values()]

    python = implementation("_feed")
    assert parameters(c_class) == parameters(python)
    for name in ("feed", "feed_raw", "close"):
        assert parameters(getattr(c_class(), name)) == parameters(getattr(python(), name))


def test_public_names_and_their_docstrings_are_the_same(c_class: type[SSEDecoder]) -> None:
    def public(decoder_class: type[SSEDecoder]) -> set[str]:
        return {name for name in dir(decoder_class) if not name.startswith("_")}

    python = implementation("_feed")
    assert public(c_class) == public(python)
    assert inspect.getdoc(c_class) == inspect.getdoc(python)
    for name in public(c_class):
        doc = inspect.getdoc(getattr(c_class, name))
        assert doc
        assert doc == inspect.getdoc(getattr(python, name))


@pytest.mark.skipif(not HEADER.exists(), reason="beside an installed package there is no C code")
def test_docstrings_of_c_are_those_of_python() -> None:
    assert HEADER.read_text("utf-8") == header(), "run python -m tests.support.c_docstrings"


def _outcome(function: Callable[..., object], *args: object, **kwargs: object) -> object:
    """Return the result; or the type, the message and the display of the exception."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return type(error), str(error), error.__suppress_context__


SIZES: Final[list[object]] = [0, -5, 1, 1.5, None, 2**200, -(2**200), True, False, "5", [1]]
OPTIONS: Final[list[dict[str, object]]] = [
    *[{"max_event_size": size} for size in SIZES],
    {"dispatch_empty": True},
    {"last_event_id": ""},
    {"last_event_id": "7"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_are_the_same(c_class: type[SSEDecoder], options: dict[str, Any]) -> None:
    def attributes(decoder_class: type[SSEDecoder]) -> object:
        decoder = decoder_class(**options)
        return decoder.max_event_size, decoder.dispatch_empty, decoder.last_event_id

    assert _outcome(attributes, c_class) == _outcome(attributes, implementation("_feed"))


def test_attributes_are_read_only(decoder: SSEDecoder) -> None:
    for name in ("max_event_size", "dispatch_empty", "last_event_id", "reconnection_time", "other"):
        with pytest.raises(AttributeError):
            setattr(decoder, name, None)


class Metaclass(type):
    """Of a class with a name of its own."""


def _chunks_that_are_none() -> list[object]:
    released = memoryview(b"data: x\n\n")
    released.release()
    return [
        *("data: x\n\n", None, 7, ["data"], object(), Metaclass("Ünnamed", (), {})()),
        *(array("I", [1, 2]), memoryview(b"data: x\n\n")[::2], memoryview(b"12345678").cast("I")),
        released,
    ]


@pytest.mark.parametrize("number", range(len(_chunks_that_are_none())))
def test_misuse_raises_the_same(c_class: type[SSEDecoder], number: int) -> None:
    chunk = _chunks_that_are_none()[number]
    python = implementation("_feed")()
    c = c_class()
    for method in ("feed", "feed_raw"):
        expected = _outcome(getattr(python, method), chunk)
        assert isinstance(expected, tuple)
        assert _outcome(getattr(c, method), chunk) == expected
    # It has changed nothing.
    assert c.feed(b"data: x\n\n") == [ServerSentEvent(data="x")]


# feed_raw().


class Bytes(bytes):
    """Looks immutable, and need not be."""


def _is_view_of(event: RawEvent, chunk: object) -> bool:
    assert event.data.readonly
    return event.data.obj is chunk


def test_raw_events_have_the_bytes_that_were_sent(decoder: SSEDecoder) -> None:
    chunk = b"data: \xff {}\n\nevent: e\nid: \xe9\nretry: 5\ndata: a\ndata:  b\n\n"
    assert decoder.feed_raw(chunk) == [
        RawEvent("message", memoryview(b"\xff {}"), None, None),
        RawEvent("e", memoryview(b"a\n b"), "\ufffd", 5),
    ]
    assert (decoder.last_event_id, decoder.reconnection_time) == ("\ufffd", 5)


@pytest.mark.parametrize(
    "stream",
    [
        b"data: value\n\n",
        b"data:value\r\n\r\n",
        b"\xef\xbb\xbfevent: value\rdata: value\rid: 5\r\r",
        b": value\n\ndata: other\n\nevent: a\ndata: value\nretry: 5\n\n",
    ],
)
def test_one_line_within_the_chunk_is_not_copied(decoder: SSEDecoder, stream: bytes) -> None:
    event = decoder.feed_raw(stream)[-1]
    assert bytes(event.data) == b"value"
    assert _is_view_of(event, stream)


def test_value_is_not_copied_only_if_the_chunk_has_all_of_it(
    decoder_class: type[SSEDecoder],
) -> None:
    stream = b"event: e\ndata: value\nid: 1\n\n"
    value_at = stream.index(b"value")
    for cut in range(1, len(stream)):
        decoder = decoder_class()
        events = decoder.feed_raw(stream[:cut]) + decoder.feed_raw(last := stream[cut:])
        assert [(event.event, bytes(event.data), event.id) for event in events] == [
            ("e", b"value", "1")
        ]
        if len(last) > 1:  # of one byte there are no two objects
            assert _is_view_of(events[0], last) == (cut <= value_at)


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(b"data: a\ndata: b\n\n", id="two lines"),
        pytest.param(b"data\n\n", id="empty"),
        pytest.param(bytearray(b"data: a\n\n"), id="bytearray"),
        pytest.param(memoryview(b"data: a\n\n"), id="memoryview"),
        pytest.param(Bytes(b"data: a\n\n"), id="subclass of bytes"),
    ],
)
def test_the_rest_is_copied(decoder: SSEDecoder, chunk: bytes | bytearray | memoryview) -> None:
    (event,) = decoder.feed_raw(chunk)
    assert not _is_view_of(event, chunk)
    assert type(event.data.obj) is bytes


def test_raw_data_outlives_the_buffer_it_came_in(decoder: SSEDecoder) -> None:
    chunk = bytearray(b"data: value\n\n")
    (event,) = decoder.feed_raw(chunk)
    chunk[:] = b"x" * len(chunk)
    chunk.clear()  # BufferError if a view were still held
    assert bytes(event.data) == b"value"


def test_raw_data_keeps_its_chunk_alive(decoder: SSEDecoder) -> None:
    (event,) = decoder.feed_raw(b"".join([b"data: ", b"value" * 100, b"\n\n"]))
    gc.collect()
    assert bytes(event.data) == b"value" * 100


def test_raw_data_is_a_view_across_windows(decoder: SSEDecoder) -> None:
    values = [b"%d" % number + b"x" * 1000 for number in range(300)]
    chunk = b"".join(b"data: %b\r\n\r\n" % value for value in values)
    events = decoder.feed_raw(chunk)
    assert [bytes(event.data) for event in events] == values
    assert all(_is_view_of(event, chunk) for event in events)


def test_feed_raw_takes_blocks_without_data_beside_others(decoder: SSEDecoder) -> None:
    events = decoder.feed_raw(b"data: 1\n: comment\n\n\n\ndata: 2\n\n")
    assert [bytes(event.data) for event in events] == [b"1", b"2"]


def test_feed_and_feed_raw_alternate_within_an_event(decoder: SSEDecoder) -> None:
    assert decoder.feed(b"event: a\ndata: 1") == []
    assert decoder.feed_raw(b"\ndata: 2\nda") == []
    assert decoder.feed(b"ta: 3\n\n") == [ServerSentEvent("a", "1\n2\n3")]
    assert decoder.feed(b"data: 4\n") == []
    assert decoder.feed_raw(b"\n") == [RawEvent("message", memoryview(b"4"), None, None)]


def test_feed_raw_returns_the_events_before_the_one_too_large(
    decoder_class: type[SSEDecoder],
) -> None:
    decoder = decoder_class(max_event_size=8)
    assert len(decoder.feed_raw(b"data: a\n\ndata: bc\n\n")) == 1
    for _ in range(2):
        with pytest.raises(EventTooLarge, match="holds 9 bytes, limit is 8 bytes"):
            decoder.feed_raw(b"")


def test_feed_raw_after_close_is_refused(decoder: SSEDecoder) -> None:
    decoder.close()
    for chunk in (b"", b"data: x\n\n", bytearray()):
        with pytest.raises(ValueError, match="after close"):
            decoder.feed_raw(chunk)
        with pytest.raises(ValueError, match="after close"):
            decoder.feed(chunk)


# Events, as objects.


def test_events_are_of_the_one_class(decoder: SSEDecoder) -> None:
    (event,) = decoder.feed(b"event: e\nid: 1\nretry: 2\ndata: x\n\n")
    same = ServerSentEvent("e", "x", "1", 2)
    assert type(event) is ServerSentEvent
    assert (event, repr(event), hash(event)) == (same, repr(same), hash(same))
    assert pickle.loads(pickle.dumps(event)) == same
    assert event._replace(data="y").data == "y"
    assert {event: 1}[same] == 1


def test_events_share_what_repeats(c_class: type[SSEDecoder]) -> None:
    events = c_class().feed(b"id: the id\nevent: the type\ndata: x\n\n" * 3)
    assert len({id(event.event) for event in events}) == 1
    assert len({id(event.id) for event in events}) == 1
    assert c_class().feed(b"data: x\n\n")[0].event is sys.intern("message")


# Sound in memory.


EVERY_FIELD: Final = (
    b"id: %d\nevent: type\nretry: 100000\ndata: {}\n\n: comment\n\ndata: a\ndata: \xc3\xa9\n\n"
)


def _run(decoder_class: type[SSEDecoder], rounds: int) -> None:
    """Take every path that makes, keeps or drops objects: 10 events a round."""
    for number in range(rounds):
        decoder = decoder_class(last_event_id="first", max_event_size=200)
        chunk = EVERY_FIELD % number
        decoder.feed(chunk)
        decoder.feed(bytearray(chunk))
        decoder.feed_raw(chunk)
        decoder.feed_raw(memoryview(chunk))
        decoder.feed(chunk[:30])
        decoder.feed(chunk[30:])
        decoder.feed(b"event: unfinished\nid: 5\nretry: 5\ndata: 1\ndata: 2\nda")
        if number % 2:
            decoder.close()
        for refused in (b"x" * 300, b"\ndata: " + b"x" * 300, "no bytes", array("I", [1])):
            with suppress(EventTooLarge, ValueError, TypeError):
                decoder.feed(cast("bytes", refused))


@pytest.fixture
def no_trace() -> Iterator[None]:
    """Coverage's tracer counts references of its own, millions on Python 3.10."""
    trace = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(trace)


@pytest.mark.usefixtures("no_trace")
def test_no_reference_is_lost_in_100_000_events(decoder_class: type[SSEDecoder]) -> None:
    shared: list[object] = [None, ServerSentEvent, RawEvent, EventTooLarge, decoder_class]
    shared += [sys.intern("message"), "", b"", True, 100000]
    total = getattr(sys, "gettotalrefcount", lambda: 0)  # in debug interpreters
    _run(decoder_class, 100)
    gc.collect()
    before = [sys.getrefcount(thing) for thing in shared]
    total_before = total()
    _run(decoder_class, 10_000)
    gc.collect()
    after = [sys.getrefcount(thing) for thing in shared]
    total_after = total()
    # A few more or less: caches of the interpreter. One for each event would be thousands.
    assert max(abs(b - a) for b, a in zip(before, after, strict=True)) < 100
    assert abs(total_after - total_before) < 1000


def test_memory_is_flat(decoder_class: type[SSEDecoder]) -> None:
    _run(decoder_class, 100)
    tracemalloc.start()
    try:
        _run(decoder_class, 100)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        _run(decoder_class, 1000)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 20_000


def test_an_endless_line_holds_little_more_than_the_limit(c_class: type[SSEDecoder]) -> None:
    limit = 4_000_000
    decoder = c_class(max_event_size=limit)
    chunk = b"x" * 8192
    tracemalloc.start()
    try:
        decoder.feed(b": ")
        for _ in range(2 * limit // len(chunk)):
            decoder.feed(chunk)
        assert tracemalloc.get_traced_memory()[1] < 50_000
        decoder.feed(b"\ndata: ")
        with suppress(EventTooLarge):
            while True:
                decoder.feed(chunk)
        assert tracemalloc.get_traced_memory()[1] < 1.2 * limit
        assert tracemalloc.get_traced_memory()[0] < 50_000
    finally:
        tracemalloc.stop()


def test_the_callers_buffer_is_released(decoder_class: type[SSEDecoder]) -> None:
    for stream in (b"", b"data: unfin", b"data: x\n\n", b"data: " + b"x" * 100, b"data: x\n"):
        for method in ("feed", "feed_raw"):
            decoder = decoder_class(max_event_size=50)
            chunk = bytearray(stream)
            with suppress(EventTooLarge):
                getattr(decoder, method)(chunk)
            chunk.clear()  # BufferError if a view were still held


class Node(str):
    """A last event ID that knows its decoder."""

    decoder: SSEDecoder
    events: list[ServerSentEvent]


def test_cycles_are_collected(c_class: type[SSEDecoder]) -> None:
    gc.collect()
    node = Node("1")
    node.decoder = c_class(last_event_id=node)
    node.events = node.decoder.feed(b"data: x\n\n")  # events that hold the node as well
    assert gc.is_tracked(node.events[0])
    alive = weakref.ref(node)
    del node
    gc.collect()
    assert alive() is None


def test_events_without_cycles_cost_the_collector_nothing(c_class: type[SSEDecoder]) -> None:
    (event,) = c_class().feed(b"id: 1\ndata: x\n\n")
    (raw,) = c_class().feed_raw(b"id: 1\ndata: x\n\n")
    assert not gc.is_tracked(event)
    assert not gc.is_tracked(raw)


@pytest.mark.parametrize("method", ["feed", "feed_raw", "close"])
def test_a_finalizer_cannot_change_a_decoder_at_work(
    c_class: type[SSEDecoder], method: str
) -> None:
    raised: list[BaseException] = []

    class Finalized(str):
        def __del__(self) -> None:
            assert decoder.last_event_id == "2"
            try:
                decoder.close() if method == "close" else getattr(decoder, method)(b"data: y\n\n")
            except RuntimeError as error:
                raised.append(error)

    decoder = c_class(last_event_id=Finalized("1"))
    assert decoder.feed(b"id: 2\ndata: x\n\ndata: z\n\n") == [
        ServerSentEvent(data="x", id="2"),
        ServerSentEvent(data="z", id="2"),
    ]
    assert [str(error) for error in raised] == [
        "the decoder is in use: called from within, or beside, its own feed()"
    ]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ is new in Python 3.12")
def test_a_buffer_may_feed_before_it_is_fed(decoder: SSEDecoder) -> None:
    class Chunk:
        def __buffer__(self, flags: int) -> memoryview:
            events.extend(decoder.feed(b"data: x\n\ndata: "))
            return memoryview(b"y\n\n")

        def __release_buffer__(self, view: memoryview) -> None:
            events.extend(decoder.feed(b"data: z\n\n"))

    events: list[ServerSentEvent] = []
    second = decoder.feed(cast("bytes", Chunk()))
    assert [event.data for event in events] == ["x", "z"]
    assert [event.data for event in second] == ["y"]


# Which one is chosen.


def _python(code: str, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter, with the package from this directory."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SSE_PROTO")}
    return subprocess.run(
        # -S: an editable installation would find the binary of its tree.
        [sys.executable, "-S", "-W", "always", "-c", code],
        cwd=path,
        env={**inherited, "PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )


TELL: Final = (
    "import sse_proto; print(sse_proto.IMPLEMENTATION, sse_proto.SSEDecoder.__module__,"
    " *sse_proto.iter_events([b'data: x\\n\\n']))"
)
IN_PYTHON: Final = (
    "python sse_proto._feed ServerSentEvent(event='message', data='x', id=None, retry=None)\n"
)
IN_C: Final = IN_PYTHON.replace("python", "c").replace("_feed", "_speedups")


@pytest.fixture
def without_binary(tmp_path: Path) -> Path:
    """A copy of the package that was never compiled."""
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "sse_proto", ignore=ignored)
    return tmp_path


def test_c_is_chosen_where_it_was_built(c_class: type[SSEDecoder]) -> None:
    assert c_class
    done = _python(TELL, PACKAGE.parent)
    assert (done.stdout, done.stderr) == (IN_C, "")
    assert _python(TELL, PACKAGE.parent, SSE_PROTO_PURE_PYTHON="0").stdout == IN_C


def test_the_environment_forces_python() -> None:
    done = _python(TELL, PACKAGE.parent, SSE_PROTO_PURE_PYTHON="1")
    assert (done.stdout, done.stderr) == (IN_PYTHON, "")


def test_python_is_chosen_in_silence_where_c_was_not_built(without_binary: Path) -> None:
    done = _python(TELL, without_binary)
    assert (done.stdout, done.stderr) == (IN_PYTHON, "")


def test_a_broken_binary_warns(without_binary: Path) -> None:
    (without_binary / "sse_proto" / "_speedups.py").write_text("import no_such_module")
    done = _python(TELL, without_binary)
    assert done.stdout == IN_PYTHON
    assert "RuntimeWarning: sse_proto uses its decoder in Python" in done.stderr
    assert "ModuleNotFoundError: No module named 'no_such_module'" in done.stderr


def test_a_binary_that_is_none_warns(without_binary: Path) -> None:
    from importlib.machinery import EXTENSION_SUFFIXES

    (without_binary / "sse_proto" / f"_speedups{EXTENSION_SUFFIXES[0]}").write_bytes(b"no binary")
    done = _python(TELL, without_binary)
    assert done.stdout == IN_PYTHON
    assert "does not load: ImportError:" in done.stderr


def _choose() -> tuple[str, type[SSEDecoder]]:
    """Choose again, in this process."""
    module = importlib.import_module("sse_proto._implementation")
    return cast("tuple[str, type[SSEDecoder]]", module._choose())


def test_choosing(c_class: type[SSEDecoder], monkeypatch: pytest.MonkeyPatch) -> None:
    name = "sse_proto._speedups"
    in_python = "python", implementation("_feed")
    monkeypatch.delenv("SSE_PROTO_PURE_PYTHON", raising=False)
    assert _choose() == ("c", c_class)
    monkeypatch.setitem(sys.modules, name, None)  # absent
    assert _choose() == in_python
    monkeypatch.setitem(sys.modules, name, ModuleType(name))  # broken
    with pytest.warns(RuntimeWarning, match="does not load: ImportError: cannot import name"):
        assert _choose() == in_python
    monkeypatch.undo()
    monkeypatch.setenv("SSE_PROTO_PURE_PYTHON", "1")
    assert _choose() == in_python


def test_events_of_another_layout_are_refused(c_class: type[SSEDecoder]) -> None:
    assert c_class
    code = (
        "import sse_proto._events as e, sse_proto, sys\n"
        "del sys.modules['sse_proto._speedups']\n"
        "class RawEvent: pass\n"
        "e.RawEvent = RawEvent\n"
        "import importlib\n"
        "try: importlib.import_module('sse_proto._speedups')\n"
        "except TypeError as error: print(error)\n"
    )
    assert _python(code, PACKAGE.parent).stdout == "RawEvent is laid out unlike a tuple\n"


def test_the_chosen_one_is_told(decoder_class: type[SSEDecoder]) -> None:
    name = {"sse_proto._feed": "python", "sse_proto._speedups": "c"}[decoder_class.__module__]
    is_chosen = sse_proto.SSEDecoder is decoder_class
    assert is_chosen == (name == sse_proto.IMPLEMENTATION)
