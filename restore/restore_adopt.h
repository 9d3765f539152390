/*
 * restore_adopt.h - may --delta write over what is in a place?
 *
 * Only where nobody else's data can be meant: a data directory of the very cluster the backup is of,
 * in which no server runs, and the tablespaces its own links lead to.  A copy of a data directory has the
 * links of its original, so these count only where the target is the directory that was backed up, or
 * where --tablespace-map names the place (OLD=OLD says that it is this one's); and never where a server
 * of another directory uses it.
 */
#ifndef CPAM_RESTORE_RESTORE_ADOPT_H
#define CPAM_RESTORE_RESTORE_ADOPT_H

#include "restore_places.h"

/* place is not empty, and not what an aborted restore left.  Sets place->adopted, or refuses. */
enum cpam_status restore_adopt(struct restore_places *places, struct restore_place *place,
                               struct cpam_err *err) CPAM_CHECK;
/* CPAM_USAGE: a server runs in the data directory, or may. */
enum cpam_status restore_adopt_stopped(struct restore_places *places,
                                       struct cpam_err *err) CPAM_CHECK;

#endif
