/* The decoder's machine: bytes of an event stream in, events out. C99, and nothing but C.
 *
 * It follows "Parsing an event stream" and "Interpreting an event stream" (HTML Standard, 9.2.5 and
 * 9.2.6), quoted beside the steps. No I/O, no global state, no recursion.
 *
 * Set it up (sse_init), lend it a chunk (sse_feed), and call sse_next() until SSE_CHUNK_END. The
 * standard decodes the stream to text first. Here lines are found in its bytes, and text is left to
 * the caller: all of the grammar is ASCII, and no ASCII byte is part of a longer character. A line
 * is read where it lies: in the lent chunk or, if the end of a chunk cut it, in `line`. Values
 * point there too. They are copied if the chunk ends before their block does; data also when a
 * second line of it comes, to join the two.
 */
#ifndef SSE_CORE_H
#define SSE_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The seam to the allocator: like realloc(), but size 0 frees. Define your own before including. */
#ifndef SSE_REALLOC
#include <stdlib.h>
#define SSE_REALLOC(bytes, size) ((size) > 0 ? realloc(bytes, size) : (free(bytes), (void *)NULL))
#endif

/* The largest `limit`, in effect none. The sum of two such sizes does not overflow. */
#define SSE_NO_LIMIT (SIZE_MAX / 2 - 1)
/* Longest `retry` value that counts, in significant digits. */
#define SSE_MAX_RETRY_DIGITS 640
#define SSE_LEAST(one, other) ((one) < (other) ? (one) : (other))
/* This many bytes show what a line is: five for the longest name, and the next one. */
#define SSE_LONGEST_PREFIX 6
/* Buffers of this size (a power of two) or more are freed when a chunk ends and they are empty. */
#ifndef SSE_LARGE
#define SSE_LARGE ((size_t)64 * 1024)
#endif

/* Bytes that lie elsewhere. NULL `bytes`: there is no such value. */
typedef struct { const char *bytes; size_t length; } SSESpan;
typedef struct { char *bytes; size_t length, capacity; } SSEBuffer;
/* The value of a field: in the chunk, in `line`, or (`at.bytes` is `copy.bytes`) in its copy, which
 * then has the same length. Otherwise the copy's length means nothing. */
typedef struct { SSESpan at; SSEBuffer copy; } SSEValue;
typedef enum {
    SSE_GO_ON,     /* nothing to report */
    SSE_EVENT,     /* an event: all fields but `text` */
    SSE_ID,        /* no event, but a blank line has set the last event ID: `id` */
    SSE_RETRY,     /* a line has set the reconnection time: `text` is decimal digits, of ms */
    SSE_COMMENT,   /* a comment: `text` is what follows its colon, less one space */
    SSE_IGNORED,   /* `text` is the line of an unknown field, a bad `retry`, an `id` with NUL */
    SSE_CHUNK_END, /* the chunk is used up; nothing points to it any more */
    SSE_TOO_LARGE, /* the unfinished event holds sse_unfinished() bytes, more than `limit` */
    SSE_NO_MEMORY, SSE_CLOSED
} SSEResult;

/* What sse_next() reports. Spans are good until the next call of sse_next() or sse_close(). */
typedef struct {
    SSESpan type;   /* `sse_message` itself where the stream names none */
    SSESpan data;
    SSESpan id;     /* the last event ID, if this block has set it; NULL: it is what it was */
    bool has_retry; /* whether the latest SSE_RETRY was in this block */
    SSESpan text;   /* of an observed line or `retry`; of no more than `limit` bytes of its line */
} SSEEvent;
enum { SSE_OBSERVE_COMMENTS = 1, SSE_OBSERVE_IGNORED = 2 };

