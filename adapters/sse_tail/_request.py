"""From the options to a request: its URL, method, headers and body."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sse_proto import ReconnectPolicy

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

__all__ = ["request_of"]


def request_of(parser: ArgumentParser, options: Namespace, library: Any) -> dict[str, Any]:
    """Return the arguments of ``subscribe`` that the options stand for.

    Args:
        parser: Reports what is wrong with them.
        options: As the parser has them.
        library: The client's, which judges the URL.
    """
    url = _url(parser, options.url, library)
    body = _body(parser, options)
    headers: list[tuple[str, str]] = list(options.header)
    names = {name.lower() for name, _ in headers}
    if options.json_body is not None and "content-type" not in names:
        headers.append(("Content-Type", "application/json"))
    if body == b"" and not names & {"content-length", "transfer-encoding"}:
        # With clients, it depends on the method whether they say that a body is empty.
        headers.append(("Content-Length", "0"))
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
        "event_timeout": options.event_timeout,
    }


def _url(parser: ArgumentParser, text: str | None, library: Any) -> str:
    if text is None:
        parser.error("a URL is needed (or --demo)")
    if not text.lower().startswith(("http://", "https://")):
        parser.error(f"expected a URL with http:// or https://, got {text!r}")
    try:
        has_host = bool(library.URL(text).host)
        _ = urlsplit(text).port  # raises for 65536, which not every client does
    except (library.InvalidURL, TypeError, ValueError) as error:
        parser.error(f"not a valid URL: {text!r}: {error}")
    if not has_host:
        parser.error(f"not a valid URL: {text!r}: it has no host")
    return text


def _body(parser: ArgumentParser, options: Namespace) -> bytes | None:
    text: str | None = options.body if options.json_body is None else options.json_body
    if text is None:
        return None
    try:
        if text == "@-":
            body = sys.stdin.buffer.read()
        elif text.startswith("@"):
            body = Path(text[1:]).read_bytes()
        else:
            body = os.fsencode(text)
    except OSError as error:
        parser.error(f"cannot read the body: {error}")
    if options.json_body is not None:
        try:
            json.loads(body)
        except ValueError as error:
            parser.error(f"--json-body: not JSON: {error}")
    return body
