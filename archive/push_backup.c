/*
 * push_backup.c - the order of a backup.
 *
 * Checks, label, backup mode; the plan, the files, pg_control last of all (trap 21); the end of
 * backup mode in the same session, whose two texts go into the backup and never into the data
 * directory; the wait for the WAL; the manifest; the summary, which is the moment it exists.
 */
#include "push_backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backup_source.h"
#include "base/log.h"
#include "base/text.h"
#include "io/file.h"
#include "page_report.h"
#include "push_config.h"
#include "push_lock.h"
#include "push_manifest.h"
#include "push_primary.h"
#include "push_wal.h"
#include "repo/backup_fence.h"

struct push
{
    const struct push_request *request;
    const struct push_targets *targets;
    struct backup_summary summary; /* what is the same in all of them */
    struct backup_source *source;
    struct pgconn *primary; /* of the standby that is backed up; NULL: it can't be asked */
    struct push_lock *lock;
    struct plan *plan;
    struct push_base *base;
    struct pack_set *packs;
    struct push_config *config;  /* what lies outside of the data directory */
    struct page_findings *pages; /* NULL: the cluster has no checksums */
    struct push_copy *copy;
    struct progress *progress;
    struct running *running; /* in cpam-info; or NULL */
    struct backup_start start;
    struct backup_stop stop;
};

static void
push_clear_scoped_(struct push *push)
{
    push_copy_free(push->copy);
    push_config_free(push->config);
    page_findings_free(push->pages);
    progress_free(push->progress);
    running_end(push->running);
    pack_set_free(push->packs);
    backup_source_free(push->source);
    push_base_free(push->base);
    plan_free(push->plan);
    pgconn_free(push->primary);
    cpam_buf_clear(&push->stop.label_text);
    cpam_buf_clear(&push->stop.map_text);
    push_lock_free(push->lock);
}

/* The right server, and one these repositories know. */
static enum cpam_status
meet(struct push *push, struct cpam_err *err)
{
    const struct push_request *request = push->request;
    const struct backup_source_spec spec = {request->io, request->settings, request->stopped};

    CPAM_TRY(backup_source_new(&spec, &push->source, err));
    CPAM_TRY(push->source->ops->meet(push->source, err));
    push_targets_meet(push->targets, push->source->facts.sysid, push->source->control.segment_size);
    /* the paths a server on another host tells are that host's */
    if (push->source->data != NULL)
        CPAM_TRY(push_config_read(request->io, push->source->data,
                                  push->source->facts.version_num / 10000,
                                  push->source->facts.settings, &push->config, err));
    if (push_config_incomplete(push->config))
        *request->attention = true;
    return CPAM_OK;
}

/* Goes on only while there is somebody to go on for. */
static enum cpam_status
somebody(const struct push *push, struct cpam_err *err)
{
    if (push->packs != NULL)
        push_targets_look(push->targets, push->packs);
    return push_targets_left(push->targets) > 0
               ? CPAM_OK
               : cpam_fail(err, CPAM_CANCELLED, 0, "no repository is left for the backup");
}

/* From here on cpam-info tells of it. */
static void
show(struct push *push)
{
    char where[1024] = "into";

    for (size_t i = 0; i < push->targets->count; i++)
        if (push->targets->items[i].status == CPAM_OK)
        {
            size_t used = strlen(where);

            snprintf(where + used, sizeof(where) - used, " \"%.70s\"",
                     repo_name(push->targets->items[i].repo));
        }
    running_begin(push->request->io, push->request->settings->state, "cpam-base-push",
                  push->summary.label, where, &push->running);
}

/* A full backup or an incremental one, under which label; its journal. */
static enum cpam_status
choose(struct push *push, struct cpam_err *err)
{
    const struct push_request *request = push->request;
    const struct settings *settings = request->settings;
    struct push_base_spec base = {.state = settings->state,
                                  .targets = push->targets,
                                  .mode = request->mode,
                                  .full_every = settings->base.full_every,
                                  .sysid = push->source->facts.sysid,
                                  .part_size = (uint32_t) plan_part_size(push->plan)};
    char *label = push->summary.label;

    CPAM_TRY(push_base_choose(request->io, &base, &push->base, err));
    CPAM_TRY(push_base_reserve(push->base, settings->base.label_prefix, label, err));
    CPAM_TRY(somebody(push, err));
    push_base_begin(push->base, label, request->io->ops->now(request->io));
    return CPAM_OK;
}

