/*
 * push_session.h - the database server's side of a backup: is it the right server, start, stop.
 *
 * The session that starts a backup is the one that ends it; when it is closed before, the server
 * ends backup mode by itself.
 */
#ifndef CPAM_ARCHIVE_PUSH_SESSION_H
#define CPAM_ARCHIVE_PUSH_SESSION_H

#include "base/buf.h"
#include "pg/backup_label.h"
#include "pg/control.h"
#include "pgconn/pgconn.h"

enum
{
    SERVER_SETTINGS_MAX = 48,
    BACKUP_TEXT_MAX = 1 << 20 /* bytes of backup_label or tablespace_map */
};

/* What the server tells of itself before the backup; texts live in `settings`. */
struct server_facts
{
    unsigned version_num; /* 150004 */
    const char *version;  /* "15.4 (Debian ...)" */
    uint64_t sysid;
    bool standby;            /* it was in recovery, and has to stay there */
    struct pgrows *settings; /* rows of (name, value), byte for byte: some are paths */
    /* One row of ("databases", "<oid> <name>" a line), in UTF-8; NULL: too many, or not to be told */
    struct pgrows *databases;
};
void server_facts_clear(struct server_facts *facts);

static inline void
server_facts_clear_scoped_(struct server_facts *facts)
{
    server_facts_clear(facts);
}

/*
 * Is the server at the other end the one whose data directory `data` is?  (postgresql.md trap 5)
 * Refused: a pooler, another directory, another start time or port in postmaster.pid, a standby where
 * a primary is wanted and the other way round, another system identifier or state in pg_control; of a
 * primary also archive_mode off.
 */
enum cpam_status server_check(struct io *io, struct pgconn *conn, const char *data, bool standby,
                              struct server_facts *out, struct cpam_err *err) CPAM_CHECK;

/* Parts of it, for a server whose directory is out of reach: is it a pooler, has it the role that is
   wanted (recovery: pg_is_in_recovery()), does it archive, what does it tell of itself? */
enum cpam_status server_check_pooler(struct io *io, struct pgconn *conn,
                                     struct cpam_err *err) CPAM_CHECK;
enum cpam_status server_check_role(bool standby, const char *recovery,
                                   struct cpam_err *err) CPAM_CHECK;
enum cpam_status server_check_archiving(const char *archive_mode, struct cpam_err *err) CPAM_CHECK;
enum cpam_status server_read_settings(struct io *io, struct pgconn *conn, struct server_facts *out,
                                      struct cpam_err *err) CPAM_CHECK;

struct backup_start
{
    struct lsn lsn;
    int64_t time; /* us since 1970 UTC, by the server's clock */
};
/* fast: a checkpoint at once, otherwise spread out as checkpoint_completion_target says. */
enum cpam_status backup_start(struct io *io, struct pgconn *conn, const struct server_facts *facts,
                              const char *label, bool fast, struct backup_start *out,
                              struct cpam_err *err) CPAM_CHECK;

/* Now, by the server's clock. */
enum cpam_status server_time(struct io *io, struct pgconn *conn, int64_t *out,
                             struct cpam_err *err) CPAM_CHECK;

/* After the start: has the directory's own pg_control seen the checkpoint the server made? */
enum cpam_status backup_start_check(struct io *io, const char *data,
                                    const struct backup_start *start,
                                    struct cpam_err *err) CPAM_CHECK;

struct backup_stop
{
    struct lsn lsn;
    int64_t time;
    /* pg_current_snapshot() right after (trap 19), or "": it is longer, or a standby's, which does not
       name the transactions in progress */
    char snapshot[1024];
    struct cpam_buf label_text, map_text; /* byte for byte as the server gave them */
    struct backup_label label;
};
enum cpam_status backup_stop(struct io *io, struct pgconn *conn, const struct server_facts *facts,
                             struct backup_stop *out, struct cpam_err *err) CPAM_CHECK;

/* Fills time, snapshot and, out of label_text, label. */
enum cpam_status backup_stop_moment(struct io *io, struct pgconn *conn, struct backup_stop *out,
                                    struct cpam_err *err) CPAM_CHECK;

/*
 * At the end of a backup from a standby: CPAM_REFUSED if the server is not in recovery
 * any more, or has gone over to another timeline than the backup began on.
 */
enum cpam_status standby_check(struct io *io, struct pgconn *conn, struct timeline timeline,
                               struct cpam_err *err) CPAM_CHECK;

/* One sentence on how archiving is doing, for the error when WAL does not come; "" if unknown. */
void archiver_state(struct io *io, struct pgconn *conn, char *out, size_t cap);

#endif
