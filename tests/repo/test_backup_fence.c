/*
 * test_backup_fence.c - a push that was held up for long does not make a backup of packs that others
 * have removed (O7, fault 18).
 */
#include "repo/repo_fixture.h"

#include "repo/backup_fence.h"
#include "repo/sequence.h"

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

static bool
is_there(const char *key)
{
    const struct memory_object *object = memory_find(&self.bucket, key);

    return object != NULL && object->count > 0;
}

static int64_t
now(void)
{
    return io_posix()->ops->now(io_posix());
}

static struct backup_summary
reserved(const char *label, int64_t age)
{
    struct backup_summary summary = repo_summary(label, 0x20);

    ck_ok(backup_reserve(self.repo, label, REPO_SYSID, "", now() - age, &err), &err);
    return summary;
}

static void
bury(const char *label)
{
    struct backup_mark mark = {.seq = 0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char key[LAYOUT_KEY_MAX];

    snprintf(mark.label, sizeof(mark.label), "%s", label);
    layout_tomb(label, key);
    ck_ok(backup_mark_sign(self.repo, key, &mark, &text, &err), &err);
    ck_ok(store_put_new(repo_store(self.repo), key, text.data, text.size, STORE_CLASS_META, &err),
          &err);
}

static size_t
listed(void)
{
    struct cpam_err e;
    CPAM_AUTO(backup_list_free) struct backup_list *list = NULL;

    ck_ok(backup_list_read(self.repo, &list, &e), &e);
    return list->count;
}

START_TEST(O7_a_backup_that_was_given_up_is_not_committed)
{
    struct backup_summary summary = reserved("a", 0);

    bury("a");
    ck_fails(backup_commit(self.repo, &summary, &err), CPAM_REFUSED, "has been given up", &err);
    ck_assert(!is_there("backup/a/summary.json"));
    ck_assert(!is_there("seq/00000000000000000001"));
    ck_assert_uint_eq(listed(), 0);
}
END_TEST

START_TEST(O7_a_push_of_three_days_is_not_committed)
{
    struct backup_summary in_time = reserved("in_time", BACKUP_TIME_MAX - INT64_C(60000000));
    struct backup_summary late = reserved("late", BACKUP_TIME_MAX + INT64_C(1000000));

    ck_fails(backup_commit(self.repo, &late, &err), CPAM_REFUSED, "after 72 h", &err);
    ck_ok(backup_commit(self.repo, &in_time, &err), &err);
    ck_assert_uint_eq(listed(), 1);
}
END_TEST

START_TEST(O7_a_push_whose_intent_is_gone_is_not_committed)
{
    struct backup_summary summary = reserved("a", 0);

    memory_delete(&self.bucket, "intent/a");
    ck_fails(backup_commit(self.repo, &summary, &err), CPAM_REFUSED, "reservation of backup", &err);
    ck_assert_uint_eq(listed(), 0);
}
END_TEST

/* The pause lies between the last look and the put: the summary is there, counts for nothing, and the push
   does not say that it succeeded. */
static void
pause_here(void *arg, const char *key)
{
    bool *buried = arg;

    if (!*buried && strcmp(key, "backup/a/summary.json") == 0)
    {
        *buried = true;
        bury("a");
    }
}

START_TEST(O7_a_pause_right_before_the_summary_makes_no_backup)
{
    struct backup_summary summary = reserved("a", 0);
    bool buried = false;

    self.bucket.before_put = pause_here;
    self.bucket.before_put_arg = &buried;
    ck_fails(backup_commit(self.repo, &summary, &err), CPAM_REFUSED, "has been given up", &err);
    self.bucket.before_put = NULL;
    ck_assert(buried);
    ck_assert(is_there("backup/a/summary.json"));
    ck_assert_uint_eq(listed(), 0);
    /* nor does the next push bring it back */
    struct backup_summary next = reserved("b", 0);
    ck_ok(backup_commit(self.repo, &next, &err), &err);
    ck_assert_uint_eq(listed(), 1);
}
END_TEST

/* A push died between its number and its summary, and was lawfully cleaned up before the next one came. */
START_TEST(O7_what_died_and_was_given_up_is_not_finished_by_the_next_push)
{
    struct backup_summary dead = reserved("dead", 0), next;

    for (int calls = 0; !is_there("seq/00000000000000000001"); calls++)
    {
        self.bucket.fail_all = CPAM_TRANSIENT;
        self.bucket.fail_after = calls;
        ck_assert_int_ne(backup_commit(self.repo, &dead, &err), CPAM_OK);
        self.bucket.fail_all = CPAM_OK;
    }
    ck_assert(!is_there("backup/dead/summary.json"));
    bury("dead");
    next = reserved("next", 0);
    ck_ok(backup_commit(self.repo, &next, &err), &err);
    ck_assert(!is_there("backup/dead/summary.json"));
    ck_assert_uint_eq(listed(), 1);
}
END_TEST

START_TEST(fault9_a_planted_tombstone_buries_nothing)
{
    static const char *const texts[] = {"x", "{\"format\":1}\n"};
    struct backup_summary summary = reserved("a", 0);

    memory_overwrite(&self.bucket, "tomb/a", texts[_i], strlen(texts[_i]));
    ck_ok(backup_commit(self.repo, &summary, &err), &err);
    ck_assert_uint_eq(listed(), 1);
}
END_TEST

START_TEST(O7_a_tombstone_that_can_not_be_read_keeps_the_backup_back)
{
    struct backup_summary summary = reserved("a", 0);

    self.bucket.fail_all = CPAM_TRANSIENT;
    ck_assert_int_eq(backup_not_buried(self.repo, "a", &err), CPAM_TRANSIENT);
    ck_assert_int_ne(backup_commit(self.repo, &summary, &err), CPAM_OK);
    self.bucket.fail_all = CPAM_OK;
    ck_assert_uint_eq(listed(), 0);
}
END_TEST

START_TEST(O7_backups_under_way_elsewhere_are_told)
{
    struct backup_summary done = reserved("b1", 0);

    ck_ok(backup_commit(self.repo, &done, &err), &err);
    reserved("b2_long_ago", BACKUP_TIME_MAX + 1000000);
    reserved("b3_open", 3600);
    reserved("b4_buried", 0);
    bury("b4_buried");
    reserved("b5_own", 0);
    FILE *told = tmpfile();
    char text[4096] = "";
    int saved = dup(STDERR_FILENO);

    ck_assert_ptr_nonnull(told);
    ck_assert_int_ge(dup2(fileno(told), STDERR_FILENO), 0);
    backup_others_tell(self.repo, "b5_own");
    ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
    rewind(told);
    text[fread(text, 1, sizeof(text) - 1, told)] = '\0';
    fclose(told);
    close(saved);
    ck_assert_msg(strstr(text, "backup \"b3_open\" in repository \"primary\", begun ") != NULL,
                  "%s", text);
    ck_assert_ptr_null(strstr(text, "b1"));
    ck_assert_ptr_null(strstr(text, "b2"));
    ck_assert_ptr_null(strstr(text, "b4"));
    ck_assert_ptr_null(strstr(text, "b5"));
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("repo/backup_fence");
    TCase *tcase = tcase_create("backup_fence");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, O7_a_backup_that_was_given_up_is_not_committed);
    tcase_add_test(tcase, O7_a_push_of_three_days_is_not_committed);
    tcase_add_test(tcase, O7_a_push_whose_intent_is_gone_is_not_committed);
    tcase_add_test(tcase, O7_a_pause_right_before_the_summary_makes_no_backup);
    tcase_add_test(tcase, O7_what_died_and_was_given_up_is_not_finished_by_the_next_push);
    tcase_add_loop_test(tcase, fault9_a_planted_tombstone_buries_nothing, 0, 2);
    tcase_add_test(tcase, O7_a_tombstone_that_can_not_be_read_keeps_the_backup_back);
    tcase_add_test(tcase, O7_backups_under_way_elsewhere_are_told);
    suite_add_tcase(suite, tcase);
    return suite;
}
