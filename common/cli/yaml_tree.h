/*
 * yaml_tree.h - a YAML text as a small tree, each node with its line.
 *
 * The subset a configuration needs, in block or flow style: one document of maps with scalar keys,
 * lists and scalars.  Refused: anchors and aliases (a few lines could name gigabytes), tags, a key
 * twice in one map, a second document, NUL bytes, text that is not UTF-8, and more depth, nodes or
 * bytes than below.  Errors are CPAM_USAGE and begin with "file:line: ".
 */
#ifndef CPAM_CLI_YAML_TREE_H
#define CPAM_CLI_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

enum
{
    YAML_DEPTH_MAX = 12,
    YAML_NODES_MAX = 5000
};

enum yaml_kind
{
    YAML_SCALAR,
    YAML_MAP,
    YAML_LIST
};

struct yaml_node
{
    enum yaml_kind kind;
    unsigned line;          /* from 1 */
    const char *key;        /* in a map; NULL in a list and at the top */
    const char *value;      /* YAML_SCALAR: never NULL */
    bool quoted;            /* YAML_SCALAR: in quotes, or a block scalar */
    struct yaml_node *next; /* of the same map or list */
    struct yaml_node *first, *last;
    size_t count;
};

/* The tree lives in the arena.  An empty document is a map without members. */
enum cpam_status yaml_tree_parse(const char *file, const void *text, size_t size,
                                 struct arena *arena, const struct yaml_node **out,
                                 struct cpam_err *err) CPAM_CHECK;

#endif
