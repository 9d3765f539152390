/*
 * fuzz_xml.c - what an S3 server answers.
 */
#include "fuzz.h"

#include "s3/xml.h"

static enum cpam_status
start(void *arg, const char *path, struct cpam_err *err)
{
    (void) arg;
    (void) err;
    MUST(strlen(path) < S3_XML_PATH_MAX);
    return CPAM_OK;
}

static enum cpam_status
end(void *arg, const char *path, const char *text, struct cpam_err *err)
{
    (void) arg;
    (void) err;
    MUST(strlen(path) < S3_XML_PATH_MAX && strlen(text) <= S3_XML_TEXT_MAX);
    return CPAM_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct s3_xml_handler handler = {start, end, NULL};
    struct cpam_err err;

    (void) !s3_xml_read(data, size, &handler, &err);
    return 0;
}
