/*
 * push_config.c - following a configuration from file to file, each of them once.
 *
 * Breadth first, so that what is left out for want of room is never one of the three main files.
 */
#include "push_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "io/file.h"
#include "pg/config_include.h"

#define SETTING_FILE "file:"
#define SETTING_MODE "mode:"

enum
{
    TOLD_MAX = 10 /* of what is left out */
};

/* One file, and, once it is read, its two settings. */
struct config_file
{
    char *path; /* absolute, as the server names it */
    enum config_grammar grammar;
    bool may_be_absent;
    char *file_name, *mode_name; /* of the settings; NULL: left out, or in the data directory */
    char *text;
    char mode[8];
    dev_t device; /* of what was read, */
    ino_t inode;  /* 0: nothing */
};

struct push_config
{
    struct io *io;
    unsigned major;
    char data[MANIFEST_PATH_MAX]; /* without links */
    struct config_file *files;
    size_t count, cap;
    size_t kept, bytes;
    size_t left_out;
};

void
push_config_free(struct push_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->count; i++)
    {
        free(config->files[i].path);
        free(config->files[i].file_name);
        free(config->files[i].mode_name);
        free(config->files[i].text);
    }
    free(config->files);
    free(config);
}

static enum cpam_status
no_memory(struct cpam_err *err)
{
    return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the server's configuration files");
}

/* Told, and no reason to have no backup. */
static enum cpam_status
leave_out(struct push_config *config, const char *path, const char *why)
{
    if (config->left_out++ < TOLD_MAX)
        cpam_log(LOG_WARNING, "configuration file \"%s\" is not in the backup: %s", path, why);
    return CPAM_OK;
}

/* What a call answered. */
static enum cpam_status
leave_out_failed(struct push_config *config, const char *path, const char *what)
{
    struct cpam_err failed;

    cpam_fail(&failed, CPAM_IO, errno, "%s", what);
    return leave_out(config, path, failed.text);
}

/* Up to three texts in one, or NULL. */
static char *
joined(const char *one, size_t size, const char *two, const char *three)
{
    char *out;

    return asprintf(&out, "%.*s%s%s", (int) size, one, two, three) < 0 ? NULL : out;
}

/* Takes path over. */
static enum cpam_status
add(struct push_config *config, char *path, enum config_grammar grammar, bool may_be_absent,
    struct cpam_err *err)
{
    for (size_t i = 0; i < config->count; i++)
        if (strcmp(config->files[i].path, path) == 0)
        {
            free(path);
            return CPAM_OK;
        }
    if (config->count == config->cap)
    {
        size_t cap = config->cap == 0 ? 16 : config->cap * 2;
        void *grown = realloc(config->files, cap * sizeof(*config->files));

        if (grown == NULL)
        {
            free(path);
            return no_memory(err);
        }
        config->files = grown;
        config->cap = cap;
    }
    config->files[config->count++] =
        (struct config_file){.path = path, .grammar = grammar, .may_be_absent = may_be_absent};
    return CPAM_OK;
}

/* The file that is being looked through for includes; by number, since the list grows. */
struct naming
{
    struct push_config *config;
    size_t number;
};

static bool
is_conf(const char *name)
{
    size_t size = strlen(name);

    return name[0] != '.' && size > 5 && strcmp(name + size - 5, ".conf") == 0;
}

