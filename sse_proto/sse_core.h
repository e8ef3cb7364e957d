/* The decoder's machine: bytes of an event stream in, events out. C99, and nothing but C.
 *
 * It follows "Interpreting an event stream" (HTML Standard, 9.2.6), quoted beside the steps. (9.2.5
 * is its grammar.) No I/O, no global state, no recursion.
 *
 * Set it up (sse_init), lend it a chunk (sse_feed), and call sse_next() until it returns
 * SSE_CHUNK_END or what comes after that in SSEResult: then the chunk is yours again. The standard
 * decodes the stream to text first. Here lines are found in its bytes, and text is left to the
 * caller (who strips no BOM from a value): all delimiters are ASCII, and no ASCII byte is part of a
 * longer character, nor swallowed by a malformed one, which a decoder ends before it.
 *
 * A line is read where it lies: in the lent chunk or, if the end of a chunk has cut it, in `line`.
 * A value is a pointer there. sse_bytes.h has what makes it outlive its chunk: sse_take() makes a
 * value in `line` own its bytes at once, sse_keep() does so for the rest when a chunk ends.
 */
#ifndef SSE_CORE_H
#define SSE_CORE_H

#include "sse_bytes.h"

/* The largest `limit`, in effect none. */
#define SSE_NO_LIMIT SSE_MAX_SIZE
/* Longest `retry` value that counts, in significant digits. */
#define SSE_MAX_RETRY_DIGITS 640
/* This many bytes show what a line is: the longest name, and its colon. */
#define SSE_LONGEST_PREFIX 6

typedef enum {
    SSE_GO_ON,     /* nothing to report */
    SSE_EVENT,     /* an event: all fields of SSEEvent but `text` */
    SSE_ID,        /* no event, but a blank line has set the last event ID: `id` alone */
    SSE_RETRY,     /* a line has set the reconnection time: `text` is decimal digits, of ms */
    SSE_COMMENT,   /* a comment: `text` is what follows its colon, less one leading space */
    SSE_IGNORED,   /* `text` is the line of an unknown field, a bad `retry`, an `id` with NUL */
    SSE_CHUNK_END, /* the chunk is used up; nothing points to it any more */
    /* Nothing more is taken, and all further calls return the same (until sse_close()). */
    SSE_TOO_LARGE, /* the unfinished event holds sse_unfinished() bytes, more than `limit` */
    SSE_NO_MEMORY, SSE_CLOSED
} SSEResult;

/* What sse_next() reports; what a result does not have is NULL. Spans are good until the next call
 * of sse_next() or sse_close(). */
typedef struct {
    SSESpan type;   /* `sse_message` itself where the stream names none */
    SSESpan data;
    SSESpan id;     /* the last event ID, if this block has set it; NULL: it is what it was. (In a
                     * new stream that is empty, or what you make of an earlier stream's.) */
    bool has_retry; /* whether the latest SSE_RETRY was in this block */
    SSESpan text;   /* of an observed line or `retry`; of no more than `limit` bytes of its line */
} SSEEvent;
enum { SSE_OBSERVE_COMMENTS = 1, SSE_OBSERVE_IGNORED = 2 };

typedef struct {
    /* The block that the lines so far left unfinished. A blank line resets all of it, even `id`:
     * the standard's buffer, which persists, is kept by the caller, who is told of each change. */
    SSEValue data;  /* "data buffer", less its last LF; NULL: no `data` so far */
    SSEValue type;  /* "event type buffer"; NULL: no `event` so far */
    SSEValue id;    /* "last event ID buffer", if this block has set it; else NULL */
    bool has_other_field; /* than `data`, and valid: see `dispatch_empty` */
    bool has_retry; /* a valid `retry` */
    size_t size;    /* bytes of its field lines, each with one end-of-line: 0 before the first one.
                     * After a refusal: the bytes that were discarded */
    /* The line that the chunks so far left unfinished; only its first SSE_LONGEST_PREFIX bytes if
     * it cannot be a field and is not observed. Its end sets the length to 0. */
    SSEBuffer line;
    /* Set by a line that ends in CR; cleared by the next byte: if that is LF, it is skipped. */
    bool after_cr;
    /* How many bytes of a byte order mark the stream began with; SSE_BOM_DECIDED once the mark is
     * complete, or a byte differs. */
    unsigned char bom;
    /* The chunk. Set by sse_feed(); `at` moves with each line; all NULL after SSE_CHUNK_END. */
    const char *at, *end;
    const char *next_cr; /* the first CR from `at` on, or NULL: most streams have none */
    bool line_ended;     /* set by a line that ends in the chunk, where values may lie now */
    /* SSE_GO_ON, or one of the last three of SSEResult, which all further calls return. */
    SSEResult refused;
    /* Options, for the caller to set between sse_init() and the first chunk. */
    size_t limit;        /* most bytes that `size` may be, from 1 to SSE_NO_LIMIT */
    bool dispatch_empty; /* whether to dispatch blocks with a valid field, but no data */
    unsigned observe;    /* SSE_OBSERVE_...: what to report besides events */
} SSEMachine;