typedef struct {
    /* Options, for the caller to set after sse_init(). */
    size_t limit;        /* most bytes that `size` may be, from 1 to SSE_NO_LIMIT */
    bool dispatch_empty; /* whether to dispatch blocks with a valid field, but no data */
    unsigned observe;    /* SSE_OBSERVE_...: what to report beside events */
    /* The chunk. Set by sse_feed(); `at` moves with each line; all NULL after SSE_CHUNK_END. */
    const char *at, *end;
    const char *next_cr; /* the first CR from `at` on, or NULL: most streams have none */
    bool line_ended;     /* set by the first line that ends in the chunk; cleared with it */
    /* How many bytes of a byte order mark the stream began with; SSE_BOM_DECIDED once the mark is
     * complete, or a byte differs. */
    unsigned char bom;
    /* Set when a chunk ends in CR, and a line with it: an LF opening the next chunk is not another
     * line. Cleared by the next byte. */
    bool skip_lf;
    /* SSE_GO_ON, or one of the last three of SSEResult, which all further calls return. */
    SSEResult refused;
    /* The line that the chunks so far left unfinished; only its first SSE_LONGEST_PREFIX bytes if
     * it cannot be a field and is not observed. Its end sets the length to 0; values may lie in the
     * bytes until another line needs them, or the chunk ends. */
    SSEBuffer line;
    /* The block that the lines so far left unfinished. A blank line resets all of it, even `id`:
     * the standard's buffer, which persists, is kept by the caller, who is told of each change. */
    size_t size;    /* bytes of its field lines, each with one end-of-line; in the end: discarded */
    bool has_field; /* an `event`, a valid `id` or a valid `retry`: see `dispatch_empty` */
    bool has_retry; /* a valid `retry` */
    SSEValue data;  /* "data buffer", less its last LF; NULL: no `data` so far */
    SSEValue type;  /* "event type buffer"; NULL: no `event` so far */
    SSEValue id;    /* "last event ID buffer", if this block has set it; else NULL */
} SSEMachine;

static const char sse_message[] = "message";
static const char sse_bom[] = "\xef\xbb\xbf";
enum { SSE_BOM_LENGTH = 3, SSE_BOM_DECIDED = 4 };

/* Buffers and values. */

/* Append, and leave room for one more byte. */
static inline bool sse_append(SSEBuffer *buffer, const char *bytes, size_t length)
{
    if (length >= buffer->capacity - buffer->length) {
        /* An eighth more than is needed: linear time, and little memory beside what is used. */
        size_t needed = length < SSE_NO_LIMIT ? buffer->length + length : SSE_NO_LIMIT;
        size_t capacity = needed + needed / 8 + 64;
        char *moved = needed < SSE_NO_LIMIT ? SSE_REALLOC(buffer->bytes, capacity) : NULL;
        if (moved == NULL) {
            return false;
        }
        buffer->bytes = moved;
        buffer->capacity = capacity;
    }
    if (length > 0) { /* else there may be no `bytes` */
        memcpy(buffer->bytes + buffer->length, bytes, length);
        buffer->length += length;
    }
    return true;
}

/* Free a buffer of this many bytes or more. */
static inline void sse_release(SSEBuffer *buffer, size_t least)
{
    if (buffer->capacity >= least) {
        (void)SSE_REALLOC(buffer->bytes, 0);
        *buffer = (SSEBuffer){NULL, 0, 0};
    }
}

/* Copy a value that cannot stay where it lies; free a large copy that is not in use. */
static bool sse_keep(SSEValue *value)
{
    if (value->at.bytes == NULL) {
        sse_release(&value->copy, SSE_LARGE);
    }
    else if (value->at.bytes != value->copy.bytes) {
        value->copy.length = 0;
        if (!sse_append(&value->copy, value->at.bytes, value->at.length)) {
            return false;
        }
        value->at.bytes = value->copy.bytes;
    }
    return true;
}

/* Take nothing more, for this reason; free all memory. */
static SSEResult sse_refuse(SSEMachine *m, SSEResult reason, size_t unfinished)
{
    sse_release(&m->line, 0);
    sse_release(&m->data.copy, 0);
    sse_release(&m->type.copy, 0);
    sse_release(&m->id.copy, 0);
    m->data.at.bytes = m->type.at.bytes = m->id.at.bytes = NULL;
    m->at = m->end = m->next_cr = NULL;
    m->size = unfinished;
    return m->refused = reason;
}

/* Lines (9.2.5). */

static inline bool sse_begins(SSEBuffer line, const char *prefix, size_t length, bool may_become)
{
    return line.length >= length ? memcmp(line.bytes, prefix, length) == 0
                                 : may_become && memcmp(line.bytes, prefix, line.length) == 0;
}

