/*
 * base_options.c - which options name a target, and which go together.
 */
#include "base_options.h"

#include <string.h>

#include "base/text.h"
#include "cli/as_of.h"

#define AT(member) offsetof(struct base_options, member)

static const struct option_def rows[] = {
    {"latest", 0, OPTION_FLAG, NULL, AT(latest), 0, 0, NULL, "recover to the end of the archive"},
    {"backup", 0, OPTION_TEXT, "LABEL", AT(backup), 0, 0, NULL,
     "restore this backup; with a target: start from it"},
    {"pitr", 0, OPTION_TEXT, "TIME", AT(pitr), 0, 0, NULL,
     "recover to a moment, with its offset: 2026-01-31T12:00:00+01"},
    {"target-lsn", 0, OPTION_TEXT, "LSN", AT(lsn), 0, 0, NULL, "recover to a position in WAL"},
    {"target-xid", 0, OPTION_TEXT, "XID", AT(xid), 0, 0, NULL, "recover to a transaction"},
    {"target-name", 0, OPTION_TEXT, "NAME", AT(name), 0, 0, NULL, "recover to a restore point"},
    {"target-immediate", 0, OPTION_FLAG, NULL, AT(immediate), 0, 0, NULL,
     "stop as soon as the backup is consistent"},
    {"target-timeline", 0, OPTION_TEXT, "TLI", AT(timeline), 0, 0, NULL,
     "along this timeline; default: the latest"},
    {"target-exclusive", 0, OPTION_FLAG, NULL, AT(exclusive), 0, 0, NULL,
     "stop just before the target, not behind it"},
    {"target-action", 0, OPTION_CHOICE, "ACTION", AT(action), 0, 0, "pause|promote|shutdown",
     "pause, promote or shutdown at the target (default pause)"},
    {"standby", 0, OPTION_FLAG, NULL, AT(standby), 0, 0, NULL,
     "make a standby, which goes on replaying"},
    {"recover", 0, OPTION_FLAG, NULL, AT(recover), 0, 0, NULL,
     "replace the original: promote and archive at once"},
    {"accept-end", 0, OPTION_FLAG, NULL, AT(accept_end), 0, 0, NULL,
     "go on although the archive lost something"},
    {"database", 0, OPTION_LIST, "NAME", AT(databases), 0, 0, NULL,
     "only this database; the others come back empty"},
    {"delta", 0, OPTION_FLAG, NULL, AT(delta), 0, 0, NULL,
     "use what is right in the directory; fetch the rest"},
    {"tablespace-map", 0, OPTION_LIST, "OLD=NEW", AT(tablespace_map), 0, 0, NULL,
     "put a tablespace (or a linked pg_wal) somewhere else"},
    {"tablespace-map-all", 0, OPTION_TEXT, "DIR", AT(map_all), 0, 0, NULL,
     "put every other tablespace into DIR/<its oid>"},
    {"config-files", 0, OPTION_TEXT, "DIRECTORY", AT(config_files), 0, 0, NULL,
     "write the configuration that lay outside of the data directory there, and do nothing else"},
    AS_OF_OPTION(AT(as_of)),
    {"dry-run", 0, OPTION_FLAG, NULL, AT(dry_run), 0, 0, NULL, "print the plan, write nothing"},
};

const struct option_table base_option_table = {rows, sizeof(rows) / sizeof(rows[0])};

static enum cpam_status
none_given(struct cpam_err *err)
{
    cpam_fail(err, CPAM_USAGE, 0, "no target given: where should the recovery end");
    cpam_err_hint(err, "one of: --latest (the end of the archive), --pitr TIME, --target-lsn LSN, "
                       "--target-xid XID, --target-name NAME, --target-immediate, --backup LABEL "
                       "(that backup's own state)");
    return CPAM_USAGE;
}

static enum cpam_status
one_kind(const struct base_options *options, struct target *target, struct cpam_err *err)
{
    const struct
    {
        const char *option;
        enum target_kind kind;
        bool given;
    } kinds[] = {
        {"--latest", TARGET_LATEST, options->latest},
        {"--pitr", TARGET_TIME, options->pitr != NULL},
        {"--target-lsn", TARGET_LSN, options->lsn != NULL},
        {"--target-xid", TARGET_XID, options->xid != NULL},
        {"--target-name", TARGET_NAME, options->name != NULL},
        {"--target-immediate", TARGET_IMMEDIATE, options->immediate},
    };
    const char *first = NULL;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
    {
        if (!kinds[i].given)
            continue;
        if (first != NULL)
            return cpam_fail(err, CPAM_USAGE, 0, "%s and %s are two targets; give one", first,
                             kinds[i].option);
        first = kinds[i].option;
        target->kind = kinds[i].kind;
    }
    if (first != NULL)
        return CPAM_OK;
    if (options->standby)
        target->kind = TARGET_LATEST;
    else if (options->backup != NULL)
        target->kind = TARGET_BACKUP;
    else
        return none_given(err);
    return CPAM_OK;
}

