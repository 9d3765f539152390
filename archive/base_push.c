/*
 * base_push.c - cpam-base-push: a backup of the database cluster into each required repository.
 *
 * The data directory is read once, and the backup has one label everywhere.  A repository that fails
 * does not keep the others from their backup; the exit status says that not all is well.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/program.h"
#include "cli/repository.h"
#include "io/pace.h"
#include "push_backup.h"
#include "push_priority.h"
#include "worker/thread.h"
#include "worker/worker.h"

struct base_push_options
{
    const char *mode;     /* NULL: as configured */
    uint64_t workers;     /* 0: as configured */
    int64_t archive_wait; /* us; 0: as configured */
    uint64_t max_rate;    /* bytes a second; RATE_CONFIGURED: as configured */
    uint64_t nice;        /* NICE_CONFIGURED: as configured */
    const char *ionice;   /* NULL: as configured */
    const char *checkpoint;
};

#define NICE_CONFIGURED UINT64_MAX

#define RATE_CONFIGURED UINT64_MAX
#define RATE_MIN        ((uint64_t) PACE_TAKE_MAX) /* less would make single requests take forever */
#define RATE_MAX        ((uint64_t) 1 << 50)

static const struct option_def rows[] = {
    {"mode", 0, OPTION_CHOICE, "KIND", offsetof(struct base_push_options, mode), 0, 0,
     "auto|full|incremental", "kind of backup (base.mode)"},
    {"workers", 0, OPTION_COUNT, "N", offsetof(struct base_push_options, workers), 1,
     WORKER_THREADS_MAX, NULL, "read and send with N threads (base.workers)"},
    {"archive-wait", 0, OPTION_DURATION, "TIME", offsetof(struct base_push_options, archive_wait),
     0, INT64_C(86400000000), NULL, "wait this long for the WAL it needs (base.archive_wait)"},
    {"max-rate", 0, OPTION_SIZE, "SIZE", offsetof(struct base_push_options, max_rate), 0, RATE_MAX,
     NULL, "read and send at most SIZE bytes a second (base.max_rate)"},
    {"nice", 0, OPTION_COUNT, "N", offsetof(struct base_push_options, nice), 0, 19, NULL,
     "leave the processor to others: niceness N (base.nice)"},
    {"ionice", 0, OPTION_CHOICE, "CLASS", offsetof(struct base_push_options, ionice), 0, 0,
     "none|best-effort|idle", "leave the disk to others (base.ionice)"},
    {"checkpoint", 0, OPTION_CHOICE, "HOW", offsetof(struct base_push_options, checkpoint), 0, 0,
     "fast|spread", "begin with a checkpoint at once, or spread out"},
};

static const char *const usage[] = {"cpam-base-push [options]", NULL};

static volatile sig_atomic_t stopped;

static void
on_signal(int number)
{
    stopped = number;
}

static void
watch_signals(void)
{
    /* a second signal ends it at once: nothing of it counts without the summary */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int) SA_RESETHAND};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static void
tell_text(const char *repository, const struct backup_summary *summary, int64_t took)
{
    char bytes[TEXT_SIZE_MAX], stored[TEXT_SIZE_MAX], time[TEXT_DURATION_MAX];

    text_format_size(summary->bytes, bytes);
    text_format_size(summary->stored_bytes, stored);
    text_format_duration(took, time);
    printf("backup %s is in repository \"%s\": %" PRIu64 " files, %s, stored as %s in %" PRIu64
           " packs, WAL %s to %s, in %s\n",
           summary->label, repository, summary->files, bytes, stored, summary->packs,
           summary->wal_first, summary->wal_last, time);
    if (summary->damaged_pages > 0)
        printf("%" PRIu64 " %s damaged on disk, and so %s in it: %s\n", summary->damaged_pages,
               summary->damaged_pages == 1 ? "page is" : "pages are",
               summary->damaged_pages == 1 ? "it is" : "they are", summary->damaged_first);
}

