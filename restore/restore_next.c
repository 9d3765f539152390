/*
 * restore_next.c - how to start what was restored, watch it, open it, and let it archive.
 */
#include "restore_next.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "io/file.h"
#include "pg/guc_file.h"

enum
{
    NEXT_LIMIT = 64 * 1024, /* bytes */
    PATH_LIMIT = 4096,
    DEFAULT_PORT = 5432,
    COPY_PORT = 15432 /* of a copy beside its original; below the ports Linux gives clients */
};

#define SAY(...)       CPAM_TRY(cpam_buf_printf(out, NEXT_LIMIT, err, __VA_ARGS__))
#define SAY_WORD(word) CPAM_TRY(recovery_typed_word(out, word, err))

static bool
config_is_for(struct io *io, const char *config, const char *data)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf value = {0};
    struct cpam_err ignored;
    bool found = false;

    if (file_read_all(io, config, GUC_FILE_MAX, &text, &ignored) != CPAM_OK ||
        guc_file_get((const char *) text.data, text.size, "data_directory", &value, &found,
                     &ignored) != CPAM_OK ||
        !found)
        return false;
    const char *path = cpam_buf_text(&value);
    return path != NULL && strcmp(path, data) == 0;
}

/* "pg_ctl" with its directory where this major is installed as Debian does it. */
static void
pg_ctl_path(const struct restore_next *next, char out[PATH_LIMIT])
{
    snprintf(out, PATH_LIMIT, "/usr/lib/postgresql/%u/bin/pg_ctl", next->settings->major);
    if (!file_exists(next->io, out))
        snprintf(out, PATH_LIMIT, "pg_ctl");
}

/* /etc/postgresql/15/main/postgresql.conf: "15 main", for pg_ctlcluster. */
static bool
debian_cluster(const char *config, char out[128])
{
    unsigned major = 0;
    int used = 0;

    if (sscanf(config, "/etc/postgresql/%u/%n", &major, &used) != 1 || used == 0)
        return false;
    const char *name = config + used;
    const char *slash = strchr(name, '/');
    if (slash == NULL || slash == name || slash - name > 64)
        return false;
    snprintf(out, 128, "%u %.*s", major, (int) (slash - name), name);
    return true;
}

/* What is typed: as root, everything has to be done as the owner of the data. */
struct typed
{
    char as[128]; /* "sudo -u postgres " or "" */
    char pg_ctl[PATH_LIMIT];
    char config_path[PATH_LIMIT + 32];
    const char *config; /* the server's configuration, or NULL: none is to be had */
    bool own_port;      /* beside the original, which may run */
};

/* What the server will find for `name`: postgresql.auto.conf wins over postgresql.conf.  Includes are
   not followed. */
static bool
setting_of(const struct restore_next *next, const struct typed *typed, const char *name,
           struct cpam_buf *out)
{
    char own[PATH_LIMIT + 32];
    const char *const files[] = {own, typed->config};
    bool found = false;

    snprintf(own, sizeof(own), "%s/postgresql.auto.conf", next->data);
    for (size_t i = 0; i < 2 && files[i] != NULL && !found; i++)
    {
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
        struct cpam_err ignored;

        if (file_read_all(next->io, files[i], GUC_FILE_MAX, &text, &ignored) == CPAM_OK &&
            guc_file_get((const char *) text.data, text.size, name, out, &found, &ignored) !=
                CPAM_OK)
            found = false;
    }
    return found && cpam_buf_text(out) != NULL;
}

/* The port a configuration names; 0 where it is libpq's default or not to be had. */
static unsigned
port_of(const struct restore_next *next, const struct typed *typed)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf value = {0};

    if (typed->own_port)
        return COPY_PORT;
    if (!setting_of(next, typed, "port", &value))
        return 0;
    unsigned long port = strtoul(cpam_buf_text(&value), NULL, 10);
    return port > UINT16_MAX || port == DEFAULT_PORT ? 0 : (unsigned) port;
}

/* The first directory of a list; a server without any listens on TCP alone. */
static bool
socket_of(const struct restore_next *next, const struct typed *typed, char out[PATH_LIMIT])
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf value = {0};

    if (!setting_of(next, typed, "unix_socket_directories", &value))
        return false;
    const char *at = cpam_buf_text(&value);
    at += strspn(at, " \t\"");
    snprintf(out, PATH_LIMIT, "%.*s", (int) strcspn(at, ",\""), at);
    for (size_t size = strlen(out); size > 0 && out[size - 1] == ' ';)
        out[--size] = '\0';
    if (out[0] == '\0')
        snprintf(out, PATH_LIMIT, "localhost");
    return true;
}

