/*
 * push_known_file.c - a state file, or a journal, checked from end to end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "push_known_parts.h"
#include "repo/layout.h"

#define LABELS_MAX   4096
#define PATH_AT_MOST (MANIFEST_PATH_MAX + 1)

static enum cpam_status
bad(const struct push_known *known, const char *why, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" can't be used: %s", known->path, why);
}

enum cpam_status
known_no_memory(struct cpam_err *err)
{
    return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for what is known of the last backup");
}

/* From any thread. */
static enum cpam_status
prove(const struct push_known *known, const struct cpam_buf *record, struct cpam_err *err)
{
    struct known_proof *proof = known->proof;
    enum cpam_status status = CPAM_OK;
    uint8_t mac[AEAD_TAG_SIZE];

    if (proof->aead == NULL)
        return CPAM_OK;
    pthread_mutex_lock(&proof->lock);
    status = push_record_prove(proof->aead, record->data, record->size, mac, err);
    pthread_mutex_unlock(&proof->lock);
    if (status == CPAM_OK && memcmp(mac, record->data, sizeof(mac)) != 0)
        return bad(known, "a record is damaged", err);
    return status;
}

enum cpam_status
known_record_get(const struct push_known *known, uint64_t at, struct cpam_buf *out,
                 struct push_record *header, struct cpam_err *err)
{
    size_t got;

    out->size = 0;
    CPAM_TRY(cpam_buf_reserve(out, sizeof(*header), PUSH_RECORD_MAX, err));
    CPAM_TRY(
        file_read_at(known->io, known->fd, known->path, out->data, sizeof(*header), at, &got, err));
    if (got != sizeof(*header))
        return bad(known, "it is cut short", err);
    memcpy(header, out->data, sizeof(*header));
    if (header->at != at || header->size > PUSH_RECORD_MAX - sizeof(*header) ||
        header->size > known->size - at - sizeof(*header))
        return bad(known, "a record is damaged", err);
    out->size = sizeof(*header);
    CPAM_TRY(cpam_buf_reserve(out, header->size, PUSH_RECORD_MAX, err));
    CPAM_TRY(file_read_at(known->io, known->fd, known->path, out->data + sizeof(*header),
                          header->size, at + sizeof(*header), &got, err));
    if (got != header->size)
        return bad(known, "it is cut short", err);
    out->size += header->size;
    return prove(known, out, err);
}

uint64_t
known_index_hash(uint64_t file, uint32_t number)
{
    uint64_t mixed = (file ^ number) * UINT64_C(0x9e3779b97f4a7c15);

    return (mixed ^ mixed >> 29) << PLACE_BITS;
}

/* Room for one more of what grows by a quarter: of five million parts no half is to stand empty. */
static bool
grow(void **items, size_t count, size_t *cap, size_t item)
{
    size_t more = *cap + *cap / 4 + 256;
    void *grown;

    if (count < *cap)
        return true;
    grown = realloc(*items, more * item);
    if (grown == NULL)
        return false;
    *items = grown;
    *cap = more;
    return true;
}

static enum cpam_status
take_label(struct push_known *known, const uint8_t *data, size_t size, struct cpam_err *err)
{
    struct push_label label;
    struct cpam_err ignored;

    if (size != sizeof(label) || known->label_count == LABELS_MAX)
        return bad(known, "a label is damaged", err);
    memcpy(&label, data, sizeof(label));
    label.label[BACKUP_LABEL_MAX - 1] = '\0';
    if (label.ordinal != known->label_count || label_check(label.label, &ignored) != CPAM_OK)
        return bad(known, "a label is out of order", err);
    void *grown = realloc(known->labels, (known->label_count + 1) * sizeof(*known->labels));
    if (grown == NULL)
        return known_no_memory(err);
    known->labels = grown;
    memcpy(known->labels[known->label_count++], label.label, BACKUP_LABEL_MAX);
    return CPAM_OK;
}

size_t
known_copies_size(const struct push_known *known)
{
    return known->head.repos * sizeof(struct pack_copy);
}

static enum cpam_status
take_pack(struct push_known *known, uint64_t at, const uint8_t *data, size_t size,
          struct cpam_err *err)
{
    struct push_pack fixed = {0};
    size_t lengths;

