/*
 * test_list_honest.c - listings that do not get on, or contradict what they say of themselves.
 */
#include "suite.h"

#include "fake_bucket.h"

#define LIST(more)     "<ListBucketResult>" more "</ListBucketResult>"
#define VERSIONS(more) "<ListVersionsResult>" more "</ListVersionsResult>"
#define WHOLE          "<IsTruncated>false</IsTruncated>"
#define MORE(token)                                                                                \
    "<IsTruncated>true</IsTruncated><NextContinuationToken>" token "</NextContinuationToken>"
#define MORE_AT(key, id)                                                                           \
    "<IsTruncated>true</IsTruncated><NextKeyMarker>" key "</NextKeyMarker>"                        \
    "<NextVersionIdMarker>" id "</NextVersionIdMarker>"
#define KEY(key)         "<Contents><Key>" key "</Key><Size>1</Size></Contents>"
#define VERSION(key, id) "<Version><Key>" key "</Key><VersionId>" id "</VersionId></Version>"
#define DIR(key)         "<CommonPrefixes><Prefix>" key "</Prefix></CommonPrefixes>"

enum listing
{
    OBJECTS,
    ALL_VERSIONS,
    VERSIONS_OF_ONE
};

static enum cpam_status
count_row(void *arg, const struct s3_entry *entry, struct cpam_err *err)
{
    (void) entry, (void) err;
    (*(size_t *) arg)++;
    return CPAM_OK;
}

static enum cpam_status
run(struct fixture *f, enum listing which, const struct s3_list *list, size_t *rows,
    struct cpam_err *err)
{
    *rows = 0;
    switch (which)
    {
    case OBJECTS: return s3_list(f->s3, list, count_row, rows, f->deadline, err);
    case ALL_VERSIONS: return s3_list_versions(f->s3, list, count_row, rows, f->deadline, err);
    case VERSIONS_OF_ONE: break;
    }
    return s3_versions(f->s3, list->prefix, count_row, rows, f->deadline, err);
}

/* Two pages after one another, again and again. */
static const struct
{
    enum listing which;
    const char *pages[2];
    size_t asked; /* requests until it is given up */
    const char *why;
} circles[] = {
    {OBJECTS, {LIST(MORE("a")), LIST(MORE("b"))}, 100, "does not get on: 100 pages in a row"},
    {OBJECTS, {LIST(KEY("p/a") MORE("a")), LIST(MORE("b"))}, 3, "goes back"},
    {ALL_VERSIONS, {VERSIONS(MORE_AT("p/a", "1")), VERSIONS(MORE_AT("p/a", "2"))}, 100, "get on"},
    {ALL_VERSIONS,
     {VERSIONS(VERSION("p/a", "1") MORE_AT("p/a", "1")),
      VERSIONS(VERSION("p/a", "2") MORE_AT("p/a", "2"))},
     101,
     "does not get on"},
    {ALL_VERSIONS, {VERSIONS(MORE_AT("p/b", "1")), VERSIONS(MORE_AT("p/a", "1"))}, 2, "goes back"},
    {VERSIONS_OF_ONE,
     {VERSIONS(VERSION("p/", "1") MORE_AT("p/", "1")),
      VERSIONS(VERSION("p/", "2") MORE_AT("p/", "2"))},
     100,
     "does not get on"},
    {VERSIONS_OF_ONE, {VERSIONS(MORE_AT("p/b", "1")), VERSIONS(MORE_AT("p/a", "1"))}, 2, "back"},
};

START_TEST(P11_a_listing_that_does_not_get_on_ends)
{
    static struct fake_answer answers[128];
    struct fixture *f = calloc(1, sizeof(*f));
    const struct s3_list list = {.prefix = "p/"};
    struct cpam_err err;
    size_t rows;

    for (size_t i = 0; i < COUNT_OF(answers); i++)
        answers[i] = (struct fake_answer){.status = 200, .body = circles[_i].pages[i % 2]};
    open_s3(f, "https://s3.example.net", answers, COUNT_OF(answers));
    ck_fails(run(f, circles[_i].which, &list, &rows, &err), CPAM_UNKNOWN, circles[_i].why, &err);
    ck_assert_uint_eq(f->http.next, circles[_i].asked);
    s3_free(f->s3);
    free(f);
}
END_TEST

/* Pages that were filtered to nothing on the other side are none of this. */
START_TEST(S3_some_empty_pages_are_part_of_a_listing)
{
    struct fake_answer answers[42];
    struct fixture *f = calloc(1, sizeof(*f));
    const struct s3_list list = {.prefix = "p/"};
    struct cpam_err err;
    char bodies[42][160];
    size_t rows;

    for (unsigned i = 0; i < 41; i++)
        snprintf(bodies[i], sizeof(bodies[i]), LIST(MORE("t%u")), i);
    snprintf(bodies[41], sizeof(bodies[41]), "%s", LIST(KEY("p/a") WHOLE));
    for (size_t i = 0; i < COUNT_OF(answers); i++)
        answers[i] = (struct fake_answer){.status = 200, .body = bodies[i]};
    open_s3(f, "https://s3.example.net", answers, COUNT_OF(answers));
    ck_ok(run(f, OBJECTS, &list, &rows, &err), &err);
    ck_assert_uint_eq(rows, 1);
    close_s3(f);
    free(f);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("list_honest");
    TCase *tcase = tcase_create("list_honest");

    tcase_add_loop_test(tcase, P11_a_listing_that_does_not_get_on_ends, 0, (int) COUNT_OF(circles));
    tcase_add_test(tcase, S3_some_empty_pages_are_part_of_a_listing);
    suite_add_tcase(suite, tcase);
    return suite;
}
