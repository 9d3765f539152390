/*
 * wal_read.c - files out of the archive, checked while they pass.
 *
 * A segment passes frame by frame (object_pass.c); where a store may have several versions of it, it
 * is held in memory until the right one is chosen, and what is too large for that is chosen by its
 * header and then streamed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "repo/layout.h"
#include "repo/object_read.h"
#include "repo/wal_seal.h"

enum cpam_status
wal_object_read(struct repo *repo, uint64_t sysid, const char *key, enum object_kind kind,
                struct sink *to, struct object_header *header, struct cpam_err *err)
{
    struct object_want want = {.kind = kind, .sysid = sysid, .name = key};

    return object_pass(repo, &want, WAL_HELD_MAX, to, header, err);
}

/*
 * In front of where a segment goes: its first page is held back until it was held against the name
 * (requirements row F3), so that a wrong one writes nothing at all.
 */
struct sink_wal
{
    struct sink base;
    struct repo *repo;
    const struct archive_name *name;
    struct sink *to;
    uint64_t sysid;
    struct object_header header; /* filled by the opener before the first byte comes */
    uint8_t head[WAL_LONG_HEADER_SIZE];
    size_t held;
    uint64_t passed;
};

static enum cpam_status
check_first_page(struct sink_wal *self, struct cpam_err *err)
{
    CPAM_AUTO(history_free) struct history *history = NULL;
    bool needs_history = false;
    struct wal_page page;
    enum cpam_status status;

    CPAM_TRY(wal_page_parse(self->head, self->held, &page, err));
    status = wal_page_check(&page, self->name, self->header.raw_length, self->sysid, NULL,
                            &needs_history, err);
    if (status == CPAM_OK || !needs_history)
        return status;
    /* trap 2: a copy of the parent's segment up to the switch */
    status = wal_archive_history(self->repo, self->sysid, self->name->timeline, &history, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "the history of timeline %" PRIu32 " is needed to check \"%s\"",
                        self->name->timeline.id, self->name->text);
        return status == CPAM_NOT_FOUND ? (err->status = CPAM_UNKNOWN) : status;
    }
    return wal_page_check(&page, self->name, self->header.raw_length, self->sysid, history,
                          &needs_history, err);
}

static enum cpam_status
wal_write(struct sink *sink, const void *data, size_t size, struct cpam_err *err)
{
    struct sink_wal *self = (struct sink_wal *) sink;
    const uint8_t *bytes = data;

    /* the whole first frame, as a rule: it passes on as it is */
    if (self->held == 0 && size >= sizeof(self->head))
    {
        self->held = sizeof(self->head);
        memcpy(self->head, bytes, self->held);
        CPAM_TRY(check_first_page(self, err));
    }
    else if (self->held < sizeof(self->head))
    {
        size_t room = sizeof(self->head) - self->held;
        size_t take = size < room ? size : room;

        memcpy(self->head + self->held, bytes, take);
        self->held += take;
        bytes += take;
        size -= take;
        if (self->held < sizeof(self->head))
            return CPAM_OK;
        CPAM_TRY(check_first_page(self, err));
        CPAM_TRY(sink_write(self->to, self->head, self->held, err));
        self->passed = self->held;
    }
    self->passed += size;
    return size == 0 ? CPAM_OK : sink_write(self->to, bytes, size, err);
}

static enum cpam_status
get_wal(struct repo *repo, uint64_t sysid, const struct archive_name *name, const char *key,
        struct sink *to, struct object_header *header, struct cpam_err *err)
{
    static const struct sink_ops ops = {.write = wal_write};
    struct sink_wal wal = {.base.ops = &ops, .repo = repo, .name = name, .to = to, .sysid = sysid};

    CPAM_TRY(wal_object_read(repo, sysid, key, wal_object_kind(name->kind), &wal.base, &wal.header,
                             err));
    if (wal.passed != wal.header.raw_length)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "\"%s\" held %" PRIu64 " bytes, its header speaks of %" PRIu64, key,
                         wal.passed, wal.header.raw_length);
    *header = wal.header;
    return CPAM_OK;
}

enum cpam_status
wal_archive_get(struct repo *repo, uint64_t sysid, const char *name, struct sink *to,
                struct object_header *header, struct cpam_err *err)
{
    struct archive_name parsed;
    struct object_header found;
    char key[LAYOUT_KEY_MAX];
    enum cpam_status status;

    CPAM_TRY(archive_name_parse(name, &parsed, err));
    layout_wal(sysid, &parsed, key);
    if (parsed.kind == ARCHIVE_SEGMENT || parsed.kind == ARCHIVE_PARTIAL)
        status = get_wal(repo, sysid, &parsed, key, to, &found, err);
    else
        status = wal_object_read(repo, sysid, key, wal_object_kind(parsed.kind), to, &found, err);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "repository \"%s\"", repo_name(repo));
        return status;
    }
    if (header != NULL)
        *header = found;
    return CPAM_OK;
}

enum cpam_status
wal_archive_header(struct repo *repo, uint64_t sysid, const char *name, struct object_header *out,
                   struct cpam_err *err)
{
    struct archive_name parsed;
    struct store_info info;
    char key[LAYOUT_KEY_MAX];

    CPAM_TRY(archive_name_parse(name, &parsed, err));
    layout_wal(sysid, &parsed, key);
    struct object_want want = {.kind = wal_object_kind(parsed.kind), .sysid = sysid, .name = key};
    enum cpam_status status = object_choose(repo, &want, out, &info, err);
    if (status != CPAM_OK)
        cpam_err_prefix(err, "repository \"%s\"", repo_name(repo));
    return status;
}

enum cpam_status
wal_archive_history(struct repo *repo, uint64_t sysid, struct timeline timeline,
                    struct history **out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    char name[ARCHIVE_NAME_MAX];

    *out = NULL;
    if (timeline.id == 1)
        return history_parse(timeline, NULL, 0, out, err);
    snprintf(name, sizeof(name), "%08" PRIX32 ".history", timeline.id);
    CPAM_TRY(sink_buf_push(&chain, &text, HISTORY_FILE_MAX, err));
    CPAM_TRY(wal_archive_get(repo, sysid, name, chain, NULL, err));
    const char *bytes = cpam_buf_text(&text);
    if (bytes == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for \"%s\"", name);
    return history_parse(timeline, bytes, text.size, out, err);
}
