/*
 * manifest.h - which bytes of which packs make which file (format-1.md 2.6), streamed both ways.
 *
 * Lines: head; p (packs, by index); ts (tablespaces, by oid); d, l, f entries in strictly ascending
 * order, an f line followed by x lines until it has all its extents; end.  The end line holds the
 * summary's members but seq and prev, which are given out after the manifest is stored, and
 * manifest and blocks; the head has no seq and prev for the same reason.
 *
 * A tablespace is a ts line (its oid and where it lay) and a directory entry "pg_tblspc/<oid>" with
 * everything below it; a tablespace in place is only the directory.  A linked pg_wal is a directory
 * entry like any other, and where it lay is the setting "pg_wal".
 */
#ifndef CPAM_REPO_MANIFEST_H
#define CPAM_REPO_MANIFEST_H

#include "repo/backup.h"

enum
{
    MANIFEST_LINE_MAX = 1 << 20, /* bytes */
    MANIFEST_EXTENTS_LINE = 4096,
    MANIFEST_PATH_MAX = 4096, /* bytes of a path or a link's target */
    MANIFEST_SETTINGS_MAX = 512,
    MANIFEST_PACKS_MAX = 1 << 20
};

/* What the server told of itself: names and values of pg_settings, pg_wal's place if it was a link, and
   "file:<path>", "mode:<path>" of configuration outside of the data directory (trap 18, B13). */
struct manifest_setting
{
    const char *name, *value;
};

struct manifest_extent
{
    uint64_t size;   /* bytes of the file */
    int64_t pack;    /* index of its pack line; -1: a hole, all zeros */
    uint32_t frame;  /* first frame in the pack */
    uint32_t offset; /* into that frame's plaintext */
};

struct manifest_pack
{
    uint32_t index;
    char key[160];
    uint8_t h[SHA256_SIZE], d[SHA256_SIZE];
    uint32_t body_offset;
    uint64_t size;
    uint32_t frame_count;
    uint32_t *clen, *rlen; /* frame_count each */
};

enum manifest_kind
{
    MANIFEST_PACK, /* all before the entries */
    MANIFEST_TABLESPACE,
    MANIFEST_DIRECTORY,
    MANIFEST_LINK,
    MANIFEST_FILE
};

struct manifest_entry
{
    enum manifest_kind kind;
    const struct manifest_pack *pack; /* MANIFEST_PACK */
    const char *path;                 /* relative; bytes, not always UTF-8 */
    const char *target;               /* LINK: where to; TABLESPACE: its path */
    const char *oid;                  /* TABLESPACE */
    uint32_t mode;                    /* permission bits, & 0777 */
    uint64_t size;
    int64_t mtime;       /* us since 1970 UTC */
    uint32_t crc;        /* CRC-32C of the content */
    size_t extent_count; /* of the whole file; extents come in runs, see manifest_read */
};

struct manifest_writer;
/* Pushes lines into an object of kind 5 that goes to backup/<label>/manifest.  Packs first, then
   tablespaces, then entries in strictly ascending order (manifest_path_compare). */
enum cpam_status manifest_writer_new(struct repo *repo, const struct backup_summary *head,
                                     const struct manifest_setting *settings, size_t setting_count,
                                     struct manifest_writer **out, struct cpam_err *err) CPAM_CHECK;
enum cpam_status manifest_writer_add(struct manifest_writer *writer,
                                     const struct manifest_entry *entry,
                                     const struct manifest_extent *extents,
                                     struct cpam_err *err) CPAM_CHECK;
/* The end line with the summary's members; then the object is stored.  Fills manifest_h/d/size of
   *summary. */
enum cpam_status manifest_writer_finish(struct manifest_writer *writer,
                                        struct backup_summary *summary,
                                        struct cpam_err *err) CPAM_CHECK;
void manifest_writer_free(struct manifest_writer *writer);
CPAM_SCOPED(manifest_writer_free, struct manifest_writer);

/*
 * Stream a backup's manifest through callbacks, checked: order, uniqueness, limits, paths that stay
 * inside, sums, frames that exist; at the end totals, its SHA-256, and the end line's summary held
 * member by member against *summary.  A caller must not act on entries in a way it can't take back
 * before this has returned CPAM_OK (base-fetch plans first).
 */
struct manifest_reader_ops
{
    enum cpam_status (*entry)(void *arg, const struct manifest_entry *entry, struct cpam_err *err);
    /* follows entry() of a FILE, once or more; in order, `at` is the offset in the file */
    enum cpam_status (*extents)(void *arg, uint64_t at, const struct manifest_extent *extents,
                                size_t count, struct cpam_err *err);
    /* once for each setting of the head line, before any entry; may be NULL */
    enum cpam_status (*setting)(void *arg, const struct manifest_setting *setting,
                                struct cpam_err *err);
};
enum cpam_status manifest_read(struct repo *repo, const struct backup_summary *summary,
                               const struct manifest_reader_ops *ops, void *arg,
                               struct cpam_err *err) CPAM_CHECK;

/* The order of entries: component by component, bytes compared as unsigned. */
int manifest_path_compare(const char *a, const char *b);

#endif
