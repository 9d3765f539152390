/*
 * backup_list.c - the backups of a repository, and what does not fit.
 *
 * A backup counts when its summary verifies and no tombstone says that it was lawfully removed.
 * `prev` chains summaries by digest: one that names a predecessor that is neither here nor under a
 * tombstone proves that a backup was taken away; so does a number at the end without its summary,
 * unless a push died just there, which looks the same until the next push settles it
 * (format-1.md fault 8).
 */
#include "repo/backup.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "repo/authentic.h"
#include "repo/layout.h"
#include "repo/sequence.h"

#define FUTURE_US INT64_C(900000000) /* 15 min: fault 9 */

enum
{
    FINDINGS_MAX = 1000
};

struct labels
{
    char (*items)[BACKUP_LABEL_MAX];
    size_t count, cap;
    bool prefixes; /* "backup/<label>/", otherwise "tomb/<label>" */
};

static enum cpam_status
note_label(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct labels *labels = arg;
    const char *start = strchr(entry->key, '/');
    char label[BACKUP_LABEL_MAX];
    struct cpam_err ignored;

    if (start == NULL || entry->is_prefix != labels->prefixes)
        return CPAM_OK;
    size_t length = strlen(++start) - (entry->is_prefix ? 1 : 0);
    if (length >= sizeof(label))
        return CPAM_OK;
    memcpy(label, start, length);
    label[length] = '\0';
    if (label_check(label, &ignored) != CPAM_OK)
        return CPAM_OK;
    if (labels->count == BACKUPS_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "there are more than %d backups", BACKUPS_MAX);
    if (labels->count == labels->cap)
    {
        size_t cap = labels->cap == 0 ? 64 : labels->cap * 2;
        void *grown = realloc(labels->items, cap * sizeof(*labels->items));

        if (grown == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the list of backups");
        labels->items = grown;
        labels->cap = cap;
    }
    memcpy(labels->items[labels->count++], label, sizeof(label));
    return CPAM_OK;
}

static void
labels_clear_scoped_(struct labels *labels)
{
    free(labels->items);
}

static void __attribute__((format(printf, 2, 3)))
find(struct backup_list *list, const char *fmt, ...)
{
    char text[CPAM_ERR_TEXT_MAX];
    va_list args;

    if (list->finding_count == FINDINGS_MAX)
        return;
    if (list->findings == NULL)
        list->findings = calloc(FINDINGS_MAX, sizeof(*list->findings));
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    char *copy = list->findings == NULL ? NULL : strdup(text);
    if (copy != NULL)
        list->findings[list->finding_count++] = copy;
}

/* What was read and is wrong is a finding; what could not be read is a failure. */
static bool
is_finding(enum cpam_status status)
{
    return authentic_wrong(status) || status == CPAM_UNKNOWN;
}

struct tombs
{
    struct backup_mark *items;
    size_t count;
};

static void
tombs_clear_scoped_(struct tombs *tombs)
{
    free(tombs->items);
}

static enum cpam_status
read_tombs(struct repo *repo, struct backup_list *list, struct tombs *tombs, struct cpam_err *err)
{
    __attribute__((cleanup(labels_clear_scoped_))) struct labels labels = {.prefixes = false};

    CPAM_TRY(store_list(repo_store(repo), LAYOUT_TOMBS, NULL, false, note_label, &labels, err));
    if (labels.count == 0)
        return CPAM_OK;
    tombs->items = calloc(labels.count, sizeof(*tombs->items));
    if (tombs->items == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the tombstones");
    for (size_t i = 0; i < labels.count; i++)
    {
        char key[LAYOUT_KEY_MAX];

        layout_tomb(labels.items[i], key);
        enum cpam_status status = backup_mark_get(repo, key, &tombs->items[tombs->count], err);
        if (status == CPAM_OK && strcmp(tombs->items[tombs->count].label, labels.items[i]) == 0)
            tombs->count++;
        else if (status == CPAM_OK || is_finding(status))
            find(list, "tombstone \"%s\" does not count: %s", key,
                 status == CPAM_OK ? "it speaks of another backup" : err->text);
        else
            return status;
    }
    return CPAM_OK;
}

static bool
is_buried(const struct tombs *tombs, const char *label)
{
    for (size_t i = 0; i < tombs->count; i++)
        if (strcmp(tombs->items[i].label, label) == 0)
            return true;
    return false;
}

static int
by_sequence(const void *a, const void *b)
{
    const struct backup_summary *left = a, *right = b;

    if (left->seq != right->seq)
        return left->seq < right->seq ? -1 : 1;
    return strcmp(left->label, right->label);
}

static enum cpam_status
read_summaries(struct repo *repo, struct backup_list *list, const struct tombs *tombs,
               struct cpam_err *err)
{
    __attribute__((cleanup(labels_clear_scoped_))) struct labels labels = {.prefixes = true};
    int64_t now = repo_io(repo)->ops->now(repo_io(repo));

    CPAM_TRY(store_list(repo_store(repo), LAYOUT_BACKUPS, NULL, true, note_label, &labels, err));
    if (labels.count == 0)
        return CPAM_OK;
    list->items = calloc(labels.count, sizeof(*list->items));
    if (list->items == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the list of backups");
    for (size_t i = 0; i < labels.count; i++)
    {
        struct backup_summary *next = &list->items[list->count];
        enum cpam_status status;

        if (is_buried(tombs, labels.items[i]))
            continue;
        status = backup_summary_read(repo, labels.items[i], next, err);
        if (status == CPAM_NOT_FOUND)
            continue; /* not finished, or never will be: no summary, no backup */
        if (is_finding(status))
        {
            find(list, "backup \"%s\" does not count: %s", labels.items[i], err->text);
            continue;
        }
        if (status != CPAM_OK)
            return status;
        if (next->start_time > now + FUTURE_US)
            find(list, "backup \"%s\" says it began in the future; is a clock wrong?", next->label);
        list->count++;
    }
    qsort(list->items, list->count, sizeof(*list->items), by_sequence);
    return CPAM_OK;
}

static bool
digest_known(const struct backup_list *list, size_t before, const struct tombs *tombs,
             const uint8_t digest[SHA256_SIZE])
{
    for (size_t i = before; i > 0; i--)
        if (memcmp(list->items[i - 1].digest, digest, SHA256_SIZE) == 0)
            return true;
    for (size_t i = 0; i < tombs->count; i++)
        if (memcmp(tombs->items[i].digest, digest, SHA256_SIZE) == 0)
            return true;
    return false;
}

static void
check_chain(struct backup_list *list, const struct tombs *tombs)
{
    for (size_t i = 0; i < list->count; i++)
    {
        const struct backup_summary *summary = &list->items[i];

        if (i > 0 && list->items[i - 1].seq == summary->seq)
            find(list, "backups \"%s\" and \"%s\" both have number %" PRIu64,
                 list->items[i - 1].label, summary->label, summary->seq);
        if (!summary->has_prev || digest_known(list, i, tombs, summary->prev))
            continue;
        find(list,
             "backup \"%s\" (number %" PRIu64 ") follows one that is not here and has no "
             "tombstone: a backup was taken away",
             summary->label, summary->seq);
        list->proven_loss = true;
    }
}

struct numbers
{
    uint64_t *items;
    size_t count;
    const struct backup_list *list; /* numbers that are in it are not noted */
};

static void
numbers_clear_scoped_(struct numbers *numbers)
{
    free(numbers->items);
}

static bool
is_listed(const struct backup_list *list, uint64_t number)
{
    for (size_t i = list->count; i > 0; i--)
        if (list->items[i - 1].seq == number)
            return true;
    return false;
}

static enum cpam_status
note_number(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct numbers *numbers = arg;
    uint64_t number;

    if (!sequence_number(entry->key, &number) || is_listed(numbers->list, number))
        return CPAM_OK;
    if (numbers->count == BACKUPS_MAX)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "there are more than %d backup numbers without a "
                         "backup",
                         BACKUPS_MAX);
    numbers->items[numbers->count++] = number;
    return CPAM_OK;
}

/* A summary that no listing showed, and that is there: a delete marker was laid on it (fault 5). */
static enum cpam_status
add_hidden(struct backup_list *list, const struct backup_summary *summary, struct cpam_err *err)
{
    void *grown = realloc(list->items, (list->count + 1) * sizeof(*list->items));

    if (grown == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the list of backups");
    list->items = grown;
    list->items[list->count++] = *summary;
    qsort(list->items, list->count, sizeof(*list->items), by_sequence);
    find(list, "backup \"%s\" (number %" PRIu64 ") is hidden from listings", summary->label,
         summary->seq);
    return CPAM_OK;
}

/* A number that was given out and that no listed backup has.  *missing: its summary is not there. */
static enum cpam_status
look_behind_number(struct repo *repo, struct backup_list *list, const struct tombs *tombs,
                   uint64_t number, struct backup_mark *mark, bool *missing, struct cpam_err *err)
{
    CPAM_AUTO(free) struct backup_summary *summary = malloc(sizeof(*summary));
    char key[LAYOUT_KEY_MAX];

    *missing = false;
    if (summary == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a summary");
    layout_sequence(number, key);
    enum cpam_status status = backup_mark_get(repo, key, mark, err);
    if (is_finding(status))
    {
        find(list, "\"%s\" does not count: %s", key, err->text);
        return CPAM_OK;
    }
    if (status != CPAM_OK || is_buried(tombs, mark->label))
        return status;
    status = backup_summary_read(repo, mark->label, summary, err);
    *missing = status == CPAM_NOT_FOUND || is_finding(status);
    if (*missing)
        return CPAM_OK;
    if (status == CPAM_OK && summary->seq == mark->seq)
        status = add_hidden(list, summary, err);
    return status;
}

static enum cpam_status
check_numbers(struct repo *repo, struct backup_list *list, const struct tombs *tombs,
              struct cpam_err *err)
{
    __attribute__((cleanup(numbers_clear_scoped_))) struct numbers numbers = {.list = list};

    numbers.items = calloc(BACKUPS_MAX, sizeof(*numbers.items));
    if (numbers.items == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the sequence");
    CPAM_TRY(
        store_list(repo_store(repo), LAYOUT_SEQUENCE, NULL, false, note_number, &numbers, err));
    /* from the top: what is behind the last backup is what a chain can't show */
    for (size_t i = numbers.count; i > 0; i--)
    {
        struct backup_mark mark;
        bool missing;

        CPAM_TRY(look_behind_number(repo, list, tombs, numbers.items[i - 1], &mark, &missing, err));
        if (!missing || (list->count > 0 && list->items[list->count - 1].seq > mark.seq))
            continue;
        find(list,
             "backup \"%s\" (number %" PRIu64 ") was numbered, and its summary is not here: it was "
             "taken away, or the push died in its last moment, which the next cpam-base-push "
             "settles",
             mark.label, mark.seq);
        list->proven_loss = true;
    }
    return CPAM_OK;
}

enum cpam_status
backup_list_read(struct repo *repo, struct backup_list **out, struct cpam_err *err)
{
    CPAM_AUTO(backup_list_free) struct backup_list *list = calloc(1, sizeof(*list));
    __attribute__((cleanup(tombs_clear_scoped_))) struct tombs tombs = {0};

    *out = NULL;
    if (list == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the list of backups");
    CPAM_TRY(read_tombs(repo, list, &tombs, err));
    CPAM_TRY(read_summaries(repo, list, &tombs, err));
    CPAM_TRY(check_numbers(repo, list, &tombs, err));
    check_chain(list, &tombs);
    *out = CPAM_STEAL(list);
    return CPAM_OK;
}

void
backup_list_free(struct backup_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->finding_count; i++)
        free(list->findings[i]);
    free(list->findings);
    free(list->items);
    free(list);
}
