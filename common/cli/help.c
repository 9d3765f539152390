/*
 * help.c - what --help prints.
 */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "cli/program.h"

enum
{
    OPTION_COLUMN = 26, /* where the sentence of an option begins */
    CODE_COLUMN = 7
};

enum cpam_status
help_wrap(struct cpam_buf *out, const char *text, size_t indent, size_t at, struct cpam_err *err)
{
    bool fresh = true;

    while (*text != '\0')
    {
        size_t size = strcspn(text, " \n");

        if (!fresh && at + 1 + size > HELP_WIDTH - 1)
        {
            CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "\n%*s", (int) indent, ""));
            at = indent;
            fresh = true;
        }
        CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "%s%.*s", fresh ? "" : " ", (int) size, text));
        at += size + !fresh;
        fresh = false;
        text += size;
        if (text[0] == '\n' && text[1] == '\n')
        {
            CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "\n\n%*s", (int) indent, ""));
            at = indent;
            fresh = true;
        }
        text += strspn(text, " \n");
    }
    return cpam_buf_printf(out, HELP_MAX, err, "\n");
}

/* The sentence, with the words of a choice unless it has them itself. */
static enum cpam_status
put_help(const struct option_def *row, struct cpam_buf *out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    char first[32];

    if (row->choices == NULL)
        return help_wrap(out, row->help, OPTION_COLUMN, OPTION_COLUMN, err);
    snprintf(first, sizeof(first), "%.*s", (int) strcspn(row->choices, "|"), row->choices);
    if (strstr(row->help, first) != NULL)
        return help_wrap(out, row->help, OPTION_COLUMN, OPTION_COLUMN, err);
    CPAM_TRY(cpam_buf_printf(&text, HELP_MAX, err, "%s: ", row->help));
    for (const char *at = row->choices; *at != '\0';
         at += strcspn(at, "|") + (strchr(at, '|') != NULL))
    {
        const char *before = at == row->choices ? "" : strchr(at, '|') == NULL ? " or " : ", ";

        CPAM_TRY(
            cpam_buf_printf(&text, HELP_MAX, err, "%s%.*s", before, (int) strcspn(at, "|"), at));
    }
    const char *whole = cpam_buf_text(&text);
    if (whole == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    return help_wrap(out, whole, OPTION_COLUMN, OPTION_COLUMN, err);
}

static enum cpam_status
put_options(const struct option_table *table, struct cpam_buf *out, struct cpam_err *err)
{
    for (size_t i = 0; i < table->count; i++)
    {
        const struct option_def *row = &table->rows[i];
        char left[80];

        if (row->help == NULL)
            continue;
        char letter[5] = "    ";
        if (row->letter != 0)
            snprintf(letter, sizeof(letter), "-%c, ", row->letter);
        int size = snprintf(left, sizeof(left), "  %s--%s%s%s", letter, row->name,
                            row->value != NULL ? " " : "", row->value != NULL ? row->value : "");
        size_t at = size < OPTION_COLUMN - 1 ? OPTION_COLUMN : 0;
        if (at != 0)
            CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "%-*s", OPTION_COLUMN, left));
        else
            CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "%s\n%*s", left, OPTION_COLUMN, ""));
        CPAM_TRY(put_help(row, out, err));
    }
    return CPAM_OK;
}

static enum cpam_status
put_exits(const struct exit_table *exits, struct cpam_buf *out, struct cpam_err *err)
{
    bool listed = false;

    CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "\nExit status:\n"));
    for (size_t i = 0; i < exits->count; i++)
    {
        const struct exit_row *row = &exits->rows[i];

        listed = listed || row->code == exits->otherwise;
        if (row->meaning == NULL)
            continue;
        CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "  %3d  ", row->code));
        CPAM_TRY(help_wrap(out, row->meaning, CODE_COLUMN, CODE_COLUMN, err));
    }
    if (listed || exits->otherwise_meaning == NULL)
        return CPAM_OK;
    CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "  %3d  ", exits->otherwise));
    return help_wrap(out, exits->otherwise_meaning, CODE_COLUMN, CODE_COLUMN, err);
}

enum cpam_status
help_text(const struct program *program, struct cpam_buf *out, struct cpam_err *err)
{
    for (const char *const *line = program->usage; *line != NULL; line++)
        CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "%s%s\n",
                                 line == program->usage ? "Usage: " : "       ", *line));
    CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "\n"));
    CPAM_TRY(help_wrap(out, program->summary, 0, 0, err));
    if (program->details != NULL)
    {
        CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "\n"));
        CPAM_TRY(help_wrap(out, program->details, 0, 0, err));
    }
    if (program->options.count != 0)
    {
        CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "\nOptions:\n"));
        CPAM_TRY(put_options(&program->options, out, err));
    }
    CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "\nCommon options:\n"));
    CPAM_TRY(put_options(&common_options, out, err));
    return put_exits(program->exits, out, err);
}
