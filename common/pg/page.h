/*
 * page.h - a page of a relation: its checksum, its LSN, and whether it was ever used.
 *
 * Source: PostgreSQL documentation, "Database Page Layout" (pd_lsn, pd_checksum, pd_upper) and
 * "Data Checksums"; storage/checksum_impl.h for the sum, which is the same in 14 to 18: 32 FNV-1a
 * hashes side by side over the page's 32-bit words, each with an offset of its own, two rounds of
 * zeros, folded, mixed with the block's number in the relation.  Numbers on a page are in the
 * machine's own byte order.
 */
#ifndef CPAM_PG_PAGE_H
#define CPAM_PG_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "pg/segment.h"

enum
{
    PAGE_SIZE = 8192 /* BLCKSZ; control_parse() refuses others */
};

/* block: in the whole relation fork, across its files of 1 GiB. */
uint16_t page_checksum(const uint8_t page[PAGE_SIZE], uint32_t block);

/* As page_checksum() on a CPU without wide registers: for tests. */
uint16_t page_checksum_portable(const uint8_t page[PAGE_SIZE], uint32_t block);

enum page_verdict
{
    PAGE_GOOD,
    PAGE_NEW,    /* all zeros: allocated and not used yet */
    PAGE_DAMAGED /* the checksum does not fit, or a page that says it is new is not empty */
};
enum page_verdict page_verify(const uint8_t page[PAGE_SIZE], uint32_t block);

/* pd_lsn: behind the last WAL record that changed the page. */
struct lsn page_lsn(const uint8_t page[PAGE_SIZE]);

#endif
