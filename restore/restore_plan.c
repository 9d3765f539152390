/*
 * restore_plan.c - the plan in words.  What was not checked is said, not left out.
 */
#include "restore_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

#define SAY(...) CPAM_TRY(cpam_buf_printf(out, RESTORE_PLAN_MAX, err, __VA_ARGS__))

enum cpam_status
restore_target_text(const struct target *target, struct cpam_buf *out, struct cpam_err *err)
{
    const char *edge = target->exclusive ? "just before it" : "inclusive";
    char text[TEXT_TIME_MAX];

    switch (target->kind)
    {
    case TARGET_LATEST: SAY("the end of the archive"); break;
    case TARGET_BACKUP: SAY("the state of that backup"); break;
    case TARGET_IMMEDIATE: SAY("as soon as the backup is consistent"); break;
    case TARGET_NAME: SAY("restore point \"%s\"", target->name); break;
    case TARGET_XID: SAY("transaction %" PRIu64 ", %s", target->xid, edge); break;
    case TARGET_LSN:
        lsn_format(target->lsn, text);
        SAY("LSN %s, %s", text, edge);
        break;
    case TARGET_TIME:
        text_format_time(target->time, text);
        SAY("%s, %s", text, edge);
        break;
    }
    return CPAM_OK;
}

static enum cpam_status
say_backup(const struct restore_plan *plan, struct cpam_buf *out, struct cpam_err *err)
{
    const struct backup_summary *backup = plan->target->backup;
    char when[TEXT_TIME_MAX];
    char size[TEXT_SIZE_MAX];
    char stored[TEXT_SIZE_MAX];

    text_format_time(backup->stop_time, when);
    text_format_size(plan->survey->bytes, size);
    text_format_size(plan->survey->stored, stored);
    SAY("backup         %s of repository \"%s\", ended %s on timeline %u\n", backup->label,
        plan->repo_name, when, backup->timeline.id);
    SAY("content        %" PRIu64 " files, %s; %s to fetch in %zu packs\n", plan->survey->files,
        size, stored, plan->survey->pack_count);
    return CPAM_OK;
}

static enum cpam_status
say_wal(const struct restore_plan *plan, struct cpam_buf *out, struct cpam_err *err)
{
    const struct target_plan *target = plan->target;
    uint32_t size = target->backup->segment_size;
    char first[SEGMENT_NAME_MAX];
    char last[SEGMENT_NAME_MAX];
    char when[TEXT_TIME_MAX];

    segment_format(target->first, size, first);
    segment_format(target->last, size, last);
    text_format_time(target->latest_reachable, when);
    SAY("WAL            %" PRIu64 " segment%s of %u MiB, %s to %s", target->segments,
        target->segments == 1 ? "" : "s", size >> 20, first, last);
    if (plan->settings->target->kind !=
        TARGET_LSN) /* when what is there was written is not known */
        SAY("; nothing in them is later than %s", when);
    SAY("\n");
    if (target->hole)
    {
        segment_format(target->missing, size, first);
        SAY("hole           segment %s is missing though %s: recovery %s\n", first,
            target->gap != NULL ? "it was written, and given up on purpose"
            : target->overrun   ? "an older timeline has its own"
                                : "later ones are there",
            plan->settings->end_before == NULL ? "can't go past it"
            : target->overrun                  ? "ends in front of it"
                                               : "ends in front of it, as you accepted");
    }
    if (target->rival.id != 0)
    {
        text_format_time(target->rival_created, when);
        SAY("attention      timeline %u has WAL up to %s, %s; --target-timeline %u takes it\n",
            target->rival.id, when,
            plan->settings->target->kind == TARGET_LATEST
                ? "later than this way ends"
                : "and what you look for may be there, off this way",
            target->rival.id);
    }
    return CPAM_OK;
}

static enum cpam_status
say_places(const struct restore_plan *plan, struct cpam_buf *out, struct cpam_err *err)
{
    for (size_t i = 0; i < plan->places->count; i++)
    {
        const struct restore_place *place = &plan->places->items[i];
        uint64_t room = restore_place_room(plan->places, place);
        char size[TEXT_SIZE_MAX];
        char room_text[TEXT_SIZE_MAX] = "unknown";

        text_format_size(place->bytes, size);
        if (room != UINT64_MAX)
            text_format_size(room, room_text);
        SAY("%-14s %s%s%s%s: %s, %s free%s\n", i == 0 ? "restore to" : place->prefix, place->path,
            place->mapped ? " (was " : "", place->mapped ? place->original : "",
            place->mapped ? ")" : "", size, room_text,
            place->adopted ? "; what is right there stays, all else goes"
            : place->ours  ? "; an aborted restore there is thrown away"
                           : "");
    }
    return CPAM_OK;
}

