/*
 * test_memory.c - five million files, and 1 TiB of holes, through a backup's plan, packs and manifest
 * and back through a restore's survey: 256 MiB are enough (B9), which a limit of the process enforces.
 * So they are for one file whose pages have more tags than that.
 *
 * The source is simulated: its directories are made up by readdir, its files are a few bytes each.
 * What is measured is ours: walk, plan, packs, manifest, survey.
 */
#include "repo/repo_fixture.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "push_journal.h"
#include "push_known.h"
#include "push_manifest.h"
#include "repo/blocks.h"
#include "restore_survey.h"
#include "store/dir_store.h"
#include "worker/thread.h"

enum
{
    FILE_SIZE = 24,
    BIG_FILES = 1024, /* of 1 GiB */
    HUGE_FILE = 256   /* GiB */
};
#define LABEL     "cpam_backup_20261123_160349"
#define MEMORY    ((rlim_t) 256 << 20)
#define BIG_BYTES ((uint64_t) 1 << 30)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_LIMITED false /* its shadow alone is more */
#define FILES      200000
#else
#define IS_LIMITED true
#define FILES      5000000
#endif

/* --- a data directory that is not there ------------------------------------------------------- */

/* "base", in it "5", in it `files` files of `size` bytes. */
struct made_up
{
    struct io base;
    struct io_ops ops;
    unsigned files;
    off_t size;
    int depth; /* of the directory being read; they are read one after the other */
    unsigned next;
    struct dirent entry;
};

static DIR *
made_up_opendir(struct io *io, int dir_fd, const char *path)
{
    struct made_up *self = (struct made_up *) io;

    (void) dir_fd;
    self->next = 0;
    self->depth = strstr(path, "base/5") != NULL ? 2 : strstr(path, "base") != NULL;
    return (DIR *) io;
}

static struct dirent *
made_up_readdir(struct io *io, DIR *dir)
{
    struct made_up *self = (struct made_up *) io;

    (void) dir;
    errno = 0;
    if (self->next == (self->depth == 2 ? self->files : 1))
        return NULL;
    if (self->depth == 2) /* in no order */
        snprintf(self->entry.d_name, sizeof(self->entry.d_name), "%u",
                 16384 + (unsigned) ((uint64_t) self->next * 2654437 % self->files));
    else
        strcpy(self->entry.d_name, self->depth == 0 ? "base" : "5");
    self->next++;
    return &self->entry;
}

static int
made_up_closedir(struct io *io, DIR *dir)
{
    (void) io;
    (void) dir;
    return 0;
}

static int
made_up_stat(struct io *io, int dir_fd, const char *path, int flags, struct stat *out)
{
    const struct made_up *self = (const struct made_up *) io;
    bool is_file = strstr(path, "base/5/") != NULL;

    (void) dir_fd;
    (void) flags;
    memset(out, 0, sizeof(*out));
    out->st_mode = is_file ? S_IFREG | 0600 : S_IFDIR | 0700;
    out->st_size = is_file ? self->size : 0;
    out->st_mtim.tv_sec = 1795449829;
    return 0;
}

static void
made_up_init(struct made_up *self, unsigned files, uint64_t size)
{
    memset(self, 0, sizeof(*self));
    self->ops = *io_posix()->ops;
    self->ops.opendir = made_up_opendir;
    self->ops.readdir = made_up_readdir;
    self->ops.closedir = made_up_closedir;
    self->ops.stat = made_up_stat;
    self->base.ops = &self->ops;
    self->files = files;
    self->size = (off_t) size;
}

/* --- a repository in a directory -------------------------------------------------------------- */

struct backup
{
    struct store_opener opener;
    struct repo_settings settings;
    struct keyring *keyring;
    struct repo *repo;
    struct plan *plan;
    struct pack_set *set;
    struct pack_fill *fill;
    struct push_base *base; /* with it the tags are stored */
    struct backup_summary summary;
};

static enum cpam_status
open_folder(const struct store_opener *opener, struct store **out, struct cpam_err *err)
{
    return dir_store_open(io_posix(), opener->arg, out, err);
}

