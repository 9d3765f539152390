/*
 * restore_files.c - the passages in their order, and the workers between them.
 */
#include "restore_files.h"

#include <stdio.h>

#include "io/file.h"
#include "restore_layout.h"
#include "restore_pack.h"
#include "restore_proof.h"
#include "worker/worker.h"

struct fleet
{
    const struct restore_files *files;
    struct restore_spill *spill;
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
    *context = job;
    return CPAM_OK;
}

static void
fleet_stop(void *arg, void *context)
{
    (void) arg;
    free(context);
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

static enum cpam_status
fetch_packs(const struct restore_files *files, struct restore_spill *spill, struct cpam_err *err)
{
    struct fleet fleet = {.files = files, .spill = spill};
    unsigned threads = files->workers < 1 ? 1 : files->workers;
    enum cpam_status status = CPAM_OK;

    if (threads > WORKER_THREADS_MAX)
        threads = WORKER_THREADS_MAX;
    for (unsigned i = 0; i < threads && status == CPAM_OK; i++)
        status = repo_another(files->repo, &fleet.repos[i], err);
    if (status == CPAM_OK)
        status = fleet_work(&fleet, threads, err);
    for (unsigned i = 0; i < threads; i++)
        repo_free(fleet.repos[i]);
    return status;
}

enum cpam_status
restore_files(const struct restore_files *files, struct cpam_err *err)
{
    CPAM_AUTO(restore_spill_free) struct restore_spill *spill = NULL;

    CPAM_TRY(restore_spill_new(files->io, files->places->items[0].path, files->survey->pack_extents,
                               files->survey->pack_count, &spill, err));
    CPAM_TRY(restore_layout(files, spill, err));
    CPAM_TRY(fetch_packs(files, spill, err));
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
