/* The events of standard input, live: curl -sN URL | ./events */
#include <stdio.h>
#include <unistd.h>

#include "sse_core.h"

int main(void)
{
    char chunk[4096];
    ssize_t length;
    SSEMachine machine;
    SSEEvent event;
    SSEResult result = SSE_CHUNK_END;

    sse_init(&machine);
    machine.limit = 1024 * 1024; /* bytes of an unfinished event */
    while (result == SSE_CHUNK_END && (length = read(0, chunk, sizeof chunk)) > 0) {
        sse_feed(&machine, chunk, (size_t)length);
        while ((result = sse_next(&machine, &event)) < SSE_CHUNK_END) {
            if (result == SSE_EVENT) {
                printf("%.*s: %.*s\n", (int)event.type.length, event.type.bytes,
                       (int)event.data.length, event.data.bytes);
            }
        }
        fflush(stdout);
    }
    if (sse_unfinished(&machine) > 0) {
        fprintf(stderr, "%zu bytes of an event are unfinished\n", sse_unfinished(&machine));
    }
    sse_close(&machine);
    return result == SSE_CHUNK_END ? 0 : 1;
}
