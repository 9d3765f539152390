/*
 * control_file.c - reading pg_control and postmaster.pid of a data directory.
 */
#include "cli/control_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "io/control_load.h"
#include "io/file.h"

enum
{
    CONNINFO_MAX = 16 << 10
};

static enum cpam_status
path_in(const char *dir, const char *name, char out[PATH_MAX], struct cpam_err *err)
{
    if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
        return cpam_fail(err, CPAM_USAGE, 0, "the path \"%.200s...\" is too long", dir);
    return CPAM_OK;
}

enum cpam_status
control_file_read(struct io *io, const char *data_dir, struct control *out, struct cpam_err *err)
{
    enum cpam_status status = control_load(io, data_dir, NULL, out, err);

    if (status == CPAM_NOT_FOUND)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "\"%s\" is not a data directory: it has no global/pg_control", data_dir);
    return status;
}

/* True if the process works in that directory: both by device and inode, whatever their names. */
static bool
works_in(struct io *io, pid_t pid, const char *data_dir)
{
    char path[64];
    struct stat cwd, dir;

    snprintf(path, sizeof(path), "/proc/%ld/cwd", (long) pid);
    return io->ops->stat(io, AT_FDCWD, path, 0, &cwd) == 0 &&
           io->ops->stat(io, AT_FDCWD, data_dir, 0, &dir) == 0 && cwd.st_dev == dir.st_dev &&
           cwd.st_ino == dir.st_ino;
}

enum cpam_status
postmaster_find(struct io *io, const char *data_dir, bool *running, struct postmaster_pid *out,
                struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char path[PATH_MAX];

    *running = false;
    CPAM_TRY(path_in(data_dir, "postmaster.pid", path, err));
    enum cpam_status status = file_read_all(io, path, POSTMASTER_PID_MAX, &text, err);
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    CPAM_TRY(status);
    status = postmaster_pid_parse((const char *) text.data, text.size, out, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "\"%s\"", path);
        return status;
    }
    *running = works_in(io, out->pid, data_dir);
    return CPAM_OK;
}

/* Does somebody say where the server is? */
static bool
names_a_server(const char *conninfo)
{
    static const char *const words[] = {"://", "host", "port", "service"};
    static const char *const variables[] = {"PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(conninfo, words[i]) != NULL)
            return true;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        if (getenv(variables[i]) != NULL)
            return true;
    return false;
}

enum cpam_status
postmaster_conninfo(struct io *io, const char *data_dir, const char *conninfo, struct cpam_buf *out,
                    struct cpam_err *err)
{
    struct postmaster_pid postmaster;
    struct cpam_err ignored;
    bool running = false;

    out->size = 0;
    if (conninfo == NULL)
        conninfo = "";
    if (!names_a_server(conninfo) &&
        postmaster_find(io, data_dir, &running, &postmaster, &ignored) == CPAM_OK && running &&
        postmaster.port != 0)
    {
        /* a quote in the path would have to be escaped: such a path is left to the person */
        if (postmaster.socket_directory[0] == '/' &&
            strpbrk(postmaster.socket_directory, "'\\,") == NULL)
            CPAM_TRY(
                cpam_buf_printf(out, CONNINFO_MAX, err, "host='%s' ", postmaster.socket_directory));
        CPAM_TRY(cpam_buf_printf(out, CONNINFO_MAX, err, "port=%u ", postmaster.port));
    }
    return cpam_buf_printf(out, CONNINFO_MAX, err, "%s", conninfo);
}
