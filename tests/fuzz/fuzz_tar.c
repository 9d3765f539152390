/*
 * fuzz_tar.c - the archives of BASE_BACKUP.  The first byte says in what pieces the others come.
 */
#include "fuzz.h"

#include "pg/tar.h"

/* What the reader has promised so far. */
struct seen
{
    uint64_t left;
    bool in_file;
};

static enum cpam_status
on_entry(void *arg, const struct tar_entry *entry, struct cpam_err *err)
{
    struct seen *seen = arg;

    (void) err;
    MUST(!seen->in_file);
    MUST(memchr(entry->path, '\0', sizeof(entry->path)) != NULL);
    MUST(entry->path[0] != '\0' && entry->path[0] != '/');
    MUST(strcmp(entry->path, "..") != 0 && strncmp(entry->path, "../", 3) != 0);
    MUST(strstr(entry->path, "/../") == NULL && strstr(entry->path, "//") == NULL);
    MUST(entry->kind == TAR_FILE || entry->size == 0);
    MUST((entry->kind == TAR_LINK) == (entry->target[0] != '\0'));
    seen->in_file = entry->kind == TAR_FILE;
    seen->left = entry->size;
    return CPAM_OK;
}

static enum cpam_status
on_content(void *arg, const uint8_t *data, size_t size, struct cpam_err *err)
{
    struct seen *seen = arg;

    (void) data;
    (void) err;
    MUST(seen->in_file && size > 0 && size <= seen->left);
    seen->left -= size;
    return CPAM_OK;
}

static enum cpam_status
on_end(void *arg, struct cpam_err *err)
{
    struct seen *seen = arg;

    (void) err;
    MUST(seen->in_file && seen->left == 0);
    seen->in_file = false;
    return CPAM_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tar_events events = {on_entry, on_content, on_end};
    CPAM_AUTO(tar_reader_free) struct tar_reader *reader = NULL;
    struct seen seen = {0};
    struct cpam_err err;

    if (size == 0)
        return 0;
    size_t piece = (size_t) data[0] * 8 + 1;

    MUST(tar_reader_new(&events, &seen, &reader, &err) == CPAM_OK);
    for (size_t at = 1; at < size; at += piece)
        if (tar_reader_write(reader, data + at, size - at < piece ? size - at : piece, &err) !=
            CPAM_OK)
            return 0;
    if (tar_reader_end(reader, data[0] & 1, &err) == CPAM_OK)
        MUST(!seen.in_file);
    return 0;
}
