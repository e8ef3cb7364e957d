"""The oracles: how each is found, set up, started, asked and ended."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from .cases import WATCH, Case, Connect, Outcome
from .server import PROBE, Answer, Result, Server

__all__ = ["Name", "Oracle", "Unavailable", "ask", "chromium", "find_oracles"]

Name: TypeAlias = Literal["Chromium", "eventsource-parser", "Node"]

_FOLDER: Final = Path(__file__).parent

# Seconds that an oracle has for all cases, and npm for its work.
_PATIENCE: Final = 300
_SETUP_PATIENCE: Final = 120

_CHROMIUM_OPTIONS: Final = (
    "--headless",
    "--no-sandbox",  # as root there is none; it opens nothing but our own page
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
)


class Unavailable(Exception):
    """An oracle is not there, or does not work. The text tells what can be done."""


@dataclass(frozen=True)
class Oracle:
    """Whom to ask."""

    name: Name
    version: str
    command: tuple[str, ...]
    """``{url}`` in it stands for the server's address, ``{profile}`` for an empty folder."""
    connects: bool = True
    """False: a parser alone, of which the situations of a connection cannot be asked."""


def find_oracles(npm_folder: Path) -> list[Oracle]:
    """Return all three.

    Raises:
        Unavailable: Chromium, Node or npm is missing, or npm failed.
    """
    return [chromium(), _parser(npm_folder), _node()]


def chromium() -> Oracle:
    """Return the browser alone.

    Raises:
        Unavailable: It is missing.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    program = os.environ.get("CHROMIUM") or next(filter(shutil.which, names), None)
    if program is None:
        raise Unavailable(
            "there is no Chromium: apt-get install chromium, or set CHROMIUM to its path"
        )
    found = re.search(r"[\d.]{3,}", _output(program, "--version"))
    version = found[0] if found else "of unknown version"
    options = (*_CHROMIUM_OPTIONS, "--user-data-dir={profile}", "{url}/")
    return Oracle("Chromium", version, (program, *options))


def _node() -> Oracle:
    program = _program("node", "nodejs")
    option = "--experimental-eventsource"
    tell = "console.log(process.versions.node, typeof EventSource, process.versions.undici)"
    version, kind, undici = _output(program, option, "--eval", tell).split()
    if kind != "function":
        raise Unavailable(f"Node {version} has no EventSource: install Node 20.18 or later")
    command = (program, option, "--no-warnings", str(_FOLDER / "node.mjs"), "{url}")
    return Oracle("Node", f"{version} (undici {undici})", command)


def _parser(folder: Path) -> Oracle:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(_FOLDER / "package.json", folder)
    options = (
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        "--prefix",
        str(folder),
    )
    _output(_program("npm", "npm"), "install", *options)
    shown = _output(_program("npm", "npm"), "ls", "--prefix", str(folder), "eventsource-parser")
    found = re.search(r"eventsource-parser@(\S+)", shown)
    version = found[1] if found else "of unknown version"
    script = str(_FOLDER / "parser.mjs")
    command = (_program("node", "nodejs"), script, "{url}", str(folder.resolve()))
    return Oracle("eventsource-parser", version, command, connects=False)


def _program(name: str, package: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise Unavailable(f"there is no {name}: apt-get install {package}")
    return program


def _output(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_SETUP_PATIENCE
        )
    except subprocess.CalledProcessError as error:
        told: str = error.stderr or error.stdout
        raise Unavailable(f"{' '.join(command)} failed:\n{told.strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command)} failed: {error}") from error
    return done.stdout


# -- asking ----------------------------------------------------------------------------------------


async def ask(oracle: Oracle, cases: Sequence[Case]) -> list[Outcome]:
    """Return what the oracle makes of each case.

    Raises:
        Unavailable: It ended, or was too slow, before it had answered.
    """
    server = Server(cases)
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    port: int = listener.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        log = Path(profile) / "log"
        words = {"url": f"http://127.0.0.1:{port}", "profile": str(Path(profile) / "profile")}
        command = [word.format(**words) for word in oracle.command]
        with log.open("wb") as output:
            # In a session of its own, so that all processes of a browser can be ended together, and
            # with a place for what it then leaves.
            process = await asyncio.create_subprocess_exec(
                *command,
                stdout=output,
                stderr=output,
                env={**os.environ, "TMPDIR": profile},
                start_new_session=True,
            )
        try:
            await _first_of(server.answer, process)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended, and was alone
            status = await process.wait()
            listener.close()
        if not server.answer.done():
            last = log.read_text("utf-8", "replace").strip()[-1000:]
            raise Unavailable(f"{oracle.name} gave no answer (status {status}):\n{last}")
    answer = server.answer.result()
    if answer["pieces"] is not None and answer["pieces"] < 0.9 * len(PROBE.chunks):
        raise Unavailable(
            f"{oracle.name} read {len(PROBE.chunks)} chunks in {answer['pieces']} pieces: "
            "this machine is too busy"
        )
    results = sorted(answer["results"], key=lambda result: result["number"])
    return [
        _outcome(result, connects)
        for result, connects in zip(results, server.connects, strict=True)
    ]


async def _first_of(answer: asyncio.Future[Answer], process: asyncio.subprocess.Process) -> None:
    """Wait for the answer, the end of the process, or the end of patience."""
    ended = asyncio.ensure_future(process.wait())
    waiting: list[asyncio.Future[Answer] | asyncio.Future[int]] = [answer, ended]
    await asyncio.wait(waiting, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()


def _outcome(result: Result, connects: list[Connect]) -> Outcome:
    events = tuple((event[0], event[1], event[2]) for event in result["events"])
    kept = result["kept"]
    if kept is None:
        return Outcome(events, tuple(connects), result["end"])
    # What a user of the parser would send and wait; where the stream sets no time, one of theirs.
    after = 3000 if kept["retry"] is None else kept["retry"]
    if after > WATCH:
        return Outcome(events, (Connect(),), "waiting")
    return Outcome(
        events, (Connect(), Connect("", kept["last_event_id"].strip(" \t"), after)), "closed"
    )