static void
tell_json(struct json_writer *json, const char *repository, const struct backup_summary *summary,
          int64_t took)
{
    char text[TEXT_TIME_MAX];
    char lsn[LSN_TEXT_MAX];

    json_begin_object(json, NULL);
    json_put_text(json, "repository", repository);
    json_put_text(json, "label", summary->label);
    json_put_text(json, "kind", summary->kind);
    json_put_u64_text(json, "system_identifier", summary->sysid);
    json_put_u64(json, "seq", summary->seq);
    json_put_u64(json, "timeline", summary->timeline.id);
    lsn_format(summary->start, lsn);
    json_put_text(json, "start_lsn", lsn);
    lsn_format(summary->stop, lsn);
    json_put_text(json, "stop_lsn", lsn);
    text_format_time(summary->start_time, text);
    json_put_text(json, "start_time", text);
    text_format_time(summary->stop_time, text);
    json_put_text(json, "stop_time", text);
    json_put_text(json, "wal_first", summary->wal_first);
    json_put_text(json, "wal_last", summary->wal_last);
    json_put_u64(json, "files", summary->files);
    json_put_u64(json, "bytes", summary->bytes);
    json_put_u64(json, "packs", summary->packs);
    json_put_u64(json, "stored_bytes", summary->stored_bytes);
    json_put_u64(json, "damaged_pages", summary->damaged_pages);
    json_put_u64(json, "milliseconds", (uint64_t) (took / 1000));
    json_end(json);
}

/* The repositories of one push: opened, and what became of the backup in each. */
struct all
{
    struct pace *read, *send; /* base.max_rate; or NULL */
    const struct repository_settings *which[PACK_REPOS_MAX];
    struct repository *opened[PACK_REPOS_MAX];
    struct push_targets targets;
};

_Static_assert((int) SETTINGS_REPOSITORIES_MAX <= (int) PACK_REPOS_MAX,
               "packs go into every repository");

static void
all_clear_scoped_(struct all *all)
{
    for (size_t i = 0; i < all->targets.count; i++)
        repository_free(all->opened[i]);
    free(all->targets.items);
    pace_free(all->send); /* the repositories used it */
    pace_free(all->read);
}

static unsigned
workers_of(const struct cli *cli)
{
    const struct base_push_options *options = cli->options;

    return options->workers != 0 ? (unsigned) options->workers : cli->settings->base.workers;
}

/* Reading has a rate and sending has one, whatever the number of workers and repositories. */
static enum cpam_status
limit(const struct cli *cli, struct all *all, struct cpam_err *err)
{
    const struct base_push_options *options = cli->options;
    uint64_t rate =
        options->max_rate != RATE_CONFIGURED ? options->max_rate : cli->settings->base.max_rate;

    if (rate == 0)
        return CPAM_OK;
    if (rate < RATE_MIN)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "a rate of %" PRIu64 " bytes a second is too low for a backup; 64KiB is "
                         "the least, and 0 is no limit (--max-rate, base.max_rate)",
                         rate);
    CPAM_TRY(pace_new(cli->io, rate, NULL, &all->read, err));
    return pace_new(cli->io, rate, NULL, &all->send, err);
}

/* Before the first thread begins. */
static void
stand_back(const struct cli *cli)
{
    const struct base_push_options *options = cli->options;

    push_priority(options->nice != NICE_CONFIGURED ? (int) options->nice
                                                   : (int) cli->settings->base.nice,
                  options->ionice != NULL ? options->ionice : cli->settings->base.ionice, NULL);
}

static const char *
mode_of(const struct cli *cli)
{
    const struct base_push_options *options = cli->options;

    return options->mode != NULL ? options->mode : cli->settings->base.mode;
}

/* How long the packs of a full backup are locked follows from the configuration: where that knows of full
   ones only, their packs may go before an incremental that leans on them (format-1.md fault 6). */
static enum cpam_status
check_locks(const struct cli *cli, const struct repository_settings *which, struct cpam_err *err)
{
    if (which->lock_mode == NULL || strcmp(cli->settings->base.mode, "full") != 0 ||
        strcmp(mode_of(cli), "full") == 0)
        return CPAM_OK;
    cpam_fail(
        err, CPAM_USAGE, 0,
        "--mode %s: repository \"%s\" has object_lock, and with base.mode \"full\" the packs of "
        "a full backup are not locked for as long as those after it would need them",
        mode_of(cli), which->name);
    cpam_err_hint(err, "set base.mode to \"auto\", and let a full backup be the next one");
    return CPAM_USAGE;
}

