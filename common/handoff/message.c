/*
 * message.c - the wire form: a cursor that writes, and one that reads and never runs past the end.
 *
 * A text is its size with the NUL (u16), its bytes, the NUL.  Whatever is behind the last field, a
 * NUL inside a text, or a number out of its range makes the message none.
 */
#include "handoff/message.h"

#include <string.h>

#include "base/bytes.h"

/* "CPho" */
#define MAGIC 0x6f685043u

struct writer
{
    uint8_t *at;
    size_t left;
    bool full;
};

static uint8_t *
room(struct writer *to, size_t size)
{
    uint8_t *at = to->at;

    if (to->full || size > to->left)
    {
        to->full = true;
        return NULL;
    }
    to->at += size;
    to->left -= size;
    return at;
}

static void
put_u16(struct writer *to, uint16_t value)
{
    uint8_t *at = room(to, 2);

    if (at != NULL)
        le16_put(at, value);
}

static void
put_u64(struct writer *to, uint64_t value)
{
    uint8_t *at = room(to, 8);

    if (at != NULL)
        le64_put(at, value);
}

static void
put_stamp(struct writer *to, const struct handoff_stamp *stamp)
{
    put_u64(to, stamp->device);
    put_u64(to, stamp->inode);
    put_u64(to, stamp->size);
    put_u64(to, (uint64_t) stamp->changed);
}

static void
put_text(struct writer *to, const char *text, size_t max)
{
    size_t size = strlen(text) + 1;
    uint8_t *at;

    if (size > max)
    {
        to->full = true;
        return;
    }
    put_u16(to, (uint16_t) size);
    at = room(to, size);
    if (at != NULL)
        memcpy(at, text, size);
}

static void
put_question(struct writer *to, const struct handoff_message *message)
{
    put_text(to, message->version, HANDOFF_VERSION_MAX);
    put_text(to, message->config, HANDOFF_PATH_MAX);
    put_stamp(to, &message->config_stamp);
    put_stamp(to, &message->program_stamp);
    put_u16(to, (uint16_t) message->role);
    put_text(to, message->name, HANDOFF_NAME_MAX);
    put_stamp(to, &message->stamp);
    put_u64(to, (uint64_t) message->left);
}

static void
put_answer(struct writer *to, const struct handoff_message *message)
{
    put_u16(to, (uint16_t) message->status);
    put_text(to, message->path, HANDOFF_PATH_MAX);
    put_text(to, message->sentence, HANDOFF_TEXT_MAX);
    put_text(to, message->hint, HANDOFF_TEXT_MAX);
}

enum cpam_status
handoff_message_write(const struct handoff_message *message, uint8_t out[HANDOFF_MESSAGE_MAX],
                      size_t *size, struct cpam_err *err)
{
    struct writer to = {out + HANDOFF_HEADER_SIZE, HANDOFF_MESSAGE_MAX - HANDOFF_HEADER_SIZE,
                        false};

    if (message->type == HANDOFF_MESSAGE_QUESTION)
        put_question(&to, message);
    else if (message->type == HANDOFF_MESSAGE_ANSWER)
        put_answer(&to, message);
    if (to.full)
        return cpam_fail(err, CPAM_INVALID, 0, "a text is too long to be handed to the worker");
    *size = (size_t) (to.at - out);
    le32_put(out, MAGIC);
    le16_put(out + 4, HANDOFF_PROTOCOL);
    le16_put(out + 6, (uint16_t) message->type);
    le32_put(out + 8, (uint32_t) *size);
    return CPAM_OK;
}

struct reader
{
    const uint8_t *at;
    size_t left;
    bool bad;
};

static const uint8_t *
take(struct reader *from, size_t size)
{
    const uint8_t *at = from->at;

    if (from->bad || size > from->left)
    {
        from->bad = true;
        return NULL;
    }
    from->at += size;
    from->left -= size;
    return at;
}

static uint16_t
take_u16(struct reader *from)
{
    const uint8_t *at = take(from, 2);

    return at == NULL ? 0 : le16_get(at);
}

