"""Content codings: live, in bounded pieces, cut anywhere; and what cannot be undone."""

from __future__ import annotations

import gzip
import importlib
import random
import sys
import tracemalloc
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sse_adapter._coding import CodingError, UnknownCoding, content_decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

brotli: Any = importlib.import_module("brotli")  # it has no types


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


ENCODE: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": raw_deflate,
    "br": brotli.compress,
    "zstd": zstd,
}
NAME: Final = {name: name.split()[-1] for name in ENCODE}
encodings = pytest.mark.parametrize("encoding", ENCODE)

# Which packages are there: all; only others for the same codings; brotli before 1.2.
LIBRARIES: Final = ["first choice", "second choice"]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The packages that undo br and zstd: those that are taken first, or those without bounds."""
    if request.param == "second choice":
        monkeypatch.setattr("sse_adapter._coding.import_module", import_unbounded)
    return str(request.param)


class OldBrotli:
    """The package brotli, as before 1.2: a step decodes all of its input."""

    error = brotli.error

    class Decompressor:
        def __init__(self) -> None:
            self._content: Any = brotli.Decompressor()

        def process(self, data: bytes) -> bytes:
            pieces = [self._content.process(data)]
            while pieces[-1]:
                pieces.append(self._content.process(b""))
            return b"".join(pieces)

        def is_finished(self) -> bool:
            return bool(self._content.is_finished())


def import_unbounded(name: str) -> object:
    if name == "brotlicffi":
        return OldBrotli
    if name != "zstandard":
        raise ModuleNotFoundError(name)
    return importlib.import_module(name)


def decode(content_encoding: str, chunks: Sequence[bytes]) -> bytes:
    decoder = content_decoder(content_encoding)
    assert decoder is not None
    decoded = b"".join(piece for chunk in chunks for piece in decoder.decode(chunk))
    decoder.finish()
    return decoded


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@encodings
@pytest.mark.parametrize("size", [1, 2, 7, 5000, 10**6])
@pytest.mark.usefixtures("library")
def test_content_may_be_cut_anywhere(encoding: str, size: int) -> None:
    text = b"".join(b"data: %d\n\n" % number for number in range(3000))
    assert decode(NAME[encoding], cut(ENCODE[encoding](text), size)) == text


@pytest.mark.parametrize("value", ["", "identity", "Identity , ", ",", "identity,identity"])
def test_nothing_is_there_to_undo(value: str) -> None:
    assert content_decoder(value) is None


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        (" X-GZip\t", "gzip"),
        ("identity, gzip,", "gzip"),
        ("Deflate", "deflate"),
        ("BR", "br"),
        ("ZStd", "zstd"),
    ],
)
def test_names_are_of_any_case_and_have_aliases(value: str, encoding: str) -> None:
    assert decode(value, [ENCODE[encoding](b"data: x\n\n")]) == b"data: x\n\n"


def test_codings_are_undone_in_the_reverse_of_their_order() -> None:
    body = zstd(brotli.compress(zlib.compress(gzip.compress(b"data: x\n\n"))))
    assert decode("gzip, deflate, br, zstd", cut(body, 3)) == b"data: x\n\n"
    with pytest.raises(CodingError, match="malformed gzip content"):
        decode("zstd, br, deflate, gzip", [body])


@pytest.mark.parametrize("name", ["compress", "exi", "x-deflate", "gzip2", "utf-8"])
def test_an_unknown_coding_is_named(name: str) -> None:
    with pytest.raises(UnknownCoding) as caught:
        content_decoder(f"gzip, {name.upper()}")
    assert str(caught.value) == f"content coding {name!r} cannot be decoded: unknown"
    assert caught.value.coding == name


def test_a_long_name_is_cut() -> None:
    with pytest.raises(UnknownCoding) as caught:
        content_decoder("x" * 10_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("name", "packages"), [("br", "brotli or brotlicffi"), ("zstd", "backports.zstd or zstandard")]
)
def test_a_coding_whose_package_is_missing_is_named(
    name: str, packages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(module: str) -> object:
        raise ModuleNotFoundError(module)

    monkeypatch.setattr("sse_adapter._coding.import_module", fail)
    with pytest.raises(UnknownCoding, match=f"{name!r} .*: it needs the package {packages}"):
        content_decoder(name)


def test_too_many_codings_are_refused() -> None:
    assert content_decoder(", ".join(["gzip"] * 5)) is not None
    with pytest.raises(CodingError, match="6 content codings, limit is 5"):
        content_decoder(", ".join(["gzip"] * 6))


@encodings
@pytest.mark.usefixtures("library")
def test_no_content_at_all_is_complete(encoding: str) -> None:
    assert decode(NAME[encoding], []) == decode(NAME[encoding], [b"", b""]) == b""


@encodings
@pytest.mark.usefixtures("library")
def test_cut_content_is_an_error_after_all_that_came(encoding: str) -> None:
    random_bytes = random.Random(1).randbytes(100_000)  # so that something comes out before the end
    body = ENCODE[encoding](random_bytes)
    for size in (1, 5, len(body) - 1):
        decoder = content_decoder(NAME[encoding])
        assert decoder is not None
        came = b"".join(decoder.decode(body[:size]))
        assert random_bytes.startswith(came)
        with pytest.raises(CodingError, match=f"ends within its content coding, {NAME[encoding]}"):
            decoder.finish()


@encodings
@pytest.mark.usefixtures("library")
def test_malformed_content_is_an_error(encoding: str) -> None:
    with pytest.raises(CodingError, match=f"malformed {NAME[encoding]} content"):
        decode(NAME[encoding], [b"\xff" * 100])


@encodings
@pytest.mark.parametrize("size", [1, 4, 10**6])
@pytest.mark.usefixtures("library")
def test_garbage_behind_the_content_is_an_error(encoding: str, size: int) -> None:
    with pytest.raises(CodingError, match=NAME[encoding]):
        decode(NAME[encoding], cut(ENCODE[encoding](b"data: x\n\n") + b"garbage", size))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate", "zstd"])
@pytest.mark.usefixtures("library")
def test_what_came_before_garbage_comes_out(encoding: str) -> None:
    decoder = content_decoder(NAME[encoding])
    assert decoder is not None
    pieces = decoder.decode(ENCODE[encoding](b"data: x\n\n") + b"garbage")
    assert next(pieces) == b"data: x\n\n"
    with pytest.raises(CodingError):
        next(pieces)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("size", [1, 3, 10, 10**6])
@pytest.mark.usefixtures("library")
def test_several_members_are_one_content(encoding: str, size: int) -> None:
    parts = [b"", b"data: a\n\n", b"", b"data: b\n", b"\n", b"", b""]
    body = b"".join(ENCODE[encoding](part) for part in parts)
    assert decode(encoding, cut(body, size)) == b"".join(parts)


@pytest.mark.usefixtures("library")
def test_a_skippable_frame_is_skipped() -> None:
    frame = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
    assert decode("zstd", [frame + zstd(b"x") + frame]) == b"x"


def flushed_gzip(parts: Sequence[bytes]) -> list[bytes]:
    compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return [compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH) for part in parts]


def flushed_deflate(parts: Sequence[bytes]) -> list[bytes]:
    compressor = zlib.compressobj()
    return [compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH) for part in parts]


def flushed_br(parts: Sequence[bytes]) -> list[bytes]:
    compressor = brotli.Compressor()
    return [compressor.process(part) + compressor.flush() for part in parts]


def flushed_zstd(parts: Sequence[bytes]) -> list[bytes]:
    compressor = zstandard.ZstdCompressor().compressobj()
    flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    return [compressor.compress(part) + compressor.flush(flush) for part in parts]


@pytest.mark.parametrize(
    ("name", "flushed"),
    [
        ("gzip", flushed_gzip),
        ("deflate", flushed_deflate),
        ("br", flushed_br),
        ("zstd", flushed_zstd),
    ],
)
@pytest.mark.usefixtures("library")
def test_an_event_comes_out_with_the_chunk_that_completes_it(
    name: str, flushed: Callable[[Sequence[bytes]], list[bytes]]
) -> None:
    # From a few bytes to more than a piece.
    events = [b"data: %d%s\n\n" % (size, b"x" * size) for size in (1, 10, 1000, 300_000, 2)]
    decoder = content_decoder(name)
    assert decoder is not None
    assert [b"".join(decoder.decode(chunk)) for chunk in flushed(events)] == events


SIZE: Final = 64 * 1024 * 1024  # bytes, far beyond the limits


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    zeros = bytes(SIZE)
    return {name: encode(zeros) for name, encode in ENCODE.items()}


@encodings
@pytest.mark.parametrize("layers", [1, 2])
def test_a_bomb_takes_no_more_memory_than_a_piece(
    encoding: str, layers: int, bombs: dict[str, bytes]
) -> None:
    bomb = bombs[encoding] if layers == 1 else gzip.compress(bombs[encoding])
    decoder = content_decoder(NAME[encoding] + ", gzip" * (layers - 1))
    assert decoder is not None
    tracemalloc.start()
    try:
        largest = sum_ = 0
        for piece in decoder.decode(bomb):
            largest, sum_ = max(largest, len(piece)), sum_ + len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    decoder.finish()
    assert sum_ == SIZE
    assert largest <= 128 * 1024
    assert peak < 1024 * 1024  # of Python's own; brotli and zstd have windows of 16 and 8 MiB


@encodings
def test_a_bomb_is_not_decoded_beyond_what_is_taken(encoding: str, bombs: dict[str, bytes]) -> None:
    decoder = content_decoder(NAME[encoding])
    assert decoder is not None
    tracemalloc.start()
    try:
        pieces = decoder.decode(bombs[encoding])
        assert next(pieces)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_steps_of_libraries_without_bounds_are_bounded(
    bombs: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sse_adapter._coding.import_module", import_unbounded)
    for name, limit in (("br", 16 * 1024 * 1024), ("zstd", 9 * 128 * 1024)):
        decoder = content_decoder(name)
        assert decoder is not None
        assert max(map(len, decoder.decode(bombs[name]))) <= limit


def test_a_chunk_of_many_small_members_takes_a_time_in_proportion() -> None:
    """100,000 members in one chunk: what is left of it is not copied for each."""
    member = gzip.compress(b"")
    assert decode("gzip", [member * 100_000]) == b""


@pytest.mark.parametrize("window_log", [23, 24])
@pytest.mark.usefixtures("library")
def test_a_zstd_window_is_at_most_8_mib(window_log: int) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = compressor.compress(b"data: x\n\n") + compressor.flush()
    if window_log == 23:
        assert decode("zstd", [body]) == b"data: x\n\n"
    else:
        with pytest.raises(CodingError, match="requires too much memory"):
            decode("zstd", [body])


def test_zstd_is_the_standard_librarys_where_it_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def note(name: str) -> object:
        names.append(name)
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("sse_adapter._coding.import_module", note)
    for version in ((3, 13), (3, 14)):
        monkeypatch.setattr(sys, "version_info", version)
        with pytest.raises(UnknownCoding):
            content_decoder("zstd")
    assert names == ["backports.zstd", "zstandard", "compression.zstd", "zstandard"]


@given(
    parts=st.lists(st.binary(max_size=200), max_size=6),
    encodings=st.lists(st.sampled_from(list(ENCODE)), min_size=1, max_size=3),
    cuts=st.sets(st.integers(1, 500), max_size=20),
)
def test_chunk_boundaries_never_change_the_content(
    parts: list[bytes], encodings: list[str], cuts: set[int]
) -> None:
    # Members where the format has them, else all in one.
    has_members = encodings[0] in ("gzip", "zstd")
    body = b"".join(map(ENCODE[encodings[0]], parts if has_members else [b"".join(parts)]))
    for encoding in encodings[1:]:
        body = ENCODE[encoding](body)
    ends = [0, *sorted(min(end, len(body)) for end in cuts), len(body)]
    chunks = [body[start:end] for start, end in pairwise(ends)]
    assert decode(", ".join(NAME[name] for name in encodings), chunks) == b"".join(parts)


def flipped(encoding: str, data: bytes, at: int, bit: int) -> bytes:
    body = bytearray(ENCODE[encoding](data))
    body[at % len(body)] ^= 1 << bit
    return bytes(body)


almost_bodies = st.builds(
    flipped,
    st.sampled_from(list(ENCODE)),
    st.binary(max_size=100),
    st.integers(0, 10**6),
    st.integers(0, 7),
)


@given(
    encoding=st.sampled_from(sorted(set(NAME.values()))),
    body=st.one_of(st.binary(max_size=200), almost_bodies),
    size=st.integers(1, 50),
)
def test_whatever_the_bytes_nothing_but_a_coding_error_is_raised(
    encoding: str, body: bytes, size: int
) -> None:
    try:
        decode(encoding, cut(body, size))
    except CodingError:
        pass
