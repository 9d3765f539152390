/*
 * test_manifest.c - manifests written, read back, and every rule of them broken once.
 */
#include "repo/repo_fixture.h"

#include "repo/manifest.h"
#include "repo/parents.h"
#include "repo/summary.h"

#define LABEL "cpam_backup_20240101_020000"
#define PACK  "backup/" LABEL "/pack/01000000"

static struct repo_fixture self;
static struct cpam_err err;

static void
begin(void)
{
    repo_fixture_begin(&self, false);
}

static void
end(void)
{
    repo_fixture_end(&self);
}

static struct backup_summary
head(void)
{
    struct backup_summary summary = repo_summary(LABEL, 0x20);

    summary.seq = 1;
    return summary;
}

/* What a reader was told, as text. */
static char told[1 << 16];

static void
note(const char *text)
{
    size_t at = strlen(told);

    snprintf(told + at, sizeof(told) - at, "%s", text);
}

static enum cpam_status
on_entry(void *arg, const struct manifest_entry *entry, struct cpam_err *e)
{
    char line[512];

    (void) arg;
    (void) e;
    switch (entry->kind)
    {
    case MANIFEST_PACK:
        snprintf(line, sizeof(line), "p%u:%u;", entry->pack->index, entry->pack->frame_count);
        break;
    case MANIFEST_TABLESPACE:
        snprintf(line, sizeof(line), "ts %s %s;", entry->oid, entry->target);
        break;
    case MANIFEST_DIRECTORY:
        snprintf(line, sizeof(line), "d %s %o;", entry->path, entry->mode);
        break;
    case MANIFEST_LINK: snprintf(line, sizeof(line), "l %s %s;", entry->path, entry->target); break;
    case MANIFEST_FILE:
        snprintf(line, sizeof(line), "f %s %o %" PRIu64 " %" PRId64 " %08x;", entry->path,
                 entry->mode, entry->size, entry->mtime, entry->crc);
        break;
    }
    note(line);
    return CPAM_OK;
}

static size_t extents_told;

static enum cpam_status
on_extents(void *arg, uint64_t at, const struct manifest_extent *extents, size_t count,
           struct cpam_err *e)
{
    char line[128];

    (void) arg;
    (void) e;
    extents_told += count;
    if (count > 4)
        return CPAM_OK;
    for (size_t i = 0; i < count; i++)
    {
        snprintf(line, sizeof(line), "[%" PRIu64 "+%" PRIu64 " %" PRId64 " %u %u]", at,
                 extents[i].size, extents[i].pack, extents[i].frame, extents[i].offset);
        note(line);
        at += extents[i].size;
    }
    return CPAM_OK;
}

static enum cpam_status
on_setting(void *arg, const struct manifest_setting *setting, struct cpam_err *e)
{
    (void) arg;
    (void) e;
    note(setting->name);
    note("=");
    note(setting->value);
    note(";");
    return CPAM_OK;
}

static enum cpam_status
read_it(const struct backup_summary *summary)
{
    static const struct manifest_reader_ops ops = {on_entry, on_extents, on_setting};

    told[0] = '\0';
    extents_told = 0;
    return manifest_read(self.repo, summary, &ops, NULL, &err);
}

static void
add(struct manifest_writer *writer, struct manifest_entry entry,
    const struct manifest_extent *extents)
{
    ck_ok(manifest_writer_add(writer, &entry, extents, &err), &err);
}

