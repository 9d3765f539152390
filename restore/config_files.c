/*
 * config_files.c - texts out of a manifest's settings into a directory that was empty.
 *
 * Needs no data directory, no server and no WAL: on a new machine this comes first.
 */
#include "config_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "io/file.h"

#define SETTING_FILE "file:"
#define SETTING_MODE "mode:"

enum
{
    SHOW_LIMIT = 4 << 20, /* bytes */
    MODE_KEPT = 0750,     /* nothing for others */
    MODE_OWNER = 0600     /* at least */
};

struct config_file
{
    char *path; /* absolute, as the server named it */
    char *text;
    unsigned mode;
};

struct config_files
{
    char label[BACKUP_LABEL_MAX];
    char *config_file; /* where the server's begins, or NULL */
    struct config_file *items;
    size_t count, cap;
};

static void
config_files_clear_scoped_(struct config_files *files)
{
    for (size_t i = 0; i < files->count; i++)
    {
        free(files->items[i].path);
        free(files->items[i].text);
    }
    free(files->items);
    free(files->config_file);
}

static enum cpam_status
no_memory(struct cpam_err *err)
{
    return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the configuration files of a backup");
}

/* Below a directory it stays below that directory. */
static bool
stays_below(const char *path)
{
    if (path[0] != '/' || path[1] == '\0' || strlen(path) >= MANIFEST_PATH_MAX)
        return false;
    for (const char *at = path; *at == '/';)
    {
        size_t size = strcspn(++at, "/");

        if (size == 0 || (size == 1 && at[0] == '.') || (size == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += size;
    }
    return true;
}

static enum cpam_status
take_file(struct config_files *files, const char *path, const char *text, struct cpam_err *err)
{
    if (!stays_below(path))
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "backup \"%s\" names a configuration file \"%.200s\", which is no place "
                         "for one",
                         files->label, path);
    if (files->count == files->cap)
    {
        size_t cap = files->cap == 0 ? 16 : files->cap * 2;
        void *grown = realloc(files->items, cap * sizeof(*files->items));

        if (grown == NULL)
            return no_memory(err);
        files->items = grown;
        files->cap = cap;
    }
    struct config_file *file = &files->items[files->count++];

    *file = (struct config_file){.path = strdup(path), .text = strdup(text), .mode = MODE_OWNER};
    return file->path != NULL && file->text != NULL ? CPAM_OK : no_memory(err);
}

/* The writer puts a file's mode right behind its text. */
static void
take_mode(struct config_files *files, const char *path, const char *value)
{
    struct config_file *file = files->count > 0 ? &files->items[files->count - 1] : NULL;

    if (file != NULL && strcmp(file->path, path) == 0)
        file->mode = ((unsigned) strtoul(value, NULL, 8) & MODE_KEPT) | MODE_OWNER;
}

static enum cpam_status
on_setting(void *arg, const struct manifest_setting *setting, struct cpam_err *err)
{
    struct config_files *files = arg;

    if (strncmp(setting->name, SETTING_FILE, strlen(SETTING_FILE)) == 0)
        return take_file(files, setting->name + strlen(SETTING_FILE), setting->value, err);
    if (strncmp(setting->name, SETTING_MODE, strlen(SETTING_MODE)) == 0)
        take_mode(files, setting->name + strlen(SETTING_MODE), setting->value);
    else if (strcmp(setting->name, "config_file") == 0 && files->config_file == NULL)
    {
        files->config_file = strdup(setting->value);
        if (files->config_file == NULL)
            return no_memory(err);
    }
    return CPAM_OK;
}

static enum cpam_status
on_entry(void *arg, const struct manifest_entry *entry, struct cpam_err *err)
{
    (void) arg, (void) entry, (void) err;
    return CPAM_OK;
}

static enum cpam_status
on_extents(void *arg, uint64_t at, const struct manifest_extent *extents, size_t count,
           struct cpam_err *err)
{
    (void) arg, (void) at, (void) extents, (void) count, (void) err;
    return CPAM_OK;
}

/* Nothing is believed before the whole manifest has passed its checks. */
static enum cpam_status
read_files(struct repo *repo, const struct backup_summary *summary, struct config_files *files,
           struct cpam_err *err)
{
    static const struct manifest_reader_ops ops = {
        .entry = on_entry, .extents = on_extents, .setting = on_setting};

    snprintf(files->label, sizeof(files->label), "%s", summary->label);
    CPAM_TRY(manifest_read(repo, summary, &ops, files, err));
    if (files->count > 0)
        return CPAM_OK;
    cpam_fail(err, CPAM_UNREACHABLE, 0, "backup \"%s\" holds no configuration files",
              summary->label);
    cpam_err_hint(err, "they lay in the data directory, and come back with it");
    return CPAM_UNREACHABLE;
}

static enum cpam_status
check_empty(struct io *io, const char *directory, struct cpam_err *err)
{
    DIR *dir = io->ops->opendir(io, AT_FDCWD, directory);
    const struct dirent *entry;
    bool empty = true;

    if (dir == NULL && errno == ENOENT)
        return CPAM_OK;
    if (dir == NULL)
        return cpam_fail(err, CPAM_USAGE, errno, "could not look into \"%s\"", directory);
    while (empty && (errno = 0, entry = io->ops->readdir(io, dir)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    int failed = errno;
    io->ops->closedir(io, dir);
    if (empty && failed != 0)
        return cpam_fail(err, CPAM_IO, failed, "could not look into \"%s\"", directory);
    if (empty)
        return CPAM_OK;
    cpam_fail(err, CPAM_USAGE, 0, "\"%s\" is not empty, and nothing is overwritten", directory);
    cpam_err_hint(err, "name a directory that is not there yet, and copy what you want from it");
    return CPAM_USAGE;
}

static enum cpam_status
write_files(struct io *io, const struct config_files *files, const char *directory,
            struct cpam_err *err)
{
    CPAM_TRY(file_make_dirs(io, directory, 0700, err));
    for (size_t i = 0; i < files->count; i++)
    {
        const struct config_file *file = &files->items[i];
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf dir = {0};

        CPAM_TRY(cpam_buf_printf(&path, 1 << 16, err, "%s%s", directory, file->path));
        CPAM_TRY(cpam_buf_printf(&dir, 1 << 16, err, "%s%.*s", directory,
                                 (int) (strrchr(file->path, '/') - file->path), file->path));
        if (cpam_buf_text(&path) == NULL || cpam_buf_text(&dir) == NULL)
            return no_memory(err);
        CPAM_TRY(file_make_dirs(io, cpam_buf_text(&dir), 0700, err));
        CPAM_TRY(file_write_new(io, cpam_buf_text(&path), (mode_t) file->mode, file->text,
                                strlen(file->text), err));
    }
    return CPAM_OK;
}

static enum cpam_status
show_json(const struct config_files *files, const char *directory, struct cpam_buf *out,
          struct cpam_err *err)
{
    struct json_writer json = {.buf = out, .limit = SHOW_LIMIT, .pretty = true};

    json_begin_object(&json, NULL);
    json_put_u64(&json, "version", 1);
    json_put_text(&json, "label", files->label);
    json_put_text(&json, "directory", directory);
    json_begin_array(&json, "files");
    for (size_t i = 0; i < files->count; i++)
    {
        char mode[8];

        snprintf(mode, sizeof(mode), "%04o", files->items[i].mode);
        json_begin_object(&json, NULL);
        json_put_text(&json, "path", files->items[i].path);
        json_put_text(&json, "mode", mode);
        json_put_u64(&json, "bytes", strlen(files->items[i].text));
        json_end(&json);
    }
    json_end(&json);
    json_end(&json);
    CPAM_TRY(json_writer_end(&json, err));
    return cpam_buf_append(out, "\n", 1, SHOW_LIMIT, err);
}

static enum cpam_status
show_text(const struct config_files *files, const char *directory, struct cpam_buf *out,
          struct cpam_err *err)
{
    CPAM_TRY(cpam_buf_printf(out, SHOW_LIMIT, err, "backup         %s\n", files->label));
    for (size_t i = 0; i < files->count; i++)
        CPAM_TRY(cpam_buf_printf(out, SHOW_LIMIT, err, "file           %s%s (%04o)\n", directory,
                                 files->items[i].path, files->items[i].mode));
    if (files->config_file != NULL)
        CPAM_TRY(cpam_buf_printf(out, SHOW_LIMIT, err,
                                 "next           compare, and copy them to where they were; the "
                                 "server's begins at %s\n",
                                 files->config_file));
    return CPAM_OK;
}

static enum cpam_status
choose(const struct config_files_request *request, const struct backup_summary **out,
       struct cpam_err *err)
{
    const struct backup_list *list = request->backups;

    *out = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (request->label == NULL || strcmp(list->items[i].label, request->label) == 0)
            *out = &list->items[i];
    if (*out != NULL)
        return CPAM_OK;
    return cpam_fail(err, CPAM_UNREACHABLE, 0, "repository \"%s\" holds no backup%s%.100s",
                     repo_name(request->repo), request->label == NULL ? "" : " ",
                     request->label == NULL ? "" : request->label);
}

enum cpam_status
config_files_fetch(const struct config_files_request *request, struct cpam_err *err)
{
    __attribute__((cleanup(config_files_clear_scoped_))) struct config_files files = {.count = 0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    const struct backup_summary *backup;

    CPAM_TRY(check_empty(request->io, request->directory, err));
    CPAM_TRY(choose(request, &backup, err));
    CPAM_TRY(read_files(request->repo, backup, &files, err));
    if (!request->dry_run)
        CPAM_TRY(write_files(request->io, &files, request->directory, err));
    CPAM_TRY(request->json ? show_json(&files, request->directory, &text, err)
                           : show_text(&files, request->directory, &text, err));
    fwrite(text.data, 1, text.size, stdout);
    return CPAM_OK;
}
