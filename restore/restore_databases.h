/*
 * restore_databases.h - --database: which files of a backup come back as empty ones.
 *
 * The files of every other database have their full length and are all zeros, which takes no room; a
 * file of no length would make replay fail where WAL speaks of its pages (postgresql.md, trap 31).
 * template0, template1, postgres, and all that belongs to no database always come back whole.
 */
#ifndef CPAM_RESTORE_RESTORE_DATABASES_H
#define CPAM_RESTORE_RESTORE_DATABASES_H

#include "base/scope.h"
#include "cli/option.h"
#include "repo/manifest.h"

struct restore_databases;
/* names: of --database (borrowed); none: everything comes back. */
enum cpam_status restore_databases_new(const struct option_list *names,
                                       struct restore_databases **out,
                                       struct cpam_err *err) CPAM_CHECK;
void restore_databases_free(struct restore_databases *databases);
CPAM_SCOPED(restore_databases_free, struct restore_databases);

/* A setting of the backup's manifest: "databases" names them, one "<oid> <name>" a line. */
enum cpam_status restore_databases_setting(struct restore_databases *databases,
                                           const struct manifest_setting *setting,
                                           struct cpam_err *err) CPAM_CHECK;
/* All settings were seen.  CPAM_USAGE: a name is none of a database of the backup. */
enum cpam_status restore_databases_check(const struct restore_databases *databases,
                                         struct cpam_err *err) CPAM_CHECK;

/* Is this file of the backup one of a database that comes back empty? */
bool restore_databases_empties(const struct restore_databases *databases, const char *path);
/* Their names, with commas between; "" for none, and for databases that nobody chose among (NULL). */
const char *restore_databases_emptied(struct restore_databases *databases);

#endif
