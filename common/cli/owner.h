/*
 * owner.h - acting as the owner of the data directory when started as root.
 *
 * Root can read and write anything, and what it makes belongs to root: a restored directory the
 * server can't open, a spool the archiver can't write.  So a program started as root gives root up
 * before it touches anything but its configuration.  Not root: nothing happens.
 */
#ifndef CPAM_CLI_OWNER_H
#define CPAM_CLI_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "io/io.h"

struct owner
{
    uid_t uid;
    gid_t gid;
    char name[64]; /* login name, for initgroups and sentences */
};

/*
 * Who owns data_dir.  Where it is absent (it was destroyed), the nearest folder above it that is
 * not root's; where there is none, the user postgres.  A data directory that root owns is
 * CPAM_USAGE: no server can run on it.
 */
enum cpam_status owner_of(struct io *io, const char *data_dir, struct owner *out,
                          struct cpam_err *err) CPAM_CHECK;

/*
 * Who is meant to read what lies in a folder: its owner, or, for a folder of root's that a group may
 * read (/etc/cpam is root:postgres), the user with the group's name.  uid 0: root itself.
 */
enum cpam_status owner_of_folder(struct io *io, const char *path, struct owner *out,
                                 struct cpam_err *err) CPAM_CHECK;

/* For good: groups, then group, then user; proven by looking that root can't be had back. */
enum cpam_status owner_become(const struct owner *owner, struct cpam_err *err) CPAM_CHECK;

/* For a while, in a program with one thread; owner_leave() gives root back.  Does nothing unless
   root. */
enum cpam_status owner_enter(const struct owner *owner, struct cpam_err *err) CPAM_CHECK;
enum cpam_status owner_leave(struct cpam_err *err) CPAM_CHECK;

bool owner_is_root(void);

#endif
