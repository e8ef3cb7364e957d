/* libFuzzer's target: the core against the naive interpreter, in chunks that the input draws.
 *
 * Of the input the first four bytes are what to try, the rest is the stream:
 *     0: bit 0 dispatch_empty, 1 comments, 2 ignored lines, 3 to 5 how to cut, 6 to give back all
 *        buffers as if they were large
 *     1: the limit; 0: none
 *     2: where to cut, or how often; bit 7: with empty chunks between
 *     3: how many allocations succeed; 0: all
 *
 * With -DREPLAY it is a program that tries the files it is given, for compilers without libFuzzer.
 */
#include <stdint.h>

#include "core.h"

enum { LONGEST = 4096 };

static void show(const char *who, const Report *report)
{
    fprintf(stderr, "%s: ", who);
    for (size_t i = 0; i < report->text.length; i++) {
        fprintf(stderr, report->text.bytes[i] >= ' ' && report->text.bytes[i] < 127 ? "%c" : "\\%02x",
            report->text.bytes[i]);
    }
    fputc('\n', stderr);
}

/* Choose where the stream is cut; return the number of cuts. */
static size_t choose_cuts(unsigned how, unsigned seed, const unsigned char *stream, size_t length,
    size_t *cuts)
{
    size_t count = 0;
    uint32_t random = seed * 2654435761u + 1;
    for (size_t i = 1; i < length; i++) {
        random = random * 1664525u + 1013904223u;
        bool cut;
        switch (how) {
        case 0: cut = i == 1 + seed % length; break;
        case 1: cut = true; break;
        case 2: cut = i % (seed % 16 + 2) == 0; break;
        case 3: cut = (random >> 16) % 4 == 0; break;
        case 4: cut = stream[i - 1] == '\r'; break;
        case 5: cut = stream[i] == '\n' || stream[i] == ':'; break;
        case 6: cut = (random >> 16) % 16 == 0; break;
        default: cut = false; break;
        }
        if (cut) {
            cuts[count++] = i;
            if (seed & 128) {
                cuts[count++] = i; /* an empty chunk */
            }
        }
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static size_t cuts[2 * LONGEST];
    if (size < 4 || size > LONGEST) {
        return 0;
    }
    Options options = {
        .limit = input[1] == 0 ? SSE_NO_LIMIT : input[1],
        .dispatch_empty = input[0] & 1,
        .observe_comments = input[0] & 2,
        .observe_ignored = input[0] & 4,
    };
    const uint8_t *stream = input + 4;
    size_t length = size - 4;
    size_t cut_count = choose_cuts(input[0] >> 3 & 7, input[2], stream, length, cuts);

    static Report expected, found; /* kept, so that they are seldom allocated */
    expected.text.length = found.text.length = 0;
    naive_interpret(stream, length, &options, &expected);
    large = input[0] & 64 ? SMALL : LARGE;
    allocations_left = input[3] == 0 ? -1 : input[3] - 1;
    bool has_memory = core_interpret(stream, length, cuts, cut_count, &options, &found);
    allocations_left = -1;
    /* Where memory did not last, all that was found before. */
    if ((has_memory ? found.text.length != expected.text.length
                    : found.text.length > expected.text.length)
        || memcmp(found.text.bytes, expected.text.bytes, found.text.length) != 0) {
        show("the standard", &expected);
        show("the core    ", &found);
        abort();
    }
    return 0;
}

#ifdef REPLAY
int main(int count, char **names)
{
    for (int i = 1; i < count; i++) {
        static uint8_t input[LONGEST];
        FILE *file = fopen(names[i], "rb");
        if (file == NULL) {
            perror(names[i]);
            return 1;
        }
        size_t size = fread(input, 1, sizeof input, file);
        fclose(file);
        LLVMFuzzerTestOneInput(input, size);
    }
    printf("%d inputs, no difference\n", count - 1);
    return 0;
}
#endif
