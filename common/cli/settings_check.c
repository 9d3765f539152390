/*
 * settings_check.c - what single values must be, and what the whole must be.
 */
#include "cli/settings_check.h"

#include <string.h>

#include "base/text.h"
#include "cli/settings_table.h"
#include "cli/yaml_tree.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool
is_made_of(const char *value, const char *bytes, size_t min, size_t max)
{
    size_t length = strlen(value);

    return strspn(value, bytes) == length && length >= min && length <= max;
}

enum cpam_status
check_cluster_name(const char *value, struct cpam_err *err)
{
    if (is_made_of(value, LOWER DIGITS "._-", 1, 64) && value[0] != '.')
        return CPAM_OK;
    return cpam_fail(err, CPAM_USAGE, 0,
                     "\"%.80s\" is not 1 to 64 of a-z, 0-9, '.', '_', '-', with no dot in front",
                     value);
}

enum cpam_status
check_repository_name(const char *value, struct cpam_err *err)
{
    if (is_made_of(value, LOWER UPPER DIGITS "._-", 1, 64) && value[0] != '-')
        return CPAM_OK;
    return cpam_fail(err, CPAM_USAGE, 0, "\"%.80s\" is not 1 to 64 letters, digits, '.', '_', '-'",
                     value);
}

/* No empty, "." or ".." steps, no control bytes, nothing that has a meaning in a URL. */
static bool
is_plain_path(const char *path)
{
    for (const char *at = path; *at != '\0';)
    {
        size_t length = strcspn(at, "/");

        if (length == 0 && at[0] == '/' && at[1] == '\0')
            return true; /* one slash at the end */
        if (length == 0 || (length == 1 && at[0] == '.') ||
            (length == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        for (size_t i = 0; i < length; i++)
            if ((unsigned char) at[i] <= 0x20 || strchr("?#%\\\x7f", at[i]) != NULL)
                return false;
        at += length;
        at += at[0] == '/' && at[1] != '\0';
    }
    return true;
}

enum cpam_status
check_url(const char *value, struct cpam_err *err)
{
    static const char s3[] = "s3://", file[] = "file:///";

    if (strncmp(value, file, sizeof(file) - 1) == 0)
    {
        const char *path = value + sizeof(file) - 1;

        if (path[0] == '\0' || !is_plain_path(path))
            return cpam_fail(err, CPAM_USAGE, 0,
                             "\"%.200s\" does not name a folder by a plain path", value);
        return CPAM_OK;
    }
    if (strncmp(value, s3, sizeof(s3) - 1) == 0)
    {
        const char *bucket = value + sizeof(s3) - 1;
        size_t length = strcspn(bucket, "/");

        if (length < 3 || length > 63 || strspn(bucket, LOWER DIGITS ".-") < length)
            return cpam_fail(err, CPAM_USAGE, 0, "\"%.200s\" does not name a bucket", value);
        if (bucket[length] == '/' && !is_plain_path(bucket + length + 1))
            return cpam_fail(err, CPAM_USAGE, 0, "\"%.200s\" has no plain path behind its bucket",
                             value);
        return CPAM_OK;
    }
    return cpam_fail(err, CPAM_USAGE, 0,
                     "\"%.200s\" is neither s3://bucket/prefix nor file:///absolute/path", value);
}

enum cpam_status
check_endpoint(const char *value, struct cpam_err *err)
{
    const char *host = strstr(value, "://");

    if ((strncmp(value, "https://", 8) != 0 && strncmp(value, "http://", 7) != 0) ||
        host[3] == '\0' || strpbrk(host + 3, "/?#@ ") != NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "\"%.200s\" is not https://host or https://host:port",
                         value);
    return CPAM_OK;
}

enum cpam_status
check_region(const char *value, struct cpam_err *err)
{
    if (is_made_of(value, LOWER UPPER DIGITS "-_", 1, 64))
        return CPAM_OK;
    return cpam_fail(err, CPAM_USAGE, 0, "\"%.80s\" is not a region such as us-east-1", value);
}

enum cpam_status
check_account(const char *value, struct cpam_err *err)
{
    if (is_made_of(value, DIGITS, 12, 12))
        return CPAM_OK;
    cpam_fail(err, CPAM_USAGE, 0, "\"%.80s\" is not an account of 12 digits", value);
    return CPAM_USAGE;
}

enum cpam_status
check_storage_class(const char *value, struct cpam_err *err)
{
    if (strcmp(value, "GLACIER") == 0 || strcmp(value, "DEEP_ARCHIVE") == 0)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "objects in %s can't be read at once, so no restore could begin", value);
    if (is_made_of(value, UPPER DIGITS "_", 1, 64))
        return CPAM_OK;
    return cpam_fail(err, CPAM_USAGE, 0, "\"%.80s\" is not a storage class such as STANDARD_IA",
                     value);
}

/* A password here would be in a file that many read; also in the form of a URI. */
enum cpam_status
check_connection(const char *value, struct cpam_err *err)
{
    const char *authority = strstr(value, "://");
    const char *at = authority == NULL ? NULL : strchr(authority, '@');
    const char *colon = authority == NULL ? NULL : strchr(authority + 3, ':');

    if (strstr(value, "password") != NULL || (at != NULL && colon != NULL && colon < at))
    {
        cpam_fail(err, CPAM_USAGE, 0, "must not hold a password");
        cpam_err_hint(err, "put it into ~/.pgpass, or into a service file");
        return CPAM_USAGE;
    }
    return CPAM_OK;
}

enum cpam_status
check_public_key(const char *value, struct cpam_err *err)
{
    static const char wanted[] = "cpam1pub";

    if (strncmp(value, wanted, sizeof(wanted) - 1) == 0)
        return CPAM_OK;
    cpam_fail(err, CPAM_USAGE, 0, "is not a public key that begins with \"%s\"", wanted);
    cpam_err_hint(err, "\"cpam-keys public FILE\" shows the public half of a private key");
    return CPAM_USAGE;
}

enum cpam_status
check_writer_key(const char *value, struct cpam_err *err)
{
    static const char wanted[] = "cpam1wpub";

    if (strncmp(value, wanted, sizeof(wanted) - 1) == 0)
        return CPAM_OK;
    cpam_fail(err, CPAM_USAGE, 0, "is not a writer's public key that begins with \"%s\"", wanted);
    cpam_err_hint(err, "\"cpam-keys public FILE\" shows the public half of a writer key");
    return CPAM_USAGE;
}

enum cpam_status
check_acknowledge(const char *value, struct cpam_err *err)
{
    uint64_t number;

    if (strcmp(value, "all") == 0 || strcmp(value, "any") == 0)
        return CPAM_OK;
    if (text_parse_u64(value, SETTINGS_REPOSITORIES_MAX, &number, err) != CPAM_OK || number == 0)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "\"%.80s\" is neither all nor any nor a number of repositories", value);
    return CPAM_OK;
}

enum cpam_status
check_label_prefix(const char *value, struct cpam_err *err)
{
    if (is_made_of(value, LOWER UPPER DIGITS "_", 1, 32))
        return CPAM_OK;
    return cpam_fail(err, CPAM_USAGE, 0, "\"%.80s\" is not 1 to 32 letters, digits, '_'", value);
}
