/*
 * manual.c - manual pages in roff (man(7)), from the same tables as --help and the parser.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/help.h"
#include "cli/program.h"
#include "cli/settings_table.h"

/* Text with what roff would read as its own made plain; '-' stays one that can be copied. */
static enum cpam_status
put_text(struct cpam_buf *out, const char *text, size_t size, struct cpam_err *err)
{
    for (size_t i = 0; i < size; i++)
    {
        const char *as = NULL;

        if (text[i] == '\\')
            as = "\\e";
        else if (text[i] == '-')
            as = "\\-";
        else if ((text[i] == '.' || text[i] == '\'') && (i == 0 || text[i - 1] == '\n'))
            as = text[i] == '.' ? "\\&." : "\\&'";
        if (as != NULL)
            CPAM_TRY(cpam_buf_append(out, as, strlen(as), HELP_MAX, err));
        else
            CPAM_TRY(cpam_buf_append(out, text + i, 1, HELP_MAX, err));
    }
    return CPAM_OK;
}

static enum cpam_status
put(struct cpam_buf *out, const char *text, struct cpam_err *err)
{
    return put_text(out, text, strlen(text), err);
}

static enum cpam_status
put_raw(struct cpam_buf *out, const char *roff, struct cpam_err *err)
{
    return cpam_buf_append(out, roff, strlen(roff), HELP_MAX, err);
}

static enum cpam_status
put_section(struct cpam_buf *out, const char *title, struct cpam_err *err)
{
    CPAM_TRY(put_raw(out, ".SH ", err));
    for (; *title != '\0'; title++)
        CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, "%c", toupper((unsigned char) *title)));
    return put_raw(out, "\n", err);
}

/* A tagged paragraph: `tag` in bold, `value` in italics behind it. */
static enum cpam_status
put_tag(struct cpam_buf *out, const char *tag, const char *value, struct cpam_err *err)
{
    CPAM_TRY(put_raw(out, ".TP\n\\fB", err));
    CPAM_TRY(put(out, tag, err));
    CPAM_TRY(put_raw(out, "\\fR", err));
    if (value != NULL)
    {
        CPAM_TRY(put_raw(out, " \\fI", err));
        CPAM_TRY(put(out, value, err));
        CPAM_TRY(put_raw(out, "\\fR", err));
    }
    return put_raw(out, "\n", err);
}

/* Paragraphs, "# Title" and lines of four blanks, as in docs/man. */
static enum cpam_status
put_prose(struct cpam_buf *out, const char *prose, struct cpam_err *err)
{
    bool verbatim = false, pending = false;

    while (*prose != '\0')
    {
        size_t size = strcspn(prose, "\n");
        bool is_code = strncmp(prose, "    ", 4) == 0;

        if (is_code != verbatim && size != 0)
        {
            CPAM_TRY(put_raw(out, is_code ? ".PP\n.nf\n.RS 4\n" : ".RE\n.fi\n", err));
            verbatim = is_code;
        }
        if (size == 0)
            pending = true;
        else if (prose[0] == '#' && prose[1] == ' ')
        {
            CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, ".SH %.*s\n", (int) size - 2, prose + 2));
            pending = false;
        }
        else
        {
            if (pending && !is_code)
                CPAM_TRY(put_raw(out, ".PP\n", err));
            pending = false;
            CPAM_TRY(put_text(out, prose + (is_code ? 4 : 0), size - (is_code ? 4 : 0), err));
            CPAM_TRY(put_raw(out, "\n", err));
        }
        prose += size + (prose[size] == '\n');
    }
    return verbatim ? put_raw(out, ".RE\n.fi\n", err) : CPAM_OK;
}

static enum cpam_status
put_options(struct cpam_buf *out, const struct option_table *table, struct cpam_err *err)
{
    for (size_t i = 0; i < table->count; i++)
    {
        const struct option_def *row = &table->rows[i];
        char tag[80];

        if (row->help == NULL)
            continue;
        if (row->letter != 0)
            snprintf(tag, sizeof(tag), "-%c, --%s", row->letter, row->name);
        else
            snprintf(tag, sizeof(tag), "--%s", row->name);
        CPAM_TRY(put_tag(out, tag, row->value, err));
        CPAM_TRY(put(out, row->help, err));
        if (row->choices != NULL)
        {
            CPAM_TRY(put_raw(out, ".\nOne of ", err));
            CPAM_TRY(put(out, row->choices, err));
            CPAM_TRY(put_raw(out, ".", err));
        }
        CPAM_TRY(put_raw(out, "\n", err));
    }
    return CPAM_OK;
}

static enum cpam_status
put_exits(struct cpam_buf *out, const struct exit_table *exits, struct cpam_err *err)
{
    bool listed = false;
    char code[16];

    CPAM_TRY(put_section(out, "Exit status", err));
    for (size_t i = 0; i < exits->count; i++)
    {
        listed = listed || exits->rows[i].code == exits->otherwise;
        if (exits->rows[i].meaning == NULL)
            continue;
        snprintf(code, sizeof(code), "%d", exits->rows[i].code);
        CPAM_TRY(put_tag(out, code, NULL, err));
        CPAM_TRY(put(out, exits->rows[i].meaning, err));
        CPAM_TRY(put_raw(out, "\n", err));
    }
    if (listed || exits->otherwise_meaning == NULL)
        return CPAM_OK;
    snprintf(code, sizeof(code), "%d", exits->otherwise);
    CPAM_TRY(put_tag(out, code, NULL, err));
    CPAM_TRY(put(out, exits->otherwise_meaning, err));
    return put_raw(out, "\n", err);
}

