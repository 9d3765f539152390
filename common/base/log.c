/*
 * log.c - one line a message on stderr, written with one write(2) so that lines of several threads
 * and processes do not mix.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log_syslog.h"
#include "base/text.h"

enum
{
    LINE_MAX_BYTES = 4096
};

static const struct
{
    const char *word;
    char priority; /* sd-daemon(3) */
} levels[] = {
    [LOG_ERROR] = {"error", '3'},
    [LOG_WARNING] = {"warning", '4'},
    [LOG_INFO] = {"info", '6'},
    [LOG_DEBUG] = {"debug", '7'},
};

static const char *program_name = "cpam";
static _Atomic int log_limit = LOG_INFO;
static bool to_journal, to_syslog;
static log_fn receiver;
static _Atomic bool bar_shown;
static _Thread_local struct log_kept *kept_here; /* log_keep() */

/* systemd.exec(5): $JOURNAL_STREAM is "device:inode" of the stream the journal reads. */
static bool
stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat found;
    char mine[64];

    if (stream == NULL || fstat(STDERR_FILENO, &found) != 0)
        return false;
    snprintf(mine, sizeof(mine), "%ju:%ju", (uintmax_t) found.st_dev, (uintmax_t) found.st_ino);
    return strcmp(stream, mine) == 0;
}

void
log_start(const char *program, enum log_level level)
{
    program_name = program;
    atomic_store(&log_limit, (int) level);
    to_journal = stderr_is_journal();
}

void
log_as(const char *program)
{
    program_name = program;
}

void
log_to_syslog(void)
{
    log_syslog_open(program_name);
    to_syslog = true;
}

void
log_hand_to(log_fn fn)
{
    receiver = fn;
}

void
log_keep(struct log_kept *kept)
{
    kept_here = kept;
}

static void
keep(const char *text)
{
    size_t used = strlen(kept_here->text);

    snprintf(kept_here->text + used, sizeof(kept_here->text) - used, "%s%s", used > 0 ? "; " : "",
             text);
}

/* Appends text with control characters shown; leaves room for the line feed. */
static size_t
put_text(char line[LINE_MAX_BYTES], size_t at, const char *text)
{
    while (*text != '\0')
    {
        char shown[TEXT_SHOWN_MAX];

        text += text_shown(text, shown);
        size_t size = strlen(shown);
        if (size > LINE_MAX_BYTES - 2 - at)
            break;
        memcpy(line + at, shown, size);
        at += size;
    }
    return at;
}

static void
write_all(const char *data, size_t size)
{
    /* nothing can be done about a log that can't be written */
    for (size_t done = 0; done < size;)
    {
        ssize_t written = write(STDERR_FILENO, data + done, size - done);

        if (written <= 0)
            return;
        done += (size_t) written;
    }
}

void
log_bar(const char *line)
{
    static const char clear[] = "\r\x1b[K";
    char out[LINE_MAX_BYTES];
    size_t at = sizeof(clear) - 1;

    memcpy(out, clear, at);
    if (line != NULL)
        at = put_text(out, at, line);
    atomic_store(&bar_shown, line != NULL);
    write_all(out, at);
}

static void
put_line(enum log_level level, const char *word, const char *text)
{
    char line[LINE_MAX_BYTES];
    size_t at = 0;

    if (atomic_load(&bar_shown))
        log_bar(NULL); /* comes back with its next drawing */
    if (receiver != NULL)
    {
        receiver(level, text);
        return;
    }
    if (to_journal && !to_syslog)
        at = (size_t) snprintf(line, sizeof(line), "<%c>", levels[level].priority);
    if (!to_syslog)
    {
        at = put_text(line, at, program_name);
        at = put_text(line, at, ": ");
    }
    if (word != NULL)
    {
        at = put_text(line, at, word);
        at = put_text(line, at, ": ");
    }
    at = put_text(line, at, text);
    line[at] = '\0';
    if (to_syslog)
    {
        log_syslog_line(levels[level].priority, line);
        return;
    }
    line[at++] = '\n';
    write_all(line, at);
}

void
cpam_log(enum log_level level, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;

    if ((int) level > atomic_load(&log_limit))
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (level == LOG_WARNING && kept_here != NULL)
        keep(text);
    put_line(level, level == LOG_INFO ? NULL : levels[level].word, text);
}

void
log_failure(const struct cpam_err *err)
{
    put_line(LOG_ERROR, levels[LOG_ERROR].word, err->text);
    if (err->hint[0] != '\0')
        put_line(LOG_ERROR, "hint", err->hint);
}
