/*
 * test_worker_serve.c - a whole push worker in this process, with callers in threads beside it: what
 * ThreadSanitizer is to look at.
 */
#include "backlog_world.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "backlog.h"
#include "fetch_folder.h"
#include "handoff/call.h"
#include "handoff/socket.h"
#include "worker_serve.h"

enum
{
    SEGMENTS = 8,
    CALLERS = 4,
    PATIENCE = 200 * 1000000 /* us */
};

static struct backlog_world w;
static char spool[128], config[128];

/* The worker's main thread. */
static struct serving
{
    struct worker_request request;
    enum cpam_status status;
    struct cpam_err err;
    pthread_t thread;
    atomic_bool ended;
} worker;

struct caller
{
    pthread_t thread;
    unsigned first; /* segment */
    unsigned asked, durable;
    struct cpam_err err; /* of the last failure */
};

static void
name_of(unsigned number, char out[SEGMENT_NAME_MAX])
{
    segment_format((struct segment){{1}, number}, 1 << 20, out);
}

static void
make_world(const char *more)
{
    char path[256];
    struct cpam_err err;

    backlog_world_begin(&w, io_posix(), more);
    snprintf(path, sizeof(path), "%s/global", w.data);
    ck_ok(file_make_dirs(io_posix(), path, 0700, &err), &err);
    snprintf(path, sizeof(path), "%s/global/pg_control", w.data);
    folder_control(path, CONTROL_IN_PRODUCTION);
    snprintf(path, sizeof(path), "%s/pg_wal/archive_status", w.data);
    ck_ok(file_make_dirs(io_posix(), path, 0700, &err), &err);
    snprintf(config, sizeof(config), "%s/c.yaml", fixture_dir);
    folder_text(config, "as it was");
    snprintf(spool, sizeof(spool), "%s/spool", fixture_dir);
    ck_ok(file_make_dirs(io_posix(), spool, 0700, &err), &err);
    w.settings->wal.spool = spool;
}

static void
ready(unsigned number)
{
    char name[SEGMENT_NAME_MAX], path[256];

    backlog_world_file(&w, number, number);
    name_of(number, name);
    snprintf(path, sizeof(path), "%s/pg_wal/archive_status/%s.ready", w.data, name);
    folder_text(path, "");
}

