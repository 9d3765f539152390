/*
 * restore_world.h - a backup in a repository in memory, made by hand: files over several packs,
 * holes, an empty file, a tablespace, links, a signal file that must not come back.
 */
#ifndef CPAM_TESTS_RESTORE_WORLD_H
#define CPAM_TESTS_RESTORE_WORLD_H

#include "repo/repo_fixture.h"

#include <errno.h>
#include <ftw.h>

#include "pg/control.h"
#include "pg/control_15.h"
#include "pg/crc32c.h"
#include "repo/blocks.h"
#include "repo/pack_fill.h"
#include "restore_files.h"

enum
{
    /* bytes that do not compress: three packs of 4 MiB, and a page in the first frame of a fourth */
    WORLD_BIG = 10 << 20,
    WORLD_FILES = 9
};

/* Of the worlds that begin from now on. */
static uint64_t world_pack_size __attribute__((unused)) = PACK_SIZE_MIN;

/* --database, of the restores that follow. */
static struct option_list world_databases __attribute__((unused));

struct world_file
{
    const char *path;
    uint64_t size;
    uint32_t mode;
    bool back; /* is it restored? */
    uint8_t *data;
    uint32_t crc;
    struct manifest_extent *extents;
    size_t extent_count;
};

struct world
{
    struct repo_fixture repo;
    struct backup_summary summary;
    struct restore_tally tally;
    bool delta;        /* of the next restore */
    bool is_elsewhere; /* the target is not the data directory that was backed up */
    struct world_file files[WORLD_FILES];
    char old_space[128], target[128], new_space[128];
};

static inline enum cpam_status
world_part(void *arg, const struct pack_part *part, struct cpam_err *err)
{
    struct world *self = arg;
    struct world_file *file = &self->files[part->id];

    (void) err;
    file->crc = part->crc;
    file->extent_count = part->extent_count;
    file->extents = malloc((part->extent_count + 1) * sizeof(*file->extents));
    ck_assert_ptr_nonnull(file->extents);
    if (part->extent_count > 0)
        memcpy(file->extents, part->extents, part->extent_count * sizeof(*file->extents));
    return CPAM_OK;
}

static bool world_map_is_wrong; /* tablespace_map of the next world names no place of it */

static inline void
world_content(struct world *self, size_t i)
{
    struct world_file *file = &self->files[i];
    uint32_t state = (uint32_t) i + 1;

    file->data = malloc(file->size + 1);
    ck_assert_ptr_nonnull(file->data);
    for (uint64_t at = 0; at < file->size; at++)
    {
        state = state * 1664525 + 1013904223;
        file->data[at] = (uint8_t) (state >> 24);
    }
    if (strcmp(file->path, "base/5/2000") == 0) /* a hole at the front, and one behind */
    {
        memset(file->data, 0, 2 << 20);
        memset(file->data + file->size - (1 << 20), 0, 1 << 20);
    }
    if (strcmp(file->path, RESTORE_CONTROL) == 0) /* a server's, of this cluster */
    {
        memset(file->data, 0, file->size);
        memcpy(file->data, control_15, sizeof(control_15));
        le64_put(file->data, REPO_SYSID);
        le32_put(file->data + 288, crc32c(0, file->data, 288));
    }
    if (strcmp(file->path, "tablespace_map") == 0)
    {
        snprintf((char *) file->data, file->size + 1, "16384 %s\n", self->old_space);
        if (world_map_is_wrong)
            file->data[file->size - 2] = 0xA9;
    }
}

static inline void
world_fill(struct world *self, struct pack_set *set)
{
    struct cpam_err err;
    CPAM_AUTO(pack_fill_free) struct pack_fill *fill = NULL;

    ck_ok(pack_fill_new(&self->repo.repo, set, world_part, self, &fill, &err), &err);
    for (size_t i = 0; i < WORLD_FILES; i++)
    {
        ck_ok(pack_fill_begin(fill, i, &err), &err);
        for (uint64_t at = 0; at < self->files[i].size;)
        {
            uint8_t *room_at;
            size_t room;

            ck_ok(pack_fill_room(fill, &room_at, &room, &err), &err);
            if (room > self->files[i].size - at)
                room = (size_t) (self->files[i].size - at);
            memcpy(room_at, self->files[i].data + at, room);
            ck_ok(pack_fill_take(fill, room, &err), &err);
            at += room;
        }
        ck_ok(pack_fill_end(fill, NULL, 0, &err), &err);
    }
    ck_ok(pack_fill_finish(fill, &err), &err);
}

