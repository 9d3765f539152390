/*
 * settings_parse.c - the tree of a configuration file against the table.
 *
 * Walks the file, not the table, so that every key is met and an unknown one is an error where it
 * stands.  A scope is one map whose keys have places: the whole file, or one element of a list of
 * maps.  Defaults go in first, then what is written, then what is missing is looked for.
 */
#include "cli/settings_parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/settings_check.h"
#include "cli/value_check.h"

enum
{
    PATH_MAX_BYTES = 160, /* of a key's path: the table's longest has less than half of it */
    NAMES_MAX = 64        /* of keys at one level */
};

struct parser
{
    const char *file;
    struct arena *arena;
    struct settings_raw *raw;
};

/* One map whose keys have places. */
struct scope
{
    const char *prefix; /* "", "repositories[]." */
    void *base;
    const struct yaml_node *node;
    bool seen[SETTINGS_ROWS_MAX]; /* by row of the table */
    const char **s3_key;          /* of a repository, else NULL */
};

static enum cpam_status
fail_at(const struct parser *parser, unsigned line, const char *path, struct cpam_err *err)
{
    char hint[CPAM_ERR_HINT_MAX];

    snprintf(hint, sizeof(hint), "%s", err->hint);
    if (path[0] != '\0')
        cpam_err_prefix(err, "%s:%u: %s", parser->file, line, path);
    else
        cpam_err_prefix(err, "%s:%u", parser->file, line);
    snprintf(err->hint, sizeof(err->hint), "%s", hint);
    return err->status = CPAM_USAGE;
}

static const struct setting_def *
find_row(const char *path)
{
    for (size_t i = 0; i < settings_table_count; i++)
        if (strcmp(settings_table[i].path, path) == 0)
            return &settings_table[i];
    return NULL;
}

static bool
is_section(const char *path)
{
    size_t length = strlen(path);

    for (size_t i = 0; i < settings_table_count; i++)
        if (strncmp(settings_table[i].path, path, length) == 0 &&
            settings_table[i].path[length] == '.')
            return true;
    return false;
}

/* The names that may stand at the level of prefix ("", "wal.", "repositories[]."). */
static size_t
known_names(const char *prefix, char names[NAMES_MAX][PATH_MAX_BYTES])
{
    size_t count = 0, length = strlen(prefix);

    for (size_t i = 0; i < settings_table_count && count < NAMES_MAX; i++)
    {
        const char *path = settings_table[i].path;

        if (strncmp(path, prefix, length) != 0)
            continue;
        size_t size = strcspn(path + length, ".[");
        bool known = false;
        for (size_t k = 0; k < count && !known; k++)
            known = strlen(names[k]) == size && memcmp(names[k], path + length, size) == 0;
        if (!known)
            snprintf(names[count++], PATH_MAX_BYTES, "%.*s", (int) size, path + length);
    }
    return count;
}

/* Another place where the key would be known, or NULL. */
static const char *
elsewhere(const char *key)
{
    for (size_t i = 0; i < settings_table_count; i++)
    {
        const char *last = strrchr(settings_table[i].path, '.');

        if (last != NULL && strcmp(last + 1, key) == 0)
            return settings_table[i].path;
    }
    return NULL;
}

static enum cpam_status
unknown_key(const struct parser *parser, const char *prefix, const struct yaml_node *node,
            struct cpam_err *err)
{
    char names[NAMES_MAX][PATH_MAX_BYTES];
    const char *candidates[NAMES_MAX] = {NULL};
    size_t count = known_names(prefix, names);

    for (size_t i = 0; i < count; i++)
        candidates[i] = names[i];
    const char *nearest = text_nearest(node->key, candidates, count);
    const char *other = elsewhere(node->key);
    if (nearest != NULL)
        cpam_fail(err, CPAM_USAGE, 0, "unknown key \"%s%.60s\"; did you mean \"%s%s\"?", prefix,
                  node->key, prefix, nearest);
    else if (other != NULL)
        cpam_fail(err, CPAM_USAGE, 0, "unknown key \"%s%.60s\"; did you mean \"%s\"?", prefix,
                  node->key, other);
    else
    {
        cpam_fail(err, CPAM_USAGE, 0, "unknown key \"%s%.60s\"", prefix, node->key);
        cpam_err_hint(err, "backup-config.yaml(5) lists the keys");
    }
    return fail_at(parser, node->line, "", err);
}

