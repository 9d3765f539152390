/*
 * keys.c - cpam-keys: makes key files, and shows what of them may be shown.
 *
 * A new key goes into a file of mode 0600 that must not exist yet, never to the terminal; stdout
 * gets the public half alone, so that it can be pasted into a configuration.  Run by root, the file
 * goes to the owner of the directory it stands in (/etc/cpam belongs to postgres), since the
 * programs that use it do not run as root.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "cli/owner.h"
#include "cli/program.h"
#include "crypto/key_file.h"
#include "io/file.h"

static const struct
{
    const char *word;
    enum key_text_kind kind;
    const char *use; /* a comment in the file */
} makes[] = {
    {"keyfile", KEY_TEXT_KEYFILE,
     "# Opens and seals a CPAM repository. Who has it can read and forge backups; without it no\n"
     "# backup can be read. Keep a copy away from this host.\n"},
    {"x25519", KEY_TEXT_X25519_SECRET,
     "# Opens what was sealed for its public half. Keep it away from the database host, and a\n"
     "# second copy elsewhere.\n"},
    {"writer", KEY_TEXT_WRITER_SECRET,
     "# Signs what this database cluster writes. All nodes of the cluster share it.\n"},
};

enum
{
    MAKES = sizeof(makes) / sizeof(makes[0])
};

static const char *
kind_word(enum key_text_kind kind)
{
    for (size_t at = 0; at < MAKES; at++)
    {
        if (makes[at].kind == kind)
            return makes[at].word;
    }
    return "key";
}

/* The one line on stdout (or, with --json, the object). */
static enum cpam_status
show(const struct cli *cli, enum key_text_kind kind, const struct secret *key, const char *path,
     struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};
    struct json_writer json = {.buf = &out, .limit = 64 << 10};
    char shown[KEY_TEXT_MAX];

    CPAM_TRY(key_file_public(kind, key, shown, err));
    if (!cli->json)
        CPAM_TRY(cpam_buf_printf(&out, json.limit, err, "%s", shown));
    else
    {
        json_begin_object(&json, NULL);
        json_put_text(&json, "kind", kind_word(kind));
        json_put_text(&json, kind == KEY_TEXT_KEYFILE ? "recipient" : "public", shown);
        json_put_text(&json, "file", path);
        json_end(&json);
        CPAM_TRY(json_writer_end(&json, err));
    }
    printf("%s\n", cpam_buf_text(&out));
    return CPAM_OK;
}

/* Root gives the file to whom its folder is meant for: /etc/cpam is root:postgres. */
static enum cpam_status
give_away(struct io *io, const char *path, struct cpam_err *err)
{
    CPAM_AUTO(free) char *dir = strdup(path);
    char *slash = dir != NULL ? strrchr(dir, '/') : NULL;
    struct owner owner;
    enum cpam_status status = CPAM_OK;
    int fd = -1;

    if (!owner_is_root())
        return CPAM_OK;
    if (slash != NULL)
        slash[slash == dir] = '\0';
    CPAM_TRY(owner_of_folder(io, slash != NULL ? dir : ".", &owner, err));
    if (owner.uid == 0)
        return CPAM_OK;
    CPAM_TRY(file_open(io, path, O_RDONLY | O_NOFOLLOW, 0, &fd, err));
    if (io->ops->fchown(io, fd, owner.uid, owner.gid) != 0)
        status =
            cpam_fail(err, CPAM_IO, errno, "could not give \"%s\" to \"%s\"", path, owner.name);
    (void) io->ops->close(io, fd);
    return status;
}

static enum cpam_status
generate(struct cli *cli, const char *word, const char *path, struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    enum cpam_status status;
    size_t at = 0;

    while (at < MAKES && strcmp(makes[at].word, word) != 0)
        at++;
    if (at == MAKES)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "\"%s\" is no kind of key; known are keyfile, x25519 and writer", word);
    CPAM_TRY(secret_random(cli->io, KEY_TEXT_KEY_SIZE, &key, err));
    status = key_file_write(cli->io, path, makes[at].kind, key, makes[at].use, err);
    if (status == CPAM_EXISTS)
    {
        cpam_fail(err, CPAM_EXISTS, 0, "\"%s\" exists: a key file is never overwritten", path);
        cpam_err_hint(err, "backups sealed with a lost key can't be read; if this one is of no"
                           " use, move it away yourself");
        return CPAM_EXISTS;
    }
    CPAM_TRY(status);
    CPAM_TRY(give_away(cli->io, path, err));
    return show(cli, makes[at].kind, key, path, err);
}

static enum cpam_status
show_public(struct cli *cli, const char *path, struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *key = NULL;
    enum key_text_kind kind;
    struct stat found;
    struct owner owner;

    CPAM_TRY(file_stat(cli->io, path, &found, err));
    if (owner_is_root() && found.st_uid != 0)
    {
        /* a secret may be read by nobody but its owner, so this is who we are from now on */
        CPAM_TRY(owner_of_folder(cli->io, path, &owner, err));
        CPAM_TRY(owner_become(&owner, err));
        secrets_protect_process();
    }
    CPAM_TRY(key_file_read_any(cli->io, path, &kind, &key, err));
    return show(cli, kind, key, path, err);
}

static enum cpam_status
run(struct cli *cli, struct cpam_err *err)
{
    if (cli->argc == 3 && strcmp(cli->argv[0], "generate") == 0)
        return generate(cli, cli->argv[1], cli->argv[2], err);
    if (cli->argc == 2 && strcmp(cli->argv[0], "public") == 0)
        return show_public(cli, cli->argv[1], err);
    cpam_fail(err, CPAM_USAGE, 0, "\"%s\" with %d arguments is not a call of cpam-keys",
              cli->argv[0], cli->argc - 1);
    cpam_err_hint(err, "cpam-keys generate keyfile|x25519|writer FILE, or cpam-keys public FILE");
    return CPAM_USAGE;
}

int
main(int argc, char **argv)
{
    static const char *const usage[] = {"cpam-keys generate keyfile|x25519|writer FILE",
                                        "cpam-keys public FILE", NULL};
    static const struct program program = {
        .name = "cpam-keys",
        .summary = "make key files, and show their public half",
        .usage = usage,
        .details = "generate writes a new secret key to FILE, which must not exist, readable by its"
                   " owner only, and prints the public half: for x25519 the line for"
                   " encryption.recipients, for writer the line for encryption.trusted_writers,"
                   " for keyfile the recipient id by which messages name it. public prints the"
                   " same for a file that exists.",
        .exits = &exit_common,
        .min_arguments = 1,
        .max_arguments = 3,
        .run = run};

    return program_main(&program, argc, argv);
}
