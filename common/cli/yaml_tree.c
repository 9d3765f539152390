/*
 * yaml_tree.c - libyaml's events, put together without recursion.
 */
#include "cli/yaml_tree.h"

#include <string.h>
#include <yaml.h>

#include "base/text.h"

struct builder
{
    const char *file;
    struct arena *arena;
    size_t nodes;
    struct yaml_node *stack[YAML_DEPTH_MAX];
    size_t depth;
    struct yaml_node *top; /* NULL until the first value came */
    const char *key;       /* of the value to come, in a map; NULL: a key comes next */
    unsigned key_line;
    unsigned documents;
};

static enum cpam_status
refuse(const struct builder *builder, size_t line, const char *what, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_USAGE, 0, "%s:%zu: %s", builder->file, line, what);
}

/* Put the new node where it belongs. */
static enum cpam_status
attach(struct builder *builder, struct yaml_node *node, struct cpam_err *err)
{
    if (builder->depth == 0)
    {
        builder->top = node;
        return CPAM_OK;
    }
    struct yaml_node *parent = builder->stack[builder->depth - 1];
    if (parent->kind == YAML_MAP)
    {
        if (builder->key == NULL)
            return refuse(builder, node->line, "a key has to be a plain text", err);
        node->key = builder->key;
        node->line = builder->key_line;
        builder->key = NULL;
    }
    if (parent->last == NULL)
        parent->first = node;
    else
        parent->last->next = node;
    parent->last = node;
    parent->count++;
    return CPAM_OK;
}

static enum cpam_status
new_node(struct builder *builder, enum yaml_kind kind, size_t line, struct yaml_node **out,
         struct cpam_err *err)
{
    void *at;

    if (++builder->nodes > YAML_NODES_MAX)
        return refuse(builder, line, "too many values for a configuration file", err);
    CPAM_TRY(arena_take(builder->arena, sizeof(struct yaml_node), &at, err));
    *out = at;
    (*out)->kind = kind;
    (*out)->line = (unsigned) line;
    return attach(builder, *out, err);
}

static enum cpam_status
take_key(struct builder *builder, const char *key, size_t line, struct cpam_err *err)
{
    const struct yaml_node *map = builder->stack[builder->depth - 1];

    for (const struct yaml_node *node = map->first; node != NULL; node = node->next)
        if (strcmp(node->key, key) == 0)
            return cpam_fail(err, CPAM_USAGE, 0,
                             "%s:%zu: key \"%.100s\" is there twice (first on line %u)",
                             builder->file, line, key, node->line);
    builder->key = key;
    builder->key_line = (unsigned) line;
    return CPAM_OK;
}

static enum cpam_status
take_scalar(struct builder *builder, const yaml_event_t *event, size_t line, struct cpam_err *err)
{
    const char *text = (const char *) event->data.scalar.value;
    size_t size = event->data.scalar.length;
    const char *copy;
    struct yaml_node *node;

    if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
        return refuse(builder, line, "anchors and tags are not used here", err);
    if (memchr(text, '\0', size) != NULL)
        return refuse(builder, line, "a value holds a NUL byte", err);
    CPAM_TRY(arena_text(builder->arena, text, size, &copy, err));
    if (builder->depth > 0 && builder->stack[builder->depth - 1]->kind == YAML_MAP &&
        builder->key == NULL)
        return take_key(builder, copy, line, err);
    CPAM_TRY(new_node(builder, YAML_SCALAR, line, &node, err));
    node->value = copy;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return CPAM_OK;
}

static enum cpam_status
open_collection(struct builder *builder, enum yaml_kind kind, bool marked, size_t line,
                struct cpam_err *err)
{
    struct yaml_node *node = NULL;

    if (marked)
        return refuse(builder, line, "anchors and tags are not used here", err);
    if (builder->depth == YAML_DEPTH_MAX)
        return refuse(builder, line, "nested too deeply", err);
    CPAM_TRY(new_node(builder, kind, line, &node, err));
    builder->stack[builder->depth++] = node;
    return CPAM_OK;
}

static enum cpam_status
take_event(struct builder *builder, const yaml_event_t *event, struct cpam_err *err)
{
    size_t line = event->start_mark.line + 1;

    switch (event->type)
    {
    case YAML_DOCUMENT_START_EVENT:
        if (++builder->documents > 1)
            return refuse(builder, line, "a second document (\"---\") is not used here", err);
        return CPAM_OK;
    case YAML_SCALAR_EVENT: return take_scalar(builder, event, line, err);
    case YAML_ALIAS_EVENT: return refuse(builder, line, "aliases are not used here", err);
    case YAML_MAPPING_START_EVENT:
        return open_collection(builder, YAML_MAP,
                               event->data.mapping_start.anchor != NULL ||
                                   event->data.mapping_start.tag != NULL,
                               line, err);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(builder, YAML_LIST,
                               event->data.sequence_start.anchor != NULL ||
                                   event->data.sequence_start.tag != NULL,
                               line, err);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT: builder->depth--; return CPAM_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT: return CPAM_OK;
    }
    return CPAM_OK;
}

static enum cpam_status
read_events(struct builder *builder, yaml_parser_t *parser, struct cpam_err *err)
{
    for (bool ended = false; !ended;)
    {
        yaml_event_t event;

        if (!yaml_parser_parse(parser, &event))
        {
            size_t line = parser->problem_mark.line + 1;

            if (parser->error == YAML_MEMORY_ERROR)
                return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
            return cpam_fail(err, CPAM_USAGE, 0, "%s:%zu: not valid YAML: %s%s%s", builder->file,
                             line, parser->problem == NULL ? "unreadable" : parser->problem,
                             parser->context == NULL ? "" : " ",
                             parser->context == NULL ? "" : parser->context);
        }
        enum cpam_status status = take_event(builder, &event, err);
        ended = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        CPAM_TRY(status);
    }
    return CPAM_OK;
}

enum cpam_status
yaml_tree_parse(const char *file, const void *text, size_t size, struct arena *arena,
                const struct yaml_node **out, struct cpam_err *err)
{
    struct builder builder = {.file = file, .arena = arena};
    yaml_parser_t parser;

    *out = NULL;
    if (!text_is_utf8(text, size))
        return cpam_fail(err, CPAM_USAGE, 0, "%s: the file is not UTF-8", file);
    if (!yaml_parser_initialize(&parser))
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text, size);
    enum cpam_status status = read_events(&builder, &parser, err);
    yaml_parser_delete(&parser);
    CPAM_TRY(status);

    if (builder.top == NULL)
        CPAM_TRY(new_node(&builder, YAML_MAP, 1, &builder.top, err));
    *out = builder.top;
    return CPAM_OK;
}
