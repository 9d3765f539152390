/*
 * test_restore_files.c - a hand-made backup restored: bytes, modes, holes, links, tablespaces (B11,
 * T8), what an aborted run leaves (T9), and altered packs refused (E1).
 */
#include "restore_world.h"

#include <fcntl.h>

#include "base/json.h"

static void
same_file(const struct world *self, size_t i)
{
    const struct world_file *file = &self->files[i];
    char path[512];
    struct stat stat_;
    CPAM_AUTO(free) uint8_t *data = malloc(file->size + 1);

    snprintf(path, sizeof(path), "%s/%s", self->target, file->path);
    ck_assert_msg(stat(path, &stat_) == 0, "%s is not there", path);
    ck_assert_uint_eq((uint64_t) stat_.st_size, file->size);
    ck_assert_uint_eq(stat_.st_mode & 07777, file->mode);
    FILE *in = fopen(path, "rb");
    ck_assert_ptr_nonnull(in);
    ck_assert_uint_eq(fread(data, 1, file->size, in), file->size);
    fclose(in);
    ck_assert_msg(file->size == 0 || memcmp(data, file->data, file->size) == 0, "%s differs", path);
}

static void
link_is(const char *dir, const char *name, const char *expected)
{
    char path[512];
    char to[512];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    ssize_t size = readlink(path, to, sizeof(to) - 1);
    ck_assert_msg(size > 0, "%s is no link", path);
    to[size] = '\0';
    ck_assert_str_eq(to, expected);
}

START_TEST(B11_everything_comes_back)
{
    static struct world world;
    struct cpam_err err;
    struct stat stat_;
    char path[512];

    world_begin(&world);
    ck_ok(world_restore(&world, io_posix(), false, true, &err), &err);
    for (size_t i = 0; i < WORLD_FILES; i++)
        if (world.files[i].back)
            same_file(&world, i);
    ck_assert(!world_has(&world, "standby.signal")); /* trap 10 d */
    ck_assert(!world_has(&world, RESTORE_MARKER));
    ck_assert(!world_has(&world, "global/pg_control" RESTORE_MARKER));
    ck_assert(world_has(&world, "pg_wal/archive_status"));
    link_is(world.target, "log", "/nowhere/log");
    link_is(world.target, "pg_tblspc/16384", world.old_space);
    /* the hole takes no room */
    snprintf(path, sizeof(path), "%s/base/5/2000", world.target);
    ck_assert_int_eq(stat(path, &stat_), 0);
    ck_assert_int_lt(stat_.st_blocks * 512, 3 << 20);
    snprintf(path, sizeof(path), "%s/pg_notify", world.target);
    ck_assert_int_eq(stat(path, &stat_), 0);
    ck_assert_uint_eq(stat_.st_mode & 0777, 0750);
    ck_assert_int_eq(stat(world.target, &stat_), 0);
    ck_assert_uint_eq(stat_.st_mode & 0777, 0700);
    world_end(&world);
}
END_TEST

static json_t *
manifest_file(const struct world *self, json_t *manifest, const char *path)
{
    json_t *files = json_object_get(manifest, "Files");

    (void) self;
    for (size_t i = 0; i < json_array_size(files); i++)
    {
        json_t *file = json_array_get(files, i);
        const char *name = json_string_value(json_object_get(file, "Path"));

        if (name != NULL && strcmp(name, path) == 0)
            return file;
    }
    return NULL;
}

