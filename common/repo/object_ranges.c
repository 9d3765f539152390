/*
 * object_ranges.c - the key of an object once, then frames out of any stretch of it.
 */
#include "repo/object_ranges.h"

#include <string.h>

#include "repo/authentic.h"
#include "repo/layout.h"

struct object_ranges
{
    struct repo *repo;
    struct object_key *key;
    const struct object_want *want;
    const struct object_frames *frames;
    char version[STORE_VERSION_MAX]; /* the genuine one */
};

/* What is being received: frame by frame. */
struct receiving
{
    struct sink base;
    struct object_ranges *ranges;
    const bool *wanted;
    object_frame_fn fn;
    void *arg;
    uint32_t frame, last;
    struct cpam_buf part;  /* the frame that has come in part */
    struct cpam_buf plain; /* room for the largest frame that is wanted */
};

struct header_check
{
    struct object_opener *opener;
    const struct object_want *want;
};

static enum cpam_status
header_check(void *arg, const void *data, size_t size, struct cpam_err *err)
{
    const struct header_check *check = arg;
    struct object_header header;

    if (size < OBJECT_HEADER_SIZE)
        return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" is cut short: %zu bytes are no object",
                         check->want->name, size);
    return object_header_check(check->opener, check->want, data, size, &header, err);
}

enum cpam_status
object_ranges_open(struct repo *repo, const struct object_want *want,
                   const struct object_frames *frames, struct object_ranges **out,
                   struct cpam_err *err)
{
    CPAM_AUTO(object_ranges_free) struct object_ranges *ranges = calloc(1, sizeof(*ranges));
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf head = {0};
    const struct store_range range = {0, frames->body_offset};
    struct object_opener *opener;
    struct store_info info;

    *out = NULL;
    if (ranges == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to read parts of an object");
    if (want->h == NULL || frames->body_offset < OBJECT_HEADER_SIZE)
        return cpam_fail(err, CPAM_INTERNAL, 0, "parts of an object are read by its manifest only");
    *ranges = (struct object_ranges){.repo = repo, .want = want, .frames = frames};
    CPAM_TRY(repo_opener(repo, &opener, err));
    struct object_want inner = *want;
    inner.name = layout_logical_name(want->name);
    struct header_check check = {opener, &inner};
    CPAM_TRY(authentic_get(repo_store(repo), want->name, &range, frames->body_offset, header_check,
                           &check, &head, &info, err));
    CPAM_TRY(object_key_open(opener, &inner, head.data, head.size, &ranges->key, err));
    memcpy(ranges->version, info.version, sizeof(ranges->version));
    *out = CPAM_STEAL(ranges);
    return CPAM_OK;
}

void
object_ranges_free(struct object_ranges *ranges)
{
    if (ranges == NULL)
        return;
    object_key_free(ranges->key);
    free(ranges);
}

static enum cpam_status
frame_open(struct receiving *self, const uint8_t *data, size_t size, struct cpam_err *err)
{
    const struct object_frames *frames = self->ranges->frames;
    uint32_t frame = self->frame++;
    size_t got = 0;

    if (!self->wanted[frame])
        return CPAM_OK;
    CPAM_TRY(object_key_frame(self->ranges->key, frame, data, size, self->plain.data,
                              self->plain.cap, &got, err));
    if (got != frames->rlen[frame])
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "object \"%s\": frame %u holds %zu bytes, the manifest says %u",
                         self->ranges->want->name, frame, got, frames->rlen[frame]);
    return self->fn(self->arg, frame, self->plain.data, got, err);
}

static enum cpam_status
receive(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct receiving *self = (struct receiving *) sink;
    const uint8_t *at = data;

    while (size > 0)
    {
        if (self->frame > self->last)
            return cpam_fail(err, CPAM_CORRUPT, 0, "more bytes came than were asked for");
        size_t whole = (size_t) object_frame_stored(self->ranges->frames, self->frame);
        size_t take = whole - self->part.size < size ? whole - self->part.size : size;

        if (take == whole) /* in one piece: opened from where it is */
            CPAM_TRY(frame_open(self, at, whole, err));
        else
        {
            CPAM_TRY(cpam_buf_append(&self->part, at, take, whole, err));
            if (self->part.size == whole)
            {
                CPAM_TRY(frame_open(self, self->part.data, whole, err));
                self->part.size = 0;
            }
        }
        at += take;
        size -= take;
    }
    return CPAM_OK;
}

static enum cpam_status
range_get(struct object_ranges *ranges, uint32_t first, struct receiving *to, struct cpam_err *err)
{
    const struct object_frames *frames = ranges->frames;
    struct store_range range = {.offset = frames->body_offset};

    for (uint32_t i = 0; i < first; i++)
        range.offset += object_frame_stored(frames, i);
    for (uint32_t i = first; i <= to->last; i++)
        range.size += object_frame_stored(frames, i);
    enum cpam_status status = store_get(repo_store(ranges->repo), ranges->want->name,
                                        ranges->version, &range, &to->base, NULL, err);

    if (status == CPAM_NOT_FOUND)
    {
        cpam_err_prefix(err, "it vanished while it was read");
        err->status = status = CPAM_UNKNOWN;
    }
    CPAM_TRY(status);
    if (to->frame != to->last + 1)
        return cpam_fail(err, CPAM_CORRUPT, 0, "fewer bytes came than were asked for");
    return CPAM_OK;
}

enum cpam_status
object_ranges_get(struct object_ranges *ranges, uint32_t first, uint32_t last, const bool *wanted,
                  object_frame_fn fn, void *arg, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = receive};
    struct receiving to = {.base.ops = &ops,
                           .ranges = ranges,
                           .wanted = wanted,
                           .fn = fn,
                           .arg = arg,
                           .frame = first,
                           .last = last};

    if (last < first || last >= ranges->frames->count)
        return cpam_fail(err, CPAM_INTERNAL, 0, "frames that the manifest does not list");
    uint32_t most = 1;
    for (uint32_t i = first; i <= last; i++)
        if (wanted[i] && ranges->frames->rlen[i] > most)
            most = ranges->frames->rlen[i];
    enum cpam_status status = cpam_buf_reserve(&to.plain, most, most, err);
    if (status == CPAM_OK)
        status = range_get(ranges, first, &to, err);
    cpam_buf_clear(&to.plain);
    cpam_buf_clear(&to.part);
    return status;
}