START_TEST(round_trip)
{
    static const struct manifest_setting settings[] = {{"config_file", "/etc/\"x\"\n"}};
    static const struct manifest_extent extents[] = {
        {1048576 + 10, 0, 0, 0}, {70000, -1, 0, 0}, {5, 0, 1, 100}};
    uint32_t clen[] = {1000, 200}, rlen[] = {1048576, 200};
    struct manifest_pack pack = {.key = PACK,
                                 .body_offset = 400,
                                 .size = 9999,
                                 .frame_count = 2,
                                 .clen = clen,
                                 .rlen = rlen};
    struct backup_summary summary = head();
    CPAM_AUTO(manifest_writer_free) struct manifest_writer *writer = NULL;

    ck_ok(manifest_writer_new(self.repo, &summary, settings, 1, &writer, &err), &err);
    add(writer, (struct manifest_entry){.kind = MANIFEST_PACK, .pack = &pack}, NULL);
    add(writer,
        (struct manifest_entry){.kind = MANIFEST_TABLESPACE, .oid = "16999", .target = "/t"}, NULL);
    add(writer, (struct manifest_entry){.kind = MANIFEST_DIRECTORY, .path = "base", .mode = 0700},
        NULL);
    add(writer,
        (struct manifest_entry){.kind = MANIFEST_FILE,
                                .path = "base/1",
                                .mode = 04600,
                                .size = 1048576 + 10 + 70000 + 5,
                                .mtime = -5,
                                .crc = 0xdeadbeef,
                                .extent_count = 3},
        extents);
    add(writer,
        (struct manifest_entry){.kind = MANIFEST_FILE, .path = "base/\xff\"x", .mode = 0600}, NULL);
    add(writer, (struct manifest_entry){.kind = MANIFEST_LINK, .path = "link", .target = "\xfe"},
        NULL);
    summary.files = 2;
    summary.bytes = 1048576 + 10 + 70000 + 5;
    summary.packs = 1;
    ck_ok(manifest_writer_finish(writer, &summary, &err), &err);
    ck_ok(read_it(&summary), &err);
    ck_assert_str_eq(told, "config_file=/etc/\"x\"\n;p0:2;ts 16999 /t;d base 700;"
                           "f base/1 600 1118591 -5 deadbeef;"
                           "[0+1048586 0 0 0][1048586+70000 -1 0 0][1118586+5 0 1 100]"
                           "f base/\xff\"x 600 0 0 00000000;l link \xfe;");
    /* a summary that tells anything else is not this manifest's */
    summary.snapshot[0] = '9';
    ck_fails(read_it(&summary), CPAM_CORRUPT, "tell different \"snapshot\"", &err);
    summary.snapshot[0] = '\0';
    summary.manifest_h[3] ^= 1;
    ck_assert_int_ne(read_it(&summary), CPAM_OK);
    summary.manifest_h[3] ^= 1;
    summary.manifest_d[3] ^= 1;
    ck_assert_int_ne(read_it(&summary), CPAM_OK);
}
END_TEST

START_TEST(extents_go_on_in_lines_of_their_own)
{
    enum
    {
        MANY = 3 * MANIFEST_EXTENTS_LINE + 7
    };
    struct manifest_extent *extents = calloc(MANY, sizeof(*extents));
    struct backup_summary summary = head();
    CPAM_AUTO(manifest_writer_free) struct manifest_writer *writer = NULL;

    for (int i = 0; i < MANY; i++)
        extents[i] = (struct manifest_extent){3, -1, 0, 0};
    ck_ok(manifest_writer_new(self.repo, &summary, NULL, 0, &writer, &err), &err);
    add(writer,
        (struct manifest_entry){.kind = MANIFEST_FILE,
                                .path = "a",
                                .mode = 0600,
                                .size = 3 * MANY,
                                .extent_count = MANY},
        extents);
    summary.files = 1;
    summary.bytes = 3 * MANY;
    ck_ok(manifest_writer_finish(writer, &summary, &err), &err);
    ck_ok(read_it(&summary), &err);
    ck_assert_uint_eq(extents_told, MANY);
    free(extents);
}
END_TEST

START_TEST(writer_refuses_disorder)
{
    struct backup_summary summary = head();
    CPAM_AUTO(manifest_writer_free) struct manifest_writer *writer = NULL;
    struct manifest_entry file = {.kind = MANIFEST_FILE, .path = "b", .mode = 0600};

    ck_ok(manifest_writer_new(self.repo, &summary, NULL, 0, &writer, &err), &err);
    add(writer, file, NULL);
    ck_fails(manifest_writer_add(writer, &file, NULL, &err), CPAM_INTERNAL, "comes behind", &err);
    file.path = "c/d";
    ck_fails(manifest_writer_add(writer, &file, NULL, &err), CPAM_INTERNAL, "no directory", &err);
    file.path = "../x";
    ck_fails(manifest_writer_add(writer, &file, NULL, &err), CPAM_CORRUPT, "\"..\"", &err);
}
END_TEST

