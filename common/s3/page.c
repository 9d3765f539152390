/*
 * page.c - reading a page of ListObjectsV2 or ListObjectVersions.
 */
#include "s3/page.h"

#include <string.h>

#include "base/text.h"
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

enum cpam_status
s3_url_decode(char *text, struct cpam_err *err)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    char *to = text;

    for (const char *at = text; *at != '\0'; at++)
    {
        if (*at != '%')
        {
            *to++ = *at == '+' ? ' ' : *at;
            continue;
        }
        const char *high = at[1] != '\0' ? strchr(digits, at[1]) : NULL;
        const char *low = high != NULL && at[2] != '\0' ? strchr(digits, at[2]) : NULL;
        if (low == NULL)
            return cpam_fail(err, CPAM_UNKNOWN, 0, "the listing has a key that can't be decoded");
        char byte = (char) (((high - digits) & 15) << 4 | ((low - digits) & 15));
        if (byte == '\0')
            return cpam_fail(err, CPAM_UNKNOWN, 0, "the listing has a key with a zero byte in it");
        *to++ = byte;
        at += 2;
    }
    *to = '\0';
    return CPAM_OK;
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
        page->told_truncated = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
        page->truncated = strcmp(text, "true") == 0;
    }
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
    if (!page->is_root || !page->told_truncated)
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "the answer is no listing, or does not say whether it is whole");
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