START_TEST(T8_B12_trap6_tablespace_map_names_the_places)
{
    static struct world world;
    struct cpam_err err;
    char path[512];
    char line[300];
    char text[300] = "";
    char crc[9];

    bool mapped = _i == 0;
    const char *place;

    world_map_is_wrong = !mapped;
    world_begin(&world);
    world_map_is_wrong = false;
    place = mapped ? world.new_space : world.old_space;
    ck_ok(world_restore(&world, io_posix(), mapped, true, &err), &err);
    link_is(world.target, "pg_tblspc/16384", place);
    same_file(&world, 6);
    if (mapped)
        ck_assert_int_ne(access(world.old_space, F_OK), 0); /* not a byte where production's is */
    /* the server would make its old link anew from the map (trap 6) */
    snprintf(path, sizeof(path), "%s/tablespace_map", world.target);
    FILE *in = fopen(path, "rb");
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), in));
    fclose(in);
    snprintf(line, sizeof(line), "16384 %s\n", place);
    ck_assert_str_eq(text, line);
    /* and the manifest tells of the new one */
    json_error_t why;
    snprintf(path, sizeof(path), "%s/backup_manifest", world.target);
    json_t *manifest = json_load_file(path, 0, &why);
    ck_assert_msg(manifest != NULL, "%s", why.text);
    json_t *file = manifest_file(&world, manifest, "tablespace_map");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(json_integer_value(json_object_get(file, "Size")), (json_int_t) strlen(line));
    uint32_t value = crc32c(0, line, strlen(line));
    snprintf(crc, sizeof(crc), "%02x%02x%02x%02x", value & 0xFF, value >> 8 & 0xFF,
             value >> 16 & 0xFF, value >> 24);
    ck_assert_str_eq(json_string_value(json_object_get(file, "Checksum")), crc);
    ck_assert_ptr_nonnull(manifest_file(&world, manifest, "global/pg_control"));
    ck_assert_ptr_nonnull(
        manifest_file(&world, manifest, "pg_tblspc/16384/PG_15_202209061/5/16400"));
    ck_assert_ptr_null(manifest_file(&world, manifest, "standby.signal"));
    json_decref(manifest);
    world_end(&world);
}
END_TEST

START_TEST(T9_without_its_last_step_there_is_no_pg_control)
{
    static struct world world;
    struct cpam_err err;

    world_begin(&world);
    ck_ok(world_restore(&world, io_posix(), false, false, &err), &err);
    ck_assert(!world_has(&world, "global/pg_control"));
    ck_assert(world_has(&world, RESTORE_MARKER));
    /* and the same again over it succeeds */
    ck_ok(world_restore(&world, io_posix(), false, true, &err), &err);
    same_file(&world, 2);
    same_file(&world, 5);
    /* but not over what is complete */
    ck_fails(world_restore(&world, io_posix(), false, true, &err), CPAM_USAGE, "is not empty",
             &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "mv "));
    ck_assert_ptr_nonnull(strstr(err.hint, "/data.old"));
    world_end(&world);
}
END_TEST

/* A disk that holds the database once has no room for it beside what an aborted run left of it. */
START_TEST(T9_what_is_thrown_away_counts_as_room)
{
    enum
    {
        LEFT = 256 << 20 /* bytes; others may write to the same disk meanwhile */
    };
    static struct world world;
    struct cpam_err err;
    char path[512];

    world_begin(&world);
    ck_ok(world_restore(&world, io_posix(), false, false, &err), &err);
    snprintf(path, sizeof(path), "%s/base/5/large", world.target);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(posix_fallocate(fd, 0, LEFT), 0);
    ck_assert_int_eq(close(fd), 0);

    struct option_list maps = {0};
    CPAM_AUTO(restore_places_free) struct restore_places *places = NULL;
    CPAM_AUTO(restore_survey_free) struct restore_survey *survey = NULL;
    ck_ok(restore_places_new(io_posix(), world.target, &places, &err), &err);
    ck_ok(restore_survey_read(world.repo.repo, &world.summary, places,
                              &(struct restore_choice){&maps, &world_databases, NULL}, &survey,
                              &err),
          &err);
    uint64_t room = restore_place_room(places, &places->items[0]);
    ck_assert_uint_lt(room, UINT64_MAX / 2);
    places->items[1].bytes = 0;
    places->items[0].bytes = room + LEFT / 2;
    ck_ok(restore_places_check(places, &maps, &err), &err);
    places->items[0].bytes = room + LEFT * UINT64_C(4);
    ck_fails(restore_places_check(places, &maps, &err), CPAM_USAGE, "not enough room for", &err);
    /* of the tablespace, on the same disk */
    places->items[0].bytes = 0;
    places->items[1].bytes = room + LEFT / 2;
    ck_ok(restore_places_check(places, &maps, &err), &err);
    world_end(&world);
}
END_TEST

