/*
 * page.c - reading a page of ListObjectsV2 or ListObjectVersions.
 */
#include "s3/page.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "s3/name.h"
#include "s3/xml.h"

void
s3_page_clear(struct s3_page *page)
{
    for (size_t i = 0; i < page->count; i++)
    {
        free(page->rows[i].key);
        free(page->rows[i].version);
        free(page->rows[i].etag);
    }
    free(page->rows);
    free(page->name);
    free(page->prefix);
    free(page->token);
    free(page->next_key);
    free(page->next_version);
}

enum cpam_status
s3_keep(char **to, const char *text, struct cpam_err *err)
{
    free(*to);
    *to = strdup(text);
    return *to != NULL ? CPAM_OK : cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a listing");
}

static enum cpam_status
row_new(struct s3_page *page, struct s3_row **out, struct cpam_err *err)
{
    /* a server may send more than was asked for, but not without end */
    if (page->count == page->cap)
    {
        size_t cap = page->cap == 0 ? 64 : page->cap * 2;
        struct s3_row *rows =
            cap > 16 * S3_PAGE_MAX ? NULL : realloc(page->rows, cap * sizeof(*rows));

        if (rows == NULL)
            return cpam_fail(err, CPAM_UNKNOWN, 0, "a page of the listing is too long");
        page->rows = rows;
        page->cap = cap;
    }
    *out = &page->rows[page->count++];
    **out = (struct s3_row){0};
    return CPAM_OK;
}

/* The part of path behind the root, or NULL for another document. */
static const char *
below_root(const struct s3_page *page, const char *path)
{
    size_t size = strlen(page->root);

    return strncmp(path, page->root, size) == 0 && path[size] == '/' ? path + size + 1 : NULL;
}

static enum cpam_status
page_start(void *arg, const char *path, struct cpam_err *err)
{
    struct s3_page *page = arg;
    const char *name = below_root(page, path);
    struct s3_row *row = NULL;

    if (strcmp(path, page->root) == 0)
        page->is_root = true;
    if (name == NULL)
        return CPAM_OK;
    if (strcmp(name, "Contents") != 0 && strcmp(name, "CommonPrefixes") != 0 &&
        strcmp(name, "Version") != 0 && strcmp(name, "DeleteMarker") != 0)
        return CPAM_OK;
    CPAM_TRY(row_new(page, &row, err));
    row->is_prefix = strcmp(name, "CommonPrefixes") == 0;
    row->is_marker = strcmp(name, "DeleteMarker") == 0;
    return CPAM_OK;
}

static enum cpam_status
row_end(struct s3_row *row, const char *name, const char *text, struct cpam_err *err)
{
    struct cpam_err ignored;

    if (strcmp(name, "Key") == 0 || (row->is_prefix && strcmp(name, "Prefix") == 0))
        return s3_keep(&row->key, text, err);
    if (strcmp(name, "VersionId") == 0)
        return s3_keep(&row->version, text, err);
    if (strcmp(name, "ETag") == 0)
        return s3_keep(&row->etag, text, err);
    if (strcmp(name, "Size") == 0)
        return text_parse_u64(text, INT64_MAX, &row->size, err);
    if (strcmp(name, "LastModified") == 0 &&
        text_parse_time(text, &row->modified, &ignored) != CPAM_OK)
        row->modified = 0; /* "unknown", as in store_info */
    return CPAM_OK;
}

