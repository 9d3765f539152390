/*
 * repo_check.c - cpam-repo check: is this database protected?
 *
 * The answer is given by doing it: the server is asked for a segment, and the segment has to come
 * out of each required repository again, opened by this host's own key where it has one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "check_archiver.h"
#include "check_backlog.h"
#include "check_server.h"
#include "check_spool.h"
#include "repo/backup.h"
#include "repo/recovery_map.h"
#include "repo/target.h"
#include "repo/wal_archive.h"
#include "repo_parts.h"

#define REPO_TIME  ((int64_t) 300 * 1000000) /* us */
#define LOOK_AGAIN ((int64_t) 200000)

enum
{
    REPORT_MAX = 1 << 20,
    TIMELINES_MAX = 4096
};

struct checked_repository
{
    const struct repository_settings *settings;
    struct repository *opened;
    int64_t took; /* us until the segment was there */
    bool opens;   /* its content was read with a key of this host */
};

struct check
{
    struct cli *cli;
    const char *data;
    struct control control;
    struct checked_server server;
    struct checked_repository repositories[SETTINGS_REPOSITORIES_MAX];
    size_t count;
    char segment[SEGMENT_NAME_MAX];
    struct checked_archiver archiver;
    size_t backups;
    struct backup_summary newest; /* of the first repository that has one */
    struct checked_backlogs backlogs;
    struct checked_spool spool;
    char finding[CPAM_ERR_TEXT_MAX];
};

/* --- repositories ----------------------------------------------------------------------------- */

static enum cpam_status
check_cluster(struct check *check, struct repo *repo, struct cpam_err *err)
{
    struct cluster_record record;
    enum cpam_status status = cluster_record_get(repo, check->control.sysid, &record, err);

    if (status == CPAM_NOT_FOUND)
    {
        cpam_fail(err, CPAM_FOREIGN, 0,
                  "it does not know this database (system identifier %" PRIu64 ")",
                  check->control.sysid);
        cpam_err_hint(err, "\"cpam-repo create\" makes it known, also to a repository that exists");
        return CPAM_FOREIGN;
    }
    CPAM_TRY(status);
    if (record.segment_size != check->control.segment_size)
        return cpam_fail(err, CPAM_FOREIGN, 0,
                         "it knows this database with segments of %u bytes, and they have %u",
                         record.segment_size, check->control.segment_size);
    return CPAM_OK;
}

static enum cpam_status
open_one(struct check *check, struct checked_repository *repository, struct cpam_err *err)
{
    const struct repository_purpose purpose = {.for_write = true, .for_read = true};
    struct io *io = check->cli->io;

    CPAM_TRY(repository_open(io, check->cli->settings, repository->settings, purpose,
                             deadline_after(io, REPO_TIME), &repository->opened, err));
    struct repo *repo = repository_repo(repository->opened);
    CPAM_TRY(store_prepare(repo_store(repo), err)); /* a name is taken only once: by trying */
    return check_cluster(check, repo, err);
}

static enum cpam_status
open_repositories(struct check *check, struct cpam_err *err)
{
    const struct settings *settings = check->cli->settings;

    for (size_t i = 0; i < settings->repository_count; i++)
    {
        const struct repository_settings *which = &settings->repositories[i];
        struct checked_repository *repository = &check->repositories[check->count];

        if (!repo_is_meant(check->cli, which))
            continue;
        repository->settings = which;
        enum cpam_status status = open_one(check, repository, err);
        if (status == CPAM_OK && which->required)
        {
            check->count++;
            continue;
        }
        repository_free(CPAM_STEAL(repository->opened));
        if (status == CPAM_OK)
            continue;
        if (strncmp(err->text, "repository \"", strlen("repository \"")) != 0)
            cpam_err_prefix(err, "repository \"%s\"", which->name);
        if (which->required)
            return status;
        cpam_log(LOG_WARNING, "%s (it is not required)", err->text);
    }
    if (check->count == 0)
        return cpam_fail(err, CPAM_USAGE, 0, "no required repository is left to check");
    return CPAM_OK;
}

