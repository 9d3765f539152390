/*
 * twin_log.c - writes the log that twin_log.h describes.  Each line is flushed at once, so that the
 * log of a program that is killed is whole.
 */
#include "twin_log.h"

#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum
{
    IDS_MAX = 1 << 16
};

struct known
{
    dev_t dev;
    ino_t ino;
    unsigned id;
};

struct twin_log
{
    FILE *out;
    char path[4096];
    struct stat about; /* of the log */
    unsigned next;
    size_t count;
    struct known known[IDS_MAX];
};

static void
broken(const char *what)
{
    fprintf(stderr, "twin_log: %s\n", what);
    abort();
}

struct twin_log *
twin_log_open(const char *path)
{
    struct twin_log *log = calloc(1, sizeof(*log));

    if (log == NULL || (log->out = fopen(path, "we")) == NULL)
        broken("could not open the log");
    snprintf(log->path, sizeof(log->path), "%s", path);
    if (fstat(fileno(log->out), &log->about) != 0)
        broken("fstat of the log");
    return log;
}

/* A program that lets go of its starter closes every descriptor, this one too, and its number may be
 * another file's by now: the old stream is given up as it is, never closed. */
static void
still_open(struct twin_log *log)
{
    struct stat now;

    if (fstat(fileno(log->out), &now) == 0 && now.st_dev == log->about.st_dev &&
        now.st_ino == log->about.st_ino)
        return;
    if ((log->out = fopen(log->path, "ae")) == NULL)
        broken("could not open the log again");
}

void
twin_log_close(struct twin_log *log)
{
    if (log == NULL)
        return;
    if (fclose(log->out) != 0)
        broken("could not close the log");
    free(log);
}

static struct known *
find(struct twin_log *log, const struct stat *about)
{
    for (size_t i = log->count; i > 0; i--)
        if (log->known[i - 1].dev == about->st_dev && log->known[i - 1].ino == about->st_ino)
            return &log->known[i - 1];
    return NULL;
}

/* A new file: an id of its own, whatever had its inode number before. */
static unsigned
fresh(struct twin_log *log, const struct stat *about)
{
    struct known *known = find(log, about);

    if (known == NULL)
    {
        if (log->count == IDS_MAX)
            broken("too many files");
        known = &log->known[log->count++];
        known->dev = about->st_dev;
        known->ino = about->st_ino;
    }
    return known->id = ++log->next;
}

static unsigned
id_of(struct twin_log *log, const struct stat *about, const char *path)
{
    struct known *known = find(log, about);

    if (known != NULL)
        return known->id;
    unsigned id = fresh(log, about);
    fprintf(log->out, "seen\t%u\t%s\n", id, path);
    return id;
}

static unsigned
id_of_fd(struct twin_log *log, int fd)
{
    char link[64];
    char path[4096];
    struct stat about;

    if (fstat(fd, &about) != 0)
        broken("fstat");
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    path[len < 0 ? 0 : len] = '\0';
    return id_of(log, &about, path);
}

struct place
{
    unsigned dir;
    char name[256];
};

static struct place
place_of(struct twin_log *log, const char *path)
{
    char copy[4096];
    struct place place;
    struct stat about;

    snprintf(copy, sizeof(copy), "%s", path);
    for (size_t len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
        copy[len - 1] = '\0';
    char *slash = strrchr(copy, '/');
    if (slash == NULL)
        broken("a path that is not absolute");
    snprintf(place.name, sizeof(place.name), "%s", slash + 1);
    slash[slash == copy ? 1 : 0] = '\0';
    if (stat(copy, &about) != 0)
        broken("stat of a directory");
    place.dir = id_of(log, &about, copy);
    return place;
}

void
twin_log_created(struct twin_log *log, int fd, const char *path)
{
    still_open(log);
    struct place place = place_of(log, path);
    struct stat about;

    if (fstat(fd, &about) != 0)
        broken("fstat");
    fprintf(log->out, "create\t%u\t%s\t%u\n", place.dir, place.name, fresh(log, &about));
    fflush(log->out);
}

void
twin_log_mkdir(struct twin_log *log, const char *path)
{
    still_open(log);
    struct place place = place_of(log, path);
    struct stat about;

    if (stat(path, &about) != 0)
        broken("stat");
    fprintf(log->out, "mkdir\t%u\t%s\t%u\n", place.dir, place.name, fresh(log, &about));
    fflush(log->out);
}

void
twin_log_link(struct twin_log *log, const char *from, const char *to)
{
    still_open(log);
    struct place place = place_of(log, to);
    struct stat about;

    if (lstat(to, &about) != 0)
        broken("lstat");
    unsigned id = id_of(log, &about, from);
    fprintf(log->out, "link\t%u\t%s\t%u\n", place.dir, place.name, id);
    fflush(log->out);
}

void
twin_log_unlink(struct twin_log *log, const char *path)
{
    still_open(log);
    struct place place = place_of(log, path);

    fprintf(log->out, "unlink\t%u\t%s\n", place.dir, place.name);
    fflush(log->out);
}

void
twin_log_rename(struct twin_log *log, const char *from, const char *to)
{
    still_open(log);
    struct place source = place_of(log, from);
    struct place target = place_of(log, to);
    struct stat about;

    if (lstat(to, &about) != 0)
        broken("lstat");
    unsigned id = id_of(log, &about, from);
    fprintf(log->out, "rename\t%u\t%s\t%u\t%s\t%u\n", source.dir, source.name, target.dir,
            target.name, id);
    fflush(log->out);
}

void
twin_log_symlink(struct twin_log *log, const char *target, const char *path)
{
    still_open(log);
    struct place place = place_of(log, path);

    fprintf(log->out, "symlink\t%u\t%s\t%s\n", place.dir, place.name, target);
    fflush(log->out);
}

void
twin_log_write(struct twin_log *log, int fd, uint64_t at, const void *data, size_t size)
{
    still_open(log);
    unsigned id = id_of_fd(log, fd);

    fprintf(log->out, "write\t%u\t%" PRIu64 "\t%zu\n", id, at, size);
    fwrite(data, 1, size, log->out);
    fputc('\n', log->out);
    fflush(log->out);
}

void
twin_log_truncate(struct twin_log *log, int fd, uint64_t size)
{
    still_open(log);
    unsigned id = id_of_fd(log, fd);

    fprintf(log->out, "truncate\t%u\t%" PRIu64 "\n", id, size);
    fflush(log->out);
}

void
twin_log_fsync(struct twin_log *log, int fd)
{
    still_open(log);
    unsigned id = id_of_fd(log, fd);

    fprintf(log->out, "fsync\t%u\n", id);
    fflush(log->out);
}
