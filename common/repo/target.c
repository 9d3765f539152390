/*
 * target.c - choosing the backup and the WAL for a recovery target.
 *
 * First the path (one timeline's history), then for each backup on it how far the WAL goes, then
 * the newest backup whose WAL reaches the target.  Refusals name what could be reached instead.
 */
#include "repo/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "repo/target_chain.h"
#include "repo/target_order.h"
#include "repo/target_rival.h"

/* One selection while it is made. */
struct selection
{
    const struct recovery_map *map;
    const struct target *target;
    struct wal_path path;
    /* of all usable backups, for the refusal */
    const struct backup_summary *earliest;
    int64_t latest;
    struct lsn latest_lsn;
    size_t usable;
    /* why the newest backup on the path was not usable */
    bool has_missing;
    struct segment missing;
    const struct gap *gap;
    char missing_of[BACKUP_LABEL_MAX];
};

static const struct history *
history_find(const struct recovery_map *map, struct timeline timeline)
{
    for (size_t i = 0; i < map->history_count; i++)
        if (map->histories[i]->timeline.id == timeline.id)
            return map->histories[i];
    return NULL;
}

static struct timeline
latest_timeline(const struct recovery_map *map)
{
    struct timeline latest = {map->doubtful.id > 1 ? map->doubtful.id : 1};

    for (size_t i = 0; i < map->history_count; i++)
        if (map->histories[i]->timeline.id > latest.id)
            latest = map->histories[i]->timeline;
    for (size_t i = 0; i < map->run_count; i++)
        if (map->runs[i].timeline.id > latest.id)
            latest = map->runs[i].timeline;
    for (size_t i = 0; i < map->backup_count; i++)
        if (map->backups[i].timeline.id > latest.id)
            latest = map->backups[i].timeline;
    return latest;
}

static enum cpam_status
path_set(struct selection *self, struct timeline timeline, struct cpam_err *err)
{
    self->path.timeline = timeline;
    self->path.history = history_find(self->map, timeline);
    if (self->path.history != NULL || timeline.id == 1)
        return CPAM_OK;

    struct timeline latest = latest_timeline(self->map);
    cpam_fail(err, CPAM_UNREACHABLE, 0,
              "timeline %u can't be reached: the archive does not hold %08X.history", timeline.id,
              timeline.id);
    if (timeline.id == self->map->doubtful.id)
        cpam_err_hint(err, "what lies under that name is damaged, or was not written by this "
                           "cluster; --target-timeline names another timeline");
    else if (latest.id < timeline.id)
        cpam_err_hint(err, "the newest timeline of the archive is %u", latest.id);
    return CPAM_UNREACHABLE;
}

/* Is the backup on the path, and did it end before the path left its timeline (trap 11)? */
static bool
on_path(const struct selection *self, const struct backup_summary *backup)
{
    uint64_t end;

    return backup->sysid == self->map->sysid && wal_path_end(&self->path, backup->timeline, &end) &&
           backup->stop.at <= end;
}

/* On the path, and with all the WAL that makes it consistent. */
static bool
is_usable(struct selection *self, const struct backup_summary *backup)
{
    struct wal_chain own;

    if (!on_path(self, backup) || backup->stop.at <= backup->start.at)
        return false;
    wal_chain_walk(self->map, &self->path, backup->start, backup->stop.at - 1, &own);
    if (own.complete)
        return true;
    self->has_missing = true;
    self->missing = own.missing;
    self->gap = own.gap;
    memcpy(self->missing_of, backup->label, sizeof(self->missing_of));
    return false;
}

static int64_t
latest_of(const struct wal_chain *chain, const struct backup_summary *backup)
{
    return chain->created > backup->stop_time ? chain->created : backup->stop_time;
}

/* Keep what a refusal has to say: which moments and LSNs can be reached at all. */
static void
note_reach(struct selection *self, const struct backup_summary *backup,
           const struct wal_chain *chain)
{
    int64_t latest = latest_of(chain, backup);
    uint64_t end = (chain->last.number + 1) * self->map->segment_size;

    self->usable++;
    if (self->earliest == NULL || backup->stop.at < self->earliest->stop.at)
        self->earliest = backup;
    if (latest > self->latest)
        self->latest = latest;
    if (end > self->latest_lsn.at)
        self->latest_lsn.at = end;
}

