/*
 * push_outcome.h - of several repositories' failures, which one is the answer.
 */
#ifndef CPAM_ARCHIVE_PUSH_OUTCOME_H
#define CPAM_ARCHIVE_PUSH_OUTCOME_H

#include "base/err.h"

/* How much a failure needs a person: the answer is the one that needs him most. */
int push_weight(enum cpam_status status);

#endif
