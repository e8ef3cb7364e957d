"""The command line: events as they arrive. ``sse-tail URL``, or ``python -m sse_tail URL``."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Final

from sse_proto import Action, IncompleteStream, Open, SSEError, Stop, Wait

from . import demo
from ._arguments import make_parser
from ._clients import ConnectionFailed, load_client
from ._output import Form
from ._request import request_of
from ._terminal import Console

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterable, Sequence

    from sse_proto import ServerSentEvent

__all__ = ["main"]

_FAILED, _REFUSED, _INCOMPLETE, _CTRL_C = 1, 3, 4, 130  # 2, for wrong arguments, is argparse's

# Seconds until the response's head. More than a client's default: some servers send it with the
# first event.
_OPEN_TIMEOUT: Final = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name. Default: those of the process.

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
        # Python would write what is left of it, and complain.
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
    client = load_client(parser, options.client)
    # What its log says is on stderr already.
    logging.getLogger(client.adapter.__name__).addHandler(logging.NullHandler())
    if options.version:
        print(demo.versions(client))
        return
    if options.demo:
        with client.reported():
            demo.run(client, fast=options.fast)
        return
    request = request_of(parser, options, client.library)
    request |= client.network(parser, options)
    request["timeout"] = client.library.Timeout(_OPEN_TIMEOUT)
    request["on_state"] = _reporter(console, verbose=options.verbose)
    if options.verbose:
        console.say("connecting")
    with client.subscribe(request) as events:
        _print(events, options, console)


def _print(events: Iterable[ServerSentEvent], options: Namespace, console: Console) -> None:
    """Print the events that are asked for, until there are no more."""
    form = Form(options, console.encoding)
    printed = 0
    try:
        for event in events:
            if event.data == "[DONE]":
                break
            if options.event and event.event not in options.event:
                continue
            if (text := form.text_of(event)) is not None:
                console.write(text)
                printed += 1
            if printed == options.max_events:
                break
    finally:
        console.write(form.rest())
        console.end_line()


def _reporter(console: Console, *, verbose: bool) -> Callable[[Action], None]:
    """Return what reports on the connection: all of it, or what is wrong."""

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
