/*
 * worker_ready.c - reading archive_status.
 */
#include "worker_ready.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

enum
{
    NAMES_KEPT = 4096,           /* looked at again when they are done */
    NAMES_MAX = 4 * NAMES_KEPT,  /* while the directory is read */
    REST = 50,                   /* times what the last look took */
    REST_MIN = 200 * 1000,       /* us */
    REST_MAX = 5 * 1000 * 1000,  /* us; also a directory whose time did not change */
    UNCHANGED_MAX = 30 * 1000000 /* us: some file systems do not tell */
};

struct ready
{
    struct io *io;
    char *dir;
    struct timespec changed; /* of the directory, before it was read */
    int64_t next, last;      /* us, monotonic */
    bool complete;
    size_t count;
    struct archive_name names[NAMES_MAX];
};

enum cpam_status
ready_new(struct io *io, const char *data, struct ready **out, struct cpam_err *err)
{
    CPAM_AUTO(ready_free) struct ready *ready = calloc(1, sizeof(*ready));

    if (ready == NULL || asprintf(&ready->dir, "%s/pg_wal/archive_status", data) < 0)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to look ahead");
    ready->io = io;
    ready->complete = true;
    *out = CPAM_STEAL(ready);
    return CPAM_OK;
}

void
ready_free(struct ready *ready)
{
    if (ready == NULL)
        return;
    free(ready->dir);
    free(ready);
}

static int
compare(const void *left, const void *right)
{
    return archive_name_order(left, right);
}

/* Sorted, and cut to what is kept. */
static void
put_in_order(struct ready *ready)
{
    qsort(ready->names, ready->count, sizeof(ready->names[0]), compare);
    if (ready->count > NAMES_KEPT)
    {
        ready->count = NAMES_KEPT;
        ready->complete = false;
    }
}

static void
add(struct ready *ready, const char *entry)
{
    static const char ending[] = ".ready";
    char text[ARCHIVE_NAME_MAX];
    size_t size = strlen(entry), tail = sizeof(ending) - 1;
    struct cpam_err ignored;

    if (size <= tail || size - tail >= sizeof(text) || strcmp(entry + size - tail, ending) != 0)
        return;
    memcpy(text, entry, size - tail);
    text[size - tail] = '\0';
    if (archive_name_parse(text, &ready->names[ready->count], &ignored) != CPAM_OK)
        return;
    if (++ready->count == NAMES_MAX)
        put_in_order(ready);
}

static void
read_names(struct ready *ready)
{
    const struct io_ops *ops = ready->io->ops;
    DIR *dir = ops->opendir(ready->io, AT_FDCWD, ready->dir);

    ready->count = 0;
    ready->complete = true;
    if (dir == NULL)
        return;
    for (;;)
    {
        const struct dirent *entry = ops->readdir(ready->io, dir);

        if (entry == NULL)
            break;
        add(ready, entry->d_name);
    }
    (void) ops->closedir(ready->io, dir); /* read only: nothing can be lost */
    put_in_order(ready);
}

void
ready_look(struct ready *ready, bool *fresh)
{
    const struct io_ops *ops = ready->io->ops;
    int64_t now = ops->monotonic(ready->io);
    struct stat about;

    *fresh = false;
    if (now < ready->next)
        return;
    if (ops->stat(ready->io, AT_FDCWD, ready->dir, 0, &about) != 0)
        memset(&about, 0, sizeof(about));
    if (memcmp(&about.st_mtim, &ready->changed, sizeof(about.st_mtim)) == 0 &&
        now - ready->last < UNCHANGED_MAX)
        return;
    ready->changed = about.st_mtim;
    ready->last = now;
    read_names(ready);
    int64_t took = ops->monotonic(ready->io) - now;
    int64_t rest = took * REST;
    ready->next = now + took + (rest < REST_MIN ? REST_MIN : rest > REST_MAX ? REST_MAX : rest);
    *fresh = true;
}

size_t
ready_count(const struct ready *ready, bool *complete)
{
    *complete = ready->complete;
    return ready->count;
}

const struct archive_name *
ready_at(const struct ready *ready, size_t index)
{
    return &ready->names[index];
}
