/*
 * fetch_tablespaces.c - records as they pass, and the directories they speak of.
 */
#include "fetch_tablespaces.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "pg/tablespace_search.h"

enum
{
    LINK_PATH_MAX = 4096,
    ENDS = 2 /* pages of a segment that a record from the one before it can reach into, and more */
};

struct tablespace_watch
{
    struct sink base;
    struct sink *to;
    struct io *io;
    const struct fetch_situation *situation;
    bool any;
    struct cpam_err conflict; /* .status CPAM_OK: none */
    struct tablespace_search search;
};

/* --- directories ------------------------------------------------------------------------------ */

/* This server made it, or base-fetch did: replay makes it again, as after every crash. */
static bool
is_own(struct io *io, const char *data, const struct tablespace_created *created)
{
    char link[LINK_PATH_MAX], to[TABLESPACE_PATH_MAX + 1];
    ssize_t size;

    if (snprintf(link, sizeof(link), "%s/pg_tblspc/%" PRIu32, data, created->oid) >=
        (int) sizeof(link))
        return false;
    size = io->ops->readlink(io, AT_FDCWD, link, to, sizeof(to));
    return size >= 0 && (size_t) size == strlen(created->path) &&
           memcmp(to, created->path, (size_t) size) == 0;
}

/* One that can't be opened can't be removed either. */
static bool
holds_anything(struct io *io, const char *path)
{
    DIR *dir = io->ops->opendir(io, AT_FDCWD, path);
    struct dirent *entry;
    bool any = false;

    if (dir == NULL)
        return false;
    while (!any && (entry = io->ops->readdir(io, dir)) != NULL)
        any = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    io->ops->closedir(io, dir);
    return any;
}

static void
look_at(struct tablespace_watch *watch, const struct tablespace_created *created)
{
    const struct fetch_situation *situation = watch->situation;
    char place[TABLESPACE_PATH_MAX + 64];
    struct cpam_err *conflict = &watch->conflict;

    if (created->path[0] != '/' || is_own(watch->io, situation->data, created))
        return; /* one in place lies in the data directory */
    snprintf(place, sizeof(place), "%s/PG_%u_%" PRIu32, created->path, situation->control.major,
             situation->control.catalog_version);
    if (!holds_anything(watch->io, place))
        return;
    (void) !cpam_fail(conflict, CPAM_EXISTS, 0,
                      "it has a CREATE TABLESPACE (%" PRIu32 ") in \"%s\", and replay would remove "
                      "\"%s\", whose files this server did not put there",
                      created->oid, created->path, place);
    cpam_err_hint(
        conflict,
        "if they are another server's, recover to a moment before that statement, or where "
        "this path is not (another host, a container); if they are left of a lost server, "
        "put them aside: mv %s %s.old, and start the server again",
        place, place);
}

static void
on_created(void *arg, const struct tablespace_created *created)
{
    struct tablespace_watch *watch = arg;

    watch->any = true;
    if (watch->situation != NULL && watch->conflict.status == CPAM_OK)
        look_at(watch, created);
}

/* --- the segment before ------------------------------------------------------------------------- */

static bool
path_before(const struct fetch_situation *situation, char out[LINK_PATH_MAX])
{
    uint32_t size = situation->control.segment_size;
    char name[SEGMENT_NAME_MAX];
    struct cpam_err ignored;
    struct segment segment;

    if (archive_name_segment(&situation->name, size, &segment, &ignored) != CPAM_OK ||
        segment.number == 0)
        return false;
    segment.number--;
    segment_format(segment, size, name);
    return snprintf(out, LINK_PATH_MAX, "%s/%s", situation->directory, name) < LINK_PATH_MAX;
}

/* `count` pages of the file from `at`, counted from its end if that is negative, into the search. */
static bool
feed(struct io *io, int fd, const char *path, int64_t at, size_t bytes,
     struct tablespace_search *search)
{
    uint8_t page[TABLESPACE_RECORD_MAX * 2];
    struct cpam_err ignored;
    size_t got;

