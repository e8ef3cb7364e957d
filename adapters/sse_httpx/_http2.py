"""What httpcore and httpcore2 leave to be mended in HTTP/2: this module knows their internals.

The clients' public interface cannot end one stream of an HTTP/2 connection and leave the others
alone. Up to httpcore 1.0.9 and httpcore2 2.16.2:

- Closing a response early tells the server nothing. It goes on sending, which uses up the
  connection's flow-control window; and after 100 such closings the connection refuses new
  streams, as the server still counts the old ones (encode/httpcore#943 and #1022,
  pydantic/httpx2#536).
- A task that is cancelled while it writes leaves half a frame, or half a TLS record, behind.
- A read timeout is the connection's, not the stream's: one ends all, and a stream that waits while
  another one reads has none. A stream whose data another one has read may wait for the next data.
- A stream that nobody reads uses up the connection's window, and starves the others.
- A GOAWAY loses what came before it in the same segment, and raises errors that are not public.
- Threads that send at the same time on a sync connection may take the same stream ID, or lose
  frames; and they read and write through one SSL object at the same time, which breaks it.

The classes here do what upstream needs: they subclass the two connection classes, with these
methods replaced, and `mend` turns a connection into one of them. No class of the libraries is
changed, and no connection that sse_httpx does not use.

Guarded: `mend` returns ``None`` for what does not look as it should, as in a later version. Then
leaving a stream sends its RST_STREAM by public means, and if that fails, closes the connection
(see `leave_unmended`): the server is told in any case. The rest stays as the client does it.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import sys
import threading
import time
from contextlib import nullcontext
from functools import cache, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import anyio

from sse_adapter import run

from ._trio import runs_on_trio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from contextlib import AbstractContextManager

__all__ = ["Http2Connection", "finish", "leave_unmended", "mend"]

_T = TypeVar("_T")

_CANCEL: Final = 8
"""RFC 9113, 7: the stream is no longer needed."""
_INSTANT: Final = 0.0001
"""Seconds to wait for what is there already."""
_CHUNK_SIZE: Final = 64 * 1024
"""Bytes to hand on at once, if that many have come."""
_WINDOW_SIZE: Final = 2**24
"""Bytes that may be in flight on a connection; as many as httpcore allows on a stream."""
_WINDOW_STEP: Final = 2**20
_WRITE_SECONDS: Final = 5.0
"""How long sending the end of a stream may take before the connection counts as dead."""
_OPENING_SECONDS: Final = 1.0
"""How long a thread waits for another to take its stream ID and send its headers."""
_NEEDED: Final = (
    "_connection_error",
    "_connection_terminated",
    "_events",
    "_expire_at",
    "_h2_state",
    "_keepalive_expiry",
    "_network_stream",
    "_read_exception",
    "_read_lock",
    "_receive_remote_settings_change",
    "_receive_stream_event",
    "_response_closed",
    "_state",
    "_state_lock",
    "_wait_for_outgoing_flow",
    "_write_lock",
    "_write_outgoing_data",
)
"""What a connection must have to be mended."""


def mend(connection: Any) -> Http2Connection | None:
    """Return an httpcore HTTP/2 connection, mended; ``None`` if it is not one, or unknown.

    It stays the same object. It may have streams, and tasks or threads that are reading them.
    """
    if isinstance(connection, Http2Connection):
        return connection
    original: Any = connection.__class__
    library = sys.modules.get(original.__module__.partition(".")[0])
    is_sync = original is getattr(library, "HTTP2Connection", None)
    if not is_sync and original is not getattr(library, "AsyncHTTP2Connection", None):
        return None
    if not all(hasattr(connection, name) for name in _NEEDED):
        return None
    h2_state = connection._h2_state
    try:
        _unfinished_frame(h2_state)
        _ = h2_state.streams
    except AttributeError:
        return None
    if is_sync:
        h2_state.sse_lock = threading.RLock()
        h2_state.sse_opening = threading.Lock()
        h2_state.__class__ = _thread_safe(h2_state.__class__)
    connection._mending = _Streams(threading.Lock() if is_sync else nullcontext())
    connection.__class__ = _mended(original, is_sync)
    mended: Http2Connection = connection
    return mended


async def leave_unmended(response: Any, is_async: bool) -> None:
    """Tell the server that a stream is left, on a connection that could not be mended.

    The client does not know, and still counts the stream as open.

    Args:
        response: From httpx or httpx2, over HTTP/2, not at its end.
    """
    network_stream: Any = response.extensions["network_stream"]
    stream_id: Any = response.extensions["stream_id"]
    try:
        # RFC 9113, 6.4: length, type, flags, stream, error code.
        head = b"\0\0\4\3\0" + stream_id.to_bytes(4, "big")
        written = network_stream.write(head + _CANCEL.to_bytes(4, "big"), _WRITE_SECONDS)
        if is_async:
            await finish(written)
    except Exception:
        if is_async:
            await finish(network_stream.aclose())
        else:
            network_stream.close()


class _Streams:
    """What the mended classes keep for each connection."""

    def __init__(self, mutex: AbstractContextManager[object]) -> None:
        self.mutex: Final = mutex
        """Held while the others are changed, and never during a wait."""
        self.reading: int | None = None
        """The stream whose task or thread reads from the network, for all."""
        self.waiters: dict[int, Any] = {}
        """What wakes the streams that wait meanwhile."""
        self.interrupted: set[int] = set()
        """Streams whose waits are to end."""


class Http2Connection:
    """Mixed in before a connection class of httpcore or httpcore2.

    One of the tasks or threads that wait for their streams reads from the network, for all of them:
    it hands out what it gets, and wakes whoever it is for. When it has its own, another takes over.

    Methods are coroutines, which never suspend if the connection is sync.
    """

    is_async: ClassVar[bool]
    _library: ClassVar[Any]  # httpcore or httpcore2
    _events_of_h2: ClassVar[Any]  # the module h2.events
    _h2_errors: ClassVar[tuple[type[Exception], ...]]
    _mending: _Streams
    # What httpcore's classes have.
    READ_NUM_BYTES: int
    _h2_state: Any
    _events: dict[int, list[Any]]
    _network_stream: Any
    _read_lock: Any
    _write_lock: Any
    _state_lock: Any
    _connection_error: bool
    _connection_terminated: Any
    _read_exception: Exception | None
    _state: Any
    _expire_at: float | None
    _keepalive_expiry: float | None
    is_available: Callable[[], bool]

    # What the adapter asks for.

    async def read(self, stream_id: int, seconds: float | None) -> bytes | None:
        """Return data of a stream, of any size; ``None`` at its end.

        Cancelled, it has taken nothing.

        Args:
            stream_id: The stream.
            seconds: How long to wait at most, whatever comes for other streams.

        Raises:
            httpcore.ReadTimeout: Nothing came in that time.
            httpcore.RemoteProtocolError, httpcore.ReadError: The stream was reset, or closed; the
                connection was lost.
        """
        # For what the last call took. Not in that call: cancelled, it would have lost the data.
        await self._flush()
        try:
            await self._until(lambda: self._events.get(stream_id), stream_id, seconds)
        except self._library.ConnectionNotAvailable:
            raise self._lost() from None
        events = self._events.get(stream_id)
        if events is None:  # another thread was faster
            raise self._closed()
        if isinstance(events[0], self._events_of_h2.StreamReset):
            code = events[0].error_code
            raise self._library.RemoteProtocolError(f"the server reset the stream: {code!r}")
        chunks: list[bytes] = []
        size = flow = 0
        for event in events:
            if size > _CHUNK_SIZE or not isinstance(event, self._events_of_h2.DataReceived):
                break
            chunks.append(event.data)
            size += len(event.data)
            flow += event.flow_controlled_length
        if not chunks:
            return None
        self._h2_state.acknowledge_received_data(flow, stream_id)
        del events[: len(chunks)]
        return b"".join(chunks)

    async def interrupt(self, stream_id: int) -> None:
        """End another task's or thread's wait for this stream, with an error."""
        self._mending.interrupted.add(stream_id)
        await self._wake(stream_id)

    def rest(self) -> None:
        """Become idle, if there is no stream.

        httpcore marks a connection as active before the request has a stream. A request that is
        cancelled in between leaves it so.
        """
        if not self._events and self.is_available():
            self._state = self._state.__class__.IDLE
            seconds = self._keepalive_expiry
            self._expire_at = None if seconds is None else time.monotonic() + seconds

    # What replaces httpcore's methods.

    async def _next_event(self, request: Any, stream_id: int) -> Any:
        seconds = request.extensions.get("timeout", {}).get("read")
        await self._until(lambda: self._events.get(stream_id), stream_id, seconds)
        event = self._events[stream_id].pop(0)
        if isinstance(event, self._events_of_h2.StreamReset):
            raise self._library.RemoteProtocolError(event)
        return event

    async def _outgoing_flow(self, request: Any, stream_id: int) -> int:
        def flow() -> int:
            window: int = self._h2_state.local_flow_control_window(stream_id)
            frame_size: int = self._h2_state.max_outbound_frame_size
            return min(window, frame_size)

        await self._until(flow, stream_id, request.extensions.get("timeout", {}).get("read"))
        return flow()

    async def _close_stream(self, stream_id: int) -> None:
        self._leave(stream_id)
        await self._flush()
        original: Any = super()
        closing = original._response_closed(stream_id=stream_id)
        if self.is_async:
            await closing
        await self._wake(stream_id)
        self._mending.interrupted.discard(stream_id)

    def _leave(self, stream_id: int) -> None:
        """Make the server stop sending for a stream, unless it is at its end."""
        events = self._events.get(stream_id, ())
        data_received = self._events_of_h2.DataReceived
        unread = [event for event in events if isinstance(event, data_received)]
        try:
            if flow := sum(event.flow_controlled_length for event in unread):
                self._h2_state.acknowledge_received_data(flow, stream_id)
            if not self._h2_state.streams[stream_id].closed:
                self._h2_state.reset_stream(stream_id, _CANCEL)
        except self._h2_errors:  # it has ended, or has not begun, or the connection is over
            pass

    async def _flush(self) -> None:
        """Send what is pending; if that fails, the next read will say so."""
        if not self._has_output():
            return
        this: Any = self
        try:
            writing: Any = this._write_outgoing_data(_Request)
            if self.is_async:
                await writing
        except self._library.WriteTimeout as error:
            self._fail(error)
        except Exception:  # there may still be something to read
            pass

    def _has_output(self) -> bool:
        return bool(getattr(self._h2_state, "_data_to_send", True))

    # Waiting for one's stream, and reading for all.

    async def _until(
        self, is_there: Callable[[], object], stream_id: int, seconds: float | None
    ) -> None:
        """Wait until something is there; or raise ReadTimeout, or why it will not come."""
        if is_there():
            return
        try:
            if seconds is None or not self.is_async:
                deadline = None if seconds is None else time.monotonic() + seconds
                await self._wait(is_there, stream_id, deadline)
            else:
                with anyio.move_on_after(seconds):
                    await self._wait(is_there, stream_id, None)
        except TimeoutError:  # of a sync one
            pass
        finally:
            self._hand_over()
        if seconds is not None and not is_there():
            raise self._library.ReadTimeout(f"nothing came for the stream in {seconds} s")

    async def _wait(
        self, is_there: Callable[[], object], stream_id: int, deadline: float | None
    ) -> None:
        streams = self._mending
        while True:
            with streams.mutex:
                if is_there():
                    return
                self._check(stream_id)
                waiter = None
                if streams.reading is None:
                    streams.reading = stream_id
                else:
                    waiter = streams.waiters[stream_id] = self._new_waiter()
            seconds = None if deadline is None else deadline - time.monotonic()
            if waiter is None:
                try:
                    await self._read_segment(is_there, seconds)
                finally:
                    streams.reading = None
            else:
                try:
                    await self._sleep(waiter, seconds)
                finally:
                    with streams.mutex:
                        del streams.waiters[stream_id]

    def _check(self, stream_id: int) -> None:
        """If nothing more will come for a stream, raise why."""
        if self._read_exception is not None:
            error = self._read_exception
            raise type(error)(*error.args)
        if stream_id in self._mending.interrupted or stream_id not in self._events:
            raise self._closed()
        if (terminated := self._connection_terminated) is not None:
            last_stream_id = terminated.last_stream_id
            if last_stream_id and stream_id > last_stream_id:
                # RFC 9113, 6.8: not processed. The pool sends the request again.
                raise self._library.ConnectionNotAvailable
            raise self._lost()

    def _closed(self) -> Exception:
        error: Exception = self._library.ReadError("the stream was closed")
        return error

    def _lost(self) -> Exception:
        code = self._connection_terminated.error_code
        error: Exception = self._library.RemoteProtocolError(
            f"the server ended the connection: {code!r}"
        )
        return error

    async def _read_segment(self, is_there: Callable[[], object], seconds: float | None) -> None:
        """Read what has come, and hand it out."""
        if self.is_async:
            async with self._read_lock:  # for calls from before the connection was mended
                data = await self._read_network(is_there, seconds)
        else:
            with self._read_lock:
                data = await self._read_network(is_there, seconds)
        if data is not None:
            await self._receive(data)

    async def _read_network(
        self, is_there: Callable[[], object], seconds: float | None
    ) -> bytes | None:
        # An earlier call may have got what others wait for.
        for stream_id in list(self._mending.waiters):
            if self._events.get(stream_id):
                self._wake_waiter(stream_id)
        if is_there():
            return None
        stream = self._network_stream
        try:
            data: bytes
            if self.is_async:
                data = await stream.read(self.READ_NUM_BYTES, None)
            else:
                data = self._read_sync(seconds)
            if not data:
                raise self._library.RemoteProtocolError("Server disconnected")
        except self._library.ReadTimeout:
            raise TimeoutError from None
        except Exception as error:
            self._fail(error)
            return None
        return data

    def _read_sync(self, seconds: float | None) -> bytes:
        stream = self._network_stream
        connection = stream.get_extra_info("socket")
        if not isinstance(connection, ssl.SSLSocket):
            data: bytes = stream.read(self.READ_NUM_BYTES, seconds)
            return data
        # Two threads may not read and write through one SSL object at the same time
        # (openssl-threads(7)). So wait for data without the writers' lock, and read it with the
        # lock.
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if not (connection.pending() or _is_readable(connection, left)):
                raise self._library.ReadTimeout
            try:
                with self._write_lock:
                    data = stream.read(self.READ_NUM_BYTES, _INSTANT)
                return data
            except self._library.ReadTimeout:  # only a part of a record has come
                pass

    def _fail(self, error: Exception) -> None:
        """Make all streams fail, once they have had what came before."""
        names = ("NetworkError", "ProtocolError", "TimeoutException")
        if not isinstance(error, tuple(getattr(self._library, name) for name in names)):
            cls = "RemoteProtocolError" if isinstance(error, self._h2_errors) else "ReadError"
            error = getattr(self._library, cls)(f"{type(error).__name__}: {error}")
        self._read_exception = error
        self._connection_error = True
        self._wake_all()

    async def _receive(self, data: bytes) -> None:
        """Hand out what the network brought. Cannot be cancelled before that is done."""
        h2_events = self._events_of_h2
        of_streams = (
            h2_events.ResponseReceived,
            h2_events.DataReceived,
            h2_events.StreamEnded,
            h2_events.StreamReset,
        )
        settings: list[Any] = []
        for event in self._frame_by_frame(data):
            if isinstance(event, of_streams):
                if event.stream_id in self._events:
                    self._events[event.stream_id].append(event)
                    self._wake_waiter(event.stream_id)
                elif isinstance(event, h2_events.DataReceived):
                    # It was left before the connection was mended.
                    self._h2_state.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                    self._leave(event.stream_id)
            elif isinstance(event, h2_events.RemoteSettingsChanged):
                settings.append(event)
                self._wake_all()
            elif isinstance(event, h2_events.ConnectionTerminated):
                self._connection_terminated = event
                self._wake_all()
            elif isinstance(event, h2_events.WindowUpdated):
                self._wake_all()
        # Credit the connection for what has been received, but a stream for what was read. So one
        # that nobody reads for now does not keep others from receiving.
        window = self._h2_state.inbound_flow_control_window
        if window < _WINDOW_SIZE - _WINDOW_STEP and self._connection_terminated is None:
            self._h2_state.increment_flow_control_window(_WINDOW_SIZE - window)
        if settings:
            changing = self._change_settings(settings)
            await (finish(changing) if self.is_async else changing)
        await self._flush()

    def _frame_by_frame(self, data: bytes) -> Iterator[Any]:
        """Yield the events of a segment; those of earlier frames even if a later one is an error.

        h2 takes any GOAWAY as the end of the connection, and frames after it as an error.
        """
        position = 0
        while position < len(data) and self._connection_terminated is None:
            begun = _unfinished_frame(self._h2_state)
            head = (bytes(begun[:9]) + data[position : position + 9])[:9]
            end = len(data)
            if len(head) == 9:  # RFC 9113, 4.1
                frame_end = position + 9 + int.from_bytes(head[:3], "big") - len(begun)
                end = max(position + 1, min(frame_end, end))
            try:
                events: list[Any] = self._h2_state.receive_data(data[position:end])
            except Exception as error:  # of h2, hpack or hyperframe
                self._fail(error)
                return
            yield from events
            position = end

    async def _change_settings(self, events: list[Any]) -> None:
        for event in events:
            if self.is_async:
                async with self._state_lock:
                    await self._change_setting(event)
            else:
                with self._state_lock:
                    await self._change_setting(event)

    async def _change_setting(self, event: Any) -> None:
        this: Any = self
        if not hasattr(this, "_max_streams_deficit"):
            # If there are to be fewer streams, httpcore waits for some to end, and here it would
            # wait for itself. h2 enforces the limit.
            setting = event.changed_settings.get(3)  # SETTINGS_MAX_CONCURRENT_STREAMS
            if setting is not None and setting.new_value < this._max_streams:
                return
        changing = this._receive_remote_settings_change(event)
        if self.is_async:
            await changing

    # Waking those who wait.

    def _new_waiter(self) -> Any:
        return anyio.Event() if self.is_async else threading.Event()

    async def _sleep(self, waiter: Any, seconds: float | None) -> None:
        if self.is_async:
            await waiter.wait()
        elif not waiter.wait(None if seconds is None else max(seconds, 0.0)):
            raise TimeoutError

    def _wake_waiter(self, stream_id: int) -> bool:
        with self._mending.mutex:
            waiter = self._mending.waiters.get(stream_id)
            if waiter is not None:
                waiter.set()
        return waiter is not None

    def _wake_all(self) -> None:
        with self._mending.mutex:
            for waiter in self._mending.waiters.values():
                waiter.set()

    def _hand_over(self) -> None:
        """Let another one read, if nobody does."""
        with self._mending.mutex:
            if self._mending.reading is None:
                for waiter in self._mending.waiters.values():
                    waiter.set()
                    return

    async def _wake(self, stream_id: int) -> None:
        """Wake whoever waits for a stream, even if it is waiting for the network."""
        if self._wake_waiter(stream_id) or self._mending.reading != stream_id:
            return
        try:
            self._h2_state.ping(b"sse-wake")  # RFC 9113, 6.7: the server must answer it
        except self._h2_errors:  # the connection is over, and so is the wait
            return
        await self._flush()


class _Request:
    """Stands in for a request, for its timeouts."""

    extensions: ClassVar = {"timeout": {"write": _WRITE_SECONDS}}


class _SyncHttp2Connection(Http2Connection):
    is_async = False

    def _receive_stream_event(self, request: Any, stream_id: int) -> Any:
        return run(self._next_event(request, stream_id))

    def _wait_for_outgoing_flow(self, request: Any, stream_id: int) -> int:
        return run(self._outgoing_flow(request, stream_id))

    def _response_closed(self, stream_id: int) -> None:
        run(self._close_stream(stream_id))


class _AsyncHttp2Connection(Http2Connection):
    is_async = True

    async def _receive_stream_event(self, request: Any, stream_id: int) -> Any:
        return await self._next_event(request, stream_id)

    async def _wait_for_outgoing_flow(self, request: Any, stream_id: int) -> int:
        return await self._outgoing_flow(request, stream_id)

    async def _response_closed(self, stream_id: int) -> None:
        await finish(self._close_stream(stream_id))

    async def _write_outgoing_data(self, request: Any) -> None:
        if self._has_output():
            original: Any = super()
            await finish(original._write_outgoing_data(request))


@cache
def _mended(original: type[Any], is_sync: bool) -> type[Any]:
    mixin = _SyncHttp2Connection if is_sync else _AsyncHttp2Connection
    library = sys.modules[original.__module__.partition(".")[0]]
    attributes = {
        "_library": library,
        "_events_of_h2": import_module("h2.events"),
        "_h2_errors": (import_module("h2.exceptions").H2Error, KeyError, ValueError),
    }
    return type(original.__name__, (mixin, original), attributes)


_LOCKED: Final = (
    "acknowledge_received_data",
    "close_connection",
    "data_to_send",
    "end_stream",
    "increment_flow_control_window",
    "local_flow_control_window",
    "ping",
    "receive_data",
    "reset_stream",
    "send_data",
)


@cache
def _thread_safe(original: type[Any]) -> type[Any]:
    """Return an h2 class that is safe in threads: httpcore uses it there, without locks."""

    def locked(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(self: Any, *args: Any, **keywords: Any) -> Any:
            with self.sse_lock:
                return method(self, *args, **keywords)

        return call

    def get_next_available_stream_id(self: Any) -> int:
        # Held until the headers are sent, or for a second: a failure gives no sign.
        self.sse_opening.acquire(timeout=_OPENING_SECONDS)
        stream_id: int = locked(original.get_next_available_stream_id)(self)
        return stream_id

    def send_headers(self: Any, *args: Any, **keywords: Any) -> None:
        try:
            locked(original.send_headers)(self, *args, **keywords)
        finally:
            try:
                self.sse_opening.release()
            except RuntimeError:  # it took longer, or the connection was mended in between
                pass

    methods: dict[str, Any] = {name: locked(getattr(original, name)) for name in _LOCKED}
    methods["get_next_available_stream_id"] = get_next_available_stream_id
    methods["send_headers"] = send_headers
    return type(original.__name__, (original,), methods)


def _unfinished_frame(h2_state: Any) -> bytes:
    """Return what h2 has of an incomplete frame."""
    buffer = h2_state.incoming_buffer
    frame: bytes = buffer._data if hasattr(buffer, "_data") else buffer.data  # since 4.3; before
    return frame


def _is_readable(connection: ssl.SSLSocket, seconds: float | None) -> bool:
    """Wait until there is something to read; return whether there is."""
    seconds = None if seconds is None else max(seconds, 0.0)
    if hasattr(select, "poll"):  # for sockets of any number
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))
    return bool(select.select([connection], [], [], seconds)[0])


async def finish(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end, on asyncio or trio, even if the calling task is cancelled."""
    if runs_on_trio():
        with anyio.CancelScope(shield=True):
            return await coroutine
    task = asyncio.ensure_future(coroutine)
    cancelled: asyncio.CancelledError | None = None
    try:
        # A scope shields from cancellation by anyio's scopes; a task's own gets through it.
        with anyio.CancelScope(shield=True):
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError as error:
                    cancelled = error
        if cancelled is not None:
            _ = task.cancelled() or task.exception()  # or asyncio complains that nobody saw it
            raise cancelled
        return task.result()
    finally:
        del task, cancelled  # or an error's traceback would keep them, and they the error
