/*
 * progress.h - how far, how fast, how long still: on stderr, for anything longer than two seconds.
 *
 * On a terminal a bar that redraws itself five times a second; elsewhere a line every half minute,
 * through the log.  Workers call progress_add() from any thread; nothing is drawn but from there,
 * so a bar that stands still means that nothing comes in.
 */
#ifndef CPAM_CLI_PROGRESS_H
#define CPAM_CLI_PROGRESS_H

#include <stdint.h>

#include "base/err.h"
#include "base/scope.h"
#include "cli/running.h"
#include "io/io.h"

struct progress;

/* `what` is kept ("restoring"); total in bytes, 0 while it is not known. */
enum cpam_status progress_new(struct io *io, const char *what, uint64_t total,
                              struct progress **out, struct cpam_err *err) CPAM_CHECK;

/* From now on also told to `running` (borrowed; may be NULL), about once a second. */
void progress_show_in(struct progress *progress, struct running *running);

void progress_total(struct progress *progress, uint64_t total);

/* More bytes are done; 0 only looks whether it is time to draw.  NULL: does nothing. */
void progress_add(struct progress *progress, uint64_t bytes);

/* Takes the bar away. */
void progress_free(struct progress *progress);
CPAM_SCOPED(progress_free, struct progress);

enum
{
    PROGRESS_LINE_MAX = 256
};

/*
 * The line itself, at most `width` columns, with a bar where there is room for one (width 0: as
 * long as it gets, no bar).
 */
void progress_line(const char *what, uint64_t done, uint64_t total, int64_t elapsed_us, int width,
                   char out[PROGRESS_LINE_MAX]);

#endif
