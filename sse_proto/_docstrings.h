/* Made of _decoder.py by `python -m tools.docstrings`: do not edit. */

#define DECODER_DOC \
    "SSEDecoder(*, max_event_size=16777216, last_event_id=None, dispatch_empty=False)\n" \
    "--\n" \
    "\n" \
    "Incremental decoder of one event stream (one connection).\n" \
    "\n" \
    "Chunks may be cut anywhere: within a character, between CR and LF, within the BOM. Every byte is\n" \
    "looked at a bounded number of times, whatever the chunks. An instance is for one thread at a\n" \
    "time.\n" \
    "\n" \
    "Args:\n" \
    "    max_event_size: Most bytes that an unfinished event may hold: its field lines as they\n" \
    "        were sent, each with one end-of-line. Comments and unknown fields do not count, and are\n" \
    "        not kept. ``None``: no limit.\n" \
    "    last_event_id: The last event ID to start with, from an earlier connection.\n" \
    "    dispatch_empty: Also dispatch blocks that have a valid field but no data, which the\n" \
    "        standard does not; for servers that send ``event: done`` alone.\n" \
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

#define UNFINISHED_DOC \
    "Bytes of the event that is begun and not finished; after close(): what was discarded."

#define RECONNECTION_TIME_DOC \
    "What the last valid `retry` field set, in milliseconds; ``None``: there was none."

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
    "\n" \
    "See \"Interpreting an event stream\", HTML Standard 9.2.6."

#define FEED_RAW_DOC \
    "feed_raw($self, chunk, /)\n" \
    "--\n" \
    "\n" \
    "Decode one chunk as `feed` does, but make no text of the data.\n" \
    "\n" \
    "For data that is handed on, to a JSON parser or a socket. The two methods may alternate.\n" \
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
    "    TypeError, BufferError, EventTooLarge, ValueError: As `feed`."

#define CLOSE_DOC \
    "close($self)\n" \
    "--\n" \
    "\n" \
    "Tell the decoder that the stream has ended. May be called again.\n" \
    "\n" \
    "The unfinished event, if there is one, is discarded, as the standard asks.\n" \
    "`last_event_id` and `reconnection_time` stay readable.\n" \
    "\n" \
    "Raises:\n" \
    "    EventTooLarge: The last `feed` returned events, and left this to the next call."
