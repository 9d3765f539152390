/*
 * restore_proof.h - the last passage: every file against the manifest, files and directories
 * fsynced, PostgreSQL's backup_manifest written.
 *
 * Small files are also read back: a write that failed in the background before anybody fsynced the
 * file can be forgotten by the kernel together with the file's pages, but not by its content.
 */
#ifndef CPAM_RESTORE_RESTORE_PROOF_H
#define CPAM_RESTORE_RESTORE_PROOF_H

#include "restore_files.h"
#include "restore_spill.h"

enum cpam_status restore_proof(const struct restore_files *files, struct restore_spill *spill,
                               struct cpam_err *err) CPAM_CHECK;

#endif
