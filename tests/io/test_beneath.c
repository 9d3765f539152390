/*
 * test_beneath.c - a file is opened below a directory and nowhere else, also on a kernel without
 * openat2(2) (before 5.6, or a container that filters it): one table, both ways.
 */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/io.h"

static char dir[64];
static int top;

static void
make_place(void)
{
    char command[512];

    snprintf(dir, sizeof(dir), "/tmp/cpam-beneath.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(command, sizeof(command),
             "cd '%s' && mkdir -p in/deep outside && echo x >in/file && echo x >in/deep/file &&"
             " echo secret >outside/file && ln -s ../outside in/up && ln -s deep in/along &&"
             " ln -s ../outside/file in/link && ln -s /etc in/away",
             dir);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof(command), "%s/in", dir);
    top = open(command, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(top, 0);
}

static void
remove_place(void)
{
    char command[128];

    close(top);
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

/* From here on this process's openat2(2) is not implemented. */
static void
without_openat2(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = 4, .filter = filter};

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    ck_assert_int_eq((int) syscall(SYS_openat2, -1, "", NULL, 0), -1);
    ck_assert_int_eq(errno, ENOSYS);
}

static const struct
{
    const char *path;
    int flags;
    int sys, or_sys; /* 0: it is opened */
} paths[] = {
    {"file", O_RDONLY, 0, 0},
    {"deep/file", O_RDONLY, 0, 0},
    {"deep//file", O_RDONLY, 0, 0},
    {"deep", O_RDONLY | O_DIRECTORY, 0, 0},
    {"deep/new", O_WRONLY | O_CREAT | O_EXCL, 0, 0},
    {"", O_RDONLY, ENOENT, 0},
    {"absent", O_RDONLY, ENOENT, 0},
    {"absent/file", O_RDONLY, ENOENT, 0},
    {"deep/file", O_WRONLY | O_CREAT | O_EXCL, EEXIST, 0},
    {"file/below", O_RDONLY, ENOTDIR, 0},
    {"/etc/passwd", O_RDONLY, EXDEV, 0},
    {"..", O_RDONLY, EXDEV, 0},
    {"../outside/file", O_RDONLY, EXDEV, 0},
    {"deep/../../outside/file", O_RDONLY, EXDEV, 0},
    {"link", O_RDONLY, ELOOP, 0},
    {"link", O_WRONLY | O_CREAT, ELOOP, 0},
    {"up/file", O_RDONLY, ELOOP, ENOTDIR},
    {"along/file", O_RDONLY, ELOOP, ENOTDIR},
    {"away/passwd", O_RDONLY, ELOOP, ENOTDIR},
};

static int
open_descriptors(void)
{
    int count = 0;
    DIR *list = opendir("/proc/self/fd");

    ck_assert_ptr_nonnull(list);
    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count;
}

static void
open_each(void)
{
    struct io *io = io_posix();

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
    {
        int before = open_descriptors();
        int fd = io->ops->open_beneath(io, top, paths[i].path, paths[i].flags, 0600);
        int sys = errno;

        if (paths[i].sys == 0)
        {
            ck_assert_msg(fd >= 0, "\"%s\": %s", paths[i].path, strerror(sys));
            ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
            close(fd);
        }
        else
            ck_assert_msg(fd == -1 && (sys == paths[i].sys || sys == paths[i].or_sys),
                          "\"%s\": %d, %s", paths[i].path, fd, strerror(sys));
        ck_assert_int_eq(open_descriptors(), before);
    }
}

START_TEST(nothing_outside_is_opened)
{
    open_each();
}
END_TEST

START_TEST(nothing_outside_is_opened_without_openat2)
{
    char name[300];

    without_openat2();
    open_each();
    memset(name, 'x', sizeof(name));
    memcpy(name, "deep/", 5);
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(io_posix()->ops->open_beneath(io_posix(), top, name, O_RDONLY, 0), -1);
    ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

Suite *
suite(void)
{
    Suite *suite = suite_create("io/beneath");
    TCase *tcase = tcase_create("beneath");

    tcase_add_checked_fixture(tcase, make_place, remove_place);
    tcase_add_test(tcase, nothing_outside_is_opened);
    tcase_add_test(tcase, nothing_outside_is_opened_without_openat2);
    suite_add_tcase(suite, tcase);
    return suite;
}
