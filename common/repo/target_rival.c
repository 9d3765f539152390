/*
 * target_rival.c - run by run: is it off the path, from where on, and could the target lie in it?
 */
#include "repo/target_rival.h"

#include "repo/target_order.h"

/* The first byte that the timeline does not share with the path; 0 if nobody can tell. */
static uint64_t
fork_of(const struct recovery_map *map, const struct wal_path *path, struct timeline timeline)
{
    struct wal_path other = {.timeline = timeline};
    uint64_t fork;

    if (wal_path_end(path, timeline, &fork))
        return fork;
    for (size_t i = 0; i < map->history_count; i++)
        if (map->histories[i]->timeline.id == timeline.id)
            other.history = map->histories[i];
    return wal_path_fork(path, &other);
}

/* Did a recovery to a later moment make the fork?  What both share reaches behind the target then. */
static bool
forked_later(const struct recovery_map *map, const struct target *target, uint64_t fork)
{
    for (size_t i = 0; i < map->history_count; i++)
        for (size_t k = 0; k < map->histories[i]->count; k++)
            if (map->histories[i]->entries[k].switch_point.at == fork &&
                target->time < map->histories[i]->entries[k].stopped)
                return true;
    return false;
}

/* Is there a backup of what both share that ended behind the target? */
static bool
lies_before(const struct recovery_map *map, const struct target *target,
            const struct wal_path *path, uint64_t fork)
{
    for (size_t i = 0; i < map->backup_count; i++)
    {
        const struct backup_summary *backup = &map->backups[i];
        uint64_t end;

        if (backup->sysid == map->sysid && backup->stop.at <= fork &&
            wal_path_end(path, backup->timeline, &end) && backup->stop.at <= end &&
            target_is_earlier(target, backup))
            return true;
    }
    return false;
}

/* Could the target lie in this run, of which everything from the fork on is off the path? */
static bool
may_hold(const struct recovery_map *map, const struct target *target, const struct wal_path *path,
         const struct target_plan *plan, const struct wal_run *run, uint64_t fork)
{
    uint64_t end = (run->last + 1) * map->segment_size;

    if (end <= fork)
        return false;
    switch (target->kind)
    {
    case TARGET_BACKUP:
    case TARGET_IMMEDIATE: return false;
    case TARGET_LATEST: return run->last_created > plan->latest_reachable;
    case TARGET_LSN: return fork <= target->lsn.at && target->lsn.at < end;
    case TARGET_TIME:
        return target->time <= run->last_created && !forked_later(map, target, fork) &&
               !lies_before(map, target, path, fork);
    case TARGET_XID:
    case TARGET_NAME: return !lies_before(map, target, path, fork);
    }
    return false;
}

void
target_rival_note(const struct recovery_map *map, const struct target *target,
                  const struct wal_path *path, struct target_plan *plan)
{
    for (size_t i = 0; i < map->run_count; i++)
    {
        const struct wal_run *run = &map->runs[i];

        if (run->timeline.id == path->timeline.id || run->last_created <= plan->rival_created ||
            !may_hold(map, target, path, plan, run, fork_of(map, path, run->timeline)))
            continue;
        plan->rival = run->timeline;
        plan->rival_created = run->last_created;
    }
}
