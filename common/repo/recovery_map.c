/*
 * recovery_map.c - histories and runs of segments out of the archive's listings.
 */
#include "repo/recovery_map.h"

#include <string.h>

#include "base/log.h"
#include "repo/authentic.h"
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
    struct gap *gaps;
    size_t gap_cap;
    size_t listed_from; /* the first run of the listing at hand: those before are others' */
};

static enum cpam_status
run_insert(struct recovery_archive *self, size_t at, struct wal_run run, struct cpam_err *err)
{
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
    memmove(&self->runs[at + 1], &self->runs[at], (self->map.run_count - at) * sizeof(*self->runs));
    self->runs[at] = run;
    self->map.run_count++;
    return CPAM_OK;
}

static enum cpam_status
on_segment(void *arg, struct segment segment, uint64_t object_size, int64_t modified,
           struct cpam_err *err)
{
    struct recovery_archive *self = arg;
    struct wal_run *last =
        self->map.run_count == self->listed_from ? NULL : &self->runs[self->map.run_count - 1];

    (void) object_size;
    (void) modified;
    if (last != NULL && segment.number <= last->last + 1)
    {
        if (segment.number > last->last)
            last->last = segment.number;
        return CPAM_OK;
    }
    struct wal_run run = {
        .timeline = segment.timeline, .first = segment.number, .last = segment.number};
    return run_insert(self, self->map.run_count, run, err);
}