static void
note_pack(void *arg, const struct manifest_pack *pack, const struct pack_copy *copies)
{
    struct push_base *base = arg;

    if (base->journal != NULL)
        push_journal_own_pack(base->journal, pack, copies);
}

static enum cpam_status
begin(struct push *push, struct cpam_err *err)
{
    const struct push_request *request = push->request;
    const struct settings *settings = request->settings;
    char *label = push->summary.label;

    CPAM_TRY(file_make_dirs(request->io, settings->state, 0700, err));
    CPAM_TRY(
        push_lock_take(request->io, settings->state, push->source->facts.sysid, &push->lock, err));
    CPAM_TRY(plan_new(request->io, settings->state, &push->plan, err));
    if (push->source->part_size != 0)
        plan_set_part_size(push->plan, push->source->part_size);
    CPAM_TRY(choose(push, err));
    for (size_t i = 0; i < push->targets->count; i++)
        if (push->targets->items[i].status == CPAM_OK)
        {
            cpam_log(LOG_INFO, "backup \"%s\" into repository \"%s\" begins", label,
                     repo_name(push->targets->items[i].repo));
            backup_others_tell(push->targets->items[i].repo, label);
        }
    show(push);
    struct pack_set_spec packs = {.label = label,
                                  .attempt = push->base->head.attempt,
                                  .sysid = push->source->facts.sysid,
                                  .pack_size = settings->base.pack_size,
                                  .state = settings->state,
                                  .repos = push->targets->count,
                                  .noted = note_pack,
                                  .arg = push->base};
    CPAM_TRY(pack_set_new(request->io, &packs, &push->packs, err));
    return push->source->ops->start(push->source, label, request->fast, &push->start, err);
}

/* A server starts from a standby's backup only with one of two states in pg_control. */
static enum cpam_status
check_state(const struct push *push, const struct control *control, struct cpam_err *err)
{
    bool fits = push->source->facts.standby ? control->state == CONTROL_IN_ARCHIVE_RECOVERY ||
                                                  control->state == CONTROL_SHUTDOWNED_IN_RECOVERY
                                            : control->state == CONTROL_IN_PRODUCTION;

    if (fits)
        return CPAM_OK;
    return cpam_fail(err, CPAM_REFUSED, 0, "%s during the backup: pg_control says \"%s\" now",
                     push->source->facts.standby ? "the standby was promoted or stopped"
                                                 : "the server was stopped",
                     control_state_name(control->state));
}

static enum cpam_status
put_text(struct push *push, const char *path, uint64_t part, uint8_t *text, size_t size,
         struct cpam_err *err)
{
    const struct push_piece piece = {.path = path, .part = part, .content = text, .size = size};

    return push_copy_text(push->copy, &piece, err);
}

static enum cpam_status
copy_files(struct push *push, struct cpam_err *err)
{
    const struct push_request *request = push->request;
    struct backup_source *source = push->source;
    struct repo *repos[PACK_REPOS_MAX];
    uint8_t bytes[CONTROL_FILE_SIZE];
    struct control control;
    uint64_t expected;

    push_targets_repos(push->targets, repos);
    if (source->control.data_checksum_version != 0)
        CPAM_TRY(page_findings_new(request->io, push->start.lsn,
                                   source->control.relation_segment_blocks, &push->pages, err));
    CPAM_TRY(source->ops->plan(source, push->plan, &expected, err));
    CPAM_TRY(progress_new(request->io, "backing up", expected, &push->progress, err));
    progress_show_in(push->progress, push->running);
    struct push_copy_spec spec = {.repos = repos,
                                  .plan = push->plan,
                                  .packs = push->packs,
                                  .data = source->data,
                                  .base = push->base,
                                  .pages = push->pages,
                                  .workers = request->workers,
                                  .progress = push->progress,
                                  .read = request->read,
                                  .stopped = request->stopped};
    CPAM_TRY(push_copy_new(request->io, &spec, &push->copy, err));
    CPAM_TRY(source->ops->copy(source, push->copy, err));
    if (push->pages != NULL)
    {
        struct page_report report = {.io = request->io,
                                     .conn = source->conn,
                                     .conninfo = cpam_buf_text(&source->conninfo),
                                     .streamed = source->data == NULL,
                                     .fail =
                                         strcmp(request->settings->base.checksums, "fail") == 0};

        CPAM_TRY(page_report(&report, push->pages, &push->summary, err));
    }
    CPAM_TRY(source->ops->control(source, bytes, &control, err));
    CPAM_TRY(check_state(push, &control, err));
    return put_text(push, PUSH_CONTROL_PATH, source->control_part, bytes, sizeof(bytes), err);
}

