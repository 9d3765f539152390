/*
 * object_open.c - an object's bytes in, in order; the plaintext of each frame out, once it is
 * authenticated.
 *
 * The end is explicit: final frame, tail, nothing more.  What comes after it, and its absence at
 * finish, are damage.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "object/object_internal.h"

enum open_state
{
    OPEN_HEADER,
    OPEN_STANZAS,
    OPEN_FRAME_HEADER,
    OPEN_FRAME,
    OPEN_TAIL,
    OPEN_END
};

struct object_open
{
    struct sink base;
    struct object_opener *opener;
    struct object_want want; /* with name, h and d of its own, below */
    char *name;
    uint8_t want_h[SHA256_SIZE], want_d[SHA256_SIZE];
    struct object_header *told;
    bool keyless; /* prove by signatures alone, open nothing */

    enum open_state state;
    uint8_t head[OBJECT_HEADER_SIZE]; /* the object's header; then each frame's */
    uint8_t *part;                    /* where the part that is being collected goes */
    size_t need, have;
    struct cpam_buf own; /* when the opener's scratch is another sink's */
    struct cpam_buf *buf;
    const uint8_t *whole; /* the part as it stands in what was written: nothing was collected */

    struct opened opened;
    struct sha256 *frames_digest;
    struct frame_header frame;
    uint8_t frame_head[OBJECT_FRAME_HEADER_SIZE];
    uint32_t index;
    uint64_t raw_total, taken; /* bytes out; bytes in */
    bool short_frame;          /* a data frame smaller than the others: has to be the last */
    struct cpam_buf list;      /* kind 7: clen and rlen of each frame */
};

static void
collect(struct object_open *self, enum open_state state, uint8_t *part, size_t need)
{
    self->state = state;
    self->part = part;
    self->need = need;
    self->have = 0;
    self->whole = part;
}

static enum cpam_status
on_header(struct object_open *self, struct cpam_err *err)
{
    struct header *header = &self->opened.header;
    uint8_t h[SHA256_SIZE];
    size_t room;

    CPAM_TRY(opener_check_header(self->opener, &self->want, self->head, header, err));
    CPAM_TRY(sha256_of(self->head, OBJECT_HEADER_SIZE, h, err));
    if (self->told != NULL)
        header_tell(header, h, self->told);
    room = (size_t) (UINT32_C(1) << header->frame_log2) + OBJECT_TAG_SIZE;
    CPAM_TRY(opener_scratch(self->buf, room > STANZAS_MAX ? room : STANZAS_MAX, err));
    collect(self, OPEN_STANZAS, self->buf->data, header->stanzas_size);
    return CPAM_OK;
}

static enum cpam_status
on_stanzas(struct object_open *self, struct cpam_err *err)
{
    CPAM_TRY(self->keyless
                 ? opener_no_key(self->head, self->buf->data, &self->opened, err)
                 : opener_unlock(self->opener, self->head, self->buf->data, &self->opened, err));
    CPAM_TRY(sha256_new(&self->frames_digest, err));
    collect(self, OPEN_FRAME_HEADER, self->frame_head, OBJECT_FRAME_HEADER_SIZE);
    return CPAM_OK;
}

static bool
is_pack(const struct object_open *self)
{
    return self->opened.header.kind == OBJECT_PACK;
}

/* Data frames are full but the last one, except where frames are of any size. */
static enum cpam_status
check_order(struct object_open *self, struct cpam_err *err)
{
    bool any_size = is_pack(self) || self->opened.header.kind == OBJECT_BLOCKS;

    if (self->frame.final)
        return CPAM_OK;
    if (self->index >= (is_pack(self) ? (uint32_t) OBJECT_PACK_FRAMES_MAX : (uint32_t) FRAMES_MAX))
        return cpam_fail(err, CPAM_CORRUPT, 0, "there are more frames than an object may have");
    if (self->short_frame && !any_size)
        return cpam_fail(err, CPAM_CORRUPT, 0, "a frame stands behind one that had to be the last");
    self->short_frame = self->frame.rlen != self->opened.frame_size;
    return CPAM_OK;
}

static enum cpam_status
on_frame_header(struct object_open *self, struct cpam_err *err)
{
    enum cpam_status status =
        frame_header_decode(self->frame_head, self->opened.frame_size, &self->frame, err);

    if (status == CPAM_OK)
        status = check_order(self, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "frame %u", self->index);
        return status;
    }
    collect(self, OPEN_FRAME, self->buf->data, (size_t) self->frame.clen + OBJECT_TAG_SIZE);
    return CPAM_OK;
}

