/*
 * push_item.h - what one call of archive_command wants archived: the file, read once and checked,
 * and the history of its timeline, without which nobody could recover along it.
 */
#ifndef CPAM_ARCHIVE_PUSH_ITEM_H
#define CPAM_ARCHIVE_PUSH_ITEM_H

#include "repo/wal_archive.h"

struct push_item;

/*
 * Reads the file at path (%p: relative to the working directory, or absolute).  Its last part is
 * its name in the archive.
 *
 * The system identifier it must have is that of the data directory, dirname(dirname(path)); for a
 * .history or .backup file, which do not say it themselves, also that of the working directory or
 * of `data` (postgresql.data; may be NULL), in this order.
 *
 * Beyond timeline 1 <TLI>.history beside it is read too.
 *
 * CPAM_INVALID: no name of the archive, or a content that does not fit it; CPAM_FOREIGN: a segment
 * of another cluster than the data directory it lies in; CPAM_NOT_FOUND: there is no such file.
 * One item may be put into several repositories by several threads at once.
 */
enum cpam_status push_item_read(struct io *io, const char *path, const char *data,
                                struct push_item **out, struct cpam_err *err) CPAM_CHECK;

/*
 * Make it durable in one repository: first the history, then the file, so that what is there can
 * always be recovered along.  Another content under either name is CPAM_EXISTS: a timeline whose
 * number somebody else has used takes no segments from here (postgresql.md, trap 25).
 */
enum cpam_status push_item_put(struct repo *repo, const struct push_item *item, bool *was_there,
                               struct cpam_err *err) CPAM_CHECK;

/*
 * The same for a caller that makes many: how->history_there says that the history was put before,
 * from the very file this item has it from.
 */
struct push_item_how
{
    bool history_there;
    struct wal_put_how wal;
};
struct push_item_result
{
    bool was_there;
    bool
        history_put; /* this item's history is there, also where the file itself could not be put */
};
enum cpam_status push_item_put_how(struct repo *repo, const struct push_item *item,
                                   const struct push_item_how *how, struct push_item_result *result,
                                   struct cpam_err *err) CPAM_CHECK;

/* Keep it for a repository that does not have it (backlog.h): the history first, where there is
   one here. */
struct backlog;
enum cpam_status push_item_keep(const struct push_item *item, struct backlog *backlog,
                                struct cpam_err *err) CPAM_CHECK;

const char *push_item_name(const struct push_item *item);
const char *push_item_path(const struct push_item *item);
uint64_t push_item_sysid(const struct push_item *item);

void push_item_free(struct push_item *item);
CPAM_SCOPED(push_item_free, struct push_item);

#endif
