/*
 * repo_claim.c - cpam-repo claim: a restored copy becomes a database of its own right.
 *
 * cpam-base-fetch gives a copy an archive_command that refuses (postgresql.md, trap 7), since a copy
 * and its original have one system identifier and would write under one name.  Claiming takes that
 * line out of postgresql.auto.conf and has the server read it again; the server has kept all WAL
 * meanwhile.  Every other line stays as it is, byte for byte.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "io/file.h"
#include "pg/guc_file.h"
#include "repo_parts.h"

struct claim
{
    struct cpam_buf before, after; /* the file's text */
    unsigned removed;              /* lines */
};

static void
claim_clear(struct claim *claim)
{
    cpam_buf_clear(&claim->before);
    cpam_buf_clear(&claim->after);
}

/* Is this one line a setting of `name` with a value that fits? */
static enum cpam_status
line_sets(const char *line, size_t size, const char *name, const char *words, bool *out,
          struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf value = {0};
    bool found;

    *out = false;
    CPAM_TRY(guc_file_get(line, size, name, &value, &found, err));
    if (!found)
        return CPAM_OK;
    const char *text = cpam_buf_text(&value);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    *out = words == NULL ? text[0] == '\0' : strstr(text, words) != NULL;
    return CPAM_OK;
}

/*
 * Only the refusing lines go: an archive_command that the original had in this file, above them,
 * counts again.  archive_library = '' was written beside it, for PostgreSQL 15 and later.
 */
static enum cpam_status
take_out(struct claim *claim, struct cpam_err *err)
{
    const char *text = (const char *) claim->before.data;

    for (size_t at = 0; at < claim->before.size;)
    {
        const char *end = memchr(text + at, '\n', claim->before.size - at);
        size_t size = end == NULL ? claim->before.size - at : (size_t) (end - (text + at)) + 1;
        bool refusing, empty;

        CPAM_TRY(line_sets(text + at, size, "archive_command", "--unclaimed", &refusing, err));
        CPAM_TRY(line_sets(text + at, size, "archive_library", NULL, &empty, err));
        if (!refusing && !empty)
            CPAM_TRY(cpam_buf_append(&claim->after, text + at, size, GUC_FILE_MAX, err));
        claim->removed += refusing;
        at += size;
    }
    return CPAM_OK;
}

/* What archives from now on, as far as this file says. */
static enum cpam_status
print_command(struct claim *claim, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf value = {0};
    bool found;

    CPAM_TRY(guc_file_get((const char *) claim->after.data, claim->after.size, "archive_command",
                          &value, &found, err));
    const char *text = cpam_buf_text(&value);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    if (found)
        printf("It archives with \"%s\" (postgresql.auto.conf).\n", text);
    else
        printf("It archives with the archive_command of its postgresql.conf.\n");
    return CPAM_OK;
}

static enum cpam_status
reload(struct cli *cli, const char *data_dir, struct cpam_err *err)
{
    struct postmaster_pid postmaster;
    bool running;

    CPAM_TRY(postmaster_find(cli->io, data_dir, &running, &postmaster, err));
    if (!running)
    {
        printf("No server runs on it: the change counts from its next start.\n");
        return CPAM_OK;
    }
    if (kill(postmaster.pid, SIGHUP) != 0)
        return cpam_fail(err, CPAM_REFUSED, errno,
                         "could not have the server (process %ld) read its configuration again",
                         (long) postmaster.pid);
    printf("The server (process %ld) was told to read its configuration again.\n",
           (long) postmaster.pid);
    return CPAM_OK;
}

static enum cpam_status
claim_file(struct cli *cli, const char *data_dir, struct claim *claim, struct cpam_err *err)
{
    char path[PATH_MAX];
    struct stat found;

    if (snprintf(path, sizeof(path), "%s/postgresql.auto.conf", data_dir) >= (int) sizeof(path))
        return cpam_fail(err, CPAM_USAGE, 0, "the path \"%.200s...\" is too long", data_dir);
    enum cpam_status status = file_read_all(cli->io, path, GUC_FILE_MAX, &claim->before, err);
    if (status != CPAM_OK && status != CPAM_NOT_FOUND)
        return status;
    CPAM_TRY(take_out(claim, err));
    if (claim->removed == 0)
    {
        printf("Nothing to claim: \"%s\" does not refuse to archive.\n", data_dir);
        return CPAM_OK;
    }
    CPAM_TRY(file_stat(cli->io, path, &found, err));
    CPAM_TRY(file_write_all(cli->io, path, found.st_mode & 07777, claim->after.data,
                            claim->after.size, err));
    printf("Claimed \"%s\": the refusing archive_command is out of its postgresql.auto.conf.\n",
           data_dir);
    CPAM_TRY(print_command(claim, err));
    CPAM_TRY(reload(cli, data_dir, err));
    printf("Its original must not archive any more into the same repository. Next: \"cpam-repo "
           "check\".\n");
    return CPAM_OK;
}

enum cpam_status
repo_claim_run(struct cli *cli, const char *data_dir, struct cpam_err *err)
{
    struct claim claim = {0};
    struct control control;

    CPAM_TRY(program_become_owner(cli, data_dir, err));
    CPAM_TRY(control_file_read(cli->io, data_dir, &control, err));
    enum cpam_status status = claim_file(cli, data_dir, &claim, err);
    claim_clear(&claim);
    return status;
}
