"""`sse-conformance` against drivers that are right, wrong, and hardly drivers at all."""

from __future__ import annotations

import importlib
import json
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest

from sse_testing import (
    ConformanceError,
    ConformanceReport,
    Failure,
    FamilyCount,
    reference,
    run_conformance,
)
from sse_testing._cli import main
from sse_testing._conformance import RANDOM
from sse_testing._driver import Driver, Fault
from sse_testing._report import page, text

ROOT: Final = Path(__file__).parents[2]

# What all drivers here begin with, and what a right one does with a request.
HEAD: Final = f"""
import base64, json, os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from sse_testing import reference

def chunks_of(request):
    return [base64.b64decode(chunk) for chunk in request["chunks"]]

def answer(request, events=None):
    outcome = reference(b"".join(chunks_of(request)))
    told = outcome.events if events is None else events
    return json.dumps({{
        "id": request["id"],
        "events": [each._asdict() for each in told],
        "last_event_id": outcome.last_event_id,
        "retry": outcome.reconnection_time,
    }})

requests = map(json.loads, iter(sys.stdin.readline, ""))
"""

RIGHT: Final = """
print(json.dumps({"name": "right", "version": "1.0"}), flush=True)
for request in requests:
    print(answer(request), flush=True)
"""

MakeDriver = Callable[[str], list[str]]

# Seconds after which a driver here hangs. Those that must not be taken for hanging get more.
SHORT: Final = 0.5
LONG: Final = 30.0
# How a driver says that it has started. On a busy machine that may take longer than `SHORT`, so the
# time begins here for those that say it.
UP: Final = 'os.mkdir(__file__ + ".up")\n'


@pytest.fixture
def make_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeDriver:
    path = tmp_path / "driver.py"
    up = tmp_path / "driver.py.up"
    module: Any = importlib.import_module("sse_testing._driver")
    new_process = module._Process

    def start(command: Sequence[str]) -> object:
        process = new_process(command)
        deadline = time.monotonic() + LONG
        while not up.exists():
            assert time.monotonic() < deadline, process.last_words()
            time.sleep(0.005)
        up.rmdir()  # for the next one
        return process

    def make(code: str) -> list[str]:
        if UP in code:
            monkeypatch.setattr(module, "_Process", start)
        path.write_text(HEAD + code, "utf-8")
        return [sys.executable, str(path)]

    return make


def run(command: list[str], **options: Any) -> ConformanceReport:
    defaults: dict[str, Any] = {"seconds": 0, "timeout": LONG, "whole_only": True}
    return run_conformance(command, **defaults | options)


def failed(report: ConformanceReport) -> set[str]:
    return {failure.title for failure in report.failures}


def test_a_right_parser_passes(make_driver: MakeDriver) -> None:
    report = run(make_driver(RIGHT), seconds=1, whole_only=False)
    assert report.is_ok
    assert not report.failures
    assert (report.name, report.version) == ("right", "1.0")
    assert sum(family.vectors for family in report.families.values()) > 566 + 100
    assert report.families["utf8"].cases > 2 * report.families["utf8"].vectors
    assert list(report.families)[-1] == RANDOM
    assert text(report).endswith("\npassed")


def test_a_wrong_parser_fails_where_it_is_wrong(make_driver: MakeDriver) -> None:
    code = """
for request in requests:
    events = reference(b"".join(chunks_of(request)).replace(b"\\0", b"")).events
    print(answer(request, events), flush=True)
"""
    report = run(make_driver(code), seconds=1)
    assert not report.is_ok
    assert "id/nul_is_ignored" in failed(report)
    assert all(b"\0" in b"".join(failure.chunks) for failure in report.failures)
    random = [failure for failure in report.failures if failure.family == RANDOM]
    assert random
    assert all(sum(map(len, failure.chunks)) < 20 for failure in random)
    shown = text(report)
    assert "id/nul_is_ignored" not in shown or "rule      HTML 9.2.6" in shown
    assert "and " in shown
    assert " more: --all shows them" in shown
    assert "id/nul_is_ignored" in text(report, every=True)
    assert shown.endswith("\nFAILED")


