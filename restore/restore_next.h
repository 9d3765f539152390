/*
 * restore_next.h - the exact commands that follow a restore.
 */
#ifndef CPAM_RESTORE_RESTORE_NEXT_H
#define CPAM_RESTORE_RESTORE_NEXT_H

#include "io/io.h"
#include "recovery_settings.h"
#include "restore_pack.h"

struct restore_next
{
    struct io *io;
    const char *data;        /* the restored directory */
    const char *config_file; /* where the server had its configuration, or NULL */
    bool has_config;         /* postgresql.conf is in the data directory */
    bool in_place;           /* the directory is the original's, which so can't run */
    const char *backup;      /* its label, if it holds configuration of elsewhere; or NULL */
    const char *user; /* who owns the data, where root asked: it has to become this; or NULL */
    const struct recovery_settings *settings;
    const struct restore_tally *tally;
    const char *emptied; /* databases that --database left empty, or "" */
    bool delta;          /* tell what was there */
};

/*
 * Appends the lines, to be typed as they are.  *attention is set when a person has to find the
 * configuration first: Debian keeps it outside of the data directory (postgresql.md, trap 18).
 *
 * A configuration that is, or came from, another directory's names that server's port and pid file, and
 * that server may well run: so a copy beside it is started with a port and a pid file of its own.
 */
enum cpam_status restore_next_text(const struct restore_next *next, struct cpam_buf *out,
                                   bool *attention, struct cpam_err *err) CPAM_CHECK;

#endif
