/*
 * test_push_incremental.c - what an incremental backup sends and what it leaves where it is, and when
 * there is none: B3, faults 3, 18, 23 of format-1.md.
 */
#include "incremental_world.h"

#include "repo/sequence.h"

#define MIB ((size_t) 1 << 20)

static struct world self;
static struct cpam_err err;

static void
begin(void)
{
    world_begin(&self);
}

static void
end(void)
{
    world_end(&self);
}

/* The next label is another one: they are made of seconds. */
static void
push(const char *kind)
{
    ck_ok(world_push(&self, &err), &err);
    ck_assert_str_eq(self.summary.kind, kind);
    world_check(&self, NULL);
}

static void
four_files(void)
{
    world_write(&self, "a", 0, 3 * MIB + 5000, 1);
    world_write(&self, "b", 0, 100, 2);
    world_write(&self, "c", 0, 0, 3);
    world_write(&self, "d", 0, 2 * MIB, 4);
    world_write(&self, "d", 8 * MIB, 20000, 5); /* behind a hole */
}

START_TEST(B3_what_has_not_changed_is_not_sent)
{
    uint64_t extents, full;

    four_files();
    push(BACKUP_FULL);
    full = self.summary.stored_bytes;
    push(BACKUP_INCREMENTAL);
    ck_assert_uint_eq(self.summary.stored_bytes, 0);
    ck_assert_uint_eq(parents_count(self.summary.parents, NULL), 1);
    world_check(&self, &extents);
    ck_assert_uint_lt(extents, 12);
    /* one page: one page is sent */
    world_write(&self, "a", MIB + 8192 + 5, 10, 77);
    push(BACKUP_INCREMENTAL);
    ck_assert_uint_gt(self.summary.stored_bytes, 8192);
    ck_assert_uint_lt(self.summary.stored_bytes, 8192 + 1000);
    ck_assert_uint_lt(self.summary.stored_bytes * 100, full);
    /* and from then on it is known as well */
    push(BACKUP_INCREMENTAL);
    ck_assert_uint_eq(self.summary.stored_bytes, 0);
    ck_assert_uint_eq(parents_count(self.summary.parents, NULL), 2);
}
END_TEST

/* Every way in which a file can become another one, by name or content. */
START_TEST(B3_files_that_are_cut_grown_removed_and_made_anew)
{
    four_files();
    push(BACKUP_FULL);
    world_cut(&self, "a", 2 * MIB + 100); /* in the middle of a page */
    push(BACKUP_INCREMENTAL);
    world_write(&self, "a", 2 * MIB + 100, 3 * MIB, 6); /* and grown, with other content */
    push(BACKUP_INCREMENTAL);
    world_cut(&self, "d", 0);
    push(BACKUP_INCREMENTAL);
    world_write(&self, "d", 0, 2 * MIB, 4); /* what was there once, and was dropped since */
    push(BACKUP_INCREMENTAL);
    ck_assert_uint_gt(self.summary.stored_bytes, MIB);
    world_remove(&self, "b");
    push(BACKUP_INCREMENTAL);
    world_write(&self, "b", 0, 100, 9);      /* the same name and size */
    world_write(&self, "aa", 0, 3 * MIB, 1); /* the content of another one */
    push(BACKUP_INCREMENTAL);
    world_write(&self, "b", 100, 1, 9); /* a byte at the end of the last page */
    push(BACKUP_INCREMENTAL);
    world_cut(&self, "b", 0);
    world_write(&self, "c", 0, 1, 9);
    push(BACKUP_INCREMENTAL);
}
END_TEST

/* Time says nothing: a changed page with the old time is sent, an old page with a new time is not. */
START_TEST(B3_time_decides_nothing)
{
    const struct timespec then[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};

    four_files();
    ck_assert_int_eq(utimensat(AT_FDCWD, world_path(&self, "a"), then, 0), 0);
    push(BACKUP_FULL);
    world_write(&self, "a", 5, 1, 66);
    ck_assert_int_eq(utimensat(AT_FDCWD, world_path(&self, "a"), then, 0), 0);
    push(BACKUP_INCREMENTAL);
    ck_assert_uint_gt(self.summary.stored_bytes, 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, world_path(&self, "a"), NULL, 0), 0);
    push(BACKUP_INCREMENTAL);
    ck_assert_uint_eq(self.summary.stored_bytes, 0);
}
END_TEST

