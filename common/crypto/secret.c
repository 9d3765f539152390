/*
 * secret.c - each secret has pages of its own, which core dumps leave out.
 */
#include "crypto/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/file.h"

struct secret
{
    size_t size;
    uint8_t data[SECRET_MAX];
};

/* Zeroed pages for a secret of size bytes. */
static enum cpam_status
secret_pages(size_t size, struct secret **out, struct cpam_err *err)
{
    void *pages;

    if (size == 0 || size > SECRET_MAX)
        return cpam_fail(err, CPAM_INVALID, 0, "a secret has 1 to %d bytes, not %zu", SECRET_MAX,
                         size);
    pages = mmap(NULL, sizeof(struct secret), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                 -1, 0);
    if (pages == MAP_FAILED)
        return cpam_fail(err, CPAM_NO_MEMORY, errno, "no memory for a secret");
    /* Both are best effort: locking is limited for ordinary users (RLIMIT_MEMLOCK). */
    (void) madvise(pages, sizeof(struct secret), MADV_DONTDUMP);
    (void) mlock(pages, sizeof(struct secret));
    *out = pages;
    (*out)->size = size;
    return CPAM_OK;
}

enum cpam_status
secret_new(const void *data, size_t size, struct secret **out, struct cpam_err *err)
{
    CPAM_TRY(secret_pages(size, out, err));
    memcpy((*out)->data, data, size);
    return CPAM_OK;
}

enum cpam_status
secret_random(struct io *io, size_t size, struct secret **out, struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;

    CPAM_TRY(secret_pages(size, &secret, err));
    if (io->ops->random(io, secret->data, size) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not get %zu random bytes", size);
    *out = CPAM_STEAL(secret);
    return CPAM_OK;
}

/* May this opened file hold a secret? */
static enum cpam_status
secret_file_check(const struct stat *stat, const char *path, struct cpam_err *err)
{
    if (!S_ISREG(stat->st_mode))
        return cpam_fail(err, CPAM_USAGE, 0, "\"%s\" should hold a secret but is no regular file",
                         path);
    if ((stat->st_mode & (S_IRWXG | S_IRWXO)) != 0)
    {
        cpam_fail(err, CPAM_USAGE, 0,
                  "\"%s\" should hold a secret but has mode %04o: others than its owner can use it",
                  path, (unsigned) (stat->st_mode & 07777));
        cpam_err_hint(err, "chmod 0600 \"%s\"", path);
        return CPAM_USAGE;
    }
    if (stat->st_uid != 0 && stat->st_uid != geteuid())
    {
        cpam_fail(
            err, CPAM_USAGE, 0,
            "\"%s\" should hold a secret but belongs to user %u, neither root nor this one (%u)",
            path, (unsigned) stat->st_uid, (unsigned) geteuid());
        /* a chown to root would take it from the server, which archives with it */
        if (geteuid() == 0)
            cpam_err_hint(err,
                          "call this program as user %u, whom the file belongs to (runuser -u)",
                          (unsigned) stat->st_uid);
        else
            cpam_err_hint(err, "chown %u \"%s\"", (unsigned) geteuid(), path);
        return CPAM_USAGE;
    }
    return CPAM_OK;
}

static enum cpam_status
secret_read_fd(struct io *io, int fd, const char *path, struct secret **out, struct cpam_err *err)
{
    CPAM_AUTO(secret_free) struct secret *secret = NULL;
    struct stat stat;
    uint8_t more;
    size_t got;

    if (io->ops->fstat(io, fd, &stat) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not look at \"%s\"", path);
    CPAM_TRY(secret_file_check(&stat, path, err));
    CPAM_TRY(secret_pages(SECRET_MAX, &secret, err));
    CPAM_TRY(file_read(io, fd, path, secret->data, SECRET_MAX, &secret->size, err));
    if (secret->size == SECRET_MAX)
    {
        CPAM_TRY(file_read(io, fd, path, &more, 1, &got, err));
        if (got != 0)
            return cpam_fail(err, CPAM_USAGE, 0,
                             "\"%s\" holds more than %d bytes, too long for a"
                             " secret",
                             path, SECRET_MAX);
    }
    if (secret->size > 0 && secret->data[secret->size - 1] == '\n')
        secret->data[--secret->size] = 0;
    if (secret->size == 0)
        return cpam_fail(err, CPAM_USAGE, 0, "\"%s\" should hold a secret but is empty", path);
    *out = CPAM_STEAL(secret);
    return CPAM_OK;
}

enum cpam_status
secret_read_file(struct io *io, const char *path, struct secret **out, struct cpam_err *err)
{
    enum cpam_status status;
    int fd = -1;

    /* O_NONBLOCK: a FIFO in the file's place must not hang us before it is refused */
    status = file_open(io, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, err);
    if (status != CPAM_OK && err->sys == EACCES)
        cpam_err_hint(err,
                      "it is read as user %u, the owner of the data directory: chown %u \"%s\"",
                      (unsigned) geteuid(), (unsigned) geteuid(), path);
    CPAM_TRY(status);
    status = secret_read_fd(io, fd, path, out, err);
    (void) io->ops->close(io, fd); /* read only: nothing can be lost */
    return status;
}

const uint8_t *
secret_data(const struct secret *secret)
{
    return secret->data;
}

size_t
secret_size(const struct secret *secret)
{
    return secret->size;
}

bool
secret_equal(const struct secret *a, const struct secret *b)
{
    return a->size == b->size && CRYPTO_memcmp(a->data, b->data, a->size) == 0;
}

void
secret_free(struct secret *secret)
{
    if (secret == NULL)
        return;
    OPENSSL_cleanse(secret, sizeof(*secret));
    (void) munmap(secret, sizeof(*secret));
}