/* A hole that somebody made knowingly: which segments, and when. */
static void
say_gap(const struct gap *gap, struct cpam_err *err)
{
    char text[GAP_TEXT_MAX];

    if (gap == NULL)
        return;
    gap_format(gap, text);
    cpam_err_prefix(err, "%s", text);
    cpam_err_hint(err, "nothing behind it can be recovered along; a backup that began later can");
}

static enum cpam_status
no_usable(const struct selection *self, struct cpam_err *err)
{
    char name[SEGMENT_NAME_MAX];

    if (self->map->backup_count == 0)
        return cpam_fail(err, CPAM_UNREACHABLE, 0, "the repository holds no backup");
    if (self->has_missing)
    {
        segment_format(self->missing, self->map->segment_size, name);
        cpam_fail(err, CPAM_UNREACHABLE, 0,
                  "no backup can be used on the way to timeline %u: WAL segment %s, which "
                  "backup %s needs, is not in the archive",
                  self->path.timeline.id, name, self->missing_of);
        say_gap(self->gap, err);
        return CPAM_UNREACHABLE;
    }
    cpam_fail(err, CPAM_UNREACHABLE, 0,
              "no backup can be used on the way to timeline %u: none ended on it or, before the "
              "fork, on one of its ancestors",
              self->path.timeline.id);
    cpam_err_hint(err, "name another timeline with --target-timeline; cpam-info lists them");
    return CPAM_UNREACHABLE;
}

/* "from 2026-... (backup L) to 2026-..." or the LSNs. */
static void
reach_format(const struct selection *self, char *out, size_t size)
{
    if (self->target->kind == TARGET_LSN)
    {
        char from[LSN_TEXT_MAX];
        char to[LSN_TEXT_MAX];

        lsn_format(self->earliest->stop, from);
        lsn_format(self->latest_lsn, to);
        snprintf(out, size, "from %s (backup %s) to %s", from, self->earliest->label, to);
        return;
    }
    char from[TEXT_TIME_MAX];
    char to[TEXT_TIME_MAX];

    text_format_time(self->earliest->stop_time, from);
    text_format_time(self->latest, to);
    snprintf(out, size, "from %s (backup %s) to %s", from, self->earliest->label, to);
}

static void
target_format(const struct target *target, char *out, size_t size)
{
    char text[TEXT_TIME_MAX]; /* an LSN fits too */

    switch (target->kind)
    {
    case TARGET_TIME:
        text_format_time(target->time, text);
        snprintf(out, size, "the moment %s", text);
        return;
    case TARGET_LSN:
        lsn_format(target->lsn, text);
        snprintf(out, size, "LSN %s", text);
        return;
    case TARGET_XID: snprintf(out, size, "transaction %" PRIu64, target->xid); return;
    case TARGET_NAME: snprintf(out, size, "restore point \"%s\"", target->name); return;
    case TARGET_LATEST: snprintf(out, size, "the end of the archive"); return;
    case TARGET_BACKUP:
    case TARGET_IMMEDIATE: snprintf(out, size, "the end of the backup"); return;
    }
}

static enum cpam_status
unreachable(const struct selection *self, const char *why, struct cpam_err *err)
{
    char what[512];
    char reach[256];

    target_format(self->target, what, sizeof(what));
    reach_format(self, reach, sizeof(reach));
    return cpam_fail(err, CPAM_UNREACHABLE, 0,
                     "%s can't be reached on timeline %u: %s; what can be reached lies %s", what,
                     self->path.timeline.id, why, reach);
}

/* The highest byte whose segment the target needs. */
static uint64_t
limit_of(const struct target *target, const struct backup_summary *backup)
{
    switch (target->kind)
    {
    case TARGET_BACKUP:
    case TARGET_IMMEDIATE: return backup->stop.at - 1;
    case TARGET_LSN: return target->lsn.at;
    case TARGET_LATEST:
    case TARGET_TIME:
    case TARGET_XID:
    case TARGET_NAME: return UINT64_MAX;
    }
    return UINT64_MAX;
}

