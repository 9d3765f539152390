/*
 * test_worker_answer.c - who asked a push worker for what, and what each is told: without a socket, and
 * with a repository that is played here.
 */
#include "suite.h"

#include "worker_state.h"

#define NAME "000000010000000000000005"

/* A waiter is nothing but an address here. */
static struct told
{
    int times;
    struct handoff_reply reply;
} told[2];

static struct worker worker;
static struct settings settings;

/* Instead of the server's: no socket. */
void
handoff_answer(struct handoff_server *server, struct handoff_waiter *waiter,
               const struct handoff_reply *reply)
{
    struct told *who = (struct told *) (void *) waiter;

    (void) server;
    who->times++;
    who->reply = *reply;
}

static struct handoff_waiter *
waiter(size_t i)
{
    return (struct handoff_waiter *) (void *) &told[i];
}

static void
begin(void)
{
    const struct queue_spec spec = {
        .lanes = 1, .required = {true}, .policy = {.required = 1, .needed = 1}};
    struct cpam_err err;

    memset(told, 0, sizeof(told));
    memset(&worker, 0, sizeof(worker));
    worker.io = io_posix();
    worker.lane_count = 1;
    settings.wal.push_ahead = 2;
    worker.settings = &settings;
    pthread_mutex_init(&worker.lock, NULL);
    pthread_cond_init(&worker.work, NULL);
    ck_assert_int_eq(queue_new(&spec, &worker.queue, &err), CPAM_OK);
}

static void
end(void)
{
    queue_free(worker.queue);
}

/* What a lane's thread does with the job that is next, and did `age` us ago. */
static void
run_before(int64_t age, enum share_state state, const struct handoff_stamp *stamp)
{
    struct job *job = queue_take(worker.queue, 0, true);
    struct cpam_err err;

    ck_assert_ptr_nonnull(job);
    job->stamped = true;
    job->stamp = *stamp;
    cpam_fail(&err, CPAM_TRANSIENT, 0, "the repository is away");
    job->shares[0].number = worker.lanes[0].number;
    queue_report(worker.queue, job, 0, state, false, state == SHARE_DONE ? NULL : &err,
                 worker.io->ops->monotonic(worker.io) - age);
    queue_leave(worker.queue, job);
}

static void
run_to(enum share_state state, const struct handoff_stamp *stamp)
{
    run_before(0, state, stamp);
}

static const struct handoff_stamp first = {1, 2, 3, 4}, other = {1, 2, 3, 5};

static void
add_done(const char *text, int64_t age)
{
    struct archive_name name;
    struct cpam_err err;
    struct job *job;

    ck_ok(archive_name_parse(text, &name, &err), &err);
    ck_ok(queue_add(worker.queue, &name, &job, &err), &err);
    run_before(age, SHARE_DONE, &first);
}

static void
done_ahead(int64_t age)
{
    add_done(NAME, age);
}

/* The second question comes between the end of a push and the answer to the first. */
START_TEST(P9_who_waits_for_a_failed_push_hears_of_it_when_it_is_asked_for_again)
{
    answer_asked(&worker, waiter(0), NAME, &first, (struct deadline){0});
    run_to(SHARE_FAILED, &first);
    answer_asked(&worker, waiter(1), NAME, &first, (struct deadline){0});
    answer_all(&worker);
    ck_assert_int_eq(told[0].times, 1);
    ck_assert_int_eq(told[0].reply.status, CPAM_TRANSIENT);
    ck_assert_ptr_nonnull(strstr(told[0].reply.why.text, "the repository is away"));
    ck_assert_int_eq(told[1].times, 0);
    run_to(SHARE_DONE, &first);
    answer_all(&worker);
    ck_assert_int_eq(told[1].times, 1);
    ck_assert_int_eq(told[1].reply.status, CPAM_OK);
    ck_assert_int_eq(told[0].times, 1);
}
END_TEST

START_TEST(P9_who_waits_for_a_file_hears_of_it_when_another_one_of_its_name_is_asked_for)
{
    answer_asked(&worker, waiter(0), NAME, &first, (struct deadline){0});
    run_to(SHARE_DONE, &first);
    answer_asked(&worker, waiter(1), NAME, &other, (struct deadline){0});
    answer_all(&worker);
    ck_assert_int_eq(told[0].times, 1);
    ck_assert_int_eq(told[0].reply.status, CPAM_OK);
    ck_assert_int_eq(told[1].times, 0);
    run_to(SHARE_DONE, &other);
    answer_all(&worker);
    ck_assert_int_eq(told[1].times, 1);
    ck_assert_int_eq(told[1].reply.status, CPAM_OK);
}
END_TEST

