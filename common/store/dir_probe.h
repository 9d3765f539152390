/*
 * dir_probe.h - making and probing the directory of a new repository.
 */
#ifndef CPAM_STORE_DIR_PROBE_H
#define CPAM_STORE_DIR_PROBE_H

#include "store/store.h"

/* As store_prepare(); root is made with `mode` together with its missing parents. */
enum cpam_status dir_probe(struct store *store, const char *root, mode_t mode,
                           struct cpam_err *err) CPAM_CHECK;

#endif
