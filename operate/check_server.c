/*
 * check_server.c - what the server says of itself, and making it close a segment.
 *
 * Settings are looked at only because they explain at once what a wait for a segment would show in
 * the end.
 */
#include "check_server.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "repo_parts.h"

#define QUERY_TIME ((int64_t) 60 * 1000000) /* us */

enum
{
    START_TAKES = 300 /* s from the first line of postmaster.pid to pg_postmaster_start_time() */
};

enum cpam_status
check_server_ask(const struct checked_server *server, const char *sql, size_t columns,
                 struct pgrows **out, struct cpam_err *err)
{
    return pgconn_row(server->conn, sql, NULL, 0, columns, deadline_after(server->io, QUERY_TIME),
                      out, err);
}

/* The directory the server names is ours: by device and inode, whatever links lead there. */
static bool
same_directory(struct io *io, const char *a, const char *b)
{
    struct stat first, second;

    return io->ops->stat(io, AT_FDCWD, a, 0, &first) == 0 &&
           io->ops->stat(io, AT_FDCWD, b, 0, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/*
 * A standby, or a copy, has the system identifier of its original: so the server must work in this
 * very directory, and have begun when the postmaster of it did, which a server on another host with
 * the same path has not (postgresql.md, trap 5).
 */
static bool
is_of_directory(const struct checked_server *server, const struct postmaster_pid *postmaster,
                const char *directory, const char *started)
{
    int64_t start_time = strtoll(started, NULL, 10);

    return same_directory(server->io, server->data, directory) &&
           start_time >= postmaster->start_time - 2 &&
           start_time <= postmaster->start_time + START_TAKES;
}

static enum cpam_status
check_identity(struct checked_server *server, const struct postmaster_pid *postmaster,
               struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *rows = NULL;
    char sysid[24];

    CPAM_TRY(pgconn_row_bytes(
        server->conn,
        "SELECT system_identifier, current_setting('data_directory'),"
        " pg_is_in_recovery(), floor(extract(epoch from pg_postmaster_start_time()))::bigint"
        " FROM pg_control_system()",
        4, deadline_after(server->io, QUERY_TIME), &rows, err));
    snprintf(sysid, sizeof(sysid), "%" PRIu64, server->control->sysid);
    if (strcmp(rows->values[0], sysid) != 0)
    {
        cpam_fail(err, CPAM_FOREIGN, 0,
                  "the server that answers has system identifier %s, and \"%s\" has %s",
                  rows->values[0], server->data, sysid);
        cpam_err_hint(err,
                      "postgresql.data and postgresql.connection speak of two servers (its "
                      "data directory is \"%s\")",
                      rows->values[1]);
        return CPAM_FOREIGN;
    }
    if (!is_of_directory(server, postmaster, rows->values[1], rows->values[3]))
    {
        cpam_fail(err, CPAM_FOREIGN, 0,
                  "the server that answers is not the one that runs on \"%s\"", server->data);
        cpam_err_hint(err,
                      "postgresql.connection leads to another server of the same cluster, whose "
                      "data directory is \"%s\"",
                      rows->values[1]);
        return CPAM_FOREIGN;
    }
    if (rows->values[2][0] == 't')
    {
        cpam_fail(err, CPAM_REFUSED, 0,
                  "the server is in recovery: a standby can't be asked for a segment");
        cpam_err_hint(err, "run it on the primary");
        return CPAM_REFUSED;
    }
    return CPAM_OK;
}

static enum cpam_status
not_archiving(const char *what, const char *next, struct cpam_err *err)
{
    cpam_fail(err, CPAM_REFUSED, 0, "not protected: %s", what);
    cpam_err_hint(err, "%s", next);
    return CPAM_REFUSED;
}

static enum cpam_status
call_us(const struct checked_server *server, const char *what, struct cpam_err *err)
{
    bool is_default = strcmp(server->config, CPAM_CONFIG_DEFAULT) == 0;
    char next[600];

    snprintf(next, sizeof(next),
             "set archive_command = 'cpam-wal-push%s%.400s %%p' and reload the server",
             is_default ? "" : " --config ", is_default ? "" : server->config);
    return not_archiving(what, next, err);
}

/*
 * A shell that finds no program answers 127, at which the archiver ends itself and counts nothing:
 * so a path is looked at here.
 */
static bool
names_a_missing_program(struct io *io, const char *command, char path[256])
{
    const char *found = strstr(command, "cpam-wal-push");
    const char *begin = found;

    if (found == NULL)
        return false;
    while (begin > command && strchr(" \t'\"", begin[-1]) == NULL)
        begin--;
    size_t length = (size_t) (found - begin) + strlen("cpam-wal-push");
    if (*begin != '/' || length >= 256)
        return false;
    memcpy(path, begin, length);
    path[length] = '\0';
    return !file_exists(io, path);
}

static enum cpam_status
check_archiving(struct checked_server *server, struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *rows = NULL;
    char what[512], path[256];

    CPAM_TRY(check_server_ask(
        server,
        "SELECT current_setting('archive_mode'), current_setting('archive_command'),"
        " coalesce(current_setting('archive_library', true), ''),"
        " current_setting('wal_level'),"
        " coalesce(current_setting('cpam_archive.config', true), '')",
        5, &rows, err));
    const char *mode = rows->values[0], *command = rows->values[1], *library = rows->values[2];
    if (strcmp(rows->values[3], "minimal") == 0)
        return not_archiving("wal_level is minimal",
                             "set wal_level = replica and restart the server", err);
    if (strcmp(mode, "off") == 0)
        return not_archiving("archive_mode is off", "set archive_mode = on and restart the server",
                             err);
    if (library[0] == '\0' && strstr(command, "--unclaimed") != NULL)
    {
        snprintf(what, sizeof(what), "cpam-repo claim %s", server->data);
        return not_archiving("this is a restored copy that nobody has claimed", what, err);
    }
    if (library[0] == '\0' && (command[0] == '\0' || strcmp(command, "(disabled)") == 0))
        return call_us(server, "archive_command is empty", err);
    if (strstr(library, "cpam_archive") == NULL && strstr(command, "cpam-wal-push") == NULL)
    {
        snprintf(what, sizeof(what), "the server archives with \"%.200s\"",
                 library[0] != '\0' ? library : command);
        return call_us(server, what, err);
    }
    /* only the archiver loads it: here the parameter is what the configuration says, or nothing */
    if (library[0] != '\0' && rows->values[4][0] == '/' &&
        !file_exists(server->io, rows->values[4]))
    {
        snprintf(what, sizeof(what), "cpam_archive.config is \"%.300s\", which is not there",
                 rows->values[4]);
        return not_archiving(what, "correct it in postgresql.conf and reload the server", err);
    }
    if (library[0] == '\0' && names_a_missing_program(server->io, command, path))
    {
        snprintf(what, sizeof(what), "archive_command calls \"%s\", which is not there", path);
        return not_archiving(what, "correct the path in archive_command and reload the server",
                             err);
    }
    return CPAM_OK;
}

enum cpam_status
check_server_open(struct checked_server *server, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf conninfo = {0};
    struct postmaster_pid postmaster;
    bool running;

    CPAM_TRY(postmaster_find(server->io, server->data, &running, &postmaster, err));
    if (!running)
    {
        cpam_fail(err, CPAM_REFUSED, 0, "no server runs on \"%s\"", server->data);
        cpam_err_hint(err, "start it and check again: only a running server can show that it "
                           "archives");
        return CPAM_REFUSED;
    }
    CPAM_TRY(postmaster_conninfo(server->io, server->data, server->conninfo, &conninfo, err));
    CPAM_TRY(pgconn_open(server->io, cpam_buf_text(&conninfo), "cpam-repo",
                         deadline_after(server->io, QUERY_TIME), &server->conn, err));
    CPAM_TRY(check_identity(server, &postmaster, err));
    return check_archiving(server, err);
}

/* pg_switch_wal() alone does nothing on an idle server: so something is written first. */
enum cpam_status
check_server_switch(struct checked_server *server, char segment[SEGMENT_NAME_MAX],
                    struct cpam_err *err)
{
    CPAM_AUTO(pgrows_free) struct pgrows *rows = NULL;
    struct segment parsed;

    CPAM_TRY(check_server_ask(
        server, "SELECT pg_walfile_name(pg_logical_emit_message(true, 'cpam', 'cpam-repo check'))",
        1, &rows, err));
    CPAM_TRY(segment_parse(rows->values[0], server->control->segment_size, &parsed, err));
    snprintf(segment, SEGMENT_NAME_MAX, "%s", rows->values[0]);
    pgrows_free(CPAM_STEAL(rows));
    return check_server_ask(server, "SELECT pg_switch_wal()", 1, &rows, err);
}
