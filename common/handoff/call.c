/*
 * call.c - one question: connect, start, ask, and begin again, until there is an answer or no time.
 *
 * The worker's lock is only looked at (fcntl's F_GETLK), never taken: a worker that is about to bind
 * its socket is waited for, and where nobody holds it, one is started.  When several callers start
 * several, the lock lets one of them serve.
 */
#include "handoff/call.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "handoff/hung.h"
#include "handoff/message.h"
#include "handoff/socket.h"
#include "handoff/start.h"

#define MS     ((int64_t) 1000)
#define SECOND (1000 * MS)

enum
{
    PAUSE_FIRST = 1, /* ms before the next try; doubled */
    PAUSE_LAST = 50,
    START_TIME = 15, /* s a worker may take to say that it serves, before another one is started */
    /* each of these as often, and the caller does its work itself */
    STARTS_MAX = 8,
    DEATHS_MAX = 3,
    REFUSALS_MAX = 12
};

enum call_state
{
    CALL_CONNECT, /* not before next_try */
    CALL_START,   /* the worker will say on pipe that it serves */
    CALL_WAIT     /* for the answer, on socket */
};

struct handoff_call
{
    struct io *io;
    struct handoff_question question;
    char *texts[6];
    struct handoff_key key;
    struct handoff_place *place;
    struct handoff_stamp config;
    enum call_state state;
    int pipe, socket;
    pid_t peer;    /* CALL_WAIT: the worker */
    int64_t alive; /* when it was last heard of, or began to be waited for */
    pid_t silent;  /* CALL_CONNECT: holds the lock and can't be connected to; 0: nobody */
    int64_t silent_since;
    int64_t next_try, pause;
    bool killed;
    int starts, deaths, refusals;
};

static int64_t
now_of(const struct handoff_call *call)
{
    return call->io->ops->monotonic(call->io);
}

static void
close_at(struct handoff_call *call, int *fd)
{
    if (*fd >= 0)
        call->io->ops->close(call->io, *fd);
    *fd = -1;
}

void
handoff_call_free(struct handoff_call *call)
{
    if (call == NULL)
        return;
    close_at(call, &call->pipe);
    close_at(call, &call->socket);
    handoff_place_free(call->place);
    for (size_t i = 0; i < sizeof(call->texts) / sizeof(call->texts[0]); i++)
        free(call->texts[i]);
    free(call);
}

static enum cpam_status
keep_texts(struct handoff_call *call, struct cpam_err *err)
{
    const char **kept[] = {&call->question.program, &call->question.spool,   &call->question.config,
                           &call->question.data,    &call->question.cluster, &call->question.name};

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
    {
        call->texts[i] = strdup(*kept[i]);
        if (call->texts[i] == NULL)
            return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to ask the worker");
        *kept[i] = call->texts[i];
    }
    return CPAM_OK;
}

enum cpam_status
handoff_call_new(struct io *io, const struct handoff_question *question, struct handoff_call **out,
                 struct cpam_err *err)
{
    CPAM_AUTO(handoff_call_free) struct handoff_call *call = calloc(1, sizeof(*call));
    struct stat about;

    *out = NULL;
    if (call == NULL)
        return cpam_fail(err, CPAM_NO_MEMORY, 0, "out of memory to ask the worker");
    call->io = io;
    call->question = *question;
    call->pipe = call->socket = -1;
    CPAM_TRY(keep_texts(call, err));
    CPAM_TRY(handoff_key_of(io, call->question.data, call->question.cluster, &call->key, err));
    CPAM_TRY(handoff_place_open(io, call->question.spool, &call->key, true, &call->place, err));
    /* a file that is not there is the worker's to complain about */
    if (io->ops->stat(io, AT_FDCWD, call->question.config, 0, &about) == 0)
        handoff_stamp_of(&about, &call->config);
    call->pause = PAUSE_FIRST * MS;
    *out = CPAM_STEAL(call);
    return CPAM_OK;
}

int
handoff_call_fd(const struct handoff_call *call)
{
    if (call->state == CALL_WAIT)
        return call->socket;
    return call->state == CALL_START ? call->pipe : -1;
}

/* Connects again, now or a little later than the last time. */
static void
again(struct handoff_call *call, bool at_once)
{
    close_at(call, &call->pipe);
    close_at(call, &call->socket);
    call->state = CALL_CONNECT;
    call->next_try = at_once ? 0 : now_of(call) + call->pause;
    if (!at_once && call->pause < PAUSE_LAST * MS)
        call->pause = call->pause * 2 < PAUSE_LAST * MS ? call->pause * 2 : PAUSE_LAST * MS;
}

static enum cpam_status
give_up(struct handoff_call *call, const char *what, struct cpam_err *err)
{
    cpam_fail(err, CPAM_IO, 0, "the worker at \"%s\" %s", handoff_place_path(call->place), what);
    cpam_err_hint(err, "its log says why");
    return CPAM_IO;
}

/*
 * No word from pid for too long.  One that has given its lock up is left alone: it finishes what it
 * has, and another one is asked.
 */