START_TEST(T9_somebody_elses_files_are_left_alone)
{
    static struct world world;
    struct cpam_err err;
    char path[512];

    world_begin(&world);
    ck_assert_int_eq(mkdir(world.old_space, 0700), 0);
    snprintf(path, sizeof(path), "%s/theirs", world.old_space);
    fclose(fopen(path, "w"));
    ck_fails(world_restore(&world, io_posix(), false, true, &err), CPAM_USAGE,
             "is not empty (another database's?)", &err);
    ck_assert_ptr_nonnull(strstr(err.hint, "--tablespace-map"));
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_ne(access(world.target, F_OK), 0); /* nothing was written */
    /* a marker that names another data directory does not make it ours */
    snprintf(path, sizeof(path), "%s/" RESTORE_MARKER, world.old_space);
    FILE *out = fopen(path, "w");
    fputs("cpam-base-fetch\n/some/other/data\n", out);
    fclose(out);
    ck_fails(world_restore(&world, io_posix(), false, true, &err), CPAM_USAGE, "is not empty",
             &err);
    world_end(&world);
}
END_TEST

/* The power failed between the name of pg_control and the markers' end; later the directory was moved aside
   for another restore: what lies in the tablespace is that server's. */
START_TEST(T9_a_marker_that_was_left_in_a_tablespace_gives_nothing_away)
{
    static struct world world;
    struct cpam_err err;
    char path[512], aside[512];

    world_begin(&world);
    ck_ok(world_restore(&world, io_posix(), false, true, &err), &err);
    snprintf(path, sizeof(path), "%s/" RESTORE_MARKER, world.old_space);
    FILE *out = fopen(path, "w");
    fprintf(out, "cpam-base-fetch of b: not finished, not to be started\n%s\n", world.target);
    fclose(out);
    snprintf(aside, sizeof(aside), "%s.old", world.target);
    ck_assert_int_eq(rename(world.target, aside), 0);
    ck_fails(world_restore(&world, io_posix(), false, true, &err), CPAM_USAGE,
             "is not empty (another database's?)", &err);
    ck_assert_int_eq(rename(aside, world.target), 0);
    same_file(&world, 5); /* which lies in the tablespace */
    world_end(&world);
}
END_TEST

START_TEST(T9_E1_an_altered_pack_is_refused)
{
    static struct world world;
    struct cpam_err err;

    world_begin(&world);
    for (size_t i = 0; i < world.repo.bucket.count; i++)
    {
        struct memory_object *object = &world.repo.bucket.objects[i];

        if (strstr(object->key, "/pack/") == NULL)
            continue;
        struct memory_version *version = &object->versions[object->count - 1];
        static const int per_mille[] = {0, 2, 300, 700, 999};
        for (size_t k = 0; k < sizeof(per_mille) / sizeof(per_mille[0]); k++)
        {
            size_t at = version->size * (size_t) per_mille[k] / 1000;

            version->data[at] ^= 1;
            enum cpam_status status = world_restore(&world, io_posix(), false, true, &err);
            ck_assert_msg(status != CPAM_OK, "byte %zu of %s", at, object->key);
            ck_assert_msg(strstr(err.text, "pack \"") != NULL, "%s", err.text);
            ck_assert(!world_has(&world, "global/pg_control"));
            version->data[at] ^= 1;
        }
    }
    ck_ok(world_restore(&world, io_posix(), false, true, &err), &err);
    same_file(&world, 2);
    world_end(&world);
}
END_TEST

