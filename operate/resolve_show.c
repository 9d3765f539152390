/*
 * resolve_show.c - both sides of a conflict, for a person or a program.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "resolve.h"

enum
{
    SHOWN_MAX = 1 << 20
};

static const char *const states[] = {
    [RESOLVE_SAME] = "the archived and the local content are the same: there is no conflict",
    [RESOLVE_ABSENT] = "nothing is archived under this name",
    [RESOLVE_CONFLICT] = "two contents claim this name",
    [RESOLVE_ASIDE] = "resolved: the archived content has the name, the local one is in quarantine",
    [RESOLVE_ALONE] = "it is archived, and there is no local file to hold it against",
};
static const char *const words[] = {
    [RESOLVE_SAME] = "same",   [RESOLVE_ABSENT] = "absent", [RESOLVE_CONFLICT] = "conflict",
    [RESOLVE_ASIDE] = "aside", [RESOLVE_ALONE] = "alone",
};

static enum cpam_status
side_text(struct cpam_buf *out, const char *what, const char *time_is,
          const struct resolve_side *side, struct cpam_err *err)
{
    char id[2 * CONTENT_ID_SIZE + 1], when[TEXT_TIME_MAX], timeline[32] = "not looked at";

    if (!side->there)
        return CPAM_OK;
    text_hex(side->content, CONTENT_ID_SIZE, id);
    text_format_time(side->when, when);
    if (side->has_timeline)
        snprintf(timeline, sizeof(timeline), "%" PRIu32, side->timeline.id);
    return cpam_buf_printf(out, SHOWN_MAX, err,
                           "  %s content id %s, %" PRIu64 " bytes, system identifier %" PRIu64
                           ", timeline %s, %s %s\n",
                           what, id, side->bytes, side->sysid, timeline, time_is, when);
}

static enum cpam_status
difference_text(struct cpam_buf *out, const struct resolve *resolve,
                const struct resolve_view *view, struct cpam_err *err)
{
    char lsn[LSN_TEXT_MAX], left[LSN_TEXT_MAX];

    if (view->trouble[0] != '\0')
        return cpam_buf_printf(out, SHOWN_MAX, err, "  the archived object is damaged: %s\n",
                               view->trouble);
    if (view->state != RESOLVE_CONFLICT && view->state != RESOLVE_ASIDE)
        return CPAM_OK;
    if (!view->compared)
        return cpam_buf_printf(out, SHOWN_MAX, err,
                               "  where they differ was not looked at: this host has no key to"
                               " open what is archived\n");
    CPAM_TRY(cpam_buf_printf(out, SHOWN_MAX, err, "  they differ from byte %" PRIu64 " on",
                             view->offset));
    lsn_format(view->lsn, lsn);
    if (!view->has_lsn)
        return cpam_buf_printf(out, SHOWN_MAX, err, "\n");
    CPAM_TRY(cpam_buf_printf(out, SHOWN_MAX, err, ", LSN %s", lsn));
    if (view->left_for.id == 0)
        return cpam_buf_printf(out, SHOWN_MAX, err,
                               "; no timeline in this archive left timeline %" PRIu32
                               " before that\n",
                               resolve->name.timeline.id);
    lsn_format(view->left_at, left);
    return cpam_buf_printf(out, SHOWN_MAX, err,
                           "; timeline %" PRIu32 " left timeline %" PRIu32
                           " at %s, so the difference lies only past that switch\n",
                           view->left_for.id, resolve->name.timeline.id, left);
}

static enum cpam_status
show_text(const struct resolve *resolve, struct cpam_buf *out, struct cpam_err *err)
{
    for (size_t i = 0; i < resolve->count; i++)
    {
        const struct resolve_view *view = &resolve->views[i];

        CPAM_TRY(cpam_buf_printf(out, SHOWN_MAX, err, "%s in repository \"%s\": %s\n",
                                 resolve->name.text, view->settings->name, states[view->state]));
        CPAM_TRY(side_text(out, "archived:", "stored", &view->archived, err));
        CPAM_TRY(side_text(out, "local:   ", "written", &view->local, err));
        CPAM_TRY(difference_text(out, resolve, view, err));
        if (view->state == RESOLVE_ABSENT && resolve->options->keep != NULL &&
            strcmp(resolve->options->keep, "archived") == 0)
            CPAM_TRY(cpam_buf_printf(out, SHOWN_MAX, err,
                                     "  LOOK: the server's archiver will put the local file"
                                     " there\n"));
        if (view->done[0] != '\0')
            CPAM_TRY(cpam_buf_printf(out, SHOWN_MAX, err, "  %s\n", view->done));
    }
    return CPAM_OK;
}

static void
side_json(struct json_writer *json, const char *key, const struct resolve_side *side)
{
    char id[2 * CONTENT_ID_SIZE + 1], when[TEXT_TIME_MAX];

    if (!side->there)
    {
        json_put_null(json, key);
        return;
    }
    text_hex(side->content, CONTENT_ID_SIZE, id);
    text_format_time(side->when, when);
    json_begin_object(json, key);
    json_put_text(json, "content_id", id);
    json_put_u64(json, "bytes", side->bytes);
    json_put_u64_text(json, "system_identifier", side->sysid);
    if (side->has_timeline)
        json_put_u64(json, "timeline", side->timeline.id);
    else
        json_put_null(json, "timeline");
    json_put_text(json, "time", when);
    json_end(json);
}

static void
view_json(struct json_writer *json, const struct resolve_view *view)
{
    char lsn[LSN_TEXT_MAX];

    json_begin_object(json, NULL);
    json_put_text(json, "repository", view->settings->name);
    json_put_text(json, "state", words[view->state]);
    side_json(json, "archived", &view->archived);
    side_json(json, "local", &view->local);
    if (view->compared && view->state != RESOLVE_SAME)
    {
        json_put_u64(json, "first_difference", view->offset);
        lsn_format(view->lsn, lsn);
        if (view->has_lsn)
            json_put_text(json, "first_difference_lsn", lsn);
        json_put_bool(json, "only_past_switch", view->left_for.id != 0);
    }
    if (view->trouble[0] != '\0')
        json_put_text(json, "damage", view->trouble);
    if (view->done[0] != '\0')
        json_put_text(json, "action", view->done);
    json_end(json);
}

static enum cpam_status
show_json(const struct resolve *resolve, struct cpam_buf *out, struct cpam_err *err)
{
    struct json_writer json = {.buf = out, .limit = SHOWN_MAX};

    json_begin_object(&json, NULL);
    json_put_u64(&json, "schema", RESOLVE_SCHEMA);
    json_put_text(&json, "name", resolve->name.text);
    json_begin_array(&json, "repositories");
    for (size_t i = 0; i < resolve->count; i++)
        view_json(&json, &resolve->views[i]);
    json_end(&json);
    json_end(&json);
    CPAM_TRY(json_writer_end(&json, err));
    return cpam_buf_printf(out, SHOWN_MAX, err, "\n");
}

enum cpam_status
resolve_show(const struct resolve *resolve, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf out = {0};

    if (resolve->cli->json)
        CPAM_TRY(show_json(resolve, &out, err));
    else
        CPAM_TRY(show_text(resolve, &out, err));
    if (fwrite(out.data, 1, out.size, stdout) != out.size || fflush(stdout) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not write to stdout");
    return CPAM_OK;
}
