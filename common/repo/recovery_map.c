/*
 * recovery_map.c - histories and runs of segments out of the archive's listings.
 */
#include "repo/recovery_map.h"

#include <string.h>

#include "repo/wal_archive.h"

enum
{
    TIMELINES_MAX = 4096,
    RUNS_MAX = 100000 /* more holes than this are no archive */
};

struct recovery_archive
{
    struct recovery_map map;
    struct history **histories;
    struct wal_run *runs;
    size_t run_cap;
};

static enum cpam_status
on_segment(void *arg, struct segment segment, uint64_t object_size, int64_t modified,
           struct cpam_err *err)
{
    struct recovery_archive *self = arg;
    struct wal_run *last = self->map.run_count == 0 ? NULL : &self->runs[self->map.run_count - 1];

    (void) object_size;
    (void) modified;
    if (last != NULL && last->timeline.id == segment.timeline.id &&
        segment.number <= last->last + 1)
    {
        if (segment.number > last->last)
            last->last = segment.number;
        return CPAM_OK;
    }
    if (self->map.run_count == RUNS_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "the WAL archive has more than %d holes", RUNS_MAX);
    if (self->map.run_count == self->run_cap)
    {
        size_t cap = self->run_cap == 0 ? 16 : self->run_cap * 2;
        struct wal_run *runs = realloc(self->runs, cap * sizeof(*runs));

        if (runs == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the archive's runs");
        self->runs = runs;
        self->run_cap = cap;
    }
    self->runs[self->map.run_count++] = (struct wal_run){
        .timeline = segment.timeline, .first = segment.number, .last = segment.number};
    return CPAM_OK;
}

static enum cpam_status
timeline_read(struct repo *repo, struct recovery_archive *self, struct timeline timeline,
              uint64_t from, struct cpam_err *err)
{
    struct segment first = {timeline, from};

    if (timeline.id != 1)
    {
        struct history *history = NULL;
        enum cpam_status status =
            wal_archive_history(repo, self->map.sysid, timeline, &history, err);

        if (status == CPAM_OK)
            self->histories[self->map.history_count++] = history;
        else if (status != CPAM_NOT_FOUND)
            return status;
    }
    return wal_archive_segments(repo, self->map.sysid, first, self->map.segment_size, on_segment,
                                self, err);
}

/* No commit in a run is later than its last segment was archived. */
static enum cpam_status
run_ends_read(struct repo *repo, struct recovery_archive *self, struct cpam_err *err)
{
    for (size_t i = 0; i < self->map.run_count; i++)
    {
        struct wal_run *run = &self->runs[i];
        struct object_header header;
        char name[SEGMENT_NAME_MAX];

        segment_format((struct segment){run->timeline, run->last}, self->map.segment_size, name);
        CPAM_TRY(wal_archive_header(repo, self->map.sysid, name, &header, err));
        run->last_created = header.created;
    }
    return CPAM_OK;
}

/* The segment of the oldest start among the backups, and the segment size they tell. */
static bool
backups_look(const struct backup_list *list, uint64_t sysid, uint32_t *segment_size,
             uint64_t *first)
{
    bool found = false;

    for (size_t i = 0; i < list->count; i++)
    {
        const struct backup_summary *backup = &list->items[i];

        if (backup->sysid != sysid || !segment_size_valid(backup->segment_size))
            continue;
        uint64_t number = backup->start.at / backup->segment_size;
        if (!found || number < *first)
            *first = number;
        *segment_size = backup->segment_size;
        found = true;
    }
    return found;
}

enum cpam_status
recovery_archive_read(struct repo *repo, uint64_t sysid, const struct backup_list *backups,
                      struct recovery_archive **out, struct cpam_err *err)
{
    CPAM_AUTO(recovery_archive_free) struct recovery_archive *self = calloc(1, sizeof(*self));
    CPAM_AUTO(free) struct timeline *timelines = calloc(TIMELINES_MAX, sizeof(*timelines));
    size_t count = 0;
    uint64_t first = 0;

    if (self == NULL || timelines == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for what the archive holds");
    self->map.sysid = sysid;
    if (!backups_look(backups, sysid, &self->map.segment_size, &first))
        return cpam_fail(err, CPAM_UNREACHABLE, 0, "the repository holds no backup");
    CPAM_TRY(wal_archive_timelines(repo, sysid, timelines, TIMELINES_MAX, &count, err));
    self->histories = calloc(count + 1, sizeof(struct history *));
    if (self->histories == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for what the archive holds");
    for (size_t i = 0; i < count; i++)
        CPAM_TRY(timeline_read(repo, self, timelines[i], first, err));
    CPAM_TRY(run_ends_read(repo, self, err));
    self->map.backups = backups->items;
    self->map.backup_count = backups->count;
    self->map.histories = self->histories;
    self->map.runs = self->runs;
    *out = CPAM_STEAL(self);
    return CPAM_OK;
}

const struct recovery_map *
recovery_archive_map(const struct recovery_archive *archive)
{
    return &archive->map;
}

const struct history *
recovery_archive_history(const struct recovery_archive *archive, struct timeline timeline)
{
    for (size_t i = 0; i < archive->map.history_count; i++)
        if (archive->histories[i]->timeline.id == timeline.id)
            return archive->histories[i];
    return NULL;
}

void
recovery_archive_free(struct recovery_archive *archive)
{
    if (archive == NULL)
        return;
    for (size_t i = 0; i < archive->map.history_count; i++)
        history_free(archive->histories[i]);
    free(archive->histories);
    free(archive->runs);
    free(archive);
}