/* Scattered pages are gathered in few frames; a frame of which little is left is left behind. */
START_TEST(fault23_thin_frames_are_sent_anew)
{
    const size_t pages = 4 * MIB / 8192;
    uint64_t sent;

    world_write(&self, "a", 0, 4 * MIB, 1);
    push(BACKUP_FULL);
    for (size_t i = 0; i < pages; i++) /* four of five */
        if (i % 5 != 0)
            world_write(&self, "a", i * 8192, 100, (unsigned) (1000 + i));
    push(BACKUP_INCREMENTAL);
    ck_assert_uint_eq(parents_count(self.summary.parents, NULL), 1);
    /* a fifth of each frame of the full backup is in use: that is sent, and no frame of it stays */
    push(BACKUP_INCREMENTAL);
    sent = self.summary.stored_bytes;
    ck_assert_uint_gt(sent, 4 * MIB / 5);
    ck_assert_uint_lt(sent, 4 * MIB / 4);
    ck_assert_int_eq(parents_find(self.summary.parents, self.summary.epoch), -1);
    push(BACKUP_INCREMENTAL);
    ck_assert_uint_eq(self.summary.stored_bytes, 0);
}
END_TEST

/* --- full ones, and why ------------------------------------------------------------------------ */

static char *
state_path(void)
{
    static char path[512];
    DIR *dir = opendir(self.state);
    struct dirent *entry;

    path[0] = '\0';
    while ((entry = readdir(dir)) != NULL)
        if (strstr(entry->d_name, PUSH_STATE_END) != NULL)
            snprintf(path, sizeof(path), "%s/%s", self.state, entry->d_name);
    closedir(dir);
    ck_assert_str_ne(path, "");
    return path;
}

static void
refused(const char *words)
{
    self.mode = "incremental";
    ck_fails(world_push(&self, &err), CPAM_REFUSED, words, &err);
    ck_assert_msg(strstr(err.text, "an incremental backup has no parent: ") != NULL, "%s",
                  err.text);
    ck_assert_ptr_nonnull(strstr(err.hint, "--mode auto"));
    self.mode = "auto";
}

/* No parent: told with mode incremental, a full backup with auto, and with that all is well. */
static void
full_instead(const char *words)
{
    refused(words);
    push(BACKUP_FULL);
    push(BACKUP_INCREMENTAL);
}

static void
bury(const char *label)
{
    struct backup_mark mark = {.seq = 1};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char key[LAYOUT_KEY_MAX];

    layout_tomb(label, key);
    snprintf(mark.label, sizeof(mark.label), "%s", label);
    ck_ok(backup_mark_sign(self.repo.repo, key, &mark, &text, &err), &err);
    memory_overwrite(&self.repo.bucket, key, text.data, text.size);
}

START_TEST(B3_without_a_parent_it_is_a_full_one)
{
    char key[LAYOUT_KEY_MAX];

    four_files();
    refused("nothing is known here");
    push(BACKUP_FULL);
    ck_assert_int_eq(unlink(state_path()), 0);
    full_instead("nothing is known here");
    self.full_every = 1;
    refused("base.full_every");
    push(BACKUP_FULL);
    self.full_every = INT64_C(86400000000);
    layout_summary(self.summary.label, key);
    memory_delete(&self.repo.bucket, key);
    full_instead("repository \"primary\"");
    layout_summary(self.summary.epoch, key); /* not the parent, but what it needs */
    memory_delete(&self.repo.bucket, key);
    full_instead("repository \"primary\"");
    bury(self.summary.epoch);
    full_instead("given up and removed from the repository");
    self.mode = "full";
    push(BACKUP_FULL);
}
END_TEST

