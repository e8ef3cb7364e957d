/* The decoder's machine: bytes of an event stream in, events out. C99, and nothing but C.
 *
 * It follows "Parsing an event stream" and "Interpreting an event stream" (HTML Standard, 9.2.5 and
 * 9.2.6), whose words stand in quotes beside the steps. No I/O, no global state, no recursion, no
 * code of the caller's but SSE_REALLOC.
 *
 *     SSEMachine machine;
 *     sse_init(&machine);
 *     while ((length = read(socket, chunk, sizeof chunk)) > 0) {
 *         SSEEvent event;
 *         SSEResult result = sse_feed(&machine, chunk, length);
 *         while (result == SSE_GO_ON && (result = sse_next(&machine, &event)) == SSE_EVENT) {
 *             ... use event; result = SSE_GO_ON ...
 *         }
 *     }
 *     sse_free(&machine);
 *
 * The standard decodes the stream to text first. Here lines are found in its bytes, and text is left
 * to the caller: all that the grammar knows is ASCII, and no byte of ASCII is ever part of a longer
 * character, valid or not.
 *
 * A line is looked at where it lies: in the caller's chunk or, if the end of a chunk cut it, in
 * `line`. Values are pointers there too. They are copied when the chunk ends before their block does,
 * and data as well when it has a second line, to which the first must be joined.
 */
#ifndef SSE_CORE_H
#define SSE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The seam to the allocator: as realloc, but size 0 frees. Define it before including this file. */
#ifndef SSE_REALLOC
#include <stdlib.h>
static inline void *sse_realloc(void *bytes, size_t size)
{
    if (size > 0) {
        return realloc(bytes, size);
    }
    free(bytes);
    return NULL;
}
#define SSE_REALLOC sse_realloc
#endif

/* The largest `limit`, and in effect none. Sums of two such sizes do not overflow. */
#define SSE_NO_LIMIT (SIZE_MAX / 2 - 1)

/* Longest `retry` value that counts, in significant digits. */
#define SSE_MAX_RETRY_DIGITS 640

/* The longest beginning of a line that shows whether it is a field: that of "retry:". */
#define SSE_LONGEST_PREFIX 6

/* Larger buffers are given back at the end of the chunk that had a use for them. */
#define SSE_KEPT_CAPACITY ((size_t)64 * 1024)

/* Bytes that lie elsewhere. `bytes` is NULL: there is no such value. */
typedef struct {
    const char *bytes;
    size_t length;
} SSESpan;

typedef struct {
    char *bytes;
    size_t length;
    size_t capacity;
} SSEBuffer;

/* The value of a field: in the chunk, in `line`, or (`at.bytes` is `copy.bytes`) in its copy. */
typedef struct {
    SSESpan at;
    SSEBuffer copy;
} SSEValue;

/* What sse_next() found. All spans are good until the next call of any function below. */
typedef struct {
    SSESpan type;  /* never NULL; `sse_message` itself where the stream names none */
    SSESpan data;  /* never NULL */
    SSESpan retry; /* decimal digits, in milliseconds; NULL: not in this block */
    SSESpan line;  /* of SSE_COMMENT and SSE_IGNORED alone, which have nothing else */
} SSEEvent;

typedef enum {
    SSE_GO_ON,     /* nothing to report */
    SSE_EVENT,     /* an event was dispatched */
    SSE_COMMENT,   /* a comment: `line` is what follows its colon, less one space */
    SSE_IGNORED,   /* `line` is an unknown field, a bad `retry`, an `id` with NUL */
    SSE_CHUNK_END, /* the chunk is used up; nothing points to it any more */
    SSE_TOO_LARGE, /* the unfinished event holds sse_unfinished() bytes, more than `limit` */
    SSE_NO_MEMORY,
    SSE_CLOSED
} SSEResult;

enum { SSE_OBSERVE_COMMENTS = 1, SSE_OBSERVE_IGNORED = 2 };

