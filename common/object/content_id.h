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
enum cpam_status content_id_new(const struct keyring *keyring, const char *logical_name,
                                struct content_id **out, struct cpam_err *err) CPAM_CHECK;
enum cpam_status content_id_add(struct content_id *id, const void *data, size_t size,
                                struct cpam_err *err) CPAM_CHECK;
enum cpam_status content_id_end(struct content_id *id, uint8_t out[CONTENT_ID_SIZE],
                                struct cpam_err *err) CPAM_CHECK;
void content_id_free(struct content_id *id);
CPAM_SCOPED(content_id_free, struct content_id);

#endif
