/*
 * owner.c - giving root up.
 */
#include "cli/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"
#include "io/file.h"

enum
{
    PASSWD_BUFFER = 16 << 10 /* of one line of the user database */
};

bool
owner_is_root(void)
{
    return geteuid() == 0;
}

/* The user of uid, or with uid 0 the one called name. */
static enum cpam_status
look_up(uid_t uid, const char *name, struct owner *out, struct cpam_err *err)
{
    CPAM_AUTO(free) char *buffer = malloc(PASSWD_BUFFER);
    struct passwd entry, *found = NULL;

    if (buffer == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    if (uid != 0)
        getpwuid_r(uid, &entry, buffer, PASSWD_BUFFER, &found);
    else
        getpwnam_r(name, &entry, buffer, PASSWD_BUFFER, &found);
    if (found == NULL && uid != 0)
        return cpam_fail(err, CPAM_USAGE, 0, "user %u has no entry in the user database",
                         (unsigned) uid);
    if (found == NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "there is no user \"%s\" on this host", name);
    out->uid = entry.pw_uid;
    out->gid = entry.pw_gid;
    snprintf(out->name, sizeof(out->name), "%s", entry.pw_name);
    return CPAM_OK;
}

enum cpam_status
owner_of(struct io *io, const char *data_dir, struct owner *out, struct cpam_err *err)
{
    CPAM_AUTO(free) char *path = strdup(data_dir);
    struct stat found;

    if (path == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    enum cpam_status status = file_stat(io, path, &found, err);
    if (status == CPAM_OK && found.st_uid == 0)
    {
        cpam_fail(err, CPAM_USAGE, 0, "the data directory \"%s\" belongs to root", data_dir);
        cpam_err_hint(err,
                      "a server can't run on it: give it to the server's user (chown -R "
                      "postgres: %s)",
                      data_dir);
        return CPAM_USAGE;
    }
    while (status == CPAM_NOT_FOUND || (status == CPAM_OK && found.st_uid == 0))
    {
        char *slash = strrchr(path, '/');

        if (slash == NULL || slash == path)
            return look_up(0, "postgres", out, err);
        *slash = '\0';
        status = file_stat(io, path, &found, err);
    }
    CPAM_TRY(status);
    return look_up(found.st_uid, NULL, out, err);
}

enum cpam_status
owner_of_folder(struct io *io, const char *path, struct owner *out, struct cpam_err *err)
{
    struct stat found;

    *out = (struct owner){0};
    CPAM_TRY(file_stat(io, path, &found, err));
    if (found.st_uid != 0)
        return look_up(found.st_uid, NULL, out, err);
    struct group *group = found.st_gid != 0 ? getgrgid(found.st_gid) : NULL;
    if (group == NULL || getpwnam(group->gr_name) == NULL)
        return CPAM_OK;
    return look_up(0, group->gr_name, out, err);
}

static enum cpam_status
not_allowed(const struct owner *owner, const char *call, int sys, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_REFUSED, sys, "could not become user \"%s\" (%s)", owner->name,
                     call);
}

/* Programs that are run, libpq, and whoever wants ~/.aws look for files there. */
static void
set_environment(const struct owner *owner)
{
    struct passwd *entry = getpwuid(owner->uid);

    setenv("USER", owner->name, 1);
    setenv("LOGNAME", owner->name, 1);
    if (entry != NULL)
        setenv("HOME", entry->pw_dir, 1);
}

enum cpam_status
owner_become(const struct owner *owner, struct cpam_err *err)
{
    if (!owner_is_root() || owner->uid == 0)
        return CPAM_OK;
    if (initgroups(owner->name, owner->gid) != 0)
        return not_allowed(owner, "initgroups", errno, err);
    if (setresgid(owner->gid, owner->gid, owner->gid) != 0)
        return not_allowed(owner, "setresgid", errno, err);
    if (setresuid(owner->uid, owner->uid, owner->uid) != 0)
        return not_allowed(owner, "setresuid", errno, err);
    if (seteuid(0) == 0)
        return not_allowed(owner, "root can still be had back", 0, err);
    set_environment(owner);
    return CPAM_OK;
}

enum cpam_status
owner_enter(const struct owner *owner, struct cpam_err *err)
{
    if (!owner_is_root() || owner->uid == 0)
        return CPAM_OK;
    if (initgroups(owner->name, owner->gid) != 0)
        return not_allowed(owner, "initgroups", errno, err);
    if (setegid(owner->gid) != 0)
        return not_allowed(owner, "setegid", errno, err);
    if (seteuid(owner->uid) != 0)
        return not_allowed(owner, "seteuid", errno, err);
    set_environment(owner); /* it stays: nothing root does later looks there */
    return CPAM_OK;
}

enum cpam_status
owner_leave(struct cpam_err *err)
{
    if (getuid() != 0 || geteuid() == 0)
        return CPAM_OK;
    if (seteuid(0) != 0 || setegid(0) != 0 || setgroups(0, NULL) != 0)
        return cpam_fail(err, CPAM_REFUSED, errno, "could not become root again");
    return CPAM_OK;
}
