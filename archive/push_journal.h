/*
 * push_journal.h - where the blocks of the backup that is being made are, written down as it goes.
 *
 * "<state>/base-<label>.journal", mode 0600: each part with its tags and extents, each pack with what
 * the manifests say of it.  When the backup exists the journal becomes the state that the next
 * incremental one begins with: "<state>/base-<16 hex>.state", the name being that of the set of
 * repositories.  A backup does not depend on it: where it can't be written that is told once, and
 * the next backup is a full one.
 */
#ifndef CPAM_ARCHIVE_PUSH_JOURNAL_H
#define CPAM_ARCHIVE_PUSH_JOURNAL_H

#include "push_record.h"
#include "repo/pack_fill.h"

#define PUSH_JOURNAL_PREFIX "base-"
#define PUSH_JOURNAL_END    ".journal"
#define PUSH_STATE_END      ".state"

/*
 * What an interrupted push leaves is gone on with by the next one (push_resume.h).
 */
struct push_journal;
/* head: all but magic and block_size is the caller's to fill. */
enum cpam_status push_journal_new(struct io *io, const char *state, const struct push_head *head,
                                  struct push_journal **out, struct cpam_err *err) CPAM_CHECK;
/* The same journal again, of which the first `size` bytes are whole; head->attempt is the new number. */
enum cpam_status push_journal_go_on(struct io *io, const char *state, const struct push_head *head,
                                    uint64_t size, struct push_journal **out,
                                    struct cpam_err *err) CPAM_CHECK;
/* A journal that was not kept stays for another attempt, unless it could not be written. */
void push_journal_free(struct push_journal *journal);
CPAM_SCOPED(push_journal_free, struct push_journal);

/* These tell a failure themselves, once, and from then on do nothing.  From any thread. */
void push_journal_label(struct push_journal *journal, uint32_t ordinal, const char *label);
/* copies: as many as head.repos. */
void push_journal_pack(struct push_journal *journal, int64_t id, const struct manifest_pack *pack,
                       const struct pack_copy *copies);
/* One of the backup's own packs. */
void push_journal_own_pack(struct push_journal *journal, const struct manifest_pack *pack,
                           const struct pack_copy *copies);
/* part->note is what push_reuse_note() made; extents' packs are ids (push_record.h). */
void push_journal_part(struct push_journal *journal, const struct pack_part *part);

/* The backup uses this pack of an earlier attempt. */
void push_journal_adopted(struct push_journal *journal, int64_t id);

/* The backup exists in these repositories.  The state of the backup before, of the same set of them,
   is replaced. */
void push_journal_keep(struct push_journal *journal, const struct push_commit *commit);

#endif
