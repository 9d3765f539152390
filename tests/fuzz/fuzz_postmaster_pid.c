/*
 * fuzz_postmaster_pid.c - postmaster.pid, whole and half written.
 */
#include "fuzz.h"

#include "pg/postmaster_pid.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CPAM_AUTO(free) char *text = fuzz_text(data, size);
    struct postmaster_pid pid;
    struct cpam_err err;

    (void) !postmaster_pid_parse(text, size, &pid, &err);
    return 0;
}
