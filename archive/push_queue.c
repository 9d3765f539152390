/*
 * push_queue.c - counting what archive_status says is .ready.
 */
#include "push_queue.h"

#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "io/file.h"
#include "pg/segment.h"

enum
{
    PATH_LIMIT = 1 << 16
};

/* Segments the archiver has still to do, in archive_status beside the file; none without it. */
static enum cpam_status
count_ready(struct io *io, const char *path, uint64_t *count, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf dir = {0};
    const char *slash = strrchr(path, '/');
    int parent = slash == NULL ? 0 : (int) (slash + 1 - path);

    *count = 0;
    CPAM_TRY(cpam_buf_printf(&dir, PATH_LIMIT, err, "%.*sarchive_status", parent, path));
    const char *text = cpam_buf_text(&dir);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path");
    DIR *stream = io->ops->opendir(io, AT_FDCWD, text);
    if (stream == NULL)
        return CPAM_OK;
    for (struct dirent *entry; (entry = io->ops->readdir(io, stream)) != NULL;)
    {
        struct archive_name name;
        char copy[ARCHIVE_NAME_MAX];
        struct cpam_err ignored;
        size_t size = strlen(entry->d_name);

        if (size < 6 || size - 6 >= sizeof(copy) || strcmp(entry->d_name + size - 6, ".ready") != 0)
            continue;
        memcpy(copy, entry->d_name, size - 6);
        copy[size - 6] = '\0';
        *count +=
            archive_name_parse(copy, &name, &ignored) == CPAM_OK && name.kind == ARCHIVE_SEGMENT;
    }
    io->ops->closedir(io, stream); /* only read */
    return CPAM_OK;
}

enum cpam_status
push_queue_due(struct io *io, const struct settings *settings, const char *path, bool *due,
               uint64_t *waiting, struct cpam_err *err)
{
    const char *slash = strrchr(path, '/');
    struct archive_name name;
    struct stat about;
    uint64_t count;

    *due = false;
    *waiting = 0;
    if (settings->wal.queue_max == 0)
        return CPAM_OK;
    CPAM_TRY(archive_name_parse(slash == NULL ? path : slash + 1, &name, err));
    if (name.kind != ARCHIVE_SEGMENT)
        return CPAM_OK;
    CPAM_TRY(file_stat(io, path, &about, err));
    CPAM_TRY(count_ready(io, path, &count, err));
    *waiting = count * (uint64_t) about.st_size;
    *due = *waiting > settings->wal.queue_max;
    return CPAM_OK;
}
