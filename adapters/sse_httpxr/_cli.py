"""The command line: events as they arrive. ``sse-tail URL``, or ``python -m sse_httpxr URL``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import httpxr

from sse_proto import Action, Open, ReconnectPolicy, Stop, Wait, encode

from . import _demo
from ._errors import SSEError
from ._subscribe import subscribe

if TYPE_CHECKING:
    from collections.abc import Callable

    from sse_proto import ServerSentEvent

__all__ = ["main"]

_LOST, _USAGE, _REFUSED, _CTRL_C = 1, 2, 3, 130

_EPILOG: Final = """\
Events are printed as they are in an event stream, and each is flushed. Reading ends with Ctrl-C,
with --max-events, when the data is [DONE] as chat APIs send it, or when the server answers 204.
When a connection is lost, another one is made, with the last event ID in the header Last-Event-ID.
The same request is sent then: for one that must not be repeated there is --no-reconnect.

exit status:
  0    the stream is over, or nobody reads the output any more
  1    no connection, or it was lost for good
  2    wrong arguments
  3    the answer is no event stream
  130  Ctrl-C

examples:
  sse-tail https://example.com/events
  sse-tail --json --event price https://example.com/ticker | jq .data
  sse-tail -H "Authorization: Bearer $KEY" --no-reconnect --field choices.0.delta.content \\
    --json-body '{"model": "m", "stream": true, "messages": []}' https://example.com/v1/chat
"""

# What a terminal would obey: C0 but tab and LF, DEL, C1. From a server they are shown instead.
_CONTROL: Final = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]")

# Seconds until the answer's headers. More than a client's default: some wait for the first event.
_OPEN_TIMEOUT: Final = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    # What it would say is on stderr already.
    logging.getLogger("sse_httpxr").addHandler(logging.NullHandler())
    try:
        if options.demo:
            _demo.run(fast=options.fast)
        else:
            _tail(options, _request(parser, options))
    except KeyboardInterrupt:
        return _CTRL_C
    except BrokenPipeError:
        # Nobody reads the output. Python would write what is left of it, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (httpxr.RequestError, httpxr.InvalidURL, OSError) as error:
        _say(f"error: {error}" + (f" ({error.__cause__})" if error.__cause__ else ""))
        return _REFUSED if _is_refusal(error) else _LOST
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sse-tail",
        description="Print the events of an event stream (Server-Sent Events) as they arrive.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("url", nargs="?", metavar="URL", help="where the stream is: http:// or https://")
    add("--demo", action="store_true", help="show live streams of a server of its own, and end")
    add("--fast", action="store_true", help=argparse.SUPPRESS)
    add("--version", action="version", version=_demo.versions())
    add("-v", "--verbose", action="store_true", help="show on stderr what the connection does")

    group = parser.add_argument_group("the request")
    add = group.add_argument
    add("-X", "--request", metavar="METHOD", help="default: GET; with a body POST")
    add(
        "-H",
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        type=_header,
        help="send this header; may be given more than once",
    )
    body = group.add_mutually_exclusive_group()
    body.add_argument("-d", "--body", metavar="TEXT", help="send this body; @FILE: this file")
    body.add_argument("--json-body", metavar="JSON", help="send this body as application/json")
    add("--last-event-id", metavar="ID", help="go on after this event")
    add("--proxy", metavar="URL", help="send it through this proxy")
    trust = group.add_mutually_exclusive_group()
    trust.add_argument("--cacert", metavar="FILE", help="trust the CAs in this PEM file")
    trust.add_argument("--insecure", action="store_true", help="trust any certificate")

    group = parser.add_argument_group("the connection")
    add = group.add_argument
    add("--no-reconnect", action="store_true", help="end when the connection ends")
    add(
        "--idle-timeout",
        metavar="SECONDS",
        type=_positive(float),
        help="connect again after so long without any byte; default: wait on",
    )

    group = parser.add_argument_group("the output")
    add = group.add_argument
    add(
        "--event",
        metavar="NAME",
        action="append",
        default=[],
        help="only events of this type; may be given more than once",
    )
    add("--max-events", metavar="N", type=_positive(int), help="end after so many printed events")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per line for each event")
    form.add_argument("--data", action="store_true", help="the data only")
    form.add_argument(
        "--field",
        metavar="PATH",
        help="a value of data that is JSON, as choices.0.delta.content, without a line end;"
        " nothing for events without it",
    )
    return parser


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"expected 'NAME: VALUE', got {text!r}")
    return name.strip(), value.strip()


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
        return value

    return parse


def _request(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `subscribe` that the options stand for."""
    if options.url is None:
        parser.error("a URL is needed (or --demo)")
    if not options.url.lower().startswith(("http://", "https://")):
        parser.error(f"expected a URL with http:// or https://, got {options.url!r}")
    request: dict[str, Any] = {
        "url": options.url,
        "headers": options.header,
        "last_event_id": options.last_event_id,
        "idle_timeout": options.idle_timeout,
        "reconnect": None if options.no_reconnect else ReconnectPolicy(),
        "timeout": httpxr.Timeout(_OPEN_TIMEOUT),
    }
    if options.body is not None:
        is_file = options.body.startswith("@")
        try:
            request["content"] = (
                Path(options.body[1:]).read_bytes() if is_file else options.body.encode()
            )
        except OSError as error:
            parser.error(f"--body: {error}")
    if options.json_body is not None:
        try:
            request["json"] = json.loads(options.json_body)
        except ValueError as error:
            parser.error(f"--json-body: not JSON: {error}")
    has_body = options.body is not None or options.json_body is not None
    request["method"] = options.request or ("POST" if has_body else "GET")
    if options.cacert is not None and not Path(options.cacert).is_file():
        parser.error(f"--cacert: no such file: {options.cacert}")
    if options.proxy or options.cacert or options.insecure:
        verify: Any = options.cacert or not options.insecure
        try:
            request["transport"] = httpxr.AsyncClient(verify=verify, proxy=options.proxy)
        except Exception as error:  # httpxr raises several kinds
            parser.error(f"--proxy or --cacert: {error}")
    return request


