/*
 * repo_create.c - cpam-repo create.
 *
 * The one dangerous thing here would be a new key beside an old repository: what is pushed from
 * then on opens with another key than what was pushed before, and a repository whose keyfile is
 * lost looks as if it were fine.  So a keyfile is made only where every repository is proven
 * absent, and nothing is ever overwritten.
 *
 * As root: the folder of the keyfile and the folder of a file:// repository often belong to root
 * (/etc/cpam, /var/backups), so these two are made as root and given to the owner of the data
 * directory; looking at repositories, and everything else, is done as that owner.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "cli/owner.h"
#include "crypto/key_file.h"
#include "io/file.h"
#include "repo/layout.h"
#include "repo_parts.h"

#define CREATE_TIME ((int64_t) 120 * 1000000) /* us one repository may take */

struct creation
{
    struct cli *cli;
    struct owner owner;
    bool exists[SETTINGS_REPOSITORIES_MAX];
    bool any_exists;
    char uuid[SETTINGS_REPOSITORIES_MAX][TEXT_UUID_MAX];
    struct control control;
    unsigned keys_made;
};

/* --- what is there -------------------------------------------------------------------------- */

static enum cpam_status
note_entry(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    bool *any = arg;

    (void) entry;
    (void) err;
    *any = true;
    return CPAM_CANCELLED; /* one is enough */
}

/* A folder that is not there yet holds no repository; a store calls a missing root a failure. */
static enum cpam_status
folder_is_absent(struct io *io, const struct repository_settings *which, const char *cluster,
                 bool *absent, struct cpam_err *err)
{
    static const char scheme[] = "file://";
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
    struct stat found;

    *absent = false;
    if (strncmp(which->url, scheme, sizeof(scheme) - 1) != 0)
        return CPAM_OK;
    CPAM_TRY(
        cpam_buf_printf(&path, 1 << 16, err, "%s/%s", which->url + sizeof(scheme) - 1, cluster));
    const char *text = cpam_buf_text(&path);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    enum cpam_status status = file_stat(io, text, &found, err);
    *absent = status == CPAM_NOT_FOUND;
    return *absent ? CPAM_OK : status;
}

static enum cpam_status
look_at_store(struct creation *creation, const struct repository_settings *which, bool *exists,
              struct cpam_err *err)
{
    CPAM_AUTO(store_free) struct store *store = NULL;
    struct io *io = creation->cli->io;
    struct store_info info;
    bool any = false;

    CPAM_TRY(repository_store_open(io, creation->cli->settings, which,
                                   deadline_after(io, CREATE_TIME), &store, err));
    enum cpam_status status = store_head(store, LAYOUT_IDENTITY, &info, err);
    *exists = status == CPAM_OK;
    if (status != CPAM_NOT_FOUND)
        return status;
    CPAM_TRY(store_list(store, LAYOUT_BACKUPS, NULL, true, note_entry, &any, err));
    if (!any)
        CPAM_TRY(store_list(store, "wal/", NULL, true, note_entry, &any, err));
    if (!any)
        return CPAM_OK;
    cpam_fail(err, CPAM_CORRUPT, 0,
              "%s has backups or WAL, and no " LAYOUT_IDENTITY ": a damaged repository",
              store->url);
    cpam_err_hint(err, "bring its " LAYOUT_IDENTITY " back (an older version of the object, or a "
                       "copy), or name another url or cluster");
    return CPAM_CORRUPT;
}

static enum cpam_status
look(struct creation *creation, struct cpam_err *err)
{
    const struct settings *settings = creation->cli->settings;

    CPAM_TRY(
        control_file_read(creation->cli->io, settings->postgresql.data, &creation->control, err));
    /* also those that --repo leaves out: a key is of all of them */
    for (size_t i = 0; i < settings->repository_count; i++)
    {
        const struct repository_settings *which = &settings->repositories[i];
        bool absent;
        enum cpam_status status =
            folder_is_absent(creation->cli->io, which, settings->cluster, &absent, err);

        if (status == CPAM_OK && !absent)
            status = look_at_store(creation, which, &creation->exists[i], err);
        if (status != CPAM_OK)
        {
            cpam_err_prefix(err, "repository \"%s\"", which->name);
            return status;
        }
        creation->any_exists = creation->any_exists || creation->exists[i];
    }
    return CPAM_OK;
}

/* --- as root: what belongs to the owner in folders of root ------------------------------------ */

