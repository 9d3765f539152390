/*
 * test_push_policy.c - how many repositories make a push durable.
 */
#include "suite.h"

#include <stdio.h>

#include "push_policy.h"

static struct cpam_err err;

/* required repositories r1.., then one that is not. */
static struct settings *
settings_with(unsigned required, const char *acknowledge)
{
    struct settings *settings = NULL;
    char text[4096];
    int at = snprintf(text, sizeof(text),
                      "cluster: demo\npostgresql: { data: /d }\nencryption: none\n"
                      "wal: { push: { acknowledge: %s } }\nrepositories:\n"
                      "- { name: o, url: file:///o, required: false }\n",
                      acknowledge);

    for (unsigned i = 1; i <= required; i++)
        at += snprintf(text + at, sizeof(text) - (size_t) at,
                       "- { name: r%u, url: \"file:///r%u\" }\n", i, i);
    ck_ok(settings_parse("c.yaml", text, (size_t) at, &settings, &err), &err);
    return settings;
}

static const struct
{
    unsigned required;
    const char *acknowledge;
    size_t needed;
} policies[] = {
    {1, "all", 1}, {1, "any", 1}, {1, "1", 1}, {2, "all", 2}, {2, "any", 1},
    {3, "2", 2},   {3, "3", 3},   {3, "1", 1}, {5, "all", 5},
};

START_TEST(P13_acknowledge_counts_required_repositories)
{
    CPAM_AUTO(settings_free)
    struct settings *settings = settings_with(policies[_i].required, policies[_i].acknowledge);
    struct push_policy policy;

    ck_ok(push_policy_of(settings, &policy, &err), &err);
    ck_assert_uint_eq(policy.required, policies[_i].required);
    ck_assert_uint_eq(policy.needed, policies[_i].needed);
}
END_TEST

START_TEST(P13_a_promise_nobody_can_keep_is_refused)
{
    CPAM_AUTO(settings_free) struct settings *settings = settings_with(2, "all");
    struct push_policy policy;

    settings->wal.push_needed = 3;
    ck_fails(push_policy_of(settings, &policy, &err), CPAM_USAGE, "asks for 3 of 2", &err);
    settings->wal.push_needed = 0;
    ck_fails(push_policy_of(settings, &policy, &err), CPAM_USAGE, "asks for 0 of 2", &err);
    for (size_t i = 0; i < settings->repository_count; i++)
        settings->repositories[i].required = false;
    ck_fails(push_policy_of(settings, &policy, &err), CPAM_USAGE, "would promise nothing", &err);
}
END_TEST

static const struct
{
    size_t required, needed, done, failed;
    bool wrong;
    enum push_verdict verdict;
} verdicts[] = {
    /* all of one, of three */
    {1, 1, 0, 0, false, PUSH_WAIT},
    {1, 1, 1, 0, false, PUSH_DURABLE},
    {1, 1, 0, 1, false, PUSH_FAILED},
    {3, 3, 2, 0, false, PUSH_WAIT},
    {3, 3, 3, 0, false, PUSH_DURABLE},
    {3, 3, 0, 1, false, PUSH_FAILED},
    {3, 3, 2, 1, false, PUSH_FAILED},
    /* any of three */
    {3, 1, 0, 0, false, PUSH_WAIT},
    {3, 1, 0, 2, false, PUSH_WAIT},
    {3, 1, 1, 0, false, PUSH_DURABLE},
    {3, 1, 1, 2, false, PUSH_DURABLE},
    {3, 1, 0, 3, false, PUSH_FAILED},
    /* two of three */
    {3, 2, 1, 0, false, PUSH_WAIT},
    {3, 2, 1, 1, false, PUSH_WAIT},
    {3, 2, 2, 1, false, PUSH_DURABLE},
    {3, 2, 1, 2, false, PUSH_FAILED},
    /* what is wrong with the file is wrong whoever else has it */
    {1, 1, 0, 1, true, PUSH_FAILED},
    {3, 1, 2, 1, true, PUSH_FAILED},
    {3, 1, 0, 1, true, PUSH_FAILED},
};

START_TEST(P13_verdict)
{
    const struct push_policy policy = {verdicts[_i].required, verdicts[_i].needed};

    ck_assert_int_eq(
        push_policy_verdict(&policy, verdicts[_i].done, verdicts[_i].failed, verdicts[_i].wrong),
        verdicts[_i].verdict);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/push_policy");
    TCase *tcase = tcase_create("push_policy");

    tcase_add_loop_test(tcase, P13_acknowledge_counts_required_repositories, 0,
                        sizeof(policies) / sizeof(policies[0]));
    tcase_add_test(tcase, P13_a_promise_nobody_can_keep_is_refused);
    tcase_add_loop_test(tcase, P13_verdict, 0, sizeof(verdicts) / sizeof(verdicts[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}
