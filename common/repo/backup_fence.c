/*
 * backup_fence.c - tombstones, intents and their age.
 */
#include "repo/backup_fence.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "repo/authentic.h"
#include "repo/layout.h"
#include "repo/record.h"
#include "repo/sequence.h"

enum
{
    LATEST_MAX = 4 /* intents that are looked at; their names are in the order of time */
};

enum cpam_status
backup_not_buried(struct repo *repo, const char *label, struct cpam_err *err)
{
    struct backup_mark mark;
    char key[LAYOUT_KEY_MAX];

    layout_tomb(label, key);
    enum cpam_status status = backup_mark_get(repo, key, &mark, err);
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    if (authentic_wrong(status) || (status == CPAM_OK && strcmp(mark.label, label) != 0))
    {
        cpam_log(LOG_WARNING, "tombstone \"%s\" does not count", key);
        return CPAM_OK;
    }
    if (status != CPAM_OK)
        return status;
    return cpam_fail(err, CPAM_REFUSED, 0,
                     "backup \"%s\" has been given up and removed from the repository: \"%s\" is "
                     "there",
                     label, key);
}

static enum cpam_status
read_intent(struct repo *repo, const char *label, int64_t *created, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    char key[LAYOUT_KEY_MAX];

    layout_intent(label, key);
    CPAM_TRY(record_get(repo, key, &body, NULL, err));
    struct record_reader reader = record_read(body, key, err);

    if (strcmp(record_string(&reader, "label"), label) != 0)
        record_refuse(&reader, "label", "the one of its key");
    record_number_text(&reader, "sysid", UINT64_MAX);
    record_member(&reader, "parents");
    *created = record_time(&reader, "created");
    return record_end(&reader);
}

enum cpam_status
backup_fence(struct repo *repo, const char *label, int64_t *until, struct cpam_err *err)
{
    char took[TEXT_DURATION_MAX];
    int64_t created = 0;

    CPAM_TRY(backup_not_buried(repo, label, err));
    enum cpam_status status = read_intent(repo, label, &created, err);
    if (status == CPAM_NOT_FOUND)
        return cpam_fail(err, CPAM_REFUSED, 0,
                         "the reservation of backup \"%s\" is gone: it has been given up", label);
    if (status != CPAM_OK)
        return status;
    *until = created + BACKUP_TIME_MAX;
    int64_t age = repo_io(repo)->ops->now(repo_io(repo)) - created;
    if (age <= BACKUP_TIME_MAX)
        return CPAM_OK;
    text_format_duration(age, took);
    cpam_fail(err, CPAM_REFUSED, 0,
              "backup \"%s\" was begun %s ago, and after 72 h others may have removed parts of it",
              label, took);
    cpam_err_hint(err,
                  "take it again; more workers or a higher base.max_rate make it faster, and a "
                  "push that is stopped for long is better ended");
    return CPAM_REFUSED;
}

/* The latest intents: a ring, since listings come in ascending order. */
struct latest
{
    char labels[LATEST_MAX][BACKUP_LABEL_MAX];
    size_t seen;
    const char *own;
};

static enum cpam_status
note_intent(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct latest *latest = arg;
    const char *label = entry->key + strlen(LAYOUT_INTENTS);

    (void) err;
    if (strlen(label) < BACKUP_LABEL_MAX && strcmp(label, latest->own) != 0)
        snprintf(latest->labels[latest->seen++ % LATEST_MAX], BACKUP_LABEL_MAX, "%s", label);
    return CPAM_OK;
}

/* *created: it was begun then, not long ago, and is neither finished nor given up. */
static bool
is_open(struct repo *repo, const char *label, int64_t *created)
{
    struct store_info info;
    struct cpam_err ignored;
    char key[LAYOUT_KEY_MAX];

    layout_summary(label, key);
    return read_intent(repo, label, created, &ignored) == CPAM_OK &&
           repo_io(repo)->ops->now(repo_io(repo)) - *created <= BACKUP_TIME_MAX &&
           store_head(repo_store(repo), key, &info, &ignored) == CPAM_NOT_FOUND &&
           backup_not_buried(repo, label, &ignored) == CPAM_OK;
}

void
backup_others_tell(struct repo *repo, const char *label)
{
    struct latest latest = {.own = label};
    struct cpam_err ignored;
    char when[TEXT_TIME_MAX];
    int64_t created;

    if (store_list(repo_store(repo), LAYOUT_INTENTS, NULL, false, note_intent, &latest, &ignored) !=
        CPAM_OK)
        return;
    for (size_t i = 0; i < latest.seen && i < LATEST_MAX; i++)
        if (is_open(repo, latest.labels[i], &created))
        {
            text_format_time(created, when);
            cpam_log(
                LOG_INFO,
                "backup \"%s\" in repository \"%s\", begun %s, has not ended: another host makes "
                "it, or it was interrupted",
                latest.labels[i], repo_name(repo), when);
        }
}
