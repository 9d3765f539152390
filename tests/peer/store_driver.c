/*
 * store_driver.c - one operation of a store, or many, from the command line, for the tests.
 *
 *     store_driver [--name=value ...] COMMAND ARGUMENT...
 *
 * Credentials come from the environment.  Lines of results, then the last line: the status, a tab,
 * the sentence, a tab, the hint.  The exit status is 0 for CPAM_OK, else 1.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "http/client.h"
#include "io/file.h"
#include "store/dir_store.h"
#include "store/s3_store.h"

struct arguments
{
    struct s3_store_settings store;
    struct http_options http;
    const char *directory; /* instead of a bucket */
    int64_t deadline, patience;
    bool virtual_clock;
    char **rest;
    int rest_count;
};

/* io_posix(), but sleeping costs no time: the clocks jump ahead instead. */
static struct io_ops jump_ops;
static struct io jump = {.ops = &jump_ops};
static int64_t jumped;
static unsigned sleeps;

static int64_t
jump_now(struct io *io)
{
    (void) io;
    return io_posix()->ops->now(io_posix()) + jumped;
}

static int64_t
jump_monotonic(struct io *io)
{
    (void) io;
    return io_posix()->ops->monotonic(io_posix()) + jumped;
}

static void
jump_sleep(struct io *io, int64_t us)
{
    (void) io;
    jumped += us;
    sleeps++;
}

static struct io *
io_of(const struct arguments *arguments)
{
    if (!arguments->virtual_clock)
        return io_posix();
    jump_ops = *io_posix()->ops;
    jump_ops.now = jump_now;
    jump_ops.monotonic = jump_monotonic;
    jump_ops.sleep = jump_sleep;
    return &jump;
}

static bool
take_option(struct arguments *to, const char *text)
{
    const struct
    {
        const char *name;
        const char **into;
    } texts[] = {
        {"--endpoint=", &to->store.s3.endpoint},
        {"--bucket=", &to->store.s3.bucket},
        {"--region=", &to->store.s3.region},
        {"--addressing=", &to->store.s3.addressing},
        {"--owner=", &to->store.s3.expected_bucket_owner},
        {"--sse=", &to->store.s3.server_side_encryption},
        {"--lock=", &to->store.s3.lock_mode},
        {"--prefix=", &to->store.prefix},
        {"--class=", &to->store.class_base},
        {"--ca=", &to->http.ca_file},
        {"--resolve=", &to->http.resolve[0]},
        {"--directory=", &to->directory},
    };
    const struct
    {
        const char *name;
        int64_t *into;
    } milliseconds[] = {
        {"--deadline=", &to->deadline},         {"--patience=", &to->patience},
        {"--connect=", &to->http.connect_us},   {"--stall=", &to->http.stall_us},
        {"--lock-for=", &to->store.s3.lock_us},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strncmp(text, texts[i].name, strlen(texts[i].name)) == 0)
            return *texts[i].into = text + strlen(texts[i].name), true;
    for (size_t i = 0; i < sizeof(milliseconds) / sizeof(milliseconds[0]); i++)
        if (strncmp(text, milliseconds[i].name, strlen(milliseconds[i].name)) == 0)
            return *milliseconds[i].into = atoll(text + strlen(milliseconds[i].name)) * 1000, true;
    if (strcmp(text, "--virtual-clock") == 0)
        return to->virtual_clock = true;
    return false;
}

static enum cpam_status
open_store(const struct arguments *arguments, struct store **out, struct cpam_err *err)
{
    struct io *io = io_of(arguments);
    CPAM_AUTO(http_free) struct http *http = NULL;
    CPAM_AUTO(credentials_free) struct credentials *credentials = NULL;

    if (arguments->directory != NULL)
        return dir_store_open(io, arguments->directory, out, err);
    CPAM_TRY(credentials_auto(io, &credentials, err));
    CPAM_TRY(http_client_new(io, &arguments->http, &http, err));
    CPAM_TRY(s3_store_open(io, &arguments->store, http, credentials, out, err));
    http = NULL;
    credentials = NULL;
    (*out)->deadline =
        arguments->deadline > 0 ? deadline_after(io, arguments->deadline) : (struct deadline){0};
    (*out)->patience = arguments->patience;
    return CPAM_OK;
}

