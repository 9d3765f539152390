/*
 * incremental_world.h - backups of a folder into a repository in memory, without a server, by the very
 * parts of cpam-base-push; and every byte of them found again.
 */
#ifndef CPAM_TESTS_INCREMENTAL_WORLD_H
#define CPAM_TESTS_INCREMENTAL_WORLD_H

#include <fcntl.h>

#include "repo/repo_fixture.h"

#include "io/file.h"
#include "pg/crc32c.h"
#include "push_copy.h"
#include "push_manifest.h"
#include "repo/object_read.h"
#include "repo/parents.h"

enum
{
    WORLD_FILES_MAX = 16,
    WORLD_PACKS_MAX = 256
};

struct world
{
    struct repo_fixture repo;
    struct io *io;
    struct fixture_io clock; /* each backup in another second */
    const char *data, *state;
    const char *files[WORLD_FILES_MAX]; /* in the order of their names */
    size_t file_count;
    struct push_target target;
    struct push_targets targets;
    const char *mode;
    int64_t full_every;
    uint64_t sysid, lsn;
    struct backup_summary summary; /* of the last backup */
    volatile sig_atomic_t stopped;
    void (*meanwhile)(struct world *world); /* right before the summary; or NULL */
};

static inline void
world_begin(struct world *self)
{
    static char data[128], state[128];

    memset(self, 0, sizeof(*self));
    repo_fixture_begin(&self->repo, false);
    snprintf(data, sizeof(data), "%s", fixture_path("data"));
    snprintf(state, sizeof(state), "%s", fixture_path("state"));
    ck_assert_int_eq(mkdir(data, 0700), 0);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    fixture_io_init(&self->clock);
    self->clock.now = io_posix()->ops->now(io_posix());
    self->io = &self->clock.base;
    self->data = data;
    self->state = state;
    self->mode = "auto";
    self->full_every = INT64_C(7) * 86400 * 1000000;
    self->sysid = REPO_SYSID;
    self->lsn = 0x2000028;
    self->targets = (struct push_targets){&self->target, 1};
}

static inline void
world_end(struct world *self)
{
    repo_fixture_end_with_files(&self->repo);
}

static inline const char *
world_path(const struct world *self, const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", self->data, name);
    return path;
}

/* Bytes from `at` on, noise of this seed. */
static inline void
world_write(struct world *self, const char *name, uint64_t at, size_t size, unsigned seed)
{
    uint8_t *noise = malloc(size + 1);
    uint32_t state = seed * 2654435761u + 1;
    size_t i = 0;
    int fd = open(world_path(self, name), O_WRONLY | O_CREAT, 0600);

    for (; i < size; i++)
    {
        state = state * 1664525u + 1013904223u;
        noise[i] = (uint8_t) (state >> 24);
    }
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, noise, size, (off_t) at), (ssize_t) size);
    close(fd);
    free(noise);
    for (i = 0; i < self->file_count && strcmp(self->files[i], name) < 0; i++)
        ;
    if (i < self->file_count && strcmp(self->files[i], name) == 0)
        return;
    memmove(&self->files[i + 1], &self->files[i], (self->file_count - i) * sizeof(char *));
    self->files[i] = name;
    self->file_count++;
}

static inline void
world_cut(struct world *self, const char *name, uint64_t size)
{
    ck_assert_int_eq(truncate(world_path(self, name), (off_t) size), 0);
}

static inline void
world_remove(struct world *self, const char *name)
{
    size_t i = 0;

    while (strcmp(self->files[i], name) != 0)
        i++;
    ck_assert_int_eq(unlink(world_path(self, name)), 0);
    memmove(&self->files[i], &self->files[i + 1], (--self->file_count - i) * sizeof(char *));
}

static inline void
world_note_pack(void *arg, const struct manifest_pack *pack, const struct pack_copy *copies)
{
    struct push_base *base = arg;

    if (base->journal != NULL)
        push_journal_own_pack(base->journal, pack, copies);
}

static inline enum cpam_status
world_plan(struct world *self, struct plan *plan, struct cpam_err *err)
{
    for (size_t i = 0; i < self->file_count; i++)
    {
        struct stat found;

        if (stat(world_path(self, self->files[i]), &found) != 0)
            continue;
        struct source_entry entry = {.kind = MANIFEST_FILE,
                                     .path = self->files[i],
                                     .mode = 0600,
                                     .size = (uint64_t) found.st_size};
        CPAM_TRY(plan_add(plan, &entry, NULL, err));
    }
    return CPAM_OK;
}

