/*
 * base_fetch.c - cpam-base-fetch: a data directory out of a backup, ready to recover to a target.
 *
 * The plan is made first, from the repository alone: what can't be done is refused before anything
 * is written.  pg_control gets its name last, so that PostgreSQL refuses to start on less than the
 * whole; running the same command again over what an aborted run left begins anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base_options.h"
#include "cli/as_of.h"
#include "cli/program.h"
#include "config_files.h"
#include "io/file.h"
#include "later_tablespaces.h"
#include "pg/guc_file.h"
#include "repo/authentic.h"
#include "repo/recovery_map.h"
#include "restore_next.h"
#include "restore_plan.h"
#include "restore_transfer.h"
#include "worker/thread.h"

enum
{
    TIMELINE_DIGITS = 8 /* of a segment's name */
};

struct base_fetch
{
    struct cli *cli;
    const struct base_options *options;
    struct target target;
    struct recovery_settings settings;
    char fetch_program[RESTORE_PATH_MAX], push_program[RESTORE_PATH_MAX];
    struct restore_places *places;
    struct restore_choice choice;
    struct restore_candidates candidates;
    size_t chosen;                /* of them: it made the plan */
    struct restore_source source; /* that the plan was made from */
    struct recovery_archive *archive;
    struct target_plan plan;
    struct restore_survey *survey;
    struct restore_tally tally;
    char hole[SEGMENT_NAME_MAX]; /* the segment recovery is to end in front of */
};

/* The other programs are installed beside this one; in a build tree, a folder further. */
static enum cpam_status
sibling(struct io *io, const char *folder, const char *name, char out[RESTORE_PATH_MAX],
        struct cpam_err *err)
{
    char self[RESTORE_PATH_MAX];
    ssize_t size = io->ops->readlink(io, AT_FDCWD, "/proc/self/exe", self, sizeof(self) - 1);
    char *slash = NULL;

    if (size > 0)
    {
        self[size] = '\0';
        slash = strrchr(self, '/');
    }
    if (slash == NULL)
        return cpam_fail(err, CPAM_IO, 0, "could not tell where this program lies");
    *slash = '\0';
    snprintf(out, RESTORE_PATH_MAX, "%.3000s/%s", self, name);
    if (file_exists(io, out))
        return CPAM_OK;
    slash = strrchr(self, '/');
    if (slash != NULL)
    {
        *slash = '\0';
        snprintf(out, RESTORE_PATH_MAX, "%.3000s/%s/%s", self, folder, name);
        if (file_exists(io, out))
            return CPAM_OK;
    }
    return cpam_fail(err, CPAM_NOT_FOUND, 0,
                     "%s is not installed beside this program; recovery would need it", name);
}

/* Of the backup that is named, else of the newest: after pg_upgrade a repository has two. */
static enum cpam_status
choose_sysid(const struct base_fetch *self, uint64_t *out, struct cpam_err *err)
{
    const struct backup_list *list = self->source.backups;

    if (list->count == 0)
        return cpam_fail(err, CPAM_UNREACHABLE, 0, "repository \"%s\" holds no backup",
                         repo_name(self->source.repo));
    *out = list->items[list->count - 1].sysid;
    for (size_t i = 0; i < list->count && self->target.backup != NULL; i++)
        if (strcmp(list->items[i].label, self->target.backup) == 0)
            *out = list->items[i].sysid;
    return CPAM_OK;
}

/* What recovery can reach: with the WAL of every repository that its restore_command will read from. */
static enum cpam_status
read_archive(struct base_fetch *self, uint64_t sysid, struct cpam_err *err)
{
    struct restore_source *source = &self->source;
    struct restore_feeds feeds = {.repos = {source->repo}, .count = 1};

    if (self->settings.repo == NULL && self->options->as_of == NULL)
        restore_feeds_open(self->cli, &self->candidates, source, &feeds);
    enum cpam_status status = recovery_archive_read(feeds.repos, feeds.count, sysid,
                                                    source->backups, &self->archive, err);
    size_t count = feeds.count;
    restore_feeds_close(&feeds);
    if (status == CPAM_OK || count == 1 || !restore_source_failed(status))
        return status;
    cpam_log(LOG_WARNING, "the plan is made with the WAL of repository \"%s\" alone: %s",
             repo_name(source->repo), err->text);
    self->cli->attention = true;
    return recovery_archive_read(&source->repo, 1, sysid, source->backups, &self->archive, err);
}