static enum cpam_status
check_path(const char *value, struct cpam_err *err)
{
    if (value[0] != '/')
        return cpam_fail(err, CPAM_USAGE, 0, "\"%.200s\" is not an absolute path", value);
    return CPAM_OK;
}

static enum cpam_status
check_minimum(const char *value, uint64_t got, const struct setting_def *row, struct cpam_err *err)
{
    enum value_unit unit = row->type == SETTING_DURATION ? VALUE_DURATION
                           : row->type == SETTING_SIZE   ? VALUE_SIZE
                                                         : VALUE_COUNT;

    return value_check_least(value, got, row->min, unit, err);
}

/* A secret written out instead of "@/path" is remembered: then others must not read the file. */
static enum cpam_status
check_secret(struct parser *parser, const struct setting_def *row, const struct yaml_node *node,
             struct cpam_err *err)
{
    if (node->value[0] == '@')
        return node->value[1] == '/'
                   ? CPAM_OK
                   : cpam_fail(err, CPAM_USAGE, 0, "\"@\" must be followed by an absolute path");
    if (strstr(row->path, "passphrase") != NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "a passphrase is given as \"@/path\" of a file");
    if (parser->raw->inline_secret_line == 0)
    {
        parser->raw->inline_secret_line = node->line;
        parser->raw->inline_secret_key = row->path;
    }
    return CPAM_OK;
}

/* What the value of a row must be; *number receives what it is, for those that are numbers. */
static enum cpam_status
check_value(struct parser *parser, const struct setting_def *row, const struct yaml_node *node,
            int64_t *number, struct cpam_err *err)
{
    const char *value = node->value;
    uint64_t parsed = 0;

    if (value[0] == '\0' && !(row->may_be_empty && node->quoted))
        return cpam_fail(err, CPAM_USAGE, 0, "has no value");
    switch (row->type)
    {
    case SETTING_BOOL:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return cpam_fail(err, CPAM_USAGE, 0, "\"%.80s\" is neither true nor false", value);
        parsed = value[0] == 't';
        break;
    case SETTING_NUMBER:
        CPAM_TRY(text_parse_u64(value, row->max, &parsed, err));
        CPAM_TRY(check_minimum(value, parsed, row, err));
        break;
    case SETTING_SIZE:
        CPAM_TRY(text_parse_size(value, row->max, &parsed, err));
        CPAM_TRY(check_minimum(value, parsed, row, err));
        break;
    case SETTING_DURATION:
        CPAM_TRY(text_parse_duration(value, (int64_t) row->max, number, err));
        return check_minimum(value, (uint64_t) *number, row, err);
    case SETTING_CHOICE: CPAM_TRY(value_check_choice(value, row->choices, err)); break;
    case SETTING_PATH:
    case SETTING_PATH_LIST: CPAM_TRY(check_path(value, err)); break;
    case SETTING_SECRET: CPAM_TRY(check_secret(parser, row, node, err)); break;
    case SETTING_TEXT:
    case SETTING_TEXT_LIST:
    case SETTING_MAP_LIST:
    case SETTING_KEY_LIST: break;
    }
    if (row->check != NULL && value[0] != '\0')
        CPAM_TRY(row->check(value, err));
    *number = (int64_t) parsed;
    return CPAM_OK;
}

static void
store_value(const struct setting_def *row, void *base, const char *value, int64_t number)
{
    if (row->offset == SETTING_NOWHERE)
        return;
    uint8_t *at = (uint8_t *) base + row->offset;

    switch (row->type)
    {
    case SETTING_BOOL: *(bool *) at = number != 0; break;
    case SETTING_NUMBER: *(unsigned *) at = (unsigned) number; break;
    case SETTING_SIZE: *(uint64_t *) at = (uint64_t) number; break;
    case SETTING_DURATION: *(int64_t *) at = number; break;
    default: *(const char **) at = value; break;
    }
}

static enum cpam_status
put_scalar(struct parser *parser, const struct setting_def *row, void *base,
           const struct yaml_node *node, struct cpam_err *err)
{
    int64_t number = 0;

    if (node->kind != YAML_SCALAR)
    {
        cpam_fail(err, CPAM_USAGE, 0, "needs one value, not a %s",
                  node->kind == YAML_MAP ? "section" : "list");
        return fail_at(parser, node->line, row->path, err);
    }
    if (check_value(parser, row, node, &number, err) != CPAM_OK)
        return fail_at(parser, node->line, row->path, err);
    store_value(row, base, node->value, number);
    return CPAM_OK;
}

