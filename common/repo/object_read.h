/*
 * object_read.h - a sealed object out of a repository, authenticated, whichever version it is.
 */
#ifndef CPAM_REPO_OBJECT_READ_H
#define CPAM_REPO_OBJECT_READ_H

#include "repo/repo.h"

/*
 * want->name is the key to look under, here and below; what is checked is the logical name of what
 * lies there, which for an object in quarantine is a part of it (repo/layout.h).
 */

/* The header of the oldest genuine version of want->name, and which version that is (info). */
enum cpam_status object_choose(struct repo *repo, const struct object_want *want,
                               struct object_header *header, struct store_info *info,
                               struct cpam_err *err) CPAM_CHECK;

/*
 * Its whole plaintext into `to`, which is neither finished nor freed.  Sealed objects of up to
 * held_max bytes are held in memory, which saves a request; larger ones are chosen by their header
 * and then streamed.  header may be NULL; it is filled before the first byte leaves.
 */
enum cpam_status object_read(struct repo *repo, const struct object_want *want, size_t held_max,
                             struct sink *to, struct object_header *header,
                             struct cpam_err *err) CPAM_CHECK;

/*
 * The same for a host that holds no identity: read whole and proven by its writer's signatures,
 * without opening it.  CPAM_UNKNOWN for an object without a writer's signature.
 */
enum cpam_status object_prove(struct repo *repo, const struct object_want *want, size_t held_max,
                              struct object_header *header, struct cpam_err *err) CPAM_CHECK;

/*
 * The two, with a frame in memory instead of an object where it is known whether the store keeps
 * versions (store_keeping): frames leave as they come, each authenticated, and what has left counts
 * for nothing unless it ends with CPAM_OK.  Anywhere else, and where the store has several versions,
 * they are object_read and object_prove.
 */
enum cpam_status object_pass(struct repo *repo, const struct object_want *want, size_t held_max,
                             struct sink *to, struct object_header *header,
                             struct cpam_err *err) CPAM_CHECK;
enum cpam_status object_pass_proof(struct repo *repo, const struct object_want *want,
                                   size_t held_max, struct object_header *header,
                                   struct cpam_err *err) CPAM_CHECK;

#endif
