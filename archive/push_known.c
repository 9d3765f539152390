/*
 * push_known.c - a state file, checked from end to end, and what is looked up in it.
 */
#include "push_known.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "repo/layout.h"

#define THIN_FRAME   UINT32_C(0x80000000) /* in a frame's length */
#define PLACE_BITS   40                   /* of an index entry: where; the rest is a hash */
#define LABELS_MAX   4096
#define PATH_AT_MOST (MANIFEST_PATH_MAX + 1)

struct known_pack
{
    int64_t id;
    uint64_t at; /* its record */
    uint32_t frame_count;
    uint32_t used; /* frames, up to the last one in use */
    uint32_t rank;
    uint32_t *frames; /* plaintext lengths */
    uint32_t *live;   /* bytes in use; only while it is opened */
};

struct push_known
{
    struct io *io;
    char *path;
    int fd;
    uint64_t size;
    struct push_head head;
    struct push_commit *commit;
    char (*labels)[BACKUP_LABEL_MAX];
    uint32_t label_count;
    uint64_t *index;
    size_t index_count, index_cap;
    struct known_pack *packs;
    size_t pack_count, pack_cap;
    pthread_mutex_t lock; /* of `used` */
};

static enum cpam_status
bad(const struct push_known *known, const char *why, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" can't be used: %s", known->path, why);
}

static enum cpam_status
no_memory(struct cpam_err *err)
{
    return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for what is known of the last backup");
}

/* The whole record at `at`, its length checked. */
static enum cpam_status
record_get(const struct push_known *known, uint64_t at, struct cpam_buf *out,
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
    return CPAM_OK;
}

static uint64_t
index_hash(uint64_t file, uint32_t number)
{
    uint64_t mixed = (file ^ number) * UINT64_C(0x9e3779b97f4a7c15);

    return (mixed ^ mixed >> 29) << PLACE_BITS;
}

/* Room for one more of what grows by doubling. */
static bool
grow(void **items, size_t count, size_t *cap, size_t item)
{
    size_t more = *cap == 0 ? 256 : *cap * 2;
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
        return no_memory(err);
    known->labels = grown;
    memcpy(known->labels[known->label_count++], label.label, BACKUP_LABEL_MAX);
    return CPAM_OK;
}

static size_t
copies_size(const struct push_known *known)
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
        size != sizeof(fixed) + copies_size(known) + 2 * lengths)
        return bad(known, "a pack is damaged", err);
    if (!grow((void **) &known->packs, known->pack_count, &known->pack_cap, sizeof(*known->packs)))
        return no_memory(err);
    struct known_pack *pack = &known->packs[known->pack_count];
    *pack = (struct known_pack){.id = fixed.id, .at = at, .frame_count = fixed.frame_count};
    pack->frames = malloc(lengths);
    pack->live = calloc(fixed.frame_count, sizeof(uint32_t));
    known->pack_count++;
    if (pack->frames == NULL || pack->live == NULL)
        return no_memory(err);
    memcpy(pack->frames, data + sizeof(fixed) + copies_size(known) + lengths, lengths);
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
        return no_memory(err);
    known->index[known->index_count++] = index_hash(file, fixed.number) | at;
    return CPAM_OK;
}

static enum cpam_status
take_commit(struct push_known *known, const uint8_t *data, size_t size, struct cpam_err *err)
{
    if (size != sizeof(*known->commit))
        return bad(known, "its end is damaged", err);
    known->commit = malloc(sizeof(*known->commit));
    if (known->commit == NULL)
        return no_memory(err);
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
    case RECORD_COMMIT: return take_commit(known, data, header->size, err);
    default: return bad(known, "it has a record of another version", err);
    }
}

static enum cpam_status
take_head(struct push_known *known, struct cpam_buf *record, struct cpam_err *err)
{
    struct push_head *head = &known->head;
    struct push_record header;

    CPAM_TRY(record_get(known, 0, record, &header, err));
    if (header.type != RECORD_HEAD || header.size != sizeof(*head))
        return bad(known, "it is none", err);
    memcpy(head, record->data + sizeof(header), sizeof(*head));
    head->label[BACKUP_LABEL_MAX - 1] = head->epoch[BACKUP_LABEL_MAX - 1] = '\0';
    if (head->magic != PUSH_RECORD_MAGIC || head->block_size != BLOCK_PAGE ||
        head->part_size == 0 || head->part_size % BLOCK_PAGE != 0 || head->repos > PACK_REPOS_MAX)
        return bad(known, "it is of another version", err);
    return CPAM_OK;
}