    if (size >= sizeof(fixed))
        memcpy(&fixed, data, sizeof(fixed));
    lengths = fixed.frame_count * sizeof(uint32_t);
    if (fixed.frame_count == 0 || fixed.frame_count > PACK_FRAMES_MAX ||
        size != sizeof(fixed) + known_copies_size(known) + 2 * lengths)
        return bad(known, "a pack is damaged", err);
    if (!grow((void **) &known->packs, known->pack_count, &known->pack_cap, sizeof(*known->packs)))
        return known_no_memory(err);
    struct known_pack *pack = &known->packs[known->pack_count];
    *pack = (struct known_pack){.id = fixed.id, .at = at, .frame_count = fixed.frame_count};
    pack->frames = malloc(lengths);
    pack->live = calloc(fixed.frame_count, sizeof(uint32_t));
    known->pack_count++;
    if (pack->frames == NULL || pack->live == NULL)
        return known_no_memory(err);
    memcpy(pack->frames, data + sizeof(fixed) + known_copies_size(known) + lengths, lengths);
    return CPAM_OK;
}

/* The texts of a part's record behind its fixed part, which is copied. */
static bool
part_parse(const uint8_t *data, size_t size, struct push_part *fixed, const char **path,
           struct known_part *out)
{
    size_t extents, tags;

    if (size < sizeof(*fixed))
        return false;
    memcpy(fixed, data, sizeof(*fixed));
    extents = (size_t) fixed->extent_count * sizeof(struct manifest_extent);
    tags = (size_t) fixed->tag_count * BLOCK_TAG_SIZE;
    if (fixed->path_size < 2 || fixed->path_size > PATH_AT_MOST ||
        size != sizeof(*fixed) + fixed->path_size + extents + tags)
        return false;
    *path = (const char *) data + sizeof(*fixed);
    out->size = fixed->size;
    out->extent_count = fixed->extent_count;
    out->tag_count = fixed->tag_count;
    out->tags = data + size - tags;
    out->extents = NULL;
    return (*path)[fixed->path_size - 1] == '\0' && fixed->tag_count == block_count(fixed->size);
}

static enum cpam_status
take_part(struct push_known *known, uint64_t at, const uint8_t *data, size_t size,
          struct cpam_err *err)
{
    struct known_part part;
    struct push_part fixed;
    const char *path;
    uint64_t file;

    if (!part_parse(data, size, &fixed, &path, &part) || at >> PLACE_BITS != 0)
        return bad(known, "what is told of a file is damaged", err);
    CPAM_TRY(push_file_number(path, &file, err));
    if (!grow((void **) &known->index, known->index_count, &known->index_cap,
              sizeof(*known->index)))
        return known_no_memory(err);
    known->index[known->index_count++] = known_index_hash(file, fixed.number) | at;
    return CPAM_OK;
}

static enum cpam_status
take_attempt(struct push_known *known, const uint8_t *data, size_t size, struct cpam_err *err)
{
    struct push_attempt attempt;

    if (size != sizeof(attempt))
        return bad(known, "a number is damaged", err);
    memcpy(&attempt, data, sizeof(attempt));
    known->attempt = attempt.number;
    return CPAM_OK;
}

static enum cpam_status
take_adopted(struct push_known *known, const uint8_t *data, size_t size, struct cpam_err *err)
{
    struct push_adopted adopted;

    if (size != sizeof(adopted))
        return bad(known, "a pack is damaged", err);
    memcpy(&adopted, data, sizeof(adopted));
    for (size_t i = 0; i < known->pack_count; i++)
        known->packs[i].listed |= known->packs[i].id == adopted.id;
    return CPAM_OK;
}

static enum cpam_status
take_commit(struct push_known *known, const uint8_t *data, size_t size, struct cpam_err *err)
{
    if (size != sizeof(*known->commit))
        return bad(known, "its end is damaged", err);
    known->commit = malloc(sizeof(*known->commit));
    if (known->commit == NULL)
        return known_no_memory(err);
    memcpy(known->commit, data, sizeof(*known->commit));
    known->commit->parents[BACKUP_PARENTS_MAX - 1] = '\0';
    return CPAM_OK;
}

static enum cpam_status
take(struct push_known *known, const struct push_record *header, const struct cpam_buf *record,
     struct cpam_err *err)
{
    const uint8_t *data = record->data + sizeof(*header);

