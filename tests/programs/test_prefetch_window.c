/*
 * test_prefetch_window.c - what is fetched next, by the order of questions and of what is done.
 */
#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "prefetch_question.h"
#include "prefetch_window.h"

enum
{
    MIB = 1 << 20
};

static struct prefetch_window *window;
static char dropped[256]; /* numbers, each with a blank */

static void
note_dropped(void *arg, const struct prefetch_entry *entry)
{
    size_t at = strlen(dropped);

    (void) arg;
    snprintf(dropped + at, sizeof(dropped) - at, "%u/%u ", (unsigned) entry->segment.timeline.id,
             (unsigned) entry->segment.number);
}

static void
begin(unsigned workers, unsigned ahead, uint32_t segment_size)
{
    struct prefetch_bounds bounds = {workers, ahead, segment_size};
    struct cpam_err err;

    dropped[0] = '\0';
    ck_ok(prefetch_window_new(&bounds, note_dropped, NULL, &window, &err), &err);
}

static void
end(void)
{
    prefetch_window_free(window);
    window = NULL;
}

static struct segment
on(uint32_t timeline, uint64_t number)
{
    return (struct segment){{timeline}, number};
}

static void
ask(uint32_t timeline, uint64_t number, int64_t now)
{
    prefetch_window_ask(window, on(timeline, number), (struct deadline){0}, now);
}

/* Takes what is next, which must be this; 0: nothing is. */
static struct prefetch_entry *
next_is(uint64_t number)
{
    struct prefetch_entry *entry = prefetch_window_next(window, true);

    ck_assert_uint_eq(entry == NULL ? 0 : entry->segment.number, number);
    return entry;
}

static bool
done(struct prefetch_entry *entry, enum cpam_status status)
{
    struct cpam_err why;

    cpam_fail(&why, CPAM_NOT_FOUND, 0, "by the test");
    return prefetch_window_done(window, entry, status, &why, 1000);
}

/* Everything that is next is fetched; how many that were. */
static unsigned
fetch_all(void)
{
    struct prefetch_entry *entry;
    unsigned count = 0;

    while ((entry = prefetch_window_next(window, true)) != NULL)
    {
        ck_assert(done(entry, CPAM_OK));
        count++;
    }
    return count;
}

static void
take(uint32_t timeline, uint64_t number)
{
    struct prefetch_entry *entry = prefetch_window_find(window, on(timeline, number));

    ck_assert_ptr_nonnull(entry);
    ck_assert_int_eq(entry->state, PREFETCH_READY);
    prefetch_window_given(window, entry);
}

START_TEST(F5_the_segment_asked_for_comes_first_and_the_next_ones_behind_it)
{
    begin(2, 32, 16 * MIB);
    next_is(0); /* nobody asked */
    ask(1, 10, 0);
    ck_assert(next_is(10)->asked);
    ck_assert(!next_is(11)->asked);
    next_is(12);
    next_is(13);
    next_is(14); /* twice the workers to begin with */
    next_is(0);
    end();
}
END_TEST

START_TEST(F5_each_segment_taken_lets_the_next_begin)
{
    begin(2, 32, 16 * MIB);
    ask(1, 10, 0);
    ck_assert_uint_eq(fetch_all(), 5);
    for (uint64_t number = 10; number < 200; number++)
    {
        take(1, number);
        next_is(0); /* as far ahead as it may be */
        ask(1, number + 1, 0);
        /* ready: no one waits, so the depth stays, and one more begins */
        ck_assert(done(next_is(number + 5), CPAM_OK));
        ck_assert_uint_eq(prefetch_window_depth(window), 4);
    }
    end();
}
END_TEST

START_TEST(F5_the_depth_doubles_when_replay_had_to_wait)
{
    struct prefetch_entry *first;

    begin(2, 30, 16 * MIB);
    ask(1, 10, 0);
    first = next_is(10);
    ck_assert_uint_eq(prefetch_window_depth(window), 4);
    ck_assert(done(first, CPAM_OK));
    take(1, 10);
    ask(1, 11, 0); /* not even begun */
    ck_assert_uint_eq(prefetch_window_depth(window), 8);
    next_is(11);
    ask(1, 12, 0);
    ask(1, 13, 0);
    ck_assert_uint_eq(prefetch_window_depth(window), 30); /* the setting */
    /* a jump is no sign of a fast replay */
    end();
    begin(2, 30, 16 * MIB);
    ask(1, 10, 0);
    ask(1, 50, 0);
    ask(2, 51, 0);
    ck_assert_uint_eq(prefetch_window_depth(window), 4);
    end();
}
END_TEST

/* Asked again after a restart, an orphan, or as the server does with the last good one. */
START_TEST(F7_a_file_that_was_given_is_never_given_again)
{
    begin(1, 8, MIB);
    ask(1, 10, 0);
    fetch_all();
    take(1, 10);
    ck_assert_ptr_null(prefetch_window_find(window, on(1, 10)));
    ask(1, 10, 0);
    ck_assert_str_eq(dropped, "1/10 ");
    ck_assert(done(next_is(10), CPAM_OK));
    take(1, 10);
    /* one back: what lies ahead stays */
    ask(1, 9, 0);
    next_is(9);
    ck_assert_ptr_nonnull(prefetch_window_find(window, on(1, 11)));
    end();
}
END_TEST

