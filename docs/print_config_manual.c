/*
 * print_config_manual.c - prints backup-config.yaml(5) from the settings table.  Run by the build;
 * never installed.
 */
#include <stdio.h>

#include "cli/help.h"
#include "io/file.h"

static enum cpam_status
print(const char *prose_file, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf prose = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf page = {0};

    CPAM_TRY(file_read_all(io_posix(), prose_file, HELP_MAX, &prose, err));
    const char *text = cpam_buf_text(&prose);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    CPAM_TRY(manual_of_settings(text, &page, err));
    if (fwrite(page.data, 1, page.size, stdout) != page.size || fflush(stdout) != 0)
        return cpam_fail(err, CPAM_IO, 0, "could not write to stdout");
    return CPAM_OK;
}

int
main(int argc, char **argv)
{
    struct cpam_err err;

    if (argc != 2)
    {
        fprintf(stderr, "usage: print-config-manual PROSE\n");
        return 2;
    }
    if (print(argv[1], &err) == CPAM_OK)
        return 0;
    fprintf(stderr, "print-config-manual: %s\n", err.text);
    return 1;
}
