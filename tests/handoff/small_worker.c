/*
 * small_worker.c - a worker that does nothing but what the name it is asked for says.
 *
 *     small_worker --config CONFIG --serve DATA      its spool: $SMALL_WORKER_SPOOL
 *
 *     pid...       answered with its process id
 *     refuse...    answered CPAM_REFUSED
 *     wait...      never answered
 *     late...      answered after two ticks
 *     stop...      stops itself, as SIGSTOP does
 *     hide...      is seen in /proc by root only from now on, as what has keys in memory is
 *     poison...    dies of it, every time
 *     die...       dies of it, unless the file "died" is in its data directory: then as pid
 *     facts...     session, umask, cwd and descriptors, written into the file "facts" there
 *
 * A configuration that begins with "broken" keeps it from starting.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "handoff/server.h"
#include "io/file.h"

enum
{
    IDLE_END = 60 * 1000 * 1000, /* us: no test leaves one behind for longer */
    LATE = 2500 * 1000
};

struct small
{
    struct handoff_server *server;
    const char *data;
    struct handoff_waiter *late;
    int64_t late_since;
    unsigned gone;
};

static void
answer_pid(struct small *small, struct handoff_waiter *waiter)
{
    struct handoff_reply reply = {.status = CPAM_OK};

    snprintf(reply.path, sizeof(reply.path), "%ld %u", (long) getpid(), small->gone);
    handoff_answer(small->server, waiter, &reply);
}

static void
write_facts(const struct small *small)
{
    char path[4096], cwd[4096] = "", to[4096];
    DIR *fds = opendir("/proc/self/fd");
    mode_t mask = umask(077);

    snprintf(path, sizeof(path), "%s/facts", small->data);
    FILE *file = fopen(path, "we");
    if (file == NULL || fds == NULL || getcwd(cwd, sizeof(cwd)) == NULL)
        _exit(9);
    fprintf(file, "cwd %s\nsession %ld\nparent %ld\numask %o\nusr1 %d\n", cwd, (long) getsid(0),
            (long) getppid(), (unsigned) mask, signal(SIGUSR1, SIG_DFL) == SIG_IGN);
    for (const struct dirent *one; (one = readdir(fds)) != NULL;)
    {
        ssize_t size = readlinkat(dirfd(fds), one->d_name, to, sizeof(to) - 1);

        if (size > 0)
            fprintf(file, "fd %s %.*s\n", one->d_name, (int) size, to);
    }
    closedir(fds);
    fclose(file);
}

static void
asked(void *arg, struct handoff_waiter *waiter, const char *name, const struct handoff_stamp *stamp,
      struct deadline deadline)
{
    struct small *small = arg;
    char died[4096];

    (void) stamp;
    (void) deadline;
    snprintf(died, sizeof(died), "%s/died", small->data);
    if (strncmp(name, "wait", 4) == 0)
        return;
    if (strncmp(name, "stop", 4) == 0)
        raise(SIGSTOP);
    else if (strncmp(name, "hide", 4) == 0)
        prctl(PR_SET_DUMPABLE, 0);
    else if (strncmp(name, "poison", 6) == 0)
        raise(SIGKILL);
    else if (strncmp(name, "die", 3) == 0 && access(died, F_OK) != 0)
    {
        close(open(died, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        raise(SIGKILL);
    }
    else if (strncmp(name, "facts", 5) == 0)
        write_facts(small);
    else if (strncmp(name, "late", 4) == 0)
    {
        small->late = waiter;
        small->late_since = io_posix()->ops->monotonic(io_posix());
        return;
    }
    else if (strncmp(name, "refuse", 6) == 0)
    {
        struct handoff_reply reply = {0};

        reply.status = cpam_fail(&reply.why, CPAM_REFUSED, 0, "it asked for \"%s\"", name);
        cpam_err_hint(&reply.why, "ask for something else");
        handoff_answer(small->server, waiter, &reply);
        return;
    }
    answer_pid(small, waiter);
}

static void
gone(void *arg, struct handoff_waiter *waiter)
{
    struct small *small = arg;

    if (small->late == waiter)
        small->late = NULL;
    small->gone++;
}

static enum cpam_status
read_config(const char *path, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    CPAM_TRY(file_read_all(io_posix(), path, 4096, &text, err));
    if (text.size < 6 || memcmp(text.data, "broken", 6) != 0)
        return CPAM_OK;
    cpam_fail(err, CPAM_USAGE, 0, "the configuration \"%s\" is broken", path);
    cpam_err_hint(err, "mend it");
    return CPAM_USAGE;
}

static enum cpam_status
serve(const char *config, struct small *small, struct cpam_err *err)
{
    CPAM_AUTO(handoff_place_free) struct handoff_place *place = NULL;
    struct handoff_server_events events = {asked, gone, small};
    struct io *io = io_posix();
    struct handoff_key key;
    struct handoff_config made_of;

    handoff_config_of(io, config, &made_of);
    CPAM_TRY(read_config(config, err));
    CPAM_TRY(handoff_key_of(io, small->data, "small", &key, err));
    CPAM_TRY(handoff_place_open(io, getenv("SMALL_WORKER_SPOOL"), &key, false, &place, err));
    CPAM_TRY(handoff_server_new(io, place, HANDOFF_PUSH, &made_of, &events, &small->server, err));
    handoff_server_started(NULL);
    /* work that runs is finished; here it is what was asked for late */
    while (handoff_server_idle(small->server) < IDLE_END &&
           (!handoff_server_retired(small->server) || small->late != NULL))
    {
        CPAM_TRY(handoff_server_step(small->server, 100 * 1000, err));
        if (small->late == NULL || io->ops->monotonic(io) - small->late_since < LATE)
            continue;
        answer_pid(small, small->late);
        small->late = NULL;
    }
    handoff_server_free(small->server);
    return CPAM_OK;
}

int
main(int argc, char **argv)
{
    struct small small = {0};
    struct cpam_err err;

    if (argc != 5 || strcmp(argv[1], "--config") != 0 || strcmp(argv[3], "--serve") != 0)
        return 2;
    small.data = argv[4];
    enum cpam_status status = handoff_detach(false, &err);
    if (status == CPAM_OK)
        status = serve(argv[2], &small, &err);
    if (status != CPAM_OK)
        handoff_server_started(&err);
    return status == CPAM_OK || status == CPAM_EXISTS ? 0 : 1;
}
