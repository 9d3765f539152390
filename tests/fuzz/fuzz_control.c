/*
 * fuzz_control.c - pg_control of any version.
 */
#include "fuzz.h"

#include "pg/control.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control control;
    struct cpam_err err;

    if (control_parse(data, size, &control, &err) == CPAM_OK)
        MUST(control_state_name(control.state) != NULL);
    return 0;
}
