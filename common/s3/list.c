/*
 * list.c - listings, whose every page is held against the page before.
 *
 * A listing that is wrong in silence is worse than one that fails: absence, and what expiry may
 * delete, are read from it.  So keys must ascend over all pages, a truncated page must name where
 * to go on, and that must not be where it came from; and it must get on.
 */
#include <stdio.h>
#include <string.h>

#include "s3/page.h"
#include "s3/xml.h"

enum
{
    PAGES_MAX = 1 << 20,
    /* pages in a row without a later key: of one key's versions, or of what is filtered out on the other
       side */
    STILL_MAX = 100
};

/* After a truncated page: later says whether it had a key behind those before. */
static enum cpam_status
get_on(const struct s3 *s3, bool later, unsigned *still, struct cpam_err *err)
{
    *still = later ? 0 : *still + 1;
    if (*still < STILL_MAX)
        return CPAM_OK;
    return cpam_fail(
        err, CPAM_UNKNOWN, 0,
        "the listing of bucket \"%s\" does not get on: %u pages in a row lead to a next "
        "one and have no further key",
        s3->settings.bucket, *still);
}

static enum cpam_status
tell(const struct s3_row *row, s3_entry_fn fn, void *arg, struct cpam_err *err)
{
    char etag[S3_ETAG_MAX];

    s3_etag_copy(etag, row->etag);
    const struct s3_entry entry = {.key = row->key,
                                   .is_prefix = row->is_prefix,
                                   .is_marker = row->is_marker,
                                   .version = row->version != NULL ? row->version : "",
                                   .etag = etag,
                                   .size = row->size,
                                   .modified = row->modified};
    return fn(arg, &entry, err);
}

static int
by_key(const void *a, const void *b)
{
    return strcmp(((const struct s3_row *) a)->key, ((const struct s3_row *) b)->key);
}

static int
by_key_and_number(const void *a, const void *b)
{
    const struct s3_row *left = a, *right = b;
    int order = strcmp(left->key, right->key);

    return order != 0 ? order : (left->number > right->number) - (left->number < right->number);
}

/* --- ListObjectsV2 -------------------------------------------------------------------------- */

/* What must hold over the pages of one listing. */
struct walk
{
    char *last;  /* the last key told */
    char *token; /* the one that led to this page */
};

static void
walk_clear_scoped_(struct walk *walk)
{
    free(walk->last);
    free(walk->token);
}

/* Objects and prefixes stand in two blocks, each in order: one order is made of them. */
static enum cpam_status
check_page(struct s3_page *page, const struct s3_list *list, const struct walk *walk,
           struct cpam_err *err)
{
    const char *before = walk->last != NULL ? walk->last : list->after;

    if (page->count > 1)
        qsort(page->rows, page->count, sizeof(page->rows[0]), by_key);
    for (size_t i = 0; i < page->count; i++)
    {
        const char *key = page->rows[i].key;

        /* a prefix may sort before `after` when `after` lies inside it */
        bool inside = page->rows[i].is_prefix && walk->last == NULL && list->after != NULL &&
                      strncmp(list->after, key, strlen(key)) == 0;
        if (before != NULL && strcmp(key, before) <= 0 && !inside)
            return cpam_fail(err, CPAM_UNKNOWN, 0,
                             "the listing goes back: \"%s\" comes after \"%s\"", key, before);
        before = key;
    }
    if (page->truncated && (page->token == NULL || page->token[0] == '\0'))
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "the listing was cut short and does not say where to go on");
    if (page->truncated && walk->token != NULL && strcmp(page->token, walk->token) == 0)
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "the listing goes round in circles: it repeats its continuation token");
    return CPAM_OK;
}

static enum cpam_status
list_page(struct s3 *s3, const struct s3_list *list, const struct walk *walk,
          struct deadline deadline, struct s3_page *page, struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    struct s3_call call = {.method = "GET", .doing = "list"};

    s3_call_query(&call, "list-type", "2");
    s3_call_query(&call, "encoding-type", "url");
    s3_call_query(&call, "max-keys", "1000");
    s3_call_query(&call, "prefix", list->prefix);
    if (list->delimited)
        s3_call_query(&call, "delimiter", "/");
    if (walk->token != NULL)
        s3_call_query(&call, "continuation-token", walk->token);
    else if (list->after != NULL && list->after[0] != '\0')
        s3_call_query(&call, "start-after", list->after);
    CPAM_TRY(s3_call(s3, &call, deadline, &reply, err));
    enum cpam_status status = s3_page_read(&reply, page, err);
    if (status == CPAM_OK)
        status = s3_page_check(page, s3->settings.bucket, list, err);
    if (status == CPAM_OK)
        status = check_page(page, list, walk, err);
    if (status != CPAM_OK)
        s3_call_prefix(s3, &call, err);
    return status;
}

enum cpam_status
s3_list(struct s3 *s3, const struct s3_list *list, s3_entry_fn fn, void *arg,
        struct deadline deadline, struct cpam_err *err)
{
    CPAM_AUTO(walk_clear) struct walk walk = {NULL, NULL};
    unsigned still = 0;

