"""The options that every adapter takes, besides those of its client's requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict, TypeVar, cast

from sse_proto import Action, Lost, NextRequest, ReconnectPolicy, ServerSentEvent, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

    from sse_proto import DecoderFactory

__all__ = ["ConnectOptions", "Headers", "SubscribeOptions", "missing_headers", "split_options"]

_HEADERS: Final = (("accept", "text/event-stream"), ("cache-control", "no-store"))

_Own = TypeVar("_Own")
_Request = TypeVar("_Request")


class Headers(Protocol):
    """A mapping of header fields that ignores the case of names, such as a client's."""

    def __contains__(self, name: str, /) -> bool: ...
    def __getitem__(self, name: str, /) -> str: ...


class ConnectOptions(TypedDict, total=False):
    """What ``connect_sse`` and ``aconnect_sse`` take besides the request's options."""

    decoder: SSEDecoder | None
    """A new decoder: for limits, for options, or with a ``last_event_id``."""

    event_timeout: float | None
    """The longest silence between events, in seconds: comments, and bytes that complete no event,
    do not count. After it, the client's ReadTimeout is raised, as for silence between bytes; it
    says which it was. ``None``, and the default: any."""

    on_comment: Callable[[str], object] | None
    """Called with each comment, in order with the events, when its chunk is read: a sign of life,
    or a server's message to people. A ``decoder`` has its own ``on_comment``."""


class SubscribeOptions(TypedDict, total=False):
    """What ``subscribe`` and ``asubscribe`` take besides the request's options."""

    reconnect: ReconnectPolicy | None
    """When to connect again, and when to give up. ``None``: never."""

    idle_timeout: float | None
    """Seconds of silence after which a connection counts as lost; any byte ends the silence, even a
    comment's. ``None``: never. Default: the ``read`` part of ``timeout`` if given, otherwise never;
    a client's own timeouts are made for responses that end."""

    last_event_id: str | None
    """The last event ID to start from. Default: ``Last-Event-ID`` in ``headers``, if given."""

    event_timeout: float | None
    """Seconds without an event (neither comments nor pings count) after which a connection counts
    as lost, even if bytes come. ``None``, and the default: never."""

    until: str | Collection[str] | None
    """The data of the event that ends the stream, or several alternatives, compared exactly. That
    event is not handed out, and iterating ends with it, whatever follows. A connection that ends
    before it counts as broken, and another one is made."""

    is_last: Callable[[ServerSentEvent], bool] | None
    """Whether an event is the last one: it is handed out, and iterating ends with it. Otherwise as
    ``until``. What it raises ends the stream, and is raised there."""

    ping: Callable[[ServerSentEvent], bool] | None
    """Whether an event is a mere sign of life, for example
    ``lambda event: event.event == "ping"``: it does not count for ``event_timeout``."""

    withhold_pings: bool
    """Whether such events are not handed out. Default: ``False``."""

    on_comment: Callable[[str], object] | None
    """Called with each comment, in order with the events, when its chunk is read. What it raises
    ends the stream, and is raised there."""

    next_request: Callable[[Lost[Any]], NextRequest | Awaitable[NextRequest | None] | None] | None
    """Called before each connection after the first, with what is known about the stream; returns
    the request that asks for the rest of it, or ``None`` to repeat the same one. For an
    asynchronous subscription it may be a coroutine function. What it raises ends the stream, and is
    raised there."""

    on_state: Callable[[Action], object] | None
    """Called with what happens: `sse_proto.Open`, `sse_proto.Wait` (the connection was lost, or
    none could be made), `sse_proto.Stop` or `sse_proto.Fail`; in the thread or task that iterates.
    If it raises, the stream ends, and the error is raised there."""

    decoder: DecoderFactory
    """Makes the decoder of each connection, when called with ``last_event_id=``: for example
    ``functools.partial(SSEDecoder, max_event_size=4096)``."""


def split_options(
    caller: str, options: Mapping[str, object], own: type[_Own], request: type[_Request]
) -> tuple[_Own, _Request]:
    """Split the options of a call into those of the kit and those of the request.

    Args:
        caller: The name of the function that was called, for the error.
        options: What it was called with, ``**options``.
        own: `ConnectOptions` or `SubscribeOptions`.
        request: The adapter's own ``TypedDict``, with the options of a request.

    Returns:
        Two dictionaries, typed as ``own`` and ``request``. An option that was not given is absent.

    Raises:
        TypeError: Neither of the two has such an option.
    """
    mine: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in options.items():
        if name in own.__annotations__:
            mine[name] = value
        elif name in request.__annotations__:
            others[name] = value
        else:
            raise TypeError(f"{caller}() got an unexpected keyword argument {name!r}")
    return cast("_Own", mine), cast("_Request", others)


def missing_headers(
    given: Headers,
    of_client: Headers,
    wanted: Iterable[tuple[str, str]] = _HEADERS,
) -> list[tuple[str, str]]:
    """Return the header fields that a request for an event stream still needs.

    Args:
        given: The call's own, which win. A mapping that ignores the case of names.
        of_client: The client's, which win too, except ``Accept: */*``, which is every client's
            default and says nothing.
        wanted: What to add. Default: what asks for an event stream (HTML Standard 9.2.3).
    """
    return [
        (name, value)
        for name, value in wanted
        if name not in given and (name not in of_client or of_client[name].strip() == "*/*")
    ]
