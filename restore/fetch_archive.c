/*
 * fetch_archive.c - one repository after the other; what "not there" of each is worth.
 *
 * CPAM_NOT_FOUND alone proves nothing: a repository that does not exist (an unmounted disk, a wrong
 * URL), or that was never told of this cluster, has no file of it either.  It counts as an absence
 * only from wal_archive_get(), before a byte came, of a repository that was opened and has a
 * record of the cluster.
 */
#include "fetch_archive.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "cli/repository.h"
#include "fetch_delivery.h"
#include "fetch_prefetched.h"
#include "fetch_tablespaces.h"
#include "repo/gap.h"
#include "repo/wal_archive.h"

struct round /* asking all of them once */
{
    const struct fetch_request *request;
    struct fetch_delivery *delivery;
    struct tablespace_watch *watch; /* NULL: it is not for a server that replays it */
    bool harmful;
    const struct repository_settings *order[SETTINGS_REPOSITORIES_MAX];
    struct fetch_finding findings[SETTINGS_REPOSITORIES_MAX];
    struct cpam_err errors[SETTINGS_REPOSITORIES_MAX];
    size_t count;
};

/* The system identifier whose archive is meant. */
static enum cpam_status
cluster_of(const struct fetch_request *request, struct repo *repo, uint64_t *sysid,
           struct cpam_err *err)
{
    size_t count = 0;

    *sysid = request->sysid;
    if (*sysid != 0)
        return CPAM_OK;
    CPAM_TRY(cluster_record_list(repo, sysid, 1, &count, err));
    if (count == 0)
        return cpam_fail(err, CPAM_FOREIGN, 0, "the repository has no record of any cluster");
    return CPAM_OK;
}

static enum cpam_status
record_check(struct repo *repo, uint64_t sysid, struct cluster_record *record, struct cpam_err *err)
{
    enum cpam_status status = cluster_record_get(repo, sysid, record, err);

    if (status != CPAM_NOT_FOUND)
        return status;
    cpam_fail(err, CPAM_FOREIGN, 0,
              "the repository knows no cluster with system identifier %" PRIu64
              ", which is the one in pg_control here",
              sysid);
    cpam_err_hint(err, "check repositories and cluster in the configuration: this may be the "
                       "archive of another database cluster");
    return CPAM_FOREIGN;
}

/* A hole that somebody made knowingly, and that may lie at the very end of the archive. */
static enum cpam_status
tell_gap(struct repo *repo, uint64_t sysid, const struct archive_name *name, bool *given_up,
         struct cpam_err *err)
{
    char text[GAP_TEXT_MAX];
    struct gap gap;

    CPAM_TRY(gap_covers(repo, sysid, name, given_up, &gap, err));
    if (!*given_up)
        return CPAM_OK;
    gap_format(&gap, text);
    cpam_fail(err, CPAM_UNKNOWN, 0, "%s", text);
    cpam_err_hint(err, "no recovery goes past it, unless a server still has the file in pg_wal; a "
                       "backup that began later can be restored");
    return CPAM_OK;
}

/* No file has this segment: does something that is there say that there was one?  *err is set then. */
static enum cpam_status
segment_followed(struct repo *repo, const struct cluster_record *record,
                 const struct archive_name *name, bool *more, struct cpam_err *err)
{
    struct timeline branch;
    struct segment segment;

    CPAM_TRY(wal_archive_later_exists(repo, record->sysid, name, more, err));
    if (*more)
    {
        cpam_fail(err, CPAM_UNKNOWN, 0,
                  "it is missing although later segments of its timeline are there");
        return CPAM_OK;
    }
    CPAM_TRY(archive_name_segment(name, record->segment_size, &segment, err));
    CPAM_TRY(
        wal_archive_branch_later(repo, record->sysid, segment, record->segment_size, &branch, err));
    *more = branch.id != 0;
    if (*more)
        cpam_fail(err, CPAM_UNKNOWN, 0,
                  "it is missing although timeline %" PRIu32 " branched off in a later segment",
                  branch.id);
    return CPAM_OK;
}

