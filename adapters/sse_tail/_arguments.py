"""The command line's arguments: which there are, what they mean, and which values are refused.

Its plan: `make_parser` has all options, in the groups of the help; below it are the functions that
check a value, each an argparse ``type``. What no single value shows (a missing URL, a client that
is not installed) is refused by the modules that need it, through ``parser.error``.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Final

from ._clients import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["make_parser"]

_EPILOG: Final = """\
Each event is printed as soon as it arrives, as in an event stream unless you
ask for another form. Printing ends with Ctrl-C, after --max-events, at the
data that --until names (by default [DONE], with which chat APIs end an
answer), or when the server answers 204 (its way of saying that there is no
more).

When the connection is lost, or the server ends the stream, a GET request is
sent again, with the ID of the last event in the header Last-Event-ID, so that
the server can go on from there. Other requests are sent again only with
--reconnect: a chat API would answer, and charge, again.

exit status:
  0    the stream is over, or nobody reads the output any more
  1    no connection, or it was lost for good; a file could not be written
  2    wrong arguments
  3    the response is not an event stream, or an event is too large
  4    the stream is incomplete: it ended inside an event, or before --until
  130  Ctrl-C

examples:
  sse-tail https://example.com/events
  sse-tail --json --event price https://example.com/ticker | jq .data
  sse-tail -H "Authorization: Bearer $KEY" --field choices.0.delta.content \\
    --json-body @question.json https://example.com/v1/chat/completions
"""

# What a header value cannot contain. Surrogates stand for arguments that are not text.
_NOT_IN_A_VALUE: Final = re.compile("[\\x00-\\x08\\x0a-\\x1f\\x7f\\ud800-\\udfff]")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="sse-tail",
        description="Print the events of an event stream (Server-Sent Events) as they arrive.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("url", nargs="?", metavar="URL", help="where the stream is: http:// or https://")
    add("--demo", action="store_true", help="show live streams from a built-in server")
    add("--fast", action="store_true", help=argparse.SUPPRESS)
    add("--version", action="store_true", help="show the versions in use, and exit")
    add("-v", "--verbose", action="store_true", help="report on stderr what the connection does")
    _add_request(parser)
    _add_connection(parser)
    _add_recording(parser)
    _add_output(parser)
    return parser


def _add_request(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the request")
    add = group.add_argument
    add(
        "-X",
        "--request",
        metavar="METHOD",
        type=_method,
        help="default: GET, or POST if there is a body",
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
    body.add_argument(
        "-d",
        "--body",
        metavar="TEXT",
        help="send this body; @FILE: the contents of the file; @-: standard input",
    )
    body.add_argument(
        "--json-body",
        metavar="JSON",
        help="the same, but checked to be JSON and sent as application/json",
    )
    add("--last-event-id", metavar="ID", type=_value, help="go on after the event with this ID")
    add(
        "--client",
        choices=NAMES,
        help="the HTTP client to use; default: the first of these that is installed",
    )
    add("--proxy", metavar="URL", help="connect through this proxy")
    trust = group.add_mutually_exclusive_group()
    trust.add_argument("--cacert", metavar="FILE", help="trust the certificates in this PEM file")
    trust.add_argument("--insecure", action="store_true", help="trust any certificate")


def _add_connection(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the connection").add_argument
    add(
        "--reconnect",
        action=argparse.BooleanOptionalAction,
        help="whether to reconnect when a connection ends; default: for GET only",
    )
    add(
        "--idle-timeout",
        metavar="SECONDS",
        type=_positive(float),
        help="count a connection as lost after this long without any byte; default: never",
    )
    add(
        "--event-timeout",
        metavar="SECONDS",
        type=_positive(float),
        help="the same after this long without an event, even if comments come",
    )


def _add_recording(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recordings")
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--record",
        metavar="FILE",
        help="write the stream's bytes, with their times, to this file: one JSON line per chunk",
    )
    which.add_argument(
        "--replay", metavar="FILE", help="print the events in such a file, with the pauses"
    )
    group.add_argument(
        "--speed",
        metavar="N",
        type=_speed,
        default=1.0,
        help="replay it N times as fast; inf: without pauses",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the output")
    add = group.add_argument
    add(
        "--event",
        metavar="NAME",
        action="append",
        default=[],
        help="print only events of this type; may be given more than once",
    )
    add("--max-events", metavar="N", type=_positive(int), help="stop after printing N events")
    add(
        "--until",
        metavar="DATA",
        action="append",
        default=[],
        help="stop at the event with this data, which is not printed; the stream is incomplete if"
        " it never comes; may be given more than once; default: [DONE], if it comes",
    )
    add(
        "--comments",
        action="store_true",
        help="print comments too, such as heartbeats: a chunk's comments before its events",
    )
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print each event as a line of JSON")
    form.add_argument("--data", action="store_true", help="print only the data")
    form.add_argument(
        "--field",
        metavar="PATH",
        help="print one value from JSON data, such as choices.0.delta.content, with no line break;"
        " nothing for events that lack it",
    )


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"not a valid HTTP method: {text!r}")
    return text.upper()


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    name = name.strip()
    if not (colon and _TOKEN.fullmatch(name)):
        raise argparse.ArgumentTypeError(f"expected 'NAME: VALUE', got {text!r}")
    return name, _value(value.strip())


def _value(text: str) -> str:
    if _NOT_IN_A_VALUE.search(text):
        raise argparse.ArgumentTypeError(f"a header cannot have this value: {text!r}")
    return text


def _speed(text: str) -> float:
    return float("inf") if text == "inf" else _positive(float)(text)


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