static enum cpam_status
values(const struct base_options *options, struct target *target, struct cpam_err *err)
{
    uint64_t number = 0;
    enum cpam_status status = CPAM_OK;

    if (options->pitr != NULL)
        status = text_parse_time(options->pitr, &target->time, err);
    if (status == CPAM_OK && options->lsn != NULL)
        status = lsn_parse(options->lsn, &target->lsn, err);
    if (status == CPAM_OK && options->xid != NULL)
        status = text_parse_u64(options->xid, UINT64_MAX, &target->xid, err);
    if (status == CPAM_OK && options->timeline != NULL && strcmp(options->timeline, "latest") != 0)
    {
        status = text_parse_u64(options->timeline, UINT32_MAX, &number, err);
        if (status == CPAM_OK && number == 0)
            status = cpam_fail(err, CPAM_USAGE, 0, "there is no timeline 0");
        if (status != CPAM_OK)
        {
            cpam_err_prefix(err, "--target-timeline");
            cpam_err_hint(err, "a number, or \"latest\"; cpam-info lists the timelines");
        }
        target->timeline.id = (uint32_t) number;
    }
    target->name = options->name;
    if (status == CPAM_OK && options->name != NULL &&
        (options->name[0] == '\0' || strlen(options->name) > 63))
        status = cpam_fail(err, CPAM_USAGE, 0,
                           "--target-name: the name of a restore point has 1 to 63 bytes");
    if (status == CPAM_OK && options->xid != NULL && target->xid < 3)
        status = cpam_fail(err, CPAM_USAGE, 0, "--target-xid: transactions begin with 3");
    if (status == CPAM_OK)
        return CPAM_OK;
    err->status = CPAM_USAGE;
    return CPAM_USAGE;
}

static enum cpam_status
check_together(const struct base_options *options, const struct target *target,
               struct cpam_err *err)
{
    bool boundary =
        target->kind == TARGET_TIME || target->kind == TARGET_LSN || target->kind == TARGET_XID;

    if (options->databases.count > 0 && (options->standby || options->recover))
        return cpam_fail(
            err, CPAM_USAGE, 0,
            "--database makes a copy that lacks the other databases: it can be neither "
            "a standby nor the original again (%s)",
            options->standby ? "--standby" : "--recover");
    if (options->standby && options->recover)
        return cpam_fail(err, CPAM_USAGE, 0, "--standby and --recover exclude each other");
    if (options->standby && target->kind != TARGET_LATEST)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "--standby goes on replaying: it has no target but --latest");
    if (options->standby && options->action != NULL)
        return cpam_fail(err, CPAM_USAGE, 0, "--standby has no --target-action");
    if (options->standby && options->as_of != NULL)
        return cpam_fail(
            err, CPAM_USAGE, 0,
            "--standby goes on replaying what comes: it can't follow an archive --as-of "
            "the past");
    if (options->exclusive && !boundary)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "--target-exclusive needs --pitr, --target-lsn or --target-xid");
    if (target->kind == TARGET_LATEST && options->action != NULL &&
        strcmp(options->action, "promote") != 0)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "--latest ends where the archive ends, and there PostgreSQL always "
                         "promotes; --target-action %s needs a target",
                         options->action);
    if (target->kind == TARGET_BACKUP && options->timeline != NULL)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "--backup alone restores that backup's own state, on its own timeline; "
                         "--target-timeline needs a target");
    return CPAM_OK;
}

enum cpam_status
base_options_target(const struct base_options *options, struct target *target, const char **action,
                    struct cpam_err *err)
{
    *target = (struct target){0};
    CPAM_TRY(one_kind(options, target, err));
    CPAM_TRY(values(options, target, err));
    CPAM_TRY(check_together(options, target, err));
    target->backup = options->backup;
    target->exclusive = options->exclusive;
    target->accept_end = options->accept_end;
    *action = options->action;
    if (*action == NULL)
        *action = options->recover || target->kind == TARGET_LATEST ? "promote" : "pause";
    return CPAM_OK;
}

enum cpam_status
base_options_arguments(const struct base_options *options, int argc, struct cpam_err *err)
{
    if (options->config_files == NULL)
    {
        if (argc == 1)
            return CPAM_OK;
        cpam_fail(err, CPAM_USAGE, 0, "the directory to restore into is missing");
        cpam_err_hint(err, "it is the last argument; \"cpam-base-fetch --help\" tells more");
        return CPAM_USAGE;
    }
    bool more = options->pitr != NULL || options->lsn != NULL || options->xid != NULL ||
                options->name != NULL || options->immediate || options->standby ||
                options->recover || options->exclusive || options->action != NULL ||
                options->timeline != NULL || options->tablespace_map.count > 0;

    if (argc > 0 || more)
        return cpam_fail(err, CPAM_USAGE, 0,
                         "--config-files restores nothing but configuration: it goes with --latest "
                         "or --backup LABEL, and with no other directory");
    return CPAM_OK;
}
