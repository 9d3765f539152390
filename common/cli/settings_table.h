/*
 * settings_table.h - every key of the configuration file, one row each.
 *
 * The table is what the parser, the defaults, the errors and the manual page
 * backup-config.yaml(5) are made from.  A path names a key below its sections ("wal.push.workers");
 * "name[]" is a list of maps, whose keys are "name[].key".  Keys of issues to come are rows without
 * a place to put the value: they are checked, and nothing reads them yet.
 */
#ifndef CPAM_CLI_SETTINGS_TABLE_H
#define CPAM_CLI_SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/settings.h"

enum setting_type
{
    SETTING_TEXT,      /* const char * */
    SETTING_PATH,      /* const char *, absolute */
    SETTING_SECRET,    /* const char *, "@/path" or, in a file others can't read, the secret */
    SETTING_BOOL,      /* bool */
    SETTING_NUMBER,    /* unsigned */
    SETTING_SIZE,      /* uint64_t, bytes */
    SETTING_DURATION,  /* int64_t, us */
    SETTING_CHOICE,    /* const char *, one of `choices` ("a|b|c") */
    SETTING_TEXT_LIST, /* struct text_list */
    SETTING_PATH_LIST, /* struct text_list */
    SETTING_MAP_LIST,  /* a list of maps: the elements have rows of their own */
    SETTING_KEY_LIST   /* a list of maps with exactly one key each */
};

enum setting_need
{
    SETTING_OPTIONAL,
    SETTING_NEEDED,           /* in every file, or in every element of its list */
    SETTING_NEEDED_IN_SECTION /* when its section is written */
};

#define SETTING_NOWHERE SIZE_MAX

struct setting_def
{
    const char *path;
    enum setting_type type;
    enum setting_need need;
    size_t offset;        /* into struct settings_raw, or the element; SETTING_NOWHERE */
    uint64_t min, max;    /* NUMBER, SIZE, DURATION (us), elements of a list */
    const char *choices;  /* CHOICE */
    const char *fallback; /* the default as one would write it; NULL: none */
    bool may_be_empty;    /* TEXT */
    bool s3_only;         /* refused for a repository in a directory */
    bool later;           /* nothing built so far reads it */
    enum cpam_status (*check)(const char *value, struct cpam_err *err); /* TEXT, or NULL */
    const char *help;
};

struct text_list
{
    const char **items;
    size_t count;
};

/* What the rows fill before it is put into the form the programs use. */
struct repository_raw
{
    struct repository_settings settings;
    const char *credentials;
    unsigned lock_days;
    const char *s3_key; /* the first key that only a bucket has, or NULL */
};

struct settings_raw
{
    struct settings settings;
    struct repository_raw repositories[SETTINGS_REPOSITORIES_MAX];
    struct key_setting recipients[KEYRING_RECIPIENTS_MAX];
    struct key_setting identities[KEYRING_RECIPIENTS_MAX];
    size_t recipient_count, identity_count;
    struct text_list trusted_writers;
    const char *writer_key, *unsigned_mode;
    const char *wal_codec, *base_codec;
    unsigned level;
    const char *push_mode;
    bool encryption_written;
    unsigned encryption_line;
    unsigned inline_secret_line; /* of the first secret that is written out; 0: none */
    const char *inline_secret_key;
};

extern const struct setting_def settings_table[];
extern const size_t settings_table_count;

#endif
