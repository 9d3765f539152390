/*
 * test_base_options.c - which options make a target, and which do not go together (T4).
 */
#include "suite.h"

#include "base_options.h"

static const struct
{
    struct base_options options;
    enum target_kind kind;
    const char *action;
} taken[] = {
    {{.latest = true}, TARGET_LATEST, "promote"},
    {{.latest = true, .backup = "b"}, TARGET_LATEST, "promote"},
    {{.backup = "b"}, TARGET_BACKUP, "pause"},
    {{.immediate = true}, TARGET_IMMEDIATE, "pause"},
    {{.pitr = "2026-01-31T12:00:00+01"}, TARGET_TIME, "pause"},
    {{.pitr = "2026-01-31 12:00:00Z", .exclusive = true}, TARGET_TIME, "pause"},
    {{.lsn = "16/B374D848", .action = "promote"}, TARGET_LSN, "promote"},
    {{.xid = "1000", .action = "shutdown"}, TARGET_XID, "shutdown"},
    {{.name = "before", .timeline = "2"}, TARGET_NAME, "pause"},
    {{.name = "before", .timeline = "latest", .recover = true}, TARGET_NAME, "promote"},
    {{.recover = true, .immediate = true, .action = "pause"}, TARGET_IMMEDIATE, "pause"},
    {{.standby = true}, TARGET_LATEST, "promote"},
    {{.standby = true, .backup = "b"}, TARGET_LATEST, "promote"},
};

START_TEST(options_make_a_target)
{
    struct cpam_err err;
    struct target target;
    const char *action = NULL;

    ck_ok(base_options_target(&taken[_i].options, &target, &action, &err), &err);
    ck_assert_int_eq(target.kind, taken[_i].kind);
    ck_assert_str_eq(action, taken[_i].action);
    ck_assert_int_eq(target.exclusive, taken[_i].options.exclusive);
    ck_assert_ptr_eq(target.backup, taken[_i].options.backup);
}
END_TEST

static const struct
{
    struct base_options options;
    const char *why;
} refused[] = {
    {{0}, "no target given"},
    {{.recover = true}, "no target given"},
    {{.dry_run = true}, "no target given"},
    {{.pitr = "2026-01-31T12:00:00"}, "2026-01-31T12:00:00"},
    {{.pitr = "2026-01-31"}, "2026-01-31"},
    {{.pitr = "yesterday"}, "yesterday"},
    {{.lsn = "16"}, "is not an LSN"},
    {{.xid = "12x"}, "12x"},
    {{.xid = "2"}, "transactions begin with 3"},
    {{.name = ""}, "1 to 63 bytes"},
    {{.name = "a23456789b23456789c23456789d23456789e23456789f23456789g23456789h"}, "1 to 63 bytes"},
    {{.latest = true, .timeline = "0"}, "--target-timeline: there is no timeline 0"},
    {{.latest = true, .timeline = "two"}, "--target-timeline: \"two\""},
    {{.latest = true, .immediate = true}, "--latest and --target-immediate are two targets"},
    {{.pitr = "2026-01-31T12:00:00Z", .xid = "5"}, "--pitr and --target-xid are two targets"},
    {{.latest = true, .exclusive = true}, "--target-exclusive needs"},
    {{.name = "x", .exclusive = true}, "--target-exclusive needs"},
    {{.latest = true, .action = "pause"}, "PostgreSQL always promotes"},
    {{.latest = true, .action = "shutdown"}, "PostgreSQL always promotes"},
    {{.standby = true, .recover = true}, "exclude each other"},
    {{.standby = true, .xid = "5"}, "--standby goes on replaying"},
    {{.standby = true, .action = "promote"}, "--standby has no --target-action"},
    {{.backup = "b", .timeline = "2"}, "--target-timeline needs a target"},
};

START_TEST(T4_options_are_refused)
{
    struct cpam_err err;
    struct target target;
    const char *action = NULL;

    ck_fails(base_options_target(&refused[_i].options, &target, &action, &err), CPAM_USAGE,
             refused[_i].why, &err);
    ck_assert_int_eq(err.status, CPAM_USAGE);
}
END_TEST

START_TEST(T4_all_targets_are_listed)
{
    static const char *const all[] = {"--latest",      "--pitr",        "--target-lsn",
                                      "--target-xid",  "--target-name", "--target-immediate",
                                      "--backup LABEL"};
    struct cpam_err err;
    struct target target;
    const char *action = NULL;
    struct base_options none = {0};

    ck_fails(base_options_target(&none, &target, &action, &err), CPAM_USAGE, "no target", &err);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        ck_assert_msg(strstr(err.hint, all[i]) != NULL, "%s is not in: %s", all[i], err.hint);
}
END_TEST

#define ROWS(table) ((int) (sizeof(table) / sizeof((table)[0])))

static const struct
{
    struct base_options options;
    int arguments;
    const char *why; /* NULL: fine */
} arguments[] = {
    {{.latest = true}, 1, NULL},
    {{.latest = true}, 0, "the directory to restore into is missing"},
    {{.config_files = "/x"}, 0, NULL},
    {{.config_files = "/x", .latest = true, .dry_run = true, .as_of = "2026"}, 0, NULL},
    {{.config_files = "/x", .backup = "b"}, 0, NULL},
    {{.config_files = "/x", .backup = "b"}, 1, "nothing but configuration"},
    {{.config_files = "/x", .pitr = "2026"}, 0, "nothing but configuration"},
    {{.config_files = "/x", .lsn = "0/1"}, 0, "nothing but configuration"},
    {{.config_files = "/x", .xid = "5"}, 0, "nothing but configuration"},
    {{.config_files = "/x", .name = "n"}, 0, "nothing but configuration"},
    {{.config_files = "/x", .immediate = true}, 0, "nothing but configuration"},
    {{.config_files = "/x", .standby = true}, 0, "nothing but configuration"},
    {{.config_files = "/x", .recover = true}, 0, "nothing but configuration"},
    {{.config_files = "/x", .tablespace_map.count = 1}, 0, "nothing but configuration"},
};

START_TEST(B13_configuration_goes_alone)
{
    struct cpam_err err;
    enum cpam_status status =
        base_options_arguments(&arguments[_i].options, arguments[_i].arguments, &err);

    if (arguments[_i].why == NULL)
        ck_ok(status, &err);
    else
        ck_fails(status, CPAM_USAGE, arguments[_i].why, &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("restore/base_options");
    TCase *tcase = tcase_create("base_options");

    tcase_add_loop_test(tcase, options_make_a_target, 0, ROWS(taken));
    tcase_add_loop_test(tcase, T4_options_are_refused, 0, ROWS(refused));
    tcase_add_test(tcase, T4_all_targets_are_listed);
    tcase_add_loop_test(tcase, B13_configuration_goes_alone, 0,
                        sizeof(arguments) / sizeof(arguments[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}