static const char sse_message[] = "message";
static const char sse_bom[] = "\xef\xbb\xbf";
enum { SSE_BOM_LENGTH = 3, SSE_BOM_DECIDED = 4 };

static inline const char *sse_find(const char *at, const char *end, char byte)
{
    return at < end ? memchr(at, byte, (size_t)(end - at)) : NULL;
}

/* Lines. (The byte order mark before the first one: see sse_strip_bom().) */

/* Skip the LF of a CRLF, as soon as the byte after the CR is there. */
static inline void sse_skip_lf(SSEMachine *m)
{
    if (m->after_cr && m->at < m->end) {
        m->after_cr = false;
        m->at += *m->at == '\n' ? 1 : 0;
    }
}

/* Find the end of the line at `at`; move `at` past it. NULL: it is not in the chunk. "The stream
 * must then be parsed by reading everything line by line, with a U+000D CARRIAGE RETURN U+000A LINE
 * FEED (CRLF) character pair, a single U+000A LINE FEED (LF) character not preceded by a U+000D
 * CARRIAGE RETURN (CR) character, and a single U+000D CARRIAGE RETURN (CR) character not followed
 * by a U+000A LINE FEED (LF) character being the ways in which a line can end." */
static inline const char *sse_find_line_end(SSEMachine *m)
{
    const char *cr = m->next_cr;
    const char *lf = sse_find(m->at, cr != NULL ? cr : m->end, '\n');
    if (lf != NULL) { /* before the next CR, which is still the next */
        m->at = lf + 1;
        return lf;
    }
    if (cr != NULL) {
        m->at = cr + 1;
        m->after_cr = true;
        sse_skip_lf(m);
        m->next_cr = sse_find(m->at, m->end, '\r');
    }
    return cr;
}

/* "Lines must be processed, in the order they are received, as follows": fields, the blank line. */

/* Whether `line` is the field `name`; if so, set its value. "Collect the characters on the line
 * before the first U+003A COLON character (:), and let field be that string. Collect the characters
 * on the line after the first U+003A COLON character (:), and let value be that string. If value
 * starts with a U+0020 SPACE character, remove it from value." Without a colon: "using the whole
 * line as the field name, and the empty string as the field value." (No known name contains
 * a colon, so to match the name, and then a colon or the end of the line, is enough.) */
static inline bool sse_is_field(SSESpan line, const char *name, size_t length, SSESpan *value)
{
    if (line.length < length || memcmp(line.bytes, name, length) != 0
        || (line.length > length && line.bytes[length] != ':')) {
        return false;
    }
    length += line.length > length ? 1 : 0; /* the colon */
    length += line.length > length && line.bytes[length] == ' ' ? 1 : 0;
    *value = (SSESpan){line.bytes + length, line.length - length};
    return true;
}

/* Whether `line`, which is not empty, is a field that the standard knows. Its first letter tells
 * which. */
static inline bool sse_is_known(SSESpan line, SSESpan *value)
{
    switch (*line.bytes) {
    case 'd': return sse_is_field(line, "data", 4, value);
    case 'e': return sse_is_field(line, "event", 5, value);
    case 'i': return sse_is_field(line, "id", 2, value);
    case 'r': return sse_is_field(line, "retry", 5, value);
    default: return false; /* ':' as well: "Ignore the line." */
    }
}

/* Whether "the field value consists of only ASCII digits": one at least (an empty string is no
 * integer), and not too many. Drops leading zeros. */
static bool sse_is_number(SSESpan *value)
{
    for (size_t i = 0; i < value->length; i++) {
        if (value->bytes[i] < '0' || value->bytes[i] > '9') {
            return false;
        }
    }
    while (value->length > 1 && *value->bytes == '0') {
        *value = (SSESpan){value->bytes + 1, value->length - 1};
    }
    return value->length > 0 && value->length <= SSE_MAX_RETRY_DIGITS;
}

