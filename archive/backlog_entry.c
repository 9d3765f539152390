/*
 * backlog_entry.c - what the files of a backlog are called.
 *
 * A .partial or .backup may come with another content under a name that waits already (postgresql.md,
 * trap 9): it lies beside, as <name>.<16 hex of its SHA-256>, and the repository gives it a name when
 * it is put.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backlog_parts.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "io/file.h"

enum
{
    BESIDE_HEX = BACKLOG_NAME_MAX - ARCHIVE_NAME_MAX - 1,
    PIECE = 64 << 10
};

enum cpam_status
backlog_entry_parse(const char *entry, struct archive_name *out, struct cpam_err *err)
{
    size_t size = strlen(entry);
    char plain[ARCHIVE_NAME_MAX];

    if (size <= BESIDE_HEX + 1 || size - BESIDE_HEX - 1 >= sizeof(plain) ||
        entry[size - BESIDE_HEX - 1] != '.' ||
        strspn(entry + size - BESIDE_HEX, "0123456789abcdef") != BESIDE_HEX)
        return archive_name_parse(entry, out, err);
    memcpy(plain, entry, size - BESIDE_HEX - 1);
    plain[size - BESIDE_HEX - 1] = '\0';
    CPAM_TRY(archive_name_parse(plain, out, err));
    if (out->kind != ARCHIVE_PARTIAL && out->kind != ARCHIVE_BACKUP_HISTORY)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.64s\" is no entry of a backlog", entry);
    return CPAM_OK;
}

static enum cpam_status
digest_fd(struct io *io, int fd, const char *path, uint8_t out[SHA256_SIZE], struct cpam_err *err)
{
    CPAM_AUTO(sha256_free) struct sha256 *sha = NULL;
    CPAM_AUTO(free) uint8_t *piece = malloc(PIECE);
    size_t got = PIECE;

    if (piece == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to read \"%s\"", path);
    CPAM_TRY(sha256_new(&sha, err));
    while (got == PIECE)
    {
        CPAM_TRY(file_read(io, fd, path, piece, PIECE, &got, err));
        CPAM_TRY(sha256_add(sha, piece, got, err));
    }
    return sha256_end(sha, out, err);
}

enum cpam_status
backlog_entry_beside(struct io *io, const char *path, const char *name, char out[BACKLOG_NAME_MAX],
                     struct cpam_err *err)
{
    uint8_t digest[SHA256_SIZE];
    char hex[BESIDE_HEX + 1];
    int fd;

    CPAM_TRY(file_open(io, path, O_RDONLY, 0, &fd, err));
    enum cpam_status status = digest_fd(io, fd, path, digest, err);
    io->ops->close(io, fd); /* only read */
    CPAM_TRY(status);
    text_hex(digest, BESIDE_HEX / 2, hex);
    snprintf(out, BACKLOG_NAME_MAX, "%.*s.%s", ARCHIVE_NAME_MAX - 1, name, hex);
    return CPAM_OK;
}