static enum cpam_status
read_file(const char *path, struct cpam_buf *out, struct cpam_err *err)
{
    return file_read_all(io_posix(), path, (size_t) 1 << 30, out, err);
}

static enum cpam_status
do_put(struct store *store, char **at, int count, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf body = {0};

    (void) count;
    CPAM_TRY(read_file(at[1], &body, err));
    return store_put_new(store, at[0], body.data != NULL ? body.data : (const uint8_t *) "",
                         body.size, STORE_CLASS_BASE, err);
}

static enum cpam_status
do_putfd(struct store *store, char **at, int count, struct cpam_err *err)
{
    struct stat st;
    int fd = open(at[1], O_RDONLY | O_CLOEXEC);

    (void) count;
    if (fd < 0 || fstat(fd, &st) != 0)
        return cpam_fail(err, CPAM_IO, 0, "no such file");
    enum cpam_status status =
        store_put_new_fd(store, at[0], fd, (uint64_t) st.st_size, STORE_CLASS_BASE, err);
    close(fd);
    return status;
}

/* stream KEY FILE [free]: with "free" the sink is thrown away instead of finished */
static enum cpam_status
do_stream(struct store *store, char **at, int count, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf body = {0};
    CPAM_AUTO(sink_free) struct sink *sink = NULL;

    CPAM_TRY(read_file(at[1], &body, err));
    CPAM_TRY(store_put_stream(store, at[0], STORE_CLASS_BASE, &sink, err));
    for (size_t done = 0; done < body.size;)
    {
        size_t piece = body.size - done < 1000000 ? body.size - done : 1000000;

        CPAM_TRY(sink_write(sink, body.data + done, piece, err));
        done += piece;
    }
    return count > 2 ? CPAM_OK : sink_finish(sink, err);
}

/* get KEY FILE [OFFSET SIZE [VERSION]] */
static enum cpam_status
do_get(struct store *store, char **at, int count, struct cpam_err *err)
{
    CPAM_AUTO(sink_free) struct sink *sink = NULL;
    struct store_range range = {0};
    struct store_info info;

    if (count > 3)
        range = (struct store_range){strtoull(at[2], NULL, 10), strtoull(at[3], NULL, 10)};
    CPAM_TRY(sink_file_push(&sink, io_posix(), at[1], 0600, err));
    CPAM_TRY(store_get(store, at[0], count > 4 ? at[4] : NULL, count > 3 ? &range : NULL, sink,
                       &info, err));
    printf("size %" PRIu64 " version \"%s\"\n", info.size, info.version);
    return sink_finish(sink, err);
}

static enum cpam_status
do_head(struct store *store, char **at, int count, struct cpam_err *err)
{
    struct store_info info;

    (void) count;
    CPAM_TRY(store_head(store, at[0], &info, err));
    printf("size %" PRIu64 " modified %s\n", info.size, info.modified > 0 ? "known" : "unknown");
    return CPAM_OK;
}

static enum cpam_status
print_entry(void *arg, const struct store_entry *entry, struct cpam_err *err)
{
    (void) arg, (void) err;
    printf("%s %" PRIu64 "%s\n", entry->key, entry->size, entry->is_prefix ? " prefix" : "");
    return CPAM_OK;
}

/* list PREFIX AFTER|- [delimited] */
static enum cpam_status
do_list(struct store *store, char **at, int count, struct cpam_err *err)
{
    return store_list(store, at[0], strcmp(at[1], "-") == 0 ? NULL : at[1], count > 2, print_entry,
                      NULL, err);
}

static enum cpam_status
do_versions(struct store *store, char **at, int count, struct cpam_err *err)
{
    struct store_version versions[STORE_VERSIONS_MAX];
    size_t found = 0;

    (void) count;
    CPAM_TRY(store_versions(store, at[0], versions, STORE_VERSIONS_MAX, &found, err));
    for (size_t i = 0; i < found; i++)
        printf("%s %s %" PRIu64 "\n", versions[i].id, versions[i].is_marker ? "marker" : "object",
               versions[i].size);
    return CPAM_OK;
}

