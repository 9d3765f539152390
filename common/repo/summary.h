/*
 * summary.h - struct backup_summary as JSON, for backup_*.c and manifest_*.c; nobody else.
 *
 * summary.json has every member.  The manifest's end line has the common ones: all but seq and prev
 * (given out only after the manifest is stored, see backup_commit.c) and manifest and blocks (which
 * name the manifest itself).
 */
#ifndef CPAM_REPO_SUMMARY_H
#define CPAM_REPO_SUMMARY_H

#include "repo/backup.h"
#include "repo/record.h"

/* The labels of a text of parents (parents.h). */
json_t *summary_parents(const char *parents, bool *failed);

/* Sets the common members on an object. */
enum cpam_status summary_set_common(const struct repo *repo, const struct backup_summary *summary,
                                    json_t *object, struct cpam_err *err) CPAM_CHECK;
/* The whole body of summary.json, with format and repo. */
enum cpam_status summary_body(struct repo *repo, const struct backup_summary *summary, json_t **out,
                              struct cpam_err *err) CPAM_CHECK;
/* From an authenticated body without format and repo.  digest is the caller's to fill. */
enum cpam_status summary_parse(const json_t *body, const char *key, struct backup_summary *out,
                               struct cpam_err *err) CPAM_CHECK;

#endif
