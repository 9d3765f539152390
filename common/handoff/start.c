/*
 * start.c - starts a worker that outlives whoever asked for it.
 *
 * Two forks: the child leads a new session and ends at once, its child can't get a terminal and is
 * nobody's to wait for.  Between fork and exec only system calls are made, as the caller may be a
 * server process with threads and handlers of its own.
 */
#include "handoff/start.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handoff/message.h"

enum
{
    ABOVE_ALL = 10,    /* a descriptor that is none of those given to the worker */
    CONFIG_TEXT = 128, /* of the environment variable */
    NOT_RUN = 127
};

/* All that the child needs, made before it is. */
struct plan
{
    const char *program;
    const char *arguments[6];
    char **environment;
    int pipe; /* its end to write into */
};

static void
free_plan(struct plan *plan)
{
    free(plan->environment);
}

static enum cpam_status
make_plan(const struct handoff_question *question, char *config, struct plan *plan,
          struct cpam_err *err)
{
    static char pipe_text[] = HANDOFF_PIPE_VARIABLE "=3";
    size_t count = 0, kept = 0;

    plan->program = question->program;
    plan->arguments[0] = question->program;
    plan->arguments[1] = "--config";
    plan->arguments[2] = question->config;
    plan->arguments[3] = "--serve";
    plan->arguments[4] = question->data;
    while (environ != NULL && environ[count] != NULL)
        count++;
    plan->environment = calloc(count + 3, sizeof(*plan->environment));
    if (plan->environment == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to start \"%s\"", plan->program);
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "CPAM_HANDOFF_", 13) != 0)
            plan->environment[kept++] = environ[i];
    plan->environment[kept++] = pipe_text;
    plan->environment[kept] = config;
    return CPAM_OK;
}

void
handoff_close_from(int first)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned) first, ~0U, 0) == 0)
        return;
#endif
    long limit = sysconf(_SC_OPEN_MAX);
    for (int fd = first; fd < (limit > 0 && limit < INT_MAX ? (int) limit : 65536); fd++)
        close(fd);
}

/* An ignored signal stays ignored over exec, and the archiver ignores several. */
static void
forget_signals(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        sigaction(number, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The postmaster may be protected from the out-of-memory killer; its archiver's helper is not. */
static void
forget_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (write(fd, "0", 1) < 0)
        errno = 0; /* not allowed: it stays as it is */
    close(fd);
}

static _Noreturn void
become_worker(const struct plan *plan)
{
    int out = fcntl(plan->pipe, F_DUPFD, ABOVE_ALL);
    int null = open("/dev/null", O_RDWR);

    if (out < 0 || null < 0)
        _exit(NOT_RUN);
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(null, fd) < 0)
            _exit(NOT_RUN);
    if (dup2(out, HANDOFF_PIPE) < 0 || chdir("/") != 0)
        _exit(NOT_RUN);
    handoff_close_from(HANDOFF_PIPE + 1);
    forget_signals();
    forget_oom_score();
    execve(plan->program, (char *const *) (uintptr_t) plan->arguments, plan->environment);
    int why = errno;
    if (write(HANDOFF_PIPE, &why, sizeof(why)) < 0)
        _exit(NOT_RUN);
    _exit(NOT_RUN);
}

static enum cpam_status
fork_twice(const struct plan *plan, struct cpam_err *err)
{
    sigset_t all, before;
    int status;

    /* none of the caller's handlers may run in the child */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    int why = errno;
    if (child == 0)
    {
        setsid();
        pid_t worker = fork();
        if (worker == 0)
            become_worker(plan);
        _exit(worker < 0 ? 1 : 0);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (child < 0)
        return cpam_fail(err, CPAM_IO, why, "could not start \"%s\"", plan->program);
    pid_t ended;
    do
        ended = waitpid(child, &status, 0);
    while (ended < 0 && errno == EINTR);
    /* where the caller ignores SIGCHLD there is no status, and the pipe will tell */
    if (ended == child && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        return cpam_fail(err, CPAM_IO, 0, "could not start \"%s\": no second process could be made",
                         plan->program);
    return CPAM_OK;
}

enum cpam_status
handoff_start(struct io *io, const struct handoff_question *question,
              const struct handoff_stamp *config, int *out_pipe, struct cpam_err *err)
{
    struct plan plan = {0};
    char text[CONFIG_TEXT];
    int ends[2];

    *out_pipe = -1;
    snprintf(text, sizeof(text),
             HANDOFF_CONFIG_VARIABLE "=%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRId64,
             config->device, config->inode, config->size, config->changed);
    CPAM_TRY(make_plan(question, text, &plan, err));
    if (pipe2(ends, O_CLOEXEC) != 0)
    {
        int why = errno;
        free_plan(&plan);
        return cpam_fail(err, CPAM_IO, why, "could not start \"%s\": no pipe", question->program);
    }
    plan.pipe = ends[1];
    enum cpam_status status = fork_twice(&plan, err);
    io->ops->close(io, ends[1]);
    free_plan(&plan);
    if (status != CPAM_OK)
    {
        io->ops->close(io, ends[0]);
        return status;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *out_pipe = ends[0];
    return CPAM_OK;
}

enum cpam_status
handoff_start_heard(int pipe, const char *program, bool *heard, struct cpam_err *err)
{
    uint8_t data[PIPE_BUF]; /* a worker's whole word is one write of less */
    struct handoff_message message;
    int why;

    ssize_t size = read(pipe, data, sizeof(data));
    *heard = size >= 0 || (errno != EAGAIN && errno != EINTR);
    if (!*heard)
        return CPAM_OK;
    if (size == sizeof(why))
    {
        memcpy(&why, data, sizeof(why));
        cpam_fail(err, why == ENOENT ? CPAM_NOT_FOUND : CPAM_IO, why, "could not run \"%s\"",
                  program);
        cpam_err_hint(err, "it belongs beside the program that starts it: is the installation "
                           "complete?");
        return err->status;
    }
    if (size <= 0 || handoff_message_parse(data, (size_t) size, &message, err) != CPAM_OK ||
        message.protocol != HANDOFF_PROTOCOL || message.type != HANDOFF_MESSAGE_ANSWER)
        return cpam_fail(err, CPAM_CANCELLED, 0, "\"%s\" ended while it started", program);
    if (message.status == CPAM_OK)
        return CPAM_OK;
    cpam_fail(err, message.status, 0, "%s", message.sentence);
    cpam_err_hint(err, "%s", message.hint);
    return message.status;
}

enum cpam_status
handoff_program_beside(const char *name, char **out, struct cpam_err *err)
{
    char self[PATH_MAX];
    struct io *io = io_posix();

    *out = NULL;
    ssize_t size = io->ops->readlink(io, AT_FDCWD, "/proc/self/exe", self, sizeof(self) - 1);
    if (size < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not find out where this program lies");
    self[size] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL)
        return cpam_fail(err, CPAM_INTERNAL, 0, "\"%s\" is no path", self);
    if (asprintf(out, "%.*s/%s", (int) (slash - self), self, name) < 0)
    {
        *out = NULL;
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for the worker's path");
    }
    return CPAM_OK;
}
