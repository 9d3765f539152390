/*
 * postmaster_pid.h - the lines of postmaster.pid (utils/pidfile.h): which server runs here.
 */
#ifndef CPAM_PG_POSTMASTER_PID_H
#define CPAM_PG_POSTMASTER_PID_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum
{
    POSTMASTER_PID_MAX = 16 * 1024, /* bytes of the file that are read */
    POSTMASTER_PATH_MAX = 4096      /* PATH_MAX of Linux */
};

struct postmaster_pid
{
    pid_t pid; /* line 1; a stand-alone backend's is positive here too */
    char data_directory[POSTMASTER_PATH_MAX];   /* line 2 */
    int64_t start_time;                         /* line 3, seconds since 1970 UTC */
    unsigned port;                              /* line 4; 0: not written yet */
    char socket_directory[POSTMASTER_PATH_MAX]; /* line 5, "" if none */
    char status[16]; /* line 8: starting, stopping, ready, standby; or "" */
};

/* The server writes the lines one after the other while it starts: those behind the third may be
   missing.  CPAM_INVALID for anything that is not such a file. */
enum cpam_status postmaster_pid_parse(const char *text, size_t size, struct postmaster_pid *out,
                                      struct cpam_err *err) CPAM_CHECK;

#endif
