"""The options that every adapter takes, besides those of its client's requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict, TypeVar, cast

from sse_proto import Action, ReconnectPolicy, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sse_proto import DecoderFactory

__all__ = ["ConnectOptions", "Headers", "SubscribeOptions", "missing_headers", "split_options"]

_HEADERS: Final = (("accept", "text/event-stream"), ("cache-control", "no-store"))

_Own = TypeVar("_Own")
_Request = TypeVar("_Request")


class Headers(Protocol):
    """A mapping of header fields that ignores the case of names, such as a client's."""

    def __contains__(self, name: Any, /) -> bool: ...
    def __getitem__(self, name: str, /) -> str: ...


class ConnectOptions(TypedDict, total=False):
    """What ``connect_sse`` and ``aconnect_sse`` take besides the request's options."""

    decoder: SSEDecoder | None
    """A new decoder: for limits, for options, or with a ``last_event_id``."""


class SubscribeOptions(TypedDict, total=False):
    """What ``subscribe`` and ``asubscribe`` take besides the request's options."""

    reconnect: ReconnectPolicy | None
    """When to connect again, and when to give up. ``None``: never."""

    idle_timeout: float | None
    """Seconds of silence after which a connection counts as lost; any byte ends the silence, even a
    comment's. ``None``: never. Default: the ``read`` part of ``timeout`` if given, else never; a
    client's own timeouts are made for responses that end."""

    last_event_id: str | None
    """The last event ID to start from. Default: ``Last-Event-ID`` in ``headers``, if given."""

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
        of_client: The client's, which win too; except ``Accept: */*``, which is every client's
            default, and says nothing.
        wanted: What to add. Default: what asks for an event stream, as the standard has it (HTML
            Standard 9.2.3).
    """
    return [
        (name, value)
        for name, value in wanted
        if name not in given and (name not in of_client or of_client[name].strip() == "*/*")
    ]
