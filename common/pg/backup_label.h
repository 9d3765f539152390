/*
 * backup_label.h - the text pg_backup_stop() returns, read; and tablespace_map lines.
 */
#ifndef CPAM_PG_BACKUP_LABEL_H
#define CPAM_PG_BACKUP_LABEL_H

#include "base/buf.h"
#include "pg/segment.h"

struct backup_label
{
    struct lsn start;               /* START WAL LOCATION */
    struct lsn checkpoint;          /* CHECKPOINT LOCATION */
    struct timeline timeline;       /* START TIMELINE */
    char segment[SEGMENT_NAME_MAX]; /* (file ...) */
    bool from_standby;              /* BACKUP FROM: standby */
};

enum cpam_status backup_label_parse(const char *text, size_t size, struct backup_label *out,
                                    struct cpam_err *err) CPAM_CHECK;

/* One "oid path" line of tablespace_map with PostgreSQL's escaping of \n, \r and backslash.
   path is appended to *out (NUL not counted). */
typedef enum cpam_status (*tablespace_map_fn)(void *arg, const char *oid, const char *path,
                                              struct cpam_err *err);
enum cpam_status tablespace_map_parse(const char *text, size_t size, tablespace_map_fn fn,
                                      void *arg, struct cpam_err *err) CPAM_CHECK;
/* Appends one line. */
enum cpam_status tablespace_map_line(struct cpam_buf *out, const char *oid, const char *path,
                                     struct cpam_err *err) CPAM_CHECK;

#endif
