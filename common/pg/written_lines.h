/*
 * written_lines.h - which lines of postgresql.auto.conf a restore wrote, so that they can go again.
 *
 * Of several lines for one name the last wins, so a restore writes behind what is there, and taking its
 * lines out brings back what they covered.  Which they are is told by one more of them,
 * "cpam_restore.wrote": "name:crc" of each, the CRC-32C of its value in hex.  PostgreSQL takes any
 * parameter of such a name, and ALTER SYSTEM, which writes the file anew without its comments, keeps it.
 * A line somebody has changed since is not the restore's any more.
 */
#ifndef CPAM_PG_WRITTEN_LINES_H
#define CPAM_PG_WRITTEN_LINES_H

#include <stdbool.h>

#include "base/buf.h"

/* Set to "on" in a restore of some databases only: it can never be an original (cpam-repo claim). */
#define WRITTEN_PARTIAL "cpam_restore.partial"

struct written_lines
{
    struct cpam_buf *out;   /* the file, appended to */
    struct cpam_buf record; /* so far; cleared by written_lines_finish() */
};

/* A line of its own, and a note of it.  Fails as guc_file_set() does. */
enum cpam_status written_lines_set(struct written_lines *lines, const char *name, const char *value,
                                   struct cpam_err *err) CPAM_CHECK;
/* The note itself; in any case the record is cleared. */
enum cpam_status written_lines_finish(struct written_lines *lines, struct cpam_err *err) CPAM_CHECK;

enum written_scope
{
    WRITTEN_ARCHIVING, /* archive_* alone; the note stays, for the rest */
    WRITTEN_ALL
};

struct written_removed
{
    unsigned archiving; /* lines: archive_* */
    unsigned recovery;  /* all others, but the note */
};

/*
 * The file without those lines: of each that is noted, the last one with its name and value.  Without a
 * note, as earlier versions wrote it: the last archive_command if it refuses, with an archive_library = ''
 * right behind it.
 */
enum cpam_status written_lines_remove(const char *text, size_t size, enum written_scope scope,
                                      struct cpam_buf *out, struct written_removed *removed,
                                      struct cpam_err *err) CPAM_CHECK;

#endif
