/*
 * manifest_write.c - the manifest of a backup, written line by line into its sealed object.
 *
 * Nothing is kept but the line at hand: what has to be sorted is sorted before it comes here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/text.h"
#include "repo/layout.h"
#include "repo/manifest.h"
#include "repo/manifest_path.h"
#include "repo/parents.h"
#include "repo/summary.h"

struct manifest_writer
{
    struct repo *repo;
    struct sink *store;
    struct object_writer *object;
    struct sha256 *sha;
    struct cpam_buf line;
    char *last;     /* path of the last entry */
    char *last_dir; /* the last directory entry: what may hold entries are it and its ancestors */
    uint64_t last_oid;
    enum manifest_kind stage;
    uint64_t packs, files, bytes, lines;
};

void
manifest_writer_free(struct manifest_writer *writer)
{
    if (writer == NULL)
        return;
    object_writer_free(writer->object);
    sink_free(writer->store);
    sha256_free(writer->sha);
    cpam_buf_clear(&writer->line);
    free(writer->last);
    free(writer->last_dir);
    free(writer);
}

static enum cpam_status
line_end(struct manifest_writer *writer, struct cpam_err *err)
{
    CPAM_TRY(cpam_buf_append(&writer->line, "\n", 1, MANIFEST_LINE_MAX, err));
    CPAM_TRY(sha256_add(writer->sha, writer->line.data, writer->line.size, err));
    CPAM_TRY(object_writer_write(writer->object, writer->line.data, writer->line.size, err));
    writer->line.size = 0;
    writer->lines++;
    return CPAM_OK;
}

/* ,"n":"path" or, where it is not UTF-8, ,"nb":"<base64>" */
static enum cpam_status
put_path(struct cpam_buf *line, const char *name, const char *path, struct cpam_err *err)
{
    size_t size = strlen(path);

    if (text_is_utf8(path, size))
    {
        CPAM_TRY(cpam_buf_printf(line, MANIFEST_LINE_MAX, err, ",\"%s\":", name));
        return json_escape(line, path, size, MANIFEST_LINE_MAX, err);
    }
    CPAM_AUTO(free) unsigned char *text = malloc((size + 2) / 3 * 4 + 1);

    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a path");
    EVP_EncodeBlock(text, (const unsigned char *) path, (int) size);
    return cpam_buf_printf(line, MANIFEST_LINE_MAX, err, ",\"%sb\":\"%s\"", name, (char *) text);
}

static enum cpam_status
put_head(struct manifest_writer *writer, const struct backup_summary *head,
         const struct manifest_setting *settings, size_t count, struct cpam_err *err)
{
    struct cpam_buf *line = &writer->line;
    char uuid[TEXT_UUID_MAX], label[BACKUP_LABEL_MAX];
    const char *parent = head->parents;
    uint64_t packs;

    if (count > MANIFEST_SETTINGS_MAX)
        return cpam_fail(err, CPAM_INTERNAL, 0, "too many settings for a manifest");
    text_format_uuid(keyring_uuid(repo_keyring(writer->repo)), uuid);
    CPAM_TRY(cpam_buf_printf(line, MANIFEST_LINE_MAX, err,
                             "{\"t\":\"head\",\"v\":1,\"repo\":\"%s\",\"sysid\":\"%" PRIu64
                             "\",\"label\":\"%s\",\"parents\":[",
                             uuid, head->sysid, head->label));
    for (unsigned i = 0; parents_next(&parent, label, &packs); i++)
        CPAM_TRY(
            cpam_buf_printf(line, MANIFEST_LINE_MAX, err, "%s\"%s\"", i == 0 ? "" : ",", label));
    CPAM_TRY(cpam_buf_printf(line, MANIFEST_LINE_MAX, err, "],\"epoch\":\"%s\",\"settings\":{",
                             head->epoch));
    for (size_t i = 0; i < count; i++)
    {
        if (i > 0)
            CPAM_TRY(cpam_buf_append(line, ",", 1, MANIFEST_LINE_MAX, err));
        CPAM_TRY(
            json_escape(line, settings[i].name, strlen(settings[i].name), MANIFEST_LINE_MAX, err));
        CPAM_TRY(cpam_buf_append(line, ":", 1, MANIFEST_LINE_MAX, err));
        CPAM_TRY(json_escape(line, settings[i].value, strlen(settings[i].value), MANIFEST_LINE_MAX,
                             err));
    }
    CPAM_TRY(cpam_buf_printf(line, MANIFEST_LINE_MAX, err, "}}"));
    return line_end(writer, err);
}

