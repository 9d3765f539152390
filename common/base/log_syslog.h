/*
 * log_syslog.h - syslog(3) for log.c, whose levels have the names of <syslog.h>'s macros.
 */
#ifndef CPAM_BASE_LOG_SYSLOG_H
#define CPAM_BASE_LOG_SYSLOG_H

/* program is kept.  Facility daemon; each line has the process's number. */
void log_syslog_open(const char *program);
/* priority: a digit of sd-daemon(3), which are syslog's. */
void log_syslog_line(char priority, const char *text);

#endif
