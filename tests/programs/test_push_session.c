/*
 * test_push_session.c - a scripted server that is not the one whose directory is backed up.
 */
#include "suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "io/control_load.h"
#include "pg/crc32c.h"
#include "push_session.h"

#define SYSID UINT64_C(7301234567890123456)

/* A server that answers what the test says. */
struct server
{
    struct pgconn base;
    const char *pid, *data, *port, *recovery, *start, *sysid, *archive_mode, *version_num;
    const char *label, *start_lsn;
    unsigned pid_calls;
    bool from_standby;                /* base.from */
    const char *checkpoint, *minimum; /* timelines in pg_control */
    bool bytes;                       /* nothing is converted */
    bool nameless;                    /* a database's name can't be */
    char asked[4096];
};

static struct server server;
static char root[64];
static struct cpam_err err;

static enum cpam_status
answer(struct pgconn *conn, const char *sql, const char *const *parameters, size_t count,
       struct deadline deadline, struct pgrows **out, struct cpam_err *e)
{
    struct server *self = (struct server *) conn;

    (void) parameters;
    (void) count;
    (void) deadline;
    snprintf(self->asked + strlen(self->asked), sizeof(self->asked) - strlen(self->asked), "%.40s|",
             sql);
    if (strstr(sql, "pg_backend_pid") != NULL)
    {
        self->pid_calls++;
        return pgrows_new(1, 1, &self->pid, out, e);
    }
    if (strstr(sql, "data_directory'), ") != NULL)
    {
        const char *values[] = {self->data,  self->port,  self->recovery,
                                self->start, self->sysid, self->archive_mode};

        return pgrows_new(1, 6, values, out, e);
    }
    if (strstr(sql, "client_encoding") != NULL)
    {
        self->bytes = strstr(sql, "SQL_ASCII") != NULL;
        return CPAM_OK;
    }
    /* what holds a path is asked for byte for byte, and names are not */
    ck_assert_int_eq(self->bytes,
                     strstr(sql, "data_directory") != NULL || strstr(sql, "spcmapfile") != NULL);
    if (strstr(sql, "pg_database") != NULL)
        return self->nameless ? cpam_fail(e, CPAM_REFUSED, 0, "invalid byte sequence")
                              : pgrows_new(0, 2, NULL, out, e);
    if (strstr(sql, "pg_settings") != NULL)
    {
        const char *values[] = {"server_version", "15.4", "server_version_num", self->version_num};

        return pgrows_new(2, 2, values, out, e);
    }
    if (strstr(sql, "min_recovery_end_timeline") != NULL)
    {
        const char *values[] = {self->recovery, self->checkpoint, self->minimum};

        return pgrows_new(1, 3, values, out, e);
    }
    if (strstr(sql, "pg_current_snapshot") != NULL)
    {
        const char *values[] = {"10:10:", "1700000000000000"};

        return pgrows_new(1, 2, values, out, e);
    }
    if (strstr(sql, "clock_timestamp") != NULL)
    {
        const char *values[] = {"1700000000000000"};

        return pgrows_new(1, 1, values, out, e);
    }
    if (strstr(sql, "start") != NULL && strstr(sql, "$1") != NULL)
        return pgrows_new(1, 1, &self->start_lsn, out, e);
    const char *values[] = {"0/2000100", self->label, ""};

    return pgrows_new(1, 3, values, out, e);
}

static int
pid_told(struct pgconn *conn)
{
    (void) conn;
    return 4711;
}

static void
nothing(struct pgconn *conn)
{
    (void) conn;
}

static void
file(const char *name, const void *data, size_t size)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(data, 1, size, out), size);
    ck_assert_int_eq(fclose(out), 0);
}

/* pg_control of 15 (postgresql.md: offsets and the CRC at 288). */
static void
control(uint64_t sysid, uint32_t state, uint64_t redo)
{
    uint8_t bytes[CONTROL_FILE_SIZE] = {0};

    le64_put(bytes, sysid);
    le32_put(bytes + 8, 1300);
    le32_put(bytes + 12, 202209061);
    le32_put(bytes + 16, state);
    le64_put(bytes + 32, redo);
    le64_put(bytes + 40, redo);
    le32_put(bytes + 48, 1);
    le32_put(bytes + 216, 8192);
    le32_put(bytes + 220, 131072);
    le32_put(bytes + 224, 8192);
    le32_put(bytes + 228, 16 << 20);
    le32_put(bytes + 288, crc32c(0, bytes, 288));
    file("global/pg_control", bytes, sizeof(bytes));
}