typedef struct {
    /* Options, for the caller to set after sse_init(). */
    size_t limit;        /* most bytes that `size` may be, from 1 to SSE_NO_LIMIT */
    bool dispatch_empty; /* whether to dispatch blocks with a valid field, but no data */
    unsigned observe;    /* SSE_OBSERVE_...: what to report beside events */

    /* The chunk. Set by sse_feed(); `at` moves with each line; all NULL after SSE_CHUNK_END. */
    const char *at;
    const char *end;
    const char *next_cr; /* the first CR from `at` on, or NULL: most streams have none */
    bool line_ended;     /* set by the first line that ends in the chunk; cleared by sse_feed() */

    /* How many bytes of a byte order mark the stream began with; SSE_BOM_DECIDED once another byte,
     * or all of the mark, has come. */
    unsigned char bom;
    /* Set when a chunk ends in CR: an LF opening the next one belongs to it, and is no line of its
     * own. The line that the CR ends is not held back for it. Cleared by the next byte. */
    bool skip_lf;
    /* SSE_GO_ON, until SSE_TOO_LARGE, SSE_NO_MEMORY, or SSE_CLOSED: what each further call returns. */
    SSEResult refused;

    /* The line that the chunks so far left unfinished. Once it can be no field, and is not observed,
     * its first SSE_LONGEST_PREFIX bytes. Emptied by its end. */
    SSEBuffer line;

    /* The block that the lines so far left unfinished. All of it is reset by a blank line. */
    size_t size;    /* bytes of its field lines as they were sent, each with one end-of-line */
    bool has_field; /* an `event`, a valid `id` or a valid `retry`: see `dispatch_empty` */
    bool has_retry; /* a valid `retry`: `reconnection_time` is this block's */
    SSEValue data;  /* "data buffer", less its last LF; NULL: no `data` so far */
    SSEValue type;  /* "event type buffer"; NULL: no `event` so far */
    SSEValue id;    /* "last event ID buffer", if this block has set it; else NULL */

    /* What outlives its block. NULL: never set. */
    SSEValue last_id;           /* "last event ID string": takes over `id` at a blank line */
    SSEValue reconnection_time; /* decimal digits: set by each valid `retry`, at its line's end */
    bool last_id_is_new;           /* set with it; for the caller to clear once it was read */
    bool reconnection_time_is_new; /* the same */
} SSEMachine;

static const char sse_bom[] = "\xef\xbb\xbf";
enum { SSE_BOM_LENGTH = 3, SSE_BOM_DECIDED = 4 };

static const char sse_message[] = "message";

/* Buffers and values. */

static bool sse_append(SSEBuffer *buffer, const char *bytes, size_t length)
{
    if (length > buffer->capacity - buffer->length) {
        if (length > SSE_NO_LIMIT - buffer->length) {
            return false;
        }
        /* An eighth more: linear time, and little memory beside what is used. */
        size_t capacity = buffer->length + length;
        capacity += capacity / 8 + 64;
        char *moved = SSE_REALLOC(buffer->bytes, capacity);
        if (moved == NULL) {
            return false;
        }
        buffer->bytes = moved;
        buffer->capacity = capacity;
    }
    if (length > 0) {
        memcpy(buffer->bytes + buffer->length, bytes, length);
        buffer->length += length;
    }
    return true;
}

static void sse_release(SSEBuffer *buffer)
{
    (void)SSE_REALLOC(buffer->bytes, 0);
    *buffer = (SSEBuffer){NULL, 0, 0};
}

static inline void sse_trim(SSEBuffer *buffer)
{
    if (buffer->capacity > SSE_KEPT_CAPACITY) {
        sse_release(buffer);
    }
}

