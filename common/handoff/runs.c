/*
 * runs.c - can a program be run at all?
 *
 * After exec it is too late: a dynamic loader that misses a library ends the process with 127, which
 * PostgreSQL takes for a signal or a fatal error.  So the program is run once beforehand, to say its
 * version.  What the loader complains of is for the caller's own log: stderr is left as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "handoff/call.h"

static enum cpam_status
could_not_run(const char *program, int sys, struct cpam_err *err)
{
    return cpam_fail(err, sys == ENOENT ? CPAM_NOT_FOUND : CPAM_IO, sys, "could not run \"%s\"",
                     program);
}

/* An errno. */
static int
spawn(const char *program, pid_t *out)
{
    const char *const arguments[] = {program, "--version", NULL};
    posix_spawn_file_actions_t files;
    int failed = posix_spawn_file_actions_init(&files);

    if (failed != 0)
        return failed;
    failed = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null",
                                              O_WRONLY | O_CLOEXEC, 0);
    if (failed == 0)
        failed =
            posix_spawn(out, program, &files, NULL, (char *const *) (uintptr_t) arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

enum cpam_status
handoff_program_runs(const char *program, struct cpam_err *err)
{
    enum cpam_status status = CPAM_OK;
    pid_t child, ended;
    int how = 0;
    int failed = spawn(program, &child);

    if (failed != 0)
        status = could_not_run(program, failed, err);
    else
    {
        do
            ended = waitpid(child, &how, 0);
        while (ended < 0 && errno == EINTR);
        /* where SIGCHLD is ignored there is no status, and nothing is known against it */
        if (ended == child && (!WIFEXITED(how) || WEXITSTATUS(how) != 0))
            status = WIFEXITED(how)
                         ? cpam_fail(err, CPAM_IO, 0, "could not run \"%s\": it ends with %d",
                                     program, WEXITSTATUS(how))
                         : cpam_fail(err, CPAM_IO, 0, "could not run \"%s\": signal %d ends it",
                                     program, WTERMSIG(how));
    }
    if (status != CPAM_OK)
        cpam_err_hint(err, "it belongs beside the program that starts it, with the libraries it "
                           "needs: is the installation complete?");
    return status;
}
