/*
 * push_journal.c - records, one behind the other, each with its MAC.
 */
#include "push_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/text.h"
#include "io/file.h"

struct push_journal
{
    struct io *io;
    struct push_head head;
    char *state, *path;
    int fd;
    pthread_mutex_t lock; /* of all below */
    struct aead *aead;
    struct cpam_buf record;
    uint64_t size;
    bool broken, kept;
};

enum cpam_status
push_record_mac(const uint8_t key[BLOCK_KEY_SIZE], struct aead **out, struct cpam_err *err)
{
    uint8_t derived[AEAD_KEY_SIZE];

    CPAM_TRY(hkdf_sha256(key, BLOCK_KEY_SIZE, "", 0, PUSH_RECORD_MAC_KEY,
                         strlen(PUSH_RECORD_MAC_KEY), derived, sizeof(derived), err));
    return aead_new(derived, true, out, err);
}

enum cpam_status
push_record_prove(struct aead *aead, const void *record, size_t size, uint8_t mac[AEAD_TAG_SIZE],
                  struct cpam_err *err)
{
    const uint8_t *bytes = (const uint8_t *) record + AEAD_TAG_SIZE;
    uint8_t nonce[AEAD_NONCE_SIZE] = {0};

    memcpy(nonce, bytes, sizeof(uint64_t)); /* its place */
    return aead_seal(aead, nonce, bytes, size - AEAD_TAG_SIZE, NULL, 0, NULL, mac, err);
}

enum cpam_status
push_file_number(const char *path, uint64_t *out, struct cpam_err *err)
{
    uint8_t digest[SHA256_SIZE];

    CPAM_TRY(sha256_of(path, strlen(path), digest, err));
    *out = be64_get(digest);
    return CPAM_OK;
}

/* Of a record: up to four pieces behind one another. */
struct piece
{
    const void *data;
    size_t size;
};

static enum cpam_status
append_locked(struct push_journal *journal, enum push_record_type type, const struct piece *pieces,
              size_t count, struct cpam_err *err)
{
    struct cpam_buf *buf = &journal->record;
    struct push_record header = {.at = journal->size, .type = type};

    buf->size = 0;
    CPAM_TRY(cpam_buf_append(buf, &header, sizeof(header), PUSH_RECORD_MAX, err));
    for (size_t i = 0; i < count; i++)
        CPAM_TRY(cpam_buf_append(buf, pieces[i].data, pieces[i].size, PUSH_RECORD_MAX, err));
    header.size = (uint32_t) (buf->size - sizeof(header));
    memcpy(buf->data, &header, sizeof(header));
    CPAM_TRY(push_record_prove(journal->aead, buf->data, buf->size, header.mac, err));
    memcpy(buf->data, header.mac, sizeof(header.mac));
    CPAM_TRY(file_write_at(journal->io, journal->fd, journal->path, buf->data, buf->size,
                           journal->size, err));
    journal->size += buf->size;
    return CPAM_OK;
}

static void
append(struct push_journal *journal, enum push_record_type type, const struct piece *pieces,
       size_t count)
{
    struct cpam_err err;

    pthread_mutex_lock(&journal->lock);
    if (!journal->broken && append_locked(journal, type, pieces, count, &err) != CPAM_OK)
    {
        journal->broken = true;
        cpam_log(LOG_WARNING, "the next backup will be a full one: %s", err.text);
    }
    pthread_mutex_unlock(&journal->lock);
}

static enum cpam_status
path_of(const char *state, const char *name, const char *end, char **out, struct cpam_err *err)
{
    size_t size = strlen(state) + strlen(name) + 32;

    *out = malloc(size);
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a path");
    snprintf(*out, size, "%s/" PUSH_JOURNAL_PREFIX "%s%s", state, name, end);
    return CPAM_OK;
}

static enum cpam_status
journal_open(struct io *io, const char *state, const struct push_head *head, int flags,
             struct push_journal **out, struct cpam_err *err)
{
    CPAM_AUTO(push_journal_free) struct push_journal *journal = calloc(1, sizeof(*journal));

