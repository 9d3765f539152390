/*
 * recovery_settings.c - the lines of postgresql.auto.conf that make a restored directory recover.
 */
#include "recovery_settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pg/guc_file.h"
#include "pg/written_lines.h"

enum
{
    COMMAND_LIMIT = 64 * 1024, /* bytes */
    ARCHIVE_LIBRARY_FROM = 15  /* an unknown parameter is fatal on 14 */
};

/* Only one of them may be set (two are fatal), and of the others the server looks at the one that is set
   last in its files, empty or not: the unused ones are written first. */
static const char *const target_names[] = {"recovery_target", "recovery_target_name",
                                           "recovery_target_time", "recovery_target_xid",
                                           "recovery_target_lsn"};

/* Taken out whatever is restored: they belong to the life the copy had before. */
static const char *const stale[] = {
    "recovery_target*",     "primary_conninfo",        "primary_slot_name", "restore_command",
    "recovery_end_command", "archive_cleanup_command", "cpam_restore.*"};

static bool
is_harmless(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("/._-+=:,@", c) != NULL);
}

static enum cpam_status
shell_word(struct cpam_buf *out, const char *word, const char *percent, struct cpam_err *err)
{
    bool harmless = *word != '\0';

    for (const char *at = word; *at != '\0'; at++)
        harmless = harmless && (is_harmless(*at) || *at == '%');
    if (!harmless)
        CPAM_TRY(cpam_buf_append(out, "'", 1, COMMAND_LIMIT, err));
    for (; *word != '\0'; word++)
    {
        if (*word == '%')
            CPAM_TRY(cpam_buf_append(out, percent, strlen(percent), COMMAND_LIMIT, err));
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
recovery_shell_word(struct cpam_buf *out, const char *word, struct cpam_err *err)
{
    return shell_word(out, word, "%%", err);
}

enum cpam_status
recovery_typed_word(struct cpam_buf *out, const char *word, struct cpam_err *err)
{
    return shell_word(out, word, "%", err);
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
format_time(int64_t us, char *out, size_t size, struct cpam_err *err)
{
    struct tm tm;
    time_t seconds = (time_t) (us / 1000000);
    char day[64];

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        return cpam_fail(err, CPAM_INVALID, 0, "the target's moment can't be written");
    snprintf(out, size, "%s.%06d+00", day, (int) (us % 1000000));
    return CPAM_OK;
}

static enum cpam_status
write_target(const struct target *target, struct written_lines *lines, struct cpam_err *err)
{
    const char *name = NULL, *value = NULL;
    char text[96];

    switch (target->kind)
    {
    case TARGET_LATEST: break;
    case TARGET_BACKUP:
    case TARGET_IMMEDIATE: name = "recovery_target", value = "immediate"; break;
    case TARGET_NAME: name = "recovery_target_name", value = target->name; break;
    case TARGET_TIME:
        CPAM_TRY(format_time(target->time, text, sizeof(text), err));
        name = "recovery_target_time", value = text;
        break;
    case TARGET_LSN:
        lsn_format(target->lsn, text);
        name = "recovery_target_lsn", value = text;
        break;
    case TARGET_XID:
        snprintf(text, sizeof(text), "%" PRIu64, target->xid);
        name = "recovery_target_xid", value = text;
        break;
    }
    for (size_t i = 0; i < sizeof(target_names) / sizeof(target_names[0]); i++)
        if (name == NULL || strcmp(name, target_names[i]) != 0)
            CPAM_TRY(written_lines_set(lines, target_names[i], "", err));
    return name == NULL ? CPAM_OK : written_lines_set(lines, name, value, err);
}

static enum cpam_status
write_recovery(const struct recovery_settings *settings, struct written_lines *lines,
               struct cpam_err *err)
{
    static const struct target to_the_end = {.kind = TARGET_LATEST};
    const struct target *target = settings->standby ? &to_the_end : settings->target;
    char timeline[16] = "latest";

    if (!settings->standby)
        snprintf(timeline, sizeof(timeline), "%u", settings->timeline.id);
    CPAM_TRY(written_lines_set(lines, "recovery_target_timeline", timeline, err));
    CPAM_TRY(write_target(target, lines, err));
    CPAM_TRY(written_lines_set(lines, "recovery_target_inclusive", target->exclusive ? "off" : "on",
                               err));
    CPAM_TRY(written_lines_set(lines, "recovery_target_action",
                               settings->standby ? "pause" : settings->action, err));
    /* of another life too, in whatever file the server has them: a wait of hours before each commit, a
       command for an archive that is not this one's to clean */
    CPAM_TRY(written_lines_set(lines, "recovery_min_apply_delay", "0", err));
    CPAM_TRY(written_lines_set(lines, "recovery_end_command", "", err));
    return written_lines_set(lines, "archive_cleanup_command", "", err);
}

/*
 * Behind whatever the original has in this file, since the last line wins; cpam-repo claim takes
 * just these out again, so that an archive_command set by ALTER SYSTEM is back then.
 */
static enum cpam_status
write_archiving(const struct recovery_settings *settings, struct written_lines *lines,
                struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf command = {0};

    CPAM_TRY(recovery_shell_word(&command, settings->push_program, err));
    CPAM_TRY(cpam_buf_printf(&command, COMMAND_LIMIT, err, " --unclaimed %%p"));
    const char *text = cpam_buf_text(&command);
    if (text == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a command");
    CPAM_TRY(written_lines_set(lines, "archive_command", text, err));
    if (settings->archive_always)
        CPAM_TRY(written_lines_set(lines, "archive_mode", "on", err));
    if (settings->major >= ARCHIVE_LIBRARY_FROM)
        CPAM_TRY(written_lines_set(lines, "archive_library", "", err));
    return CPAM_OK;
}

static enum cpam_status
write_lines(const struct recovery_settings *settings, struct written_lines *lines,
            struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf command = {0};
    bool may_archive = settings->standby || settings->recover;

    CPAM_TRY(recovery_restore_command(settings, &command, err));
    const char *restore_command = cpam_buf_text(&command);
    if (restore_command == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory for a command");
    CPAM_TRY(written_lines_set(lines, "restore_command", restore_command, err));
    CPAM_TRY(write_recovery(settings, lines, err));
    if (!may_archive)
        CPAM_TRY(write_archiving(settings, lines, err));
    return CPAM_OK;
}

enum cpam_status
recovery_settings_write(const struct recovery_settings *settings, const char *text, size_t size,
                        struct cpam_buf *out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf own = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf kept = {0};
    struct written_lines lines = {.out = out};
    struct written_removed ignored;

    /* the backup of a copy has what the copy's restore wrote */
    CPAM_TRY(written_lines_remove(text, size, WRITTEN_ALL, &own, &ignored, err));
    CPAM_TRY(guc_file_remove((const char *) own.data, own.size, stale,
                             sizeof(stale) / sizeof(stale[0]), &kept, err));
    CPAM_TRY(cpam_buf_append(out, kept.data, kept.size, GUC_FILE_MAX, err));
    enum cpam_status status = write_lines(settings, &lines, err);
    if (status != CPAM_OK)
    {
        cpam_buf_clear(&lines.record);
        return status;
    }
    CPAM_TRY(written_lines_finish(&lines, err));
    return settings->partial ? guc_file_set(out, WRITTEN_PARTIAL, "on", err) : CPAM_OK;
}

const char *
recovery_signal_name(const struct recovery_settings *settings)
{
    return settings->standby ? "standby.signal" : "recovery.signal";
}
