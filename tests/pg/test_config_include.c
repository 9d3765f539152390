/*
 * test_config_include.c - includes of postgresql.conf, pg_hba.conf and pg_ident.conf (B13).
 */
#include "suite.h"

#include <stdio.h>

#include "pg/config_include.h"

static char told[1024];

static enum cpam_status
tell(void *arg, enum config_include kind, const char *path, struct cpam_err *err)
{
    static const char *const kinds[] = {"include", "if_exists", "dir"};
    size_t used = strlen(told);

    (void) arg, (void) err;
    snprintf(told + used, sizeof(told) - used, "%s(%s)", kinds[kind], path);
    return CPAM_OK;
}

static const struct
{
    enum config_grammar grammar;
    unsigned major;
    const char *text, *told;
} rows[] = {
    {CONFIG_SETTINGS, 15, "include 'a.conf'\n", "include(a.conf)"},
    {CONFIG_SETTINGS, 15, "include = 'a.conf'\n", "include(a.conf)"},
    {CONFIG_SETTINGS, 15, "include a.conf # why\n", "include(a.conf)"},
    {CONFIG_SETTINGS, 15, "Include_If_Exists '/x/b'\nport = 5\ninclude_dir 'conf.d'\n",
     "if_exists(/x/b)dir(conf.d)"},
    {CONFIG_SETTINGS, 15, "#include 'a'\nincludes = 'b'\nport = 'include'\ninclude\n", ""},
    {CONFIG_SETTINGS, 15, "include 'it''s'", "include(it's)"},
    {CONFIG_SETTINGS, 15, "", ""},
    /* access files */
    {CONFIG_ACCESS, 15, "local all all trust\n", ""},
    {CONFIG_ACCESS, 15, "local @dbs @users trust\n", "include(dbs)include(users)"},
    {CONFIG_ACCESS, 15, "local a,@dbs,b all trust", "include(dbs)"},
    {CONFIG_ACCESS, 15, "local \"@dbs\" @ trust # @not\n# @nor\nhost @x", "include(x)"},
    {CONFIG_ACCESS, 15, "local \\\n @dbs \\\r\n @users peer\n", "include(dbs)include(users)"},
    {CONFIG_ACCESS, 15, "local @\"my dbs\" all trust\n", "include(my dbs)"},
    {CONFIG_ACCESS, 15, "local @\"a\"\"b\" all trust\n", "include(a\"b)"},
    {CONFIG_ACCESS, 15, "include os pg\ninclude_dir a\n", ""}, /* names of maps then */
    {CONFIG_ACCESS, 16, "include a.conf\r\ninclude_if_exists \"b c\"\n include_dir d\n",
     "include(a.conf)if_exists(b c)dir(d)"},
    {CONFIG_ACCESS, 18, "local include include_dir trust\ninclude @x\n", "include(@x)"},
    {CONFIG_ACCESS, 16, "include\n\n,,\nhost all all \"", ""},
    {CONFIG_ACCESS, 16, "", ""},
};

START_TEST(B13_includes_are_found)
{
    struct cpam_err err;

    told[0] = '\0';
    ck_ok(config_includes(rows[_i].grammar, rows[_i].major, rows[_i].text, strlen(rows[_i].text),
                          tell, NULL, &err),
          &err);
    ck_assert_str_eq(told, rows[_i].told);
}
END_TEST

static enum cpam_status
refuse(void *arg, enum config_include kind, const char *path, struct cpam_err *err)
{
    (void) arg, (void) kind;
    return cpam_fail(err, CPAM_IO, 0, "no %s", path);
}

START_TEST(a_failure_ends_it)
{
    struct cpam_err err;

    ck_fails(config_includes(CONFIG_SETTINGS, 15, "include a\n", 10, refuse, NULL, &err), CPAM_IO,
             "no a", &err);
    ck_fails(config_includes(CONFIG_ACCESS, 15, "local @a\n", 9, refuse, NULL, &err), CPAM_IO,
             "no a", &err);
    ck_fails(config_includes(CONFIG_ACCESS, 16, "include a\n", 10, refuse, NULL, &err), CPAM_IO,
             "no a", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("pg/config_include");
    TCase *tcase = tcase_create("config_include");

    tcase_add_loop_test(tcase, B13_includes_are_found, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, a_failure_ends_it);
    suite_add_tcase(suite, tcase);
    return suite;
}
