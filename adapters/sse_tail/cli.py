"""The command line: events as they arrive. ``sse-tail URL``, or ``python -m sse_tail URL``.

Its plan: `main` turns errors into exit statuses. `_run` finds out what is asked for; `_tail` and
`_replay` open a stream, live or recorded, and have it watched and printed. The rest is by subject:
`_arguments`, `_request`, `_clients`, `_recording`; `_printing`, `_output`, `_progress`,
`_terminal`.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Final

from sse_proto import Action, IncompleteStream, Open, SSEError, Stop, Wait
from sse_testing.cassette import Cassette, CassetteError

from . import demo
from ._arguments import make_parser
from ._clients import ConnectionFailed, load_client
from ._observed import observed
from ._printing import Printer
from ._recording import Recorder, replay
from ._request import request_of
from ._terminal import Console

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Sequence

    from sse_proto import DecoderFactory

    from ._clients import HTTPClient
    from ._observed import Observer

__all__ = ["main"]

_FAILED, _REFUSED, _INCOMPLETE, _CTRL_C = 1, 3, 4, 130  # 2, for wrong arguments, is argparse's

# Seconds until the response's head. More than a client's default: some servers send it with the
# first event.
_OPEN_TIMEOUT: Final = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name. Default: the process's.

    Returns:
        The exit status.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    console = Console()
    try:
        _run(parser, options, console)
    except KeyboardInterrupt:
        return _CTRL_C
    except OSError as error:  # of the output: a client's errors are ConnectionFailed
        # Otherwise Python would write what is left of it, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            console.say(f"error: {error}")
            return _FAILED
    except (ConnectionFailed, SSEError) as error:
        console.say(f"error: {error}")
        if isinstance(error, IncompleteStream):
            return _INCOMPLETE
        return _REFUSED if isinstance(error, SSEError) else _FAILED
    return 0


def _run(parser: ArgumentParser, options: Namespace, console: Console) -> None:
    """Do what is asked for."""
    if options.comments and (options.data or options.field is not None):
        parser.error("--comments: not with --data or --field, which print only events")
    if options.replay is not None:
        _replay(parser, options, console)
        return
    client = load_client(parser, options.client)
    # What its log would say is already on stderr.
    logging.getLogger(client.adapter.__name__).addHandler(logging.NullHandler())
    if options.version:
        print(demo.versions(client))
    elif options.demo:
        with client.reported():
            demo.run(client, fast=options.fast)
    else:
        _tail(parser, options, console, client)


def _replay(parser: ArgumentParser, options: Namespace, console: Console) -> None:
    """Print a recorded stream."""
    if options.url is not None:
        parser.error("--replay takes no URL")
    try:
        cassette = Cassette.read(options.replay)
    except (OSError, CassetteError) as error:
        parser.error(f"--replay: {error}")
    with ExitStack() as stack:
        printer, decoder = _watched(stack, options, console, [])
        printer.print_events(replay(cassette, options.speed, decoder))


def _tail(parser: ArgumentParser, options: Namespace, console: Console, client: HTTPClient) -> None:
    """Print a live stream."""
    request = request_of(parser, options, client.library)
    request |= client.network(parser, options)
    request["timeout"] = client.library.Timeout(_OPEN_TIMEOUT)
    report = _reporter(console, verbose=options.verbose)
    with ExitStack() as stack:
        recorder = None
        if options.record is not None:
            recorder = Recorder(stack.enter_context(_opened(parser, options.record)))
        if options.verbose:
            console.say("connecting")
        observers = [] if recorder is None else [recorder]
        printer, request["decoder"] = _watched(stack, options, console, observers)

        def on_state(action: Action) -> None:
            if recorder is not None:
                recorder.note(action, events.response)
            report(action)

        events = stack.enter_context(client.subscribe({**request, "on_state": on_state}))
        printer.print_events(events)


def _opened(parser: ArgumentParser, path: str) -> IO[str]:
    try:
        return open(path, "w", encoding="utf-8", newline="\n")  # on every system
    except OSError as error:
        parser.error(f"--record: {error}")


def _watched(
    stack: ExitStack, options: Namespace, console: Console, observers: Sequence[Observer]
) -> tuple[Printer, DecoderFactory]:
    """Return what prints a stream, and the decoders that show it what is not an event.

    Args:
        stack: Ends the status line, if there is one.
        options: As the parser has them.
        console: Where to print.
        observers: Who else should see the chunks.
    """
    printer = Printer(options, console)
    if console.has_status_line:
        observers = [*observers, printer.progress]
        stack.enter_context(console.status_line(printer.progress.text))
    return printer, observed(observers, printer.print_comment if options.comments else None)


def _reporter(console: Console, *, verbose: bool) -> Callable[[Action], None]:
    """Return what reports on the connection: everything, or just what is wrong."""

    def report(action: Action) -> None:
        if isinstance(action, Wait):
            if action.error is not None or verbose:
                why = action.error or "the server has ended the stream"
                console.say(f"{why}; connecting again in {action.seconds:.1f} s")
        elif isinstance(action, Open) and verbose:
            console.say("connected")
        elif isinstance(action, Stop) and verbose:
            console.say(f"over: {action.reason}")

    return report