static enum cpam_status
give_to_owner(struct creation *creation, const char *path, struct cpam_err *err)
{
    struct io *io = creation->cli->io;
    int fd;

    if (!owner_is_root())
        return CPAM_OK;
    CPAM_TRY(file_open(io, path, O_RDONLY | O_NOFOLLOW, 0, &fd, err));
    enum cpam_status status = CPAM_OK;
    if (io->ops->fchown(io, fd, creation->owner.uid, creation->owner.gid) != 0)
        status = cpam_fail(err, CPAM_IO, errno, "could not give \"%s\" to \"%s\"", path,
                           creation->owner.name);
    (void) io->ops->close(io, fd);
    return status;
}

static enum cpam_status
make_key(struct creation *creation, const char *path, struct cpam_err *err)
{
    static const char comment[] =
        "# Key of a CPAM repository. Without it, or its copy on paper, no backup can be read.\n";
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    struct io *io = creation->cli->io;

    if (file_exists(io, path))
        return CPAM_OK;
    if (creation->any_exists)
    {
        cpam_fail(
            err, CPAM_USAGE, 0,
            "the keyfile \"%s\" is missing, and a repository exists: a new key could not open "
            "what is there",
            path);
        cpam_err_hint(err, "bring the keyfile back from its copy (the text that begins with "
                           "\"cpam1key\", in a file of mode 0600 that the server's user owns)");
        return CPAM_USAGE;
    }
    CPAM_TRY(secret_random(io, KEY_TEXT_KEY_SIZE, &key, err));
    enum cpam_status status = key_file_write(io, path, KEY_TEXT_KEYFILE, key, comment, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "could not make the keyfile \"%s\"", path);
        if (!owner_is_root())
            cpam_err_hint(err,
                          "run this once as root, or make the folder and the keyfile yourself: "
                          "cpam-keys generate keyfile %s",
                          path);
        return status;
    }
    creation->keys_made++;
    return give_to_owner(creation, path, err);
}

static enum cpam_status
make_keys(struct creation *creation, struct cpam_err *err)
{
    const struct keyring_settings *keys = &creation->cli->settings->encryption;

    for (size_t i = 0; !keys->none && i < keys->recipient_count; i++)
        if (keys->recipients[i].kind == KEY_KEYFILE)
            CPAM_TRY(make_key(creation, keys->recipients[i].value, err));
    return CPAM_OK;
}

/* file:///var/backups/cpam: root makes the folder; what is below it the owner makes. */
static enum cpam_status
make_folders(struct creation *creation, struct cpam_err *err)
{
    static const char scheme[] = "file://";
    const struct settings *settings = creation->cli->settings;

    for (size_t i = 0; owner_is_root() && i < settings->repository_count; i++)
    {
        const struct repository_settings *which = &settings->repositories[i];
        const char *path = which->url + sizeof(scheme) - 1;

        if (!repo_is_meant(creation->cli, which) ||
            strncmp(which->url, scheme, sizeof(scheme) - 1) != 0 ||
            file_exists(creation->cli->io, path))
            continue;
        CPAM_TRY(file_make_dirs(creation->cli->io, path, 0755, err));
        CPAM_TRY(give_to_owner(creation, path, err));
    }
    return CPAM_OK;
}

/* --- as the owner ----------------------------------------------------------------------------- */

static enum cpam_status
register_cluster(struct creation *creation, struct repo *repo, struct cpam_err *err)
{
    const struct cluster_record record = {.sysid = creation->control.sysid,
                                          .major = creation->control.major,
                                          .segment_size = creation->control.segment_size};
    uint64_t known[64];
    size_t count, others = 0;

    CPAM_TRY(cluster_record_list(repo, known, sizeof(known) / sizeof(known[0]), &count, err));
    for (size_t i = 0; i < count; i++)
        others += known[i] != record.sysid;
    CPAM_TRY(cluster_record_put(repo, &record, err));
    printf("  takes WAL and backups of system identifier %" PRIu64 " (PostgreSQL %u)\n",
           record.sysid, record.major);
    if (others == 0)
        return CPAM_OK;
    creation->cli->attention = true;
    printf("  and of %zu other%s: right after pg_upgrade or initdb; if this is another database,\n"
           "  give it a cluster name of its own\n",
           others, others == 1 ? "" : "s");
    return CPAM_OK;
}

