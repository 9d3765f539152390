/*
 * postmaster_pid.c - reading postmaster.pid.  Whoever wants to know whether it is still the same
 * server compares pid and start time.
 */
#include "pg/postmaster_pid.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum
{
    LINES = 8
};

struct line
{
    const char *text;
    size_t size;
};

static bool
number_parse(struct line line, bool minus_allowed, int64_t max, int64_t *out)
{
    int64_t value = 0;
    size_t at = 0;

    if (minus_allowed && line.size > 0 && line.text[0] == '-')
        at = 1;
    if (at == line.size)
        return false;
    for (; at < line.size; at++)
    {
        if (line.text[at] < '0' || line.text[at] > '9' || value > (max - 9) / 10)
            return false;
        value = value * 10 + (line.text[at] - '0');
    }
    *out = value;
    return true;
}

/* Without the blanks the server fills lines 6 to 8 up with. */
static bool
text_copy(struct line line, char *out, size_t cap)
{
    while (line.size > 0 && line.text[line.size - 1] == ' ')
        line.size--;
    if (line.size >= cap)
        return false;
    if (line.size > 0)
        memcpy(out, line.text, line.size);
    out[line.size] = '\0';
    return true;
}

static size_t
split(const char *text, size_t size, struct line lines[LINES])
{
    size_t count = 0;

    for (size_t at = 0; at < size && count < LINES; count++)
    {
        const char *stop = memchr(text + at, '\n', size - at);
        size_t length = stop == NULL ? size - at : (size_t) (stop - text) - at;

        lines[count] = (struct line){text + at, length};
        at += length + 1;
    }
    return count;
}

enum cpam_status
postmaster_pid_parse(const char *text, size_t size, struct postmaster_pid *out,
                     struct cpam_err *err)
{
    struct line lines[LINES] = {{0}};
    int64_t pid = 0;
    int64_t port = 0;

    *out = (struct postmaster_pid){0};
    if (size > POSTMASTER_PID_MAX || memchr(text, '\0', size) != NULL)
        return cpam_fail(err, CPAM_INVALID, 0, "postmaster.pid: is no such file");
    size_t count = split(text, size, lines);
    if (count < 3)
        return cpam_fail(err, CPAM_INVALID, 0, "postmaster.pid: has %zu lines instead of 8", count);
    /* a stand-alone backend writes its pid with a minus in front */
    if (!number_parse(lines[0], true, INT32_MAX, &pid) || pid == 0)
        return cpam_fail(err, CPAM_INVALID, 0, "postmaster.pid: line 1 is not a process id");
    if (!text_copy(lines[1], out->data_directory, sizeof(out->data_directory)))
        return cpam_fail(err, CPAM_INVALID, 0, "postmaster.pid: line 2 is too long for a path");
    if (!number_parse(lines[2], false, INT64_MAX, &out->start_time))
        return cpam_fail(err, CPAM_INVALID, 0, "postmaster.pid: line 3 is not a start time");
    if (count > 3 && lines[3].size > 0 && !number_parse(lines[3], false, UINT16_MAX, &port))
        return cpam_fail(err, CPAM_INVALID, 0, "postmaster.pid: line 4 is not a port");
    if (!text_copy(lines[4], out->socket_directory, sizeof(out->socket_directory)))
        return cpam_fail(err, CPAM_INVALID, 0, "postmaster.pid: line 5 is too long for a path");
    if (!text_copy(lines[7], out->status, sizeof(out->status)))
        return cpam_fail(err, CPAM_INVALID, 0, "postmaster.pid: line 8 is not a status");
    out->pid = (pid_t) pid;
    out->port = (unsigned) port;
    return CPAM_OK;
}
