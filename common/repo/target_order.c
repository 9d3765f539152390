/*
 * target_order.c - by what the target names: a moment, an LSN, or a transaction.
 */
#include "repo/target_order.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The 64-bit transaction id meant by one of 32 bits, nearest to a known one. */
static uint64_t
xid_widen(uint64_t xid, uint64_t near)
{
    if (xid > UINT32_MAX)
        return xid;
    return near + (uint64_t) (int64_t) (int32_t) ((uint32_t) xid - (uint32_t) near);
}

/*
 * Was the transaction still to finish when the backup ended?  snapshot is "xmin:xmax:xip,xip".
 * A backup without a snapshot can't tell.
 */
static bool
xid_after(const char *snapshot, uint64_t xid)
{
    uint64_t xmin = 0;
    uint64_t xmax = 0;
    int used = 0;

    if (sscanf(snapshot, "%" SCNu64 ":%" SCNu64 ":%n", &xmin, &xmax, &used) != 2 || used == 0)
        return false;
    xid = xid_widen(xid, xmax);
    if (xid >= xmax)
        return true;
    for (const char *at = snapshot + used; *at != '\0';)
    {
        uint64_t running = strtoull(at, NULL, 10);

        if (running == xid)
            return true;
        at = strchr(at, ',');
        if (at == NULL)
            return false;
        at++;
    }
    return false;
}

bool
target_ends_before(const struct target *target, const struct backup_summary *backup)
{
    switch (target->kind)
    {
    case TARGET_TIME: return backup->stop_time <= target->time;
    case TARGET_LSN: return backup->stop.at <= target->lsn.at;
    case TARGET_XID:
        return (target->backup != NULL && backup->snapshot[0] == '\0') ||
               xid_after(backup->snapshot, target->xid);
    case TARGET_LATEST:
    case TARGET_BACKUP:
    case TARGET_IMMEDIATE:
    case TARGET_NAME: return true;
    }
    return false;
}

bool
target_is_earlier(const struct target *target, const struct backup_summary *backup)
{
    if (target->kind == TARGET_XID && backup->snapshot[0] == '\0')
        return false;
    return !target_ends_before(target, backup);
}
