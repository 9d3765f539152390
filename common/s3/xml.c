/*
 * xml.c - expat with limits.
 */
#include "s3/xml.h"

#include <expat.h>
#include <limits.h>
#include <string.h>

struct reader
{
    XML_Parser parser;
    const struct s3_xml_handler *handler;
    char path[S3_XML_PATH_MAX];
    size_t ends[S3_XML_DEPTH]; /* length of path before each open element */
    size_t depth;
    struct cpam_buf text;
    enum cpam_status status;
    struct cpam_err *err;
};

static void
stop(struct reader *reader, enum cpam_status status)
{
    reader->status = status;
    if (status != CPAM_OK)
        XML_StopParser(reader->parser, XML_FALSE);
}

static void
on_start(void *arg, const char *name, const char **attributes)
{
    struct reader *reader = arg;
    const char *colon = strchr(name, ':');
    const char *local = colon != NULL ? colon + 1 : name; /* "s3:Error" is an Error too */
    size_t used = strlen(reader->path), size = strlen(local);

    (void) attributes;
    if (reader->status != CPAM_OK)
        return;
    if (reader->depth == S3_XML_DEPTH || used + 2 > sizeof(reader->path) ||
        size > sizeof(reader->path) - used - 2)
    {
        stop(reader,
             cpam_fail(reader->err, CPAM_CORRUPT, 0, "the XML answer is nested too deeply"));
        return;
    }
    reader->ends[reader->depth++] = used;
    if (used > 0)
        reader->path[used++] = '/';
    memcpy(reader->path + used, local, size + 1);
    reader->text.size = 0;
    if (reader->handler->start != NULL)
        stop(reader, reader->handler->start(reader->handler->arg, reader->path, reader->err));
}

static void
on_end(void *arg, const char *name)
{
    struct reader *reader = arg;

    (void) name;
    if (reader->status != CPAM_OK)
        return;
    const char *text = cpam_buf_text(&reader->text);
    if (text == NULL)
    {
        stop(reader, cpam_fail(reader->err, CPAM_NO_MEMORY, 0, "no memory for an XML answer"));
        return;
    }
    stop(reader, reader->handler->end(reader->handler->arg, reader->path, text, reader->err));
    reader->path[reader->ends[--reader->depth]] = '\0';
    reader->text.size = 0;
}

static void
on_text(void *arg, const char *text, int size)
{
    struct reader *reader = arg;

    if (reader->status != CPAM_OK)
        return;
    if ((size_t) size > S3_XML_TEXT_MAX - reader->text.size)
        stop(reader, cpam_fail(reader->err, CPAM_CORRUPT, 0,
                               "the XML answer has more than %d bytes in \"%s\"", S3_XML_TEXT_MAX,
                               reader->path));
    else
        stop(reader,
             cpam_buf_append(&reader->text, text, (size_t) size, S3_XML_TEXT_MAX, reader->err));
}

static void
on_doctype(void *arg, const char *name, const char *system, const char *public, int internal)
{
    struct reader *reader = arg;

    (void) name, (void) system, (void) public, (void) internal;
    stop(reader, cpam_fail(reader->err, CPAM_CORRUPT, 0, "the XML answer has a document type"));
}

static void
parser_free(struct XML_ParserStruct *parser)
{
    if (parser != NULL)
        XML_ParserFree(parser);
}
CPAM_SCOPED(parser_free, struct XML_ParserStruct);

enum cpam_status
s3_xml_read(const void *data, size_t size, const struct s3_xml_handler *handler,
            struct cpam_err *err)
{
    CPAM_AUTO(parser_free) struct XML_ParserStruct *parser = XML_ParserCreate("UTF-8");
    struct reader reader = {.parser = parser, .handler = handler, .status = CPAM_OK, .err = err};

    if (parser == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for an XML answer");
    if (size > INT_MAX)
        return cpam_fail(err, CPAM_CORRUPT, 0, "the XML answer is too long");
    /* a store that takes its time keeps the connection alive with white space in front */
    const char *text = data;
    while (size > 0 && strchr(" \t\r\n", *text) != NULL && *text != '\0')
    {
        text++;
        size--;
    }
    XML_SetUserData(parser, &reader);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    XML_SetStartDoctypeDeclHandler(parser, on_doctype);
    enum XML_Status parsed = XML_Parse(parser, text, (int) size, XML_TRUE);
    cpam_buf_clear(&reader.text);
    if (reader.status != CPAM_OK)
        return reader.status;
    if (parsed != XML_STATUS_OK)
        return cpam_fail(err, CPAM_CORRUPT, 0,
                         "the XML answer can't be read: %s at byte %ld of %zu",
                         XML_ErrorString(XML_GetErrorCode(parser)),
                         (long) XML_GetCurrentByteIndex(parser), size);
    return CPAM_OK;
}