static enum cpam_status
history_followed(struct repo *repo, uint64_t sysid, const struct archive_name *name, bool *more,
                 struct cpam_err *err)
{
    CPAM_TRY(wal_archive_timeline_known(repo, sysid, name->timeline, more, err));
    if (*more)
        cpam_fail(err, CPAM_UNKNOWN, 0,
                  "it is missing although other files speak of timeline %" PRIu32,
                  name->timeline.id);
    return CPAM_OK;
}

/* A copy of the store that lags behind, a cache that remembers a "no": anything but an absence. */
static void
tell_listed(enum fetch_outcome *outcome, struct cpam_err *err)
{
    *outcome = FETCH_UNKNOWN;
    cpam_fail(err, CPAM_UNKNOWN, 0,
              "the store lists it, and says that it is not there when it is read");
    cpam_err_hint(err, "a store that contradicts itself proves nothing: ask again later, and look "
                       "for a cache or a replica that lags behind in front of it");
}

/* wal_archive_get() found nothing: is that the end, or a hole?  *err says which, in any case. */
static enum cpam_status
tell_absence(struct repo *repo, uint64_t sysid, const struct archive_name *name,
             enum fetch_outcome *outcome, struct cpam_err *err)
{
    bool more = false, aside = false, given_up = false, listed = false;
    struct cluster_record record;

    CPAM_TRY(record_check(repo, sysid, &record, err));
    CPAM_TRY(wal_archive_conflict(repo, sysid, name, &listed, err));
    if (listed)
    {
        tell_listed(outcome, err);
        return CPAM_OK;
    }
    CPAM_TRY(tell_gap(repo, sysid, name, &given_up, err));
    if (given_up)
    {
        *outcome = FETCH_HOLE;
        return CPAM_OK;
    }
    CPAM_TRY(wal_archive_put_aside(repo, sysid, name, &aside, err));
    if (aside)
    {
        *outcome = FETCH_HOLE;
        cpam_fail(err, CPAM_UNKNOWN, 0,
                  "it was put into quarantine, and nothing has its name yet: a conflict is being "
                  "resolved");
        cpam_err_hint(err, "\"cpam-repo quarantine\" shows it; run \"cpam-repo resolve\" again, or "
                           "let the server whose content was kept archive it");
        return CPAM_OK;
    }
    switch (name->kind)
    {
    case ARCHIVE_SEGMENT: CPAM_TRY(segment_followed(repo, &record, name, &more, err)); break;
    case ARCHIVE_HISTORY: CPAM_TRY(history_followed(repo, sysid, name, &more, err)); break;
    case ARCHIVE_BACKUP_HISTORY:
    case ARCHIVE_PARTIAL: break; /* nothing follows from these */
    }
    *outcome = more ? FETCH_HOLE : FETCH_ABSENT;
    if (!more)
        cpam_fail(err, CPAM_NOT_FOUND, 0, "it is not in the archive, and nothing after it is");
    if (more)
        cpam_err_hint(
            err, "archive it again if any server still has it in pg_wal, or put that file into "
                 "pg_wal of the server that recovers");
    return CPAM_OK;
}

static enum cpam_status
absence_of(struct repo *repo, uint64_t sysid, const struct archive_name *name,
           enum fetch_outcome *outcome, struct cpam_err *err)
{
    enum cpam_status status = tell_absence(repo, sysid, name, outcome, err);

    cpam_err_prefix(err, "repository \"%s\"", repo_name(repo));
    return status;
}

/*
 * What was read is verified: is it the only content of its name (F13)?  Where that can't be told it
 * goes out all the same: a listing that fails must not keep a server from its WAL.
 */
static enum cpam_status
no_conflict(const struct round *round, struct repo *repo, uint64_t sysid, struct cpam_err *err)
{
    struct io *io = round->request->io;
    struct store *store = repo_store(repo);
    const struct deadline whole = store->deadline;

    if (whole.at != 0)
        store->deadline = deadline_after(io, deadline_left(io, whole) / 2);
    enum cpam_status status =
        wal_archive_conflict(repo, sysid, &round->request->situation->name, NULL, err);
    store->deadline = whole;
    if (status == CPAM_EXISTS)
        cpam_err_prefix(err, "repository \"%s\"", repo_name(repo));
    if (status == CPAM_OK || status == CPAM_EXISTS)
        return status;
    cpam_log(LOG_WARNING, "whether other contents lie beside it could not be told: %s", err->text);
    return CPAM_OK;
}

