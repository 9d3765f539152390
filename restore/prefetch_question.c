/*
 * prefetch_question.c - "000000010000000000000005" or "000000010000000000000005@dr".
 */
#include "prefetch_question.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

bool
prefetch_question_write(const char *name, const char *repo, char out[HANDOFF_NAME_MAX])
{
    int size = snprintf(out, HANDOFF_NAME_MAX, "%s%s%s", name, repo == NULL ? "" : "@",
                        repo == NULL ? "" : repo);

    return size > 0 && size < HANDOFF_NAME_MAX;
}

void
prefetch_question_run(const struct fetch_server *server, struct handoff_stamp *out)
{
    struct cpam_err ignored;
    uint64_t started = 0;

    memset(out, 0, sizeof(*out));
    if (!server->present ||
        text_parse_u64(server->pid, INT32_MAX, &out->device, &ignored) != CPAM_OK ||
        text_parse_u64(server->started, INT64_MAX, &started, &ignored) != CPAM_OK)
        return;
    out->changed = (int64_t) started;
}

enum cpam_status
prefetch_question_parse(const char *text, uint32_t segment_size, struct prefetch_question *out,
                        struct segment *segment, struct cpam_err *err)
{
    size_t size = strcspn(text, "@");

    if (size >= sizeof(out->name) || strlen(text) >= sizeof(out->repo))
        return cpam_fail(err, CPAM_INVALID, 0, "\"%.80s\" is no segment's name", text);
    memcpy(out->name, text, size);
    out->name[size] = '\0';
    snprintf(out->repo, sizeof(out->repo), "%s", text[size] == '@' ? text + size + 1 : "");
    return segment_parse(out->name, segment_size, segment, err);
}
