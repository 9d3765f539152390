/*
 * quarantine_parts.h - what quarantine.c and quarantine_record.c share; nobody else includes this.
 */
#ifndef CPAM_REPO_QUARANTINE_PARTS_H
#define CPAM_REPO_QUARANTINE_PARTS_H

#include "repo/layout.h"
#include "repo/quarantine.h"

/* One content of one name. */
struct aside
{
    struct repo *repo;
    uint64_t sysid;
    struct archive_name name;
    char key[LAYOUT_KEY_MAX];   /* its own */
    char place[LAYOUT_KEY_MAX]; /* in quarantine */
    uint8_t content[CONTENT_ID_SIZE];
    uint64_t bytes; /* of the content */
};

void quarantine_aside(struct repo *repo, uint64_t sysid, const struct archive_name *name,
                      struct aside *out);
/* Fills place from the content id. */
void quarantine_place(struct aside *aside);

/* Put the record, or find the one that is there already right. */
enum cpam_status quarantine_record_put(const struct aside *aside, bool was_archived,
                                       const struct quarantine_note *note,
                                       struct cpam_err *err) CPAM_CHECK;

/* CPAM_CORRUPT if the record that is there speaks of another content. */
enum cpam_status quarantine_record_check(const struct aside *aside,
                                         struct cpam_err *err) CPAM_CHECK;

#endif
