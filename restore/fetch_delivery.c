/*
 * fetch_delivery.c - temporary file, last look, rename; and what signals must not leave behind.
 */
#include "fetch_delivery.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/text.h"
#include "draft.h"
#include "io/file.h"

#define TEMPORARY_PREFIX ".cpam-"

enum
{
    NONCE_SIZE = 8, /* bytes of the temporary's random name */
    STALE_AGE = 24 * 3600
};

struct fetch_delivery
{
    struct sink sink; /* first: what the sink's functions are given is the delivery */
    struct io *io;
    const struct fetch_situation *situation;
    char *temporary;
    struct draft draft;
};

/* For the handlers, which may call unlink(2) and little else.  Set before the file is made. */
static const char *volatile guarded;
static volatile sig_atomic_t limit_code;

static enum cpam_status
local_failure(enum cpam_status status, struct cpam_err *err)
{
    if (status == CPAM_OK)
        return CPAM_OK;
    err->status = CPAM_IO;
    return CPAM_IO;
}

static enum cpam_status
delivery_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct fetch_delivery *delivery = (struct fetch_delivery *) sink;

    guarded = delivery->temporary;
    return draft_write(&delivery->draft, data, size, err);
}

/* fetch_delivery_publish() publishes, and the sink is part of the delivery. */
static const struct sink_ops delivery_ops = {.write = delivery_write};

enum cpam_status
fetch_delivery_new(struct io *io, const struct fetch_situation *situation,
                   struct fetch_delivery **out, struct cpam_err *err)
{
    CPAM_AUTO(fetch_delivery_free) struct fetch_delivery *made = calloc(1, sizeof(*made));
    uint8_t nonce[NONCE_SIZE];
    char text[2 * NONCE_SIZE + 1];

    *out = NULL;
    if (made == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for a delivery");
    made->sink.ops = &delivery_ops;
    made->io = io;
    made->situation = situation;
    draft_init(&made->draft, io, NULL);
    if (io->ops->random(io, nonce, sizeof(nonce)) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not get random bytes for a temporary name");
    text_hex(nonce, sizeof(nonce), text);
    if (asprintf(&made->temporary, "%s/" TEMPORARY_PREFIX "%s", situation->directory, text) < 0)
    {
        made->temporary = NULL;
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for a temporary name");
    }
    made->draft.path = made->temporary;
    *out = CPAM_STEAL(made);
    return CPAM_OK;
}

void
fetch_delivery_restart(struct fetch_delivery *delivery)
{
    draft_drop(&delivery->draft);
}

void
fetch_delivery_free(struct fetch_delivery *delivery)
{
    if (delivery == NULL)
        return;
    fetch_delivery_restart(delivery);
    if (guarded == delivery->temporary)
        guarded = NULL;
    free(delivery->temporary);
    free(delivery);
}

struct sink *
fetch_delivery_sink(struct fetch_delivery *delivery)
{
    return &delivery->sink;
}

const char *
fetch_delivery_path(const struct fetch_delivery *delivery)
{
    return delivery->temporary;
}

uint64_t
fetch_delivery_size(const struct fetch_delivery *delivery)
{
    return delivery->draft.size;
}

static enum cpam_status
publish(struct fetch_delivery *delivery, struct cpam_err *err)
{
    const struct fetch_situation *situation = delivery->situation;
    bool durable = situation->caller == FETCH_CALLER_PERSON;

    guarded = delivery->temporary;
    CPAM_TRY(draft_make(&delivery->draft, err)); /* an empty file is a file */
    if (durable)
        CPAM_TRY(file_sync(delivery->io, delivery->draft.fd, delivery->temporary, err));
    CPAM_TRY(draft_close(&delivery->draft, err));
    CPAM_TRY(fetch_situation_check(delivery->io, situation, err));
    CPAM_TRY(draft_rename(&delivery->draft, situation->destination, err));
    if (durable)
        CPAM_TRY(file_sync_parent(delivery->io, situation->destination, err));
    return CPAM_OK;
}

enum cpam_status
fetch_delivery_publish(struct fetch_delivery *delivery, struct cpam_err *err)
{
    enum cpam_status status = publish(delivery, err);

    if (status != CPAM_OK)
        fetch_delivery_restart(delivery);
    return status == CPAM_CANCELLED ? status : local_failure(status, err);
}

static void
sweep_one(struct io *io, const char *directory, const char *name)
{
    CPAM_AUTO(free) char *path = NULL;
    struct cpam_err ignored;
    struct stat info;

    if (strncmp(name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) != 0 ||
        strlen(name) != strlen(TEMPORARY_PREFIX) + (size_t) (2 * NONCE_SIZE))
        return;
    if (asprintf(&path, "%s/%s", directory, name) < 0)
    {
        path = NULL;
        return;
    }
    if (file_stat(io, path, &info, &ignored) != CPAM_OK || !S_ISREG(info.st_mode) ||
        io->ops->now(io) / 1000000 - info.st_mtime < STALE_AGE)
        return;
    if (file_unlink(io, path, &ignored) != CPAM_OK)
        return; /* another fetch was faster, or may not: it stays for a person to see */
}

void
fetch_delivery_sweep(struct io *io, const struct fetch_situation *situation)
{
    DIR *dir = io->ops->opendir(io, AT_FDCWD, situation->directory);
    const struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = io->ops->readdir(io, dir)) != NULL)
        sweep_one(io, situation->directory, entry->d_name);
    if (io->ops->closedir(io, dir) != 0)
        return;
}

static void
end_by_signal(int number)
{
    const char *path = guarded;

    if (path != NULL)
        unlink(path);
    signal(number, SIG_DFL);
    raise(number); /* taken when the handler returns */
}

static void
end_overdue(int number)
{
    static const char words[] =
        "cpam-wal-fetch: error: a call to the file system or network has not "
        "come back within wal.fetch.timeout\n";
    const char *path = guarded;
    ssize_t ignored;

    (void) number;
    if (path != NULL)
        unlink(path);
    ignored = write(STDERR_FILENO, words, sizeof(words) - 1);
    (void) ignored;
    _exit(limit_code);
}

void
fetch_delivery_guard(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = end_by_signal};
    sigset_t all;

    sigfillset(&action.sa_mask);
    sigemptyset(&all);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
    {
        struct sigaction before;

        /* nohup(1) and shells in the background have them ignored on purpose; SIGTERM never */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN &&
            numbers[i] != SIGTERM)
            continue;
        sigaction(numbers[i], &action, NULL);
        sigaddset(&all, numbers[i]);
    }
    action.sa_handler = end_overdue;
    sigaction(SIGALRM, &action, NULL);
    sigaddset(&all, SIGALRM);
    /* a parent may have left them blocked */
    sigprocmask(SIG_UNBLOCK, &all, NULL);
}

void
fetch_delivery_limit(int64_t us, int code)
{
    struct itimerval timer = {
        .it_value = {.tv_sec = us / 1000000, .tv_usec = us % 1000000},
    };

    limit_code = code;
    setitimer(ITIMER_REAL, &timer, NULL);
}
