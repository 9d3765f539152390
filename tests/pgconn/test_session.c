/*
 * test_session.c - a session with a server that follows a script: what it says at the start, what each
 * answer becomes, and that no wait is longer than its deadline.
 */
#include "suite.h"

#include <stdio.h>

#include "io/io.h"
#include "pgconn/pgconn.h"
#include "scripted_server.h"

static const char *const one_of_each[] = {"a", NULL, "", "d"};
static const char *const latin[] = {"/donn\xe9"
                                    "es"};
static const struct answer answers[] = {
    {"SELECT four", ANSWER_ROWS, 2, 2, one_of_each, NULL, NULL, NULL},
    {"SELECT one", ANSWER_ROWS, 1, 1, NULL, NULL, NULL, "mind\n\tthe gap\n"},
    {"SELECT null", ANSWER_ROWS, 1, 1, one_of_each + 1, NULL, NULL, NULL},
    {"SELECT wide", ANSWER_ROWS, 1, PGCONN_COLUMNS_MAX + 1, NULL, NULL, NULL, NULL},
    {"SELECT long", ANSWER_ROWS, PGCONN_ROWS_MAX + 1, 1, NULL, NULL, NULL, NULL},
    {"SELECT denied", ANSWER_REFUSED, 0, 0, NULL, "permission denied\nfor function x",
     "grant it to the role", NULL},
    {"SELECT plainly", ANSWER_REFUSED, 0, 0, NULL, "it is not possible", NULL, NULL},
    {"SELECT fatal", ANSWER_FATAL, 0, 0, NULL, "terminating connection by command", NULL, NULL},
    {"SELECT gone", ANSWER_HANG_UP, 0, 0, NULL, NULL, NULL, NULL},
    {"SELECT slow", ANSWER_UNTIL_CANCELLED, 0, 0, NULL, NULL, NULL, NULL},
    {"SELECT place", ANSWER_ROWS, 1, 1, latin, NULL, NULL, NULL},
    {"SELECT locked", ANSWER_REFUSED, 0, 0, NULL, "acc\xe8s refus\xe9", NULL, NULL},
    {"SELECT stuck", ANSWER_NEVER_DONE, 1, 1, NULL, NULL, NULL, NULL},
};

static struct scripted_server server;
static struct pgconn *conn;
static struct pgrows *rows;
static struct cpam_err err;

static struct deadline
soon(void)
{
    return deadline_after(io_posix(), 60 * 1000000);
}

static enum cpam_status
open_session(struct deadline deadline)
{
    return pgconn_open(io_posix(), server.conninfo, "cpam-test", deadline, &conn, &err);
}

static enum cpam_status
ask(const char *sql, struct deadline deadline)
{
    pgrows_free(rows);
    return pgconn_query(conn, sql, NULL, 0, deadline, &rows, &err);
}

static void
set_up(void)
{
    memset(&server, 0, sizeof(server));
    server.answers = answers;
    server.count = sizeof(answers) / sizeof(answers[0]);
    conn = NULL;
    rows = NULL;
    scripted_server_start(&server);
}

static void
tear_down(void)
{
    pgrows_free(rows);
    pgconn_free(conn);
    scripted_server_stop(&server);
}

START_TEST(a_session_switches_the_servers_timeouts_off)
{
    static const char *const wanted[] = {
        "SET statement_timeout = 0\n",
        "SET lock_timeout = 0\n",
        "SET idle_in_transaction_session_timeout = 0\n",
        "SET idle_session_timeout = 0\n",
        "SET client_encoding = 'UTF8'\n",
        "SET search_path = pg_catalog\n",
    };

    ck_ok(open_session(soon()), &err);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        ck_assert_msg(strstr(server.statements, wanted[i]) != NULL, "no \"%s\"", wanted[i]);
    ck_assert_ptr_nonnull(strstr(server.startup, "application_name cpam-test "));
    ck_assert_ptr_nonnull(strstr(server.startup, "user backup "));
    ck_assert_int_eq(pgconn_backend_pid(conn), SERVER_PID);
}
END_TEST

START_TEST(the_name_in_the_conninfo_wins)
{
    size_t used = strlen(server.conninfo);

    snprintf(server.conninfo + used, sizeof(server.conninfo) - used, " application_name=mine");
    ck_ok(open_session(soon()), &err);
    ck_assert_ptr_nonnull(strstr(server.startup, "application_name mine "));
}
END_TEST

