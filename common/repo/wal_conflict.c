/*
 * wal_conflict.c - is there more than one content for a name?
 *
 * Conflict objects lie beside a segment or history as <name>.<16 hex> (docs/format.md, section 2).
 * A listing only says where to look: what counts is a genuine header, so that nobody who can merely
 * write to the bucket makes a conflict, or a decision, out of nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "repo/layout.h"
#include "repo/object_read.h"
#include "repo/quarantine.h"
#include "repo/wal_seal.h"

enum
{
    COPIES_MAX = 8, /* conflict objects of one name that are looked at */
    BESIDE_ID = 16  /* hex digits behind the name */
};

struct looking
{
    const char *key;
    char found[COPIES_MAX][LAYOUT_KEY_MAX];
    size_t count;
    bool itself; /* the key is listed too */
};

static enum cpam_status
note_beside(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct looking *looking = arg;
    const char *rest = entry->key + strlen(looking->key);

    if (entry->is_prefix)
        return CPAM_OK;
    looking->itself |= rest[0] == '\0';
    if (rest[0] != '.' || strlen(rest + 1) != BESIDE_ID ||
        strspn(rest + 1, "0123456789abcdef") != BESIDE_ID)
        return CPAM_OK;
    if (looking->count == COPIES_MAX)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "more than %d objects lie beside \"%s\"", COPIES_MAX,
                         looking->key);
    snprintf(looking->found[looking->count++], LAYOUT_KEY_MAX, "%.*s", LAYOUT_KEY_MAX - 1,
             entry->key);
    return CPAM_OK;
}

/* Says of one copy what a person needs to tell it from the others. */
static enum cpam_status
describe(struct cpam_buf *list, const char *key, const struct object_header *header,
         struct cpam_err *err)
{
    char id[2 * CONTENT_ID_SIZE + 1], when[TEXT_TIME_MAX];

    text_hex(header->content_id, CONTENT_ID_SIZE, id);
    text_format_time(header->created, when);
    return cpam_buf_printf(list, 1 << 12, err,
                           "%s\"%s\" (content id %.16s, %" PRIu64 " bytes, stored %s)",
                           list->size == 0 ? "" : ", ", key, id, header->raw_length, when);
}

/* *genuine: something of ours is there.  Fails where that could not be told. */
static enum cpam_status
look_at(struct repo *repo, struct object_want want, struct object_header *header, bool *genuine,
        struct cpam_err *err)
{
    struct store_info info;
    enum cpam_status status = object_choose(repo, &want, header, &info, err);

    *genuine = status == CPAM_OK;
    if (status == CPAM_CORRUPT || status == CPAM_FOREIGN)
        cpam_log(LOG_WARNING, "\"%s\" is passed over: %s", want.name, err->text);
    if (status == CPAM_CORRUPT || status == CPAM_FOREIGN || status == CPAM_NOT_FOUND)
        return CPAM_OK;
    return status;
}

static enum cpam_status
compare_copies(struct repo *repo, const struct archive_name *name, const struct object_want *want,
               const struct looking *looking, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf list = {0};
    struct object_header first, other;
    char id[2 * CONTENT_ID_SIZE + 1] = "";
    bool genuine;
    size_t others = 0;

    CPAM_TRY(look_at(repo, *want, &first, &genuine, err));
    if (genuine)
    {
        text_hex(first.content_id, CONTENT_ID_SIZE, id);
        CPAM_TRY(describe(&list, want->name, &first, err));
    }
    for (size_t i = 0; i < looking->count; i++)
    {
        struct object_want beside = *want;

        beside.name = looking->found[i];
        CPAM_TRY(look_at(repo, beside, &other, &genuine, err));
        if (!genuine || strncmp(beside.name + strlen(want->name) + 1, id, BESIDE_ID) == 0)
            continue; /* the same content once more */
        CPAM_TRY(describe(&list, beside.name, &other, err));
        others++;
    }
    if (others == 0)
        return CPAM_OK;
    const char *text = cpam_buf_text(&list);
    cpam_fail(err, CPAM_EXISTS, 0, "the archive holds several contents of \"%s\": %s", name->text,
              text == NULL ? "" : text);
    cpam_err_hint(err, "recovery along the wrong one would mix two histories: find out which is "
                       "real (docs/conflicts.md), move the other out of the way, and go on");
    return CPAM_EXISTS;
}

enum cpam_status
wal_archive_conflict(struct repo *repo, uint64_t sysid, const struct archive_name *name,
                     bool *listed, struct cpam_err *err)
{
    CPAM_AUTO(free) struct looking *looking = NULL;
    char key[LAYOUT_KEY_MAX];
    struct object_want want = {.kind = wal_object_kind(name->kind), .sysid = sysid, .name = key};

    if (listed != NULL)
        *listed = false;
    if (name->kind != ARCHIVE_SEGMENT && name->kind != ARCHIVE_HISTORY)
        return CPAM_OK; /* these may have others beside them (trap 9) */
    looking = calloc(1, sizeof(*looking));
    if (looking == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to look for conflicts");
    layout_wal(sysid, name, key);
    looking->key = key;
    CPAM_TRY(store_list(repo_store(repo), key, NULL, false, note_beside, looking, err));
    if (listed != NULL)
        *listed = looking->itself;
    return looking->count == 0 ? CPAM_OK : compare_copies(repo, name, &want, looking, err);
}

/* --- quarantine ------------------------------------------------------------------------------- */

struct seeking
{
    struct repo *repo;
    uint64_t sysid;
    const char *name;
    bool found;
};

static enum cpam_status
seek_aside(void *arg, const struct quarantined *one, struct cpam_err *err)
{
    struct seeking *seeking = arg;
    struct quarantine_record record;

    if (one->sysid != seeking->sysid || strcmp(one->name, seeking->name) != 0)
        return CPAM_OK;
    enum cpam_status status = quarantine_record_get(seeking->repo, one, &record, err);
    if (status == CPAM_OK)
        seeking->found = true;
    else if (status != CPAM_CORRUPT && status != CPAM_FOREIGN && status != CPAM_NOT_FOUND)
        return status;
    return seeking->found ? CPAM_CANCELLED : CPAM_OK;
}

enum cpam_status
wal_archive_put_aside(struct repo *repo, uint64_t sysid, const struct archive_name *name,
                      bool *aside, struct cpam_err *err)
{
    struct seeking seeking = {repo, sysid, name->text, false};

    *aside = false;
    CPAM_TRY(quarantine_list(repo, seek_aside, &seeking, err));
    *aside = seeking.found;
    return CPAM_OK;
}
