"""The mistakes that parsers make, each as an interpreter that makes it and no other.

If a parser differs from the standard, and one of these differs in the same way on the same bytes,
its description says what the parser seems to do. That is a guess, and the fewer the bytes the
better; the difference itself is a fact.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ._compare import Answer, difference
from ._reference import Event, Outcome

__all__ = ["MISREADINGS", "Misreading", "Wrong", "find_misreading", "misread", "votes"]


class Misreading(NamedTuple):
    """A mistake."""

    name: str
    rule: str
    """The name of the rule that it breaks."""
    description: str
    """What the parser seems to do."""


MISREADINGS: Final = [
    # where the stream ends, or is cut
    Misreading("finish-line", "end-of-file", "processes a line that was not finished"),
    Misreading("crlf-cut", "line-end", "takes a CR LF that is cut in two for two line ends"),
    Misreading("chunk-utf8", "utf8-decode", "decodes each chunk separately, and breaks characters"),
    Misreading("chunk-lines", "line-end", "ends a line where a chunk ends"),
    Misreading("strip-boms", "bom", "strips more than one byte order mark"),
    Misreading("chunk-bom", "bom", "strips a byte order mark from each chunk"),
    # lines
    Misreading("splitlines", "line-end", "ends lines where Unicode does, as str.splitlines()"),
    Misreading("no-cr", "line-end", "does not end a line at a CR without an LF"),
    Misreading("lf-alone", "line-end", "ends lines only at LF, and keeps the CR"),
    Misreading("rstrip-lines", "order", "strips white space from the end of each line"),
    Misreading("strip-lines", "order", "strips white space around each line"),
    # characters
    Misreading("keep-bom", "bom", "does not strip the byte order mark at the start"),
    Misreading("utf8-ignore", "utf8-error", "drops invalid bytes, without U+FFFD"),
    Misreading("latin-1", "utf8-decode", "decodes as ISO 8859-1"),
    Misreading("one-mark", "utf8-error", "turns several invalid sequences into one U+FFFD"),
    Misreading("mark-per-byte", "utf8-error", "turns each byte of a cut sequence into U+FFFD"),
    # fields
    Misreading("keep-space", "one-space", "keeps the space after the colon"),
    Misreading("strip-spaces", "one-space", "removes more than one space after the colon"),
    Misreading("lstrip", "one-space", "removes all white space after the colon"),
    Misreading("strip", "one-space", "removes white space on both sides of a value"),
    Misreading("need-space", "one-space", "requires a space after the colon"),
    Misreading("last-colon", "first-colon", "ends the name at a colon other than the first"),
    Misreading("two-colons", "first-colon", "ends the value at a second colon"),
    Misreading("need-colon", "no-colon", "ignores fields without a colon"),
    Misreading("fold-case", "field-name", "ignores the case of names"),
    Misreading("strip-name", "field-name", "strips white space around names"),
    Misreading("name-prefix", "field-name", "accepts a name that merely begins like a field's"),
    # data
    Misreading("last-data", "data", "keeps only the last line of data"),
    Misreading("glue-data", "data", "joins lines of data without LF"),
    Misreading("strip-data", "dispatch-last-lf", "removes more than one LF from the end of data"),
    Misreading("keep-lf", "dispatch-last-lf", "keeps the last LF of data"),
    Misreading("drop-empty", "dispatch-last-lf", "drops events whose data is the empty string"),
    Misreading("skip-empty-lines", "data", "skips empty values of data"),
    # ID and time
    Misreading("nul-id", "id", "accepts an ID that contains NUL"),
    Misreading("cut-id", "id", "cuts an ID off at a NUL"),
    Misreading("ignore-empty-id", "id", "does not let an empty ID reset the last one"),
    Misreading("forget-id", "dispatch-id", "forgets the last event ID after each block"),
    Misreading("late-id", "dispatch-id", "ignores the ID of a block without data"),
    Misreading("ignore-id", "id", "ignores IDs"),
    Misreading("loose-retry", "retry", "accepts reconnection times other than ASCII digits"),
    Misreading("ignore-retry", "retry", "ignores reconnection times"),
    Misreading("late-retry", "retry", "applies a reconnection time only with an event"),
    # blocks
    Misreading("append-event", "event", "does not replace an earlier type in the same block"),
    Misreading("keep-lone-type", "dispatch-empty", "keeps the event type of a block without data"),
    Misreading("keep-type", "dispatch-reset", "keeps the event type for the next block"),
    Misreading("dispatch-named", "dispatch-empty", "dispatches blocks with a type but no data"),
    Misreading("dispatch-all", "dispatch-empty", "dispatches blocks without data"),
    Misreading("dispatch-at-end", "end-of-file", "dispatches an unfinished event at the end"),
    Misreading("id-at-end", "end-of-file", "keeps the ID of an unfinished block"),
]


class Wrong(NamedTuple):
    """A stream that a parser reads differently from the standard."""

    chunks: Sequence[bytes]
    answer: Answer
    """The parser's."""
    expected: Outcome
    """What the standard says."""


