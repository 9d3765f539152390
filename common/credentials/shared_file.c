/*
 * shared_file.c - credentials from the file that AWS's own tools share.
 *
 * $AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials; the section is $AWS_PROFILE, else
 * [default].  Lines are "key = value", "[section]", "# comment", "; comment"; nested settings
 * (indented lines) belong to other tools and are passed over.  A file that others can read is
 * refused, as all of our secrets' files are.
 */
#include <limits.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "credentials/credentials.h"
#include "io/file.h"

struct found
{
    const char *id, *secret, *token;
    bool process; /* credential_process is set */
    bool section; /* the section is there */
};

static void
wiped_clear_scoped_(struct cpam_buf *buf)
{
    if (buf->data != NULL)
        OPENSSL_cleanse(buf->data, buf->cap);
    cpam_buf_clear(buf);
}

static enum cpam_status
path_of(struct cpam_buf *path, struct cpam_err *err)
{
    const char *named = getenv("AWS_SHARED_CREDENTIALS_FILE");
    const char *home = getenv("HOME");
    struct passwd entry, *user = NULL;
    char room[4096];

    if (named != NULL && named[0] != '\0')
        return cpam_buf_printf(path, PATH_MAX, err, "%s", named);
    if (home == NULL || home[0] == '\0')
        home = getpwuid_r(geteuid(), &entry, room, sizeof(room), &user) == 0 && user != NULL
                   ? user->pw_dir
                   : NULL;
    if (home == NULL)
        return cpam_fail(err, CPAM_NOT_FOUND, 0, "there is no home directory to look in");
    return cpam_buf_printf(path, PATH_MAX, err, "%s/.aws/credentials", home);
}

static char *
trimmed(char *text)
{
    char *end = text + strlen(text);

    while (*text == ' ' || *text == '\t')
        text++;
    while (end > text && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    *end = '\0';
    return text;
}

/* "[name]" and "[profile name]" (the form of ~/.aws/config) alike. */
static bool
is_section(char *line, const char *profile)
{
    char *end = strchr(line, ']');

    if (end == NULL)
        return false;
    *end = '\0';
    char *name = trimmed(line + 1);
    if (strncmp(name, "profile ", 8) == 0)
        name = trimmed(name + 8);
    return strcmp(name, profile) == 0;
}

static void
take_line(char *line, struct found *found)
{
    char *equals = strchr(line, '=');

    if (equals == NULL)
        return;
    *equals = '\0';
    const char *key = trimmed(line), *value = trimmed(equals + 1);
    if (strcmp(key, "aws_access_key_id") == 0)
        found->id = value;
    else if (strcmp(key, "aws_secret_access_key") == 0)
        found->secret = value;
    else if (strcmp(key, "aws_session_token") == 0)
        found->token = value;
    else if (strcmp(key, "credential_process") == 0)
        found->process = true;
}

/* Cuts `text` into lines in place; what is found points into it. */
static void
look_through(char *text, const char *profile, struct found *found)
{
    bool inside = false;
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
    {
        bool nested = *line == ' ' || *line == '\t';
        char *start = trimmed(line);

        if (*start == '\0' || *start == '#' || *start == ';' || nested)
            continue;
        if (*start == '[')
        {
            inside = is_section(start, profile);
            found->section |= inside;
        }
        else if (inside)
            take_line(start, found);
    }
}

static enum cpam_status
read_file(struct io *io, const char *path, struct cpam_buf *out, struct cpam_err *err)
{
    struct stat st;
    enum cpam_status status = file_stat(io, path, &st, err);

    if (status == CPAM_NOT_FOUND)
        return cpam_fail(err, CPAM_NOT_FOUND, 0, "\"%s\" is not there", path);
    if (status != CPAM_OK)
        return status;
    if ((st.st_mode & 077) != 0)
    {
        cpam_fail(err, CPAM_USAGE, 0, "\"%s\" holds secrets and can be read by others (mode %04o)",
                  path, (unsigned) (st.st_mode & 07777));
        cpam_err_hint(err, "chmod 600 %s", path);
        return CPAM_USAGE;
    }
    return file_read_all(io, path, CREDENTIALS_FILE_MAX, out, err);
}

enum cpam_status
credentials_shared_file(struct io *io, struct credentials **out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path_buf = {0};
    CPAM_AUTO(wiped_clear) struct cpam_buf text = {0};
    const char *profile = getenv("AWS_PROFILE");
    struct found found = {0};

    CPAM_TRY(path_of(&path_buf, err));
    const char *path = cpam_buf_text(&path_buf);
    if (path == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for credentials");
    CPAM_TRY(read_file(io, path, &text, err));
    CPAM_TRY(cpam_buf_append(&text, "", 1, CREDENTIALS_FILE_MAX + 1, err));
    bool named = profile != NULL && profile[0] != '\0';
    look_through((char *) text.data, named ? profile : "default", &found);

    if (!found.section && named)
        return cpam_fail(err, CPAM_USAGE, 0, "\"%s\" has no section [%s], which AWS_PROFILE names",
                         path, profile);
    if (found.id == NULL && found.secret == NULL && found.process)
        return cpam_fail(err, CPAM_REFUSED, 0,
                         "\"%s\" names a credential_process, which this version can't use yet",
                         path);
    if (found.id == NULL && found.secret == NULL)
        return cpam_fail(err, CPAM_NOT_FOUND, 0, "\"%s\" has no key in its section [%s]", path,
                         named ? profile : "default");
    if (found.id == NULL || found.secret == NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "section [%s] of \"%s\" has %s but not %s",
                         named ? profile : "default", path,
                         found.id != NULL ? "aws_access_key_id" : "aws_secret_access_key",
                         found.id != NULL ? "aws_secret_access_key" : "aws_access_key_id");
    return credentials_new(found.id, found.secret, strlen(found.secret), found.token,
                           found.token != NULL ? strlen(found.token) : 0, path, out, err);
}
