/*
 * test_source_stream.c - a streamed backup from a server that follows a script: what a good one becomes,
 * and that every other one ends with a reason and without an entry that could be taken for whole.
 */
#include "suite.h"

#include <stdio.h>
#include <unistd.h>

#include "backup_source.h"
#include "pgconn/scripted_server.h"
#include "repo/repo_fixture.h"
#include "stream_script.h"

/* --- the server --------------------------------------------------------------------------------- */

static struct scripted_server server;
static const char *pid[] = {"4711"}, *role[] = {"f", "on"}, *one[] = {"1"}, *zero[] = {"0"};
static const char *system_row[] = {"7301234567890123456", "1", "0/3000000", NULL};
static const char *shape[] = {
    "7301234567890123456", "1300", "202209061", "8192", "131072", "8192", "16777216", "1"};
static const char *version[] = {"server_version", "15.4", "server_version_num", "150004"};
static const char *now[] = {"1700000000000000"}, *moment[] = {"10:10:", "1700000001000000"};

#define SQL(text, r, c, v)                                                                         \
    {                                                                                              \
        .sql = (text), .kind = ANSWER_ROWS, .rows = (r), .columns = (c), .values = (v)             \
    }
static struct answer answers[] = {
    SQL("SELECT pg_backend_pid()", 1, 1, pid),
    SQL("SELECT pg_is_in_recovery(), current", 1, 2, role),
    SQL("SELECT s.system_identifier", 1, 8, shape),
    SQL("SELECT name, coalesce", 2, 2, version),
    SQL("SELECT count(*) FROM pg_stat_activity", 1, 1, one),
    SQL("SELECT count(*) FROM pg_tablespace", 1, 1, zero),
    SQL("SELECT floor(extract", 1, 1, now),
    SQL("SELECT CASE WHEN pg_is_in_recovery", 1, 2, moment),
    {.sql = "IDENTIFY_SYSTEM", .kind = ANSWER_STREAM},
    {.sql = "BASE_BACKUP", .kind = ANSWER_STREAM, .steps = steps},
};
static struct step identify[] = {
    {.kind = STEP_ROWS, .rows = 1, .columns = 4, .values = system_row}};

enum
{
    ANSWERS = sizeof(answers) / sizeof(answers[0])
};

static struct repo_fixture repo;
static struct settings settings;
static volatile sig_atomic_t stopped;
static struct cpam_err err;

static void
begin(void)
{
    no_label = no_control = file_behind_control = no_map = with_link = other_link = label_twice =
        false;
    control_sysid = REPO_SYSID;
    start_row[1] = stop_row[1] = "1";
    places[0] = "16384", places[3] = NULL;
    role[0] = "f", role[1] = "on", pid[0] = "4711", one[0] = "1", zero[0] = "0";
    system_row[0] = "7301234567890123456", version[3] = "150004", shape[3] = "8192";
    stopped = 0;
    memset(&server, 0, sizeof(server));
    answers[ANSWERS - 2].steps = identify;
    answers[ANSWERS - 2].step_count = 1;
    server.answers = answers;
    server.count = ANSWERS;
    repo_fixture_begin(&repo, false);
    settings = (struct settings){
        .state = fixture_dir,
        .postgresql = {.data = "/nowhere/at/all",
                       .connection = server.conninfo,
                       .standby_connection = ""},
        .base = {.source = "stream", .from = "primary", .stream_compression = "auto"}};
}

static void
end(void)
{
    repo_fixture_end(&repo);
}

/* What the plan holds at the end: "d path", "f path size" or "f path vanished". */
static struct cpam_buf listed;

static enum cpam_status
list(void *arg, const struct plan_entry *entry, struct cpam_err *e)
{
    struct plan_content content;

    if (entry->source.kind == MANIFEST_DIRECTORY)
        return cpam_buf_printf(&listed, 1 << 16, e, "d %s%s%s\n", entry->source.path,
                               entry->source.target == NULL ? "" : " at ",
                               entry->source.target == NULL ? "" : entry->source.target);
    CPAM_TRY(plan_content(arg, entry->first_part, entry->part_count, &content, e));
    free(content.extents);
    return cpam_buf_printf(&listed, 1 << 16, e, "f %s %llu\n", entry->source.path,
                           (unsigned long long) content.size);
}

