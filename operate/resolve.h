/*
 * resolve.h - one conflict of the archive: both sides of a name, in each repository.
 *
 * Looking (resolve_look.c) asks the repositories and reads the local file; showing
 * (resolve_show.c) makes text or JSON of it; only resolving (repo_resolve.c) changes anything.
 */
#ifndef CPAM_OPERATE_RESOLVE_H
#define CPAM_OPERATE_RESOLVE_H

#include "base/json.h"
#include "repo/quarantine.h"
#include "repo_parts.h"

enum
{
    RESOLVE_SCHEMA = 1, /* of the JSON */
    RESOLVE_TEXT_MAX = 512
};

/* One side of one name. */
struct resolve_side
{
    bool there;
    uint8_t content[CONTENT_ID_SIZE];
    uint64_t bytes, sysid;
    struct timeline timeline; /* of its first page; of a history: its own */
    bool has_timeline;        /* false: it was not looked at, for want of a key */
    int64_t when;             /* us since 1970 UTC: stored; last written, for the local side */
};

enum resolve_state
{
    RESOLVE_SAME,     /* nothing to resolve */
    RESOLVE_ABSENT,   /* the name is free here */
    RESOLVE_CONFLICT, /* two contents */
    RESOLVE_ASIDE,    /* two contents, and the local one is in quarantine: it was resolved */
    RESOLVE_ALONE     /* archived, and there is no local file */
};

/* What one repository has, held against the local file. */
struct resolve_view
{
    const struct repository_settings *settings;
    struct repository *opened;
    enum resolve_state state;
    struct resolve_side archived, local;
    bool compared; /* byte by byte; else only by content ids */
    bool has_lsn;  /* of a segment */
    uint64_t offset;
    struct lsn lsn; /* of the first byte that differs */
    /* A later timeline that left this one before the first difference, or 0. */
    struct timeline left_for;
    struct lsn left_at;
    char trouble[RESOLVE_TEXT_MAX]; /* the archived object could not be read whole; or "" */
    char done[RESOLVE_TEXT_MAX];    /* what was, or would be done */
};

struct resolve
{
    struct cli *cli;
    const struct repo_options *options;
    struct archive_name name;
    char path[4096]; /* of the local file */
    uint64_t sysid;
    struct wal_item *item; /* NULL: there is no local file */
    int64_t written;       /* the local file was last changed */
    size_t count;
    struct resolve_view views[SETTINGS_REPOSITORIES_MAX];
};

/* Opens each repository that is meant and fills its view.  resolve_clear() in any case. */
enum cpam_status resolve_look(struct resolve *resolve, struct cpam_err *err) CPAM_CHECK;
void resolve_clear(struct resolve *resolve);

enum cpam_status resolve_show(const struct resolve *resolve, struct cpam_err *err) CPAM_CHECK;

#endif
