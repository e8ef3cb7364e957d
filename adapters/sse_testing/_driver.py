"""A driver: a program that connects a parser, in any language, to standard input and output.

It reads JSON lines, ``{"id": 1, "chunks": ["<base64>", ...]}``, and answers each with one JSON
line: ``{"id": 1, "events": [{"event": "message", "data": "x", "id": "7"}]}``. Drivers crash, hang,
print what they should not, and answer in any order; `Driver` copes with all that, and keeps
asking.

How: three threads per process write, read, and keep the end of its standard error. Many cases are
asked at once. If the process ends or falls silent, those without an answer are asked again, one by
one, to find the culprit.
"""

from __future__ import annotations

import base64
import json
import math
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Final, Literal, TypeAlias, cast, final

from ._compare import Answer, event_of

__all__ = ["ConformanceError", "Driver", "Fault"]

# How many cases to ask at once: enough to keep a driver busy while we compare.
_AT_ONCE: Final = 64
# Bytes. No answer has a longer line; a driver that never ends one must not fill the memory.
_LINE: Final = 64 * 2**20
_DIGITS: Final = 4000
# This many lines without an answer count as silence too.
_STRAYS: Final = 10_000
# How often to restart a driver before leaving the rest unasked. Silence costs its timeout.
_CRASHES: Final = 200
_SILENCES: Final = 5
# Seconds to wait for what a process still has to say after it was ended.
_PARTING: Final = 2.0


class ConformanceError(Exception):
    """The driver cannot be used: it does not start, or never answers. The text says why."""


@dataclass(frozen=True)
class Fault:
    """What happened instead of an answer."""

    text: str
    kind: Literal["parser", "crash", "silence", "unasked"] = "parser"
    """The parser's own error or a bad answer; the driver ended, or hung; or it was not asked."""


Reply: TypeAlias = "Answer | Fault"


@final
class Driver:
    """The driver's process; started when first asked, and again when it has ended.

    Use it as a context manager, which ends the process and everything that it started.
    """

    def __init__(
        self, command: Sequence[str], *, timeout: float = 10.0, at_once: int = _AT_ONCE
    ) -> None:
        """Prepare a driver; it starts with the first case.

        Args:
            command: The program and its arguments.
            timeout: Seconds without any answer after which it counts as silent.
            at_once: How many cases it gets before it has answered the first of them.
        """
        self._command: Final = list(command)
        self._timeout: Final = timeout
        self._at_once: Final = at_once
        self._process: _Process | None = None
        self._number = 0
        self._answered = False
        self._crashes = self._silences = 0
        self.name = self.version = ""
        """What it called itself: a line ``{"name": "...", "version": "..."}``."""
        self.strays: Final[list[str]] = []
        """Lines that are not answers, the first ten."""
        self.stray_count = 0

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def ask(self, chunks: Sequence[bytes]) -> Reply:
        """Ask one case."""
        return self.ask_all([chunks])[0]

    def ask_all(self, cases: Sequence[Sequence[bytes]]) -> list[Reply]:
        """Return the replies, in the order of the cases.

        Raises:
            ConformanceError: It does not start, or has never answered.
        """
        return [reply for _, reply in sorted(self.replies(cases), key=lambda pair: pair[0])]

    def replies(self, cases: Sequence[Sequence[bytes]]) -> Iterator[tuple[int, Reply]]:
        """Yield the index of each case with its reply, as they come.

        Raises:
            ConformanceError: It does not start, or has never answered.
        """
        waiting = deque(range(len(cases)))
        asked: dict[int, int] = {}  # the number of a request: the index of its case
        alone = 0  # how many cases to ask one by one
        strays = 0  # lines since the last answer
        since = time.monotonic()
        while waiting or asked:
            if self._crashes > _CRASHES or self._silences > _SILENCES:
                for index in (*asked.values(), *waiting):
                    yield index, Fault("not asked: the driver crashed or hung too often", "unasked")
                return
            process = self._running()
            limit = 1 if alone else self._at_once
            while waiting and len(asked) < limit:
                if not asked:
                    since = time.monotonic()
                self._number += 1
                index = waiting.popleft()
                asked[self._number] = index
                process.write(_request(self._number, cases[index]))
            try:
                line = process.read(since + self._timeout - time.monotonic())
                if strays > _STRAYS:
                    raise queue.Empty  # it says a lot, and answers nothing
            except queue.Empty:
                fault = self._silence(process)
                self._silences += 1
            else:
                if line is not None:
                    number, reply = self._read(line, asked)
                    strays += 1
                    if number is not None:
                        yield asked.pop(number), reply
                        alone = max(0, alone - 1)
                        strays, since = 0, time.monotonic()
                    continue
                fault = self._crash(process)
                self._crashes += 1
            strays = 0
            if len(asked) == 1:
                yield asked.popitem()[1], fault
                alone = max(0, alone - 1)
            else:
                alone = max(alone, len(asked))
                waiting.extendleft(reversed(asked.values()))
                asked.clear()

    def _running(self) -> _Process:
        if self._process is None:
            try:
                self._process = _Process(self._command)
            except OSError as error:
                raise ConformanceError(f"{self._command[0]} does not start: {error}") from error
        return self._process

    def _crash(self, process: _Process) -> Fault:
        process.end(_PARTING)
        self._process = None
        text = f"the driver ended with {process.status()}{process.last_words()}"
        if not self._answered:
            raise ConformanceError(f"{text}\nIt had not answered anything.")
        return Fault(text, "crash")

    def _silence(self, process: _Process) -> Fault:
        """Find out why nothing comes."""
        late = False
        if not self._answered:
            process.write(None)
            try:
                late = process.read(_PARTING) is not None
            except queue.Empty:
                pass
        self.close()
        if late:
            raise ConformanceError(
                "the driver answers only once its input has ended: it must flush its output "
                "after each line"
            )
        silence = f"no answer in {self._timeout:g} s"
        if not self._answered:
            raise ConformanceError(f"{silence}, nor before{process.last_words()}")
        return Fault(silence, "silence")

    def _read(self, line: bytes, asked: dict[int, int]) -> tuple[int | None, Reply]:
        """Return the number of the request that a line answers, ``None`` if it answers none."""
        try:
            told: object = json.loads(line, parse_int=_integer)
        except (ValueError, RecursionError):
            told = None
        if isinstance(told, dict):
            answer = cast("dict[str, Any]", told)
            number: object = answer.get("id")
            if isinstance(number, int) and number in asked:
                self._answered = True
                return number, _checked(answer)
            if "name" in answer and "id" not in answer:
                self.name = str(answer["name"])
                self.version = str(answer.get("version", ""))
                return None, answer
        self.stray_count += 1
        if len(self.strays) < 10:
            self.strays.append(line.decode("utf-8", "replace").rstrip()[:200])
        return None, Fault("no answer")