static enum cpam_status
say_unchecked(const struct restore_plan *plan, struct cpam_buf *out, struct cpam_err *err)
{
    const struct target *target = plan->settings->target;

    if (target->kind == TARGET_TIME)
        SAY("not checked    whether a transaction ended after that moment; if none did, PostgreSQL "
            "says that recovery ended before the target, and --latest restores the same\n");
    if (target->kind == TARGET_LSN)
        SAY("not checked    whether WAL was written up to that LSN in its segment\n");
    if (target->kind == TARGET_XID)
        SAY("not checked    whether that transaction is in the WAL\n");
    if (target->kind == TARGET_NAME)
        SAY("not checked    whether that restore point is in the WAL, and there only once; the "
            "oldest backup is taken so as not to miss it, --backup LABEL starts later\n");
    SAY("not checked    whether WAL creates a tablespace: it would get its original path\n");
    return CPAM_OK;
}

enum cpam_status
restore_plan_text(const struct restore_plan *plan, struct cpam_buf *out, struct cpam_err *err)
{
    const struct recovery_settings *settings = plan->settings;

    CPAM_TRY(say_backup(plan, out, err));
    SAY("target         ");
    CPAM_TRY(restore_target_text(settings->target, out, err));
    if (settings->standby)
        SAY("; a standby, it goes on replaying\n");
    else
        SAY("; then %s\n", settings->action);
    SAY("timeline       %u\n", plan->target->timeline.id);
    if (restore_databases_emptied(plan->survey->databases)[0] != '\0')
        SAY("empty          databases that come back without content: %s\n",
            restore_databases_emptied(plan->survey->databases));
    CPAM_TRY(say_wal(plan, out, err));
    CPAM_TRY(say_places(plan, out, err));
    return say_unchecked(plan, out, err);
}

static void
json_target(struct json_writer *json, const struct target *target)
{
    static const char *const kinds[] = {
        [TARGET_LATEST] = "latest", [TARGET_BACKUP] = "backup", [TARGET_IMMEDIATE] = "immediate",
        [TARGET_TIME] = "time",     [TARGET_LSN] = "lsn",       [TARGET_XID] = "xid",
        [TARGET_NAME] = "name",
    };
    char text[TEXT_TIME_MAX];

    json_begin_object(json, "target");
    json_put_text(json, "kind", kinds[target->kind]);
    if (target->kind == TARGET_TIME)
    {
        text_format_time(target->time, text);
        json_put_text(json, "time", text);
    }
    if (target->kind == TARGET_LSN)
    {
        lsn_format(target->lsn, text);
        json_put_text(json, "lsn", text);
    }
    if (target->kind == TARGET_XID)
        json_put_u64_text(json, "xid", target->xid);
    if (target->kind == TARGET_NAME)
        json_put_text(json, "name", target->name);
    json_put_bool(json, "exclusive", target->exclusive);
    json_end(json);
}

static void
json_wal(struct json_writer *json, const struct target_plan *target)
{
    uint32_t size = target->backup->segment_size;
    char name[SEGMENT_NAME_MAX];
    char when[TEXT_TIME_MAX];

    json_begin_object(json, "wal");
    segment_format(target->first, size, name);
    json_put_text(json, "first", name);
    segment_format(target->last, size, name);
    json_put_text(json, "last", name);
    json_put_u64(json, "segments", target->segments);
    text_format_time(target->latest_reachable, when);
    json_put_text(json, "latest_reachable", when);
    json_put_bool(json, "hole", target->hole);
    if (target->rival.id != 0)
    {
        json_put_u64(json, "other_timeline", target->rival.id);
        text_format_time(target->rival_created, when);
        json_put_text(json, "other_timeline_latest", when);
    }
    json_end(json);
}

enum cpam_status
restore_plan_json(const struct restore_plan *plan, struct cpam_buf *out, struct cpam_err *err)
{
    struct json_writer json = {.buf = out, .limit = RESTORE_PLAN_MAX, .pretty = true};
    const struct backup_summary *backup = plan->target->backup;

    json_begin_object(&json, NULL);
    json_put_u64(&json, "schema", 1);
    json_put_text(&json, "repository", plan->repo_name);
    json_put_text(&json, "backup", backup->label);
    json_put_u64_text(&json, "system_identifier", backup->sysid);
    json_put_u64(&json, "timeline", plan->target->timeline.id);
    json_target(&json, plan->settings->target);
    json_put_text(&json, "action", plan->settings->standby ? "standby" : plan->settings->action);
    json_wal(&json, plan->target);
    json_put_bool(&json, "target_checked", !plan->target->unchecked_target);
    json_put_u64(&json, "files", plan->survey->files);
    json_put_u64(&json, "bytes", plan->survey->bytes);
    json_put_u64(&json, "stored_bytes", plan->survey->stored);
    json_put_u64(&json, "packs", plan->survey->pack_count);
    json_begin_array(&json, "places");
    for (size_t i = 0; i < plan->places->count; i++)
    {
        const struct restore_place *place = &plan->places->items[i];

        json_begin_object(&json, NULL);
        json_put_text(&json, "name", place->prefix);
        json_put_text(&json, "path", place->path);
        json_put_u64(&json, "bytes", place->bytes);
        json_end(&json);
    }
    json_end(&json);
    json_put_bool(&json, "dry_run", plan->dry_run);
    json_end(&json);
    return json_writer_end(&json, err);
}
