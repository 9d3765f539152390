/*
 * segments.c - what a WAL segment costs between its file and the store, and back: processor time
 * and memory.
 *
 * usage: segments FOLDER ROUNDS THREADS SEGMENT...
 *
 * Each round makes an encrypted repository (a keyfile, lz4) in an empty folder below FOLDER, pushes
 * the given segments from THREADS threads, each with its own connection, and then fetches them all
 * into files.  Prints milliseconds of processor time a segment in both directions, and what
 * /proc/self/status says of memory at the end of each round's work.  By hand only; bench.py has the
 * ratios.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/key_text.h"
#include "io/file.h"
#include "repo/wal_archive.h"
#include "store/dir_store.h"

enum
{
    THREADS_MAX = 16
};

struct run
{
    const char *folder;
    char **paths;
    size_t count, next;
    bool fetch;
    uint64_t sysid;
    pthread_mutex_t lock;
    struct keyring *keyring;
    struct store_opener opener;
    struct repo_settings settings;
};

struct walker
{
    struct run *run;
    struct repo *repo;
    pthread_t thread;
};

static void
need(enum cpam_status status, const struct cpam_err *err)
{
    if (status == CPAM_OK)
        return;
    fprintf(stderr, "segments: %s\n", err->text);
    exit(1);
}

static double
cpu_ms(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double) (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 +
           (double) (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

static void
print_memory(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[128];

    while (status != NULL && fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, "VmHWM", 5) == 0 || strncmp(line, "VmRSS", 5) == 0)
            printf("  %s", line);
    if (status != NULL)
        fclose(status);
}

static const char *
name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static enum cpam_status
open_store(const struct store_opener *opener, struct store **out, struct cpam_err *err)
{
    const struct run *run = opener->arg;

    return dir_store_open(io_posix(), run->folder, out, err);
}

static void
push(struct walker *walker, const char *path)
{
    static const struct wal_put_how absent = {.probably_absent = true};
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    struct cpam_err err;
    bool was_there;

    need(wal_item_read(io_posix(), path, name_of(path), 0, &item, &err), &err);
    need(wal_archive_put_how(walker->repo, item, &absent, &was_there, &err), &err);
}

static void
fetch(struct walker *walker, const char *path)
{
    CPAM_AUTO(sink_free) struct sink *chain = NULL;
    struct cpam_err err;
    char to[512];

    snprintf(to, sizeof(to), "%s/fetched-%s", walker->run->folder, name_of(path));
    need(sink_file_push(&chain, io_posix(), to, 0600, &err), &err);
    need(wal_archive_get(walker->repo, walker->run->sysid, name_of(path), chain, NULL, &err), &err);
    need(sink_finish(chain, &err), &err);
}

static void *
walk(void *arg)
{
    struct walker *walker = arg;
    struct run *run = walker->run;

    for (;;)
    {
        pthread_mutex_lock(&run->lock);
        size_t mine = run->next++;
        pthread_mutex_unlock(&run->lock);
        if (mine >= run->count)
            return NULL;
        (run->fetch ? fetch : push)(walker, run->paths[mine]);
    }
}

static double
walk_all(struct run *run, struct walker *walkers, unsigned threads, bool fetches)
{
    double start = cpu_ms();

    run->next = 0;
    run->fetch = fetches;
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&walkers[i].thread, NULL, walk, &walkers[i]) != 0)
            exit(1);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(walkers[i].thread, NULL);
    return (cpu_ms() - start) / (double) run->count;
}

static void
open_repositories(struct run *run, struct walker *walkers, unsigned threads)
{
    struct cluster_record record = {run->sysid, 15, 16 << 20};
    struct cpam_err err;

    need(repo_create(io_posix(), &run->settings, run->keyring, &err), &err);
    for (unsigned i = 0; i < threads; i++)
    {
        walkers[i].run = run;
        if (i > 0)
            need(repo_another(walkers[0].repo, &walkers[i].repo, &err), &err);
        else
            need(repo_open(io_posix(), &run->settings, run->keyring, (struct deadline){0},
                           &walkers[0].repo, &err),
                 &err);
    }
    need(cluster_record_put(walkers[0].repo, &record, &err), &err);
}

static void
make_keyring(const char *folder, struct keyring **out)
{
    static const uint8_t key[KEY_TEXT_KEY_SIZE] = {7};
    char path[512], text[KEY_TEXT_MAX];
    struct key_setting recipient = {KEY_KEYFILE, path};
    struct keyring_settings settings = {.recipients = &recipient, .recipient_count = 1};
    struct cpam_err err;

    snprintf(path, sizeof(path), "%s/key", folder);
    need(key_text_format(KEY_TEXT_KEYFILE, key, text, &err), &err);
    need(file_write_all(io_posix(), path, 0600, text, strlen(text), &err), &err);
    need(keyring_new(io_posix(), &settings, true, true, out, &err), &err);
}

static void
do_round(struct run *run, unsigned threads)
{
    struct walker walkers[THREADS_MAX] = {0};

    open_repositories(run, walkers, threads);
    printf("push  %6.2f ms a segment\n", walk_all(run, walkers, threads, false));
    print_memory();
    printf("fetch %6.2f ms a segment\n", walk_all(run, walkers, threads, true));
    print_memory();
    for (unsigned i = 0; i < threads; i++)
        repo_free(walkers[i].repo);
}

int
main(int argc, char **argv)
{
    CPAM_AUTO(keyring_free) struct keyring *keyring = NULL;
    CPAM_AUTO(wal_item_free) struct wal_item *item = NULL;
    struct run run = {.paths = argv + 4, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct cpam_err err;
    char folder[256];

    if (argc < 5 || strtoul(argv[3], NULL, 10) > THREADS_MAX)
        return 2;
    run.count = (size_t) argc - 4;
    need(file_make_dirs(io_posix(), argv[1], 0700, &err), &err);
    need(wal_item_read(io_posix(), run.paths[0], name_of(run.paths[0]), 0, &item, &err), &err);
    run.sysid = wal_item_sysid(item);
    run.opener = (struct store_opener){open_store, &run};
    run.settings = (struct repo_settings){.name = "bench",
                                          .cluster = "bench",
                                          .opener = &run.opener,
                                          .wal_codec = CODEC_LZ4,
                                          .wal_level = 1,
                                          .spool = argv[1]};
    for (unsigned round = 0; round < strtoul(argv[2], NULL, 10); round++)
    {
        snprintf(folder, sizeof(folder), "%s/%u", argv[1], round);
        run.folder = folder;
        /* a keyring belongs to the one repository it was bound to */
        keyring_free(CPAM_STEAL(keyring));
        make_keyring(argv[1], &keyring);
        run.keyring = keyring;
        do_round(&run, (unsigned) strtoul(argv[3], NULL, 10));
    }
    return 0;
}