/* One that can't be opened does not keep the others from their backup. */
static enum cpam_status
open_all(struct cli *cli, struct all *all, struct cpam_err *err)
{
    const struct settings *settings = cli->settings;
    const struct repository_purpose purpose = {.for_write = true,
                                               .send = all->send,
                                               .senders = workers_of(cli) *
                                                          (unsigned) settings->repository_count};
    const struct repository_settings *only = NULL;
    struct push_targets *targets = &all->targets;

    if (cli->repo != NULL)
        CPAM_TRY(settings_repository(settings, cli->repo, &only, err));
    targets->items = calloc(PACK_REPOS_MAX, sizeof(*targets->items));
    if (targets->items == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a backup");
    for (size_t i = 0; i < settings->repository_count; i++)
    {
        const struct repository_settings *which = &settings->repositories[i];
        struct push_target *target = &targets->items[targets->count];
        struct repository **opened = &all->opened[targets->count];

        if (only == NULL ? !which->required : which != only)
            continue;
        CPAM_TRY(check_locks(cli, which, err));
        all->which[targets->count++] = which;
        target->status = repository_open(cli->io, settings, which, purpose, (struct deadline){0},
                                         opened, &target->err);
        if (target->status == CPAM_OK)
            target->repo = repository_repo(*opened);
    }
    if (targets->count == 0)
        return cpam_fail(err, CPAM_USAGE, 0, "no repository is required: name one with --repo");
    return CPAM_OK;
}

/* Every repository's backup or failure; the first failure is the answer, the others are logged. */
static enum cpam_status
tell_all(struct cli *cli, struct json_writer *json, const struct all *all, int64_t took,
         struct cpam_err *err)
{
    enum cpam_status first = CPAM_OK;

    for (size_t i = 0; i < all->targets.count; i++)
    {
        struct push_target *target = &all->targets.items[i];
        const char *name = all->which[i]->name;

        if (target->stored)
        {
            if (cli->json)
                tell_json(json, name, &target->summary, took);
            else
                tell_text(name, &target->summary, took);
            cli->attention |= target->summary.damaged_pages > 0;
            continue;
        }
        if (target->summary.label[0] != '\0')
            cpam_err_prefix(&target->err, "backup \"%s\" into repository \"%s\"",
                            target->summary.label, name);
        if (first != CPAM_OK)
            log_failure(&target->err);
        else
            *err = target->err;
        first = first != CPAM_OK ? first : target->status;
    }
    return first;
}

static enum cpam_status
push_all(struct cli *cli, struct json_writer *json, struct cpam_err *err)
{
    __attribute__((cleanup(all_clear_scoped_))) struct all all = {.which = {NULL}};
    const struct base_push_options *options = cli->options;
    const struct settings *settings = cli->settings;
    int64_t began = cli->io->ops->monotonic(cli->io);

    stand_back(cli);
    CPAM_TRY(limit(cli, &all, err));
    CPAM_TRY(open_all(cli, &all, err));
    struct push_request request = {.io = cli->io,
                                   .settings = settings,
                                   .targets = all.targets,
                                   .workers = workers_of(cli),
                                   .read = all.read,
                                   .archive_wait = options->archive_wait != 0
                                                       ? options->archive_wait
                                                       : settings->base.archive_wait,
                                   .mode = mode_of(cli),
                                   .fast = strcmp(options->checkpoint, "fast") == 0,
                                   .stopped = &stopped,
                                   .attention = &cli->attention};
    push_backup(&request);
    return tell_all(cli, json, &all, cli->io->ops->monotonic(cli->io) - began, err);
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct json_writer json = {.buf = &text, .limit = 1 << 20, .pretty = true};

    thread_grow_apart();
    watch_signals();
    json_begin_object(&json, NULL);
    json_put_u64(&json, "schema", 1);
    json_begin_array(&json, "backups");
    enum cpam_status status = push_all(cli, &json, err);
    json_end(&json);
    json_end(&json);
    if (cli->json)
    {
        struct cpam_err failed;

        if (json_writer_end(&json, &failed) != CPAM_OK)
            log_failure(&failed);
        else
            printf("%s\n", cpam_buf_text(&text));
    }
    return status;
}

static void
defaults(void *options)
{
    struct base_push_options *push = options;

    push->checkpoint = "fast";
    push->max_rate = RATE_CONFIGURED;
    push->nice = NICE_CONFIGURED;
}

int
main(int argc, char **argv)
{
    static const struct program program = {
        .name = "cpam-base-push",
        .summary = "back a running database cluster up",
        .usage = usage,
        .details =
            "Reads the data directory while the server writes to it, or takes it from another host "
            "over a replication connection. The backup exists only once every WAL segment it "
            "needs has been seen in the repository; until then, and after any failure, there "
            "is none.",
        .options = {rows, sizeof(rows) / sizeof(rows[0])},
        .options_size = sizeof(struct base_push_options),
        .defaults = defaults,
        .exits = &exit_common,
        .needs_settings = true,
        .acts_as_owner = true,
        .min_arguments = 0,
        .max_arguments = 0,
        .run = run,
    };

    return program_main(&program, argc, argv);
}
