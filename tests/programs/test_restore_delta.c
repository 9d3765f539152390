/*
 * test_restore_delta.c - a restore over what is there (T6, postgresql.md trap 20): only wrong pages
 * are fetched, foreign things go, nothing outside is touched, and nobody else's directory is taken.
 */
#include "restore_world.h"

#include <fcntl.h>

enum
{
    CONTROL = 40000 /* bytes: pg_control went first, and is always fetched; and the tags */
};

static struct world world;
static struct cpam_err err;

static char *
path_of(const char *inside)
{
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];

    snprintf(path, 512, "%s/%s", world.target, inside);
    return path;
}

static void
put(const char *path, const void *data, size_t size, off_t at)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_msg(fd >= 0, "%s", path);
    ck_assert_int_eq(pwrite(fd, data, size, at), (ssize_t) size);
    close(fd);
}

static void
all_right(void)
{
    for (size_t i = 0; i < WORLD_FILES; i++)
    {
        const struct world_file *file = &world.files[i];
        CPAM_AUTO(free) uint8_t *data = malloc(file->size + 2);
        struct stat stat_;

        ck_assert_int_eq(lstat(path_of(file->path), &stat_) == 0, file->back);
        if (!file->back)
            continue;
        ck_assert(S_ISREG(stat_.st_mode));
        ck_assert_uint_eq(stat_.st_mode & 07777, file->mode);
        FILE *in = fopen(path_of(file->path), "rb");
        ck_assert_uint_eq(fread(data, 1, file->size + 1, in), file->size);
        fclose(in);
        ck_assert_msg(memcmp(data, file->data, file->size) == 0, "%s differs", file->path);
    }
    ck_assert(!world_has(&world, RESTORE_MARKER));
    ck_assert(!world_has(&world, RESTORE_CONTROL_WAIT));
}

static void
begin(bool blocks)
{
    world_pack_size = 16 << 20; /* a frame is no large part of it */
    world_begin(&world);
    if (blocks)
        world_blocks(&world);
    ck_ok(world_restore(&world, io_posix(), false, true, &err), &err);
    world.delta = true;
}

static uint64_t
delta(void)
{
    ck_ok(world_restore(&world, io_posix(), false, true, &err), &err);
    all_right();
    return world.tally.fetched;
}

static const bool ways[] = {true, false};

START_TEST(T6_what_is_right_is_not_fetched)
{
    begin(ways[_i]);
    ck_assert_uint_lt(delta(), CONTROL);
    ck_assert_uint_gt(world.tally.kept, WORLD_BIG);
    ck_assert_int_eq(world.tally.by_file, !ways[_i]);
    world_end(&world);
}
END_TEST

/* Same length, same times: by these nobody could tell. */
START_TEST(T6_after_damage_only_wrong_pages_are_fetched)
{
    struct stat before, after;

    begin(true);
    ck_assert_int_eq(stat(path_of("base/5/1259"), &before), 0);
    put(path_of("base/5/1259"), "x", 1, 8192 * 5 + 77);
    put(path_of("base/5/1259"), "y", 1, 8192 * 700 + 1);
    struct timespec times[2] = {before.st_atim, before.st_mtim};
    ck_assert_int_eq(utimensat(AT_FDCWD, path_of("base/5/1259"), times, 0), 0);
    ck_assert_int_eq(stat(path_of("base/5/1259"), &after), 0);
    ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    /* the frames of two pages, of 1 MiB that does not compress, and perhaps what is between */
    uint64_t fetched = delta();
    ck_assert_uint_gt(fetched, 0);
    ck_assert_uint_lt(fetched, (3 << 20) + CONTROL);
    ck_assert_uint_ge(world.tally.kept, WORLD_BIG + (1 << 20) - 2 * 8192);
    world_end(&world);
}
END_TEST

