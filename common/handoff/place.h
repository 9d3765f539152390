/*
 * place.h - where in the spool a front and its worker meet.
 *
 *     <wal.spool>/<cluster>-<system identifier>-<device>-<inode>/   mode 0700, owned by who runs it
 *         push.sock  push.lock     cpam-wal-push and cpam-wal-worker
 *         fetch.sock fetch.lock    cpam-wal-fetch and cpam-wal-prefetch
 *         prefetch/                files fetched ahead; worth nothing after a crash
 *
 * Device and inode are the data directory's, found through %p, not through the configuration:
 * production, a drill clone and a replica on one host never share a worker (postgresql.md, trap 15).
 */
#ifndef CPAM_HANDOFF_PLACE_H
#define CPAM_HANDOFF_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/scope.h"
#include "io/io.h"

struct handoff_key
{
    const char *cluster;
    uint64_t sysid;
    dev_t device;
    ino_t inode;
};

enum handoff_role
{
    HANDOFF_PUSH,
    HANDOFF_FETCH
};

struct handoff_place; /* an open directory and its path */

/* sysid from global/pg_control below data (not yet checked against anything), device and inode of
   data itself.  cluster is kept.  CPAM_NOT_FOUND: no data directory there. */
enum cpam_status handoff_key_of(struct io *io, const char *data, const char *cluster,
                                struct handoff_key *out, struct cpam_err *err) CPAM_CHECK;

/*
 * Opens the directory, makes it (0700) where create is set.  spool itself must be there.
 * CPAM_REFUSED: it is somebody else's, others may enter it, it is a link, or spool lies in a
 * pg_wal directory (requirements row F9).  CPAM_NOT_FOUND: absent and not to be made.
 */
enum cpam_status handoff_place_open(struct io *io, const char *spool, const struct handoff_key *key,
                                    bool create, struct handoff_place **out,
                                    struct cpam_err *err) CPAM_CHECK;
void handoff_place_free(struct handoff_place *place);
CPAM_SCOPED(handoff_place_free, struct handoff_place);

/* "push" or "fetch". */
const char *handoff_role_name(enum handoff_role role);

const char *handoff_place_path(const struct handoff_place *place);
int handoff_place_fd(const struct handoff_place *place); /* O_PATH or O_DIRECTORY descriptor */

#endif
