/*
 * test_fetch_answer.c - every combination of caller, configuration and finding, against what
 * PostgreSQL does with the answer (product.md's exit codes, postgresql.md section 2).
 */
#include "suite.h"

#include "fetch_answer.h"

enum
{
    CALLERS = 4,
    POLICIES = 3,
    OUTCOMES = 4
};

#define R     FETCH_CALLER_RECOVERY
#define S     FETCH_CALLER_STANDBY
#define F     FETCH_CALLER_FINISHING
#define P     FETCH_CALLER_PERSON
#define AGAIN FETCH_ANSWER_AGAIN

/* Delivered and absent are the same for all; the rest is told row by row, written out by hand. */
static const struct
{
    enum fetch_caller caller;
    const char *on_error;
    int hole, hole_with_copy, unknown, unknown_with_copy;
} rows[] = {
    /* trap 3: a hole is 254, but 1 when pg_wal has it; what could not be told stays 254 */
    {R, "auto", 254, 1, 254, 254},
    {R, "stop", 254, 1, 254, 254},
    {R, "retry", AGAIN, 1, AGAIN, AGAIN},
    /* 254 would shut a standby down */
    {S, "auto", 1, 1, 1, 1},
    {S, "stop", 254, 1, 254, 254},
    {S, "retry", AGAIN, 1, AGAIN, AGAIN},
    /* trap 1: never above 125 */
    {F, "auto", AGAIN, 1, AGAIN, 1},
    {F, "stop", AGAIN, 1, AGAIN, 1},
    {F, "retry", AGAIN, 1, AGAIN, 1},
    /* never an endless wait */
    {P, "auto", 254, 254, 254, 254},
    {P, "stop", 254, 254, 254, 254},
    {P, "retry", 254, 254, 254, 254},
};

START_TEST(F1_trap1_trap3_each_row_of_the_exit_table)
{
    enum fetch_caller caller = rows[_i].caller;
    enum fetch_on_error policy = fetch_on_error_of(rows[_i].on_error);

    for (int copy = 0; copy <= 1; copy++)
    {
        ck_assert_int_eq(fetch_answer_of(caller, policy, FETCH_DELIVERED, copy), 0);
        ck_assert_int_eq(fetch_answer_of(caller, policy, FETCH_ABSENT, copy), 1);
    }
    ck_assert_int_eq(fetch_answer_of(caller, policy, FETCH_HOLE, false), rows[_i].hole);
    ck_assert_int_eq(fetch_answer_of(caller, policy, FETCH_HOLE, true), rows[_i].hole_with_copy);
    ck_assert_int_eq(fetch_answer_of(caller, policy, FETCH_UNKNOWN, false), rows[_i].unknown);
    ck_assert_int_eq(fetch_answer_of(caller, policy, FETCH_UNKNOWN, true),
                     rows[_i].unknown_with_copy);
}
END_TEST

/* What must hold whatever the table says: a second, independent statement of the same contract. */
START_TEST(F1_no_combination_breaks_the_contract)
{
    for (int caller = 0; caller < CALLERS; caller++)
        for (int policy = 0; policy < POLICIES; policy++)
            for (int outcome = 0; outcome < OUTCOMES; outcome++)
                for (int copy = 0; copy <= 1; copy++)
                {
                    int answer = (int) fetch_answer_of((enum fetch_caller) caller,
                                                       (enum fetch_on_error) policy,
                                                       (enum fetch_outcome) outcome, copy == 1);

                    ck_assert(answer == 0 || answer == 1 || answer == 254 || answer == AGAIN);
                    ck_assert_int_eq(answer == 0, outcome == FETCH_DELIVERED);
                    if (caller == F)
                        ck_assert_int_ne(answer, 254);
                    if (caller == P)
                        ck_assert_int_ne(answer, AGAIN);
                    /* recovery ends early only by proof */
                    if (caller == R && outcome == FETCH_UNKNOWN)
                        ck_assert_int_ne(answer, 1);
                    if (caller == R && outcome == FETCH_HOLE && !copy)
                        ck_assert_int_ne(answer, 1);
                    if (policy == FETCH_ON_ERROR_RETRY && outcome == FETCH_UNKNOWN && caller != P &&
                        !(caller == F && copy))
                        ck_assert_int_eq(answer, AGAIN);
                }
}
END_TEST

