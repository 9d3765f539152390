/*
 * fetch_situation.c - reads the signs of the data directory that the destination lies in.
 */
#include "fetch_situation.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "io/control_load.h"
#include "io/file.h"
#include "pg/history.h"
#include "pg/wal_page.h"

enum
{
    POSTMASTER_PID_MAX = 8192 /* bytes; the real one has eight short lines and one path */
};

enum fetch_caller
fetch_caller_of(const struct fetch_signs *signs)
{
    if (!signs->server_name)
        return FETCH_CALLER_PERSON;
    if (signs->standby_signal)
        return FETCH_CALLER_STANDBY;
    if (signs->untold)
        return FETCH_CALLER_FINISHING;
    if (signs->recovery_signal)
        return FETCH_CALLER_RECOVERY;
    if (signs->postmaster && (!signs->control_known || signs->state == CONTROL_IN_ARCHIVE_RECOVERY))
        return FETCH_CALLER_FINISHING;
    return FETCH_CALLER_PERSON;
}

const char *
fetch_caller_name(enum fetch_caller caller)
{
    static const char *const names[] = {
        [FETCH_CALLER_RECOVERY] = "archive recovery",
        [FETCH_CALLER_STANDBY] = "standby",
        [FETCH_CALLER_FINISHING] = "end of recovery",
        [FETCH_CALLER_PERSON] = "called by hand",
    };

    return names[caller];
}

static enum cpam_status
no_memory(struct cpam_err *err)
{
    return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for a path");
}

/* dir/name, or NULL without memory. */
static char *
path_join(const char *dir, const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return NULL;
    return path;
}

enum presence
{
    ABSENT,
    PRESENT,
    UNTOLD
};

static enum presence
look_for(struct io *io, const char *dir, const char *name)
{
    CPAM_AUTO(free) char *path = path_join(dir, name);
    struct stat ignored;

    if (path == NULL)
        return UNTOLD;
    if (io->ops->stat(io, AT_FDCWD, path, 0, &ignored) == 0)
        return PRESENT;
    return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? ABSENT : UNTOLD;
}

/* The part before the last slash, by text: pg_wal may be a link, its parent is not where it leads. */
static char *
parent_of(const char *path)
{
    const char *slash;
    size_t size = strlen(path);

    while (size > 1 && path[size - 1] == '/')
        size--;
    slash = memrchr(path, '/', size);
    if (slash == NULL)
        return strdup(size == 1 && path[0] == '.' ? ".." : ".");
    while (slash > path && slash[-1] == '/')
        slash--;
    return slash == path ? strdup("/") : strndup(path, (size_t) (slash - path));
}

