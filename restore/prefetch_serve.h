/*
 * prefetch_serve.h - the worker's life: one place, its callers, its crew.
 */
#ifndef CPAM_RESTORE_PREFETCH_SERVE_H
#define CPAM_RESTORE_PREFETCH_SERVE_H

#include "cli/program.h"

struct prefetch_serving
{
    const char *data; /* the data directory it serves */
    bool foreground;  /* stay with whoever started it, log on stderr */
    int64_t idle;     /* us without a question after which it ends; 0: never */
};

/* Serves until nobody asks any more, another version takes over, the place is gone, or SIGTERM. */
enum cpam_status prefetch_serve(struct cli *cli, const struct prefetch_serving *serving,
                                struct cpam_err *err) CPAM_CHECK;

#endif