static enum cpam_status
check_promised(struct object_open *self, struct cpam_err *err)
{
    uint64_t promised = self->opened.header.raw_length;

    if (promised != OBJECT_LENGTH_UNKNOWN && promised != self->raw_total)
        return cpam_fail(err, CPAM_CORRUPT, 0, "it has %llu bytes of content, its header says %llu",
                         (unsigned long long) self->raw_total, (unsigned long long) promised);
    return CPAM_OK;
}

static enum cpam_status
on_final(struct object_open *self, const uint8_t *text, struct cpam_err *err)
{
    size_t size = self->frame.rlen;
    bool more = self->opened.header.kind == OBJECT_WAL; /* an index may follow, not known here */

    if (size < FINAL_SIZE || be64_get(text) != self->raw_total ||
        be32_get(text + 8) != self->index || be32_get(text + 12) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its final frame does not sum up what came before");
    if (is_pack(self) ? size - FINAL_SIZE != self->list.size ||
                            (self->list.size > 0 &&
                             memcmp(text + FINAL_SIZE, self->list.data, self->list.size) != 0)
                      : size != FINAL_SIZE && !more)
        return cpam_fail(err, CPAM_CORRUPT, 0, "its final frame lists other frames than it has");
    CPAM_TRY(check_promised(self, err));
    collect(self, OPEN_TAIL, self->buf->data, OBJECT_TAIL_SIZE);
    return CPAM_OK;
}

static enum cpam_status
on_data(struct object_open *self, const uint8_t *plain, struct cpam_err *err)
{
    uint8_t entry[FINAL_ENTRY_SIZE];

    if (is_pack(self))
    {
        be32_put(entry, self->frame.clen);
        be32_put(entry + 4, self->frame.rlen);
        CPAM_TRY(cpam_buf_append(&self->list, entry, sizeof(entry),
                                 (size_t) OBJECT_PACK_FRAMES_MAX * FINAL_ENTRY_SIZE, err));
    }
    self->index++;
    self->raw_total += self->frame.rlen;
    collect(self, OPEN_FRAME_HEADER, self->frame_head, OBJECT_FRAME_HEADER_SIZE);
    return sink_write(self->base.next, plain, self->frame.rlen, err);
}

/* Keyless: what the frame headers say is counted, and proven by the tail's signature. */
static enum cpam_status
on_unopened(struct object_open *self, struct cpam_err *err)
{
    if (self->frame.final)
    {
        CPAM_TRY(check_promised(self, err));
        collect(self, OPEN_TAIL, self->buf->data, OBJECT_TAIL_SIZE);
        return CPAM_OK;
    }
    self->index++;
    self->raw_total += self->frame.rlen;
    collect(self, OPEN_FRAME_HEADER, self->frame_head, OBJECT_FRAME_HEADER_SIZE);
    return CPAM_OK;
}

static enum cpam_status
on_frame(struct object_open *self, struct cpam_err *err)
{
    const uint8_t *data = self->whole;
    uint8_t *scratch = self->buf->data, *plain = scratch;
    enum cpam_status status;

    CPAM_TRY(sha256_add(self->frames_digest, self->frame_head, OBJECT_FRAME_HEADER_SIZE, err));
    CPAM_TRY(sha256_add(self->frames_digest, data, self->need, err));
    if (self->keyless)
        return on_unopened(self, err);
    if (self->frame.codec != CODEC_NONE)
    {
        CPAM_TRY(opener_scratch(&self->opener->plain, self->opened.frame_size, err));
        plain = self->opener->plain.data;
    }
    status = opener_frame(self->opener, &self->opened, self->index, &self->frame, self->frame_head,
                          data, data + self->frame.clen, scratch, plain, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "frame %u", self->index);
        return status;
    }
    return self->frame.final ? on_final(self, plain, err) : on_data(self, plain, err);
}

static enum cpam_status
on_tail(struct object_open *self, struct cpam_err *err)
{
    uint8_t digests[2 * SHA256_SIZE];
    enum cpam_status status;

    memcpy(digests, self->opened.seal.h, SHA256_SIZE);
    CPAM_TRY(sha256_end(self->frames_digest, digests + SHA256_SIZE, err));
    if (self->want.d != NULL && memcmp(self->want.d, digests + SHA256_SIZE, SHA256_SIZE) != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "its content is not what was recorded of it: the frames' digest differs");
    status =
        keyring_verify(self->opener->keyring, &self->opened.header.authority, AUTHORITY_OBJECT_KEY,
                       "CPAM/1 tail", digests, sizeof(digests), self->buf->data, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "its end");
        return status;
    }
    collect(self, OPEN_END, NULL, 0);
    return CPAM_OK;
}

