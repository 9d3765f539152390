/*
 * layout.c - making the keys of a repository.
 */
#include "repo/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void
layout_cluster(uint64_t sysid, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, LAYOUT_CLUSTERS "%" PRIu64 ".json", sysid);
}

void
layout_wal_root(uint64_t sysid, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, "wal/%" PRIu64 "/", sysid);
}

void
layout_wal_timeline(uint64_t sysid, struct timeline timeline, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, "wal/%" PRIu64 "/%08" PRIX32 "/", sysid, timeline.id);
}

void
layout_wal(uint64_t sysid, const struct archive_name *name, char out[LAYOUT_KEY_MAX])
{
    if (name->kind == ARCHIVE_HISTORY)
        snprintf(out, LAYOUT_KEY_MAX, "wal/%" PRIu64 "/%s", sysid, name->text);
    else
        snprintf(out, LAYOUT_KEY_MAX, "wal/%" PRIu64 "/%08" PRIX32 "/%08" PRIX32 "/%s", sysid,
                 name->timeline.id, name->log, name->text);
}

void
layout_gaps(uint64_t sysid, struct timeline timeline, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, LAYOUT_GAPS "%" PRIu64 "/%08" PRIX32 "/", sysid, timeline.id);
}

enum
{
    KEY_ID_SIZE = 8 /* bytes of a content id in a key */
};

static size_t
put_id(const uint8_t *content_id, size_t at, char out[LAYOUT_KEY_MAX])
{
    for (int i = 0; i < KEY_ID_SIZE && at + 2 < LAYOUT_KEY_MAX; i++, at += 2)
        snprintf(out + at, LAYOUT_KEY_MAX - at, "%02x", content_id[i]);
    return at;
}

void
layout_quarantine(const char *name, const uint8_t *content_id, char out[LAYOUT_KEY_MAX])
{
    size_t at = (size_t) snprintf(out, LAYOUT_KEY_MAX, LAYOUT_QUARANTINE);

    at = put_id(content_id, at, out);
    snprintf(out + at, LAYOUT_KEY_MAX - at, "/%s", name);
}

const char *
layout_logical_name(const char *key)
{
    static const char digits[] = "0123456789abcdef";
    const size_t before = sizeof(LAYOUT_QUARANTINE) - 1, id = (size_t) 2 * KEY_ID_SIZE;

    if (strncmp(key, LAYOUT_QUARANTINE, before) != 0 || strspn(key + before, digits) != id ||
        key[before + id] != '/')
        return key;
    return key + before + id + 1;
}

void
layout_wal_beside(uint64_t sysid, const struct archive_name *name, const uint8_t *content_id,
                  char out[LAYOUT_KEY_MAX])
{
    layout_wal(sysid, name, out);
    size_t at = strlen(out);

    if (at < LAYOUT_KEY_MAX - 1)
        out[at++] = '.';
    put_id(content_id, at, out);
}

enum cpam_status
label_check(const char *label, struct cpam_err *err)
{
    size_t length = strlen(label);

    if (length == 0 || length > LABEL_LENGTH_MAX || strspn(label, LAYOUT_LABEL_CHARACTER) != length)
        return cpam_fail(err, CPAM_INVALID, 0,
                         "\"%.80s\" is not a backup label: 1 to %d letters, digits and '_'", label,
                         LABEL_LENGTH_MAX);
    return CPAM_OK;
}

void
layout_intent(const char *label, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, LAYOUT_INTENTS "%s", label);
}

void
layout_tomb(const char *label, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, LAYOUT_TOMBS "%s", label);
}

void
layout_sequence(uint64_t number, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, LAYOUT_SEQUENCE "%0*" PRIu64, SEQUENCE_DIGITS, number);
}

void
layout_summary(const char *label, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, LAYOUT_BACKUPS "%s/" LAYOUT_SUMMARY_FILE, label);
}

void
layout_manifest(const char *label, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, LAYOUT_BACKUPS "%s/manifest", label);
}

void
layout_blocks(const char *label, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, LAYOUT_BACKUPS "%s/blocks", label);
}

void
layout_pack(const char *label, unsigned attempt, uint32_t counter, char out[LAYOUT_KEY_MAX])
{
    snprintf(out, LAYOUT_KEY_MAX, LAYOUT_BACKUPS "%s/pack/%02x%06" PRIx32, label, attempt & 0xffu,
             counter & 0xffffffu);
}

bool
layout_pack_label(const char *key, char label[LABEL_LENGTH_MAX + 1])
{
    static const char middle[] = "/pack/";
    const char *start = key + strlen(LAYOUT_BACKUPS);

    if (strncmp(key, LAYOUT_BACKUPS, strlen(LAYOUT_BACKUPS)) != 0)
        return false;
    size_t length = strspn(start, LAYOUT_LABEL_CHARACTER);
    const char *digits = start + length + strlen(middle);
    if (length == 0 || length > LABEL_LENGTH_MAX ||
        strncmp(start + length, middle, strlen(middle)) != 0 || strlen(digits) != 8 ||
        strspn(digits, "0123456789abcdef") != 8)
        return false;
    memcpy(label, start, length);
    label[length] = '\0';
    return true;
}

const char *
layout_base_name(const char *key)
{
    const char *slash = strrchr(key, '/');

    return slash == NULL ? key : slash + 1;
}