enum cpam_status
manifest_writer_new(struct repo *repo, const struct backup_summary *head,
                    const struct manifest_setting *settings, size_t setting_count,
                    struct manifest_writer **out, struct cpam_err *err)
{
    CPAM_AUTO(manifest_writer_free) struct manifest_writer *writer = calloc(1, sizeof(*writer));
    const struct repo_settings *options = repo_settings(repo);
    struct seal_session *session;
    char key[LAYOUT_KEY_MAX];

    *out = NULL;
    if (writer == NULL || (writer->last = strdup("")) == NULL ||
        (writer->last_dir = strdup("")) == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a manifest");
    writer->repo = repo;
    layout_manifest(head->label, key);
    struct object_spec spec = {.kind = OBJECT_MANIFEST,
                               .sysid = head->sysid,
                               .name = key,
                               .raw_length = OBJECT_LENGTH_UNKNOWN,
                               .codec = options->base_codec,
                               .level = options->base_level};

    CPAM_TRY(sha256_new(&writer->sha, err));
    CPAM_TRY(repo_seal(repo, &session, err));
    CPAM_TRY(store_put_stream(repo_store(repo), key, STORE_CLASS_BASE, &writer->store, err));
    CPAM_TRY(object_writer_new(session, &spec, writer->store, &writer->object, err));
    CPAM_TRY(put_head(writer, head, settings, setting_count, err));
    *out = CPAM_STEAL(writer);
    return CPAM_OK;
}

static enum cpam_status
put_numbers(struct cpam_buf *line, const char *name, const uint32_t *numbers, uint32_t count,
            struct cpam_err *err)
{
    CPAM_TRY(cpam_buf_printf(line, MANIFEST_LINE_MAX, err, ",\"%s\":[", name));
    for (uint32_t i = 0; i < count; i++)
        CPAM_TRY(cpam_buf_printf(line, MANIFEST_LINE_MAX, err, "%s%" PRIu32, i == 0 ? "" : ",",
                                 numbers[i]));
    return cpam_buf_append(line, "]", 1, MANIFEST_LINE_MAX, err);
}

static enum cpam_status
add_pack(struct manifest_writer *writer, const struct manifest_pack *pack, struct cpam_err *err)
{
    char h[2 * SHA256_SIZE + 1], d[2 * SHA256_SIZE + 1];

    if (pack->index != writer->packs)
        return cpam_fail(err, CPAM_INTERNAL, 0, "pack %" PRIu32 " comes where %" PRIu64 " is due",
                         pack->index, writer->packs);
    text_hex(pack->h, SHA256_SIZE, h);
    text_hex(pack->d, SHA256_SIZE, d);
    CPAM_TRY(cpam_buf_printf(&writer->line, MANIFEST_LINE_MAX, err,
                             "{\"t\":\"p\",\"i\":%" PRIu32 ",\"k\":\"%s\",\"h\":\"%s\",\"d\":\"%s\""
                             ",\"b\":%" PRIu32 ",\"z\":%" PRIu64,
                             pack->index, pack->key, h, d, pack->body_offset, pack->size));
    CPAM_TRY(put_numbers(&writer->line, "c", pack->clen, pack->frame_count, err));
    CPAM_TRY(put_numbers(&writer->line, "r", pack->rlen, pack->frame_count, err));
    CPAM_TRY(cpam_buf_append(&writer->line, "}", 1, MANIFEST_LINE_MAX, err));
    writer->packs++;
    return line_end(writer, err);
}

static enum cpam_status
add_tablespace(struct manifest_writer *writer, const struct manifest_entry *entry,
               struct cpam_err *err)
{
    uint64_t oid;

