"""JSON objects from a response of httpx's or httpx2's, live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sse_proto._adapter.json_items import AsyncJsonItems, JsonItems, json_reader

from ._reader import Reader, content_type_of

if TYPE_CHECKING:
    from ._types import Response

__all__ = ["aiter_json", "iter_json"]


def iter_json(response: Response) -> JsonItems[Any]:
    """Return an iterator of the JSON objects in a response, each as soon as it has arrived.

    Args:
        response: From `connect_sse`, as its ``source.response``, or as `EventSource` takes it. From
            an event stream come the data of its events, parsed; events with empty data are passed
            over. From NDJSON (any ``application/*`` type with ``json``, and ``text/plain``) comes
            an object for each line that is not blank.

    Iterating ends at ``[DONE]``, or with the body. It raises what iterating an `EventSource` does;
    also:
        json.JSONDecodeError: Something is not JSON; the message shows its start. May go on.
        SSEError: The status is not a success, or the content type none of these.
    """
    return JsonItems(*json_reader(Reader, response, content_type_of(response)))


def aiter_json(response: Response) -> AsyncJsonItems[Any]:
    """Return an asynchronous iterator of the JSON objects in a response, as `iter_json`."""
    return AsyncJsonItems(*json_reader(Reader, response, content_type_of(response)))
