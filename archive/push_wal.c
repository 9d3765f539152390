/*
 * push_wal.c - asking for one name after the other until all of them are there.
 */
#include "push_wal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/text.h"

enum
{
    PAUSE_FIRST = 100000, /* us between two looks, at first and at most */
    PAUSE_LONGEST = 5000000
};

void
push_wal_range(const struct push_wal *wal, struct segment *first, struct segment *last)
{
    *first = segment_of(wal->timeline, wal->start, wal->segment_size);
    *last = segment_before(wal->timeline, wal->stop, wal->segment_size);
    if (last->number < first->number)
        *last = *first;
}

static enum cpam_status
missing(const char *name, const struct segment *last, const struct push_wal *wal,
        struct cpam_err *err)
{
    char until[SEGMENT_NAME_MAX], waited[TEXT_DURATION_MAX];

    segment_format(*last, wal->segment_size, until);
    text_format_duration(wal->patience, waited);
    cpam_fail(err, CPAM_DEADLINE, 0,
              "no backup: \"%s\" is not in the repository after %s, and every file up to \"%s\" is "
              "needed",
              name, waited, until);
    cpam_err_hint(err, "look at the server's log for archive_command, and at pg_stat_archiver; "
                       "base.archive_wait is how long this waits");
    return CPAM_DEADLINE;
}

/* Once `name` is there; a failure that may pass is waited out like an absence. */
static enum cpam_status
wait_for(struct repo *repo, const struct push_wal *wal, const char *name,
         const struct segment *last, struct deadline deadline, struct cpam_err *err)
{
    struct io *io = repo_io(repo);
    int64_t pause = PAUSE_FIRST;

    for (;;)
    {
        struct object_header header;
        enum cpam_status status = wal_archive_header(repo, wal->sysid, name, &header, err);
        int64_t left = deadline_left(io, deadline);

        if (status == CPAM_OK)
            return CPAM_OK;
        if (status != CPAM_NOT_FOUND && status != CPAM_TRANSIENT && status != CPAM_DEADLINE)
            return status;
        if (status != CPAM_NOT_FOUND)
            cpam_log(LOG_WARNING, "%s", err->text);
        if (*wal->stopped != 0)
            return cpam_fail(err, CPAM_CANCELLED, 0, "the backup was stopped");
        if (left == 0)
            return missing(name, last, wal, err);
        io->ops->sleep(io, pause < left ? pause : left);
        pause = pause * 2 < PAUSE_LONGEST ? pause * 2 : PAUSE_LONGEST;
    }
}

enum cpam_status
push_wal_wait(struct repo *repo, const struct push_wal *wal, struct cpam_err *err)
{
    struct deadline deadline = deadline_after(repo_io(repo), wal->patience);
    struct segment segment, last;
    char name[ARCHIVE_NAME_MAX];

    push_wal_range(wal, &segment, &last);
    if (wal->timeline.id > 1)
    {
        snprintf(name, sizeof(name), "%08" PRIX32 ".history", wal->timeline.id);
        CPAM_TRY(wait_for(repo, wal, name, &last, deadline, err));
    }
    for (; segment.number <= last.number; segment = segment_next(segment))
    {
        char text[SEGMENT_NAME_MAX];

        segment_format(segment, wal->segment_size, text);
        CPAM_TRY(wait_for(repo, wal, text, &last, deadline, err));
    }
    return CPAM_OK;
}
