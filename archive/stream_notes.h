/*
 * stream_notes.h - the entries of a streamed backup, put into the manifest's order.
 *
 * A stream comes in the order in which the server's directories are; a manifest is in that of its paths.
 * The notes wait on disk (repo/spill.h); in memory stay 8 bytes an entry and, while they are sorted, the
 * paths of some ten thousand of them.
 */
#ifndef CPAM_ARCHIVE_STREAM_NOTES_H
#define CPAM_ARCHIVE_STREAM_NOTES_H

#include "push_plan.h"

struct stream_notes;
enum cpam_status stream_notes_new(struct io *io, const char *state, struct stream_notes **out,
                                  struct cpam_err *err) CPAM_CHECK;
void stream_notes_free(struct stream_notes *notes);
CPAM_SCOPED(stream_notes_free, struct stream_notes);

/* first_part, part_count: as plan_add_read() takes them. */
enum cpam_status stream_notes_add(struct stream_notes *notes, const struct source_entry *entry,
                                  uint64_t first_part, uint64_t part_count,
                                  struct cpam_err *err) CPAM_CHECK;

/* All of them into the plan, in order.  Of two with the same path the later one counts, as it would
   when the archives were unpacked: its file was made anew while the server read the directory. */
enum cpam_status stream_notes_sort(struct stream_notes *notes, struct plan *plan,
                                   struct cpam_err *err) CPAM_CHECK;

/* How many are sorted in memory at once; for tests, which want more than one turn. */
void stream_notes_set_run(struct stream_notes *notes, size_t run);

#endif