/* Among usable backups that end before the target: the newest, or for a restore point the oldest
   whose WAL goes on to the end. */
static const struct backup_summary *
choose(struct selection *self)
{
    const struct target *target = self->target;
    const struct backup_summary *best = NULL;

    for (size_t i = 0; i < self->map->backup_count; i++)
    {
        const struct backup_summary *backup = &self->map->backups[i];
        struct wal_chain chain;

        if ((target->backup != NULL && strcmp(target->backup, backup->label) != 0) ||
            !is_usable(self, backup))
            continue;
        wal_chain_walk(self->map, &self->path, backup->start, UINT64_MAX, &chain);
        note_reach(self, backup, &chain);
        if (!target_ends_before(target, backup))
            continue;
        if (target->kind == TARGET_NAME && target->backup == NULL)
        {
            if (!chain.hole && (best == NULL || backup->stop.at < best->stop.at))
                best = backup;
        }
        else if (best == NULL || backup->stop.at >= best->stop.at)
            best = backup;
    }
    return best;
}

static enum cpam_status
none_before(const struct selection *self, struct cpam_err *err)
{
    if (self->usable == 0)
        return no_usable(self, err);
    switch (self->target->kind)
    {
    case TARGET_XID:
        unreachable(self,
                    "it had finished before the end of every usable backup, or no backup can tell",
                    err);
        break;
    case TARGET_NAME:
        unreachable(self, "there is a hole in the WAL behind every backup", err);
        break;
    default: unreachable(self, "no usable backup ended before it", err); break;
    }
    if (self->target->backup != NULL)
        cpam_err_hint(err, "without --backup an older one may do");
    return CPAM_UNREACHABLE;
}

static enum cpam_status
check_reach(const struct selection *self, const struct backup_summary *backup,
            const struct wal_chain *chain, struct cpam_err *err)
{
    const struct target *target = self->target;
    char name[SEGMENT_NAME_MAX] = "";
    char why[256];

    if (!chain->complete)
        segment_format(chain->missing, self->map->segment_size, name);
    if (target->kind == TARGET_LSN || target->kind == TARGET_BACKUP ||
        target->kind == TARGET_IMMEDIATE)
    {
        if (chain->complete)
            return CPAM_OK;
        snprintf(why, sizeof(why), "WAL segment %s is not in the archive", name);
        return unreachable(self, why, err);
    }
    if (target->kind == TARGET_TIME && target->time > latest_of(chain, backup))
    {
        snprintf(why, sizeof(why), "the archive %s WAL segment %s",
                 chain->hole ? "has a hole at" : "ends before", name);
        unreachable(self, why, err);
        if (!chain->hole)
            cpam_err_hint(err,
                          "while the server still runs, \"cpam-repo check\" archives what it has "
                          "written up to now; if it is lost, --latest restores all there is");
        return CPAM_UNREACHABLE;
    }
    if (target->kind == TARGET_LATEST && chain->overrun && !target->accept_end)
    {
        snprintf(why, sizeof(why),
                 "WAL segment %s is not in the archive, and recovery would take an older "
                 "timeline's instead, with what that one wrote after the fork",
                 name);
        unreachable(self, why, err);
        cpam_err_hint(err, "archive it first; --target-timeline recovers along the older timeline, "
                           "--accept-end ends in front of this segment");
        return CPAM_UNREACHABLE;
    }
    if (target->kind == TARGET_LATEST && chain->hole && !target->accept_end)
    {
        snprintf(why, sizeof(why),
                 chain->gap != NULL
                     ? "WAL segment %s is not in the archive"
                     : "WAL segment %s is missing from the archive though later ones are there",
                 name);
        unreachable(self, why, err);
        cpam_err_hint(err, "recover to a moment before the hole with --pitr, or give --accept-end "
                           "to end in front of it");
        return CPAM_UNREACHABLE;
    }
    return CPAM_OK;
}

/* Does the WAL behind the chosen backup reach the target? */
static enum cpam_status
check_end(const struct selection *self, const struct backup_summary *backup,
          const struct wal_chain *chain, struct cpam_err *err)
{
    enum cpam_status status = check_reach(self, backup, chain, err);

    if (status == CPAM_UNREACHABLE)
        say_gap(chain->gap, err);
    return status;
}