    for (int pages = 0; pages < PAGES_MAX; pages++)
    {
        CPAM_AUTO(s3_page_clear) struct s3_page page = {.root = "ListBucketResult"};

        CPAM_TRY(list_page(s3, list, &walk, deadline, &page, err));
        for (size_t i = 0; i < page.count; i++)
        {
            enum cpam_status status = tell(&page.rows[i], fn, arg, err);

            if (status == CPAM_CANCELLED)
                return CPAM_OK;
            if (status != CPAM_OK)
                return status;
        }
        if (page.count > 0)
            CPAM_TRY(s3_keep(&walk.last, page.rows[page.count - 1].key, err));
        if (!page.truncated)
            return CPAM_OK;
        CPAM_TRY(get_on(s3, page.count > 0, &still, err));
        CPAM_TRY(s3_keep(&walk.token, page.token, err));
    }
    return cpam_fail(err, CPAM_UNKNOWN, 0, "the listing of bucket \"%s\" does not end",
                     s3->settings.bucket);
}

/* --- ListObjectVersions --------------------------------------------------------------------- */

/* Does a truncated page lead on from where it was asked for?  A marker need not be a key: MinIO's has notes
   of its own behind it.  What goes round is ended by get_on(). */
static enum cpam_status
check_markers(const struct s3_page *page, const char *key, const char *version,
              struct cpam_err *err)
{
    if (!page->truncated)
        return CPAM_OK;
    const char *next = page->next_version != NULL ? page->next_version : "";
    bool stays = page->next_key == NULL || (strcmp(page->next_key, key != NULL ? key : "") == 0 &&
                                            strcmp(next, version != NULL ? version : "") == 0);

    if (stays)
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "the listing was cut short and does not say where to go on");
    return CPAM_OK;
}

static enum cpam_status
versions_page(struct s3 *s3, const struct s3_list *list, unsigned size,
              const struct s3_page *before, struct deadline deadline, struct s3_page *page,
              struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    struct s3_call call = {.method = "GET", .doing = "list the versions in"};
    const char *key = before->next_key != NULL ? before->next_key : list->after;
    char max[16];

    snprintf(max, sizeof(max), "%u", size);
    s3_call_query(&call, "versions", "");
    s3_call_query(&call, "encoding-type", "url");
    s3_call_query(&call, "max-keys", max);
    s3_call_query(&call, "prefix", list->prefix);
    if (list->delimited)
        s3_call_query(&call, "delimiter", "/");
    if (key != NULL && key[0] != '\0')
        s3_call_query(&call, "key-marker", key);
    if (before->next_version != NULL)
        s3_call_query(&call, "version-id-marker", before->next_version);
    CPAM_TRY(s3_call(s3, &call, deadline, &reply, err));
    enum cpam_status status = s3_page_read(&reply, page, err);
    if (status == CPAM_OK)
        status = s3_page_check(page, s3->settings.bucket, list, err);
    if (status == CPAM_OK)
        status = check_markers(page, key, before->next_version, err);
    if (status != CPAM_OK)
        s3_call_prefix(s3, &call, err);
    return status;
}

/* The rows of `key`; *passed when the listing has gone on to a later key. */
static enum cpam_status
versions_of(const struct s3_page *page, const char *key, s3_entry_fn fn, void *arg, bool *passed,
            struct cpam_err *err)
{
    for (size_t i = 0; i < page->count; i++)
    {
        const struct s3_row *row = &page->rows[i];

        if (strcmp(row->key, key) == 0 && !row->is_prefix)
            CPAM_TRY(tell(row, fn, arg, err));
        else
            *passed = true;
    }
    /* the key sorts before all others with this prefix, but versions and markers may stand in two
       blocks: a page is always read to its end */
    return CPAM_OK;
}

enum cpam_status
s3_versions(struct s3 *s3, const char *key, s3_entry_fn fn, void *arg, struct deadline deadline,
            struct cpam_err *err)
{
    CPAM_AUTO(s3_page_clear) struct s3_page before = {.root = "ListVersionsResult"};
    const struct s3_list list = {.prefix = key};
    unsigned still = 0;

    for (int pages = 0; pages < PAGES_MAX; pages++)
    {
        CPAM_AUTO(s3_page_clear) struct s3_page page = {.root = "ListVersionsResult"};
        bool passed = false;

        CPAM_TRY(versions_page(s3, &list, 100, &before, deadline, &page, err));
        enum cpam_status status = versions_of(&page, key, fn, arg, &passed, err);
        if (status == CPAM_CANCELLED)
            return CPAM_OK;
        if (status != CPAM_OK || passed || !page.truncated)
            return status;
        CPAM_TRY(get_on(s3, false, &still, err));
        struct s3_page swap = before;
        before = page;
        page = swap; /* freed at the end of this round */
    }
    return cpam_fail(err, CPAM_UNKNOWN, 0, "the listing of bucket \"%s\" does not end",
                     s3->settings.bucket);
}

/*
 * Versions, markers and prefixes may stand in blocks of their own: one order of keys is made of
 * them, in which the rows of one key keep theirs.  The first key may be the last of the page before.
 */