/* Nobody would notice that base.full_every is suspended until that day. */
START_TEST(B3_a_full_backup_of_a_day_to_come_has_no_increments)
{
    int64_t today = self.clock.now;

    four_files();
    self.clock.now += INT64_C(400) * 86400 * 1000000;
    push(BACKUP_FULL);
    push(BACKUP_INCREMENTAL);
    self.clock.now = today;
    full_instead("a moment that has not come");
}
END_TEST

START_TEST(B3_parent_of_another_repository_or_cluster_is_none)
{
    struct cluster_record record = {REPO_SYSID, 15, 1 << 20};
    struct cluster_record other = {REPO_SYSID + 1, 15, 1 << 20};

    four_files();
    push(BACKUP_FULL);
    ck_ok(cluster_record_put(self.repo.repo, &other, &err), &err);
    self.sysid++;
    refused("is of another database cluster");
    self.sysid--;
    repo_free(self.repo.repo);
    memory_bucket_clear(&self.repo.bucket);
    memory_bucket_init(&self.repo.bucket);
    keyring_free(self.repo.keyring);
    self.repo.keyring = repo_keyfile("key2", 7);
    ck_ok(repo_create(io_posix(), &self.repo.settings, self.repo.keyring, &err), &err);
    repo_fixture_open(&self.repo);
    ck_ok(cluster_record_put(self.repo.repo, &record, &err), &err);
    full_instead("has no part in backup");
}
END_TEST

/* A store that is away while the parent is looked at is no reason to send everything. */
START_TEST(B3_a_repository_that_can_not_be_asked_gets_no_full_one)
{
    static const enum cpam_status away[] = {CPAM_TRANSIENT, CPAM_DEADLINE};

    four_files();
    push(BACKUP_FULL);
    for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++)
    {
        CPAM_AUTO(plan_free) struct plan *plan = NULL;
        CPAM_AUTO(push_base_free) struct push_base *base = NULL;

        self.repo.bucket.fail_all = away[i];
        ck_assert_int_eq(world_choose(&self, &plan, &base, &err), away[i]);
        ck_assert_ptr_null(base);
        self.repo.bucket.fail_all = CPAM_OK;
        push(BACKUP_INCREMENTAL);
    }
}
END_TEST

/* A planted tombstone, or one that comes after the choice. */
START_TEST(fault18_a_parent_that_is_being_removed)
{
    char key[LAYOUT_KEY_MAX];

    four_files();
    push(BACKUP_FULL);
    layout_tomb(self.summary.label, key);
    memory_overwrite(&self.repo.bucket, key, "{}\n", 3);
    push(BACKUP_INCREMENTAL);
    char parents[BACKUP_PARENTS_MAX];
    snprintf(parents, sizeof(parents), "%s", self.summary.parents);
    ck_ok(backup_parents_stay(self.repo.repo, parents, &err), &err);
    bury(self.summary.epoch);
    ck_fails(backup_parents_stay(self.repo.repo, parents, &err), CPAM_REFUSED,
             "given up and removed from the repository", &err);
}
END_TEST

/* Of the full backup the last one goes back to. */
static const char *
pack_of_epoch(const struct world *world)
{
    for (size_t i = 0; i < world->repo.bucket.count; i++)
        if (strstr(world->repo.bucket.objects[i].key, "/pack/") != NULL &&
            strstr(world->repo.bucket.objects[i].key, world->summary.epoch) != NULL)
            return world->repo.bucket.objects[i].key;
    ck_abort_msg("there is no pack");
}

static void
take_away_a_pack(struct world *world)
{
    memory_delete(&world->repo.bucket, pack_of_epoch(world));
}

/* Without a look, each backup until the next full one would be listed and could not be restored. */
START_TEST(B3_a_pack_of_the_parent_that_was_taken_away)
{
    struct backup_summary none;

    four_files();
    push(BACKUP_FULL);
    push(BACKUP_INCREMENTAL);
    take_away_a_pack(&self);
    full_instead("has been taken away");
    memory_current(&self.repo.bucket, pack_of_epoch(&self))->size--;
    full_instead("and was put with");
    self.meanwhile = take_away_a_pack;
    ck_fails(world_push(&self, &err), CPAM_NOT_FOUND, "has been taken away", &err);
    ck_fails(backup_summary_read(self.repo.repo, self.target.summary.label, &none, &err),
             CPAM_NOT_FOUND, "", &err);
}
END_TEST

