/*
 * worker_wanted.c - the server that asked is the one that runs, or none does, and it asks still.
 */
#include "worker_wanted.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "io/file.h"

enum
{
    LOOK_EACH = 1000000,       /* us */
    LATELY = 180 * 1000000,    /* us: a server whose files fail asks at least once a minute */
    POSTMASTER_PID_MAX = 8192, /* bytes; the real one has eight short lines and one path */
    RUN_LINES = 3              /* process, data directory, when it was started */
};

/* "" where no server runs. */
static void
run_of(struct io *io, const char *data, char out[WANTED_RUN_MAX])
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf path = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf content = {0};
    struct cpam_err ignored;
    const char *text = NULL;

    out[0] = '\0';
    if (cpam_buf_printf(&path, 1 << 16, &ignored, "%s/postmaster.pid", data) == CPAM_OK)
        text = cpam_buf_text(&path);
    if (text == NULL || file_read_all(io, text, POSTMASTER_PID_MAX, &content, &ignored) != CPAM_OK)
        return;
    text = cpam_buf_text(&content);
    const char *end = text;
    for (int line = 0; end != NULL && line < RUN_LINES; line++)
    {
        end = strchr(end, '\n');
        end = end == NULL ? NULL : end + 1;
    }
    if (end != NULL)
        snprintf(out, WANTED_RUN_MAX, "%.*s", (int) (end - text), text);
    else
        snprintf(out, WANTED_RUN_MAX, "?"); /* it is being written */
}

bool
wanted_look(struct wanted *wanted, struct io *io, const char *data,
            const struct wanted_signs *signs)
{
    int64_t now = io->ops->monotonic(io);
    char run[WANTED_RUN_MAX];

    if (signs->asked == 0)
        return false;
    if (signs->waits)
        wanted->lately = now;
    if (signs->asked != wanted->asked)
    {
        run_of(io, data, wanted->run);
        wanted->asked = signs->asked;
        wanted->lately = wanted->looked = now;
        wanted->is = true;
    }
    else if (signs->fresh || now - wanted->looked >= LOOK_EACH)
    {
        run_of(io, data, run);
        wanted->looked = now;
        /* the last segments of a server that has gone are nobody's but its own */
        wanted->is =
            run[0] == '\0' || (strcmp(run, wanted->run) == 0 && now - wanted->lately < LATELY);
    }
    return wanted->is;
}
