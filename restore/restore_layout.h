/*
 * restore_layout.h - the second passage: directories and files made, extents spilled by pack.
 */
#ifndef CPAM_RESTORE_RESTORE_LAYOUT_H
#define CPAM_RESTORE_RESTORE_LAYOUT_H

#include "restore_files.h"
#include "restore_spill.h"

enum cpam_status restore_layout(const struct restore_files *files, struct restore_spill *spill,
                                struct cpam_err *err) CPAM_CHECK;

#endif
