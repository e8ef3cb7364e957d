"""The programs in examples/ do what they say, run as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.servers import Exchange, RawServer

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
SECONDS: Final = 20

needs_signals: Final = pytest.mark.skipif(
    os.name == "nt", reason="there is no SIGINT to send to another process"
)


# A shell that starts this in the background may have SIGINT ignored.
RUN: Final = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@contextmanager
def running(
    program: str, *arguments: str, cwd: Path
) -> Generator[subprocess.Popen[str], None, None]:
    """Run an example; at the end it must be over."""
    pipe = subprocess.PIPE
    paths = [str(EXAMPLES.parent), str(EXAMPLES.parent / "adapters"), os.environ.get("PYTHONPATH")]
    with subprocess.Popen(
        [sys.executable, "-u", "-c", RUN, str(EXAMPLES / program), *arguments],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        cwd=cwd,
        env={**os.environ, "API_KEY": "k", "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def chunk(content: str) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": content}}]}).encode()


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


def test_chat_keeps_the_conversation(server: RawServer, tmp_path: Path) -> None:
    asked: list[list[dict[str, str]]] = []

    @server.route("/v1/chat/completions")
    def answer(exchange: Exchange) -> None:
        asked.append(json.loads(exchange.body)["messages"])
        assert exchange.header("authorization") == "Bearer k"
        if len(asked) == 2:
            exchange.respond(429, headers=[("Content-Type", "text/plain")], body=b"slowly")
            return
        exchange.start()
        exchange.send(b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n')
        for token in ("Hel", "lo"):
            exchange.send(chunk(token))
        exchange.send(b"data: [DONE]\n\n")

    url = server.url("/v1")
    with running("chat.py", "--url", url, "--model", "small", cwd=tmp_path) as process:
        output, errors = process.communicate("Hi\nAgain\nOnce more\n", timeout=SECONDS)
    assert process.returncode == 0
    assert output.count("Hello\n") == 2
    assert "status 429" in errors
    assert "slowly" in errors
    assert [[message["content"] for message in messages] for messages in asked] == [
        ["Hi"],
        ["Hi", "Hello", "Again"],
        ["Hi", "Hello", "Once more"],
    ]


@needs_signals
def test_ctrl_c_ends_an_answer_and_not_the_chat(server: RawServer, tmp_path: Path) -> None:
    @server.route("/v1/chat/completions")
    def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(chunk("Well"))
        exchange.wait_closed(SECONDS)

    url = server.url("/v1")
    with running("chat.py", "--url", url, "--model", "small", cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Hi\n")
        process.stdin.flush()
        assert process.stdout.read(6) == "> Well"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate("", timeout=SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert output == " [interrupted]\n> \n"


@needs_signals
def test_feed_goes_on_after_a_restart(server: RawServer, tmp_path: Path) -> None:
    seen: list[str | None] = []

    @server.route("/feed")
    def feed(exchange: Exchange) -> None:
        seen.append(exchange.header("last-event-id"))
        begin = int(seen[-1] or 0) + 1
        exchange.start()
        exchange.send(b"retry: 10\n\n")
        for number in range(begin, begin + 2):
            exchange.send(b"id: %d\ndata: event %d\ndata: more\n\n" % (number, number))
        if len(seen) % 2:
            exchange.reset()
        else:
            exchange.wait_closed(SECONDS)

    for begin in (1, 5):
        with running("follow_feed.py", server.url("/feed"), cwd=tmp_path) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(5)]
            state = tmp_path / "feed.json"
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 130
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        events = [line for line in lines if not line.startswith("(")]
        assert events == [f"{n}  message  event {n}\n" for n in range(begin, begin + 4)]
        assert "(lost: event stream broke off" in "".join(lines)
        # The last one may have been interrupted between its line and its state.
        last = json.loads(state.read_text())["last_event_id"]
        assert last in (str(begin + 2), str(begin + 3))
        state.write_text(json.dumps({"last_event_id": str(begin + 3)}))
    assert seen == [None, "2", "4", "6"]


def test_metrics_of_several_servers(server: RawServer, tmp_path: Path) -> None:
    visits = 0

    @server.route("/a")
    def metrics(exchange: Exchange) -> None:
        nonlocal visits
        visits += 1
        if visits == 3:
            exchange.respond(204)
            return
        exchange.start()
        exchange.send(b'retry: 10\ndata: {"name": "cpu", "value": %d}\n\n' % visits)
        exchange.send(b"data: nonsense\n\n")

    with running("tail_metrics.py", server.url("/a"), server.url("/b"), cwd=tmp_path) as process:
        output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    assert "cpu               2.000   least 1.000  mean 1.500  greatest 2.000" in output
    assert output.count("not a metric") == 2
    assert "failed: expected status 200, got status 404" in output


def test_a_run_is_resumed_by_get(server: RawServer, tmp_path: Path) -> None:
    @server.route("/runs")
    def create(exchange: Exchange) -> None:
        exchange.start(headers=[("Location", "/runs/7")])
        exchange.send(b"id: 1\nretry: 1\ndata: one\n\nid: 2\ndata: unfin")
        exchange.truncate()

    @server.route("/runs/7")
    def go_on(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b"id: 2\ndata: two\n\nid: 3\nevent: end\ndata: null\n\n")

    with running("resume_run.py", server.url("/runs"), cwd=tmp_path) as program:
        output, _ = program.communicate(timeout=30)
    assert output == "1 message one\n2 message two\n3 end null\n"
    assert [request.method for request in server.requests] == ["POST", "GET"]
    assert server.requests[1].header_values("last-event-id") == ["1"]
