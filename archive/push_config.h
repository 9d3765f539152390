/*
 * push_config.h - the server's configuration files that lie outside of its data directory (B13).
 *
 * config_file, hba_file, ident_file and every file they include are read when a backup begins, and go
 * into its manifest's settings: "file:<path>" with the text, "mode:<path>" with four octal digits.
 * What lies in the data directory is in the backup anyway.
 */
#ifndef CPAM_ARCHIVE_PUSH_CONFIG_H
#define CPAM_ARCHIVE_PUSH_CONFIG_H

#include "io/io.h"
#include "pgconn/pgconn.h"
#include "repo/manifest.h"

enum
{
    PUSH_CONFIG_FILES_MAX = 200,
    PUSH_CONFIG_SETTINGS_MAX = 2 * PUSH_CONFIG_FILES_MAX,
    PUSH_CONFIG_BYTES_MAX =
        704 << 10 /* of all names and texts as JSON: a manifest's line has 1 MiB */
};

struct push_config;

/*
 * settings: rows of (name, value) as the server told them.  A file that can't be had (absent, not
 * readable, no UTF-8, beyond the bounds) is told by a warning and left out; only memory fails it.
 */
enum cpam_status push_config_read(struct io *io, const char *data, unsigned major,
                                  const struct pgrows *settings, struct push_config **out,
                                  struct cpam_err *err) CPAM_CHECK;

/* Something was left out: a person should look. */
bool push_config_incomplete(const struct push_config *config);

/* Fills out, which has room for PUSH_CONFIG_SETTINGS_MAX, and returns their number.  The texts live as
   long as config.  config NULL: none. */
size_t push_config_settings(const struct push_config *config, struct manifest_setting *out);

void push_config_free(struct push_config *config);
CPAM_SCOPED(push_config_free, struct push_config);

#endif