static enum cpam_status
check_list(struct parser *parser, const struct setting_def *row, const struct yaml_node *node,
           struct cpam_err *err)
{
    if (node->kind != YAML_LIST)
    {
        cpam_fail(err, CPAM_USAGE, 0, "needs a list: [ ... ], or lines that begin with \"- \"");
        return fail_at(parser, node->line, row->path, err);
    }
    if (node->count < row->min || node->count > row->max)
    {
        cpam_fail(err, CPAM_USAGE, 0, "has %zu elements; %" PRIu64 " to %" PRIu64 " are allowed",
                  node->count, row->min, row->max);
        return fail_at(parser, node->line, row->path, err);
    }
    return CPAM_OK;
}

static enum cpam_status
put_text_list(struct parser *parser, const struct setting_def *row, void *base,
              const struct yaml_node *node, struct cpam_err *err)
{
    struct text_list list = {NULL, 0};
    void *items;

    CPAM_TRY(check_list(parser, row, node, err));
    CPAM_TRY(arena_take(parser->arena, (node->count + 1) * sizeof(char *), &items, err));
    list.items = items;
    for (const struct yaml_node *at = node->first; at != NULL; at = at->next)
    {
        struct setting_def element = *row;

        element.offset = SETTING_NOWHERE;
        CPAM_TRY(put_scalar(parser, &element, NULL, at, err));
        list.items[list.count++] = at->value;
    }
    if (row->offset != SETTING_NOWHERE)
        *(struct text_list *) ((uint8_t *) base + row->offset) = list;
    return CPAM_OK;
}

/* [ {keyfile: /path}, ... ]: each element has one key, which tells its kind. */
static enum cpam_status
put_key_list(struct parser *parser, const struct setting_def *row, const struct yaml_node *node,
             struct cpam_err *err)
{
    char prefix[PATH_MAX_BYTES], path[PATH_MAX_BYTES * 2];

    CPAM_TRY(check_list(parser, row, node, err));
    snprintf(prefix, sizeof(prefix), "%s[].", row->path);
    for (const struct yaml_node *at = node->first; at != NULL; at = at->next)
    {
        if (at->kind != YAML_MAP || at->count != 1)
        {
            cpam_fail(err, CPAM_USAGE, 0, "each element is one key and its value");
            cpam_err_hint(err, "for example \"- keyfile: /etc/cpam/key\"");
            return fail_at(parser, at->line, row->path, err);
        }
        snprintf(path, sizeof(path), "%s%s", prefix, at->first->key);
        const struct setting_def *kind = find_row(path);
        if (kind == NULL)
            return unknown_key(parser, prefix, at->first, err);
        CPAM_TRY(put_scalar(parser, kind, NULL, at->first, err));
        CPAM_TRY(settings_keep_key(parser->raw, row->path, at->first, err));
    }
    return CPAM_OK;
}

static enum cpam_status put_scope(struct parser *parser, struct scope *scope, struct cpam_err *err);

static enum cpam_status
put_map_list(struct parser *parser, const struct setting_def *row, const struct yaml_node *node,
             struct cpam_err *err)
{
    static const char repositories[] = "repositories";
    char prefix[PATH_MAX_BYTES];
    size_t index = 0;

    CPAM_TRY(check_list(parser, row, node, err));
    snprintf(prefix, sizeof(prefix), "%s[].", row->path);
    for (const struct yaml_node *at = node->first; at != NULL; at = at->next, index++)
    {
        struct scope scope = {.prefix = prefix, .base = NULL, .node = at};

        if (strcmp(row->path, repositories) == 0)
        {
            struct repository_raw *repository = &parser->raw->repositories[index];

            repository->settings.line = at->line;
            scope.base = repository;
            scope.s3_key = &repository->s3_key;
            parser->raw->settings.repository_count = index + 1;
        }
        if (at->kind != YAML_MAP)
        {
            cpam_fail(err, CPAM_USAGE, 0, "each element is a section of \"key: value\"");
            return fail_at(parser, at->line, row->path, err);
        }
        CPAM_TRY(put_scope(parser, &scope, err));
    }
    return CPAM_OK;
}

static enum cpam_status
put_row(struct parser *parser, struct scope *scope, const struct setting_def *row,
        const struct yaml_node *node, struct cpam_err *err)
{
    scope->seen[row - settings_table] = true;
    if (row->s3_only && scope->s3_key != NULL && *scope->s3_key == NULL)
        *scope->s3_key = row->path;
    switch (row->type)
    {
    case SETTING_MAP_LIST: return put_map_list(parser, row, node, err);
    case SETTING_KEY_LIST: return put_key_list(parser, row, node, err);
    case SETTING_TEXT_LIST:
    case SETTING_PATH_LIST: return put_text_list(parser, row, scope->base, node, err);
    default: return put_scalar(parser, row, scope->base, node, err);
    }
}

