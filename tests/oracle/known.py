"""The differences that are known, with the reason for each."""

from __future__ import annotations

from typing import Final

from .compare import Known

__all__ = ["KNOWN"]

_NEVER: Final = "not within 6 s"

KNOWN: Final = (
    Known(
        "Chromium",
        "An end of line right after the byte order mark does not end a line.",
        "theirs",
        "9.2.5 removes the mark before it looks for lines. Chromium's parser goes on after the "
        "byte that follows the mark without checking whether that is LF or CR, so the first line "
        "is an LF and `data: x`, a field with another name.",
        {("bom/before_a_blank_line", "events"): "[]", ("bom/before_cr", "events"): "[]"},
    ),
    Known(
        "Chromium",
        "A `retry` of 2⁶⁴ or more is ignored.",
        "theirs",
        "9.2.6 sets no upper bound. (Smaller values, still too long to wait for, are not ignored.)",
        {("retry/twenty_digits", "reconnection"): "after 3 s"},
    ),
    Known(
        "Chromium",
        "A `charset` other than UTF-8 ends the connection.",
        "theirs",
        "9.2.3 compares the media type without its parameters, and by 9.2.5 the stream is UTF-8 "
        "whatever they say.",
        {
            ("connection/`text/event-stream;charset=windows-1252`", "events"): "[]",
            ("connection/`text/event-stream;charset=windows-1252`", "reconnection"): "never",
        },
    ),
    Known(
        "eventsource-parser",
        "A second byte order mark is removed, too.",
        "theirs",
        "9.2.5 and the Encoding Standard remove one. The parser takes text, and removes a mark "
        "that the `TextDecoder` before it has left there because it was the second one.",
        {
            ("bom/only_one_is_stripped", "events"): '[["message", "x", ""]]',
            ("bom/second_one_spoils_only_its_line", "events"): '[["message", "a\\nb", ""]]',
        },
    ),
    Known(
        "eventsource-parser",
        "`ï»¿` at the start is removed, as if it were a byte order mark.",
        "theirs",
        "These are the mark's three bytes in Latin-1, but here they are characters, and "
        "part of the field's name.",
        {("bom/as_three_characters_of_latin_1", "events"): '[["message", "a\\nx", ""]]'},
    ),
    Known(
        "Node",
        "An empty `event` does not replace an earlier one in its block.",
        "theirs",
        "9.2.6 sets the event type buffer to the value, whatever it is.",
        {
            ("event_type/empty_undoes_an_earlier_one", "events"): '[["a", "x", ""]]',
            ("fields/event_type_of_a_space", "events"): '[["a", "x", ""]]',
        },
    ),
    Known(
        "Node",
        "An empty `id` does not reset the last event ID.",
        "theirs",
        "9.2.6 sets the last event ID buffer to the value, unless it contains NUL; the standard's "
        "own example says the same.",
        {
            (
                "id/empty_resets",
                "events",
            ): '[["message", "a", "1"], ["message", "b", "1"], ["message", "c", "1"]]',
            ("id/empty_resets", "Last-Event-ID"): '["1"]',
            (
                "id/without_colon_resets",
                "events",
            ): '[["message", "a", "1"], ["message", "b", "1"]]',
            ("id/without_colon_resets", "Last-Event-ID"): '["1"]',
            (
                "id/reset_by_a_block_without_data",
                "events",
            ): '[["message", "a", "1"], ["message", "b", "1"]]',
            ("id/reset_by_a_block_without_data", "Last-Event-ID"): '["1"]',
            (
                "fields/id_of_a_space",
                "events",
            ): '[["message", "a", "1"], ["message", "b", "1"]]',
            ("fields/id_of_a_space", "Last-Event-ID"): '["1"]',
            (
                "standard_examples/four_blocks",
                "events",
            ): '[["message", "first event", "1"], ["message", "second event", "1"], '
            '["message", " third event", "1"]]',
            ("standard_examples/four_blocks", "Last-Event-ID"): '["1"]',
            (
                "standard_examples/four_blocks_without_the_last_blank_line",
                "events",
            ): '[["message", "first event", "1"], ["message", "second event", "1"]]',
            (
                "standard_examples/four_blocks_without_the_last_blank_line",
                "Last-Event-ID",
            ): '["1"]',
            (
                "connection/`id` without a value",
                "events",
            ): '[["message", "x", "1"], ["message", "y", "1"]]',
            ("connection/`id` without a value", "Last-Event-ID"): '["1"]',
        },
    ),
    Known(
        "Node",
        "`retry` counts at the end of its block, not of its line.",
        "theirs",
        "9.2.6 sets the reconnection time when the field is processed; only what is in the "
        "buffers is discarded at the end of the stream.",
        {
            ("retry/unfinished_block_counts", "reconnection"): "after 3 s",
            ("retry/unfinished_block_with_data_counts", "reconnection"): "after 3 s",
            ("retry/unfinished_line_does_not_replace", "reconnection"): "after 3 s",
            ("end_of_stream/all_fields_unfinished", "reconnection"): "after 3 s",
            ("connection/`retry` in an unfinished block", "reconnection"): "after 3 s",
        },
    ),
    Known(
        "Node",
        "A `retry` of 2³¹ or more means at once.",
        "theirs",
        "9.2.6 sets no upper bound. The value goes to `setTimeout`, which takes signed 32-bit "
        "integers and turns anything larger into 1 ms.",
        {
            ("retry/one_above_31_bits", "reconnection"): "at once",
            ("retry/one_above_32_bits", "reconnection"): "at once",
            ("retry/twenty_digits", "reconnection"): "at once",
        },
    ),
    Known(
        "Node",
        "After an ID with characters beyond U+00FF there is no reconnection.",
        "theirs",
        "9.2.3 encodes the ID as UTF-8. Node passes the header on as text, of which it takes one "
        "byte for each character, and fails if a character does not fit.",
        {
            (title, "reconnection"): _NEVER
            for title in (
                "bom/kept_in_an_id",
                "end_of_line/other_line_breaks_in_an_id",
                "id/non_ascii",
                "id/symbol_for_nul_is_no_nul",
                "id/with_line_separator",
                "utf8/in_an_id",
                "utf8/overlong_nul_is_none",
                "connection/`id: €`",
            )
        },
    ),
    Known(
        "Node",
        "`Last-Event-ID` is Latin-1.",
        "theirs",
        "9.2.3 encodes the ID as UTF-8.",
        {
            ("connection/`id: é`", "Last-Event-ID"): '["\\\\xe9"]',
            ("utf8/in_each_field", "Last-Event-ID"): '["\\\\xdf"]',
        },
    ),
    Known(
        "Node",
        "After an ID with control characters there is no reconnection.",
        "open",
        "9.2.3 sends the last event ID, whatever it is, but RFC 9110 allows no such characters in "
        "a header value: Node fails. (We leave the header out.)",
        {("id/control_characters", "reconnection"): _NEVER},
    ),
    Known(
        "Node",
        "A reconnection that fails without a response is the last one.",
        "theirs",
        "9.2.3 reestablishes the connection after a network error. Node stays in the state "
        "`CONNECTING` and sends nothing more.",
        {
            (
                "connection/the connection breaks before a response",
                "reconnection",
            ): f"at once, then {_NEVER}"
        },
    ),
)