def votes(wrong: Iterable[Wrong]) -> Counter[str]:
    """Count how many answers each mistake, by its name, explains."""
    return Counter(
        mistake.name for each in wrong for mistake in MISREADINGS if _explains(mistake, each)
    )


def find_misreading(wrong: Wrong, votes: Mapping[str, int] | None = None) -> Misreading | None:
    """Return a mistake that gives the same answer, if there is one.

    Args:
        wrong: What to explain.
        votes: How much else about the same parser each mistake explains. If several fit, the one
            with the most votes is returned.
    """
    able = [mistake for mistake in MISREADINGS if _explains(mistake, wrong)]
    return max(able, key=lambda mistake: (votes or {}).get(mistake.name, 0), default=None)


def _explains(mistake: Misreading, wrong: Wrong) -> bool:
    theirs = misread(wrong.chunks, mistake.name)
    return theirs != wrong.expected and not difference(theirs, wrong.answer)


def misread(chunks: Sequence[bytes], mistake: str) -> Outcome:
    """Interpret a stream with one mistake."""
    lines, rest = _lines(_text(chunks, mistake), chunks, mistake)
    events: list[Event] = []
    data, event_type, block_id = None, "", None
    last_id: str | None = None
    retry: int | None = None
    block_retry: int | None = None
    has_field = False
    if mistake == "finish-line" and rest:
        lines.append(rest)
    if mistake == "dispatch-at-end":
        lines += [rest, ""] if rest else [""]

    for line in lines:
        if mistake == "strip-lines":
            line = line.strip()
        elif mistake == "rstrip-lines":
            line = line.rstrip()
        if not line:
            dispatches = data is not None and not (mistake == "drop-empty" and data == "\n")
            if mistake == "dispatch-named":
                dispatches |= event_type != ""
            elif mistake == "dispatch-all":
                dispatches |= has_field
            if block_id is not None and (dispatches or mistake != "late-id"):
                last_id = block_id
            if dispatches:
                text = data or ""
                if mistake == "strip-data":
                    text = text.rstrip("\n")
                elif mistake != "keep-lf":
                    text = text.removesuffix("\n")
                events.append(Event(event_type or "message", text, last_id, block_retry))
                if mistake == "late-retry" and block_retry is not None:
                    retry = block_retry
            if mistake != "keep-type" and (dispatches or mistake != "keep-lone-type"):
                event_type = ""
            if mistake == "forget-id":
                last_id = None
            data, block_id, block_retry, has_field = None, None, None, False
            continue
        if line[0] == ":":
            continue
        field = _field(line, mistake)
        if field is None:
            continue
        name, value = field
        if name == "data" and not (mistake == "skip-empty-lines" and not value):
            before = "" if data is None or mistake == "last-data" else data
            data = before.removesuffix("\n") if mistake == "glue-data" else before
            data += value + "\n"
            has_field = True
        elif name == "event":
            event_type = event_type + value if mistake == "append-event" else value
            has_field = True
        elif name == "id" and mistake != "ignore-id":
            if mistake == "cut-id":
                value = value.partition("\0")[0]
            if ("\0" not in value or mistake == "nul-id") and not (
                mistake == "ignore-empty-id" and not value
            ):
                block_id = value
                has_field = True
        elif name == "retry" and mistake != "ignore-retry":
            number = _number(value, mistake)
            if number is not None:
                block_retry = number
                has_field = True
                if mistake != "late-retry":
                    retry = number
    if mistake == "id-at-end" and block_id is not None:
        last_id = block_id
    return Outcome(events, last_id, retry)


