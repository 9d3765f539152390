/*
 * restore_sweep.h - what lies in a directory and is not in the manifest goes, while the manifest
 * passes.
 *
 * One sweep is of one place.  The manifest names everything in ascending order, part by part; so does
 * a walk over the disk, and the two are merged.  What the manifest does not name is removed, whatever
 * it is: links are removed and never followed, directories with all that is in them.  At the top of a
 * tablespace it stays: servers of other major versions may have their folders there.  A file with more
 * than one name, or where the manifest has another kind of thing, is removed too: only content of the
 * place's own is written into.
 */
#ifndef CPAM_RESTORE_RESTORE_SWEEP_H
#define CPAM_RESTORE_RESTORE_SWEEP_H

#include "repo/manifest.h"
#include "restore_places.h"

struct restore_sweep;
/* place is borrowed, with its descriptor. */
enum cpam_status restore_sweep_new(struct io *io, const struct restore_place *place,
                                   struct restore_sweep **out, struct cpam_err *err) CPAM_CHECK;
/* `path` is the manifest's next in this place, "" for the place itself.  *there: something of this
   kind is there already. */
enum cpam_status restore_sweep_entry(struct restore_sweep *sweep, const char *path,
                                     enum manifest_kind kind, bool *there,
                                     struct cpam_err *err) CPAM_CHECK;
/* The manifest is over: what is left goes. */
enum cpam_status restore_sweep_finish(struct restore_sweep *sweep, struct cpam_err *err) CPAM_CHECK;
void restore_sweep_free(struct restore_sweep *sweep);
CPAM_SCOPED(restore_sweep_free, struct restore_sweep);

#endif
