/*
 * backup_commit.c - the moment a backup exists, and the label it was reserved under.
 *
 * Order: the manifest is stored; the summary is written out in full, kept in the state directory,
 * and its number claimed with seq/<n>, which carries its label and digest; then the summary is put.
 * A push that dies between the last two leaves a number without a summary.  The next push puts that
 * summary, if its bytes are still in the state directory; otherwise the number is passed over: its
 * successor's signed `prev` names the backup before it, which proves that nothing was there.  Unless
 * this host knows better: what it committed last stays in the state directory, so that a summary that
 * was taken away since is named by its successor, and the loss shows for good (fault 8).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "io/file.h"
#include "repo/authentic.h"
#include "repo/backup_fence.h"
#include "repo/layout.h"
#include "repo/sequence.h"
#include "repo/summary.h"

enum
{
    NUMBER_TRIES = 32,
    RECENT_MAX = 512 /* highest numbers that are looked at to find the last backup */
};

enum cpam_status
backup_mark_get(struct repo *repo, const char *key, struct backup_mark *out, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;

    memset(out, 0, sizeof(*out));
    CPAM_TRY(record_get(repo, key, &body, NULL, err));
    struct record_reader reader = record_read(body, key, err);

    record_text(&reader, "label", out->label, sizeof(out->label));
    out->seq = record_number_text(&reader, "seq", UINT64_MAX - 1);
    record_hex(&reader, "summary", out->digest, SHA256_SIZE);
    return record_end(&reader);
}

enum cpam_status
backup_mark_sign(struct repo *repo, const char *key, const struct backup_mark *mark,
                 struct cpam_buf *text, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    bool failed = false;

    CPAM_TRY(record_new(repo, &body, err));
    record_set(body, &failed, "label", json_string(mark->label));
    record_set_number_text(body, &failed, "seq", mark->seq);
    record_set_hex(body, &failed, "summary", mark->digest, SHA256_SIZE);
    CPAM_TRY(record_made(key, failed, err));
    return record_sign(repo, key, body, text, err);
}

bool
sequence_number(const char *key, uint64_t *out)
{
    struct cpam_err ignored;
    const char *digits = key + strlen(LAYOUT_SEQUENCE);

    return strncmp(key, LAYOUT_SEQUENCE, strlen(LAYOUT_SEQUENCE)) == 0 &&
           strlen(digits) == SEQUENCE_DIGITS &&
           text_parse_u64(digits, UINT64_MAX - 1, out, &ignored) == CPAM_OK && *out > 0;
}

enum cpam_status
backup_label_at(const char *prefix, int64_t now, char label[BACKUP_LABEL_MAX], struct cpam_err *err)
{
    char when[TEXT_TIME_MAX];

    /* "2026-11-23T15:40:08Z" into "20261123_154008" */
    text_format_time(now - now % 1000000, when);
    int length = snprintf(label, BACKUP_LABEL_MAX, "%.50s%.4s%.2s%.2s_%.2s%.2s%.2s", prefix, when,
                          when + 5, when + 8, when + 11, when + 14, when + 17);
    if (length >= BACKUP_LABEL_MAX || strlen(prefix) > 49)
        return cpam_fail(err, CPAM_USAGE, 0, "base.label_prefix \"%.60s\" is too long", prefix);
    return label_check(label, err);
}

enum cpam_status
backup_reserve(struct repo *repo, const char *label, uint64_t sysid, const char *parents,
               int64_t now, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    char key[LAYOUT_KEY_MAX];
    bool failed = false;

    layout_intent(label, key);
    CPAM_TRY(record_new(repo, &body, err));
    record_set(body, &failed, "label", json_string(label));
    record_set_number_text(body, &failed, "sysid", sysid);
    record_set(body, &failed, "parents", summary_parents(parents, &failed));
    record_set_time(body, &failed, "created", now);
    CPAM_TRY(record_made(key, failed, err));
    return record_put(repo, key, body, err);
}

/* The file in the state directory that holds a summary until it is stored; label NULL: the one that
   holds the summary this host committed last. */
static enum cpam_status
state_path(struct repo *repo, const char *label, struct cpam_buf *path, struct cpam_err *err)
{
    const char *state = repo_settings(repo)->state;
    char uuid[TEXT_UUID_MAX];

    if (label == NULL)
    {
        text_format_uuid(keyring_uuid(repo_keyring(repo)), uuid);
        CPAM_TRY(cpam_buf_printf(path, 1 << 16, err, "%s/committed-%s.json", state, uuid));
    }
    else
        CPAM_TRY(cpam_buf_printf(path, 1 << 16, err, "%s/summary-%s-%s.json", state,
                                 repo_name(repo), label));
    if (cpam_buf_text(path) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a path");
    return CPAM_OK;
}

static enum cpam_status
state_keep(struct repo *repo, const char *label, const struct cpam_buf *text, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};

    if (repo_settings(repo)->state == NULL)
        return CPAM_OK;
    CPAM_TRY(state_path(repo, label, &path, err));
    return file_write_all(repo_io(repo), cpam_buf_text(&path), 0600, text->data, text->size, err);
}

