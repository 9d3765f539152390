/*
 * page_check.h - the checksums of pages on their way into a backup, and what to make of a bad one.
 *
 * A page that the server is writing just now may be read half old, half new.  So a bad one is read
 * again, a few times.  What stays bad is no damage if its LSN lies between the backup's start and
 * the end of WAL: then WAL holds the whole page (full page writes are on during a backup) and replay
 * writes it anew.  An LSN beyond the end of WAL is damage.  (postgresql.md, trap 24)
 *
 * The free space map is not protected by WAL and heals itself; its pages are told and never decide.
 */
#ifndef CPAM_ARCHIVE_PAGE_CHECK_H
#define CPAM_ARCHIVE_PAGE_CHECK_H

#include "base/scope.h"
#include "io/io.h"
#include "pg/page.h"

enum
{
    PAGE_DAMAGES_MAX = 10000 /* told one by one; of more only the number */
};

struct page_damage
{
    char *path;     /* relative to the data directory */
    uint32_t block; /* in the relation fork */
    struct lsn lsn;
    bool free_space_map;
};

/* What all threads found. */
struct page_findings;
/* start: of the backup.  segment_blocks: blocks in a file of a relation (pg_control). */
enum cpam_status page_findings_new(struct io *io, struct lsn start, uint32_t segment_blocks,
                                   struct page_findings **out, struct cpam_err *err) CPAM_CHECK;
void page_findings_free(struct page_findings *findings);
CPAM_SCOPED(page_findings_free, struct page_findings);

/*
 * All pages have been looked at, and `end` is how far WAL has been written since: drops what replay
 * mends.  *damaged counts pages, those of free space maps not among them.
 */
void page_findings_conclude(struct page_findings *findings, struct lsn end, uint64_t *damaged);
/*
 * Pages that came in a stream were seen once, perhaps while they were written: each that is left after
 * page_findings_conclude() is read by `again`, at `offset` of its file, and dropped where it is whole now
 * or gone (*gone), since it was torn then, and WAL holds what tore it.  *damaged is counted anew.  Where
 * `again` fails, that one and the others stay.
 */
typedef enum cpam_status (*page_again_fn)(void *arg, const char *path, uint64_t offset,
                                          uint8_t page[PAGE_SIZE], bool *gone,
                                          struct cpam_err *err);
enum cpam_status page_findings_look_again(struct page_findings *findings, page_again_fn again,
                                          void *arg, uint64_t *damaged,
                                          struct cpam_err *err) CPAM_CHECK;
/* In order of path and block; index < page_findings_count(). */
size_t page_findings_count(const struct page_findings *findings);
const struct page_damage *page_findings_at(const struct page_findings *findings, size_t index);

/* One thread's view. */
struct page_check;
enum cpam_status page_check_new(struct page_findings *findings, struct page_check **out,
                                struct cpam_err *err) CPAM_CHECK;
void page_check_free(struct page_check *check);
CPAM_SCOPED(page_check_free, struct page_check);

/* What follows is this file from `offset` (a multiple of PAGE_SIZE) on; fd reads it again and stays
   open until the next begin.  fd -1: it can't be read again, and a bad page is noted at once.  A path that holds no pages is passed over. */
void page_check_begin(struct page_check *check, const char *path, int fd, uint64_t offset);
/* The next bytes, in pieces of any size.  A last piece of a page is no page: the file grows.  A page that
   lies whole in data, is bad and is good when it is read again is replaced by what it is then. */
enum cpam_status page_check_feed(struct page_check *check, void *data, size_t size,
                                 struct cpam_err *err) CPAM_CHECK;

#endif