static void
begin(struct backup *self)
{
    static char folder[128];
    const struct cluster_record record = {REPO_SYSID, 15, 1 << 20};
    struct cpam_err err;

    memset(self, 0, sizeof(*self));
    fixture_begin();
    snprintf(folder, sizeof(folder), "%s/repo", fixture_dir);
    self->opener = (struct store_opener){.open = open_folder, .arg = folder};
    self->settings = (struct repo_settings){.name = "primary",
                                            .cluster = "test",
                                            .opener = &self->opener,
                                            .wal_codec = CODEC_LZ4,
                                            .base_codec = CODEC_ZSTD,
                                            .base_level = 1,
                                            .spool = fixture_dir,
                                            .state = fixture_dir};
    self->keyring = repo_keyfile("key", 7);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_ok(repo_create(io_posix(), &self->settings, self->keyring, &err), &err);
    ck_ok(repo_open(io_posix(), &self->settings, self->keyring, (struct deadline){0}, &self->repo,
                    &err),
          &err);
    ck_ok(cluster_record_put(self->repo, &record, &err), &err);

    const struct pack_set_spec spec = {.label = LABEL,
                                       .attempt = 1,
                                       .sysid = REPO_SYSID,
                                       .pack_size = 32 << 20,
                                       .state = fixture_dir,
                                       .repos = 1};
    self->summary = repo_summary(LABEL, 9);
    ck_ok(pack_set_new(io_posix(), &spec, &self->set, &err), &err);
    ck_ok(plan_new(io_posix(), fixture_dir, &self->plan, &err), &err);
    ck_ok(pack_fill_new(&self->repo, self->set, plan_part_done, self->plan, &self->fill, &err),
          &err);
    thread_grow_apart(); /* as the programs do */
    const struct rlimit limit = {MEMORY, MEMORY};
    if (IS_LIMITED)
        ck_assert_int_eq(setrlimit(RLIMIT_DATA, &limit), 0); /* this test's process is its own */
}

static void
walk(struct backup *self, struct made_up *source, source_fn fn)
{
    const struct source from = {
        .io = &source->base, .data = "/made/up", .version_dir = "PG_15_1", .fn = fn, .arg = self};
    struct cpam_err err;

    ck_ok(source_walk(&from, &err), &err);
}

/* What a restore reads first, of all that the backup holds. */
static void
store_and_survey(struct backup *self, uint64_t files, uint64_t bytes, uint64_t written)
{
    const struct push_manifest from = {.plan = self->plan, .packs = self->set, .base = self->base};
    const struct option_list none = {0};
    const struct restore_choice everything = {&none, &none, NULL};
    CPAM_AUTO(restore_places_free) struct restore_places *places = NULL;
    CPAM_AUTO(restore_survey_free) struct restore_survey *survey = NULL;
    struct rusage usage;
    struct cpam_err err;
    char target[128];

    ck_ok(pack_fill_finish(self->fill, &err), &err);
    ck_ok(push_manifest_put(self->repo, 0, &from, &self->summary, &err), &err);
    ck_assert_uint_eq(self->summary.files, files);
    ck_assert_uint_eq(self->summary.bytes, bytes);
    snprintf(target, sizeof(target), "%s/data", fixture_dir);
    ck_ok(restore_places_new(io_posix(), target, &places, &err), &err);
    ck_ok(restore_survey_read(self->repo, &self->summary, places, &everything, &survey, &err),
          &err);
    ck_assert_uint_eq(survey->files, files);
    ck_assert_uint_eq(survey->bytes, written);
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    printf("# %" PRIu64 " files: %ld KiB at most\n", files, usage.ru_maxrss);
    if (IS_LIMITED)
        ck_assert_uint_lt((uint64_t) usage.ru_maxrss << 10, MEMORY);
}

static void
end(struct backup *self)
{
    char command[160];

    pack_fill_free(self->fill);
    plan_free(self->plan);
    pack_set_free(self->set);
    repo_free(self->repo);
    keyring_free(self->keyring);
    fixture_end();
    snprintf(command, sizeof(command), "rm -rf %s", fixture_dir);
    ck_assert_int_eq(system(command), 0);
}

/* --- the tests -------------------------------------------------------------------------------- */

static enum cpam_status
note_small(void *arg, const struct source_entry *entry, struct cpam_err *err)
{
    struct backup *self = arg;
    uint64_t part;

    CPAM_TRY(plan_add(self->plan, entry, &part, err));
    if (entry->kind != MANIFEST_FILE)
        return CPAM_OK;
    uint64_t noise = (part + 1) * UINT64_C(0x9E3779B97F4A7C15);
    uint8_t *at;
    size_t room;

    CPAM_TRY(pack_fill_begin(self->fill, part, err));
    for (size_t done = 0; done < FILE_SIZE; done += room)
    {
        CPAM_TRY(pack_fill_room(self->fill, &at, &room, err));
        room = room < FILE_SIZE - done ? room : FILE_SIZE - done;
        for (size_t i = 0; i < room;
             i++, noise = noise * 6364136223846793005u + 1442695040888963407u)
            at[i] = (uint8_t) (noise >> 56 | 1);
        CPAM_TRY(pack_fill_take(self->fill, room, err));
    }
    return pack_fill_end(self->fill, NULL, 0, err);
}

START_TEST(B9_five_million_files_of_one_directory_within_256_mib)
{
    static struct made_up source;
    static struct backup backup;

    begin(&backup);
    made_up_init(&source, FILES, FILE_SIZE);
    walk(&backup, &source, note_small);
    store_and_survey(&backup, FILES, (uint64_t) FILES * FILE_SIZE, (uint64_t) FILES * FILE_SIZE);
    end(&backup);
}
END_TEST

