/*
 * stream_take.h - the archives of a streamed backup taken apart: content to the workers, entries to notes.
 *
 * What PostgreSQL would leave out and a standby's server does not (standby.signal, postgresql.md trap
 * 10 d) is passed over; backup_label, tablespace_map and pg_control are kept in memory for later.
 */
#ifndef CPAM_ARCHIVE_STREAM_TAKE_H
#define CPAM_ARCHIVE_STREAM_TAKE_H

#include "compress/codec.h"
#include "pg/control.h"
#include "push_copy.h"

enum
{
    STREAM_PART_SIZE = 2 << 20 /* bytes of a file that go to one worker */
};

struct stream_take;
/* plan's part size is STREAM_PART_SIZE.  All are borrowed. */
enum cpam_status stream_take_new(struct io *io, const char *state, struct plan *plan,
                                 struct stream_take **out, struct cpam_err *err) CPAM_CHECK;
void stream_take_free(struct stream_take *take);
CPAM_SCOPED(stream_take_free, struct stream_take);

/* A tablespace: oid in digits, and where it lies; a path that is not absolute is an in-place one's.  Its
   link may come among the entries of the data directory, or a tablespace_map that names it. */
enum cpam_status stream_take_tablespace(struct stream_take *take, const char *oid,
                                        const char *location, struct cpam_err *err) CPAM_CHECK;

/* One archive after the other, compressed so; oid NULL: the data directory's. */
enum cpam_status stream_take_begin(struct stream_take *take, struct push_copy *copy,
                                   const char *oid, enum codec_id codec,
                                   struct cpam_err *err) CPAM_CHECK;
enum cpam_status stream_take_write(struct stream_take *take, const uint8_t *data, size_t size,
                                   struct cpam_err *err) CPAM_CHECK;
/* terminated: see tar_reader_end(). */
enum cpam_status stream_take_end(struct stream_take *take, bool terminated,
                                 struct cpam_err *err) CPAM_CHECK;

/* All archives have come: the entries go into the plan.  CPAM_CORRUPT: there was no backup_label, or
   pg_control was missing or not the last file. */
struct stream_taken
{
    const struct cpam_buf *label, *map; /* map: empty where there is none */
    const struct cpam_buf *control;     /* CONTROL_FILE_SIZE bytes */
    uint64_t control_part;
};
enum cpam_status stream_take_finish(struct stream_take *take, struct stream_taken *out,
                                    struct cpam_err *err) CPAM_CHECK;

#endif
