/*
 * push_priority.c - setpriority(2) and ioprio_set(2), which glibc does not wrap.
 */
#include "push_priority.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

static int
own_nice(void)
{
    return getpriority(PRIO_PROCESS, 0);
}

static int
set_own_nice(int nice)
{
    return setpriority(PRIO_PROCESS, 0, nice);
}

static int
set_own_io(int io_class, int io_level)
{
    return (int) syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
                         IOPRIO_PRIO_VALUE(io_class, io_level));
}

static const struct push_priority_ops system_ops = {own_nice, set_own_nice, set_own_io};

/* Where the disks' scheduler knows no classes they mean nothing, and nobody says so. */
static const struct
{
    const char *name;
    int io_class, io_level;
} classes[] = {
    {"best-effort", IOPRIO_CLASS_BE, 7},
    {"idle", IOPRIO_CLASS_IDLE, 0},
};

static void
warn(const char *what)
{
    struct cpam_err err;

    (void) cpam_fail(&err, CPAM_REFUSED, errno, "could not %s, so the backup does not stand back",
                     what);
    cpam_log(LOG_WARNING, "%s", err.text);
}

void
push_priority(int nice, const char *io, const struct push_priority_ops *ops)
{
    if (ops == NULL)
        ops = &system_ops;
    if (nice > ops->nice_of() && ops->set_nice(nice) != 0)
        warn("set the niceness (base.nice, --nice)");
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strcmp(classes[i].name, io) == 0 &&
            ops->set_io(classes[i].io_class, classes[i].io_level) != 0)
            warn("set the class of I/O (base.ionice, --ionice)");
}
