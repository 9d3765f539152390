/*
 * settings.c - reading the configuration file and handing the result out.
 */
#include "cli/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "cli/settings_check.h"
#include "cli/settings_parse.h"
#include "io/file.h"

enum
{
    ARENA_LIMIT = 16 << 20
};

/* raw is large, and only of use while the file is being read. */
static enum cpam_status
parse_raw(const char *file, const void *text, size_t size, struct arena *arena,
          struct settings_raw *raw, struct cpam_err *err)
{
    const struct yaml_node *tree;

    CPAM_TRY(arena_text(arena, file, strlen(file), &raw->settings.file, err));
    CPAM_TRY(yaml_tree_parse(raw->settings.file, text, size, arena, &tree, err));
    CPAM_TRY(settings_put_tree(raw->settings.file, tree, arena, raw, err));
    return settings_finish(raw, arena, err);
}

/* `open_to_others`: the file can be read by anybody, so it must not hold a secret. */
static enum cpam_status
parse(const char *file, const void *text, size_t size, bool open_to_others, struct settings **out,
      struct cpam_err *err)
{
    CPAM_AUTO(arena_free) struct arena *arena = NULL;
    CPAM_AUTO(free) struct settings_raw *raw = calloc(1, sizeof(*raw));
    CPAM_AUTO(free) struct settings *settings = calloc(1, sizeof(*settings));

    *out = NULL;
    if (raw == NULL || settings == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    CPAM_TRY(arena_new(ARENA_LIMIT, &arena, err));
    CPAM_TRY(parse_raw(file, text, size, arena, raw, err));
    if (open_to_others && raw->inline_secret_line != 0)
    {
        cpam_fail(err, CPAM_USAGE, 0, "%s:%u: %s: a secret in a file that everybody can read", file,
                  raw->inline_secret_line, raw->inline_secret_key);
        cpam_err_hint(err,
                      "run \"chmod o= %s\", or keep the secret in a file of its own and write "
                      "\"@/path\" here",
                      file);
        return CPAM_USAGE;
    }
    *settings = raw->settings;
    settings->arena = CPAM_STEAL(arena);
    *out = CPAM_STEAL(settings);
    return CPAM_OK;
}

enum cpam_status
settings_parse(const char *file, const void *text, size_t size, struct settings **out,
               struct cpam_err *err)
{
    return parse(file, text, size, false, out, err);
}

enum cpam_status
settings_load(struct io *io, const char *path, struct settings **out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    struct stat found;

    *out = NULL;
    enum cpam_status status = file_read_all(io, path, SETTINGS_FILE_MAX, &text, err);
    if (status == CPAM_OK)
        status = file_stat(io, path, &found, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "configuration");
        if (status == CPAM_NOT_FOUND)
            cpam_err_hint(err, "name it with --config FILE or $CPAM_CONFIG; "
                               "backup-config.yaml(5) has one of four lines to begin with");
        return status == CPAM_NO_MEMORY ? status : (err->status = CPAM_USAGE);
    }
    bool open_to_others = (found.st_mode & S_IROTH) != 0;
    return parse(path, text.data, text.size, open_to_others, out, err);
}

void
settings_free(struct settings *settings)
{
    if (settings == NULL)
        return;
    arena_free(settings->arena);
    free(settings);
}

enum cpam_status
settings_repository(const struct settings *settings, const char *name,
                    const struct repository_settings **out, struct cpam_err *err)
{
    char known[512] = "";

    for (size_t i = 0; i < settings->repository_count; i++)
    {
        const struct repository_settings *repository = &settings->repositories[i];
        size_t length = strlen(known);

        if (strcmp(repository->name, name) == 0)
        {
            *out = repository;
            return CPAM_OK;
        }
        snprintf(known + length, sizeof(known) - length, "%s\"%s\"", i == 0 ? "" : ", ",
                 repository->name);
    }
    *out = NULL;
    cpam_fail(err, CPAM_USAGE, 0, "there is no repository \"%.80s\" in %s", name, settings->file);
    cpam_err_hint(err, "the repositories there: %s", known);
    return CPAM_USAGE;
}
