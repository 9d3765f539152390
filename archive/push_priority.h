/*
 * push_priority.h - a backup that stands back: niceness and I/O class of this process.
 *
 * For who calls it and for all threads that begin afterwards.  It is a hint: what the system does not
 * grant is a warning, and the backup goes on.  The archiver's pushes are other processes.
 */
#ifndef CPAM_PUSH_PRIORITY_H
#define CPAM_PUSH_PRIORITY_H

/* The system calls; NULL in push_priority(): the system's own. */
struct push_priority_ops
{
    int (*nice_of)(void);                      /* this thread's */
    int (*set_nice)(int nice);                 /* 0, or -1 with errno */
    int (*set_io)(int io_class, int io_level); /* numbers of linux/ioprio.h; 0, or -1 with errno */
};

/* nice: 0 to 19; who is nicer already stays so.  io: "none" (as it is), "best-effort" (its last level) or
   "idle" (when nobody else wants the disk). */
void push_priority(int nice, const char *io, const struct push_priority_ops *ops);

#endif
