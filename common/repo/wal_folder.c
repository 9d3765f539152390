/*
 * wal_folder.c - a listing as one bit for each segment.
 */
#include "repo/wal_folder.h"

#include <string.h>

#include "repo/layout.h"

enum
{
    CONFLICT_TAIL = 17 /* ".<16 hex>" (docs/format.md, section 2) */
};

struct listing
{
    size_t folder_size; /* of the key, with its slash */
    struct wal_folder *out;
};

static enum cpam_status
note_key(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    struct listing *listing = arg;
    const char *name = entry->key + listing->folder_size;
    struct archive_name parsed;
    struct cpam_err ignored;

    (void) err;
    if (entry->is_prefix || strlen(entry->key) <= listing->folder_size)
        return CPAM_OK;
    if (strlen(name) == SEGMENT_NAME_MAX - 1 + CONFLICT_TAIL)
        listing->out->conflicts = true;
    if (archive_name_parse(name, &parsed, &ignored) == CPAM_OK && parsed.kind == ARCHIVE_SEGMENT &&
        parsed.low < WAL_FOLDER_SEGMENTS)
        listing->out->present[parsed.low / 8] |= (uint8_t) (1u << parsed.low % 8);
    return CPAM_OK;
}

enum cpam_status
wal_folder_list(struct repo *repo, uint64_t sysid, const struct archive_name *name,
                struct wal_folder *out, struct cpam_err *err)
{
    char prefix[LAYOUT_KEY_MAX];
    struct listing listing = {.out = out};
    struct io *io = repo_io(repo);

    memset(out, 0, sizeof(*out));
    if (name->kind != ARCHIVE_SEGMENT)
        return cpam_fail(err, CPAM_INTERNAL, 0, "\"%s\" has no folder of segments", name->text);
    layout_wal(sysid, name, prefix);
    listing.folder_size = (size_t) (strrchr(prefix, '/') + 1 - prefix);
    prefix[listing.folder_size] = '\0';
    out->listed = io->ops->monotonic(io);
    CPAM_TRY(store_list(repo_store(repo), prefix, NULL, false, note_key, &listing, err));
    out->timeline = name->timeline;
    out->log = name->log;
    return CPAM_OK;
}

bool
wal_folder_has(const struct wal_folder *folder, const struct archive_name *name)
{
    return name->low < WAL_FOLDER_SEGMENTS &&
           (folder->present[name->low / 8] >> name->low % 8 & 1) != 0;
}

static bool
is_of(const struct wal_folder *folder, struct timeline timeline, uint32_t log)
{
    return folder->timeline.id == timeline.id && folder->log == log;
}

const struct wal_folder *
wal_folders_find(const struct wal_folders *folders, const struct archive_name *name, int64_t since)
{
    for (size_t i = 0; i < WAL_FOLDERS; i++)
        if (name->kind == ARCHIVE_SEGMENT && is_of(&folders->items[i], name->timeline, name->log) &&
            folders->items[i].listed >= since)
            return &folders->items[i];
    return NULL;
}

void
wal_folders_keep(struct wal_folders *folders, const struct wal_folder *folder)
{
    struct wal_folder *at = &folders->items[0];

    for (size_t i = 0; i < WAL_FOLDERS; i++)
    {
        if (is_of(&folders->items[i], folder->timeline, folder->log))
        {
            at = &folders->items[i];
            break;
        }
        if (folders->items[i].listed < at->listed)
            at = &folders->items[i];
    }
    *at = *folder;
}
