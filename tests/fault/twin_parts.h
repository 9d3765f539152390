/*
 * twin_parts.h - the twin from inside: io_twin.c (plan, counting, trace) and twin_ops.c (the table).
 */
#ifndef CPAM_TESTS_TWIN_PARTS_H
#define CPAM_TESTS_TWIN_PARTS_H

#include <pthread.h>

#include "io_twin.h"
#include "twin_log.h"

enum
{
    TWIN_FDS_MAX = 4096,
    TWIN_TRACE_MAX = 64 << 20
};

struct io_twin
{
    struct io base;
    struct io *real;
    pthread_mutex_t lock;
    struct io_twin_plan plan;
    unsigned calls, fail_seen, kill_seen;
    int open_fds;
    int64_t clock, slept;
    char *paths[TWIN_FDS_MAX]; /* what each descriptor was opened as */
    char *trace;
    size_t trace_size, trace_cap;
    struct twin_log *log;
};

extern const struct io_ops twin_ops;

struct io *io_twin_real(void); /* twin_real.c or twin_wrap.c */

struct io_twin *twin_enter(struct io *io); /* takes the lock */
void twin_leave(struct io_twin *twin);     /* keeps errno */

/* Counts and notes a call; true if it is to fail: errno is set then. */
bool twin_gate(struct io_twin *twin, const char *kind, const char *one, const char *two);

const char *twin_path_of(const struct io_twin *twin, int fd);
char *twin_absolute(int dir_fd, const char *path); /* the caller frees it */
void twin_opened(struct io_twin *twin, int fd, const char *path);

#endif