START_TEST(T6_without_tags_a_wrong_file_is_fetched_whole)
{
    begin(false);
    put(path_of("base/5/2000"), "z", 1, 3 << 20);
    uint64_t fetched = delta();
    ck_assert_uint_gt(fetched, 1 << 20);
    ck_assert_uint_ge(world.tally.kept, WORLD_BIG);
    world_end(&world);
}
END_TEST

/* Longer, shorter, missing, a hole that was written into, another kind of thing, another mode. */
START_TEST(T6_every_kind_of_difference)
{
    struct stat stat_;
    char outside[512];
    char text[16] = "";

    begin(ways[_i]);
    snprintf(outside, sizeof(outside), "%s/outside", fixture_dir);
    put(outside, "outside", 7, 0);
    put(path_of("base/5/1259"), "behind", 6, WORLD_BIG);
    ck_assert_int_eq(truncate(path_of("base/5/2000"), 5 << 19), 0);
    put(path_of("base/5/2000"), "in a hole", 9, 1 << 20);
    put(path_of("base/5/3"), "was empty", 9, 0);
    unlink(path_of("backup_label"));
    ck_assert_int_eq(symlink(outside, path_of("backup_label")), 0);
    unlink(path_of("PG_VERSION"));
    ck_assert_int_eq(mkdir(path_of("PG_VERSION"), 0700), 0);
    put(path_of("PG_VERSION/inside"), "x", 1, 0);
    unlink(path_of("tablespace_map"));
    ck_assert_int_eq(link(outside, path_of("tablespace_map")), 0); /* a second name of it */
    world_remove(path_of("pg_notify"));
    put(path_of("pg_notify"), "no directory", 12, 0);
    chmod(path_of("base/5/1259"), 0640);
    delta();
    ck_assert_int_eq(stat(path_of("pg_notify"), &stat_), 0);
    ck_assert(S_ISDIR(stat_.st_mode));
    ck_assert_int_eq(stat(path_of("base/5/2000"), &stat_), 0);
    ck_assert_int_lt(stat_.st_blocks * 512, 3 << 20); /* its holes are holes again */
    FILE *in = fopen(outside, "rb");
    ck_assert_uint_eq(fread(text, 1, sizeof(text), in), 7);
    fclose(in);
    ck_assert_str_eq(text, "outside"); /* through neither of its names */
    unlink(outside);
    world_end(&world);
}
END_TEST

START_TEST(T6_foreign_things_go_and_what_they_link_to_stays)
{
    char outside[512], inside[520], space[512];

    begin(true);
    snprintf(outside, sizeof(outside), "%s/elsewhere", fixture_dir);
    snprintf(inside, sizeof(inside), "%s/file", outside);
    ck_assert_int_eq(mkdir(outside, 0700), 0);
    put(inside, "theirs", 6, 0);
    put(path_of("base/5/99999"), "later relation", 14, 0);
    put(path_of("base/5/0"), "earlier name", 12, 0);
    ck_assert_int_eq(mkdir(path_of("base/77"), 0700), 0);
    put(path_of("base/77/1"), "later database", 14, 0);
    put(path_of("standby.signal"), "", 0, 0);
    put(path_of("zzz"), "behind all", 10, 0);
    ck_assert_int_eq(symlink(outside, path_of("pg_tblspc/20000")), 0);
    ck_assert_int_eq(symlink(outside, path_of("base/link")), 0);
    snprintf(space, sizeof(space), "%s/PG_15_202209061/99", world.old_space);
    ck_assert_int_eq(mkdir(space, 0700), 0);
    ck_assert_uint_lt(delta(), CONTROL);
    static const char *const gone[] = {"base/5/99999",   "base/5/0", "base/77",
                                       "standby.signal", "zzz",      "pg_tblspc/20000",
                                       "base/link"};
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        ck_assert_msg(!world_has(&world, gone[i]), "%s is still there", gone[i]);
    ck_assert_int_ne(access(space, F_OK), 0);
    ck_assert_int_eq(access(inside, F_OK), 0);
    world_remove(outside);
    world_end(&world);
}
END_TEST

