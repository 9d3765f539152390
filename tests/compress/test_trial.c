/*
 * test_trial.c - which frames of a file are tried, and which are stored as they are.
 */
#include "suite.h"

#include "compress/trial.h"

enum
{
    SIZE = 1 << 20
};

/* A letter a frame: 'C' was tried and shrank, 'n' was tried and did not, '-' was spared. */
static void
run(const char *content, char *out)
{
    struct codec_trial trial = {0};

    for (; *content != '\0'; content++, out++)
    {
        if (!codec_trial_wanted(&trial))
        {
            *out = '-';
            continue;
        }
        bool shrinks = *content == 'c';
        codec_trial_note(&trial, SIZE, shrinks ? SIZE / 3 : SIZE);
        *out = shrinks ? 'C' : 'n';
    }
    *out = '\0';
}

static const struct
{
    const char *content, *decided;
} files[] = {
    /* tables: all of it, always */
    {"cccccccccccccccccccc", "CCCCCCCCCCCCCCCCCCCC"},
    /* pictures: two tries, then one of eight, of sixteen, of thirty-two */
    {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
     "nn-------n---------------n-------------------------------n--------"},
    /* one odd frame does not make a file of them */
    {"cxcxcxcxcccc", "CnCnCnCnCCCC"},
    /* a file that changes its nature is noticed at the next try, and from there compressed whole */
    {"xxxxxcccccccccccccc", "nn-------CCCCCCCCCC"},
    /* and back again: the count begins anew */
    {"xxxxxccccccxxxxxxxxxxx", "nn-------CCnn-------n-"},
    {"", ""},
};

START_TEST(what_does_not_shrink_is_spared_and_looked_at_again)
{
    char decided[128];

    run(files[_i].content, decided);
    ck_assert_str_eq(decided, files[_i].decided);
}
END_TEST

START_TEST(a_file_of_any_length_is_tried_again_and_again)
{
    struct codec_trial trial = {0};
    unsigned since = 0, tried = 0;

    for (int i = 0; i < 100000; i++)
    {
        since++;
        if (!codec_trial_wanted(&trial))
            continue;
        codec_trial_note(&trial, SIZE, SIZE);
        ck_assert_uint_le(since, TRIAL_SPARED_MAX + 1);
        since = 0;
        tried++;
    }
    ck_assert_uint_ge(tried, 100000 / (TRIAL_SPARED_MAX + 1));
    ck_assert_uint_le(tried, 100000 / (TRIAL_SPARED_MAX + 1) + 10);
}
END_TEST

static const struct
{
    size_t size, packed;
    bool shrinks;
} gains[] = {
    {SIZE, SIZE, false},
    {SIZE, SIZE - 1, false}, /* smaller, and not worth it */
    {SIZE, SIZE - SIZE / 32 + 1, false},
    {SIZE, SIZE - SIZE / 32, true},
    {SIZE, 1, true},
    {1, 1, false},
    {2, 1, true}, /* no part of so many, but smaller */
};

START_TEST(a_frame_shrinks_if_it_is_worth_it)
{
    struct codec_trial trial = {0};

    for (int i = 0; i < TRIAL_FRAMES; i++)
        codec_trial_note(&trial, gains[_i].size, gains[_i].packed);
    ck_assert_int_eq(codec_trial_wanted(&trial), gains[_i].shrinks);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("compress/trial");
    TCase *tcase = tcase_create("trial");

    tcase_add_loop_test(tcase, what_does_not_shrink_is_spared_and_looked_at_again, 0,
                        (int) (sizeof(files) / sizeof(files[0])));
    tcase_add_test(tcase, a_file_of_any_length_is_tried_again_and_again);
    tcase_add_loop_test(tcase, a_frame_shrinks_if_it_is_worth_it, 0,
                        (int) (sizeof(gains) / sizeof(gains[0])));
    suite_add_tcase(suite, tcase);
    return suite;
}
