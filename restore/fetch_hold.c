/*
 * fetch_hold.c - puts recovery.signal back, and takes it away; both durably.
 */
#include "fetch_hold.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/scope.h"
#include "io/file.h"

static enum cpam_status
signal_path(const struct fetch_hold *hold, char **out, struct cpam_err *err)
{
    if (asprintf(out, "%s/recovery.signal", hold->data) >= 0)
        return CPAM_OK;
    *out = NULL;
    return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for a path");
}

enum cpam_status
fetch_hold_place(struct fetch_hold *hold, struct cpam_err *err)
{
    CPAM_AUTO(free) char *path = NULL;
    enum cpam_status status;

    if (hold->placed)
        return CPAM_OK;
    CPAM_TRY(signal_path(hold, &path, err));
    status = file_write_new(hold->io, path, 0600, "", 0, err);
    if (status == CPAM_EXISTS)
        return CPAM_OK;
    hold->placed = status == CPAM_OK;
    return status;
}

enum cpam_status
fetch_hold_release(struct fetch_hold *hold, struct cpam_err *err)
{
    CPAM_AUTO(free) char *path = NULL;
    enum cpam_status status;

    if (!hold->placed)
        return CPAM_OK;
    CPAM_TRY(signal_path(hold, &path, err));
    status = file_unlink(hold->io, path, err);
    if (status != CPAM_OK && status != CPAM_NOT_FOUND)
        return status;
    hold->placed = false;
    return file_sync_dir(hold->io, hold->data, err);
}