/* pg_upgrade leaves the old folder; servers of two majors may share one. */
START_TEST(T6_what_others_have_in_a_tablespace_stays)
{
    char theirs[512], note[512];

    begin(ways[_i]);
    snprintf(theirs, sizeof(theirs), "%s/PG_14_202107181", world.old_space);
    ck_assert_int_eq(mkdir(theirs, 0700), 0);
    snprintf(theirs, sizeof(theirs), "%s/PG_14_202107181/16400", world.old_space);
    put(theirs, "theirs", 6, 0);
    snprintf(note, sizeof(note), "%s/zzz", world.old_space);
    put(note, "a note", 6, 0);
    delta();
    ck_assert_int_eq(access(theirs, F_OK), 0);
    ck_assert_int_eq(access(note, F_OK), 0);
    /* nor do they go when an aborted one is begun anew */
    ck_ok(world_restore(&world, io_posix(), false, false, &err), &err);
    world.delta = false;
    delta();
    ck_assert_int_eq(access(theirs, F_OK), 0);
    ck_assert_int_eq(access(note, F_OK), 0);
    world_end(&world);
}
END_TEST

/* A first page of a segment, of any cluster. */
static void
put_segment(const char *name, uint64_t address)
{
    uint8_t page[40] = {0};

    page[0] = 0x10; /* PostgreSQL 15 */
    page[1] = 0xD1;
    page[2] = 2; /* a long header */
    le32_put(page + 4, 1);
    le64_put(page + 8, address);
    le64_put(page + 24, REPO_SYSID);
    le32_put(page + 32, 1 << 20);
    le32_put(page + 36, 8192);
    put(path_of(name), page, sizeof(page), 0);
    ck_assert_int_eq(truncate(path_of(name), 1 << 20), 0);
}

START_TEST(trap20_WAL_that_the_archive_may_not_have_is_put_aside)
{
    begin(true);
    put_segment("pg_wal/000000010000000000000007", 0x700000);
    put_segment("pg_wal/000000010000000000000008", 0x800000);
    put_segment("pg_wal/000000010000000000000009", 0x200000); /* made ready for reuse */
    put(path_of("pg_wal/00000002.history"), "1\t0/800000\twhy\n", 15, 0);
    put(path_of("pg_wal/archive_status/000000010000000000000007.done"), "", 0, 0);
    put(path_of("pg_wal/archive_status/000000010000000000000008.ready"), "", 0, 0);
    delta();
    ck_assert_uint_eq(world.tally.kept_wal, 2);
    ck_assert(world_has(&world, "pg_wal/before-restore/000000010000000000000008"));
    ck_assert(world_has(&world, "pg_wal/before-restore/00000002.history"));
    ck_assert(!world_has(&world, "pg_wal/000000010000000000000007"));
    ck_assert(!world_has(&world, "pg_wal/000000010000000000000008"));
    ck_assert(!world_has(&world, "pg_wal/archive_status/000000010000000000000008.ready"));
    /* again, with another segment of that name: both are kept */
    put_segment("pg_wal/000000010000000000000008", 0x800000);
    delta();
    ck_assert(world_has(&world, "pg_wal/before-restore/000000010000000000000008"));
    ck_assert(world_has(&world, "pg_wal/before-restore/000000010000000000000008.2"));
    /* an aborted one is not begun anew over it */
    put_segment("pg_wal/000000010000000000000008", 0x800000);
    ck_ok(world_restore(&world, io_posix(), false, false, &err), &err);
    ck_assert(!world_has(&world, RESTORE_CONTROL));
    world.delta = false;
    ck_fails(world_restore(&world, io_posix(), false, true, &err), CPAM_USAGE, "put aside", &err);
    world.delta = true;
    delta();
    world_end(&world);
}
END_TEST