static bool
listens(void)
{
    CPAM_AUTO(handoff_place_free) struct handoff_place *place = NULL;
    struct sockaddr_un address;
    struct handoff_key key;
    struct cpam_err err;

    ck_ok(handoff_key_of(io_posix(), w.data, w.settings->cluster, &key, &err), &err);
    ck_ok(handoff_place_open(io_posix(), spool, &key, true, &place, &err), &err);
    handoff_address(place, HANDOFF_PUSH, &address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    int failed = connect(fd, (const struct sockaddr *) &address, sizeof(address));
    close(fd);
    return failed == 0;
}

static void *
serve(void *arg)
{
    struct serving *self = arg;

    self->status = worker_serve(&self->request, &self->err);
    atomic_store(&self->ended, true);
    return NULL;
}

/* Callers that find no worker would start this program as one. */
static void
start_worker(void)
{
    struct deadline end = deadline_after(io_posix(), PATIENCE);

    worker.request =
        (struct worker_request){.io = io_posix(), .settings = w.settings, .data = w.data};
    handoff_config_of(io_posix(), config, &worker.request.config);
    ck_assert_int_eq(pthread_create(&worker.thread, NULL, serve, &worker), 0);
    while (!listens())
    {
        if (atomic_load(&worker.ended))
            ck_abort_msg("the worker ended: %s", worker.err.text);
        ck_assert(deadline_left(io_posix(), end) > 0);
        io_posix()->ops->sleep(io_posix(), 1000);
    }
}

static void
end_worker(void)
{
    /* signals are for the thread that serves */
    ck_assert_int_eq(pthread_kill(worker.thread, SIGTERM), 0);
    ck_assert_int_eq(pthread_join(worker.thread, NULL), 0);
    ck_ok(worker.status, &worker.err);
    ck_assert(!worker.request.abandoned);
}

/* In a caller's thread, where nothing may be asserted. */
static void
ask(struct caller *caller, unsigned number)
{
    char name[SEGMENT_NAME_MAX], path[256];
    struct handoff_question question = {.role = HANDOFF_PUSH,
                                        .program = "/proc/self/exe",
                                        .spool = spool,
                                        .config = config,
                                        .data = w.data,
                                        .cluster = w.settings->cluster,
                                        .name = name,
                                        .deadline = deadline_after(io_posix(), PATIENCE)};
    struct handoff_reply reply;
    struct stat about;

    name_of(number, name);
    snprintf(path, sizeof(path), "%s/pg_wal/%s", w.data, name);
    caller->asked++;
    if (stat(path, &about) != 0)
        return;
    handoff_stamp_of(&about, &question.stamp);
    if (handoff_ask(io_posix(), &question, &reply, &caller->err) != CPAM_OK)
        return;
    if (reply.status == CPAM_OK)
        caller->durable++;
    else
        caller->err = reply.why;
}

static void *
ask_each(void *arg)
{
    struct caller *caller = arg;

    for (unsigned i = 0; i < SEGMENTS; i++)
        ask(caller, 1 + (caller->first + i) % SEGMENTS);
    return NULL;
}

static void *
ask_one(void *arg)
{
    struct caller *caller = arg;

    for (unsigned i = 0; i < SEGMENTS; i++)
        ask(caller, caller->first);
    return NULL;
}

static void
start_callers(struct caller callers[CALLERS], void *(*run)(void *), unsigned first, unsigned apart)
{
    memset(callers, 0, CALLERS * sizeof(callers[0]));
    for (unsigned i = 0; i < CALLERS; i++)
    {
        callers[i].first = first + i * apart;
        ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, run, &callers[i]), 0);
    }
}

static void
await_callers(struct caller callers[CALLERS])
{
    for (unsigned i = 0; i < CALLERS; i++)
        ck_assert_int_eq(pthread_join(callers[i].thread, NULL), 0);
}

static void
all_durable(const struct caller callers[CALLERS])
{
    for (unsigned i = 0; i < CALLERS; i++)
        ck_assert_msg(callers[i].durable == SEGMENTS, "caller %u: %u durable: %s", i,
                      callers[i].durable, callers[i].err.text);
}

static void
await_drained(unsigned number)
{
    struct deadline end = deadline_after(io_posix(), PATIENCE);

    while (!backlog_world_has(&w, 1, backlog_world_segment(number)))
    {
        ck_assert(deadline_left(io_posix(), end) > 0);
        io_posix()->ops->sleep(io_posix(), 5000);
    }
}

/* Some were kept for one of them before: its backlog is drained beside the rest. */
START_TEST(callers_lanes_and_the_backlog_share_one_queue)
{
    CPAM_AUTO(backlog_free) struct backlog *backlog = NULL;
    struct caller callers[CALLERS];
    struct cpam_err err;

    make_world("");
    ck_ok(backlog_open(io_posix(), w.settings, w.behind, REPO_SYSID, &backlog, &err), &err);
    for (unsigned number = SEGMENTS + 1; number <= SEGMENTS + 3; number++)
        ck_ok(backlog_keep(backlog, backlog_world_file(&w, number, number),
                           backlog_world_segment(number), &err),
              &err);
    for (unsigned number = 1; number <= SEGMENTS; number++)
        ready(number);
    start_worker();
    start_callers(callers, ask_each, 0, 2);
    await_callers(callers);
    all_durable(callers);
    for (unsigned number = SEGMENTS + 1; number <= SEGMENTS + 3; number++)
        await_drained(number);
    end_worker();
    for (unsigned number = 1; number <= SEGMENTS; number++)
        for (size_t which = 0; which < 2; which++)
            ck_assert(backlog_world_has(&w, which, backlog_world_segment(number)));
    backlog_world_end(&w);
}
END_TEST