/* Set a value. It and `tail`, the part of its line that is in the chunk, end together: if it is no
 * longer than that, it lies in there, and is pointed to there, for callers who make views of their
 * chunk. A longer one began in an earlier chunk, and is whole in `line` alone. */
static inline void sse_set(SSEMachine *m, SSEValue *value, SSESpan at, SSESpan tail)
{
    if (at.length > tail.length) {
        sse_take(value, at, &m->line);
        return;
    }
    sse_point(value, (SSESpan){tail.bytes + (tail.length - at.length), at.length});
}

/* Process the field of a line. */
static inline SSEResult sse_process_field(SSEMachine *m, SSESpan line, SSESpan value, SSESpan tail,
                                          SSEEvent *event)
{
    switch (*line.bytes) {
    case 'd': /* "If the field name is "data": Append the field value to the data buffer, then
               * append a single U+000A LINE FEED (LF) character to the data buffer." That LF is put
               * before the next line, since the last one is removed in the end. */
        if (m->data.at.bytes != NULL) {
            return sse_append_line(&m->data, value) ? SSE_GO_ON : SSE_NO_MEMORY;
        }
        sse_set(m, &m->data, value, tail);
        return SSE_GO_ON;
    case 'e': /* "If the field name is "event": Set the event type buffer to the field value." */
        sse_set(m, &m->type, value, tail);
        m->has_other_field = true;
        return SSE_GO_ON;
    case 'i': /* "If the field name is "id": If the field value does not contain U+0000 NULL, then
               * set the last event ID buffer to the field value. Otherwise, ignore the field." */
        if (sse_find(value.bytes, value.bytes + value.length, '\0') != NULL) {
            return SSE_IGNORED;
        }
        sse_set(m, &m->id, value, tail);
        m->has_other_field = true;
        return SSE_GO_ON;
    default: /* 'r': "If the field name is "retry": If the field value consists of only ASCII
              * digits, then interpret the field value as an integer in base ten, and set the event
              * stream's reconnection time to that integer. Otherwise, ignore the field." */
        if (!sse_is_number(&value)) {
            return SSE_IGNORED;
        }
        event->text = value;
        m->has_other_field = m->has_retry = true;
        return SSE_RETRY;
    }
}

/* "Dispatch the event", in the steps of the standard. */
static inline SSEResult sse_dispatch(SSEMachine *m, SSEEvent *event)
{
    /* 1. "Set the last event ID string of the event source to the value of the last event ID
     * buffer." */
    event->id = m->id.at; /* NULL: nothing has changed since the last one */
    SSEResult result = event->id.bytes != NULL ? SSE_ID : SSE_GO_ON;
    /* 2. "If the data buffer is an empty string, set the data buffer and the event type buffer to
     * the empty string and return." (NULL is the empty one: with one empty line of data, there is
     * an LF. `dispatch_empty` is ours.) */
    if (m->data.at.bytes != NULL || (m->has_other_field && m->dispatch_empty)) {
        /* 3. "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove
         * the last character": see sse_process_field().
         * 4., 5. "Initialize event's type attribute to "message", its data attribute to data".
         * 6. "If the event type buffer has a value other than the empty string, change the type of
         * the newly created event to equal the value of the event type buffer." */
        bool is_typed = m->type.at.bytes != NULL && m->type.at.length > 0;
        event->type = is_typed ? m->type.at : (SSESpan){sse_message, sizeof sse_message - 1};
        event->data = m->data.at.bytes != NULL ? m->data.at : (SSESpan){"", 0};
        event->has_retry = m->has_retry;
        result = SSE_EVENT;
    }
    /* 7. "Set the data buffer and the event type buffer to the empty string." The ID "does not get
     * reset": here NULL says so. */
    m->data.at.bytes = m->type.at.bytes = m->id.at.bytes = NULL;
    m->has_other_field = m->has_retry = false;
    m->size = 0;
    return result; /* 8. "Queue a task": the caller hands it on */
}

/* Process a line, of which `tail` lies in the chunk. */
static inline SSEResult sse_process_line(SSEMachine *m, SSESpan line, SSESpan tail, SSEEvent *event)
{
    if (line.length == 0) { /* "If the line is empty (a blank line): Dispatch the event" */
        return sse_dispatch(m, event);
    }
    SSESpan value;
    if (!sse_is_known(line, &value)) { /* a comment, or "Otherwise: The field is ignored." */
        return SSE_IGNORED;
    }
    m->size += line.length + 1;
    return m->size <= m->limit ? sse_process_field(m, line, value, tail, event) : SSE_TOO_LARGE;
}