/* --- a segment, there and back ---------------------------------------------------------------- */

static enum cpam_status
did_not_come(struct check *check, const struct checked_repository *repository, int64_t waited,
             struct cpam_err *err)
{
    char time[TEXT_DURATION_MAX];

    text_format_duration(waited, time);
    cpam_fail(err, CPAM_DEADLINE, 0,
              "not protected: segment %s did not reach repository \"%s\" within %s", check->segment,
              repository->settings->name, time);
    check_archiver_tell(&check->archiver, err);
    return CPAM_DEADLINE;
}

static bool
is_in_vain(struct check *check, int64_t waited)
{
    return waited >
               check_archiver_patience(&check->archiver, check->cli->settings->wal.push_timeout) ||
           check_archiver_gave_up(&check->archiver);
}

static enum cpam_status
wait_for_segment(struct check *check, struct checked_repository *repository, int64_t started,
                 struct cpam_err *err)
{
    struct io *io = check->cli->io;
    struct repo *repo = repository_repo(repository->opened);

    for (;;)
    {
        struct object_header header;
        enum cpam_status status =
            wal_archive_header(repo, check->control.sysid, check->segment, &header, err);

        repository->took = io->ops->monotonic(io) - started;
        if (status != CPAM_NOT_FOUND)
            return status;
        if (is_in_vain(check, repository->took))
            return did_not_come(check, repository, repository->took, err);
        io->ops->sleep(io, LOOK_AGAIN);
    }
}

/* It is there, perhaps because a worker is ahead: the archiver has to come so far, too. */
static enum cpam_status
wait_for_archiver(struct check *check, int64_t started, struct cpam_err *err)
{
    struct io *io = check->cli->io;
    char time[TEXT_DURATION_MAX];

    for (;;)
    {
        bool through;

        CPAM_TRY(check_archiver_through(&check->archiver, check->segment, &through, err));
        if (through)
            return CPAM_OK;
        int64_t waited = io->ops->monotonic(io) - started;
        if (is_in_vain(check, waited))
        {
            text_format_duration(waited, time);
            cpam_fail(err, CPAM_DEADLINE, 0,
                      "not protected: segment %s is in the repository, but not by the server's "
                      "archiver, which has not come so far within %s",
                      check->segment, time);
            check_archiver_tell(&check->archiver, err);
            return CPAM_DEADLINE;
        }
        io->ops->sleep(io, LOOK_AGAIN);
    }
}

static enum cpam_status
open_segment(struct check *check, struct checked_repository *repository, struct cpam_err *err)
{
    struct object_header header;

    repository->opens = !keyring_sealed(repository_keyring(repository->opened)) ||
                        keyring_can_open(repository_keyring(repository->opened));
    if (!repository->opens)
        return CPAM_OK;
    return wal_archive_get(repository_repo(repository->opened), check->control.sysid,
                           check->segment, sink_nowhere(), &header, err);
}

static enum cpam_status
check_segment(struct check *check, struct cpam_err *err)
{
    CPAM_TRY(check_archiver_begin(&check->server, &check->archiver, err));
    CPAM_TRY(check_server_switch(&check->server, check->segment, err));
    int64_t started = check->cli->io->ops->monotonic(check->cli->io);
    for (size_t i = 0; i < check->count; i++)
    {
        enum cpam_status status = wait_for_segment(check, &check->repositories[i], started, err);

        if (status == CPAM_OK)
            status = open_segment(check, &check->repositories[i], err);
        if (status != CPAM_OK && status != CPAM_DEADLINE)
            cpam_err_prefix(err, "repository \"%s\"", check->repositories[i].settings->name);
        CPAM_TRY(status);
    }
    return wait_for_archiver(check, started, err);
}

/* --- the verdict ------------------------------------------------------------------------------ */

/*
 * Does a restore come from the newest backup to the segment that was just archived?  The same judgement as
 * a restore's (cpam-base-fetch --target-lsn), up to its last byte: behind it a later one may well be there
 * before the next.
 */