/* All of a backup that a source is asked for. */
static enum cpam_status
take_backup(struct backup_source *source, struct backup_stop *stop)
{
    CPAM_AUTO(plan_free) struct plan *plan = NULL;
    CPAM_AUTO(pack_set_free) struct pack_set *packs = NULL;
    CPAM_AUTO(push_copy_free) struct push_copy *copy = NULL;
    struct pack_set_spec set = {.label = "cpam_backup_20261123_160349",
                                .attempt = 1,
                                .sysid = REPO_SYSID,
                                .pack_size = PACK_SIZE_MIN,
                                .state = fixture_dir,
                                .repos = 1};
    struct repo *repos[PACK_REPOS_MAX] = {repo.repo};
    uint8_t bytes[CONTROL_FILE_SIZE];
    struct backup_start start;
    struct control found;
    uint64_t expected;

    CPAM_TRY(source->ops->meet(source, &err));
    CPAM_TRY(source->ops->start(source, set.label, true, &start, &err));
    ck_assert_uint_eq(start.lsn.at, 0x2000028);
    CPAM_TRY(plan_new(io_posix(), fixture_dir, &plan, &err));
    plan_set_part_size(plan, source->part_size);
    CPAM_TRY(source->ops->plan(source, plan, &expected, &err));
    ck_assert_uint_eq(expected, 38 << 10);
    CPAM_TRY(pack_set_new(io_posix(), &set, &packs, &err));
    struct push_copy_spec spec = {
        .repos = repos, .plan = plan, .packs = packs, .workers = 2, .stopped = &stopped};
    CPAM_TRY(push_copy_new(io_posix(), &spec, &copy, &err));
    CPAM_TRY(source->ops->copy(source, copy, &err));
    CPAM_TRY(source->ops->control(source, bytes, &found, &err));
    struct push_piece text = {PUSH_CONTROL_PATH, source->control_part, 0, bytes, sizeof(bytes)};
    CPAM_TRY(push_copy_text(copy, &text, &err));
    CPAM_TRY(source->ops->stop(source, stop, &err));
    CPAM_TRY(push_copy_finish(copy, &err));
    return plan_each(plan, list, plan, &err);
}

static enum cpam_status
back_up(void)
{
    struct backup_source_spec spec = {io_posix(), &settings, &stopped};
    CPAM_AUTO(backup_source_free) struct backup_source *source = NULL;
    struct backup_stop stop = {0};

    answers[ANSWERS - 1].step_count = step_count;
    listed.size = 0;
    server.statements[0] = '\0';
    scripted_server_start(&server);
    enum cpam_status status = backup_source_new(&spec, &source, &err);
    if (status == CPAM_OK)
        status = take_backup(source, &stop);
    if (status == CPAM_OK)
    {
        ck_assert_uint_eq(stop.lsn.at, 0x2000100);
        ck_assert_str_eq(cpam_buf_text(&stop.label_text), label_text);
        ck_assert_str_eq(cpam_buf_text(&stop.map_text), "16384 /space\n");
        ck_assert_str_eq(stop.snapshot, "10:10:");
    }
    cpam_buf_clear(&stop.label_text);
    cpam_buf_clear(&stop.map_text);
    backup_source_free(CPAM_STEAL(source));
    scripted_server_stop(&server);
    return status;
}

static const char whole[] = "f empty 0\nd global\nf global/pg_control 8192\nd pg_tblspc\n"
                            "d pg_tblspc/16384 at /space\nd pg_tblspc/16384/PG_15_202209061\n"
                            "d pg_tblspc/16384/PG_15_202209061/5\n"
                            "f pg_tblspc/16384/PG_15_202209061/5/16390 8192\nd pg_wal\n"
                            "d pg_wal/archive_status\nf zz 5\n";

