/*
 * push_resume.h - going on with a backup that was interrupted.
 *
 * Its journal is still here.  The backup is made again from the beginning, since WAL repairs only what
 * has changed since it began: everything is read and tagged.  What is saved is the sending, of
 * blocks whose tag is that in the journal and whose pack is in every repository (format-1.md fault 7).
 *
 * It keeps its label, under which those packs are.  So it can be gone on with only while that label is
 * reserved for it in every repository it goes into now, nothing but packs is there, it would be the
 * same kind of backup after the same parent, and it was begun not too long ago (backup_fence.h).
 */
#ifndef CPAM_ARCHIVE_PUSH_RESUME_H
#define CPAM_ARCHIVE_PUSH_RESUME_H

#include "push_base.h"

/* What is left of backups of this cluster: one that can be gone on with becomes base->before, with its
   head; the others' journals are removed.  Says so in the log.  The caller holds push_lock.h's lock. */
void push_resume_look(struct push_base *base);

#endif
