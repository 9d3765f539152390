/*
 * test_worker_queue.c - jobs of two repositories of which one is enough, and none that is stuck.
 */
#include <errno.h>

#include "suite.h"

#include "worker_queue.h"

static struct queue *queue;
static struct job *job;
static struct cpam_err err;
static const struct handoff_stamp stamp = {.inode = 7, .size = 1 << 20};

/* Both threads have the file, and the first one's is durable. */
static void
begin(void)
{
    const struct queue_spec spec = {
        .lanes = 2, .required = {true, true}, .policy = {.required = 2, .needed = 1}};
    struct archive_name name;

    ck_ok(queue_new(&spec, &queue, &err), &err);
    ck_ok(archive_name_parse("000000010000000000000003", &name, &err), &err);
    ck_ok(queue_add(queue, &name, &job, &err), &err);
    job->stamped = true;
    job->stamp = stamp;
    job->askers = 1;
    ck_assert_ptr_eq(queue_take(queue, 0, false), job);
    ck_assert_ptr_eq(queue_take(queue, 1, false), job);
    queue_report(queue, job, 0, SHARE_DONE, false, NULL, 1);
    queue_leave(queue, job);
    ck_assert_int_eq(job->state, JOB_ENOUGH);
}

static void
end(void)
{
    queue_free(queue);
}

static void
keeping_fails(void)
{
    cpam_fail(&err, CPAM_IO, EROFS, "the backlog can't be written");
    queue_kept(queue, job, 1, &err, 2);
    ck_assert_int_eq(job->state, JOB_FAILED);
    job->askers = 0;
}

static struct job *
asked_again(const struct handoff_stamp *about)
{
    struct job *again;

    ck_ok(queue_again(queue, job, about, 5, &again, &err), &err);
    ck_assert_ptr_eq(queue_find(queue, "000000010000000000000003"), again);
    return again;
}

/* Nobody's share can come to an end any more that would tell that it is durable. */
START_TEST(P13_what_both_have_by_now_is_durable_when_it_is_asked_for_again)
{
    keeping_fails();
    queue_report(queue, job, 1, SHARE_DONE, false, NULL, 3);
    queue_leave(queue, job);
    ck_assert_int_eq(asked_again(&stamp)->state, JOB_DURABLE);
}
END_TEST

START_TEST(P13_what_one_has_is_enough_when_it_is_asked_for_again)
{
    keeping_fails();
    struct job *again = asked_again(&stamp);

    ck_assert_int_eq(again->state, JOB_ENOUGH);
    ck_assert_int_eq(again->settled, 5);
    /* the thread of before reports to the run it belongs to; the new one is taken up anew */
    queue_report(queue, job, 1, SHARE_DONE, false, NULL, 6);
    queue_leave(queue, job);
    again->askers = 1;
    ck_assert_ptr_eq(queue_take(queue, 1, false), again);
    queue_report(queue, again, 1, SHARE_DONE, false, NULL, 7);
    ck_assert_int_eq(again->state, JOB_DURABLE);
    again->askers = 0;
    queue_leave(queue, again);
}
END_TEST

START_TEST(P13_other_bytes_begin_from_nothing)
{
    struct handoff_stamp other = stamp;

    keeping_fails();
    queue_report(queue, job, 1, SHARE_DONE, false, NULL, 3);
    queue_leave(queue, job);
    other.inode++;
    struct job *again = asked_again(&other);
    ck_assert_int_eq(again->state, JOB_OPEN);
    ck_assert_int_eq(again->shares[0].state, SHARE_OPEN);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/worker_queue");
    TCase *tcase = tcase_create("queue");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, P13_what_both_have_by_now_is_durable_when_it_is_asked_for_again);
    tcase_add_test(tcase, P13_what_one_has_is_enough_when_it_is_asked_for_again);
    tcase_add_test(tcase, P13_other_bytes_begin_from_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}