/* Copy a value that lies where it cannot stay; give back a large copy that is not in use. */
static bool sse_keep(SSEValue *value)
{
    if (value->at.bytes == NULL) {
        sse_trim(&value->copy);
    }
    else if (value->at.bytes != value->copy.bytes) {
        value->copy.length = 0;
        if (!sse_append(&value->copy, value->at.bytes, value->at.length)) {
            return false;
        }
        value->at.bytes = value->copy.bytes;
        if (value->at.bytes == NULL) { /* an empty value, and no buffer so far */
            value->at.bytes = "";
        }
    }
    return true;
}

/* Take nothing more, for this reason: drop the block and the unfinished line. What outlives them is
 * kept, if there is memory for it. */
static SSEResult sse_refuse(SSEMachine *m, SSEResult reason, size_t unfinished)
{
    if (!sse_keep(&m->last_id) || !sse_keep(&m->reconnection_time)) {
        m->last_id.at.bytes = m->reconnection_time.at.bytes = NULL;
        reason = SSE_NO_MEMORY;
    }
    SSEBuffer *buffers[] = {&m->data.copy, &m->type.copy, &m->id.copy, &m->line};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        sse_release(buffers[i]);
    }
    m->data.at.bytes = m->type.at.bytes = m->id.at.bytes = NULL;
    m->at = m->end = m->next_cr = NULL;
    m->size = unfinished;
    m->refused = reason;
    return reason;
}

/* Lines (9.2.5). */

/* Whether an unfinished line is a field already, its name being complete only with the colon; or,
 * if it `may_become` one, whether it is the beginning of that much. */
static bool sse_begins_field(const char *line, size_t length, bool may_become)
{
    static const char prefixes[4][SSE_LONGEST_PREFIX + 1] = {"data:", "event:", "id:", "retry:"};
    static const size_t lengths[4] = {5, 6, 3, 6};
    for (int i = 0; i < 4; i++) {
        size_t compared = length < lengths[i] ? length : lengths[i];
        if ((may_become || compared == lengths[i]) && memcmp(line, prefixes[i], compared) == 0) {
            return true;
        }
    }
    return false;
}

/* Append to the unfinished line. Of what can be no field the beginning is enough, unless it is
 * observed; then no more than an event may hold. */
static bool sse_extend_line(SSEMachine *m, const char *bytes, size_t length)
{
    if (m->line.length < SSE_LONGEST_PREFIX) {
        size_t missing = SSE_LONGEST_PREFIX - m->line.length;
        size_t first = length < missing ? length : missing;
        if (!sse_append(&m->line, bytes, first)) {
            return false;
        }
        bytes += first;
        length -= first;
    }
    if (length > 0 && !sse_begins_field(m->line.bytes, m->line.length, false)) {
        unsigned kind = *m->line.bytes == ':' ? SSE_OBSERVE_COMMENTS : SSE_OBSERVE_IGNORED;
        if (!(m->observe & kind) || m->line.length >= m->limit) {
            return true;
        }
        length = length < m->limit - m->line.length ? length : m->limit - m->line.length;
    }
    return sse_append(&m->line, bytes, length);
}

/* Find the end of the line at `at`; move `at` behind it. NULL: the chunk has no end of it.
 * "Lines must be separated by either a U+000D CARRIAGE RETURN U+000A LINE FEED (CRLF) character pair,
 * a single U+000A LINE FEED (LF) character, or a single U+000D CARRIAGE RETURN (CR) character." */
static inline const char *sse_find_line_end(SSEMachine *m)
{
    const char *at = m->at;
    const char *stop = m->next_cr != NULL ? m->next_cr : m->end;
    const char *line_end = memchr(at, '\n', (size_t)(stop - at));
    if (line_end != NULL) {
        m->at = line_end + 1;
        return line_end;
    }
    if (m->next_cr == NULL) {
        return NULL;
    }
    line_end = m->next_cr;
    at = line_end + 1;
    if (at == m->end) {
        m->skip_lf = true;
    }
    else if (*at == '\n') {
        at++;
    }
    m->next_cr = at < m->end ? memchr(at, '\r', (size_t)(m->end - at)) : NULL;
    m->at = at;
    return line_end;
}

