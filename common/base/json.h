/*
 * json.h - small JSON documents, read strictly and written piece by piece.
 *
 * Reading: the whole text is one object, valid UTF-8, without duplicate keys, without NUL inside a
 * text, and within a size the caller states.  Each getter says which key of which document is
 * missing or of the wrong kind (CPAM_CORRUPT: our own documents are authenticated before they are
 * read, so a wrong one is damage, not input; a caller that reads a person's file changes the
 * status).  Unknown keys are refused by json_only(), where a document has no room for them.
 *
 * 64-bit numbers that may pass 2^63 - 1 (system identifiers) are written as texts; json_get_u64 takes
 * both forms.
 *
 * Writing: a json_writer appends to a cpam_buf; commas are its business.  Nothing is kept but the
 * nesting, so that a document of any length can be streamed by emptying the buffer in between.
 */
#ifndef CPAM_BASE_JSON_H
#define CPAM_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/scope.h"

/* json_decref accepts NULL; a static inline of its own because of jansson's own scoping macros. */
static inline void
json_doc_free(json_t *doc)
{
    json_decref(doc);
}
CPAM_SCOPED(json_doc_free, json_t);

/* `what` names the document in sentences ("backup summary"). */
enum cpam_status json_read(const char *what, const void *text, size_t size, size_t limit,
                           json_t **out, struct cpam_err *err) CPAM_CHECK;

/* Texts point into the object and live as long as it does. */
enum cpam_status json_get_text(const json_t *object, const char *key, const char **out,
                               struct cpam_err *err) CPAM_CHECK;
/* NULL when the key is absent or null. */
enum cpam_status json_get_text_optional(const json_t *object, const char *key, const char **out,
                                        struct cpam_err *err) CPAM_CHECK;
/* A number without sign or fraction, or a text of digits. */
enum cpam_status json_get_u64(const json_t *object, const char *key, uint64_t max, uint64_t *out,
                              struct cpam_err *err) CPAM_CHECK;
/* The same; `otherwise` when the key is absent or null. */
enum cpam_status json_get_u64_optional(const json_t *object, const char *key, uint64_t max,
                                       uint64_t otherwise, uint64_t *out,
                                       struct cpam_err *err) CPAM_CHECK;
enum cpam_status json_get_i64(const json_t *object, const char *key, int64_t *out,
                              struct cpam_err *err) CPAM_CHECK;
enum cpam_status json_get_bool(const json_t *object, const char *key, bool *out,
                               struct cpam_err *err) CPAM_CHECK;
enum cpam_status json_get_array(const json_t *object, const char *key, size_t max, json_t **out,
                                struct cpam_err *err) CPAM_CHECK;
enum cpam_status json_get_object(const json_t *object, const char *key, json_t **out,
                                 struct cpam_err *err) CPAM_CHECK;
/* The element of an array, which must be an object / a text. */
enum cpam_status json_object_at(const json_t *array, size_t index, json_t **out,
                                struct cpam_err *err) CPAM_CHECK;
enum cpam_status json_text_at(const json_t *array, size_t index, const char **out,
                              struct cpam_err *err) CPAM_CHECK;
/* Refuses the first key that is not in the NULL-terminated list. */
enum cpam_status json_only(const json_t *object, const char *const *known,
                           struct cpam_err *err) CPAM_CHECK;

enum
{
    JSON_DEPTH_MAX = 16
};

/*
 * A zeroed writer with `buf` and `limit` set is ready.  The first failure stays: later calls do
 * nothing, and json_writer_end() returns it.  `key` is NULL inside an array and for the outermost
 * value.  A text that is not UTF-8 is a failure (CPAM_INVALID): what may hold any bytes is written
 * by its caller in hex.
 */
struct json_writer
{
    struct cpam_buf *buf;
    size_t limit;
    bool pretty; /* a line each, two spaces a level: for people; without, one line */
    unsigned depth;
    char closer[JSON_DEPTH_MAX];
    bool filled[JSON_DEPTH_MAX + 1];
    enum cpam_status status;
    struct cpam_err err;
};

void json_begin_object(struct json_writer *writer, const char *key);
void json_begin_array(struct json_writer *writer, const char *key);
void json_end(struct json_writer *writer); /* the innermost object or array */
void json_put_text(struct json_writer *writer, const char *key, const char *value);
void json_put_text_size(struct json_writer *writer, const char *key, const char *value,
                        size_t size);
void json_put_u64(struct json_writer *writer, const char *key, uint64_t value);
void json_put_u64_text(struct json_writer *writer, const char *key, uint64_t value);
void json_put_i64(struct json_writer *writer, const char *key, int64_t value);
void json_put_bool(struct json_writer *writer, const char *key, bool value);
void json_put_null(struct json_writer *writer, const char *key);
/* The first failure, or CPAM_INTERNAL when something was left open. */
enum cpam_status json_writer_end(struct json_writer *writer, struct cpam_err *err) CPAM_CHECK;

/* Appends the text with its quotes.  Control bytes, '"' and '\' are escaped, nothing else. */
enum cpam_status json_escape(struct cpam_buf *buf, const char *text, size_t size, size_t limit,
                             struct cpam_err *err) CPAM_CHECK;

#endif
