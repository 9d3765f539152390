/*
 * restore_adopt.c - a data directory told by its pg_control, a tablespace by the link to it.
 */
#include "restore_adopt.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/control_file.h"
#include "io/control_load.h"
#include "io/file.h"
#include "restore_servers.h"

enum cpam_status
restore_adopt_stopped(struct restore_places *places, struct cpam_err *err)
{
    const char *data = places->items[0].path;
    char path[RESTORE_PATH_MAX + 32];
    struct postmaster_pid ignored;
    struct cpam_err why;
    bool running = false;

    snprintf(path, sizeof(path), "%s/postmaster.pid", data);
    if (!file_exists(places->io, path))
        return CPAM_OK;
    if (postmaster_find(places->io, data, &running, &ignored, &why) != CPAM_OK)
        running = false;
    cpam_fail(err, CPAM_USAGE, 0,
              running ? "a server runs in \"%s\"" : "\"%s\" has a postmaster.pid", data);
    if (running)
        cpam_err_hint(err, "stop it first");
    else
        cpam_err_hint(err,
                      "a server that crashed may have left it; once it is sure that none uses the "
                      "directory, also from another container or host: rm %s",
                      path);
    return CPAM_USAGE;
}

static enum cpam_status
not_this_cluster(const struct restore_place *place, struct cpam_err *err)
{
    cpam_err_hint(err,
                  "--delta writes over a directory of the cluster that was backed up, and over "
                  "nothing else; give an empty directory, or move this one aside: mv %s %s.old",
                  place->path, place->path);
    return CPAM_USAGE;
}

static enum cpam_status
adopt_data(struct restore_places *places, struct restore_place *place, struct cpam_err *err)
{
    struct control control;
    struct cpam_err why;

    if (control_load(places->io, place->path, NULL, &control, &why) != CPAM_OK)
    {
        cpam_fail(err, CPAM_USAGE, 0,
                  "\"%s\" is not empty, and no data directory that can be told "
                  "to be this cluster's: %s",
                  place->path, why.text);
        return not_this_cluster(place, err);
    }
    if (control.sysid != places->sysid || control.major != places->major)
    {
        cpam_fail(err, CPAM_USAGE, 0,
                  "\"%s\" is another cluster: PostgreSQL %u, system identifier %" PRIu64
                  "; the backup is of PostgreSQL %u, %" PRIu64,
                  place->path, control.major, control.sysid, places->major, places->sysid);
        return not_this_cluster(place, err);
    }
    place->adopted = true;
    return restore_adopt_stopped(places, err);
}

/* A copied data directory has the links of its original: where they lead is the original's, unless the
   target is that itself, or was told where its own places are. */
static enum cpam_status
check_own(struct restore_places *places, const struct restore_place *place, struct cpam_err *err)
{
    const char *data = places->items[0].path;

    CPAM_TRY(restore_servers_check(places->io, data, place, err));
    if (place->mapped ||
        (places->origin != NULL && restore_places_same(places->io, places->origin, data)))
        return CPAM_OK;
    cpam_fail(
        err, CPAM_USAGE, 0,
        "\"%s\", where %s is to be restored, is where the server that was backed up had it, and "
        "\"%s\" is not the data directory of that server (\"%s\"), but perhaps a copy whose "
        "links lead to the original's",
        place->path, place->prefix, data, places->origin == NULL ? "?" : places->origin);
    cpam_err_hint(
        err,
        "give it another place: --tablespace-map %s=/some/empty/directory; or, when no other "
        "data directory has it, say so: --tablespace-map %s=%s",
        place->original, place->original, place->path);
    return CPAM_USAGE;
}

/* Is it where the data directory's own link leads? */
static enum cpam_status
adopt_linked(struct restore_places *places, struct restore_place *place, struct cpam_err *err)
{
    char link[RESTORE_PATH_MAX * 2];

    snprintf(link, sizeof(link), "%s/%s", places->items[0].path, place->prefix);
    if ((places->items[0].adopted || places->items[0].ours) &&
        restore_places_same(places->io, link, place->path))
    {
        CPAM_TRY(check_own(places, place, err));
        place->adopted = true;
        return CPAM_OK;
    }
    cpam_fail(err, CPAM_USAGE, 0,
              "\"%s\", where %s is to be restored, is not empty, and \"%s\" does not link to it",
              place->path, place->prefix, places->items[0].path);
    cpam_err_hint(err, "give it another place: --tablespace-map %s=/some/empty/directory",
                  place->original);
    return CPAM_USAGE;
}

enum cpam_status
restore_adopt(struct restore_places *places, struct restore_place *place, struct cpam_err *err)
{
    return place == &places->items[0] ? adopt_data(places, place, err)
                                      : adopt_linked(places, place, err);
}