/*
 * Without a genuine record of the cluster, cpam-wal-fetch takes nothing for absent, and a recovery stops
 * at the archive's end.  Such a repository is as good as one that can't be opened while there is another.
 */
static enum cpam_status
check_record(struct base_fetch *self, uint64_t sysid, bool last, struct cpam_err *err)
{
    struct cluster_record record;
    enum cpam_status status = cluster_record_get(self->source.repo, sysid, &record, err);

    if (status == CPAM_OK)
        return CPAM_OK;
    if (!last)
    {
        restore_source_close(&self->source);
        return status;
    }
    cpam_log(LOG_WARNING,
             "recovery from repository \"%s\" will stop at the archive's end and not open: %s",
             repo_name(self->source.repo), err->text);
    self->cli->attention = true;
    return CPAM_OK;
}

static enum cpam_status
plan_from(struct base_fetch *self, const struct repository_settings *which, bool last,
          struct cpam_err *err)
{
    const struct base_options *options = self->options;
    struct restore_source *source = &self->source;
    uint64_t sysid = 0;

    CPAM_TRY(restore_source_open(self->cli, which, options->accept_end, source, err));
    CPAM_TRY(choose_sysid(self, &sysid, err));
    CPAM_TRY(check_record(self, sysid, last, err));
    CPAM_TRY(read_archive(self, sysid, err));
    CPAM_TRY(target_select(recovery_archive_map(self->archive), &self->target, &self->plan, err));
    CPAM_TRY(restore_places_new(self->cli->io, self->cli->argv[0], &self->places, err));
    return restore_survey_read(source->repo, self->plan.backup, self->places, &self->choice,
                               &self->survey, err);
}

static void
forget_plan(struct base_fetch *self)
{
    restore_survey_free(CPAM_STEAL(self->survey));
    restore_places_free(CPAM_STEAL(self->places));
    recovery_archive_free(CPAM_STEAL(self->archive));
    restore_source_close(&self->source);
    self->plan = (struct target_plan){0};
}

/*
 * Recovery is not to wait for one that is silent.  Every required repository has what PostgreSQL was
 * told is archived, unless wal.push.acknowledge is content with less; a standby asks for ever anyway.
 */
static void
read_from(struct base_fetch *self, const struct repository_settings *which, enum cpam_status reason)
{
    if (restore_source_silent(reason) && which->required && !self->options->standby &&
        strcmp(self->cli->settings->wal.acknowledge, "all") == 0)
        self->settings.repo = which->name;
}

/* The first that can; what the first said, if none can. */
static enum cpam_status
choose_plan(struct base_fetch *self, struct cpam_err *err)
{
    const struct restore_candidates *candidates = &self->candidates;
    enum cpam_status first = CPAM_OK;
    bool silent = true, elsewhere = false;

    for (size_t i = 0; i < candidates->plan; i++)
    {
        struct cpam_err why;

        if (i > 0)
            read_from(self, candidates->items[i], silent ? CPAM_TRANSIENT : CPAM_CORRUPT);
        enum cpam_status status =
            plan_from(self, candidates->items[i], i + 1 == candidates->plan, &why);
        if (status == CPAM_OK)
        {
            self->chosen = i;
            if (i > 0)
            {
                self->cli->attention = true;
                cpam_log(LOG_WARNING, "the restore is made from the next repository, \"%s\"",
                         candidates->items[i]->name);
            }
            return CPAM_OK;
        }
        self->settings.repo = self->cli->repo;
        /* one that can't even be opened is as good as silent: recovery could not use it either */
        silent = silent && (restore_source_silent(status) || self->source.repo == NULL);
        if (first == CPAM_OK)
            elsewhere = self->plan.elsewhere.id != 0;
        forget_plan(self);
        if (first == CPAM_OK)
        {
            first = status;
            *err = why;
        }
        if (!restore_source_failed(status))
            return *err = why, status;
        if (candidates->plan > 1)
            cpam_log(LOG_WARNING, "repository \"%s\": %s", candidates->items[i]->name, why.text);
    }
    /* unless the hint names a timeline of this one that has it */
    if (!elsewhere && candidates->count > candidates->plan && restore_source_failed(first))
        cpam_err_hint(err, "another repository may have it, perhaps not up to the end: --repo %s",
                      candidates->items[candidates->plan]->name);
    return first;
}

