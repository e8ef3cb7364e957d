"""How the oracles are asked and compared, without any of them: no browser, no Node."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from benchmarks import conformance
from tests.oracle import __main__ as tool
from tests.oracle import report
from tests.oracle.cases import (
    CONNECTION,
    SITUATIONS,
    Case,
    Connect,
    End,
    Outcome,
    Response,
    all_cases,
    expected,
    types_in,
)
from tests.oracle.compare import Difference, Known, differences, summary, unlisted
from tests.oracle.known import KNOWN
from tests.oracle.oracles import Oracle, Unavailable, ask
from tests.oracle.server import Server

CASES: Final = all_cases()
BROWSER: Final = Oracle("Chromium", "1.2", ("browser", "{url}"))
GONE: Final = Response(status=204)
CASE: Final = Case(
    "id",
    "set",
    "whole",
    (Response((b"retry: 500\nid: 1\nevent: a\ndata: x\n\n",)), GONE),
)
RIGHT: Final = Outcome((("a", "x", "1"),), (Connect(), Connect("", "1", 500)), "closed")

needs_groups = pytest.mark.skipif(os.name == "nt", reason="ends processes by their group")


def found_in(outcome: Outcome, case: Case = CASE) -> list[Difference]:
    return list(differences("Chromium", case, outcome))


# -- what is expected ------------------------------------------------------------------------------


def test_every_vector_is_asked_in_its_chunkings() -> None:
    vectors = {f"{vector.family}/{vector.name}": vector for vector in conformance.vectors()}
    asked = [case for case in CASES if case.family != CONNECTION]
    assert {case.title for case in asked} == set(vectors)
    assert len({(case.title, case.chunking) for case in asked}) == len(asked)
    for case in asked:
        vector = vectors[case.title]
        first = case.responses[0]
        assert b"".join(first.chunks) == vector.stream
        assert case.chunking != "1-byte" or all(len(chunk) == 1 for chunk in first.chunks)
        assert list(expected(case).events) == [event[:3] for event in vector.events]


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("the stream ends", Outcome((("message", "x", ""),), (Connect(), Connect()), "closed")),
        ("204", Outcome((), (Connect(),), "closed")),
        ("`text/plain`", Outcome((), (Connect(),), "closed")),
        (
            "`TEXT/Event-Stream`",
            Outcome((("message", "é", ""),), (Connect(), Connect("", "", 100)), "closed"),
        ),
        (
            "307, then a stream",
            Outcome(
                (("message", "x", "1"),),
                (Connect(), Connect("moved", "", 0), Connect("moved", "1", 100)),
                "closed",
            ),
        ),
        (
            "no `id` in the second stream",
            Outcome(
                (("message", "x", "1"), ("message", "y", "1")),
                (Connect(), Connect("", "1", 100), Connect("", "1", 100)),
                "closed",
            ),
        ),
        (
            "`id: 2` in an unfinished block",
            Outcome((("message", "x", "1"),), (Connect(), Connect("", "1", 100)), "closed"),
        ),
    ],
)
def test_expectation_of_a_situation(name: str, outcome: Outcome) -> None:
    (case,) = [case for case in CASES if case.title == f"{CONNECTION}/{name}"]
    assert expected(case) == outcome


def test_long_reconnection_time_is_not_waited_for() -> None:
    case = replace(CASE, responses=(Response((b"retry: 60000\n\n",)), GONE))
    assert expected(case) == Outcome((), (Connect(),), "waiting")


def test_a_case_needs_an_end() -> None:
    with pytest.raises(ValueError, match=r"^id/set has no response that ends it$"):
        expected(replace(CASE, responses=CASE.responses[:1]))


def test_types_are_those_of_the_decoder_and_of_mistakes() -> None:
    case = replace(CASE, responses=(Response((b"event:  a\nEvent: b\nevent\n\n",)), GONE))
    assert {"message", "", " a", "a", "b"} <= set(types_in(case))


# -- what is reported ------------------------------------------------------------------------------


def test_right_outcomes_are_no_differences() -> None:
    assert expected(CASE) == RIGHT
    for case in CASES:
        outcome = expected(case)
        after = [3000 if each.after is None else each.after for each in outcome.connects[1:]]
        seen = [
            replace(each, after=time)
            for each, time in zip(outcome.connects[1:], after, strict=True)
        ]
        assert not found_in(replace(outcome, connects=(Connect(), *seen)), case)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (("message", "x", "1"), '[["message", "x", "1"]]'),
        (("a", "y", "1"), '[["a", "y", "1"]]'),
        (("a", "x", ""), '[["a", "x", ""]]'),
    ],
)
def test_wrong_event_is_reported(event: tuple[str, str, str], text: str) -> None:
    (difference,) = found_in(replace(RIGHT, events=(event,)))
    assert str(difference) == (
        f'Chromium, id/set (whole), events:\n  wanted [["a", "x", "1"]]\n  found  {text}'
    )


@pytest.mark.parametrize("events", [(), RIGHT.events * 2])
def test_wrong_number_of_events_is_reported(events: tuple[tuple[str, str, str], ...]) -> None:
    (difference,) = found_in(replace(RIGHT, events=events))
    assert difference.aspect == "events"


def test_wrong_id_is_reported() -> None:
    connects = (Connect(), Connect("", "", 500))
    (difference,) = found_in(replace(RIGHT, connects=connects))
    assert (difference.aspect, difference.wanted, difference.found) == (
        "Last-Event-ID",
        '["1"]',
        '[""]',
    )


@pytest.mark.parametrize(
    ("connects", "end", "text"),
    [
        ([Connect("", "1", 5)], "closed", "at once"),
        ([Connect("", "1", 3001.5)], "closed", "after 3 s"),
        ([Connect("moved", "1", 500)], "closed", "after 0.5 s to /moved"),
        ([], "waiting", "not within 6 s"),
        ([], "closed", "never"),
        ([Connect("", "1", 500)] * 2, "closed", "after 0.5 s, then after 0.5 s"),
        ([Connect("", "1", 500)], "silent", "after 0.5 s, then no end"),
    ],
)
def test_wrong_reconnection_is_reported(connects: list[Connect], end: End, text: str) -> None:
    (difference,) = found_in(replace(RIGHT, connects=(Connect(), *connects), end=end))
    assert (difference.aspect, difference.wanted) == ("reconnection", "after 0.5 s")
    assert difference.found == text


@pytest.mark.parametrize(
    ("after", "fits"), [(1000, False), (2000, True), (5000, True), (7000, False)]
)
def test_default_reconnection_time_is_a_few_seconds(after: float, fits: bool) -> None:
    case = replace(CASE, responses=(Response((b"data: x\n\n",)), GONE))
    outcome = Outcome((("message", "x", ""),), (Connect(), Connect("", "", after)), "closed")
    assert [each.wanted for each in found_in(outcome, case)] == ["after some seconds"] * (not fits)


KNOWN_ONE: Final = Known(
    "Chromium", "It is late.", "theirs", "9.2.3", {("id/set", "reconnection"): "after 3 s"}
)


def late(after: float) -> list[Difference]:
    return found_in(replace(RIGHT, connects=(Connect(), Connect("", "1", after))))


def test_known_is_what_was_found_exactly() -> None:
    assert unlisted(late(3001), [KNOWN_ONE]) == []
    assert unlisted(late(3001), []) == late(3001)
    assert unlisted(late(5000), [KNOWN_ONE]) == late(5000)
    assert unlisted(late(3001), [replace(KNOWN_ONE, oracle="Node")]) == late(3001)


def test_what_is_known_is_about_cases_there_are() -> None:
    cases = {case.title: case for case in CASES}
    for known in KNOWN:
        assert known.does.endswith(".")
        assert known.reason.endswith((".", ")"))
        for (title, aspect), text in known.found.items():
            assert summary(aspect, expected(cases[title])) != text, title


# -- the page --------------------------------------------------------------------------------------


def test_tables_count_what_agrees() -> None:
    text = report.tables([BROWSER], [CASE, replace(CASE, chunking="1-byte")], late(3001), [])
    assert "| id | 1 | 2 | 2 |\n| **all** | **1** | **2** | **2** |" in text
    assert "| reconnection time | 2 | 1 |\n| last event ID | 2 | 2 |" in text
    assert text.endswith("### Chromium 1.2\n\nNone.\n")
    wrong = found_in(replace(RIGHT, events=()))
    assert "| id | 1 | 1 | 0 |" in report.tables([BROWSER], [CASE], wrong, [])


def test_tables_show_what_is_known_with_its_reason() -> None:
    text = report.tables([BROWSER], [CASE], late(3001), [KNOWN_ONE])
    assert "**It is late.** By the standard it is wrong: 9.2.3\n" in text
    assert "| `id/set` | reconnection | after 0.5 s | after 3 s |\n" in text


def test_tables_tell_of_each_situation() -> None:
    name = SITUATIONS[0].name
    case = replace(CASE, family=CONNECTION, name=name)
    wrong = found_in(replace(RIGHT, events=()), case)
    rows = report.tables([BROWSER], [CASE, case], wrong, []).splitlines()
    assert [row.endswith(" **no** |") for row in rows if row.startswith(f"| {name} |")] == [True]
    assert sum(row.endswith(" yes |") for row in rows) == len(SITUATIONS) - 1


def test_page_is_replaced_between_its_comments() -> None:
    page = report.PAGE.read_text("utf-8")
    once = report.replaced(page, "text\n")
    assert once != page
    assert report.replaced(once, "text\n") == once
    with pytest.raises(ValueError, match=r"^the page lacks "):
        report.replaced("no comments", "text\n")


def test_committed_page_is_about_all_there_is() -> None:
    page = report.PAGE.read_text("utf-8")
    for family in {vector.family for vector in conformance.vectors()}:
        assert f"\n| {family} | " in page
    for situation in SITUATIONS:
        assert f"\n| {situation.name} | " in page
    for known in KNOWN:
        assert f"\n**{known.does}** " in page
        for title, _ in known.found:
            assert f"\n| `{title}` | " in page or f"\n| {title.partition('/')[2]} | " in page


# -- asking ----------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(server: Server) -> AsyncGenerator[int]:
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


async def request(port: int, head: str, body: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode("latin-1") + body)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_server_answers_each_connect_and_takes_notes() -> None:
    server = Server([replace(CASE, responses=(Response((b"da", b"ta")), GONE))])
    async with serving(server) as port:
        first = await request(port, "GET /stream/0 HTTP/1.1")
        await asyncio.sleep(0.05)
        sent = "é€".encode().decode("latin-1")
        second = await request(port, f"GET /stream/0/moved HTTP/1.1\r\nLast-Event-ID: {sent}")
        assert b"\r\nContent-Type: text/event-stream\r\n" in first
        assert first.endswith(b"\r\n\r\n2\r\nda\r\n2\r\nta\r\n0\r\n\r\n")
        assert second.startswith(b"HTTP/1.1 204 ")
        begin, then = server.connects[0]
        assert begin == Connect()
        assert (then.path, then.last_event_id) == ("moved", "é€")
        assert then.after is not None
        assert 50 <= then.after < 1000


async def test_server_breaks_off_and_redirects() -> None:
    responses = (Response((b"data",), cut=True), Response(status=0), Response(status=301), GONE)
    server = Server([replace(CASE, responses=responses)])
    async with serving(server) as port:
        answers = [await request(port, "GET /stream/0 HTTP/1.1") for _ in responses]
        assert answers[0].endswith(b"\r\n4\r\ndata\r\n")
        assert answers[1] == b""
        assert b"\r\nLocation: /stream/0/moved\r\n" in answers[2]
        assert (await request(port, "GET / HTTP/1.1")).count(b"EventSource") == 1
        assert (await request(port, "GET /other HTTP/1.1")).startswith(b"HTTP/1.1 404 ")


# Answers as an oracle does, but always the same, and does not end by itself.
PUPPET: Final = """
import json, sys, time
from urllib.request import urlopen

