/*
 * progress.c - counting bytes and saying so.
 */
#include "cli/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

#define SECOND        ((int64_t) 1000000)
#define SILENT        (2 * SECOND)  /* nothing is shown for what is done sooner */
#define REDRAW        (SECOND / 5)  /* on a terminal */
#define TELL          SECOND        /* to cpam-info */
#define LINE_INTERVAL (30 * SECOND) /* elsewhere */

enum
{
    BAR_MAX = 30,
    BAR_MIN = 10
};

struct progress
{
    struct io *io;
    const char *what;
    pthread_mutex_t lock;
    uint64_t done, total;
    struct running *running; /* or NULL */
    int64_t started, next, next_tell;
    bool terminal, shown;
};

void
progress_line(const char *what, uint64_t done, uint64_t total, int64_t elapsed_us, int width,
              char out[PROGRESS_LINE_MAX])
{
    char at[TEXT_SIZE_MAX], of[TEXT_SIZE_MAX], rate[TEXT_SIZE_MAX], left[TEXT_DURATION_MAX];
    char numbers[128], bar[BAR_MAX + 4] = "";
    double seconds = elapsed_us > 0 ? (double) elapsed_us / SECOND : 1;
    double speed = (double) done / seconds;

    text_format_size(done, at);
    text_format_size((uint64_t) speed, rate);
    if (total == 0 || done > total)
        snprintf(numbers, sizeof(numbers), "%s, %s/s", at, rate);
    else
    {
        unsigned percent = (unsigned) ((double) done / (double) total * 100);

        text_format_size(total, of);
        if (percent == 0) /* too little to tell from: the first bytes may have waited */
            snprintf(numbers, sizeof(numbers), "%u %% of %s", percent, of);
        else
        {
            text_format_duration((int64_t) ((double) (total - done) / speed * SECOND), left);
            snprintf(numbers, sizeof(numbers), "%u %%, %s of %s, %s/s, %s left", percent, at, of,
                     rate, left);
        }
        int room = width - (int) strlen(what) - (int) strlen(numbers) - 5;
        int length = room > BAR_MAX ? BAR_MAX : room;
        if (length >= BAR_MIN)
        {
            int full = (int) ((double) done / (double) total * length);

            bar[0] = '[';
            memset(bar + 1, '.', (size_t) length);
            memset(bar + 1, '#', (size_t) full);
            bar[length + 1] = ']';
            bar[length + 2] = ' ';
        }
    }
    snprintf(out, PROGRESS_LINE_MAX, "%s: %s%s", what, bar, numbers);
    if (width > 0 && width < PROGRESS_LINE_MAX)
        out[width] = '\0';
}

enum cpam_status
progress_new(struct io *io, const char *what, uint64_t total, struct progress **out,
             struct cpam_err *err)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory");
    (*out)->io = io;
    (*out)->what = what;
    (*out)->total = total;
    (*out)->started = io->ops->monotonic(io);
    (*out)->next = (*out)->started + SILENT;
    (*out)->terminal = isatty(STDERR_FILENO) == 1;
    pthread_mutex_init(&(*out)->lock, NULL);
    return CPAM_OK;
}

void
progress_show_in(struct progress *progress, struct running *running)
{
    pthread_mutex_lock(&progress->lock);
    progress->running = running;
    running_tell(running, progress->done, progress->total, 0);
    progress->next_tell = progress->io->ops->monotonic(progress->io) + TELL;
    pthread_mutex_unlock(&progress->lock);
}

void
progress_total(struct progress *progress, uint64_t total)
{
    if (progress == NULL)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->total = total;
    pthread_mutex_unlock(&progress->lock);
}

static int
terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return 79;
    return size.ws_col - 1; /* the last column would make some terminals wrap */
}

static void
draw(struct progress *progress, int64_t now)
{
    char line[PROGRESS_LINE_MAX];

    if (progress->terminal)
    {
        progress_line(progress->what, progress->done, progress->total, now - progress->started,
                      terminal_width(), line);
        log_bar(line);
        progress->shown = true;
        progress->next = now + REDRAW;
        return;
    }
    progress_line(progress->what, progress->done, progress->total, now - progress->started, 0,
                  line);
    cpam_log(LOG_INFO, "%s", line);
    progress->next = now + LINE_INTERVAL;
}

void
progress_add(struct progress *progress, uint64_t bytes)
{
    if (progress == NULL)
        return;
    pthread_mutex_lock(&progress->lock);
    progress->done += bytes;
    int64_t now = progress->io->ops->monotonic(progress->io);
    if (now >= progress->next)
        draw(progress, now);
    if (progress->running != NULL && now >= progress->next_tell)
    {
        running_tell(progress->running, progress->done, progress->total, now - progress->started);
        progress->next_tell = now + TELL;
    }
    pthread_mutex_unlock(&progress->lock);
}

void
progress_free(struct progress *progress)
{
    if (progress == NULL)
        return;
    if (progress->shown)
        log_bar(NULL);
    running_tell(progress->running, progress->done, progress->total,
                 progress->io->ops->monotonic(progress->io) - progress->started);
    pthread_mutex_destroy(&progress->lock);
    free(progress);
}