/* Replay can go over empty files only where the first change of each page brings all of it. */
static enum cpam_status
check_databases(const struct base_fetch *self, struct cpam_err *err)
{
    enum target_kind kind = self->target.kind;

    if (self->options->databases.count == 0 || !self->survey->torn_pages || kind == TARGET_BACKUP ||
        kind == TARGET_IMMEDIATE)
        return CPAM_OK;
    cpam_fail(
        err, CPAM_USAGE, 0,
        "--database: the server ran with full_page_writes off, so WAL behind the backup can't "
        "be replayed over the empty files of the other databases");
    cpam_err_hint(err, "--target-immediate, or --backup LABEL alone, or all databases");
    return CPAM_USAGE;
}

/* What PostgreSQL's files can't hold is refused before anything is written. */
static enum cpam_status
check_settings(const struct base_fetch *self, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    enum cpam_status status = recovery_settings_write(&self->settings, NULL, 0, &text, err);

    if (status == CPAM_INVALID)
        status = err->status = CPAM_USAGE;
    return status;
}

static enum cpam_status
make_plan(struct base_fetch *self, struct cpam_err *err)
{
    CPAM_TRY(restore_candidates(self->cli, self->options->as_of, &self->candidates, err));
    CPAM_TRY(choose_plan(self, err));
    CPAM_TRY(check_databases(self, err));
    if (self->options->as_of != NULL)
        self->settings.repo = self->source.which->name;
    /* whoever names the timeline knows of the other one */
    if (self->plan.hole || (self->plan.rival.id != 0 && self->target.timeline.id == 0))
        self->cli->attention = true;
    self->places->delta = self->options->delta;
    self->places->rehearsal = self->options->dry_run;
    self->places->sysid = self->plan.backup->sysid;
    self->places->major = self->plan.backup->major;
    CPAM_TRY(restore_places_check(self->places, &self->options->tablespace_map, err));
    self->settings.timeline = self->plan.timeline;
    bool accepted = self->target.kind == TARGET_LATEST && self->target.accept_end;

    if (self->plan.overrun || (self->plan.hole && accepted))
    {
        segment_format(self->plan.missing, self->plan.backup->segment_size, self->hole);
        self->settings.end_before = self->hole + TIMELINE_DIGITS; /* whatever the timeline */
    }
    self->settings.major = self->plan.backup->major;
    self->settings.archive_always = self->survey->archive_always;
    self->settings.partial = restore_databases_emptied(self->survey->databases)[0] != '\0';
    return check_settings(self, err);
}

static enum cpam_status
show_plan(const struct base_fetch *self, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct restore_plan plan = {.repo_name = repo_name(self->source.repo),
                                .target = &self->plan,
                                .settings = &self->settings,
                                .places = self->places,
                                .survey = self->survey,
                                .dry_run = self->options->dry_run};

    if (self->cli->json)
        CPAM_TRY(restore_plan_json(&plan, &text, err));
    else
        CPAM_TRY(restore_plan_text(&plan, &text, err));
    fwrite(text.data, 1, text.size, stdout);
    if (self->cli->json)
        fputc('\n', stdout);
    if (fflush(stdout) == 0)
        return CPAM_OK;
    /* asked for the plan alone, nobody got it; a restore goes on with its output lost */
    cpam_fail(err, CPAM_IO, errno, "could not print the plan");
    if (self->options->dry_run)
        return CPAM_IO;
    cpam_log(LOG_WARNING, "%s", err->text);
    return CPAM_OK;
}