static void
begin(void)
{
    static const struct pgconn_ops ops = {answer, pid_told, nothing};
    static const char pid[] = "99\n/data\n1700000000\n5432\n/tmp\n*\n  1  2\nready   \n";
    char global[80];

    snprintf(root, sizeof(root), "/tmp/cpam-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(global, sizeof(global), "%s/global", root);
    ck_assert_int_eq(mkdir(global, 0700), 0);
    server = (struct server){.base.ops = &ops,
                             .pid = "4711",
                             .data = root,
                             .port = "5432",
                             .recovery = "f",
                             .start = "1700000001",
                             .sysid = "7301234567890123456",
                             .archive_mode = "on",
                             .version_num = "150004",
                             .start_lsn = "0/2000028",
                             .label = "START WAL LOCATION: 0/2000028 (file "
                                      "000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\n"
                                      "BACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: "
                                      "2023-11-14 22:13:20 UTC\nLABEL: x\nSTART TIMELINE: 1\n"};
    file("postmaster.pid", pid, sizeof(pid) - 1);
    control(SYSID, 6, 0x2000028);
}

static void
end(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

static enum cpam_status
check(void)
{
    __attribute__((cleanup(server_facts_clear_scoped_))) struct server_facts facts = {0};

    return server_check(io_posix(), &server.base, root, server.from_standby, &facts, &err);
}

START_TEST(trap5_the_right_server_is_believed)
{
    struct server_facts facts = {0};

    ck_ok(server_check(io_posix(), &server.base, root, server.from_standby, &facts, &err), &err);
    ck_assert_uint_eq(facts.sysid, SYSID);
    ck_assert_uint_eq(facts.version_num, 150004);
    ck_assert_str_eq(facts.version, "15.4");
    ck_assert_uint_ge(server.pid_calls, 2);
    server_facts_clear(&facts);
}
END_TEST

START_TEST(names_that_cant_be_told_are_no_reason_to_have_no_backup)
{
    server.nameless = true;
    ck_ok(check(), &err);
}
END_TEST

static void
pooler(void)
{
    server.pid = "4712";
}
static void
standby(void)
{
    server.recovery = "t";
}
static void
other_directory(void)
{
    server.data = "/tmp";
}
static void
unreachable_directory(void)
{
    server.data = "/nowhere/on/this/host";
}
static void
other_port(void)
{
    server.port = "5433";
}
static void
started_later(void)
{
    server.start = "1700009000";
}
static void
started_before(void)
{
    server.start = "1699990000";
}
static void
other_sysid(void)
{
    server.sysid = "1";
}
static void
no_archiving(void)
{
    server.archive_mode = "off";
}
static void
old_server(void)
{
    server.version_num = "130011";
}
static void
standbys_directory(void)
{
    control(SYSID, 5, 0x2000028);
}
static void
no_server(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/postmaster.pid", root);
    ck_assert_int_eq(unlink(path), 0);
}

static void
from_standby(void)
{
    server.from_standby = true;
    server.recovery = "t";
    server.archive_mode = "off"; /* the primary's counts */
    control(SYSID, 5, 0x2000028);
}
static void
promoted(void)
{
    from_standby();
    server.recovery = "f";
}
static void
standby_with_a_primarys_directory(void)
{
    from_standby();
    control(SYSID, 6, 0x2000028);
}
static void
primary_of_this_standby(void)
{
    from_standby();
    server.recovery = "f";
    server.data = "/tmp";
}

static const struct
{
    void (*make)(void);
    enum cpam_status status;
    const char *words;
} refused[] = {
    {pooler, CPAM_USAGE, "connection pooler"},
    {standby, CPAM_REFUSED, "is a standby"},
    {other_directory, CPAM_FOREIGN, "data directory"},
    {unreachable_directory, CPAM_FOREIGN, "data directory"},
    {other_port, CPAM_FOREIGN, "port"},
    {started_later, CPAM_FOREIGN, "start time"},
    {started_before, CPAM_FOREIGN, "start time"},
    {other_sysid, CPAM_FOREIGN, "system identifier"},
    {no_archiving, CPAM_REFUSED, "archive_mode is off"},
    {old_server, CPAM_INVALID, "14 is the first one"},
    {standbys_directory, CPAM_FOREIGN, "in production there"},
    {no_server, CPAM_FOREIGN, "a running server"},
    {promoted, CPAM_REFUSED, "is no standby"},
    {standby_with_a_primarys_directory, CPAM_FOREIGN, "in archive recovery there"},
    {primary_of_this_standby, CPAM_FOREIGN, "data directory"},
};

START_TEST(trap5_any_other_server_is_refused)
{
    refused[_i].make();
    ck_fails(check(), refused[_i].status, refused[_i].words, &err);
    ck_assert_str_ne(err.text, "");
}
END_TEST

START_TEST(B5_a_standby_is_believed_where_one_is_wanted)
{
    from_standby();
    ck_ok(check(), &err);
}
END_TEST

static const struct
{
    const char *recovery, *checkpoint, *minimum;
    const char *words; /* NULL: it stays what it was */
} switches[] = {
    {"t", "3", "3", NULL},
    {"t", "3", "0", NULL}, /* nothing was written since it started */
    {"f", "3", "3", "the standby was promoted during the backup"},
    {"t", "4", "3", "from timeline 3 to 4"},
    {"t", "3", "4", "from timeline 3 to 4"},
    {"t", "x", "3", "x"},
};

START_TEST(B5_a_standby_stays_a_standby_on_its_timeline)
{
    server.recovery = switches[_i].recovery;
    server.checkpoint = switches[_i].checkpoint;
    server.minimum = switches[_i].minimum;
    enum cpam_status status = standby_check(io_posix(), &server.base, (struct timeline){3}, &err);

    ck_assert_int_eq(status == CPAM_OK, switches[_i].words == NULL);
    if (switches[_i].words != NULL)
        ck_assert_ptr_nonnull(strstr(err.text, switches[_i].words));
}
END_TEST

START_TEST(trap5_a_checkpoint_that_is_not_in_this_directory)
{
    struct backup_start start = {.lsn = {0x3000028}};

    ck_fails(backup_start_check(io_posix(), root, &start, &err), CPAM_FOREIGN, "last checkpoint",
             &err);
    start.lsn.at = 0x2000028;
    ck_ok(backup_start_check(io_posix(), root, &start, &err), &err);
}
END_TEST

static const struct
{
    unsigned version;
    const char *start, *stop;
} majors[] = {
    {140010, "SELECT pg_start_backup($1", "FROM pg_stop_backup"},
    {150004, "SELECT pg_backup_start($1", "FROM pg_backup_stop"},
    {180000, "SELECT pg_backup_start($1", "FROM pg_backup_stop"},
};

static const char *stop_sql;

static enum cpam_status
catch_stop(struct pgconn *conn, const char *sql, const char *const *parameters, size_t count,
           struct deadline deadline, struct pgrows **out, struct cpam_err *e)
{
    if (strstr(sql, "labelfile") != NULL)
        stop_sql = sql;
    return answer(conn, sql, parameters, count, deadline, out, e);
}

START_TEST(each_major_has_its_functions)
{
    static const struct pgconn_ops ops = {catch_stop, pid_told, nothing};
    struct server_facts facts = {.version_num = majors[_i].version};
    struct backup_start start;
    struct backup_stop stop = {0};

    server.base.ops = &ops;
    ck_ok(backup_start(io_posix(), &server.base, &facts, "x", true, &start, &err), &err);
    ck_assert_uint_eq(start.lsn.at, 0x2000028);
    ck_assert_int_eq(start.time, 1700000000000000);
    ck_assert_ptr_nonnull(strstr(server.asked, majors[_i].start));
    ck_ok(backup_stop(io_posix(), &server.base, &facts, &stop, &err), &err);
    ck_assert_ptr_nonnull(strstr(stop_sql, majors[_i].stop));
    ck_assert_uint_eq(stop.lsn.at, 0x2000100);
    ck_assert_uint_eq(stop.label.timeline.id, 1);
    ck_assert_str_eq(stop.snapshot, "10:10:");
    ck_assert_str_eq(cpam_buf_text(&stop.label_text), server.label);
    cpam_buf_clear(&stop.label_text);
    cpam_buf_clear(&stop.map_text);
}
END_TEST

/* Trap 21: a pg_control that is half written when it is read, and whole a moment later. */
static struct io_ops tearing_ops;
static struct io tearing = {&tearing_ops};
static int torn_left;

static void
mend(struct io *io, int64_t us)
{
    (void) io;
    (void) us;
    if (--torn_left == 0)
        control(SYSID, 6, 0x2000028);
}

START_TEST(trap21_torn_pg_control_is_read_again)
{
    uint8_t bytes[CONTROL_FILE_SIZE], junk[CONTROL_FILE_SIZE] = {1};
    struct control found;

    tearing_ops = *io_posix()->ops;
    tearing_ops.sleep = mend;
    le32_put(junk + 8, 1300);
    le32_put(junk + 12, 202209061);
    file("global/pg_control", junk, sizeof(junk));
    torn_left = 3;
    ck_ok(control_load(&tearing, root, bytes, &found, &err), &err);
    ck_assert_int_eq(torn_left, 0);
    ck_assert_uint_eq(found.sysid, SYSID);
    /* never mended: it ends */
    file("global/pg_control", junk, sizeof(junk));
    torn_left = 0;
    ck_assert_int_ne(control_load(&tearing, root, bytes, &found, &err), CPAM_OK);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/push_session");
    TCase *tcase = tcase_create("push_session");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, trap5_the_right_server_is_believed);
    tcase_add_loop_test(tcase, trap5_any_other_server_is_refused, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, names_that_cant_be_told_are_no_reason_to_have_no_backup);
    tcase_add_test(tcase, B5_a_standby_is_believed_where_one_is_wanted);
    tcase_add_loop_test(tcase, B5_a_standby_stays_a_standby_on_its_timeline, 0,
                        sizeof(switches) / sizeof(switches[0]));
    tcase_add_test(tcase, trap5_a_checkpoint_that_is_not_in_this_directory);
    tcase_add_loop_test(tcase, each_major_has_its_functions, 0, sizeof(majors) / sizeof(majors[0]));
    tcase_add_test(tcase, trap21_torn_pg_control_is_read_again);
    suite_add_tcase(suite, tcase);
    return suite;
}