static enum cpam_status
replace_hung(struct handoff_call *call, pid_t pid, struct cpam_err *err)
{
    const struct handoff_question *question = &call->question;
    bool serves = handoff_lock_holder(call->place, call->io, question->role) == pid;

    if (serves && call->killed)
        return give_up(call, "does not answer, nor did the one before it", err);
    if (serves && !handoff_kill(call->place, call->io, question->role, pid, question->program))
        return give_up(call, "does not answer, and could not be ended", err);
    if (serves)
        cpam_log(LOG_WARNING, "ended the worker (process %ld): it had not been heard of for %d s",
                 (long) pid, HANDOFF_TICKS_MISSED);
    else if (call->deaths++ == DEATHS_MAX)
        return give_up(call, "does not answer", err);
    call->killed = call->killed || serves;
    call->silent = 0;
    again(call, false);
    return CPAM_OK;
}

static enum cpam_status
start(struct handoff_call *call, struct cpam_err *err)
{
    if (call->starts++ == STARTS_MAX)
        return give_up(call, "was started over and over, and could never be asked", err);
    CPAM_TRY(handoff_start(call->io, &call->question, &call->config, &call->pipe, err));
    call->state = CALL_START;
    call->alive = now_of(call);
    return CPAM_OK;
}

/* Nothing to connect to. */
static enum cpam_status
nobody_there(struct handoff_call *call, bool full, struct cpam_err *err)
{
    pid_t holder = handoff_lock_holder(call->place, call->io, call->question.role);

    if (holder == 0 && full)
    {
        again(call, false);
        return CPAM_OK;
    }
    if (holder == 0)
    {
        /* the folder may have been removed: the worker is to find the one that has the path */
        handoff_place_free(CPAM_STEAL(call->place));
        CPAM_TRY(handoff_place_open(call->io, call->question.spool, &call->key, true, &call->place,
                                    err));
        return start(call, err);
    }
    if (holder != call->silent)
    {
        call->silent = holder;
        call->silent_since = now_of(call);
    }
    else if (now_of(call) - call->silent_since > HANDOFF_TICKS_MISSED * SECOND)
        return replace_hung(call, holder, err);
    again(call, false);
    return CPAM_OK;
}

/* What this side can check of the other before it says a word. */
static enum cpam_status
know_peer(struct handoff_call *call, int fd, struct cpam_err *err)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return cpam_fail(err, CPAM_IO, errno, "could not tell whose the worker is");
    if (peer.uid != geteuid())
        return cpam_fail(err, CPAM_REFUSED, 0, "the worker at \"%s\" runs as user %u, this as %u",
                         handoff_place_path(call->place), (unsigned) peer.uid,
                         (unsigned) geteuid());
    call->peer = peer.pid;
    return CPAM_OK;
}

static enum cpam_status
put_question(struct handoff_call *call, int fd, bool *sent, struct cpam_err *err)
{
    const struct handoff_question *question = &call->question;
    struct handoff_message message = {.type = HANDOFF_MESSAGE_QUESTION,
                                      .version = CPAM_VERSION,
                                      .config = question->config,
                                      .config_stamp = call->config,
                                      .role = question->role,
                                      .name = question->name,
                                      .stamp = question->stamp,
                                      .left = -1};
    uint8_t data[HANDOFF_MESSAGE_MAX];
    struct stat about;
    size_t size;

    if (call->io->ops->stat(call->io, AT_FDCWD, question->program, 0, &about) == 0)
        handoff_stamp_of(&about, &message.program_stamp);
    if (question->deadline.at != 0)
        message.left = deadline_left(call->io, question->deadline);
    CPAM_TRY(handoff_message_write(&message, data, &size, err));
    *sent = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t) size;
    return CPAM_OK;
}

static enum cpam_status
try_connect(struct handoff_call *call, struct cpam_err *err)
{
    struct sockaddr_un address;
    bool sent = false;

    call->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (call->socket < 0)
        return cpam_fail(err, CPAM_IO, errno, "could not make a socket");
    handoff_address(call->place, call->question.role, &address);
    if (connect(call->socket, (const struct sockaddr *) &address, sizeof(address)) != 0)
    {
        int why = errno;

        close_at(call, &call->socket);
        if (why == ENOENT || why == ECONNREFUSED || why == EAGAIN || why == EINTR)
            return nobody_there(call, why == EAGAIN || why == EINTR, err);
        return cpam_fail(err, why == EACCES || why == EPERM ? CPAM_REFUSED : CPAM_IO, why,
                         "could not connect to the worker at \"%s\"",
                         handoff_place_path(call->place));
    }
    CPAM_TRY(know_peer(call, call->socket, err));
    CPAM_TRY(put_question(call, call->socket, &sent, err));
    if (!sent) /* it ended, or retired, in this very moment */
    {
        again(call, false);
        return CPAM_OK;
    }
    call->state = CALL_WAIT;
    call->alive = now_of(call);
    call->silent = 0;
    return CPAM_OK;
}

