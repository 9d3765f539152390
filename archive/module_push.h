/*
 * module_push.h - one file archived from inside the archiver process, in steps that do not block.
 *
 * Knows nothing of the server's headers: cpam_archive.c waits with the server's latch between the
 * steps.  No thread, no signal handler, no libcurl, no OpenSSL.  The worker is asked; where none can
 * be had, or wal.push.mode is direct, the worker's program does the work as our child
 * (cpam-wal-worker --push), and what it says goes to the server's log.
 */
#ifndef CPAM_ARCHIVE_MODULE_PUSH_H
#define CPAM_ARCHIVE_MODULE_PUSH_H

#include "cli/settings.h"

struct module_push_spec
{
    const char *config;  /* absolute path of the configuration */
    const char *program; /* absolute path of cpam-wal-worker */
    const char *path;    /* relative to the data directory, which is the working directory */
};

/* Could a file be archived?  CPAM_USAGE: the configuration does not load, or the program can't be
   run. */
enum cpam_status module_push_check(struct io *io, const char *config, const char *program,
                                   struct cpam_err *err) CPAM_CHECK;

struct module_push;

/* Texts of spec are kept. */
enum cpam_status module_push_new(struct io *io, const struct module_push_spec *spec,
                                 struct module_push **out, struct cpam_err *err) CPAM_CHECK;
/* *done with CPAM_OK: durable as wal.push.acknowledge says.  Any failure is the end. */
enum cpam_status module_push_step(struct module_push *push, bool *done,
                                  struct cpam_err *err) CPAM_CHECK;
/* Readable when there is something to do, or -1: step again in MODULE_PUSH_PAUSE ms. */
int module_push_fd(const struct module_push *push);

enum
{
    MODULE_PUSH_PAUSE = 10, /* ms */
    /* s in all that a stopping server waits for files that can't be archived; after that each call
       gets the second.  pg_ctl gives up after 60. */
    MODULE_PUSH_STOPPING = 15,
    MODULE_PUSH_STOPPED = 1
};

/*
 * The server calls three times for each file when it stops, and then gives up; with a store that
 * stalls that would take three times wal.push.timeout.  To be called now and then while a file
 * waits: from the shutdown checkpoint on it makes the deadline sooner.  The worker goes on all the
 * same, and PostgreSQL asks for the file again after its next start.
 */
void module_push_hurry(struct module_push *push);

/* Ends the child that is still at work. */
void module_push_free(struct module_push *push);
CPAM_SCOPED(module_push_free, struct module_push);

#endif
