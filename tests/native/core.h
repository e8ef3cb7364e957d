/* What sse_core.h makes of a stream that comes in chunks, written down as naive.h does. */
#ifndef CORE_H
#define CORE_H

#include "naive.h"

/* How many calls of the allocator succeed from now on; negative: all. How many blocks are in use. */
static long allocations_left = -1;
static long blocks;

static void *counted_realloc(void *bytes, size_t size)
{
    if (size == 0) {
        blocks -= bytes != NULL;
        free(bytes);
        return NULL;
    }
    if (allocations_left == 0) {
        return NULL;
    }
    allocations_left -= allocations_left > 0;
    void *moved = realloc(bytes, size);
    if (moved == NULL) {
        abort();
    }
    blocks += bytes == NULL;
    return moved;
}

#define SSE_REALLOC counted_realloc
/* Buffers of this size are given back. The core's own size, or one that the smallest buffer has. */
enum { LARGE = 64 * 1024, SMALL = 64 };
static size_t large = LARGE;
#define SSE_LARGE large
#include "../../sse_proto/sse_core.h"

/* A chunk lies alone in memory and is gone after its call, for the sanitizers to see. Without them it
 * lies in one place, which is overwritten. */
#if defined(__SANITIZE_ADDRESS__)
#define ALONE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define ALONE 1
#endif
#endif

static char *lend(const unsigned char *bytes, size_t length)
{
#ifdef ALONE
    char *chunk = length > 0 ? malloc(length) : NULL;
#else
    static char place[1 << 16];
    char *chunk = length > 0 && length <= sizeof place ? place : NULL;
#endif
    if (length > 0) {
        if (chunk == NULL) {
            abort();
        }
        memcpy(chunk, bytes, length);
    }
    return chunk;
}

static void take_back(char *chunk, size_t length)
{
#ifdef ALONE
    (void)length;
    free(chunk);
#else
    if (length > 0) {
        memset(chunk, '\n', length);
    }
#endif
}

/* What outlives events, as a caller keeps it. */
static Text last_id, reconnection_time;
static bool has_last_id, has_reconnection_time;

static void take(Text *to, bool *is_there, SSESpan from)
{
    to->length = 0;
    text_add(to, from.bytes, from.length);
    *is_there = true;
}

static void report_found(Report *report, SSEResult result, const SSEEvent *event)
{
    if (result == SSE_COMMENT || result == SSE_IGNORED) {
        report_line(report, result == SSE_COMMENT ? "K" : "I", event->text.bytes, event->text.length);
    }
    else if (result == SSE_RETRY) {
        take(&reconnection_time, &has_reconnection_time, event->text);
    }
    else {
        if (event->id.bytes != NULL) {
            take(&last_id, &has_last_id, event->id);
        }
        if (result == SSE_EVENT) {
            const void *id = last_id.length > 0 ? (void *)last_id.bytes : "";
            report_event(report, event->type.bytes, event->type.length, event->data.bytes,
                event->data.length, has_last_id ? id : NULL, last_id.length,
                event->has_retry ? reconnection_time.bytes : NULL,
                event->has_retry ? reconnection_time.length : 0);
        }
    }
}

/* Feed one chunk, which is gone right after. */
static SSEResult core_feed(SSEMachine *m, const unsigned char *bytes, size_t length, Report *report)
{
    char *chunk = lend(bytes, length);
    SSEEvent event;
    SSEResult result = sse_feed(m, chunk, length);
    while (result == SSE_GO_ON && (result = sse_next(m, &event)) < SSE_CHUNK_END) {
        report_found(report, result, &event);
        result = SSE_GO_ON;
    }
    take_back(chunk, length);
    return result;
}

/* Read a stream in chunks that end at each of the `cuts`, in order. Returns whether memory lasted; if
 * not, the report has no end. */
static bool core_interpret(const unsigned char *stream, size_t length, const size_t *cuts,
    size_t cut_count, const Options *options, Report *report)
{
    SSEMachine machine;
    sse_init(&machine);
    machine.limit = options->limit;
    machine.dispatch_empty = options->dispatch_empty;
    machine.observe = (options->observe_comments ? SSE_OBSERVE_COMMENTS : 0)
        | (options->observe_ignored ? SSE_OBSERVE_IGNORED : 0);
    last_id.length = reconnection_time.length = 0;
    has_last_id = has_reconnection_time = false;
    SSEResult result = SSE_CHUNK_END;
    size_t at = 0;
    for (size_t i = 0; i <= cut_count && result == SSE_CHUNK_END; i++) {
        size_t end = i < cut_count ? cuts[i] : length;
        result = core_feed(&machine, stream + at, end - at, report);
        at = end;
    }
    if (result == SSE_CHUNK_END) {
        sse_close(&machine);
    }
    /* A refusal stays, and owns nothing. */
    SSEEvent none;
    if (blocks != 0 || sse_feed(&machine, "data:x\n\n", 8) != machine.refused
        || sse_next(&machine, &none) != machine.refused || blocks != 0) {
        abort();
    }
    if (result == SSE_NO_MEMORY) {
        return false;
    }
    const void *id = last_id.length > 0 ? (void *)last_id.bytes : "";
    report_end(report, result == SSE_TOO_LARGE, has_last_id ? id : NULL, last_id.length,
        has_reconnection_time ? reconnection_time.bytes : NULL, reconnection_time.length,
        sse_unfinished(&machine));
    return true;
}

#endif
