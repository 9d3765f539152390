/*
 * worker_wanted.h - may the worker look ahead?  Only for the run of the server that has asked.
 *
 * What lies in archive_status says nothing about whether its server is to archive: a data directory
 * that was restored in its place and is not claimed (postgresql.md, trap 7), or whose archive_command
 * was taken away, has .ready files too, and nobody asks about them.
 */
#ifndef CPAM_ARCHIVE_WORKER_WANTED_H
#define CPAM_ARCHIVE_WORKER_WANTED_H

#include <stdbool.h>

#include "io/io.h"

enum
{
    WANTED_RUN_MAX = 512
};

/* Zeros to begin with; used by one thread. */
struct wanted
{
    int64_t asked;  /* us, monotonic: the question that `run` is of; 0: none yet */
    int64_t lately; /* when somebody was last seen to wait */
    int64_t looked;
    bool is;
    char run[WANTED_RUN_MAX]; /* of the server that asked, from its postmaster.pid; "": none */
};

/* What was seen of the worker's callers, and of archive_status before this. */
struct wanted_signs
{
    int64_t asked; /* when the last question came; 0: never */
    bool waits;    /* somebody waits for an answer now */
    bool fresh;    /* names were just read: whose are they? */
};
bool wanted_look(struct wanted *wanted, struct io *io, const char *data,
                 const struct wanted_signs *signs);

#endif
