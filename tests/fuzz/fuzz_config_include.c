/*
 * fuzz_config_include.c - includes of postgresql.conf (first byte even) and of pg_hba.conf, by a major.
 */
#include "fuzz.h"

#include "pg/config_include.h"

static enum cpam_status
take(void *arg, enum config_include kind, const char *path, struct cpam_err *err)
{
    size_t *count = arg;

    (void) err;
    MUST(kind <= CONFIG_INCLUDE_DIR);
    MUST(path != NULL);
    *count += strlen(path) + 1;
    return CPAM_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cpam_err err;
    size_t count = 0;

    if (size == 0)
        return 0;
    enum config_grammar grammar = data[0] % 2 == 0 ? CONFIG_SETTINGS : CONFIG_ACCESS;
    unsigned major = 14 + data[0] / 2 % 5;

    if (config_includes(grammar, major, (const char *) data + 1, size - 1, take, &count, &err) ==
        CPAM_OK)
        MUST(count <= size * 2); /* nothing is named that is not written */
    return 0;
}