START_TEST(B1_a_stream_of_typed_messages_becomes_a_backup)
{
    make_archives();
    typed();
    ck_ok(back_up(), &err);
    ck_assert_str_eq(cpam_buf_text(&listed), whole);
    ck_assert_ptr_nonnull(strstr(server.statements,
                                 "BASE_BACKUP (LABEL 'cpam_backup_20261123_160349', PROGRESS true, "
                                 "CHECKPOINT 'fast', WAIT false, TABLESPACE_MAP true, "));
    /* trap 30 */
    ck_assert_ptr_nonnull(strstr(server.startup, "replication true"));
    ck_assert_ptr_nonnull(strstr(server.startup, "-c idle_session_timeout=0"));
    ck_assert_ptr_nonnull(strstr(server.startup, "-c statement_timeout=0"));
    ck_assert_ptr_null(strstr(server.statements, "password"));
    cpam_buf_clear(&listed);
}
END_TEST

START_TEST(B1_one_copy_an_archive_becomes_a_backup)
{
    version[3] = "140010";
    make_archives();
    plain();
    ck_ok(back_up(), &err);
    ck_assert_str_eq(cpam_buf_text(&listed), whole);
    ck_assert_ptr_nonnull(strstr(server.statements,
                                 "BASE_BACKUP LABEL 'cpam_backup_20261123_160349' PROGRESS FAST "
                                 "NOWAIT TABLESPACE_MAP NOVERIFY_CHECKSUMS"));
    cpam_buf_clear(&listed);
}
END_TEST

START_TEST(B11_links_instead_of_a_map_where_a_tablespace_is_in_place)
{
    zero[0] = "1";
    no_map = with_link = true;
    make_archives();
    typed();
    ck_ok(back_up(), &err); /* with the map that PostgreSQL would have written */
    ck_assert_str_eq(cpam_buf_text(&listed), whole);
    ck_assert_ptr_nonnull(strstr(server.statements, "TABLESPACE_MAP false"));
    cpam_buf_clear(&listed);
}
END_TEST

static void
refused_compression(void)
{
    step_count = 0;
    step(STEP_ERROR, "lz4 compression is not supported by this build", 0);
}

START_TEST(B1_a_codec_the_server_has_not_is_its_own_refusal)
{
    settings.base.stream_compression = "lz4";
    make_archives();
    refused_compression();
    ck_fails(back_up(), CPAM_REFUSED, "lz4 compression is not supported by this build", &err);
    ck_assert_ptr_nonnull(strstr(server.statements, ", COMPRESSION 'lz4')"));
    /* what it sends must be what was asked for */
    typed();
    ck_fails(back_up(), CPAM_CORRUPT, "not the next in its list", &err);
    steps[3].data = "n16384.tar.lz4\0/space";
    steps[3].size += 4;
    ck_fails(back_up(), CPAM_CORRUPT, "the lz4 stream is damaged", &err);
    settings.base.stream_compression = "none";
    make_archives();
    typed();
    ck_ok(back_up(), &err);
    ck_assert_ptr_null(strstr(server.statements, "COMPRESSION"));
    cpam_buf_clear(&listed);
}
END_TEST

/* --- what goes wrong ---------------------------------------------------------------------------- */

