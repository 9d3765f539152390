/*
 * wal_catalogue.c - what the archive holds, from listings.
 *
 * Names in a listing prove nothing to somebody who can write to the bucket.  They are used where a
 * planted one can only make us more careful (a later segment turns "absent" into "a hole"), or
 * where each object is authenticated before it counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "repo/layout.h"
#include "repo/wal_seal.h"

/* The whole segment a key names, if it does, and if it lies where it belongs. */
static bool
segment_key(uint64_t sysid, const char *key, struct archive_name *name)
{
    char expected[LAYOUT_KEY_MAX];
    struct cpam_err ignored;

    if (archive_name_parse(layout_base_name(key), name, &ignored) != CPAM_OK ||
        name->kind != ARCHIVE_SEGMENT)
        return false;
    layout_wal(sysid, name, expected);
    return strcmp(expected, key) == 0;
}

struct finding_later
{
    uint64_t sysid;
    const struct archive_name *than;
    bool found;
};

static enum cpam_status
find_later(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct finding_later *finding = arg;
    struct archive_name name;

    (void) err;
    if (!segment_key(finding->sysid, entry->key, &name))
        return CPAM_OK;
    if (name.log < finding->than->log ||
        (name.log == finding->than->log && name.low <= finding->than->low))
        return CPAM_OK;
    finding->found = true;
    return CPAM_CANCELLED;
}

enum cpam_status
wal_archive_later_exists(struct repo *repo, uint64_t sysid, const struct archive_name *name,
                         bool *exists, struct cpam_err *err)
{
    struct finding_later finding = {sysid, name, false};
    char prefix[LAYOUT_KEY_MAX], after[LAYOUT_KEY_MAX];

    *exists = false;
    layout_wal_timeline(sysid, name->timeline, prefix);
    layout_wal(sysid, name, after);
    CPAM_TRY(store_list(repo_store(repo), prefix, name->kind == ARCHIVE_HISTORY ? NULL : after,
                        false, find_later, &finding, err));
    *exists = finding.found;
    return CPAM_OK;
}

static enum cpam_status
find_any(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct archive_name name;

    if (archive_name_parse(layout_base_name(entry->key), &name, err) != CPAM_OK)
        return CPAM_OK;
    *(bool *) arg = true;
    return CPAM_CANCELLED;
}

struct gathering
{
    struct timeline *out;
    size_t cap, count;
    bool histories_only;
};

static enum cpam_status
gather_timeline(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    static const char tail[] = ".history";
    struct gathering *gathering = arg;
    struct archive_name name;
    char text[ARCHIVE_NAME_MAX];
    size_t length = strlen(entry->key);
    struct cpam_err ignored;

    if (entry->is_prefix)
    {
        /* ".../<TLI>/": read as if it were a history's name, which has the same grammar */
        if (gathering->histories_only || length < 9 || entry->key[length - 1] != '/')
            return CPAM_OK;
        memcpy(text, entry->key + length - 9, 8);
        memcpy(text + 8, tail, sizeof(tail));
    }
    else
        snprintf(text, sizeof(text), "%.*s", (int) sizeof(text) - 1, layout_base_name(entry->key));
    if (archive_name_parse(text, &name, &ignored) != CPAM_OK || name.kind != ARCHIVE_HISTORY)
        return CPAM_OK;
    /* the listing is in byte order, so "00000002.history" comes right before "00000002/" */
    for (size_t i = gathering->count; i > 0; i--)
        if (gathering->out[i - 1].id == name.timeline.id)
            return CPAM_OK;
    if (gathering->count == gathering->cap)
        return cpam_fail(err, CPAM_INVALID, 0, "there are more than %zu timelines", gathering->cap);
    gathering->out[gathering->count++] = name.timeline;
    return CPAM_OK;
}

static int
by_id(const void *a, const void *b)
{
    uint32_t left = ((const struct timeline *) a)->id, right = ((const struct timeline *) b)->id;

    return left < right ? -1 : left > right;
}

static enum cpam_status
list_timelines(struct repo *repo, uint64_t sysid, struct gathering *gathering, struct cpam_err *err)
{
    char prefix[LAYOUT_KEY_MAX];

    layout_wal_root(sysid, prefix);
    CPAM_TRY(store_list(repo_store(repo), prefix, NULL, true, gather_timeline, gathering, err));
    if (gathering->count > 0)
        qsort(gathering->out, gathering->count, sizeof(*gathering->out), by_id);
    return CPAM_OK;
}

enum cpam_status
wal_archive_timelines(struct repo *repo, uint64_t sysid, struct timeline *out, size_t cap,
                      size_t *count, struct cpam_err *err)
{
    struct gathering gathering = {out, cap, 0, false};

    *count = 0;
    CPAM_TRY(list_timelines(repo, sysid, &gathering, err));
    *count = gathering.count;
    return CPAM_OK;
}

