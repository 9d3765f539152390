/*
 * draft.c - the temporary file itself; who names it when is its owner's.
 */
#include "draft.h"

#include <fcntl.h>

#include "io/file.h"

static enum cpam_status
local(enum cpam_status status, struct cpam_err *err)
{
    return status == CPAM_OK ? CPAM_OK : (err->status = CPAM_IO);
}

void
draft_init(struct draft *draft, struct io *io, const char *path)
{
    *draft = (struct draft){.io = io, .path = path, .fd = -1};
}

enum cpam_status
draft_make(struct draft *draft, struct cpam_err *err)
{
    if (draft->exists)
        return CPAM_OK;
    CPAM_TRY(
        local(file_open(draft->io, draft->path, O_WRONLY | O_CREAT | O_EXCL, 0600, &draft->fd, err),
              err));
    draft->exists = true;
    return CPAM_OK;
}

enum cpam_status
draft_write(struct draft *draft, const void *data, size_t size, struct cpam_err *err)
{
    CPAM_TRY(draft_make(draft, err));
    CPAM_TRY(local(file_write(draft->io, draft->fd, draft->path, data, size, err), err));
    draft->size += size;
    return CPAM_OK;
}

enum cpam_status
draft_close(struct draft *draft, struct cpam_err *err)
{
    int fd = draft->fd;

    draft->fd = -1;
    return local(file_close(draft->io, fd, draft->path, err), err);
}

enum cpam_status
draft_rename(struct draft *draft, const char *name, struct cpam_err *err)
{
    CPAM_TRY(local(file_rename(draft->io, draft->path, name, err), err));
    draft->exists = false;
    return CPAM_OK;
}

void
draft_drop(struct draft *draft)
{
    struct cpam_err ignored;
    enum cpam_status status = CPAM_OK;

    /* What is thrown away may fail to close or to go: nothing can be done but to go on. */
    if (draft->fd >= 0)
        status = file_close(draft->io, draft->fd, draft->path, &ignored);
    draft->fd = -1;
    if (draft->exists)
        status = file_unlink(draft->io, draft->path, &ignored);
    (void) status;
    draft->exists = false;
    draft->size = 0;
}
