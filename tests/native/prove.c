/* For Frama-C's Eva: the core has no undefined behaviour, whatever comes. See proof.md.
 *
 * By induction. A machine is put into any state in which a chunk may find it (`begin`), is fed any
 * chunk of 1 to CHUNK bytes, and is in such a state again, or has refused (`check`). What the bytes are
 * is left open: memchr may find any of them, or none, and memcmp say anything. So each path that any
 * content could take is taken, and others too.
 *
 * Eva must find no read or write beside an object, no value that was never set, no overflow of a sign,
 * no comparison or difference of pointers into two objects, no pointer that outlives its object.
 *
 * CHUNK, and the state to begin with, are given with -D: MARK, how many bytes of a byte order mark have
 * come, 4 if it is decided; LINE, DATA, TYPE, ID, the bytes that are kept of each: see `set`.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "__fc_builtin.h"

static volatile char any;
static volatile char sink;

/* Memory. A buffer ends where its place ends, so that Eva sees each byte too far. Those that the
 * machine begins with are full but for ROOM bytes, so that they have to grow; a request may fail. What
 * grows moves to a place that was never used before. */
enum { ROOM = 2, PREFIX = 3, PLACE = 1 << 17, BUFFERS = 4, MOVES = 16 };
static char old_places[BUFFERS][PLACE], new_places[MOVES][PLACE];

static void *prove_realloc(size_t size);
#define SSE_REALLOC(bytes, size) prove_realloc(size)

/* Bytes lie in one object: if the first and the last are in it, so are the others. */
static void prove_readable(const char *bytes, size_t length)
{
    if (length > 0) {
        sink = bytes[0];
        sink = bytes[length - 1];
    }
}

static void *prove_memchr(const char *bytes, int byte, size_t length)
{
    (void)byte;
    prove_readable(bytes, length);
    for (size_t i = 0; i < length; i++) {
        if (any) {
            return (void *)(bytes + i);
        }
    }
    return NULL;
}

static void *prove_memcpy(char *to, const char *from, size_t length)
{
    prove_readable(from, length);
    if (length > 0) {
        to[0] = any;
        to[length - 1] = any;
    }
    return to;
}

static int prove_memcmp(const char *one, const char *other, size_t length)
{
    prove_readable(one, length);
    prove_readable(other, length);
    return any;
}

#include <string.h>
#define memchr prove_memchr
#define memcpy prove_memcpy
#define memcmp prove_memcmp
#include "../../sse_proto/sse_core.h"

static SSEMachine machine;

static SSEBuffer *const buffers[BUFFERS]
    = {&machine.line, &machine.data.own, &machine.type.own, &machine.id.own};

static void *prove_realloc(size_t size)
{
    static int moves;
    if (size == 0 || any) {
        return NULL;
    }
    //@ assert moves < MOVES && size <= PLACE;
    return new_places[moves++] + (PLACE - size);
}

static void look_at(SSESpan span)
{
    if (span.bytes != NULL) {
        prove_readable(span.bytes, span.length);
    }
}

static SSEResult feed(const char *chunk, size_t length)
{
    SSEEvent event;
    SSEResult result = sse_feed(&machine, chunk, length);
    while (result == SSE_GO_ON && (result = sse_next(&machine, &event)) < SSE_CHUNK_END) {
        if (result == SSE_EVENT) {
            look_at(event.type);
            look_at(event.data);
            sink = event.has_retry;
        }
        if (result == SSE_EVENT || result == SSE_ID) {
            look_at(event.id);
        }
        else {
            look_at(event.text);
        }
        result = SSE_GO_ON;
    }
    return result;
}

/* A buffer that holds so many bytes. */
static void fill(int i, size_t length, size_t capacity)
{
    buffers[i]->bytes = old_places[i] + (PLACE - capacity);
    buffers[i]->length = length;
    buffers[i]->capacity = capacity;
}

/* A value: -2, not there, and it never had a buffer; -1, not there, and its buffer is large; else it has
 * that many bytes, at the end of its buffer, behind PREFIX others. */
static void set(SSEValue *value, int i, int what)
{
    if (what >= 0) {
        fill(i, PREFIX + (size_t)what, PREFIX + (size_t)what + ROOM);
        value->at = (SSESpan){value->own.bytes + PREFIX, (size_t)what};
        value->is_own = true;
    }
    else if (what == -1) {
        fill(i, 0, SSE_LARGE);
    }
}

static bool is_sound(const SSEBuffer *buffer)
{
    return buffer->bytes != NULL ? buffer->length < buffer->capacity
                                 : buffer->length == 0 && buffer->capacity == 0;
}

static bool is_kept(const SSEValue *value)
{
    return is_sound(&value->own)
        && (value->at.bytes == NULL
            || (value->is_own && value->at.length <= value->own.length
                && value->at.bytes == value->own.bytes + (value->own.length - value->at.length)));
}

static void begin(void)
{
    Frama_C_make_unknown((char *)old_places, sizeof old_places);
    Frama_C_make_unknown((char *)new_places, sizeof new_places);
    sse_init(&machine);
    machine.limit = any ? SSE_NO_LIMIT : 9;
    machine.dispatch_empty = any;
    machine.observe = any ? 0 : SSE_OBSERVE_COMMENTS | SSE_OBSERVE_IGNORED;
    if (MARK < SSE_BOM_LENGTH) { /* nothing so far but that much of a mark */
        machine.bom = MARK;
        return;
    }
    machine.bom = SSE_BOM_DECIDED;
    machine.after_cr = any;
    machine.has_other_field = any;
    machine.has_retry = any;
    set(&machine.data, 1, DATA);
    set(&machine.type, 2, TYPE);
    set(&machine.id, 3, ID);
    size_t least = DATA >= 0 || TYPE >= 0 || ID >= 0;
    machine.size = Frama_C_unsigned_long_interval(least, machine.limit);
    if (LINE >= 0) {
        fill(0, LINE, LINE + ROOM);
    }
    else if (LINE == -1) {
        fill(0, 0, SSE_LARGE);
    }
}

static void check(void)
{
    //@ assert machine.at == NULL && machine.end == NULL && machine.next_cr == NULL;
    //@ assert !machine.line_ended;
    //@ assert machine.bom <= 2 || machine.bom == SSE_BOM_DECIDED;
    //@ assert machine.size <= machine.limit;
    bool holds = is_sound(&machine.line) && is_kept(&machine.data) && is_kept(&machine.type)
        && is_kept(&machine.id)
        && (machine.size > 0
            || (machine.data.at.bytes == NULL && machine.type.at.bytes == NULL
                && machine.id.at.bytes == NULL));
    //@ assert holds;
}

void prove(void)
{
    begin();
    SSEResult result;
    {
        char chunk[CHUNK];
        Frama_C_make_unknown(chunk, sizeof chunk);
        size_t length = 1;
        while (length < CHUNK && any) {
            length++;
        }
        result = feed(chunk + (CHUNK - length), length);
    }
    if (result == SSE_CHUNK_END) {
        check();
    }
    sink = (char)sse_unfinished(&machine);
    sse_close(&machine);
    result = feed("", 1);
    //@ assert result != SSE_CHUNK_END;
}
