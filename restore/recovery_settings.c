/*
 * recovery_settings.c - the lines of postgresql.auto.conf that make a restored directory recover.
 */
#include "recovery_settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pg/guc_file.h"

enum
{
    COMMAND_LIMIT = 16 * 1024, /* bytes */
    ARCHIVE_LIBRARY_FROM = 15  /* an unknown parameter is fatal on 14 */
};

/* Taken out whatever is restored: they belong to the life the copy had before. */
static const char *const stale[] = {"recovery_target*",     "primary_conninfo",
                                    "primary_slot_name",    "restore_command",
                                    "recovery_end_command", "archive_cleanup_command"};

static bool
is_harmless(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("/._-+=:,@", c) != NULL);
}

enum cpam_status
recovery_shell_word(struct cpam_buf *out, const char *word, struct cpam_err *err)
{
    bool harmless = *word != '\0';

    for (const char *at = word; *at != '\0'; at++)
        harmless = harmless && (is_harmless(*at) || *at == '%');
    if (!harmless)
        CPAM_TRY(cpam_buf_append(out, "'", 1, COMMAND_LIMIT, err));
    for (; *word != '\0'; word++)
    {
        if (*word == '%')
            CPAM_TRY(cpam_buf_append(out, "%%", 2, COMMAND_LIMIT, err));
        else if (*word == '\'')
            CPAM_TRY(cpam_buf_append(out, "'\\''", 4, COMMAND_LIMIT, err));
        else
            CPAM_TRY(cpam_buf_append(out, word, 1, COMMAND_LIMIT, err));
    }
    if (!harmless)
        CPAM_TRY(cpam_buf_append(out, "'", 1, COMMAND_LIMIT, err));
    return CPAM_OK;
}

enum cpam_status
recovery_restore_command(const struct recovery_settings *settings, struct cpam_buf *out,
                         struct cpam_err *err)
{
    if (settings->end_before != NULL)
        CPAM_TRY(cpam_buf_printf(out, COMMAND_LIMIT, err, "case %%f in ????????%s) exit 1;; esac; ",
                                 settings->end_before));
    /* exec: the shell must not stay in between, or the server could not end the program (trap 14) */
    CPAM_TRY(cpam_buf_printf(out, COMMAND_LIMIT, err, "exec "));
    CPAM_TRY(recovery_shell_word(out, settings->fetch_program, err));
    CPAM_TRY(cpam_buf_printf(out, COMMAND_LIMIT, err, " --config "));
    CPAM_TRY(recovery_shell_word(out, settings->config_path, err));
    if (settings->repo != NULL)
    {
        CPAM_TRY(cpam_buf_printf(out, COMMAND_LIMIT, err, " --repo "));
        CPAM_TRY(recovery_shell_word(out, settings->repo, err));
    }
    if (settings->as_of != NULL)
    {
        CPAM_TRY(cpam_buf_printf(out, COMMAND_LIMIT, err, " --as-of "));
        CPAM_TRY(recovery_shell_word(out, settings->as_of, err));
    }
    return cpam_buf_printf(out, COMMAND_LIMIT, err, " %%f %%p");
}

/* The server reads this in its own time zone unless an offset is written. */
static enum cpam_status
write_time(struct cpam_buf *out, int64_t us, struct cpam_err *err)
{
    struct tm tm;
    time_t seconds = (time_t) (us / 1000000);
    char day[64];
    char text[96];

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        return cpam_fail(err, CPAM_INVALID, 0, "the target's moment can't be written");
    snprintf(text, sizeof(text), "%s.%06d+00", day, (int) (us % 1000000));
    return guc_file_set(out, "recovery_target_time", text, err);
}

static enum cpam_status
write_target(const struct recovery_settings *settings, struct cpam_buf *out, struct cpam_err *err)
{
    const struct target *target = settings->target;
    char text[64];

    switch (target->kind)
    {
    case TARGET_LATEST: return CPAM_OK;
    case TARGET_BACKUP:
    case TARGET_IMMEDIATE: return guc_file_set(out, "recovery_target", "immediate", err);
    case TARGET_NAME: return guc_file_set(out, "recovery_target_name", target->name, err);
    case TARGET_TIME: return write_time(out, target->time, err);
    case TARGET_LSN:
        lsn_format(target->lsn, text);
        return guc_file_set(out, "recovery_target_lsn", text, err);
    case TARGET_XID:
        snprintf(text, sizeof(text), "%" PRIu64, target->xid);
        return guc_file_set(out, "recovery_target_xid", text, err);
    }
    return CPAM_OK;
}

static bool
has_boundary(enum target_kind kind)
{
    return kind == TARGET_TIME || kind == TARGET_LSN || kind == TARGET_XID;
}

static enum cpam_status
write_recovery(const struct recovery_settings *settings, struct cpam_buf *out, struct cpam_err *err)
{
    char timeline[16];

    if (settings->standby)
        return guc_file_set(out, "recovery_target_timeline", "latest", err);
    snprintf(timeline, sizeof(timeline), "%u", settings->timeline.id);
    CPAM_TRY(guc_file_set(out, "recovery_target_timeline", timeline, err));
    CPAM_TRY(write_target(settings, out, err));
    if (has_boundary(settings->target->kind))
        CPAM_TRY(guc_file_set(out, "recovery_target_inclusive",
                              settings->target->exclusive ? "off" : "on", err));
    if (settings->target->kind != TARGET_LATEST)
        CPAM_TRY(guc_file_set(out, "recovery_target_action", settings->action, err));
    return CPAM_OK;
}

/*
 * Behind whatever the original has in this file, since the last line wins; cpam-repo claim takes
 * just these out again, so that an archive_command set by ALTER SYSTEM is back then.
 */
static enum cpam_status
write_archiving(const struct recovery_settings *settings, struct cpam_buf *out,
                struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf command = {0};

    CPAM_TRY(recovery_shell_word(&command, settings->push_program, err));
    CPAM_TRY(cpam_buf_printf(&command, COMMAND_LIMIT, err, " --unclaimed %%p"));
    const char *text = cpam_buf_text(&command);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a command");
    CPAM_TRY(guc_file_set(out, "archive_command", text, err));
    if (settings->major >= ARCHIVE_LIBRARY_FROM)
        CPAM_TRY(guc_file_set(out, "archive_library", "", err));
    return CPAM_OK;
}

enum cpam_status
recovery_settings_write(const struct recovery_settings *settings, const char *text, size_t size,
                        struct cpam_buf *out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf kept = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf command = {0};
    bool may_archive = settings->standby || settings->recover;

    CPAM_TRY(guc_file_remove(text, size, stale, sizeof(stale) / sizeof(stale[0]), &kept, err));
    CPAM_TRY(cpam_buf_append(out, kept.data, kept.size, GUC_FILE_MAX, err));

    CPAM_TRY(recovery_restore_command(settings, &command, err));
    const char *restore_command = cpam_buf_text(&command);
    if (restore_command == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a command");
    CPAM_TRY(guc_file_set(out, "restore_command", restore_command, err));
    CPAM_TRY(write_recovery(settings, out, err));
    if (!may_archive)
        CPAM_TRY(write_archiving(settings, out, err));
    return CPAM_OK;
}

const char *
recovery_signal_name(const struct recovery_settings *settings)
{
    return settings->standby ? "standby.signal" : "recovery.signal";
}