static enum cpam_status
stop(struct push *push, struct push_extra extras[2], size_t *count, struct cpam_err *err)
{
    const struct push_request *request = push->request;

    CPAM_TRY(push->source->ops->stop(push->source, &push->stop, err));
    if (push->stop.label.start.at != push->start.lsn.at)
        return cpam_fail(err, CPAM_INTERNAL, 0, "the server ended another backup than it began");
    if (push->source->facts.standby)
        CPAM_TRY(standby_check(request->io, push->source->conn, push->stop.label.timeline, err));
    *count = 0;
    extras[0] = (struct push_extra){.path = "backup_label", .mtime = push->stop.time};
    CPAM_TRY(plan_extra_part(push->plan, &extras[0].part, err));
    CPAM_TRY(put_text(push, extras[0].path, extras[0].part, push->stop.label_text.data,
                      push->stop.label_text.size, err));
    (*count)++;
    if (push->stop.map_text.size > 0)
    {
        extras[1] = (struct push_extra){.path = "tablespace_map", .mtime = push->stop.time};
        CPAM_TRY(plan_extra_part(push->plan, &extras[1].part, err));
        CPAM_TRY(put_text(push, extras[1].path, extras[1].part, push->stop.map_text.data,
                          push->stop.map_text.size, err));
        (*count)++;
    }
    CPAM_TRY(push_copy_finish(push->copy, err));
    progress_free(CPAM_STEAL(push->progress));
    return CPAM_OK;
}

static void
summarize(struct push *push, const struct push_wal *wal)
{
    struct backup_summary *summary = &push->summary;
    struct segment first, last;

    push_wal_range(wal, &first, &last);
    segment_format(first, wal->segment_size, summary->wal_first);
    segment_format(last, wal->segment_size, summary->wal_last);
    summary->sysid = push->source->facts.sysid;
    summary->major = push->source->facts.version_num / 10000;
    snprintf(summary->pg_version, sizeof(summary->pg_version), "%.60s",
             push->source->facts.version);
    summary->timeline = push->stop.label.timeline;
    summary->start = push->start.lsn;
    summary->stop = push->stop.lsn;
    summary->start_time = push->start.time;
    summary->stop_time = push->stop.time;
    summary->segment_size = push->source->control.segment_size;
    summary->has_checksums = push->source->control.data_checksum_version != 0;
    memcpy(summary->snapshot, push->stop.snapshot, sizeof(summary->snapshot));
    snprintf(summary->tool_version, sizeof(summary->tool_version), "cpam %.20s", CPAM_VERSION);
}

struct finish
{
    struct push *push;
    struct push_manifest manifest;
    bool late; /* WAL is missing somewhere, and the server was asked how archiving does */
};

/* All WAL is in this repository: the backup comes to exist there. */
static enum cpam_status
commit(const struct finish *finish, size_t number, struct cpam_err *err)
{
    struct push *push = finish->push;
    struct push_target *target = &push->targets->items[number];

    target->summary = push->summary;
    CPAM_TRY(push_manifest_put(target->repo, number, &finish->manifest, &target->summary, err));
    if (*push->request->stopped != 0)
        return cpam_fail(err, CPAM_CANCELLED, 0, "the backup was stopped");
    CPAM_TRY(push_base_stands(push->base, number, err));
    CPAM_TRY(backup_commit(target->repo, &target->summary, err));
    target->stored = true;
    return CPAM_OK;
}