static enum cpam_status
do_remove(struct store *store, char **at, int count, struct cpam_err *err)
{
    (void) count;
    return store_remove(store, at[0], err);
}

static enum cpam_status
do_prepare(struct store *store, char **at, int count, struct cpam_err *err)
{
    (void) at, (void) count;
    return store_prepare(store, err);
}

/* Content that follows from its number, so that it can be checked without having been kept. */
static enum cpam_status
content(unsigned number, struct cpam_buf *out, struct cpam_err *err)
{
    uint8_t digest[SHA256_SIZE];

    out->size = 0;
    for (uint32_t block = 0; block < 1 + number % 97; block++)
    {
        uint32_t seed[2] = {number, block};

        CPAM_TRY(sha256_of(seed, sizeof(seed), digest, err));
        for (int i = 0; i < 32; i++)
            CPAM_TRY(cpam_buf_append(out, digest, sizeof(digest), 1 << 20, err));
    }
    return CPAM_OK;
}

/*
 * many N: puts N objects and reads each back.  A put that says "exists" is our own one whose answer
 * got lost if the content is ours (what the WAL archive does by its content ids).
 */
static enum cpam_status
do_many(struct store *store, char **at, int count, struct cpam_err *err)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf body = {0};
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf back = {0};
    unsigned total = (unsigned) atoi(at[0]), settled = 0;

    (void) count;
    for (unsigned i = 0; i < total; i++)
    {
        char key[64];

        snprintf(key, sizeof(key), "many/%06u", i);
        CPAM_TRY(content(i, &body, err));
        enum cpam_status status =
            store_put_new(store, key, body.data, body.size, STORE_CLASS_WAL, err);
        settled += status == CPAM_EXISTS;
        if (status != CPAM_OK && status != CPAM_EXISTS)
            return status;
        CPAM_TRY(store_get_buf(store, key, NULL, NULL, &back, 1 << 20, NULL, err));
        if (back.size != body.size || memcmp(back.data, body.data, body.size) != 0)
            return cpam_fail(err, CPAM_CORRUPT, 0, "\"%s\" holds other content", key);
    }
    printf("put %u, %u of them settled by reading; %u sleeps of %.1f s in all\n", total, settled,
           sleeps, (double) jumped / 1e6);
    return CPAM_OK;
}

static const struct
{
    const char *name;
    int arguments;
    enum cpam_status (*run)(struct store *store, char **at, int count, struct cpam_err *err);
} commands[] = {
    {"put", 2, do_put},           {"putfd", 2, do_putfd},   {"stream", 2, do_stream},
    {"get", 2, do_get},           {"head", 1, do_head},     {"list", 2, do_list},
    {"versions", 1, do_versions}, {"remove", 1, do_remove}, {"prepare", 0, do_prepare},
    {"many", 1, do_many},
};

static enum cpam_status
run(const struct arguments *arguments, struct cpam_err *err)
{
    CPAM_AUTO(store_free) struct store *store = NULL;

    CPAM_TRY(open_store(arguments, &store, err));
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, arguments->rest[0]) == 0 &&
            arguments->rest_count > commands[i].arguments)
            return commands[i].run(store, arguments->rest + 1, arguments->rest_count - 1, err);
    return cpam_fail(err, CPAM_USAGE, 0, "unknown command or too few arguments");
}

int
main(int argc, char **argv)
{
    struct arguments arguments = {.store.s3.bucket = "cpam"};
    struct cpam_err err = {0};
    int at = 1;

    log_start("store_driver", LOG_WARNING);
    while (at < argc && take_option(&arguments, argv[at]))
        at++;
    arguments.rest = argv + at;
    arguments.rest_count = argc - at;
    if (at == argc)
        return 2;
    enum cpam_status status = run(&arguments, &err);
    printf("%s\t%s\t%s\n", cpam_status_name(status), status == CPAM_OK ? "" : err.text,
           status == CPAM_OK ? "" : err.hint);
    return status == CPAM_OK ? 0 : 1;
}
