/*
 * twin_wrap.c - puts the twin into a whole program, linked with -Wl,--wrap=io_posix: every call of
 * io_posix() comes here.  The variables are described in io_twin.h.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io_twin.h"

struct io *io_twin_real(void);
struct io *__real_io_posix(void);
struct io *__wrap_io_posix(void);

static struct io_twin *twin;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct io *
io_twin_real(void)
{
    return __real_io_posix();
}

static void
at_exit(void)
{
    const char *path = getenv("CPAM_TWIN_COUNT");
    FILE *out = path == NULL ? NULL : fopen(path, "we");

    if (out == NULL)
        return;
    fprintf(out, "calls %u open %d\n", io_twin_calls(twin), io_twin_open_fds(twin));
    fclose(out);
    const char *trace = getenv("CPAM_TWIN_TRACE");
    if (trace != NULL && (out = fopen(trace, "we")) != NULL)
    {
        fputs(io_twin_trace(twin), out);
        fclose(out);
    }
}

/* CPAM_TWIN_FLIP=FILE:OFFSET:KIND:N */
static struct
{
    char *path, *kind;
    long offset;
    unsigned at, seen;
} flip;

static void
flip_byte(void *arg, unsigned call, const char *kind, const char *path)
{
    char byte = 0;

    (void) arg;
    (void) call;
    if (strcmp(kind, flip.kind) != 0 || strcmp(path, flip.path) != 0 || ++flip.seen != flip.at)
        return;
    FILE *file = fopen(flip.path, "r+e");
    if (file == NULL || fseek(file, flip.offset, SEEK_SET) != 0 || fread(&byte, 1, 1, file) != 1)
        abort();
    byte = (char) (byte ^ 1);
    if (fseek(file, flip.offset, SEEK_SET) != 0 || fwrite(&byte, 1, 1, file) != 1 ||
        fclose(file) != 0)
        abort();
}

/* CPAM_TWIN_STALL=SECONDS:KIND:PART: every call of this kind on a path that holds PART hangs. */
static struct
{
    char *kind, *part;
    unsigned seconds;
} stall;

static void
hang(void *arg, unsigned call, const char *kind, const char *path)
{
    (void) arg;
    (void) call;
    if (strcmp(kind, stall.kind) == 0 && strstr(path, stall.part) != NULL)
        io_twin_hang(twin, stall.seconds);
}

static void
parse_stall(const char *text)
{
    char *fields = strdup(text);

    stall.seconds = (unsigned) strtoul(strsep(&fields, ":"), NULL, 10);
    stall.kind = strsep(&fields, ":");
    stall.part = fields;
}

static void
parse_flip(const char *text)
{
    char *fields = strdup(text);

    flip.path = strsep(&fields, ":");
    flip.offset = strtol(strsep(&fields, ":"), NULL, 10);
    flip.kind = strsep(&fields, ":");
    flip.at = (unsigned) strtoul(fields, NULL, 10);
}

/* CPAM_TWIN_MOVE=FROM:TO:KIND:PART: before the first call of this kind on a path that holds PART. */
static struct
{
    char *from, *to, *kind, *part;
    bool done;
} move;

static void
move_file(void *arg, unsigned call, const char *kind, const char *path)
{
    (void) arg;
    (void) call;
    if (move.done || strcmp(kind, move.kind) != 0 || strstr(path, move.part) == NULL)
        return;
    move.done = true;
    if (rename(move.from, move.to) != 0)
        abort();
}

static void
parse_move(const char *text)
{
    char *fields = strdup(text);

    move.from = strsep(&fields, ":");
    move.to = strsep(&fields, ":");
    move.kind = strsep(&fields, ":");
    move.part = fields;
}

/* A name or a number, up to the next colon.  One that is not known ends the program: a test would not
   test what it says. */
static int
errno_of(char **at)
{
    static const struct
    {
        const char *name;
        int number;
    } known[] = {{"EIO", EIO},       {"ENOENT", ENOENT}, {"ENOSPC", ENOSPC},
                 {"EACCES", EACCES}, {"ENFILE", ENFILE}, {"ESTALE", ESTALE}};
    const char *name = *at;
    size_t size = strcspn(name, ":");

    *at += size;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i].name) == size && strncmp(known[i].name, name, size) == 0)
            return known[i].number;
    int number = (int) strtol(name, NULL, 10);
    if (number <= 0)
        abort();
    return number;
}

/* "N[+][:ERRNO][:KIND]" */
static void
parse(const char *text, struct io_twin_plan *plan, bool is_kill)
{
    char *end;
    unsigned call = (unsigned) strtoul(text, &end, 10);

    if (is_kill)
        plan->kill_call = call;
    else
        plan->fail_call = call;
    if (*end == '+')
    {
        plan->fail_on = true;
        end++;
    }
    if (*end == ':' && !is_kill)
    {
        end++;
        plan->fail_errno = errno_of(&end);
    }
    if (*end == ':' && is_kill)
        plan->kill_kind = end + 1;
    else if (*end == ':')
        plan->fail_kind = end + 1;
}

static void
start(void)
{
    static const char *const names[] = {"CPAM_TWIN_FAIL",  "CPAM_TWIN_KILL",  "CPAM_TWIN_SHORT",
                                        "CPAM_TWIN_LOG",   "CPAM_TWIN_COUNT", "CPAM_TWIN_FLIP",
                                        "CPAM_TWIN_STALL", "CPAM_TWIN_MOVE"};
    struct io_twin_plan plan = {.fail_errno = EIO, .real_clock = true};
    const char *values[8];
    bool any = false;

    for (size_t i = 0; i < 8; i++)
    {
        values[i] = getenv(names[i]);
        any = any || values[i] != NULL;
    }
    if (!any)
        return;
    if (values[0] != NULL)
        parse(values[0], &plan, false);
    if (values[1] != NULL)
        parse(values[1], &plan, true);
    if (values[2] != NULL)
        plan.short_bytes = (size_t) strtoul(values[2], NULL, 10);
    plan.log = values[3];
    if (values[5] != NULL)
    {
        parse_flip(values[5]);
        plan.hook = flip_byte;
    }
    if (values[6] != NULL)
    {
        parse_stall(values[6]);
        plan.hook = hang;
    }
    if (values[7] != NULL)
    {
        parse_move(values[7]);
        plan.hook = move_file;
    }
    twin = io_twin_new();
    io_twin_plan(twin, &plan);
    atexit(at_exit);
}

struct io *
__wrap_io_posix(void)
{
    pthread_once(&once, start);
    return twin == NULL ? __real_io_posix() : io_twin_io(twin);
}
