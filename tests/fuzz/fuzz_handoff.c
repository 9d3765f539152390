/*
 * fuzz_handoff.c - a message between a front and its worker: what is read is written the same.
 */
#include "fuzz.h"

#include "handoff/message.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[HANDOFF_MESSAGE_MAX];
    struct handoff_message message;
    struct cpam_err err;
    size_t written = 0;

    if (handoff_message_parse(data, size, &message, &err) != CPAM_OK)
        return 0;
    if (message.protocol != HANDOFF_PROTOCOL)
        return 0;
    MUST(handoff_message_write(&message, again, &written, &err) == CPAM_OK);
    MUST(written == size && memcmp(again, data, size) == 0);
    return 0;
}
