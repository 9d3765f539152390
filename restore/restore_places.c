/*
 * restore_places.c - places are planned, checked, made, linked, and at the very end unmarked.
 */
#include "restore_places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/text.h"
#include "io/file.h"
#include "restore_adopt.h"
#include "restore_hold.h"
#include "restore_keep_wal.h"
#include "restore_tree.h"

enum
{
    PLACE_MODE = 0700
};

static enum cpam_status
no_memory(struct cpam_err *err)
{
    return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the plan of a restore");
}

/* Absolute, and without slashes at the end. */
static enum cpam_status
absolute(struct io *io, const char *path, char **out, struct cpam_err *err)
{
    char here[RESTORE_PATH_MAX] = "";
    char whole[RESTORE_PATH_MAX];

    if (path[0] != '/')
    {
        ssize_t size = io->ops->readlink(io, AT_FDCWD, "/proc/self/cwd", here, sizeof(here) - 1);
        if (size < 0)
            return cpam_fail(err, CPAM_IO, errno, "could not tell the working directory");
        here[size] = '\0';
    }
    int size = snprintf(whole, sizeof(whole), "%s%s%s", here, here[0] == '\0' ? "" : "/", path);
    if (size < 0 || (size_t) size >= sizeof(whole))
        return cpam_fail(err, CPAM_USAGE, 0, "the path \"%.64s...\" is too long", path);
    while (size > 1 && whole[size - 1] == '/')
        whole[--size] = '\0';
    *out = strdup(whole);
    return *out == NULL ? no_memory(err) : CPAM_OK;
}

static enum cpam_status
place_add(struct restore_places *places, const char *prefix, const char *original, const char *path,
          struct cpam_err *err)
{
    if (places->count == RESTORE_PLACES_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "more than %d tablespaces", RESTORE_PLACES_MAX - 1);
    struct restore_place *place = &places->items[places->count++];

    *place = (struct restore_place){.fd = -1};
    CPAM_TRY(absolute(places->io, path, &place->path, err));
    place->prefix = strdup(prefix);
    if (original != NULL)
        place->original = strdup(original);
    if (place->prefix == NULL || (original != NULL && place->original == NULL))
        return no_memory(err);
    return CPAM_OK;
}

enum cpam_status
restore_places_new(struct io *io, const char *target, struct restore_places **out,
                   struct cpam_err *err)
{
    CPAM_AUTO(restore_places_free) struct restore_places *places = calloc(1, sizeof(*places));

    if (places == NULL)
        return no_memory(err);
    places->io = io;
    if (target[0] == '\0')
        return cpam_fail(err, CPAM_USAGE, 0, "the target directory has no name");
    CPAM_TRY(place_add(places, "", NULL, target, err));
    *out = CPAM_STEAL(places);
    return CPAM_OK;
}

enum cpam_status
restore_places_origin(struct restore_places *places, const char *path, struct cpam_err *err)
{
    free(places->origin);
    places->origin = strdup(path);
    return places->origin == NULL ? no_memory(err) : CPAM_OK;
}

