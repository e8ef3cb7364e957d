"""The file to copy: all vectors in all chunkings, linear, limited, small, and on its own."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from tests.support.reference import Event, before_oversized, interpret
from tests.support.vectors import NAMED, Case, chunkings

LINES: Final = 200


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command prints."""
    path = tmp_path_factory.mktemp("vendor") / "sse.py"
    done = subprocess.run(
        [sys.executable, "-m", "sse_proto.vendor"], capture_output=True, check=True, timeout=60
    )
    path.write_bytes(done.stdout)
    return path


@pytest.fixture(scope="module")
def sse(source: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("sse", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def decode(decoder: Any, chunks: list[bytes]) -> tuple[list[Event], str | None, int | None]:
    events: list[Event] = [tuple(event) for chunk in chunks for event in decoder.feed(chunk)]
    return events, decoder.last_event_id, decoder.reconnection_time


def test_it_is_short_and_needs_nothing(source: Path) -> None:
    text = source.read_text("utf-8")
    assert len(text.splitlines()) < LINES
    assert "__main__" not in text
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            pytest.fail(f"imports {node.names[0].name}")
        if isinstance(node, ast.ImportFrom):
            assert node.module in ("__future__", "typing")


@pytest.mark.parametrize("vector", [pytest.param(vector, id=name) for name, vector in NAMED])
def test_every_vector_in_every_chunking(sse: ModuleType, vector: Case) -> None:
    for chunks in chunkings(vector.stream):
        assert decode(sse.Decoder(), chunks) == vector.outcome, chunks


def test_the_last_event_id_of_an_earlier_connection(sse: ModuleType) -> None:
    assert decode(sse.Decoder("7"), [b"data: x\n\n"]) == ([("message", "x", "7", None)], "7", None)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("limit", [5, 8, 9, 20])
def test_the_limit(sse: ModuleType, size: int, limit: int) -> None:
    stream = b": comment of any length\ndata: a\n\nid: 12345678\ndata: b\nevent: c\n\ndata: x\n\n"
    before = before_oversized(stream, limit)
    assert before is not None
    decoder = sse.Decoder(max_event_size=limit)
    events: list[Event] = []
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    with pytest.raises(sse.EventTooLarge):  # noqa: PT012  # the loop is the stream
        for chunk in [*chunks, b""]:
            events += decoder.feed(chunk)
    assert events == interpret(before)[0]
    with pytest.raises(sse.EventTooLarge):
        decoder.feed(b"data: y\n\n")


@pytest.mark.timeout(15)
@pytest.mark.parametrize(
    ("begin", "filler", "count"),
    [(b"data: ", b"x" * 16384, 1000), (b":", b"x" * 16384, 1000), (b"", b"data: x\n" * 1000, 100)],
)
def test_time_is_linear(sse: ModuleType, begin: bytes, filler: bytes, count: int) -> None:
    decoder = sse.Decoder(max_event_size=10**9)
    decoder.feed(begin)
    for _ in range(count):
        assert decoder.feed(filler) == []
    assert len(decoder.feed(b"\n\n")) == (begin != b":")
    for _ in range(100_000):
        decoder.feed(b"x")