START_TEST(T6_T9_an_aborted_restore_is_gone_on_with)
{
    world_pack_size = 16 << 20;
    world_begin(&world);
    world_blocks(&world);
    ck_ok(world_restore(&world, io_posix(), false, false, &err), &err);
    ck_assert(!world_has(&world, RESTORE_CONTROL));
    put(path_of("base/5/1259"), "half", 4, 5 << 20);
    world.delta = true;
    uint64_t fetched = delta();
    ck_assert_uint_gt(fetched, 0);
    ck_assert_uint_lt(fetched, (1 << 20) + CONTROL);
    world_end(&world);
}
END_TEST

static void
refused(const char *words, const char *hint)
{
    ck_fails(world_restore(&world, io_posix(), false, true, &err), CPAM_USAGE, words, &err);
    ck_assert_msg(strstr(err.hint, hint) != NULL, "%s", err.hint);
    ck_assert(!world_has(&world, RESTORE_MARKER)); /* nothing was touched */
}

START_TEST(trap20_nobody_elses_directory_is_written_over)
{
    char theirs[512];

    begin(true);
    put(path_of("postmaster.pid"), "99999999\n/nowhere\n", 18, 0);
    refused("has a postmaster.pid", "rm ");
    unlink(path_of("postmaster.pid"));
    world.summary.sysid++;
    /* the plan's sysid alone: what is read is what counts */
    CPAM_AUTO(restore_places_free) struct restore_places *places = NULL;
    struct option_list maps = {0};
    ck_ok(restore_places_new(io_posix(), world.target, &places, &err), &err);
    places->delta = true;
    places->sysid = world.summary.sysid;
    places->major = 15;
    ck_fails(restore_places_check(places, &maps, &err), CPAM_USAGE, "is another cluster", &err);
    places->sysid = --world.summary.sysid;
    places->major = 16;
    ck_fails(restore_places_check(places, &maps, &err), CPAM_USAGE, "is another cluster", &err);
    ck_assert(world_has(&world, RESTORE_CONTROL));
    /* and it is held until they are freed */
    ck_fails(world_restore(&world, io_posix(), false, true, &err), CPAM_REFUSED,
             "another cpam-base-fetch is restoring into", &err);
    restore_places_free(CPAM_STEAL(places));
    put(path_of(RESTORE_CONTROL), "torn", 4, 100);
    refused("no data directory that can be told", "mv ");
    unlink(path_of(RESTORE_CONTROL));
    refused("no data directory that can be told", "mv ");
    put(path_of(RESTORE_CONTROL), world.files[5].data, 8192, 0);
    /* a tablespace's directory that this data directory does not use */
    unlink(path_of("pg_tblspc/16384"));
    refused("does not link to it", "--tablespace-map");
    ck_assert_int_eq(symlink("/elsewhere", path_of("pg_tblspc/16384")), 0);
    refused("does not link to it", "--tablespace-map");
    unlink(path_of("pg_tblspc/16384"));
    snprintf(theirs, sizeof(theirs), "%s/", world.old_space);
    ck_assert_int_eq(symlink(theirs, path_of("pg_tblspc/16384")), 0);
    /* its original's, if this is a copy of that directory */
    world.is_elsewhere = true;
    refused("is where the server that was backed up had it", "--tablespace-map");
    world.is_elsewhere = false;
    ck_assert_uint_lt(delta(), CONTROL);
    world_end(&world);
}
END_TEST

START_TEST(trap20_a_server_started_since_the_check_is_left_alone)
{
    CPAM_AUTO(restore_places_free) struct restore_places *places = NULL;
    struct option_list maps = {0};

    begin(true);
    ck_ok(restore_places_new(io_posix(), world.target, &places, &err), &err);
    places->delta = true;
    places->sysid = world.summary.sysid;
    places->major = world.summary.major;
    ck_ok(restore_places_check(places, &maps, &err), &err);
    put(path_of("postmaster.pid"), "99999999\n/nowhere\n", 18, 0);
    ck_fails(restore_places_make(places, world.summary.label, &err), CPAM_USAGE,
             "has a postmaster.pid", &err);
    ck_assert(world_has(&world, RESTORE_CONTROL));
    ck_assert(!world_has(&world, RESTORE_MARKER));
    world_end(&world);
}
END_TEST

