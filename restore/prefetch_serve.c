/*
 * prefetch_serve.c - callers on one side, the crew on the other; the main thread of the worker.
 *
 * A server asks for one segment at a time.  So the last question is the one that counts: whoever
 * waits for another segment is an orphan of an earlier run, and is told to look for itself.
 */
#include "prefetch_serve.h"

#include <stdlib.h>

#include "base/log.h"
#include "handoff/server.h"
#include "io/control_load.h"
#include "prefetch_crew.h"
#include "prefetch_question.h"
#include "worker/thread.h"

enum
{
    STEP = 1000 * 1000,      /* us between two looks at whether to go on */
    LAST_WORDS = 3000 * 1000 /* us the crew gets to come to an end */
};

struct serving
{
    struct io *io;
    struct handoff_config config;
    struct settings *settings;
    struct handoff_place *place;
    struct prefetch_folder *folder;
    struct prefetch_source *source;
    struct prefetch_crew *crew;
    struct handoff_server *server;
    struct segment asked;     /* the last question's */
    struct handoff_stamp run; /* of the server that asked it */
    size_t count;
    struct handoff_waiter *waiters[HANDOFF_WAITERS_MAX]; /* all of them for `asked` */
    struct handoff_reply reply;
    uint32_t segment_size;
};

static void
refuse(struct serving *self, struct handoff_waiter *waiter, const struct cpam_err *err)
{
    self->reply.status = err->status == CPAM_OK ? CPAM_INTERNAL : err->status;
    self->reply.path[0] = '\0';
    self->reply.why = *err;
    handoff_answer(self->server, waiter, &self->reply);
}

static void
refuse_all(struct serving *self, const struct cpam_err *err)
{
    while (self->count > 0)
        refuse(self, self->waiters[--self->count], err);
}

static void
refuse_others(struct serving *self)
{
    struct cpam_err err;

    cpam_fail(&err, CPAM_CANCELLED, 0, "another call got it, or asked for another segment");
    refuse_all(self, &err);
}

/* Whoever waits gets what the crew has by now. */
static void
answer(struct serving *self)
{
    enum cpam_status status;
    struct cpam_err err;

    if (self->count == 0)
        return;
    status = prefetch_crew_take(self->crew, self->asked, self->reply.path, &err);
    if (status == CPAM_TRANSIENT)
        return;
    if (status != CPAM_OK)
    {
        err.status = status;
        refuse_all(self, &err);
        return;
    }
    /* one file, one rename: the first that waits */
    self->reply.status = CPAM_OK;
    self->reply.why = (struct cpam_err){.status = CPAM_OK};
    handoff_answer(self->server, self->waiters[0], &self->reply);
    self->waiters[0] = self->waiters[--self->count];
    refuse_others(self);
}

static void
asked(void *arg, struct handoff_waiter *waiter, const char *name, const struct handoff_stamp *stamp,
      struct deadline deadline)
{
    struct serving *self = arg;
    struct prefetch_question question;
    struct segment segment;
    struct cpam_err err;

    if (prefetch_question_parse(name, self->segment_size, &question, &segment, &err) != CPAM_OK)
    {
        refuse(self, waiter, &err);
        return;
    }
    if (!handoff_stamp_same(stamp, &self->run))
    {
        refuse_others(self);
        prefetch_crew_forget(self->crew);
        self->run = *stamp;
    }
    if (segment.timeline.id != self->asked.timeline.id || segment.number != self->asked.number ||
        self->count == HANDOFF_WAITERS_MAX)
        refuse_others(self);
    self->asked = segment;
    self->waiters[self->count++] = waiter;
    if (self->count > 1)
        return; /* it is on its way already */
    prefetch_source_prefer(self->source, question.repo);
    prefetch_crew_ask(self->crew, segment, deadline);
    answer(self);
}

static void
gone(void *arg, struct handoff_waiter *waiter)
{
    struct serving *self = arg;

    for (size_t i = 0; i < self->count; i++)
        if (self->waiters[i] == waiter)
            self->waiters[i--] = self->waiters[--self->count];
}

static void
wake(void *arg)
{
    struct serving *self = arg;

    handoff_server_wake(self->server);
}

static enum cpam_status
open_place(struct serving *self, const struct prefetch_serving *serving, struct cpam_err *err)
{
    const struct handoff_server_events events = {asked, gone, self};
    struct handoff_key key;
    struct control control;

    CPAM_TRY(control_load(self->io, serving->data, NULL, &control, err));
    self->segment_size = control.segment_size;
    CPAM_TRY(handoff_key_of(self->io, serving->data, self->settings->cluster, &key, err));
    CPAM_TRY(
        handoff_place_open(self->io, self->settings->wal.spool, &key, true, &self->place, err));
    CPAM_TRY(handoff_server_new(self->io, self->place, HANDOFF_FETCH, &self->config, &events,
                                &self->server, err));
    CPAM_TRY(prefetch_folder_open(self->io, handoff_place_path(self->place), &self->folder, err));
    return prefetch_source_new(self->io, self->settings, key.sysid, &self->source, err);
}

static enum cpam_status
begin(struct serving *self, struct cli *cli, const struct prefetch_serving *serving,
      struct cpam_err *err)
{
    struct prefetch_crew_spec spec = {.io = self->io, .wake = wake, .arg = self};

    thread_share_memory();
    handoff_config_of(self->io, cli->config_path, &self->config);
    CPAM_TRY(settings_load(self->io, cli->config_path, &self->settings, err));
    CPAM_TRY(program_become_owner(cli, serving->data, err));
    CPAM_TRY(open_place(self, serving, err));
    spec.folder = self->folder;
    spec.source = self->source;
    spec.bounds = (struct prefetch_bounds){.workers = self->settings->wal.fetch_workers,
                                           .ahead = self->settings->wal.fetch_prefetch,
                                           .segment_size = self->segment_size};
    return prefetch_crew_new(&spec, &self->crew, err);
}

static enum cpam_status
serve(struct serving *self, int64_t idle, struct cpam_err *err)
{
    while (!handoff_server_retired(self->server) &&
           (idle == 0 || handoff_server_waiters(self->server) > 0 ||
            handoff_server_idle(self->server) < idle))
    {
        CPAM_TRY(handoff_server_step(self->server, STEP, err));
        answer(self);
    }
    return CPAM_OK;
}

/* False: threads are still at work, so nothing may be freed. */
static bool
end(struct serving *self)
{
    bool over = self->crew == NULL || prefetch_crew_stop(self->crew, LAST_WORDS);

    if (self->folder != NULL)
        prefetch_folder_empty(self->folder);
    handoff_server_free(self->server);
    if (!over)
        return false;
    prefetch_crew_free(self->crew);
    prefetch_source_free(self->source);
    prefetch_folder_free(self->folder);
    handoff_place_free(self->place);
    settings_free(self->settings);
    free(self);
    return true;
}

enum cpam_status
prefetch_serve(struct cli *cli, const struct prefetch_serving *serving, struct cpam_err *err)
{
    struct serving *self = calloc(1, sizeof(*self));
    enum cpam_status status;

    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for a worker");
    self->io = cli->io;
    status = begin(self, cli, serving, err);
    handoff_server_started(status == CPAM_OK ? NULL : err);
    if (status == CPAM_OK)
        status = serve(self, serving->idle, err);
    cli->threads_left = !end(self);
    return status;
}