/* Would replay of what came use what is not this server's? */
static enum cpam_status
look_at(struct round *round, struct cpam_err *err)
{
    const struct fetch_request *request = round->request;

    if (round->watch == NULL)
        return CPAM_OK;
    enum cpam_status status =
        tablespaces_check(request->io, request->situation, fetch_delivery_path(round->delivery),
                          tablespace_watch_any(round->watch), err);
    round->harmful = status == CPAM_EXISTS;
    return status;
}

/* The file goes out whole, verified and of the right length, or the delivery is empty again. */
static enum cpam_status
deliver(struct round *round, struct repo *repo, uint64_t sysid, struct cpam_err *err)
{
    const struct fetch_situation *situation = round->request->situation;
    struct sink *to = fetch_delivery_sink(round->delivery);
    struct object_header header;
    uint64_t size;

    if (round->watch != NULL)
        to = tablespace_watch_over(round->watch, to);
    CPAM_TRY(wal_archive_get(repo, sysid, situation->name.text, to, &header, err));
    size = fetch_delivery_size(round->delivery);
    if (situation->name.kind == ARCHIVE_SEGMENT && situation->has_control &&
        size != situation->control.segment_size)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the archived file has %" PRIu64 " bytes, but pg_control here says that "
                         "segments have %" PRIu32,
                         size, situation->control.segment_size);
    CPAM_TRY(look_at(round, err));
    CPAM_TRY(no_conflict(round, repo, sysid, err));
    return fetch_delivery_publish(round->delivery, err);
}

/* CPAM_OK with *outcome: it could tell. */
static enum cpam_status
ask_once(struct round *round, struct repo *repo, uint64_t sysid, enum fetch_outcome *outcome,
         struct cpam_err *err)
{
    const struct archive_name *name = &round->request->situation->name;
    enum cpam_status status = deliver(round, repo, sysid, err);

    if (status == CPAM_OK)
    {
        *outcome = FETCH_DELIVERED;
        return CPAM_OK;
    }
    if (status != CPAM_NOT_FOUND)
        return status;
    if (fetch_delivery_size(round->delivery) > 0)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "it vanished while it was read");
    return absence_of(repo, sysid, name, outcome, err);
}

/*
 * Asks an opened repository.  Where it is being written to, the file and what comes after it may
 * have been archived between "not there" and the listing: a hole, or a name that is listed and can't
 * be read, is one only when it is still so behind the listing.
 */
static enum cpam_status
ask_opened(struct round *round, struct repo *repo, enum fetch_outcome *outcome,
           struct cpam_err *err)
{
    uint64_t sysid;

    CPAM_TRY(cluster_of(round->request, repo, &sysid, err));
    CPAM_TRY(ask_once(round, repo, sysid, outcome, err));
    if (*outcome == FETCH_DELIVERED || *outcome == FETCH_ABSENT)
        return CPAM_OK;
    *outcome = FETCH_UNKNOWN;
    CPAM_TRY(ask_once(round, repo, sysid, outcome, err));
    if (*outcome == FETCH_ABSENT)
        return cpam_fail(
            err, CPAM_UNKNOWN, 0,
            "repository \"%s\": it, or what comes after it, was listed and then was not",
            repo_name(repo));
    return CPAM_OK;
}

static enum cpam_status
ask(struct round *round, size_t at, enum fetch_outcome *outcome, struct cpam_err *err)
{
    const struct fetch_request *request = round->request;
    CPAM_AUTO(repository_free) struct repository *repository = NULL;
    struct repository_purpose purpose = {.for_read = true};
    struct deadline share = {0}, opening;

    if (request->deadline.at != 0)
        share = deadline_after(request->io, deadline_left(request->io, request->deadline) /
                                                (int64_t) (round->count - at));
    opening = share;
    if (!round->findings[at].in_read_set)
        opening = deadline_sooner(share, deadline_after(request->io, FETCH_EXTRA_PATIENCE));
    CPAM_TRY(repository_open(request->io, request->settings, round->order[at], purpose, opening,
                             &repository, err));
    repo_store(repository_repo(repository))->deadline = share;
    return ask_opened(round, repository_repo(repository), outcome, err);
}

