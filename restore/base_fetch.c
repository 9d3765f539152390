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
#include "cli/progress.h"
#include "cli/repository.h"
#include "config_files.h"
#include "io/file.h"
#include "later_tablespaces.h"
#include "pg/guc_file.h"
#include "repo/recovery_map.h"
#include "restore_files.h"
#include "restore_next.h"
#include "restore_plan.h"

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
    struct repository *repository;
    struct repo *repo;
    struct backup_list *backups;
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

/* --repo, else the first of the read set. */
static enum cpam_status
choose_repository(const struct cli *cli, const struct repository_settings **out,
                  struct cpam_err *err)
{
    const struct settings *settings = cli->settings;

    if (cli->repo != NULL)
        return settings_repository(settings, cli->repo, out, err);
    for (size_t i = 0; i < settings->repository_count; i++)
        if (settings->repositories[i].required)
        {
            *out = &settings->repositories[i];
            return CPAM_OK;
        }
    return cpam_fail(err, CPAM_USAGE, 0,
                     "no repository of the configuration is required: name one with --repo");
}

static enum cpam_status
open_repository(struct base_fetch *self, struct cpam_err *err)
{
    const struct repository_settings *which = NULL;
    struct repository_purpose purpose = {.for_read = true};
    struct deadline never = {0};

    CPAM_TRY(choose_repository(self->cli, &which, err));
    enum cpam_status status = repository_open(self->cli->io, self->cli->settings, which, purpose,
                                              never, &self->repository, err);
    if (status != CPAM_OK)
    {
        if (self->cli->repo == NULL && self->cli->settings->repository_count > 1 &&
            err->hint[0] == '\0')
            cpam_err_hint(err, "another repository may have it: --repo NAME");
        return status;
    }
    self->repo = repository_repo(self->repository);
    if (self->options->as_of != NULL)
        self->settings.repo = which->name; /* the others' past is not looked at */
    return CPAM_OK;
}

static enum cpam_status
read_backups(struct base_fetch *self, struct cpam_err *err)
{
    CPAM_TRY(backup_list_read(self->repo, &self->backups, err));
    for (size_t i = 0; i < self->backups->finding_count; i++)
        cpam_log(LOG_WARNING, "repository \"%s\": %s", repo_name(self->repo),
                 self->backups->findings[i]);
    if (self->backups->finding_count > 0)
        self->cli->attention = true;
    if (!self->backups->proven_loss || self->options->accept_end)
        return CPAM_OK;
    cpam_fail(err, CPAM_CORRUPT, 0,
              "repository \"%s\" has lost backups or was rolled back (%s): what it shows as the "
              "newest may not be the newest",
              repo_name(self->repo),
              self->backups->finding_count > 0 ? self->backups->findings[0]
                                               : "its chain is broken");
    cpam_err_hint(err, "look at the other repositories first (--repo NAME); --accept-end restores "
                       "what is there");
    return CPAM_CORRUPT;
}

/* Of the backup that is named, else of the newest: after pg_upgrade a repository has two. */
static enum cpam_status
choose_sysid(const struct base_fetch *self, uint64_t *out, struct cpam_err *err)
{
    const struct backup_list *list = self->backups;

    if (list->count == 0)
        return cpam_fail(err, CPAM_UNREACHABLE, 0, "repository \"%s\" holds no backup",
                         repo_name(self->repo));
    *out = list->items[list->count - 1].sysid;
    for (size_t i = 0; i < list->count && self->target.backup != NULL; i++)
        if (strcmp(list->items[i].label, self->target.backup) == 0)
            *out = list->items[i].sysid;
    return CPAM_OK;
}

static enum cpam_status
make_plan(struct base_fetch *self, struct cpam_err *err)
{
    uint64_t sysid = 0;

    CPAM_TRY(open_repository(self, err));
    CPAM_TRY(read_backups(self, err));
    CPAM_TRY(choose_sysid(self, &sysid, err));
    CPAM_TRY(recovery_archive_read(self->repo, sysid, self->backups, &self->archive, err));
    CPAM_TRY(target_select(recovery_archive_map(self->archive), &self->target, &self->plan, err));
    /* whoever names the timeline knows of the other one */
    if (self->plan.hole || (self->plan.rival.id != 0 && self->target.timeline.id == 0))
        self->cli->attention = true;
    CPAM_TRY(restore_survey_read(self->repo, self->plan.backup, self->places,
                                 &self->options->tablespace_map, &self->survey, err));
    self->places->delta = self->options->delta;
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
    return CPAM_OK;
}

static enum cpam_status
show_plan(const struct base_fetch *self, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct restore_plan plan = {.repo_name = repo_name(self->repo),
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

static void
on_wrote(void *arg, uint64_t bytes)
{
    progress_add(arg, bytes);
}

static enum cpam_status
fetch_files(struct base_fetch *self, struct cpam_err *err)
{
    CPAM_AUTO(running_end) struct running *running = NULL;
    CPAM_AUTO(progress_free) struct progress *progress = NULL; /* ends before `running` */
    char where[RESTORE_PATH_MAX + 8];
    struct restore_files files = {
        .io = self->cli->io,
        .repo = self->repo,
        .summary = self->plan.backup,
        .history = recovery_archive_history(self->archive, self->plan.backup->timeline),
        .places = self->places,
        .survey = self->survey,
        .tally = &self->tally,
        .workers = self->cli->settings->base.workers,
        .wrote = on_wrote,
    };

    CPAM_TRY(progress_new(self->cli->io, "restoring", self->survey->bytes, &progress, err));
    files.arg = progress;
    snprintf(where, sizeof(where), "to \"%s\"", self->places->items[0].path);
    running_begin(self->cli->io, self->cli->settings->state, "cpam-base-fetch",
                  self->plan.backup->label, where, &running);
    progress_show_in(progress, running);
    return restore_files(&files, err);
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

static enum cpam_status
show_next(struct base_fetch *self, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct restore_next next = {.io = self->cli->io,
                                .tally = &self->tally,
                                .delta = self->options->delta,
                                .data = self->places->items[0].path,
                                .config_file = self->survey->config_file,
                                .has_config = self->survey->has_config,
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

    CPAM_TRY(later_tablespaces_warn(self->repo, self->backups, self->plan.backup, self->places,
                                    &found, err));
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
    return restore_places_new(cli->io, cli->argv[0], &self->places, err);
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
    CPAM_TRY(open_repository(self, err));
    CPAM_TRY(read_backups(self, err));
    struct config_files_request request = {.io = self->cli->io,
                                           .repo = self->repo,
                                           .backups = self->backups,
                                           .label = options->backup,
                                           .directory = options->config_files,
                                           .dry_run = options->dry_run,
                                           .json = self->cli->json};
    return config_files_fetch(&request, err);
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    CPAM_TRY(base_options_arguments(cli->options, cli->argc, err));
    CPAM_AUTO(free) struct base_fetch *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a restore");
    self->cli = cli;
    self->options = cli->options;
    enum cpam_status status =
        self->options->config_files != NULL ? fetch_config(self, err) : fetch(self, err);
    restore_survey_free(self->survey);
    recovery_archive_free(self->archive);
    backup_list_free(self->backups);
    repository_free(self->repository);
    restore_places_free(self->places);
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
