/*
 * object_pass.c - a sealed object opened while it arrives, frame by frame.
 *
 * It can be done where it is known beforehand which version counts: in a store without versions
 * there is one, and where versions are kept a listing tells that there is one.  Anything else, and
 * anything odd before the first byte left, is object_read()'s: that chooses among versions, and holds
 * an object until it has chosen.
 */
#include "repo/object_read.h"

#include <stddef.h>
#include <string.h>

#include "repo/authentic.h"
#include "repo/layout.h"

/* Both ends of the chain: what came, and what left. */
struct passing
{
    struct sink first; /* in front of the opener */
    struct sink last;  /* behind it; passes on to a sink somebody else owns */
    struct sink *to;
    bool came, left;
};

static enum cpam_status
first_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct passing *self = (struct passing *) sink;

    self->came |= size > 0;
    return sink_write(sink->next, data, size, err);
}

static enum cpam_status
last_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct passing *self =
        (struct passing *) (void *) ((uint8_t *) sink - offsetof(struct passing, last));

    self->left |= size > 0;
    return sink_write(self->to, data, size, err);
}

/* object_open_push or object_prove_push. */
typedef enum cpam_status (*object_push)(struct sink **chain, struct object_opener *opener,
                                        const struct object_want *want,
                                        struct object_header *header, struct cpam_err *err);

struct passage
{
    struct repo *repo;
    const struct object_want *want;
    object_push push;
    struct sink *to;
    struct object_header *header;
};

/* A version that is named and has to be the one that comes; "": of a store that has none. */
static enum cpam_status
pass(const struct passage *passage, const char *version, bool *left, struct cpam_err *err)
{
    static const struct sink_ops first = {.write = first_write}, last = {.write = last_write};
    struct store *store = repo_store(passage->repo);
    struct passing passing = {.first.ops = &first, .last.ops = &last, .to = passage->to};
    CPAM_AUTO(sink_free) struct sink *chain = &passing.last;
    struct object_want inner = *passage->want;
    struct object_opener *opener;
    struct store_info info = {0};

    inner.name = layout_logical_name(passage->want->name);
    CPAM_TRY(repo_opener(passage->repo, &opener, err));
    CPAM_TRY(passage->push(&chain, opener, &inner, passage->header, err));
    passing.first.next = chain;
    enum cpam_status status =
        store_get(store, passage->want->name, version, NULL, &passing.first, &info, err);
    if (status == CPAM_OK)
        status = sink_finish(chain, err);
    *left = passing.left;
    if (status == CPAM_NOT_FOUND && (passing.came || version[0] != '\0'))
    {
        /* whoever takes "not found" for the end of the archive must not */
        cpam_err_prefix(err, "it vanished while it was read");
        return err->status = CPAM_UNKNOWN;
    }
    if (status == CPAM_OK && version[0] == '\0' && info.version[0] != '\0')
        return cpam_fail(err, CPAM_TRANSIENT, 0,
                         "\"%s\" has a version, in a store that kept none a moment ago",
                         passage->want->name);
    return status;
}

/* *one: there is one version, and no marker. */
static enum cpam_status
only_version(struct repo *repo, const char *key, bool *one, char id[STORE_VERSION_MAX],
             struct cpam_err *err)
{
    CPAM_AUTO(free) struct store_version *versions = calloc(STORE_VERSIONS_MAX, sizeof(*versions));
    size_t count = 0;

    if (versions == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the versions of \"%s\"", key);
    CPAM_TRY(store_versions(repo_store(repo), key, versions, STORE_VERSIONS_MAX, &count, err));
    *one = count == 1 && !versions[0].is_marker && versions[0].id[0] != '\0';
    if (*one)
        memcpy(id, versions[0].id, STORE_VERSION_MAX);
    return CPAM_OK;
}

/* *whole: it has to be read by other means; nothing has left yet. */
static enum cpam_status
try_to_pass(const struct passage *passage, bool *whole, struct cpam_err *err)
{
    char version[STORE_VERSION_MAX] = "";
    enum store_keeping keeping;
    bool one = true, left = false;
    enum cpam_status status;

    *whole = true;
    CPAM_TRY(store_keeping(repo_store(passage->repo), false, &keeping, err));
    if (keeping == STORE_KEEPS_VERSIONS)
        CPAM_TRY(only_version(passage->repo, passage->want->name, &one, version, err));
    if (keeping == STORE_KEEPING_UNKNOWN || !one)
        return CPAM_OK;
    status = pass(passage, version, &left, err);
    /* what was seen and is wrong, or hidden by a marker, may have something genuine below it */
    *whole = !left && (authentic_wrong(status) || status == CPAM_UNKNOWN);
    return *whole ? CPAM_OK : status;
}

enum cpam_status
object_pass(struct repo *repo, const struct object_want *want, size_t held_max, struct sink *to,
            struct object_header *header, struct cpam_err *err)
{
    const struct passage passage = {repo, want, object_open_push, to, header};
    bool whole;

    CPAM_TRY(try_to_pass(&passage, &whole, err));
    return whole ? object_read(repo, want, held_max, to, header, err) : CPAM_OK;
}

enum cpam_status
object_pass_proof(struct repo *repo, const struct object_want *want, size_t held_max,
                  struct object_header *header, struct cpam_err *err)
{
    const struct passage passage = {repo, want, object_prove_push, NULL, header};
    bool whole;

    CPAM_TRY(try_to_pass(&passage, &whole, err));
    return whole ? object_prove(repo, want, held_max, header, err) : CPAM_OK;
}
