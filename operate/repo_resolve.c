/*
 * repo_resolve.c - cpam-repo resolve: a person says which of two contents keeps a name.
 *
 * The other one goes into quarantine, and nothing is deleted.  Without --yes nothing is changed: what
 * is there is shown, and what would be done.  Each step can be made again, so that a run that was cut
 * short is finished by the next one.
 */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "resolve.h"

/* Who decided, as far as the system knows: "user@host". */
static void
decider(const struct cli *cli, char out[QUARANTINE_BY_MAX])
{
    struct passwd *entry = cli->user[0] == '\0' ? getpwuid(geteuid()) : NULL;
    const char *user = cli->user[0] != '\0' ? cli->user : entry != NULL ? entry->pw_name : "?";
    char host[65];

    if (gethostname(host, sizeof(host)) != 0)
        snprintf(host, sizeof(host), "?");
    host[sizeof(host) - 1] = '\0';
    snprintf(out, QUARANTINE_BY_MAX, "%.100s@%.64s", user, host);
}

/* A segment counts as safe only when the history of its timeline is there (ask 6). */
static enum cpam_status
put_history(struct resolve *resolve, struct repo *repo, struct cpam_err *err)
{
    CPAM_AUTO(wal_item_free) struct wal_item *history = NULL;
    char path[sizeof(resolve->path)], name[ARCHIVE_NAME_MAX];
    const char *slash = strrchr(resolve->path, '/');
    bool was_there;

    if (resolve->name.kind == ARCHIVE_HISTORY || resolve->name.timeline.id == 1)
        return CPAM_OK;
    snprintf(name, sizeof(name), "%08" PRIX32 ".history", resolve->name.timeline.id);
    int size = snprintf(path, sizeof(path), "%.*s%s",
                        slash == NULL ? 0 : (int) (slash + 1 - resolve->path), resolve->path, name);
    if (size >= (int) sizeof(path))
        return cpam_fail(err, CPAM_USAGE, 0, "the path \"%.100s...\" is too long", path);
    enum cpam_status status =
        wal_item_read(resolve->cli->io, path, name, resolve->sysid, &history, err);
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK; /* the archiver brings it, and says so where nobody has it */
    if (status == CPAM_OK)
        status = wal_archive_put(repo, history, &was_there, err);
    if (status == CPAM_EXISTS)
        cpam_err_hint(err, "resolve \"%s\" first: whose history is real decides whose segments are",
                      name);
    return status;
}

static enum cpam_status
keep_local(struct resolve *resolve, struct resolve_view *view, struct quarantine_note *note,
           struct cpam_err *err)
{
    struct repo *repo = repository_repo(view->opened);
    bool was_there;

    note->kept = view->local.content;
    if (view->archived.there)
        CPAM_TRY(quarantine_move(repo, resolve->sysid, resolve->name.text, note, err));
    CPAM_TRY(put_history(resolve, repo, err));
    return wal_archive_put(repo, resolve->item, &was_there, err);
}

static enum cpam_status
keep_archived(struct resolve *resolve, struct resolve_view *view, struct quarantine_note *note,
              struct cpam_err *err)
{
    note->kept = view->archived.content;
    return quarantine_put(repository_repo(view->opened), resolve->item, note, err);
}

/* What there is to do in this repository; NULL: nothing. */
static const char *
plan_of(const struct resolve *resolve, const struct resolve_view *view, bool *attention)
{
    const char *keep = resolve->options->keep;

    if (keep == NULL)
    {
        *attention |= view->state == RESOLVE_CONFLICT;
        return NULL;
    }
    bool archived = strcmp(keep, "archived") == 0;
    switch (view->state)
    {
    case RESOLVE_SAME:
    case RESOLVE_ALONE: return NULL;
    case RESOLVE_ABSENT:
        if (!archived && resolve->item != NULL)
            return "archive the local file";
        *attention = true; /* the archiver puts there what is put aside elsewhere */
        return NULL;
    case RESOLVE_ASIDE:
        if (archived)
            return NULL;
        break;
    case RESOLVE_CONFLICT: break;
    }
    return archived ? "put the local file into quarantine"
                    : "put the archived file into quarantine, and archive the local one";
}

static enum cpam_status
act(struct resolve *resolve, struct resolve_view *view, struct cpam_err *err)
{
    const struct repo_options *options = resolve->options;
    bool attention = false;
    const char *plan = plan_of(resolve, view, &attention);
    struct quarantine_note note = {.reason = options->reason != NULL ? options->reason : ""};
    char by[QUARANTINE_BY_MAX];

    resolve->cli->attention = resolve->cli->attention || attention;
    if (plan == NULL)
        return CPAM_OK;
    if (!options->yes)
    {
        snprintf(view->done, sizeof(view->done), "--yes would %s", plan);
        resolve->cli->attention = true;
        return CPAM_OK;
    }
    decider(resolve->cli, by);
    note.by = by;
    if (strcmp(options->keep, "archived") == 0)
        CPAM_TRY(keep_archived(resolve, view, &note, err));
    else
        CPAM_TRY(keep_local(resolve, view, &note, err));
    snprintf(view->done, sizeof(view->done), "done: %s", plan);
    return CPAM_OK;
}

static enum cpam_status
check_call(const struct resolve *resolve, struct cpam_err *err)
{
    const struct repo_options *options = resolve->options;

    if (resolve->name.kind != ARCHIVE_SEGMENT && resolve->name.kind != ARCHIVE_HISTORY)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "\"%s\" can't be in conflict: another content of it goes beside it",
                         resolve->name.text);
    if (options->yes && options->keep == NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "--yes needs --keep archived or --keep local");
    if (options->reason != NULL && strlen(options->reason) >= QUARANTINE_REASON_MAX)
        return cpam_fail(err, CPAM_USAGE, 0, "--reason is longer than %d bytes",
                         QUARANTINE_REASON_MAX - 1);
    return CPAM_OK;
}

static enum cpam_status
run(struct resolve *resolve, struct cpam_err *err)
{
    const struct repo_options *options = resolve->options;
    enum cpam_status status = CPAM_OK;

    CPAM_TRY(check_call(resolve, err));
    CPAM_TRY(resolve_look(resolve, err));
    if (resolve->item == NULL && options->keep != NULL)
        return cpam_fail(
            err, CPAM_USAGE, 0,
            "there is no \"%s\", so there are no two sides to choose from; --file names "
            "the other one",
            resolve->path);
    for (size_t i = 0; i < resolve->count && status == CPAM_OK; i++)
        status = act(resolve, &resolve->views[i], err);
    /* what was done before a failure is shown too */
    struct cpam_err shown;
    enum cpam_status show = resolve_show(resolve, &shown);
    if (status == CPAM_OK && show != CPAM_OK)
        *err = shown;
    return status == CPAM_OK ? show : status;
}

enum cpam_status
repo_resolve_run(struct cli *cli, const char *name, struct cpam_err *err)
{
    CPAM_AUTO(free) struct resolve *resolve = calloc(1, sizeof(*resolve));

    if (resolve == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    resolve->cli = cli;
    resolve->options = cli->options;
    if (archive_name_parse(name, &resolve->name, err) != CPAM_OK)
        return err->status = CPAM_USAGE;
    enum cpam_status status = run(resolve, err);
    resolve_clear(resolve);
    return status;
}