#define UNK FETCH_UNKNOWN
#define GOT FETCH_DELIVERED
#define ABS FETCH_ABSENT
#define HOL FETCH_HOLE

/* {in the read set, outcome} of up to three repositories, and what follows. */
static const struct
{
    struct fetch_finding findings[3];
    size_t count;
    enum fetch_outcome wanted;
} combined[] = {
    {{{true, GOT}}, 1, GOT},
    {{{true, ABS}}, 1, ABS},
    {{{true, HOL}}, 1, HOL},
    {{{true, UNK}}, 1, UNK},
    /* F2: not found here and silence there is no proof, in either order */
    {{{true, ABS}, {true, UNK}}, 2, UNK},
    {{{true, UNK}, {true, ABS}}, 2, UNK},
    {{{true, HOL}, {true, UNK}}, 2, UNK},
    {{{true, ABS}, {true, ABS}}, 2, ABS},
    {{{true, ABS}, {true, HOL}}, 2, HOL},
    {{{true, HOL}, {true, ABS}}, 2, HOL},
    {{{true, UNK}, {true, GOT}}, 2, GOT},
    {{{true, ABS}, {true, UNK}, {true, GOT}}, 3, GOT},
    {{{true, ABS}, {true, ABS}, {true, UNK}}, 3, UNK},
    /* trap 4: outside the read set a failure does not matter, a file or a later file does */
    {{{true, ABS}, {false, UNK}}, 2, ABS},
    {{{false, UNK}, {true, ABS}}, 2, ABS},
    {{{true, ABS}, {false, HOL}}, 2, HOL},
    {{{true, ABS}, {false, GOT}}, 2, GOT},
    {{{true, UNK}, {false, GOT}}, 2, GOT},
    {{{true, UNK}, {false, ABS}}, 2, UNK},
    {{{true, UNK}, {false, HOL}}, 2, UNK},
    /* nobody who can prove it was asked */
    {{{false, ABS}}, 1, UNK},
    {{{false, ABS}, {false, ABS}}, 2, UNK},
    {{{0}}, 0, UNK},
};

START_TEST(F2_trap4_repositories_together)
{
    ck_assert_int_eq(fetch_outcome_of(combined[_i].findings, combined[_i].count),
                     combined[_i].wanted);
}
END_TEST

START_TEST(trap1_only_the_first_history_is_known_to_be_absent)
{
    static const char *const others[] = {"00000002.history",
                                         "000000010000000000000001",
                                         "00000001.HISTORY",
                                         "000000001.history",
                                         "0000000A.history",
                                         "00000001.history.partial",
                                         ""};

    ck_assert(fetch_answer_known("00000001.history"));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ck_assert_msg(!fetch_answer_known(others[i]), "%s", others[i]);
}
END_TEST

START_TEST(on_error_reads_its_words)
{
    ck_assert_int_eq(fetch_on_error_of(NULL), FETCH_ON_ERROR_AUTO);
    ck_assert_int_eq(fetch_on_error_of("auto"), FETCH_ON_ERROR_AUTO);
    ck_assert_int_eq(fetch_on_error_of("stop"), FETCH_ON_ERROR_STOP);
    ck_assert_int_eq(fetch_on_error_of("retry"), FETCH_ON_ERROR_RETRY);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/fetch_answer");
    TCase *tcase = tcase_create("fetch_answer");

    tcase_add_loop_test(tcase, F1_trap1_trap3_each_row_of_the_exit_table, 0,
                        sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, F1_no_combination_breaks_the_contract);
    tcase_add_loop_test(tcase, F2_trap4_repositories_together, 0,
                        sizeof(combined) / sizeof(combined[0]));
    tcase_add_test(tcase, trap1_only_the_first_history_is_known_to_be_absent);
    tcase_add_test(tcase, on_error_reads_its_words);
    suite_add_tcase(suite, tcase);
    return suite;
}
