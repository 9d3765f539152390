/*
 * help.h - --help and the manual page, from a program's description.
 */
#ifndef CPAM_CLI_HELP_H
#define CPAM_CLI_HELP_H

#include "base/buf.h"
#include "cli/option.h"

struct program;

extern const struct option_table common_options;

enum
{
    HELP_MAX = 1 << 20, /* bytes of a help text or page */
    HELP_WIDTH = 80
};

/* Lines of at most 80 columns. */
enum cpam_status help_text(const struct program *program, struct cpam_buf *out,
                           struct cpam_err *err) CPAM_CHECK;

/*
 * The manual page as roff.  `prose` (docs/man/<program>.in, or "") follows the description:
 * paragraphs parted by empty lines, "# Title" for a section, lines that begin with four blanks as
 * they are.
 */
enum cpam_status manual_page(const struct program *program, const char *prose, struct cpam_buf *out,
                             struct cpam_err *err) CPAM_CHECK;

/* backup-config.yaml(5), from the settings table. */
enum cpam_status manual_of_settings(const char *prose, struct cpam_buf *out,
                                    struct cpam_err *err) CPAM_CHECK;

/* For both: a paragraph wrapped at the width behind `indent` blanks, the first line from column
   `at`. */
enum cpam_status help_wrap(struct cpam_buf *out, const char *text, size_t indent, size_t at,
                           struct cpam_err *err) CPAM_CHECK;

#endif