    CPAM_TRY(text_parse_u64(entry->oid, UINT32_MAX, &oid, err));
    if (oid <= writer->last_oid)
        return cpam_fail(err, CPAM_INTERNAL, 0, "tablespace %s comes out of order", entry->oid);
    writer->last_oid = oid;
    CPAM_TRY(cpam_buf_printf(&writer->line, MANIFEST_LINE_MAX, err, "{\"t\":\"ts\",\"oid\":\"%s\"",
                             entry->oid));
    CPAM_TRY(put_path(&writer->line, "path", entry->target, err));
    CPAM_TRY(cpam_buf_append(&writer->line, "}", 1, MANIFEST_LINE_MAX, err));
    return line_end(writer, err);
}

static enum cpam_status
remember(char **at, const char *path, struct cpam_err *err)
{
    char *copy = strdup(path);

    if (copy == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a path");
    free(*at);
    *at = copy;
    return CPAM_OK;
}

static enum cpam_status
check_place(struct manifest_writer *writer, const struct manifest_entry *entry,
            struct cpam_err *err)
{
    CPAM_TRY(manifest_path_check(entry->path, err));
    if (manifest_path_compare(writer->last, entry->path) >= 0)
        return cpam_fail(err, CPAM_INTERNAL, 0, "\"%s\" comes behind \"%s\" in a manifest",
                         entry->path, writer->last);
    if (!manifest_parent_known(writer->last_dir, entry->path))
        return cpam_fail(err, CPAM_INTERNAL, 0, "\"%s\" lies in no directory of the manifest",
                         entry->path);
    CPAM_TRY(remember(&writer->last, entry->path, err));
    if (entry->kind == MANIFEST_DIRECTORY)
        CPAM_TRY(remember(&writer->last_dir, entry->path, err));
    return CPAM_OK;
}

static enum cpam_status
put_extents(struct manifest_writer *writer, const struct manifest_extent *extents, size_t count,
            struct cpam_err *err)
{
    for (size_t i = 0; i < count; i++)
        CPAM_TRY(cpam_buf_printf(&writer->line, MANIFEST_LINE_MAX, err,
                                 "%s[%" PRIu64 ",%" PRId64 ",%" PRIu32 ",%" PRIu32 "]",
                                 i == 0 ? "" : ",", extents[i].size, extents[i].pack,
                                 extents[i].frame, extents[i].offset));
    CPAM_TRY(cpam_buf_append(&writer->line, "]}", 2, MANIFEST_LINE_MAX, err));
    return line_end(writer, err);
}

static enum cpam_status
add_file(struct manifest_writer *writer, const struct manifest_entry *entry,
         const struct manifest_extent *extents, struct cpam_err *err)
{
    size_t first =
        entry->extent_count < MANIFEST_EXTENTS_LINE ? entry->extent_count : MANIFEST_EXTENTS_LINE;

    CPAM_TRY(check_place(writer, entry, err));
    CPAM_TRY(cpam_buf_printf(&writer->line, MANIFEST_LINE_MAX, err, "{\"t\":\"f\""));
    CPAM_TRY(put_path(&writer->line, "n", entry->path, err));
    CPAM_TRY(cpam_buf_printf(&writer->line, MANIFEST_LINE_MAX, err,
                             ",\"m\":\"%04o\",\"s\":%" PRIu64 ",\"mt\":%" PRId64
                             ",\"crc\":\"%08" PRIx32 "\",\"ne\":%zu,\"e\":[",
                             (unsigned) (entry->mode & 0777), entry->size, entry->mtime, entry->crc,
                             entry->extent_count));
    CPAM_TRY(put_extents(writer, extents, first, err));
    for (size_t at = first; at < entry->extent_count;)
    {
        size_t left = entry->extent_count - at;
        size_t count = left < MANIFEST_EXTENTS_LINE ? left : MANIFEST_EXTENTS_LINE;

        CPAM_TRY(cpam_buf_printf(&writer->line, MANIFEST_LINE_MAX, err, "{\"t\":\"x\",\"e\":["));
        CPAM_TRY(put_extents(writer, extents + at, count, err));
        at += count;
    }
    writer->files++;
    writer->bytes += entry->size;
    return CPAM_OK;
}

static enum cpam_status
add_other(struct manifest_writer *writer, const struct manifest_entry *entry, struct cpam_err *err)
{
    bool is_dir = entry->kind == MANIFEST_DIRECTORY;

    CPAM_TRY(check_place(writer, entry, err));
    CPAM_TRY(cpam_buf_printf(&writer->line, MANIFEST_LINE_MAX, err, "{\"t\":\"%s\"",
                             is_dir ? "d" : "l"));
    CPAM_TRY(put_path(&writer->line, "n", entry->path, err));
    if (is_dir)
        CPAM_TRY(cpam_buf_printf(&writer->line, MANIFEST_LINE_MAX, err, ",\"m\":\"%04o\"",
                                 (unsigned) (entry->mode & 0777)));
    else
        CPAM_TRY(put_path(&writer->line, "to", entry->target, err));
    CPAM_TRY(cpam_buf_append(&writer->line, "}", 1, MANIFEST_LINE_MAX, err));
    return line_end(writer, err);
}

enum cpam_status
manifest_writer_add(struct manifest_writer *writer, const struct manifest_entry *entry,
                    const struct manifest_extent *extents, struct cpam_err *err)
{
    enum manifest_kind stage =
        entry->kind <= MANIFEST_TABLESPACE ? entry->kind : MANIFEST_DIRECTORY;

    if (stage < writer->stage)
        return cpam_fail(err, CPAM_INTERNAL, 0, "packs, tablespaces and entries are mixed");
    writer->stage = stage;
    switch (entry->kind)
    {
    case MANIFEST_PACK: return add_pack(writer, entry->pack, err);
    case MANIFEST_TABLESPACE: return add_tablespace(writer, entry, err);
    case MANIFEST_FILE: return add_file(writer, entry, extents, err);
    case MANIFEST_DIRECTORY:
    case MANIFEST_LINK: return add_other(writer, entry, err);
    }
    return cpam_fail(err, CPAM_INTERNAL, 0, "an entry of no kind");
}

static enum cpam_status
put_end(struct manifest_writer *writer, const struct backup_summary *summary, struct cpam_err *err)
{
    CPAM_AUTO(json_doc_free) json_t *common = json_object();
    CPAM_AUTO(free) char *text = NULL;
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];

    CPAM_TRY(sha256_end(writer->sha, digest, err));
    text_hex(digest, SHA256_SIZE, hex);
    CPAM_TRY(summary_set_common(writer->repo, summary, common, err));
    text = json_dumps(common, JSON_COMPACT);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a manifest's end");
    CPAM_TRY(cpam_buf_printf(
        &writer->line, MANIFEST_LINE_MAX, err,
        "{\"t\":\"end\",\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"packs\":%" PRIu64
        ",\"lines\":%" PRIu64 ",\"summary\":%s,\"sha256\":\"%s\"}\n",
        writer->files, writer->bytes, writer->packs, writer->lines, text, hex));
    return object_writer_write(writer->object, writer->line.data, writer->line.size, err);
}

enum cpam_status
manifest_writer_finish(struct manifest_writer *writer, struct backup_summary *summary,
                       struct cpam_err *err)
{
    struct object_digest digest;

    if (summary->files != writer->files || summary->bytes != writer->bytes ||
        summary->packs != writer->packs)
        return cpam_fail(err, CPAM_INTERNAL, 0,
                         "the summary speaks of other sums than the manifest");
    CPAM_TRY(put_end(writer, summary, err));
    CPAM_TRY(object_writer_finish(writer->object, &digest, err));
    CPAM_TRY(sink_finish(writer->store, err));
    memcpy(summary->manifest_h, digest.h, SHA256_SIZE);
    memcpy(summary->manifest_d, digest.d, SHA256_SIZE);
    summary->manifest_size = digest.size;
    return CPAM_OK;
}
