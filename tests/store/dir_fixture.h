/*
 * dir_fixture.h - a directory store in a folder of its own.
 */
#ifndef CPAM_TESTS_DIR_FIXTURE_H
#define CPAM_TESTS_DIR_FIXTURE_H

#include "suite.h"

#include <stdio.h>
#include <unistd.h>

#include "store/dir_store.h"

static char root[64];
static struct store *store;
static struct cpam_err err;

/* In the folder. */
static void
shell(const char *line)
{
    char command[512];

    snprintf(command, sizeof(command), "cd '%s' && %s", root, line);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static void
open_store(void)
{
    snprintf(root, sizeof(root), "/tmp/cpam-test-dir.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_ok(dir_store_open(io_posix(), root, &store, &err), &err);
}

static void
close_store(void)
{
    char command[256];

    store_free(store);
    snprintf(command, sizeof(command), "chmod -R u+rwx '%s'; rm -rf '%s'", root, root);
    ck_assert_int_eq(system(command), 0);
}

#endif
