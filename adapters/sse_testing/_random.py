"""Random streams and cuts without hypothesis, and the search for the smallest that still fails.

Both are the same for the same seed. Streams are like ``streams`` of `sse_testing.strategies`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Final, TypeAlias

from ._vocabulary import BOMS, ENDS, FIELDS, NAMES, SEPARATORS, SNIPPETS, VALUES

__all__ = ["chunkings", "pieces_of", "random_chunks", "random_stream", "shrink"]

# Bytes. Longer streams are not cut into single bytes: parsers that copy all they have for each
# chunk would take minutes, and this does not test their speed.
_LONG: Final = 12_000


def pieces_of(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut a stream at these offsets, in bytes; offsets past its end make empty chunks."""
    pieces: list[bytes] = []
    start = 0
    for cut in sorted(cuts):
        pieces.append(stream[start:cut])
        start = max(start, min(cut, len(stream)))
    pieces.append(stream[start:])
    return pieces


def chunkings(stream: bytes, name: str) -> list[list[bytes]]:
    """Return the ways to cut a stream: always the same for the same stream and name.

    Whole; in single bytes; in the middle; after each CR; and twice at random. No chunk is empty.
    """
    found = [[stream] if stream else []]
    if len(stream) > 1:
        cuts = [{len(stream) // 2}, {i for i in range(1, len(stream)) if stream[i - 1] == 13}]
        if len(stream) <= _LONG:
            cuts.insert(0, set(range(1, len(stream))))
        random = Random(name)
        cuts += [{random.randrange(1, len(stream)) for _ in range(4)} for _ in range(2)]
        for each in cuts:
            chunks = pieces_of(stream, each)
            if chunks not in found:
                found.append(chunks)
    return found


def random_chunks(random: Random) -> list[bytes]:
    """Return a stream, cut at random; no chunk is empty."""
    stream = random_stream(random)
    if len(stream) < 2:
        return [stream] if stream else []
    most = random.choice([0, 1, 2, 4, len(stream)])
    return pieces_of(stream, {random.randrange(1, len(stream)) for _ in range(most)})


def random_stream(random: Random) -> bytes:
    """Return a stream: three of four have events, the others are barely streams."""
    if random.randrange(4):
        parts = [random.choice(BOMS)] if random.randrange(6) == 0 else []
        parts += [
            _block(random) if random.randrange(4) else random.choice(ENDS)
            for _ in range(random.randint(1, 8))
        ]
        parts += [
            _line(random) if random.randrange(2) else random.choice(ENDS)
            for _ in range(random.randint(0, 4))
        ]
        return b"".join(parts)
    if random.randrange(2):
        words = SNIPPETS + BOMS
        return b"".join(random.choice(words) for _ in range(random.randint(5, 40)))
    return random.randbytes(random.randint(0, 100))


def _block(random: Random) -> bytes:
    end = random.choice(ENDS)
    return b"".join(_line(random) + end for _ in range(random.randint(2, 6))) + end


def _line(random: Random) -> bytes:
    if random.randrange(4):
        return random.choice(FIELDS)
    value = random.choice(VALUES) if random.randrange(4) else random.randbytes(random.randint(0, 6))
    if random.randrange(3) == 0:
        return value
    return random.choice(NAMES) + random.choice(SEPARATORS) + value


# -- shrinking -------------------------------------------------------------------------------------

_Items: TypeAlias = "list[int | None]"
"""Bytes, and ``None`` where the stream is cut."""


def shrink(
    chunks: Sequence[bytes], fails: Callable[[list[bytes]], bool], *, tries: int = 2000
) -> list[bytes]:
    """Return chunks that still fail, with as little as possible in them.

    Bytes and cuts are removed, first many at once, then one by one; what is left is made plainer.

    Args:
        chunks: What fails. None of them is empty.
        fails: Called at most ``tries`` times.
    """
    best: _Items = [item for chunk in chunks for item in (None, *chunk)][1:]
    left = tries

    def still_fails(items: _Items) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and fails(_chunks_of(items))

    changed = True
    while changed and left > 0:
        changed = False
        size = max(1, len(best) // 2)
        while size:
            start = 0
            while start < len(best):
                shorter = best[:start] + best[start + size :]
                if still_fails(shorter):
                    best, changed = shorter, True
                else:
                    start += size
            size //= 2
        for position, item in enumerate(best):
            for plainer in _plainer(item):
                replaced = [*best[:position], plainer, *best[position + 1 :]]
                if still_fails(replaced):
                    best, changed = replaced, True
                    break
    return _chunks_of(best)


def _chunks_of(items: _Items) -> list[bytes]:
    chunks = [bytearray()]
    for item in items:
        if item is None:
            chunks.append(bytearray())
        else:
            chunks[-1].append(item)
    return [bytes(chunk) for chunk in chunks if chunk]


def _plainer(item: int | None) -> list[int]:
    # CR becomes LF; what is neither a letter of a field's name nor part of the format becomes "x".
    if item is None or item in b"\n:x" or item in b"dateventidretry":
        return []
    return [10] if item == 13 else [*b"x"]
