/*
 * test_tar.c - archives as BASE_BACKUP sends them (row B1), and everything that is none.
 */
#include "suite.h"

#include <stdio.h>

#include "base/buf.h"
#include "pg/tar.h"

/* What was told: "f name size mode", "d name", "l name -> target", "c" a piece, "e" a file's end. */
static struct cpam_buf told;
static char content[4096];
static size_t content_size;
static struct cpam_err err;

static enum cpam_status
on_entry(void *arg, const struct tar_entry *entry, struct cpam_err *e)
{
    static const char kinds[] = {[TAR_FILE] = 'f', [TAR_DIRECTORY] = 'd', [TAR_LINK] = 'l'};

    (void) arg;
    ck_assert_ptr_null(strstr(entry->path, ".."));
    return cpam_buf_printf(&told, 1 << 16, e, "%c %s %s%llu %o %lld\n", kinds[entry->kind],
                           entry->path, entry->target, (unsigned long long) entry->size,
                           entry->mode, (long long) entry->mtime);
}

static enum cpam_status
on_content(void *arg, const uint8_t *data, size_t size, struct cpam_err *e)
{
    (void) arg;
    (void) e;
    ck_assert_uint_gt(size, 0);
    ck_assert_uint_le(content_size + size, sizeof(content));
    memcpy(content + content_size, data, size);
    content_size += size;
    return CPAM_OK;
}

static enum cpam_status
on_end(void *arg, struct cpam_err *e)
{
    (void) arg;
    return cpam_buf_printf(&told, 1 << 16, e, "end\n");
}

static const struct tar_events events = {on_entry, on_content, on_end};

/* --- headers as tarCreateHeader() makes them, and worse ----------------------------------------- */

static uint8_t archive[16 * TAR_BLOCK];
static size_t archive_size;

static void
number(uint8_t *at, size_t size, uint64_t value)
{
    at[--size] = ' ';
    while (size-- > 0)
    {
        at[size] = (uint8_t) ('0' + (value & 7));
        value >>= 3;
    }
}

static void
sign(uint8_t *block)
{
    uint64_t sum = (uint64_t) 8 * ' ';

    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? 0 : block[i];
    number(block + 148, 8, sum);
}

static uint8_t *
header(const char *name, char type, uint64_t size, const char *target)
{
    uint8_t *block = archive + archive_size;

    memset(block, 0, TAR_BLOCK);
    memcpy(block, name, strlen(name));
    number(block + 100, 8, 0640);
    number(block + 108, 8, 04000);
    number(block + 116, 8, 02000);
    number(block + 124, 12, size);
    number(block + 136, 12, 1700000000);
    block[156] = (uint8_t) type;
    memcpy(block + 157, target, strlen(target));
    memcpy(block + 257, "ustar\00000", 8);
    memcpy(block + 265, "postgres", 8);
    memcpy(block + 297, "postgres", 8);
    number(block + 329, 8, 0);
    number(block + 337, 8, 0);
    sign(block);
    archive_size += TAR_BLOCK;
    return block;
}

static void
body(const char *text)
{
    size_t size = strlen(text);

    memset(archive + archive_size, 0, TAR_BLOCK);
    memcpy(archive + archive_size, text, size);
    archive_size += size == 0 ? 0 : TAR_BLOCK;
}

static void
terminator(void)
{
    memset(archive + archive_size, 0, (size_t) 2 * TAR_BLOCK);
    archive_size += (size_t) 2 * TAR_BLOCK;
}

static void
begin(void)
{
    archive_size = content_size = 0;
    told.size = 0;
}

static void
end(void)
{
    cpam_buf_clear(&told);
}

/* The archive, in pieces of so many bytes. */
static enum cpam_status
read_in(size_t piece, bool terminated)
{
    CPAM_AUTO(tar_reader_free) struct tar_reader *reader = NULL;

    content_size = told.size = 0;
    CPAM_TRY(tar_reader_new(&events, NULL, &reader, &err));
    for (size_t at = 0; at < archive_size; at += piece)
        CPAM_TRY(tar_reader_write(reader, archive + at,
                                  archive_size - at < piece ? archive_size - at : piece, &err));
    return tar_reader_end(reader, terminated, &err);
}

static const size_t pieces[] = {1, 7, 511, 512, 513, 8192, sizeof(archive)};

START_TEST(B1_an_archive_in_pieces_of_any_size)
{
    header("backup_label", '0', 5, "");
    body("label");
    header("./pg_wal/archive_status/", '5', 0, "");
    header("empty", '0', 0, "");
    header("pg_tblspc/16384", '2', 0, "/space one");
    terminator();
    ck_ok(read_in(pieces[_i], true), &err);
    ck_assert_str_eq(cpam_buf_text(&told), "f backup_label 5 640 1700000000\nend\n"
                                           "d pg_wal/archive_status 0 640 1700000000\n"
                                           "f empty 0 640 1700000000\nend\n"
                                           "l pg_tblspc/16384 /space one0 640 1700000000\n");
    ck_assert_uint_eq(content_size, 5);
    ck_assert_int_eq(memcmp(content, "label", 5), 0);
    ck_ok(read_in(pieces[_i], false), &err);
    archive_size -= (size_t) 2 * TAR_BLOCK; /* as 14 ends one */
    ck_ok(read_in(pieces[_i], false), &err);
    ck_fails(read_in(pieces[_i], true), CPAM_CORRUPT, "behind \"pg_tblspc/16384\"", &err);
}
END_TEST