static inline enum cpam_status
world_copy(struct world *self, struct push_base *base, struct plan *plan, struct pack_set *packs,
           struct cpam_err *err)
{
    CPAM_AUTO(push_copy_free) struct push_copy *copy = NULL;
    struct repo *repos[PACK_REPOS_MAX] = {self->repo.repo};
    struct push_copy_spec spec = {.repos = repos,
                                  .plan = plan,
                                  .packs = packs,
                                  .data = self->data,
                                  .base = base,
                                  .workers = 1,
                                  .stopped = &self->stopped};

    CPAM_TRY(push_copy_new(self->io, &spec, &copy, err));
    CPAM_TRY(push_copy_files(copy, err));
    return push_copy_finish(copy, err);
}

static inline enum cpam_status
world_commit(struct world *self, struct push_base *base, struct plan *plan, struct pack_set *packs,
             struct cpam_err *err)
{
    struct push_manifest manifest = {.plan = plan, .packs = packs, .base = base};
    struct backup_summary *summary = &self->target.summary;

    summary->sysid = self->sysid;
    summary->major = 15;
    summary->timeline.id = 1;
    summary->start.at = self->lsn;
    summary->stop.at = self->lsn + 100;
    summary->segment_size = 1 << 20;
    CPAM_TRY(push_base_conclude(base, summary, err));
    CPAM_TRY(push_manifest_put(self->repo.repo, 0, &manifest, summary, err));
    if (self->meanwhile != NULL)
        self->meanwhile(self);
    CPAM_TRY(push_base_stands(base, 0, err));
    CPAM_TRY(backup_commit(self->repo.repo, summary, err));
    self->target.stored = true;
    push_base_keep(base, summary->start);
    self->lsn += 1 << 20;
    return CPAM_OK;
}

static inline enum cpam_status
world_start(struct world *self, struct push_base *base, char label[BACKUP_LABEL_MAX],
            struct cpam_err *err)
{
    CPAM_TRY(push_base_reserve(base, "b_", label, err));
    if (self->target.status != CPAM_OK)
    {
        *err = self->target.err;
        return self->target.status;
    }
    push_base_begin(base, label, self->io->ops->now(self->io));
    return CPAM_OK;
}

/* What the next backup goes back to. */
static inline enum cpam_status
world_choose(struct world *self, struct plan **plan, struct push_base **base, struct cpam_err *err)
{
    self->clock.now += 1000000;
    self->target = (struct push_target){.repo = self->repo.repo};
    CPAM_TRY(plan_new(self->io, self->state, plan, err));
    struct push_base_spec spec = {.state = self->state,
                                  .targets = &self->targets,
                                  .mode = self->mode,
                                  .full_every = self->full_every,
                                  .sysid = self->sysid,
                                  .part_size = (uint32_t) plan_part_size(*plan)};
    return push_base_choose(self->io, &spec, base, err);
}

/* One backup of the folder. */
static inline enum cpam_status
world_push(struct world *self, struct cpam_err *err)
{
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    CPAM_AUTO(push_base_free) struct push_base *base = NULL;
    CPAM_AUTO(pack_set_free) struct pack_set *packs = NULL;
    char label[BACKUP_LABEL_MAX];

    CPAM_TRY(world_choose(self, &plan, &base, err));
    CPAM_TRY(world_start(self, base, label, err));
    struct pack_set_spec set = {.label = label,
                                .attempt = base->head.attempt,
                                .sysid = self->sysid,
                                .pack_size = PACK_SIZE_MIN,
                                .state = self->state,
                                .repos = 1,
                                .noted = world_note_pack,
                                .arg = base};
    CPAM_TRY(pack_set_new(self->io, &set, &packs, err));
    CPAM_TRY(world_plan(self, plan, err));
    CPAM_TRY(world_copy(self, base, plan, packs, err));
    CPAM_TRY(world_commit(self, base, plan, packs, err));
    self->summary = self->target.summary;
    return CPAM_OK;
}

/* --- every byte found again -------------------------------------------------------------------- */

struct world_reader
{
    struct world *world;
    struct repo *repo; /* of its own: packs are read while the manifest is */
    struct cpam_err *err;
    struct
    {
        struct cpam_buf plain;
        uint64_t starts[PACK_FRAMES_MAX / 16];
    } * packs;
    uint32_t pack_count;
    char path[64];
    uint32_t crc, wanted_crc;
    uint64_t size, extents, files;
    struct cpam_buf content;
};