/* What the standard does not have: observers, a limit, early refusal. */

static inline bool sse_is_observed(const SSEMachine *m, char first)
{
    return m->observe & (first == ':' ? SSE_OBSERVE_COMMENTS : SSE_OBSERVE_IGNORED);
}

/* Report an ignored line, if its kind is observed. */
static SSEResult sse_report(const SSEMachine *m, SSESpan line, SSEEvent *event)
{
    if (!sse_is_observed(m, *line.bytes)) {
        return SSE_GO_ON;
    }
    if (line.length > m->limit) {
        line.length = m->limit;
    }
    event->text = line;
    if (*line.bytes != ':') {
        return SSE_IGNORED;
    }
    size_t start = line.length > 1 && line.bytes[1] == ' ' ? 2 : 1;
    event->text = (SSESpan){line.bytes + start, line.length - start};
    return SSE_COMMENT;
}

static inline bool sse_begins(SSEBuffer line, const char *prefix, size_t length, bool may_become)
{
    return line.length >= length ? memcmp(line.bytes, prefix, length) == 0
                                 : may_become && memcmp(line.bytes, prefix, line.length) == 0;
}

/* Whether an unfinished line begins with a field's name and colon; or, with `may_become`, may
 * still do so. */
static inline bool sse_begins_field(SSEBuffer line, bool may_become)
{
    switch (line.length > 0 ? *line.bytes : '\0') {
    case 'd': return sse_begins(line, "data:", 5, may_become);
    case 'e': return sse_begins(line, "event:", 6, may_become);
    case 'i': return sse_begins(line, "id:", 3, may_become);
    case 'r': return sse_begins(line, "retry:", 6, may_become);
    default: return false;
    }
}

/* Bytes of the event that has begun but not finished, as `size` counts them, plus the unfinished
 * line if it may be a field. After sse_close() or a refusal: those that were discarded. */
static inline size_t sse_unfinished(const SSEMachine *m)
{
    return sse_begins_field(m->line, true) ? m->size + m->line.length : m->size;
}

/* Take nothing more, for this reason; free all memory. */
static SSEResult sse_refuse(SSEMachine *m, SSEResult reason)
{
    m->size = sse_unfinished(m);
    sse_release(&m->line, 0);
    sse_release(&m->data.own, 0);
    sse_release(&m->type.own, 0);
    sse_release(&m->id.own, 0);
    m->data.at.bytes = m->type.at.bytes = m->id.at.bytes = NULL;
    m->at = m->end = m->next_cr = NULL;
    return m->refused = reason;
}

/* Chunks. */

/* Append to the unfinished line, unless it gets too large; `line_end` is 1 if it ends after this
 * part, else 0. (`size` is no more than `limit`. A field without a colon is checked when it
 * ends.) */
static SSEResult sse_extend_line(SSEMachine *m, SSESpan part, size_t line_end)
{
    if (m->line.length < SSE_LONGEST_PREFIX) {
        size_t first = SSE_LONGEST_PREFIX - m->line.length;
        first = part.length < first ? part.length : first;
        if (!sse_append(&m->line, part.bytes, first)) {
            return SSE_NO_MEMORY;
        }
        part = (SSESpan){part.bytes + first, part.length - first};
    }
    /* Now the line has at least six bytes, or all that came. No name is longer, with its colon: so
     * this begins a field, of which all is kept, or none of `part` belongs to a field. */
    if (sse_begins_field(m->line, false)) {
        size_t length = m->line.length + part.length;
        if (length + line_end > m->limit - m->size) {
            m->line.length = 0; /* it counts in `size` from here on */
            m->size += length + line_end;
            return SSE_TOO_LARGE;
        }
    }
    else {
        size_t most = sse_is_observed(m, *m->line.bytes) ? m->limit : 0;
        size_t room = most > m->line.length ? most - m->line.length : 0;
        part.length = part.length < room ? part.length : room;
    }
    return sse_append(&m->line, part.bytes, part.length) ? SSE_GO_ON : SSE_NO_MEMORY;
}

/* Make the block outlive a chunk in which a line has ended: so values may lie there (else all are
 * kept already), and `line` is empty. Free large buffers that are not in use. */
