/*
 * io_twin.c - the twin of the door: what it counts, writes down, and decides to fail.
 *
 * Every call goes through twin_gate().  One lock is held during each call, so that trace and log
 * have the order in which things happened.
 */
#include "twin_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct io_twin *
twin_enter(struct io *io)
{
    struct io_twin *twin = (struct io_twin *) io;

    pthread_mutex_lock(&twin->lock);
    return twin;
}

void
twin_leave(struct io_twin *twin)
{
    int sys = errno;

    pthread_mutex_unlock(&twin->lock);
    errno = sys;
}

static void
note(struct io_twin *twin, const char *kind, const char *one, const char *two)
{
    size_t need = strlen(kind) + strlen(one) + strlen(two) + 4;

    if (twin->trace_size + need > twin->trace_cap && twin->trace_cap < TWIN_TRACE_MAX)
    {
        size_t cap = (twin->trace_cap + need) * 2;
        char *trace = realloc(twin->trace, cap);

        if (trace == NULL)
            abort();
        twin->trace = trace;
        twin->trace_cap = cap;
    }
    if (twin->trace_size + need > twin->trace_cap)
        return;
    twin->trace_size += (size_t) snprintf(twin->trace + twin->trace_size, need, "%s %s%s%s\n", kind,
                                          one, two[0] == '\0' ? "" : " ", two);
}

/* True if this call is to fail; errno is set then. */
bool
twin_gate(struct io_twin *twin, const char *kind, const char *one, const char *two)
{
    const struct io_twin_plan *plan = &twin->plan;

    twin->calls++;
    note(twin, kind, one, two);
    if (plan->hook != NULL)
        plan->hook(plan->hook_arg, twin->calls, kind, one);
    if (plan->kill_call != 0 && (plan->kill_kind == NULL || strcmp(plan->kill_kind, kind) == 0) &&
        ++twin->kill_seen == plan->kill_call)
        raise(SIGKILL);
    if (plan->fail_call == 0 || (plan->fail_kind != NULL && strcmp(plan->fail_kind, kind) != 0))
        return false;
    twin->fail_seen++;
    if (twin->fail_seen != plan->fail_call && !(plan->fail_on && twin->fail_seen > plan->fail_call))
        return false;
    errno = plan->fail_errno;
    return true;
}

const char *
twin_path_of(const struct io_twin *twin, int fd)
{
    return fd >= 0 && fd < TWIN_FDS_MAX && twin->paths[fd] != NULL ? twin->paths[fd] : "?";
}

/* The path as it is seen from "/". */
char *
twin_absolute(int dir_fd, const char *path)
{
    char link[64];
    char dir[4096];
    char *whole;

    if (path[0] == '/')
        return strdup(path);
    if (dir_fd == AT_FDCWD)
        snprintf(link, sizeof(link), "/proc/self/cwd");
    else
        snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
    ssize_t len = readlink(link, dir, sizeof(dir) - 1);
    dir[len < 0 ? 0 : len] = '\0';
    if (strcmp(path, ".") == 0)
        return strdup(dir);
    if (asprintf(&whole, "%s/%s", dir, path) < 0)
        abort();
    return whole;
}

void
twin_opened(struct io_twin *twin, int fd, const char *path)
{
    twin->open_fds++;
    if (fd < TWIN_FDS_MAX)
    {
        free(twin->paths[fd]);
        twin->paths[fd] = strdup(path);
    }
}

struct io_twin *
io_twin_new(void)
{
    struct io_twin *twin = calloc(1, sizeof(*twin));

    if (twin == NULL)
        abort();
    twin->base.ops = &twin_ops;
    twin->real = io_twin_real();
    pthread_mutex_init(&twin->lock, NULL);
    return twin;
}

void
io_twin_free(struct io_twin *twin)
{
    if (twin == NULL)
        return;
    twin_log_close(twin->log);
    for (size_t i = 0; i < TWIN_FDS_MAX; i++)
        free(twin->paths[i]);
    free(twin->trace);
    pthread_mutex_destroy(&twin->lock);
    free(twin);
}

struct io *
io_twin_io(struct io_twin *twin)
{
    return &twin->base;
}

void
io_twin_plan(struct io_twin *twin, const struct io_twin_plan *plan)
{
    twin->plan = *plan;
    twin->calls = twin->fail_seen = twin->kill_seen = 0;
    twin->open_fds = 0;
    twin->slept = 0;
    twin->trace_size = 0;
    if (twin->trace != NULL)
        twin->trace[0] = '\0';
    twin_log_close(twin->log);
    twin->log = plan->log == NULL ? NULL : twin_log_open(plan->log);
}

unsigned
io_twin_calls(const struct io_twin *twin)
{
    return twin->calls;
}

int
io_twin_open_fds(const struct io_twin *twin)
{
    return twin->open_fds;
}

int64_t
io_twin_slept(const struct io_twin *twin)
{
    return twin->slept;
}

void
io_twin_advance(struct io_twin *twin, int64_t us)
{
    pthread_mutex_lock(&twin->lock);
    twin->clock += us;
    pthread_mutex_unlock(&twin->lock);
}

void
io_twin_hang(struct io_twin *twin, unsigned seconds)
{
    pthread_mutex_unlock(&twin->lock);
    sleep(seconds);
    pthread_mutex_lock(&twin->lock);
}

const char *
io_twin_trace(const struct io_twin *twin)
{
    return twin->trace == NULL ? "" : twin->trace;
}

static bool
holds_all(const char *line, size_t len, const char *words)
{
    while (*words != '\0')
    {
        size_t word = strcspn(words, " ");

        if (memmem(line, len, words, word) == NULL)
            return false;
        words += word;
        words += strspn(words, " ");
    }
    return true;
}

int
io_twin_find(const struct io_twin *twin, const char *words, int nth)
{
    const char *line = io_twin_trace(twin);

    for (int at = 0; *line != '\0'; at++)
    {
        size_t len = strcspn(line, "\n");

        if (holds_all(line, len, words) && --nth == 0)
            return at;
        line += len + 1;
    }
    return -1;
}