static void
pooler(void)
{
    pid[0] = "1";
}
static void
other_session(void)
{
    one[0] = "0";
}
static void
other_system(void)
{
    system_row[0] = "1";
}
static void
a_standby(void)
{
    role[0] = "t";
}
static void
no_archiving(void)
{
    role[1] = "off";
}
static void
too_old(void)
{
    version[3] = "130001";
}
static void
small_blocks(void)
{
    shape[3] = "4096";
}
static void
refused_at_once(void)
{
    step_count = 0;
    step(STEP_ERROR, "permission denied to start WAL sender", 0);
}
static void
no_start(void)
{
    steps[0].columns = 1;
}
static void
no_list(void)
{
    steps[1].columns = 2;
}
static void
directory_not_last(void)
{
    places[3] = "16385";
}
static void
fewer_archives(void)
{
    steps[7] = (struct step){.kind = STEP_COPY_DONE};
    steps[8] = steps[10];
    step_count = 9;
}
static void
wrong_order(void)
{
    steps[3].data = base_name;
    steps[3].size = sizeof(base_name);
}
static void
wrong_place(void)
{
    steps[3].data = "n16384.tar\0/other";
}
static void
name_without_end(void)
{
    steps[3].data = "n16384.tarx";
    steps[3].size = 11;
}
static void
content_first(void)
{
    steps[3] = steps[4];
}
static void
a_manifest(void)
{
    steps[5].data = "m";
    steps[5].size = 1;
}
static void
bad_progress(void)
{
    steps[5].size = 8;
}
static void
more_archives(void)
{
    step_count -= 2;
    step(STEP_DATA, "n1.tar\0/x", 10);
    step(STEP_COPY_DONE, NULL, 0);
}
static void
error_in_mid_stream(void)
{
    steps[6] = (struct step){.kind = STEP_ERROR, .data = "could not read file \"base/1/2\""};
    step_count = 7;
}
static void
promoted_in_mid_stream(void)
{
    steps[8] =
        (struct step){.kind = STEP_ERROR, .data = "the standby was promoted during online backup"};
    step_count = 9;
}
static void
shut_down(void)
{
    steps[6] = (struct step){.kind = STEP_FATAL, .data = "terminating connection"};
    step_count = 7;
}
static void
hung_up(void)
{
    steps[6] = (struct step){.kind = STEP_HANG_UP};
    step_count = 7;
}
static void
cut_short(void)
{
    steps[8].size -= 1;
}
static void
cut_archive_of_a_tablespace(void)
{
    steps[6].size -= BLOCK;
}
static void
over_without_an_end(void)
{
    step_count--;
}
static void
error_behind_the_end(void)
{
    step(STEP_ERROR, "checksum verification failure during base backup", 0);
}
static void
timeline_switch(void)
{
    stop_row[1] = "2";
}
static void
other_start_timeline(void)
{
    start_row[1] = stop_row[1] = "2";
}

static const struct
{
    void (*make)(void);
    bool *content; /* or what of the archives is different */
    enum cpam_status status;
    const char *words;
} refused[] = {
    {pooler, NULL, CPAM_USAGE, "connection pooler"},
    {other_session, NULL, CPAM_FOREIGN, "leads to another server"},
    {other_system, NULL, CPAM_FOREIGN, "leads to another server"},
    {a_standby, NULL, CPAM_REFUSED, "is a standby"},
    {no_archiving, NULL, CPAM_REFUSED, "archive_mode is off"},
    {too_old, NULL, CPAM_INVALID, "14 is the first one"},
    {small_blocks, NULL, CPAM_INVALID, "only 8192 are supported"},
    {refused_at_once, NULL, CPAM_REFUSED, "permission denied to start WAL sender"},
    {no_start, NULL, CPAM_CORRUPT, "no position in WAL"},
    {no_list, NULL, CPAM_CORRUPT, "no list of tablespaces"},
    {directory_not_last, NULL, CPAM_CORRUPT, "a tablespace without a place"},
    {fewer_archives, NULL, CPAM_CORRUPT, "fewer archives than tablespaces"},
    {wrong_order, NULL, CPAM_CORRUPT, "not the next in its list"},
    {wrong_place, NULL, CPAM_CORRUPT, "not the next in its list"},
    {name_without_end, NULL, CPAM_CORRUPT, "not the next in its list"},
    {content_first, NULL, CPAM_CORRUPT, "content without an archive"},
    {a_manifest, NULL, CPAM_CORRUPT, "a message of an unknown kind"},
    {bad_progress, NULL, CPAM_CORRUPT, "a message about progress"},
    {more_archives, NULL, CPAM_CORRUPT, "more archives than tablespaces"},
    {error_in_mid_stream, NULL, CPAM_REFUSED, "could not read file \"base/1/2\""},
    {promoted_in_mid_stream, NULL, CPAM_REFUSED, "promoted during online backup"},
    {shut_down, NULL, CPAM_TRANSIENT, "terminating connection"},
    {hung_up, NULL, CPAM_TRANSIENT, "connection to the database server is lost"},
    {cut_short, NULL, CPAM_CORRUPT, "cut short"},
    {cut_archive_of_a_tablespace, NULL, CPAM_CORRUPT, "the archive of \"/space\""},
    {over_without_an_end, NULL, CPAM_CORRUPT, "no end"},
    {error_behind_the_end, NULL, CPAM_REFUSED, "checksum verification failure"},
    {timeline_switch, NULL, CPAM_REFUSED, "from timeline 1 to 2"},
    {other_start_timeline, NULL, CPAM_CORRUPT, "backup_label of another timeline"},
    {NULL, &no_label, CPAM_CORRUPT, "no backup_label"},
    {NULL, &no_control, CPAM_CORRUPT, "not a whole global/pg_control"},
    {NULL, &file_behind_control, CPAM_CORRUPT, "not a whole global/pg_control"},
    {NULL, &no_map, CPAM_CORRUPT, "where tablespaces lie"},
    {NULL, &other_link, CPAM_CORRUPT, "is not that of a tablespace"},
    {NULL, &label_twice, CPAM_CORRUPT, "\"backup_label\" comes twice"},
};

