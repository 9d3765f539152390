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
    /* a marker need not be a key, and need not ascend */
    {ALL_VERSIONS, {VERSIONS(MORE_AT("p/b", "1")), VERSIONS(MORE_AT("p/a", "1"))}, 100, "get on"},
    {ALL_VERSIONS,
     {VERSIONS(MORE_AT("p/b", "1")), VERSIONS(MORE_AT("p/b", "1"))},
     2,
     "where to go on"},
    {VERSIONS_OF_ONE,
     {VERSIONS(VERSION("p/", "1") MORE_AT("p/", "1")),
      VERSIONS(VERSION("p/", "2") MORE_AT("p/", "2"))},
     100,
     "does not get on"},
    {VERSIONS_OF_ONE,
     {VERSIONS(MORE_AT("p/b", "1")), VERSIONS(MORE_AT("p/a", "1"))},
     100,
     "get on"},
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

/* What a page says of itself, in the ways in which stores say it, and what contradicts it. */
static const struct
{
    const char *page;
    bool delimited;
    const char *why; /* NULL: it is believed */
} pages[] = {
    {LIST("<Name>cpam</Name><Prefix>p/q/</Prefix><KeyCount>1</KeyCount>" KEY("p/q/a") WHOLE), false,
     NULL},
    {LIST("<Name>cpam</Name><Prefix>p%2Fq%2F</Prefix><EncodingType>url</EncodingType>" KEY(
         "p%2Fq%2Fa") WHOLE),
     false, NULL},
    {LIST("<Prefix>p/q/</Prefix><EncodingType>url</EncodingType>" WHOLE), false, NULL},
    {LIST("<Prefix>/p/q/</Prefix>" WHOLE), false, NULL},
    {LIST("<Name/><Prefix/>" WHOLE), false, NULL},
    {LIST("<Name>tenant:cpam</Name>" WHOLE), false, NULL},
    /* radosgw counts objects only */
    {LIST("<KeyCount>1</KeyCount>" KEY("p/q/a") DIR("p/q/b/") WHOLE), true, NULL},
    {LIST("<KeyCount>2</KeyCount>" KEY("p/q/a") DIR("p/q/b/") WHOLE), true, NULL},
    /* the object of a folder */
    {LIST(KEY("p/q/") KEY("p/q/a/") WHOLE), true, NULL},
    {LIST("<Name>other</Name>" KEY("p/q/a") WHOLE), false,
     "a listing of \"\" in bucket \"other\", which was not asked for"},
    {LIST("<Name>cpam2</Name>" WHOLE), false, "in bucket \"cpam2\""},
    {LIST("<Prefix>p/r/</Prefix>" WHOLE), false, "a listing of \"p/r/\" in bucket \"cpam\""},
    {LIST("<Prefix>p/q</Prefix>" WHOLE), false, "a listing of \"p/q\""},
    {LIST("<Prefix>p/q/a</Prefix>" KEY("p/q/a") WHOLE), false, "a listing of \"p/q/a\""},
    {LIST("<KeyCount>2</KeyCount>" KEY("p/q/a") WHOLE), false,
     "1 entries, and says that there are 2"},
    {LIST("<KeyCount>1</KeyCount>" WHOLE), false, "0 entries, and says that there are 1"},
    {LIST("<KeyCount>many</KeyCount>" WHOLE), false, "is not a number"},
    {LIST(WHOLE KEY("p/q/a") WHOLE), false, "says twice whether it is whole"},
    {LIST(MORE("t") KEY("p/q/a") WHOLE), false, "says twice whether it is whole"},
    {LIST(KEY("p/q/a/b") WHOLE), true, "the store ignores the delimiter"},
};

static void
ck_page(enum listing which, const char *page, bool delimited, const char *why)
{
    const struct fake_answer answer = {.status = 200, .body = page};
    const struct s3_list list = {.prefix = "p/q/", .delimited = delimited};
    struct fixture *f = calloc(1, sizeof(*f));
    struct cpam_err err;
    size_t rows;

    open_s3(f, "https://s3.example.net", &answer, 1);
    if (why == NULL)
        ck_ok(run(f, which, &list, &rows, &err), &err);
    else
        ck_fails(run(f, which, &list, &rows, &err), CPAM_UNKNOWN, why, &err);
    close_s3(f);
    free(f);
}

START_TEST(F1_a_listing_is_held_against_what_it_says_of_itself)
{
    ck_page(OBJECTS, pages[_i].page, pages[_i].delimited, pages[_i].why);
}
END_TEST

START_TEST(F5_so_is_one_of_versions)
{
    static const char other[] = VERSIONS("<Prefix>p/r/</Prefix>" WHOLE);
    static const char name[] = VERSIONS("<Name>other</Name>" WHOLE);
    static const char deep[] = VERSIONS(VERSION("p/q/a/b", "1") WHOLE);
    static const char good[] =
        VERSIONS("<Name>cpam</Name><Prefix>p/q/</Prefix>" VERSION("p/q/a", "1") WHOLE);

    for (enum listing which = ALL_VERSIONS; which <= VERSIONS_OF_ONE; which++)
    {
        ck_page(which, other, false, "a listing of \"p/r/\"");
        ck_page(which, name, false, "in bucket \"other\"");
        ck_page(which, good, false, NULL);
    }
    ck_page(ALL_VERSIONS, deep, true, "the store ignores the delimiter");
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("list_honest");
    TCase *tcase = tcase_create("list_honest");

    tcase_add_loop_test(tcase, P11_a_listing_that_does_not_get_on_ends, 0, (int) COUNT_OF(circles));
    tcase_add_test(tcase, S3_some_empty_pages_are_part_of_a_listing);
    tcase_add_loop_test(tcase, F1_a_listing_is_held_against_what_it_says_of_itself, 0,
                        (int) COUNT_OF(pages));
    tcase_add_test(tcase, F5_so_is_one_of_versions);
    suite_add_tcase(suite, tcase);
    return suite;
}