/* A manifest made of these lines between a right head and a right end. */
static void
store_lines(const char *lines, const char *end_format, uint64_t files, uint64_t bytes,
            uint64_t packs, struct backup_summary *summary)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf sealed = {0};
    CPAM_AUTO(json_doc_free) json_t *common = json_object();
    struct object_spec spec = {.kind = OBJECT_MANIFEST,
                               .sysid = REPO_SYSID,
                               .name = "backup/" LABEL "/manifest",
                               .raw_length = OBJECT_LENGTH_UNKNOWN};
    struct object_digest digest;
    uint8_t sum[SHA256_SIZE];
    char uuid[TEXT_UUID_MAX], hex[65];
    uint64_t count = 1;

    summary->files = files;
    summary->bytes = bytes;
    summary->packs = packs;
    text_format_uuid(keyring_uuid(self.keyring), uuid);
    ck_ok(cpam_buf_printf(&text, 1 << 24, &err,
                          "{\"t\":\"head\",\"v\":1,\"repo\":\"%s\",\"sysid\":\"%" PRIu64
                          "\",\"label\":\"" LABEL "\",\"parents\":[],\"epoch\":\"" LABEL
                          "\",\"settings\":{}}\n%s",
                          uuid, REPO_SYSID, lines),
          &err);
    for (const char *at = lines; *at != '\0'; at++)
        count += *at == '\n';
    ck_ok(sha256_of(text.data, text.size, sum, &err), &err);
    text_hex(sum, sizeof(sum), hex);
    ck_ok(summary_set_common(self.repo, summary, common, &err), &err);
    char *json = json_dumps(common, JSON_COMPACT);
    if (end_format == NULL)
        ck_ok(cpam_buf_printf(&text, 1 << 24, &err,
                              "{\"t\":\"end\",\"files\":%" PRIu64 ",\"bytes\":%" PRIu64
                              ",\"packs\":%" PRIu64 ",\"lines\":%" PRIu64
                              ",\"summary\":%s,\"sha256\":\"%s\"}\n",
                              files, bytes, packs, count, json, hex),
              &err);
    else
        ck_ok(cpam_buf_append(&text, end_format, strlen(end_format), 1 << 24, &err), &err);
    free(json);
    fixture_write(io_posix(), self.keyring, &spec, text.data, text.size, &sealed, &digest);
    memory_overwrite(&self.bucket, spec.name, sealed.data, sealed.size);
    memcpy(summary->manifest_h, digest.h, SHA256_SIZE);
    memcpy(summary->manifest_d, digest.d, SHA256_SIZE);
    summary->manifest_size = digest.size;
}

#define HEX64 "0000000000000000000000000000000000000000000000000000000000000000"
#define P0                                                                                         \
    "{\"t\":\"p\",\"i\":0,\"k\":\"" PACK "\",\"h\":\"" HEX64 "\",\"d\":\"" HEX64                   \
    "\",\"b\":400,\"z\":999,\"c\":[10,10],\"r\":[100,50]}\n"
#define DIR(n) "{\"t\":\"d\",\"n\":\"" n "\",\"m\":\"0700\"}\n"
#define FILE_(n, s, ne, e)                                                                         \
    "{\"t\":\"f\",\"n\":\"" n "\",\"m\":\"0600\",\"s\":" s                                         \
    ",\"mt\":0,\"crc\":\"00000000\",\"ne\":" ne ",\"e\":[" e "]}\n"
#define EMPTY(n) FILE_(n, "0", "0", "")