static enum cpam_status
backup_known(const struct recovery_map *map, const char *label, const struct backup_summary **out,
             struct cpam_err *err)
{
    for (size_t i = 0; i < map->backup_count; i++)
        if (strcmp(map->backups[i].label, label) == 0)
        {
            *out = &map->backups[i];
            return CPAM_OK;
        }
    cpam_fail(err, CPAM_NOT_FOUND, 0, "the repository holds no backup \"%s\"", label);
    if (map->backup_count > 0)
        cpam_err_hint(err, "the newest is %s; cpam-info lists them all",
                      map->backups[map->backup_count - 1].label);
    return CPAM_NOT_FOUND;
}

/* Along one timeline; what other ones hold is not looked at. */
static enum cpam_status
select_on(struct selection *self, struct timeline timeline, struct target_plan *out,
          struct cpam_err *err)
{
    const struct target *target = self->target;
    bool own_timeline = target->kind == TARGET_BACKUP || target->kind == TARGET_IMMEDIATE;
    struct wal_chain chain;

    CPAM_TRY(path_set(self, timeline, err));
    out->backup = choose(self);
    if (out->backup == NULL)
        return none_before(self, err);
    wal_chain_walk(self->map, &self->path, out->backup->start, limit_of(target, out->backup),
                   &chain);
    CPAM_TRY(check_end(self, out->backup, &chain, err));

    out->timeline = own_timeline && target->timeline.id == 0 ? out->backup->timeline : timeline;
    out->first = chain.first;
    out->last = chain.last;
    out->segments = chain.count;
    out->missing = chain.missing;
    out->hole = chain.hole;
    out->gap = chain.gap;
    out->overrun = chain.overrun;
    out->latest_reachable = own_timeline ? out->backup->stop_time : latest_of(&chain, out->backup);
    out->unchecked_target = target->kind == TARGET_XID || target->kind == TARGET_NAME;
    target_rival_note(self->map, target, &self->path, out);
    return CPAM_OK;
}

/* Nobody asked for a timeline, and the target is not on the latest: is it on an older one? */
static void
look_elsewhere(const struct recovery_map *map, const struct target *target, struct timeline missed,
               struct target_plan *out, struct cpam_err *err)
{
    if (target->kind != TARGET_TIME && target->kind != TARGET_LSN && target->kind != TARGET_XID)
        return;
    for (uint32_t id = missed.id; id-- > 1;)
    {
        struct selection other = {.map = map, .target = target};
        struct target_plan plan = {0};
        struct cpam_err ignored;

        if ((id > 1 && history_find(map, (struct timeline){id}) == NULL) ||
            select_on(&other, (struct timeline){id}, &plan, &ignored) != CPAM_OK)
            continue;
        out->elsewhere.id = id;
        cpam_err_hint(err, "timeline %u %s it: --target-timeline %u", id,
                      plan.unchecked_target ? "may have" : "reaches", id);
        return;
    }
}

enum cpam_status
target_select(const struct recovery_map *map, const struct target *target, struct target_plan *out,
              struct cpam_err *err)
{
    struct selection self = {.map = map, .target = target};
    const struct backup_summary *named = NULL;
    bool own_timeline = target->kind == TARGET_BACKUP || target->kind == TARGET_IMMEDIATE;
    struct timeline timeline = target->timeline;

    *out = (struct target_plan){0};
    if (!segment_size_valid(map->segment_size))
        return cpam_fail(err, CPAM_INVALID, 0, "%u bytes is not a size of WAL segments",
                         map->segment_size);
    if (target->backup != NULL)
        CPAM_TRY(backup_known(map, target->backup, &named, err));
    if (timeline.id == 0)
        timeline = named != NULL && own_timeline ? named->timeline : latest_timeline(map);
    enum cpam_status status = select_on(&self, timeline, out, err);
    if (status != CPAM_OK)
        *out = (struct target_plan){0};
    if (status == CPAM_UNREACHABLE && target->timeline.id == 0)
        look_elsewhere(map, target, timeline, out, err);
    return status;
}
