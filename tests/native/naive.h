/* An event stream read as the standard says it, sentence by sentence, with no thought of speed.
 *
 * Written from "Parsing an event stream" and "Interpreting an event stream" (HTML Standard, 9.2.5 and
 * 9.2.6) alone: the whole stream at once, and copies of everything. What the core in sse_core.h makes
 * of a stream, in whatever chunks, must be the same; both are written down by `Report`.
 *
 * Two rules are ours: an event larger than `limit` ends the stream, and a `retry` of more than 640
 * significant digits is ignored.
 */
#ifndef NAIVE_H
#define NAIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of any number. */
typedef struct {
    unsigned char *bytes;
    size_t length, capacity;
} Text;

static void text_add(Text *text, const void *bytes, size_t length)
{
    if (text->length + length > text->capacity) {
        text->capacity = 2 * (text->length + length) + 64;
        text->bytes = realloc(text->bytes, text->capacity);
        if (text->bytes == NULL) {
            abort();
        }
    }
    if (length > 0) {
        memcpy(text->bytes + text->length, bytes, length);
        text->length += length;
    }
}

static bool text_is(const Text *text, const char *other)
{
    return text->length == strlen(other) && memcmp(text->bytes, other, text->length) == 0;
}

/* What came of a stream, as bytes that can be compared: a letter, then each value with its length. */
typedef struct {
    Text text;
} Report;

static void report_value(Report *report, const void *bytes, size_t length)
{
    unsigned short shown = (unsigned short)length;
    text_add(&report->text, bytes == NULL ? "-" : "+", 1);
    text_add(&report->text, &shown, sizeof shown);
    text_add(&report->text, bytes, bytes == NULL ? 0 : length);
}

static void report_event(Report *report, const void *type, size_t type_length, const void *data,
    size_t data_length, const void *id, size_t id_length, const void *retry, size_t retry_length)
{
    text_add(&report->text, "E", 1);
    report_value(report, type, type_length);
    report_value(report, data, data_length);
    report_value(report, id, id_length);
    report_value(report, retry, retry_length);
}

static void report_line(Report *report, const char *letter, const void *line, size_t length)
{
    text_add(&report->text, letter, 1);
    report_value(report, line, length);
}

/* The end: whether an event was too large, what outlives events, what was left unfinished. */
static void report_end(Report *report, bool too_large, const void *id, size_t id_length,
    const void *retry, size_t retry_length, size_t unfinished)
{
    text_add(&report->text, too_large ? "L" : "C", 1);
    report_value(report, id, id_length);
    report_value(report, retry, retry_length);
    if (!too_large) { /* else it depends on how much of the event had come */
        text_add(&report->text, &unfinished, sizeof unfinished);
    }
}

typedef struct {
    size_t limit;
    bool dispatch_empty, observe_comments, observe_ignored;
} Options;

/* The state of 9.2.6. */
typedef struct {
    const Options *options;
    Report *report;
    Text data, type, last_event_id_buffer, last_event_id, retry, block_retry;
    bool has_data, has_id, has_id_buffer, has_retry, has_block_retry, has_field;
    size_t size;
    bool too_large;
} Naive;

/* "If the line is empty (a blank line): Dispatch the event, as defined below." */
static void naive_dispatch(Naive *n)
{
    /* 1. "Set the last event ID string of the event source to the value of the last event ID buffer.
     * The buffer does not get reset, so the last event ID string of the event source remains set to
     * this value until the next time it is set by the server." */
    if (n->has_id_buffer) {
        n->last_event_id.length = 0;
        text_add(&n->last_event_id, n->last_event_id_buffer.bytes, n->last_event_id_buffer.length);
        n->has_id = true;
    }
    /* 2. "If the data buffer is an empty string, set the data buffer and the event type buffer to the
     * empty string and return." A line "data" makes it a LF, so that it is not empty. */
    if (n->has_data || (n->options->dispatch_empty && n->has_field)) {
        /* 3. "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove
         * the last character from the data buffer." */
        size_t data_length = n->data.length > 0 ? n->data.length - 1 : 0;
        /* 4. to 6. The event's type is "message", unless the event type buffer is not empty. */
        const Text *type = &n->type;
        report_event(n->report, type->length > 0 ? (void *)type->bytes : (void *)"message",
            type->length > 0 ? type->length : 7,
            data_length > 0 ? (void *)n->data.bytes : (void *)"", data_length,
            !n->has_id ? NULL : n->last_event_id.length > 0 ? (void *)n->last_event_id.bytes : "",
            n->last_event_id.length, n->has_block_retry ? n->block_retry.bytes : NULL,
            n->block_retry.length);
    }
    /* 7. "Set the data buffer and the event type buffer to the empty string." */
    n->data.length = n->type.length = n->block_retry.length = 0;
    n->has_data = n->has_block_retry = n->has_field = false;
    n->size = 0;
}

static void naive_ignore(Naive *n, const unsigned char *line, size_t length)
{
    if (n->options->observe_ignored) {
        report_line(n->report, "I", line, length < n->options->limit ? length : n->options->limit);
    }
}

/* "Process the field using the steps described below, using field as the field name and value as the
 * field value." */
