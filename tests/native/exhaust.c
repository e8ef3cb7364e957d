/* Every stream of up to N tokens, from 3 to 8: the core against the naive interpreter.
 *
 * The tokens are all that the standard tells apart. Each stream is read whole, in chunks of one byte,
 * with empty ones between and without, and cut in two at each of its bytes. With one token less, also
 * with everything reported, and with a limit that most events break, and each buffer given back as
 * large ones are. With three tokens less, in each of the ways to cut it, with an empty chunk at each
 * cut and without, and with each allocation failing in turn. Prints how many comparisons that were.
 */
#include "core.h"

static const struct {
    const char *bytes;
    size_t length;
} TOKENS[] = {
    {"data", 4}, {"event", 5}, {"id", 2}, {"retry", 5}, {":", 1}, {" ", 1}, {"\r", 1}, {"\n", 1},
    {"\xef\xbb\xbf", 3}, {"\0", 1}, {"7", 1}, {"x", 1}, {"\xff", 1}, {"\xc3\xa9", 2},
};
enum { COUNT = sizeof TOKENS / sizeof *TOKENS, LONGEST = 8 * 5 };

static unsigned char stream[LONGEST];
static unsigned long long streams, comparisons;

/* Whether memory lasted; if not, what was found has to be what was found first. */
static bool compare(size_t length, const size_t *cuts, size_t cut_count, const Options *options,
    const Report *expected)
{
    static Report found;
    found.text.length = 0;
    bool has_memory = core_interpret(stream, length, cuts, cut_count, options, &found);
    comparisons++;
    if ((has_memory ? found.text.length == expected->text.length
                    : found.text.length <= expected->text.length)
        && memcmp(found.text.bytes, expected->text.bytes, found.text.length) == 0) {
        return has_memory;
    }
    printf("differs, in %zu chunks, cut at", cut_count + 1);
    for (size_t i = 0; i < cut_count; i++) {
        printf(" %zu", cuts[i]);
    }
    printf(":");
    for (size_t i = 0; i < length; i++) {
        printf(" %02x", stream[i]);
    }
    printf("\n");
    exit(1);
}

static void compare_with_empty_chunks(size_t length, const size_t *cuts, size_t cut_count,
    const Options *options, const Report *expected)
{
    size_t twice[2 * LONGEST];
    for (size_t i = 0; i < 2 * cut_count; i++) {
        twice[i] = cuts[i / 2];
    }
    compare(length, twice, 2 * cut_count, options, expected);
}

static void check(size_t length, const Options *options)
{
    static Report expected;
    size_t cuts[LONGEST];
    expected.text.length = 0;
    naive_interpret(stream, length, options, &expected);
    compare(length, NULL, 0, options, &expected);
    for (size_t at = 1; at < length; at++) {
        compare(length, &at, 1, options, &expected);
        cuts[at - 1] = at;
    }
    if (length > 2) {
        compare(length, cuts, length - 1, options, &expected);
    }
    compare_with_empty_chunks(length, cuts, length > 0 ? length - 1 : 0, options, &expected);
}

/* Each set of cuts; and at each single cut, and with all of them, each allocation that fails. */
static void check_closely(size_t length, const Options *options)
{
    static Report expected;
    size_t cuts[LONGEST];
    expected.text.length = 0;
    naive_interpret(stream, length, options, &expected);
    for (unsigned long set = 0; length > 0 && set < 1ul << (length - 1); set++) {
        size_t count = 0;
        for (size_t at = 1; at < length; at++) {
            if (set >> (at - 1) & 1) {
                cuts[count++] = at;
            }
        }
        compare(length, cuts, count, options, &expected);
        compare_with_empty_chunks(length, cuts, count, options, &expected);
        for (long lasting = 0; count < 2 || count == length - 1; lasting++) {
            allocations_left = lasting;
            bool has_memory = compare(length, cuts, count, options, &expected);
            allocations_left = -1;
            if (has_memory) {
                break;
            }
        }
    }
}

static void extend(size_t length, int tokens_left, const Options *options,
    void (*check_stream)(size_t, const Options *))
{
    check_stream(length, options);
    streams++;
    for (int i = 0; tokens_left > 0 && i < COUNT; i++) {
        memcpy(stream + length, TOKENS[i].bytes, TOKENS[i].length);
        extend(length + TOKENS[i].length, tokens_left - 1, options, check_stream);
    }
}

int main(int count, char **arguments)
{
    int tokens = count > 1 ? atoi(arguments[1]) : 0;
    if (tokens < 3 || tokens > 8) {
        fprintf(stderr, "usage: exhaust TOKENS\n");
        return 2;
    }
    Options plain = {.limit = SSE_NO_LIMIT}; /* as decoders are by default */
    Options all = {.limit = SSE_NO_LIMIT,
        .dispatch_empty = true,
        .observe_comments = true,
        .observe_ignored = true};
    Options limited = {.limit = 9};
    Options all_limited = all;
    all_limited.limit = 12;
    extend(0, tokens, &plain, check);
    extend(0, tokens - 3, &all, check_closely);
    large = SMALL;
    extend(0, tokens - 1, &all, check);
    extend(0, tokens - 1, &limited, check);
    extend(0, tokens - 3, &all, check_closely);
    extend(0, tokens - 3, &all_limited, check_closely);
    printf("%llu streams, %llu comparisons, no difference\n", streams, comparisons);
    return 0;
}
