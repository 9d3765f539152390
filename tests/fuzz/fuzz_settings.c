/*
 * fuzz_settings.c - a configuration file.
 */
#include "fuzz.h"

#include "cli/settings.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    struct cpam_err err;

    if (settings_parse("fuzz.yaml", data, size, &settings, &err) == CPAM_OK)
        MUST(settings->repository_count > 0 && settings->cluster != NULL);
    return 0;
}
