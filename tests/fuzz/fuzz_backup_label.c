/*
 * fuzz_backup_label.c - backup_label and tablespace_map.
 */
#include "fuzz.h"

#include "pg/backup_label.h"

static enum cpam_status
take(void *arg, const char *oid, const char *path, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf line = {0};

    (void) arg;
    return tablespace_map_line(&line, oid, path, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CPAM_AUTO(free) char *text = fuzz_text(data, size);
    struct backup_label label;
    struct cpam_err err;

    if (backup_label_parse(text, size, &label, &err) == CPAM_OK)
        MUST(memchr(label.segment, '\0', sizeof(label.segment)) != NULL);
    (void) !tablespace_map_parse(text, size, take, NULL, &err);
    return 0;
}
