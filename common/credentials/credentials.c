/*
 * credentials.c - one set of credentials, and the order in which sources are tried.
 */
#include "credentials/credentials.h"

#include <string.h>

#include "base/buf.h"

/* What goes into a header or a signature must be printable, without spaces. */
static bool
is_plain(const void *data, size_t size)
{
    const uint8_t *at = data;

    for (size_t i = 0; i < size; i++)
        if (at[i] <= ' ' || at[i] > '~')
            return false;
    return size > 0;
}

enum cpam_status
credentials_new(const char *access_key_id, const void *secret, size_t secret_size,
                const void *token, size_t token_size, const char *source, struct credentials **out,
                struct cpam_err *err)
{
    CPAM_AUTO(credentials_free) struct credentials *made = calloc(1, sizeof(*made));

    if (made == NULL || (made->access_key_id = strdup(access_key_id)) == NULL ||
        (made->source = strdup(source)) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for credentials");
    if (strlen(access_key_id) > CREDENTIALS_ID_MAX ||
        !is_plain(access_key_id, strlen(access_key_id)))
        return cpam_fail(err, CPAM_USAGE, 0, "the access key id from %s is not a word", source);
    if (secret_size > SECRET_MAX || !is_plain(secret, secret_size))
        return cpam_fail(err, CPAM_USAGE, 0,
                         "the secret access key from %s is empty, too long, or has a space or a "
                         "control character in it",
                         source);
    CPAM_TRY(secret_new(secret, secret_size, &made->secret_key, err));
    if (token_size > 0)
    {
        if (token_size > SECRET_MAX || !is_plain(token, token_size))
            return cpam_fail(err, CPAM_USAGE, 0,
                             "the session token from %s is too long, or has a space or a control "
                             "character in it",
                             source);
        CPAM_TRY(secret_new(token, token_size, &made->session_token, err));
    }
    *out = CPAM_STEAL(made);
    return CPAM_OK;
}

void
credentials_free(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    free(credentials->access_key_id);
    secret_free(credentials->secret_key);
    secret_free(credentials->session_token);
    free(credentials->source);
    free(credentials);
}

enum cpam_status
credentials_static(struct io *io, const char *access_key_id, const char *secret_access_key,
                   struct credentials **out, struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;

    if (access_key_id == NULL || access_key_id[0] == '\0' || secret_access_key == NULL ||
        secret_access_key[0] == '\0')
    {
        cpam_fail(err, CPAM_USAGE, 0,
                  "credentials: static needs both \"access_key_id\" and \"secret_access_key\"");
        cpam_err_hint(err, "write the secret into a file that only its owner reads, and "
                           "secret_access_key: \"@/path/of/the/file\"");
        return CPAM_USAGE;
    }
    if (secret_access_key[0] != '@')
        return credentials_new(access_key_id, secret_access_key, strlen(secret_access_key), NULL, 0,
                               "the configuration", out, err);
    CPAM_TRY(secret_read_file(io, secret_access_key + 1, &secret, err));
    return credentials_new(access_key_id, secret_data(secret), secret_size(secret), NULL, 0,
                           secret_access_key + 1, out, err);
}

/* The sources of "auto", in order. */
static enum cpam_status (*const sources[])(struct io *, struct credentials **,
                                           struct cpam_err *) = {
    credentials_environment,
    credentials_shared_file,
};

/* Sources that come later, and the variable that shows that one is meant. */
static const struct
{
    const char *variable, *name;
} later[] = {
    {"AWS_WEB_IDENTITY_TOKEN_FILE", "web identity"},
    {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "container credentials"},
    {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "container credentials"},
};

enum cpam_status
credentials_auto(struct io *io, struct credentials **out, struct cpam_err *err)
{
    char tried[CPAM_ERR_TEXT_MAX] = "";
    size_t used = 0;

    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
    {
        enum cpam_status status = sources[i](io, out, err);

        if (status != CPAM_NOT_FOUND)
            return status;
        size_t size = strlen(err->text);
        if (used + size + 3 < sizeof(tried))
        {
            if (used > 0)
            {
                memcpy(tried + used, "; ", 2);
                used += 2;
            }
            memcpy(tried + used, err->text, size + 1);
            used += size;
        }
    }
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
        if (getenv(later[i].variable) != NULL)
            return cpam_fail(err, CPAM_REFUSED, 0,
                             "found no credentials (%s); %s is set, but this version can't use %s "
                             "yet",
                             tried, later[i].variable, later[i].name);
    cpam_fail(err, CPAM_REFUSED, 0,
              "found no credentials (%s; web identity, credential_process, container and instance "
              "metadata are not built yet)",
              tried);
    cpam_err_hint(err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
                       "~/.aws/credentials, or use credentials: static");
    return CPAM_REFUSED;
}
