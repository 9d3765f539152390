/*
 * wal_refuse.c - the sentence a person gets when a name holds another content.
 *
 * Mostly it is what a switchover leaves: the old primary wrote on behind the point where the next
 * timeline forked, and both archive the segment the fork lies in.  Whether the difference is only
 * behind that point decides what it means, so it is looked for: in the histories beside the file
 * and in the archive.  What can't be told there is left out, and never hides the refusal.
 */
#include "repo/wal_refuse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "repo/repo.h"

enum
{
    LOCAL_LATER = 8, /* timelines behind the segment's own that are looked for beside the file */
    ARCHIVED_MAX = 64,
    WORDS_MAX = 400
};

/* Where the first fork off the segment's timeline inside this segment lies. */
struct fork
{
    bool found;
    struct timeline timeline; /* the new one */
    struct lsn at;
};

static struct lsn
lsn_of(const struct wal_refusal *refusal, uint64_t offset)
{
    return (struct lsn){refusal->item->page.address.at + offset};
}

static void
consider(const struct wal_refusal *refusal, const struct history *history, struct fork *fork)
{
    const struct wal_item *item = refusal->item;
    struct lsn at;

    if (history->timeline.id == item->name.timeline.id ||
        !history_contains(history, item->name.timeline) ||
        !history_switch_point(history, item->name.timeline, &at))
        return;
    if (at.at <= lsn_of(refusal, 0).at || at.at > lsn_of(refusal, item->size).at)
        return;
    if (!fork->found || at.at < fork->at.at)
        *fork = (struct fork){true, history->timeline, at};
}

static void
find_fork(const struct wal_refusal *refusal, struct fork *fork)
{
    struct timeline own = refusal->item->name.timeline;
    struct timeline archived[ARCHIVED_MAX];
    struct cpam_err ignored;
    size_t count = 0;

    for (uint32_t later = own.id; later < UINT32_MAX && later - own.id < LOCAL_LATER;)
    {
        CPAM_AUTO(history_free) struct history *history = NULL;
        struct timeline timeline = {++later};

        if (wal_item_history(refusal->item, timeline, &history, &ignored) == CPAM_OK)
            consider(refusal, history, fork);
    }
    if (wal_archive_timelines(refusal->repo, refusal->item->sysid, archived, ARCHIVED_MAX, &count,
                              &ignored) != CPAM_OK)
        return;
    for (size_t i = 0; i < count; i++)
    {
        CPAM_AUTO(history_free) struct history *history = NULL;

        if (archived[i].id > own.id &&
            wal_archive_history(refusal->repo, refusal->item->sysid, archived[i], &history,
                                &ignored) == CPAM_OK)
            consider(refusal, history, fork);
    }
}

static void
say_where(const struct wal_refusal *refusal, bool is_wal, char out[WORDS_MAX])
{
    char lsn[LSN_TEXT_MAX];

    out[0] = '\0';
    if (refusal->differs_at == WAL_NOT_COMPARED)
        return;
    lsn_format(lsn_of(refusal, refusal->differs_at), lsn);
    snprintf(out, WORDS_MAX, "; the first difference is at offset %" PRIu64 "%s%s",
             refusal->differs_at, is_wal ? ", LSN " : "", is_wal ? lsn : "");
}

/* Is the archived one as good as the other, on the way to the new timeline? */
static void
say_fork(const struct wal_refusal *refusal, char out[WORDS_MAX], bool *only_behind)
{
    struct fork fork = {.found = false};
    char lsn[LSN_TEXT_MAX];

    *only_behind = false;
    out[0] = '\0';
    find_fork(refusal, &fork);
    if (!fork.found)
        return;
    lsn_format(fork.at, lsn);
    *only_behind = lsn_of(refusal, refusal->differs_at).at >= fork.at.at;
    if (*only_behind)
        snprintf(out, WORDS_MAX,
                 "; the difference is only past %s, where timeline %" PRIu32
                 " forked: up to there both are the same, and the archived one is complete for a "
                 "recovery along timeline %" PRIu32,
                 lsn, fork.timeline.id, fork.timeline.id);
    else
        snprintf(out, WORDS_MAX,
                 "; it lies before %s, where timeline %" PRIu32
                 " forked: a recovery along timeline %" PRIu32 " depends on it",
                 lsn, fork.timeline.id, fork.timeline.id);
}

void
wal_refuse(const struct wal_refusal *refusal, struct cpam_err *err)
{
    char theirs[2 * CONTENT_ID_SIZE + 1], ours[2 * CONTENT_ID_SIZE + 1], when[TEXT_TIME_MAX];
    char stored_timeline[32] = "not looked at", where[WORDS_MAX], forked[WORDS_MAX] = "";
    const struct object_header *stored = refusal->stored;
    const struct wal_item *item = refusal->item;
    bool is_wal = item->name.kind == ARCHIVE_SEGMENT || item->name.kind == ARCHIVE_PARTIAL;
    bool only_behind = false;

    text_hex(stored->content_id, CONTENT_ID_SIZE, theirs);
    text_hex(refusal->content_id, CONTENT_ID_SIZE, ours);
    text_format_time(stored->created, when);
    if (refusal->page != NULL)
        snprintf(stored_timeline, sizeof(stored_timeline), "%" PRIu32, refusal->page->timeline.id);
    else if (item->name.kind == ARCHIVE_HISTORY)
        snprintf(stored_timeline, sizeof(stored_timeline), "%" PRIu32, item->name.timeline.id);
    say_where(refusal, is_wal, where);
    if (is_wal && refusal->differs_at != WAL_NOT_COMPARED)
        say_fork(refusal, forked, &only_behind);
    cpam_fail(err, CPAM_EXISTS, 0,
              "\"%s\" is archived with other content: stored since %s, content id %s, %" PRIu64
              " bytes, system identifier %" PRIu64 ", timeline %s; refused now: content id %s, "
              "%" PRIu64 " bytes, system identifier %" PRIu64 ", timeline %" PRIu32 "%s%s",
              item->name.text, when, theirs, stored->raw_length, stored->sysid, stored_timeline,
              ours, item->size, item->sysid,
              item->page.timeline.id != 0 ? item->page.timeline.id : item->name.timeline.id, where,
              forked);
    if (only_behind)
        cpam_err_hint(err,
                      "nothing was changed; this server wrote on after another was promoted: "
                      "\"cpam-repo resolve %s\" shows both sides; keep the archived one, and this "
                      "one is put aside, never deleted",
                      item->name.text);
    else
        cpam_err_hint(err,
                      "nothing was changed; two servers are writing the same timeline, or one was "
                      "restored without a new one: find out which of them is the real one; "
                      "\"cpam-repo resolve %s\" shows both sides, and puts the other one aside",
                      item->name.text);
}
