"""The file to copy: all vectors in all chunkings, linear, limited, small, and on its own.

It is tested where it stands; what the command prints is the same, and runs.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from sse_proto import vendor
from tests.support.reference import Event, before_oversized, interpret
from tests.support.vectors import Case, chunkings, every_family

LINES: Final = 200


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command prints, in a file."""
    path = tmp_path_factory.mktemp("vendor") / "sse.py"
    done = subprocess.run(
        [sys.executable, "-m", "sse_proto.vendor"], capture_output=True, check=True, timeout=60
    )
    path.write_bytes(done.stdout)
    return path


def decode(decoder: Any, chunks: list[bytes]) -> tuple[list[Event], str | None, int | None]:
    events: list[Event] = [tuple(event) for chunk in chunks for event in decoder.feed(chunk)]
    return events, decoder.last_event_id, decoder.reconnection_time


def test_the_command_prints_what_is_tested_here(printed: Path) -> None:
    # With an encoding as well: whoever redirects the output has that of the terminal or the locale.
    text = printed.read_text("ascii")
    assert Path(vendor.__file__).read_text("utf-8").startswith(text)
    program = "import sse; print(*sse.Decoder().feed(b'id: 1\\ndata: x\\n\\n'))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=printed.parent,
        capture_output=True,
        check=True,
        timeout=60,
        text=True,
    )
    assert done.stdout == "Event(event='message', data='x', id='1', retry=None)\n"


def test_it_is_short_and_needs_nothing(printed: Path) -> None:
    text = printed.read_text("ascii")
    assert len(text.splitlines()) < LINES
    assert "__main__" not in text
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            pytest.fail(f"imports {node.names[0].name}")
        if isinstance(node, ast.ImportFrom):
            assert node.module in ("__future__", "typing")


@every_family
def test_every_vector_in_every_chunking(family: dict[str, Case]) -> None:
    for name, vector in family.items():
        for chunks in chunkings(vector.stream):
            assert decode(vendor.Decoder(), chunks) == vector.outcome, (name, chunks)


def test_the_last_event_id_of_an_earlier_connection() -> None:
    assert decode(vendor.Decoder("7"), [b"data: x\n\n"]) == (
        [("message", "x", "7", None)],
        "7",
        None,
    )


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("limit", [5, 8, 9, 20])
def test_the_limit(size: int, limit: int) -> None:
    stream = b": comment of any length\ndata: a\n\nid: 12345678\ndata: b\nevent: c\n\ndata: x\n\n"
    before = before_oversized(stream, limit)
    assert before is not None
    decoder = vendor.Decoder(max_event_size=limit)
    events: list[Event] = []
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    with pytest.raises(vendor.EventTooLarge):  # noqa: PT012  # the loop is the stream
        for chunk in [*chunks, b""]:
            events += decoder.feed(chunk)
    assert events == interpret(before)[0]
    with pytest.raises(vendor.EventTooLarge):
        decoder.feed(b"data: y\n\n")


@pytest.mark.timeout(15)
@pytest.mark.parametrize(
    ("begin", "filler", "count"),
    [(b"data: ", b"x" * 16384, 1000), (b":", b"x" * 16384, 1000), (b"", b"data: x\n" * 1000, 100)],
)
def test_time_is_linear(begin: bytes, filler: bytes, count: int) -> None:
    decoder = vendor.Decoder(max_event_size=10**9)
    decoder.feed(begin)
    for _ in range(count):
        assert decoder.feed(filler) == []
    assert len(decoder.feed(b"\n\n")) == (begin != b":")
    for _ in range(100_000):
        decoder.feed(b"x")