static enum cpam_status
check_way(struct check *check, struct repo *repo, const char *name, const struct backup_list *list,
          struct cpam_err *err)
{
    CPAM_AUTO(recovery_archive_free) struct recovery_archive *archive = NULL;
    struct target target = {.kind = TARGET_LSN};
    struct target_plan plan;
    struct segment probe;

    CPAM_TRY(segment_parse(check->segment, check->control.segment_size, &probe, err));
    CPAM_TRY(recovery_archive_read(&repo, 1, check->control.sysid, list, &archive, err));
    target.timeline = probe.timeline;
    target.lsn = segment_start(segment_next(probe), check->control.segment_size);
    target.lsn.at--;
    enum cpam_status status = target_select(recovery_archive_map(archive), &target, &plan, err);
    if (status == CPAM_UNREACHABLE)
    {
        snprintf(check->finding, sizeof(check->finding),
                 "repository \"%s\" can't bring the database to the present: %.1500s; a new backup "
                 "(cpam-base-push) can",
                 name, err->text);
        return CPAM_OK;
    }
    return status;
}

static enum cpam_status
check_backups(struct check *check, struct cpam_err *err)
{
    for (size_t i = 0; i < check->count; i++)
    {
        CPAM_AUTO(backup_list_free) struct backup_list *list = NULL;
        const char *name = check->repositories[i].settings->name;

        struct repo *repo = repository_repo(check->repositories[i].opened);

        CPAM_TRY(backup_list_read(repo, &list, err));
        size_t ours = 0;
        for (size_t k = 0; k < list->count; k++)
            if (list->items[k].sysid == check->control.sysid)
            {
                check->newest = list->items[k];
                ours++;
            }
        check->backups += ours;
        if (ours == 0)
            snprintf(check->finding, sizeof(check->finding),
                     "WAL is archived, and repository \"%s\" has no backup of this database yet: "
                     "run cpam-base-push",
                     name);
        else if (list->finding_count != 0)
            snprintf(check->finding, sizeof(check->finding), "repository \"%s\": %.1500s", name,
                     list->findings[0]);
        /* without a key for it the way along a timeline's history can't be seen either */
        if (ours > 0 && check->repositories[i].opens)
            CPAM_TRY(check_way(check, repo, name, list, err));
    }
    return CPAM_OK;
}