static const struct
{
    const char *lines, *words;
    uint64_t files, bytes, packs;
} refused[] = {
    {EMPTY("b") EMPTY("a"), "strictly ascending", 2, 0, 0},
    {EMPTY("a") EMPTY("a"), "strictly ascending", 2, 0, 0},
    {DIR("a") EMPTY("a.b") EMPTY("a/b"), "strictly ascending", 2, 0, 0},
    {EMPTY("a") EMPTY("a/b"), "lies in no directory", 2, 0, 0},
    {DIR("a") EMPTY("b/c"), "lies in no directory", 1, 0, 0},
    {"{\"t\":\"l\",\"n\":\"a\",\"to\":\"/etc\"}\n" EMPTY("a/passwd"), "lies in no directory", 1, 0,
     0},
    {EMPTY("/etc/passwd"), "is absolute", 1, 0, 0},
    {EMPTY("../x"), "\"..\"", 1, 0, 0},
    {DIR("a") EMPTY("a/../../x"), "\"..\"", 1, 0, 0},
    {EMPTY("./x"), "\".\"", 1, 0, 0},
    {EMPTY("a//b"), "empty part", 1, 0, 0},
    {EMPTY("a/"), "empty part", 1, 0, 0},
    {EMPTY(""), "is empty", 1, 0, 0},
    {EMPTY("a\\u0000b"), "line", 1, 0, 0},
    {"{\"t\":\"f\",\"nb\":\"YQ==\",\"m\":\"0600\",\"s\":0,\"mt\":0,\"crc\":\"00000000\",\"ne\":0,"
     "\"e\":[]}\n",
     "needs it", 1, 0, 0},
    {"{\"t\":\"d\",\"n\":\"a\",\"m\":\"4755\"}\n", "mode", 0, 0, 0},
    {"{\"t\":\"d\",\"n\":\"a\",\"m\":\"0799\"}\n", "mode", 0, 0, 0},
    {"{\"t\":\"d\",\"n\":\"a\",\"m\":\"0700\",\"x\":1}\n", "does not know", 0, 0, 0},
    {"{\"t\":\"d\",\"n\":\"a\",\"n\":\"b\",\"m\":\"0700\"}\n", "line", 0, 0, 0},
    {"{\"t\":\"q\"}\n", "kind of line", 0, 0, 0},
    {"not json\n", "line", 0, 0, 0},
    {"\n", "line", 0, 0, 0},
    {P0 FILE_("a", "200", "1", "[200,0,0,0]"), "runs beyond its pack", 1, 200, 1},
    {P0 FILE_("a", "50", "1", "[50,0,0,100]"), "outside of its frame", 1, 50, 1},
    {P0 FILE_("a", "50", "1", "[50,0,2,0]"), "outside of its frame", 1, 50, 1},
    {P0 FILE_("a", "50", "1", "[50,1,0,0]"), "was not listed", 1, 50, 1},
    {P0 FILE_("a", "50", "1", "[50,-2,0,0]"), "list of", 1, 50, 1},
    {P0 FILE_("a", "50", "1", "[50,-1,1,0]"), "list of", 1, 50, 1},
    {P0 FILE_("a", "50", "1", "[0,0,0,0]"), "list of", 1, 50, 1},
    {P0 FILE_("a", "50", "1", "[51,0,0,0]"), "hold more", 1, 50, 1},
    {P0 FILE_("a", "50", "1", "[49,0,0,0]"), "hold less", 1, 50, 1},
    {FILE_("a", "50", "0", ""), "hold less", 1, 50, 0},
    {FILE_("a", "50", "2", "[50,-1,0,0]"), "number of extents", 1, 50, 0},
    {"{\"t\":\"x\",\"e\":[[1,-1,0,0]]}\n", "extents of no file", 0, 0, 0},
    {EMPTY("a") P0, "are mixed", 1, 0, 1},
    {P0 P0, "counted from 0", 0, 0, 2},
    {"{\"t\":\"p\",\"i\":0,\"k\":\"backup/other/pack/01000000\",\"h\":\"" HEX64 "\",\"d\":\"" HEX64
     "\",\"b\":400,\"z\":9,\"c\":[1],\"r\":[1]}\n",
     "neither one of this backup", 0, 0, 1},
    {"{\"t\":\"p\",\"i\":0,\"k\":\"" PACK "\",\"h\":\"" HEX64 "\",\"d\":\"" HEX64
     "\",\"b\":400,\"z\":9,\"c\":[1],\"r\":[1,2]}\n",
     "as long as", 0, 0, 1},
    {"{\"t\":\"p\",\"i\":0,\"k\":\"" PACK "\",\"h\":\"" HEX64 "\",\"d\":\"" HEX64
     "\",\"b\":10,\"z\":9,\"c\":[1],\"r\":[1]}\n",
     "behind the header", 0, 0, 1},
    {"{\"t\":\"ts\",\"oid\":\"7\",\"path\":\"relative\"}\n", "absolute path", 0, 0, 0},
    {"{\"t\":\"ts\",\"oid\":\"07\",\"path\":\"/x\"}\n", "ascending order of their oids", 0, 0, 0},
    {"{\"t\":\"ts\",\"oid\":\"8\",\"path\":\"/x\"}\n{\"t\":\"ts\",\"oid\":\"7\",\"path\":\"/y\"}\n",
     "ascending order of their oids", 0, 0, 0},
    {EMPTY("a"), "the number of files", 2, 0, 0},
    {EMPTY("a"), "the bytes of the files", 1, 5, 0},
    {EMPTY("a"), "the number of packs", 1, 0, 4},
    {"{\"t\":\"head\"}\n", "the head is not where it belongs", 0, 0, 0},
    {"{\"t\":\"end\"}\n", "", 0, 0, 0},
};