static enum cpam_status
fetch_files(struct base_fetch *self, struct cpam_err *err)
{
    struct restore_transfer transfer = {
        .cli = self->cli,
        .candidates = &self->candidates,
        .chosen = self->chosen,
        .source = &self->source,
        .backup = self->plan.backup,
        .history = recovery_archive_history(self->archive, self->plan.backup->timeline),
        .places = self->places,
        .survey = self->survey,
        .choice = &self->choice,
        .tally = &self->tally,
    };

    enum cpam_status status = restore_transfer(&transfer, err);
    if (authentic_wrong(status) && err->hint[0] == '\0')
        cpam_err_hint(err, "what is there so far can't be started; another backup may be whole "
                           "(--backup LABEL, cpam-info lists them), or another repository's "
                           "(--repo NAME)");
    if (status == CPAM_OK && transfer.instead != NULL)
        read_from(self, transfer.instead, transfer.reason);
    return status;
}

static enum cpam_status
write_settings(struct base_fetch *self, struct cpam_err *err)
{
    struct io *io = self->cli->io;
    const char *data = self->places->items[0].path;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf old = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char path[RESTORE_PATH_MAX + 64];

    snprintf(path, sizeof(path), "%s/postgresql.auto.conf", data);
    if (file_exists(io, path))
        CPAM_TRY(file_read_all(io, path, GUC_FILE_MAX, &old, err));
    CPAM_TRY(
        recovery_settings_write(&self->settings, (const char *) old.data, old.size, &text, err));
    CPAM_TRY(file_write_all(io, path, 0600, text.data, text.size, err));
    snprintf(path, sizeof(path), "%s/%s", data, recovery_signal_name(&self->settings));
    return file_write_all(io, path, 0600, "", 0, err);
}

/* Instead of the original, or where it was. */
static bool
is_in_place(const struct base_fetch *self)
{
    const struct restore_places *places = self->places;

    return self->options->recover ||
           (places->origin != NULL &&
            restore_places_same(places->io, places->origin, places->items[0].path));
}

static enum cpam_status
show_next(struct base_fetch *self, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct restore_next next = {.io = self->cli->io,
                                .tally = &self->tally,
                                .emptied = restore_databases_emptied(self->survey->databases),
                                .delta = self->options->delta,
                                .data = self->places->items[0].path,
                                .config_file = self->survey->config_file,
                                .has_config = self->survey->has_config,
                                .in_place = is_in_place(self),
                                .backup = self->survey->has_config_files ? self->plan.backup->label
                                                                         : NULL,
                                .user = self->cli->user[0] != '\0' ? self->cli->user : NULL,
                                .settings = &self->settings};
    bool attention = false;

    CPAM_TRY(restore_next_text(&next, &text, &attention, err));
    if (attention || self->tally.by_file || self->tally.kept_wal > 0)
        self->cli->attention = true;
    if (!self->cli->json)
        fwrite(text.data, 1, text.size, stdout);
    return CPAM_OK;
}

/* Only what is started beside, or instead of, an original can be in its way. */
static enum cpam_status
warn_of_tablespaces(struct base_fetch *self, struct cpam_err *err)
{
    bool found = false;

    CPAM_TRY(later_tablespaces_warn(self->source.repo, self->source.backups, self->plan.backup,
                                    self->places, &found, err));
    if (found)
        self->cli->attention = true;
    return CPAM_OK;
}

static enum cpam_status
restore(struct base_fetch *self, struct cpam_err *err)
{
    CPAM_TRY(restore_places_make(self->places, self->plan.backup->label, err));
    CPAM_TRY(fetch_files(self, err));
    CPAM_TRY(write_settings(self, err));
    CPAM_TRY(restore_control(self->cli->io, self->places, err));
    CPAM_TRY(restore_places_finish(self->places, err));
    return show_next(self, err);
}

