/*
 * cpam_archive.c - archive_library = 'cpam_archive': the archiver asks the worker itself, without a
 * process for each file.
 *
 * Built once for each major of PostgreSQL, 15 to 18; the versions differ in how the callbacks are
 * handed over.  Everything but the waiting and the reporting is module_push.c.
 *
 * What fails is reported in the log and answered false, which has the server call again.  Never as
 * an ERROR, which 15 and 16 turn into FATAL.  What belongs to a file that an ERROR of the server's
 * own (CHECK_FOR_INTERRUPTS) took us away from is released with the next one.
 */
#include <postgres.h>

#include <fmgr.h>
#include <miscadmin.h>
#include <pgstat.h>
#include <postmaster/interrupt.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <utils/guc.h>
#if PG_VERSION_NUM >= 160000
#include <archive/archive_module.h>
#else
#include <postmaster/pgarch.h>
#endif

#include "base/log.h"
#include "module_push.h"
#include "push_question.h"

PG_MODULE_MAGIC;

extern void _PG_init(void);
#if PG_VERSION_NUM < 160000
extern void _PG_archive_module_init(ArchiveModuleCallbacks *cb);
#endif

static char *config_path;
static char *program_folder;
static struct module_push *current;

static void
release(void)
{
    module_push_free(current);
    current = NULL;
}

/* Into the server's log; the sentence is PostgreSQL's style already: lower case, no full stop. */
static void
report(const struct cpam_err *err)
{
    /* LOG, as the server's own word on a failed archive_command: log_min_messages hides it last */
    ereport(LOG, (errmsg("cpam_archive: %s", err->text),
                  err->hint[0] != '\0' ? errhint("%s", err->hint) : 0));
}

static bool
program_path(char out[MAXPGPATH])
{
    struct cpam_err err;

    if (snprintf(out, MAXPGPATH, "%s/%s", program_folder, PUSH_WORKER_PROGRAM) < MAXPGPATH)
        return true;
    cpam_fail(&err, CPAM_USAGE, 0, "cpam_archive.bindir is too long");
    report(&err);
    return false;
}

static bool
is_configured(void)
{
    struct cpam_err err;
    char program[MAXPGPATH];

    if (!program_path(program))
        return false;
    if (module_push_check(io_posix(), config_path, program, &err) == CPAM_OK)
        return true;
    report(&err);
#if PG_VERSION_NUM >= 170000
    arch_module_check_errdetail("%s", err.text);
#endif
    return false;
}

/*
 * Waits until the step to come may do something.  The archiver's own loop looks at the latch when it
 * has no file left: what is taken from it here is given back at the end, or it would sleep through
 * the order to stop.
 */
static void
wait_for_more(bool *latch_taken)
{
    int fd = module_push_fd(current);
    int wanted = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;
    int events = WaitLatchOrSocket(MyLatch, fd >= 0 ? wanted | WL_SOCKET_READABLE : wanted,
                                   fd >= 0 ? fd : PGINVALID_SOCKET,
                                   fd >= 0 ? 1000 : MODULE_PUSH_PAUSE, PG_WAIT_EXTENSION);

    if ((events & WL_LATCH_SET) != 0)
    {
        ResetLatch(MyLatch);
        *latch_taken = true;
    }
    CHECK_FOR_INTERRUPTS();
}

static bool
push_current(struct cpam_err *err)
{
    bool done = false, latch_taken = false;
    enum cpam_status status;

    for (;;)
    {
        status = module_push_step(current, &done, err);
        if (status != CPAM_OK || done)
            break;
        if (ShutdownRequestPending)
        {
            status = cpam_fail(err, CPAM_CANCELLED, 0, "the archiver was told to stop");
            break;
        }
        wait_for_more(&latch_taken);
        module_push_hurry(current);
    }
    if (latch_taken)
        SetLatch(MyLatch);
    return status == CPAM_OK;
}

static bool
archive_file(const char *path)
{
    struct cpam_err err;
    char program[MAXPGPATH];
    struct module_push_spec spec = {.config = config_path, .program = program, .path = path};

    release();
    if (!program_path(program))
        return false;
    bool archived =
        module_push_new(io_posix(), &spec, &current, &err) == CPAM_OK && push_current(&err);
    release();
    if (!archived)
        report(&err);
    return archived;
}

/* cpam_log() of what is linked in: into the server's log like everything else. */
static void
log_line(enum log_level level, const char *text)
{
    ereport(level == LOG_DEBUG ? DEBUG1 : LOG, (errmsg("cpam_archive: %s", text)));
}

void
_PG_init(void)
{
    DefineCustomStringVariable("cpam_archive.config", "CPAM's configuration file.", NULL,
                               &config_path, CPAM_MODULE_CONFIG, PGC_SIGHUP, 0, NULL, NULL, NULL);
    DefineCustomStringVariable("cpam_archive.bindir", "Where CPAM's programs are installed.", NULL,
                               &program_folder, CPAM_MODULE_BINDIR, PGC_SIGHUP, 0, NULL, NULL,
                               NULL);
    MarkGUCPrefixReserved("cpam_archive");
    log_hand_to(log_line);
}

#if PG_VERSION_NUM >= 160000

static bool
check_configured_cb(ArchiveModuleState *state)
{
    return is_configured();
}

static bool
archive_file_cb(ArchiveModuleState *state, const char *file, const char *path)
{
    return archive_file(path);
}

static void
shutdown_cb(ArchiveModuleState *state)
{
    release();
}

static const ArchiveModuleCallbacks callbacks = {.check_configured_cb = check_configured_cb,
                                                 .archive_file_cb = archive_file_cb,
                                                 .shutdown_cb = shutdown_cb};

const ArchiveModuleCallbacks *
_PG_archive_module_init(void)
{
    return &callbacks;
}

#else

static bool
archive_file_cb(const char *file, const char *path)
{
    return archive_file(path);
}

void
_PG_archive_module_init(ArchiveModuleCallbacks *cb)
{
    cb->check_configured_cb = is_configured;
    cb->archive_file_cb = archive_file_cb;
    cb->shutdown_cb = release;
}

#endif