def test_the_commonest_mistake_is_kept_once(make_driver: MakeDriver) -> None:
    code = """
from sse_testing._misreadings import misread
for request in requests:
    print(answer(request, misread(chunks_of(request), "dispatch-all").events), flush=True)
"""
    report = run(make_driver(code), seconds=2)
    random = [failure for failure in report.failures if failure.family == RANDOM]
    assert len(random) <= 3
    assert random[0].symptom == "dispatches blocks without data"
    assert report.families[RANDOM].failed > 20
    assert "What the parser seems to do:\n" in text(report)


def test_it_can_stop_at_the_first_failure(make_driver: MakeDriver) -> None:
    code = """
for request in requests:
    print(answer(request, []), flush=True)
"""
    report = run(make_driver(code), stop_at_first=True, seconds=60)
    assert len(report.failures) == 1
    assert RANDOM not in report.families


def test_it_can_stop_at_the_first_random_failure(make_driver: MakeDriver) -> None:
    code = """
for request in requests:
    is_known = b"".join(chunks_of(request)) in known
    print(answer(request, None if is_known else wrong), flush=True)
"""
    report = run(make_driver(KNOWN + code), stop_at_first=True, seconds=60)
    assert failed(report) == {RANDOM}
    assert report.seconds < 30


# -- drivers that misbehave ------------------------------------------------------------------------


def test_answers_in_any_order(make_driver: MakeDriver) -> None:
    code = """
waiting = []
for request in requests:
    waiting.append(request)
    if len(waiting) == 8:
        for each in reversed(waiting):
            print(answer(each), flush=True)
        waiting = []
    elif request["id"] > 560:
        while waiting:
            print(answer(waiting.pop()), flush=True)
"""
    assert run(make_driver(code)).is_ok


def test_rubbish_between_the_answers(make_driver: MakeDriver) -> None:
    code = """
print("Hello!")
for request in requests:
    if request["id"] == 3:
        sys.stdout.flush()
        sys.stdout.buffer.write(b"\\xff\\xfe rubbish\\n")
        print("[" * 100_000)
        print("[1, 2]")
        print('{"id": 100000, "events": []}')
        print('{"id": "x"}')
        print(answer(request))
    print(answer(request), flush=True)  # the third one twice
"""
    report = run(make_driver(code))
    assert report.is_ok
    assert report.stray_count == 7
    assert report.strays[0] == "Hello!"
    assert "7 lines from the driver were not answers; the first: \n  Hello!" in text(report)


def test_rubbish_without_end(make_driver: MakeDriver) -> None:
    code = f"""
{UP}
for request in requests:
    print(answer(request), flush=True)
    while request["id"] > 3:
        print("rubbish")
"""
    report = run(make_driver(code), timeout=SHORT)
    assert any(failure.difference.startswith("no answer in") for failure in report.failures)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("{}", "the answer has no list of events"),
        ('{"events": 5}', "the answer has no list of events"),
        ('{"events": [5]}', "in the answer: not an event, as it has no data: 5"),
        ('{"error": "no"}', "the parser failed: no"),
        ('{"events": [], "retry": 1%s}' % ("0" * 5000), "the reconnection time is inf"),
    ],
)
def test_answers_that_are_none(make_driver: MakeDriver, reply: str, told: str) -> None:
    code = f"""
for request in requests:
    reply = {reply!r}
    rest = '"x": 1}}' if reply == "{{}}" else reply[1:]
    print('{{"id": %d, %s' % (request["id"], rest), flush=True)
"""
    with Driver(make_driver(code), timeout=LONG) as driver:
        reply_ = driver.ask([b"data"])
    if isinstance(reply_, Fault):
        assert reply_.text.startswith(told)
    else:
        assert reply_["retry"] == float("inf")


