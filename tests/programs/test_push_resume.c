/*
 * test_push_resume.c - a backup that was interrupted is gone on with: what was sent is not sent again,
 * and nothing else is saved (B4, fault 7 of format-1.md).
 */
#include "incremental_world.h"

#include "repo/sequence.h"

#define MIB ((size_t) 1 << 20)

enum
{
    FILES = 14 /* of 2 MiB, so that a file is a small part of all */
};

static struct world self;
static struct cpam_err err;
static const char *const names[FILES] = {"f00", "f01", "f02", "f03", "f04", "f05", "f06",
                                         "f07", "f08", "f09", "f10", "f11", "f12", "f13"};

static void
begin(void)
{
    world_begin(&self);
    for (unsigned i = 0; i < FILES; i++)
        world_write(&self, names[i], 0, 2 * MIB, i + 1);
}

static void
end(void)
{
    world_end(&self);
}

/* Fails when the bucket has been asked that many times more; false: it was done before. */
static bool
interrupted(int requests)
{
    self.repo.bucket.fail_all = CPAM_TRANSIENT;
    self.repo.bucket.fail_after = requests;
    enum cpam_status status = world_push(&self, &err);
    self.repo.bucket.fail_all = CPAM_OK;
    return status != CPAM_OK;
}

/* Bytes of packs whose name begins so, of all backups. */
static uint64_t
packs_of(const char *attempt, unsigned *count)
{
    uint64_t bytes = 0;

    *count = 0;
    for (size_t i = 0; i < self.repo.bucket.count; i++)
    {
        const char *name = strstr(self.repo.bucket.objects[i].key, "/pack/");

        if (name == NULL || strncmp(name + 6, attempt, strlen(attempt)) != 0 ||
            self.repo.bucket.objects[i].count == 0)
            continue;
        bytes += self.repo.bucket.objects[i].versions[0].size;
        (*count)++;
    }
    return bytes;
}

/* Interrupted once `wanted` packs are there; how many requests that took. */
static int
interrupt_at(unsigned wanted)
{
    unsigned count = 0;
    int requests = 0;

    while (count < wanted)
    {
        char command[200];

        snprintf(command, sizeof(command), "rm -f %s/*.journal", self.state);
        ck_assert_int_eq(system(command), 0);
        ck_assert(interrupted(requests++));
        packs_of("01", &count);
        if (count == wanted)
            break;
        for (size_t i = 0; i < self.repo.bucket.count; i++)
            if (strstr(self.repo.bucket.objects[i].key, "/pack/") != NULL)
                memory_delete(&self.repo.bucket, self.repo.bucket.objects[i].key);
    }
    return requests;
}

static void
finish(const char *kind)
{
    ck_ok(world_push(&self, &err), &err);
    ck_assert_str_eq(self.summary.kind, kind);
    world_check(&self, NULL);
}

static unsigned
files_ending(const char *ending)
{
    DIR *dir = opendir(self.state);
    struct dirent *entry;
    unsigned count = 0;

    while ((entry = readdir(dir)) != NULL)
        count += strstr(entry->d_name, ending) != NULL;
    closedir(dir);
    return count;
}

START_TEST(B4_what_was_sent_is_not_sent_again)
{
    unsigned first, second;
    uint64_t sent, again;

    interrupt_at(9); /* of ten, three frames each */
    ck_assert_uint_eq(files_ending(PUSH_JOURNAL_END), 1);
    sent = packs_of("01", &first);
    finish(BACKUP_FULL);
    again = packs_of("02", &second);
    ck_assert_uint_eq(packs_of("01", &first), sent);
    ck_assert_uint_eq(self.summary.packs, first + second);
    ck_assert_uint_eq(self.summary.stored_bytes, sent + again);
    ck_assert_uint_lt(again * 100, 15 * (sent + again));
    ck_assert_uint_eq(files_ending(PUSH_JOURNAL_END), 0);
    /* it is as good a parent as any */
    finish(BACKUP_INCREMENTAL);
    ck_assert_uint_eq(self.summary.stored_bytes, 0);
    ck_assert_uint_eq(parents_count(self.summary.parents, NULL), 1);
}
END_TEST