/* Fields (9.2.6). */

/* Whether `line` is the field `name`; if so, set its value.
 * "Collect the characters on the line before the first U+003A COLON character (:), and let field be
 * that string. Collect the characters on the line after the first U+003A COLON character (:), and let
 * value be that string. If value starts with a U+0020 SPACE character, remove it from value." And
 * without a colon: "using the whole line as the field name, and the empty string as the field value." */
static inline bool sse_is_field(SSESpan line, const char *name, size_t name_length, SSESpan *value)
{
    if (line.length < name_length || memcmp(line.bytes, name, name_length) != 0) {
        return false;
    }
    size_t start = name_length;
    if (line.length > start) {
        if (line.bytes[start] != ':') {
            return false;
        }
        start++;
        if (line.length > start && line.bytes[start] == ' ') {
            start++;
        }
    }
    *value = (SSESpan){line.bytes + start, line.length - start};
    return true;
}

/* "Append the field value to the data buffer, then append a single U+000A LINE FEED (LF) character to
 * the data buffer." The LF is put before the next line, since "if the data buffer's last character is
 * a U+000A LINE FEED (LF) character, then remove the last character from the data buffer". */
static inline bool sse_add_data(SSEMachine *m, SSESpan value)
{
    SSEValue *data = &m->data;
    if (data->at.bytes == NULL) {
        data->at = value;
        return true;
    }
    if (!sse_keep(data)) {
        return false;
    }
    data->copy.length = data->at.length;
    if (!sse_append(&data->copy, "\n", 1)
        || !sse_append(&data->copy, value.bytes, value.length)) {
        return false;
    }
    data->at = (SSESpan){data->copy.bytes, data->copy.length};
    return true;
}

/* "If the field value consists of only ASCII digits, then interpret the field value as an integer in
 * base ten, and set the event stream's reconnection time to that integer. Otherwise, ignore the
 * field." */
static bool sse_set_reconnection_time(SSEMachine *m, SSESpan value)
{
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] < '0' || value.bytes[i] > '9') {
            return false;
        }
    }
    while (value.length > 1 && *value.bytes == '0') {
        value.bytes++;
        value.length--;
    }
    if (value.length == 0 || value.length > SSE_MAX_RETRY_DIGITS) {
        return false;
    }
    m->reconnection_time.at = value;
    m->reconnection_time_is_new = true;
    m->has_retry = m->has_field = true;
    return true;
}

/* Report a line that says nothing, if somebody wants to know. */
static SSEResult sse_pass_over(SSEMachine *m, SSESpan line, SSEEvent *event)
{
    bool is_comment = *line.bytes == ':';
    if (!(m->observe & (is_comment ? SSE_OBSERVE_COMMENTS : SSE_OBSERVE_IGNORED))) {
        return SSE_GO_ON;
    }
    if (line.length > m->limit) {
        line.length = m->limit;
    }
    if (is_comment) {
        size_t start = line.length > 1 && line.bytes[1] == ' ' ? 2 : 1;
        line = (SSESpan){line.bytes + start, line.length - start};
    }
    event->line = line;
    return is_comment ? SSE_COMMENT : SSE_IGNORED;
}

/* Process a line that is not blank. Of one that began in an earlier chunk, what lies behind its first
 * `begun` bytes is in the chunk as well, at `rest`: better, since the caller may take a view there. */