START_TEST(fault30_broken_rule_is_refused)
{
    struct backup_summary summary = head();

    store_lines(refused[_i].lines, NULL, refused[_i].files, refused[_i].bytes, refused[_i].packs,
                &summary);
    ck_fails(read_it(&summary), CPAM_CORRUPT, refused[_i].words, &err);
}
END_TEST

static const struct
{
    const char *lines;
    uint64_t files, bytes, packs;
} accepted[] = {
    {"", 0, 0, 0},
    {P0 FILE_("a", "150", "1", "[150,0,0,0]"), 1, 150, 1},
    {P0 FILE_("a", "60", "2", "[50,0,1,0],[10,-1,0,0]"), 1, 60, 1},
    {DIR("a") DIR("a/b") EMPTY("a/b/c") EMPTY("a/d") EMPTY("a.b") EMPTY("b"), 4, 0, 0},
    {"{\"t\":\"f\",\"nb\":\"/w==\",\"m\":\"0600\",\"s\":0,\"mt\":0,\"crc\":\"00000000\",\"ne\":0,"
     "\"e\":[]}\n",
     1, 0, 0},
};

START_TEST(right_lines_are_accepted)
{
    struct backup_summary summary = head();

    store_lines(accepted[_i].lines, NULL, accepted[_i].files, accepted[_i].bytes,
                accepted[_i].packs, &summary);
    ck_ok(read_it(&summary), &err);
}
END_TEST

START_TEST(end_is_needed_and_is_the_end)
{
    struct backup_summary summary = head();
    char *longest = malloc(MANIFEST_LINE_MAX + 100);

    store_lines(EMPTY("a"), "", 1, 0, 0, &summary);
    ck_fails(read_it(&summary), CPAM_CORRUPT, "cut short", &err);
    store_lines(EMPTY("a"), "{\"t\":\"end\"", 1, 0, 0, &summary);
    ck_fails(read_it(&summary), CPAM_CORRUPT, "cut short", &err);
    memset(longest, 'x', MANIFEST_LINE_MAX + 99);
    longest[MANIFEST_LINE_MAX + 99] = '\0';
    store_lines(EMPTY("a"), longest, 1, 0, 0, &summary);
    ck_fails(read_it(&summary), CPAM_CORRUPT, "too long", &err);
    free(longest);
}
END_TEST

