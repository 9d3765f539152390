/*
 * prefetch_folder.c - the folder, and one file on its way into it.
 */
#include "prefetch_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/text.h"
#include "draft.h"
#include "io/file.h"

#define PART ".part"

enum
{
    OWN_SIZE = 8,        /* bytes of the worker's random name */
    KEEP_FREE_PART = 10, /* one in this many */
    KEEP_FREE = 1 << 30  /* bytes */
};

struct prefetch_folder
{
    struct io *io;
    char *path;
    char own[2 * OWN_SIZE + 1];
    atomic_bool stopped;
};

struct prefetch_file
{
    struct sink sink; /* first: what the sink's functions are given is the file */
    struct prefetch_folder *folder;
    char path[PREFETCH_PATH_MAX], part[PREFETCH_PATH_MAX];
    bool failed, looked_at;
    struct draft draft; /* at part */
};

/* Removes the files whose name holds `word`. */
static enum cpam_status
remove_files(struct io *io, const char *path, const char *word, struct cpam_err *err)
{
    DIR *dir = io->ops->opendir(io, AT_FDCWD, path);
    enum cpam_status status = CPAM_OK;
    const struct dirent *entry;
    char file[PREFETCH_PATH_MAX];

    if (dir == NULL)
        return cpam_fail(err, CPAM_IO, errno, "could not look into \"%s\"", path);
    while (status == CPAM_OK && (entry = io->ops->readdir(io, dir)) != NULL)
    {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            strstr(entry->d_name, word) == NULL ||
            (size_t) snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) >= sizeof(file))
            continue;
        status = file_unlink(io, file, err);
        if (status == CPAM_NOT_FOUND)
            status = CPAM_OK; /* somebody took it away meanwhile, as it is meant */
    }
    if (io->ops->closedir(io, dir) != 0 && status == CPAM_OK)
        status = cpam_fail(err, CPAM_IO, errno, "could not close \"%s\"", path);
    return status;
}

enum cpam_status
prefetch_folder_open(struct io *io, const char *place, struct prefetch_folder **out,
                     struct cpam_err *err)
{
    CPAM_AUTO(prefetch_folder_free) struct prefetch_folder *made = calloc(1, sizeof(*made));
    uint8_t own[OWN_SIZE];

