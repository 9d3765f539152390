/*
 * option.c - the command line against the tables.
 *
 * Options and arguments may be mixed: options are moved in front of the arguments, as people are
 * used to from GNU's programs.  Names are never abbreviated, so that a new option can't change what
 * an old script means, and only a list may be given twice.
 */
#include "cli/option.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/value_check.h"

enum
{
    NAMES_MAX = 96 /* options of all tables of a program */
};

/* What is being parsed: where a row's value goes, and which rows came already. */
struct line
{
    const struct option_table *tables;
    size_t table_count;
    void *const *into;
    bool given[NAMES_MAX]; /* by running number over all tables */
};

struct found
{
    const struct option_def *row;
    void *base;
    size_t number;
};

static bool
find(const struct line *line, const char *name, size_t size, char letter, struct found *out)
{
    size_t number = 0;

    for (size_t t = 0; t < line->table_count; t++)
        for (size_t i = 0; i < line->tables[t].count; i++, number++)
        {
            const struct option_def *row = &line->tables[t].rows[i];

            if (name != NULL ? strlen(row->name) == size && memcmp(row->name, name, size) == 0
                             : row->letter == letter)
            {
                *out = (struct found){row, line->into[t], number};
                return true;
            }
        }
    return false;
}

static enum cpam_status
unknown_option(const struct line *line, const char *name, size_t size, struct cpam_err *err)
{
    const char *names[NAMES_MAX];
    char word[80];
    size_t count = 0;

    for (size_t t = 0; t < line->table_count; t++)
        for (size_t i = 0; i < line->tables[t].count && count < NAMES_MAX; i++)
            if (line->tables[t].rows[i].help != NULL)
                names[count++] = line->tables[t].rows[i].name;
    snprintf(word, sizeof(word), "%.*s", (int) (size < 79 ? size : 79), name);
    const char *nearest = text_nearest(word, names, count);
    if (nearest != NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "unknown option \"--%s\"; did you mean \"--%s\"?",
                         word, nearest);
    return cpam_fail(err, CPAM_USAGE, 0, "unknown option \"--%s\"", word);
}

static enum cpam_status
check_least(const char *value, uint64_t got, const struct option_def *row, struct cpam_err *err)
{
    enum value_unit unit = row->type == OPTION_DURATION ? VALUE_DURATION
                           : row->type == OPTION_SIZE   ? VALUE_SIZE
                                                        : VALUE_COUNT;

    return value_check_least(value, got, row->min, unit, err);
}

static enum cpam_status
put_number(const struct option_def *row, const char *value, void *at, struct cpam_err *err)
{
    uint64_t max = row->max != 0 ? row->max : INT64_MAX;
    uint64_t number = 0;

    if (row->type == OPTION_DURATION)
    {
        int64_t us;

        CPAM_TRY(text_parse_duration(value, (int64_t) max, &us, err));
        CPAM_TRY(check_least(value, (uint64_t) us, row, err));
        *(int64_t *) at = us;
        return CPAM_OK;
    }
    if (row->type == OPTION_SIZE)
        CPAM_TRY(text_parse_size(value, max, &number, err));
    else
        CPAM_TRY(text_parse_u64(value, max, &number, err));
    CPAM_TRY(check_least(value, number, row, err));
    *(uint64_t *) at = number;
    return CPAM_OK;
}

static enum cpam_status
put_value(const struct found *found, const char *value, struct cpam_err *err)
{
    const struct option_def *row = found->row;
    void *at = (uint8_t *) found->base + row->offset;

    switch (row->type)
    {
    case OPTION_FLAG: *(bool *) at = true; return CPAM_OK;
    case OPTION_CHOICE:
        CPAM_TRY(value_check_choice(value, row->choices, err));
        *(const char **) at = value;
        return CPAM_OK;
    case OPTION_TEXT:
        if (value[0] == '\0')
            return cpam_fail(err, CPAM_USAGE, 0, "needs a value that is not empty");
        *(const char **) at = value;
        return CPAM_OK;
    case OPTION_LIST:
    {
        struct option_list *list = at;

        if (value[0] == '\0')
            return cpam_fail(err, CPAM_USAGE, 0, "needs a value that is not empty");
        if (list->count == sizeof(list->items) / sizeof(list->items[0]))
            return cpam_fail(err, CPAM_USAGE, 0, "was given more than %zu times", list->count);
        list->items[list->count++] = value;
        return CPAM_OK;
    }
    case OPTION_COUNT:
    case OPTION_SIZE:
    case OPTION_DURATION: return put_number(row, value, at, err);
    }
    return cpam_fail(err, CPAM_INTERNAL, 0, "an option of no type");
}

