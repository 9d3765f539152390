/*
 * caller.c - calls archive_command or restore_command as the server does: one at a time, through a
 * shell, in the data directory; and says what each call took and what all of it cost.
 *
 * usage: caller push DATA WARM REPLAY COMMAND NAME...
 *        caller fetch DATA WARM REPLAY COMMAND NAME...
 *
 * %f and %p in COMMAND are put in as the server does.  push: every NAME gets its .ready in
 * pg_wal/archive_status once the first WARM calls are over and their work is done, and its .done
 * after success.  fetch: each file is asked for as pg_wal/RECOVERYXLOG, then moved to
 * DATA/fetched/, where the last few stay, and replayed for REPLAY ms.
 *
 * Everything started stays below this process (it is a subreaper), so the processor time and the
 * memory of background workers count.  push with a REPLAY waits after the first counted call until all
 * is quiet, so that the rest finds its work done.  One line a call: milliseconds.  The last line: wall seconds, processor seconds (user, system) of the whole tree, its
 * greatest resident memory in bytes, and how many calls failed.  The warm calls count in none of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum
{
    PROCESSES_MAX = 4096,
    KEPT = 16,
    AGAIN = 5,         /* times a call that failed is made again, as the server would */
    SAMPLE = 50,       /* ms between two looks at memory */
    QUIET = 300,       /* ms without a tick of processor time: nothing works any more */
    QUIET_MAX = 120000 /* ms: it does not become quiet */
};

struct cost
{
    double user, system;
};

struct family
{
    pid_t pids[PROCESSES_MAX];
    size_t count;
};

static _Atomic bool watching, ended;
static _Atomic uint64_t greatest;
static int failures;