def _request(number: int, chunks: Iterable[bytes]) -> bytes:
    encoded = [base64.b64encode(chunk).decode("ascii") for chunk in chunks]
    return json.dumps({"id": number, "chunks": encoded}).encode("ascii") + b"\n"


def _integer(text: str) -> float:
    return int(text) if len(text) < _DIGITS else math.inf  # Python reads no longer ones


def _checked(answer: dict[str, Any]) -> Reply:
    """Return an answer with its events in one shape; a fault if it has the wrong shape."""
    if answer.get("error") is not None:
        return Fault(f"the parser failed: {answer['error']}"[:500])
    events: object = answer.get("events")
    if not isinstance(events, list):
        return Fault(f"the answer has no list of events: {answer!r:.200}")
    try:
        told = [event_of(event) for event in cast("list[object]", events)]
    except TypeError as error:
        return Fault(f"in the answer: {error}")
    rest: Answer = {key: answer[key] for key in ("last_event_id", "retry") if key in answer}
    return {"events": told, **rest}


@final
class _Process:
    """A running driver, and the threads that talk to it."""

    def __init__(self, command: Sequence[str]) -> None:
        # Bounded: a driver that prints endlessly waits for us.
        self._lines: Final[queue.Queue[bytes | None]] = queue.Queue(maxsize=1000)
        self._requests: Final[queue.SimpleQueue[bytes | None]] = queue.SimpleQueue()
        self._errors: Final[deque[str]] = deque(maxlen=5)
        self._ending: Final = threading.Event()
        # In its own session, so that everything it starts can be ended with it.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._process: Final = process
        works = (self._write_all, self._read_all, self._keep)
        streams = (process.stdin, process.stdout, process.stderr)
        self._threads: Final = [
            threading.Thread(target=work, args=(stream,), daemon=True)
            for work, stream in zip(works, streams, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def write(self, request: bytes | None) -> None:
        """Send a request, without waiting; ``None`` ends the driver's input."""
        self._requests.put(request)

    def read(self, timeout: float) -> bytes | None:
        """Return the next line, ``None`` after the last one.

        Raises:
            queue.Empty: None came in these seconds.
        """
        return self._lines.get(timeout=max(0.0, timeout))

    def end(self, patience: float = 0.0) -> None:
        """End the process and all it started, after some seconds. What it has said can be read."""
        self.write(None)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        process = self._process
        kill = process.kill if os.name == "nt" else partial(os.killpg, process.pid, signal.SIGKILL)
        with suppress(OSError):  # all have ended
            kill()
        self._process.wait()
        self._ending.set()
        for thread in self._threads:
            thread.join(_PARTING)

    def status(self) -> str:
        code = self._process.returncode
        return f"signal {-code}" if code < 0 else f"exit status {code}"

    def last_words(self) -> str:
        return "".join(f"\n  {line}" for line in self._errors)

    def _write_all(self, stream: IO[bytes]) -> None:
        try:
            with stream:
                while (request := self._requests.get()) is not None:
                    stream.write(request)
                    stream.flush()
        except OSError:
            pass  # it has ended, or does not read any more

    def _read_all(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(_LINE):
                self._put(line)
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        while not self._ending.is_set():
            try:
                self._lines.put(line, timeout=0.1)
                return
            except queue.Full:
                pass

    def _keep(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(_LINE):
                self._errors.append(line.decode("utf-8", "replace").rstrip()[:300])
