/*
 * settings.h - the configuration file, checked and with its defaults filled in.
 *
 * One table (settings_table.c) has a row for each key: path ("wal.push.workers"), type, bounds,
 * default, whether it is needed, and its line of help.  The table makes the parser, the errors
 * ("/etc/cpam/backup-config.yaml:12: unknown key "retension"; did you mean "retention"?"), the
 * manual page backup-config.yaml(5), and the defaults.  Keys of issues to come are in the table too
 * and are checked, so that the whole sample loads; what is not built yet is refused where it would
 * be used, never ignored silently where that could lose data.
 *
 * A value "@/path" is read from that file when it is used, never before.
 */
#ifndef CPAM_CLI_SETTINGS_H
#define CPAM_CLI_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/scope.h"
#include "compress/codec.h"
#include "crypto/keyring.h"
#include "io/io.h"

enum
{
    SETTINGS_REPOSITORIES_MAX = 16,
    SETTINGS_FILE_MAX = 1 << 20 /* bytes of a configuration file */
};

enum credentials_mode
{
    CREDENTIALS_AUTO,
    CREDENTIALS_STATIC
};

struct repository_settings
{
    const char *name;
    const char *url; /* s3://bucket[/prefix] or file:///path */
    bool required;   /* default true */
    const char *region, *endpoint, *addressing, *ca_file, *expected_bucket_owner;
    enum credentials_mode credentials;
    const char *access_key_id, *secret_access_key; /* the second may be "@/path" */
    const char *class_base, *class_wal;            /* storage_class; NULL: the store's default */
    const char *server_side_encryption, *kms_key;
    const char *lock_mode; /* object_lock; NULL: none */
    int64_t lock_us;
    uint64_t bandwidth;
    unsigned max_parts; /* a store takes of one object; 10000 unless told */
    unsigned line;      /* where it stands in the file, for messages */
};

struct codec_setting
{
    enum codec_id codec;
    int level;
};

struct settings
{
    const char *file;    /* path it came from */
    const char *cluster; /* [a-z0-9._-]{1,64}: the folder below url */
    const char *state;   /* default /var/lib/cpam/state */
    int64_t as_of;       /* no key of the file but --as-of (cli/as_of.h); 0: now */

    struct
    {
        const char *data, *connection, *standby_connection;
    } postgresql;

    struct repository_settings repositories[SETTINGS_REPOSITORIES_MAX];
    size_t repository_count;

    struct keyring_settings encryption;
    struct codec_setting wal_codec, base_codec;

    struct
    {
        const char *spool;
        bool push_direct; /* wal.push.mode: direct */
        unsigned push_workers, push_ahead, fetch_workers, fetch_prefetch;
        int64_t push_timeout, fetch_timeout; /* us */
        const char *acknowledge;             /* all | any | a number */
        unsigned push_needed;                /* the same, of the required repositories: 1.. */
        uint64_t queue_max;                  /* bytes; 0: nothing is ever given up */
        uint64_t backlog_max;                /* bytes of copies a repository may have waiting */
        const char *on_error;                /* auto | stop | retry */
    } wal;

    struct
    {
        const char *label_prefix, *source, *from, *mode, *checksums, *stream_compression;
        unsigned workers;
        int64_t full_every, archive_wait; /* us */
        uint64_t pack_size, max_rate;
        unsigned nice;
        const char *ionice; /* none | best-effort | idle */
    } base;

    struct
    {
        int64_t rpo, rto, full_age, drill_age; /* us */
        unsigned size_change;                  /* per cent */
    } targets;

    struct
    {
        int64_t wal;
        unsigned daily, weekly, monthly, yearly;
    } retention;

    void *arena; /* owns every text above */
};

/* Load and check path.  Errors are CPAM_USAGE with file, line and key. */
enum cpam_status settings_load(struct io *io, const char *path, struct settings **out,
                               struct cpam_err *err) CPAM_CHECK;
/* The same from memory; `file` is used in messages. */
enum cpam_status settings_parse(const char *file, const void *text, size_t size,
                                struct settings **out, struct cpam_err *err) CPAM_CHECK;
void settings_free(struct settings *settings);
CPAM_SCOPED(settings_free, struct settings);

/* --repo NAME: CPAM_USAGE naming the known ones when there is none of that name. */
enum cpam_status settings_repository(const struct settings *settings, const char *name,
                                     const struct repository_settings **out,
                                     struct cpam_err *err) CPAM_CHECK;

#endif
