/*
 * target_chain.c - walking from segment to segment, run by run, so that a million cost little.
 */
#include "repo/target_chain.h"

static size_t
path_count(const struct wal_path *path)
{
    return path->history == NULL ? 1 : path->history->count + 1;
}

static struct timeline
path_timeline(const struct wal_path *path, size_t i)
{
    if (path->history != NULL && i < path->history->count)
        return path->history->entries[i].timeline;
    return path->timeline;
}

/* The first byte that belongs to the i-th timeline. */
static uint64_t
path_begin(const struct wal_path *path, size_t i)
{
    return i == 0 ? 0 : path->history->entries[i - 1].switch_point.at;
}

/* The first byte that no longer does. */
static uint64_t
path_end(const struct wal_path *path, size_t i)
{
    if (path->history != NULL && i < path->history->count)
        return path->history->entries[i].switch_point.at;
    return UINT64_MAX;
}

static size_t
path_owner(const struct wal_path *path, uint64_t at)
{
    size_t i = 0;

    while (i + 1 < path_count(path) && at >= path_end(path, i))
        i++;
    return i;
}

static bool
path_find(const struct wal_path *path, struct timeline timeline, size_t *out)
{
    for (size_t i = 0; i < path_count(path); i++)
        if (path_timeline(path, i).id == timeline.id)
        {
            *out = i;
            return true;
        }
    return false;
}

bool
wal_path_end(const struct wal_path *path, struct timeline timeline, uint64_t *out)
{
    size_t at;

    if (!path_find(path, timeline, &at))
        return false;
    *out = path_end(path, at);
    return true;
}

uint64_t
wal_path_fork(const struct wal_path *path, const struct wal_path *other)
{
    uint64_t fork = 0;

    for (size_t i = 0; i < path_count(path) && i < path_count(other); i++)
    {
        uint64_t end = path_end(path, i), their_end = path_end(other, i);

        if (path_timeline(path, i).id != path_timeline(other, i).id)
            break;
        fork = end < their_end ? end : their_end;
        if (end != their_end)
            break;
    }
    return fork;
}

/* The run that holds this segment, or NULL.  Runs are ordered by timeline, then number. */
static const struct wal_run *
run_find(const struct recovery_map *map, struct timeline timeline, uint64_t number)
{
    size_t from = 0;
    size_t to = map->run_count;

    while (from < to)
    {
        size_t middle = from + (to - from) / 2;
        const struct wal_run *run = &map->runs[middle];

        if (run->timeline.id < timeline.id ||
            (run->timeline.id == timeline.id && run->last < number))
            from = middle + 1;
        else
            to = middle;
    }
    const struct wal_run *run = from < map->run_count ? &map->runs[from] : NULL;
    return run != NULL && run->timeline.id == timeline.id && run->first <= number ? run : NULL;
}

/* The run that serves segment number `number` up to byte `upto`, from the newest timeline down. */
static const struct wal_run *
provider(const struct recovery_map *map, const struct wal_path *path, uint64_t number,
         uint64_t upto, size_t *at)
{
    size_t owner = path_owner(path, upto);

    for (size_t i = path_count(path); i-- > owner;)
    {
        if (path_begin(path, i) / map->segment_size > number)
            continue;
        const struct wal_run *run = run_find(map, path_timeline(path, i), number);
        if (run != NULL)
        {
            *at = i;
            return run;
        }
    }
    return NULL;
}

/* Would recovery find this segment on an older timeline, no older than that of its last segment? */
static bool
overruns(const struct recovery_map *map, const struct wal_path *path, uint64_t number, size_t last)
{
    size_t owner = path_owner(path, number * map->segment_size + map->segment_size - 1);

    for (size_t i = last; i < owner; i++)
        if (run_find(map, path_timeline(path, i), number) != NULL)
            return true;
    return false;
}

static bool
later_exists(const struct recovery_map *map, const struct wal_path *path, uint64_t number)
{
    for (size_t i = 0; i < map->run_count; i++)
    {
        const struct wal_run *run = &map->runs[i];
        size_t at;

        if (!path_find(path, run->timeline, &at))
            continue;
        uint64_t end = path_end(path, at) / map->segment_size; /* the last that can count */
        uint64_t last = run->last < end ? run->last : end;
        if (last > number && last >= path_begin(path, at) / map->segment_size)
            return true;
    }
    return false;
}

static const struct gap *
given_up(const struct recovery_map *map, struct segment segment)
{
    for (size_t i = 0; i < map->gap_count; i++)
    {
        const struct gap *gap = &map->gaps[i];

        if (gap->first.timeline.id == segment.timeline.id && gap->first.number <= segment.number &&
            segment.number <= gap->last.number)
            return gap;
    }
    return NULL;
}

static void
chain_extend(struct wal_chain *chain, struct timeline timeline, uint64_t from, uint64_t to,
             const struct wal_run *run)
{
    if (chain->count == 0)
        chain->first = (struct segment){timeline, from};
    chain->count += to - from + 1;
    chain->last = (struct segment){timeline, to};
    chain->created = to == run->last ? run->last_created : 0;
}

void
wal_chain_walk(const struct recovery_map *map, const struct wal_path *path, struct lsn start,
               uint64_t limit, struct wal_chain *out)
{
    uint64_t size = map->segment_size;
    uint64_t number = start.at / size;
    size_t at = 0;

    *out = (struct wal_chain){0};
    while (number <= limit / size)
    {
        uint64_t high = number * size + size - 1;
        const struct wal_run *run = provider(map, path, number, limit < high ? limit : high, &at);

        if (run == NULL)
            break;
        /* the rest of the run at once, as far as the path stays on this timeline */
        uint64_t to = run->last;
        uint64_t end = path_end(path, at) / size;
        if (to >= end)
            to = end > number ? end - 1 : number;
        if (to > limit / size)
            to = limit / size;
        chain_extend(out, path_timeline(path, at), number, to, run);
        number = to + 1;
    }
    out->complete = number > limit / size;
    if (out->complete)
        return;

    out->missing =
        (struct segment){path_timeline(path, path_owner(path, number * size + size - 1)), number};
    out->overrun = overruns(map, path, number, at);
    out->gap = given_up(map, out->missing);
    out->hole = out->overrun || out->gap != NULL || later_exists(map, path, number);
}
