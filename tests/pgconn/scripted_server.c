/*
 * scripted_server.c - as much of the frontend/backend protocol 3.0 as a scripted session needs.
 */
#include "scripted_server.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "suite.h"

enum
{
    REPLY_MAX = 4 << 20,
    MESSAGE_MAX = 64 << 10,
    CANCEL_CODE = 80877102
};

/* What is being said to the client; sent at once at the end of an answer. */
static struct cpam_buf reply;
static struct cpam_err failed;

static void
add(const void *data, size_t size)
{
    ck_ok(cpam_buf_append(&reply, data, size, REPLY_MAX, &failed), &failed);
}

static void
add_u32(uint32_t value)
{
    uint8_t bytes[4];

    be32_put(bytes, value);
    add(bytes, 4);
}

static void
add_u16(uint16_t value)
{
    uint8_t bytes[2];

    be16_put(bytes, value);
    add(bytes, 2);
}

static size_t
message(char type)
{
    add(&type, 1);
    add_u32(0);
    return reply.size - 4;
}

static void
message_end(size_t start)
{
    be32_put(reply.data + start, (uint32_t) (reply.size - start));
}

static void
say(char type, const void *data, size_t size)
{
    size_t start = message(type);

    add(data, size);
    message_end(start);
}

static void
field(char name, const char *text)
{
    add(&name, 1);
    add(text, strlen(text) + 1);
}

/* An error ('E') or a notice ('N'). */
static void
complaint(char type, const char *severity, const char *text, const char *hint)
{
    size_t start = message(type);

    field('S', severity);
    field('V', severity);
    field('C', "57000");
    field('M', text);
    if (hint != NULL)
        field('H', hint);
    add("", 1);
    message_end(start);
}

static bool
send_all(int fd)
{
    size_t sent = 0;

    while (sent < reply.size)
    {
        ssize_t got = send(fd, reply.data + sent, reply.size - sent, MSG_NOSIGNAL);

        if (got <= 0)
            break;
        sent += (size_t) got;
    }
    bool whole = sent == reply.size;
    reply.size = 0;
    return whole;
}

static bool
read_all(int fd, uint8_t *out, size_t size)
{
    size_t got = 0;

    while (got < size)
    {
        ssize_t more = read(fd, out + got, size - got);

        if (more <= 0)
            return false;
        got += (size_t) more;
    }
    return true;
}

static void
say_row_description(size_t columns)
{
    size_t start = message('T');

    add_u16((uint16_t) columns);
    for (size_t i = 0; i < columns; i++)
    {
        add("c", 2);
        add("\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0", 18); /* text */
    }
    message_end(start);
}

/* values NULL: each is "x". */
static void
say_rows(size_t rows, size_t columns, const char *const *values)
{
    if (columns > 0)
        say_row_description(columns);
    for (size_t row = 0; row < rows; row++)
    {
        size_t start = message('D');

        add_u16((uint16_t) columns);
        for (size_t i = 0; i < columns; i++)
        {
            const char *value = values == NULL ? "x" : values[row * columns + i];

            add_u32(value == NULL ? UINT32_MAX : (uint32_t) strlen(value));
            if (value != NULL)
                add(value, strlen(value));
        }
        message_end(start);
    }
    say('C', "SET", 4);
}

/* False: the session is over. */
static bool
answer_command(int fd, const struct answer *answer)
{
    bool lives = true;

    for (size_t i = 0; i < answer->step_count && lives; i++)
    {
        const struct step *step = &answer->steps[i];

        switch (step->kind)
        {
        case STEP_ROWS: say_rows(step->rows, step->columns, step->values); break;
        case STEP_COPY_OUT: say('H', "\0\0\0", 3); break;
        case STEP_DATA: say('d', step->data, step->size); break;
        case STEP_COPY_DONE: say('c', "", 0); break;
        case STEP_ERROR: complaint('E', "ERROR", step->data, NULL); break;
        case STEP_FATAL:
            complaint('E', "FATAL", step->data, NULL);
            lives = false;
            break;
        case STEP_HANG_UP: lives = false; break;
        case STEP_SILENCE: return send_all(fd);
        }
    }
    if (lives)
        say('Z', "I", 1);
    return send_all(fd) && lives;
}

/* False: the session is over. */
static bool
answer_statement(struct scripted_server *server, int fd, const char *sql)
{
    static const struct answer set = {.sql = "", .kind = ANSWER_ROWS};
    const struct answer *answer = &set;
    size_t used = strlen(server->statements);

    snprintf(server->statements + used, sizeof(server->statements) - used, "%s\n", sql);
    for (size_t i = server->count; i-- > 0;)
        if (strncmp(sql, server->answers[i].sql, strlen(server->answers[i].sql)) == 0)
            answer = &server->answers[i];
    if (answer->kind == ANSWER_HANG_UP)
        return false;
    if (answer->kind == ANSWER_STREAM)
        return answer_command(fd, answer);
    if (answer->kind == ANSWER_UNTIL_CANCELLED)
        return true; /* the cancel request's arrival says more */
    if (answer->notice != NULL)
        complaint('N', "WARNING", answer->notice, NULL);
    if (answer->kind == ANSWER_ROWS || answer->kind == ANSWER_NEVER_DONE)
    {
        say('1', "", 0);
        say('2', "", 0);
        if (answer->columns == 0)
            say('n', "", 0);
        say_rows(answer->rows, answer->columns, answer->values);
    }
    else
        complaint('E', answer->kind == ANSWER_FATAL ? "FATAL" : "ERROR", answer->message,
                  answer->hint);
    if (answer->kind != ANSWER_FATAL && answer->kind != ANSWER_NEVER_DONE)
        say('Z', "I", 1);
    return send_all(fd) && answer->kind != ANSWER_FATAL;
}

