/*
 * fuzz.h - what a fuzz target is: one function that takes any bytes and must come back.
 *
 * Built for libFuzzer with -Dfuzz=true, and otherwise with replay.c, which feeds it the corpus: so
 * every input that once mattered is a unit test for ever.
 */
#ifndef CPAM_TESTS_FUZZ_H
#define CPAM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. */
#define MUST(truth)                                                                                \
    do                                                                                             \
    {                                                                                              \
        if (!(truth))                                                                              \
        {                                                                                          \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #truth);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input as a text of its own size, so that a read behind its end is found. */
static inline char *
fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    MUST(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
