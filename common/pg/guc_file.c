/*
 * guc_file.c - the line scanner of PostgreSQL's configuration files, small and without includes.
 */
#include "pg/guc_file.h"

#include <string.h>

#include "base/scope.h"

/* One line as guc-file.l sees it. */
struct guc_line
{
    bool sets; /* "name [=] value" */
    char name[GUC_NAME_MAX];
    const char *value; /* as written, quotes included */
    size_t value_size;
};

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static const char *
skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

/* The end of the value that starts at `at`, or NULL if it is none. */
static const char *
value_end(const char *at, const char *end)
{
    if (at == end || *at == '#')
        return NULL;
    if (*at != '\'')
    {
        while (at < end && (is_letter(*at) || is_digit(*at) || strchr("-+._:/", *at) != NULL))
            at++;
        return at;
    }
    for (at++; at < end; at++)
    {
        if (*at == '\\' && at + 1 < end)
            at++;
        else if (*at == '\'' && at + 1 < end && at[1] == '\'')
            at++;
        else if (*at == '\'')
            return at + 1;
    }
    return NULL;
}

static void
line_parse(const char *at, const char *end, struct guc_line *out)
{
    size_t size = 0;

    out->sets = false;
    at = skip_blanks(at, end);
    if (at == end || !is_letter(*at))
        return;
    for (; at < end && (is_letter(*at) || is_digit(*at) || *at == '.' || *at == '$'); at++)
    {
        if (size == GUC_NAME_MAX - 1)
            return;
        out->name[size++] = lower(*at);
    }
    out->name[size] = '\0';
    at = skip_blanks(at, end);
    if (at < end && *at == '=')
        at = skip_blanks(at + 1, end);
    const char *stop = value_end(at, end);
    if (stop == NULL || stop == at)
        return;
    out->value = at;
    out->value_size = (size_t) (stop - at);
    out->sets = true;
}

static const char *
line_end(const char *at, const char *end)
{
    const char *stop = memchr(at, '\n', (size_t) (end - at));

    return stop == NULL ? end : stop;
}

/* The byte an escape stands for; *at is behind the backslash and is left on its last byte. */
static char
unescape(const char **at, const char *end)
{
    static const char from[] = "bfnrt";
    static const char to[] = "\b\f\n\r\t";
    const char *known = strchr(from, **at);

    if (**at >= '0' && **at <= '7')
    {
        unsigned value = 0;

        for (int i = 0; i < 3 && *at < end && **at >= '0' && **at <= '7'; i++, (*at)++)
            value = value << 3 | (unsigned) (**at - '0');
        (*at)--;
        return (char) value;
    }
    return known != NULL && *known != '\0' ? to[known - from] : **at;
}

static enum cpam_status
value_unquote(const struct guc_line *line, struct cpam_buf *out, struct cpam_err *err)
{
    const char *at = line->value;
    const char *end = at + line->value_size;

    out->size = 0;
    if (*at != '\'')
        return cpam_buf_append(out, at, line->value_size, GUC_FILE_MAX, err);
    for (at++, end--; at < end; at++)
    {
        char byte = *at;

        if (byte == '\\' && at + 1 < end)
        {
            at++;
            byte = unescape(&at, end);
        }
        else if (byte == '\'')
            at++;
        CPAM_TRY(cpam_buf_append(out, &byte, 1, GUC_FILE_MAX, err));
    }
    return CPAM_OK;
}

static enum cpam_status
check_size(size_t size, struct cpam_err *err)
{
    if (size > GUC_FILE_MAX)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "a configuration file of %zu bytes is longer than the allowed %d", size,
                         GUC_FILE_MAX);
    return CPAM_OK;
}

enum cpam_status
guc_file_each(const char *text, size_t size,
              enum cpam_status (*fn)(void *arg, const char *name, const char *value,
                                     struct cpam_err *err),
              void *arg, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf value = {0};
    const char *end = text + size;

    CPAM_TRY(check_size(size, err));
    for (const char *at = text; at < end;)
    {
        const char *stop = line_end(at, end);
        struct guc_line line;

        line_parse(at, stop, &line);
        if (line.sets)
        {
            CPAM_TRY(value_unquote(&line, &value, err));
            if (cpam_buf_text(&value) == NULL)
                return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a configuration file");
            CPAM_TRY(fn(arg, line.name, cpam_buf_text(&value), err));
        }
        at = stop == end ? end : stop + 1;
    }
    return CPAM_OK;
}

struct wanted
{
    const char *name;
    struct cpam_buf *value;
    bool *found;
};

static enum cpam_status
take_wanted(void *arg, const char *name, const char *value, struct cpam_err *err)
{
    const struct wanted *wanted = arg;

    if (strcmp(name, wanted->name) != 0)
        return CPAM_OK;
    *wanted->found = true;
    wanted->value->size = 0;
    return cpam_buf_append(wanted->value, value, strlen(value), GUC_FILE_MAX, err);
}

enum cpam_status
guc_file_get(const char *text, size_t size, const char *name, struct cpam_buf *value, bool *found,
             struct cpam_err *err)
{
    struct wanted wanted = {name, value, found};

    *found = false;
    return guc_file_each(text, size, take_wanted, &wanted, err);
}

static bool
name_matches(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
    {
        size_t size = strlen(names[i]);

        if (size > 0 && names[i][size - 1] == '*')
        {
            if (strncmp(name, names[i], size - 1) == 0)
                return true;
        }
        else if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

enum cpam_status
guc_file_remove(const char *text, size_t size, const char *const *names, size_t count,
                struct cpam_buf *out, struct cpam_err *err)
{
    const char *end = text + size;

    CPAM_TRY(check_size(size, err));
    for (const char *at = text; at < end;)
    {
        const char *stop = line_end(at, end);
        const char *next = stop == end ? end : stop + 1;
        struct guc_line line;

        line_parse(at, stop, &line);
        if (!line.sets || !name_matches(line.name, names, count))
            CPAM_TRY(cpam_buf_append(out, at, (size_t) (next - at), GUC_FILE_MAX, err));
        at = next;
    }
    return CPAM_OK;
}

enum cpam_status
guc_file_set(struct cpam_buf *out, const char *name, const char *value, struct cpam_err *err)
{
    if (strchr(value, '\n') != NULL || strchr(value, '\r') != NULL)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "the value of %s holds a line end, which PostgreSQL's configuration files "
                         "can't have",
                         name);
    if (out->size > 0 && out->data[out->size - 1] != '\n')
        CPAM_TRY(cpam_buf_append(out, "\n", 1, GUC_FILE_MAX, err));
    CPAM_TRY(cpam_buf_printf(out, GUC_FILE_MAX, err, "%s = '", name));
    for (; *value != '\0'; value++)
    {
        if (*value == '\'' || *value == '\\')
            CPAM_TRY(cpam_buf_append(out, value, 1, GUC_FILE_MAX, err));
        CPAM_TRY(cpam_buf_append(out, value, 1, GUC_FILE_MAX, err));
    }
    return cpam_buf_append(out, "'\n", 2, GUC_FILE_MAX, err);
}
