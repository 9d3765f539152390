/*
 * environment.c - credentials from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
 */
#include <string.h>

#include "credentials/credentials.h"

/* An empty variable counts as none. */
static const char *
variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

enum cpam_status
credentials_environment(struct io *io, struct credentials **out, struct cpam_err *err)
{
    const char *id = variable("AWS_ACCESS_KEY_ID");
    const char *secret = variable("AWS_SECRET_ACCESS_KEY");
    const char *token = variable("AWS_SESSION_TOKEN");

    (void) io;
    if (id == NULL && secret == NULL)
        return cpam_fail(err, CPAM_NOT_FOUND, 0, "AWS_ACCESS_KEY_ID is not set");
    if (id == NULL || secret == NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "%s is set in the environment, but %s is not",
                         id != NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                         id != NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    return credentials_new(id, secret, strlen(secret), token, token != NULL ? strlen(token) : 0,
                           "the environment", out, err);
}