START_TEST(B1_every_shorter_archive_is_cut_short)
{
    header("a", '0', 600, "");
    body("x");
    body("y");
    terminator();
    size_t whole = archive_size;

    ck_ok(read_in(sizeof(archive), true), &err);
    for (archive_size = 0; archive_size < whole; archive_size++)
        ck_fails(read_in(sizeof(archive), true), CPAM_CORRUPT, "cut short", &err);
}
END_TEST

START_TEST(a_size_in_base_256_is_read)
{
    struct tar_entry entry;
    bool zeros;
    uint8_t *block = header("big", '0', 0, "");

    memset(block + 124, 0, 12);
    block[124] = 0x80;
    block[131] = 1; /* 2^32 */
    sign(block);
    ck_ok(tar_header_parse(block, &zeros, &entry, &err), &err);
    ck_assert(!zeros);
    ck_assert_uint_eq(entry.size, UINT64_C(1) << 32);
}
END_TEST

/* --- what is refused ---------------------------------------------------------------------------- */

static void
names(const char *name)
{
    header(name, '0', 0, "");
}
static void
name_with_slash(void)
{
    names("a/");
}
static void
leaves(void)
{
    names("a/../../etc/passwd");
}
static void
leaves_at_once(void)
{
    names("../a");
}
static void
absolute(void)
{
    names("/etc/passwd");
}
static void
dot(void)
{
    names("a/./b");
}
static void
nothing(void)
{
    names("");
}
static void
double_slash(void)
{
    names("a//b");
}
static void
only_here(void)
{
    header("./", '5', 0, "");
}
static void
endless_name(void)
{
    uint8_t *block = header("x", '0', 0, "");

    memset(block, 'x', 100);
    sign(block);
}
static void
bad_sum(void)
{
    header("a", '0', 0, "")[0] = 'b';
}
static void
no_ustar(void)
{
    uint8_t *block = header("a", '0', 0, "");

    memcpy(block + 257, "ustar  \0", 8); /* GNU */
    sign(block);
}
static void
with_prefix(void)
{
    uint8_t *block = header("a", '0', 0, "");

    block[345] = 'p';
    sign(block);
}
static void
pax(void)
{
    header("PaxHeader/a", 'x', 0, "");
}
static void
gnu_long_name(void)
{
    header("././@LongLink", 'L', 0, "");
}
static void
hard_link(void)
{
    header("a", '1', 0, "b");
}
static void
device(void)
{
    header("a", '3', 0, "");
}
static void
link_to_nothing(void)
{
    header("a", '2', 0, "");
}
static void
file_with_target(void)
{
    header("a", '0', 0, "b");
}
static void
directory_with_content(void)
{
    header("a/", '5', 1, "");
    body("x");
}
static void
bad_size(void)
{
    uint8_t *block = header("a", '0', 0, "");

    block[130] = '8';
    sign(block);
}
static void
unfinished_size(void)
{
    uint8_t *block = header("a", '0', 0, "");

    block[135] = '0';
    sign(block);
}
static void
huge_size(void)
{
    uint8_t *block = header("a", '0', 0, "");

    memset(block + 124, 0xff, 12);
    block[124] = 0x80;
    sign(block);
}
static void
padding(void)
{
    header("a", '0', 1, "");
    body("xy");
}
static void
behind_one_block(void)
{
    header("a", '0', 0, "");
    terminator();
    archive_size -= TAR_BLOCK;
    header("b", '0', 0, "");
}
static void
behind_the_end(void)
{
    header("a", '0', 0, "");
    terminator();
    header("b", '0', 0, "");
}
static void
one_block_of_zeros(void)
{
    header("a", '0', 0, "");
    terminator();
    archive_size -= TAR_BLOCK;
}

static const struct
{
    void (*make)(void);
    const char *words;
} refused[] = {
    {name_with_slash, "no path inside"},
    {leaves, "no path inside"},
    {leaves_at_once, "no path inside"},
    {absolute, "no path inside"},
    {dot, "no path inside"},
    {nothing, "no path inside"},
    {double_slash, "no path inside"},
    {only_here, "no path inside"},
    {endless_name, "has no end"},
    {bad_sum, "checksum of a header"},
    {no_ustar, "not ustar's"},
    {with_prefix, "in a prefix"},
    {pax, "type 0x78"},
    {gnu_long_name, "type 0x4c"},
    {hard_link, "type 0x31"},
    {device, "type 0x33"},
    {link_to_nothing, "link without a target"},
    {file_with_target, "or the reverse"},
    {directory_with_content, "is no file and has content"},
    {bad_size, "size of an entry is no number"},
    {unfinished_size, "size of an entry is no number"},
    {huge_size, "out of bounds"},
    {padding, "padding of a file is not zero"},
    {behind_one_block, "\"b\" stands behind the end"},
    {behind_the_end, "bytes behind the end"},
    {one_block_of_zeros, "cut short"},
};

START_TEST(B1_what_postgresql_does_not_write_is_refused)
{
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
    {
        archive_size = 0;
        refused[_i].make();
        ck_fails(read_in(pieces[i], false), CPAM_CORRUPT, refused[_i].words, &err);
    }
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/tar");
    TCase *tcase = tcase_create("tar");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, B1_an_archive_in_pieces_of_any_size, 0,
                        sizeof(pieces) / sizeof(pieces[0]));
    tcase_add_test(tcase, B1_every_shorter_archive_is_cut_short);
    tcase_add_test(tcase, a_size_in_base_256_is_read);
    tcase_add_loop_test(tcase, B1_what_postgresql_does_not_write_is_refused, 0,
                        sizeof(refused) / sizeof(refused[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}
