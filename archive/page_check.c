/*
 * page_check.c - each page once; a bad one again and again, and noted if it stays bad.
 */
#include "page_check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "pg/excluded.h"

enum
{
    TRIES = 5,
    PAUSE = 50 * 1000, /* us between them: longer than a page takes to be written */
    LOOKS_MAX = 100,   /* pages of a stream that are looked at again */
    PAUSES_MAX = 400   /* in all: where more is bad than a server can be writing, it is damage */
};

struct page_findings
{
    struct io *io;
    struct lsn start;
    uint32_t segment_blocks;
    pthread_mutex_t lock;
    struct page_damage *items;
    size_t count, cap;
    uint64_t beyond; /* found when the list was full */
    unsigned pauses; /* made */
};

struct page_check
{
    struct page_findings *findings;
    const char *path; /* NULL: no pages in this file */
    int fd;
    bool free_space_map;
    uint32_t first_block; /* of the file, in the relation */
    uint64_t offset;      /* in the file, of the page in `held` */
    size_t held_size;
    uint8_t held[PAGE_SIZE];
};

enum cpam_status
page_findings_new(struct io *io, struct lsn start, uint32_t segment_blocks,
                  struct page_findings **out, struct cpam_err *err)
{
    struct page_findings *findings = calloc(1, sizeof(*findings));

