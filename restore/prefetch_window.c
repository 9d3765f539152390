/*
 * prefetch_window.c - entries, and the rules by which they come and go.
 */
#include "prefetch_window.h"

#include <stdlib.h>
#include <string.h>

enum
{
    START_FACTOR = 2,     /* times workers: the depth to begin with */
    DISK_LIMIT = 1 << 30, /* bytes */
    SEGMENTS_LEAST = 4,   /* however large, but for the largest */
    SEGMENTS_OF_THE_LARGEST = 2,
    RUNNING_MAX = 64 /* fetches of segments that nobody wants any more */
};

struct prefetch_window
{
    void (*dropped)(void *arg, const struct prefetch_entry *entry);
    void *arg;
    struct segment at;        /* the last one asked for; timeline 0: none was */
    bool wanted;              /* `at` has still to be fetched */
    bool short_of;            /* the window ends at `end` */
    bool retry;               /* `end` may be tried again */
    uint64_t end;             /* number of a segment that was not to be had */
    struct deadline deadline; /* of whoever asked for `at` */
    unsigned depth, start, limit;
    uint64_t serial;
    size_t count;
    struct prefetch_entry entries[];
};

unsigned
prefetch_depth_limit(const struct prefetch_bounds *bounds)
{
    uint64_t fit = (uint64_t) DISK_LIMIT / bounds->segment_size;

    if (bounds->segment_size >= SEGMENT_SIZE_MAX)
        fit = SEGMENTS_OF_THE_LARGEST;
    else if (fit < SEGMENTS_LEAST)
        fit = SEGMENTS_LEAST;
    if (fit > bounds->ahead)
        fit = bounds->ahead;
    return fit > PREFETCH_DEPTH_MAX ? PREFETCH_DEPTH_MAX : (unsigned) fit;
}

enum cpam_status
prefetch_window_new(const struct prefetch_bounds *bounds,
                    void (*dropped)(void *arg, const struct prefetch_entry *entry), void *arg,
                    struct prefetch_window **out, struct cpam_err *err)
{
    unsigned limit = prefetch_depth_limit(bounds);
    size_t count = (size_t) limit + 1 + RUNNING_MAX;
    struct prefetch_window *made = calloc(1, sizeof(*made) + count * sizeof(made->entries[0]));

    *out = NULL;
    if (made == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "there is no memory for %u segments ahead", limit);
    made->dropped = dropped;
    made->arg = arg;
    made->limit = limit;
    made->start = START_FACTOR * bounds->workers < limit ? START_FACTOR * bounds->workers : limit;
    made->depth = made->start;
    made->count = count;
    *out = made;
    return CPAM_OK;
}

static void
entry_clear(struct prefetch_entry *entry)
{
    free(entry->why);
    memset(entry, 0, sizeof(*entry));
}

void
prefetch_window_free(struct prefetch_window *window)
{
    if (window == NULL)
        return;
    for (size_t i = 0; i < window->count; i++)
        entry_clear(&window->entries[i]);
    free(window);
}

static void
drop(struct prefetch_window *window, struct prefetch_entry *entry)
{
    if (entry->state == PREFETCH_FETCHING)
    {
        entry->unwanted = true;
        return;
    }
    if (entry->state == PREFETCH_READY || entry->state == PREFETCH_GIVEN)
        window->dropped(window->arg, entry);
    entry_clear(entry);
}

static bool
same(struct segment a, struct segment b)
{
    return a.timeline.id == b.timeline.id && a.number == b.number;
}

struct prefetch_entry *
prefetch_window_find(struct prefetch_window *window, struct segment segment)
{
    for (size_t i = 0; i < window->count; i++)
    {
        struct prefetch_entry *entry = &window->entries[i];

        if (entry->state != PREFETCH_FREE && entry->state != PREFETCH_GIVEN && !entry->unwanted &&
            same(entry->segment, segment))
            return entry;
    }
    return NULL;
}

static bool
grown_old(const struct prefetch_entry *entry, int64_t now)
{
    return entry->state == PREFETCH_READY && now - entry->ready > PREFETCH_FRESH;
}

/* Is it of use to a server that has just asked for `at`? */
static bool
useful(const struct prefetch_window *window, const struct prefetch_entry *entry, int64_t now)
{
    if (entry->segment.timeline.id != window->at.timeline.id ||
        entry->segment.number < window->at.number ||
        entry->segment.number > window->at.number + window->limit)
        return false;
    switch (entry->state)
    {
    case PREFETCH_READY: return !grown_old(entry, now);
    case PREFETCH_FETCHING: return true;
    case PREFETCH_FREE:
    case PREFETCH_GIVEN:
    case PREFETCH_FAILED: break;
    }
    return false;
}