def _text(chunks: Sequence[bytes], mistake: str) -> str:
    bom = b"\xef\xbb\xbf"
    if mistake == "chunk-utf8":
        return "".join(chunk.decode("utf-8", "replace") for chunk in chunks).removeprefix("\ufeff")
    if mistake == "chunk-bom":
        chunks = [chunk.removeprefix(bom) for chunk in chunks]
    stream = b"".join(chunks)
    if mistake == "strip-boms":
        while stream.startswith(bom):
            stream = stream[3:]
    elif mistake != "keep-bom":
        stream = stream.removeprefix(bom)
    if mistake == "latin-1":
        return stream.decode("latin-1")
    if mistake == "mark-per-byte":
        text = stream.decode("utf-8", "surrogateescape")
        return re.sub("[\udc80-\udcff]", "\ufffd", text)
    text = stream.decode("utf-8", "ignore" if mistake == "utf8-ignore" else "replace")
    return re.sub("\ufffd+", "\ufffd", text) if mistake == "one-mark" else text


def _lines(text: str, chunks: Sequence[bytes], mistake: str) -> tuple[list[str], str]:
    """Return the lines, and what follows the last end."""
    if mistake == "chunk-lines":
        # A line end at the end of a chunk is the line's own, not another one.
        pieces = [re.split("\r\n|\r|\n", chunk.decode("utf-8", "replace")) for chunk in chunks]
        lines = [line for piece in pieces for line in (piece if piece[-1] else piece[:-1])]
        return ([lines[0].removeprefix("\ufeff"), *lines[1:]] if lines else []), ""
    if mistake == "crlf-cut":
        halves = [""]
        for chunk in chunks:
            first, *more = re.split("\r\n|\r|\n", chunk.decode("latin-1"))
            halves = [*halves[:-1], halves[-1] + first, *more]
        decoded = [half.encode("latin-1").decode("utf-8", "replace") for half in halves]
        decoded[0] = decoded[0].removeprefix("\ufeff")
        return decoded[:-1], decoded[-1]
    if mistake == "splitlines":
        ends = "\r\n|[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"
    elif mistake == "no-cr":
        ends = "\r\n|\n"
    elif mistake == "lf-alone":
        ends = "\n"
    else:
        ends = "\r\n|\r|\n"
    *complete, rest = re.split(ends, text)
    return complete, rest


def _field(line: str, mistake: str) -> tuple[str, str] | None:
    if ":" not in line and mistake in ("need-colon", "need-space"):
        return None
    if mistake == "last-colon" and ":" in line:
        name, _, value = line.rpartition(":")
    elif mistake == "need-space":
        name, colon, value = line.partition(": ")
        return (name, value) if colon else None
    else:
        name, _, value = line.partition(":")
    if mistake == "two-colons":
        value = value.partition(":")[0]
    if mistake == "strip-spaces":
        value = value.lstrip(" ")
    elif mistake == "lstrip":
        value = value.lstrip()
    elif mistake == "strip":
        value = value.strip()
    elif mistake != "keep-space":
        value = value.removeprefix(" ")
    if mistake == "fold-case":
        name = name.lower()
    elif mistake == "strip-name":
        name = name.strip()
    elif mistake == "name-prefix":
        name = next((n for n in ("data", "event", "id", "retry") if name.startswith(n)), name)
    return name, value


def _number(value: str, mistake: str) -> int | None:
    if mistake == "loose-retry":
        try:
            return int(value)
        except ValueError:
            return None
    # As many digits as count; Python refuses to read more than it writes.
    digits = value.lstrip("0") or value[:1]
    return int(digits) if re.fullmatch("[0-9]{1,640}", digits) else None
