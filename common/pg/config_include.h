/*
 * config_include.h - which other files a configuration file of PostgreSQL names.
 *
 * Two grammars: postgresql.conf's (guc-file.l), and the one pg_hba.conf and pg_ident.conf share
 * (hba.c): tokens between blanks and commas, double quotes, '#', a backslash that joins lines; a token
 * that begins with '@' names a file of names, and from PostgreSQL 16 on a line may be an include.
 */
#ifndef CPAM_PG_CONFIG_INCLUDE_H
#define CPAM_PG_CONFIG_INCLUDE_H

#include "base/buf.h"

enum config_grammar
{
    CONFIG_SETTINGS, /* postgresql.conf */
    CONFIG_ACCESS    /* pg_hba.conf, pg_ident.conf, a file of names */
};

enum config_include
{
    CONFIG_INCLUDE,           /* must be there: "include", "@file" */
    CONFIG_INCLUDE_IF_EXISTS, /* may be absent */
    CONFIG_INCLUDE_DIR        /* every *.conf in it that does not begin with a dot */
};

/* path as it is written: relative to the directory of the file that names it. */
typedef enum cpam_status config_include_fn(void *arg, enum config_include kind, const char *path,
                                           struct cpam_err *err);

/* In the order of the file.  What the server would not understand is passed over. */
enum cpam_status config_includes(enum config_grammar grammar, unsigned major, const char *text,
                                 size_t size, config_include_fn *fn, void *arg,
                                 struct cpam_err *err) CPAM_CHECK;

#endif
