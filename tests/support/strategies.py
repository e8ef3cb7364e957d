"""Hypothesis strategies: streams that mean something, and what comes only close to it."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from sse_proto import ServerSentEvent

BOM: Final = b"\xef\xbb\xbf"

# Streams: blocks of lines that mean something, with lines between that only come close to it.
ends_of_line = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r"])
boms = st.sampled_from([BOM, BOM + BOM, BOM[:2], BOM[:1], BOM[2:]])
fields = st.sampled_from(
    [
        b"data: x",
        b"data: y",
        b"data:z",
        b"data:",
        b"data",
        b"data: \xf0\x9f\x98\x80",
        b"event: e",
        b"event",
        b"id: 1",
        b"id",
        b"retry: 10",
        b"retry:007",
        b": comment",
    ]
)
names = st.sampled_from(
    [
        b"data",
        b"data",
        b"event",
        b"id",
        b"id",
        b"retry",
        b"",
        b"foo",
        b"Data",
        b"dat",
        b"data ",
        BOM,
    ]
)
separators = st.sampled_from([b": ", b": ", b": ", b":", b":  ", b"", b"::", b" "])
values = st.one_of(
    st.sampled_from([b"", b"x", b"a b", b"data: x", b": ", b"\0", b"a\0", BOM]),
    st.sampled_from(
        [b"10", b"007", b"+5", b"1_0", b"\xd9\xa1", b"\xc2\xb2", b"5 ", b"18446744073709551616"]
    ),
    st.sampled_from(
        [b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\xe2\x80\xa8", b"\x80"]
    ),
    st.text(max_size=10).map(lambda text: text.encode("utf-8", "replace")),
    st.binary(max_size=6),
)
strange_lines = st.one_of(values, st.tuples(names, separators, values).map(b"".join)).map(bytes)
# As one of four, not of nine: map() keeps its alternatives from becoming those of the whole.
lines = st.one_of(fields, fields, fields, strange_lines)


def block_of(lines: list[bytes], end: bytes) -> bytes:
    return b"".join(line + end for line in lines) + end


def stream_of(bom: bytes, blocks: list[bytes], rest: list[bytes]) -> bytes:
    return b"".join([bom, *blocks, *rest])


blocks = st.builds(block_of, st.lists(lines, min_size=2, max_size=6), ends_of_line)
event_streams = st.builds(
    stream_of,
    st.one_of(st.just(b""), boms),
    st.lists(st.one_of(blocks, blocks, blocks, ends_of_line), min_size=1, max_size=8),
    st.lists(st.one_of(lines, ends_of_line), max_size=4),
)
# Pieces so short that they meet each other everywhere.
snippets = st.sampled_from(
    b"\r|\n|\n\n|\r\n\r\n|data: x|data|id|retry|event|: |:| |5|x|\0|\xf0\x9f|\x98\x80".split(b"|")
)
streams = st.one_of(
    event_streams,
    event_streams,
    event_streams,
    st.lists(st.one_of(snippets, snippets, boms), min_size=5, max_size=40).map(b"".join),
    st.binary(max_size=100),
)
cuts = st.sets(st.integers(1, 120), max_size=40)
limits = st.integers(1, 40)

# Events: all that encode() takes, without CR in the data.
characters = st.characters(codec="utf-8")
one_line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"))
tricky = st.sampled_from(
    ["", " ", " x", ":", "\ufeff", "data: x", "\u2028", "\x85", "\x0b", "\x1c", "id: 5"]
)
events = st.builds(
    ServerSentEvent,
    event=st.one_of(st.just("message"), one_line, tricky).filter(bool),
    data=st.one_of(
        st.text(st.characters(codec="utf-8", exclude_characters="\r")),
        st.lists(st.one_of(one_line, tricky)).map("\n".join),
    ),
    id=st.one_of(st.none(), one_line, tricky).filter(lambda value: "\0" not in (value or "")),
    retry=st.one_of(st.none(), st.integers(0, 10_000), st.integers(0, 10**640 - 1)),
)
