/*
 * check_archiver.c - pg_stat_archiver, and pg_wal/archive_status.
 */
#include "check_archiver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "pg/segment.h"

#define STATUS_FOLDER "pg_wal/archive_status"
#define ASK_AGAIN     ((int64_t) 1000000)      /* us; the server for its archiver's failures */
#define REST          ((int64_t) 60 * 1000000) /* PGARCH_AUTOWAKE_INTERVAL */
#define WAKES         ((int64_t) 15 * 1000000) /* PGARCH_RESTART_INTERVAL is 10 s */

enum
{
    TRIES = 3, /* NUM_ARCHIVE_RETRIES of pgarch.c, in a row */
    COMMAND_SHOWN = 200
};

enum cpam_status
check_archiver_begin(struct checked_server *server, struct checked_archiver *out,
                     struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *rows = NULL;

    *out = (struct checked_archiver){.server = server};
    CPAM_TRY(check_server_ask(server,
                              "SELECT failed_count, coalesce(last_failed_time > "
                              "coalesce(last_archived_time, '-infinity'), false)"
                              " FROM pg_stat_archiver",
                              2, &rows, err));
    out->failures = strtoull(rows->values[0], NULL, 10);
    out->failing = rows->values[1][0] == 't';
    return CPAM_OK;
}

int64_t
check_archiver_patience(const struct checked_archiver *archiver, int64_t try)
{
    return try + (archiver->failing ? REST : WAKES);
}

bool
check_archiver_gave_up(struct checked_archiver *archiver)
{
    struct io *io = archiver->server->io;
    struct checked_archiver now;
    struct cpam_err ignored;

    if (io->ops->monotonic(io) < archiver->ask_again)
        return false;
    archiver->ask_again = io->ops->monotonic(io) + ASK_AGAIN;
    return check_archiver_begin(archiver->server, &now, &ignored) == CPAM_OK &&
           now.failures >= archiver->failures + TRIES;
}

enum cpam_status
check_archiver_through(const struct checked_archiver *archiver, const char *name, bool *out,
                       struct cpam_err *err)
{
    struct io *io = archiver->server->io;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
    struct stat about;

    *out = false;
    CPAM_TRY(cpam_buf_printf(&path, 1 << 16, err, "%s/" STATUS_FOLDER "/%s.ready",
                             archiver->server->data, name));
    if (cpam_buf_text(&path) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a path");
    *out = io->ops->stat(io, AT_FDCWD, cpam_buf_text(&path), 0, &about) != 0;
    if (*out && errno != ENOENT)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", cpam_buf_text(&path));
    return CPAM_OK;
}

/* The file of a .ready entry; false for other entries.  What is no name of the archive keeps the archiver
   just as busy, among the segments. */
static bool
waiting_file(const char *entry, struct archive_name *out)
{
    const char *dot = strrchr(entry, '.');
    char text[ARCHIVE_NAME_MAX];
    struct cpam_err ignored;

    if (dot == NULL || strcmp(dot, ".ready") != 0 || (size_t) (dot - entry) >= sizeof(text))
        return false;
    snprintf(text, sizeof(text), "%.*s", (int) (dot - entry), entry);
    if (archive_name_parse(text, out, &ignored) == CPAM_OK)
        return true;
    *out = (struct archive_name){.kind = ARCHIVE_SEGMENT};
    snprintf(out->text, sizeof(out->text), "%s", text);
    return true;
}

/* The file the archiver has to archive next, and how many there are; its text is "": none, or it can't be
   told. */
static void
find_next(const struct checked_archiver *archiver, struct archive_name *next, size_t *count)
{
    struct io *io = archiver->server->io;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
    struct cpam_err ignored;
    const struct dirent *entry;
    struct archive_name name;
    DIR *dir = NULL;

    next->text[0] = '\0';
    *count = 0;
    if (cpam_buf_printf(&path, 1 << 16, &ignored, "%s/" STATUS_FOLDER, archiver->server->data) ==
            CPAM_OK &&
        cpam_buf_text(&path) != NULL)
        dir = io->ops->opendir(io, AT_FDCWD, cpam_buf_text(&path));
    if (dir == NULL)
        return;
    while ((entry = io->ops->readdir(io, dir)) != NULL)
        if (waiting_file(entry->d_name, &name) &&
            ((*count)++ == 0 || archive_name_order(&name, next) < 0))
            *next = name;
    io->ops->closedir(io, dir);
}

void
check_archiver_tell(const struct checked_archiver *archiver, struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *rows = NULL;
    char waiting[ARCHIVE_NAME_MAX + 64] = "";
    struct archive_name next;
    struct cpam_err unused;
    size_t count;

    find_next(archiver, &next, &count);
    if (next.text[0] != '\0')
        snprintf(waiting, sizeof(waiting), "; next of %zu file%s that wait for it: %s", count,
                 count == 1 ? "" : "s", next.text);
    cpam_err_hint(err, "the server's log says why archiving fails%s", waiting);
    if (check_server_ask(archiver->server,
                         "SELECT failed_count, coalesce(last_failed_wal, '-'), "
                         "coalesce(last_archived_wal, '-'), "
                         "CASE WHEN coalesce(current_setting('archive_library', true), '') = '' "
                         "THEN 'archive_command is ' || current_setting('archive_command') "
                         "ELSE 'archive_library is ' || current_setting('archive_library') || "
                         "coalesce(', cpam_archive.config is ' || "
                         "current_setting('cpam_archive.config', true), '') END"
                         " FROM pg_stat_archiver",
                         4, &rows, &unused) == CPAM_OK)
        cpam_err_hint(
            err,
            "the archiver has failed %s times, last with %s; last archived: %s%s; %.*s; the "
            "server's log says why",
            rows->values[0], rows->values[1], rows->values[2], waiting, COMMAND_SHOWN,
            rows->values[3]);
}
