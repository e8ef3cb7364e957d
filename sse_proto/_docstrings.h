/* Made of _decoder.py by `python -m tests.support.c_docstrings`: do not edit. */

#define DECODER_DOC \
    "SSEDecoder(*, max_event_size=16777216, last_event_id=None, dispatch_empty=False, on_comment=None, on_ignored=None)\n" \
    "--\n" \
    "\n" \
    "Incremental decoder of one event stream (one connection).\n" \
    "\n" \
    "Chunks may be cut anywhere: within a character, between CR and LF, within the BOM. Every byte is\n" \
    "looked at a bounded number of times, whatever the chunks. An instance is for one thread at a\n" \
    "time, and cannot be copied.\n" \
    "\n" \
    "The callbacks run before the call returns that was given the end of their line, in the order of\n" \
    "the stream, and before the events of that call are returned. What one raises reaches the caller\n" \
    "at once. It costs no event, and no other line: the chunk has been taken, and the next call\n" \
    "(``feed(b\"\")`` is one) goes on with the lines and events that are left.\n" \
    "\n" \
    "Args:\n" \
    "    max_event_size: Most bytes that an unfinished event may hold: its field lines as they\n" \
    "        were sent, each with one end-of-line. Comments and unknown fields do not count, and are\n" \
    "        not kept. ``None``: no limit.\n" \
    "    last_event_id: The last event ID to start with, from an earlier connection.\n" \
    "    dispatch_empty: Also dispatch blocks that have a valid field but no data, which the\n" \
    "        standard does not; for servers that send ``event: done`` alone.\n" \
    "    on_comment: Called with each comment: the text after its colon, less one space. Of a line\n" \
    "        longer than ``max_event_size`` it is given that many bytes.\n" \
    "    on_ignored: Called with each line that the standard ignores and that is no comment, as\n" \
    "        text: unknown fields, a `retry` that is not a number (of up to 640 digits), an `id` with\n" \
    "        NUL. Cut off alike.\n" \
    "\n" \
    "Raises:\n" \
    "    ValueError: ``max_event_size`` is less than 1.\n" \
    "\n" \
    "See \"Server-sent events\", HTML Standard 9.2."

#define MAX_EVENT_SIZE_DOC \
    "Most bytes that an unfinished event may hold; ``None``: no limit."

#define DISPATCH_EMPTY_DOC \
    "Whether blocks that have fields but no data are dispatched."

#define LAST_EVENT_ID_DOC \
    "The last event ID, as of the last blank line; ``None``: none was ever set."

#define RECONNECTION_TIME_DOC \
    "What the last valid `retry` field set, in milliseconds; ``None``: there was none."

#define UNFINISHED_DOC \
    "Bytes of the event that was begun and not finished, as `max_event_size` counts them.\n" \
    "\n" \
    "A last line without end counts while it may be a field. 0: the stream is\n" \
    "between two events, and could end here. After `close`, and after `EventTooLarge`: the bytes\n" \
    "that were discarded."

#define FEED_DOC \
    "feed($self, chunk, /)\n" \
    "--\n" \
    "\n" \
    "Decode one chunk of the event stream.\n" \
    "\n" \
    "Args:\n" \
    "    chunk: Contiguous bytes, any length, cut anywhere. Borrowed: the caller may overwrite,\n" \
    "        resize or release the buffer as soon as this method returns.\n" \
    "\n" \
    "Returns:\n" \
    "    Events that this chunk completed, oldest first; empty if none.\n" \
    "\n" \
    "Raises:\n" \
    "    TypeError: ``chunk`` is not bytes-like, or its items are larger than one byte.\n" \
    "    BufferError: ``chunk`` is not contiguous.\n" \
    "    EventTooLarge: An event needs more than ``max_event_size`` bytes. If the chunk\n" \
    "        completed other events before it, these are returned, and the next call raises. The\n" \
    "        decoder is of no use afterwards: each further call raises the same error.\n" \
    "    ValueError: The decoder was closed; or ``chunk`` was, as a released `memoryview`.\n" \
    "    RuntimeError: The decoder is in use, by a callback or a parser of its own, or by another\n" \
    "        thread; or events wait, since a callback or a parser has raised, and are those of\n" \
    "        another method, or too many (see `feed_parsed`).\n" \
    "\n" \
    "Also what a callback raises. See \"Interpreting an event stream\", HTML Standard 9.2.6."

#define FEED_RAW_DOC \
    "feed_raw($self, chunk, /)\n" \
    "--\n" \
    "\n" \
    "Decode one chunk as `feed` does, but make no text of the data.\n" \
    "\n" \
    "For data that is handed on, to a socket or a file. (For a parser there is `feed_parsed`.)\n" \
    "The methods may alternate.\n" \
    "\n" \
    "Args:\n" \
    "    chunk: As for `feed`.\n" \
    "\n" \
    "Returns:\n" \
    "    Events that this chunk completed. Their ``data`` is a view of ``chunk`` itself, and\n" \
    "    keeps it alive, where ``chunk`` is `bytes` (no subclass) and has all of the data in one\n" \
    "    line; otherwise it is a view of a private copy. Either is read-only, and never changes.\n" \
    "    It has the bytes that were sent, also where they are not UTF-8.\n" \
    "\n" \
    "Raises:\n" \
    "    TypeError, BufferError, EventTooLarge, ValueError, RuntimeError: As `feed`."

#define FEED_PARSED_DOC \
    "feed_parsed($self, chunk, parse, /)\n" \
    "--\n" \
    "\n" \
    "Decode one chunk as `feed` does, and parse the data of each event, from its bytes.\n" \
    "\n" \
    "Args:\n" \
    "    chunk: As for `feed`.\n" \
    "    parse: Called with the event type and the data of each event, in order; the data as\n" \
    "        it was sent, also where it is not UTF-8. See `by_event`, which makes one of several\n" \
    "        parsers that take the data alone. An event for which it raises `SkipEvent` is left\n" \
    "        out.\n" \
    "\n" \
    "Returns:\n" \
    "    Events that this chunk completed, their ``data`` being what ``parse`` returned.\n" \
    "\n" \
    "Raises:\n" \
    "    TypeError, BufferError, EventTooLarge, ValueError: As `feed`.\n" \
    "    RuntimeError: As `feed`; or events wait already (see below), and chunks of more than\n" \
    "        ``max_event_size`` bytes have been fed since. This one has not been taken.\n" \
    "\n" \
    "What ``parse`` raises reaches the caller unchanged; `failed_event` tells which event it was.\n" \
    "An `Exception` costs that event alone. It comes after the events before it: if this chunk\n" \
    "has some, they are returned, and the next call raises. The next call goes on with the event\n" \
    "behind it. Anything else, as `KeyboardInterrupt`, comes at once and costs nothing: the next\n" \
    "call returns the events before it, and parses that one again. The chunk has been taken in\n" \
    "any case. To have all that is there before the next chunk comes, call with ``b\"\"`` until\n" \
    "that returns an empty list; also after `close`."

#define CLOSE_DOC \
    "close($self)\n" \
    "--\n" \
    "\n" \
    "Tell the decoder that the stream has ended. May be called again.\n" \
    "\n" \
    "The unfinished event, if there is one, is discarded, as the standard asks; `unfinished`\n" \
    "tells how much that was. `last_event_id` and `reconnection_time` stay readable.\n" \
    "\n" \
    "Raises:\n" \
    "    EventTooLarge: The last `feed` returned events, and left this to the next call. Also\n" \
    "        what the last `feed_parsed` left to it.\n" \
    "    RuntimeError: The decoder is in use."