/* true: that is enough */
typedef bool (*history_fn)(void *arg, const struct history *history);

/* The stored histories of timelines that came after this one. */
static enum cpam_status
each_later_history(struct repo *repo, uint64_t sysid, struct timeline timeline, history_fn fn,
                   void *arg, struct cpam_err *err)
{
    CPAM_AUTO(free) struct timeline *later = calloc(HISTORY_ENTRIES_MAX, sizeof(*later));
    struct gathering gathering = {later, HISTORY_ENTRIES_MAX, 0, true};

    if (later == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the timelines");
    CPAM_TRY(list_timelines(repo, sysid, &gathering, err));
    for (size_t i = 0; i < gathering.count; i++)
    {
        CPAM_AUTO(history_free) struct history *history = NULL;

        if (later[i].id <= timeline.id)
            continue;
        CPAM_TRY(wal_archive_history(repo, sysid, later[i], &history, err));
        if (fn(arg, history))
            return CPAM_OK;
    }
    return CPAM_OK;
}

struct naming
{
    struct timeline timeline;
    bool found;
};

static bool
names_it(void *arg, const struct history *history)
{
    struct naming *naming = arg;

    naming->found = history_contains(history, naming->timeline);
    return naming->found;
}

enum cpam_status
wal_archive_timeline_known(struct repo *repo, uint64_t sysid, struct timeline timeline, bool *known,
                           struct cpam_err *err)
{
    struct naming naming = {timeline, false};
    char prefix[LAYOUT_KEY_MAX];

    *known = false;
    layout_wal_timeline(sysid, timeline, prefix);
    CPAM_TRY(store_list(repo_store(repo), prefix, NULL, false, find_any, known, err));
    if (*known)
        return CPAM_OK;
    CPAM_TRY(each_later_history(repo, sysid, timeline, names_it, &naming, err));
    *known = naming.found;
    return CPAM_OK;
}

struct branching
{
    struct segment from;
    uint32_t segment_size;
    struct timeline branch; /* 0: none */
};

static bool
branches_behind(void *arg, const struct history *history)
{
    struct branching *branching = arg;
    struct lsn at;

    /* in the segment of the switch itself the branch has a copy of what came before it */
    if (!history_switch_point(history, branching->from.timeline, &at) ||
        at.at / branching->segment_size <= branching->from.number)
        return false;
    branching->branch = history->timeline;
    return true;
}

enum cpam_status
wal_archive_branch_later(struct repo *repo, uint64_t sysid, struct segment segment,
                         uint32_t segment_size, struct timeline *branch, struct cpam_err *err)
{
    struct branching branching = {segment, segment_size, {0}};
    enum cpam_status status =
        each_later_history(repo, sysid, segment.timeline, branches_behind, &branching, err);

    *branch = branching.branch;
    return status;
}

struct walking
{
    uint64_t sysid;
    struct segment from;
    uint32_t segment_size;
    wal_segment_fn fn;
    void *arg;
};

static enum cpam_status
walk_segment(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    const struct walking *walking = arg;
    struct archive_name name;
    struct segment segment;
    struct cpam_err why;

    if (!segment_key(walking->sysid, entry->key, &name))
        return CPAM_OK;
    if (archive_name_segment(&name, walking->segment_size, &segment, &why) != CPAM_OK)
    {
        cpam_log(LOG_WARNING, "\"%s\" is passed over: %s", entry->key, why.text);
        return CPAM_OK;
    }
    if (segment.number < walking->from.number)
        return CPAM_OK;
    return walking->fn(walking->arg, segment, entry->size, entry->modified, err);
}

enum cpam_status
wal_archive_segments(struct repo *repo, uint64_t sysid, struct segment from, uint32_t segment_size,
                     wal_segment_fn fn, void *arg, struct cpam_err *err)
{
    struct walking walking = {sysid, from, segment_size, fn, arg};
    char prefix[LAYOUT_KEY_MAX], after[LAYOUT_KEY_MAX];
    char text[SEGMENT_NAME_MAX];
    struct archive_name name;

    layout_wal_timeline(sysid, from.timeline, prefix);
    if (from.number == 0)
        return store_list(repo_store(repo), prefix, NULL, false, walk_segment, &walking, err);
    segment_format((struct segment){from.timeline, from.number - 1}, segment_size, text);
    CPAM_TRY(archive_name_parse(text, &name, err));
    layout_wal(sysid, &name, after);
    return store_list(repo_store(repo), prefix, after, false, walk_segment, &walking, err);
}
