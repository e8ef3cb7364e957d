"""A parser in Python against the standard: one call in a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any, Final

from ._compare import Answer, answer_of, difference, shown_bytes, shown_events
from ._misreadings import Wrong, find_misreading, votes
from ._random import chunkings, random_chunks, shrink
from ._reference import Outcome, reference
from ._vectors import VECTORS_VERSION, Rule, Vector, rules, vectors

__all__ = ["WrongDecoding", "assert_decodes_like_the_standard"]

# Bytes. A vector's stream that is shorter is shown as it is, so that it can be found again.
_READABLE: Final = 60


class WrongDecoding(AssertionError):
    """A parser reads a stream differently from the standard. The text shows how."""

    def __init__(
        self,
        chunks: Sequence[bytes],
        expected: Outcome,
        found: Answer | Exception,
        rule: Rule | None,
        text: str,
    ) -> None:
        super().__init__(text)
        self.chunks: Final = list(chunks)
        """What the parser was given, shrunk as far as possible."""
        self.expected: Final = expected
        """What the standard says."""
        self.found: Final = found
        """What the parser said, as plain data, or what it raised."""
        self.rule: Final = rule
        """The rule that decides, if it is known."""


def assert_decodes_like_the_standard(
    decode: Callable[[list[bytes]], Iterable[Any]], *, examples: int = 1000, seed: int = 0
) -> None:
    """Test a parser with the vectors, in several chunkings, and with random streams.

    ```python
    def test_parser():
        assert_decodes_like_the_standard(lambda chunks: MyParser().feed_all(chunks))
    ```

    Args:
        decode: Takes the chunks of one stream, and returns its events or yields them. An event is
            an object or a mapping with ``data``, and ``event`` (or ``type``), ``id`` (or
            ``last_event_id``, ``lastEventId``) and ``retry`` if it has them; a tuple of these in
            the order event, data, id, retry; or a string, the data. What events do not have is not
            compared. No type counts as ``message``, no ID as the empty string.
        examples: How many random streams to try.
        seed: The same number gives the same streams.
    Raises:
        WrongDecoding: The parser reads a stream differently from the standard, or raises. The
            smallest such stream found is shown, with both answers and the rule.
        TypeError: The parser returned something other than events.
    """
    if wrong := _wrong_vectors(decode):
        vector, chunks = min(wrong, key=lambda each: (len(each[0].stream), len(each[1])))
        families = Counter(each.family for each, _ in wrong)
        told = ", ".join(f"{family} {number}" for family, number in families.items())
        heading = (
            f"{len(wrong)} of {len(_decided())} vectors (version {VECTORS_VERSION}) fail: {told}.\n"
            f"The shortest is {vector.title}:"
        )
        raise _wrong_decoding(decode, chunks, heading, vector, wrong)
    random = Random(seed)
    for number in range(1, examples + 1):
        chunks = random_chunks(random)
        if _differs(decode, chunks):
            heading = f"Random stream {number} of seed {seed} fails:"
            raise _wrong_decoding(decode, chunks, heading)


def _decided() -> list[Vector]:
    return [vector for vector in vectors() if vector.by_standard]


def _wrong_vectors(
    decode: Callable[[list[bytes]], Iterable[Any]],
) -> list[tuple[Vector, list[bytes]]]:
    """Return the vectors that fail, each in the first of its chunkings that does."""
    found: list[tuple[Vector, list[bytes]]] = []
    for vector in _decided():
        for chunks in chunkings(vector.stream, vector.title):
            if _differs(decode, chunks, _outcome_of(vector)):
                found.append((vector, chunks))
                break
    return found


def _outcome_of(vector: Vector) -> Outcome:
    return Outcome([*vector.events], vector.last_event_id, vector.reconnection_time)


def _ask(
    decode: Callable[[list[bytes]], Iterable[Any]], chunks: Sequence[bytes]
) -> Answer | Exception:
    try:
        events = list(decode(list(chunks)))
    except Exception as error:  # whatever the parser raises is its answer
        return error
    return answer_of(events)


def _differs(
    decode: Callable[[list[bytes]], Iterable[Any]],
    chunks: Sequence[bytes],
    expected: Outcome | None = None,
) -> bool:
    answer = _ask(decode, chunks)
    if isinstance(answer, Exception):
        return True
    return difference(expected or reference(b"".join(chunks)), answer) != ""


def _wrong_decoding(
    decode: Callable[[list[bytes]], Iterable[Any]],
    chunks: Sequence[bytes],
    heading: str,
    vector: Vector | None = None,
    wrong: Sequence[tuple[Vector, list[bytes]]] = (),
) -> WrongDecoding:
    if vector is None or len(vector.stream) > _READABLE:
        chunks = shrink(chunks, lambda smaller: _differs(decode, smaller))
    expected = reference(b"".join(chunks))
    found = _ask(decode, chunks)
    cut = f"   cut into {len(chunks)} chunks" if len(chunks) > 1 else ""
    lines = [heading, "", f"bytes     {shown_bytes(chunks)}{cut}"]
    mistake = None
    if isinstance(found, Exception):
        lines.append(f"parser    raises {type(found).__name__}: {found}"[:500])
    else:
        lines.append(f"parser    {shown_events(found)}")
        mistake = find_misreading(Wrong(chunks, found, expected), votes(_answered(decode, wrong)))
    lines.append(f"standard  {shown_events(expected)}")
    rule = vector.rule if vector is not None else None
    if isinstance(found, UnicodeError):
        rule = rules()["utf8-error"]  # whatever the stream was made for
        lines.append("why       invalid bytes are not an error: they become U+FFFD")
    elif mistake is not None:
        rule = rules()[mistake.rule]
    if vector is not None and rule == vector.rule:
        lines.append(f"why       {vector.why}")
    if rule is not None:
        lines.append(f"rule      {rule}")
    if mistake is not None:
        lines.append(f"perhaps   the parser {mistake.description}")
    return WrongDecoding(chunks, expected, found, rule, "\n".join(lines))


def _answered(
    decode: Callable[[list[bytes]], Iterable[Any]], wrong: Iterable[tuple[Vector, list[bytes]]]
) -> Iterator[Wrong]:
    for vector, chunks in wrong:
        answer = _ask(decode, chunks)
        if not isinstance(answer, Exception):
            yield Wrong(chunks, answer, _outcome_of(vector))
