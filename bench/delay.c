/*
 * delay.c - a TCP relay on loopback with the round trip and the bandwidth of a line far away.
 *
 * usage: delay PORT ROUND-TRIP-MS BYTES-PER-SECOND
 *
 * Prints the port it listens on, and relays to 127.0.0.1:PORT until it is killed.  Each direction
 * takes half the round trip and shares the given bandwidth (0: as much as the machine has) among all
 * connections; the first bytes of a connection come a round trip later still, which is what the
 * handshake of TCP costs.  Slow start and loss are not simulated.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum
{
    CONNECTIONS_MAX = 256,
    PIECE = 65536,
    WINDOW = 4 << 20 /* bytes under way in one direction of a connection */
};

struct piece
{
    struct piece *next;
    double due; /* ms: when it has arrived */
    size_t size, sent;
    char bytes[];
};

/* One direction of one connection. */
struct way
{
    int from, to;
    struct piece *first, *last;
    size_t held;
    bool ended, shut;
};

struct connection
{
    struct way ways[2];
    double open; /* ms: nothing passes before */
};

static struct connection *connections[CONNECTIONS_MAX];
static double one_way, rate, line_free[2]; /* ms, bytes a ms, ms */

static double
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec * 1e3 + (double) now.tv_nsec / 1e6;
}

static void
die(const char *what)
{
    fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int
local_socket(void)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void
take(int listener, in_port_t port)
{
    struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    size_t slot = 0;

    if (client < 0)
        return;
    int server = local_socket();
    while (slot < CONNECTIONS_MAX && connections[slot] != NULL)
        slot++;
    if (slot == CONNECTIONS_MAX || connect(server, (struct sockaddr *) &there, sizeof(there)) != 0)
    {
        close(client);
        close(server);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(server, F_SETFL, O_NONBLOCK);
    struct connection *made = calloc(1, sizeof(*made));
    if (made == NULL)
        die("calloc");
    made->ways[0] = (struct way){.from = client, .to = server};
    made->ways[1] = (struct way){.from = server, .to = client};
    made->open = now_ms() + 2 * one_way;
    connections[slot] = made;
}

/* What came is on the line when the line is free, and there half a round trip later. */
static void
receive(struct connection *connection, int direction)
{
    struct way *way = &connection->ways[direction];
    struct piece *piece = malloc(sizeof(*piece) + PIECE);

    if (piece == NULL)
        die("malloc");
    ssize_t got = recv(way->from, piece->bytes, PIECE, 0);
    if (got <= 0)
    {
        way->ended = way->ended || got == 0 || (errno != EAGAIN && errno != EINTR);
        free(piece);
        return;
    }
    double start = now_ms();
    if (start < connection->open)
        start = connection->open;
    if (rate > 0)
    {
        if (start < line_free[direction])
            start = line_free[direction];
        line_free[direction] = start += (double) got / rate;
    }
    piece->next = NULL;
    piece->due = start + one_way;
    piece->size = (size_t) got;
    piece->sent = 0;
    if (way->last != NULL)
        way->last->next = piece;
    else
        way->first = piece;
    way->last = piece;
    way->held += piece->size;
}

static void
deliver(struct way *way, double now)
{
    while (way->first != NULL && way->first->due <= now)
    {
        struct piece *piece = way->first;
        ssize_t sent =
            send(way->to, piece->bytes + piece->sent, piece->size - piece->sent, MSG_NOSIGNAL);

        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (sent < 0)
        {
            way->ended = way->shut = true;
            sent = (ssize_t) (piece->size - piece->sent);
        }
        piece->sent += (size_t) sent;
        if (piece->sent < piece->size)
            return;
        way->held -= piece->size;
        way->first = piece->next;
        if (way->first == NULL)
            way->last = NULL;
        free(piece);
    }
    if (way->ended && way->first == NULL && !way->shut)
    {
        way->shut = true;
        shutdown(way->to, SHUT_WR);
    }
}

/* What to wait for on one connection; the ms until its next piece is due, where that is sooner. */
static void
wait_for(const struct connection *connection, struct pollfd polls[2], double now, double *least)
{
    for (int i = 0; i < 2; i++)
        polls[i] = (struct pollfd){.fd = connection->ways[i].from};
    for (int i = 0; i < 2; i++)
    {
        const struct way *way = &connection->ways[i];

        if (!way->ended && way->held < WINDOW)
            polls[i].events |= POLLIN;
        if (way->first != NULL && way->first->due <= now)
            polls[1 - i].events |= POLLOUT;
        else if (way->first != NULL && way->first->due - now < *least)
            *least = way->first->due - now;
    }
    /* an end that was seen is told for ever, and is of no more interest */
    for (int i = 0; i < 2; i++)
        if (polls[i].events == 0)
            polls[i].fd = -1;
}

static void
serve(int listener, in_port_t port)
{
    static struct pollfd polls[1 + 2 * CONNECTIONS_MAX];

    for (;;)
    {
        double now = now_ms(), least = 1000;

        polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        {
            polls[1 + 2 * i].fd = polls[2 + 2 * i].fd = -1;
            if (connections[i] != NULL)
                wait_for(connections[i], &polls[1 + 2 * i], now, &least);
        }
        struct timespec wait = {(time_t) (least / 1e3), (long) (least * 1e6) % 1000000000};
        if (ppoll(polls, 1 + 2 * CONNECTIONS_MAX, &wait, NULL) < 0 && errno != EINTR)
            die("ppoll");
        now = now_ms();
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        {
            struct connection *connection = connections[i];

            for (int way = 0; connection != NULL && way < 2; way++)
            {
                short events = polls[1 + 2 * i + (size_t) way].revents;

                if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 &&
                    connection->ways[way].held < WINDOW)
                    receive(connection, way);
                deliver(&connection->ways[way], now);
            }
            if (connection != NULL && connection->ways[0].shut && connection->ways[1].shut)
            {
                close(connection->ways[0].from);
                close(connection->ways[1].from);
                free(connection);
                connections[i] = NULL;
            }
        }
        if (polls[0].revents != 0)
            take(listener, port);
    }
}

int
main(int argc, char **argv)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(here);

    if (argc != 4)
    {
        fprintf(stderr, "usage: delay PORT ROUND-TRIP-MS BYTES-PER-SECOND\n");
        return 2;
    }
    one_way = strtod(argv[2], NULL) / 2;
    rate = strtod(argv[3], NULL) / 1e3;
    int listener = local_socket();
    if (bind(listener, (struct sockaddr *) &here, sizeof(here)) != 0 ||
        listen(listener, 128) != 0 || getsockname(listener, (struct sockaddr *) &here, &size) != 0)
        die("listen");
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    serve(listener, (in_port_t) strtol(argv[1], NULL, 10));
}