/* The keys of one map; recursion ends with the table's own depth. */
static enum cpam_status
put_section(struct parser *parser, struct scope *scope, const char *prefix,
            const struct yaml_node *map, struct cpam_err *err)
{
    char path[PATH_MAX_BYTES], deeper[PATH_MAX_BYTES + 1];

    for (const struct yaml_node *at = map->first; at != NULL; at = at->next)
    {
        int length = snprintf(path, sizeof(path), "%s%s", prefix, at->key);
        bool fits = length < (int) sizeof(path) && strpbrk(at->key, ".[]") == NULL;
        const struct setting_def *row = fits ? find_row(path) : NULL;

        if (row != NULL)
        {
            CPAM_TRY(put_row(parser, scope, row, at, err));
            continue;
        }
        if (!fits || !is_section(path))
            return unknown_key(parser, prefix, at, err);
        if (strcmp(path, "encryption") == 0)
        {
            parser->raw->encryption_written = true;
            parser->raw->encryption_line = at->line;
            if (at->kind == YAML_SCALAR && strcmp(at->value, "none") == 0)
            {
                parser->raw->settings.encryption.none = true;
                continue;
            }
        }
        if (at->kind != YAML_MAP)
        {
            cpam_fail(err, CPAM_USAGE, 0, "is a section: \"key: value\" lines below it");
            return fail_at(parser, at->line, path, err);
        }
        snprintf(deeper, sizeof(deeper), "%s.", path);
        CPAM_TRY(put_section(parser, scope, deeper, at, err));
    }
    return CPAM_OK;
}

static bool
in_scope(const struct setting_def *row, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(row->path, prefix, length) == 0 && strstr(row->path + length, "[]") == NULL;
}

static enum cpam_status
put_defaults(struct parser *parser, const struct scope *scope, struct cpam_err *err)
{
    for (size_t i = 0; i < settings_table_count; i++)
    {
        const struct setting_def *row = &settings_table[i];
        struct yaml_node node = {.kind = YAML_SCALAR, .value = row->fallback, .quoted = true};

        if (row->fallback != NULL && in_scope(row, scope->prefix))
            CPAM_TRY(put_scalar(parser, row, scope->base, &node, err));
    }
    return CPAM_OK;
}

/* True when some key of the section that holds the row was written. */
static bool
section_seen(const struct scope *scope, const struct setting_def *row)
{
    size_t length = (size_t) (strrchr(row->path, '.') - row->path) + 1;

    for (size_t i = 0; i < settings_table_count; i++)
        if (scope->seen[i] && strncmp(settings_table[i].path, row->path, length) == 0)
            return true;
    return false;
}

static enum cpam_status
look_for_missing(struct parser *parser, const struct scope *scope, struct cpam_err *err)
{
    for (size_t i = 0; i < settings_table_count; i++)
    {
        const struct setting_def *row = &settings_table[i];

        if (!in_scope(row, scope->prefix) || scope->seen[i] || row->need == SETTING_OPTIONAL ||
            (row->need == SETTING_NEEDED_IN_SECTION && !section_seen(scope, row)))
            continue;
        cpam_fail(err, CPAM_USAGE, 0, "\"%s\" is missing", row->path);
        cpam_err_hint(err, "%s", row->help);
        return fail_at(parser, scope->node->line, "", err);
    }
    return CPAM_OK;
}

static enum cpam_status
put_scope(struct parser *parser, struct scope *scope, struct cpam_err *err)
{
    CPAM_TRY(put_defaults(parser, scope, err));
    CPAM_TRY(put_section(parser, scope, scope->prefix, scope->node, err));
    return look_for_missing(parser, scope, err);
}

enum cpam_status
settings_put_tree(const char *file, const struct yaml_node *tree, struct arena *arena,
                  struct settings_raw *raw, struct cpam_err *err)
{
    struct parser parser = {.file = file, .arena = arena, .raw = raw};
    struct scope scope = {.prefix = "", .base = raw, .node = tree};

    if (tree->kind != YAML_MAP)
        return cpam_fail(err, CPAM_USAGE, 0, "%s:%u: the file must hold \"key: value\" lines", file,
                         tree->line);
    return put_scope(&parser, &scope, err);
}
