/*
 * make_conflict.c - make_conflict CONFIG REPOSITORY FILE: a second content of a WAL file, as an
 * archive joined from two would have it: a genuine object beside the name, <name>.<16 hex>.
 */
#include <stdio.h>
#include <string.h>

#include "cli/repository.h"
#include "repo/layout.h"
#include "repo/wal_seal.h"

static enum cpam_status
make(char **argv, struct cpam_err *err)
{
    CPAM_AUTO(settings_free) struct settings *settings = NULL;
    CPAM_AUTO(repository_free) struct repository *repository = NULL;
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    const struct repository_settings *which;
    struct repository_purpose purpose = {.for_write = true};
    char plain[LAYOUT_KEY_MAX], beside[LAYOUT_KEY_MAX];
    uint8_t content_id[CONTENT_ID_SIZE];
    struct object_digest digest;
    uint64_t sysid = 0;

    CPAM_TRY(settings_load(io_posix(), argv[1], &settings, err));
    CPAM_TRY(settings_repository(settings, argv[2], &which, err));
    CPAM_TRY(repository_open(io_posix(), settings, which, purpose, (struct deadline){0},
                             &repository, err));
    struct repo *repo = repository_repo(repository);
    size_t count;
    CPAM_TRY(cluster_record_list(repo, &sysid, 1, &count, err));
    CPAM_TRY(wal_item_read(io_posix(), argv[3], layout_base_name(argv[3]), sysid, &item, err));
    layout_wal(item->sysid, &item->name, plain);
    CPAM_TRY(wal_content_id(repo, item, plain, content_id, err));
    layout_wal_beside(item->sysid, &item->name, content_id, beside);
    struct wal_sealing sealing = {.repo = repo, .item = item, .key = beside};
    return wal_seal_put(&sealing, NULL, &digest, err);
}

int
main(int argc, char **argv)
{
    struct cpam_err err;

    if (argc != 4)
        return 2;
    if (make(argv, &err) == CPAM_OK)
        return 0;
    fprintf(stderr, "make_conflict: %s\n", err.text);
    return 1;
}