static enum cpam_status
page_end(void *arg, const char *path, const char *text, struct cpam_err *err)
{
    struct s3_page *page = arg;
    const char *name = below_root(page, path);
    const char *slash = name != NULL ? strchr(name, '/') : NULL;

    if (name == NULL)
        return CPAM_OK;
    if (slash != NULL)
    {
        static const char *const rows[] = {"Contents/", "CommonPrefixes/", "Version/",
                                           "DeleteMarker/"};

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            if (page->count > 0 && strncmp(name, rows[i], strlen(rows[i])) == 0)
                return row_end(&page->rows[page->count - 1], slash + 1, text, err);
        return CPAM_OK;
    }
    if (strcmp(name, "IsTruncated") == 0)
    {
        page->told_truncated += strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
        page->truncated = strcmp(text, "true") == 0;
    }
    else if (strcmp(name, "Name") == 0)
        return s3_keep(&page->name, text, err);
    else if (strcmp(name, "Prefix") == 0)
        return s3_keep(&page->prefix, text, err);
    else if (strcmp(name, "KeyCount") == 0)
        return text_parse_u64(text, INT64_MAX, &page->rows_told, err);
    else if (strcmp(name, "EncodingType") == 0)
        page->encoded = strcmp(text, "url") == 0;
    else if (strcmp(name, "NextContinuationToken") == 0)
        return s3_keep(&page->token, text, err);
    else if (strcmp(name, "NextKeyMarker") == 0)
        return s3_keep(&page->next_key, text, err);
    else if (strcmp(name, "NextVersionIdMarker") == 0)
        return s3_keep(&page->next_version, text, err);
    return CPAM_OK;
}

enum cpam_status
s3_page_read(const struct http_reply *reply, struct s3_page *page, struct cpam_err *err)
{
    const struct s3_xml_handler handler = {.start = page_start, .end = page_end, .arg = page};
    enum cpam_status status = s3_xml_read(reply->body.data, reply->body.size, &handler, err);

    if (status == CPAM_CORRUPT || status == CPAM_INVALID)
    {
        err->status = CPAM_UNKNOWN;
        return CPAM_UNKNOWN;
    }
    if (status != CPAM_OK)
        return status;
    if (!page->is_root || page->told_truncated == 0)
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "the answer is no listing, or does not say whether it is whole");
    if (page->told_truncated > 1)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "the listing says twice whether it is whole");
    for (size_t i = 0; i < page->count; i++)
    {
        struct s3_row *row = &page->rows[i];

        if (row->key == NULL || row->key[0] == '\0')
            return cpam_fail(err, CPAM_UNKNOWN, 0, "the listing has an entry without a key");
        if (page->encoded)
            CPAM_TRY(s3_url_decode(row->key, err));
    }
    if (page->encoded && page->next_key != NULL)
        return s3_url_decode(page->next_key, err);
    return CPAM_OK;
}

/* The alias of an access point is no bucket's name, and not what a listing is under. */
static bool
is_of(const struct s3_page *page, const char *bucket, const char *prefix)
{
    static const char alias[] = "-s3alias";
    size_t size = strlen(bucket);
    bool is_alias = size > strlen(alias) && strcmp(bucket + size - strlen(alias), alias) == 0;

    return (page->name == NULL || is_alias || s3_is_named(page->name, bucket, ":/")) &&
           (page->prefix == NULL || s3_is_named(page->prefix, prefix, "/"));
}

enum cpam_status
s3_page_check(const struct s3_page *page, const char *bucket, const struct s3_list *list,
              struct cpam_err *err)
{
    size_t size = strlen(list->prefix);

    if (!is_of(page, bucket, list->prefix))
        return cpam_fail(
            err, CPAM_UNKNOWN, 0,
            "the answer is a listing of \"%s\" in bucket \"%s\", which was not asked for",
            page->prefix != NULL ? page->prefix : "", page->name != NULL ? page->name : bucket);
    /* fewer lose nothing: radosgw does not count prefixes */
    if (page->rows_told > page->count)
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "the listing has %zu entries, and says that there are %" PRIu64,
                         page->count, page->rows_told);
    for (size_t i = 0; i < page->count; i++)
    {
        const struct s3_row *row = &page->rows[i];

        if (strncmp(row->key, list->prefix, size) != 0)
            return cpam_fail(err, CPAM_UNKNOWN, 0,
                             "the listing has \"%s\", which was not asked for", row->key);
        const char *slash = list->delimited ? strchr(row->key + size, '/') : NULL;
        /* a folder may have an object of its name */
        if (slash != NULL && slash[1] != '\0' && !row->is_prefix)
            return cpam_fail(
                err, CPAM_UNKNOWN, 0,
                "the listing has \"%s\" where it was to stop at \"/\": the store ignores "
                "the delimiter",
                row->key);
    }
    return CPAM_OK;
}