static void
on_wal(void *arg, size_t number, enum cpam_status status, struct cpam_err *err)
{
    struct finish *finish = arg;
    const struct push *push = finish->push;
    char state[400];

    if (status == CPAM_DEADLINE && !finish->late)
    {
        struct pgconn *archives = push->source->facts.standby ? push->primary : push->source->conn;

        finish->late = true;
        state[0] = '\0';
        if (archives != NULL)
            archiver_state(push->request->io, archives, state, sizeof(state));
        if (state[0] != '\0')
            cpam_log(LOG_WARNING, "%s", state);
    }
    if (status == CPAM_OK)
        status = commit(finish, number, err);
    if (status != CPAM_OK)
        push_target_fail(push->targets, number, err);
}

/* Trap 22: without its primary, a standby's last segment comes when the primary has filled it. */
static void
ask_primary(struct push *push, const struct push_wal *wal)
{
    const struct push_request *request = push->request;
    char waits[TEXT_DURATION_MAX];
    struct cpam_err err;

    if (primary_open(request->io, request->settings->postgresql.connection,
                     push->source->facts.sysid, &push->primary, &err) == CPAM_OK &&
        primary_close_segment(request->io, push->primary, wal, &err) == CPAM_OK)
        return;
    text_format_duration(wal->patience, waits);
    cpam_log(LOG_WARNING,
             "the primary can't be asked to close its WAL segment (%s): waiting up to %s until it "
             "does so by itself",
             err.text, waits);
}

/* What the server tells of itself; a path that is no UTF-8 can't be told in a manifest. */
static void
add_settings(const struct pgrows *rows, struct manifest_setting *out, size_t *count)
{
    for (size_t i = 0; rows != NULL && i < rows->rows && *count < SERVER_SETTINGS_MAX; i++)
        if (text_is_utf8(rows->values[2 * i + 1], strlen(rows->values[2 * i + 1])))
            out[(*count)++] =
                (struct manifest_setting){rows->values[2 * i], rows->values[2 * i + 1]};
}

static enum cpam_status
finish(struct push *push, const struct push_extra *extras, size_t extra_count, struct cpam_err *err)
{
    struct manifest_setting settings[SERVER_SETTINGS_MAX + 1 + PUSH_CONFIG_SETTINGS_MAX];
    struct repo *repos[PACK_REPOS_MAX];
    struct push_wal wal = {.sysid = push->source->facts.sysid,
                           .timeline = push->stop.label.timeline,
                           .start = push->start.lsn,
                           .stop = push->stop.lsn,
                           .segment_size = push->source->control.segment_size,
                           .patience = push->request->archive_wait,
                           .stopped = push->request->stopped};
    size_t count = 0;

    add_settings(push->source->facts.settings, settings, &count);
    add_settings(push->source->facts.databases, settings, &count);
    if (push->source->pg_wal != NULL)
        settings[count++] = (struct manifest_setting){"pg_wal", push->source->pg_wal};
    count += push_config_settings(push->config, settings + count);
    struct finish finish = {.push = push,
                            .manifest = {.plan = push->plan,
                                         .packs = push->packs,
                                         .extras = extras,
                                         .extra_count = extra_count,
                                         .settings = settings,
                                         .setting_count = count,
                                         .base = push->base}};

    summarize(push, &wal);
    CPAM_TRY(push_base_conclude(push->base, &push->summary, err));
    if (push->source->facts.standby)
        ask_primary(push, &wal);
    push_targets_repos(push->targets, repos);
    push_wal_wait(push->request->io, repos, &wal, on_wal, &finish);
    push_base_keep(push->base, push->start.lsn);
    return CPAM_OK;
}

static enum cpam_status
back_up(struct push *push, struct cpam_err *err)
{
    struct push_extra extras[2];
    size_t extra_count = 0;

    CPAM_TRY(meet(push, err));
    CPAM_TRY(somebody(push, err));
    CPAM_TRY(begin(push, err));
    CPAM_TRY(copy_files(push, err));
    CPAM_TRY(stop(push, extras, &extra_count, err));
    CPAM_TRY(somebody(push, err));
    return finish(push, extras, extra_count, err);
}

void
push_backup(const struct push_request *request)
{
    __attribute__((cleanup(push_clear_scoped_))) struct push push = {.request = request,
                                                                     .targets = &request->targets};
    struct cpam_err err, ignored;

    if (push_targets_left(push.targets) == 0 || back_up(&push, &err) == CPAM_OK)
        return;
    /* those which failed by themselves have their own reason */
    if (somebody(&push, &ignored) == CPAM_OK)
        push_targets_fail(push.targets, &err);
}