static inline bool sse_keep_block(SSEMachine *m)
{
    size_t capacity
        = m->line.capacity + m->data.own.capacity + m->type.own.capacity + m->id.own.capacity;
    if (m->size == 0 && capacity < SSE_LARGE) { /* nothing to do, as after most chunks */
        return true;
    }
    sse_release(&m->line, SSE_LARGE);
    return sse_keep(&m->data) && sse_keep(&m->type) && sse_keep(&m->id);
}

/* Leave the chunk, which goes back to its owner. */
static SSEResult sse_leave_chunk(SSEMachine *m)
{
    SSESpan rest = {m->at, m->at != NULL ? (size_t)(m->end - m->at) : 0};
    SSEResult result = !m->line_ended || sse_keep_block(m) ? SSE_GO_ON : SSE_NO_MEMORY;
    m->line_ended = false;
    m->at = m->end = m->next_cr = NULL;
    if (rest.length > 0 && result == SSE_GO_ON) {
        result = sse_extend_line(m, rest, 0);
    }
    return result == SSE_GO_ON ? SSE_CHUNK_END : sse_refuse(m, result);
}

/* Pass over the byte order mark. "Streams must be decoded using the UTF-8 decode algorithm", which
 * "strips one leading UTF-8 Byte Order Mark (BOM), if any". */
static SSEResult sse_strip_bom(SSEMachine *m)
{
    for (; m->at < m->end && m->bom < SSE_BOM_LENGTH && *m->at == sse_bom[m->bom]; m->at++) {
        m->bom++;
    }
    SSESpan found = {sse_bom, m->bom};
    if (found.length < SSE_BOM_LENGTH && m->at == m->end) {
        return SSE_GO_ON;
    }
    m->bom = SSE_BOM_DECIDED;
    /* A part of it is not a mark, but the beginning of a line. */
    bool is_part = found.length > 0 && found.length < SSE_BOM_LENGTH;
    return is_part ? sse_extend_line(m, found, 0) : SSE_GO_ON;
}

/* Set up a machine for one stream, without limit or options. It owns nothing yet. */
static inline void sse_init(SSEMachine *m)
{
    *m = (SSEMachine){.limit = SSE_NO_LIMIT, .refused = SSE_GO_ON};
}

/* Lend a chunk, the previous one having come to its SSE_CHUNK_END. Returns SSE_GO_ON: call
 * sse_next(); or why nothing more is taken. */
static SSEResult sse_feed(SSEMachine *m, const char *chunk, size_t length)
{
    if (m->refused != SSE_GO_ON || length == 0) {
        return m->refused;
    }
    m->at = chunk;
    m->end = chunk + length;
    if (m->bom != SSE_BOM_DECIDED && sse_strip_bom(m) != SSE_GO_ON) { /* no field: not too large */
        return sse_refuse(m, SSE_NO_MEMORY);
    }
    sse_skip_lf(m);
    m->next_cr = sse_find(m->at, m->end, '\r');
    return SSE_GO_ON;
}

/* Go on in the chunk to the next thing to report. */
static inline SSEResult sse_next(SSEMachine *m, SSEEvent *event)
{
    *event = (SSEEvent){.has_retry = false};
    if (m->refused != SSE_GO_ON) {
        return m->refused;
    }
    SSEResult result;
    do {
        const char *start = m->at;
        const char *line_end = start != m->end ? sse_find_line_end(m) : NULL;
        if (line_end == NULL) {
            return sse_leave_chunk(m);
        }
        m->line_ended = true;
        SSESpan tail = {start, (size_t)(line_end - start)}, line = tail;
        if (m->line.length > 0) { /* earlier chunks began it */
            result = sse_extend_line(m, tail, 1);
            if (result != SSE_GO_ON) {
                break;
            }
            line = (SSESpan){m->line.bytes, m->line.length};
            /* The bytes stay: for this line, and what is reported of it. (They are all of a known
             * field; of others perhaps only the beginning, which tells as much.) */
            m->line.length = 0;
        }
        result = sse_process_line(m, line, tail, event);
        if (result == SSE_IGNORED) {
            result = m->observe != 0 ? sse_report(m, line, event) : SSE_GO_ON;
        }
    } while (result == SSE_GO_ON);
    return result < SSE_CHUNK_END ? result : sse_refuse(m, result);
}

/* Free all memory. "Once the end of the file is reached, any pending data must be discarded": the
 * unfinished line as well. */
static inline void sse_close(SSEMachine *m)
{
    sse_refuse(m, SSE_CLOSED);
}

#endif