url, results = sys.argv[1], json.loads(sys.argv[2])
assert len(json.load(urlopen(url + "/cases", timeout=5))) == len(results)
answer = json.dumps({"pieces": json.loads(sys.argv[3]), "results": results}).encode()
urlopen(url + "/answer", answer, timeout=5).close()
time.sleep(60)
"""


def puppet(*, pieces: int | None) -> Oracle:
    result = {
        "number": 0,
        "events": [["a", "x", "1"]],
        "end": "closed",
        "kept": {"last_event_id": "1", "retry": 500},
    }
    words = json.dumps([result]).replace("{", "{{").replace("}", "}}")
    code = PUPPET.replace("{", "{{").replace("}", "}}")
    return Oracle("Node", "1", (sys.executable, "-c", code, "{url}", words, json.dumps(pieces)))


@needs_groups
async def test_ask_returns_outcomes() -> None:
    assert await ask(puppet(pieces=None), [CASE]) == [RIGHT]


@needs_groups
async def test_ask_wants_chunks_to_arrive_as_they_were_sent() -> None:
    with pytest.raises(Unavailable, match=r"^Node read 40 chunks in 2 pieces: "):
        await ask(puppet(pieces=2), [CASE])


@needs_groups
async def test_ask_tells_why_there_is_no_answer() -> None:
    oracle = Oracle("Node", "1", (sys.executable, "-c", "raise SystemExit('no display')"))
    with pytest.raises(Unavailable, match=r"^Node gave no answer \(status 1\):\nno display$"):
        await ask(oracle, [CASE])


# -- the tool --------------------------------------------------------------------------------------


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A page of its own, one case, and one oracle, which does as `answers` says."""
    copy = tmp_path / "oracle.md"
    copy.write_text(report.replaced(report.PAGE.read_text("utf-8"), ""), "utf-8")
    monkeypatch.setattr(tool, "PAGE", copy)
    monkeypatch.setattr(tool, "KNOWN", (KNOWN_ONE,))
    monkeypatch.setattr(tool, "all_cases", lambda: [CASE])

    def find_oracles(_: Path) -> list[Oracle]:
        return [BROWSER]

    monkeypatch.setattr(tool, "find_oracles", find_oracles)
    return copy


