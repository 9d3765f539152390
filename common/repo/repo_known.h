/*
 * repo_known.h - what a process has found out about a repository, for all its connections to it.
 *
 * Only what stays true is kept: that a cluster is registered, and that the store refuses to
 * overwrite.  Nothing that was absent is remembered as absent.
 */
#ifndef CPAM_REPO_REPO_KNOWN_H
#define CPAM_REPO_REPO_KNOWN_H

#include "repo/repo.h"

struct repo_known;
enum cpam_status repo_known_new(struct repo_known **out, struct cpam_err *err) CPAM_CHECK;
struct repo_known *repo_known_share(struct repo_known *known);
void repo_known_free(struct repo_known *known); /* the last one frees it */

/* The text of repo.json as it was authenticated; copied. */
enum cpam_status repo_known_identity(struct repo_known *known, const void *text, size_t size,
                                     struct cpam_err *err) CPAM_CHECK;

struct repo_known *repo_known_of(struct repo *repo);

/* Is it the repository that was opened, still?  CPAM_REFUSED: another one was made in its place, which
   has other keys: what is sealed for this one is nothing in that one. */
enum cpam_status repo_still_same(struct repo *repo, struct cpam_err *err) CPAM_CHECK;

/* P6: is the cluster registered?  The store is asked until it was once.  CPAM_NOT_FOUND: it is not. */
enum cpam_status repo_knows_cluster(struct repo *repo, uint64_t sysid,
                                    struct cpam_err *err) CPAM_CHECK;

/* store_refuses_taken(), asked once; false while another thread is asking. */
enum cpam_status repo_refuses_taken(struct repo *repo, bool *refuses,
                                    struct cpam_err *err) CPAM_CHECK;

#endif
