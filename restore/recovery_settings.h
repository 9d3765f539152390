/*
 * recovery_settings.h - what a restored directory tells PostgreSQL: postgresql.auto.conf and the
 * signal file.
 *
 * Everything is written explicitly, since what is left out is inherited or resolved anew at every
 * start (postgresql.md, trap 10): the timeline as a number, the target with a numeric time zone,
 * inclusive or not, the action.  What is not wanted is written as empty, since the server may have it in
 * another file: an old recovery target (two of them are fatal, and one alone ends recovery there), a delay
 * (a standby has none either: whoever wants one sets it), a command to clean an archive.  Older recovery
 * settings are taken out of this file first.  The lines are noted (written_lines.h), and cpam-repo claim
 * takes them out once recovery is over.
 *
 * A copy does not archive (trap 7): its archive_command refuses until `cpam-repo claim`, so that
 * WAL is kept and nothing is lost.  Not for a standby, which must archive when it is promoted, nor
 * for a recovery in place, which archives at once.
 */
#ifndef CPAM_RESTORE_RECOVERY_SETTINGS_H
#define CPAM_RESTORE_RECOVERY_SETTINGS_H

#include "base/buf.h"
#include "repo/target.h"

struct recovery_settings
{
    const char *fetch_program; /* absolute paths */
    const char *push_program;
    const char *config_path;
    const char *repo;  /* --repo, or NULL */
    const char *as_of; /* --as-of, or NULL */
    const struct target *target;
    struct timeline timeline; /* as planned */
    const char *action;       /* pause, promote or shutdown */
    bool standby;             /* standby.signal, follows the latest timeline */
    bool recover;             /* in place: archives at once */
    bool archive_always; /* the original's archive_mode: "always", which a copy's must not be: no
                                 segment it replays would ever be archived, and so all of them stay */
    bool partial;        /* some databases come back empty */
    unsigned major;      /* of PostgreSQL */
    /* The last 16 digits of the segment recovery ends in front of, because --accept-end says so
       (cpam-wal-fetch alone would stop the server at a hole), or because an older timeline's segment
       would be taken for it.  NULL: none. */
    const char *end_before;
};

/* postgresql.auto.conf anew from the restored one (text may be NULL with size 0). */
enum cpam_status recovery_settings_write(const struct recovery_settings *settings, const char *text,
                                         size_t size, struct cpam_buf *out,
                                         struct cpam_err *err) CPAM_CHECK;

/* "standby.signal" or "recovery.signal". */
const char *recovery_signal_name(const struct recovery_settings *settings);

/* restore_command = what this writes; %f and %p are left for the server. */
enum cpam_status recovery_restore_command(const struct recovery_settings *settings,
                                          struct cpam_buf *out, struct cpam_err *err) CPAM_CHECK;

/* One word for the shell: as it is if it is harmless, in single quotes otherwise; '%' doubled,
   since the server looks for %f and %p in the whole command. */
enum cpam_status recovery_shell_word(struct cpam_buf *out, const char *word,
                                     struct cpam_err *err) CPAM_CHECK;
/* The same for a shell that a person types into: '%' is as it is. */
enum cpam_status recovery_typed_word(struct cpam_buf *out, const char *word,
                                     struct cpam_err *err) CPAM_CHECK;

#endif