    for (size_t done = 0; done < bytes; done += got)
    {
        size_t part = bytes - done < sizeof(page) ? bytes - done : sizeof(page);

        if (file_read_at(io, fd, path, page, part, (uint64_t) at + done, &got, &ignored) !=
                CPAM_OK ||
            got != part)
            return false;
        tablespace_search_add(search, page, got);
    }
    return true;
}

/* Begins the search with the end of the segment before, where that is there. */
static bool
begin_behind(struct io *io, const struct fetch_situation *situation,
             struct tablespace_search *search, tablespace_found_fn found, void *arg)
{
    uint32_t size = situation->control.segment_size;
    char path[LINK_PATH_MAX];
    uint8_t first[64];
    struct cpam_err ignored;
    struct stat about;
    size_t got = 0, page;
    int fd;

    tablespace_search_begin(search, 0, found, arg);
    if (!path_before(situation, path) ||
        file_open(io, path, O_RDONLY | O_NOFOLLOW, 0, &fd, &ignored) != CPAM_OK)
        return false;
    bool good = io->ops->fstat(io, fd, &about) == 0 && about.st_size == (off_t) size &&
                file_read_at(io, fd, path, first, sizeof(first), 0, &got, &ignored) == CPAM_OK &&
                got == sizeof(first);
    if (good)
    {
        page = tablespace_page_size(first, got);
        tablespace_search_begin(search, page, found, arg);
        good = feed(io, fd, path, (int64_t) size - (int64_t) (ENDS * page), ENDS * page, search);
    }
    io->ops->close(io, fd);
    if (!good)
        tablespace_search_begin(search, 0, found, arg);
    return good;
}

bool
tablespace_crosses(struct io *io, const struct fetch_situation *situation, const char *path)
{
    CPAM_AUTO(free) struct tablespace_watch *watch = calloc(1, sizeof(*watch));
    struct cpam_err ignored;
    int fd;

    if (watch == NULL)
        return true; /* the foreground looks */
    if (!begin_behind(io, situation, &watch->search, on_created, watch))
        return false;
    if (file_open(io, path, O_RDONLY | O_NOFOLLOW, 0, &fd, &ignored) != CPAM_OK)
        return true;
    bool read = feed(io, fd, path, 0, ENDS * watch->search.page_size, &watch->search);
    io->ops->close(io, fd);
    return !read || watch->any;
}

/* --- as it passes ------------------------------------------------------------------------------- */

static enum cpam_status
watch_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct tablespace_watch *watch = (struct tablespace_watch *) sink;

    tablespace_search_add(&watch->search, data, size);
    return sink_write(watch->to, data, size, err);
}

enum cpam_status
tablespace_watch_new(struct io *io, const struct fetch_situation *situation,
                     struct tablespace_watch **out, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = watch_write};

    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory to look at WAL");
    (*out)->base.ops = &ops;
    (*out)->io = io;
    (*out)->situation = situation;
    return CPAM_OK;
}

void
tablespace_watch_free(struct tablespace_watch *watch)
{
    free(watch);
}

struct sink *
tablespace_watch_over(struct tablespace_watch *watch, struct sink *to)
{
    watch->to = to;
    watch->any = false;
    watch->conflict = (struct cpam_err){.status = CPAM_OK};
    if (watch->situation == NULL)
        tablespace_search_begin(&watch->search, 0, on_created, watch);
    else
        (void) begin_behind(watch->io, watch->situation, &watch->search, on_created, watch);
    return &watch->base;
}

bool
tablespace_watch_any(const struct tablespace_watch *watch)
{
    return watch->any;
}

enum cpam_status
tablespace_watch_verdict(const struct tablespace_watch *watch, struct cpam_err *err)
{
    if (watch->conflict.status == CPAM_OK)
        return CPAM_OK;
    *err = watch->conflict;
    return err->status;
}
