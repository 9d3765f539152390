/*
 * fuzz_manifest_line.c - one line of a manifest.
 */
#include "fuzz.h"

#include "repo/manifest_line.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    __attribute__((cleanup(manifest_line_clear_scoped_))) struct manifest_line line = {0};
    struct cpam_err err;

    if (manifest_line_parse(1, data, size, &line, &err) == CPAM_OK && line.path != NULL)
        MUST(line.path[0] != '/' && strstr(line.path, "//") == NULL);
    return 0;
}
