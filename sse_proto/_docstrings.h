/* Made of _feed.py by `python -m tests.support.c_docstrings`: do not edit. */

#define DECODER_DOC \
    "SSEDecoder(*, max_event_size=16777216, last_event_id=None, dispatch_empty=False, on_comment=None, on_ignored=None)\n" \
    "--\n" \
    "\n" \
    "Incremental decoder of one event stream (one connection).\n" \
    "\n" \
    "Chunks may be cut anywhere: within a character, between CR and LF, within the BOM. Every byte is\n" \
    "looked at a bounded number of times, whatever the chunks. Use an instance from one thread at a\n" \
    "time; it cannot be copied.\n" \
    "\n" \
    "Callbacks run in the order of the stream, within the call that is given the end of their line,\n" \
    "before it returns its events. What one raises reaches the caller at once, and costs no event and\n" \
    "no other line: the chunk has been taken, and the next call (``feed(b\"\")`` is one) goes on with\n" \
    "the lines and events that are left.\n" \
    "\n" \
    "Args:\n" \
    "    max_event_size: Most bytes that an unfinished event may hold: its field lines as they were\n" \
    "        sent, each with one end-of-line. Comments and unknown fields do not count; of one that\n" \
    "        a callback observes, as many bytes again are kept. ``None``: no limit.\n" \
    "    last_event_id: The last event ID to start with, from an earlier connection.\n" \
    "    dispatch_empty: Also dispatch blocks that have a valid field but no data, unlike the\n" \
    "        standard; for servers that send ``event: done`` alone.\n" \
    "    on_comment: Called with each comment: the text after its colon, less one space. A line\n" \
    "        longer than ``max_event_size`` is cut to that many bytes.\n" \
    "    on_ignored: Called with the text of each other line that the standard ignores: an unknown\n" \
    "        field, a `retry` that is not a number (of up to 640 digits), an `id` with NUL. Cut\n" \
    "        likewise.\n" \
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
    "Bytes of the event that has begun but not finished, as `max_event_size` counts them.\n" \
    "\n" \
    "An unfinished line counts as long as it may be a field. 0: the stream is between two events,\n" \
    "and could end here. After `close` or `EventTooLarge`: the bytes that were discarded."

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
    "    EventTooLarge: An event needs more than ``max_event_size`` bytes. If the chunk completed\n" \
    "        other events before it, these are returned, and the next call raises. The decoder is\n" \
    "        useless afterwards: each further call raises the same error.\n" \
    "    ValueError: The decoder is closed; or ``chunk`` is, such as a released `memoryview`.\n" \
    "    RuntimeError: The decoder is in use, by its own callback or parser or by another thread;\n" \
    "        or events still wait because a callback or a parser raised, and belong to another\n" \
    "        method, or are too many (see `feed_parsed`).\n" \
    "\n" \
    "Also whatever a callback raises. See \"Interpreting an event stream\", HTML Standard 9.2.6."

#define FEED_RAW_DOC \
    "feed_raw($self, chunk, /)\n" \
    "--\n" \
    "\n" \
    "Decode one chunk as `feed` does, but leave the data as bytes.\n" \
    "\n" \
    "For data that is passed on to a socket or a file. (For a parser there is `feed_parsed`.) You\n" \
    "may alternate between the methods.\n" \
    "\n" \
    "Args:\n" \
    "    chunk: As for `feed`.\n" \
    "\n" \
    "Returns:\n" \
    "    Events that this chunk completed. If ``chunk`` is `bytes` (not a subclass) and has all\n" \
    "    of an event's data in one line, its ``data`` is a view of ``chunk`` itself, which it\n" \
    "    keeps alive; otherwise it is a view of a private copy. Either way it is read-only, never\n" \
    "    changes, and has the bytes as they were sent, even where they are not UTF-8.\n" \
    "\n" \
    "Raises:\n" \
    "    TypeError, BufferError, EventTooLarge, ValueError, RuntimeError: As `feed`."

#define FEED_PARSED_DOC \
    "feed_parsed($self, chunk, parse, /)\n" \
    "--\n" \
    "\n" \
    "Decode one chunk as `feed` does, and parse the data of each event from its bytes.\n" \
    "\n" \
    "Args:\n" \
    "    chunk: As for `feed`.\n" \
    "    parse: Called with the event type and the data of each event, in order; the data as it\n" \
    "        was sent, even where it is not UTF-8. `by_event` combines several parsers that take\n" \
    "        the data alone into one. An event for which it raises `SkipEvent` is left out.\n" \
    "\n" \
    "Returns:\n" \
    "    Events that this chunk completed; their ``data`` is what ``parse`` returned.\n" \
    "\n" \
    "Raises:\n" \
    "    TypeError, BufferError, EventTooLarge, ValueError: As `feed`.\n" \
    "    RuntimeError: As `feed`; or events wait already (see below), and the chunks fed since\n" \
    "        have more than ``max_event_size`` bytes. This one has not been taken.\n" \
    "\n" \
    "What ``parse`` raises reaches the caller unchanged; `failed_event` says for which event. An\n" \
    "`Exception` costs that event alone. It comes after the events before it: if this chunk has\n" \
    "any, they are returned, and the next call raises. The call after that goes on with the next\n" \
    "event. Anything else, such as `KeyboardInterrupt`, comes at once and costs nothing: the next\n" \
    "call returns the events before it, and parses that event again. The chunk has been taken in\n" \
    "any case. To get everything that is there before the next chunk comes, call with ``b\"\"``\n" \
    "until that returns an empty list; this works after `close` too."

#define CLOSE_DOC \
    "close($self)\n" \
    "--\n" \
    "\n" \
    "Tell the decoder that the stream has ended. May be called again.\n" \
    "\n" \
    "An unfinished event is discarded, as the standard asks; `unfinished` says how much that was.\n" \
    "`last_event_id` and `reconnection_time` stay readable.\n" \
    "\n" \
    "Raises:\n" \
    "    EventTooLarge: The last `feed` returned events, and left this for the next call. Also\n" \
    "        whatever the last `feed_parsed` left.\n" \
    "    RuntimeError: The decoder is in use."
