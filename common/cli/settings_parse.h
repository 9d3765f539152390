/*
 * settings_parse.h - from a tree to raw values, by the table.
 */
#ifndef CPAM_CLI_SETTINGS_PARSE_H
#define CPAM_CLI_SETTINGS_PARSE_H

#include "base/arena.h"
#include "cli/settings_table.h"
#include "cli/yaml_tree.h"

enum
{
    SETTINGS_ROWS_MAX = 160
};

/* *raw is zeroed before; texts stay in the arena. */
enum cpam_status settings_put_tree(const char *file, const struct yaml_node *tree,
                                   struct arena *arena, struct settings_raw *raw,
                                   struct cpam_err *err) CPAM_CHECK;

#endif