def answers(monkeypatch: pytest.MonkeyPatch, *outcomes: Outcome) -> None:
    left = list(outcomes)

    async def ask(_: Oracle, cases: Sequence[Case]) -> list[Outcome]:
        return [left.pop(0) for _ in cases]

    monkeypatch.setattr(tool, "ask", ask)


def arriving(after: float) -> Outcome:
    return replace(RIGHT, connects=(Connect(), Connect("", "1", after)))


def test_tool_renews_the_page(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []
    for after in (3001, 3001, 3123):
        answers(monkeypatch, arriving(after))
        assert tool.main([]) == 0
        written.append(page.read_text("utf-8"))
    assert "**It is late.**" in written[0]
    assert len(set(written)) == 1
    assert "Chromium 1.2: 1 of 1 streams differ\n" in capsys.readouterr().out


def test_tool_fails_on_what_is_not_known(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = page.read_text("utf-8")
    answers(monkeypatch, replace(RIGHT, events=()))
    assert tool.main([]) == 1
    assert page.read_text("utf-8") == before
    printed = capsys.readouterr().out
    assert "Chromium, id/set, reconnection: no longer differs\n" in printed
    assert "1 differences that are not in tests/oracle/known.py:\nChromium, id/set" in printed


def test_tool_asks_once_more_what_came_late(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, arriving(2000), RIGHT)
    assert tool.main([]) == 0
    assert "None." in page.read_text("utf-8")
    answers(monkeypatch, arriving(2000), arriving(2000))
    assert tool.main([]) == 1


def test_tool_tells_what_is_missing(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = page.read_text("utf-8")

    def find_oracles(_: Path) -> list[Oracle]:
        raise Unavailable("there is no Chromium: apt-get install chromium")

    monkeypatch.setattr(tool, "find_oracles", find_oracles)
    assert tool.main([]) == 2
    assert capsys.readouterr().err == "there is no Chromium: apt-get install chromium\n"
    assert page.read_text("utf-8") == before