bool
restore_places_same(struct io *io, const char *a, const char *b)
{
    struct stat one, other;

    return io->ops->stat(io, AT_FDCWD, a, 0, &one) == 0 &&
           io->ops->stat(io, AT_FDCWD, b, 0, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

void
restore_places_free(struct restore_places *places)
{
    if (places == NULL)
        return;
    for (size_t i = 0; i < places->count; i++)
    {
        struct restore_place *place = &places->items[i];

        if (place->fd >= 0)
            places->io->ops->close(places->io, place->fd);
        free(place->prefix);
        free(place->original);
        free(place->path);
    }
    free(places->origin);
    free(places);
}

/* NEW of the map whose OLD is this path, or NULL. */
static const char *
map_find(const struct option_list *maps, const char *original)
{
    size_t size = strlen(original);

    for (size_t i = 0; i < maps->count; i++)
        if (strncmp(maps->items[i], original, size) == 0 && maps->items[i][size] == '=')
            return maps->items[i] + size + 1;
    return NULL;
}

enum cpam_status
restore_places_add(struct restore_places *places, const char *prefix, const char *original,
                   const struct option_list *maps, struct cpam_err *err)
{
    const char *mapped = map_find(maps, original);
    const char *path = mapped == NULL ? original : mapped;

    if (path[0] != '/')
        return cpam_fail(err, CPAM_USAGE, 0,
                         "--tablespace-map: \"%s\" is not an absolute path (for \"%s\")", path,
                         original);
    CPAM_TRY(place_add(places, prefix, original, path, err));
    places->items[places->count - 1].mapped = mapped != NULL;
    return CPAM_OK;
}

bool
restore_place_is_tablespace(const struct restore_place *place)
{
    return strncmp(place->prefix, "pg_tblspc/", strlen("pg_tblspc/")) == 0;
}

struct restore_place *
restore_places_of(struct restore_places *places, const char *path, const char **relative)
{
    for (size_t i = 1; i < places->count; i++)
    {
        size_t size = strlen(places->items[i].prefix);

        if (strncmp(path, places->items[i].prefix, size) != 0)
            continue;
        if (path[size] == '/' || path[size] == '\0')
        {
            *relative = path[size] == '\0' ? "" : path + size + 1;
            return &places->items[i];
        }
    }
    *relative = path;
    return &places->items[0];
}

/* Is `inner` the same as `outer` or below it? */
static bool
is_inside(const char *inner, const char *outer)
{
    size_t size = strlen(outer);

    return strncmp(inner, outer, size) == 0 && (inner[size] == '\0' || inner[size] == '/');
}

static enum cpam_status
check_apart(const struct restore_places *places, struct cpam_err *err)
{
    for (size_t i = 0; i < places->count; i++)
        for (size_t k = 0; k < i; k++)
        {
            const char *a = places->items[i].path;
            const char *b = places->items[k].path;

            if (!is_inside(a, b) && !is_inside(b, a))
                continue;
            cpam_fail(err, CPAM_USAGE, 0, "\"%s\" and \"%s\" are to be restored %s", b, a,
                      strcmp(a, b) == 0 ? "into the same directory" : "one inside the other");
            cpam_err_hint(err, "give each tablespace a directory of its own: --tablespace-map "
                               "OLD=NEW");
            return CPAM_USAGE;
        }
    return CPAM_OK;
}

static enum cpam_status
check_maps(const struct restore_places *places, const struct option_list *maps,
           struct cpam_err *err)
{
    for (size_t i = 0; i < maps->count; i++)
    {
        const char *equals = strchr(maps->items[i], '=');
        size_t size = equals == NULL ? 0 : (size_t) (equals - maps->items[i]);
        bool used = false;

        if (equals == NULL || maps->items[i][0] != '/' || equals[1] != '/')
            return cpam_fail(err, CPAM_USAGE, 0,
                             "--tablespace-map \"%s\" is not OLD=NEW with two absolute paths",
                             maps->items[i]);
        for (size_t k = 0; k < i; k++)
            if (strncmp(maps->items[i], maps->items[k], size + 1) == 0)
                return cpam_fail(err, CPAM_USAGE, 0, "--tablespace-map maps \"%.*s\" twice",
                                 (int) size, maps->items[i]);
        for (size_t k = 1; k < places->count; k++)
            used = used || (strlen(places->items[k].original) == size &&
                            strncmp(places->items[k].original, maps->items[i], size) == 0);
        if (!used)
            return cpam_fail(err, CPAM_USAGE, 0,
                             "--tablespace-map: the backup has no tablespace at \"%.*s\"",
                             (int) size, maps->items[i]);
    }
    return CPAM_OK;
}

/* ".cpam-restore" with this data directory in it, and no pg_control yet.  A tablespace is as much ours as the
   data directory: a power cut may leave the marker in it when all is done, and that one moved since. */
static bool
is_ours(struct restore_places *places, const struct restore_place *place)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf marked = {0};
    const char *data = places->items[0].path;
    char path[RESTORE_PATH_MAX + 64];

    snprintf(path, sizeof(path), "%s/global/pg_control", data);
    if (file_exists(places->io, path))
        return false;
    if (place != &places->items[0] && !is_ours(places, &places->items[0]))
        return false;
    return restore_marker_line(places->io, place, RESTORE_MARKER_DATA, &marked) &&
           (strcmp(cpam_buf_text(&marked), data) == 0 ||
            restore_places_same(places->io, cpam_buf_text(&marked), data));
}

static enum cpam_status
not_empty(struct restore_places *places, const struct restore_place *place, struct cpam_err *err)
{
    char aside[RESTORE_PATH_MAX + 16];
    char version[RESTORE_PATH_MAX + 16];

    snprintf(aside, sizeof(aside), "%s.old", place->path);
    for (int i = 2; file_exists(places->io, aside); i++)
        snprintf(aside, sizeof(aside), "%s.old%d", place->path, i);
    if (place->original != NULL)
    {
        cpam_fail(err, CPAM_USAGE, 0,
                  "\"%s\", where %s is to be restored, is not empty (another database's?)",
                  place->path, place->prefix);
        cpam_err_hint(err,
                      "give it another place: --tablespace-map %s=/some/empty/directory; or, when "
                      "this replaces the original, stop that and move it aside: mv %s %s",
                      place->original, place->path, aside);
        return CPAM_USAGE;
    }
    cpam_fail(err, CPAM_USAGE, 0, "the target directory \"%s\" is not empty", place->path);
    snprintf(version, sizeof(version), "%s/PG_VERSION", place->path);
    if (file_exists(places->io, version))
        cpam_err_hint(err, "stop the server if it runs there, then move it aside: mv %s %s",
                      place->path, aside);
    else
        cpam_err_hint(err, "it is no data directory either: was another one meant?");
    return CPAM_USAGE;
}

/* WAL that an aborted --delta put aside is not thrown away with the rest. */
static enum cpam_status
check_kept_wal(struct restore_places *places, const struct restore_place *place,
               struct cpam_err *err)
{
    char path[RESTORE_PATH_MAX + 64];

    snprintf(path, sizeof(path), "%s/%s" RESTORE_KEPT_WAL, place->path,
             strcmp(place->prefix, "pg_wal") == 0 ? "" : "pg_wal/");
    if (!file_exists(places->io, path))
        return CPAM_OK;
    cpam_fail(err, CPAM_USAGE, 0,
              "\"%s\" holds WAL that an aborted restore put aside; beginning anew would remove it",
              path);
    cpam_err_hint(err, "go on with --delta, or move it out of \"%s\" first", place->path);
    return CPAM_USAGE;
}

/* Nor is what it had still to put aside; an aborted restore without --delta has none. */
static enum cpam_status
check_left_wal(struct restore_places *places, struct cpam_err *err)
{
    size_t found = 0;

    if (places->delta || !places->items[0].ours)
        return CPAM_OK;
    CPAM_TRY(restore_keep_wal_look(places, &found, err));
    if (found == 0)
        return CPAM_OK;
    cpam_fail(
        err, CPAM_USAGE, 0,
        "pg_wal in \"%s\" holds %zu file%s that an aborted --delta had still to put aside, and "
        "that the archive may not have; beginning anew would remove %s",
        places->items[0].path, found, found == 1 ? "" : "s", found == 1 ? "it" : "them");
    cpam_err_hint(err, "go on with --delta, or move the WAL out of \"%s\" first",
                  places->items[0].path);
    return CPAM_USAGE;
}

static enum cpam_status
place_check(struct restore_places *places, struct restore_place *place, struct cpam_err *err)
{
    enum tree_state state;

    CPAM_TRY(tree_look(places->io, place->path, &state, err));
    if (state == TREE_OTHER)
        return cpam_fail(err, CPAM_USAGE, 0, "\"%s\" is not a directory", place->path);
    place->present = state != TREE_ABSENT;
    if (place->present)
        CPAM_TRY(restore_hold(places->io, place, !places->rehearsal, err));
    place->ours = state == TREE_FULL && is_ours(places, place);
    place->freed = 0;
    place->adopted = place->ours && places->delta;
    if (place->ours && !places->delta)
        CPAM_TRY(check_kept_wal(places, place, err));
    if (state == TREE_FULL && !place->ours)
        CPAM_TRY(places->delta ? restore_adopt(places, place, err) : not_empty(places, place, err));
    if (state == TREE_FULL)
        CPAM_TRY(tree_bytes(places->io, place->path, &place->freed, err));
    return CPAM_OK;
}

/* The nearest directory above that is there. */
static void
existing_above(struct restore_places *places, const char *path, char out[RESTORE_PATH_MAX])
{
    snprintf(out, RESTORE_PATH_MAX, "%s", path);
    while (!file_exists(places->io, out))
    {
        char *slash = strrchr(out, '/');

        if (slash == NULL || slash == out)
        {
            snprintf(out, RESTORE_PATH_MAX, "/");
            return;
        }
        *slash = '\0';
    }
}

uint64_t
restore_place_room(struct restore_places *places, const struct restore_place *place)
{
    char path[RESTORE_PATH_MAX];
    struct statvfs room;

    existing_above(places, place->path, path);
    if (statvfs(path, &room) < 0)
        return UINT64_MAX;
    return (uint64_t) room.f_bavail * room.f_frsize + place->freed;
}

/* What all places on one file system need together must fit there. */
static enum cpam_status
check_room(struct restore_places *places, struct cpam_err *err)
{
    for (size_t i = 0; i < places->count; i++)
    {
        char path[RESTORE_PATH_MAX];
        struct stat own;
        uint64_t need = 0, freed = 0;

        existing_above(places, places->items[i].path, path);
        CPAM_TRY(file_stat(places->io, path, &own, err));
        for (size_t k = 0; k < places->count; k++)
        {
            struct stat other;

            existing_above(places, places->items[k].path, path);
            CPAM_TRY(file_stat(places->io, path, &other, err));
            if (other.st_dev != own.st_dev)
                continue;
            need += places->items[k].bytes;
            freed += k == i ? 0 : places->items[k].freed;
        }
        uint64_t room = restore_place_room(places, &places->items[i]);
        char need_text[TEXT_SIZE_MAX];
        char room_text[TEXT_SIZE_MAX];

        if (room >= need || room + freed >= need)
            continue;
        text_format_size(need, need_text);
        text_format_size(room + freed, room_text);
        return cpam_fail(err, CPAM_USAGE, 0,
                         "not enough room for \"%s\": %s are needed on its file system, %s are "
                         "free",
                         places->items[i].path, need_text, room_text);
    }
    return CPAM_OK;
}

enum cpam_status
restore_places_check(struct restore_places *places, const struct option_list *maps,
                     struct cpam_err *err)
{
    CPAM_TRY(check_maps(places, maps, err));
    CPAM_TRY(check_apart(places, err));
    for (size_t i = 0; i < places->count; i++)
        CPAM_TRY(place_check(places, &places->items[i], err));
    CPAM_TRY(check_left_wal(places, err));
    return check_room(places, err);
}

static enum cpam_status
place_mark(struct restore_places *places, struct restore_place *place, const char *label,
           struct cpam_err *err)
{
    struct io *io = places->io;
    char marker[RESTORE_PATH_MAX + 16];
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    enum tree_state state;

    CPAM_TRY(file_make_dirs(io, place->path, PLACE_MODE, err));
    CPAM_TRY(restore_hold(io, place, true, err));
    /* since it was checked, a plan was made and shown */
    CPAM_TRY(tree_look(io, place->path, &state, err));
    if (state != TREE_EMPTY && !place->ours && !place->adopted)
        return not_empty(places, place, err);
    CPAM_TRY(tree_clear_temporaries(io, place->fd, place->path, err));
    snprintf(marker, sizeof(marker), "%s/%s", place->path, RESTORE_MARKER);
    CPAM_TRY(restore_marker_text(label, places->items[0].path, &text, err));
    return file_write_all(io, marker, 0600, text.data, text.size, err);
}

/* From here on no server starts in the data directory, whatever becomes of the rest. */
static enum cpam_status
disarm(struct restore_places *places, struct cpam_err *err)
{
    char path[RESTORE_PATH_MAX + 32];

    snprintf(path, sizeof(path), "%s/global/pg_control", places->items[0].path);
    if (!places->items[0].adopted || !file_exists(places->io, path))
        return CPAM_OK;
    CPAM_TRY(file_unlink(places->io, path, err));
    return file_sync_parent(places->io, path, err);
}

static enum cpam_status
place_clear(struct restore_places *places, struct restore_place *place, struct cpam_err *err)
{
    struct io *io = places->io;
    char own[32] = "";
    struct stat stat;

    if (io->ops->fstat(io, place->fd, &stat) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", place->path);
    /* the server takes a data directory of 0700 or 0750 only */
    mode_t mode = stat.st_mode & 0777;
    if (mode != 0700 && mode != 0750 && io->ops->fchmod(io, place->fd, PLACE_MODE) < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not set the mode of \"%s\"", place->path);
    if (restore_place_is_tablespace(place))
        snprintf(own, sizeof(own), "PG_%u_", places->major);
    return place->ours && !place->adopted ? tree_empty(io, place->path, own, RESTORE_MARKER, err)
                                          : CPAM_OK;
}

enum cpam_status
restore_places_make(struct restore_places *places, const char *label, struct cpam_err *err)
{
    /* since it was checked, a plan was made and shown */
    if (places->items[0].adopted)
        CPAM_TRY(restore_adopt_stopped(places, err));
    for (size_t i = 0; i < places->count; i++)
        CPAM_TRY(place_mark(places, &places->items[i], label, err));
    CPAM_TRY(disarm(places, err));
    for (size_t i = 0; i < places->count; i++)
        CPAM_TRY(place_clear(places, &places->items[i], err));
    return CPAM_OK;
}

enum cpam_status
restore_places_link(struct restore_places *places, struct cpam_err *err)
{
    struct io *io = places->io;

    for (size_t i = 1; i < places->count; i++)
    {
        const struct restore_place *place = &places->items[i];
        int parent = -1;
        const char *name = NULL;

        CPAM_TRY(tree_parent(io, places->items[0].fd, place->prefix, &parent, &name, err));
        enum cpam_status status = CPAM_OK;
        if (io->ops->symlink(io, place->path, parent, name) < 0)
            status = cpam_fail(err, CPAM_IO, errno, "could not link \"%s\" to \"%s\"",
                               place->prefix, place->path);
        else if (io->ops->fsync(io, parent) < 0)
            status = cpam_fail(err, CPAM_IO, errno, "could not fsync the directory of \"%s\"",
                               place->prefix);
        io->ops->close(io, parent);
        if (status != CPAM_OK)
            return status;
    }
    return CPAM_OK;
}

enum cpam_status
restore_places_sync(struct restore_places *places, struct cpam_err *err)
{
    for (size_t i = 0; i < places->count; i++)
    {
        CPAM_TRY(file_sync(places->io, places->items[i].fd, places->items[i].path, err));
        CPAM_TRY(file_sync_parent(places->io, places->items[i].path, err));
    }
    return CPAM_OK;
}

enum cpam_status
restore_places_finish(struct restore_places *places, struct cpam_err *err)
{
    for (size_t i = places->count; i-- > 0;)
    {
        char marker[RESTORE_PATH_MAX + 16];

        snprintf(marker, sizeof(marker), "%s/%s", places->items[i].path, RESTORE_MARKER);
        CPAM_TRY(file_unlink(places->io, marker, err));
        CPAM_TRY(file_sync(places->io, places->items[i].fd, places->items[i].path, err));
    }
    return CPAM_OK;
}
