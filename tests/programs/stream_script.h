/*
 * stream_script.h - what a server says in answer to BASE_BACKUP: archives of a tablespace and of a data
 * directory, and the steps in which it sends them; for test_source_stream.c, which spoils them.
 */
#ifndef CPAM_TESTS_STREAM_SCRIPT_H
#define CPAM_TESTS_STREAM_SCRIPT_H

#include "suite.h"

#include "base/bytes.h"
#include "pg/control.h"
#include "pg/crc32c.h"
#include "pgconn/scripted_server.h"

enum
{
    STEPS = 32,
    ARCHIVE = 64 << 10,
    BLOCK = 512
};

static const char label_text[] =
    "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: "
    "0/2000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2023-11-14 22:13:20 "
    "UTC\nLABEL: x\nSTART TIMELINE: 1\n";

/* --- archives ----------------------------------------------------------------------------------- */

struct archive
{
    uint8_t data[1 + ARCHIVE]; /* behind the type of a message */
    size_t size;
};
static struct archive base, space, rest; /* rest: of space, in a message of its own */

static inline void
number(uint8_t *at, size_t size, uint64_t value)
{
    at[--size] = ' ';
    for (; size-- > 0; value >>= 3)
        at[size] = (uint8_t) ('0' + (value & 7));
}

static inline void
put(struct archive *to, const char *name, char type, const void *data, size_t size,
    const char *target)
{
    uint8_t *block = to->data + 1 + to->size;
    uint64_t sum = (uint64_t) 8 * ' ';

    ck_assert_uint_le(to->size + BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK, ARCHIVE);
    memset(block, 0, BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK);
    memcpy(block, name, strlen(name));
    number(block + 100, 8, 0600);
    number(block + 124, 12, size);
    number(block + 136, 12, 1700000000);
    block[156] = (uint8_t) type;
    memcpy(block + 157, target, strlen(target));
    memcpy(block + 257, "ustar\00000", 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += block[i];
    number(block + 148, 8, sum);
    if (size > 0)
        memcpy(block + BLOCK, data, size);
    to->size += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
}

static inline void
terminate(struct archive *to)
{
    memset(to->data + 1 + to->size, 0, (size_t) 2 * BLOCK);
    to->size += (size_t) 2 * BLOCK;
}

/* pg_control of 15 (postgresql.md: offsets and the CRC at 288). */
static inline void
control(uint8_t bytes[CONTROL_FILE_SIZE], uint64_t sysid)
{
    memset(bytes, 0, CONTROL_FILE_SIZE);
    le64_put(bytes, sysid);
    le32_put(bytes + 8, 1300);
    le32_put(bytes + 12, 202209061);
    le32_put(bytes + 16, 6);
    le64_put(bytes + 40, 0x2000028);
    le32_put(bytes + 48, 1);
    le32_put(bytes + 216, 8192);
    le32_put(bytes + 220, 131072);
    le32_put(bytes + 224, 8192);
    le32_put(bytes + 228, 16 << 20);
    le32_put(bytes + 288, crc32c(0, bytes, 288));
}

static uint64_t control_sysid;

/* What the tests vary. */
static bool no_label, no_control, file_behind_control, no_map, with_link, other_link, label_twice;

static inline void
make_archives(void)
{
    static uint8_t page[8192];
    uint8_t bytes[CONTROL_FILE_SIZE];

    base.size = space.size = 0;
    put(&space, "PG_15_202209061/", '5', NULL, 0, "");
    put(&space, "PG_15_202209061/5/", '5', NULL, 0, "");
    put(&space, "PG_15_202209061/5/16390", '0', page, sizeof(page), "");
    if (!no_label)
        put(&base, "backup_label", '0', label_text, sizeof(label_text) - 1, "");
    if (label_twice)
        put(&base, "backup_label", '0', label_text, sizeof(label_text) - 1, "");
    if (!no_map)
        put(&base, "tablespace_map", '0', "16384 /space\n", 13, "");
    put(&base, "pg_wal/", '5', NULL, 0, "");
    put(&base, "./pg_wal/archive_status/", '5', NULL, 0, "");
    put(&base, "zz", '0', "later", 5, "");
    put(&base, "empty", '0', NULL, 0, "");
    put(&base, "standby.signal", '0', NULL, 0, "");
    put(&base, "postmaster.pid", '0', "1\n", 2, "");
    put(&base, "pg_tblspc/", '5', NULL, 0, "");
    if (with_link)
        put(&base, "pg_tblspc/16384", '2', NULL, 0, "/space");
    if (other_link)
        put(&base, "pg_tblspc/16384", '2', NULL, 0, "/elsewhere");
    put(&base, "global/", '5', NULL, 0, "");
    control(bytes, control_sysid);
    if (!no_control)
        put(&base, "global/pg_control", '0', bytes, sizeof(bytes), "");
    if (file_behind_control)
        put(&base, "behind", '0', "x", 1, "");
    base.data[0] = space.data[0] = 'd';
}

/* --- scripts ------------------------------------------------------------------------------------ */

static struct step steps[STEPS];
static size_t step_count;
static const char *start_row[] = {"0/2000028", "1"};
static const char *stop_row[] = {"0/2000100", "1"};
static const char *places[] = {"16384", "/space", "8", NULL, NULL, "30"};
static const char space_name[] = "n16384.tar\0/space", base_name[] = "nbase.tar\0";

static inline void
step(enum step_kind kind, const void *data, size_t size)
{
    ck_assert_uint_lt(step_count, STEPS);
    steps[step_count++] = (struct step){.kind = kind, .data = data, .size = size};
}

static inline void
rows(size_t count, size_t columns, const char *const *values)
{
    step(STEP_ROWS, NULL, 0);
    steps[step_count - 1].rows = count;
    steps[step_count - 1].columns = columns;
    steps[step_count - 1].values = values;
}

static inline void
head(void)
{
    step_count = 0;
    rows(1, 2, start_row);
    rows(2, 3, places);
}

/* As 15 and later answer. */
static inline void
typed(void)
{
    head();
    terminate(&space);
    terminate(&base);
    step(STEP_COPY_OUT, NULL, 0);
    step(STEP_DATA, space_name, sizeof(space_name));
    step(STEP_DATA, space.data, 1 + 700);
    step(STEP_DATA, "p\0\0\0\0\0\0\0\1", 9);
    rest.data[0] = 'd';
    rest.size = space.size - 700;
    memcpy(rest.data + 1, space.data + 1 + 700, rest.size);
    step(STEP_DATA, rest.data, 1 + rest.size);
    step(STEP_DATA, base_name, sizeof(base_name));
    step(STEP_DATA, base.data, 1 + base.size);
    step(STEP_COPY_DONE, NULL, 0);
    rows(1, 2, stop_row);
}

/* As 14 does. */
static inline void
plain(void)
{
    head();
    step(STEP_COPY_OUT, NULL, 0);
    step(STEP_DATA, space.data + 1, space.size);
    step(STEP_COPY_DONE, NULL, 0);
    step(STEP_COPY_OUT, NULL, 0);
    step(STEP_DATA, base.data + 1, base.size);
    step(STEP_COPY_DONE, NULL, 0);
    rows(1, 2, stop_row);
}

#endif