START_TEST(a_server_that_is_not_there_is_transient)
{
    ck_fails(
        pgconn_open(io_posix(), "host=/nowhere/at/all user=x", "cpam-test", soon(), &conn, &err),
        CPAM_TRANSIENT, "could not connect to the database server", &err);
    ck_assert_ptr_null(conn);
    ck_assert_ptr_nonnull(strstr(err.text, "/nowhere/at/all"));
    ck_assert_ptr_null(strchr(err.text, '\n'));
}
END_TEST

START_TEST(a_conninfo_that_makes_no_sense_is_told)
{
    ck_fails(pgconn_open(io_posix(), "hosst=x", "cpam-test", soon(), &conn, &err), CPAM_TRANSIENT,
             "hosst", &err);
    ck_assert_ptr_null(conn);
}
END_TEST

START_TEST(a_server_that_lets_nobody_in_is_told)
{
    server.refuse = "role \"backup\" is not permitted to log in";
    ck_fails(open_session(soon()), CPAM_TRANSIENT, server.refuse, &err);
    ck_assert_ptr_null(conn);
}
END_TEST

START_TEST(a_server_that_never_says_hello_runs_into_the_deadline)
{
    server.mute = 1;
    ck_fails(open_session(deadline_after(io_posix(), 50000)), CPAM_DEADLINE,
             "the database server did not answer in time", &err);
    ck_assert_ptr_null(conn);
}
END_TEST

START_TEST(a_server_that_keeps_its_timeouts_is_not_used)
{
    static const struct answer stubborn[] = {
        {"SET lock_timeout", ANSWER_REFUSED, 0, 0, NULL, "the timeout stays as it is", NULL, NULL}};

    server.answers = stubborn;
    server.count = 1;
    ck_fails(open_session(soon()), CPAM_REFUSED, "the timeout stays as it is", &err);
    ck_assert_ptr_null(conn);
}
END_TEST

/* The statements on encodings and the last one of another kind, in their order. */
static void
ck_encodings(const char *sql)
{
    const char *off = strstr(server.statements, "SET client_encoding = 'SQL_ASCII'\n");
    ck_assert_ptr_nonnull(off);
    const char *asked = strstr(off, sql);
    ck_assert_ptr_nonnull(asked);
    ck_assert_ptr_nonnull(strstr(asked, "SET client_encoding = 'UTF8'\n"));
}

START_TEST(a_path_comes_byte_for_byte)
{
    ck_ok(open_session(soon()), &err);
    ck_ok(pgconn_row_bytes(conn, "SELECT place", 1, soon(), &rows, &err), &err);
    ck_assert_str_eq(rows->values[0], latin[0]);
    ck_encodings("SELECT place");
}
END_TEST

START_TEST(a_refusal_in_an_unknown_encoding_keeps_its_ascii)
{
    ck_ok(open_session(soon()), &err);
    ck_fails(pgconn_query_bytes(conn, "SELECT locked", soon(), &rows, &err), CPAM_REFUSED,
             "acc?s refus?", &err);
    ck_assert_ptr_null(rows);
    ck_encodings("SELECT locked");
    ck_ok(ask("SELECT one", soon()), &err);
}
END_TEST

START_TEST(rows_come_with_their_nulls)
{
    static const char *const parameters[] = {"1", NULL, "3"};

    ck_ok(open_session(soon()), &err);
    ck_ok(pgconn_query(conn, "SELECT four", parameters, 3, soon(), &rows, &err), &err);
    ck_assert_int_eq(server.parameters, 3);
    ck_assert_uint_eq(rows->rows, 2);
    ck_assert_uint_eq(rows->columns, 2);
    ck_assert_str_eq(rows->values[0], "a");
    ck_assert_ptr_null(rows->values[1]);
    ck_assert_str_eq(rows->values[2], "");
    ck_assert_str_eq(rows->values[3], "d");
    ck_ok(ask("SELECT one", soon()), &err); /* a notice beside it does no harm */
    ck_assert_str_eq(rows->values[0], "x");
    ck_ok(pgconn_query(conn, "CHECKPOINT", NULL, 0, soon(), NULL, &err), &err);
}
END_TEST

START_TEST(too_many_parameters_never_leave_the_house)
{
    static const char *const many[PGCONN_PARAMETERS_MAX + 1];

    ck_ok(open_session(soon()), &err);
    ck_fails(
        pgconn_query(conn, "SELECT many", many, PGCONN_PARAMETERS_MAX + 1, soon(), &rows, &err),
        CPAM_INTERNAL, "a query with 9 parameters", &err);
    ck_assert_ptr_null(rows);
    ck_assert_ptr_null(strstr(server.statements, "SELECT many"));
}
END_TEST