static enum cpam_status
prepare(struct base_fetch *self, struct cpam_err *err)
{
    const struct base_options *options = self->options;
    struct cli *cli = self->cli;

    CPAM_TRY(base_options_target(options, &self->target, &self->settings.action, err));
    CPAM_TRY(sibling(cli->io, "restore", "cpam-wal-fetch", self->fetch_program, err));
    CPAM_TRY(sibling(cli->io, "archive", "cpam-wal-push", self->push_program, err));
    self->settings.fetch_program = self->fetch_program;
    self->settings.push_program = self->push_program;
    self->settings.config_path = cli->config_path;
    self->settings.repo = cli->repo;
    self->settings.as_of = options->as_of;
    CPAM_TRY(as_of_set(cli->io, options->as_of, cli->settings, err));
    self->settings.target = &self->target;
    self->settings.standby = options->standby;
    self->settings.recover = options->recover;
    return CPAM_OK;
}

static enum cpam_status
fetch(struct base_fetch *self, struct cpam_err *err)
{
    CPAM_TRY(prepare(self, err));
    CPAM_TRY(make_plan(self, err));
    CPAM_TRY(show_plan(self, err));
    CPAM_TRY(warn_of_tablespaces(self, err));
    return self->options->dry_run ? CPAM_OK : restore(self, err);
}

/* No directory, no target: the configuration that a backup holds. */
static enum cpam_status
fetch_config(struct base_fetch *self, struct cpam_err *err)
{
    const struct base_options *options = self->options;

    CPAM_TRY(as_of_set(self->cli->io, options->as_of, self->cli->settings, err));
    CPAM_TRY(restore_candidates(self->cli, options->as_of, &self->candidates, err));
    CPAM_TRY(restore_source_open(self->cli, self->candidates.items[0], options->accept_end,
                                 &self->source, err));
    struct config_files_request request = {.io = self->cli->io,
                                           .repo = self->source.repo,
                                           .backups = self->source.backups,
                                           .label = options->backup,
                                           .directory = options->config_files,
                                           .dry_run = options->dry_run,
                                           .json = self->cli->json};
    return config_files_fetch(&request, err);
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    thread_grow_apart();
    CPAM_TRY(base_options_arguments(cli->options, cli->argc, err));
    CPAM_AUTO(free) struct base_fetch *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    self->cli = cli;
    self->options = cli->options;
    self->choice = (struct restore_choice){&self->options->tablespace_map,
                                           &self->options->databases, self->options->map_all};
    enum cpam_status status =
        self->options->config_files != NULL ? fetch_config(self, err) : fetch(self, err);
    forget_plan(self);
    return status;
}

static const char *const usage[] = {
    "cpam-base-fetch --latest [options] DIRECTORY",
    "cpam-base-fetch --pitr TIME [options] DIRECTORY",
    "cpam-base-fetch --target-lsn LSN | --target-xid XID [options] DIRECTORY",
    "cpam-base-fetch --target-name NAME [options] DIRECTORY",
    "cpam-base-fetch --backup LABEL|--target-immediate [options] DIRECTORY",
    "cpam-base-fetch --standby [options] DIRECTORY",
    "cpam-base-fetch --config-files DIRECTORY [--backup LABEL]",
    NULL,
};

int
main(int argc, char **argv)
{
    struct program program = {
        .name = "cpam-base-fetch",
        .summary = "restore a data directory and set it up to recover to a target",
        .usage = usage,
        .details =
            "Chooses the newest backup that ended before the target and whose WAL reaches it, "
            "prints the plan, restores, and ends with the exact next commands. A target that "
            "nothing in the repository can reach is refused before anything is written, with the "
            "earliest and latest that can.\n\n"
            "A restored copy recovers and opens like any server, but keeps its WAL and does not "
            "archive until cpam-repo claim, so that a drill can't write into production's "
            "archive. With --recover it is the original again, with --standby a replica: both "
            "archive.",
        .options = base_option_table,
        .options_size = sizeof(struct base_options),
        .exits = &exit_common,
        .needs_settings = true,
        .acts_as_owner = true,
        .min_arguments = 0, /* base_options_arguments */
        .max_arguments = 1,
        .run = run,
    };

    return program_main(&program, argc, argv);
}
