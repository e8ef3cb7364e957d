"""Bodies of a few bytes that stand for very many: they take no more memory than others do."""

from __future__ import annotations

import gzip
import importlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.servers import Exchange, RawServer

SIZE: Final = 64 * 1024 * 1024
LIMIT: Final = 40  # MiB: the window of br takes 16, that of zstd 8, an event here up to 4
READ: Final = """
import importlib, json, resource, sys
library, base = importlib.import_module(sys.argv[1]), sys.argv[2]
import sse_httpx
from sse_proto import SSEDecoder

def read(client, path):
    decoder = SSEDecoder(max_event_size=4 * 1024 * 1024)
    with sse_httpx.connect_sse(client, "GET", base + path, timeout=60, decoder=decoder) as source:
        try:
            return [event.data for event in source]
        except sse_httpx.SSEError as error:
            return type(error).__name__, len(error.body), str(error)[:60]

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

with library.Client() as client:
    read(client, "/gzip/small")
    read(client, "/br/small")
    read(client, "/zstd/small")
    before = peak()
    read_ = {path: read(client, path) for path in sys.argv[3:]}
print(json.dumps([peak() - before, read_]))
"""


def zstd(data: bytes) -> bytes:
    compressed: bytes = importlib.import_module("zstandard").ZstdCompressor().compress(data)
    return compressed


def br(data: bytes) -> bytes:
    compressed: bytes = importlib.import_module("brotli").compress(data, quality=5)
    return compressed


CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "br": br,
    "zstd": zstd,
}
BODIES: Final[dict[str, tuple[int, bytes, bytes]]] = {
    "small": (200, b"", b"data: x\n\n"),
    "comment": (200, b":", b"\ndata: x\n\n"),
    "event": (200, b"data: ", b"\n\n"),
    "refused": (500, b"no", b""),
}


@pytest.fixture(scope="module")
def bodies() -> dict[str, tuple[int, str, bytes]]:
    """The path of each, its status, its coding and what it is on the way."""
    return {
        f"/{coding}/{name}": (
            status,
            coding,
            encode(start + bytes(0 if name == "small" else SIZE) + end),
        )
        for coding, encode in CODINGS.items()
        for name, (status, start, end) in BODIES.items()
    }


@pytest.mark.skipif(sys.platform == "win32", reason="there is no getrusage")
@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_bomb_takes_little_memory(
    library: str, server: RawServer, bodies: dict[str, tuple[int, str, bytes]]
) -> None:
    pytest.importorskip(library)

    def serve(exchange: Exchange) -> None:
        status, coding, body = bodies[exchange.path]
        exchange.start(status, headers=[("Content-Encoding", coding)])
        exchange.send(body)

    for path in bodies:
        server.route(path, serve)
    command = [sys.executable, "-c", READ, library, server.url().rstrip("/"), *bodies]
    done = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stderr
    grown, read = json.loads(done.stdout)
    assert grown < LIMIT
    for coding in CODINGS:
        assert read[f"/{coding}/small"] == read[f"/{coding}/comment"] == ["x"]
        assert read[f"/{coding}/event"][0] == "SSEError"
        assert read[f"/{coding}/event"][2].startswith("event stream refused: unfinished event")
        refused: Any = read[f"/{coding}/refused"]
        assert refused[0] == "SSEError"
        assert refused[1] == 64 * 1024
