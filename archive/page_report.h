/*
 * page_report.h - damaged pages, told to people: relation, file and block.
 *
 * The catalogue that knows a relation's name is its own database's, so each database with damage is
 * asked once; what can't be asked (a connection refused, a relation dropped since) is told by file.
 */
#ifndef CPAM_ARCHIVE_PAGE_REPORT_H
#define CPAM_ARCHIVE_PAGE_REPORT_H

#include "page_check.h"
#include "pgconn/pgconn.h"
#include "repo/backup.h"

struct page_report
{
    struct io *io;
    struct pgconn *conn;  /* the backup's own session */
    const char *conninfo; /* how it was opened */
    bool fail;            /* base.checksums: fail */
    bool streamed;        /* pages were seen once: the server is asked for the bad ones again */
};

/*
 * Every file has been read.  Logs each page that stays damaged as a warning, puts their number and
 * the first of them into *summary, and returns CPAM_CORRUPT where the policy is to fail and there is
 * one that is no free space map's.
 */
enum cpam_status page_report(const struct page_report *report, struct page_findings *findings,
                             struct backup_summary *summary, struct cpam_err *err) CPAM_CHECK;

#endif