def test_a_crash_costs_one_case(make_driver: MakeDriver) -> None:
    code = """
for request in requests:
    if b"e\\xcc\\x81" in b"".join(chunks_of(request)):
        print("I do not like this", file=sys.stderr, flush=True)
        os._exit(7)
    print(answer(request), flush=True)
"""
    report = run(make_driver(code))
    (failure,) = report.failures
    assert failure.title == "utf8/combining_marks_are_not_normalized"
    assert failure.difference == "the driver ended with exit status 7\n  I do not like this"
    assert failure.answer is None
    assert failure.found == failure.difference
    assert failure.symptom.startswith("the driver ended with exit status 7")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_a_signal_is_named(make_driver: MakeDriver) -> None:
    code = """
import signal
for request in requests:
    if request["id"] > 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    print(answer(request), flush=True)
"""
    with Driver(make_driver(code), timeout=LONG) as driver:
        replies = driver.ask_all([[b"x"], [b"y"]])
    assert replies[1] == Fault("the driver ended with signal 11", "crash")


def test_a_random_crash_is_made_small(make_driver: MakeDriver) -> None:
    code = """
for request in requests:
    stream = b"".join(chunks_of(request))
    if b"\\xf0\\x9f\\xf0\\x9f" in stream:
        os._exit(7)
    print(answer(request), flush=True)
"""
    report = run(make_driver(code), seconds=3)
    random = [failure for failure in report.failures if failure.family == RANDOM]
    assert random
    assert len(b"".join(random[0].chunks)) < 12


def test_a_case_that_hangs_costs_one_case(make_driver: MakeDriver) -> None:
    code = f"""
{UP}
for request in requests:
    if b"e\\xcc\\x81" in b"".join(chunks_of(request)):
        time.sleep(60)
    print(answer(request), flush=True)
"""
    report = run(make_driver(code), timeout=2)
    (failure,) = report.failures
    assert failure.title == "utf8/combining_marks_are_not_normalized"
    assert failure.difference == "no answer in 2 s"


def test_one_that_hangs_again_and_again_is_given_up(make_driver: MakeDriver) -> None:
    code = f"""
{UP}
for request in requests:
    if request["id"] > 1:
        time.sleep(60)
    print(answer(request), flush=True)
"""
    began = time.monotonic()
    report = run(make_driver(code), timeout=SHORT, seconds=1)
    assert time.monotonic() - began < 40
    assert len(failed(report)) > 500
    last = report.failures[-1].difference
    assert last == "not asked: the driver crashed or hung too often"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sys.exit(3)", "the driver ended with exit status 3"),
        ("sys.exit('no license')", "no license"),
        ("time.sleep(60)", "no answer in 0.5 s, nor before"),
        ("print('x', flush=True); time.sleep(60)", "answers only once|nor before"),
        (
            UP + "for line in sys.stdin.readlines(): print(answer(json.loads(line)))",
            "answers only once its input has ended: it must flush its output after each line",
        ),
        ("os.close(1); time.sleep(60)", "the driver ended with signal 9"),
    ],
)
def test_one_that_never_answers(make_driver: MakeDriver, code: str, message: str) -> None:
    timeout = LONG if "exit" in code or "close" in code else SHORT
    with pytest.raises(ConformanceError, match=message):
        run(make_driver(code), timeout=timeout)


def test_one_that_is_not_there() -> None:
    with pytest.raises(ConformanceError, match="no-such-program does not start"):
        run(["no-such-program"])