static enum cpam_status
say_psql(const struct restore_next *next, const struct typed *typed, const char *label,
         const char *sql, struct cpam_buf *out, struct cpam_err *err)
{
    char host[PATH_LIMIT];
    unsigned port = port_of(next, typed);

    SAY("%-14s %spsql", label, typed->as);
    if (socket_of(next, typed, host))
    {
        SAY(" -h ");
        SAY_WORD(host);
    }
    if (port != 0)
        SAY(" -p %u", port);
    SAY(" -c '%s'\n", sql);
    return CPAM_OK;
}

/* pg_ctl hands what -o says to a shell once more. */
static enum cpam_status
add_option(struct cpam_buf *options, const char *name, const char *value, struct cpam_err *err)
{
    char whole[PATH_LIMIT + 64];

    snprintf(whole, sizeof(whole), "%s=%s", name, value);
    CPAM_TRY(cpam_buf_printf(options, NEXT_LIMIT, err, "%s-c ", options->size == 0 ? "" : " "));
    return recovery_typed_word(options, whole, err);
}

/* elsewhere: the configuration; data_directory in it would win over -D, so it is given too.  NULL: it
   lies in the data directory. */
static enum cpam_status
say_start(const struct restore_next *next, const struct typed *typed, const char *elsewhere,
          struct cpam_buf *out, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf options = {0};
    char path[PATH_LIMIT + 32], port[16];

    if (elsewhere != NULL)
    {
        CPAM_TRY(add_option(&options, "config_file", elsewhere, err));
        CPAM_TRY(add_option(&options, "data_directory", next->data, err));
    }
    if (typed->own_port)
    {
        SAY("configuration  %s, with a port and a pid file of its own: the original may run\n",
            typed->config);
        snprintf(port, sizeof(port), "%u", (unsigned) COPY_PORT);
        CPAM_TRY(add_option(&options, "port", port, err));
        snprintf(path, sizeof(path), "%s/restored.pid", next->data);
        CPAM_TRY(add_option(&options, "external_pid_file", path, err));
    }
    SAY("start          %s", typed->as);
    SAY_WORD(typed->pg_ctl);
    SAY(" -D ");
    SAY_WORD(next->data);
    SAY(" -w -l ");
    snprintf(path, sizeof(path), "%s/restored.log", next->data);
    SAY_WORD(path);
    if (options.size > 0)
    {
        SAY(" -o ");
        SAY_WORD(cpam_buf_text(&options));
    }
    SAY(" start\n");
    return CPAM_OK;
}

static enum cpam_status
say_start_elsewhere(const struct restore_next *next, struct typed *typed, struct cpam_buf *out,
                    bool *attention, struct cpam_err *err)
{
    char guess[PATH_LIMIT], brought[PATH_LIMIT + 16];
    char cluster[128];
    const char *config = next->config_file;

    if (config == NULL || !file_exists(next->io, config))
    {
        snprintf(guess, sizeof(guess), "/etc/postgresql/%u/main/postgresql.conf",
                 next->settings->major);
        /* rather the server's own out of the backup than what happens to lie here */
        if (config == NULL || (next->backup == NULL && file_exists(next->io, guess)))
            config = guess;
    }
    if (!file_exists(next->io, config))
    {
        *attention = true;
        SAY("attention      no postgresql.conf in %s, and none at %s, where the server had it:\n",
            next->data, config);
        if (next->backup != NULL)
        {
            snprintf(brought, sizeof(brought), "%s.config", next->data);
            SAY("               the backup holds it: cpam-base-fetch --config-files ");
            SAY_WORD(brought);
            SAY(" --backup %s\n", next->backup);
        }
        SAY("               bring it back first, then\n");
        return say_start(next, typed, config, out, err);
    }
    snprintf(typed->config_path, sizeof(typed->config_path), "%s", config);
    typed->config = typed->config_path;
    typed->own_port = !config_is_for(next->io, config, next->data);
    if (!typed->own_port && debian_cluster(config, cluster))
    {
        SAY("start          pg_ctlcluster %s start\n", cluster);
        return CPAM_OK;
    }
    return say_start(next, typed, config, out, err);
}

/* Is this parameter switched off in a file of the restored directory? */
static bool
is_off(struct io *io, const char *data, const char *file, const char *name, bool *found)
{
    static const char *const off[] = {"off", "false", "no", "0", "of", "f", "n"};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf text = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf value = {0};
    char path[PATH_LIMIT + 32];
    struct cpam_err ignored;

    *found = false;
    snprintf(path, sizeof(path), "%s/%s", data, file);
    if (file_read_all(io, path, GUC_FILE_MAX, &text, &ignored) != CPAM_OK ||
        guc_file_get((const char *) text.data, text.size, name, &value, found, &ignored) !=
            CPAM_OK ||
        !*found)
        return false;
    const char *word = cpam_buf_text(&value);
    for (size_t i = 0; word != NULL && i < sizeof(off) / sizeof(off[0]); i++)
        if (strcasecmp(word, off[i]) == 0)
            return true;
    return false;
}