static inline enum cpam_status
world_on_entry(void *arg, const struct manifest_entry *entry, struct cpam_err *err)
{
    struct world_reader *self = arg;

    if (entry->kind == MANIFEST_PACK)
    {
        const struct manifest_pack *pack = entry->pack;
        struct object_want want = {.kind = OBJECT_PACK,
                                   .sysid = self->world->sysid,
                                   .name = pack->key,
                                   .h = pack->h,
                                   .d = pack->d};
        CPAM_AUTO(sink_free) struct sink *chain = NULL;

        ck_assert_uint_lt(pack->index, WORLD_PACKS_MAX);
        ck_assert_uint_lt(pack->frame_count, PACK_FRAMES_MAX / 16);
        CPAM_TRY(sink_buf_push(&chain, &self->packs[pack->index].plain, 1 << 28, err));
        CPAM_TRY(object_read(self->repo, &want, 1 << 28, chain, NULL, err));
        for (uint32_t i = 0; i < pack->frame_count; i++)
            self->packs[pack->index].starts[i + 1] =
                self->packs[pack->index].starts[i] + pack->rlen[i];
        self->pack_count++;
        return CPAM_OK;
    }
    snprintf(self->path, sizeof(self->path), "%s", entry->path);
    self->content.size = 0;
    self->size = entry->size;
    self->wanted_crc = entry->crc;
    self->files++;
    return CPAM_OK;
}

static inline void
world_same_file(struct world_reader *self)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf wanted = {0};

    ck_ok(
        file_read_all(io_posix(), world_path(self->world, self->path), 1 << 28, &wanted, self->err),
        self->err);
    ck_assert_msg(wanted.size == self->content.size &&
                      memcmp(wanted.data, self->content.data, wanted.size) == 0,
                  "\"%s\" is another one in the backup", self->path);
    ck_assert_uint_eq(self->wanted_crc, crc32c(0, wanted.data, wanted.size));
}

static inline enum cpam_status
world_on_extents(void *arg, uint64_t at, const struct manifest_extent *extents, size_t count,
                 struct cpam_err *err)
{
    struct world_reader *self = arg;

    (void) at;
    self->extents += count;
    CPAM_TRY(cpam_buf_reserve(&self->content, (size_t) self->size + 1, 1 << 28, err));
    for (size_t i = 0; i < count; i++)
    {
        const struct manifest_extent *extent = &extents[i];

        if (extent->pack < 0)
            memset(self->content.data + self->content.size, 0, (size_t) extent->size);
        else
        {
            uint64_t from = self->packs[extent->pack].starts[extent->frame] + extent->offset;

            ck_assert_uint_le(from + extent->size, self->packs[extent->pack].plain.size);
            memcpy(self->content.data + self->content.size,
                   self->packs[extent->pack].plain.data + from, (size_t) extent->size);
        }
        self->content.size += (size_t) extent->size;
    }
    if (self->content.size == self->size)
        world_same_file(self);
    return CPAM_OK;
}

/* The last backup holds the folder as it is; extents: how many its manifest has. */
static inline void
world_check(struct world *self, uint64_t *extents)
{
    static const struct manifest_reader_ops ops = {.entry = world_on_entry,
                                                   .extents = world_on_extents};
    struct cpam_err err;
    struct world_reader reader = {.world = self, .err = &err};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf tags = {0};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    uint64_t pages = 0;

    reader.packs = calloc(WORLD_PACKS_MAX, sizeof(*reader.packs));
    ck_ok(repo_another(self->repo.repo, &reader.repo, &err), &err);
    ck_ok(manifest_read(self->repo.repo, &self->summary, &ops, &reader, &err), &err);
    ck_assert_uint_eq(reader.files, self->file_count);
    for (uint32_t i = 0; i < reader.pack_count; i++)
        cpam_buf_clear(&reader.packs[i].plain);
    free(reader.packs);
    repo_free(reader.repo);
    cpam_buf_clear(&reader.content);
    if (extents != NULL)
        *extents = reader.extents;
    /* the tags of its pages: a key, a number a file, and all pages */
    ck_ok(sink_buf_push(&chain, &tags, 1 << 28, &err), &err);
    ck_ok(blocks_read(self->repo.repo, &self->summary, chain, &err), &err);
    for (size_t i = 0; i < self->file_count; i++)
    {
        struct stat found;

        ck_assert_int_eq(stat(world_path(self, self->files[i]), &found), 0);
        pages += block_count((uint64_t) found.st_size);
    }
    ck_assert_uint_eq(tags.size, BLOCK_KEY_SIZE + self->file_count * BLOCK_NUMBER_SIZE +
                                     pages * BLOCK_TAG_SIZE);
}

#endif
