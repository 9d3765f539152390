/*
 * xml.h - a small XML document, told leaf by leaf.
 *
 * Made for a store's answers: no document type (so no entities of its own making), no more than
 * S3_XML_DEPTH levels, S3_XML_TEXT_MAX bytes of text in an element, and the caller's limit on the
 * whole.  Attributes and namespaces are passed over.  What breaks a rule is CPAM_CORRUPT.
 */
#ifndef CPAM_S3_XML_H
#define CPAM_S3_XML_H

#include "base/buf.h"
#include "base/err.h"
#include "base/scope.h"

enum
{
    S3_XML_DEPTH = 8,
    S3_XML_PATH_MAX = 256,
    S3_XML_TEXT_MAX = 8 << 10
};

/* path: "ListBucketResult/Contents/Key".  start: text is NULL; end: text is what stood directly in
   the element, "" for none. */
struct s3_xml_handler
{
    enum cpam_status (*start)(void *arg, const char *path, struct cpam_err *err); /* may be NULL */
    enum cpam_status (*end)(void *arg, const char *path, const char *text, struct cpam_err *err);
    void *arg;
};

enum cpam_status s3_xml_read(const void *data, size_t size, const struct s3_xml_handler *handler,
                             struct cpam_err *err) CPAM_CHECK;

#endif
