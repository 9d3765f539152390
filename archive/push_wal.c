/*
 * push_wal.c - asking each repository for one name after the other until all of them are there.
 */
#include "push_wal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/text.h"

enum
{
    PAUSE_SHORTEST = 10000, /* us between two looks */
    PAUSE_LONGEST = 5000000,
    PAUSE_PART =
        8 /* of the time since something came, in between: so much longer at most it takes */
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

/* How far one repository has come. */
struct look
{
    bool pending;
    bool history; /* it is there, or not needed */
    struct segment next;
};

/* The name that has to be there next. */
static void
next_name(const struct look *look, const struct push_wal *wal, char name[ARCHIVE_NAME_MAX])
{
    char text[SEGMENT_NAME_MAX];

    if (!look->history)
    {
        snprintf(name, ARCHIVE_NAME_MAX, "%08" PRIX32 ".history", wal->timeline.id);
        return;
    }
    segment_format(look->next, wal->segment_size, text);
    snprintf(name, ARCHIVE_NAME_MAX, "%s", text);
}

/* Go on as far as it has come by now.  CPAM_NOT_FOUND: not all is there yet; a failure that may pass
   is waited out like an absence.  *came: something was there. */
static enum cpam_status
look_on(struct repo *repo, const struct push_wal *wal, struct look *look,
        const struct segment *last, bool *came, struct cpam_err *err)
{
    while (look->next.number <= last->number)
    {
        struct object_header header;
        char name[ARCHIVE_NAME_MAX];

        if (*wal->stopped != 0)
            return cpam_fail(err, CPAM_CANCELLED, 0, "the backup was stopped");
        next_name(look, wal, name);
        enum cpam_status status = wal_archive_header(repo, wal->sysid, name, &header, err);
        if (status == CPAM_TRANSIENT || status == CPAM_DEADLINE)
        {
            cpam_log(LOG_WARNING, "%s", err->text);
            return CPAM_NOT_FOUND;
        }
        if (status != CPAM_OK)
            return status;
        *came = true;
        if (look->history)
            look->next = segment_next(look->next);
        look->history = true;
    }
    return CPAM_OK;
}

/* us until the next look: often while it may come at any moment, seldom once it has not come for long. */
static int64_t
pause_after(int64_t waited)
{
    int64_t pause = waited / PAUSE_PART;

    if (pause < PAUSE_SHORTEST)
        return PAUSE_SHORTEST;
    return pause < PAUSE_LONGEST ? pause : PAUSE_LONGEST;
}

void
push_wal_wait(struct io *io, struct repo *const *repos, const struct push_wal *wal, push_wal_fn fn,
              void *arg)
{
    struct deadline deadline = deadline_after(io, wal->patience);
    struct look looks[PACK_REPOS_MAX] = {0};
    int64_t came_at = io->ops->monotonic(io);
    struct segment first, last;
    size_t pending = 0;

    push_wal_range(wal, &first, &last);
    for (size_t i = 0; i < PACK_REPOS_MAX; i++)
    {
        looks[i] = (struct look){repos[i] != NULL, wal->timeline.id == 1, first};
        pending += looks[i].pending;
    }
    for (;;)
    {
        int64_t left = deadline_left(io, deadline);
        bool came = false;

        for (size_t i = 0; i < PACK_REPOS_MAX; i++)
        {
            struct cpam_err err;
            char name[ARCHIVE_NAME_MAX];

            if (!looks[i].pending)
                continue;
            enum cpam_status status = look_on(repos[i], wal, &looks[i], &last, &came, &err);
            if (status == CPAM_NOT_FOUND && left > 0 && *wal->stopped == 0)
                continue;
            next_name(&looks[i], wal, name);
            if (status == CPAM_NOT_FOUND)
                status = *wal->stopped != 0
                             ? cpam_fail(&err, CPAM_CANCELLED, 0, "the backup was stopped")
                             : missing(name, &last, wal, &err);
            looks[i].pending = false;
            pending--;
            fn(arg, i, status, &err);
        }
        if (pending == 0)
            return;
        int64_t now = io->ops->monotonic(io), pause;
        if (came)
            came_at = now;
        pause = pause_after(now - came_at);
        left = deadline_left(io, deadline);
        io->ops->sleep(io, pause < left ? pause : left);
    }
}