def _tail(options: argparse.Namespace, request: dict[str, Any]) -> None:
    """Print the events that are asked for, until there are no more."""
    show = _printer(options)
    printed = 0
    with httpxr.Client() as client:
        with subscribe(client, on_state=_reporter(verbose=options.verbose), **request) as events:
            for event in events:
                if event.data == "[DONE]":
                    break
                if options.event and event.event not in options.event:
                    continue
                printed += show(event)
                sys.stdout.flush()
                if printed == options.max_events:
                    break
    if options.field is not None and sys.stdout.isatty():
        print()


def _printer(options: argparse.Namespace) -> Callable[[ServerSentEvent], bool]:
    """Return what prints an event, and says whether it has."""
    write = _safe_write(sys.stdout)

    def as_stream(event: ServerSentEvent) -> bool:
        write(encode(event).decode())
        return True

    def as_json(event: ServerSentEvent) -> bool:
        write(json.dumps(event._asdict(), ensure_ascii=False) + "\n")
        return True

    def data(event: ServerSentEvent) -> bool:
        write(event.data + "\n")
        return True

    path: list[str] = options.field.split(".") if options.field is not None else []

    def field(event: ServerSentEvent) -> bool:
        value = _value_at(path, event.data)
        if value is None:
            return False
        write(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        return True

    if options.json:
        return as_json
    if options.data:
        return data
    return field if path else as_stream


def _value_at(path: Sequence[str], data: str) -> object:
    """Return a value within JSON data; ``None`` where there is none."""
    try:
        value: object = json.loads(data)
    except ValueError:
        return None
    for name in path:
        if isinstance(value, Mapping):
            value = cast("Mapping[str, object]", value).get(name)
        elif isinstance(value, list) and name.isdecimal():
            items = cast("list[object]", value)
            value = items[int(name)] if int(name) < len(items) else None
        else:
            return None
    return value


def _safe_write(stream: TextIO) -> Callable[[str], object]:
    """Return what writes to a stream: as it is, but to a terminal without control characters."""
    if not stream.isatty():
        return stream.write
    return lambda text: stream.write(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text))


def _reporter(*, verbose: bool) -> Callable[[Action], None]:
    """Return what reports on the connection: all of it, or what is wrong."""

    def report(action: Action) -> None:
        if isinstance(action, Wait):
            if action.error is not None or verbose:
                why = "the stream has ended" if action.error is None else str(action.error)
                _say(f"{why}; connecting again in {action.seconds:.1f} s")
        elif isinstance(action, Open) and verbose:
            _say("connected")
        elif isinstance(action, Stop) and verbose:
            _say(f"over: {action.reason}")

    return report


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, SSEError) and error.response is not None


def _say(text: str) -> None:
    print(f"sse-tail: {_CONTROL.sub('?', text)}", file=sys.stderr, flush=True)
