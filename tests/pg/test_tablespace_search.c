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
    PAGE = 8192
};

static uint8_t stream[STREAM_MAX], wal[WAL_MAX];
static size_t stream_size;
static struct tablespace_search search;
static struct tablespace_created found[8];
static size_t count;

static void
on_found(void *arg, const struct tablespace_created *created)
{
    (void) arg;
    ck_assert_uint_lt(count, 8);
    found[count++] = *created;
}

static void
begin(void)
{
    stream_size = count = 0;
    memset(stream, 0, sizeof(stream));
    memset(wal, 0, sizeof(wal));
    tablespace_search_begin(&search, 0, on_found, NULL);
}

/* Other records, or what may be any bytes: up to `size` of the stream. */
static void
fill(size_t size)
{
    uint32_t state = (uint32_t) size + 7;

    for (; stream_size < size; stream_size++)
    {
        state = state * 1664525u + 1013904223u;
        stream[stream_size] = (uint8_t) (state >> 24);
    }
}

struct parts
{
    uint8_t manager, info;
    bool is_long, origin, toplevel;
};

static void
finish_record(size_t begun)
{
    size_t length = stream_size - begun;

    le32_put(stream + begun, (uint32_t) length);
    uint32_t crc = crc32c(0, stream + begun + HEADER, length - HEADER);
    le32_put(stream + begun + 20, crc32c(crc, stream + begun, 20));
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
    finish_record(begun);
}

static void
create(uint32_t oid, const char *path)
{
    record(oid, path, (struct parts){.manager = 5});
}

/* The stream behind headers of pages; the first is a segment's, if `first`. */
static size_t
paginate(size_t page, bool first)
{
    size_t taken = 0, made = 0;

    while (taken < stream_size)
    {
        size_t header = first ? HEADER_LONG : HEADER;
        size_t room = page - header;
        size_t part = stream_size - taken < room ? stream_size - taken : room;

        ck_assert_uint_le(made + page, WAL_MAX);
        memset(wal + made, 0, page);
        wal[made] = 0x10;
        wal[made + 1] = 0xd1;
        wal[made + 2] = first ? 2 : 1;
        if (first)
            le32_put(wal + made + 36, (uint32_t) page);
        memcpy(wal + made + header, stream + taken, part);
        taken += part;
        made += page;
        first = false;
    }
    return made;
}

static void
found_one(uint32_t oid, const char *path)
{
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
        tablespace_search_add(&search, wal, paginate(page, true));
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
    for (size_t before = 0; before < 1024; before += 8)
    {
        begin();
        fill(before);
        record(5, path, (struct parts){.manager = 5, .origin = true, .toplevel = true});
        fill(stream_size + 2000);
        tablespace_search_add(&search, wal, paginate(1024, true));
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
    size_t size = paginate(PAGE, true), piece = pieces[_i];
    for (size_t at = 0; at < size; at += piece)
        tablespace_search_add(&search, wal + at, size - at < piece ? size - at : piece);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(found[0].path, "/a");
    ck_assert_uint_eq(found[1].oid, 8);
}
END_TEST

/* From one segment into the next: the last pages of the former, then the latter. */
START_TEST(trap6_over_the_edge_of_a_segment)
{
    for (size_t before = 2 * PAGE - 40 - 24 - 64; before < 2 * PAGE - 40 - 24; before += 8)
    {
        begin();
        fill(before);
        create(9, "/over/the/edge");
        size_t whole = stream_size;
        stream_size = 2 * PAGE - 40 - 24;
        size_t size = paginate(PAGE, true);
        tablespace_search_begin(&search, tablespace_page_size(wal, size), on_found, NULL);
        tablespace_search_add(&search, wal, size);
        bool in_first = whole <= stream_size;
        ck_assert_uint_eq(count, in_first ? 1 : 0);
        size_t rest = in_first ? 0 : whole - stream_size;
        memmove(stream, stream + stream_size, rest);
        stream_size = rest;
        fill(30000);
        tablespace_search_add(&search, wal, paginate(PAGE, true));
        found_one(9, "/over/the/edge");
    }
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
    tablespace_search_add(&search, wal, paginate(PAGE, true));
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
    /* the right kind and CRC, and not what a record has */
    begun = stream_size;
    create(6, "/no end");
    stream[begun + 26 + 4 + 7] = 'x';
    finish_record(begun);
    begun = stream_size;
    create(6, "/a block");
    stream[begun + 24] = 0;
    finish_record(begun);
    begun = stream_size;
    create(6, "/shorter");
    stream[begun + 25]--;
    finish_record(begun);
    fill(30000);
    tablespace_search_add(&search, wal, paginate(PAGE, true));
    ck_assert_uint_eq(count, 0);
    /* nor in bytes that are no WAL, or end early */
    begin();
    fill(STREAM_MAX);
    tablespace_search_add(&search, stream, STREAM_MAX);
    tablespace_search_begin(&search, 0, on_found, NULL);
    tablespace_search_add(&search, stream, 39);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(pages_have_a_sensible_size)
{
    begin();
    fill(100);
    (void) paginate(16384, true);
    ck_assert_uint_eq(tablespace_page_size(wal, 40), 16384);
    ck_assert_uint_eq(tablespace_page_size(wal, 39), 8192);
    le32_put(wal + 36, 12345);
    ck_assert_uint_eq(tablespace_page_size(wal, 40), 8192);
    le32_put(wal + 36, 512);
    ck_assert_uint_eq(tablespace_page_size(wal, 40), 8192);
    le32_put(wal + 36, 128 << 10);
    ck_assert_uint_eq(tablespace_page_size(wal, 40), 8192);
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
    tcase_add_loop_test(tcase, trap6_all_its_forms, 0, 5);
    tcase_add_test(tcase, trap6_nothing_else_is_taken_for_it);
    tcase_add_test(tcase, pages_have_a_sensible_size);
    suite_add_tcase(suite, tcase);
    return suite;
}
