"""Which responses may have JSON in them."""

from __future__ import annotations

import pytest

from sse_adapter._json import SequenceDecoder, TextDecoder, why_no_json_stream
from sse_proto import EventTooLarge


@pytest.mark.parametrize(
    ("status_code", "content_type", "reason"),
    [
        (200, "application/x-ndjson", None),
        (201, "Application/Problem+JSON; charset=utf-8", None),
        (299, "text/event-stream", None),
        (200, "text/plain", None),
        (300, "application/json", "expected a success status, got status 300 with content type"),
        (404, "", "expected a success status, got status 404 with no content type"),
        (200, "text/html, application/json", None),
        (200, "text/json", "expected an event stream or NDJSON, got status 200 with content type"),
        (200, "application/xml", "expected an event stream or NDJSON, got status 200 with content"),
    ],
)
def test_responses_that_may_have_json(
    status_code: int, content_type: str, reason: str | None
) -> None:
    found = why_no_json_stream(status_code, content_type)
    assert found == reason if reason is None or found is None else found.startswith(reason)


RS = "\x1e"
OVER_LINES = '{\n  "a": [\n    "}\\"{",\n    1\n  ]\n}'
TEXTS: dict[str, tuple[type[TextDecoder], str, list[str]]] = {
    "a document": (TextDecoder, OVER_LINES, [OVER_LINES]),
    "an array": (TextDecoder, "[1,\n2]\n", ["[1,\n2]\n", ""]),
    "one after the other": (
        TextDecoder,
        '{"a":1}\n[2\n]\r\n3\n',
        ['{"a":1}\n', "[2\n]\r\n", "3\n", ""],
    ),
    "blank lines": (TextDecoder, "\n\n1", ["\n", "\n", "1"]),
    "escapes": (TextDecoder, '"\\\\"\n"\\"\\\\\\""\n', ['"\\\\"\n', '"\\"\\\\\\""\n', ""]),
    "closed too often": (TextDecoder, "}\n{\n}\n", ["}\n", "{\n}\n", ""]),
    "a line end in a string": (TextDecoder, '{"a\n1\n', ['{"a\n', "1\n", ""]),
    "a bracket in a string": (TextDecoder, '"["\n1\n', ['"["\n', "1\n", ""]),
    "never closed": (TextDecoder, "[1\n2\n", ["[1\n2\n"]),
    "a sequence": (
        SequenceDecoder,
        f'{RS}{{"a":1}}\n{RS}[\n2]\n{RS}{{}}{RS}"x"',
        ["", '{"a":1}\n', "", "[\n2]\n", "", "{}", '"x"'],
    ),
    "a cut record": (SequenceDecoder, f"{RS}[1{RS}[2]\n", ["", f"[1{RS}", "[2]\n", ""]),
    "a number that may be cut": (
        SequenceDecoder,
        f"{RS}12{RS}34 {RS}true",
        ["", f"12{RS}", "34 ", f"true{RS}"],
    ),
}


@pytest.mark.parametrize("case", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_texts(case: tuple[type[TextDecoder], str, list[str]], size: int) -> None:
    kind, body, expected = case
    decoder = kind()
    encoded = body.encode()
    texts = [
        text
        for at in range(0, len(encoded), size)
        for text in decoder.feed(encoded[at : at + size])
    ]
    assert texts + decoder.close() == [text.encode() for text in expected]


def test_a_text_without_end_is_refused() -> None:
    decoder = TextDecoder()
    assert decoder.feed(b'"' + b"x" * (16 * 1024 * 1024 - 1)) == []
    with pytest.raises(EventTooLarge):
        decoder.feed(b"x")
