/*
 * fuzz_wal_page.c - the first page of a WAL segment, and whether it fits a name.
 */
#include "fuzz.h"

#include "pg/wal_page.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wal_page page;
    struct archive_name name;
    bool needs_history = false;
    struct cpam_err err;

    if (wal_page_parse(data, size, &page, &err) != CPAM_OK)
        return 0;
    MUST(archive_name_parse("000000010000000000000001", &name, &err) == CPAM_OK);
    (void) !wal_page_check(&page, &name, page.segment_size, 0, NULL, &needs_history, &err);
    return 0;
}