/* Ask 6: a timeline that has WAL and no history can't be recovered along, and may be chosen again. */
static enum cpam_status
check_timelines(struct check *check, struct repo *repo, const char *name, struct cpam_err *err)
{
    CPAM_AUTO(free) struct timeline *known = calloc(TIMELINES_MAX, sizeof(*known));
    size_t count = 0;

    if (known == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the timelines");
    CPAM_TRY(wal_archive_timelines(repo, check->control.sysid, known, TIMELINES_MAX, &count, err));
    for (size_t i = 0; i < count; i++)
    {
        char history[ARCHIVE_NAME_MAX];
        struct object_header header;

        if (known[i].id == 1)
            continue;
        snprintf(history, sizeof(history), "%08" PRIX32 ".history", known[i].id);
        enum cpam_status status =
            wal_archive_header(repo, check->control.sysid, history, &header, err);
        if (status == CPAM_NOT_FOUND)
            snprintf(check->finding, sizeof(check->finding),
                     "repository \"%s\" has WAL of timeline %" PRIu32 " and no \"%s\": nobody can "
                     "recover along it; the server that has this file in pg_wal brings it with "
                     "its next segment, or push it with cpam-wal-push",
                     name, known[i].id, history);
        else
            CPAM_TRY(status);
    }
    return CPAM_OK;
}

static enum cpam_status
check_histories(struct check *check, struct cpam_err *err)
{
    for (size_t i = 0; i < check->count; i++)
        CPAM_TRY(check_timelines(check, repository_repo(check->repositories[i].opened),
                                 check->repositories[i].settings->name, err));
    return CPAM_OK;
}

static enum cpam_status
verdict(struct check *check, struct cpam_buf *out, struct cpam_err *err)
{
    char age[TEXT_DURATION_MAX], took[TEXT_DURATION_MAX];
    bool all_open = true;
    int64_t longest = 0;

    for (size_t i = 0; i < check->count; i++)
    {
        all_open = all_open && check->repositories[i].opens;
        if (check->repositories[i].took > longest)
            longest = check->repositories[i].took;
    }
    if (check->finding[0] != '\0')
        return cpam_buf_printf(out, REPORT_MAX, err, "not protected: %s", check->finding);
    text_format_duration(longest, took);
    text_format_duration(check->cli->io->ops->now(check->cli->io) - check->newest.stop_time, age);
    return cpam_buf_printf(
        out, REPORT_MAX, err,
        "protected: segment %s reached %s within %s%s; newest backup %s, %s old", check->segment,
        check->count == 1 ? "the repository" : "every required repository", took,
        all_open ? " and opens" : " (this host has no key to open it)", check->newest.label, age);
}

static enum cpam_status
print_verdict(struct check *check, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf line = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};
    struct json_writer json = {.buf = &out, .limit = REPORT_MAX};

    check->cli->attention = check->finding[0] != '\0' || check->backlogs.count > 0 ||
                            check->spool.problem.status != CPAM_OK;
    CPAM_TRY(verdict(check, &line, err));
    const char *text = cpam_buf_text(&line);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    if (!check->cli->json)
    {
        printf("%s\n", text);
        check_spool_print(&check->spool);
        return check_backlogs_print(check->cli, &check->backlogs, err);
    }
    json_begin_object(&json, NULL);
    json_put_u64(&json, "schema", 1);
    json_put_bool(&json, "protected", check->finding[0] == '\0');
    json_put_text(&json, "verdict", text);
    json_put_text(&json, "segment", check->segment);
    json_put_u64(&json, "backups", check->backups);
    check_backlogs_json(&json, &check->backlogs);
    check_spool_json(&json, &check->spool);
    json_end(&json);
    CPAM_TRY(json_writer_end(&json, err));
    printf("%s\n", cpam_buf_text(&out));
    return CPAM_OK;
}

/* The side of base.from: standby has a data directory whose server can't be asked for a segment. */
static enum cpam_status
check_role(const struct check *check, struct cpam_err *err)
{
    if (check->control.state != CONTROL_IN_ARCHIVE_RECOVERY)
        return CPAM_OK;
    cpam_fail(err, CPAM_REFUSED, 0,
              "a standby runs in \"%s\": only a primary can be asked for a segment", check->data);
    cpam_err_hint(err,
                  "run it on the primary's host, with a configuration whose postgresql.data and "
                  "postgresql.connection are the primary's; base.from: standby is of no "
                  "consequence there");
    return CPAM_REFUSED;
}

static enum cpam_status
check_all(struct check *check, struct cpam_err *err)
{
    CPAM_TRY(control_file_read(check->cli->io, check->data, &check->control, err));
    CPAM_TRY(check_role(check, err));
    CPAM_TRY(open_repositories(check, err));
    CPAM_TRY(check_server_open(&check->server, err));
    CPAM_TRY(check_segment(check, err));
    check_spool(check->cli, check->data, &check->control, &check->spool);
    CPAM_TRY(check_backups(check, err));
    CPAM_TRY(check_histories(check, err));
    CPAM_TRY(check_backlogs_read(check->cli, check->control.sysid, &check->backlogs, err));
    return print_verdict(check, err);
}

enum cpam_status
repo_check_run(struct cli *cli, struct cpam_err *err)
{
    CPAM_AUTO(free) struct check *check = calloc(1, sizeof(*check));

    if (check == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    check->cli = cli;
    check->data = cli->settings->postgresql.data;
    check->server = (struct checked_server){.io = cli->io,
                                            .data = check->data,
                                            .config = cli->config_path,
                                            .conninfo = cli->settings->postgresql.connection,
                                            .control = &check->control};
    enum cpam_status status = check_all(check, err);
    for (size_t i = 0; i < check->count; i++)
        repository_free(check->repositories[i].opened);
    pgconn_free(check->server.conn);
    return status;
}