/* One message of a session; the statement is answered once Sync has come. */
static bool
serve_message(struct scripted_server *server, int fd)
{
    static uint8_t body[MESSAGE_MAX];
    static char sql[MESSAGE_MAX];
    uint8_t head[5];

    if (!read_all(fd, head, sizeof(head)))
        return false;
    uint32_t size = be32_get(head + 1) - 4;
    if (size > sizeof(body) || !read_all(fd, body, size))
        return false;
    switch (head[0])
    {
    case 'P': /* name, statement */
        snprintf(sql, sizeof(sql), "%s", (char *) body + strlen((char *) body) + 1);
        return true;
    case 'B': /* portal, statement's name, formats (0 of them), number of parameters */
        server->parameters = be16_get(body + 4);
        return true;
    case 'S': return answer_statement(server, fd, sql);
    case 'Q': return answer_statement(server, fd, (const char *) body);
    case 'X': return false;
    default: return true;
    }
}

static void
greet(struct scripted_server *server, int fd, const uint8_t *names, size_t size)
{
    uint8_t key[8];

    memset(server->startup, 0, sizeof(server->startup));
    for (size_t i = 0; i < size && i + 1 < sizeof(server->startup); i++)
        server->startup[i] = names[i] == 0 ? ' ' : (char) names[i];
    if (server->mute)
        return;
    if (server->refuse != NULL)
        complaint('E', "FATAL", server->refuse, NULL);
    else
    {
        be32_put(key, SERVER_PID);
        be32_put(key + 4, SERVER_SECRET);
        say('R', "\0\0\0\0", 4);
        say('K', key, 8);
        say('S', "server_version\00015.4", 20);
        say('Z', "I", 1);
    }
    send_all(fd);
}

/* The ordinary session, and the one for replication. */
enum
{
    SESSIONS = 2
};

/* A new connection: a session, or a request to cancel the ordinary one's statement. */
static void
take(struct scripted_server *server, int sessions[SESSIONS])
{
    static uint8_t body[MESSAGE_MAX];
    int fd = accept(server->listener, NULL, NULL);
    uint8_t head[8];

    if (fd < 0 || !read_all(fd, head, sizeof(head)) || be32_get(head) > sizeof(body) ||
        !read_all(fd, body, be32_get(head) - 8))
    {
        close(fd);
        return;
    }
    if (be32_get(head + 4) != CANCEL_CODE)
    {
        greet(server, fd, body, be32_get(head) - 8);
        int *session = &sessions[strstr(server->startup, "replication ") != NULL];

        if (*session >= 0)
            close(*session);
        *session = fd;
        return;
    }
    if (be32_get(body) == SERVER_PID && be32_get(body + 4) == SERVER_SECRET)
    {
        server->cancels++;
        complaint('E', "ERROR", "canceling statement due to user request", NULL);
        say('Z', "I", 1);
        send_all(sessions[0]);
    }
    close(fd);
}

static void *
serve(void *arg)
{
    struct scripted_server *server = arg;
    int sessions[SESSIONS] = {-1, -1};

    for (;;)
    {
        struct pollfd fds[2 + SESSIONS] = {{.fd = server->stop[0], .events = POLLIN},
                                           {.fd = server->listener, .events = POLLIN},
                                           {.fd = sessions[0], .events = POLLIN},
                                           {.fd = sessions[1], .events = POLLIN}};

        if (poll(fds, 2 + SESSIONS, -1) < 0)
            continue;
        if (fds[0].revents != 0)
            break;
        if (fds[1].revents != 0)
        {
            take(server, sessions);
            continue;
        }
        for (size_t i = 0; i < SESSIONS; i++)
            if (fds[2 + i].revents != 0 && !serve_message(server, sessions[i]))
            {
                close(sessions[i]);
                sessions[i] = -1;
            }
    }
    for (size_t i = 0; i < SESSIONS; i++)
        if (sessions[i] >= 0)
            close(sessions[i]);
    return NULL;
}

void
scripted_server_start(struct scripted_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(server->dir, sizeof(server->dir), "/tmp/cpam-pgconn.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(server->dir));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.5432", server->dir);
    snprintf(server->conninfo, sizeof(server->conninfo),
             "host=%s port=5432 user=backup dbname=postgres password=x", server->dir);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server->listener, (struct sockaddr *) &address, sizeof(address)), 0);
    ck_assert_int_eq(listen(server->listener, 8), 0);
    ck_assert_int_eq(pipe(server->stop), 0);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, serve, server), 0);
}

void
scripted_server_stop(struct scripted_server *server)
{
    char path[128];

    ck_assert_int_eq((int) write(server->stop[1], "", 1), 1);
    pthread_join(server->thread, NULL);
    close(server->stop[0]);
    close(server->stop[1]);
    close(server->listener);
    cpam_buf_clear(&reply);
    snprintf(path, sizeof(path), "%s/.s.PGSQL.5432", server->dir);
    unlink(path);
    rmdir(server->dir);
}