static enum cpam_status
put_top(struct cpam_buf *out, const char *name, const char *section, const char *summary,
        struct cpam_err *err)
{
    CPAM_TRY(
        put_raw(out, ".\\\" made from the program's own tables when CPAM was built\n.TH ", err));
    CPAM_TRY(put(out, name, err));
    CPAM_TRY(cpam_buf_printf(out, HELP_MAX, err, " %s \"\" \"CPAM %s\" \"CPAM\"\n", section,
                             CPAM_VERSION));
    CPAM_TRY(put_raw(out, ".SH NAME\n", err));
    CPAM_TRY(put(out, name, err));
    CPAM_TRY(put_raw(out, " \\- ", err));
    CPAM_TRY(put(out, summary, err));
    return put_raw(out, "\n", err);
}

enum cpam_status
manual_page(const struct program *program, const char *prose, struct cpam_buf *out,
            struct cpam_err *err)
{
    CPAM_TRY(put_top(out, program->name, "1", program->summary, err));
    CPAM_TRY(put_section(out, "Synopsis", err));
    for (const char *const *line = program->usage; *line != NULL; line++)
    {
        CPAM_TRY(put_raw(out, line == program->usage ? "" : ".br\n", err));
        CPAM_TRY(put(out, *line, err));
        CPAM_TRY(put_raw(out, "\n", err));
    }
    CPAM_TRY(put_section(out, "Description", err));
    CPAM_TRY(put_prose(out, program->details != NULL ? program->details : program->summary, err));
    CPAM_TRY(put_raw(out, "\n", err));
    CPAM_TRY(put_prose(out, prose, err));
    CPAM_TRY(put_section(out, "Options", err));
    CPAM_TRY(put_options(out, &program->options, err));
    CPAM_TRY(put_options(out, &common_options, err));
    CPAM_TRY(put_exits(out, program->exits, err));
    CPAM_TRY(put_section(out, "Environment", err));
    CPAM_TRY(put_tag(out, "CPAM_CONFIG", NULL, err));
    CPAM_TRY(put(out, "The configuration, where --config is not given.\n", err));
    CPAM_TRY(put_section(out, "Files", err));
    CPAM_TRY(put_tag(out, CPAM_CONFIG_DEFAULT, NULL, err));
    CPAM_TRY(put(out, "The configuration; backup-config.yaml(5) describes it.\n", err));
    CPAM_TRY(put_section(out, "See also", err));
    return put(out,
               "backup-config.yaml(5), cpam-base-push(1), cpam-base-fetch(1), "
               "cpam-wal-push(1), cpam-wal-fetch(1), cpam-repo(1), cpam-info(1), "
               "cpam-keys(1)\n",
               err);
}

static const char *
type_words(enum setting_type type)
{
    switch (type)
    {
    case SETTING_TEXT: return "text";
    case SETTING_PATH: return "absolute path";
    case SETTING_SECRET: return "\"@/path\" of a file with the secret";
    case SETTING_BOOL: return "true or false";
    case SETTING_NUMBER: return "number";
    case SETTING_SIZE: return "size: bytes, or a number and KiB, MiB, GiB, TiB";
    case SETTING_DURATION: return "duration: a number and ms, s, m, h or d";
    case SETTING_CHOICE: return NULL;
    case SETTING_TEXT_LIST: return "list of texts";
    case SETTING_PATH_LIST: return "list of absolute paths";
    case SETTING_MAP_LIST: return "list of sections";
    case SETTING_KEY_LIST: return "list, one key in each element";
    }
    return NULL;
}

static enum cpam_status
put_setting(struct cpam_buf *out, const struct setting_def *row, struct cpam_err *err)
{
    const char *type = row->type == SETTING_CHOICE ? row->choices : type_words(row->type);

    CPAM_TRY(put_tag(out, row->path, NULL, err));
    CPAM_TRY(put(out, row->help, err));
    CPAM_TRY(put_raw(out, "\n.br\n", err));
    CPAM_TRY(put(out, type, err));
    if (row->need == SETTING_NEEDED)
        CPAM_TRY(put(out, "; needed", err));
    else if (row->need == SETTING_NEEDED_IN_SECTION)
        CPAM_TRY(put(out, "; needed when its section is written", err));
    else if (row->fallback != NULL && row->fallback[0] != '\0')
    {
        CPAM_TRY(put(out, "; default ", err));
        CPAM_TRY(put(out, row->fallback, err));
    }
    if (row->later)
        CPAM_TRY(put(out, "; checked, and not used by this version", err));
    return put_raw(out, "\n", err);
}

enum cpam_status
manual_of_settings(const char *prose, struct cpam_buf *out, struct cpam_err *err)
{
    CPAM_TRY(put_top(out, "backup-config.yaml", "5", "configuration of CPAM", err));
    CPAM_TRY(put_section(out, "Description", err));
    CPAM_TRY(put_prose(out, prose, err));
    CPAM_TRY(put_section(out, "Keys", err));
    for (size_t i = 0; i < settings_table_count; i++)
        CPAM_TRY(put_setting(out, &settings_table[i], err));
    CPAM_TRY(put_section(out, "Files", err));
    CPAM_TRY(put_tag(out, CPAM_CONFIG_DEFAULT, NULL, err));
    CPAM_TRY(
        put(out, "Where every program looks, unless told with --config or $CPAM_CONFIG.\n", err));
    CPAM_TRY(put_section(out, "See also", err));
    return put(out, "cpam-repo(1), cpam-keys(1), cpam-base-push(1)\n", err);
}