/* What goes wrong with one statement, and whether the session is good for another one. */
static const struct
{
    const char *sql;
    enum cpam_status status;
    const char *words;
    const char *hint;
    bool lives;
} refusals[] = {
    {"SELECT denied", CPAM_REFUSED, "refused \"SELECT denied\": permission denied for function x",
     "grant it to the role", true},
    {"SELECT plainly", CPAM_REFUSED, "it is not possible", NULL, true},
    {"SELECT wide", CPAM_INVALID, "1 rows of 17 columns", NULL, true},
    {"SELECT long", CPAM_INVALID, "10001 rows of 1 columns", NULL, true},
    {"SELECT fatal", CPAM_TRANSIENT, "the connection to the database server is lost", NULL, false},
    {"SELECT gone", CPAM_TRANSIENT, "the connection to the database server is lost", NULL, false},
};

START_TEST(a_refused_statement_is_told)
{
    ck_ok(open_session(soon()), &err);
    ck_fails(ask(refusals[_i].sql, soon()), refusals[_i].status, refusals[_i].words, &err);
    ck_assert_ptr_null(rows);
    if (refusals[_i].hint != NULL)
        ck_assert_ptr_nonnull(strstr(err.hint, refusals[_i].hint));
    if (refusals[_i].lives)
        ck_ok(ask("SELECT one", soon()), &err);
    else
        ck_fails(ask("SELECT one", soon()), CPAM_TRANSIENT,
                 "the connection to the database server is lost", &err);
}
END_TEST

START_TEST(a_late_statement_is_cancelled_and_the_session_goes_on)
{
    static const char *const late[] = {"SELECT slow", "SELECT stuck"};

    ck_ok(open_session(soon()), &err);
    ck_fails(ask(late[_i], deadline_after(io_posix(), 20000)), CPAM_DEADLINE,
             "the database server did not answer in time", &err);
    ck_assert_ptr_null(rows);
    ck_assert_int_eq(server.cancels, 1);
    ck_ok(ask("SELECT one", soon()), &err);
    ck_assert_str_eq(rows->values[0], "x");
}
END_TEST

static const struct
{
    const char *sql;
    size_t columns;
    const char *words; /* NULL: it is as wanted */
} single_rows[] = {
    {"SELECT one", 1, NULL},
    {"SELECT one", 2, "with 1 rows of 1 columns, not one of 2"},
    {"SELECT four", 2, "with 2 rows of 2 columns, not one of 2"},
    {"CHECKPOINT", 1, "with 0 rows of 0 columns, not one of 1"},
    {"SELECT null", 1, "\"SELECT null\" with a null"},
};

START_TEST(one_row_is_one_row_without_nulls)
{
    ck_ok(open_session(soon()), &err);
    enum cpam_status status = pgconn_row(conn, single_rows[_i].sql, NULL, 0,
                                         single_rows[_i].columns, soon(), &rows, &err);
    if (single_rows[_i].words == NULL)
        ck_assert_str_eq(rows->values[0], "x");
    else
    {
        ck_fails(status, CPAM_INVALID, single_rows[_i].words, &err);
        ck_assert_ptr_null(rows);
    }
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("pgconn/session");
    TCase *tcase = tcase_create("session");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_session_switches_the_servers_timeouts_off);
    tcase_add_test(tcase, the_name_in_the_conninfo_wins);
    tcase_add_test(tcase, a_server_that_is_not_there_is_transient);
    tcase_add_test(tcase, a_conninfo_that_makes_no_sense_is_told);
    tcase_add_test(tcase, a_server_that_lets_nobody_in_is_told);
    tcase_add_test(tcase, a_server_that_never_says_hello_runs_into_the_deadline);
    tcase_add_test(tcase, a_server_that_keeps_its_timeouts_is_not_used);
    tcase_add_test(tcase, a_path_comes_byte_for_byte);
    tcase_add_test(tcase, a_refusal_in_an_unknown_encoding_keeps_its_ascii);
    tcase_add_test(tcase, rows_come_with_their_nulls);
    tcase_add_test(tcase, too_many_parameters_never_leave_the_house);
    tcase_add_loop_test(tcase, a_refused_statement_is_told, 0,
                        sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_loop_test(tcase, a_late_statement_is_cancelled_and_the_session_goes_on, 0, 2);
    tcase_add_loop_test(tcase, one_row_is_one_row_without_nulls, 0,
                        sizeof(single_rows) / sizeof(single_rows[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}
