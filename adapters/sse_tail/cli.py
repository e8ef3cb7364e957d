"""The command line: events as they arrive. ``sse-tail URL``, or ``python -m sse_tail URL``."""

from __future__ import annotations

import argparse
import codecs
import json
import logging
import os
import re
import ssl
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import httpxr

from sse_httpxr import SSEError, subscribe
from sse_proto import Action, Open, ReconnectPolicy, Stop, Wait, encode

from . import demo

if TYPE_CHECKING:
    from collections.abc import Callable

    from sse_proto import ServerSentEvent

__all__ = ["main"]

_FAILED, _REFUSED, _CTRL_C = 1, 3, 130  # 2, for wrong arguments, is argparse's

_EPILOG: Final = """\
Each event is printed as soon as it is there, in the form of an event stream
unless another one is asked for. Printing ends with Ctrl-C, after --max-events,
at the data [DONE] (so chat APIs end an answer), or when the server answers 204
(so it says that there will be no more).

When the connection is lost, or the server ends the stream, a GET request is
sent again, with the ID of the last event in the header Last-Event-ID: the
server can go on from there. Other requests are sent again with --reconnect
only: a chat API would answer, and charge, once more.

exit status:
  0    the stream is over, or nobody reads the output any more
  1    no connection, or it was lost for good; the output cannot be written
  2    wrong arguments
  3    the answer is no event stream, or an event is too large
  130  Ctrl-C

examples:
  sse-tail https://example.com/events
  sse-tail --json --event price https://example.com/ticker | jq .data
  sse-tail -H "Authorization: Bearer $KEY" --field choices.0.delta.content \\
    --json-body @question.json https://example.com/v1/chat/completions
"""

# What a terminal would obey: C0 but tab and LF, DEL, C1. From a server they are shown instead.
_CONTROL: Final = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]")

# What the value of a header cannot have. Surrogates stand for arguments that are no text.
_NO_VALUE: Final = re.compile("[\\x00-\\x08\\x0a-\\x1f\\x7f\\ud800-\\udfff]")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2

# Seconds until the answer's headers. More than a client's default: some wait for the first event.
_OPEN_TIMEOUT: Final = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    # What it would say is on stderr already.
    logging.getLogger("sse_httpxr").addHandler(logging.NullHandler())
    # Text of a server's must not end it, be the output ASCII, or the text half a surrogate pair.
    cast("TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
    try:
        if options.demo:
            demo.run(fast=options.fast)
        else:
            _tail(options, _request(parser, options))
    except KeyboardInterrupt:
        return _CTRL_C
    except OSError as error:  # of the output: what httpxr raises is none
        # Python would write what is left of it, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _say(f"error: {error}")
            return _FAILED
    except httpxr.RequestError as error:
        _say(f"error: {error}")
        return _REFUSED if isinstance(error, SSEError) else _FAILED
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
    add("--demo", action="store_true", help="show the live streams of a server of its own")
    add("--fast", action="store_true", help=argparse.SUPPRESS)
    add("--version", action="version", version=demo.versions())
    add("-v", "--verbose", action="store_true", help="say on stderr what the connection does")

    group = parser.add_argument_group("the request")
    add = group.add_argument
    add(
        "-X",
        "--request",
        metavar="METHOD",
        type=_method,
        help="default: GET, or with a body POST",
    )
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
    body.add_argument("-d", "--body", metavar="TEXT", help="send this body; with @FILE, that file")
    body.add_argument(
        "--json-body", metavar="JSON", help="the same, and say that it is application/json"
    )
    add("--last-event-id", metavar="ID", type=_value, help="go on after the event with this ID")
    add("--proxy", metavar="URL", help="connect through this proxy")
    trust = group.add_mutually_exclusive_group()
    trust.add_argument("--cacert", metavar="FILE", help="trust the certificates in this PEM file")
    trust.add_argument("--insecure", action="store_true", help="trust any certificate")

    group = parser.add_argument_group("the connection")
    add = group.add_argument
    add(
        "--reconnect",
        action=argparse.BooleanOptionalAction,
        help="whether to connect again after the end of a connection; default: for GET",
    )
    add(
        "--idle-timeout",
        metavar="SECONDS",
        type=_positive(float),
        help="take a connection for lost after so long without any byte; default: never",
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
    add("--max-events", metavar="N", type=_positive(int), help="end after N printed events")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="each event as a JSON object in a line")
    form.add_argument("--data", action="store_true", help="the data only")
    form.add_argument(
        "--field",
        metavar="PATH",
        help="one value of data that is JSON, such as choices.0.delta.content, without a line end;"
        " nothing for events that do not have it",
    )
    return parser


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"no method: {text!r}")
    return text.upper()


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name = name.strip()
    if not (colon and _TOKEN.fullmatch(name)):
        raise argparse.ArgumentTypeError(f"expected 'NAME: VALUE', got {text!r}")
    return name, _value(value.strip())


