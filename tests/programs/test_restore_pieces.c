/*
 * test_restore_pieces.c - which frames of a pack are asked for, in how many requests (format-1.md
 * fault 23).
 */
#include "suite.h"

#include <stdio.h>

#include "restore_pieces.h"

enum
{
    FRAMES = 64,
    FRAME = 1 << 20,
    STORED = 400 * 1000 /* of a frame, without its 28 bytes */
};

static uint32_t clen[FRAMES], rlen[FRAMES];
static struct manifest_pack pack;
static struct cpam_err err;

static void
begin(struct restore_pieces *pieces)
{
    for (int i = 0; i < FRAMES; i++)
    {
        clen[i] = STORED;
        rlen[i] = FRAME;
    }
    pack = (struct manifest_pack){.body_offset = 400,
                                  .size = (uint64_t) FRAMES * (STORED + 28) + 400,
                                  .frame_count = FRAMES,
                                  .clen = clen,
                                  .rlen = rlen};
    ck_ok(restore_pieces_begin(pieces, &pack, &err), &err);
}

static void
add(struct restore_pieces *pieces, uint64_t from, uint64_t size, size_t extent)
{
    struct restore_piece piece = {.from = from, .size = size, .extent = extent, .wanted = 1};

    ck_ok(restore_pieces_add(pieces, &piece, &err), &err);
}

static const struct
{
    const char *wanted; /* numbers of frames of which one byte is wanted */
    const char *runs;   /* what is asked for */
    bool whole;
} tables[] = {
    {"", "", false},
    {"0", "0-0", false},
    {"63", "63-63", false},
    {"3 4", "3-4", false},
    {"3 5", "3-5", false},     /* a gap of one frame costs less than a request */
    {"3 6", "3-6", false},     /* and of two */
    {"3 7", "3-3 7-7", false}, /* three are more than RESTORE_GAP */
    {"10 20 30", "10-10 20-20 30-30", false},
    {"0 3 6 9 12 15 18", "0-18", false},   /* 19 of 64 */
    {"0 3 6 9 12 15 18 20", "0-20", true}, /* 21 of 64 are more than 30 in a hundred */
};

START_TEST(T6_runs_of_frames)
{
    struct restore_pieces pieces;
    char text[200] = "";
    uint32_t first, last = 0;
    uint64_t stored, sum = 0, all;

    begin(&pieces);
    for (const char *at = tables[_i].wanted; *at != '\0';)
    {
        char *end;
        unsigned long frame = strtoul(at, &end, 10);

        add(&pieces, frame * FRAME + 77, 1, frame);
        at = end;
    }
    ck_ok(restore_pieces_end(&pieces, &err), &err);
    for (uint32_t at = 0; restore_pieces_run(&pieces, at, &first, &last, &stored); at = last + 1)
    {
        size_t used = strlen(text);

        snprintf(text + used, sizeof(text) - used, "%s%u-%u", used == 0 ? "" : " ", first, last);
        ck_assert_uint_eq(stored, (uint64_t) (last - first + 1) * (STORED + 28));
        sum += stored;
    }
    ck_assert_str_eq(text, tables[_i].runs);
    ck_assert_int_eq(restore_pieces_whole(&pieces, &all), tables[_i].whole);
    ck_assert_uint_eq(all, sum);
    restore_pieces_clear(&pieces);
}
END_TEST

START_TEST(T6_a_piece_may_run_over_frames_and_goes_on_with_its_neighbour)
{
    struct restore_pieces pieces;

    begin(&pieces);
    add(&pieces, FRAME - 8192, 8192, 0);
    add(&pieces, FRAME, 3 * FRAME, 0);
    add(&pieces, 4 * (uint64_t) FRAME, 10, 1); /* of another extent: a piece of its own */
    ck_ok(restore_pieces_end(&pieces, &err), &err);
    ck_assert_uint_eq(pieces.count, 2);
    ck_assert_uint_eq(pieces.items[0].size, 3 * FRAME + 8192);
    for (int i = 0; i < FRAMES; i++)
        ck_assert_int_eq(pieces.frames[i], i <= 4);
    restore_pieces_clear(&pieces);
}
END_TEST

START_TEST(T6_pieces_are_written_in_the_packs_order)
{
    struct restore_pieces pieces;
    struct restore_piece kept = {.from = 0, .size = 5, .extent = 1, .crc = 1};

    begin(&pieces);
    add(&pieces, 900, 10, 0);
    ck_ok(restore_pieces_add(&pieces, &kept, &err), &err);
    add(&pieces, 5, 10, 1);
    add(&pieces, 900, 10, 2); /* the same bytes for another file */
    ck_ok(restore_pieces_end(&pieces, &err), &err);
    ck_assert_uint_eq(pieces.wanted, 3);
    ck_assert_uint_eq(pieces.order[0], 2);
    ck_assert_uint_eq(pieces.order[1], 0);
    ck_assert_uint_eq(pieces.order[2], 3);
    restore_pieces_clear(&pieces);
}
END_TEST

START_TEST(E1_an_extent_outside_of_its_pack_is_refused)
{
    struct restore_pieces pieces;
    struct spill_extent extent = {.frame = FRAMES - 1, .offset = 10, .size = FRAME - 10};
    uint64_t from = 0;

    begin(&pieces);
    ck_ok(restore_pieces_from(&pieces, &extent, &from, &err), &err);
    ck_assert_uint_eq(from, (uint64_t) (FRAMES - 1) * FRAME + 10);
    extent.size++;
    ck_fails(restore_pieces_from(&pieces, &extent, &from, &err), CPAM_CORRUPT, "behind the end",
             &err);
    extent = (struct spill_extent){.frame = FRAMES, .size = 1};
    ck_fails(restore_pieces_from(&pieces, &extent, &from, &err), CPAM_CORRUPT, "behind the end",
             &err);
    extent = (struct spill_extent){.frame = 0, .size = UINT64_MAX};
    ck_fails(restore_pieces_from(&pieces, &extent, &from, &err), CPAM_CORRUPT, "behind the end",
             &err);
    restore_pieces_clear(&pieces);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("restore/restore_pieces");
    TCase *tcase = tcase_create("restore_pieces");

    tcase_add_loop_test(tcase, T6_runs_of_frames, 0, (int) (sizeof(tables) / sizeof(tables[0])));
    tcase_add_test(tcase, T6_a_piece_may_run_over_frames_and_goes_on_with_its_neighbour);
    tcase_add_test(tcase, T6_pieces_are_written_in_the_packs_order);
    tcase_add_test(tcase, E1_an_extent_outside_of_its_pack_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