static enum cpam_status
create_one(struct creation *creation, size_t index, struct cpam_err *err)
{
    const struct repository_settings *which = &creation->cli->settings->repositories[index];
    bool existed = creation->exists[index];
    const struct repository_purpose purpose = {.for_write = true};
    struct io *io = creation->cli->io;
    struct settings *settings = creation->cli->settings;
    CPAM_AUTO(repository_free) struct repository *repository = NULL;
    char *uuid = creation->uuid[index];

    if (!existed)
    {
        CPAM_TRY(repository_open_new(io, settings, which, purpose, deadline_after(io, CREATE_TIME),
                                     &repository, err));
        CPAM_TRY(repo_create(io, repository_repo_settings(repository),
                             repository_keyring(repository), err));
        repository_free(CPAM_STEAL(repository));
    }
    CPAM_TRY(repository_open(io, settings, which, purpose, deadline_after(io, CREATE_TIME),
                             &repository, err));
    text_format_uuid(keyring_uuid(repository_keyring(repository)), uuid);
    printf("%s repository \"%s\" at %s: %s\n", existed ? "Found" : "Made", which->name, which->url,
           uuid);
    return register_cluster(creation, repository_repo(repository), err);
}

/* The text of a key is shown here and nowhere else: to the person who has just had it made. */
static enum cpam_status
print_copy(struct creation *creation, const char *path, struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    char text[KEY_TEXT_MAX];

    CPAM_TRY(key_file_read(creation->cli->io, path, KEY_TEXT_KEYFILE, &key, err));
    CPAM_TRY(key_text_format(KEY_TEXT_KEYFILE, secret_data(key), text, err));
    printf("\n"
           "Keep this on paper, away from this host and from the repository. Without the keyfile\n"
           "%s or this text, no backup can be read, by nobody:\n"
           "\n"
           "    %s\n",
           path, text);
    explicit_bzero(text, sizeof(text));
    for (size_t i = 0; i < creation->cli->settings->repository_count; i++)
        if (creation->uuid[i][0] != '\0')
            printf("    repository \"%s\": %s\n", creation->cli->settings->repositories[i].name,
                   creation->uuid[i]);
    printf("\n");
    return CPAM_OK;
}

/* The programs look for the default configuration by themselves. */
static void
print_next(const char *config)
{
    bool is_default = strcmp(config, CPAM_CONFIG_DEFAULT) == 0;
    const char *with = is_default ? "" : " --config ", *file = is_default ? "" : config;

    printf("Next: let the server archive (archive_mode = on, archive_command = 'cpam-wal-push%s%s "
           "%%p'),\nthen \"cpam-base-push%s%s\", then \"cpam-repo%s%s check\".\n",
           with, file, with, file, with, file);
}

static enum cpam_status
create_as_owner(struct creation *creation, struct cpam_err *err)
{
    const struct settings *settings = creation->cli->settings;
    const struct keyring_settings *keys = &settings->encryption;

    for (size_t i = 0; i < settings->repository_count; i++)
        if (repo_is_meant(creation->cli, &settings->repositories[i]))
            CPAM_TRY(create_one(creation, i, err));
    for (size_t i = 0; creation->keys_made != 0 && i < keys->recipient_count; i++)
        if (keys->recipients[i].kind == KEY_KEYFILE)
            CPAM_TRY(print_copy(creation, keys->recipients[i].value, err));
    for (size_t i = 0; !creation->any_exists && i < keys->recipient_count; i++)
        if (keys->recipients[i].kind == KEY_PASSPHRASE)
            printf(
                "\nKeep the passphrase of %s on paper, away from this host and from the repository.\n"
                "Without it no backup can be read, unless another recipient of encryption.recipients can "
                "open it.\n\n",
                keys->recipients[i].value);
    print_next(creation->cli->config_path);
    return CPAM_OK;
}

enum cpam_status
repo_create_run(struct cli *cli, struct cpam_err *err)
{
    struct creation creation = {.cli = cli};

    if (owner_is_root())
        CPAM_TRY(owner_of(cli->io, cli->settings->postgresql.data, &creation.owner, err));
    CPAM_TRY(owner_enter(&creation.owner, err));
    CPAM_TRY(look(&creation, err));
    CPAM_TRY(owner_leave(err));
    CPAM_TRY(make_keys(&creation, err));
    CPAM_TRY(make_folders(&creation, err));
    CPAM_TRY(program_become_owner(cli, cli->settings->postgresql.data, err));
    return create_as_owner(&creation, err);
}