static enum cpam_status
put(struct line *line, const struct found *found, const char *value, struct cpam_err *err)
{
    enum cpam_status status;

    if (line->given[found->number] && found->row->type != OPTION_LIST)
        status = cpam_fail(err, CPAM_USAGE, 0, "was given twice");
    else
        status = put_value(found, value, err);
    line->given[found->number] = true;
    if (status == CPAM_OK)
        return CPAM_OK;
    char hint[CPAM_ERR_HINT_MAX];
    snprintf(hint, sizeof(hint), "%s", err->hint);
    cpam_err_prefix(err, "option --%s", found->row->name);
    snprintf(err->hint, sizeof(err->hint), "%s", hint);
    return err->status = CPAM_USAGE;
}

static enum cpam_status
needs_value(const struct found *found, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_USAGE, 0, "option --%s needs a value: --%s %s", found->row->name,
                     found->row->name, found->row->value);
}

/* "--name", "--name=value", "--name value"; *used is how many elements of argv it took. */
static enum cpam_status
take_long(struct line *line, char **at, const char *next, int *used, struct cpam_err *err)
{
    const char *name = at[0] + 2;
    size_t size = strcspn(name, "=");
    struct found found;

    *used = 1;
    if (!find(line, name, size, 0, &found))
        return unknown_option(line, name, size, err);
    if (found.row->type == OPTION_FLAG)
    {
        if (name[size] == '=')
            return cpam_fail(err, CPAM_USAGE, 0, "option --%s takes no value", found.row->name);
        return put(line, &found, NULL, err);
    }
    if (name[size] == '=')
        return put(line, &found, name + size + 1, err);
    if (next == NULL)
        return needs_value(&found, err);
    *used = 2;
    return put(line, &found, next, err);
}

/* "-x", "-xvalue", "-x value"; flags may be joined: "-xy". */
static enum cpam_status
take_short(struct line *line, char **at, const char *next, int *used, struct cpam_err *err)
{
    *used = 1;
    for (const char *letter = at[0] + 1; *letter != '\0'; letter++)
    {
        struct found found;

        if (!find(line, NULL, 0, *letter, &found))
            return cpam_fail(err, CPAM_USAGE, 0, "unknown option \"-%c\"", *letter);
        if (found.row->type == OPTION_FLAG)
        {
            CPAM_TRY(put(line, &found, NULL, err));
            continue;
        }
        if (letter[1] != '\0')
            return put(line, &found, letter + 1, err);
        if (next == NULL)
            return needs_value(&found, err);
        *used = 2;
        return put(line, &found, next, err);
    }
    return CPAM_OK;
}

/* Move `used` elements at argv[from] in front of argv[to], to <= from. */
static void
move_forward(char **argv, int to, int from, int used)
{
    for (int i = 0; i < used; i++)
    {
        char *moved = argv[from + i];

        memmove(&argv[to + i + 1], &argv[to + i], (size_t) (from - to) * sizeof(argv[0]));
        argv[to + i] = moved;
    }
}

enum cpam_status
options_parse(const struct option_table *tables, size_t table_count, int argc, char **argv,
              void *const *into, int *first_argument, struct cpam_err *err)
{
    struct line line = {.tables = tables, .table_count = table_count, .into = into};
    size_t total = 0;
    int first = 1;

    for (size_t t = 0; t < table_count; t++)
        total += tables[t].count;
    if (total > NAMES_MAX)
        return cpam_fail(err, CPAM_INTERNAL, 0, "a program with %zu options", total);
    for (int i = 1; i < argc;)
    {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        int used = 1;
        bool last = strcmp(argv[i], "--") == 0;

        if (argv[i][0] != '-' || argv[i][1] == '\0')
        {
            i++;
            continue;
        }
        if (argv[i][1] != '-')
            CPAM_TRY(take_short(&line, argv + i, next, &used, err));
        else if (!last)
            CPAM_TRY(take_long(&line, argv + i, next, &used, err));
        move_forward(argv, first, i, used);
        first += used;
        i += used;
        if (last)
            break;
    }
    *first_argument = first;
    return CPAM_OK;
}
