/*
 * source_directory.c - a backup out of the data directory, in backup mode of an ordinary session.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backup_source.h"
#include "base/log.h"
#include "base/text.h"
#include "io/control_load.h"
#include "source_files.h"

struct directory
{
    struct backup_source base;
    struct plan *plan; /* the caller's */
    bool has_control;
};

static enum cpam_status
directory_meet(struct backup_source *source, struct cpam_err *err)
{
    struct io *io = source->spec.io;
    uint8_t bytes[CONTROL_FILE_SIZE];

    CPAM_TRY(backup_source_connect(source, err));
    CPAM_TRY(server_check(io, source->conn, source->data, backup_source_standby(source),
                          &source->facts, err));
    return control_load(io, source->data, bytes, &source->control, err);
}

static enum cpam_status
directory_start(struct backup_source *source, const char *label, bool fast,
                struct backup_start *out, struct cpam_err *err)
{
    struct io *io = source->spec.io;

    CPAM_TRY(backup_start(io, source->conn, &source->facts, label, fast, out, err));
    return backup_start_check(io, source->data, out, err);
}

/* Where pg_wal is a link to; a backup without it is whole, and makes a directory of it.  A relative link is
   told as where it leads: from the path of a data directory that is a link itself nobody would find it. */
static enum cpam_status
note_pg_wal(struct directory *self, const char *target, struct cpam_err *err)
{
    CPAM_AUTO(free) char *path = NULL;
    CPAM_AUTO(free) char *real = NULL;

    if (target[0] != '/' && asprintf(&path, "%s/pg_wal", self->base.data) >= 0)
        real = realpath(path, NULL);
    if (real != NULL)
        target = real;
    if (!text_is_utf8(target, strlen(target)))
    {
        cpam_log(LOG_WARNING,
                 "pg_wal is a link to \"%s\", which is no text in UTF-8: a restore of this backup "
                 "makes a directory of pg_wal",
                 target);
        return CPAM_OK;
    }
    self->base.pg_wal = strdup(target);
    return self->base.pg_wal != NULL ? CPAM_OK
                                     : cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a path");
}

static enum cpam_status
note_entry(void *arg, const struct source_entry *entry, struct cpam_err *err)
{
    struct directory *self = arg;
    uint64_t part;

    if (*self->base.spec.stopped != 0)
        return cpam_fail(err, CPAM_CANCELLED, 0, "the backup was stopped");
    CPAM_TRY(plan_add(self->plan, entry, &part, err));
    if (entry->kind == MANIFEST_FILE && strcmp(entry->path, PUSH_CONTROL_PATH) == 0)
    {
        self->base.control_part = part;
        self->has_control = true;
    }
    if (entry->target != NULL && strcmp(entry->path, "pg_wal") == 0)
        return note_pg_wal(self, entry->target, err);
    return CPAM_OK;
}

static enum cpam_status
directory_plan(struct backup_source *source, struct plan *plan, uint64_t *bytes,
               struct cpam_err *err)
{
    struct directory *self = (struct directory *) source;
    char version[64];
    struct source walk = {.io = source->spec.io,
                          .data = source->data,
                          .version_dir = version,
                          .fn = note_entry,
                          .arg = self};

    self->plan = plan;
    snprintf(version, sizeof(version), "PG_%u_%" PRIu32, source->control.major,
             source->control.catalog_version);
    CPAM_TRY(source_walk(&walk, err));
    if (!self->has_control)
        return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" has no " PUSH_CONTROL_PATH, walk.data);
    *bytes = plan_bytes(plan);
    return CPAM_OK;
}

static enum cpam_status
directory_copy(struct backup_source *source, struct push_copy *copy, struct cpam_err *err)
{
    (void) source;
    return push_copy_files(copy, err);
}

static enum cpam_status
directory_control(struct backup_source *source, uint8_t bytes[CONTROL_FILE_SIZE],
                  struct control *out, struct cpam_err *err)
{
    return control_load(source->spec.io, source->data, bytes, out, err);
}

static enum cpam_status
directory_stop(struct backup_source *source, struct backup_stop *out, struct cpam_err *err)
{
    return backup_stop(source->spec.io, source->conn, &source->facts, out, err);
}

static void
directory_free(struct backup_source *source)
{
    free(source);
}

enum cpam_status
source_directory_new(struct backup_source **out, struct cpam_err *err)
{
    static const struct backup_source_ops ops = {directory_meet, directory_start,   directory_plan,
                                                 directory_copy, directory_control, directory_stop,
                                                 directory_free};
    struct directory *self = calloc(1, sizeof(*self));

    *out = NULL;
    if (self == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "no memory for a backup's source");
    self->base.ops = &ops;
    *out = &self->base;
    return CPAM_OK;
}
