/*
 * restore_layout.h - the second passage: what is foreign goes, directories and files are made,
 * extents spilled by pack.
 */
#ifndef CPAM_RESTORE_RESTORE_LAYOUT_H
#define CPAM_RESTORE_RESTORE_LAYOUT_H

#include "restore_blocks.h"
#include "restore_files.h"
#include "restore_spill.h"

/* blocks: the tags of the backup's pages, or NULL. */
enum cpam_status restore_layout(const struct restore_files *files, struct restore_spill *spill,
                                struct restore_blocks *blocks, struct cpam_err *err) CPAM_CHECK;

#endif
