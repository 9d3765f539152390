/*
 * fetch_patience.h - how long one round of asking may take.
 */
#ifndef CPAM_RESTORE_FETCH_PATIENCE_H
#define CPAM_RESTORE_FETCH_PATIENCE_H

#include "fetch_answer.h"
#include "fetch_situation.h"

enum
{
    FETCH_OVERDUE_GRACE = 700 * 1000 /* us behind the deadline before the last resort */
};

/*
 * us one round may take, at most timeout (wal.fetch.timeout).  unknown: what the caller is answered
 * when it could not be told.  A standby gets less than the timeout: it asks again by itself, and can
 * neither stream nor be promoted while it waits here.  So does a round of a caller that waits in any
 * case, so that it says something early.
 */
int64_t fetch_patience(const struct fetch_situation *situation, int64_t timeout,
                       enum fetch_answer unknown);

#endif