static inline SSEResult sse_process_line(SSEMachine *m, SSESpan line, size_t begun, const char *rest, SSEEvent *event)
{
    SSESpan value;
    bool is_field = false;
    switch (*line.bytes) {
    case 'd': is_field = sse_is_field(line, "data", 4, &value); break;
    case 'e': is_field = sse_is_field(line, "event", 5, &value); break;
    case 'i': is_field = sse_is_field(line, "id", 2, &value); break;
    case 'r': is_field = sse_is_field(line, "retry", 5, &value); break;
    default: break; /* "If the line starts with a U+003A COLON character (:): Ignore the line." */
    }
    if (!is_field) { /* "Otherwise: The field is ignored." */
        return sse_pass_over(m, line, event);
    }
    m->size += line.length + 1;
    if (m->size > m->limit) {
        return sse_refuse(m, SSE_TOO_LARGE, m->size);
    }
    if (begun > 0 && (size_t)(value.bytes - line.bytes) >= begun) {
        value.bytes = rest + ((size_t)(value.bytes - line.bytes) - begun);
    }
    switch (*line.bytes) {
    case 'd': /* "If the field name is "data"" */
        return sse_add_data(m, value) ? SSE_GO_ON : sse_refuse(m, SSE_NO_MEMORY, m->size);
    case 'e': /* "If the field name is "event": Set the event type buffer to the field value." */
        m->type.at = value;
        m->has_field = true;
        return SSE_GO_ON;
    case 'i': /* "If the field name is "id": If the field value does not contain U+0000 NULL, then set
               * the last event ID buffer to the field value. Otherwise, ignore the field." */
        if (value.length > 0 && memchr(value.bytes, '\0', value.length) != NULL) {
            return sse_pass_over(m, line, event);
        }
        m->id.at = value;
        m->has_field = true;
        return SSE_GO_ON;
    default: /* "If the field name is "retry"" */
        return sse_set_reconnection_time(m, value) ? SSE_GO_ON : sse_pass_over(m, line, event);
    }
}

/* "If the line is empty (a blank line): Dispatch the event." */
static inline SSEResult sse_dispatch(SSEMachine *m, SSEEvent *event)
{
    /* "Set the last event ID string of the event source to the value of the last event ID buffer." */
    if (m->id.at.bytes != NULL) {
        SSEValue before = m->last_id;
        m->last_id = m->id;
        m->id = before;
        m->id.at.bytes = NULL;
        m->last_id_is_new = true;
    }
    /* "If the data buffer is an empty string, set the data buffer and the event type buffer to the
     * empty string and return." */
    SSEResult result = SSE_GO_ON;
    if (m->data.at.bytes != NULL || (m->has_field && m->dispatch_empty)) {
        /* "Initialize event's type attribute to "message", its data attribute to data [...] If the
         * event type buffer has a value other than the empty string, change the type of the newly
         * created event to equal the value of the event type buffer." */
        event->type = m->type.at;
        if (event->type.bytes == NULL || event->type.length == 0) {
            event->type = (SSESpan){sse_message, sizeof sse_message - 1};
        }
        event->data = m->data.at;
        if (event->data.bytes == NULL) {
            event->data = (SSESpan){"", 0};
        }
        event->retry = m->has_retry ? m->reconnection_time.at : (SSESpan){NULL, 0};
        result = SSE_EVENT;
    }
    /* "Set the data buffer and the event type buffer to the empty string." */
    m->size = 0;
    m->has_field = m->has_retry = false;
    m->data.at.bytes = NULL;
    m->type.at.bytes = NULL;
    return result;
}

/* The whole. */

/* Leave the chunk, which goes back to its owner: copy what is still needed of it. */
static SSEResult sse_leave_chunk(SSEMachine *m)
{
    const char *rest = m->at;
    size_t length = (size_t)(m->end - m->at);
    m->at = m->end = m->next_cr = NULL;
    if (m->line_ended) {
        if (!sse_keep(&m->data) || !sse_keep(&m->type) || !sse_keep(&m->id)
            || !sse_keep(&m->last_id) || !sse_keep(&m->reconnection_time)) {
            return sse_refuse(m, SSE_NO_MEMORY, m->size);
        }
        if (length == 0) {
            sse_trim(&m->line); /* no value lies there any more */
        }
    }
    if (length > 0 && !sse_extend_line(m, rest, length)) {
        return sse_refuse(m, SSE_NO_MEMORY, m->size);
    }
    size_t held = m->line.length;
    if (held > m->limit - m->size && sse_begins_field(m->line.bytes, held, false)) {
        return sse_refuse(m, SSE_TOO_LARGE, m->size + held);
    }
    return SSE_CHUNK_END;
}

