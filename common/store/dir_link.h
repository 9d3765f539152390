/*
 * dir_link.h - symbolic links in a directory store that lead nowhere.
 */
#ifndef CPAM_STORE_DIR_LINK_H
#define CPAM_STORE_DIR_LINK_H

#include "store/store.h"

/*
 * To be asked before a path below root_fd that opened as ENOENT is called absent.  CPAM_UNKNOWN: a part
 * of it is a link whose target is not there (a second disk that is not mounted), or it could not be
 * told.  CPAM_OK: no part is.
 */
enum cpam_status dir_check_links(struct io *io, int root_fd, const char *path, const char *url,
                                 struct cpam_err *err) CPAM_CHECK;

#endif