/* Tags are what saves fetching, not what makes a restore right. */
START_TEST(E1_damaged_tags_cost_speed_and_not_the_restore)
{
    begin(true);
    struct memory_version *version =
        memory_current(&world.repo.bucket, "backup/cpam_backup_20261123_160349/blocks");
    version->data[version->size / 2] ^= 1;
    put(path_of("base/5/2000"), "z", 1, 3 << 20);
    delta();
    ck_assert(world.tally.by_file);
    ck_assert_uint_ge(world.tally.kept, WORLD_BIG);
    world_end(&world);
}
END_TEST

START_TEST(E1_an_altered_pack_is_refused_when_parts_of_it_are_read)
{
    begin(true);
    for (size_t i = 0; i < world.repo.bucket.count; i++)
    {
        struct memory_object *object = &world.repo.bucket.objects[i];

        if (strstr(object->key, "/pack/") == NULL)
            continue;
        struct memory_version *version = &object->versions[object->count - 1];
        for (size_t at = 400; at < version->size; at += 1 << 17)
            version->data[at] ^= 1;
        put(path_of("base/5/1259"), "x", 1, 8192 * 5 + 77);
        put(path_of("base/5/1259"), "x", 1, WORLD_BIG - 1);
        put(path_of("base/5/1259"), "x", 1, 5 << 20);
    }
    enum cpam_status status = world_restore(&world, io_posix(), false, true, &err);
    ck_assert_int_ne(status, CPAM_OK);
    ck_assert_msg(strstr(err.text, "pack \"") != NULL, "%s", err.text);
    ck_assert(!world_has(&world, RESTORE_CONTROL));
    world_end(&world);
}
END_TEST

/* A mapped tablespace leaves the place it had alone. */
START_TEST(T6_T8_a_mapped_tablespace_is_fetched_into_its_new_place)
{
    char old[600];

    begin(true);
    ck_ok(world_restore(&world, io_posix(), true, true, &err), &err);
    ck_assert_uint_lt(world.tally.fetched, 2 * CONTROL); /* and the page of the tablespace */
    snprintf(old, sizeof(old), "%s/PG_15_202209061/5/16400", world.new_space);
    ck_assert_int_eq(access(old, F_OK), 0);
    snprintf(old, sizeof(old), "%s/PG_15_202209061/5/16400", world.old_space);
    ck_assert_int_eq(access(old, F_OK), 0);
    world_end(&world);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("restore/restore_delta");
    TCase *tcase = tcase_create("restore_delta");

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, T6_what_is_right_is_not_fetched, 0, 2);
    tcase_add_test(tcase, T6_after_damage_only_wrong_pages_are_fetched);
    tcase_add_test(tcase, T6_without_tags_a_wrong_file_is_fetched_whole);
    tcase_add_loop_test(tcase, T6_every_kind_of_difference, 0, 2);
    tcase_add_test(tcase, T6_foreign_things_go_and_what_they_link_to_stays);
    tcase_add_loop_test(tcase, T6_what_others_have_in_a_tablespace_stays, 0, 2);
    tcase_add_test(tcase, trap20_a_server_started_since_the_check_is_left_alone);
    tcase_add_test(tcase, trap20_WAL_that_the_archive_may_not_have_is_put_aside);
    tcase_add_test(tcase, T6_T9_an_aborted_restore_is_gone_on_with);
    tcase_add_test(tcase, trap20_nobody_elses_directory_is_written_over);
    tcase_add_test(tcase, E1_damaged_tags_cost_speed_and_not_the_restore);
    tcase_add_test(tcase, E1_an_altered_pack_is_refused_when_parts_of_it_are_read);
    tcase_add_test(tcase, T6_T8_a_mapped_tablespace_is_fetched_into_its_new_place);
    suite_add_tcase(suite, tcase);
    return suite;
}