static enum cpam_status
on_gap(void *arg, const struct gap *gap, struct cpam_err *err)
{
    struct recovery_archive *self = arg;

    if (self->map.gap_count == RUNS_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "the WAL archive has more than %d gaps", RUNS_MAX);
    if (self->map.gap_count == self->gap_cap)
    {
        size_t cap = self->gap_cap == 0 ? 16 : self->gap_cap * 2;
        struct gap *gaps = realloc(self->gaps, cap * sizeof(*gaps));

        if (gaps == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the archive's gaps");
        self->gaps = gaps;
        self->gap_cap = cap;
    }
    self->gaps[self->map.gap_count++] = *gap;
    return CPAM_OK;
}

/* *doubtful: there is one, and it is not genuine. */
static enum cpam_status
history_read(struct repo *repo, struct recovery_archive *self, struct timeline timeline,
             bool *doubtful, struct cpam_err *err)
{
    struct history *history = NULL;

    if (timeline.id == 1 || recovery_archive_history(self, timeline) != NULL)
        return CPAM_OK;
    enum cpam_status status = wal_archive_history(repo, self->map.sysid, timeline, &history, err);
    if (status == CPAM_OK)
        self->histories[self->map.history_count++] = history;
    *doubtful |= authentic_wrong(status);
    if (authentic_wrong(status))
        cpam_log(LOG_WARNING,
                 "timeline %u can't be recovered along with what repository \"%s\" has: %s",
                 timeline.id, repo_name(repo), err->text);
    return authentic_wrong(status) || status == CPAM_NOT_FOUND ? CPAM_OK : status;
}

static int
by_first(const void *a, const void *b)
{
    uint64_t left = ((const struct wal_run *) a)->first,
             right = ((const struct wal_run *) b)->first;

    return left < right ? -1 : left > right;
}

/* Runs of one timeline, of several repositories, become those of all of them together. */
static void
runs_join(struct recovery_archive *self, size_t from)
{
    size_t kept = from;

    if (self->map.run_count == from)
        return;
    qsort(self->runs + from, self->map.run_count - from, sizeof(*self->runs), by_first);
    for (size_t i = from + 1; i < self->map.run_count; i++)
    {
        const struct wal_run *run = &self->runs[i];

        if (run->first > self->runs[kept].last + 1)
            self->runs[++kept] = *run;
        else if (run->last > self->runs[kept].last)
            self->runs[kept].last = run->last;
    }
    self->map.run_count = kept + 1;
}

static enum cpam_status
timeline_read(struct repo *const *repos, size_t repo_count, struct recovery_archive *self,
              struct timeline timeline, uint64_t from, struct cpam_err *err)
{
    const struct segment first = {timeline, from};
    const size_t begin = self->map.run_count;
    bool doubtful = false;

    for (size_t i = 0; i < repo_count; i++)
    {
        CPAM_TRY(history_read(repos[i], self, timeline, &doubtful, err));
        CPAM_TRY(gap_list(repos[i], self->map.sysid, timeline, on_gap, self, err));
        self->listed_from = self->map.run_count;
        CPAM_TRY(wal_archive_segments(repos[i], self->map.sysid, first, self->map.segment_size,
                                      on_segment, self, err));
    }
    if (doubtful && recovery_archive_history(self, timeline) == NULL)
        self->map.doubtful = timeline; /* they come in ascending order */
    runs_join(self, begin);
    return CPAM_OK;
}

/* In front of the segment in which a timeline forked off, a run ends: what the old timeline went on
   to write tells nothing of how far the way to the new one goes. */
static enum cpam_status
run_cut(struct recovery_archive *self, const struct history_entry *fork, struct cpam_err *err)
{
    uint64_t number = fork->switch_point.at / self->map.segment_size;

    for (size_t i = 0; i < self->map.run_count; i++)
    {
        struct wal_run *run = &self->runs[i];
        struct wal_run front = *run;

        if (run->timeline.id != fork->timeline.id || run->first >= number || run->last < number)
            continue;
        front.last = number - 1;
        run->first = number;
        return run_insert(self, i, front, err);
    }
    return CPAM_OK;
}

static enum cpam_status
runs_cut(struct recovery_archive *self, struct cpam_err *err)
{
    for (size_t i = 0; i < self->map.history_count; i++)
        for (size_t k = 0; k < self->histories[i]->count; k++)
            CPAM_TRY(run_cut(self, &self->histories[i]->entries[k], err));
    return CPAM_OK;
}

/* Of the first repository that has it.  CPAM_NOT_FOUND: none has one that is genuine. */
static enum cpam_status
segment_created(struct repo *const *repos, size_t repo_count, uint64_t sysid, const char *name,
                int64_t *created, struct cpam_err *err)
{
    for (size_t i = 0; i < repo_count; i++)
    {
        struct object_header header;
        enum cpam_status status = wal_archive_header(repos[i], sysid, name, &header, err);

        if (status == CPAM_OK)
            *created = header.created;
        if (status == CPAM_OK || (status != CPAM_NOT_FOUND && !authentic_wrong(status)))
            return status;
        if (authentic_wrong(status))
            cpam_log(LOG_WARNING, "WAL segment %s is taken for missing from repository \"%s\": %s",
                     name, repo_name(repos[i]), err->text);
    }
    return cpam_fail(err, CPAM_NOT_FOUND, 0, "WAL segment %s is in no repository", name);
}

/*
 * No commit in a run is later than its last segment was archived.  A segment that is not genuine
 * is as good as not there: what lies in front of it can be reached all the same, and cpam-wal-fetch
 * lets no recovery go past it.
 */
static enum cpam_status
run_end_read(struct repo *const *repos, size_t repo_count, const struct recovery_archive *self,
             struct wal_run *run, bool *empty, struct cpam_err *err)
{
    for (;; run->last--)
    {
        char name[SEGMENT_NAME_MAX];

        segment_format((struct segment){run->timeline, run->last}, self->map.segment_size, name);
        enum cpam_status status =
            segment_created(repos, repo_count, self->map.sysid, name, &run->last_created, err);
        if (status != CPAM_NOT_FOUND)
            return status;
        *empty = run->last == run->first;
        if (*empty)
            return CPAM_OK;
    }
}

static enum cpam_status
run_ends_read(struct repo *const *repos, size_t repo_count, struct recovery_archive *self,
              struct cpam_err *err)
{
    size_t kept = 0;

    for (size_t i = 0; i < self->map.run_count; i++)
    {
        bool empty = false;

        CPAM_TRY(run_end_read(repos, repo_count, self, &self->runs[i], &empty, err));
        if (!empty)
            self->runs[kept++] = self->runs[i];
    }
    self->map.run_count = kept;
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

/* The timelines of all of them, each once, in ascending order. */
static enum cpam_status
timelines_read(struct repo *const *repos, size_t repo_count, uint64_t sysid, struct timeline *out,
               size_t *count, struct cpam_err *err)
{
    CPAM_AUTO(free) struct timeline *some = calloc(TIMELINES_MAX, sizeof(*some));

    if (some == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for timelines");
    *count = 0;
    for (size_t i = 0; i < repo_count; i++)
    {
        size_t more = 0;

        CPAM_TRY(wal_archive_timelines(repos[i], sysid, some, TIMELINES_MAX, &more, err));
        for (size_t k = 0; k < more; k++)
        {
            size_t at = *count;

            while (at > 0 && out[at - 1].id > some[k].id)
                at--;
            if (at > 0 && out[at - 1].id == some[k].id)
                continue;
            if (*count == TIMELINES_MAX)
                return cpam_fail(err, CPAM_INVALID, 0, "there are more than %d timelines",
                                 TIMELINES_MAX);
            memmove(out + at + 1, out + at, (*count - at) * sizeof(*out));
            out[at] = some[k];
            ++*count;
        }
    }
    return CPAM_OK;
}

enum cpam_status
recovery_archive_read(struct repo *const *repos, size_t repo_count, uint64_t sysid,
                      const struct backup_list *backups, struct recovery_archive **out,
                      struct cpam_err *err)
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
    CPAM_TRY(timelines_read(repos, repo_count, sysid, timelines, &count, err));
    self->histories = calloc(count + 1, sizeof(struct history *));
    if (self->histories == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for what the archive holds");
    for (size_t i = 0; i < count; i++)
        CPAM_TRY(timeline_read(repos, repo_count, self, timelines[i], first, err));
    CPAM_TRY(runs_cut(self, err));
    CPAM_TRY(run_ends_read(repos, repo_count, self, err));
    self->map.backups = backups->items;
    self->map.backup_count = backups->count;
    self->map.histories = self->histories;
    self->map.runs = self->runs;
    self->map.gaps = self->gaps;
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
    free(archive->gaps);
    free(archive);
}