    *out = findings;
    if (findings == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to check pages");
    findings->io = io;
    findings->start = start;
    findings->segment_blocks = segment_blocks;
    pthread_mutex_init(&findings->lock, NULL);
    return CPAM_OK;
}

void
page_findings_free(struct page_findings *findings)
{
    if (findings == NULL)
        return;
    for (size_t i = 0; i < findings->count; i++)
        free(findings->items[i].path);
    free(findings->items);
    pthread_mutex_destroy(&findings->lock);
    free(findings);
}

static int
compare_damages(const void *a, const void *b)
{
    const struct page_damage *one = a, *two = b;
    int order = strcmp(one->path, two->path);

    return order != 0 ? order : (one->block > two->block) - (one->block < two->block);
}

void
page_findings_conclude(struct page_findings *findings, struct lsn end, uint64_t *damaged)
{
    size_t kept = 0;

    *damaged = findings->beyond;
    for (size_t i = 0; i < findings->count; i++)
    {
        struct page_damage *one = &findings->items[i];

        if (one->lsn.at >= findings->start.at && one->lsn.at <= end.at)
        {
            free(one->path);
            continue;
        }
        *damaged += one->free_space_map ? 0 : 1;
        findings->items[kept++] = *one;
    }
    findings->count = kept;
    if (kept > 1)
        qsort(findings->items, kept, sizeof(*findings->items), compare_damages);
}

/*
 * What was seen of this page was bad, and this is whole: was it torn by a write?  Whatever the server
 * writes since the backup began, replay writes as well.  An older page was not being written: it was
 * misread, and what the backup has of it no replay mends.
 */
static bool
written_since(const struct page_findings *findings, const uint8_t *page, uint32_t block,
              bool free_space_map)
{
    return free_space_map || page_verify(page, block) == PAGE_NEW ||
           page_lsn(page).at >= findings->start.at;
}

/* Torn when it was seen: now it is whole, or its file is gone or shorter. */
static enum cpam_status
was_torn(const struct page_findings *findings, const struct page_damage *damage,
         page_again_fn again, void *arg, bool *torn, struct cpam_err *err)
{
    uint32_t first = damage->block - damage->block % findings->segment_blocks;
    uint8_t page[PAGE_SIZE];

    *torn = false;
    for (int i = 0; i < TRIES && !*torn; i++)
    {
        bool gone = false;

        if (i > 0)
            findings->io->ops->sleep(findings->io, PAUSE);
        CPAM_TRY(again(arg, damage->path, (uint64_t) (damage->block - first) * PAGE_SIZE, page,
                       &gone, err));
        if (!gone && page_verify(page, damage->block) == PAGE_DAMAGED)
            continue;
        *torn = gone || written_since(findings, page, damage->block, damage->free_space_map);
        if (!*torn)
            return CPAM_OK;
    }
    return CPAM_OK;
}

enum cpam_status
page_findings_look_again(struct page_findings *findings, page_again_fn again, void *arg,
                         uint64_t *damaged, struct cpam_err *err)
{
    enum cpam_status status = CPAM_OK;
    size_t kept = 0;

    *damaged = findings->beyond;
    for (size_t i = 0; i < findings->count; i++)
    {
        struct page_damage *one = &findings->items[i];
        bool torn = false;

        /* where very many are bad, they are not torn */
        if (status == CPAM_OK && i < LOOKS_MAX)
            status = was_torn(findings, one, again, arg, &torn, err);
        if (torn)
        {
            free(one->path);
            continue;
        }
        *damaged += one->free_space_map ? 0 : 1;
        findings->items[kept++] = *one;
    }
    findings->count = kept;
    return status;
}

size_t
page_findings_count(const struct page_findings *findings)
{
    return findings->count;
}

const struct page_damage *
page_findings_at(const struct page_findings *findings, size_t index)
{
    return &findings->items[index];
}

/* Under the lock. */
static enum cpam_status
note_locked(struct page_findings *findings, const struct page_check *check, uint32_t block,
            struct lsn lsn, struct cpam_err *err)
{
    if (findings->count == PAGE_DAMAGES_MAX)
    {
        findings->beyond += check->free_space_map ? 0 : 1;
        return CPAM_OK;
    }
    if (findings->count == findings->cap)
    {
        size_t cap = findings->cap == 0 ? 16 : findings->cap * 2;
        struct page_damage *grown = realloc(findings->items, cap * sizeof(*grown));

        if (grown == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to note a damaged page");
        findings->items = grown;
        findings->cap = cap;
    }
    struct page_damage one = {strdup(check->path), block, lsn, check->free_space_map};
    if (one.path == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to note a damaged page");
    findings->items[findings->count++] = one;
    return CPAM_OK;
}

/* False: no time is left for it. */
static bool
pause_before(struct page_findings *findings)
{
    pthread_mutex_lock(&findings->lock);
    bool granted = findings->pauses < PAUSES_MAX;
    findings->pauses += granted;
    pthread_mutex_unlock(&findings->lock);
    if (granted)
        findings->io->ops->sleep(findings->io, PAUSE);
    return granted;
}

/* A page that did not verify: read it again until it does, or does not for good.  taken: what the
   backup takes of it, which is mended; NULL: that has gone on in part. */
static enum cpam_status
look_again(struct page_check *check, const uint8_t *page, uint8_t *taken, uint64_t offset,
           uint32_t block, struct cpam_err *err)
{
    struct page_findings *findings = check->findings;
    struct lsn lsn = page_lsn(page);
    uint8_t again[PAGE_SIZE];

    for (int i = 0; i < TRIES && check->fd >= 0; i++)
    {
        size_t got;

        if (i > 0 && !pause_before(findings))
            break;
        CPAM_TRY(file_read_at(findings->io, check->fd, check->path, again, PAGE_SIZE, offset, &got,
                              err));
        if (got < PAGE_SIZE) /* cut away since: WAL knows */
            return CPAM_OK;
        lsn = page_lsn(again);
        if (page_verify(again, block) == PAGE_DAMAGED)
            continue;
        if (taken != NULL)
            memcpy(taken, again, PAGE_SIZE);
        if (taken != NULL || written_since(findings, again, block, check->free_space_map))
            return CPAM_OK;
        break;
    }
    pthread_mutex_lock(&findings->lock);
    enum cpam_status status = note_locked(findings, check, block, lsn, err);
    pthread_mutex_unlock(&findings->lock);
    return status;
}

enum cpam_status
page_check_new(struct page_findings *findings, struct page_check **out, struct cpam_err *err)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to check pages");
    (*out)->findings = findings;
    return CPAM_OK;
}

void
page_check_free(struct page_check *check)
{
    free(check);
}

void
page_check_begin(struct page_check *check, const char *path, int fd, uint64_t offset)
{
    struct relation_name name;

    check->path = relation_path_parse(path, &name) ? path : NULL;
    if (check->path == NULL)
        return;
    check->fd = fd;
    check->free_space_map = name.fork == RELATION_FSM;
    check->first_block = name.segment * check->findings->segment_blocks;
    check->offset = offset;
    check->held_size = 0;
}

static enum cpam_status
one_page(struct page_check *check, const uint8_t *page, uint8_t *taken, struct cpam_err *err)
{
    uint64_t offset = check->offset;
    uint32_t block = check->first_block + (uint32_t) (offset / PAGE_SIZE);

    check->offset += PAGE_SIZE;
    if (page_verify(page, block) != PAGE_DAMAGED)
        return CPAM_OK;
    return look_again(check, page, taken, offset, block, err);
}

enum cpam_status
page_check_feed(struct page_check *check, void *data, size_t size, struct cpam_err *err)
{
    uint8_t *at = data;

    if (check->path == NULL)
        return CPAM_OK;
    while (size > 0)
    {
        if (check->held_size == 0 && size >= PAGE_SIZE)
        {
            CPAM_TRY(one_page(check, at, at, err));
            at += PAGE_SIZE;
            size -= PAGE_SIZE;
            continue;
        }
        size_t piece = PAGE_SIZE - check->held_size;

        if (piece > size)
            piece = size;
        memcpy(check->held + check->held_size, at, piece);
        check->held_size += piece;
        at += piece;
        size -= piece;
        if (check->held_size == PAGE_SIZE)
        {
            check->held_size = 0;
            CPAM_TRY(one_page(check, check->held, NULL, err));
        }
    }
    return CPAM_OK;
}
