/*
 * restore_files.c - the passages in their order, and the workers between them.
 */
#include "restore_files.h"

#include <stdio.h>

#include "base/log.h"
#include "io/file.h"
#include "restore_compare.h"
#include "restore_keep_wal.h"
#include "restore_layout.h"
#include "restore_pack.h"
#include "restore_proof.h"
#include "worker/worker.h"

struct fleet
{
    const struct restore_files *files;
    struct restore_spill *spill;
    const struct restore_blocks *blocks; /* or NULL */
    struct repo *repos[WORKER_THREADS_MAX];
};

static enum cpam_status
fleet_start(void *arg, unsigned thread, void **context, struct cpam_err *err)
{
    struct fleet *fleet = arg;
    struct restore_pack_job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a worker");
    *job = (struct restore_pack_job){
        .io = fleet->files->io,
        .repo = fleet->repos[thread],
        .places = fleet->files->places,
        .spill = fleet->spill,
        .tally = fleet->files->tally,
        .sysid = fleet->files->summary->sysid,
        .wrote = fleet->files->wrote,
        .arg = fleet->files->arg,
    };
    enum cpam_status status = CPAM_OK;
    if (fleet->blocks != NULL)
        status = restore_compare_new(job->io, job->places, job->spill, fleet->blocks, &job->compare,
                                     err);
    if (status != CPAM_OK)
        free(job);
    else
        *context = job;
    return status;
}

static void
fleet_stop(void *arg, void *context)
{
    struct restore_pack_job *job = context;

    (void) arg;
    restore_compare_free(job->compare);
    free(job);
}

/* A job is the number of a pack, counted from 1 since NULL is none. */
static enum cpam_status
fleet_run(void *arg, void *context, void *job, struct cpam_err *err)
{
    (void) arg;
    return restore_pack(context, (size_t) ((uintptr_t) job - 1), err);
}

static enum cpam_status
fleet_work(struct fleet *fleet, unsigned threads, struct cpam_err *err)
{
    const struct restore_survey *survey = fleet->files->survey;
    CPAM_AUTO(worker_pool_free) struct worker_pool *pool = NULL;
    struct worker_spec spec = {.threads = threads,
                               .queue = threads,
                               .arg = fleet,
                               .start = fleet_start,
                               .run = fleet_run,
                               .stop = fleet_stop};

    CPAM_TRY(worker_pool_new(&spec, &pool, err));
    for (size_t i = 0; i < survey->pack_count; i++)
        if (survey->pack_extents[i] > 0)
            CPAM_TRY(worker_submit(pool, (void *) (uintptr_t) (i + 1), err));
    return worker_wait(pool, err);
}

/* A connection of its own, which knows whether the store keeps versions: where it keeps none, a pack
   needs no look at its header first.  That it could not be told costs that look, and nothing else. */
static enum cpam_status
connect_worker(struct repo *repo, struct repo **out, struct cpam_err *err)
{
    enum store_keeping keeping;
    struct cpam_err ignored;

    CPAM_TRY(repo_another(repo, out, err));
    return store_keeping(repo_store(*out), true, &keeping, &ignored) == CPAM_NO_MEMORY
               ? cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a worker")
               : CPAM_OK;
}

static enum cpam_status
fetch_packs(const struct restore_files *files, struct restore_spill *spill,
            const struct restore_blocks *blocks, struct cpam_err *err)
{
    struct fleet fleet = {.files = files, .spill = spill, .blocks = blocks};
    unsigned threads = files->workers < 1 ? 1 : files->workers;
    enum cpam_status status = CPAM_OK;

    if (threads > WORKER_THREADS_MAX)
        threads = WORKER_THREADS_MAX;
    for (unsigned i = 0; i < threads && status == CPAM_OK; i++)
        status = connect_worker(files->repo, &fleet.repos[i], err);
    if (status == CPAM_OK)
        status = fleet_work(&fleet, threads, err);
    for (unsigned i = 0; i < threads; i++)
        repo_free(fleet.repos[i]);
    return status;
}

/* What the pages of the backup should be, if any file of it may be there already. */
static enum cpam_status
get_blocks(const struct restore_files *files, struct restore_blocks **out, struct cpam_err *err)
{
    const struct restore_places *places = files->places;
    struct cpam_err why;
    bool adopted = false;

    *out = NULL;
    for (size_t i = 0; i < places->count; i++)
        adopted = adopted || places->items[i].adopted;
    if (!adopted)
        return CPAM_OK;
    enum cpam_status status = restore_blocks_new(files->io, places->items[0].path, files->repo,
                                                 files->summary, out, &why);
    if (status == CPAM_IO || status == CPAM_NO_MEMORY)
    {
        *err = why;
        return status;
    }
    if (status == CPAM_OK)
        files->tally->fetched += files->summary->blocks_size;
    else
    {
        files->tally->by_file = true;
        cpam_log(LOG_WARNING,
                 "which pages are right can't be told (%s): a file that is not right as a whole is "
                 "fetched as a whole",
                 why.text);
    }
    return CPAM_OK;
}

enum cpam_status
restore_files(const struct restore_files *files, struct cpam_err *err)
{
    CPAM_AUTO(restore_spill_free) struct restore_spill *spill = NULL;
    CPAM_AUTO(restore_blocks_free) struct restore_blocks *blocks = NULL;

    size_t kept_wal;

    CPAM_TRY(restore_keep_wal(files->places, &kept_wal, err));
    files->tally->kept_wal = kept_wal;
    CPAM_TRY(get_blocks(files, &blocks, err));
    CPAM_TRY(restore_spill_new(files->io, files->places->items[0].path, files->survey->pack_extents,
                               files->survey->pack_count, &spill, err));
    CPAM_TRY(restore_layout(files, spill, blocks, err));
    CPAM_TRY(fetch_packs(files, spill, blocks, err));
    CPAM_TRY(restore_places_link(files->places, err));
    CPAM_TRY(restore_proof(files, spill, err));
    return restore_places_sync(files->places, err);
}

enum cpam_status
restore_control(struct io *io, const struct restore_places *places, struct cpam_err *err)
{
    char from[RESTORE_PATH_MAX + 64];
    char to[RESTORE_PATH_MAX + 64];

    snprintf(from, sizeof(from), "%s/%s", places->items[0].path, RESTORE_CONTROL_WAIT);
    snprintf(to, sizeof(to), "%s/%s", places->items[0].path, RESTORE_CONTROL);
    CPAM_TRY(file_rename(io, from, to, err));
    return file_sync_parent(io, to, err);
}
