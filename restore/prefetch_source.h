/*
 * prefetch_source.h - the repositories as several threads read segments from them.
 *
 * A repository is opened once: keys, identity.  Each thread has connections of its own, which are
 * kept between segments; one that failed is given up and made anew.  A repository that failed comes
 * last for a while, so that a silent one does not hold up what another can deliver.
 *
 * CPAM_NOT_FOUND from here proves nothing: it is not told to the server (fetch_once.h).
 */
#ifndef CPAM_RESTORE_PREFETCH_SOURCE_H
#define CPAM_RESTORE_PREFETCH_SOURCE_H

#include "cli/settings.h"
#include "prefetch_folder.h"

struct prefetch_source;
struct prefetch_reader; /* one thread's connections */

/* settings are kept. */
enum cpam_status prefetch_source_new(struct io *io, const struct settings *settings, uint64_t sysid,
                                     struct prefetch_source **out, struct cpam_err *err) CPAM_CHECK;
/* After its readers. */
void prefetch_source_free(struct prefetch_source *source);
CPAM_SCOPED(prefetch_source_free, struct prefetch_source);

/* Which repository is asked first from now on, "": in the configuration's order.  From any thread;
   a name that is not known changes nothing. */
void prefetch_source_prefer(struct prefetch_source *source, const char *repo);

/* Grows whenever a repository was opened anew: what was read before may be of another one.  From any
   thread. */
uint64_t prefetch_source_reopened(struct prefetch_source *source);

enum cpam_status prefetch_reader_new(struct prefetch_source *source, struct prefetch_reader **out,
                                     struct cpam_err *err) CPAM_CHECK;
void prefetch_reader_free(struct prefetch_reader *reader);
CPAM_SCOPED(prefetch_reader_free, struct prefetch_reader);

/*
 * The segment, whole and verified against its name and this cluster, is in file (not published).
 * CPAM_NOT_FOUND: every repository answered so.  Otherwise the first failure.
 */
enum cpam_status prefetch_read(struct prefetch_reader *reader, const char *name,
                               uint32_t segment_size, struct deadline deadline,
                               struct prefetch_file *file, struct cpam_err *err) CPAM_CHECK;

#endif
