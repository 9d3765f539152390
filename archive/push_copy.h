/*
 * push_copy.h - reading the planned files once, with several workers, into packs.
 */
#ifndef CPAM_ARCHIVE_PUSH_COPY_H
#define CPAM_ARCHIVE_PUSH_COPY_H

#include <signal.h>

#include "cli/progress.h"
#include "io/pace.h"
#include "page_check.h"
#include "push_base.h"
#include "push_plan.h"

struct push_copy_spec
{
    struct repo *const *repos; /* as many as packs has (pack.h); each worker gets others of them */
    struct plan *plan;
    struct pack_set *packs;
    const char *data;            /* the data directory; NULL: files come in pieces */
    struct push_base *base;      /* what is known of the content already; NULL: pages get no tags */
    struct page_findings *pages; /* where damaged pages are noted; NULL: they have no checksums */
    unsigned workers;
    struct progress *progress;            /* or NULL */
    struct pace *read;                    /* what is read takes from it; or NULL */
    const volatile sig_atomic_t *stopped; /* not 0: give up */
};

struct push_copy;
enum cpam_status push_copy_new(struct io *io, const struct push_copy_spec *spec,
                               struct push_copy **out, struct cpam_err *err) CPAM_CHECK;
/* Every planned file but global/pg_control, which comes last (postgresql.md trap 21). */
enum cpam_status push_copy_files(struct push_copy *copy, struct cpam_err *err) CPAM_CHECK;
/*
 * A piece of a file that comes by itself: takes content (malloc'd, size bytes) over, also where it
 * fails.  Waits while as many pieces as twice the workers have not found one.
 */
struct push_piece
{
    const char *path; /* relative to the data directory; copied */
    uint64_t part, offset;
    uint8_t *content;
    size_t size; /* all of the part */
};
enum cpam_status push_copy_piece(struct push_copy *copy, const struct push_piece *piece,
                                 struct cpam_err *err) CPAM_CHECK;
/* Until every piece is in its pack. */
enum cpam_status push_copy_pieces_end(struct push_copy *copy, struct cpam_err *err) CPAM_CHECK;
/* Content that is in memory: pg_control, backup_label, tablespace_map; it stays the caller's.  After
   push_copy_files or push_copy_pieces_end. */
enum cpam_status push_copy_text(struct push_copy *copy, const struct push_piece *text,
                                struct cpam_err *err) CPAM_CHECK;
/* Puts every pack that is not full yet. */
enum cpam_status push_copy_finish(struct push_copy *copy, struct cpam_err *err) CPAM_CHECK;
void push_copy_free(struct push_copy *copy);
CPAM_SCOPED(push_copy_free, struct push_copy);

#define PUSH_CONTROL_PATH "global/pg_control"

#endif
