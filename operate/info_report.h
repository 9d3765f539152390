/*
 * info_report.h - what cpam-info knows of each repository, apart from how it is shown.
 *
 * Gathering asks the repository (info_gather.c); judging says what a person should look at
 * (info_judge.c); showing makes text or JSON of it (info_text.c, info_json.c).  Only gathering does
 * I/O, so the rest is tested with made-up reports.
 */
#ifndef CPAM_OPERATE_INFO_REPORT_H
#define CPAM_OPERATE_INFO_REPORT_H

#include "base/text.h"
#include "cli/program.h"
#include "cli/running.h"
#include "repo/backup.h"
#include "repo/wal_archive.h"

enum
{
    INFO_SCHEMA = 1, /* of the JSON: grows when a member is renamed or taken away */
    INFO_CLUSTERS_MAX = 64,
    INFO_TIMELINES_MAX = 4096,
    INFO_RUNS_MAX = 4096, /* of one timeline */
    INFO_OUTPUT_MAX = 64 << 20
};

/* Segments without a hole between them. */
struct info_run
{
    uint64_t first, last; /* segment numbers */
};

/* The WAL of one timeline. */
struct info_wal
{
    uint64_t sysid;
    struct timeline timeline;
    uint32_t segment_size;
    uint64_t stored_bytes;
    struct info_run *runs;
    size_t run_count, run_cap;
    int64_t last_archived; /* us since 1970 UTC: when the last segment was sealed */
    bool history_missing;  /* a timeline beyond the first without its history file */
};

struct info_repository
{
    const struct repository_settings *settings;
    bool readable;       /* false: err says why, and the rest is empty */
    struct cpam_err err; /* of a repository that is not readable */
    char uuid[TEXT_UUID_MAX];
    struct backup_list *backups;
    struct info_wal *wal;
    size_t wal_count, wal_cap;
    char **findings; /* sentences for a person */
    size_t finding_count;
};

struct info_report
{
    const struct settings *settings;
    int64_t now;
    struct info_repository *repositories;
    size_t count;
    struct running_job *jobs; /* under way on this host, by their start */
    size_t job_count;
};

void info_report_free(struct info_report *report);
CPAM_SCOPED(info_report_free, struct info_report);

/* All repositories (of `only`, when it is not NULL).  One that can't be read is no failure here. */
enum cpam_status info_gather(struct io *io, const struct settings *settings, const char *only,
                             struct info_report **out, struct cpam_err *err) CPAM_CHECK;

/* One more segment of the timeline, in ascending order. */
enum cpam_status info_wal_add(struct info_wal *wal, uint64_t number,
                              struct cpam_err *err) CPAM_CHECK;

/* The first segment a backup needs for itself that is not there; false if all are. */
bool info_backup_lacks(const struct info_repository *repository,
                       const struct backup_summary *backup, struct segment *missing);

/* The moments between which the repository can bring the database back; false if it can't. */
bool info_window(const struct info_repository *repository, int64_t *earliest, int64_t *latest);

/* Moments without a hole between them.  `to` 0: nobody knows the last one before the hole that ends them. */
struct info_span
{
    int64_t from, to;
    struct segment hole; /* the first segment that is not there, if `to` is 0 */
};
/* Of the number-th run of WAL of a timeline; false if no backup that can be restored begins in it. */
bool info_span_of(const struct info_repository *repository, const struct info_wal *wal,
                  size_t number, struct info_span *out);

/* Fills findings. */
enum cpam_status info_judge(struct info_report *report, struct cpam_err *err) CPAM_CHECK;

enum cpam_status info_text(const struct info_report *report, struct cpam_buf *out,
                           struct cpam_err *err) CPAM_CHECK;
enum cpam_status info_json(const struct info_report *report, struct cpam_buf *out,
                           struct cpam_err *err) CPAM_CHECK;

#endif