static enum cpam_status
take_all(struct push_known *known, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf record = {0};
    CPAM_AUTO(aead_free) struct aead *aead = NULL;
    struct push_record header;
    uint8_t mac[AEAD_TAG_SIZE];

    CPAM_TRY(take_head(known, &record, err));
    CPAM_TRY(push_record_mac(known->head.key, &aead, err));
    for (uint64_t at = 0; at < known->size; at += record.size)
    {
        CPAM_TRY(record_get(known, at, &record, &header, err));
        CPAM_TRY(push_record_prove(aead, record.data, record.size, mac, err));
        if (memcmp(mac, header.mac, sizeof(mac)) != 0)
            return bad(known, "a record is damaged", err);
        CPAM_TRY(take(known, &header, &record, err));
    }
    if (known->commit == NULL)
        return bad(known, "it has no end", err);
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

static struct known_pack *
find_pack(const struct push_known *known, int64_t id)
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
    struct known_pack *pack = extent->pack < 0 ? NULL : find_pack(known, extent->pack);
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

static enum cpam_status
part_at(const struct push_known *known, uint64_t at, struct cpam_buf *text, struct push_part *fixed,
        const char **path, struct known_part *out, struct cpam_err *err)
{
    struct push_record header;
    size_t extents, before;

    CPAM_TRY(record_get(known, at, text, &header, err));
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

        CPAM_TRY(part_at(known, known->index[i] & ((UINT64_C(1) << PLACE_BITS) - 1), &text, &fixed,
                         &path, &part, err));
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

enum cpam_status
push_known_open(struct io *io, const char *path, struct push_known **out, struct cpam_err *err)
{
    CPAM_AUTO(push_known_free) struct push_known *known = calloc(1, sizeof(*known));
    struct stat found;

    *out = NULL;
    if (known == NULL)
        return no_memory(err);
    known->io = io;
    known->fd = -1;
    pthread_mutex_init(&known->lock, NULL);
    known->path = strdup(path);
    if (known->path == NULL)
        return no_memory(err);
    CPAM_TRY(file_open(io, path, O_RDONLY | O_NOFOLLOW, 0, &known->fd, err));
    CPAM_TRY(file_stat(io, path, &found, err));
    known->size = (uint64_t) found.st_size;
    CPAM_TRY(take_all(known, err));
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
    pthread_mutex_destroy(&known->lock);
    free(known->packs);
    free(known->index);
    free(known->labels);
    free(known->commit);
    free(known->path);
    free(known);
}

const struct push_head *
push_known_head(const struct push_known *known)
{
    return &known->head;
}

const struct push_commit *
push_known_commit(const struct push_known *known)
{
    return known->commit;
}

const char *
push_known_label(const struct push_known *known, uint32_t ordinal)
{
    return ordinal < known->label_count ? known->labels[ordinal] : "";
}

uint32_t
push_known_labels(const struct push_known *known)
{
    return known->label_count;
}

int
push_known_repo(const struct push_known *known, const uint8_t uuid[16])
{
    for (uint32_t i = 0; i < known->head.repos; i++)
        if (memcmp(known->head.uuids[i], uuid, 16) == 0)
            return (int) i;
    return -1;
}

/* The first index entry that is not below wanted. */
static size_t
index_find(const struct push_known *known, uint64_t wanted)
{
    size_t low = 0, high = known->index_count;

    while (low < high)
    {
        size_t middle = low + (high - low) / 2;

        if (known->index[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum cpam_status
push_known_part(struct push_known *known, const char *path, uint64_t file, uint32_t number,
                struct cpam_buf *text, struct known_part *out, struct cpam_err *err)
{
    uint64_t hash = index_hash(file, number);

    for (size_t i = index_find(known, hash); i < known->index_count; i++)
    {
        uint64_t entry = known->index[i];
        struct push_part fixed;
        const char *found;

        if (entry >> PLACE_BITS != hash >> PLACE_BITS)
            break;
        CPAM_TRY(part_at(known, entry & ((UINT64_C(1) << PLACE_BITS) - 1), text, &fixed, &found,
                         out, err));
        if (fixed.number == number && strcmp(found, path) == 0)
            return CPAM_OK;
    }
    return cpam_fail(err, CPAM_NOT_FOUND, 0, "nothing is known of \"%s\"", path);
}

uint32_t
push_known_frame(const struct push_known *known, int64_t pack, uint32_t frame, bool *thin)
{
    const struct known_pack *found = find_pack(known, pack);

    *thin = false;
    if (found == NULL || frame >= found->frame_count)
        return 0;
    *thin = (found->frames[frame] & THIN_FRAME) != 0;
    return found->frames[frame] & ~THIN_FRAME;
}

void
push_known_use(struct push_known *known, int64_t pack, uint32_t frame)
{
    struct known_pack *found = find_pack(known, pack);

    if (found == NULL)
        return;
    pthread_mutex_lock(&known->lock);
    if (found->used <= frame)
        found->used = frame + 1;
    pthread_mutex_unlock(&known->lock);
}

static enum cpam_status
tell_used(const struct push_known *known, const struct known_pack *pack, push_known_fn fn,
          void *arg, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf record = {0};
    CPAM_AUTO(free) uint32_t *lengths = calloc(2 * (size_t) pack->frame_count, sizeof(uint32_t));
    struct pack_copy copies[PACK_REPOS_MAX];
    struct push_record header;
    size_t before = sizeof(header) + sizeof(struct push_pack);

    if (lengths == NULL)
        return no_memory(err);
    CPAM_TRY(record_get(known, pack->at, &record, &header, err));
    memcpy(copies, record.data + before, copies_size(known));
    memcpy(lengths, record.data + before + copies_size(known),
           2 * (size_t) pack->frame_count * sizeof(uint32_t));
    struct manifest_pack told = {
        .frame_count = pack->used, .clen = lengths, .rlen = lengths + pack->frame_count};
    uint32_t name = PUSH_PACK_NAME(pack->id);
    char key[LAYOUT_KEY_MAX];

    layout_pack(push_known_label(known, PUSH_PACK_ORDINAL(pack->id)), name >> 24, name & 0xffffff,
                key);
    memcpy(told.key, key, sizeof(told.key));
    struct known_pack_use use = {.id = pack->id, .pack = &told, .copies = copies};
    return fn(arg, &use, err);
}

enum cpam_status
push_known_used(struct push_known *known, push_known_fn fn, void *arg, struct cpam_err *err)
{
    uint32_t rank = 0;

    for (size_t i = 0; i < known->pack_count; i++)
    {
        known->packs[i].rank = rank;
        if (known->packs[i].used == 0)
            continue;
        rank++;
        CPAM_TRY(tell_used(known, &known->packs[i], fn, arg, err));
    }
    return CPAM_OK;
}

uint32_t
push_known_rank(const struct push_known *known, int64_t pack)
{
    const struct known_pack *found = find_pack(known, pack);

    return found == NULL ? 0 : found->rank;
}