/* Pass over the byte order mark. "Streams must be decoded using the UTF-8 decode algorithm", which
 * "strips one leading UTF-8 Byte Order Mark (BOM), if any". */
static bool sse_strip_bom(SSEMachine *m)
{
    while (m->at < m->end && m->bom < SSE_BOM_LENGTH && *m->at == sse_bom[m->bom]) {
        m->bom++;
        m->at++;
    }
    size_t begun = m->bom;
    if (begun == SSE_BOM_LENGTH || m->at < m->end) {
        m->bom = SSE_BOM_DECIDED;
    }
    /* If it was none, its bytes were the beginning of a line. */
    return begun == SSE_BOM_LENGTH || m->at == m->end || sse_extend_line(m, sse_bom, begun);
}

/* Set up a machine for one stream, with no limit and no other option. It owns nothing yet. */
static inline void sse_init(SSEMachine *m)
{
    memset(m, 0, sizeof *m);
    m->limit = SSE_NO_LIMIT;
    m->refused = SSE_GO_ON;
}

/* Lend a chunk, until sse_next() returns SSE_CHUNK_END, SSE_TOO_LARGE or SSE_NO_MEMORY. Returns
 * SSE_GO_ON; SSE_NO_MEMORY; or why the machine was refused for good. */
static SSEResult sse_feed(SSEMachine *m, const char *chunk, size_t length)
{
    if (m->refused != SSE_GO_ON) {
        return m->refused;
    }
    m->line_ended = false;
    if (length == 0) { /* there may be no `chunk` then */
        m->at = m->end = m->next_cr = NULL;
        return SSE_GO_ON;
    }
    m->at = chunk;
    m->end = chunk + length;
    if (m->bom != SSE_BOM_DECIDED && !sse_strip_bom(m)) {
        return sse_refuse(m, SSE_NO_MEMORY, 0);
    }
    if (m->skip_lf && m->at < m->end) {
        m->skip_lf = false;
        m->at += *m->at == '\n';
    }
    m->next_cr = m->at < m->end ? memchr(m->at, '\r', (size_t)(m->end - m->at)) : NULL;
    return SSE_GO_ON;
}

/* Go on with the chunk up to what is to be reported. */
static inline SSEResult sse_next(SSEMachine *m, SSEEvent *event)
{
    if (m->refused != SSE_GO_ON) {
        return m->refused;
    }
    while (m->at < m->end) {
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
        SSEResult result = line.length == 0 ? sse_dispatch(m, event)
                                            : sse_process_line(m, line, begun, start, event);
        if (result != SSE_GO_ON) {
            return result;
        }
    }
    return sse_leave_chunk(m);
}

/* Bytes of the event that was begun and not finished, as `size` counts them, with the line that has no
 * end yet if that may be a field. After sse_close(), or a refusal: those that were discarded. */
static inline size_t sse_unfinished(const SSEMachine *m)
{
    size_t held = m->line.length;
    return held > 0 && sse_begins_field(m->line.bytes, held, true) ? m->size + held : m->size;
}

/* "Once the end of the file is reached, any pending data must be discarded. (If the file ends in the
 * middle of an event, before the final empty line, the incomplete event is not dispatched.)" */
static inline void sse_close(SSEMachine *m)
{
    sse_refuse(m, SSE_CLOSED, sse_unfinished(m));
}

/* Give all memory back. The machine must be set up anew before it is used again. */
static inline void sse_free(SSEMachine *m)
{
    sse_close(m);
    sse_release(&m->last_id.copy);
    sse_release(&m->reconnection_time.copy);
}

#endif