START_TEST(fault7_what_has_changed_meanwhile_is_sent)
{
    unsigned second;

    interrupt_at(6);
    for (unsigned i = 0; i < FILES; i++) /* a page of each, and the whole of one */
        world_write(&self, names[i], MIB, 10, 1000 + i);
    world_write(&self, names[1], 0, 2 * MIB, 500);
    world_cut(&self, names[2], MIB + 5);
    world_remove(&self, names[3]);
    finish(BACKUP_FULL);
    ck_assert_uint_gt(packs_of("02", &second), 3 * MIB);
    finish(BACKUP_INCREMENTAL);
    ck_assert_uint_eq(self.summary.stored_bytes, 0);
}
END_TEST

START_TEST(B4_an_incremental_is_gone_on_with_too)
{
    unsigned count;

    finish(BACKUP_FULL);
    for (unsigned i = 0; i < FILES; i++)
        world_write(&self, names[i], 0, MIB, 100 + i);
    int requests = 0;
    uint64_t full = packs_of("01", &count);
    while (packs_of("01", &count) < full + 9 * MIB && interrupted(requests))
    {
        if (packs_of("01", &count) >= full + 9 * MIB)
            break;
        requests += 4;
    }
    finish(BACKUP_INCREMENTAL);
    ck_assert_uint_gt(packs_of("0", &count), full + 13 * MIB);
    finish(BACKUP_INCREMENTAL);
    ck_assert_uint_eq(self.summary.stored_bytes, 0);
}
END_TEST

/* A pack that is not the very object the journal speaks of is not adopted. */
START_TEST(fault7_a_pack_that_is_gone_or_another_one_is_sent_again)
{
    unsigned count = 0;

    interrupt_at(6);
    for (size_t i = 0; i < self.repo.bucket.count; i++)
    {
        struct memory_object *object = &self.repo.bucket.objects[i];
        struct memory_version *version = &object->versions[0];

        if (object->count == 0 || strstr(object->key, "/pack/0100000") == NULL)
            continue;
        count++;
        if (count == 1)
            version->data[300] ^= 1; /* in its header */
        else if (count == 2)
            version->size -= 5; /* cut */
        else if (count == 3)
            memcpy(version->data, self.repo.bucket.objects[i + 1].versions[0].data, 320);
    }
    finish(BACKUP_FULL);
    packs_of("02", &count);
    ck_assert_uint_ge(count, 3 + 1);
    finish(BACKUP_INCREMENTAL);
}
END_TEST

static void
anew(void)
{
    char label[BACKUP_LABEL_MAX];
    unsigned count;

    snprintf(label, sizeof(label), "%s", self.target.summary.label);
    ck_ok(world_push(&self, &err), &err);
    ck_assert_str_ne(self.summary.label, label);
    ck_assert_uint_eq(packs_of("02", &count), 0);
    ck_assert_uint_eq(files_ending(PUSH_JOURNAL_END), 0);
    world_check(&self, NULL);
}

START_TEST(B4_what_can_not_be_gone_on_with_is_begun_anew)
{
    char key[LAYOUT_KEY_MAX], command[300];

    interrupt_at(2);
    switch (_i)
    {
    case 0: /* its label is used */
        layout_manifest(self.target.summary.label, key);
        memory_overwrite(&self.repo.bucket, key, "x", 1);
        break;
    case 1: /* or not its own any more */
        layout_intent(self.target.summary.label, key);
        memory_delete(&self.repo.bucket, key);
        break;
    case 2: self.clock.now += INT64_C(40) * 3600 * 1000000; break;
    case 3: self.clock.now -= INT64_C(3600) * 1000000; break;
    default:
        snprintf(command, sizeof(command),
                 "for f in %s/*.journal; do echo junk > $f; touch -d '-2 hours' $f; done",
                 self.state);
        ck_assert_int_eq(system(command), 0);
    }
    anew();
}
END_TEST

