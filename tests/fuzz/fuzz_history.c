/*
 * fuzz_history.c - timeline history files: entries stay in order.
 */
#include "fuzz.h"

#include "pg/history.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CPAM_AUTO(free) char *text = fuzz_text(data, size);
    CPAM_AUTO(history_free) struct history *history = NULL;
    struct timeline timeline = {size > 0 ? data[0] % 8 + 1u : 1};
    struct cpam_err err;

    if (history_parse(timeline, text, size, &history, &err) != CPAM_OK)
        return 0;
    for (size_t at = 0; at < history->count; at++)
    {
        MUST(history->entries[at].timeline.id < timeline.id);
        MUST(history_contains(history, history->entries[at].timeline));
        if (at > 0)
            MUST(history->entries[at].timeline.id > history->entries[at - 1].timeline.id &&
                 history->entries[at].switch_point.at >= history->entries[at - 1].switch_point.at);
    }
    return 0;
}
