/*
 * wal_stores.h - the stores that tests of the archive run against, and what all of these tests do.
 */
#ifndef CPAM_TESTS_WAL_STORES_H
#define CPAM_TESTS_WAL_STORES_H

#include "repo/repo_fixture.h"

static struct repo_fixture self;
static struct cpam_err err;

static void
begin(void)
{
    repo_fixture_begin(&self, false);
}

static void
begin_versioned(void)
{
    repo_fixture_begin(&self, true);
}

/* The same stores, of which it is known whether they keep versions: objects pass frame by frame. */
static void
begin_told(void)
{
    begin();
    self.bucket.keeping = STORE_KEEPS_NO_VERSIONS;
}

static void
begin_versioned_told(void)
{
    begin_versioned();
    self.bucket.keeping = STORE_KEEPS_VERSIONS;
}

static void
end(void)
{
    repo_fixture_end_with_files(&self);
}

#endif
