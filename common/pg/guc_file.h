/*
 * guc_file.h - lines of postgresql.conf and postgresql.auto.conf, by the rules of guc-file.l.
 *
 * A parameter is a name, an optional '=', and a value (a word, or a text in single quotes with
 * backslash escapes and doubled quotes); names know no case; '#' begins a comment; of several lines
 * for one name the last wins.  What is not changed stays byte for byte.
 */
#ifndef CPAM_PG_GUC_FILE_H
#define CPAM_PG_GUC_FILE_H

#include <stdbool.h>

#include "base/buf.h"

enum
{
    GUC_FILE_MAX = 8 << 20, /* bytes of a file that is read or made */
    GUC_NAME_MAX = 128      /* bytes of a parameter's name, with its NUL */
};

/*
 * The last value of `name` in the file, unquoted; *found false when there is none.  Values of
 * include directives are not followed.
 */
enum cpam_status guc_file_get(const char *text, size_t size, const char *name,
                              struct cpam_buf *value, bool *found, struct cpam_err *err) CPAM_CHECK;

/* Each parameter of the file, its name in lower case and its value unquoted; include directives too. */
enum cpam_status guc_file_each(const char *text, size_t size,
                               enum cpam_status (*fn)(void *arg, const char *name,
                                                      const char *value, struct cpam_err *err),
                               void *arg, struct cpam_err *err) CPAM_CHECK;

/*
 * Copy the file without the lines that set one of `names`; a name that ends in '*' stands for all
 * that begin with what is before it.  Comments and everything else are copied as they are.
 */
enum cpam_status guc_file_remove(const char *text, size_t size, const char *const *names,
                                 size_t count, struct cpam_buf *out,
                                 struct cpam_err *err) CPAM_CHECK;

/* Append "name = 'value'" in a line of its own (a last line without its end gets one first).
   CPAM_INVALID for a value with a line feed, which such a file can't hold. */
enum cpam_status guc_file_set(struct cpam_buf *out, const char *name, const char *value,
                              struct cpam_err *err) CPAM_CHECK;

#endif
