/*
 * fetch_front.h - what cpam-wal-fetch tells cpam-wal-prefetch --once when it becomes it by exec.
 *
 * Options without a line of help: nobody else gives them.
 */
#ifndef CPAM_RESTORE_FETCH_FRONT_H
#define CPAM_RESTORE_FETCH_FRONT_H

#define FETCH_FRONT_NAME    "cpam-wal-fetch"    /* argv[0]: the name on every line it logs */
#define FETCH_FRONT_BEHIND  "cpam-wal-prefetch" /* the program, beside the front */
#define FETCH_FRONT_BEGUN   "begun"             /* us, monotonic: its patience counts from there */
#define FETCH_FRONT_SERVER  "server"  /* PID/START of postmaster.pid as the front saw it */
#define FETCH_FRONT_UNASKED "unasked" /* its options were wrong: the state alone decides */

/* The row of an option both have; at: offset of its bool. */
#define ANY_TABLESPACE_OPTION(at)                                                                  \
    {                                                                                              \
        "any-tablespace", 0, OPTION_FLAG, NULL, at,                                                \
            .help = "hand WAL over although its replay uses a tablespace's directory that is not " \
                    "this server's"                                                                \
    }

#endif