/* What was sent is worth waiting for a store. */
START_TEST(B4_a_store_that_is_away_costs_no_journal)
{
    static const enum cpam_status away[] = {CPAM_TRANSIENT, CPAM_DEADLINE, CPAM_UNKNOWN,
                                            CPAM_REFUSED};
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    CPAM_AUTO(push_base_free) struct push_base *base = NULL;
    unsigned first;

    interrupt_at(6);
    uint64_t sent = packs_of("01", &first);
    self.mode = "full"; /* nothing was asked of the store before */
    self.repo.bucket.fail_all = away[_i];
    enum cpam_status status = world_choose(&self, &plan, &base, &err);
    /* one that passes ends it; what is for a person to look at is met again where it matters */
    ck_assert_int_eq(status, _i < 2 ? away[_i] : CPAM_OK);
    ck_assert_uint_eq(files_ending(PUSH_JOURNAL_END), 1);
    self.repo.bucket.fail_all = CPAM_OK;
    finish(BACKUP_FULL);
    ck_assert_uint_eq(packs_of("01", &first), sent);
    ck_assert_uint_gt(first, 0);
}
END_TEST

/* The parent could not be looked at: this one is a full one, and the next may go on. */
START_TEST(B4_a_parent_that_can_not_be_read_costs_no_journal)
{
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    CPAM_AUTO(push_base_free) struct push_base *base = NULL;
    char parent[BACKUP_LABEL_MAX];

    finish(BACKUP_FULL);
    snprintf(parent, sizeof(parent), "%s", self.summary.label);
    for (unsigned i = 0; i < FILES; i++)
        world_write(&self, names[i], 0, MIB, 100 + i);
    for (int requests = 0; files_ending(PUSH_JOURNAL_END) == 0; requests++)
        ck_assert(interrupted(requests));
    self.repo.bucket.fail_all = CPAM_UNKNOWN;
    ck_ok(world_choose(&self, &plan, &base, &err), &err);
    ck_assert(base->known == NULL && base->before == NULL);
    ck_assert_uint_eq(files_ending(PUSH_JOURNAL_END), 1);
    self.repo.bucket.fail_all = CPAM_OK;
    finish(BACKUP_INCREMENTAL);
    ck_assert_ptr_nonnull(strstr(self.summary.parents, parent));
    ck_assert_uint_eq(files_ending(PUSH_JOURNAL_END), 0);
}
END_TEST

/* Of another cluster that uses the same state folder: not a whole one yet, and not ours to remove. */
START_TEST(B4_a_journal_that_is_being_begun_stays)
{
    char path[300];
    int fd;

    snprintf(path, sizeof(path), "%s/" PUSH_JOURNAL_PREFIX "b_20240101T000000Z" PUSH_JOURNAL_END,
             self.state);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "half", 4), 4);
    close(fd);
    ck_ok(world_push(&self, &err), &err);
    ck_assert_uint_eq(files_ending(PUSH_JOURNAL_END), 1);
    struct timespec old[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = self.clock.now / 1000000 - 7200}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
    ck_ok(world_push(&self, &err), &err);
    ck_assert_uint_eq(files_ending(PUSH_JOURNAL_END), 0);
}
END_TEST

/* Whatever request is the last: the next push makes a backup of what is there. */
START_TEST(B4_any_request_may_be_the_last_one)
{
    bool more = true;

    for (unsigned i = 3; i < FILES; i++)
        world_remove(&self, names[i]);
    for (int requests = 0; more; requests++)
    {
        world_write(&self, names[requests % 3], (size_t) requests % 200 * 8192, 10,
                    2000 + (unsigned) requests);
        more = interrupted(requests);
        if (requests % 3 != 2) /* sometimes the next one is interrupted as well */
            finish(self.summary.label[0] == '\0' ? BACKUP_FULL : BACKUP_INCREMENTAL);
    }
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/push_resume");
    TCase *tcase = tcase_create("push_resume");

    tcase_set_timeout(tcase, 600);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, B4_what_was_sent_is_not_sent_again);
    tcase_add_test(tcase, fault7_what_has_changed_meanwhile_is_sent);
    tcase_add_test(tcase, B4_an_incremental_is_gone_on_with_too);
    tcase_add_test(tcase, fault7_a_pack_that_is_gone_or_another_one_is_sent_again);
    tcase_add_loop_test(tcase, B4_what_can_not_be_gone_on_with_is_begun_anew, 0, 5);
    tcase_add_loop_test(tcase, B4_a_store_that_is_away_costs_no_journal, 0, 4);
    tcase_add_test(tcase, B4_a_parent_that_can_not_be_read_costs_no_journal);
    tcase_add_test(tcase, B4_a_journal_that_is_being_begun_stays);
    tcase_add_test(tcase, B4_any_request_may_be_the_last_one);
    suite_add_tcase(suite, tcase);
    return suite;
}