static const char *
base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* Line `number` (from 1) of text into out; false when it is missing, empty or too long. */
static bool
line_of(const char *text, int number, char *out, size_t size)
{
    size_t length;

    for (; number > 1; number--)
    {
        text = strchr(text, '\n');
        if (text == NULL)
            return false;
        text++;
    }
    length = strcspn(text, "\n");
    if (length == 0 || length >= size)
        return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

static void
server_read(struct io *io, const char *data, struct fetch_server *out)
{
    CPAM_AUTO(free) char *path = path_join(data, "postmaster.pid");
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf content = {0};
    struct cpam_err ignored;
    enum cpam_status status = CPAM_NO_MEMORY;
    const char *text;

    memset(out, 0, sizeof(*out));
    if (path != NULL)
        status = file_read_all(io, path, POSTMASTER_PID_MAX, &content, &ignored);
    out->told = status == CPAM_OK || status == CPAM_NOT_FOUND;
    if (status != CPAM_OK)
        return;
    text = cpam_buf_text(&content);
    out->present = text != NULL && line_of(text, 1, out->pid, sizeof(out->pid)) &&
                   line_of(text, 3, out->started, sizeof(out->started));
}

/* The data directory: above the destination's directory, else the working directory. */
static char *
data_directory(struct io *io, const char *directory)
{
    CPAM_AUTO(free) char *above = parent_of(directory);

    /* what can't be looked at just now is taken to be there: the signs tell the rest */
    if (above != NULL && look_for(io, above, "global/pg_control") != ABSENT)
        return CPAM_STEAL(above);
    if (look_for(io, ".", "global/pg_control") != ABSENT)
        return strdup(".");
    return NULL;
}

static bool
see(struct io *io, const struct fetch_situation *situation, const char *name, bool *untold)
{
    enum presence presence = look_for(io, situation->data, name);

    *untold |= presence == UNTOLD;
    return presence == PRESENT;
}

static void
signs_read(struct io *io, struct fetch_situation *situation)
{
    const char *base = base_of(situation->destination);
    struct fetch_signs signs = {0};
    struct cpam_err ignored;

    signs.server_name = strcmp(base, "RECOVERYXLOG") == 0 || strcmp(base, "RECOVERYHISTORY") == 0;
    if (situation->data != NULL)
    {
        signs.standby_signal = see(io, situation, "standby.signal", &signs.untold);
        signs.recovery_signal = see(io, situation, "recovery.signal", &signs.untold);
        signs.postmaster = see(io, situation, "postmaster.pid", &signs.untold);
        situation->has_control =
            control_load(io, situation->data, NULL, &situation->control, &ignored) == CPAM_OK;
        signs.control_known = situation->has_control;
        signs.state = situation->control.state;
        server_read(io, situation->data, &situation->server);
    }
    situation->caller = fetch_caller_of(&signs);
}

enum cpam_status
fetch_situation_read(struct io *io, const char *name, const char *destination,
                     struct fetch_situation **out, struct cpam_err *err)
{
    CPAM_AUTO(fetch_situation_free) struct fetch_situation *made = calloc(1, sizeof(*made));

    *out = NULL;
    if (made == NULL)
        return no_memory(err);
    CPAM_TRY(archive_name_parse(name, &made->name, err));
    made->destination = strdup(destination);
    made->directory = parent_of(destination);
    if (made->destination == NULL || made->directory == NULL)
        return no_memory(err);
    made->local_copy = path_join(made->directory, name);
    if (made->local_copy == NULL)
        return no_memory(err);
    made->data = data_directory(io, made->directory);
    signs_read(io, made);
    *out = CPAM_STEAL(made);
    return CPAM_OK;
}

void
fetch_situation_free(struct fetch_situation *situation)
{
    if (situation == NULL)
        return;
    free(situation->destination);
    free(situation->directory);
    free(situation->local_copy);
    free(situation->data);
    free(situation);
}

/* kill -9 leaves postmaster.pid behind, and the startup process waits for us before it notices. */
static bool
server_lives(const struct fetch_server *server)
{
    const char *digits = server->pid[0] == '-' ? server->pid + 1 : server->pid; /* --single */
    struct cpam_err ignored;
    uint64_t pid;

    if (text_parse_u64(digits, INT32_MAX, &pid, &ignored) != CPAM_OK || pid == 0)
        return true; /* nothing can be said */
    return kill((pid_t) pid, 0) == 0 || errno != ESRCH;
}

enum server_now
{
    SERVER_SAME,
    SERVER_GONE,
    SERVER_UNTOLD
};

static enum server_now
server_now(struct io *io, const struct fetch_situation *situation)
{
    const struct fetch_server *then = &situation->server;
    struct fetch_server now;

    if (situation->caller == FETCH_CALLER_PERSON || situation->data == NULL)
        return SERVER_SAME;
    server_read(io, situation->data, &now);
    if (!now.told || !then->told)
        return SERVER_UNTOLD;
    return now.present == then->present && strcmp(now.pid, then->pid) == 0 &&
                   strcmp(now.started, then->started) == 0 && (!now.present || server_lives(&now))
               ? SERVER_SAME
               : SERVER_GONE;
}

bool
fetch_situation_gone(struct io *io, const struct fetch_situation *situation)
{
    return server_now(io, situation) == SERVER_GONE;
}

enum cpam_status
fetch_situation_check(struct io *io, const struct fetch_situation *situation, struct cpam_err *err)
{
    enum server_now now = server_now(io, situation);

    if (now == SERVER_SAME)
        return CPAM_OK;
    if (now == SERVER_UNTOLD)
        return cpam_fail(err, CPAM_IO, 0,
                         "could not tell whether the server that asked for \"%s\" still runs: "
                         "\"%s/postmaster.pid\" can't be read",
                         situation->name.text, situation->data);
    return cpam_fail(
        err, CPAM_CANCELLED, 0,
        "the server that asked for \"%s\" (process %s) is not the one that runs in \"%s\" now: "
        "nothing was put in place",
        situation->name.text, situation->server.present ? situation->server.pid : "none",
        situation->data);
}

static bool
local_segment(struct io *io, const struct fetch_situation *situation)
{
    uint8_t head[WAL_LONG_HEADER_SIZE];
    struct wal_page page;
    struct stat info;
    struct cpam_err ignored;
    bool needs_history = false;
    size_t got = 0;
    int fd = -1;
    bool good;

    if (!situation->has_control ||
        file_open(io, situation->local_copy, O_RDONLY, 0, &fd, &ignored) != CPAM_OK)
        return false;
    good =
        io->ops->fstat(io, fd, &info) == 0 && S_ISREG(info.st_mode) &&
        (uint64_t) info.st_size == situation->control.segment_size &&
        file_read(io, fd, situation->local_copy, head, sizeof(head), &got, &ignored) == CPAM_OK &&
        wal_page_parse(head, got, &page, &ignored) == CPAM_OK;
    if (file_close(io, fd, situation->local_copy, &ignored) != CPAM_OK || !good)
        return false;
    /* A fork segment begins with its parent's timeline.  Its history need not be at hand: a
       recycled segment never has the right page address, so the rest proves it. */
    return wal_page_check(&page, &situation->name, (uint64_t) info.st_size,
                          situation->control.sysid, NULL, &needs_history, &ignored) == CPAM_OK ||
           needs_history;
}

static bool
local_history(struct io *io, const struct fetch_situation *situation)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf content = {0};
    CPAM_AUTO(history_free) struct history *history = NULL;
    struct cpam_err ignored;
    const char *text;

    if (file_read_all(io, situation->local_copy, HISTORY_FILE_MAX, &content, &ignored) != CPAM_OK)
        return false;
    text = cpam_buf_text(&content);
    return text != NULL && content.size > 0 &&
           history_parse(situation->name.timeline, text, content.size, &history, &ignored) ==
               CPAM_OK;
}

bool
fetch_situation_local_copy(struct io *io, const struct fetch_situation *situation)
{
    switch (situation->name.kind)
    {
    case ARCHIVE_SEGMENT: return local_segment(io, situation);
    case ARCHIVE_HISTORY: return local_history(io, situation);
    case ARCHIVE_BACKUP_HISTORY:
    case ARCHIVE_PARTIAL: break;
    }
    return false;
}