static inline enum cpam_status
world_pack(void *arg, const struct manifest_pack *pack, struct cpam_err *err)
{
    struct manifest_entry entry = {.kind = MANIFEST_PACK, .pack = pack};

    return manifest_writer_add(arg, &entry, NULL, err);
}

static inline void
world_entries(struct world *self, struct manifest_writer *writer)
{
    static const char *const directories[] = {"base",
                                              "base/5",
                                              "global",
                                              "pg_notify",
                                              "pg_tblspc",
                                              "pg_tblspc/16384",
                                              "pg_tblspc/16384/PG_15_202209061",
                                              "pg_tblspc/16384/PG_15_202209061/5",
                                              "pg_wal",
                                              "pg_wal/archive_status"};
    struct cpam_err err;
    size_t d = 0;
    size_t f = 0;
    bool linked = false;

    struct manifest_entry space = {
        .kind = MANIFEST_TABLESPACE, .oid = "16384", .target = self->old_space};
    ck_ok(manifest_writer_add(writer, &space, NULL, &err), &err);
    while (d < sizeof(directories) / sizeof(directories[0]) || f < WORLD_FILES || !linked)
    {
        const char *dir = d < sizeof(directories) / sizeof(directories[0]) ? directories[d] : "~";
        const char *file = f < WORLD_FILES ? self->files[f].path : "~";
        const char *link = linked ? "~" : "log";
        struct manifest_entry entry = {0};
        const struct manifest_extent *extents = NULL;

        if (manifest_path_compare(dir, file) < 0 && manifest_path_compare(dir, link) < 0)
        {
            entry = (struct manifest_entry){
                .kind = MANIFEST_DIRECTORY, .path = dir, .mode = d == 3 ? 0750 : 0700};
            d++;
        }
        else if (manifest_path_compare(link, file) < 0)
        {
            entry = (struct manifest_entry){
                .kind = MANIFEST_LINK, .path = link, .target = "/nowhere/log"};
            linked = true;
        }
        else
        {
            entry = (struct manifest_entry){.kind = MANIFEST_FILE,
                                            .path = file,
                                            .mode = self->files[f].mode,
                                            .size = self->files[f].size,
                                            .mtime = INT64_C(1795449829000000),
                                            .crc = self->files[f].crc,
                                            .extent_count = self->files[f].extent_count};
            extents = self->files[f].extents;
            f++;
        }
        ck_ok(manifest_writer_add(writer, &entry, extents, &err), &err);
    }
}

/* The tags of all pages, whether the files come back or not. */
static inline void
world_blocks(struct world *self)
{
    static const uint8_t key[BLOCK_KEY_SIZE] = {3, 1, 4};
    CPAM_AUTO(block_tagger_free) struct block_tagger *tagger = NULL;
    CPAM_AUTO(blocks_writer_free) struct blocks_writer *writer = NULL;
    struct cpam_err err;

    ck_ok(block_tagger_new(key, &tagger, &err), &err);
    ck_ok(blocks_writer_new(self->repo.repo, &self->summary, key, &writer, &err), &err);
    for (size_t i = 0; i < WORLD_FILES; i++)
    {
        const struct world_file *file = &self->files[i];

        ck_ok(blocks_writer_file(writer, 100 + i, &err), &err);
        for (uint64_t page = 0; page < block_count(file->size); page++)
        {
            uint64_t left = file->size - page * BLOCK_PAGE;
            uint8_t tag[BLOCK_TAG_SIZE];

            ck_ok(block_tag(tagger, 100 + i, (uint32_t) page, file->data + page * BLOCK_PAGE,
                            left < BLOCK_PAGE ? left : BLOCK_PAGE, tag, &err),
                  &err);
            ck_ok(blocks_writer_tags(writer, tag, sizeof(tag), &err), &err);
        }
    }
    ck_ok(blocks_writer_finish(writer, &self->summary, &err), &err);
}