    if (known->commit != NULL)
        return bad(known, "there is more behind its end", err);
    switch (header->type)
    {
    case RECORD_HEAD: return header->at == 0 ? CPAM_OK : bad(known, "it has two beginnings", err);
    case RECORD_LABEL: return take_label(known, data, header->size, err);
    case RECORD_PACK: return take_pack(known, header->at, data, header->size, err);
    case RECORD_PART: return take_part(known, header->at, data, header->size, err);
    case RECORD_ATTEMPT: return take_attempt(known, data, header->size, err);
    case RECORD_ADOPTED: return take_adopted(known, data, header->size, err);
    case RECORD_COMMIT: return take_commit(known, data, header->size, err);
    default: return bad(known, "it has a record of another version", err);
    }
}

static enum cpam_status
take_head(struct push_known *known, struct cpam_buf *record, struct cpam_err *err)
{
    struct push_head *head = &known->head;
    struct push_record header;

    CPAM_TRY(known_record_get(known, 0, record, &header, err));
    if (header.type != RECORD_HEAD || header.size != sizeof(*head))
        return bad(known, "it is none", err);
    memcpy(head, record->data + sizeof(header), sizeof(*head));
    head->label[BACKUP_LABEL_MAX - 1] = head->epoch[BACKUP_LABEL_MAX - 1] = '\0';
    head->parent[BACKUP_LABEL_MAX - 1] = '\0';
    known->attempt = head->attempt;
    if (head->magic != PUSH_RECORD_MAGIC || head->block_size != BLOCK_PAGE ||
        head->part_size == 0 || head->part_size % BLOCK_PAGE != 0 || head->repos > PACK_REPOS_MAX)
        return bad(known, "it is of another version", err);
    return CPAM_OK;
}

/* What it had to grow by and does not use. */
static void
give_back(struct push_known *known)
{
    uint64_t *fit = known->index_count == 0
                        ? NULL
                        : realloc(known->index, known->index_count * sizeof(*known->index));

    if (fit == NULL)
        return;
    known->index = fit;
    known->index_cap = known->index_count;
}

static enum cpam_status
take_all(struct push_known *known, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf record = {0};
    struct push_record header;

    CPAM_TRY(take_head(known, &record, err));
    CPAM_TRY(push_record_mac(known->head.key, &known->proof->aead, err));
    while (known->whole < known->size)
    {
        CPAM_TRY(known_record_get(known, known->whole, &record, &header, err));
        CPAM_TRY(take(known, &header, &record, err));
        known->whole += record.size;
    }
    return CPAM_OK;
}

static int
by_id(const void *a, const void *b)
{
    const struct known_pack *left = a, *right = b;

    return left->id < right->id ? -1 : left->id > right->id;
}

static int
by_number(const void *a, const void *b)
{
    uint64_t left, right;

    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return left < right ? -1 : left > right;
}

struct known_pack *
known_find_pack(const struct push_known *known, int64_t id)
{
    struct known_pack wanted = {.id = id};

    return known->pack_count == 0
               ? NULL
               : bsearch(&wanted, known->packs, known->pack_count, sizeof(wanted), by_id);
}

/* Adds what an extent uses to the frames it lies in. */
static void
count_live(struct push_known *known, const struct manifest_extent *extent)
{
    struct known_pack *pack = extent->pack < 0 ? NULL : known_find_pack(known, extent->pack);
    uint64_t left = extent->size, offset = extent->offset;

    if (pack == NULL)
        return;
    for (uint32_t i = extent->frame; i < pack->frame_count && left > 0; i++)
    {
        uint64_t in_frame = pack->frames[i] > offset ? pack->frames[i] - offset : 0;
        uint64_t taken = left < in_frame ? left : in_frame;

        pack->live[i] += (uint32_t) taken;
        left -= taken;
        offset = 0;
    }
}

enum cpam_status
known_part_at(const struct push_known *known, uint64_t at, struct cpam_buf *text,
              struct push_part *fixed, const char **path, struct known_part *out,
              struct cpam_err *err)
{
    struct push_record header;
    size_t extents, before;