START_TEST(B5_any_other_stream_is_refused)
{
    if (refused[_i].content != NULL)
        *refused[_i].content = true;
    make_archives();
    typed();
    if (refused[_i].make != NULL)
        refused[_i].make();
    ck_fails(back_up(), refused[_i].status, refused[_i].words, &err);
    ck_assert_uint_eq(listed.size, 0);
}
END_TEST

/* Step 1 to N does not come: the server is gone, or says that something failed. */
START_TEST(B5_a_stream_that_ends_at_any_step_is_no_backup)
{
    static const enum step_kind ends[] = {STEP_HANG_UP, STEP_FATAL, STEP_ERROR};
    size_t whole_steps;

    version[3] = _i % 2 == 0 ? "150004" : "140010";
    make_archives();
    _i % 2 == 0 ? typed() : plain();
    whole_steps = step_count;
    for (size_t last = 0; last < whole_steps; last++)
    {
        const struct step kept = steps[last];

        steps[last] = (struct step){.kind = ends[_i / 2], .data = "it broke"};
        step_count = last + 1;
        enum cpam_status status = back_up();
        ck_assert_msg(status == (ends[_i / 2] == STEP_ERROR ? CPAM_REFUSED : CPAM_TRANSIENT),
                      "step %zu: %s", last, status == CPAM_OK ? "no failure" : err.text);
        steps[last] = kept;
    }
    step_count = whole_steps;
    ck_ok(back_up(), &err);
    cpam_buf_clear(&listed);
}
END_TEST

START_TEST(B5_fourteen_is_as_strict)
{
    version[3] = "140010";
    make_archives();
    plain();
    step_count = 5; /* the second archive never comes */
    rows(1, 2, stop_row);
    ck_fails(back_up(), CPAM_CORRUPT, "fewer archives than tablespaces", &err);
    plain();
    steps[3].size -= BLOCK;
    ck_fails(back_up(), CPAM_CORRUPT, "the archive of \"/space\"", &err);
    plain();
    steps[6] = (struct step){.kind = STEP_SILENCE};
    step_count = 7;
    stopped = 1; /* a signal while nothing comes */
    ck_fails(back_up(), CPAM_CANCELLED, "the backup was stopped", &err);
}
END_TEST

START_TEST(B1_pg_control_must_be_whole_and_of_this_cluster)
{
    control_sysid = 1;
    make_archives();
    typed();
    ck_fails(back_up(), CPAM_FOREIGN, "of another cluster", &err);
    control_sysid = REPO_SYSID;
    make_archives();
    typed();
    /* its bytes are the last before the terminator */
    base.data[1 + base.size - (size_t) 2 * BLOCK - CONTROL_FILE_SIZE + 60] ^= 1;
    ck_fails(back_up(), CPAM_CORRUPT, "the server read pg_control while it wrote it", &err);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("programs/source_stream");
    TCase *tcase = tcase_create("source_stream");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, B1_a_stream_of_typed_messages_becomes_a_backup);
    tcase_add_test(tcase, B1_one_copy_an_archive_becomes_a_backup);
    tcase_add_test(tcase, B11_links_instead_of_a_map_where_a_tablespace_is_in_place);
    tcase_add_test(tcase, B1_a_codec_the_server_has_not_is_its_own_refusal);
    tcase_add_loop_test(tcase, B5_any_other_stream_is_refused, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_loop_test(tcase, B5_a_stream_that_ends_at_any_step_is_no_backup, 0, 6);
    tcase_add_test(tcase, B5_fourteen_is_as_strict);
    tcase_add_test(tcase, B1_pg_control_must_be_whole_and_of_this_cluster);
    suite_add_tcase(suite, tcase);
    return suite;
}
