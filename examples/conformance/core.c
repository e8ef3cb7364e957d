/* A driver for sse_core.h, without Python: cc -std=c99 -o core core.c; sse-conformance -- ./core
 *
 * It reads only the JSON that it is sent: {"id": 1, "chunks": ["<base64>", ...]}, in this order. */
#include <stdio.h>
#include <stdlib.h>

#include "../../sse_proto/sse_core.h"

/* What grows: a line of input, a chunk, the last event ID. */
typedef struct { char *bytes; size_t length, capacity; } Text;

static void append(Text *text, const char *bytes, size_t length)
{
    if (text->capacity - text->length < length) {
        text->capacity = 2 * (text->length + length) + 64;
        text->bytes = realloc(text->bytes, text->capacity);
        if (text->bytes == NULL) {
            exit(3);
        }
    }
    if (length > 0) {
        memcpy(text->bytes + text->length, bytes, length);
        text->length += length;
    }
}

static bool read_line(Text *line)
{
    int byte;
    line->length = 0;
    while ((byte = getchar()) != EOF && byte != '\n') {
        char one = (char)byte;
        append(line, &one, 1);
    }
    append(line, "", 1);
    return byte != EOF;
}

/* Decode base64 up to the closing quote, and return what follows that. */
static const char *decode_base64(const char *at, Text *chunk)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, count = 0;
    chunk->length = 0;
    for (; *at != '"'; at++) {
        const char *found = strchr(alphabet, *at);
        if (*at == '=' || found == NULL) {
            continue;
        }
        bits = bits << 6 | (unsigned)(found - alphabet);
        count += 6;
        if (count >= 8) {
            char byte = (char)(bits >> (count -= 8) & 0xFF);
            append(chunk, &byte, 1);
        }
    }
    return at + 1;
}

/* How long the character at `at` is; negative: that many bytes begin one that is cut short. The
 * bytes that may come second are those of Unicode's table 3-7. */
static int character(const unsigned char *at, size_t left)
{
    unsigned char first = *at, lower = 0x80, upper = 0xBF;
    int length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3
                 : first < 0xF5 ? 4 : 0;
    if (length == 0) {
        return -1;
    }
    lower = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : lower;
    upper = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : upper;
    for (int i = 1; i < length; i++) {
        if ((size_t)i == left || at[i] < lower || at[i] > upper) {
            return -i;
        }
        lower = 0x80;
        upper = 0xBF;
    }
    return length;
}

/* Write bytes as a JSON string, with U+FFFD for what is not UTF-8. */
static void put_string(SSESpan span)
{
    putchar('"');
    for (size_t i = 0; i < span.length;) {
        const unsigned char *at = (const unsigned char *)span.bytes + i;
        int length = character(at, span.length - i);
        if (length < 0) {
            fputs("\\ufffd", stdout);
            i += (size_t)-length;
            continue;
        }
        if (*at < 0x20 || *at == '"' || *at == '\\') {
            printf("\\u%04x", *at);
        }
        else {
            fwrite(at, 1, (size_t)length, stdout);
        }
        i += (size_t)length;
    }
    putchar('"');
}

int main(void)
{
    Text line = {NULL, 0, 0}, chunk = {NULL, 0, 0}, id = {NULL, 0, 0}, retry = {NULL, 0, 0};
    puts("{\"name\": \"sse_core.h\", \"version\": \"of this tree\"}");
    while (read_line(&line)) {
        const char *at = strstr(line.bytes, "\"id\": ");
        const char *separator = "";
        bool has_id = false;
        SSEMachine machine;
        SSEEvent event;
        SSEResult result;
        id.length = retry.length = 0;
        printf("{\"id\": %ld, \"events\": [", strtol(at + 6, NULL, 10));
        sse_init(&machine);
        at = strchr(at, '[');
        while ((at = strpbrk(at, "\"]")) != NULL && *at == '"') {
            at = decode_base64(at + 1, &chunk);
            sse_feed(&machine, chunk.bytes, chunk.length);
            while ((result = sse_next(&machine, &event)) < SSE_CHUNK_END) {
                if (result == SSE_RETRY) {
                    retry.length = 0;
                    append(&retry, event.text.bytes, event.text.length);
                }
                if ((result == SSE_EVENT || result == SSE_ID) && event.id.bytes != NULL) {
                    id.length = 0;
                    append(&id, event.id.bytes, event.id.length);
                    has_id = true;
                }
                if (result == SSE_EVENT) {
                    printf("%s{\"event\": ", separator);
                    put_string(event.type);
                    fputs(", \"data\": ", stdout);
                    put_string(event.data);
                    fputs(", \"id\": ", stdout);
                    put_string((SSESpan){id.bytes, id.length});
                    putchar('}');
                    separator = ", ";
                }
            }
        }
        sse_close(&machine);
        fputs("], \"last_event_id\": ", stdout);
        if (has_id) {
            put_string((SSESpan){id.bytes, id.length});
        }
        else {
            fputs("null", stdout);
        }
        fputs(", \"retry\": ", stdout);
        if (retry.length > 0) {
            printf("\"%.*s\"", (int)retry.length, retry.bytes); /* digits, as many as there are */
        }
        else {
            fputs("null", stdout);
        }
        puts("}");
        fflush(stdout);
    }
    return 0;
}
