/*
 * page.h - one page of a listing, as it was read.  For list.c.
 */
#ifndef CPAM_S3_PAGE_H
#define CPAM_S3_PAGE_H

#include "s3/call.h"

enum
{
    S3_PAGE_MAX = 1000 /* entries asked for; S3's own limit */
};

struct s3_row
{
    char *key, *version, *etag;
    bool is_prefix, is_marker;
    uint64_t size;
    int64_t modified;
    size_t number; /* for who sorts them: where the page had it */
};

struct s3_page
{
    const char *root; /* "ListBucketResult" or "ListVersionsResult" */
    bool is_root, truncated, encoded;
    unsigned told_truncated; /* how often it says whether it is whole */
    uint64_t rows_told;      /* KeyCount; 0: not told */
    char *name, *prefix;     /* what it says it lists; NULL: nothing */
    struct s3_row *rows;
    size_t count, cap;
    char *token, *next_key, *next_version;
};

/* page->root is set by the caller.  What is no such listing, or breaks off, is CPAM_UNKNOWN. */
enum cpam_status s3_page_read(const struct http_reply *reply, struct s3_page *page,
                              struct cpam_err *err) CPAM_CHECK;
void s3_page_clear(struct s3_page *page);

static inline void
s3_page_clear_scoped_(struct s3_page *page)
{
    s3_page_clear(page);
}

/* Is this a page of what was asked for, as far as it says so?  Else CPAM_UNKNOWN. */
enum cpam_status s3_page_check(const struct s3_page *page, const char *bucket,
                               const struct s3_list *list, struct cpam_err *err) CPAM_CHECK;

/* Replaces *to by a copy of text. */
enum cpam_status s3_keep(char **to, const char *text, struct cpam_err *err) CPAM_CHECK;

#endif