static void
state_drop(struct repo *repo, const char *label)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
    struct cpam_err err;

    if (repo_settings(repo)->state == NULL)
        return;
    if (state_path(repo, label, &path, &err) != CPAM_OK ||
        file_unlink(repo_io(repo), cpam_buf_text(&path), &err) != CPAM_OK)
        cpam_log(LOG_WARNING, "%s", err.text);
}

/* The summary that is kept under label (NULL: the one committed last).  *is: it is the one that the
   mark speaks of.  Not having it is no: the state may be lost. */
static enum cpam_status
state_read(struct repo *repo, const struct backup_mark *mark, const char *label,
           struct cpam_buf *text, bool *is, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
    uint8_t digest[SHA256_SIZE];
    enum cpam_status status;

    *is = false;
    if (repo_settings(repo)->state == NULL)
        return CPAM_OK;
    CPAM_TRY(state_path(repo, label, &path, err));
    status = file_read_all(repo_io(repo), cpam_buf_text(&path), RECORD_MAX, text, err);
    if (status == CPAM_NOT_FOUND)
        return CPAM_OK;
    if (status != CPAM_OK)
        return status;
    CPAM_TRY(sha256_of(text->data, text->size, digest, err));
    *is = memcmp(digest, mark->digest, SHA256_SIZE) == 0;
    return CPAM_OK;
}

/* Is this the backup that this host committed last? */
static enum cpam_status
state_committed(struct repo *repo, const struct backup_mark *mark, bool *committed,
                struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    return state_read(repo, mark, NULL, &text, committed, err);
}

/* Put bytes that are known; finding the very same ones there is success. */
static enum cpam_status
put_same(struct repo *repo, const char *key, const struct cpam_buf *text, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf stored = {0};
    enum cpam_status status =
        store_put_new(repo_store(repo), key, text->data, text->size, STORE_CLASS_META, err);
    struct cpam_err other;

    if (status != CPAM_EXISTS)
        return status;
    status = store_get_buf(repo_store(repo), key, NULL, NULL, &stored, RECORD_MAX, NULL, &other);
    if (status == CPAM_OK && stored.size == text->size &&
        memcmp(stored.data, text->data, text->size) == 0)
        return CPAM_OK;
    return CPAM_EXISTS;
}

/* Finish what a push that died left: *done when the summary is stored now. */
static enum cpam_status
finish_orphan(struct repo *repo, const struct backup_mark *mark, bool *done, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char key[LAYOUT_KEY_MAX];
    bool kept;

    *done = false;
    CPAM_TRY(state_read(repo, mark, mark->label, &text, &kept, err));
    if (!kept)
        return CPAM_OK;
    int64_t until;
    enum cpam_status status = backup_fence(repo, mark->label, &until, err);
    if (status == CPAM_REFUSED)
    {
        cpam_log(LOG_WARNING, "what is kept of a backup that died is not stored any more: %s",
                 err->text);
        state_drop(repo, mark->label);
        return CPAM_OK;
    }
    if (status != CPAM_OK)
        return status;
    layout_summary(mark->label, key);
    CPAM_TRY(put_same(repo, key, &text, err));
    cpam_log(LOG_INFO, "backup \"%s\" was complete but for its summary, which is stored now",
             mark->label);
    state_drop(repo, mark->label);
    *done = true;
    return CPAM_OK;
}

struct recent
{
    uint64_t numbers[RECENT_MAX]; /* a ring: listings come in ascending order */
    size_t seen;
};

static enum cpam_status
note_number(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct recent *recent = arg;
    uint64_t number;

    (void) err;
    if (sequence_number(entry->key, &number))
        recent->numbers[recent->seen++ % RECENT_MAX] = number;
    return CPAM_OK;
}

/* seq, prev for the next backup: what the highest genuine number's backup is. */
static enum cpam_status
find_last(struct repo *repo, uint64_t *highest, bool *has_prev, uint8_t prev[SHA256_SIZE],
          struct cpam_err *err)
{
    CPAM_AUTO(free) struct recent *recent = calloc(1, sizeof(*recent));

