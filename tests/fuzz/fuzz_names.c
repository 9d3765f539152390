/*
 * fuzz_names.c - names of WAL files, LSNs: what is read is written the same.
 */
#include "fuzz.h"

#include "pg/segment.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CPAM_AUTO(free) char *text = fuzz_text(data, size);
    struct archive_name name;
    struct segment segment;
    struct lsn lsn, again;
    char out[SEGMENT_NAME_MAX], lsn_text[LSN_TEXT_MAX];
    struct cpam_err err;

    for (unsigned shift = 20; shift <= 30; shift += 2)
    {
        if (segment_parse(text, UINT32_C(1) << shift, &segment, &err) != CPAM_OK)
            continue;
        segment_format(segment, UINT32_C(1) << shift, out);
        MUST(strcmp(out, text) == 0);
    }
    if (archive_name_parse(text, &name, &err) == CPAM_OK)
    {
        MUST(strcmp(name.text, text) == 0 && name.timeline.id != 0);
        if (archive_name_segment(&name, 1 << 24, &segment, &err) == CPAM_OK)
            MUST(segment.timeline.id == name.timeline.id);
    }
    if (lsn_parse(text, &lsn, &err) == CPAM_OK)
    {
        lsn_format(lsn, lsn_text);
        MUST(lsn_parse(lsn_text, &again, &err) == CPAM_OK && again.at == lsn.at);
    }
    return 0;
}
