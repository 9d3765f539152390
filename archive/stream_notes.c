/*
 * stream_notes.c - runs sorted in memory, then merged: a heap of the runs' next notes.
 */
#include "stream_notes.h"

#include <string.h>

#include "repo/spill.h"

enum
{
    RUN = 32768,
    PATHS_MAX = 1 << 30 /* bytes of the paths of one run */
};

/* The fixed part of a note; path and target follow, each with its NUL. */
struct note
{
    struct source_entry entry;
    uint64_t first_part, part_count;
    size_t path_size, target_size; /* 0: no target */
};

struct stream_notes
{
    struct spill *spill;
    uint64_t *at; /* where they are, in the order they came, then run by run in that of paths */
    size_t count, cap, run;
};

enum cpam_status
stream_notes_new(struct io *io, const char *state, struct stream_notes **out, struct cpam_err *err)
{
    CPAM_AUTO(stream_notes_free) struct stream_notes *notes = calloc(1, sizeof(*notes));

    *out = NULL;
    if (notes == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the entries of a backup");
    notes->run = RUN;
    CPAM_TRY(spill_new(io, state, &notes->spill, err));
    *out = CPAM_STEAL(notes);
    return CPAM_OK;
}

void
stream_notes_free(struct stream_notes *notes)
{
    if (notes == NULL)
        return;
    spill_free(notes->spill);
    free(notes->at);
    free(notes);
}

void
stream_notes_set_run(struct stream_notes *notes, size_t run)
{
    notes->run = run;
}

enum cpam_status
stream_notes_add(struct stream_notes *notes, const struct source_entry *entry, uint64_t first_part,
                 uint64_t part_count, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf buf = {0};
    struct note note = {*entry, first_part, part_count, strlen(entry->path) + 1,
                        entry->target == NULL ? 0 : strlen(entry->target) + 1};

    if (notes->count == notes->cap)
    {
        size_t cap = notes->cap == 0 ? 1024 : notes->cap * 2;
        uint64_t *grown = realloc(notes->at, cap * sizeof(*grown));

        if (grown == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for the entries of a backup");
        notes->at = grown;
        notes->cap = cap;
    }
    CPAM_TRY(cpam_buf_append(&buf, &note, sizeof(note), SPILL_NOTE_MAX, err));
    CPAM_TRY(cpam_buf_append(&buf, entry->path, note.path_size, SPILL_NOTE_MAX, err));
    if (note.target_size > 0)
        CPAM_TRY(cpam_buf_append(&buf, entry->target, note.target_size, SPILL_NOTE_MAX, err));
    return spill_add(notes->spill, buf.data, buf.size, &notes->at[notes->count++], err);
}

static const char *
path_of(const struct cpam_buf *note)
{
    return (const char *) note->data + sizeof(struct note);
}

/* --- one run in memory ------------------------------------------------------------------------ */

struct sorted
{
    uint64_t at;
    size_t path; /* offset */
};

static int
by_path(const void *a, const void *b, void *paths)
{
    const struct sorted *one = a, *two = b;
    int order =
        manifest_path_compare((const char *) paths + one->path, (const char *) paths + two->path);

    return order != 0 ? order : (one->at > two->at) - (one->at < two->at);
}

static enum cpam_status
sort_run(struct stream_notes *notes, size_t from, size_t count, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf paths = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf note = {0};
    CPAM_AUTO(free) struct sorted *items = calloc(count, sizeof(*items));

    if (items == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to sort the entries of a backup");
    for (size_t i = 0; i < count; i++)
    {
        items[i] = (struct sorted){notes->at[from + i], paths.size};
        CPAM_TRY(spill_get(notes->spill, items[i].at, &note, NULL, err));
        CPAM_TRY(
            cpam_buf_append(&paths, path_of(&note), strlen(path_of(&note)) + 1, PATHS_MAX, err));
    }
    qsort_r(items, count, sizeof(*items), by_path, paths.data);
    for (size_t i = 0; i < count; i++)
        notes->at[from + i] = items[i].at;
    return CPAM_OK;
}

/* --- runs merged ------------------------------------------------------------------------------ */

/* The next note of one run. */
struct head
{
    struct cpam_buf note;
    size_t next, end; /* indexes; next is of the note that is held */
};

struct merge
{
    struct stream_notes *notes;
    struct head *heads;
    struct head **heap; /* the smallest first */
    size_t count, heads_count;
};

static void
merge_clear_scoped_(struct merge *merge)
{
    for (size_t i = 0; i < merge->heads_count; i++)
        cpam_buf_clear(&merge->heads[i].note);
    free(merge->heads);
    free(merge->heap);
}

static bool
before(const struct merge *merge, const struct head *one, const struct head *two)
{
    int order = manifest_path_compare(path_of(&one->note), path_of(&two->note));

    return order != 0 ? order < 0 : merge->notes->at[one->next] < merge->notes->at[two->next];
}

static void
sink_down(struct merge *merge, size_t at)
{
    for (;;)
    {
        size_t least = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < merge->count; child++)
            if (before(merge, merge->heap[child], merge->heap[least]))
                least = child;
        if (least == at)
            return;
        struct head *swapped = merge->heap[at];

        merge->heap[at] = merge->heap[least];
        merge->heap[least] = swapped;
        at = least;
    }
}

static enum cpam_status
merge_begin(struct merge *merge, struct cpam_err *err)
{
    struct stream_notes *notes = merge->notes;
    size_t runs = (notes->count + notes->run - 1) / notes->run;

    merge->heads = calloc(runs + 1, sizeof(*merge->heads));
    merge->heap = calloc(runs + 1, sizeof(struct head *));
    if (merge->heads == NULL || merge->heap == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory to sort the entries of a backup");
    merge->heads_count = runs;
    for (size_t i = 0; i < runs; i++)
    {
        struct head *head = &merge->heads[i];
        size_t left = notes->count - i * notes->run;

        head->next = i * notes->run;
        head->end = head->next + (left < notes->run ? left : notes->run);
        CPAM_TRY(sort_run(notes, head->next, head->end - head->next, err));
        CPAM_TRY(spill_get(notes->spill, notes->at[head->next], &head->note, NULL, err));
        merge->heap[merge->count++] = head;
    }
    for (size_t i = merge->count / 2 + 1; i-- > 0;)
        sink_down(merge, i);
    return CPAM_OK;
}

/* The note of the smallest head is taken out into *out. */
static enum cpam_status
merge_take(struct merge *merge, struct cpam_buf *out, struct cpam_err *err)
{
    struct head *head = merge->heap[0];
    struct cpam_buf taken = head->note;

    head->note = *out; /* its memory is used again */
    *out = taken;
    if (++head->next == head->end)
        merge->heap[0] = merge->heap[--merge->count];
    else
        CPAM_TRY(
            spill_get(merge->notes->spill, merge->notes->at[head->next], &head->note, NULL, err));
    if (merge->count > 0)
        sink_down(merge, 0);
    return CPAM_OK;
}

static enum cpam_status
tell(struct plan *plan, const struct cpam_buf *buf, struct cpam_err *err)
{
    struct note note;

    memcpy(&note, buf->data, sizeof(note));
    note.entry.path = path_of(buf);
    note.entry.target = note.target_size == 0 ? NULL : note.entry.path + note.path_size;
    return plan_add_read(plan, &note.entry, note.first_part, note.part_count, err);
}

enum cpam_status
stream_notes_sort(struct stream_notes *notes, struct plan *plan, struct cpam_err *err)
{
    __attribute__((cleanup(merge_clear_scoped_))) struct merge merge = {.notes = notes};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf note = {0};

    CPAM_TRY(merge_begin(&merge, err));
    while (merge.count > 0)
    {
        CPAM_TRY(merge_take(&merge, &note, err));
        if (merge.count > 0 && strcmp(path_of(&merge.heap[0]->note), path_of(&note)) == 0)
            continue; /* a later one comes */
        CPAM_TRY(tell(plan, &note, err));
    }
    return CPAM_OK;
}
