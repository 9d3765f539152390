/*
 * target_picture.h - what an archive of three timelines holds, for the tests of repo/target.
 *
 * Segments have 16 MiB, times are in seconds:
 *
 *   TLI 1   2 ---- b10: 5..6 ---- b20: 20..21 ---- 39          archived 2..39
 *   TLI 2                               \ fork inside 30 ---- b40: 40..41 ---- 50
 *   TLI 3                                                 \ fork at the start of 45 -- 47
 */
#ifndef CPAM_TESTS_TARGET_PICTURE_H
#define CPAM_TESTS_TARGET_PICTURE_H

#include "suite.h"

#include <stdio.h>

#include "repo/target.h"

#define SIZE        (UINT64_C(16) << 20)
#define AT(s)       ((struct lsn){(uint64_t) (s) *SIZE})
#define IN(s)       ((struct lsn){(uint64_t) (s) *SIZE + 0x100})
#define ROWS(table) ((int) (sizeof(table) / sizeof((table)[0])))
#define SEC(s)      ((int64_t) (s) *1000000)

enum
{
    SYSID = 77
};

static struct backup_summary
backup(const char *label, uint32_t timeline, uint64_t start, uint64_t stop, const char *snapshot)
{
    struct backup_summary summary = {
        .sysid = SYSID,
        .timeline = {timeline},
        .start = {start * SIZE + 0x28},
        .stop = {stop * SIZE + 0x100},
        .start_time = SEC(start * 10),
        .stop_time = SEC(stop * 10 + 1),
        .segment_size = (uint32_t) SIZE,
    };

    snprintf(summary.label, sizeof(summary.label), "%s", label);
    snprintf(summary.snapshot, sizeof(summary.snapshot), "%s", snapshot);
    return summary;
}

static struct history *
history(uint32_t timeline, const char *text)
{
    struct cpam_err err;
    struct history *history = NULL;

    ck_ok(history_parse((struct timeline){timeline}, text, strlen(text), &history, &err), &err);
    return history;
}

struct picture
{
    struct backup_summary backups[8];
    struct history *histories[4];
    struct wal_run runs[8];
    struct recovery_map map;
};

/* The segment a run ends with was created ten seconds for each number, and nine. */
static struct wal_run
run(uint32_t timeline, uint64_t first, uint64_t last)
{
    return (struct wal_run){{timeline}, first, last, SEC(last * 10 + 9)};
}

static struct picture *
picture_new(void)
{
    struct picture *self = calloc(1, sizeof(*self));

    ck_assert_ptr_nonnull(self);
    self->backups[0] = backup("b10", 1, 5, 6, "100:105:101,103");
    self->backups[1] = backup("b20", 1, 20, 21, "200:200:");
    self->backups[2] = backup("b40", 2, 40, 41, "400:400:");
    self->histories[0] = history(2, "1\t0/1E000100\tx\n");
    self->histories[1] = history(3, "1\t0/1E000100\tx\n2\t0/2D000000\ty\n");
    self->runs[0] = run(1, 2, 39);
    self->runs[1] = run(2, 30, 50);
    self->runs[2] = run(3, 45, 47);
    self->map = (struct recovery_map){
        .sysid = SYSID,
        .segment_size = (uint32_t) SIZE,
        .backups = self->backups,
        .backup_count = 3,
        .histories = self->histories,
        .history_count = 2,
        .runs = self->runs,
        .run_count = 3,
    };
    return self;
}

static void
picture_free(struct picture *self)
{
    if (self == NULL)
        return;
    history_free(self->histories[0]);
    history_free(self->histories[1]);
    free(self);
}
CPAM_SCOPED(picture_free, struct picture);

#endif