static void
die(const char *what)
{
    fprintf(stderr, "caller: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

static void
sleep_ms(long ms)
{
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&wait, NULL);
}

/* ppid and the four times in /proc/PID/stat (ticks); false: it is gone. */
static bool
read_stat(pid_t pid, pid_t *parent, unsigned long times[4])
{
    char path[64], text[1024];

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t got = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[got] = '\0';
    char *at = strrchr(text, ')');
    return at != NULL &&
           sscanf(at + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", parent,
                  &times[0], &times[1], &times[2], &times[3]) == 5;
}

/* All that came from this process and lives. */
static void
find_family(struct family *family)
{
    static pid_t pids[PROCESSES_MAX], parents[PROCESSES_MAX];
    size_t count = 0;
    DIR *proc = opendir("/proc");
    struct dirent *entry;

    if (proc == NULL)
        die("/proc");
    while ((entry = readdir(proc)) != NULL && count < PROCESSES_MAX)
    {
        unsigned long times[4];
        pid_t pid = (pid_t) strtol(entry->d_name, NULL, 10);

        if (pid > 0 && read_stat(pid, &parents[count], times))
            pids[count++] = pid;
    }
    closedir(proc);
    family->count = 0;
    pid_t wanted = getpid();
    for (size_t next = 0;; wanted = family->pids[next++])
    {
        for (size_t i = 0; i < count; i++)
            if (parents[i] == wanted)
                family->pids[family->count++] = pids[i];
        if (next == family->count)
            return;
    }
}

static uint64_t
resident(pid_t pid)
{
    char path[64];
    unsigned long pages = 0;

    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (uint64_t) sysconf(_SC_PAGESIZE);
}

static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;

static void *
watch(void *unused)
{
    static struct family family;

    while (!ended)
    {
        sleep_ms(SAMPLE);
        if (!watching)
            continue;
        uint64_t sum = 0;
        pthread_mutex_lock(&looking);
        find_family(&family);
        pthread_mutex_unlock(&looking);
        for (size_t i = 0; i < family.count; i++)
            sum += resident(family.pids[i]);
        if (sum > greatest)
            greatest = sum;
    }
    return unused;
}

/* Processor time of everything this process started: the reaped, and the living. */
static struct cost
cost_of_all(void)
{
    static struct family family;
    struct rusage reaped;
    double tick = 1.0 / (double) sysconf(_SC_CLK_TCK);

    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    getrusage(RUSAGE_CHILDREN, &reaped);
    struct cost sum = {(double) reaped.ru_utime.tv_sec + (double) reaped.ru_utime.tv_usec / 1e6,
                       (double) reaped.ru_stime.tv_sec + (double) reaped.ru_stime.tv_usec / 1e6};
    pthread_mutex_lock(&looking);
    find_family(&family);
    for (size_t i = 0; i < family.count; i++)
    {
        unsigned long times[4] = {0};
        pid_t parent;

        if (read_stat(family.pids[i], &parent, times))
        {
            sum.user += (double) (times[0] + times[2]) * tick;
            sum.system += (double) (times[1] + times[3]) * tick;
        }
    }
    pthread_mutex_unlock(&looking);
    return sum;
}

static void
wait_quiet(void)
{
    double limit = now_ms() + QUIET_MAX;
    struct cost last = cost_of_all();

    for (double since = now_ms(); now_ms() - since < QUIET;)
    {
        sleep_ms(SAMPLE);
        struct cost cost = cost_of_all();
        if (cost.user + cost.system - last.user - last.system > 0.0005)
        {
            last = cost;
            since = now_ms();
        }
        if (now_ms() > limit)
            break;
    }
}

/* The processes left are ended, each by its id. */
static void
end_family(void)
{
    static struct family family;

    pthread_mutex_lock(&looking);
    for (int round = 0; round < 500; round++)
    {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        find_family(&family);
        if (family.count == 0)
            break;
        for (size_t i = 0; i < family.count; i++)
            kill(family.pids[i], round < 400 ? SIGTERM : SIGKILL);
        sleep_ms(20);
    }
    pthread_mutex_unlock(&looking);
}

static void
build(char *out, size_t size, const char *command, const char *name, const char *path)
{
    size_t used = 0;

    for (const char *at = command; *at != '\0' && used + PATH_MAX < size; at++)
        if (at[0] == '%' && (at[1] == 'f' || at[1] == 'p'))
            used += (size_t) snprintf(out + used, size - used, "%s", *++at == 'f' ? name : path);
        else
            out[used++] = *at;
    out[used] = '\0';
}

/* As the server's system(): a shell, and its answer. */
static int
call(const char *command)
{
    pid_t pid = vfork();

    if (pid == 0)
    {
        execl("/bin/sh", "sh", "-c", command, (char *) NULL);
        _exit(127);
    }
    if (pid < 0)
        die("vfork");
    int status;
    while (waitpid(pid, &status, 0) != pid)
        if (errno != EINTR)
            die("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
ready(const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "pg_wal/archive_status/%s.ready", name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        die(path);
    close(fd);
}

static void
done(const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];

    snprintf(from, sizeof(from), "pg_wal/archive_status/%s.ready", name);
    snprintf(to, sizeof(to), "pg_wal/archive_status/%s.done", name);
    if (rename(from, to) != 0)
        die(from);
}

static double
one_call(bool push, const char *command, const char *name)
{
    char line[3 * PATH_MAX], path[PATH_MAX];

    snprintf(path, sizeof(path), "pg_wal/%s", push ? name : "RECOVERYXLOG");
    build(line, sizeof(line), command, name, path);
    double start = now_ms();
    int code = call(line);
    for (int again = 0; code != 0 && again < AGAIN; again++)
    {
        fprintf(stderr, "caller: \"%s\" ended with %d\n", line, code);
        failures++;
        code = call(line);
    }
    double took = now_ms() - start;
    if (code != 0)
    {
        end_family();
        exit(1);
    }
    if (push)
        done(name);
    return took;
}

/* The last KEPT files stay, as in pg_wal between two restartpoints. */
static void
keep(char **names, int number)
{
    char to[PATH_MAX];

    snprintf(to, sizeof(to), "fetched/%s", names[number]);
    if (rename("pg_wal/RECOVERYXLOG", to) != 0)
        die("pg_wal/RECOVERYXLOG");
    if (number < KEPT)
        return;
    snprintf(to, sizeof(to), "fetched/%s", names[number - KEPT]);
    if (unlink(to) != 0)
        die(to);
}

int
main(int argc, char **argv)
{
    if (argc < 7)
    {
        fprintf(stderr, "usage: caller push|fetch DATA WARM REPLAY COMMAND NAME...\n");
        return 2;
    }
    bool push = strcmp(argv[1], "push") == 0;
    int warm = (int) strtol(argv[3], NULL, 10), count = argc - 6;
    long replay = strtol(argv[4], NULL, 10);
    char **names = argv + 6;
    pthread_t watcher;

    if (chdir(argv[2]) != 0)
        die(argv[2]);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        die("prctl");
    signal(SIGPIPE, SIG_DFL);
    if (pthread_create(&watcher, NULL, watch, NULL) != 0)
        die("pthread_create");
    for (int i = 0; i < warm; i++)
    {
        if (push)
            ready(names[i]);
        one_call(push, argv[5], names[i]);
        if (!push)
            keep(names, i);
    }
    if (push && warm > 0)
        wait_quiet();
    for (int i = warm; push && i < count; i++)
        ready(names[i]);
    struct cost before = cost_of_all();
    double start = now_ms(), waited = 0;
    watching = true;
    for (int i = warm; i < count; i++)
    {
        printf("%.3f\n", one_call(push, argv[5], names[i]));
        if (!push)
            keep(names, i);
        if (replay > 0 && (!push || i == warm))
        {
            double from = now_ms();
            if (push)
                wait_quiet();
            else
                sleep_ms(replay);
            waited += push ? now_ms() - from : 0;
        }
    }
    double wall = now_ms() - start - waited;
    wait_quiet();
    struct cost after = cost_of_all();
    ended = true;
    pthread_join(watcher, NULL);
    end_family();
    printf("%.6f %.6f %.6f %llu %d\n", wall / 1e3, after.user - before.user,
           after.system - before.system, (unsigned long long) greatest, failures);
    return 0;
}
