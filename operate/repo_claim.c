/*
 * repo_claim.c - cpam-repo claim: a restored copy becomes a database of its own right.
 *
 * cpam-base-fetch gives a copy an archive_command that refuses (postgresql.md, trap 7), since a copy
 * and its original have one system identifier and would write under one name.  Claiming takes that
 * line out of postgresql.auto.conf and has the server read it again; the server has kept all WAL
 * meanwhile.  Once recovery is over its settings go too, also from what was restored in place: a
 * replica made of this server by pg_basebackup would take them for its own, and recover to a timeline
 * of the past.  Only lines that the restore wrote go (pg/written_lines.h); every other line stays as
 * it is, byte for byte.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "io/file.h"
#include "pg/guc_file.h"
#include "pg/written_lines.h"
#include "repo_parts.h"

struct claim
{
    struct cpam_buf before, after; /* the file's text */
    struct written_removed removed;
    bool recovered; /* it is open, or was */
};

static void
claim_clear(struct claim *claim)
{
    cpam_buf_clear(&claim->before);
    cpam_buf_clear(&claim->after);
}

/* While a server recovers, or has yet to, it needs what it was told about that. */
static bool
is_recovered(struct cli *cli, const char *data_dir, const struct control *control)
{
    static const char *const signals[] = {"recovery.signal", "standby.signal"};
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (snprintf(path, sizeof(path), "%s/%s", data_dir, signals[i]) >= (int) sizeof(path) ||
            file_exists(cli->io, path))
            return false;
    return control->state == CONTROL_IN_PRODUCTION || control->state == CONTROL_SHUTDOWNED;
}

/* The zeros in the place of its other databases are not to be backed up as theirs. */
static enum cpam_status
check_whole(const struct claim *claim, const char *data_dir, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf value = {0};
    bool found;

    CPAM_TRY(guc_file_get((const char *) claim->before.data, claim->before.size, WRITTEN_PARTIAL,
                          &value, &found, err));
    if (!found)
        return CPAM_OK;
    cpam_fail(
        err, CPAM_REFUSED, 0,
        "\"%s\" was restored with --database: the other databases in it are empty, and it can "
        "never be the original",
        data_dir);
    cpam_err_hint(err, "take the database out of it with pg_dump; what is to archive is restored "
                       "without --database");
    return CPAM_REFUSED;
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
    CPAM_TRY(check_whole(claim, data_dir, err));
    CPAM_TRY(written_lines_remove((const char *) claim->before.data, claim->before.size,
                                  claim->recovered ? WRITTEN_ALL : WRITTEN_ARCHIVING, &claim->after,
                                  &claim->removed, err));
    if (claim->removed.archiving + claim->removed.recovery == 0)
    {
        printf("Nothing to claim: \"%s\" does not refuse to archive.\n", data_dir);
        return CPAM_OK;
    }
    CPAM_TRY(file_stat(cli->io, path, &found, err));
    CPAM_TRY(file_write_all(cli->io, path, found.st_mode & 07777, claim->after.data,
                            claim->after.size, err));
    if (claim->removed.archiving > 0)
    {
        printf("Claimed \"%s\": the refusing archive_command is out of its postgresql.auto.conf.\n",
               data_dir);
        CPAM_TRY(print_command(claim, err));
    }
    if (claim->recovered && claim->removed.recovery > 0)
        printf("The settings of its recovery are out of its postgresql.auto.conf (what the server "
               "logs of a restart for recovery_target_* needs none).\n");
    CPAM_TRY(reload(cli, data_dir, err));
    if (!claim->recovered)
        printf("It is still to recover: when it is open, claim it once more, which takes out the "
               "settings of the recovery.\n");
    if (claim->removed.archiving > 0)
        printf("Its original must not archive any more into the same repository. Next: "
               "\"cpam-repo check\".\n");
    return CPAM_OK;
}

enum cpam_status
repo_claim_run(struct cli *cli, const char *data_dir, struct cpam_err *err)
{
    struct claim claim = {0};
    struct control control;

    CPAM_TRY(program_become_owner(cli, data_dir, err));
    CPAM_TRY(control_file_read(cli->io, data_dir, &control, err));
    claim.recovered = is_recovered(cli, data_dir, &control);
    enum cpam_status status = claim_file(cli, data_dir, &claim, err);
    claim_clear(&claim);
    return status;
}
