/*
 * excluded.h - what a base backup leaves out, and the names of relation files.
 *
 * The lists are PostgreSQL's (backup/basebackup.c, excludeDirContents and excludeFiles) and three
 * files of ours: a signal file in a backup taken from a standby would turn a point-in-time recovery
 * into an endless standby (postgresql.md, trap 10 d).
 */
#ifndef CPAM_PG_EXCLUDED_H
#define CPAM_PG_EXCLUDED_H

#include <stdbool.h>
#include <stdint.h>

enum excluded
{
    EXCLUDED_NOT,     /* belongs into the backup */
    EXCLUDED_CONTENT, /* a directory that is kept, empty */
    EXCLUDED_WHOLE    /* left out */
};

/*
 * path is relative to the data directory ("base/5/1259"; through a tablespace
 * "pg_tblspc/16384/PG_15_202209061/5/1259").  pg_wal itself is EXCLUDED_CONTENT, its archive_status
 * and summaries too; everything else below it is left out.  Unlogged relations are the caller's,
 * since they are known only by their _init fork beside them: see relation_unlogged().
 */
enum excluded excluded_path(const char *path, bool is_directory);

enum relation_fork
{
    RELATION_MAIN,
    RELATION_FSM,
    RELATION_VM,
    RELATION_INIT
};

/* "16384", "16384_fsm.2", "t3_16384" (temporary). */
struct relation_name
{
    bool temporary;
    uint32_t number; /* relfilenode */
    enum relation_fork fork;
    uint32_t segment; /* .N */
};

/* The last part of a path; false if it is no relation file's name. */
bool relation_name_parse(const char *name, struct relation_name *out);

/* Is this a path where relation files are (base/<oid>/, global/, pg_tblspc/<oid>/PG_.../<oid>/),
   with the name of one?  Such files consist of pages with checksums. */
bool relation_path_parse(const char *path, struct relation_name *out);

/* With an init fork beside it, only the init fork is backed up. */
bool relation_unlogged(const struct relation_name *name, bool has_init);

#endif