START_TEST(F7_another_timeline_drops_everything)
{
    struct prefetch_entry *running;

    begin(1, 8, MIB);
    ask(1, 10, 0);
    ck_assert(done(next_is(10), CPAM_OK));
    ck_assert(done(next_is(11), CPAM_OK));
    running = next_is(12);
    ask(2, 10, 0);
    ck_assert_str_eq(dropped, "1/10 1/11 ");
    ck_assert_ptr_null(prefetch_window_find(window, on(1, 12)));
    ck_assert(!done(running, CPAM_OK)); /* came too late: its file goes */
    ck_assert_uint_eq(next_is(10)->segment.timeline.id, 2);
    /* and back: nothing of the first is left */
    ask(1, 12, 0);
    ck_assert_ptr_null(prefetch_window_find(window, on(1, 12)));
    next_is(12);
    end();
}
END_TEST

START_TEST(F7_what_replay_has_passed_by_goes)
{
    begin(2, 8, MIB);
    ask(1, 10, 0);
    fetch_all();
    ask(1, 12, 0);
    ck_assert_str_eq(dropped, "1/10 1/11 ");
    ck_assert_ptr_nonnull(prefetch_window_find(window, on(1, 12)));
    end();
}
END_TEST

START_TEST(F7_an_old_file_is_fetched_anew)
{
    begin(1, 8, MIB);
    ask(1, 10, 0);
    fetch_all();
    ask(1, 11, 1000 + PREFETCH_FRESH);
    ck_assert_ptr_nonnull(prefetch_window_find(window, on(1, 11)));
    ask(1, 11, 1001 + PREFETCH_FRESH);
    ck_assert_ptr_null(prefetch_window_find(window, on(1, 11)));
    next_is(11);
    end();
}
END_TEST

START_TEST(F6_where_files_grow_old_it_reaches_less_far)
{
    begin(1, 32, MIB);
    for (uint64_t number = 10; number < 15; number++)
    {
        ask(1, number, 0); /* replay is faster */
        ck_assert(done(next_is(number), CPAM_OK));
        take(1, number);
    }
    unsigned deep = prefetch_window_depth(window);
    ck_assert_uint_eq(deep, 32);
    fetch_all();
    ask(1, 15, 2000 + PREFETCH_FRESH);
    ck_assert_uint_eq(prefetch_window_depth(window), deep / 2);
    for (int i = 0; i < 5; i++)
    {
        fetch_all();
        ask(1, 15, (2000 + (int64_t) PREFETCH_FRESH) * (i + 2));
    }
    ck_assert_uint_eq(prefetch_window_depth(window), 2); /* what it began with */
    end();
}
END_TEST

/* Another run of the server, or a repository that was opened anew. */
START_TEST(F7_trap14_what_was_fetched_for_another_is_not_offered)
{
    struct prefetch_entry *running;

    begin(1, 8, MIB);
    ask(1, 10, 0);
    ck_assert(done(next_is(10), CPAM_OK));
    running = next_is(11);
    prefetch_window_forget(window);
    ck_assert_ptr_null(prefetch_window_find(window, on(1, 10)));
    ck_assert_ptr_null(prefetch_window_find(window, on(1, 11)));
    ck_assert_str_eq(dropped, "1/10 ");
    ck_assert(!done(running, CPAM_OK)); /* its file goes */
    ask(1, 10, 0);
    ck_assert_ptr_eq(prefetch_window_find(window, on(1, 10)), NULL);
    next_is(10);
    end();
}
END_TEST

/* A standby at the end of the archive: each poll asks the store, for one segment. */
START_TEST(F7_F10_nothing_is_remembered_of_what_is_absent)
{
    struct prefetch_entry *entry;

    begin(2, 32, MIB);
    ask(1, 10, 0);
    entry = next_is(10);
    ck_assert(!done(next_is(11), CPAM_NOT_FOUND));
    ck_assert(!done(entry, CPAM_NOT_FOUND));
    ck_assert_int_eq(prefetch_window_find(window, on(1, 10))->state, PREFETCH_FAILED);
    ck_assert_int_eq(prefetch_window_find(window, on(1, 10))->why->status, CPAM_NOT_FOUND);
    next_is(0);
    for (int poll = 0; poll < 5; poll++)
    {
        ask(1, 10, 0);
        ck_assert_ptr_null(prefetch_window_find(window, on(1, 10)));
        entry = next_is(10);
        next_is(0); /* one request a poll */
        ck_assert(!done(entry, CPAM_NOT_FOUND));
    }
    ck_assert_uint_eq(prefetch_window_depth(window), 4);
    ask(1, 10, 0);
    ck_assert(done(next_is(10), CPAM_OK)); /* it came */
    take(1, 10);
    next_is(11);
    end();
}
END_TEST

