/*
 * object_read.c - choosing the genuine version of a sealed object, and opening it.
 */
#include "repo/object_read.h"

#include <stdio.h>
#include <string.h>

#include "base/room.h"
#include "repo/authentic.h"
#include "repo/layout.h"

struct header_check
{
    struct object_opener *opener;
    const struct object_want *want;
    struct object_header *header;
};

/* `want` as the object layer has to check it: with its logical name, not with its key. */
static struct object_want
bound(const struct object_want *want)
{
    struct object_want inner = *want;

    inner.name = layout_logical_name(want->name);
    return inner;
}

static enum cpam_status
header_check(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    const struct header_check *check = arg;

    if (size < OBJECT_HEADER_SIZE)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" is cut short: %zu bytes are no object",
                         check->want->name, size);
    return object_header_check(check->opener, check->want, data, size, check->header, err);
}

enum cpam_status
object_choose(struct repo *repo, const struct object_want *want, struct object_header *header,
              struct store_info *info, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf head = {0};
    static const struct store_range range = {0, OBJECT_HEADER_SIZE};
    struct object_opener *opener;

    CPAM_TRY(repo_opener(repo, &opener, err));
    const struct object_want inner = bound(want);
    struct header_check check = {opener, &inner, header};
    return authentic_get(repo_store(repo), want->name, &range, OBJECT_HEADER_SIZE, header_check,
                         &check, &head, info, err);
}

/* The end of a chain that passes on to a sink somebody else owns. */
struct sink_lent
{
    struct sink base;
    struct sink *to;
};

static enum cpam_status
lent_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    return sink_write(((struct sink_lent *) sink)->to, data, size, err);
}

/* object_open_push or object_prove_push. */
typedef enum cpam_status (*opening_push)(struct sink **chain, struct object_opener *opener,
                                         const struct object_want *want,
                                         struct object_header *header, struct cpam_err *err);

static enum cpam_status
open_held(struct repo *repo, const struct object_want *want, const struct cpam_buf *sealed,
          opening_push push, struct sink *to, struct object_header *header, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = lent_write};
    struct sink_lent lent = {{&ops, NULL}, to};
    CPAM_AUTO(sink_free) struct sink *chain = &lent.base;
    struct object_opener *opener;

    CPAM_TRY(repo_opener(repo, &opener, err));
    const struct object_want inner = bound(want);
    CPAM_TRY(push(&chain, opener, &inner, header, err));
    CPAM_TRY(sink_write(chain, sealed->data, sealed->size, err));
    return sink_finish(chain, err);
}

static enum cpam_status
read_streamed(struct repo *repo, const struct object_want *want, opening_push push, struct sink *to,
              struct object_header *header, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = lent_write};
    struct sink_lent lent = {{&ops, NULL}, to};
    CPAM_AUTO(sink_free) struct sink *chain = &lent.base;
    struct object_opener *opener;
    struct object_header chosen;
    struct store_info info;

    CPAM_TRY(object_choose(repo, want, &chosen, &info, err));
    CPAM_TRY(repo_opener(repo, &opener, err));
    /* the header that was authenticated, and no other */
    struct object_want exact = bound(want);
    exact.h = chosen.h;
    CPAM_TRY(push(&chain, opener, &exact, header, err));
    enum cpam_status status =
        store_get(repo_store(repo), want->name, info.version, NULL, chain, &info, err);
    if (status == CPAM_NOT_FOUND)
    {
        /* its header was read: whoever takes "not found" for the end of the archive must not */
        cpam_err_prefix(err, "it vanished while it was read");
        err->status = status = CPAM_UNKNOWN;
    }
    CPAM_TRY(status);
    return sink_finish(chain, err);
}

static enum cpam_status
read_whole(struct repo *repo, const struct object_want *want, size_t held_max, opening_push push,
           struct sink *to, struct object_header *header, struct cpam_err *err)
{
    CPAM_AUTO(room_give) struct cpam_buf room = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf grown = {0};
    struct cpam_buf *sealed = held_max <= ROOM_OBJECT ? &room : &grown;
    struct object_header found;
    struct object_opener *opener;
    struct store_info info;
    enum cpam_status status;

    if (held_max == 0)
        return read_streamed(repo, want, push, to, header, err);
    CPAM_TRY(repo_opener(repo, &opener, err));
    if (sealed == &room)
        CPAM_TRY(room_take(ROOM_OBJECT, &room, err));
    const struct object_want inner = bound(want);
    struct header_check check = {opener, &inner, &found};
    status = authentic_get(repo_store(repo), want->name, NULL, held_max, header_check, &check,
                           sealed, &info, err);
    if (status == CPAM_INVALID)
    {
        room_give(&room);
        cpam_buf_clear(&grown);
        return read_streamed(repo, want, push, to, header, err);
    }
    if (status != CPAM_OK)
        return status;
    return open_held(repo, want, sealed, push, to, header, err);
}

enum cpam_status
object_read(struct repo *repo, const struct object_want *want, size_t held_max, struct sink *to,
            struct object_header *header, struct cpam_err *err)
{
    return read_whole(repo, want, held_max, object_open_push, to, header, err);
}

enum cpam_status
object_prove(struct repo *repo, const struct object_want *want, size_t held_max,
             struct object_header *header, struct cpam_err *err)
{
    return read_whole(repo, want, held_max, object_prove_push, NULL, header, err);
}