@pytest.mark.skipif(sys.platform == "win32", reason="processes are ended by their group")
def test_what_a_driver_starts_ends_with_it(make_driver: MakeDriver, tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    code = (
        f"""
import subprocess
child = "import time\\nfor i in range(600):\\n open({str(mark)!r}, 'a').write('x'); time.sleep(.05)"
subprocess.Popen([sys.executable, "-c", child])
"""
        + RIGHT
    )
    with Driver(make_driver(code), timeout=LONG) as driver:
        assert driver.ask([b"data\n\n"])
        while not mark.exists():
            time.sleep(0.05)
    size = mark.stat().st_size
    time.sleep(0.5)
    assert mark.stat().st_size <= size + 1


# -- the command -----------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Checks that what is opened is closed, and keeps what would be fetched."""

    VOID = ("meta",)
    OPTIONAL = ("li", "td", "th", "tr", "dt", "dd")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in (*self.VOID, *self.OPTIONAL):
            self.open.append(tag)
        self.fetched += [value or "" for name, value in attrs if name == "src"]
        self.fetched += [tag] if tag in ("script", "link", "img", "iframe") else []

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.OPTIONAL:
            assert self.open.pop() == tag


WRONG: Final = """
for request in requests:
    chunks = chunks_of(request)
    if chunks[:1] == [b"\\xef"]:
        print(json.dumps({"id": request["id"], "error": "<b>no</b>"}), flush=True)
    else:
        print(answer(request, reference(b"".join(chunks).lower()).events), flush=True)
"""


def test_the_page_needs_nothing_else(make_driver: MakeDriver) -> None:
    report = run(
        make_driver("print('<i>stray</i>')" + WRONG), expected_failures=["id/set", "bom/one"]
    )
    parser = Tags()
    html = page(report)
    parser.feed(html)
    parser.close()
    assert parser.open == []
    assert parser.fetched == []
    assert "<b>no</b>" not in html
    assert "<i>stray" not in html
    assert "Expected to fail, but passed" in html
    assert "fields/name_is_case_sensitive" not in html  # it stands under its family
    assert ">name_is_case_sensitive<" in html
    for words in ("9.2.6", "ignores the case of names", '<span class="byte">LF</span>'):
        assert words in html


def test_the_page_of_a_right_parser(make_driver: MakeDriver) -> None:
    html = page(run(make_driver(RIGHT)))
    assert "right 1.0: <span" in html
    assert "passed" in html
    assert "<details" not in html


def test_the_page_cuts_long_streams(make_driver: MakeDriver) -> None:
    report = run(
        make_driver("for request in requests:\n    print(answer(request, []), flush=True)")
    )
    html = page(report)
    assert " bytes more" in html
    assert len(html) < 2_000_000


def test_the_command(
    make_driver: MakeDriver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html = tmp_path / "report.html"
    options = ["--seconds", "0", "--timeout", "30", "--html", str(html), "--seed", "1"]
    assert main([*options, "--", *make_driver(RIGHT)]) == 0
    assert "right 1.0" in capsys.readouterr().out
    assert "right 1.0" in html.read_text("utf-8")


def test_expected_failures(
    make_driver: MakeDriver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver = make_driver(WRONG)
    assert main(["--seconds", "1", "--timeout", "30", "--all", "--", *driver]) == 1
    assert "ignores the case of names" in capsys.readouterr().out
    report = run(driver, whole_only=False)
    listed = tmp_path / "expected.txt"
    listed.write_text("# those\n" + "\n".join([*failed(report), "random  # too"]), "utf-8")
    options = ["--seconds", "2", "--timeout", "30", "--expected-failures", str(listed), "--"]
    assert main([*options, *driver]) == 0
    out = capsys.readouterr().out
    assert "failures were expected" in out
    listed.write_text("\n".join([*failed(report), "random", "data/one_line", "no/such"]), "utf-8")
    assert main([*options, *driver]) == 1
    out = capsys.readouterr().out
    assert "expected to fail, but passed: data/one_line" in out
    assert "expected to fail, but passed: no/such" in out


def test_random_ones_that_were_not_asked_are_not_outdated(make_driver: MakeDriver) -> None:
    assert run(make_driver(RIGHT), expected_failures=[RANDOM]).is_ok
    assert run(make_driver(RIGHT), expected_failures=[RANDOM], seconds=0.5).outdated == [RANDOM]


def test_the_command_tells_what_went_wrong(
    make_driver: MakeDriver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--", "no-such-program"]) == 2
    assert capsys.readouterr().err.startswith("sse-conformance: no-such-program does not start")
    assert main(["--expected-failures", str(tmp_path / "none"), "--", "x"]) == 2
    assert main(["-x", "--seconds", "0", "--", *make_driver(WRONG)]) == 1
    for arguments in (["--at-once", "0", "x"], []):
        with pytest.raises(SystemExit) as exited:
            main(arguments)
        assert exited.value.code == 2


def test_the_module_is_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["sse-conformance", "--", "no-such-program"])
    with pytest.raises(SystemExit) as exited:
        runpy.run_module("sse_testing", run_name="__main__")
    assert exited.value.code == 2


def test_the_output_may_be_cut(make_driver: MakeDriver) -> None:
    command = [sys.executable, "-m", "sse_testing", "--seconds", "0", "--all", "--"]
    process = subprocess.Popen([*command, *make_driver(WRONG)], stdout=-1, stderr=-1)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (1, b"")


def test_output_that_is_cut_is_no_failure(
    make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("builtins.print", closed)
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr("sys.stdout", out)
        assert main(["--seconds", "0", "--timeout", "30", "--", *make_driver(RIGHT)]) == 0


# How a driver here knows which streams are no vectors.
KNOWN: Final = """
from sse_testing import vectors
known = {vector.stream for vector in vectors()}
wrong = reference(b"data: wrong\\n\\n").events * 50
"""


def test_a_random_failure_that_does_not_come_again(make_driver: MakeDriver) -> None:
    code = """
seen = 0
for request in requests:
    seen += b"".join(chunks_of(request)) not in known
    print(answer(request, wrong if seen == 3 else None), flush=True)
"""
    report = run(make_driver(KNOWN + code), seconds=1)
    assert report.families[RANDOM].failed > 0
    assert report.is_ok


def test_a_random_hang_is_not_made_small(make_driver: MakeDriver) -> None:
    code = """
for request in requests:
    stream = b"".join(chunks_of(request))
    if stream not in known and b"data: x" in stream:
        time.sleep(60)
    print(answer(request), flush=True)
"""
    report = run(make_driver(KNOWN + UP + code), seconds=3, timeout=SHORT)
    random = [failure for failure in report.failures if failure.family == RANDOM]
    assert random
    assert random[0].difference.startswith(("no answer in", "not asked"))


def test_hangs_are_not_followed_while_a_failure_is_made_small(
    make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
for request in requests:
    is_known = b"".join(chunks_of(request)) in known
    print(answer(request, None if is_known else wrong), flush=True)
"""

    def ask(_: Driver, chunks: list[bytes]) -> Any:
        is_long = len(b"".join(chunks)) >= 9
        return {"events": [{"data": "?"}]} if is_long else Fault("no answer in 1 s", "silence")

    monkeypatch.setattr(Driver, "ask", ask)
    report = run(make_driver(KNOWN + code), seconds=4)
    random = [failure for failure in report.failures if failure.family == RANDOM]
    assert {len(b"".join(failure.chunks)) for failure in random if failure.answer} == {9}


def test_a_failure_of_no_known_rule_is_shown() -> None:
    failure = Failure(RANDOM, "seed 0", (b"x",), reference(b"x"), None, "crashed", None, "", None)
    report = ConformanceReport(["x"], failures=[failure], families={RANDOM: FamilyCount(1, 1, 1)})
    assert "random (seed 0)\n  bytes     b'x'\n  parser    crashed" in text(report)
    assert "crashed" in page(report)
    assert "<blockquote>" not in page(report)


def test_the_command_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sse_testing._cli.run_conformance", interrupt)
    assert main(["x"]) == 130


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_the_driver_of_npm_names_what_is_missing(tmp_path: Path) -> None:
    script = ROOT / "examples" / "conformance" / "npm.mjs"
    with pytest.raises(ConformanceError, match="ended with exit status 1"):
        run(["node", str(script), "eventsource-parser", str(tmp_path)])


@pytest.mark.parametrize("name", ["sse-proto (Python)", "httpx-sse"])
def test_the_driver_of_peers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    report = run([sys.executable, "-m", "examples.conformance.peers", name])
    assert report.name == name
    assert report.is_ok == (name != "httpx-sse")
    assert json.dumps(report.failures[0].answer if report.failures else {})


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_core_in_c_alone(tmp_path: Path) -> None:
    program = tmp_path / "core"
    source = ROOT / "examples" / "conformance" / "core.c"
    options = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O2"]
    subprocess.run(["cc", *options, "-o", str(program), str(source)], check=True)
    report = run([str(program)], seconds=1, whole_only=False)
    assert report.is_ok, text(report)