    CPAM_TRY(known_record_get(known, at, text, &header, err));
    if (header.type != RECORD_PART ||
        !part_parse(text->data + sizeof(header), header.size, fixed, path, out))
        return bad(known, "what is told of a file is damaged", err);
    /* behind the record, where they are aligned */
    extents = out->extent_count * sizeof(*out->extents);
    before = (text->size + 15) & ~(size_t) 15;
    ptrdiff_t path_at = *path - (const char *) text->data;
    ptrdiff_t tags_at = out->tags - text->data;
    CPAM_TRY(cpam_buf_reserve(text, before - text->size + extents, 2 * PUSH_RECORD_MAX, err));
    *path = (const char *) text->data + path_at;
    out->tags = text->data + tags_at;
    memcpy(text->data + before, *path + fixed->path_size, extents);
    out->extents = (const struct manifest_extent *) (const void *) (text->data + before);
    return CPAM_OK;
}

static enum cpam_status
find_thin(struct push_known *known, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};

    for (size_t i = 0; i < known->index_count; i++)
    {
        struct known_part part;
        struct push_part fixed;
        const char *path;

        CPAM_TRY(known_part_at(known, known->index[i] & ((UINT64_C(1) << PLACE_BITS) - 1), &text,
                               &fixed, &path, &part, err));
        for (uint32_t k = 0; k < part.extent_count; k++)
            count_live(known, &part.extents[k]);
    }
    for (size_t i = 0; i < known->pack_count; i++)
    {
        struct known_pack *pack = &known->packs[i];

        for (uint32_t k = 0; k < pack->frame_count; k++)
            if ((uint64_t) pack->live[k] * 4 < pack->frames[k])
                pack->frames[k] |= THIN_FRAME;
        free(pack->live);
        pack->live = NULL;
    }
    return CPAM_OK;
}

/* Packs of attempts before the last that the backup does not use are nobody's, and may be removed. */
static void
forget_unlisted(struct push_known *known)
{
    for (size_t i = 0; i < known->pack_count && known->commit != NULL; i++)
    {
        struct known_pack *pack = &known->packs[i];

        if (PUSH_PACK_ORDINAL(pack->id) == 0 && PUSH_PACK_NAME(pack->id) >> 24 != known->attempt &&
            !pack->listed)
            pack->frame_count = 0;
    }
}

enum cpam_status
push_known_open(struct io *io, const char *path, bool cut, struct push_known **out,
                struct cpam_err *err)
{
    CPAM_AUTO(push_known_free) struct push_known *known = calloc(1, sizeof(*known));
    struct stat found;

    *out = NULL;
    if (known == NULL)
        return known_no_memory(err);
    known->io = io;
    known->fd = -1;
    pthread_mutex_init(&known->lock, NULL);
    known->proof = calloc(1, sizeof(*known->proof));
    if (known->proof == NULL)
        return known_no_memory(err);
    pthread_mutex_init(&known->proof->lock, NULL);
    known->path = strdup(path);
    if (known->path == NULL)
        return known_no_memory(err);
    CPAM_TRY(file_open(io, path, O_RDONLY | O_NOFOLLOW, 0, &known->fd, err));
    CPAM_TRY(file_stat(io, path, &found, err));
    known->size = (uint64_t) found.st_size;
    enum cpam_status status = take_all(known, err);
    if (status != CPAM_OK && !(cut && status == CPAM_CORRUPT && known->whole > 0))
        return status;
    if (cut == (known->commit != NULL))
        return bad(known, cut ? "it has an end" : "it has no end", err);
    give_back(known);
    forget_unlisted(known);
    if (known->pack_count > 0)
        qsort(known->packs, known->pack_count, sizeof(*known->packs), by_id);
    CPAM_TRY(find_thin(known, err)); /* the index is in the order of the file still */
    if (known->index_count > 0)
        qsort(known->index, known->index_count, sizeof(*known->index), by_number);
    *out = CPAM_STEAL(known);
    return CPAM_OK;
}

void
push_known_free(struct push_known *known)
{
    if (known == NULL)
        return;
    for (size_t i = 0; i < known->pack_count; i++)
    {
        free(known->packs[i].frames);
        free(known->packs[i].live);
    }
    if (known->fd >= 0)
        known->io->ops->close(known->io, known->fd);
    if (known->proof != NULL)
    {
        aead_free(known->proof->aead);
        pthread_mutex_destroy(&known->proof->lock);
        free(known->proof);
    }
    pthread_mutex_destroy(&known->lock);
    free(known->packs);
    free(known->index);
    free(known->labels);
    free(known->commit);
    free(known->path);
    free(known);
}