/* Whether an unfinished line begins with a field's name and colon; or, with `may_become`, may still
 * come to. */
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

/* Append to the unfinished line. If it cannot be a field, its beginning is enough, or `limit` bytes
 * if it is observed. */
static bool sse_extend_line(SSEMachine *m, const char *bytes, size_t length)
{
    if (m->line.length < SSE_LONGEST_PREFIX) {
        size_t first = SSE_LEAST(length, SSE_LONGEST_PREFIX - m->line.length);
        if (!sse_append(&m->line, bytes, first)) {
            return false;
        }
        bytes += first, length -= first;
    }
    if (length > 0 && !sse_begins_field(m->line, false)) {
        unsigned kind = *m->line.bytes == ':' ? SSE_OBSERVE_COMMENTS : SSE_OBSERVE_IGNORED;
        size_t room = m->limit > m->line.length ? m->limit - m->line.length : 0;
        length = m->observe & kind ? SSE_LEAST(length, room) : 0;
    }
    return sse_append(&m->line, bytes, length);
}

static inline const char *sse_find(const char *at, const char *end, char byte)
{
    return at < end ? memchr(at, byte, (size_t)(end - at)) : NULL;
}

/* Find the end of the line at `at`; move `at` past it. NULL: it is not in the chunk. "Lines must be
 * separated by either a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF) character pair, a single
 * U+000A LINE FEED (LF) character, or a single U+000D CARRIAGE RETURN (CR) character." */
static inline const char *sse_find_line_end(SSEMachine *m)
{
    const char *cr = m->next_cr;
    const char *lf = sse_find(m->at, cr != NULL ? cr : m->end, '\n');
    if (lf != NULL) {
        m->at = lf + 1;
        return lf;
    }
    if (cr != NULL) {
        m->at = cr + 1;
        m->skip_lf = m->at == m->end;
        m->at += !m->skip_lf && *m->at == '\n' ? 1 : 0;
        m->next_cr = sse_find(m->at, m->end, '\r');
    }
    return cr;
}

/* Fields (9.2.6). */

/* Whether `line` is the field `name`; if so, set its value. "Collect the characters on the line
 * before the first U+003A COLON character (:), and let field be that string. Collect the characters
 * on the line after the first U+003A COLON character (:), and let value be that string. If value
 * starts with a U+0020 SPACE character, remove it from value." Without a colon: "using the whole
 * line as the field name, and the empty string as the field value." */
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

/* Whether `line` is a field that the standard knows. Its first letter tells which. */
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

/* "Append the field value to the data buffer, then append a single U+000A LINE FEED (LF) character
 * to the data buffer." That LF is put before the next line, since in the end "if the data buffer's
 * last character is a U+000A LINE FEED (LF) character", it is removed. */
static inline bool sse_add_data(SSEValue *data, SSESpan value)
{
    if (data->at.bytes == NULL) {
        data->at = value;
        return true;
    }
    if (!sse_keep(data)) {
        return false;
    }
    data->copy.bytes[data->copy.length++] = '\n'; /* sse_append() has left room */
    bool is_added = sse_append(&data->copy, value.bytes, value.length);
    data->at = (SSESpan){data->copy.bytes, data->copy.length};
    return is_added;
}

/* Whether "the field value consists of only ASCII digits", one at least. Drops leading zeros. */
static bool sse_take_number(SSESpan *value)
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

/* Report an ignored line, if its kind is observed. */
static SSEResult sse_pass_over(SSEMachine *m, SSESpan line, SSEEvent *event)
{
    bool is_comment = *line.bytes == ':';
    if (!(m->observe & (is_comment ? SSE_OBSERVE_COMMENTS : SSE_OBSERVE_IGNORED))) {
        return SSE_GO_ON;
    }
    line.length = SSE_LEAST(line.length, m->limit);
    size_t start = !is_comment ? 0 : line.length > 1 && line.bytes[1] == ' ' ? 2 : 1;
    event->text = (SSESpan){line.bytes + start, line.length - start};
    return is_comment ? SSE_COMMENT : SSE_IGNORED;
}

