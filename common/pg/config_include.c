/*
 * config_include.c - includes of the two grammars.
 */
#include "pg/config_include.h"

#include <stdbool.h>
#include <string.h>

#include "base/scope.h"
#include "pg/guc_file.h"

enum
{
    LINE_INCLUDES_SINCE = 16 /* of pg_hba.conf and pg_ident.conf */
};

struct includes
{
    config_include_fn *fn;
    void *arg;
};

static bool
include_kind(const char *word, enum config_include *out)
{
    static const char *const words[] = {"include", "include_if_exists", "include_dir"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(word, words[i]) == 0)
        {
            *out = (enum config_include) i;
            return true;
        }
    return false;
}

static enum cpam_status
on_setting(void *arg, const char *name, const char *value, struct cpam_err *err)
{
    const struct includes *includes = arg;
    enum config_include kind;

    return include_kind(name, &kind) ? includes->fn(includes->arg, kind, value, err) : CPAM_OK;
}

/* Where a line of an access file is being read. */
struct scan
{
    const char *at, *end;
    bool ended; /* at the end of the (joined) line */
};

static bool
joins(const struct scan *scan)
{
    if (*scan->at != '\\')
        return false;
    return (scan->end - scan->at > 1 && scan->at[1] == '\n') ||
           (scan->end - scan->at > 2 && scan->at[1] == '\r' && scan->at[2] == '\n');
}

/* The next token of the line into word; *quoted: it began with a quote.  False at the line's end, which
   is stepped over. */
static enum cpam_status
next_token(struct scan *scan, struct cpam_buf *word, bool *quoted, bool *found,
           struct cpam_err *err)
{
    bool in_quotes = false, was_quote = false, comment = false;

    word->size = 0;
    *quoted = *found = false;
    for (; scan->at < scan->end; scan->at++)
    {
        char c = *scan->at;

        if (joins(scan))
        {
            scan->at += scan->at[1] == '\r' ? 2 : 1;
            continue;
        }
        if (c == '\n')
            break;
        if (comment || (c == '\r' && !in_quotes))
            continue;
        if (c == '#' && !in_quotes)
            comment = true;
        else if (!in_quotes && (c == ' ' || c == '\t' || c == ','))
        {
            if (*found)
                return CPAM_OK;
        }
        else if (c == '"')
        {
            *quoted |= !*found;
            *found = true;
            /* a doubled quote is one */
            if (was_quote)
                CPAM_TRY(cpam_buf_append(word, "\"", 1, GUC_FILE_MAX, err));
            in_quotes = !in_quotes;
            was_quote = !in_quotes;
        }
        else
        {
            *found = true;
            was_quote = false;
            CPAM_TRY(cpam_buf_append(word, &c, 1, GUC_FILE_MAX, err));
        }
    }
    if (!*found)
    {
        scan->ended = true;
        scan->at += scan->at < scan->end ? 1 : 0;
    }
    return CPAM_OK;
}

static enum cpam_status
access_line(const struct includes *includes, unsigned major, struct scan *scan,
            struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf word = {0};
    enum config_include kind = CONFIG_INCLUDE;
    bool is_include = false;

    for (int number = 0; !scan->ended; number++)
    {
        bool quoted, found;

        CPAM_TRY(next_token(scan, &word, &quoted, &found, err));
        if (!found)
            continue;
        const char *text = cpam_buf_text(&word);
        if (text == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a configuration file");
        if (number == 0)
            is_include = major >= LINE_INCLUDES_SINCE && include_kind(text, &kind);
        else if (number == 1 && is_include)
            CPAM_TRY(includes->fn(includes->arg, kind, text, err));
        if (!is_include && !quoted && text[0] == '@' && text[1] != '\0')
            CPAM_TRY(includes->fn(includes->arg, CONFIG_INCLUDE, text + 1, err));
    }
    return CPAM_OK;
}

enum cpam_status
config_includes(enum config_grammar grammar, unsigned major, const char *text, size_t size,
                config_include_fn *fn, void *arg, struct cpam_err *err)
{
    struct includes includes = {fn, arg};
    struct scan scan = {.at = text, .end = text + size};

    if (grammar == CONFIG_SETTINGS)
        return guc_file_each(text, size, on_setting, &includes, err);
    while (scan.at < scan.end)
    {
        scan.ended = false;
        CPAM_TRY(access_line(&includes, major, &scan, err));
    }
    return CPAM_OK;
}
