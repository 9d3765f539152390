/*
 * test_tablespace_search.c - trap 6: CREATE TABLESPACE is found wherever it lies in WAL, and nothing
 * else is taken for it.
 */
#include "suite.h"

#include "base/bytes.h"
#include "pg/crc32c.h"
#include "pg/tablespace_search.h"

enum
{
    STREAM_MAX = 256 << 10, /* of records, without the headers of pages */
    WAL_MAX = 1 << 20,
    HEADER = 24,
    HEADER_LONG = 40,
    PAGE = 8192,
    START = 1 << 20
};

static uint8_t stream[STREAM_MAX], wal[WAL_MAX];
static size_t stream_size;
static struct tablespace_search search;
static size_t seen; /* by the search */
static struct wal_walk walk;
static struct tablespace_created found[8]; /* by the walk */
static size_t count;

static void
on_seen(void *arg)
{
    (void) arg;
    seen++;
}

static void
on_record(void *arg, struct lsn at, const uint8_t *head, size_t length)
{
    (void) arg, (void) at;
    ck_assert_uint_lt(count, 8);
    count += tablespace_record_parse(head, length, &found[count]);
}

static void
begin(void)
{
    stream_size = count = seen = 0;
    memset(stream, 0, sizeof(stream));
    memset(wal, 0, sizeof(wal));
    tablespace_search_begin(&search, 0, on_seen, NULL);
}

static void
walk_pages(size_t page, size_t size)
{
    for (size_t at = 0; at < size; at += page)
        wal_walk_page(&walk, wal + at);
}

/* Both over what was paginated. */
static void
look(size_t page, size_t size)
{
    tablespace_search_add(&search, wal, size);
    wal_walk_begin(&walk, page, on_record, NULL);
    walk_pages(page, size);
}

static void
noise(uint8_t *at, size_t size)
{
    uint32_t state = (uint32_t) size + 7;

    for (size_t i = 0; i < size; i++)
    {
        state = state * 1664525u + 1013904223u;
        at[i] = (uint8_t) (state >> 24);
    }
}

/* Other records, up to `size` of the stream, none or at least the header of one from where it is. */
static void
fill(size_t size)
{
    while (stream_size < size)
    {
        size_t left = size - stream_size;
        size_t length = left > 700 ? 300 + left % 64 : left;

        ck_assert_uint_ge(left, HEADER);
        noise(stream + stream_size, length);
        le32_put(stream + stream_size, (uint32_t) length);
        stream[stream_size + 17] = 10;
        stream_size += length;
        while (stream_size % 8 != 0)
            stream[stream_size++] = 0;
    }
}

struct parts
{
    uint8_t manager, info;
    bool is_long, origin, toplevel;
};

static void
finish_record(size_t begun, size_t length)
{
    le32_put(stream + begun, (uint32_t) length);
    uint32_t crc = crc32c(0, stream + begun + HEADER, length - HEADER);
    le32_put(stream + begun + 20, crc32c(crc, stream + begun, 20));
    stream_size = begun + length;
    while (stream_size % 8 != 0)
        stream[stream_size++] = 0;
}

/* As XLogRecordAssemble() makes it. */
static void
record(uint32_t oid, const char *path, struct parts parts)
{
    size_t begun = stream_size, size = 4 + strlen(path) + 1;

    memset(stream + begun, 0, HEADER);
    stream[begun + 16] = parts.info;
    stream[begun + 17] = parts.manager;
    stream_size += HEADER;
    if (parts.origin)
    {
        stream[stream_size] = 253;
        stream_size += 3;
    }
    if (parts.toplevel)
    {
        stream[stream_size] = 252;
        stream_size += 5;
    }
    if (parts.is_long || size > 255)
    {
        stream[stream_size] = 254;
        le32_put(stream + stream_size + 1, (uint32_t) size);
        stream_size += 5;
    }
    else
    {
        stream[stream_size] = 255;
        stream[stream_size + 1] = (uint8_t) size;
        stream_size += 2;
    }
    le32_put(stream + stream_size, oid);
    memcpy(stream + stream_size + 4, path, strlen(path) + 1);
    stream_size += size;
    finish_record(begun, stream_size - begun);
}

static void
create(uint32_t oid, const char *path)
{
    record(oid, path, (struct parts){.manager = 5});
}

/* Bytes that are left at `at` of a record that began before it. */
static size_t
rest_at(size_t at)
{
    size_t from = 0, length = 0;

    while (from < at)
    {
        length = le32_get(stream + from);
        from += (length + 7) / 8 * 8;
    }
    return from == at ? 0 : from - (length + 7) / 8 * 8 + length - at;
}