/* Process the field of a line. */
static inline SSEResult sse_process_field(SSEMachine *m, SSESpan line, SSESpan value,
                                          SSEEvent *event)
{
    SSEResult result = SSE_GO_ON;
    switch (*line.bytes) {
    case 'd': /* "If the field name is "data": [...]": see sse_add_data() */
        return sse_add_data(&m->data, value) ? SSE_GO_ON : sse_refuse(m, SSE_NO_MEMORY, m->size);
    case 'e': /* "If the field name is "event": Set the event type buffer to the field value." */
        m->type.at = value;
        break;
    case 'i': /* "If the field name is "id": If the field value does not contain U+0000 NULL, then
               * set the last event ID buffer to the field value. Otherwise, ignore the field." */
        if (sse_find(value.bytes, value.bytes + value.length, '\0') != NULL) {
            return sse_pass_over(m, line, event);
        }
        m->id.at = value;
        break;
    default: /* "If the field name is "retry": If the field value consists of only ASCII digits,
              * then interpret the field value as an integer in base ten, and set the event stream's
              * reconnection time to that integer. Otherwise, ignore the field." */
        if (!sse_take_number(&value)) {
            return sse_pass_over(m, line, event);
        }
        m->has_retry = true;
        event->text = value;
        result = SSE_RETRY;
    }
    m->has_field = true;
    return result;
}

/* Process a line that is not blank. If it was joined, its first `begun` bytes came in earlier
 * chunks, and the others also lie in this one, at `rest`. A value that lies wholly there is pointed
 * to there, so that the caller can take a view of its chunk. */
static inline SSEResult sse_process_line(SSEMachine *m, SSESpan line, size_t begun,
                                         const char *rest, SSEEvent *event)
{
    SSESpan value;
    if (!sse_is_known(line, &value)) { /* "Otherwise: The field is ignored." */
        return sse_pass_over(m, line, event);
    }
    m->size += line.length + 1;
    if (m->size > m->limit) {
        return sse_refuse(m, SSE_TOO_LARGE, m->size);
    }
    size_t start = (size_t)(value.bytes - line.bytes);
    if (begun > 0 && start >= begun) {
        value.bytes = rest + (start - begun);
    }
    return sse_process_field(m, line, value, event);
}

/* "Dispatch the event, as defined below." */
static inline SSEResult sse_dispatch(SSEMachine *m, SSEEvent *event)
{
    /* "Set the last event ID string [...] to the value of the last event ID buffer." */
    event->id = m->id.at;
    SSEResult result = event->id.bytes != NULL ? SSE_ID : SSE_GO_ON;
    /* "If the data buffer is an empty string, set the data buffer and the event type buffer to the
     * empty string and return." (An event with one empty line of data has an LF there.) */
    if (m->data.at.bytes != NULL || (m->has_field && m->dispatch_empty)) {
        /* "Initialize event's type attribute to "message", its data attribute to data [...] If the
         * event type buffer has a value other than the empty string, change the type of the newly
         * created event to equal the value of the event type buffer." */
        bool is_typed = m->type.at.bytes != NULL && m->type.at.length > 0;
        event->type = is_typed ? m->type.at : (SSESpan){sse_message, sizeof sse_message - 1};
        event->data = m->data.at.bytes != NULL ? m->data.at : (SSESpan){"", 0};
        event->has_retry = m->has_retry;
        result = SSE_EVENT;
    }
    /* "Set the data buffer and the event type buffer to the empty string." */
    m->data.at.bytes = m->type.at.bytes = m->id.at.bytes = NULL;
    m->has_field = m->has_retry = false;
    m->size = 0;
    return result;
}

/* Chunks. */

/* Copy what is needed from the chunk and `line`; free what is large and not needed. */
static inline bool sse_keep_block(SSEMachine *m)
{
    size_t capacities /* SSE_LARGE or more if one of them is */
        = m->line.capacity | m->data.copy.capacity | m->type.copy.capacity | m->id.copy.capacity;
    if (m->size == 0 && capacities < SSE_LARGE) { /* as after most chunks */
        return true;
    }
    bool is_kept = sse_keep(&m->data) && sse_keep(&m->type) && sse_keep(&m->id);
    sse_release(&m->line, SSE_LARGE);
    return is_kept;
}

/* Leave the chunk, which goes back to its owner. The order matters: values may lie in `line`, where
 * the rest of the chunk goes. If no line has ended, an earlier chunk's end has kept them. */
