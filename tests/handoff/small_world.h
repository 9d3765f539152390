/*
 * small_world.h - a data directory, a spool, a configuration and a small worker's program, below one
 * folder in /tmp; and asking in it.
 */
#ifndef CPAM_TESTS_HANDOFF_SMALL_WORLD_H
#define CPAM_TESTS_HANDOFF_SMALL_WORLD_H

#include "suite.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handoff/call.h"
#include "io/file.h"
#include "pg/control_15.h"

static char world_dir[64], world_data[128], world_spool[512], world_config[128];
static const char *world_program;

static inline void
world_text(const char *path, const void *text, size_t size)
{
    struct cpam_err err;

    ck_ok(file_write_all(io_posix(), path, 0600, text, size, &err), &err);
}

static inline void
world_make(void)
{
    uint8_t control[8192] = {0};
    char path[256];

    world_program = getenv("SMALL_WORKER");
    ck_assert_ptr_nonnull(world_program);
    strcpy(world_dir, "/tmp/cpam-handoff-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world_dir));
    snprintf(world_data, sizeof(world_data), "%s/data", world_dir);
    snprintf(world_spool, sizeof(world_spool), "%s/spool", world_dir);
    snprintf(world_config, sizeof(world_config), "%s/config", world_dir);
    snprintf(path, sizeof(path), "%s/global", world_data);
    ck_assert_int_eq(mkdir(world_data, 0700), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(mkdir(world_spool, 0700), 0);
    snprintf(path, sizeof(path), "%s/global/pg_control", world_data);
    memcpy(control, control_15, sizeof(control_15));
    world_text(path, control, sizeof(control));
    world_text(world_config, "one", 3);
    setenv("SMALL_WORKER_SPOOL", world_spool, 1);
}

static inline struct handoff_question
world_question(const char *name, int64_t seconds)
{
    return (struct handoff_question){
        .role = HANDOFF_PUSH,
        .program = world_program,
        .spool = world_spool,
        .config = world_config,
        .data = world_data,
        .cluster = "small",
        .name = name,
        .deadline = deadline_after(io_posix(), seconds * 1000000),
    };
}

static inline enum cpam_status
world_try(const char *name, int64_t seconds, struct handoff_reply *reply, struct cpam_err *err)
{
    struct handoff_question question = world_question(name, seconds);

    return handoff_ask(io_posix(), &question, reply, err);
}

/* The process that answered. */
static inline pid_t
world_ask(const char *name)
{
    struct handoff_reply reply;
    struct cpam_err err;

    ck_ok(world_try(name, 60, &reply, &err), &err);
    ck_assert_int_eq(reply.status, CPAM_OK);
    return (pid_t) strtol(reply.path, NULL, 10);
}

/* The worker's folder in the spool, and a file in it. */
static inline void
world_place(const char *name, char *out, size_t size)
{
    struct handoff_key key;
    struct cpam_err err;

    ck_ok(handoff_key_of(io_posix(), world_data, "small", &key, &err), &err);
    snprintf(out, size, "%s/small-%llu-%llu-%llu%s%s", world_spool, (unsigned long long) key.sysid,
             (unsigned long long) key.device, (unsigned long long) key.inode,
             name == NULL ? "" : "/", name == NULL ? "" : name);
}

static inline bool
world_runs(pid_t pid)
{
    char path[64], state[512] = "";

    snprintf(path, sizeof(path), "/proc/%ld/stat", (long) pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t size = fread(state, 1, sizeof(state) - 1, file);
    fclose(file);
    /* nobody waits for it in a container without init: a zombie has ended */
    const char *behind = size == 0 ? NULL : strrchr(state, ')');
    return behind != NULL && behind[2] != 'Z' && behind[2] != 'X';
}

static inline void
world_nap(void)
{
    io_posix()->ops->sleep(io_posix(), 5000);
}

/* Ends within a minute, or the test does. */
static inline void
world_await_end(pid_t pid)
{
    struct deadline end = deadline_after(io_posix(), 50 * 1000000);

    while (world_runs(pid))
    {
        ck_assert_msg(deadline_left(io_posix(), end) > 0, "process %ld goes on", (long) pid);
        world_nap();
    }
}

/* Processes that run the worker's program on this world's data. */
static inline size_t
world_workers(pid_t *out, size_t room)
{
    DIR *proc = opendir("/proc");
    size_t found = 0;

    ck_assert_ptr_nonnull(proc);
    for (const struct dirent *one; (one = readdir(proc)) != NULL;)
    {
        char path[300], line[4096] = "";
        size_t at = 0;

        snprintf(path, sizeof(path), "/proc/%s/cmdline", one->d_name);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue;
        size_t size = fread(line, 1, sizeof(line) - 1, file);
        fclose(file);
        bool serves = false, ours = false;
        for (; at < size; at += strlen(line + at) + 1)
        {
            serves = serves || strcmp(line + at, "--serve") == 0;
            ours = ours || strcmp(line + at, world_data) == 0;
        }
        if (!serves || !ours)
            continue;
        if (found < room)
            out[found] = (pid_t) strtol(one->d_name, NULL, 10);
        found++;
    }
    closedir(proc);
    return found;
}

static inline void
world_remove_below(const char *path)
{
    DIR *dir = opendir(path);

    if (dir == NULL)
    {
        remove(path);
        return;
    }
    for (const struct dirent *one; (one = readdir(dir)) != NULL;)
    {
        char inner[4096];
        struct stat about;

        if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0)
            continue;
        if (snprintf(inner, sizeof(inner), "%s/%s", path, one->d_name) >= (int) sizeof(inner))
            continue;
        if (lstat(inner, &about) == 0 && S_ISDIR(about.st_mode))
            world_remove_below(inner);
        else
            unlink(inner);
    }
    closedir(dir);
    rmdir(path);
}

static inline void
world_remove(void)
{
    pid_t workers[64];
    size_t count = world_workers(workers, 64);

    for (size_t i = 0; i < count && i < 64; i++)
        kill(workers[i], SIGKILL);
    world_remove_below(world_dir);
}

#endif
