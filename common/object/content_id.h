/*
 * content_id.h - the keyed id by which a writer knows content again (format-1.md 2.7).
 *
 * Equal ids under one logical name mean equal content.  Nobody without the match key can confirm a
 * guess of the content from it.
 */
#ifndef CPAM_OBJECT_CONTENT_ID_H
#define CPAM_OBJECT_CONTENT_ID_H

#include "crypto/keyring.h"

enum
{
    CONTENT_ID_SIZE = 32
};

struct content_id;
/*
 * content_id_new makes the id that is written.  When a name is taken by an object with another id,
 * the content may still be the same, its id made with an older key: content_id_new_root with 1 ..
 * keyring_match_roots() - 1 (crypto/authority.h) makes the ids of the further keys held.
 * The context is made for one content; ids may be compared with memcmp: they are no secret.
 */
enum cpam_status content_id_new_root(const struct keyring *keyring, size_t root,
                                     const char *logical_name, struct content_id **out,
                                     struct cpam_err *err) CPAM_CHECK;
enum cpam_status content_id_new(const struct keyring *keyring, const char *logical_name,
                                struct content_id **out, struct cpam_err *err) CPAM_CHECK;
enum cpam_status content_id_add(struct content_id *id, const void *data, size_t size,
                                struct cpam_err *err) CPAM_CHECK;
enum cpam_status content_id_end(struct content_id *id, uint8_t out[CONTENT_ID_SIZE],
                                struct cpam_err *err) CPAM_CHECK;
void content_id_free(struct content_id *id);
CPAM_SCOPED(content_id_free, struct content_id);

#endif
