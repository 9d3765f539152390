/*
 * manifest_path.c - the order of paths, and which ones stay inside the data directory.
 */
#include "repo/manifest_path.h"

#include <string.h>

#include "repo/manifest.h"

int
manifest_path_compare(const char *a, const char *b)
{
    for (;; a++, b++)
    {
        /* the end of a component sorts before any byte of a longer one */
        unsigned left = *a == '\0' ? 0 : *a == '/' ? 1 : (unsigned) (unsigned char) *a + 2;
        unsigned right = *b == '\0' ? 0 : *b == '/' ? 1 : (unsigned) (unsigned char) *b + 2;

        if (left != right)
            return left < right ? -1 : 1;
        if (left == 0)
            return 0;
    }
}

enum cpam_status
manifest_path_check(const char *path, struct cpam_err *err)
{
    const char *why = NULL;

    if (path[0] == '\0')
        why = "is empty";
    else if (strnlen(path, MANIFEST_PATH_MAX + 1) > MANIFEST_PATH_MAX)
        why = "is too long";
    else if (path[0] == '/')
        why = "is absolute";
    for (const char *part = path; why == NULL && part != NULL;)
    {
        const char *slash = strchr(part, '/');
        size_t length = slash == NULL ? strlen(part) : (size_t) (slash - part);

        if (length == 0)
            why = "has an empty part";
        else if ((length == 1 && part[0] == '.') || (length == 2 && memcmp(part, "..", 2) == 0))
            why = "has a part that is \".\" or \"..\"";
        part = slash == NULL ? NULL : slash + 1;
    }
    if (why != NULL)
        return cpam_fail(err, CPAM_CORRUPT, 0, "path \"%.200s\" %s", path, why);
    return CPAM_OK;
}

bool
manifest_parent_known(const char *last_dir, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t) (slash - path);

    return length == 0 || (strncmp(last_dir, path, length) == 0 &&
                           (last_dir[length] == '\0' || last_dir[length] == '/'));
}