/* The stream behind headers of pages, so many of them in a segment. */
static size_t
paginate(size_t page, size_t in_segment)
{
    size_t taken = 0, made = 0;

    while (taken < stream_size)
    {
        bool first = made / page % in_segment == 0;
        size_t header = first ? HEADER_LONG : HEADER, rest = rest_at(taken);
        size_t room = page - header;
        size_t part = stream_size - taken < room ? stream_size - taken : room;

        ck_assert_uint_le(made + page, WAL_MAX);
        memset(wal + made, 0, page);
        wal[made] = 0x10;
        wal[made + 1] = 0xd1;
        wal[made + 2] = (uint8_t) ((first ? 2 : 0) | (rest > 0 ? 1 : 0));
        le64_put(wal + made + 8, START + made);
        le32_put(wal + made + 16, (uint32_t) rest);
        if (first)
            le32_put(wal + made + 36, (uint32_t) page);
        memcpy(wal + made + header, stream + taken, part);
        taken += part;
        made += page;
    }
    return made;
}

static void
found_one(uint32_t oid, const char *path)
{
    ck_assert_uint_eq(seen, 1);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(found[0].oid, oid);
    ck_assert_str_eq(found[0].path, path);
}

START_TEST(trap6_found_wherever_it_lies_at_the_edge_of_a_page)
{
    static const size_t pages[] = {1024, 2048, 8192, 65536};
    size_t page = pages[_i];

    for (size_t before = page - 304; before <= page + 80; before += 8)
    {
        begin();
        fill(before);
        create(16384, "/srv/space one");
        fill(stream_size + 2 * page);
        look(page, paginate(page, 1000));
        found_one(16384, "/srv/space one");
    }
}
END_TEST