static SSEResult sse_leave_chunk(SSEMachine *m)
{
    if (m->at == NULL) { /* an empty one, or it was left */
        return SSE_CHUNK_END;
    }
    const char *rest = m->at;
    size_t length = (size_t)(m->end - m->at);
    bool is_kept = !m->line_ended || sse_keep_block(m);
    m->line_ended = false;
    m->at = m->end = m->next_cr = NULL;
    if (!is_kept || (length > 0 && !sse_extend_line(m, rest, length))) {
        return sse_refuse(m, SSE_NO_MEMORY, m->size);
    }
    if (m->line.length > m->limit - m->size && sse_begins_field(m->line, false)) {
        return sse_refuse(m, SSE_TOO_LARGE, m->size + m->line.length);
    }
    return SSE_CHUNK_END;
}

/* Pass over the byte order mark. "Streams must be decoded using the UTF-8 decode algorithm", which
 * "strips one leading UTF-8 Byte Order Mark (BOM), if any". */
static bool sse_strip_bom(SSEMachine *m)
{
    for (; m->at < m->end && m->bom < SSE_BOM_LENGTH && *m->at == sse_bom[m->bom]; m->at++) {
        m->bom++;
    }
    size_t found = m->bom;
    if (found < SSE_BOM_LENGTH && m->at == m->end) {
        return true;
    }
    m->bom = SSE_BOM_DECIDED;
    /* A part of it is not a mark, but the beginning of a line. */
    return found == 0 || found == SSE_BOM_LENGTH || sse_extend_line(m, sse_bom, found);
}

/* Set up a machine for one stream, without limit or options. It owns nothing yet. */
static inline void sse_init(SSEMachine *m)
{
    *m = (SSEMachine){.limit = SSE_NO_LIMIT, .refused = SSE_GO_ON};
}

/* Lend a chunk. Returns SSE_GO_ON: call sse_next(); or why nothing more is taken. */
static SSEResult sse_feed(SSEMachine *m, const char *chunk, size_t length)
{
    if (m->refused != SSE_GO_ON || length == 0) {
        return m->refused;
    }
    m->at = chunk;
    m->end = chunk + length;
    if (m->bom != SSE_BOM_DECIDED && !sse_strip_bom(m)) {
        return sse_refuse(m, SSE_NO_MEMORY, 0);
    }
    if (m->skip_lf && m->at < m->end) {
        m->skip_lf = false;
        m->at += *m->at == '\n' ? 1 : 0;
    }
    m->next_cr = sse_find(m->at, m->end, '\r');
    return SSE_GO_ON;
}

/* Go on in the chunk to the next thing to report. */
static inline SSEResult sse_next(SSEMachine *m, SSEEvent *event)
{
    SSEResult result = m->refused;
    while (result == SSE_GO_ON && m->at != m->end) {
        const char *start = m->at;
        const char *line_end = sse_find_line_end(m);
        if (line_end == NULL) {
            break;
        }
        m->line_ended = true;
        SSESpan line = {start, (size_t)(line_end - start)};
        size_t begun = m->line.length;
        if (begun > 0) {
            if (!sse_extend_line(m, line.bytes, line.length)) {
                return sse_refuse(m, SSE_NO_MEMORY, m->size);
            }
            line = (SSESpan){m->line.bytes, m->line.length};
            m->line.length = 0; /* the bytes stay where they are, until the next line needs it */
        }
        /* "If the line is empty (a blank line): Dispatch the event, as defined below." */
        result = line.length == 0 ? sse_dispatch(m, event)
                                  : sse_process_line(m, line, begun, start, event);
    }
    return result == SSE_GO_ON ? sse_leave_chunk(m) : result;
}

/* Bytes of the event that has begun but not finished, as `size` counts them, plus the unfinished
 * line if it may be a field. After sse_close() or a refusal: those that were discarded. */
static inline size_t sse_unfinished(const SSEMachine *m)
{
    return sse_begins_field(m->line, true) ? m->size + m->line.length : m->size;
}

/* Free all memory. "Once the end of the file is reached, any pending data must be discarded." */
static inline void sse_close(SSEMachine *m)
{
    sse_refuse(m, SSE_CLOSED, sse_unfinished(m));
}

#endif