static const struct
{
    const char *map; /* %o and %n stand for the old and the new place, %d for the data directory */
    const char *why;
} bad_maps[] = {
    {"old=new", "is not OLD=NEW with two absolute paths"},
    {"%o", "is not OLD=NEW with two absolute paths"},
    {"/none=%n", "the backup has no tablespace at \"/none\""},
    {"%o=%d", "into the same directory"},
    {"%o=%d/pg_tblspc/16384", "one inside the other"},
};

static void
expand(const struct world *self, const char *text, char *out, size_t size)
{
    size_t at = 0;

    for (; *text != '\0' && at < size - 1; text++)
    {
        const char *what = NULL;

        if (*text == '%')
            what = text[1] == 'o'   ? self->old_space
                   : text[1] == 'n' ? self->new_space
                                    : self->target;
        if (what == NULL)
            out[at++] = *text;
        else
        {
            at += (size_t) snprintf(out + at, size - at, "%s", what);
            text++;
        }
    }
    out[at] = '\0';
}

START_TEST(T8_wrong_map_is_refused)
{
    static struct world world;
    struct cpam_err err;
    char map[400];

    world_begin(&world);
    expand(&world, bad_maps[_i].map, map, sizeof(map));
    struct option_list maps = {.count = 1, .items = {map}};
    CPAM_AUTO(restore_places_free) struct restore_places *places = NULL;
    CPAM_AUTO(restore_survey_free) struct restore_survey *survey = NULL;
    ck_ok(restore_places_new(io_posix(), world.target, &places, &err), &err);
    enum cpam_status status =
        restore_survey_read(world.repo.repo, &world.summary, places,
                            &(struct restore_choice){&maps, &world_databases, NULL}, &survey, &err);
    if (status == CPAM_OK)
        status = restore_places_check(places, &maps, &err);
    ck_fails(status, CPAM_USAGE, bad_maps[_i].why, &err);
    ck_assert_int_ne(access(world.target, F_OK), 0);
    world_end(&world);
}
END_TEST

START_TEST(T8_one_map_twice_is_refused)
{
    static struct world world;
    struct cpam_err err;
    char one[400];
    char two[400];

    world_begin(&world);
    expand(&world, "%o=%n", one, sizeof(one));
    expand(&world, "%o=%n2", two, sizeof(two));
    struct option_list maps = {.count = 2, .items = {one, two}};
    CPAM_AUTO(restore_places_free) struct restore_places *places = NULL;
    CPAM_AUTO(restore_survey_free) struct restore_survey *survey = NULL;
    ck_ok(restore_places_new(io_posix(), world.target, &places, &err), &err);
    ck_ok(restore_survey_read(world.repo.repo, &world.summary, places,
                              &(struct restore_choice){&maps, &world_databases, NULL}, &survey,
                              &err),
          &err);
    ck_assert_uint_eq(survey->files, WORLD_FILES - 1);
    ck_fails(restore_places_check(places, &maps, &err), CPAM_USAGE, "twice", &err);
    world_end(&world);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("restore/restore_files");
    TCase *tcase = tcase_create("restore_files");

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, B11_everything_comes_back);
    tcase_add_loop_test(tcase, T8_B12_trap6_tablespace_map_names_the_places, 0, 2);
    tcase_add_test(tcase, T9_without_its_last_step_there_is_no_pg_control);
    tcase_add_test(tcase, T9_what_is_thrown_away_counts_as_room);
    tcase_add_test(tcase, T9_somebody_elses_files_are_left_alone);
    tcase_add_test(tcase, T9_a_marker_that_was_left_in_a_tablespace_gives_nothing_away);
    tcase_add_test(tcase, T9_E1_an_altered_pack_is_refused);
    tcase_add_loop_test(tcase, T8_wrong_map_is_refused, 0,
                        (int) (sizeof(bad_maps) / sizeof(bad_maps[0])));
    tcase_add_test(tcase, T8_one_map_twice_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