START_TEST(P13_a_lane_that_fails_leaves_its_share_in_the_backlog)
{
    struct caller callers[CALLERS];
    char from[128], to[128], kept[400];

    make_world("");
    w.settings->repositories[1].required = false;
    w.settings->wal.push_needed = 1;
    snprintf(from, sizeof(from), "%s/behind", fixture_dir);
    snprintf(to, sizeof(to), "%s/away", fixture_dir);
    ck_assert_int_eq(rename(from, to), 0);
    for (unsigned number = 1; number <= SEGMENTS; number++)
        ready(number);
    start_worker();
    start_callers(callers, ask_each, 0, 2);
    await_callers(callers);
    end_worker();
    all_durable(callers);
    for (unsigned number = 1; number <= SEGMENTS; number++)
    {
        ck_assert(backlog_world_has(&w, 0, backlog_world_segment(number)));
        snprintf(kept, sizeof(kept), "%s/%s", w.dir, backlog_world_segment(number));
        ck_assert_msg(access(kept, F_OK) == 0, "%s", kept);
    }
    backlog_world_end(&w);
}
END_TEST

/* The same content in one file after the other: answers are about the one that was asked about. */
START_TEST(a_file_that_is_replaced_is_asked_about_again)
{
    struct caller callers[CALLERS], last = {0};
    char path[256], other[300];

    make_world("");
    snprintf(path, sizeof(path), "%s", backlog_world_file(&w, 1, 1));
    start_worker();
    start_callers(callers, ask_one, 1, 0);
    for (unsigned i = 0; i < 2 * SEGMENTS; i++)
    {
        uint8_t *data = wal_bytes(REPO_SYSID, 1, UINT64_C(1) << 20, 1 << 20, 1);

        snprintf(other, sizeof(other), "%s.other", path);
        folder_write(other, data, 1 << 20);
        free(data);
        ck_assert_int_eq(rename(other, path), 0);
        io_posix()->ops->sleep(io_posix(), 5000);
    }
    await_callers(callers);
    ask(&last, 1);
    ck_assert_msg(last.durable == 1, "%s", last.err.text);
    for (unsigned i = 0; i < CALLERS; i++)
        ck_assert_msg(callers[i].durable == callers[i].asked ||
                          callers[i].err.status == CPAM_TRANSIENT,
                      "%s", callers[i].err.text);
    end_worker();
    backlog_world_end(&w);
}
END_TEST

/* What is durable and told is forgotten: it is asked of the repository again, which has lost it. */
START_TEST(P9_without_looking_ahead_nothing_is_remembered)
{
    struct caller caller = {0};
    char command[300];

    make_world("");
    w.settings->wal.push_ahead = 0;
    (void) backlog_world_file(&w, 1, 1);
    start_worker();
    ask(&caller, 1);
    ck_assert_msg(caller.durable == 1, "%s", caller.err.text);
    snprintf(command, sizeof(command), "find %s/good -name %s -delete", fixture_dir,
             backlog_world_segment(1));
    ck_assert_int_eq(system(command), 0);
    ck_assert(!backlog_world_has(&w, 0, backlog_world_segment(1)));
    ask(&caller, 1);
    ck_assert_msg(caller.durable == 2, "%s", caller.err.text);
    ck_assert(backlog_world_has(&w, 0, backlog_world_segment(1)));
    end_worker();
    backlog_world_end(&w);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/worker_serve");
    TCase *all = tcase_create("threads");

    tcase_set_timeout(all, 280);
    tcase_add_test(all, callers_lanes_and_the_backlog_share_one_queue);
    tcase_add_test(all, P13_a_lane_that_fails_leaves_its_share_in_the_backlog);
    tcase_add_test(all, a_file_that_is_replaced_is_asked_about_again);
    tcase_add_test(all, P9_without_looking_ahead_nothing_is_remembered);
    suite_add_tcase(suite, all);
    return suite;
}
