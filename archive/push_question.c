/*
 * push_question.c - from %p to the question a worker understands.
 */
#include "push_question.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/file.h"
#include "pg/segment.h"
#include "push_queue.h"

struct push_question
{
    struct handoff_question ask;
    struct archive_name name;
    struct cpam_buf data; /* absolute path of the data directory */
    bool too_much_waits;  /* wal.push.queue_max */
};

void
push_question_free(struct push_question *question)
{
    if (question == NULL)
        return;
    cpam_buf_clear(&question->data);
    free(question);
}

const struct handoff_question *
push_question_ask(const struct push_question *question)
{
    return &question->ask;
}

bool
push_question_foreground(const struct push_question *question, enum cpam_status status,
                         bool answered)
{
    bool no_worker =
        !answered && (status == CPAM_REFUSED || status == CPAM_IO || status == CPAM_NOT_FOUND);
    bool may_pass = status == CPAM_DEADLINE || status == CPAM_TRANSIENT || status == CPAM_UNKNOWN ||
                    status == CPAM_IO;

    return no_worker || (may_pass && question->too_much_waits);
}

static enum cpam_status
elsewhere(const char *path, struct cpam_err *err)
{
    return cpam_fail(err, CPAM_REFUSED, 0, "\"%s\" is not in the pg_wal of a data directory", path);
}

/* Back over the last part of text[0..size) and the slashes in front of it. */
static size_t
without_last(const char *text, size_t size)
{
    while (size > 0 && text[size - 1] != '/')
        size--;
    while (size > 1 && text[size - 1] == '/')
        size--;
    return size;
}

/* The data directory of <data>/pg_wal/<name>, absolute: the worker stands in another directory. */
static enum cpam_status
find_data(const char *path, struct cpam_buf *data, struct cpam_err *err)
{
    static const char folder[] = "pg_wal";
    char here[PATH_MAX];

    if (path[0] != '/')
    {
        if (getcwd(here, sizeof(here)) == NULL)
            return elsewhere(path, err);
        CPAM_TRY(cpam_buf_printf(data, 2 * PATH_MAX, err, "%s/", here));
    }
    CPAM_TRY(cpam_buf_append(data, path, strlen(path), 2 * PATH_MAX, err));

    const char *text = (const char *) data->data;
    size_t dir = without_last(text, data->size);
    size_t top = without_last(text, dir);
    size_t length = sizeof(folder) - 1;

    if (dir < length + 1 || text[dir - length - 1] != '/' ||
        memcmp(text + dir - length, folder, length) != 0)
        return elsewhere(path, err);
    data->size = top;
    return cpam_buf_text(data) == NULL
               ? cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a path")
               : CPAM_OK;
}

static enum cpam_status
fill(struct io *io, const char *path, struct push_question *question, struct cpam_err *err)
{
    const char *slash = strrchr(path, '/');
    struct stat found;

    CPAM_TRY(archive_name_parse(slash == NULL ? path : slash + 1, &question->name, err));
    CPAM_TRY(find_data(path, &question->data, err));
    CPAM_TRY(file_stat(io, path, &found, err));
    handoff_stamp_of(&found, &question->ask.stamp);
    question->ask.data = cpam_buf_text(&question->data);
    question->ask.name = question->name.text;
    return CPAM_OK;
}

enum cpam_status
push_question_new(struct io *io, const struct settings *settings, const char *config,
                  const char *program, const char *path, struct push_question **out,
                  struct cpam_err *err)
{
    *out = NULL;
    if (settings->wal.push_direct)
        return cpam_fail(err, CPAM_REFUSED, 0, "wal.push.mode is direct: there is no worker");

    CPAM_AUTO(push_question_free) struct push_question *question = calloc(1, sizeof(*question));
    uint64_t waiting;

    if (question == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to ask for \"%s\"", path);
    question->ask = (struct handoff_question){
        .role = HANDOFF_PUSH,
        .program = program,
        .spool = settings->wal.spool,
        .config = config,
        .cluster = settings->cluster,
        .deadline = deadline_after(io, settings->wal.push_timeout),
    };
    CPAM_TRY(fill(io, path, question, err));
    CPAM_TRY(push_queue_due(io, settings, path, &question->too_much_waits, &waiting, err));
    if (question->too_much_waits)
        question->ask.deadline = deadline_after(io, settings->wal.push_timeout / 2);
    *out = CPAM_STEAL(question);
    return CPAM_OK;
}
