"""sse-tail, as its users run it: events, options, exit statuses, terminals and pipes."""

from __future__ import annotations

import gc
import gzip
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final, NamedTuple, Protocol

import pytest

from sse_tail import cli
from sse_testing.cassette import Cassette
from tests.support.apps import API_KEY, app, serve
from tests.support.servers import Exchange, Handler, ProxyServer, RawServer, TlsFiles, tls_contexts

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "howto" / "command-line.md"
TIMEOUT: Final = 20.0  # seconds; for busy machines

COMMAND: Final = [sys.executable, "-m", "sse_tail"]
CLIENTS: Final = [name for name in ("httpxr", "httpx", "httpx2") if find_spec(name) is not None]
# A shell that starts this in the background may have SIGINT ignored.
DEAF_NO_MORE: Final = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from sse_tail.cli import main
raise SystemExit(main())
"""

posix_only = pytest.mark.skipif(os.name == "nt", reason="there is no such thing on Windows")


class Done(NamedTuple):
    """What a run has left."""

    status: int
    out: str
    err: str


class Tail(Protocol):
    def __call__(self, *arguments: str) -> Done: ...


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, encoding or terminal size of the machine's own."""
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    monkeypatch.setenv("PYTHONUTF8", "1")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(autouse=True)
def garbage_is_collected_here() -> Iterator[None]:
    """Collect no garbage in httpxr's threads, in which a sync client may not be dropped."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def tail(capsys: pytest.CaptureFixture[str]) -> Tail:
    """Runs the command line in this process."""

    def run(*arguments: str) -> Done:
        try:
            status = cli.main(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        printed = capsys.readouterr()
        return Done(status, printed.out, printed.err)

    return run


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return tls_contexts(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_server(tls: TlsFiles) -> Iterator[RawServer]:
    with RawServer({"/": sends(b"data: safe\n\n")}, ssl_context=tls.server_context) as server:
        yield server


def run(*arguments: str, given: bytes = b"", environment: Mapping[str, str] | None = None) -> Done:
    """Run the command line in a process of its own, with this on its standard input."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=given,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode().replace("\r\n", "\n"))


