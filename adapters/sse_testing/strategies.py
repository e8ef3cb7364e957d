"""Strategies for hypothesis: event streams, near misses, cuts, and events.

Needs hypothesis: ``pip install 'sse-proto[testing]'``.

```python
from hypothesis import given
from sse_testing import pieces_of, strategies

@given(stream=strategies.streams, cuts=strategies.cuts)
def test_chunks_do_not_matter(stream, cuts):
    assert my_decode(pieces_of(stream, cuts)) == my_decode([stream])
```
"""

from __future__ import annotations

try:
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "sse_testing.strategies needs hypothesis: pip install 'sse-proto[testing]'",
        name="hypothesis",
    ) from error

from sse_proto import ServerSentEvent

from ._vocabulary import (
    BOMS,
    ENDS,
    FIELDS,
    NAMES,
    SEPARATORS,
    SNIPPETS,
    TRICKY,
    VALUES,
)

__all__ = [
    "blocks",
    "boms",
    "characters",
    "chunkings",
    "cuts",
    "ends_of_line",
    "event_streams",
    "events",
    "fields",
    "hostile_bytes",
    "lines",
    "one_line",
    "strange_lines",
    "streams",
    "tricky",
]

# Streams: blocks of lines that mean something, with near misses in between.

ends_of_line = st.sampled_from(ENDS)
"""CR LF, LF or CR; mostly LF."""

boms = st.sampled_from(BOMS)
"""A byte order mark, two of them, or a part of one."""

fields = st.sampled_from(FIELDS)
"""Lines of all four fields and comments, without their end."""

_values = st.one_of(
    st.sampled_from(VALUES[:8]),
    st.sampled_from(VALUES[8:16]),
    st.sampled_from(VALUES[16:]),
    st.text(max_size=10).map(lambda text: text.encode("utf-8", "replace")),
    st.binary(max_size=6),
)
_named = st.tuples(st.sampled_from(NAMES), st.sampled_from(SEPARATORS), _values)

strange_lines = st.one_of(_values, _named.map(b"".join)).map(bytes)
"""Near misses of fields, without their end; they may have a line end in them."""

# As one of four, not of nine: map() keeps its alternatives from merging with the others.
lines = st.one_of(fields, fields, fields, strange_lines)
"""Three fields, then one strange line."""


def _block_of(lines: list[bytes], end: bytes) -> bytes:
    return b"".join(line + end for line in lines) + end


def _stream_of(bom: bytes, blocks: list[bytes], rest: list[bytes]) -> bytes:
    return b"".join([bom, *blocks, *rest])


blocks = st.builds(_block_of, st.lists(lines, min_size=2, max_size=6), ends_of_line)
"""Two to six lines and a blank one, all with the same end."""

event_streams = st.builds(
    _stream_of,
    st.one_of(st.just(b""), boms),
    st.lists(st.one_of(blocks, blocks, blocks, ends_of_line), min_size=1, max_size=8),
    st.lists(st.one_of(lines, ends_of_line), max_size=4),
)
"""Streams that have events, and perhaps an unfinished one at their end."""

hostile_bytes = st.one_of(
    st.lists(st.one_of(st.sampled_from(SNIPPETS), boms), min_size=5, max_size=40).map(b"".join),
    st.binary(max_size=100),
)
"""What is barely a stream: pieces of one in any order, and any bytes."""

streams = st.one_of(event_streams, event_streams, event_streams, hostile_bytes)
"""What a decoder should be given: three streams of events, then hostile bytes."""

cuts = st.sets(st.integers(1, 120), max_size=40)
"""Offsets for `pieces_of`; those past a stream's end make empty chunks."""


@st.composite
def _chunkings(draw: st.DrawFn) -> list[bytes]:
    stream = draw(streams)
    offsets = sorted(draw(st.sets(st.integers(1, max(1, len(stream) - 1)), max_size=40)))
    ends = [*offsets, len(stream)]
    chunks = [stream[start:end] for start, end in zip([0, *offsets], ends, strict=True)]
    return [chunk for chunk in chunks if chunk]


chunkings = _chunkings()
"""Lists of non-empty chunks: a stream that was cut anywhere, at most forty times."""

# Events: everything that encode() takes, without CR in the data.

characters = st.characters(codec="utf-8")
"""All characters that UTF-8 has."""

one_line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"))
"""Text without CR and LF."""

tricky = st.sampled_from(TRICKY)
"""Text without CR and LF that tempts decoders, and encoders."""

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
"""Instances of `sse_proto.ServerSentEvent` that `sse_proto.encode` takes as they are."""