static enum cpam_status
step(struct object_open *self, struct cpam_err *err)
{
    switch (self->state)
    {
    case OPEN_HEADER: return on_header(self, err);
    case OPEN_STANZAS: return on_stanzas(self, err);
    case OPEN_FRAME_HEADER: return on_frame_header(self, err);
    case OPEN_FRAME: return on_frame(self, err);
    case OPEN_TAIL: return on_tail(self, err);
    case OPEN_END: break;
    }
    return cpam_fail(err, CPAM_CORRUPT, 0, "there are bytes behind its end");
}

static enum cpam_status
named(struct object_open *self, enum cpam_status status, struct cpam_err *err)
{
    if (status != CPAM_OK)
        cpam_err_prefix(err, "object \"%s\"", self->name);
    return status;
}

/* Collects a part at a time; a part that is whole is acted on. */
static enum cpam_status
object_open_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct object_open *self = (struct object_open *) sink;
    const uint8_t *at = data;

    while (size > 0)
    {
        size_t take = self->need - self->have < size ? self->need - self->have : size;

        if (self->state == OPEN_END)
            return named(self, step(self, err), err);
        /* a frame that is here in one piece is opened from where it is */
        if (self->state == OPEN_FRAME && self->have == 0 && take == self->need)
            self->whole = at;
        else if (take > 0)
            memcpy(self->part + self->have, at, take);
        self->have += take;
        self->taken += take;
        at += take;
        size -= take;
        while (self->have == self->need && self->state != OPEN_END)
            CPAM_TRY(named(self, step(self, err), err));
    }
    return CPAM_OK;
}

static enum cpam_status
object_open_finish(struct sink *sink, struct cpam_err *err)
{
    static const char *const places[] = {"its header", "its stanzas", "a frame header",
                                         "a frame",    "its tail",    "its end"};
    struct object_open *self = (struct object_open *) sink;

    if (self->state == OPEN_END)
        return CPAM_OK;
    return cpam_fail(err, CPAM_CORRUPT, 0,
                     "object \"%s\": it is cut short: it ends after %llu bytes, in %s", self->name,
                     (unsigned long long) self->taken, places[self->state]);
}

static void
object_open_free(struct sink *sink)
{
    struct object_open *self = (struct object_open *) sink;

    if (self->buf == &self->opener->sealed)
        self->opener->sealed_taken = false;
    cpam_buf_clear(&self->own);
    cpam_buf_clear(&self->list);
    aead_free(self->opened.seal.aead);
    sha256_free(self->frames_digest);
    free(self->name);
    free(self);
}

static const struct sink_ops object_open_ops = {object_open_write, object_open_finish,
                                                object_open_free};

/* The want's own copy: the caller's may be gone when the bytes come. */
static enum cpam_status
keep_want(struct object_open *self, const struct object_want *want, struct cpam_err *err)
{
    self->want = *want;
    self->name = strdup(want->name);
    if (self->name == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for reading an object");
    self->want.name = self->name;
    if (want->h != NULL)
        self->want.h = memcpy(self->want_h, want->h, SHA256_SIZE);
    if (want->d != NULL)
        self->want.d = memcpy(self->want_d, want->d, SHA256_SIZE);
    return CPAM_OK;
}

static enum cpam_status
open_push(struct sink **chain, struct object_opener *opener, const struct object_want *want,
          bool keyless, struct object_header *header, struct cpam_err *err)
{
    struct object_open *self = calloc(1, sizeof(*self));
    enum cpam_status status;

    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for reading an object");
    self->base.ops = &object_open_ops;
    self->opener = opener;
    self->told = header;
    self->keyless = keyless;
    status = keep_want(self, want, err);
    if (status != CPAM_OK)
    {
        free(self);
        return status;
    }
    self->buf = opener->sealed_taken ? &self->own : &opener->sealed;
    opener->sealed_taken = true;
    collect(self, OPEN_HEADER, self->head, OBJECT_HEADER_SIZE);
    self->base.next = *chain;
    *chain = &self->base;
    return CPAM_OK;
}

enum cpam_status
object_open_push(struct sink **chain, struct object_opener *opener, const struct object_want *want,
                 struct object_header *header, struct cpam_err *err)
{
    return open_push(chain, opener, want, false, header, err);
}

enum cpam_status
object_prove_push(struct sink **chain, struct object_opener *opener, const struct object_want *want,
                  struct object_header *header, struct cpam_err *err)
{
    return open_push(chain, opener, want, true, header, err);
}