/* Whoever holds the new key alone can restore the next backup. */
START_TEST(E5_new_recipients_get_a_full_backup)
{
    struct key_setting both[] = {{KEY_KEYFILE, NULL}, {KEY_KEYFILE, NULL}};
    struct keyring_settings settings = {.recipients = both, .recipient_count = 2};
    char old[256], new[256];

    snprintf(old, sizeof(old), "%s", fixture_path("key"));
    snprintf(new, sizeof(new), "%s", fixture_key("key3", KEY_TEXT_KEYFILE, 9));
    both[0].value = old;
    both[1].value = new;
    four_files();
    push(BACKUP_FULL);
    repo_free(self.repo.repo);
    keyring_free(self.repo.keyring);
    ck_ok(keyring_new(io_posix(), &settings, true, true, &self.repo.keyring, &err), &err);
    repo_fixture_open(&self.repo);
    full_instead("was not sealed for all of encryption.recipients");
    /* one less needs none */
    repo_free(self.repo.repo);
    keyring_free(self.repo.keyring);
    settings.recipient_count = 1;
    ck_ok(keyring_new(io_posix(), &settings, true, true, &self.repo.keyring, &err), &err);
    repo_fixture_open(&self.repo);
    push(BACKUP_INCREMENTAL);
}
END_TEST

/* --- the state --------------------------------------------------------------------------------- */

static void
write_file(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(B3_a_state_with_any_bit_flipped_is_refused)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(push_known_free) struct push_known *known = NULL;
    char path[512];

    world_write(&self, "a", 0, 20000, 1);
    world_write(&self, "b", 0, 10, 2);
    push(BACKUP_FULL);
    push(BACKUP_INCREMENTAL);
    snprintf(path, sizeof(path), "%s", state_path());
    ck_ok(file_read_all(io_posix(), path, 1 << 20, &text, &err), &err);
    ck_ok(push_known_open(io_posix(), path, false, &known, &err), &err);
    ck_assert_uint_eq(push_known_labels(known), 2);
    for (size_t i = 0; i < text.size; i++)
    {
        CPAM_AUTO(push_known_free) struct push_known *damaged = NULL;

        text.data[i] ^= (uint8_t) (1 << i % 8);
        write_file(path, text.data, text.size);
        ck_fails(push_known_open(io_posix(), path, false, &damaged, &err), CPAM_CORRUPT,
                 "can't be used", &err);
        text.data[i] ^= (uint8_t) (1 << i % 8);
    }
    for (size_t size = 0; size < text.size; size += size < 2000 ? 1 : 97)
    {
        CPAM_AUTO(push_known_free) struct push_known *cut = NULL;

        write_file(path, text.data, size);
        ck_fails(push_known_open(io_posix(), path, false, &cut, &err), CPAM_CORRUPT,
                 "can't be used", &err);
    }
    full_instead("can't be used");
}
END_TEST

