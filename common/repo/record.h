/*
 * record.h - the repository's clear, signed JSON records: reading, checking, writing.
 *
 * Every record is one object {"format":1,"repo":<uuid>,...} under keyring_sign_json (format-1.md
 * 2.8).  Numbers that may pass 2^53 (system identifiers, LSNs, sequence numbers) are strings.
 * Readers take exactly the members they know: a member too many or one missing is CPAM_CORRUPT,
 * since a record that verified was written by a program that knew something we don't.
 */
#ifndef CPAM_REPO_RECORD_H
#define CPAM_REPO_RECORD_H

#include "base/json.h"
#include "pg/segment.h"
#include "repo/repo.h"

enum
{
    RECORD_MAX = 1 << 20, /* bytes of a stored record */
    RECORD_FORMAT = 1
};

/*
 * Fetch, verify, parse and hold "format" and "repo" against this repository.  *body is the caller's
 * (CPAM_AUTO(json_doc_free)).  digest (may be NULL) gets the SHA-256 of the stored text.
 */
enum cpam_status record_get(struct repo *repo, const char *key, json_t **body,
                            uint8_t digest[SHA256_SIZE], struct cpam_err *err) CPAM_CHECK;

/* A new object that starts with format and repo. */
enum cpam_status record_new(struct repo *repo, json_t **out, struct cpam_err *err) CPAM_CHECK;

/* The signed text of body, as it is stored under key. */
enum cpam_status record_sign(struct repo *repo, const char *key, const json_t *body,
                             struct cpam_buf *text, struct cpam_err *err) CPAM_CHECK;

/* Sign and put-if-absent. */
enum cpam_status record_put(struct repo *repo, const char *key, const json_t *body,
                            struct cpam_err *err) CPAM_CHECK;

/*
 * Reading members.  A reader is opened on an object, each read names one member, and
 * record_end() fails if any read failed (*err speaks of the first) or a member was not read.
 */
struct record_reader
{
    const json_t *object;
    const char *what; /* for sentences: the key of the record */
    size_t seen;
    bool failed;
    struct cpam_err *err;
};

struct record_reader record_read(const json_t *object, const char *what, struct cpam_err *err);
/* The member, or NULL after a failure. */
const json_t *record_member(struct record_reader *reader, const char *name);
const char *record_string(struct record_reader *reader, const char *name);
void record_text(struct record_reader *reader, const char *name, char *out, size_t cap);
uint64_t record_number(struct record_reader *reader, const char *name, uint64_t max);
uint64_t record_number_text(struct record_reader *reader, const char *name, uint64_t max);
bool record_bool(struct record_reader *reader, const char *name);
struct lsn record_lsn(struct record_reader *reader, const char *name);
int64_t record_time(struct record_reader *reader, const char *name);
void record_hex(struct record_reader *reader, const char *name, uint8_t *out, size_t size);
void record_null(struct record_reader *reader, const char *name);
void record_refuse(struct record_reader *reader, const char *name, const char *wanted);
enum cpam_status record_end(struct record_reader *reader) CPAM_CHECK;

/*
 * Writing members: a failure (memory) is remembered in *failed, so that one look at the end is
 * enough.
 */
void record_set(json_t *object, bool *failed, const char *name, json_t *value);
void record_set_number_text(json_t *object, bool *failed, const char *name, uint64_t value);
void record_set_lsn(json_t *object, bool *failed, const char *name, struct lsn value);
void record_set_time(json_t *object, bool *failed, const char *name, int64_t us);
void record_set_hex(json_t *object, bool *failed, const char *name, const uint8_t *data,
                    size_t size);
enum cpam_status record_made(const char *what, bool failed, struct cpam_err *err) CPAM_CHECK;

#endif