/* postgresql.auto.conf wins over postgresql.conf. */
static bool
hot_standby_is_off(const struct restore_next *next)
{
    bool found = false;
    bool off = is_off(next->io, next->data, "postgresql.auto.conf", "hot_standby", &found);

    return found ? off : is_off(next->io, next->data, "postgresql.conf", "hot_standby", &found);
}

static enum cpam_status
say_open(const struct restore_next *next, const struct typed *typed, struct cpam_buf *out,
         bool *attention, struct cpam_err *err)
{
    const struct recovery_settings *settings = next->settings;

    if (strcmp(settings->action, "pause") == 0)
    {
        if (hot_standby_is_off(next))
        {
            *attention = true;
            SAY("attention      hot_standby is off, so the server can't pause: it shuts down at the "
                "target\n");
        }
        /* the lock of a DROP is replayed before its commit, which the target stops short of */
        SAY("look           at the data, pg_prepared_xacts too; a query that waits wants a table "
            "locked by the\n"
            "               transaction the target stops before: it is free once opened\n");
        return say_psql(next, typed, "open", "select pg_wal_replay_resume()", out, err);
    }
    else if (strcmp(settings->action, "shutdown") == 0)
        SAY("open           it stops at the target; remove recovery.signal there to open it\n");
    else
        SAY("open           it opens by itself at the target; pg_prepared_xacts shows what was "
            "left prepared\n");
    return CPAM_OK;
}

/* What --delta found, and what it left for a person. */
static enum cpam_status
say_delta(const struct restore_next *next, struct cpam_buf *out, struct cpam_err *err)
{
    const struct restore_tally *tally = next->tally;
    char kept[TEXT_SIZE_MAX], fetched[TEXT_SIZE_MAX];

    text_format_size(tally->kept, kept);
    text_format_size(tally->fetched, fetched);
    SAY("fetched        %s; %s were right already\n", fetched, kept);
    if (tally->kept_wal > 0)
        SAY("old WAL        %zu file%s that the archive may not have: in pg_wal/before-restore; "
            "remove that when nothing is missing\n",
            tally->kept_wal, tally->kept_wal == 1 ? "" : "s");
    return CPAM_OK;
}

static enum cpam_status
say_claim(const struct restore_next *next, const char *label, const char *why, struct cpam_buf *out,
          struct cpam_err *err)
{
    SAY("%-14s %s: cpam-repo claim ", label, why);
    SAY_WORD(next->data);
    SAY("\n");
    return CPAM_OK;
}

static enum cpam_status
say_opening(const struct restore_next *next, const struct typed *typed, struct cpam_buf *out,
            bool *attention, struct cpam_err *err)
{
    const struct recovery_settings *settings = next->settings;

    if (settings->standby)
    {
        CPAM_TRY(say_psql(next, typed, "watch",
                          "select pg_last_wal_replay_lsn(), pg_last_xact_replay_timestamp()", out,
                          err));
        SAY("stream         alter system set primary_conninfo = '...'; the archive alone feeds it "
            "until then\n");
        return CPAM_OK;
    }
    CPAM_TRY(say_psql(next, typed, "watch",
                      "select pg_is_in_recovery(), pg_last_wal_replay_lsn(), "
                      "pg_last_xact_replay_timestamp()",
                      out, err));
    CPAM_TRY(say_open(next, typed, out, attention, err));
    if (settings->partial)
    {
        SAY("archive        never: databases are missing in it; pg_dump what you want of it\n");
        return CPAM_OK;
    }
    if (!settings->recover)
        return say_claim(next, "archive",
                         "a copy keeps its WAL and does not archive; to make it the original", out,
                         err);
    SAY("archive        it archives as soon as it is open; take a backup: cpam-base-push\n");
    return say_claim(next, "settings", "those of this recovery go, before a replica is made of it",
                     out, err);
}

enum cpam_status
restore_next_text(const struct restore_next *next, struct cpam_buf *out, bool *attention,
                  struct cpam_err *err)
{
    struct typed typed = {.as = ""};

    *attention = false;
    pg_ctl_path(next, typed.pg_ctl);
    if (next->user != NULL)
        snprintf(typed.as, sizeof(typed.as), "sudo -u %s ", next->user);
    SAY("restored       %s\n", next->data);
    if (next->delta)
        CPAM_TRY(say_delta(next, out, err));
    if (next->emptied != NULL && next->emptied[0] != '\0')
        SAY("empty          can't be used, to be dropped once it is open: %s\n", next->emptied);
    if (next->has_config)
    {
        snprintf(typed.config_path, sizeof(typed.config_path), "%s/postgresql.conf", next->data);
        typed.config = typed.config_path;
        typed.own_port = !next->in_place;
        CPAM_TRY(say_start(next, &typed, NULL, out, err));
    }
    else
        CPAM_TRY(say_start_elsewhere(next, &typed, out, attention, err));
    return say_opening(next, &typed, out, attention, err);
}