START_TEST(P9_what_was_done_ahead_is_acknowledged_at_once)
{
    done_ahead(1000000);
    answer_asked(&worker, waiter(0), NAME, &first, (struct deadline){0});
    ck_assert_int_eq(told[0].times, 1);
    ck_assert_int_eq(told[0].reply.status, CPAM_OK);
}
END_TEST

static void
check_asked_again(void)
{
    answer_asked(&worker, waiter(0), NAME, &first, (struct deadline){0});
    ck_assert_int_eq(told[0].times, 0);
    run_to(SHARE_DONE, &first);
    answer_all(&worker);
    ck_assert_int_eq(told[0].times, 1);
    ck_assert_int_eq(told[0].reply.status, CPAM_OK);
}

START_TEST(P10_what_was_done_under_an_earlier_opening_is_looked_at_again)
{
    done_ahead(0);
    worker.lanes[0].number++;
    check_asked_again();
}
END_TEST

/* What the server will ask for next is looked at meanwhile, as far as it looks ahead. */
START_TEST(P9_P10_what_comes_behind_it_is_looked_at_again_as_well)
{
    static const char *const behind[] = {"000000010000000000000006", "000000010000000000000007",
                                         "000000010000000000000008", "000000010000000000000009"};

    done_ahead(INT64_C(61) * 1000000);
    for (size_t i = 0; i < 4; i++)
        add_done(behind[i], i == 1 ? 0 : INT64_C(61) * 1000000);
    answer_asked(&worker, waiter(0), NAME, &first, (struct deadline){0});
    ck_assert_int_eq(told[0].times, 0);
    ck_assert(queue_find(worker.queue, NAME)->doubted);
    ck_assert_int_eq(queue_find(worker.queue, behind[0])->state, JOB_OPEN);
    ck_assert(queue_find(worker.queue, behind[0])->doubted);
    ck_assert_int_eq(queue_find(worker.queue, behind[1])->state, JOB_DURABLE);
    ck_assert_int_eq(queue_find(worker.queue, behind[2])->state, JOB_OPEN);
    ck_assert_int_eq(queue_find(worker.queue, behind[3])->state, JOB_DURABLE);
}
END_TEST

START_TEST(P10_what_was_done_long_ago_is_looked_at_again)
{
    done_ahead(INT64_C(61) * 1000000);
    check_asked_again();
}
END_TEST

/* Its thread had the connection of before. */
START_TEST(P10_a_repository_that_is_opened_anew_while_it_is_pushed_is_asked_again)
{
    answer_asked(&worker, waiter(0), NAME, &first, (struct deadline){0});
    run_to(SHARE_DONE, &first);
    worker.lanes[0].number++;
    answer_all(&worker);
    ck_assert_int_eq(told[0].times, 0);
    run_to(SHARE_DONE, &first);
    answer_all(&worker);
    ck_assert_int_eq(told[0].reply.status, CPAM_OK);
}
END_TEST

START_TEST(P11_the_last_who_gives_up_decides_how_long_it_may_take)
{
    const struct deadline soon = deadline_after(worker.io, 1000000000), never = {0};
    const struct deadline late = deadline_after(worker.io, 2000000000);

    answer_asked(&worker, waiter(0), NAME, &first, late);
    const struct job *job = queue_find(worker.queue, NAME);
    ck_assert_int_eq(job->until.at, late.at);
    answer_asked(&worker, waiter(1), NAME, &first, soon);
    ck_assert_int_eq(job->until.at, late.at);
    answer_gone(&worker, waiter(0));
    answer_gone(&worker, waiter(1));
    answer_asked(&worker, waiter(0), NAME, &first, soon);
    ck_assert_int_eq(queue_find(worker.queue, NAME)->until.at, soon.at);
    answer_asked(&worker, waiter(1), NAME, &first, never);
    ck_assert_int_eq(queue_find(worker.queue, NAME)->until.at, never.at);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/worker_answer");
    TCase *tcase = tcase_create("worker_answer");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, P9_who_waits_for_a_failed_push_hears_of_it_when_it_is_asked_for_again);
    tcase_add_test(tcase,
                   P9_who_waits_for_a_file_hears_of_it_when_another_one_of_its_name_is_asked_for);
    tcase_add_test(tcase, P9_what_was_done_ahead_is_acknowledged_at_once);
    tcase_add_test(tcase, P10_what_was_done_under_an_earlier_opening_is_looked_at_again);
    tcase_add_test(tcase, P9_P10_what_comes_behind_it_is_looked_at_again_as_well);
    tcase_add_test(tcase, P10_what_was_done_long_ago_is_looked_at_again);
    tcase_add_test(tcase, P10_a_repository_that_is_opened_anew_while_it_is_pushed_is_asked_again);
    tcase_add_test(tcase, P11_the_last_who_gives_up_decides_how_long_it_may_take);
    suite_add_tcase(suite, tcase);
    return suite;
}
