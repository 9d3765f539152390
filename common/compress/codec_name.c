/*
 * codec_name.c - what codecs are called and which levels they take.
 *
 * Apart from the codecs themselves, so that a program that only reads the configuration is not
 * linked with their libraries.
 */
#include "compress/codec.h"

#include <stdbool.h>
#include <string.h>

/* Placed by their number in the format. */
static const struct
{
    const char *name;
    int level_min, level_max;
} codecs[] = {
    [CODEC_NONE] = {"none", 0, 0},
    [CODEC_LZ4] = {"lz4", 1, 12},
    [CODEC_ZSTD] = {"zstd", 1, 19},
    [CODEC_GZIP] = {"gzip", 1, 9},
};

enum
{
    CODEC_COUNT = sizeof(codecs) / sizeof(codecs[0])
};

enum cpam_status
codec_by_name(const char *name, enum codec_id *out, struct cpam_err *err)
{
    for (unsigned id = 0; id < CODEC_COUNT; id++)
    {
        if (strcmp(codecs[id].name, name) == 0)
        {
            *out = (enum codec_id) id;
            return CPAM_OK;
        }
    }
    return cpam_fail(err, CPAM_USAGE, 0,
                     "\"%s\" is not a compression method; known are none, lz4, zstd and gzip",
                     name);
}

const char *
codec_name(enum codec_id id)
{
    return (unsigned) id < CODEC_COUNT ? codecs[id].name : "unknown";
}

void
codec_levels(enum codec_id id, int *min, int *max)
{
    bool known = (unsigned) id < CODEC_COUNT;

    *min = known ? codecs[id].level_min : 0;
    *max = known ? codecs[id].level_max : 0;
}