static uint64_t
take_u64(struct reader *from)
{
    const uint8_t *at = take(from, 8);

    return at == NULL ? 0 : le64_get(at);
}

static void
take_stamp(struct reader *from, struct handoff_stamp *out)
{
    out->device = take_u64(from);
    out->inode = take_u64(from);
    out->size = take_u64(from);
    out->changed = (int64_t) take_u64(from);
}

/* Never NULL: "" when the message is bad. */
static const char *
take_text(struct reader *from, size_t max)
{
    size_t size = take_u16(from);
    const uint8_t *at = take(from, size);

    if (at == NULL || size == 0 || size > max || memchr(at, '\0', size) != at + size - 1)
    {
        from->bad = true;
        return "";
    }
    return (const char *) at;
}

static void
take_question(struct reader *from, struct handoff_message *out)
{
    out->version = take_text(from, HANDOFF_VERSION_MAX);
    out->config = take_text(from, HANDOFF_PATH_MAX);
    take_stamp(from, &out->config_stamp);
    take_stamp(from, &out->program_stamp);
    uint16_t role = take_u16(from);
    out->name = take_text(from, HANDOFF_NAME_MAX);
    take_stamp(from, &out->stamp);
    out->left = (int64_t) take_u64(from);
    if (role > HANDOFF_FETCH)
        from->bad = true;
    else
        out->role = (enum handoff_role) role;
}

static void
take_answer(struct reader *from, struct handoff_message *out)
{
    uint16_t status = take_u16(from);

    out->path = take_text(from, HANDOFF_PATH_MAX);
    out->sentence = take_text(from, HANDOFF_TEXT_MAX);
    out->hint = take_text(from, HANDOFF_TEXT_MAX);
    if (status >= CPAM_STATUS_COUNT)
        from->bad = true;
    else
        out->status = (enum cpam_status) status;
}

enum cpam_status
handoff_message_parse(const void *data, size_t size, struct handoff_message *out,
                      struct cpam_err *err)
{
    const uint8_t *head = data;
    struct reader from;

    memset(out, 0, sizeof(*out));
    if (size < HANDOFF_HEADER_SIZE || le32_get(head) != MAGIC)
        return cpam_fail(err, CPAM_CORRUPT, 0, "%zu bytes that are no message of this suite", size);
    out->protocol = le16_get(head + 4);
    if (out->protocol != HANDOFF_PROTOCOL)
        return CPAM_OK;
    if (le32_get(head + 8) != size || size > HANDOFF_MESSAGE_MAX)
        return cpam_fail(err, CPAM_CORRUPT, 0, "a message of %u bytes came as %zu",
                         (unsigned) le32_get(head + 8), size);
    from = (struct reader){head + HANDOFF_HEADER_SIZE, size - HANDOFF_HEADER_SIZE, false};
    switch (le16_get(head + 6))
    {
    case HANDOFF_MESSAGE_QUESTION: take_question(&from, out); break;
    case HANDOFF_MESSAGE_ANSWER: take_answer(&from, out); break;
    case HANDOFF_MESSAGE_TICK:
    case HANDOFF_MESSAGE_RETIRED:
    case HANDOFF_MESSAGE_BUSY: break;
    default: from.bad = true; break;
    }
    out->type = (enum handoff_message_type) le16_get(head + 6);
    if (from.bad || from.left != 0)
        return cpam_fail(err, CPAM_CORRUPT, 0, "a message of type %u with damaged fields",
                         (unsigned) le16_get(head + 6));
    return CPAM_OK;
}

bool
handoff_stamp_same(const struct handoff_stamp *a, const struct handoff_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed == b->changed;
}

void
handoff_stamp_of(const struct stat *about, struct handoff_stamp *out)
{
    out->device = (uint64_t) about->st_dev;
    out->inode = (uint64_t) about->st_ino;
    out->size = (uint64_t) about->st_size;
    out->changed = (int64_t) about->st_ctim.tv_sec * 1000000000 + about->st_ctim.tv_nsec;
}
