/*
 * backlog_world.h - two repositories in folders, a configuration that names them, and pg_wal.
 */
#ifndef CPAM_TESTS_BACKLOG_WORLD_H
#define CPAM_TESTS_BACKLOG_WORLD_H

#include "repo/repo_fixture.h"

#include <sys/stat.h>

#include "cli/repository.h"
#include "io/file.h"

struct backlog_world
{
    struct io *io;
    struct settings *settings;
    const struct repository_settings *behind; /* "behind"; the other one is "good" */
    struct repository *opened[2];             /* good, behind */
    char data[128], dir[256];                 /* data directory; the entries of "behind" */
};

static inline const char *
backlog_world_segment(unsigned number)
{
    static char name[SEGMENT_NAME_MAX];
    struct segment segment = {{1}, number};

    segment_format(segment, 1 << 20, name);
    return name;
}

/* archive_status/<segment>.done */
static inline const char *
backlog_world_done(const struct backlog_world *w, unsigned number)
{
    static char path[200];

    snprintf(path, sizeof(path), "%s/pg_wal/archive_status/%s.done", w->data,
             backlog_world_segment(number));
    return path;
}

/* pg_wal has it afterwards, archived; returns its path. */
static inline const char *
backlog_world_file(struct backlog_world *w, unsigned number, unsigned seed)
{
    static char path[200];
    struct cpam_err err;
    uint8_t *data = wal_bytes(REPO_SYSID, 1, (uint64_t) number << 20, 1 << 20, seed);

    snprintf(path, sizeof(path), "%s/pg_wal/%s", w->data, backlog_world_segment(number));
    ck_ok(file_write_all(io_posix(), path, 0600, data, 1 << 20, &err), &err);
    free(data);
    ck_ok(file_write_all(io_posix(), backlog_world_done(w, number), 0600, "", 0, &err), &err);
    return path;
}

static inline void
backlog_world_begin(struct backlog_world *w, struct io *io, const char *more)
{
    static const char *const names[] = {"good", "behind"};
    const struct repository_purpose purpose = {.for_write = true, .for_read = true};
    struct cluster_record record = {REPO_SYSID, 15, 1 << 20};
    struct cpam_err err;
    char text[2048];

    memset(w, 0, sizeof(*w));
    w->io = io;
    fixture_begin();
    snprintf(w->data, sizeof(w->data), "%s/data", fixture_dir);
    snprintf(text, sizeof(text), "%s/pg_wal/archive_status", w->data);
    ck_ok(file_make_dirs(io_posix(), text, 0700, &err), &err);
    const char *key = fixture_key("key", KEY_TEXT_KEYFILE, 7);
    int size = snprintf(text, sizeof(text),
                        "cluster: demo\npostgresql: { data: %s }\nstate: %s/state\n"
                        "encryption: { recipients: [ { keyfile: %s } ] }\nrepositories:\n"
                        "- { name: good, url: \"file://%s/good\" }\n"
                        "- { name: behind, url: \"file://%s/behind\" }\n%s",
                        w->data, fixture_dir, key, fixture_dir, fixture_dir, more);
    ck_ok(settings_parse("c.yaml", text, (size_t) size, &w->settings, &err), &err);
    w->behind = &w->settings->repositories[1];
    snprintf(w->dir, sizeof(w->dir), "%s/state/backlog/demo/behind/%" PRIu64, fixture_dir,
             REPO_SYSID);
    for (size_t i = 0; i < 2; i++)
    {
        CPAM_AUTO(repository_free) struct repository *fresh = NULL;

        snprintf(text, sizeof(text), "%s/%s", fixture_dir, names[i]);
        ck_ok(file_make_dirs(io_posix(), text, 0700, &err), &err);
        ck_ok(repository_open_new(io_posix(), w->settings, &w->settings->repositories[i], purpose,
                                  (struct deadline){0}, &fresh, &err),
              &err);
        ck_ok(repo_create(io_posix(), repository_repo_settings(fresh), repository_keyring(fresh),
                          &err),
              &err);
        ck_ok(repository_open(io, w->settings, &w->settings->repositories[i], purpose,
                              (struct deadline){0}, &w->opened[i], &err),
              &err);
        ck_ok(cluster_record_put(repository_repo(w->opened[i]), &record, &err), &err);
    }
}

static inline void
backlog_world_end(struct backlog_world *w)
{
    char command[128];

    repository_free(w->opened[0]);
    repository_free(w->opened[1]);
    settings_free(w->settings);
    snprintf(command, sizeof(command), "rm -rf '%s'", fixture_dir);
    ck_assert_int_eq(system(command), 0);
}

/* 0 good, 1 behind: does it have the segment? */
static inline bool
backlog_world_has(struct backlog_world *w, size_t which, const char *name)
{
    struct object_header header;
    struct cpam_err err;

    return wal_archive_header(repository_repo(w->opened[which]), REPO_SYSID, name, &header, &err) ==
           CPAM_OK;
}

#endif
