/*
 * parents.h - the other backups whose packs a backup uses, as one text in struct backup_summary.
 *
 * "<label> <number of packs>\n" for each, in the order they were added; "" for a full backup.  A
 * summary is copied by value and kept by the thousand, so this has a fixed place of modest size.
 */
#ifndef CPAM_REPO_PARENTS_H
#define CPAM_REPO_PARENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/backup.h"

/* The parent at *at (begin with the text), which moves on to the next one.  False: there is none. */
bool parents_next(const char **at, char label[BACKUP_LABEL_MAX], uint64_t *packs);

/* CPAM_INVALID: it is there already, or there is no room for another one. */
enum cpam_status parents_add(char parents[BACKUP_PARENTS_MAX], const char *label, uint64_t packs,
                             struct cpam_err *err) CPAM_CHECK;

/* The place of label among them, from 0; -1: it is no parent. */
int parents_find(const char *parents, const char *label);
/* How many there are, and of how many packs they say. */
unsigned parents_count(const char *parents, uint64_t *packs);

#endif