    *out = NULL;
    if (made == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for a folder");
    made->io = io;
    if (asprintf(&made->path, "%s/prefetch", place) < 0)
    {
        made->path = NULL;
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for a path");
    }
    if (io->ops->random(io, own, sizeof(own)) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not get random bytes for a name");
    text_hex(own, sizeof(own), made->own);
    if (io->ops->mkdir(io, AT_FDCWD, made->path, 0700) != 0 && errno != EEXIST)
        return cpam_fail(err, CPAM_IO, errno, "could not make the folder \"%s\"", made->path);
    CPAM_TRY(remove_files(io, made->path, "", err));
    *out = CPAM_STEAL(made);
    return CPAM_OK;
}

void
prefetch_folder_empty(struct prefetch_folder *folder)
{
    struct cpam_err err;

    if (remove_files(folder->io, folder->path, folder->own, &err) != CPAM_OK)
        cpam_log(LOG_DEBUG, "%s", err.text); /* the next worker empties it */
}

void
prefetch_folder_free(struct prefetch_folder *folder)
{
    if (folder == NULL)
        return;
    free(folder->path);
    free(folder);
}

bool
prefetch_folder_path(const struct prefetch_folder *folder, const char *name, uint64_t serial,
                     char out[PREFETCH_PATH_MAX])
{
    int size = snprintf(out, PREFETCH_PATH_MAX, "%s/%s.%s.%" PRIu64, folder->path, name,
                        folder->own, serial);

    return size > 0 && size < PREFETCH_PATH_MAX - (int) sizeof(PART);
}

bool
prefetch_folder_room(const struct prefetch_folder *folder, uint64_t bytes)
{
    struct statvfs room;
    uint64_t free_bytes, keep;

    if (statvfs(folder->path, &room) != 0)
        return false;
    free_bytes = (uint64_t) room.f_bavail * room.f_frsize;
    keep = (uint64_t) room.f_blocks * room.f_frsize / KEEP_FREE_PART;
    if (keep > KEEP_FREE)
        keep = KEEP_FREE;
    return free_bytes > bytes && free_bytes - bytes > keep;
}

void
prefetch_folder_stop(struct prefetch_folder *folder)
{
    atomic_store(&folder->stopped, true);
}

static enum cpam_status
file_write_some(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct prefetch_file *file = (struct prefetch_file *) sink;

    file->failed = true; /* until it has not */
    if (atomic_load(&file->folder->stopped))
        return cpam_fail(err, CPAM_CANCELLED, 0, "the worker ends");
    CPAM_TRY(draft_write(&file->draft, data, size, err));
    file->failed = false;
    return CPAM_OK;
}

/* prefetch_file_publish() publishes, and the sink is part of the file. */
static const struct sink_ops file_ops = {.write = file_write_some};

enum cpam_status
prefetch_file_new(struct prefetch_folder *folder, const char *name, uint64_t serial,
                  struct prefetch_file **out, struct cpam_err *err)
{
    CPAM_AUTO(prefetch_file_free) struct prefetch_file *made = calloc(1, sizeof(*made));

    *out = NULL;
    if (made == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for a file");
    made->sink.ops = &file_ops;
    made->folder = folder;
    draft_init(&made->draft, folder->io, made->part);
    if (!prefetch_folder_path(folder, name, serial, made->path) ||
        (size_t) snprintf(made->part, sizeof(made->part), "%s" PART, made->path) >=
            sizeof(made->part))
        return cpam_fail(err, CPAM_INVALID, 0, "the spool's path is too long");
    *out = CPAM_STEAL(made);
    return CPAM_OK;
}

struct sink *
prefetch_file_sink(struct prefetch_file *file)
{
    return &file->sink;
}

uint64_t
prefetch_file_size(const struct prefetch_file *file)
{
    return file->draft.size;
}

bool
prefetch_file_failed(const struct prefetch_file *file)
{
    return file->failed;
}

void
prefetch_file_look_at(struct prefetch_file *file)
{
    file->looked_at = true;
}

void
prefetch_file_restart(struct prefetch_file *file)
{
    draft_drop(&file->draft);
    file->looked_at = false;
}

/* The mode, which not every file system keeps. */
static enum cpam_status
mark(struct prefetch_file *file, struct cpam_err *err)
{
    struct io *io = file->folder->io;
    struct stat about;

    if (io->ops->fchmod(io, file->draft.fd, PREFETCH_LOOK_AT) != 0 ||
        io->ops->fstat(io, file->draft.fd, &about) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not set the mode of \"%s\"", file->part);
    if ((about.st_mode & 0777) != PREFETCH_LOOK_AT)
        return cpam_fail(err, CPAM_IO, 0, "\"%s\" does not keep its mode", file->part);
    return CPAM_OK;
}

static enum cpam_status
publish(struct prefetch_file *file, struct cpam_err *err)
{
    if (!file->draft.exists || atomic_load(&file->folder->stopped))
        return cpam_fail(err, CPAM_CANCELLED, 0, "there is nothing to offer");
    if (file->looked_at)
        CPAM_TRY(mark(file, err));
    CPAM_TRY(draft_close(&file->draft, err));
    return draft_rename(&file->draft, file->path, err);
}

enum cpam_status
prefetch_file_publish(struct prefetch_file *file, struct cpam_err *err)
{
    enum cpam_status status = publish(file, err);

    if (status == CPAM_OK)
        return CPAM_OK;
    prefetch_file_restart(file);
    return err->status = status == CPAM_CANCELLED ? status : CPAM_IO;
}

void
prefetch_file_free(struct prefetch_file *file)
{
    if (file == NULL)
        return;
    prefetch_file_restart(file);
    free(file);
}