def _value(text: str) -> str:
    if _NO_VALUE.search(text):
        raise argparse.ArgumentTypeError(f"control characters, or no text: {text!r}")
    return text


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
    url = _url(parser, options.url)
    body = _body(parser, options)
    headers: list[tuple[str, str]] = options.header
    names = [name.lower() for name, _ in headers]
    if options.json_body is not None and "content-type" not in names:
        headers = [*headers, ("Content-Type", "application/json")]
    method = options.request or ("GET" if body is None else "POST")
    again = method == "GET" if options.reconnect is None else options.reconnect
    return {
        "method": method,
        "url": url,
        "headers": headers,
        "content": body,
        "last_event_id": options.last_event_id,
        "reconnect": ReconnectPolicy(reconnect_on_end=True) if again else None,
        "idle_timeout": options.idle_timeout,
        "timeout": httpxr.Timeout(_OPEN_TIMEOUT),
        "transport": _network(parser, options),
    }


def _url(parser: argparse.ArgumentParser, text: str | None) -> str:
    if text is None:
        parser.error("a URL is needed (or --demo)")
    if not text.lower().startswith(("http://", "https://")):
        parser.error(f"expected a URL with http:// or https://, got {text!r}")
    try:
        has_host = bool(httpxr.URL(text).host)
    except (httpxr.InvalidURL, TypeError) as error:
        parser.error(f"no URL: {text!r}: {error}")
    if not has_host:
        parser.error(f"no URL: {text!r} has no host")
    return text


def _body(parser: argparse.ArgumentParser, options: argparse.Namespace) -> bytes | None:
    text: str | None = options.body if options.json_body is None else options.json_body
    if text is None:
        return None
    try:
        body = Path(text[1:]).read_bytes() if text.startswith("@") else os.fsencode(text)
        if options.json_body is not None:
            json.loads(body)
    except OSError as error:
        parser.error(f"no such body: {error}")
    except ValueError as error:
        parser.error(f"--json-body: not JSON: {error}")
    return body


def _network(parser: argparse.ArgumentParser, options: argparse.Namespace) -> httpxr.AsyncClient:
    """Return what the request goes over; the environment's proxies and roots hold as well."""
    try:
        if options.cacert is not None:  # httpxr takes a file without certificates
            ssl.create_default_context(cafile=options.cacert)
    except OSError as error:
        parser.error(f"--cacert {options.cacert}: {error}")
    if options.proxy is not None and "@" in options.proxy:
        parser.error("--proxy: a user and a password would not be sent, httpxr cannot")
    try:
        verify: Any = options.cacert or not options.insecure
        return httpxr.AsyncClient(verify=verify, proxy=options.proxy)
    except Exception as error:  # httpxr raises several kinds
        parser.error(f"--proxy: {error}")


def _tail(options: argparse.Namespace, request: dict[str, Any]) -> None:
    """Print the events that are asked for, until there are no more."""
    show = _printer(options)
    printed = 0
    report = _reporter(verbose=options.verbose)
    if options.verbose:
        _say("connecting")
    try:
        with httpxr.Client() as client, subscribe(client, on_state=report, **request) as events:
            for event in events:
                if event.data == "[DONE]":
                    break
                if options.event and event.event not in options.event:
                    continue
                printed += show(event)
                sys.stdout.flush()
                if printed == options.max_events:
                    break
    finally:
        if options.field is not None and sys.stdout.isatty():
            print(flush=True)


def _printer(options: argparse.Namespace) -> Callable[[ServerSentEvent], bool]:
    """Return what prints an event, and says whether it has."""
    is_terminal = sys.stdout.isatty()

    def write(text: str) -> bool:
        sys.stdout.write(_visible(text) if is_terminal else text)
        return True

    def field(event: ServerSentEvent) -> bool:
        text = _text_at(options.field.split("."), event.data)
        return text is not None and write(text)

    if options.json:
        return lambda event: write(_as_json(event._asdict()) + "\n")
    if options.data:
        return lambda event: write(event.data + "\n")
    return field if options.field is not None else lambda event: write(encode(event).decode())


def _text_at(path: Sequence[str], data: str) -> str | None:
    """Return a value within JSON data as text; ``None`` where there is none."""
    try:
        value: object = json.loads(data)
        for name in path:
            if isinstance(value, list):
                value = {str(i): item for i, item in enumerate(cast("list[object]", value))}
            if not isinstance(value, Mapping):
                return None
            value = cast("Mapping[str, object]", value).get(name)
        return value if value is None or isinstance(value, str) else _as_json(value)
    except (ValueError, RecursionError):  # of 10,000 brackets
        return None


def _as_json(value: object) -> str:
    # Where the output cannot have all characters, JSON has escapes of its own, others than Python.
    is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
    return json.dumps(value, ensure_ascii=not is_utf8)


def _reporter(*, verbose: bool) -> Callable[[Action], None]:
    """Return what reports on the connection: all of it, or what is wrong."""

    def report(action: Action) -> None:
        if isinstance(action, Wait):
            if action.error is not None or verbose:
                why = action.error or "the server has ended the stream"
                _say(f"{why}; connecting again in {action.seconds:.1f} s")
        elif isinstance(action, Open) and verbose:
            _say("connected")
        elif isinstance(action, Stop) and verbose:
            _say(f"over: {action.reason}")

    return report


def _say(text: str) -> None:
    print(f"sse-tail: {_visible(text)}", file=sys.stderr, flush=True)


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