@contextmanager
def running(
    *arguments: str,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> Generator[subprocess.Popen[bytes]]:
    """Run the command line in a process of its own; it is to be ended in the block."""
    command = [sys.executable, "-c", DEAF_NO_MORE, *arguments]
    with subprocess.Popen(command, bufsize=0, stdout=stdout, stderr=stderr) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(stream: IO[bytes] | None) -> str:
    assert stream is not None
    return stream.readline().decode().rstrip("\r\n")


def finish(process: subprocess.Popen[bytes]) -> Done:
    """Wait for the end, and take what has not been read."""
    out, err = process.communicate(timeout=TIMEOUT)
    return Done(process.returncode, (out or b"").decode(), err.decode())


# -- handlers --------------------------------------------------------------------------------------


def sends(*parts: bytes) -> Handler:
    """Send an event stream, and end it."""

    def handler(exchange: Exchange) -> None:
        exchange.start()
        for part in parts:
            exchange.send(part)

    return handler


def sends_and_holds(*parts: bytes) -> Handler:
    """Send the start of an event stream, and wait for the client to leave."""

    def handler(exchange: Exchange) -> None:
        sends(*parts)(exchange)
        exchange.wait_closed(TIMEOUT)

    return handler


def silent(exchange: Exchange) -> None:
    exchange.wait_closed(TIMEOUT)


def one_after_the_other(*handlers: Handler) -> Handler:
    """Answer each request in another way, and those that follow with 204."""
    rest = list(handlers)

    def handler(exchange: Exchange) -> None:
        if rest:
            rest.pop(0)(exchange)
        else:
            exchange.respond(204)

    return handler


def breaks(*parts: bytes) -> Handler:
    """Send the start of an event stream, and break the connection."""

    def handler(exchange: Exchange) -> None:
        sends(*parts)(exchange)
        exchange.truncate()

    return handler


THREE: Final = (
    b'event: price\nid: 1\ndata: {"n": 1}\n\n',
    b"data: two\ndata: lines\n\n",
    b'event: news\nid: 3\nretry: 10\ndata: {"n": 3}\n\n',
)

# -- the output ------------------------------------------------------------------------------------


def test_events_are_printed_as_an_event_stream(tail: Tail, server: RawServer) -> None:
    server.route("/", sends(b": comment\nunknown: x\n", *THREE))
    assert tail("--no-reconnect", server.url()) == Done(
        0,
        'event: price\nid: 1\ndata: {"n": 1}\n\n'
        "id: 1\ndata: two\ndata: lines\n\n"
        'event: news\nid: 3\nretry: 10\ndata: {"n": 3}\n\n',
        "",
    )


def test_json(tail: Tail, server: RawServer) -> None:
    odd = 'é \u2028 \x85 \U0001f600 \x1b \\ "'
    server.route("/", sends(*THREE, f"data: {odd}\ndata\n\n".encode()))
    done = tail("--no-reconnect", "--json", server.url())
    *lines, rest = done.out.split("\n")
    assert (done.status, rest, done.err) == (0, "", "")
    assert [json.loads(line) for line in lines] == [
        {"event": "price", "data": '{"n": 1}', "id": "1", "retry": None},
        {"event": "message", "data": "two\nlines", "id": "1", "retry": None},
        {"event": "news", "data": '{"n": 3}', "id": "3", "retry": 10},
        {"event": "message", "data": odd + "\n", "id": "3", "retry": None},
    ]
    assert "é" in lines[-1]  # for people to read


def test_data(tail: Tail, server: RawServer) -> None:
    server.route("/", sends(*THREE))
    done = tail("--no-reconnect", "--data", server.url())
    assert done == Done(0, '{"n": 1}\ntwo\nlines\n{"n": 3}\n', "")


def test_comments(tail: Tail, server: RawServer) -> None:
    server.route("/", sends(b": one\ndata: a\n\n", b":\ndata: b\n:two: \xc3\xa9\n\n"))
    command = ["--no-reconnect", "--comments", server.url()]
    assert tail(*command) == Done(0, ": one\ndata: a\n\n: \n: two: é\ndata: b\n\n", "")
    done = tail(*command, "--json", "--event", "none")
    comments = [json.loads(line) for line in done.out.splitlines()]
    assert comments == [{"comment": "one"}, {"comment": ""}, {"comment": "two: é"}]
    assert tail("--no-reconnect", server.url()).out == "data: a\n\ndata: b\n\n"


def test_a_comment_is_printed_though_no_event_follows(server: RawServer) -> None:
    server.route("/", sends_and_holds(b": alive\n"))
    with running("--comments", server.url()) as process:
        assert read_line(process.stdout) == ": alive"


def delta(content: object) -> dict[str, object]:
    return {"choices": [{"delta": {"content": content}}]}


@pytest.mark.parametrize(
    ("path", "data", "printed"),
    [
        ("choices.0.delta.content", delta(" token"), " token"),
        ("choices.0.delta.content", delta(""), ""),
        ("choices.0.delta.content", delta(None), ""),
        ("choices.1.delta.content", delta("x"), ""),
        ("choices.00.delta.content", delta("x"), ""),
        ("choices.-1.delta.content", delta("x"), ""),
        ("choices.x", delta("x"), ""),
        ("choices.0.delta.content.x", delta("x"), ""),
        ("choices.0.delta", delta("é"), '{"content": "é"}'),
        ("choices", {"choices": []}, "[]"),
        ("choices.0", {"choices": []}, ""),
        ("choices.0", {"choices": {"0": "no list"}}, "no list"),
        ("a", {"a": 0}, "0"),
        ("a", {"a": -1.5e300}, "-1.5e+300"),
        ("a", {"a": False}, "false"),
        ("a.b", {"a.b": 1}, ""),
        ("", {"": 1}, "1"),
        ("1", ["a", "b"], "b"),
        ("a", 7, ""),
        ("9" * 5000, ["a"], ""),
    ],
)
def test_field(tail: Tail, server: RawServer, path: str, data: object, printed: str) -> None:
    server.route("/", sends(b"data: " + json.dumps(data).encode() + b"\n\n"))
    assert tail("--no-reconnect", f"--field={path}", server.url()) == Done(0, printed, "")


def test_field_of_what_is_no_json_is_nothing(tail: Tail, server: RawServer) -> None:
    no_json = (b"data: text\n\n", b"data: [" + b"[" * 100_000 + b"\n\n", b"data: %b\n\n")
    server.route("/", sends(*no_json, b"data: " + b"1" * 5000 + b"\n\n", b'data: {"a": "x"}\n\n'))
    assert tail("--no-reconnect", "--field", "a", server.url()) == Done(0, "x", "")


def test_field_prints_tokens_until_done(tail: Tail, server: RawServer) -> None:
    tokens = ["Why", " did", " it", "?"]
    events = [b"data: %b\n\n" % json.dumps(delta(token)).encode() for token in tokens]
    server.route("/", sends_and_holds(*events, b"data: [DONE]\n\n", b'data: "never seen"\n\n'))
    done = tail("--field", "choices.0.delta.content", server.url())
    assert done == Done(0, "Why did it?", "")


def test_event_chooses_types(tail: Tail, server: RawServer) -> None:
    server.route("/", sends(*THREE))
    only = ["--no-reconnect", "--data", server.url(), "--event"]
    assert tail(*only, "news").out == '{"n": 3}\n'
    assert tail(*only, "price", "--event", "news").out == '{"n": 1}\n{"n": 3}\n'
    assert tail(*only, "message").out == "two\nlines\n"
    assert tail(*only, "none").out == ""


def test_max_events_counts_what_is_printed(tail: Tail, server: RawServer) -> None:
    server.route("/", sends_and_holds(*THREE, *THREE))
    assert tail("--data", "--max-events", "1", server.url()).out == '{"n": 1}\n'
    news = tail("--data", "--max-events", "2", "--event", "news", server.url())
    assert news == Done(0, '{"n": 3}\n{"n": 3}\n', "")
    assert tail("--field", "n", "--max-events", "2", server.url()).out == "13"
    server.wait_for_close(TIMEOUT)


@pytest.mark.parametrize(
    ("form", "shown", "rest"),
    [((), "data: 1", "\n\n"), (("--data",), "1", "\n"), (("--field", ""), "1", "")],
)
def test_an_event_is_on_stdout_before_the_next_one_is_sent(
    server: RawServer, form: tuple[str, ...], shown: str, rest: str
) -> None:
    seen = threading.Event()

    def handler(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(b'data: {"": 1}\n\n' if "--field" in form else b"data: 1\n\n")
        if not seen.wait(TIMEOUT):
            raise AssertionError("the first event was not shown before the second one was sent")
        exchange.send(b"data: [DONE]\n\n")
        exchange.wait_closed(TIMEOUT)

    server.route("/", handler)
    with running(*form, server.url()) as process:
        assert process.stdout is not None
        assert process.stdout.read(len(shown)).decode() == shown
        seen.set()
        assert finish(process) == Done(0, rest, "")


# -- terminals and encodings -----------------------------------------------------------------------

HOSTILE: Final = "\x1b]0;owned\x07 \x9b31m \b\x7f é\ttab"
HOSTILE_SHOWN: Final = "\\x1b]0;owned\\x07 \\x9b31m \\x08\\x7f é\ttab"


@contextmanager
def on_terminal(
    *arguments: str,
    stdout: int | IO[bytes] | None = None,
    stderr: bool = False,
    columns: int = 0,
) -> Generator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Run the command line on a pseudo-terminal; gives the other side of it.

    Args:
        arguments: Those of the command line.
        stdout: Where it goes. Default: to the terminal.
        stderr: Whether that goes to the terminal, too.
        columns: Its width; 0: unknown.
    """
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    attributes = termios.tcgetattr(theirs)
    attributes[1] &= ~termios.OPOST  # LF stays LF
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    with os.fdopen(ours, "rb", buffering=0) as screen, os.fdopen(theirs, "wb") as terminal:
        errors = terminal if stderr else subprocess.PIPE
        with running(*arguments, stdout=stdout or terminal, stderr=errors) as process:
            terminal.close()
            yield process, screen


def all_on(screen: IO[bytes]) -> str:
    output = b""
    try:
        while chunk := screen.read(4096):
            output += chunk
    except OSError:  # Linux's way to say that the other side has been closed
        pass
    return output.decode()


@posix_only
@pytest.mark.parametrize("form", [(), ("--data",), ("--field", "0"), ("--json",)])
def test_control_characters_are_shown_on_a_terminal(
    server: RawServer, form: tuple[str, ...]
) -> None:
    data = json.dumps([HOSTILE], ensure_ascii=False) if "--field" in form else HOSTILE
    if "--field" in form:  # JSON has them escaped
        data = data.replace("\x7f", "\\u007f")
    server.route("/", sends(f"event: \x1b[2J\ndata: {data}\n\n".encode()))
    with on_terminal("--no-reconnect", *form, server.url()) as (process, screen):
        shown = all_on(screen)
        assert finish(process) == Done(0, "", "")
    # The line end after the last token is for the shell's prompt.
    assert (
        shown
        == {
            "": f"event: \\x1b[2J\ndata: {HOSTILE_SHOWN}\n\n",
            "--data": f"{HOSTILE_SHOWN}\n",
            "--field": f"{HOSTILE_SHOWN}\n",
            "--json": '{"event": "\\u001b[2J", "data": "\\u001b]0;owned\\u0007 \\x9b31m \\b\\x7f'
            ' é\\ttab", "id": null, "retry": null}\n',
        }[form[0] if form else ""]
    )


STATUS: Final = re.compile(
    r"sse-tail: (\d+) events?, ([\d.]+ k?B), ([\d.]+) events/s; none for ([\d.]+) s"
)


def shown_lines(screen: str) -> list[str]:
    """Return the lines of a terminal after all that was drawn over them."""
    lines: list[str] = []
    for line in screen.split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            cells[: len(part)] = part
        lines.append("".join(cells).rstrip())
    return lines


def sends_slowly(*parts: bytes) -> Handler:
    """Send parts of an event stream, each with time for a status line after it."""

    def handler(exchange: Exchange) -> None:
        exchange.start()
        for part in parts:
            exchange.send(part)
            time.sleep(0.4)

    return handler


@posix_only
class TestStatusLine:
    def test_on_a_terminal(self, server: RawServer) -> None:
        event = b"data: x\n\n: " + b"x" * 500 + b"\n"
        server.route("/", sends_slowly(event, event, event))
        command = ["--no-reconnect", "--data", server.url()]
        with on_terminal(*command, stderr=True) as (process, screen):
            shown = all_on(screen)
            assert process.wait(TIMEOUT) == 0
        drawn = STATUS.findall(shown)
        assert {events for events, *_ in drawn} >= {"1", "2", "3"}
        assert {size for _, size, *_ in drawn} >= {"512 B", "1.0 kB", "1.5 kB"}
        assert max(float(rate) for _, _, rate, _ in drawn) > 0
        assert max(float(silence) for *_, silence in drawn) > 0.2
        # It has left nothing behind.
        assert shown_lines(shown) == ["x", "x", "x", ""]

    def test_where_events_go_to_a_file(self, server: RawServer, tmp_path: Path) -> None:
        command = ["--no-reconnect", "--field", "0", server.url()]
        server.route("/", sends_slowly(b'data: ["x"]\n\n', b'data: ["y"]\n\n'))
        with open(tmp_path / "out", "wb") as out:
            with on_terminal(*command, stdout=out, stderr=True) as (process, screen):
                shown = all_on(screen)
                assert process.wait(TIMEOUT) == 0
        assert "2" in {events for events, *_ in STATUS.findall(shown)}
        assert shown_lines(shown) == [""]
        assert (tmp_path / "out").read_bytes() == b"xy"

    def test_messages_are_on_lines_of_their_own(self, server: RawServer) -> None:
        server.route("/", sends_slowly(b"data: x\n\ndata: y"))
        command = ["--no-reconnect", "--data", server.url()]
        with on_terminal(*command, stderr=True) as (process, screen):
            shown = all_on(screen)
            assert process.wait(TIMEOUT) == 4
        assert STATUS.search(shown)
        assert shown_lines(shown) == [
            "x",
            "sse-tail: error: the stream ended inside an event, after 7 bytes of it",
            "",
        ]

    def test_not_within_a_line(self, server: RawServer) -> None:
        event = b'data: {"a": "token "}\n\n'
        server.route("/", sends_slowly(event, event))
        command = ["--no-reconnect", "--field", "a", server.url()]
        with on_terminal(*command, stderr=True) as (process, screen):
            shown = all_on(screen)
            assert process.wait(TIMEOUT) == 0
        assert shown[shown.index("token") :] == "token token \n"

    def test_none_in_a_pipe(self, server: RawServer) -> None:
        server.route("/", sends_slowly(b"data: x\n\n"))
        command = ["--no-reconnect", "--data", server.url()]
        with on_terminal(*command, stdout=subprocess.PIPE, stderr=True) as (process, screen):
            assert process.stdout is not None
            assert process.stdout.read() == b"x\n"
            assert all_on(screen) == ""
        with on_terminal(*command) as (process, screen):
            assert all_on(screen) == "x\n"
            assert finish(process).err == ""

    def test_it_is_as_wide_as_the_terminal(self, server: RawServer) -> None:
        server.route("/", sends_slowly(b"data: x\n\n"))
        command = ["--no-reconnect", "--data", server.url()]
        with on_terminal(*command, stderr=True, columns=20) as (process, screen):
            shown = all_on(screen)
            assert process.wait(TIMEOUT) == 0
        assert "sse-tail: 1 event, \r" in shown
        assert shown_lines(shown) == ["x", ""]

    def test_ctrl_c_erases_it(self, server: RawServer) -> None:
        server.route("/", sends_and_holds(b"data: x\n\n"))
        with on_terminal("--data", server.url(), stderr=True) as (process, screen):
            shown = b""
            while b"for" not in shown:
                shown += screen.read(4096)
            process.send_signal(signal.SIGINT)
            everything = shown.decode() + all_on(screen)
            assert process.wait(TIMEOUT) == 130
        assert shown_lines(everything) == ["x", ""]


def test_control_characters_are_left_alone_in_a_pipe(server: RawServer) -> None:
    server.route("/", sends(f"data: {HOSTILE}\n\n".encode()))
    assert run("--no-reconnect", "--data", server.url()) == Done(0, HOSTILE + "\n", "")


def test_control_characters_do_not_come_with_errors(tail: Tail, server: RawServer) -> None:
    body = HOSTILE.encode()
    server.route("/", lambda exchange: exchange.respond(404, body=body, content_type="a/b"))
    done = tail(server.url())
    assert (done.status, done.out) == (3, "")
    assert "\\x1b]0;owned\\x07 \\x9b31m" in done.err
    assert re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.err) is None


@pytest.mark.parametrize(
    ("form", "printed", "environment"),
    [
        (
            ("--data",),
            '[{"a": ["\\xe9\\u2028\\U0001f600"]}]\n',
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        ),
        # What is JSON stays JSON.
        (
            ("--json",),
            '{"event": "message", "data": "[{\\"a\\": [\\"\\u00e9\\u2028\\ud83d\\ude00\\"]}]",'
            ' "id": null, "retry": null}\n',
            {"PYTHONIOENCODING": "ascii"},
        ),
        (("--field", "0.a"), '["\\u00e9\\u2028\\ud83d\\ude00"]', {"PYTHONIOENCODING": "ascii"}),
    ],
)
def test_output_that_cannot_have_all_characters(
    server: RawServer, form: tuple[str, ...], printed: str, environment: dict[str, str]
) -> None:
    server.route("/", sends('data: [{"a": ["é\u2028\U0001f600"]}]\n\n'.encode()))
    assert run("--no-reconnect", *form, server.url(), environment=environment) == Done(
        0, printed, ""
    )


@pytest.mark.parametrize(
    ("values", "printed"),
    [
        ([r'"x\ud83d"', r'"\ude00y"'], "x\U0001f600y"),
        ([r'"\ud83d"', '""', "null", r'"\ude00"'], "\U0001f600"),
        ([r'"x\ud83d"', '"y"'], "x\ufffdy"),
        ([r'"x\ud83d"'], "x\ufffd"),
        ([r'"\ude00"', r'"\ud83d"'], "\ufffd\ufffd"),
        ([r'"\ud83d"', r'"\ud83d\ude00"'], "\ufffd\U0001f600"),
        ([r'"\ud83d"', "1", r'"\ude00"'], "\ufffd1\ufffd"),
        ([r'["\ud83d"]'], r'["\ud83d"]'),  # JSON has an escape for it
    ],
)
def test_an_emoji_that_is_cut_in_two(
    tail: Tail, server: RawServer, values: list[str], printed: str
) -> None:
    server.route("/", sends(*(b'data: {"a": %b}\n\n' % value.encode() for value in values)))
    done = tail("--no-reconnect", "--field", "a", server.url())
    assert done == Done(0, printed, "")


def test_half_an_emoji_is_printed_at_whatever_end(tail: Tail, server: RawServer) -> None:
    command = ["--field", "", server.url()]
    server.route("/", sends_and_holds(b'data: {"": "\\ud83d"}\n\n', b'data: {"": "\\ude00"}\n\n'))
    assert tail(*command, "--max-events", "1") == Done(0, "\ufffd", "")
    assert tail(*command, "--max-events", "2") == Done(0, "\U0001f600", "")


# -- the request -----------------------------------------------------------------------------------


def test_request_and_headers(tail: Tail, server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(204))
    assert tail(server.url("/?a=b")) == Done(0, "", "")
    assert tail(
        "-X", "delete", "-H", "X-A: 1", "--header", "x-b:2: é", "-H", "Accept: */*", server.url()
    ) == Done(0, "", "")
    plain, full = server.requests
    assert (plain.method, plain.target, plain.body) == ("GET", "/?a=b", b"")
    assert plain.header("accept") == "text/event-stream"
    assert plain.header("last-event-id") is None
    assert (full.method, full.header("x-a"), full.header("accept")) == ("DELETE", "1", "*/*")
    assert full.header("x-b") == "2: é".encode().decode("latin-1")


@pytest.mark.parametrize(
    ("options", "method", "content_type", "body"),
    [
        (["-d", "text é"], "POST", None, "text é".encode()),
        (["--body", "text", "-X", "PUT"], "PUT", None, b"text"),
        (["-d", "a=b", "-H", "Content-Type: x/y"], "POST", "x/y", b"a=b"),
        (["-d", ""], "POST", None, b""),
        (["--json-body", ' {"a":"é"}'], "POST", "application/json", ' {"a":"é"}'.encode()),
        (["--json-body", "null"], "POST", "application/json", b"null"),
        (["--json-body", "[]", "-H", "content-type: x/y+json"], "POST", "x/y+json", b"[]"),
        (["-d", "@FILE"], "POST", None, b'{"a": "\xff\n"}\n'),
        (["--json-body", "@JSON"], "POST", "application/json", b"[1,\n2]\n"),
    ],
)
def test_body(
    tail: Tail,
    server: RawServer,
    tmp_path: Path,
    options: list[str],
    method: str,
    content_type: str | None,
    body: bytes,
) -> None:
    server.route("/", lambda exchange: exchange.respond(204))
    (tmp_path / "FILE").write_bytes(b'{"a": "\xff\n"}\n')
    (tmp_path / "JSON").write_bytes(b"[1,\n2]\n")
    options = [option.replace("@", f"@{tmp_path}{os.sep}") for option in options]
    assert tail(*options, server.url()) == Done(0, "", "")
    (request,) = server.requests
    assert (request.method, request.header("content-type")) == (method, content_type)
    assert request.body == body


@pytest.mark.parametrize(
    ("options", "given", "content_type"),
    [
        (["-d", "@-"], b'{"a": "\xff\n"}\n', None),
        (["-d", "@-"], b"", None),
        (["--body", "@-", "-X", "PUT"], b"x" * 1_000_000, None),
        (["--json-body", "@-"], b"[1,\n2]\n", "application/json"),
    ],
)
def test_body_from_standard_input(
    server: RawServer, options: list[str], given: bytes, content_type: str | None
) -> None:
    server.route("/", lambda exchange: exchange.respond(204))
    assert run(*options, server.url(), given=given) == Done(0, "", "")
    (request,) = server.requests
    assert request.body == given
    assert request.header("content-type") == content_type
    assert request.header("content-length") == str(len(given))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_an_empty_body_is_sent_with_its_length(
    tail: Tail, server: RawServer, client: str, method: str
) -> None:
    server.route("/", lambda exchange: exchange.respond(204))
    assert tail("--client", client, "-X", method, "-d", "", server.url()) == Done(0, "", "")
    assert tail("--client", client, "-X", method, server.url()) == Done(0, "", "")
    with_body, without = server.requests
    assert (with_body.method, with_body.body) == (method, b"")
    assert with_body.header_values("content-length") == ["0"]
    if method != "POST":
        assert without.header("content-length") is None


@posix_only
def test_a_body_may_be_any_bytes(server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(204))
    assert run("-d", os.fsdecode(b"\xff\xc3\xa9"), server.url()) == Done(0, "", "")
    assert server.requests[0].body == b"\xff\xc3\xa9"


def test_last_event_id(tail: Tail, server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(204))
    assert tail("--last-event-id", "é 7", server.url()) == Done(0, "", "")
    assert tail("-H", "Last-Event-ID: 8", server.url()) == Done(0, "", "")
    sent = [request.header_values("last-event-id") for request in server.requests]
    assert sent == [["é 7".encode().decode("latin-1")], ["8"]]


def test_redirects_are_followed(tail: Tail, server: RawServer) -> None:
    server.route("/", lambda exchange: exchange.respond(307, [("Location", "/there")]))
    server.route("/there", sends(b"data: x\n\n"))
    assert tail("--no-reconnect", "--data", server.url()) == Done(0, "x\n", "")


def test_certificates(
    tail: Tail, tls: TlsFiles, tls_server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--no-reconnect", "--data", tls_server.url()]
    untrusted = tail(*command)
    assert (untrusted.status, untrusted.out) == (1, "")
    assert untrusted.err.startswith(
        f"sse-tail: error: error sending request for url ({command[2]}): invalid peer certificate"
    )
    assert tail(*command, "--cacert", str(tls.ca_pem)) == Done(0, "safe\n", "")
    assert tail(*command, "--insecure") == Done(0, "safe\n", "")
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca_pem))
    assert tail(*command) == Done(0, "safe\n", "")


def test_proxy(
    tail: Tail,
    server: RawServer,
    tls: TlsFiles,
    tls_server: RawServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.route("/", sends(b"data: x\n\n"))
    with ProxyServer() as proxy:
        command = ["--no-reconnect", "--data"]
        assert tail(*command, "--proxy", proxy.url(), server.url()).out == "x\n"
        trusting = [*command, "--cacert", str(tls.ca_pem), tls_server.url()]
        assert tail(*trusting, "--proxy", proxy.url()).out == "safe\n"
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        assert tail(*command, server.url()).out == "x\n"
        assert proxy.targets == [server.url(), f"127.0.0.1:{tls_server.port}", server.url()]
    dead = tail(*command, "--proxy", proxy.url(), server.url())
    assert (dead.status, dead.out) == (1, "")
    assert len(server.requests) == 2


class OneEvent(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: six\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class IPv6Server(HTTPServer):
    address_family = socket.AF_INET6


def test_ipv6(tail: Tail) -> None:
    try:
        server = IPv6Server(("::1", 0), OneEvent)
    except OSError:
        pytest.skip("there is no IPv6 here")
    with server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://[::1]:{server.server_port}/"
        assert tail("--no-reconnect", "--data", url) == Done(0, "six\n", "")
        thread.join()


# -- recordings ------------------------------------------------------------------------------------


HEAD: Final = json.dumps({"format": "sse-recording", "version": 1})
CONNECTION: Final[dict[str, object]] = {
    "connection": 1,
    "time": 0,
    "request": {"method": "GET", "url": "http://127.0.0.1/", "headers": []},
    "response": {"status": 200, "headers": []},
}
STREAM: Final = ("Content-Type", "text/event-stream")


def recorded(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


class TestRecordings:
    @pytest.mark.parametrize("client", CLIENTS)
    def test_what_is_recorded(
        self, tail: Tail, server: RawServer, tmp_path: Path, client: str
    ) -> None:
        file = tmp_path / "x.jsonl"
        server.route(
            "/stream",
            one_after_the_other(
                breaks(b"retry: 10\nid: 1\ndata: a\xe2\x80\xa8 \xc3", b"\xa9\n\ndata: b"),
                lambda exchange: exchange.respond(503),
                sends(b"id: 2\ndata: c\n\n"),
            ),
        )
        url = server.url("/stream?api_key=secret")
        secret = ["-H", "Authorization: Bearer secret", "--client", client]
        done = tail("--record", str(file), "--data", *secret, url)
        assert done[:2] == (0, "a\u2028 é\nc\n")
        first, second = Cassette.read(file).recordings
        assert (first.method, first.status) == ("GET", 200)
        assert ("authorization", "REDACTED") in [(n.lower(), v) for n, v in first.request_headers]
        assert STREAM[1] in dict(first.headers).values()
        assert "secret" not in file.read_text("utf-8")
        assert b"".join(chunk.data for chunk in first.chunks) == (
            b"retry: 10\nid: 1\ndata: a\xe2\x80\xa8 \xc3\xa9\n\ndata: b"
        )
        assert [chunk.data for chunk in second.chunks] == [b"id: 2\ndata: c\n\n"]
        assert first.error is not None
        assert second.error is None

    def test_an_end_that_is_ours_is_none_of_the_stream(
        self, tail: Tail, server: RawServer, tmp_path: Path
    ) -> None:
        file = tmp_path / "x.jsonl"
        server.route("/", sends_and_holds(b"data: a\n\n"))
        server.route("/whole", sends(b"data: a\n\n"))
        command = ["--record", str(file), "--no-reconnect"]
        tail(*command, "--max-events", "1", server.url())
        assert recorded(file)[-1].get("text") == "data: a\n\n"
        tail(*command, server.url("/whole"))
        assert recorded(file)[-1].get("end", "") is None

    def test_content_codings_are_undone(
        self, tail: Tail, server: RawServer, tmp_path: Path
    ) -> None:
        file = tmp_path / "x.jsonl"
        body = gzip.compress(b"data: a\n\n")
        server.route(
            "/", lambda x: x.respond(200, [("Content-Encoding", "gzip"), STREAM], body=body)
        )
        assert tail("--record", str(file), "--no-reconnect", "--data", server.url()).out == "a\n"
        (recording,) = Cassette.read(file).recordings
        assert b"".join(chunk.data for chunk in recording.chunks) == b"data: a\n\n"

    def test_a_recording_is_whole_whatever_ends_it(self, server: RawServer, tmp_path: Path) -> None:
        file = tmp_path / "x.jsonl"
        server.route("/", sends_and_holds(b"data: a\n\n"))
        with running("--record", str(file), "--data", server.url()) as process:
            assert read_line(process.stdout) == "a"
            process.kill()
        assert [line.get("text") for line in recorded(file)] == [None, None, "data: a\n\n"]

    def test_replay(self, tail: Tail, server: RawServer, tmp_path: Path) -> None:
        file = tmp_path / "x.jsonl"

        def slowly(exchange: Exchange) -> None:
            exchange.start()
            for part in (THREE[0], THREE[1][:7], THREE[1][7:], THREE[2]):
                exchange.send(part)
                time.sleep(0.1)

        server.route("/", slowly)
        live = tail("--record", str(file), "--no-reconnect", "--json", server.url())
        started = time.monotonic()
        assert tail("--replay", str(file), "--json") == live
        in_real_time = time.monotonic() - started
        assert in_real_time > 0.29
        last = Cassette.read(file).recordings[0].chunks[-1].at
        started = time.monotonic()
        assert tail("--replay", str(file), "--json", "--speed", "2") == live
        assert time.monotonic() - started > last / 2
        started = time.monotonic()
        assert tail("--replay", str(file), "--json", "--speed", "inf") == live
        # The output's options hold.
        assert tail("--replay", str(file), "--event", "news", "--data").out == '{"n": 3}\n'
        assert tail("--replay", str(file), "--max-events", "1", "--data").out == '{"n": 1}\n'
        assert tail("--replay", str(file), "--until", '{"n": 3}', "--data").status == 0

    def test_connections_have_decoders_of_their_own(self, tail: Tail, tmp_path: Path) -> None:
        file = tmp_path / "x.jsonl"
        write_recording(
            file,
            {"connection": 1, "time": 0, "text": "id: 7\ndata: a\n\ndata: lost"},
            {**CONNECTION, "connection": 2},
            {"connection": 2, "time": 0, "text": "data: b\n\n"},
            {"connection": 2, "time": 0, "text": "data: c\n\n"},
        )
        done = tail("--replay", str(file))
        assert done == Done(0, "id: 7\ndata: a\n\nid: 7\ndata: b\n\nid: 7\ndata: c\n\n", "")

    def test_comments(self, tail: Tail, tmp_path: Path) -> None:
        file = tmp_path / "x.jsonl"
        write_recording(file, {"connection": 1, "time": 0, "text": ":one\n\ndata: a\n\n"})
        assert tail("--replay", str(file), "--comments").out == ": one\ndata: a\n\n"
        assert tail("--replay", str(file)).out == "data: a\n\n"

    def test_one_that_ends_inside_an_event(self, tail: Tail, tmp_path: Path) -> None:
        file = tmp_path / "x.jsonl"
        write_recording(file, {"connection": 1, "time": 0.0, "base64": "ZGF0YTogYQoKZGF0YTog"})
        assert tail("--replay", str(file), "--data") == Done(
            4,
            "a\n",
            "sse-tail: error: the stream ended inside an event, after 6 bytes of it\n",
        )

    def test_one_without_chunks(self, tail: Tail, tmp_path: Path) -> None:
        file = tmp_path / "x.jsonl"
        write_recording(file)
        assert tail("--replay", str(file)) == Done(0, "", "")

    @pytest.mark.parametrize(
        "text", ["", "[]\n", f"{HEAD}\n{{", f'{HEAD}\n{{"time": 0, "text": ""}}']
    )
    def test_what_is_not_a_recording(self, tail: Tail, tmp_path: Path, text: str) -> None:
        file = tmp_path / "x.jsonl"
        file.write_text(text, "utf-8")
        done = tail("--replay", str(file))
        assert done[:2] == (2, "")
        assert "sse-tail: error: --replay: line " in done.err

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
    def test_a_full_disk(self, server: RawServer) -> None:
        server.route("/", sends_and_holds(b"data: x\n\n"))
        done = run("--record", "/dev/full", server.url())
        assert done == Done(1, "", "sse-tail: error: [Errno 28] No space left on device\n")


def write_recording(file: Path, *chunks: Mapping[str, object]) -> None:
    file.write_text(
        "".join(f"{line}\n" for line in (HEAD, *map(json.dumps, (CONNECTION, *chunks)))), "utf-8"
    )


# -- clients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
class TestClients:
    """What holds whichever client is used."""

    def test_events(self, tail: Tail, server: RawServer, client: str) -> None:
        server.route("/", one_after_the_other(breaks(b"id: 1\nretry: 10\n" + THREE[1])))
        done = tail("--client", client, "--data", server.url())
        assert done[:2] == (0, "two\nlines\n")
        assert re.fullmatch(r"sse-tail: .+; connecting again in 0\.0 s\n", done.err)
        first, second = server.requests
        assert first.header("accept") == "text/event-stream"
        assert client_of(first.header("user-agent")) == client
        assert second.header("last-event-id") == "1"

    def test_errors_have_the_same_status_and_form(
        self, tail: Tail, server: RawServer, client: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            refused = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.route("/silent", silent)
        server.route("/broken", breaks(b"data: a\n\n"))
        server.route("/404", lambda exchange: exchange.respond(404, body=b"no"))
        server.route(
            "/redirect", lambda exchange: exchange.respond(302, [("Location", "ftp://x/")])
        )
        server.route("/unfinished", sends(b"data: a\n\ndata: b"))
        urls = [
            refused,
            *map(server.url, ("/silent", "/broken", "/404", "/redirect", "/unfinished")),
        ]
        done = list[Done]()
        for url in urls:
            monkeypatch.setattr(cli, "_OPEN_TIMEOUT", 0.2 if url.endswith("/silent") else 10)
            done.append(tail("--client", client, "--no-reconnect", "--data", url))
        assert [run.status for run in done] == [1, 1, 1, 3, 1, 4]
        assert [run.out for run in done] == ["", "", "a\n", "", "", "a\n"]
        assert all(re.fullmatch(r"sse-tail: error: \S.+\n", run.err) for run in done)
        assert done[5].err == (
            "sse-tail: error: the stream ended inside an event, after 7 bytes of it\n"
        )

    def test_a_quiet_stream_is_none_that_is_lost(
        self, tail: Tail, server: RawServer, client: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cli, "_OPEN_TIMEOUT", 0.2)

        def slow(exchange: Exchange) -> None:
            exchange.start()
            time.sleep(0.6)
            exchange.send(b"data: late\n\n")

        server.route("/", slow)
        done = tail("--client", client, "--no-reconnect", "--data", server.url())
        assert done == Done(0, "late\n", "")

    def test_idle_timeout(self, tail: Tail, server: RawServer, client: str) -> None:
        server.route("/", sends_and_holds(b"data: a\n\n"))
        command = ["--client", client, "--idle-timeout", "0.2", "--no-reconnect", "--data"]
        done = tail(*command, server.url())
        assert done[:2] == (1, "a\n")
        assert "0.2 s" in done.err

    def test_event_timeout(self, tail: Tail, server: RawServer, client: str) -> None:
        def stuck(exchange: Exchange) -> None:
            exchange.start()
            exchange.send(b"retry: 10\ndata: a\n\n")
            while not exchange.stalled(0.05):
                exchange.send(b": alive\n")

        server.route("/", stuck)
        command = ["--client", client, "--event-timeout", "0.4", "--data", server.url()]
        done = tail(*command, "--no-reconnect")
        assert done[:2] == (1, "a\n")
        assert "no event" in done.err
        assert "0.4 s" in done.err
        done = tail(*command, "--max-events", "2")
        assert done[:2] == (0, "a\na\n")
        assert "; connecting again in 0.0 s\n" in done.err

    def test_certificates_and_proxies(
        self, tail: Tail, tls: TlsFiles, tls_server: RawServer, client: str
    ) -> None:
        command = ["--client", client, "--no-reconnect", "--data", tls_server.url()]
        trusting = ["--cacert", str(tls.ca_pem)]
        untrusted = tail(*command)
        assert (untrusted.status, untrusted.out) == (1, "")
        assert re.fullmatch(r"sse-tail: error: \S.+\n", untrusted.err)
        assert tail(*command, *trusting) == Done(0, "safe\n", "")
        assert tail(*command, "--insecure") == Done(0, "safe\n", "")
        with ProxyServer() as proxy:
            assert tail(*command, *trusting, "--proxy", proxy.url()) == Done(0, "safe\n", "")
            assert proxy.targets == [f"127.0.0.1:{tls_server.port}"]

    def test_version(self, tail: Tail, client: str) -> None:
        done = tail("--version", "--client", client)
        assert (done.status, done.err) == (0, "")
        assert re.fullmatch(rf"sse-proto .+, {client} [\d.]+, Python [\w.+]+\n", done.out)

    @pytest.mark.parametrize("url", ["http://x:99999", "http://[::1", "http://", "http://x/\x1b"])
    def test_urls_that_are_none(self, tail: Tail, client: str, url: str) -> None:
        done = tail("--client", client, url)
        assert (done.status, done.out) == (2, "")
        assert f"sse-tail: error: not a valid URL: {url!r}: " in done.err

    def test_one_that_is_not_installed(
        self, tail: Tail, client: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, client, None)
        done = tail("--client", client, "http://127.0.0.1/")
        assert (done.status, done.out) == (2, "")
        assert done.err.endswith(
            f"sse-tail: error: --client {client}: not installed;"
            f" pip install 'sse-proto[{client}]'\n"
        )


def client_of(user_agent: str | None) -> str | None:
    """Return the library that calls itself so."""
    return user_agent and re.sub("^python-", "", user_agent.split("/")[0])


def test_the_first_client_that_is_installed_is_used(
    tail: Tail, server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.route("/", lambda exchange: exchange.respond(204))
    for client in CLIENTS:
        assert tail(server.url()) == Done(0, "", "")
        assert client_of(server.requests[-1].header("user-agent")) == client
        monkeypatch.setitem(sys.modules, client, None)
    done = tail(server.url())
    assert (done.status, done.out) == (2, "")
    assert done.err.endswith(
        "sse-tail: error: no HTTP client is installed; pip install 'sse-proto[httpxr]'"
        " or 'sse-proto[httpx]' or 'sse-proto[httpx2]'\n"
    )


def test_python_m_sse_httpxr_is_the_same(server: RawServer) -> None:
    server.route("/", sends(b"data: x\n\n"))
    command = [sys.executable, "-m", "sse_httpxr", "--no-reconnect", "--data", server.url()]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x" + os.linesep.encode(), b"")


@pytest.mark.skipif("httpx" not in CLIENTS, reason="httpx is not installed")
def test_a_proxy_that_wants_a_password(tail: Tail, server: RawServer) -> None:
    server.route("/", sends(b"data: x\n\n"))
    with ProxyServer(auth=("u", "p")) as proxy:
        url = proxy.url().replace("://", "://u:p@")
        command = ["--client", "httpx", "--no-reconnect", "--data", server.url()]
        assert tail(*command, "--proxy", url) == Done(0, "x\n", "")
        assert tail(*command, "--proxy", proxy.url()).status == 3


# -- connections -----------------------------------------------------------------------------------


def test_a_lost_connection_is_followed_by_another(tail: Tail, server: RawServer) -> None:
    first = breaks(b"retry: 10\nid: 1\ndata: a\n\ndata: unfinished\n")
    busy = (503, [("Content-Type", "text/plain")])
    server.route(
        "/",
        one_after_the_other(
            first, lambda exchange: exchange.respond(*busy), sends(b"id: 2\ndata: b\n\n")
        ),
    )
    done = tail("-H", "X-A: 1", "--data", server.url())
    assert (done.status, done.out) == (0, "a\nb\n")
    lost, unavailable = done.err.splitlines()
    assert re.fullmatch(r"sse-tail: .+; connecting again in 0\.\d s", lost)
    assert re.fullmatch(r"sse-tail: .*status 503.*; connecting again in 0\.\d s", unavailable)
    headers = [(r.header("last-event-id"), r.header("x-a")) for r in server.requests]
    assert headers == [(None, "1"), ("1", "1"), ("1", "1"), ("2", "1")]


def test_verbose(tail: Tail, server: RawServer) -> None:
    server.route("/", one_after_the_other(sends(b"retry: 10\nid: 1\ndata: a\n\n")))
    done = tail("-v", "--data", server.url())
    assert done[:2] == (0, "a\n")
    assert re.fullmatch(
        r"sse-tail: connecting\n"
        r"sse-tail: connected\n"
        r"sse-tail: the server has ended the stream; connecting again in 0\.0 s\n"
        r"sse-tail: over: status 204: the server wants no further connection\n",
        done.err,
    )
    assert server.requests[1].header("last-event-id") == "1"


def test_no_reconnect(tail: Tail, server: RawServer) -> None:
    server.route("/", breaks(b"retry: 10\ndata: a\n\n"))
    server.route("/503", lambda exchange: exchange.respond(503))
    broken = tail("--no-reconnect", "--data", server.url())
    assert broken[:2] == (1, "a\n")
    assert re.fullmatch(r"sse-tail: error: .+\n", broken.err)
    assert tail("--no-reconnect", server.url("/503")).status == 3
    assert len(server.requests) == 2


def test_a_post_is_sent_once_unless_asked(tail: Tail, server: RawServer) -> None:
    server.route("/", sends(b"retry: 10\nid: 1\ndata: a\n\n"))
    assert tail("-d", "x", "--data", server.url()) == Done(0, "a\n", "")
    assert len(server.requests) == 1
    again = tail("-d", "x", "--reconnect", "--data", "--max-events", "2", server.url())
    assert again == Done(0, "a\na\n", "")
    assert [request.body for request in server.requests] == [b"x"] * 3
    assert server.requests[2].header("last-event-id") == "1"
    # And one without an effect is sent again, with whatever body.
    search = tail("-X", "GET", "-d", "x", "--data", "--max-events", "2", server.url())
    assert search == Done(0, "a\na\n", "")


def test_refused_connection(tail: Tail) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    done = tail("--no-reconnect", url)
    assert done == Done(1, "", f"sse-tail: error: error sending request for url ({url})\n")


def test_idle_timeout(tail: Tail, server: RawServer) -> None:
    server.route("/", sends_and_holds(b"retry: 10\ndata: a\n\n"))
    command = ["--idle-timeout", "0.2", "--data", server.url()]
    done = tail(*command, "--no-reconnect")
    assert done[:2] == (1, "a\n")
    assert "0.2 s" in done.err
    done = tail(*command, "--max-events", "2")
    assert done[:2] == (0, "a\na\n")
    assert "; connecting again in 0.0 s\n" in done.err


def test_an_answer_that_does_not_come(
    tail: Tail, server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_OPEN_TIMEOUT", 0.2)
    server.route("/", silent)
    done = tail("--no-reconnect", server.url())
    assert done == Done(1, "", "sse-tail: error: no response headers within 0.2 s\n")


# -- the end ---------------------------------------------------------------------------------------


def test_until(tail: Tail, server: RawServer) -> None:
    server.route("/", sends_and_holds(*THREE, b"data: [DONE]\n\ndata: end\n\ndata: b\n\n"))
    command = ["--data", server.url(), "--event", "news"]
    assert tail(*command, "--until", "end") == Done(0, '{"n": 3}\n', "")
    assert tail(*command, "--until", "two\nlines", "--until", "end") == Done(0, "", "")
    server.wait_for_close(TIMEOUT)


def test_a_stream_that_ends_before_until(tail: Tail, server: RawServer) -> None:
    server.route("/", sends(b"retry: 10\n", *THREE))
    server.route("/again", one_after_the_other(sends(b"retry: 10\n" + THREE[0]), sends(THREE[1])))
    incomplete = "sse-tail: error: the stream ended before its last event\n"
    command = ["--data", "--until", "end"]
    done = tail(*command, "--no-reconnect", "--event", "price", server.url())
    assert done == Done(4, '{"n": 1}\n', incomplete)
    assert tail(*command, "-d", "", server.url()).status == 4
    # As many as are asked for are enough, and so is the end of a stream that comes later.
    assert tail(*command, "--max-events", "3", server.url()).status == 0
    assert tail("--until", "two\nlines", "--data", server.url("/again"))[:2] == (0, '{"n": 1}\n')
    # The server has no more, says its 204.
    assert tail(*command, server.url("/again")) == Done(4, "", incomplete)


def test_done_is_not_needed(tail: Tail, server: RawServer) -> None:
    server.route("/", sends(b"data: a\n\n"))
    assert tail("--no-reconnect", "--data", server.url()) == Done(0, "a\n", "")
    assert tail("--no-reconnect", "--data", "--until", "[DONE]", server.url()).status == 4


def test_done_ends_the_stream_and_closes_the_connection(tail: Tail, server: RawServer) -> None:
    server.route("/", sends_and_holds(b"data: a\n\ndata: [DONE]\n\ndata: b\n\n"))
    done = tail("-v", "--data", server.url())
    assert done[:2] == (0, "a\n")
    assert done.err.splitlines()[-1] == "sse-tail: over: closed"
    server.wait_for_close(TIMEOUT)


@pytest.mark.parametrize(
    ("status", "content_type", "body", "message"),
    [
        (
            200,
            "text/html",
            b"<title>Sign in",
            "expected content type 'text/event-stream', got status 200 with content type"
            " 'text/html'; the body begins '<title>Sign in'",
        ),
        (
            404,
            "text/plain",
            b"no",
            "expected status 200, got status 404 with content type 'text/plain'; the body begins"
            " 'no'",
        ),
    ],
)
def test_what_is_no_event_stream(
    tail: Tail, server: RawServer, status: int, content_type: str, body: bytes, message: str
) -> None:
    server.route("/", lambda x: x.respond(status, body=body, content_type=content_type))
    assert tail(server.url()) == Done(3, "", f"sse-tail: error: {message}\n")


def test_an_event_that_is_too_large(tail: Tail, server: RawServer) -> None:
    size = 17 * 2**20
    server.route("/", sends_and_holds(b"data: a\n\n", b"data: " + b"x" * size))
    done = tail("--data", server.url())
    assert done[:2] == (3, "a\n")
    assert re.fullmatch(
        r"sse-tail: error: event stream refused: unfinished event holds \d+ bytes,"
        r" limit is 16777216 bytes\n",
        done.err,
    )


@pytest.mark.parametrize("location", ["ftp://example.com/", "http://[::1"])
def test_a_redirect_to_nowhere(tail: Tail, server: RawServer, location: str) -> None:
    there = [("Location", location)]
    server.route("/", lambda exchange: exchange.respond(302, there))
    done = tail(server.url())
    assert done[:2] == (1, "")
    assert re.fullmatch(r"sse-tail: error: .+\n", done.err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a URL is needed (or --demo)"),
        (["example.com"], "expected a URL with http:// or https://, got 'example.com'"),
        (["ftp://example.com/"], "expected a URL with http:// or https://, got 'ftp://ex"),
        (["http://"], "not a valid URL: 'http://': it has no host"),
        (["http://[::1"], "not a valid URL: 'http://[::1': Invalid IPv6 address"),
        (["http://x:99999"], "not a valid URL: 'http://x:99999': Invalid port"),
        (["http://x/\udcff"], "not a valid URL: 'http://x/\\udcff'"),
        (["http://x/\x1b"], "not a valid URL: 'http://x/\\x1b'"),
        (["-X", "", "http://x"], "argument -X/--request: not a valid HTTP method: ''"),
        (["-X", "A B", "http://x"], "argument -X/--request: not a valid HTTP method: 'A B'"),
        (["-H", "X-A", "http://x"], "argument -H/--header: expected 'NAME: VALUE', got 'X-A'"),
        (["-H", ": x", "http://x"], "argument -H/--header: expected 'NAME: VALUE', got ': x'"),
        (["-H", "a b: x", "http://x"], "expected 'NAME: VALUE', got 'a b: x'"),
        (["-H", "a: x\ny", "http://x"], "argument -H/--header: a header cannot have this value"),
        (["-H", "a: \udcff", "http://x"], "argument -H/--header: a header cannot have this value"),
        (["--last-event-id", "a\nb", "http://x"], "a header cannot have this value: 'a\\nb'"),
        (["--last-event-id", "\udcff", "http://x"], "a header cannot have this value"),
        (["-d", "@/no/such", "http://x"], "cannot read the body: [Errno 2]"),
        (["--json-body", "@/no/such", "http://x"], "cannot read the body: [Errno 2]"),
        (["--json-body", "{", "http://x"], "--json-body: not JSON: "),
        (["-d", "x", "--json-body", "1", "http://x"], "not allowed with argument"),
        (["--json", "--data", "http://x"], "not allowed with argument"),
        (["--cacert", "/no/such", "http://x"], "--cacert /no/such: [Errno 2]"),
        (["--cacert", __file__, "http://x"], f"--cacert {__file__}: [X509"),
        (["--cacert", "x", "--insecure", "http://x"], "not allowed with argument"),
        (["--proxy", "x:1", "http://x"], "--proxy: Proxy URL must have a supported scheme"),
        (["--proxy", "http://u:p@x:1", "http://x"], "--proxy: httpxr does not send a user"),
        (["--idle-timeout", "0", "http://x"], "expected a number above 0, got '0'"),
        (["--idle-timeout", "nan", "http://x"], "expected a number above 0, got 'nan'"),
        (["--idle-timeout", "inf", "http://x"], "expected a number above 0, got 'inf'"),
        (["--max-events", "-1", "http://x"], "expected a number above 0, got '-1'"),
        (["--max-events", "1.5", "http://x"], "expected a number above 0, got '1.5'"),
        (["--comments", "--data", "http://x"], "--comments: not with --data or --field"),
        (["--comments", "--field", "a", "--replay", "x"], "--comments: not with --data or --field"),
        (["--speed", "0", "--replay", "x"], "expected a number above 0, got '0'"),
        (["--replay", "x", "http://x"], "--replay takes no URL"),
        (["--replay", "/no/such"], "--replay: [Errno 2] No such file or directory: '/no/such'"),
        (["--record", "/no/such/file", "http://x"], "--record: [Errno 2] No such file or direc"),
        (["--record", "x", "--replay", "x"], "not allowed with argument"),
        (["--client", "curl", "http://x"], "argument --client: invalid choice: 'curl'"),
        (["--colour", "http://x"], "unrecognized arguments: --colour"),
    ],
)
def test_wrong_arguments(tail: Tail, arguments: list[str], message: str) -> None:
    done = tail(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("usage: sse-tail ")
    assert f"\nsse-tail: error: {message}" in done.err or message in done.err.splitlines()[-1]


@posix_only
class TestCtrlC:
    def test_while_waiting_for_an_event(self, server: RawServer) -> None:
        server.route("/", sends_and_holds(b"data: a\n\n"))
        with running("--data", server.url()) as process:
            assert read_line(process.stdout) == "a"
            process.send_signal(signal.SIGINT)
            assert finish(process) == Done(130, "", "")
        server.wait_for_close(TIMEOUT)

    def test_while_connecting(self, server: RawServer) -> None:
        server.route("/", silent)
        with running("-v", server.url()) as process:
            assert read_line(process.stderr) == "sse-tail: connecting"
            server.wait_for_request(timeout=TIMEOUT)
            process.send_signal(signal.SIGINT)
            done = finish(process)
        assert (done.status, done.out) == (130, "")
        assert re.fullmatch(r"(sse-tail: over: .+\n)?", done.err)
        server.wait_for_close(TIMEOUT)

    def test_while_waiting_to_connect_again(self, server: RawServer) -> None:
        server.route("/", breaks(b"retry: 60000\ndata: a\n\n"))
        with running("--data", server.url()) as process:
            assert re.search("connecting again in [0-9.]+ s", read_line(process.stderr))
            process.send_signal(signal.SIGINT)
            assert finish(process) == Done(130, "a\n", "")

    def test_ends_the_line_of_tokens_on_a_terminal(self, server: RawServer) -> None:
        server.route("/", sends_and_holds(b'data: {"a": "token"}\n\n'))
        with on_terminal("--field", "a", server.url()) as (process, screen):
            assert screen.read(5) == b"token"
            process.send_signal(signal.SIGINT)
            assert all_on(screen) == "\n"
            assert finish(process) == Done(130, "", "")


@posix_only
def test_a_closed_pipe_is_quiet(server: RawServer) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.start()
        while not exchange.stalled(0.01):
            exchange.send(b"data: x\n\n")

    server.route("/", endless)
    with running("--data", server.url()) as process:
        assert process.stdout is not None
        assert read_line(process.stdout) == "x"
        process.stdout.close()
        server.wait_for_close(TIMEOUT)
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_is_an_error(server: RawServer) -> None:
    server.route("/", sends_and_holds(b"data: x\n\n"))
    with open("/dev/full", "wb") as full, running(server.url(), stdout=full) as process:
        done = finish(process)
    assert done == Done(1, "", "sse-tail: error: [Errno 28] No space left on device\n")


# -- help and documentation ------------------------------------------------------------------------


def same_on_all_pythons(text: str) -> str:
    """Return a help text as Python 3.13 and later put it, without its line breaks."""
    return " ".join(re.sub(r"(-\w) (?:[A-Z]+|'NAME: VALUE'), --", r"\1, --", text).split())


def page_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def test_help(tail: Tail) -> None:
    done = tail("--help")
    assert (done.status, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) < 80
    (written,) = (block for block in page_blocks("text") if block.startswith("usage: "))
    assert same_on_all_pythons(written) == same_on_all_pythons(done.out)


def test_version(tail: Tail) -> None:
    done = tail("--version")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(r"sse-proto .+, httpxr [\d.]+, Python [\w.+]+\n", done.out)


EXAMPLES: Final[list[tuple[str, str]]] = re.findall(
    r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S
)


@pytest.fixture(scope="module")
def service() -> Generator[str]:
    with serve(app) as url:
        yield url


@posix_only
@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_examples(
    service: str, tmp_path: Path, command: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "jq " in command and shutil.which("jq") is None:
        pytest.skip("there is no jq")
    ours = tmp_path / "sse-tail"
    ours.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sse_tail "$@"\n', "utf-8")
    ours.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OPENAI_API_KEY", API_KEY)
    script = re.sub("https://(example.com|api.openai.com)", service, command)
    # For a checkout and for an installed package; the examples write files.
    paths = [str(Path(path).resolve()) for path in sys.path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.stdout.rstrip("\n") == output.rstrip("\n")
    assert done.stderr == ""


def test_examples_are_found() -> None:
    assert len(EXAMPLES) > 4