/* The longest path there may be goes over three of the smallest pages. */
START_TEST(trap6_the_longest_path_over_the_smallest_pages)
{
    char path[TABLESPACE_PATH_MAX];

    memset(path, 'p', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    for (size_t before = 24; before < 1024; before += 8)
    {
        begin();
        fill(before);
        record(5, path, (struct parts){.manager = 5, .origin = true, .toplevel = true});
        fill(stream_size + 2000);
        look(1024, paginate(1024, 1000));
        found_one(5, path);
    }
}
END_TEST

START_TEST(trap6_pieces_of_any_size)
{
    static const size_t pieces[] = {1, 7, 40, 41, 1000, 8191, 8192, 8193, 100000};

    begin();
    fill(8192 - 40 - 16); /* its header itself is cut */
    create(7, "/a");
    fill(60000);
    create(8, "/b");
    fill(90000);
    size_t size = paginate(PAGE, 1000), piece = pieces[_i];
    for (size_t at = 0; at < size; at += piece)
        tablespace_search_add(&search, wal + at, size - at < piece ? size - at : piece);
    ck_assert_uint_eq(seen, 2);
}
END_TEST

/* From one segment into the next: the last pages of the former, then the latter. */
START_TEST(trap6_over_the_edge_of_a_segment)
{
    size_t edge = 2 * PAGE - 40 - 24; /* of the stream, in segments of two pages */

    for (size_t before = edge - 64; before <= edge; before += 8)
    {
        begin();
        fill(before);
        create(9, "/over/the/edge");
        fill(30000);
        size_t size = paginate(PAGE, 2);
        tablespace_search_begin(&search, wal_page_size(wal, size), on_seen, NULL);
        tablespace_search_add(&search, wal, size);
        wal_walk_begin(&walk, PAGE, on_record, NULL);
        for (size_t at = 0; at < size; at += PAGE)
        {
            if (at % (2 * PAGE) == 0)
                wal_walk_segment(&walk, (struct lsn){START + at});
            wal_walk_page(&walk, wal + at);
        }
        found_one(9, "/over/the/edge");
    }
}
END_TEST

/* The latter alone: what began in the former is skipped, and what follows is found. */
START_TEST(trap6_a_walk_begins_in_the_middle_of_a_record)
{
    begin();
    fill(3 * PAGE);
    create(10, "/behind");
    fill(stream_size + 5000);
    size_t size = paginate(PAGE, 1000);
    wal_walk_begin(&walk, PAGE, on_record, NULL);
    for (size_t at = PAGE; at < size; at += PAGE)
        wal_walk_page(&walk, wal + at);
    ck_assert_uint_eq(count, 1);
    /* nothing was written behind a switch: the rest is zeros, and the next segment begins anew */
    begin();
    create(11, "/first");
    size = paginate(PAGE, 1000);
    wal_walk_begin(&walk, PAGE, on_record, NULL);
    wal_walk_page(&walk, wal);
    wal_walk_page(&walk, wal + PAGE); /* zeros */
    wal_walk_page(&walk, wal);
    ck_assert_uint_eq(count, 1);
    wal_walk_segment(&walk, (struct lsn){START});
    wal_walk_page(&walk, wal);
    ck_assert_uint_eq(count, 2);
}
END_TEST

/* Behind the end of what was written there is what the segment held before it was used again. */
START_TEST(trap6_what_a_recycled_segment_held_is_not_walked)
{
    begin();
    fill(2 * PAGE);
    create(13, "/before it was recycled");
    fill(stream_size + 9000);
    size_t size = paginate(PAGE, 1000);
    le64_put(wal + 2 * PAGE + 8, START + 77 * PAGE);
    wal_walk_begin(&walk, PAGE, on_record, NULL);
    wal_walk_segment(&walk, (struct lsn){START});
    walk_pages(PAGE, size);
    ck_assert_uint_eq(count, 0);
    le64_put(wal + 2 * PAGE + 8, START + 2 * PAGE);
    wal_walk_begin(&walk, PAGE, on_record, NULL);
    wal_walk_segment(&walk, (struct lsn){START});
    walk_pages(PAGE, size);
    ck_assert_uint_eq(count, 1);
}
END_TEST

/* A row of a table may hold the very bytes of such a record: anybody could put it there. */
START_TEST(trap6_what_a_table_holds_is_no_record)
{
    begin();
    fill(1000);
    size_t begun = stream_size;
    create(12, "/forged");
    size_t forged = stream_size - begun;
    memmove(stream + begun + 64, stream + begun, forged);
    memset(stream + begun, 0, 64);
    le32_put(stream + begun, (uint32_t) (64 + forged + 8));
    stream[begun + 17] = 10;
    stream_size = begun + 64 + forged + 8;
    fill(stream_size + 9000);
    look(PAGE, paginate(PAGE, 1000));
    ck_assert_uint_eq(seen, 1);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(trap6_all_its_forms)
{
    static const struct parts forms[] = {{.manager = 5, .is_long = true},
                                         {.manager = 5, .info = 0x02},
                                         {.manager = 5, .origin = true},
                                         {.manager = 5, .toplevel = true},
                                         {.manager = 5, .origin = true, .toplevel = true}};
    begin();
    fill(800);
    record(6, "", forms[_i]); /* in place */
    fill(20000);
    look(PAGE, paginate(PAGE, 1000));
    found_one(6, "");
}
END_TEST

START_TEST(trap6_nothing_else_is_taken_for_it)
{
    begin();
    fill(400);
    record(6, "/dropped", (struct parts){.manager = 5, .info = 0x10});
    record(6, "/database", (struct parts){.manager = 4});
    size_t begun = stream_size;
    create(6, "/wrong crc");
    stream[begun + 40] ^= 1;
    fill(stream_size + 3000);
    look(PAGE, paginate(PAGE, 1000));
    ck_assert_uint_eq(seen, 0);
    ck_assert_uint_eq(count, 0);
    /* the right kind and CRC, and not what a record has */
    begin();
    begun = stream_size;
    create(6, "/no end");
    stream[begun + 26 + 4 + 7] = 'x';
    finish_record(begun, 26 + 4 + 8);
    begun = stream_size;
    create(6, "/a block");
    stream[begun + 24] = 0;
    finish_record(begun, 26 + 4 + 9);
    begun = stream_size;
    create(6, "/shorter");
    stream[begun + 25]--;
    finish_record(begun, 26 + 4 + 9);
    fill(stream_size + 3000);
    look(PAGE, paginate(PAGE, 1000));
    ck_assert_uint_eq(count, 0);
    /* nor in bytes that are no WAL, or end early */
    begin();
    noise(stream, STREAM_MAX);
    tablespace_search_add(&search, stream, STREAM_MAX);
    tablespace_search_begin(&search, 0, on_seen, NULL);
    tablespace_search_add(&search, stream, 39);
    ck_assert_uint_eq(seen, 0);
    wal_walk_begin(&walk, PAGE, on_record, NULL);
    for (size_t at = 0; at < STREAM_MAX; at += PAGE)
        wal_walk_page(&walk, stream + at);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(pages_have_a_sensible_size)
{
    begin();
    fill(100);
    (void) paginate(16384, 1000);
    ck_assert_uint_eq(wal_page_size(wal, 40), 16384);
    ck_assert_uint_eq(wal_page_size(wal, 39), 8192);
    le32_put(wal + 36, 12345);
    ck_assert_uint_eq(wal_page_size(wal, 40), 8192);
    le32_put(wal + 36, 512);
    ck_assert_uint_eq(wal_page_size(wal, 40), 8192);
    le32_put(wal + 36, 128 << 10);
    ck_assert_uint_eq(wal_page_size(wal, 40), 8192);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/tablespace_search");
    TCase *tcase = tcase_create("tablespace_search");

    tcase_add_loop_test(tcase, trap6_found_wherever_it_lies_at_the_edge_of_a_page, 0, 4);
    tcase_add_test(tcase, trap6_the_longest_path_over_the_smallest_pages);
    tcase_add_loop_test(tcase, trap6_pieces_of_any_size, 0, 9);
    tcase_add_test(tcase, trap6_over_the_edge_of_a_segment);
    tcase_add_test(tcase, trap6_a_walk_begins_in_the_middle_of_a_record);
    tcase_add_test(tcase, trap6_what_a_recycled_segment_held_is_not_walked);
    tcase_add_test(tcase, trap6_what_a_table_holds_is_no_record);
    tcase_add_loop_test(tcase, trap6_all_its_forms, 0, 5);
    tcase_add_test(tcase, trap6_nothing_else_is_taken_for_it);
    tcase_add_test(tcase, pages_have_a_sensible_size);
    suite_add_tcase(suite, tcase);
    return suite;
}
