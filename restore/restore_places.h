/*
 * restore_places.h - the directories a restore writes into: the data directory, each tablespace,
 * and a linked pg_wal.
 *
 * A place must be absent, empty, or left by an aborted restore of ours.  Ours is told by a marker
 * file, ".cpam-restore", which is the first thing made in a place and the last one removed, and
 * which names the data directory: with the marker and without global/pg_control the content is
 * thrown away and the restore begins anew.  PostgreSQL refuses to start on such a directory, since
 * pg_control appears last.
 *
 * With --delta a place may also be the very cluster's own directory (restore_adopt.h), or what an
 * aborted restore left, and its content is used as far as it is right.  Then pg_control is removed,
 * and that made durable, before anything else is touched (postgresql.md, trap 20); only the markers
 * come earlier, so that a run after a power cut knows its own.
 *
 * One process at a time is at a place (restore_hold.h).  Nothing is written before restore_places_make().  Paths of the manifest are resolved beneath the
 * descriptor of their place, without following links.
 */
#ifndef CPAM_RESTORE_RESTORE_PLACES_H
#define CPAM_RESTORE_RESTORE_PLACES_H

#include "base/scope.h"
#include "cli/option.h"
#include "io/io.h"

#define RESTORE_MARKER ".cpam-restore"

enum
{
    RESTORE_PLACES_MAX = 1024,
    RESTORE_PATH_MAX = 4096 /* bytes of an absolute path, with its NUL */
};

struct restore_place
{
    char *prefix;   /* in the data directory: "", "pg_tblspc/16384", "pg_wal" */
    char *original; /* where it was when it was backed up; NULL for the data directory */
    char *path;     /* where it goes: absolute, without a slash at the end */
    bool mapped;    /* by --tablespace-map */
    bool present;   /* the directory is there, empty or ours */
    bool ours;      /* left by an aborted restore */
    bool adopted;   /* what is there is looked at, and used where it is right */
    int fd;         /* held (restore_hold.h): from restore_places_check() where it was there, from
                       restore_places_make() elsewhere; -1 before */
    uint64_t bytes; /* that will be written, holes left out */
    uint64_t freed; /* bytes of what an aborted restore left, which is thrown away */
};

struct restore_places
{
    struct io *io;
    char *origin;   /* the data directory that was backed up; NULL: not known */
    bool delta;     /* adopt what may be adopted: of this cluster */
    bool rehearsal; /* nothing is going to be written, so no lock is kept */
    uint64_t sysid; /* that the backup is of; with `delta` */
    unsigned major; /* the same; always */
    size_t count;
    struct restore_place items[RESTORE_PLACES_MAX]; /* the first is the data directory */
};

/* target: as given on the command line; made absolute. */
enum cpam_status restore_places_new(struct io *io, const char *target, struct restore_places **out,
                                    struct cpam_err *err) CPAM_CHECK;
void restore_places_free(struct restore_places *places);
CPAM_SCOPED(restore_places_free, struct restore_places);

/* path: of the server that was backed up, as it called it; what --delta may adopt depends on it. */
enum cpam_status restore_places_origin(struct restore_places *places, const char *path,
                                       struct cpam_err *err) CPAM_CHECK;

/* Do both paths lead to one directory that is there? */
bool restore_places_same(struct io *io, const char *a, const char *b);

/* original is taken as it is unless `maps` ("OLD=NEW") says otherwise. */
enum cpam_status restore_places_add(struct restore_places *places, const char *prefix,
                                    const char *original, const struct option_list *maps,
                                    struct cpam_err *err) CPAM_CHECK;

/* Other servers may have folders in it, beside the one of this major version. */
bool restore_place_is_tablespace(const struct restore_place *place);

/* The place a path of the manifest lies in; *relative is its rest, "" for the place itself. */
struct restore_place *restore_places_of(struct restore_places *places, const char *path,
                                        const char **relative);

/* Each place absent, empty or ours, none inside another, every map used, room enough.  The refusal
   of a data directory that is not empty has the line that moves it aside. */
enum cpam_status restore_places_check(struct restore_places *places, const struct option_list *maps,
                                      struct cpam_err *err) CPAM_CHECK;

/* Bytes that are free where this place is or will be, once what an aborted restore left in it is
   gone; UINT64_MAX if it can't be told. */
uint64_t restore_place_room(struct restore_places *places, const struct restore_place *place);

/* Make what is absent, leave markers, open the descriptors; remove pg_control from what is adopted;
   empty what is ours and not adopted.  CPAM_USAGE: a server was started in it, or something was put
   there meanwhile. */
enum cpam_status restore_places_make(struct restore_places *places, const char *label,
                                     struct cpam_err *err) CPAM_CHECK;

/* Links of tablespaces and of pg_wal, after everything below them is there. */
enum cpam_status restore_places_link(struct restore_places *places,
                                     struct cpam_err *err) CPAM_CHECK;

/* fsync every place and the directory each of them lies in. */
enum cpam_status restore_places_sync(struct restore_places *places,
                                     struct cpam_err *err) CPAM_CHECK;

/* The data directory can start: the markers go. */
enum cpam_status restore_places_finish(struct restore_places *places,
                                       struct cpam_err *err) CPAM_CHECK;

#endif
