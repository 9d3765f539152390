/*
 * make_repo.c - make_repo CONFIG REPOSITORY SYSID MAJOR SEGMENT_SIZE: a repository to test with,
 * made as "cpam-repo create" makes one, but for a cluster that there is no server of.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/repository.h"
#include "io/io.h"

static enum cpam_status
make(char **argv, struct cpam_err *err)
{
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    CPAM_AUTO(repository_free) struct repository *fresh = NULL;
    CPAM_AUTO(repository_free) struct repository *made = NULL;
    const struct repository_settings *which;
    struct repository_purpose purpose = {.for_write = true};
    struct cluster_record record = {strtoull(argv[3], NULL, 10),
                                    (unsigned) strtoul(argv[4], NULL, 10),
                                    (uint32_t) strtoul(argv[5], NULL, 10)};

    CPAM_TRY(settings_load(io_posix(), argv[1], &settings, err));
    CPAM_TRY(settings_repository(settings, argv[2], &which, err));
    CPAM_TRY(repository_open_new(io_posix(), settings, which, purpose, (struct deadline){0}, &fresh,
                                 err));
    CPAM_TRY(
        repo_create(io_posix(), repository_repo_settings(fresh), repository_keyring(fresh), err));
    CPAM_TRY(
        repository_open(io_posix(), settings, which, purpose, (struct deadline){0}, &made, err));
    return cluster_record_put(repository_repo(made), &record, err);
}

int
main(int argc, char **argv)
{
    struct cpam_err err;

    if (argc != 6)
        return 2;
    if (make(argv, &err) == CPAM_OK)
        return 0;
    fprintf(stderr, "make_repo: %s\n", err.text);
    return 1;
}