static enum cpam_status
hear_start(struct handoff_call *call, bool *idle, struct cpam_err *err)
{
    bool heard;
    enum cpam_status status = handoff_start_heard(call->pipe, call->question.program, &heard, err);

    if (!heard)
    {
        *idle = true;
        if (now_of(call) - call->alive > START_TIME * SECOND)
            again(call, true);
        return CPAM_OK;
    }
    /* another one's lock, or an end without a word, perhaps by kill -9: look again */
    if (status != CPAM_OK && status != CPAM_EXISTS && status != CPAM_CANCELLED)
        return status;
    again(call, status == CPAM_OK);
    return CPAM_OK;
}

static void
take_reply(const struct handoff_message *message, struct handoff_reply *reply)
{
    reply->status = message->status;
    snprintf(reply->path, sizeof(reply->path), "%s", message->path);
    cpam_fail(&reply->why, message->status, 0, "%s", message->sentence);
    cpam_err_hint(&reply->why, "%s", message->hint);
}

static enum cpam_status
hear_worker(struct handoff_call *call, bool *idle, bool *done, struct handoff_reply *reply,
            struct cpam_err *err)
{
    uint8_t data[HANDOFF_MESSAGE_MAX];
    struct handoff_message message;
    struct cpam_err ignored;

    ssize_t size = recv(call->socket, data, sizeof(data), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
    {
        *idle = true;
        if (now_of(call) - call->alive > HANDOFF_TICKS_MISSED * SECOND)
            return replace_hung(call, call->peer, err);
        return CPAM_OK;
    }
    if (size <= 0)
    {
        if (call->deaths++ == DEATHS_MAX)
            return give_up(call, "died again and again over this question", err);
        again(call, false);
        return CPAM_OK;
    }
    call->alive = now_of(call);
    if (handoff_message_parse(data, (size_t) size, &message, &ignored) != CPAM_OK ||
        message.protocol != HANDOFF_PROTOCOL)
        message.type = HANDOFF_MESSAGE_RETIRED;
    if (message.type == HANDOFF_MESSAGE_ANSWER)
    {
        take_reply(&message, reply);
        *done = true;
    }
    else if (message.type != HANDOFF_MESSAGE_TICK)
    {
        if (message.type == HANDOFF_MESSAGE_RETIRED && call->refusals++ == REFUSALS_MAX)
            return give_up(call, "is of another version or configuration, and so is each new one",
                           err);
        again(call, message.type == HANDOFF_MESSAGE_RETIRED && call->refusals == 1);
    }
    return CPAM_OK;
}

/* us until something is to be done without anything having been heard. */
static int64_t
next_move(const struct handoff_call *call, int64_t patience)
{
    int64_t until = call->state == CALL_CONNECT ? call->next_try : call->alive + SECOND;
    int64_t left = until - now_of(call);

    if (call->state != CALL_CONNECT && left < 100 * MS)
        left = 100 * MS;
    if (left > deadline_left(call->io, call->question.deadline))
        left = deadline_left(call->io, call->question.deadline);
    if (left > patience)
        left = patience;
    return left > 0 ? left : 0;
}

static enum cpam_status
too_late(const struct handoff_call *call, struct cpam_err *err)
{
    static const char *const waited[] = {
        [CALL_CONNECT] = "could not be asked",
        [CALL_START] = "was still starting",
        [CALL_WAIT] = "was still at work",
    };

    return cpam_fail(err, CPAM_DEADLINE, 0, "the time for \"%s\" is over, and its worker %s",
                     call->question.name, waited[call->state]);
}

enum cpam_status
handoff_call_step(struct handoff_call *call, int64_t patience, bool *done,
                  struct handoff_reply *reply, struct cpam_err *err)
{
    struct deadline enough = deadline_after(call->io, patience);

    *done = false;
    while (!*done)
    {
        bool idle = false;

        if (call->state == CALL_WAIT)
            CPAM_TRY(hear_worker(call, &idle, done, reply, err));
        else if (call->state == CALL_START)
            CPAM_TRY(hear_start(call, &idle, err));
        else if (call->next_try > now_of(call))
            idle = true;
        else
            CPAM_TRY(try_connect(call, err));
        if (*done)
            break;
        /* behind the look at the descriptors: an answer that is there counts */
        if (deadline_left(call->io, call->question.deadline) == 0)
            return too_late(call, err);
        if (!idle)
            continue;
        int64_t left = deadline_left(call->io, enough);
        if (left == 0)
            break;
        struct pollfd polled = {.fd = handoff_call_fd(call), .events = POLLIN};
        if (poll(&polled, 1, (int) ((next_move(call, left) + 999) / 1000)) < 0 && errno != EINTR)
            return cpam_fail(err, CPAM_IO, errno, "could not wait for the worker");
    }
    return CPAM_OK;
}

enum cpam_status
handoff_ask(struct io *io, const struct handoff_question *question, struct handoff_reply *reply,
            struct cpam_err *err)
{
    CPAM_AUTO(handoff_call_free) struct handoff_call *call = NULL;
    bool done = false;

    CPAM_TRY(handoff_call_new(io, question, &call, err));
    while (!done)
        CPAM_TRY(handoff_call_step(call, 10 * SECOND, &done, reply, err));
    return CPAM_OK;
}