/* Every path below is in fixture_dir. */
static inline void
world_begin(struct world *self)
{
    struct cpam_err err;
    CPAM_AUTO(pack_set_free) struct pack_set *set = NULL;
    CPAM_AUTO(manifest_writer_free) struct manifest_writer *writer = NULL;

    memset(self, 0, sizeof(*self));
    repo_fixture_begin(&self->repo, false);
    snprintf(self->old_space, sizeof(self->old_space), "%s/old", fixture_dir);
    snprintf(self->new_space, sizeof(self->new_space), "%s/new", fixture_dir);
    snprintf(self->target, sizeof(self->target), "%s/data", fixture_dir);
    const struct world_file files[WORLD_FILES] = {
        {"PG_VERSION", 3, 0600, true, NULL, 0, NULL, 0},
        {"backup_label", 225, 0600, true, NULL, 0, NULL, 0},
        {"base/5/1259", WORLD_BIG, 0600, true, NULL, 0, NULL, 0},
        {"base/5/2000", (4 << 20) + 8192, 0640, true, NULL, 0, NULL, 0},
        {"base/5/3", 0, 0600, true, NULL, 0, NULL, 0},
        {"global/pg_control", 8192, 0600, true, NULL, 0, NULL, 0},
        {"pg_tblspc/16384/PG_15_202209061/5/16400", 8192, 0600, true, NULL, 0, NULL, 0},
        {"standby.signal", 1, 0600, false, NULL, 0, NULL, 0},
        {"tablespace_map", strlen(self->old_space) + 7, 0600, true, NULL, 0, NULL, 0},
    };
    memcpy(self->files, files, sizeof(files));
    for (size_t i = 0; i < WORLD_FILES; i++)
        world_content(self, i);

    struct pack_set_spec spec = {.label = "cpam_backup_20261123_160349",
                                 .attempt = 1,
                                 .sysid = REPO_SYSID,
                                 .pack_size = world_pack_size,
                                 .state = fixture_dir,
                                 .repos = 1};
    self->summary = repo_summary("cpam_backup_20261123_160349", 9);
    ck_ok(pack_set_new(io_posix(), &spec, &set, &err), &err);
    world_fill(self, set);
    ck_assert_uint_ge(pack_set_count(set), world_pack_size == PACK_SIZE_MIN ? 3 : 1);
    self->summary.files = WORLD_FILES;
    for (size_t i = 0; i < WORLD_FILES; i++)
        self->summary.bytes += self->files[i].size;
    self->summary.packs = pack_set_count(set);
    self->summary.stored_bytes = pack_set_stored(set, 0);
    ck_ok(manifest_writer_new(self->repo.repo, &self->summary, NULL, 0, &writer, &err), &err);
    ck_ok(pack_set_each(set, 0, world_pack, writer, &err), &err);
    world_entries(self, writer);
    ck_ok(manifest_writer_finish(writer, &self->summary, &err), &err);
}

static inline int
world_remove_one(const char *path, const struct stat *stat, int kind, struct FTW *at)
{
    (void) stat;
    (void) kind;
    (void) at;
    return remove(path);
}

static inline void
world_remove(const char *path)
{
    nftw(path, world_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void
world_end(struct world *self)
{
    for (size_t i = 0; i < WORLD_FILES; i++)
    {
        free(self->files[i].data);
        free(self->files[i].extents);
    }
    world_remove(self->target);
    world_remove(self->old_space);
    world_remove(self->new_space);
    repo_fixture_end(&self->repo);
}

/* One restore, up to and without pg_control's name; *places may be NULL. */
static inline enum cpam_status
world_restore(struct world *self, struct io *io, bool mapped, bool finish, struct cpam_err *err)
{
    CPAM_AUTO(restore_places_free) struct restore_places *places = NULL;
    CPAM_AUTO(restore_survey_free) struct restore_survey *survey = NULL;
    char map[300];
    struct option_list maps = {.count = mapped ? 1 : 0, .items = {map}};

    snprintf(map, sizeof(map), "%s=%s", self->old_space, self->new_space);
    CPAM_TRY(restore_places_new(io, self->target, &places, err));
    CPAM_TRY(restore_survey_read(self->repo.repo, &self->summary, places,
                                 &(struct restore_choice){&maps, &world_databases, NULL}, &survey,
                                 err));
    if (!self->is_elsewhere)
        CPAM_TRY(restore_places_origin(places, self->target, err));
    places->delta = self->delta;
    places->sysid = self->summary.sysid;
    places->major = self->summary.major;
    CPAM_TRY(restore_places_check(places, &maps, err));
    CPAM_TRY(restore_places_make(places, self->summary.label, err));
    self->tally = (struct restore_tally){0};
    struct restore_files files = {.io = io,
                                  .repo = self->repo.repo,
                                  .summary = &self->summary,
                                  .places = places,
                                  .survey = survey,
                                  .tally = &self->tally,
                                  .workers = 2};
    CPAM_TRY(restore_files(&files, err));
    if (!finish)
        return CPAM_OK;
    CPAM_TRY(restore_control(io, places, err));
    return restore_places_finish(places, err);
}

static inline bool
world_has(const struct world *self, const char *path)
{
    char whole[512];
    struct stat stat;

    snprintf(whole, sizeof(whole), "%s/%s", self->target, path);
    return lstat(whole, &stat) == 0;
}

#endif
