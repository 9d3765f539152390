/*
 * limit.c - what this machine can do at best: compress and seal files in memory, and back.
 *
 * usage: limit CODEC LEVEL FILE...
 *
 * Each file is read whole, then cut into frames of 1 MiB that are compressed and sealed, and opened
 * and decompressed again, on one thread and without any I/O.  Prints the seconds of processor time
 * of both directions.  bench.py holds the programs against these, measured in the same run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/scope.h"
#include "compress/codec.h"
#include "crypto/aead.h"

enum
{
    FRAME = 1 << 20
};

struct frame
{
    size_t raw_size, size;
    enum codec_id codec;
    uint8_t tag[AEAD_TAG_SIZE];
    uint8_t *bytes;
};

static double
cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void
nonce_of(size_t number, uint8_t nonce[AEAD_NONCE_SIZE])
{
    memset(nonce, 0, AEAD_NONCE_SIZE);
    memcpy(nonce, &number, sizeof(number));
}

static enum cpam_status
seal_frame(struct codec_work *work, struct aead *aead, enum codec_id codec, size_t number,
           const uint8_t *data, struct frame *frame, struct cpam_err *err)
{
    uint8_t nonce[AEAD_NONCE_SIZE];

    CPAM_TRY(codec_pack(work, data, frame->raw_size, frame->bytes, FRAME, &frame->size, err));
    frame->codec = codec;
    if (frame->size == 0)
    {
        frame->codec = CODEC_NONE;
        frame->size = frame->raw_size;
        memcpy(frame->bytes, data, frame->raw_size);
    }
    nonce_of(number, nonce);
    return aead_seal(aead, nonce, NULL, 0, frame->bytes, frame->size, frame->bytes, frame->tag,
                     err);
}

static enum cpam_status
open_frame(struct aead *aead, size_t number, struct frame *frame, uint8_t *out,
           struct cpam_err *err)
{
    uint8_t nonce[AEAD_NONCE_SIZE];

    nonce_of(number, nonce);
    CPAM_TRY(
        aead_open(aead, nonce, NULL, 0, frame->bytes, frame->size, frame->tag, frame->bytes, err));
    return codec_unpack(NULL, frame->codec, frame->bytes, frame->size, out, frame->raw_size, err);
}

/* Both directions over one file's bytes; adds to the seconds, and fails if what comes back differs. */
static enum cpam_status
measure(enum codec_id codec, int level, const uint8_t *data, size_t size, double *there,
        double *back, struct cpam_err *err)
{
    static const uint8_t key[AEAD_KEY_SIZE] = {7};
    size_t count = (size + FRAME - 1) / FRAME;
    CPAM_AUTO(codec_work_free) struct codec_work *work = NULL;
    CPAM_AUTO(aead_free) struct aead *sealer = NULL;
    CPAM_AUTO(aead_free) struct aead *opener = NULL;
    CPAM_AUTO(free) struct frame *frames = calloc(count, sizeof(*frames));
    CPAM_AUTO(free) uint8_t *room = malloc(count * FRAME);
    CPAM_AUTO(free) uint8_t *out = malloc(FRAME);

    if (frames == NULL || room == NULL || out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for %zu frames", count);
    memset(room, 1, count * FRAME);
    CPAM_TRY(codec_work_new(codec, level, &work, err));
    CPAM_TRY(aead_new(key, 1, &sealer, err));
    CPAM_TRY(aead_new(key, 0, &opener, err));
    double start = cpu_seconds();
    for (size_t i = 0; i < count; i++)
    {
        size_t left = size - i * FRAME;

        frames[i].raw_size = left < FRAME ? left : FRAME;
        frames[i].bytes = room + i * FRAME;
        CPAM_TRY(seal_frame(work, sealer, codec, i, data + i * FRAME, &frames[i], err));
    }
    *there += cpu_seconds() - start;
    for (size_t i = 0; i < count; i++)
    {
        start = cpu_seconds();
        CPAM_TRY(open_frame(opener, i, &frames[i], out, err));
        *back += cpu_seconds() - start;
        if (memcmp(out, data + i * FRAME, frames[i].raw_size) != 0)
            return cpam_fail(err, CPAM_INTERNAL, 0, "frame %zu came back changed", i);
    }
    return CPAM_OK;
}

static enum cpam_status
measure_file(enum codec_id codec, int level, const char *path, double *there, double *back,
             struct cpam_err *err)
{
    FILE *file = fopen(path, "rb");
    long size = -1;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0 ||
        fseek(file, 0, SEEK_SET) != 0)
    {
        if (file != NULL)
            fclose(file);
        return cpam_fail(err, CPAM_IO, 0, "could not read \"%s\"", path);
    }
    CPAM_AUTO(free) uint8_t *data = malloc((size_t) size);
    size_t got = data == NULL ? 0 : fread(data, 1, (size_t) size, file);
    fclose(file);
    if (got != (size_t) size)
        return cpam_fail(err, CPAM_IO, 0, "could not read \"%s\" whole", path);
    return measure(codec, level, data, (size_t) size, there, back, err);
}

int
main(int argc, char **argv)
{
    struct cpam_err err;
    enum codec_id codec;
    double there = 0, back = 0;

    if (argc < 4)
    {
        fprintf(stderr, "usage: limit CODEC LEVEL FILE...\n");
        return 2;
    }
    enum cpam_status status = codec_by_name(argv[1], &codec, &err);
    for (int i = 3; i < argc && status == CPAM_OK; i++)
        status = measure_file(codec, (int) strtol(argv[2], NULL, 10), argv[i], &there, &back, &err);
    if (status != CPAM_OK)
    {
        fprintf(stderr, "limit: %s\n", err.text);
        return 1;
    }
    printf("%.6f %.6f\n", there, back);
    return 0;
}
