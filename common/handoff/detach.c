/*
 * detach.c - a worker lets go of whoever started it, and tells how its start went.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "handoff/message.h"
#include "handoff/server.h"
#include "handoff/start.h"

/* One process, one start. */
static int starter = -1;
static bool has_config;
static struct handoff_stamp seen_config;

/* The starter's pipe, if the environment names one and it is one. */
static void
find_starter(void)
{
    const char *config = getenv(HANDOFF_CONFIG_VARIABLE);
    const char *number = getenv(HANDOFF_PIPE_VARIABLE);
    struct stat about;

    has_config = config != NULL &&
                 sscanf(config, "%" SCNu64 ":%" SCNu64 ":%" SCNu64 ":%" SCNd64, &seen_config.device,
                        &seen_config.inode, &seen_config.size, &seen_config.changed) == 4;
    if (number != NULL && strcmp(number, "3") == 0 && fstat(HANDOFF_PIPE, &about) == 0 &&
        S_ISFIFO(about.st_mode))
    {
        starter = HANDOFF_PIPE;
        fcntl(starter, F_SETFD, FD_CLOEXEC);
    }
    /* a program that the worker runs has nothing to report there */
    unsetenv(HANDOFF_CONFIG_VARIABLE);
    unsetenv(HANDOFF_PIPE_VARIABLE);
}

enum cpam_status
handoff_detach(bool foreground, struct cpam_err *err)
{
    find_starter();
    handoff_close_from(starter >= 0 ? starter + 1 : 3);
    /* a starter that has gone must not take the worker with it, nor a server that hangs up */
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    if (chdir("/") != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not change to the folder \"/\"");
    if (foreground)
        return CPAM_OK;
    setsid(); /* fails for whom handoff_start() started: it is in a session of its own already */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not open \"/dev/null\"");
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(null, fd) < 0)
            return cpam_fail(err, CPAM_IO, errno, "could not put descriptor %d on /dev/null", fd);
    if (null > 2)
        close(null);
    return CPAM_OK;
}

bool
handoff_started_with(struct handoff_stamp *out)
{
    *out = seen_config;
    return has_config;
}

void
handoff_server_started(const struct cpam_err *err)
{
    struct handoff_message message = {
        .type = HANDOFF_MESSAGE_ANSWER, .path = "", .sentence = "", .hint = ""};
    uint8_t data[HANDOFF_MESSAGE_MAX];
    struct cpam_err ignored;
    size_t size;

    if (starter < 0)
        return;
    if (err != NULL)
    {
        /* CPAM_OK would say that all went well */
        message.status = err->status == CPAM_OK ? CPAM_INTERNAL : err->status;
        message.sentence = err->text;
        message.hint = err->hint;
    }
    _Static_assert(CPAM_ERR_TEXT_MAX + CPAM_ERR_HINT_MAX + 64 < PIPE_BUF, "one write is whole");
    if (handoff_message_write(&message, data, &size, &ignored) == CPAM_OK &&
        write(starter, data, size) < 0)
        errno = 0; /* the starter has gone: nobody is told */
    close(starter);
    starter = -1;
}
