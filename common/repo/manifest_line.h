/*
 * manifest_line.h - the lines of a manifest, parsed; for manifest_read.c.
 *
 * A line is one JSON object with exactly the members its kind has.  What it means in the whole
 * (order, packs, sums) is manifest_read.c's to check.
 */
#ifndef CPAM_REPO_MANIFEST_LINE_H
#define CPAM_REPO_MANIFEST_LINE_H

#include "repo/manifest.h"
#include "repo/record.h"

/* Texts of one line; freed with manifest_line_clear. */
struct manifest_line
{
    json_t *json;
    const char *type; /* "f" */
    char *path, *target;
    struct manifest_entry entry;
    struct manifest_pack pack;
    struct manifest_extent *extents; /* of an f or x line */
    size_t extent_count;
};

enum cpam_status manifest_line_parse(uint64_t number, const void *text, size_t size,
                                     struct manifest_line *out, struct cpam_err *err) CPAM_CHECK;
void manifest_line_clear(struct manifest_line *line);

static inline void
manifest_line_clear_scoped_(struct manifest_line *line)
{
    manifest_line_clear(line);
}

#endif