START_TEST(F7_the_end_of_the_window_is_tried_again_with_each_question)
{
    struct prefetch_entry *entry;

    begin(2, 32, MIB);
    ask(1, 10, 0);
    ck_assert(done(next_is(10), CPAM_OK));
    ck_assert(done(next_is(11), CPAM_OK));
    entry = next_is(12);
    ck_assert(!done(next_is(13), CPAM_TRANSIENT));
    ck_assert(!done(entry, CPAM_NOT_FOUND));
    next_is(0);
    take(1, 10);
    ask(1, 11, 0);
    ck_assert(!done(next_is(12), CPAM_NOT_FOUND)); /* once */
    next_is(0);
    take(1, 11);
    ask(1, 12, 0);
    ck_assert(done(next_is(12), CPAM_OK));
    take(1, 12);
    ck_assert_uint_eq(fetch_all(), 4);
    end();
}
END_TEST

START_TEST(F5_without_room_only_what_is_asked_for_is_fetched)
{
    begin(2, 32, MIB);
    ask(1, 10, 0);
    ck_assert_uint_eq(prefetch_window_next(window, false)->segment.number, 10);
    ck_assert_ptr_null(prefetch_window_next(window, false));
    next_is(11);
    end();
}
END_TEST

static const struct
{
    unsigned ahead;
    uint32_t segment_size;
    unsigned limit;
} limits[] = {
    {32, 1 * MIB, 32},     {10000, 1 * MIB, 1024}, {10000, 16 * MIB, 64},
    {10000, 64 * MIB, 16}, {32, 256 * MIB, 4},     {32, 512 * MIB, 4},
    {32, 1024 * MIB, 2},   {1, 1024 * MIB, 1},     {0, 16 * MIB, 0},
};

START_TEST(F6_the_depth_is_bound_in_bytes_by_the_segment_size)
{
    struct prefetch_bounds bounds = {2, limits[_i].ahead, limits[_i].segment_size};

    ck_assert_uint_eq(prefetch_depth_limit(&bounds), limits[_i].limit);
}
END_TEST

START_TEST(F6_names_are_read_with_the_servers_segment_size)
{
    struct prefetch_question question;
    struct segment segment;
    struct cpam_err err;
    char text[HANDOFF_NAME_MAX];

    ck_assert(prefetch_question_write("000000020000000100000003", "dr", text));
    ck_ok(prefetch_question_parse(text, 64 * MIB, &question, &segment, &err), &err);
    ck_assert_uint_eq(segment.timeline.id, 2);
    ck_assert_uint_eq(segment.number, 64 + 3);
    ck_assert_str_eq(question.repo, "dr");
    ck_ok(
        prefetch_question_parse("000000020000000100000003", 1024 * MIB, &question, &segment, &err),
        &err);
    ck_assert_uint_eq(segment.number, 4 + 3);
    ck_assert_str_eq(question.repo, "");
    ck_assert_int_eq(
        prefetch_question_parse("000000020000000100000004", 1024 * MIB, &question, &segment, &err),
        CPAM_INVALID);
    ck_assert_int_eq(
        prefetch_question_parse("00000002.history", 16 * MIB, &question, &segment, &err),
        CPAM_INVALID);
    ck_assert(!prefetch_question_write(
        "000000020000000100000003",
        "a-name-with-as-many-letters-as-a-repository-may-have-0123456789ab", text));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/prefetch_window");
    TCase *tcase = tcase_create("prefetch_window");

    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, F5_the_segment_asked_for_comes_first_and_the_next_ones_behind_it);
    tcase_add_test(tcase, F5_each_segment_taken_lets_the_next_begin);
    tcase_add_test(tcase, F5_the_depth_doubles_when_replay_had_to_wait);
    tcase_add_test(tcase, F5_without_room_only_what_is_asked_for_is_fetched);
    tcase_add_test(tcase, F7_a_file_that_was_given_is_never_given_again);
    tcase_add_test(tcase, F7_another_timeline_drops_everything);
    tcase_add_test(tcase, F7_what_replay_has_passed_by_goes);
    tcase_add_test(tcase, F7_an_old_file_is_fetched_anew);
    tcase_add_test(tcase, F6_where_files_grow_old_it_reaches_less_far);
    tcase_add_test(tcase, F7_trap14_what_was_fetched_for_another_is_not_offered);
    tcase_add_test(tcase, F7_F10_nothing_is_remembered_of_what_is_absent);
    tcase_add_test(tcase, F7_the_end_of_the_window_is_tried_again_with_each_question);
    tcase_add_loop_test(tcase, F6_the_depth_is_bound_in_bytes_by_the_segment_size, 0,
                        sizeof(limits) / sizeof(limits[0]));
    tcase_add_test(tcase, F6_names_are_read_with_the_servers_segment_size);
    return suite;
}
