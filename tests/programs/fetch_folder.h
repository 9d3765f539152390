/*
 * fetch_folder.h - a data directory as cpam-wal-fetch sees one, in a temporary folder.
 *
 * Tests of program files run each in a process of its own (Check forks), so changing the working
 * directory is no harm.
 */
#ifndef CPAM_TESTS_FETCH_FOLDER_H
#define CPAM_TESTS_FETCH_FOLDER_H

#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "pg/control.h"
#include "pg/crc32c.h"

#define FOLDER_SYSID UINT64_C(7301234567890123456)

enum
{
    FOLDER_SEGMENT = 1 << 20
};

static char folder_path[64];

static inline void
folder_write(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static inline void
folder_text(const char *path, const char *text)
{
    folder_write(path, text, strlen(text));
}

/* pg_control of PostgreSQL 15 with only what is looked at. */
static inline void
folder_control(const char *path, enum control_state state)
{
    static uint8_t data[CONTROL_FILE_SIZE];

    memset(data, 0, sizeof(data));
    le64_put(data, FOLDER_SYSID);
    le32_put(data + 8, 1300);
    le32_put(data + 12, 202209061);
    le32_put(data + 16, (uint32_t) state);
    le32_put(data + 216, 8192);
    le32_put(data + 220, 131072);
    le32_put(data + 224, 8192);
    le32_put(data + 228, FOLDER_SEGMENT);
    le32_put(data + 288, crc32c(0, data, 288));
    folder_write(path, data, sizeof(data));
}

/* postmaster.pid of a server with this process id and start time. */
static inline void
folder_server(long pid, long started)
{
    char text[128];

    snprintf(text, sizeof(text), "%ld\n/data\n%ld\n5432\n/tmp\n\n  1 2\nready\n", pid, started);
    folder_text("postmaster.pid", text);
}

/* The header of a segment's first page. */
static inline void
folder_first_page(uint8_t *at, uint32_t timeline, uint64_t number, uint64_t sysid)
{
    le16_put(at, 0xD110);
    le16_put(at + 2, 2);
    le32_put(at + 4, timeline);
    le64_put(at + 8, number * FOLDER_SEGMENT);
    le64_put(at + 24, sysid);
    le32_put(at + 32, FOLDER_SEGMENT);
    le32_put(at + 36, 8192);
}

/* A segment of FOLDER_SEGMENT bytes, all zeros behind the first page's header. */
static inline void
folder_segment(const char *path, uint32_t timeline, uint64_t number, uint64_t sysid, size_t size)
{
    uint8_t *data = calloc(1, size);

    ck_assert_ptr_nonnull(data);
    folder_first_page(data, timeline, number, sysid);
    folder_write(path, data, size);
    free(data);
}

/* A new data directory with global/pg_control in `state`; the working directory is in it. */
static inline void
folder_make(enum control_state state)
{
    strcpy(folder_path, "/tmp/cpam-fetch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder_path));
    ck_assert_int_eq(chdir(folder_path), 0);
    ck_assert_int_eq(mkdir("global", 0700), 0);
    ck_assert_int_eq(mkdir("pg_wal", 0700), 0);
    folder_control("global/pg_control", state);
}

static inline int
folder_remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void) info;
    (void) type;
    (void) at;
    return remove(path);
}

static inline void
folder_remove(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(nftw(folder_path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Entries of a directory whose names begin with prefix. */
static inline int
folder_count(const char *directory, const char *prefix)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    int count = 0;

    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
                 strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

#endif