static enum cpam_status
order_make(struct round *round, struct cpam_err *err)
{
    const struct settings *settings = round->request->settings;
    const struct repository_settings *named = NULL;
    bool any_required = false;

    if (round->request->repo != NULL)
    {
        CPAM_TRY(settings_repository(settings, round->request->repo, &named, err));
        round->order[round->count++] = named;
    }
    /* what another one held then may be another story, and a directory would be refused each time */
    if (named != NULL && settings->as_of != 0)
    {
        round->findings[0].in_read_set = true;
        return CPAM_OK;
    }
    for (size_t i = 0; i < settings->repository_count; i++)
    {
        any_required |= settings->repositories[i].required;
        if (&settings->repositories[i] != named)
            round->order[round->count++] = &settings->repositories[i];
    }
    for (size_t i = 0; i < round->count; i++)
        round->findings[i].in_read_set = round->request->repo != NULL
                                             ? round->order[i] == named
                                             : round->order[i]->required || !any_required;
    return CPAM_OK;
}

/* Which repository's sentence explains the outcome. */
static size_t
decider(const struct round *round, enum fetch_outcome outcome)
{
    for (size_t i = 0; i < round->count; i++)
        if (round->findings[i].outcome == outcome &&
            (round->findings[i].in_read_set || outcome == FETCH_HOLE))
            return i;
    return 0;
}

static enum cpam_status
conflict(const struct round *round, size_t at, struct fetch_result *result)
{
    result->outcome = FETCH_UNKNOWN;
    result->harmful = round->harmful;
    result->err = round->errors[at];
    if (!round->harmful) /* which says its name */
        cpam_err_prefix(&result->err, "%s", round->request->situation->name.text);
    return CPAM_OK;
}

enum cpam_status
fetch_archive(const struct fetch_request *request, struct fetch_result *result,
              struct cpam_err *err)
{
    CPAM_AUTO(free) struct round *round = calloc(1, sizeof(*round));
    CPAM_AUTO(fetch_delivery_free) struct fetch_delivery *delivery = NULL;
    CPAM_AUTO(tablespace_watch_free) struct tablespace_watch *watch = NULL;

    result->harmful = false;
    if (round == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory to ask the repositories");
    round->request = request;
    CPAM_TRY(order_make(round, err));
    CPAM_TRY(fetch_delivery_new(request->io, request->situation, &delivery, err));
    round->delivery = delivery;
    if (!request->any_tablespace && fetch_prefetched_applies(request->situation))
        CPAM_TRY(tablespace_watch_new(&watch, err));
    round->watch = watch;
    for (size_t i = 0; i < round->count; i++)
    {
        struct fetch_finding *finding = &round->findings[i];
        struct cpam_err *why = &round->errors[i];

        if (ask(round, i, &finding->outcome, why) != CPAM_OK)
            finding->outcome = FETCH_UNKNOWN;
        /* two contents: another repository has one of them, and can't say which is real; or one that
           would do harm, wherever it comes from */
        if (finding->outcome == FETCH_UNKNOWN && why->status == CPAM_EXISTS)
            return conflict(round, i, result);
        if (finding->outcome == FETCH_DELIVERED)
        {
            result->outcome = FETCH_DELIVERED;
            return CPAM_OK;
        }
        if (finding->outcome == FETCH_UNKNOWN && i + 1 < round->count)
            cpam_log(LOG_WARNING, "%s: %s; asking the next repository",
                     request->situation->name.text, why->text);
        fetch_delivery_restart(delivery);
    }
    result->outcome = fetch_outcome_of(round->findings, round->count);
    result->err = round->errors[decider(round, result->outcome)];
    cpam_err_prefix(&result->err, "%s", request->situation->name.text);
    return CPAM_OK;
}