/* Hours lie between the look at the whole file and the last look at a record of it. */
START_TEST(B3_a_state_that_is_damaged_later_tells_nothing_wrong)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0}, right = {0}, now = {0};
    CPAM_AUTO(push_known_free) struct push_known *known = NULL;
    struct known_part part, again;
    unsigned refused = 0;
    uint64_t file;

    world_write(&self, "a", 0, 20000, 1);
    push(BACKUP_FULL);
    ck_ok(file_read_all(io_posix(), state_path(), 1 << 20, &text, &err), &err);
    ck_ok(push_known_open(io_posix(), state_path(), false, &known, &err), &err);
    ck_ok(push_file_number("a", &file, &err), &err);
    ck_ok(push_known_part(known, "a", file, 0, &right, &part, &err), &err);
    ck_assert_uint_eq(part.tag_count, 3);
    for (size_t i = 0; i < text.size; i++)
    {
        text.data[i] ^= (uint8_t) (1 << i % 8);
        write_file(state_path(), text.data, text.size);
        if (push_known_part(known, "a", file, 0, &now, &again, &err) == CPAM_OK)
        {
            ck_assert_uint_eq(again.size, part.size);
            ck_assert_mem_eq(again.tags, part.tags, part.tag_count * BLOCK_TAG_SIZE);
            ck_assert_uint_eq(again.extent_count, part.extent_count);
            ck_assert_mem_eq(again.extents, part.extents,
                             part.extent_count * sizeof(*part.extents));
        }
        else
            refused += err.status == CPAM_CORRUPT;
        text.data[i] ^= (uint8_t) (1 << i % 8);
    }
    ck_assert_uint_ge(refused,
                      part.tag_count * BLOCK_TAG_SIZE + part.extent_count * sizeof(*part.extents));
}
END_TEST

/* A page that matches a tag of another page, file or epoch is not known. */
START_TEST(fault22_tags_are_of_a_place_and_an_epoch)
{
    CPAM_AUTO(push_known_free) struct push_known *one = NULL;
    CPAM_AUTO(push_known_free) struct push_known *two = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct known_part part;
    uint64_t file;

    world_write(&self, "a", 0, 8192, 1);
    world_write(&self, "a", 8192, 8192, 1);
    push(BACKUP_FULL);
    ck_ok(push_known_open(io_posix(), state_path(), false, &one, &err), &err);
    ck_ok(push_file_number("a", &file, &err), &err);
    ck_ok(push_known_part(one, "a", file, 0, &text, &part, &err), &err);
    ck_assert_uint_eq(part.tag_count, 2);
    ck_assert_mem_ne(part.tags, part.tags + BLOCK_TAG_SIZE, BLOCK_TAG_SIZE);
    ck_assert_int_eq(push_known_part(one, "b", file, 0, &text, &part, &err), CPAM_NOT_FOUND);
    ck_assert_int_eq(push_known_part(one, "a", file, 1, &text, &part, &err), CPAM_NOT_FOUND);
    push(BACKUP_INCREMENTAL);
    ck_ok(push_known_open(io_posix(), state_path(), false, &two, &err), &err);
    ck_assert_mem_eq(push_known_head(one)->key, push_known_head(two)->key, BLOCK_KEY_SIZE);
    self.mode = "full";
    push(BACKUP_FULL);
    push_known_free(two);
    ck_ok(push_known_open(io_posix(), state_path(), false, &two, &err), &err);
    ck_assert_mem_ne(push_known_head(one)->key, push_known_head(two)->key, BLOCK_KEY_SIZE);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/push_incremental");
    TCase *tcase = tcase_create("push_incremental");

    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, B3_what_has_not_changed_is_not_sent);
    tcase_add_test(tcase, B3_files_that_are_cut_grown_removed_and_made_anew);
    tcase_add_test(tcase, B3_time_decides_nothing);
    tcase_add_test(tcase, fault23_thin_frames_are_sent_anew);
    tcase_add_test(tcase, B3_without_a_parent_it_is_a_full_one);
    tcase_add_test(tcase, B3_a_full_backup_of_a_day_to_come_has_no_increments);
    tcase_add_test(tcase, B3_parent_of_another_repository_or_cluster_is_none);
    tcase_add_test(tcase, B3_a_repository_that_can_not_be_asked_gets_no_full_one);
    tcase_add_test(tcase, fault18_a_parent_that_is_being_removed);
    tcase_add_test(tcase, B3_a_pack_of_the_parent_that_was_taken_away);
    tcase_add_test(tcase, E5_new_recipients_get_a_full_backup);
    tcase_add_test(tcase, B3_a_state_with_any_bit_flipped_is_refused);
    tcase_add_test(tcase, B3_a_state_that_is_damaged_later_tells_nothing_wrong);
    tcase_add_test(tcase, fault22_tags_are_of_a_place_and_an_epoch);
    suite_add_tcase(suite, tcase);
    return suite;
}
