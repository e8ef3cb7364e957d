/* Bytes that lie in a chunk, and bytes that outlive it: what sse_core.h keeps them in. C99. */
#ifndef SSE_BYTES_H
#define SSE_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The seam to the allocator: like realloc(), but size 0 frees. Define your own before including. */
#ifndef SSE_REALLOC
#include <stdlib.h>
#define SSE_REALLOC(bytes, size) ((size) > 0 ? realloc(bytes, size) : (free(bytes), (void *)NULL))
#endif

/* No buffer holds more than this. The sum of two such sizes and 1 does not overflow. */
#define SSE_MAX_SIZE (SIZE_MAX / 2 - 1)
/* When a chunk ends, a buffer of this size or more is freed, unless a value needs half of it. */
#ifndef SSE_LARGE
#define SSE_LARGE ((size_t)64 * 1024)
#endif

/* Bytes that lie elsewhere. NULL `bytes`: there is no such value. */
typedef struct { const char *bytes; size_t length; } SSESpan;
/* Bytes of our own. All zero, or `length` is less than `capacity`. */
typedef struct { char *bytes; size_t length, capacity; } SSEBuffer;
/* A value. It lies in the lent chunk or, with `is_own`, at the end of `own`. */
typedef struct { SSESpan at; SSEBuffer own; bool is_own; } SSEValue;

/* Append. False: there is not enough memory, and nothing has changed. */
static inline bool sse_append(SSEBuffer *buffer, const char *bytes, size_t length)
{
    if (length >= buffer->capacity - buffer->length) { /* one byte stays free: for an LF, below */
        if (length > SSE_MAX_SIZE - buffer->length) {
            return false;
        }
        /* An eighth more than is needed: linear time, and little memory beside what is used. */
        size_t needed = buffer->length + length;
        size_t capacity = needed + needed / 8 + 64;
        char *moved = SSE_REALLOC(buffer->bytes, capacity);
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

/* Free a buffer of this capacity or more. */
static inline void sse_release(SSEBuffer *buffer, size_t least)
{
    if (buffer->capacity >= least) {
        (void)SSE_REALLOC(buffer->bytes, 0);
        *buffer = (SSEBuffer){NULL, 0, 0};
    }
}

/* Set a value that lies in the chunk. */
static inline void sse_point(SSEValue *value, SSESpan at)
{
    value->at = at;
    value->is_own = false;
}

/* Set a value that lies at the end of a buffer, without a copy: they swap buffers, and the other
 * one is empty then. (The caller may have set its length to 0 before: `at` tells where the bytes
 * end.) */
static void sse_take(SSEValue *value, SSESpan at, SSEBuffer *buffer)
{
    SSEBuffer spare = value->own;
    value->at = at;
    value->is_own = true;
    value->own = *buffer;
    value->own.length = (size_t)(at.bytes - buffer->bytes) + at.length;
    *buffer = spare;
    buffer->length = 0;
}

/* Copy a value that lies in the chunk, since that ends. Free a large buffer without a large
 * value. */
static inline bool sse_keep(SSEValue *value)
{
    if (value->at.bytes == NULL) {
        sse_release(&value->own, SSE_LARGE);
        return true;
    }
    if (value->is_own) { /* it has filled its buffer, but for an eighth */
        return true;
    }
    if (value->at.length < value->own.capacity / 2) {
        sse_release(&value->own, SSE_LARGE);
    }
    value->own.length = 0;
    if (!sse_append(&value->own, value->at.bytes, value->at.length)) {
        return false;
    }
    value->at.bytes = value->own.bytes;
    value->is_own = true;
    return true;
}

/* Append a line to a value, after an LF. */
static inline bool sse_append_line(SSEValue *value, SSESpan line)
{
    if (!sse_keep(value)) {
        return false;
    }
    size_t start = (size_t)(value->at.bytes - value->own.bytes);
    value->own.bytes[value->own.length++] = '\n'; /* there is room; now sse_append() makes more */
    if (!sse_append(&value->own, line.bytes, line.length)) {
        return false;
    }
    value->at = (SSESpan){value->own.bytes + start, value->own.length - start};
    return true;
}

#endif