/* Packs of a full backup, the last frame of one not told, in the manifest of an incremental. */
static void
store_incremental(const char *second_pack, struct backup_summary *summary)
{
    uint32_t clen[] = {1000, 200}, rlen[] = {1048576, 200};
    struct manifest_pack pack = {.key = PACK,
                                 .body_offset = 400,
                                 .size = 9999,
                                 .frame_count = 2,
                                 .clen = clen,
                                 .rlen = rlen};
    static const struct manifest_extent extents[] = {{8192, 1, 0, 8192}, {5, 0, 1, 100}};
    CPAM_AUTO(manifest_writer_free) struct manifest_writer *writer = NULL;

    snprintf(summary->kind, sizeof(summary->kind), BACKUP_INCREMENTAL);
    snprintf(summary->epoch, sizeof(summary->epoch), "full_one");
    ck_ok(parents_add(summary->parents, "full_one", 1, &err), &err);
    ck_ok(manifest_writer_new(self.repo, summary, NULL, 0, &writer, &err), &err);
    add(writer, (struct manifest_entry){.kind = MANIFEST_PACK, .pack = &pack}, NULL);
    pack.index = 1;
    pack.frame_count = 1;
    snprintf(pack.key, sizeof(pack.key), "%s", second_pack);
    add(writer, (struct manifest_entry){.kind = MANIFEST_PACK, .pack = &pack}, NULL);
    add(writer,
        (struct manifest_entry){
            .kind = MANIFEST_FILE, .path = "a", .mode = 0600, .size = 8197, .extent_count = 2},
        extents);
    summary->files = 1;
    summary->bytes = 8197;
    summary->packs = 2;
    ck_ok(manifest_writer_finish(writer, summary, &err), &err);
}

START_TEST(B3_packs_of_parents_are_read)
{
    struct backup_summary summary = head();

    store_incremental("backup/full_one/pack/01000000", &summary);
    ck_ok(read_it(&summary), &err);
    ck_assert_str_eq(told, "p0:2;p1:1;f a 600 8197 0 00000000;[0+8192 1 0 8192][8192+5 0 1 100]");
    /* parents are the summary's, in number and name */
    snprintf(summary.parents, sizeof(summary.parents), "full_two 1\n");
    ck_fails(read_it(&summary), CPAM_CORRUPT, "\"parents\"", &err);
    summary.parents[0] = '\0';
    ck_fails(read_it(&summary), CPAM_CORRUPT, "\"parents\"", &err);
}
END_TEST

static const struct
{
    const char *key, *words;
} foreign_packs[] = {
    {"backup/full_two/pack/01000000", "nor of its parents"},
    {PACK, "the number of packs"},
    {"backup/full_one/pack/0100000", "a pack's key is none"},
    {"backup/full_one/pack/0100000G", "a pack's key is none"},
    {"backup/full_one/manifest", "a pack's key is none"},
    {"backup//pack/01000000", "a pack's key is none"},
    {"wal/full_one/pack/01000000", "a pack's key is none"},
};

START_TEST(B3_packs_of_others_are_refused)
{
    struct backup_summary summary = head();

    store_incremental(foreign_packs[_i].key, &summary);
    ck_fails(read_it(&summary), CPAM_CORRUPT, foreign_packs[_i].words, &err);
}
END_TEST

static const struct
{
    const char *a, *b;
    int order;
} orders[] = {
    {"a", "a", 0},    {"a", "b", -1},  {"a", "a/b", -1},  {"a/b", "a.b", -1}, {"a/z", "a b", -1},
    {"ab", "a/b", 1}, {"1", "13", -1}, {"1/9", "13", -1}, {"\xff", "a", 1},
};

START_TEST(paths_are_ordered_by_components)
{
    ck_assert_int_eq(manifest_path_compare(orders[_i].a, orders[_i].b), orders[_i].order);
    ck_assert_int_eq(manifest_path_compare(orders[_i].b, orders[_i].a), -orders[_i].order);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/manifest");
    TCase *tcase = tcase_create("manifest");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, round_trip);
    tcase_add_test(tcase, extents_go_on_in_lines_of_their_own);
    tcase_add_test(tcase, writer_refuses_disorder);
    tcase_add_loop_test(tcase, fault30_broken_rule_is_refused, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_loop_test(tcase, right_lines_are_accepted, 0, sizeof(accepted) / sizeof(accepted[0]));
    tcase_add_test(tcase, end_is_needed_and_is_the_end);
    tcase_add_test(tcase, B3_packs_of_parents_are_read);
    tcase_add_loop_test(tcase, B3_packs_of_others_are_refused, 0,
                        sizeof(foreign_packs) / sizeof(foreign_packs[0]));
    tcase_add_loop_test(tcase, paths_are_ordered_by_components, 0,
                        sizeof(orders) / sizeof(orders[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}