/* Replay was faster: it had to wait for a segment that it was bound to ask for. */
static void
follow_replay(struct prefetch_window *window)
{
    window->depth = window->depth > window->limit / 2 ? window->limit : window->depth * 2;
}

/* It was slower: what it had not used in time was fetched for nothing. */
static void
fall_back(struct prefetch_window *window)
{
    window->depth = window->depth > 2 * window->start ? window->depth / 2 : window->start;
}

void
prefetch_window_forget(struct prefetch_window *window)
{
    for (size_t i = 0; i < window->count; i++)
        if (window->entries[i].state != PREFETCH_FREE && !window->entries[i].unwanted)
            drop(window, &window->entries[i]);
}

void
prefetch_window_ask(struct prefetch_window *window, struct segment segment,
                    struct deadline deadline, int64_t now)
{
    bool goes_on =
        window->at.timeline.id == segment.timeline.id && segment.number == window->at.number + 1;
    bool was_short = window->short_of && window->at.timeline.id == segment.timeline.id;
    struct prefetch_entry *entry;
    bool late = false;

    window->at = segment;
    window->deadline = deadline;
    for (size_t i = 0; i < window->count; i++)
    {
        entry = &window->entries[i];
        if (entry->state == PREFETCH_FREE || entry->unwanted || useful(window, entry, now))
            continue;
        late |= grown_old(entry, now);
        drop(window, entry);
    }
    /* what ended the window is tried once more; at or behind it, the segment asked for tells */
    window->short_of = was_short && window->end >= segment.number;
    window->retry = window->short_of;
    entry = prefetch_window_find(window, segment);
    window->wanted = entry == NULL;
    if (entry != NULL)
    {
        entry->asked = true;
        entry->deadline = deadline;
    }
    if (late)
        fall_back(window);
    else if (goes_on && !was_short && (entry == NULL || entry->state != PREFETCH_READY))
        follow_replay(window);
}

static struct prefetch_entry *
begin(struct prefetch_window *window, struct segment segment)
{
    for (size_t i = 0; i < window->count; i++)
    {
        struct prefetch_entry *entry = &window->entries[i];

        if (entry->state != PREFETCH_FREE)
            continue;
        entry->state = PREFETCH_FETCHING;
        entry->segment = segment;
        entry->serial = ++window->serial;
        return entry;
    }
    return NULL;
}

struct prefetch_entry *
prefetch_window_next(struct prefetch_window *window, bool room)
{
    struct segment segment = window->at;
    struct prefetch_entry *entry;

    if (window->at.timeline.id == 0)
        return NULL;
    if (window->wanted)
    {
        entry = begin(window, segment);
        if (entry == NULL)
            return NULL;
        window->wanted = false;
        entry->asked = true;
        entry->deadline = window->deadline;
        return entry;
    }
    for (unsigned i = 0; room && i < window->depth; i++)
    {
        segment.number++;
        if (window->short_of &&
            (segment.number > window->end || (segment.number == window->end && !window->retry)))
            return NULL;
        if (prefetch_window_find(window, segment) == NULL)
        {
            if (window->short_of && segment.number == window->end)
                window->retry = false;
            return begin(window, segment);
        }
    }
    return NULL;
}

bool
prefetch_window_done(struct prefetch_window *window, struct prefetch_entry *entry,
                     enum cpam_status status, const struct cpam_err *why, int64_t now)
{
    uint64_t number = entry->segment.number;

    if (entry->unwanted)
    {
        entry_clear(entry);
        return false;
    }
    if (status == CPAM_OK)
    {
        entry->state = PREFETCH_READY;
        entry->ready = now;
        if (window->short_of && number >= window->end)
            window->short_of = false;
        return true;
    }
    if (!window->short_of || number < window->end)
    {
        window->short_of = true;
        window->retry = false;
        window->end = number;
    }
    if (!entry->asked)
    {
        entry_clear(entry);
        return false;
    }
    entry->state = PREFETCH_FAILED;
    entry->why = malloc(sizeof(*entry->why));
    if (entry->why != NULL)
        *entry->why = *why;
    return false;
}

void
prefetch_window_given(struct prefetch_window *window, struct prefetch_entry *entry)
{
    (void) window;
    entry->state = PREFETCH_GIVEN;
}

unsigned
prefetch_window_depth(const struct prefetch_window *window)
{
    return window->depth;
}
