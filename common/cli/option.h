/*
 * option.h - a command line, from one table.
 *
 * One row gives the switch, its value, its bounds, its line in --help and its entry in the manual
 * page.  GNU long options ("--name VALUE", "--name=VALUE"), a short letter only where people expect
 * one, "--" ends them.  An unknown option is CPAM_USAGE with the nearest known one.
 */
#ifndef CPAM_CLI_OPTION_H
#define CPAM_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum option_type
{
    OPTION_FLAG,     /* bool */
    OPTION_TEXT,     /* const char * (points into argv) */
    OPTION_LIST,     /* struct option_list: may be given several times */
    OPTION_COUNT,    /* uint64_t with min..max */
    OPTION_SIZE,     /* uint64_t bytes */
    OPTION_DURATION, /* int64_t us */
    OPTION_CHOICE    /* const char *, one of `choices` ("a|b|c") */
};

struct option_list
{
    size_t count;
    const char *items[64];
};

struct option_def
{
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum option_type type;
    const char *value;   /* "NAME", shown in help; NULL for a flag */
    size_t offset;       /* into the program's options struct */
    uint64_t min, max;   /* COUNT, SIZE, DURATION */
    const char *choices; /* CHOICE */
    const char *help;    /* one sentence, <= 60 bytes or wrapped by the printer */
};

/* Everything a program says about its command line. */
struct option_table
{
    const struct option_def *rows;
    size_t count;
};

/* Fills `into`; *first_argument is the index in argv of the first thing that is no option. */
enum cpam_status options_parse(const struct option_table *tables, size_t table_count, int argc,
                               char **argv, void *const *into, int *first_argument,
                               struct cpam_err *err) CPAM_CHECK;

#endif