/* What the state of a backup and the journal of an interrupted one say of all these files. */
static void
journal_of_all(struct push_journal **out)
{
    struct push_head head = {.sysid = REPO_SYSID,
                             .part_size = PLAN_PART_SIZE,
                             .label = LABEL,
                             .epoch = LABEL,
                             .attempt = 1,
                             .repos = 1};
    const struct manifest_extent extent = {.size = FILE_SIZE, .pack = 0};
    struct
    {
        struct push_part fixed;
        char rest[32 + BLOCK_TAG_SIZE];
    } note;
    struct cpam_err err;

    ck_ok(push_journal_new(io_posix(), fixture_dir, &head, out, &err), &err);
    for (unsigned i = 0; i < FILES; i++)
    {
        int length = snprintf(note.rest, sizeof(note.rest), "base/5/%u", 16384 + i);
        const struct pack_part part = {.size = FILE_SIZE,
                                       .extents = &extent,
                                       .extent_count = 1,
                                       .note = (uint8_t *) &note,
                                       .note_size = sizeof(note.fixed) + (size_t) length + 1 +
                                                    BLOCK_TAG_SIZE};

        note.fixed = (struct push_part){.path_size = (uint32_t) length + 1, .tag_count = 1};
        push_journal_part(*out, &part);
    }
}

START_TEST(B9_five_million_files_that_are_known_from_two_files_within_256_mib)
{
    CPAM_AUTO(push_journal_free) struct push_journal *journal = NULL;
    CPAM_AUTO(push_known_free) struct push_known *known = NULL;
    CPAM_AUTO(push_known_free) struct push_known *before = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    static struct made_up source;
    static struct backup backup;
    char path[160];
    struct known_part part;
    uint64_t file;
    struct cpam_err err;

    begin(&backup);
    journal_of_all(&journal);
    snprintf(path, sizeof(path), "%s/" PUSH_JOURNAL_PREFIX LABEL PUSH_JOURNAL_END, fixture_dir);
    ck_ok(push_known_open(io_posix(), path, true, &known, &err), &err);
    ck_ok(push_known_open(io_posix(), path, true, &before, &err), &err);
    made_up_init(&source, FILES, FILE_SIZE);
    walk(&backup, &source, note_small);
    ck_ok(push_file_number("base/5/16384", &file, &err), &err);
    ck_ok(push_known_part(known, "base/5/16384", file, 0, &text, &part, &err), &err);
    ck_assert_uint_eq(part.size, FILE_SIZE);
    store_and_survey(&backup, FILES, (uint64_t) FILES * FILE_SIZE, (uint64_t) FILES * FILE_SIZE);
    end(&backup);
}
END_TEST

/* A part of zeros as pack_fill tells it: one hole.  Its tags count only where they are stored. */
static enum cpam_status
note_sparse(void *arg, const struct source_entry *entry, struct cpam_err *err)
{
    struct backup *self = arg;
    const struct manifest_extent hole = {.size = PLAN_PART_SIZE, .pack = -1};
    static const uint8_t tags[PLAN_PART_SIZE / BLOCK_PAGE * BLOCK_TAG_SIZE];
    uint64_t first;

    CPAM_TRY(plan_add(self->plan, entry, &first, err));
    for (uint64_t i = 0; entry->kind == MANIFEST_FILE && i < entry->size / PLAN_PART_SIZE; i++)
    {
        const struct pack_part part = {
            .id = first + i, .size = PLAN_PART_SIZE, .extents = &hole, .extent_count = 1};

        CPAM_TRY(plan_part_tagged(self->plan, &part, tags, PLAN_PART_SIZE / BLOCK_PAGE, err));
    }
    return CPAM_OK;
}

START_TEST(B9_a_sparse_tebibyte_within_256_mib)
{
    static struct made_up source;
    static struct backup backup;

    begin(&backup);
    made_up_init(&source, BIG_FILES, BIG_BYTES);
    walk(&backup, &source, note_sparse);
    store_and_survey(&backup, BIG_FILES, BIG_FILES * BIG_BYTES, 0);
    end(&backup);
}
END_TEST

START_TEST(B9_tags_of_one_huge_file_within_256_mib)
{
    static struct made_up source;
    static struct backup backup;
    static struct push_base base;

    begin(&backup);
    backup.base = &base;
    made_up_init(&source, 1, HUGE_FILE * BIG_BYTES);
    walk(&backup, &source, note_sparse);
    store_and_survey(&backup, 1, HUGE_FILE * BIG_BYTES, 0);
    ck_assert(backup.summary.has_blocks);
    ck_assert_uint_gt(backup.summary.blocks_size,
                      block_count(HUGE_FILE * BIG_BYTES) * BLOCK_TAG_SIZE);
    end(&backup);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("fault/memory");
    TCase *tcase = tcase_create("memory");

    tcase_set_timeout(tcase, 1700);
    tcase_add_test(tcase, B9_five_million_files_of_one_directory_within_256_mib);
    tcase_add_test(tcase, B9_five_million_files_that_are_known_from_two_files_within_256_mib);
    tcase_add_test(tcase, B9_a_sparse_tebibyte_within_256_mib);
    tcase_add_test(tcase, B9_tags_of_one_huge_file_within_256_mib);
    suite_add_tcase(suite, tcase);
    return suite;
}
