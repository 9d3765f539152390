/*
 * test_arena.c - memory that is freed at once, up to a limit.
 */
#include "suite.h"

#include "base/arena.h"

START_TEST(what_is_taken_is_zeroed_aligned_and_apart)
{
    struct cpam_err err;
    CPAM_AUTO(arena_free) struct arena *arena = NULL;
    unsigned char *before = NULL;

    ck_ok(arena_new(1 << 20, &arena, &err), &err);
    for (size_t size = 1; size < 400; size += 7)
    {
        void *at;

        ck_ok(arena_take(arena, size, &at, &err), &err);
        ck_assert_uint_eq((uintptr_t) at % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            ck_assert_uint_eq(((unsigned char *) at)[i], 0);
        memset(at, 0xff, size);
        ck_assert_ptr_ne(at, before);
        before = at;
    }
}
END_TEST

START_TEST(text_has_its_end)
{
    struct cpam_err err;
    CPAM_AUTO(arena_free) struct arena *arena = NULL;
    const char *text;

    ck_ok(arena_new(1 << 20, &arena, &err), &err);
    ck_ok(arena_text(arena, "segment", 3, &text, &err), &err);
    ck_assert_str_eq(text, "seg");
    ck_ok(arena_text(arena, "", 0, &text, &err), &err);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(limit_is_kept)
{
    struct cpam_err err;
    CPAM_AUTO(arena_free) struct arena *arena = NULL;
    void *at;

    ck_ok(arena_new(100000, &arena, &err), &err);
    ck_ok(arena_take(arena, 60000, &at, &err), &err); /* larger than a block */
    ck_fails(arena_take(arena, 60000, &at, &err), CPAM_INVALID, "more than the memory allowed",
             &err);
    ck_assert_ptr_null(at);
    ck_fails(arena_take(arena, SIZE_MAX, &at, &err), CPAM_INVALID, "allowed", &err);
    ck_fails(arena_take(arena, SIZE_MAX - 8, &at, &err), CPAM_INVALID, "allowed", &err);
    ck_ok(arena_take(arena, 30000, &at, &err), &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("base/arena");
    TCase *tcase = tcase_create("arena");

    tcase_add_test(tcase, what_is_taken_is_zeroed_aligned_and_apart);
    tcase_add_test(tcase, text_has_its_end);
    tcase_add_test(tcase, limit_is_kept);
    suite_add_tcase(suite, tcase);
    return suite;
}