    if (journal == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a journal");
    journal->io = io;
    journal->fd = -1;
    pthread_mutex_init(&journal->lock, NULL);
    journal->head = *head;
    journal->head.magic = PUSH_RECORD_MAGIC;
    journal->head.block_size = BLOCK_PAGE;
    journal->state = strdup(state);
    if (journal->state == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a journal");
    CPAM_TRY(path_of(state, head->label, PUSH_JOURNAL_END, &journal->path, err));
    CPAM_TRY(push_record_mac(head->key, &journal->aead, err));
    CPAM_TRY(file_open(io, journal->path, flags | O_RDWR | O_NOFOLLOW, 0600, &journal->fd, err));
    *out = CPAM_STEAL(journal);
    return CPAM_OK;
}

enum cpam_status
push_journal_new(struct io *io, const char *state, const struct push_head *head,
                 struct push_journal **out, struct cpam_err *err)
{
    CPAM_AUTO(push_journal_free) struct push_journal *journal = NULL;

    *out = NULL;
    CPAM_TRY(journal_open(io, state, head, O_CREAT | O_EXCL, &journal, err));
    struct piece piece = {&journal->head, sizeof(journal->head)};
    journal->broken = true; /* until it has its beginning */
    CPAM_TRY(append_locked(journal, RECORD_HEAD, &piece, 1, err));
    CPAM_TRY(file_sync(io, journal->fd, journal->path, err));
    journal->broken = false;
    *out = CPAM_STEAL(journal);
    return CPAM_OK;
}

enum cpam_status
push_journal_go_on(struct io *io, const char *state, const struct push_head *head, uint64_t size,
                   struct push_journal **out, struct cpam_err *err)
{
    CPAM_AUTO(push_journal_free) struct push_journal *journal = NULL;
    struct push_attempt attempt = {head->attempt};
    struct piece piece = {&attempt, sizeof(attempt)};

    *out = NULL;
    CPAM_TRY(journal_open(io, state, head, 0, &journal, err));
    if (io->ops->ftruncate(io, journal->fd, (off_t) size) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not cut \"%s\"", journal->path);
    journal->size = size;
    CPAM_TRY(append_locked(journal, RECORD_ATTEMPT, &piece, 1, err));
    /* before the first pack has its name from it: no attempt may ever have that number again */
    CPAM_TRY(file_sync(io, journal->fd, journal->path, err));
    *out = CPAM_STEAL(journal);
    return CPAM_OK;
}

void
push_journal_free(struct push_journal *journal)
{
    struct cpam_err ignored;

    if (journal == NULL)
        return;
    if (journal->fd >= 0)
        journal->io->ops->close(journal->io, journal->fd);
    if (journal->fd >= 0 && journal->broken && !journal->kept &&
        file_unlink(journal->io, journal->path, &ignored) != CPAM_OK)
        cpam_log(LOG_WARNING, "%s", ignored.text);
    aead_free(journal->aead);
    cpam_buf_clear(&journal->record);
    pthread_mutex_destroy(&journal->lock);
    free(journal->path);
    free(journal->state);
    free(journal);
}

void
push_journal_label(struct push_journal *journal, uint32_t ordinal, const char *label)
{
    struct push_label fixed = {.ordinal = ordinal};
    struct piece piece = {&fixed, sizeof(fixed)};

    snprintf(fixed.label, sizeof(fixed.label), "%s", label);
    append(journal, RECORD_LABEL, &piece, 1);
}

void
push_journal_pack(struct push_journal *journal, int64_t id, const struct manifest_pack *pack,
                  const struct pack_copy *copies)
{
    struct push_pack fixed = {.id = id, .frame_count = pack->frame_count};
    size_t frames = pack->frame_count * sizeof(uint32_t);
    struct piece pieces[] = {{&fixed, sizeof(fixed)},
                             {copies, journal->head.repos * sizeof(*copies)},
                             {pack->clen, frames},
                             {pack->rlen, frames}};

    append(journal, RECORD_PACK, pieces, 4);
}

void
push_journal_own_pack(struct push_journal *journal, const struct manifest_pack *pack,
                      const struct pack_copy *copies)
{
    push_journal_pack(journal, PUSH_PACK_ID(0, journal->head.attempt << 24 | pack->index), pack,
                      copies);
}

void
push_journal_part(struct push_journal *journal, const struct pack_part *part)
{
    const uint8_t *note = part->note;
    CPAM_AUTO(free)
    struct manifest_extent *extents = calloc(part->extent_count + 1, sizeof(*extents));
    struct push_part fixed;

    if (part->note_size < sizeof(fixed) || extents == NULL)
        return;
    for (size_t i = 0; i < part->extent_count; i++)
    {
        extents[i] = part->extents[i];
        if (extents[i].pack >= 0 && !PUSH_PACK_IS_ID(extents[i].pack))
            extents[i].pack = PUSH_PACK_ID(0, journal->head.attempt << 24 | extents[i].pack);
    }
    memcpy(&fixed, note, sizeof(fixed));
    note += sizeof(fixed);
    fixed.size = part->size;
    fixed.extent_count = (uint32_t) part->extent_count;
    struct piece pieces[] = {{&fixed, sizeof(fixed)},
                             {note, fixed.path_size},
                             {extents, part->extent_count * sizeof(*extents)},
                             {note + fixed.path_size, (size_t) fixed.tag_count * BLOCK_TAG_SIZE}};

    append(journal, RECORD_PART, pieces, 4);
}

void
push_journal_adopted(struct push_journal *journal, int64_t id)
{
    struct push_adopted fixed = {id};
    struct piece piece = {&fixed, sizeof(fixed)};

    append(journal, RECORD_ADOPTED, &piece, 1);
}

/* The state of a set of repositories has its name from them, in whatever order. */
static enum cpam_status
state_name(const struct push_head *head, const uint8_t stored[PACK_REPOS_MAX], char out[17],
           struct cpam_err *err)
{
    uint8_t sorted[PACK_REPOS_MAX * 16 + 8], digest[SHA256_SIZE];
    size_t count = 0;

    for (uint32_t i = 0; i < head->repos; i++)
    {
        size_t at = count;

        if (!stored[i])
            continue;
        for (; at > 0 && memcmp(sorted + (at - 1) * 16, head->uuids[i], 16) > 0; at--)
            memcpy(sorted + at * 16, sorted + (at - 1) * 16, 16);
        memcpy(sorted + at * 16, head->uuids[i], 16);
        count++;
    }
    memcpy(sorted + count * 16, &head->sysid, sizeof(head->sysid));
    CPAM_TRY(sha256_of(sorted, count * 16 + sizeof(head->sysid), digest, err));
    text_hex(digest, 8, out);
    return CPAM_OK;
}

static enum cpam_status
keep_locked(struct push_journal *journal, const struct push_commit *commit, struct cpam_err *err)
{
    struct piece piece = {commit, sizeof(*commit)};
    CPAM_AUTO(free) char *place = NULL;
    char name[17];

    CPAM_TRY(append_locked(journal, RECORD_COMMIT, &piece, 1, err));
    CPAM_TRY(file_sync(journal->io, journal->fd, journal->path, err));
    CPAM_TRY(state_name(&journal->head, commit->stored, name, err));
    CPAM_TRY(path_of(journal->state, name, PUSH_STATE_END, &place, err));
    CPAM_TRY(file_rename(journal->io, journal->path, place, err));
    journal->kept = true;
    return file_sync_parent(journal->io, place, err);
}

void
push_journal_keep(struct push_journal *journal, const struct push_commit *commit)
{
    struct cpam_err err;

    pthread_mutex_lock(&journal->lock);
    if (!journal->broken && keep_locked(journal, commit, &err) != CPAM_OK)
    {
        journal->broken = true;
        cpam_log(LOG_WARNING, "the next backup will be a full one: %s", err.text);
    }
    pthread_mutex_unlock(&journal->lock);
}
