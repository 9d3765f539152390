/*
 * check_spool.c - the folder of the worker: there, ours, closed to others, with room, and somebody in it.
 */
#include "check_spool.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"
#include "handoff/hung.h"
#include "handoff/place.h"
#include "io/file.h"

enum
{
    SEGMENTS = 4 /* for which there has to be room: sealed ones may wait there */
};

static enum cpam_status
check_room(struct io *io, const char *path, const struct control *control, struct cpam_err *err)
{
    char left[TEXT_SIZE_MAX];
    struct statvfs room;
    int fd;

    CPAM_TRY(file_open_unnamed(io, path, &fd, err));
    (void) io->ops->close(io, fd); /* nothing was written */
    if (statvfs(path, &room) != 0)
        return CPAM_OK; /* some file systems do not tell */
    uint64_t bytes = (uint64_t) room.f_bavail * room.f_frsize;
    if (bytes >= (uint64_t) SEGMENTS * control->segment_size)
        return CPAM_OK;
    text_format_size(bytes, left);
    return cpam_fail(err, CPAM_IO, 0, "\"%s\" has only %s left", path, left);
}

static enum cpam_status
look(const struct cli *cli, const char *data, const struct control *control, bool *worker,
     struct cpam_err *err)
{
    CPAM_AUTO(handoff_place_free) struct handoff_place *place = NULL;
    const char *spool = cli->settings->wal.spool;
    struct io *io = cli->io;
    struct handoff_key key;

    CPAM_TRY(handoff_key_of(io, data, cli->settings->cluster, &key, err));
    CPAM_TRY(handoff_place_open(io, spool, &key, true, &place, err));
    *worker = handoff_lock_holder(place, io, HANDOFF_PUSH) != 0;
    CPAM_TRY(check_room(io, handoff_place_path(place), control, err));
    if (*worker)
        return CPAM_OK;
    cpam_fail(err, CPAM_NOT_FOUND, 0, "no cpam-wal-worker serves \"%s\"", data);
    cpam_err_hint(err, "cpam-wal-push and the archive module start it; the server's log and the "
                       "system's (cpam-wal-worker) say what kept it from that");
    return CPAM_NOT_FOUND;
}

void
check_spool(const struct cli *cli, const char *data, const struct control *control,
            struct checked_spool *out)
{
    *out = (struct checked_spool){.problem.status = CPAM_OK};
    if (cli->settings->wal.push_direct)
        return; /* nothing but what is fetched ahead uses it, and says so itself */
    out->problem.status = look(cli, data, control, &out->worker, &out->problem);
}

void
check_spool_print(const struct checked_spool *spool)
{
    const struct cpam_err *problem = &spool->problem;

    if (problem->status != CPAM_OK)
        printf("the spool is of no use, and each file is archived in the foreground: %s%s%s\n",
               problem->text, problem->hint[0] != '\0' ? "; " : "", problem->hint);
}

void
check_spool_json(struct json_writer *json, const struct checked_spool *spool)
{
    json_begin_object(json, "spool");
    json_put_bool(json, "worker", spool->worker);
    json_put_text(json, "problem", spool->problem.status == CPAM_OK ? NULL : spool->problem.text);
    json_end(json);
}
