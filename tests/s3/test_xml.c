/*
 * test_xml.c - what a store's XML may be, and what is refused.
 */
#include "suite.h"

#include <stdio.h>

#include "s3/xml.h"

struct notes
{
    char text[4096];
    size_t used;
};

static enum cpam_status
note(void *arg, const char *path, const char *text, struct cpam_err *err)
{
    struct notes *notes = arg;

    (void) err;
    notes->used += (size_t) snprintf(notes->text + notes->used, sizeof(notes->text) - notes->used,
                                     "%s=%s;", path, text);
    return CPAM_OK;
}

static enum cpam_status
stop_at_b(void *arg, const char *path, const char *text, struct cpam_err *err)
{
    (void) arg, (void) text;
    if (strcmp(path, "a/b") == 0)
        return cpam_fail(err, CPAM_UNKNOWN, 0, "enough of %s", path);
    return CPAM_OK;
}

static const struct
{
    const char *xml, *notes;
} read_well[] = {
    {"<a/>", "a=;"},
    {"<a><b>x</b><b>y</b></a>", "a/b=x;a/b=y;a=;"},
    {"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a xmlns=\"http://x/\"><b c=\"d\">x</b></a>",
     "a/b=x;a=;"},
    {"<a><b>&lt;&amp;&quot;&#65;</b></a>", "a/b=<&\"A;a=;"},
    {"<a><b><![CDATA[<x>]]></b></a>", "a/b=<x>;a=;"},
    {"<a><b>\xc3\xbc</b></a>", "a/b=\xc3\xbc;a=;"},
    {"<a><!-- no --><b/></a>", "a/b=;a=;"},
    {" \r\n\t\n<?xml version=\"1.0\"?><a/>\n", "a=;"},
};

static const struct
{
    const char *xml, *why;
} refused[] = {
    {"", "can't be read"},
    {"no xml", "can't be read"},
    {" \n", "can't be read"},
    {"\v<a/>", "can't be read"},
    {"<a><b></a>", "can't be read"},
    {"<a>", "can't be read"},
    {"<a/><b/>", "can't be read"},
    {"<a>\xff</a>", "can't be read"},
    {"<a>&nosuch;</a>", "can't be read"},
    {"<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>", "has a document type"},
    {"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "has a document type"},
    {"<1><2/></1>", "can't be read"},
    {"<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>", "nested too deeply"},
};

START_TEST(document_is_told)
{
    struct notes notes = {.used = 0};
    const struct s3_xml_handler handler = {.end = note, .arg = &notes};
    struct cpam_err err;

    ck_ok(s3_xml_read(read_well[_i].xml, strlen(read_well[_i].xml), &handler, &err), &err);
    ck_assert_str_eq(notes.text, read_well[_i].notes);
}
END_TEST

START_TEST(document_is_refused)
{
    struct notes notes = {.used = 0};
    const struct s3_xml_handler handler = {.end = note, .arg = &notes};
    struct cpam_err err;

    ck_fails(s3_xml_read(refused[_i].xml, strlen(refused[_i].xml), &handler, &err), CPAM_CORRUPT,
             refused[_i].why, &err);
}
END_TEST

START_TEST(long_text_and_long_names_are_refused)
{
    struct notes notes = {.used = 0};
    const struct s3_xml_handler handler = {.end = note, .arg = &notes};
    static char text[S3_XML_TEXT_MAX + 32];
    struct cpam_err err;

    memset(text, 'x', sizeof(text));
    memcpy(text, "<a>", 3);
    memcpy(text + sizeof(text) - 4, "</a>", 4);
    ck_fails(s3_xml_read(text, sizeof(text), &handler, &err), CPAM_CORRUPT, "more than 8192", &err);
    memset(text, 'x', sizeof(text));
    text[0] = '<';
    memcpy(text + sizeof(text) - 2, "/>", 2);
    ck_fails(s3_xml_read(text, sizeof(text), &handler, &err), CPAM_CORRUPT, "too deeply", &err);
}
END_TEST

START_TEST(handler_ends_it)
{
    static const char xml[] = "<a><b/><c/></a>";
    const struct s3_xml_handler handler = {.end = stop_at_b};
    struct cpam_err err;

    ck_fails(s3_xml_read(xml, strlen(xml), &handler, &err), CPAM_UNKNOWN, "enough of a/b", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("xml");
    TCase *tcase = tcase_create("read");

    tcase_add_loop_test(tcase, document_is_told, 0, sizeof(read_well) / sizeof(read_well[0]));
    tcase_add_loop_test(tcase, document_is_refused, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, long_text_and_long_names_are_refused);
    tcase_add_test(tcase, handler_ends_it);
    suite_add_tcase(suite, tcase);
    return suite;
}