static void naive_field(Naive *n, const Text *field, const Text *value, const unsigned char *line,
    size_t length)
{
    if (!text_is(field, "data") && !text_is(field, "event") && !text_is(field, "id")
        && !text_is(field, "retry")) {
        naive_ignore(n, line, length); /* "Otherwise: The field is ignored." */
        return;
    }
    n->size += length + 1;
    if (n->size > n->options->limit) {
        n->too_large = true;
    }
    else if (text_is(field, "event")) {
        /* "Set the event type buffer to the field value." */
        n->type.length = 0;
        text_add(&n->type, value->bytes, value->length);
        n->has_field = true;
    }
    else if (text_is(field, "data")) {
        /* "Append the field value to the data buffer, then append a single U+000A LINE FEED (LF)
         * character to the data buffer." */
        text_add(&n->data, value->bytes, value->length);
        text_add(&n->data, "\n", 1);
        n->has_data = true;
    }
    else if (text_is(field, "id")) {
        /* "If the field value does not contain U+0000 NULL, then set the last event ID buffer to the
         * field value. Otherwise, ignore the field." */
        if (value->length > 0 && memchr(value->bytes, 0, value->length) != NULL) {
            naive_ignore(n, line, length);
            return;
        }
        n->last_event_id_buffer.length = 0;
        text_add(&n->last_event_id_buffer, value->bytes, value->length);
        n->has_id_buffer = n->has_field = true;
    }
    else {
        /* "If the field value consists of only ASCII digits, then interpret the field value as an
         * integer in base ten, and set the event stream's reconnection time to that integer.
         * Otherwise, ignore the field." */
        size_t start = 0;
        bool is_number = value->length > 0;
        for (size_t i = 0; i < value->length; i++) {
            is_number = is_number && value->bytes[i] >= '0' && value->bytes[i] <= '9';
        }
        while (is_number && start + 1 < value->length && value->bytes[start] == '0') {
            start++;
        }
        if (!is_number || value->length - start > 640) {
            naive_ignore(n, line, length);
            return;
        }
        n->retry.length = n->block_retry.length = 0;
        text_add(&n->retry, value->bytes + start, value->length - start);
        text_add(&n->block_retry, value->bytes + start, value->length - start);
        n->has_retry = n->has_block_retry = n->has_field = true;
    }
}

static void naive_line(Naive *n, const unsigned char *line, size_t length)
{
    if (length == 0) {
        naive_dispatch(n);
        return;
    }
    if (line[0] == ':') { /* "Ignore the line." */
        if (n->options->observe_comments) {
            size_t shown = length < n->options->limit ? length : n->options->limit;
            size_t start = shown > 1 && line[1] == ' ' ? 2 : 1;
            report_line(n->report, "K", line + start, shown - start);
        }
        return;
    }
    static Text field, value; /* kept, as all buffers here, to be filled again */
    field.length = value.length = 0;
    const unsigned char *colon = memchr(line, ':', length);
    if (colon != NULL) {
        /* "Collect the characters on the line before the first U+003A COLON character (:), and let
         * field be that string. Collect the characters on the line after the first U+003A COLON
         * character (:), and let value be that string. If value starts with a U+0020 SPACE character,
         * remove it from value." */
        size_t after = (size_t)(colon - line) + 1;
        text_add(&field, line, after - 1);
        after += after < length && line[after] == ' ';
        text_add(&value, line + after, length - after);
    }
    else { /* "using the whole line as the field name, and the empty string as the field value" */
        text_add(&field, line, length);
    }
    naive_field(n, &field, &value, line, length);
}

/* Whether an unfinished line is a field for sure (`complete`), or may still become one. */
static bool naive_may_be_field(const unsigned char *line, size_t length, bool complete)
{
    static const char *const names[] = {"data:", "event:", "id:", "retry:"};
    for (int i = 0; i < 4; i++) {
        size_t name = strlen(names[i]);
        size_t compared = length < name ? length : name;
        if ((!complete || length >= name) && memcmp(line, names[i], compared) == 0) {
            return true;
        }
    }
    return false;
}

static void naive_interpret(const unsigned char *stream, size_t length, const Options *options,
    Report *report)
{
    static Naive n;
    Text *all[] = {&n.data, &n.type, &n.last_event_id_buffer, &n.last_event_id, &n.retry,
        &n.block_retry};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        all[i]->length = 0;
    }
    n.options = options;
    n.report = report;
    n.has_data = n.has_id = n.has_id_buffer = n.has_retry = n.has_block_retry = n.has_field = false;
    n.too_large = false;
    n.size = 0;
    size_t at = 0;
    /* "Streams must be decoded using the UTF-8 decode algorithm." It "strips one leading UTF-8 Byte
     * Order Mark (BOM), if any". */
    if (length >= 3 && memcmp(stream, "\xef\xbb\xbf", 3) == 0) {
        at = 3;
    }
    /* "Lines must be separated by either a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF) character
     * pair, a single U+000A LINE FEED (LF) character, or a single U+000D CARRIAGE RETURN (CR)
     * character." */
    while (!n.too_large) {
        size_t end = at;
        while (end < length && stream[end] != '\n' && stream[end] != '\r') {
            end++;
        }
        if (end == length) {
            break;
        }
        naive_line(&n, stream + at, end - at);
        at = end + (stream[end] == '\r' && end + 1 < length && stream[end + 1] == '\n' ? 2 : 1);
    }
    /* "Once the end of the file is reached, any pending data must be discarded." A beginning of the
     * mark is none, and no more than that. */
    size_t rest = length - at;
    const unsigned char *line = stream + at;
    bool is_mark = length < 3 && length > 0 && memcmp(stream, "\xef\xbb\xbf", length) == 0;
    if (!n.too_large && rest > 0 && naive_may_be_field(line, rest, true)
        && n.size + rest > options->limit) {
        n.too_large = true;
    }
    size_t unfinished = n.size;
    if (rest > 0 && !is_mark && naive_may_be_field(line, rest, false)) {
        unfinished += rest;
    }
    const void *id = n.last_event_id.length > 0 ? (void *)n.last_event_id.bytes : "";
    report_end(report, n.too_large, n.has_id ? id : NULL, n.last_event_id.length,
        n.has_retry ? n.retry.bytes : NULL, n.retry.length, unfinished);
}

#endif
