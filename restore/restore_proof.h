/*
 * restore_proof.h - the last passage: every file against the manifest, files and directories
 * fsynced, PostgreSQL's backup_manifest written.
 */
#ifndef CPAM_RESTORE_RESTORE_PROOF_H
#define CPAM_RESTORE_RESTORE_PROOF_H

#include "restore_files.h"
#include "restore_spill.h"

enum cpam_status restore_proof(const struct restore_files *files, struct restore_spill *spill,
                               struct cpam_err *err) CPAM_CHECK;

#endif
