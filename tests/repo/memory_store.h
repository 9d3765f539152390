/*
 * memory_store.h - a store in memory for tests: counts what it is asked, keeps versions if told to,
 * and can lose the answer to a put.
 */
#ifndef CPAM_TESTS_MEMORY_STORE_H
#define CPAM_TESTS_MEMORY_STORE_H

#include <pthread.h>

#include "repo/repo.h"

struct memory_version
{
    char id[24];
    bool is_marker;
    uint8_t *data;
    size_t size;
    int64_t modified;
};

struct memory_object
{
    char key[STORE_KEY_MAX + 1];
    struct memory_version versions[8]; /* oldest first */
    size_t count;
};

/* The bucket: shared by every store opened on it. */
struct memory_bucket
{
    pthread_mutex_t lock;
    struct memory_object *objects; /* in byte order of their keys */
    size_t count;
    bool versioned;
    unsigned requests, bodies;  /* asked in all; puts that sent a body */
    unsigned settled;           /* names made durable that were there */
    const int *gate;            /* if given, nobody is in it while the store is asked */
    unsigned probed;            /* asked whether it refuses what is taken */
    bool refuses;               /* its answer */
    bool lose_put_answer;       /* the next put happens, and its answer says the name was taken */
    enum cpam_status fail_all;  /* other than CPAM_OK: every request fails with it */
    bool untold;                /* names versions, and does not list them */
    enum store_keeping keeping; /* what it tells of itself */
    const char *lost;           /* a version that is listed, but not there when it is read */
    unsigned lose_large_at; /* the nth time a large object is read whole, it is gone; 0: never */
    size_t lose_after;      /* whole reads end with "not there" behind so many bytes; 0: never */
    int fail_after;         /* that many requests more work, then fail_all; -1: at once */
    unsigned next_version;
    int64_t clock;
    void (*before_put)(void *arg, const char *key); /* or NULL; may put something itself */
    void *before_put_arg;
};

void memory_bucket_init(struct memory_bucket *bucket);
void memory_bucket_clear(struct memory_bucket *bucket);

/* An opener of stores on the bucket: .arg is the bucket. */
struct store_opener memory_opener(struct memory_bucket *bucket, struct io *io);

/* What somebody with the bucket's credentials could do. */
struct memory_object *memory_find(struct memory_bucket *bucket, const char *key);
void memory_overwrite(struct memory_bucket *bucket, const char *key, const void *data, size_t size);
void memory_delete(struct memory_bucket *bucket, const char *key);
/* The current version's bytes; fails the test when there are none. */
struct memory_version *memory_current(struct memory_bucket *bucket, const char *key);

#endif
