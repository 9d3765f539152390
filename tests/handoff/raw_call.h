/*
 * raw_call.h - a caller that knows the wire and keeps to no rule; and a program to be replaced.
 */
#ifndef CPAM_TESTS_HANDOFF_RAW_CALL_H
#define CPAM_TESTS_HANDOFF_RAW_CALL_H

#include "handoff/small_world.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "handoff/message.h"

/* A caller that says what it likes; -1 with errno where it can't connect. */
static inline int
raw_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char path[600];

    ck_assert_int_ge(fd, 0);
    world_place("push.sock", path, sizeof(path));
    ck_assert_uint_lt(strlen(path), sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* The type of the next message that is no tick; 0: the worker hung up. */
static inline unsigned
raw_hear(int fd)
{
    static uint8_t data[HANDOFF_MESSAGE_MAX];
    struct handoff_message message;
    struct cpam_err err;

    for (;;)
    {
        struct pollfd polled = {.fd = fd, .events = POLLIN};

        ck_assert_int_eq(poll(&polled, 1, 50000), 1);
        ssize_t size = recv(fd, data, sizeof(data), 0);
        if (size <= 0)
            return 0;
        ck_ok(handoff_message_parse(data, (size_t) size, &message, &err), &err);
        if (message.type != HANDOFF_MESSAGE_TICK)
            return message.type;
    }
}

/* A question as the worker that runs would take it, but for what a test changes. */
static inline struct handoff_message
raw_question(const char *name, const char *version)
{
    struct handoff_message message = {.type = HANDOFF_MESSAGE_QUESTION,
                                      .version = version,
                                      .config = world_config,
                                      .role = HANDOFF_PUSH,
                                      .name = name,
                                      .left = -1};
    struct stat about;

    ck_assert_int_eq(stat(world_config, &about), 0);
    handoff_stamp_of(&about, &message.config_stamp);
    ck_assert_int_eq(stat(world_program, &about), 0);
    handoff_stamp_of(&about, &message.program_stamp);
    return message;
}

static inline void
raw_say(int fd, const struct handoff_message *message)
{
    static uint8_t data[HANDOFF_MESSAGE_MAX];
    struct cpam_err err;
    size_t size = 0;

    ck_ok(handoff_message_write(message, data, &size, &err), &err);
    ck_assert_int_eq(send(fd, data, size, MSG_NOSIGNAL), (ssize_t) size);
}

/* A copy of the program, in the world's own folder: the test may replace it. */
static inline void
install_program(char *path, size_t size)
{
    CPAM_AUTO(cpam_buf_clear) struct cpam_buf content = {0};
    struct cpam_err err;

    snprintf(path, size, "%s/worker", world_dir);
    ck_ok(file_read_all(io_posix(), getenv("SMALL_WORKER"), (size_t) 256 << 20, &content, &err),
          &err);
    ck_ok(file_write_all(io_posix(), path, 0700, content.data, content.size, &err), &err);
    world_program = path;
}

#endif