static enum cpam_status
check_versions(struct s3_page *page, const struct s3_list *list, const char *last,
               struct cpam_err *err)
{
    const char *before = last != NULL ? last : list->after;

    for (size_t i = 0; i < page->count; i++)
        page->rows[i].number = i;
    if (page->count > 1)
        qsort(page->rows, page->count, sizeof(page->rows[0]), by_key_and_number);
    for (size_t i = 0; i < page->count; i++)
    {
        const char *key = page->rows[i].key;

        if (before != NULL && strcmp(key, before) < 0 && !page->rows[i].is_prefix)
            return cpam_fail(err, CPAM_UNKNOWN, 0,
                             "the listing goes back: \"%s\" comes after \"%s\"", key, before);
        before = key;
    }
    return CPAM_OK;
}

enum cpam_status
s3_list_versions(struct s3 *s3, const struct s3_list *list, s3_entry_fn fn, void *arg,
                 struct deadline deadline, struct cpam_err *err)
{
    CPAM_AUTO(s3_page_clear) struct s3_page before = {.root = "ListVersionsResult"};
    CPAM_AUTO(free) char *last = NULL;
    unsigned still = 0;

    for (int pages = 0; pages < PAGES_MAX; pages++)
    {
        CPAM_AUTO(s3_page_clear) struct s3_page page = {.root = "ListVersionsResult"};

        CPAM_TRY(versions_page(s3, list, S3_PAGE_MAX, &before, deadline, &page, err));
        CPAM_TRY(check_versions(&page, list, last, err));
        for (size_t i = 0; i < page.count; i++)
        {
            enum cpam_status status = tell(&page.rows[i], fn, arg, err);

            if (status == CPAM_CANCELLED)
                return CPAM_OK;
            if (status != CPAM_OK)
                return status;
        }
        if (!page.truncated)
            return CPAM_OK;
        const char *end = page.count > 0 ? page.rows[page.count - 1].key : NULL;
        CPAM_TRY(get_on(s3, end != NULL && (last == NULL || strcmp(end, last) > 0), &still, err));
        if (end != NULL)
            CPAM_TRY(s3_keep(&last, end, err));
        struct s3_page swap = before;
        before = page;
        page = swap; /* freed at the end of this round */
    }
    return cpam_fail(err, CPAM_UNKNOWN, 0, "the listing of bucket \"%s\" does not end",
                     s3->settings.bucket);
}

/* --- versioning ----------------------------------------------------------------------------- */

static enum cpam_status
versioning_end(void *arg, const char *path, const char *text, struct cpam_err *err)
{
    enum s3_versioning *out = arg;

    (void) err;
    if (strcmp(path, "VersioningConfiguration") == 0 && *out == S3_VERSIONING_UNTOLD)
        *out = S3_VERSIONING_NEVER;
    if (strcmp(path, "VersioningConfiguration/Status") == 0)
        *out = strcmp(text, "Enabled") == 0 ? S3_VERSIONING_ENABLED : S3_VERSIONING_SUSPENDED;
    return CPAM_OK;
}

/*
 * Was that a store which does not tell this user, or does not know the question?  It says so in an error
 * document of its own; a proxy's page says nothing, and neither does a complaint about who asks.
 */
static bool
is_untold(const struct s3 *s3, const struct http_reply *reply, enum cpam_status status)
{
    static const char *const others[] = {
        "NoSuchBucket",  "NoSuchKey",    "InvalidAccessKeyId", "SignatureDoesNotMatch",
        "InvalidToken",  "ExpiredToken", "PermanentRedirect",  "RequestTimeTooSkewed",
        "AccountProblem"};

    if ((status != CPAM_REFUSED && status != CPAM_UNKNOWN) || s3_code_is(s3, ""))
        return false;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (s3_code_is(s3, others[i]))
            return false;
    return reply->status == 403 || reply->status == 404 || reply->status == 405 ||
           reply->status == 501;
}

enum cpam_status
s3_versioning(struct s3 *s3, struct deadline deadline, enum s3_versioning *out,
              struct cpam_err *err)
{
    CPAM_AUTO(http_reply_clear) struct http_reply reply = {0};
    struct s3_call call = {.method = "GET", .doing = "read the versioning of"};
    const struct s3_xml_handler handler = {.end = versioning_end, .arg = out};

    *out = S3_VERSIONING_UNTOLD;
    s3_call_query(&call, "versioning", "");
    enum cpam_status status = s3_call(s3, &call, deadline, &reply, err);
    if (is_untold(s3, &reply, status))
        return CPAM_OK;
    if (status != CPAM_OK)
        return status;
    status = s3_xml_read(reply.body.data, reply.body.size, &handler, err);
    if (status == CPAM_CORRUPT)
        err->status = status = CPAM_UNKNOWN; /* the answer is, and no object */
    if (status == CPAM_OK && *out == S3_VERSIONING_UNTOLD)
        status = cpam_fail(err, CPAM_UNKNOWN, 0, "the answer says nothing about versioning");
    if (status != CPAM_OK)
        s3_call_prefix(s3, &call, err);
    return status;
}