static int
by_path(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static enum cpam_status
add_directory(struct push_config *config, const char *dir, enum config_grammar grammar,
              struct cpam_err *err)
{
    struct io *io = config->io;
    char *paths[PUSH_CONFIG_FILES_MAX];
    DIR *opened = io->ops->opendir(io, AT_FDCWD, dir);
    enum cpam_status status = CPAM_OK;
    struct dirent *entry;
    size_t count = 0;

    if (opened == NULL)
        return leave_out_failed(config, dir, "could not open it");
    while (status == CPAM_OK && (errno = 0, entry = io->ops->readdir(io, opened)) != NULL)
    {
        if (!is_conf(entry->d_name))
            continue;
        if (count == PUSH_CONFIG_FILES_MAX)
        {
            status = leave_out(config, dir, "it holds too many files");
            break;
        }
        paths[count] = joined(dir, strlen(dir), "/", entry->d_name);
        if (paths[count] == NULL)
            status = no_memory(err);
        else
            count++;
    }
    if (status == CPAM_OK && entry == NULL && errno != 0)
        status = leave_out_failed(config, dir, "could not read all of it");
    io->ops->closedir(io, opened);
    qsort(paths, count, sizeof(*paths), by_path);
    for (size_t i = 0; i < count; i++)
        if (status == CPAM_OK)
            status = add(config, paths[i], grammar, false, err);
        else
            free(paths[i]);
    return status;
}

static enum cpam_status
on_include(void *arg, enum config_include kind, const char *written, struct cpam_err *err)
{
    const struct naming *naming = arg;
    const struct config_file *from = &naming->config->files[naming->number];
    enum config_grammar grammar = from->grammar;
    const char *slash = strrchr(from->path, '/');

    if (written[0] == '\0')
        return CPAM_OK;
    char *path =
        joined(from->path, written[0] == '/' ? 0 : (size_t) (slash - from->path) + 1, written, "");
    if (path == NULL)
        return no_memory(err);
    if (kind != CONFIG_INCLUDE_DIR)
        return add(naming->config, path, grammar, kind == CONFIG_INCLUDE_IF_EXISTS, err);
    enum cpam_status status = add_directory(naming->config, path, grammar, err);
    free(path);
    return status;
}

/* Where the open file or directory really lies. */
static bool
real_path(struct io *io, int fd, char out[MANIFEST_PATH_MAX])
{
    char link[64];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = io->ops->readlink(io, AT_FDCWD, link, out, MANIFEST_PATH_MAX - 1);
    out[size < 0 ? 0 : size] = '\0';
    return size > 0;
}

static bool
is_below(const char *path, const char *dir)
{
    size_t size = strlen(dir);

    return strncmp(path, dir, size) == 0 && path[size] == '/';
}

/* As a restore can make it below another directory: absolute, and nothing that leads elsewhere. */
static bool
is_plain(const char *path)
{
    return path[0] == '/' && strstr(path, "//") == NULL && strstr(path, "/./") == NULL &&
           strstr(path, "/../") == NULL;
}

/* Has the file been looked through under this or another path?  A circle of includes ends here. */
static bool
is_known(struct push_config *config, size_t number, const struct stat *about)
{
    for (size_t i = 0; i < number; i++)
        if (config->files[i].inode == about->st_ino && config->files[i].device == about->st_dev)
            return true;
    config->files[number].device = about->st_dev;
    config->files[number].inode = about->st_ino;
    return false;
}

static bool
is_kept(const struct push_config *config, const char *name)
{
    for (size_t i = 0; i < config->count; i++)
        if (config->files[i].file_name != NULL &&
            strcmp(config->files[i].file_name + strlen(SETTING_FILE), name) == 0)
            return true;
    return false;
}

/* The two settings of a file whose text is there. */
static enum cpam_status
keep(struct push_config *config, struct config_file *file, const char *name, mode_t mode,
     struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf json = {0};
    size_t limit = PUSH_CONFIG_BYTES_MAX - config->bytes;
    struct cpam_err full;

    if (is_kept(config, name))
        return CPAM_OK;
    if (!text_is_utf8(name, strlen(name)))
        return leave_out(config, file->path, "its path is no text in UTF-8");
    snprintf(file->mode, sizeof(file->mode), "%04o", (unsigned) mode & 0777);
    file->file_name = joined("", 0, SETTING_FILE, name);
    file->mode_name = joined("", 0, SETTING_MODE, name);
    if (file->file_name == NULL || file->mode_name == NULL)
        return no_memory(err);
    if (config->kept == PUSH_CONFIG_FILES_MAX ||
        json_escape(&json, file->file_name, strlen(file->file_name), limit, &full) != CPAM_OK ||
        json_escape(&json, file->mode_name, strlen(file->mode_name), limit, &full) != CPAM_OK ||
        json_escape(&json, file->text, strlen(file->text), limit, &full) != CPAM_OK)
    {
        free(CPAM_STEAL(file->file_name));
        return leave_out(config, file->path, "there is no room left for it");
    }
    config->bytes += json.size;
    config->kept++;
    return CPAM_OK;
}

/* The text of the open file; *why: the reason there is none. */
static enum cpam_status
read_text(struct push_config *config, int fd, struct config_file *file, const char **why,
          struct cpam_err *err)
{
    char *text = malloc(PUSH_CONFIG_BYTES_MAX + 1);
    struct cpam_err failed;
    size_t size = 0;

    if (text == NULL)
        return no_memory(err);
    file->text = text;
    if (file_read(config->io, fd, file->path, text, PUSH_CONFIG_BYTES_MAX, &size, &failed) !=
        CPAM_OK)
        *why = "it could not be read";
    else if (size == PUSH_CONFIG_BYTES_MAX)
        *why = "it is too large";
    else if (memchr(text, '\0', size) != NULL || !text_is_utf8(text, size))
        *why = "it is no text in UTF-8";
    text[size] = '\0';
    char *fitting = realloc(text, size + 1);
    if (fitting != NULL)
        file->text = fitting;
    return CPAM_OK;
}

static enum cpam_status
take_open(struct push_config *config, size_t number, int fd, struct cpam_err *err)
{
    struct config_file *file = &config->files[number];
    struct naming naming = {config, number};
    char real[MANIFEST_PATH_MAX];
    struct stat about;
    const char *why = NULL;

    if (config->io->ops->fstat(config->io, fd, &about) != 0)
        return leave_out_failed(config, file->path, "could not look at it");
    if (S_ISDIR(about.st_mode))
        return CPAM_OK; /* the server steps over one in an include_dir */
    if (!S_ISREG(about.st_mode) || !real_path(config->io, fd, real))
        return leave_out(config, file->path, "it is no regular file");
    CPAM_TRY(read_text(config, fd, file, &why, err));
    bool inside = is_below(real, config->data);

    if (why != NULL)
        return inside ? CPAM_OK : leave_out(config, file->path, why);
    if (!inside)
    {
        /* a link in the data directory is restored as a link: what it shows belongs where it lies */
        bool named = is_plain(file->path) && !is_below(file->path, config->data);

        CPAM_TRY(keep(config, file, named ? file->path : real, about.st_mode, err));
    }
    if (is_known(config, number, &about))
        return CPAM_OK;
    /* the list may move when it grows */
    const char *text = file->text;
    return config_includes(file->grammar, config->major, text, strlen(text), on_include, &naming,
                           err);
}

static enum cpam_status
take(struct push_config *config, size_t number, struct cpam_err *err)
{
    struct io *io = config->io;
    struct config_file *file = &config->files[number];
    struct cpam_err failed;
    int fd = -1;

    /* a pipe must not hold it up */
    enum cpam_status status =
        file_open(io, file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, &failed);
    if (status == CPAM_NOT_FOUND && file->may_be_absent)
        return CPAM_OK;
    if (status != CPAM_OK)
        return leave_out(config, file->path, failed.text);
    status = take_open(config, number, fd, err);
    io->ops->close(io, fd);
    return status;
}

static enum cpam_status
begin(struct push_config *config, const char *data, const struct pgrows *settings,
      struct cpam_err *err)
{
    static const struct
    {
        const char *name;
        enum config_grammar grammar;
    } mains[] = {{"config_file", CONFIG_SETTINGS},
                 {"hba_file", CONFIG_ACCESS},
                 {"ident_file", CONFIG_ACCESS}};
    int fd = -1;

    CPAM_TRY(file_open(config->io, data, O_RDONLY | O_DIRECTORY, 0, &fd, err));
    if (!real_path(config->io, fd, config->data))
        snprintf(config->data, sizeof(config->data), "%s", data);
    config->io->ops->close(config->io, fd);
    for (size_t i = 0; i < sizeof(mains) / sizeof(mains[0]); i++)
        for (size_t row = 0; row < settings->rows; row++)
        {
            const char *value = settings->values[2 * row + 1];

            if (strcmp(settings->values[2 * row], mains[i].name) != 0 || value[0] != '/')
                continue;
            char *path = strdup(value);
            if (path == NULL)
                return no_memory(err);
            CPAM_TRY(add(config, path, mains[i].grammar, false, err));
        }
    return CPAM_OK;
}

enum cpam_status
push_config_read(struct io *io, const char *data, unsigned major, const struct pgrows *settings,
                 struct push_config **out, struct cpam_err *err)
{
    CPAM_AUTO(push_config_free) struct push_config *config = calloc(1, sizeof(*config));

    *out = NULL;
    if (config == NULL)
        return no_memory(err);
    config->io = io;
    config->major = major;
    CPAM_TRY(begin(config, data, settings, err));
    for (size_t i = 0; i < config->count; i++)
    {
        if (i == 2 * (size_t) PUSH_CONFIG_FILES_MAX)
        {
            CPAM_TRY(leave_out(config, config->files[i].path, "and what follows: too many files"));
            break;
        }
        CPAM_TRY(take(config, i, err));
    }
    if (config->left_out > TOLD_MAX)
        cpam_log(LOG_WARNING, "%zu configuration files are not in the backup", config->left_out);
    *out = CPAM_STEAL(config);
    return CPAM_OK;
}

bool
push_config_incomplete(const struct push_config *config)
{
    return config != NULL && config->left_out > 0;
}

size_t
push_config_settings(const struct push_config *config, struct manifest_setting *out)
{
    size_t count = 0;

    for (size_t i = 0; config != NULL && i < config->count; i++)
    {
        const struct config_file *file = &config->files[i];

        if (file->file_name == NULL)
            continue;
        out[count++] = (struct manifest_setting){file->file_name, file->text};
        out[count++] = (struct manifest_setting){file->mode_name, file->mode};
    }
    return count;
}
