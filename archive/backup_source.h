/*
 * backup_source.h - where the files of a base backup come from: the interface, and its two kinds.
 *
 * files: the data directory of a server on this host, read by all workers at once.
 * stream: BASE_BACKUP over a replication connection, from a server on any host: one stream, cut into
 * pieces that all workers compress, seal and send.
 * Both yield the same entries into the same plan and packs, so nobody can tell from a backup which it was.
 */
#ifndef CPAM_ARCHIVE_BACKUP_SOURCE_H
#define CPAM_ARCHIVE_BACKUP_SOURCE_H

#include "cli/settings.h"
#include "push_copy.h"
#include "push_session.h"

struct backup_source_spec
{
    struct io *io;
    const struct settings *settings;
    const volatile sig_atomic_t *stopped; /* not 0: give up */
};

struct backup_source;
/* In this order, each once. */
struct backup_source_ops
{
    /* Connects; is it the right server?  Fills conn, facts and control. */
    enum cpam_status (*meet)(struct backup_source *source, struct cpam_err *err);
    enum cpam_status (*start)(struct backup_source *source, const char *label, bool fast,
                              struct backup_start *out, struct cpam_err *err);
    /* *bytes: about how many will come. */
    enum cpam_status (*plan)(struct backup_source *source, struct plan *plan, uint64_t *bytes,
                             struct cpam_err *err);
    /* All content but pg_control's goes into copy, and all entries are in the plan afterwards. */
    enum cpam_status (*copy)(struct backup_source *source, struct push_copy *copy,
                             struct cpam_err *err);
    /* global/pg_control, whole, as it was after everything else (trap 21). */
    enum cpam_status (*control)(struct backup_source *source, uint8_t bytes[CONTROL_FILE_SIZE],
                                struct control *out, struct cpam_err *err);
    enum cpam_status (*stop)(struct backup_source *source, struct backup_stop *out,
                             struct cpam_err *err);
    void (*free)(struct backup_source *source);
};

struct backup_source
{
    const struct backup_source_ops *ops;
    struct backup_source_spec spec;
    const char *data;    /* where the workers open files; NULL: content comes in pieces */
    uint64_t part_size;  /* bytes of a part of a file in the plan; 0: the plan says */
    struct pgconn *conn; /* a session with the server that is backed up */
    struct cpam_buf conninfo;
    struct server_facts facts;
    struct control control; /* of the server, before the start */
    uint64_t control_part;  /* of pg_control, in the plan; after copy */
    char *pg_wal;           /* where it lies if it is a link and that is known, or NULL */
};

/*
 * base.source and base.from decide.  auto: files where a server runs in postgresql.data on this host
 * (whether it is the one at the connection, meet() says), otherwise stream.
 */
enum cpam_status backup_source_new(const struct backup_source_spec *spec,
                                   struct backup_source **out, struct cpam_err *err) CPAM_CHECK;
void backup_source_free(struct backup_source *source);
CPAM_SCOPED(backup_source_free, struct backup_source);

/* The kinds themselves. */
enum cpam_status source_directory_new(struct backup_source **out, struct cpam_err *err) CPAM_CHECK;
enum cpam_status source_stream_new(struct backup_source **out, struct cpam_err *err) CPAM_CHECK;

/* For them: the session, at base.from's connection; what conn and conninfo hold then is theirs. */
enum cpam_status backup_source_connect(struct backup_source *source,
                                       struct cpam_err *err) CPAM_CHECK;
bool backup_source_standby(const struct backup_source *source);

#endif
