/*
 * target_order.h - does a recovery target lie behind a backup? For target*.c.
 */
#ifndef CPAM_REPO_TARGET_ORDER_H
#define CPAM_REPO_TARGET_ORDER_H

#include "repo/target.h"

/* Does the target lie behind the end of this backup, so that it can be reached from there? */
bool target_ends_before(const struct target *target, const struct backup_summary *backup);

/* Is it known to lie in front of that end?  Not both: some targets can't be told. */
bool target_is_earlier(const struct target *target, const struct backup_summary *backup);

#endif