    *highest = 0;
    *has_prev = false;
    if (recent == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the sequence");
    CPAM_TRY(store_list(repo_store(repo), LAYOUT_SEQUENCE, NULL, false, note_number, recent, err));
    size_t count = recent->seen < RECENT_MAX ? recent->seen : RECENT_MAX;

    for (size_t i = 1; i <= count; i++)
    {
        struct backup_mark mark;
        struct backup_summary summary;
        char key[LAYOUT_KEY_MAX];
        bool done = false, committed = false;

        layout_sequence(recent->numbers[(recent->seen - i) % RECENT_MAX], key);
        enum cpam_status status = backup_mark_get(repo, key, &mark, err);
        /* a number somebody without the keys has planted counts for nothing */
        if (authentic_wrong(status))
        {
            cpam_log(LOG_WARNING, "\"%s\" is passed over: %s", key, err->text);
            continue;
        }
        if (status != CPAM_OK)
            return status;
        if (mark.seq > *highest)
            *highest = mark.seq;
        status = backup_summary_read(repo, mark.label, &summary, err);
        if (status == CPAM_NOT_FOUND)
        {
            CPAM_TRY(finish_orphan(repo, &mark, &done, err));
            if (!done)
                CPAM_TRY(state_committed(repo, &mark, &committed, err));
            if (!done && !committed)
                continue;
            status = done ? backup_summary_read(repo, mark.label, &summary, err)
                          : cpam_fail(err, CPAM_CORRUPT, 0,
                                      "\"%s\" was committed here, and its summary is not there",
                                      mark.label);
        }
        *has_prev = status == CPAM_OK || authentic_wrong(status);
        if (!*has_prev)
            return status;
        /* one that was damaged since still was there: its number says what it was, and a chain that
           names it shows the loss for good */
        if (status != CPAM_OK)
            cpam_log(LOG_WARNING, "backup \"%s\" is lost: %s", mark.label, err->text);
        memcpy(prev, status == CPAM_OK ? summary.digest : mark.digest, SHA256_SIZE);
        return CPAM_OK;
    }
    if (recent->seen > RECENT_MAX)
        return cpam_fail(err, CPAM_UNKNOWN, 0,
                         "none of the last %d backup numbers belongs to a backup", RECENT_MAX);
    return CPAM_OK;
}

/* Behind the summary's put: after a long pause before it, it is there and counts for nothing. */
static enum cpam_status
still_counts(struct repo *repo, const char *label, int64_t until, struct cpam_err *err)
{
    enum cpam_status status = backup_not_buried(repo, label, err);

    if (status == CPAM_REFUSED)
        state_drop(repo, label);
    if (status == CPAM_OK || status == CPAM_REFUSED)
        return status;
    /* not to be told, but there was no pause: nobody may have given it up in between */
    if (repo_io(repo)->ops->now(repo_io(repo)) > until)
        return status;
    cpam_log(LOG_WARNING, "backup \"%s\" is stored; what came behind it could not be looked at: %s",
             label, err->text);
    return CPAM_OK;
}

/* CPAM_EXISTS: the number was taken meanwhile. */
static enum cpam_status
claim_and_put(struct repo *repo, struct backup_summary *summary, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *body = NULL;
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf mark_text = {0};
    struct backup_mark mark = {.seq = summary->seq};
    char key[LAYOUT_KEY_MAX], mark_key[LAYOUT_KEY_MAX];
    int64_t until;

    layout_summary(summary->label, key);
    layout_sequence(summary->seq, mark_key);
    CPAM_TRY(summary_body(repo, summary, &body, err));
    CPAM_TRY(record_sign(repo, key, body, &text, err));
    CPAM_TRY(sha256_of(text.data, text.size, summary->digest, err));
    snprintf(mark.label, sizeof(mark.label), "%s", summary->label);
    memcpy(mark.digest, summary->digest, SHA256_SIZE);
    CPAM_TRY(backup_mark_sign(repo, mark_key, &mark, &mark_text, err));
    CPAM_TRY(backup_fence(repo, summary->label, &until, err));
    CPAM_TRY(state_keep(repo, summary->label, &text, err));
    CPAM_TRY(put_same(repo, mark_key, &mark_text, err));
    enum cpam_status status = put_same(repo, key, &text, err);
    if (status == CPAM_EXISTS)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" has content this push did not write", key);
    if (status != CPAM_OK)
        return status;
    CPAM_TRY(still_counts(repo, summary->label, until, err));
    struct cpam_err kept;
    if (state_keep(repo, NULL, &text, &kept) != CPAM_OK)
        cpam_log(LOG_WARNING, "%s", kept.text);
    state_drop(repo, summary->label);
    return CPAM_OK;
}

enum cpam_status
backup_commit(struct repo *repo, struct backup_summary *summary, struct cpam_err *err)
{
    uint64_t beyond = 0;

    for (int i = 0; i < NUMBER_TRIES; i++)
    {
        uint64_t highest;

        CPAM_TRY(find_last(repo, &highest, &summary->has_prev, summary->prev, err));
        if (!summary->has_prev)
            memset(summary->prev, 0, SHA256_SIZE);
        summary->seq = (highest > beyond ? highest : beyond) + 1;
        enum cpam_status status = claim_and_put(repo, summary, err);
        if (status != CPAM_EXISTS)
            return status;
        /* another push was faster, or something that does not count sits on the number */
        beyond = summary->seq;
    }
    return cpam_fail(err, CPAM_EXISTS, 0, "no number could be claimed for backup \"%s\"",
                     summary->label);
}
