/*
 * restore_plan.h - what a restore is going to do, as text for a person and as JSON.
 */
#ifndef CPAM_RESTORE_RESTORE_PLAN_H
#define CPAM_RESTORE_RESTORE_PLAN_H

#include "recovery_settings.h"
#include "restore_places.h"
#include "restore_survey.h"

struct restore_plan
{
    const char *repo_name;
    const struct target_plan *target;
    const struct recovery_settings *settings; /* holds the target wanted */
    struct restore_places *places;
    const struct restore_survey *survey;
    bool dry_run;
};

enum
{
    RESTORE_PLAN_MAX = 1 << 20 /* bytes of its text */
};

enum cpam_status restore_plan_text(const struct restore_plan *plan, struct cpam_buf *out,
                                   struct cpam_err *err) CPAM_CHECK;
enum cpam_status restore_plan_json(const struct restore_plan *plan, struct cpam_buf *out,
                                   struct cpam_err *err) CPAM_CHECK;

/* "2026-01-31T12:00:00Z (inclusive)", "the end of the archive". */
enum cpam_status restore_target_text(const struct target *target, struct cpam_buf *out,
                                     struct cpam_err *err) CPAM_CHECK;

#endif
