/*
 * log_syslog.c - the log of a worker that has no stderr.
 */
#include "base/log_syslog.h"

#include <syslog.h>

void
log_syslog_open(const char *program)
{
    openlog(program, LOG_PID, LOG_DAEMON);
}

void
log_syslog_line(char priority, const char *text)
{
    syslog(priority - '0', "%s", text);
}
