/*
 * client.h - HTTP over libcurl: one connection cache, kept alive, for one thread.
 *
 * TLS is 1.2 or later, and the server's name and certificate are always checked; there is no switch
 * that turns that off.  A ca_file replaces the system's authorities instead of adding to them, so
 * that a store with a CA of its own can't be impersonated by a public one.
 *
 * libcurl is told to leave signals alone (threads): the program has to ignore SIGPIPE, as
 * cli/program.c does.
 */
#ifndef CPAM_HTTP_CLIENT_H
#define CPAM_HTTP_CLIENT_H

#include "http/http.h"
#include "io/pace.h"

struct http_options
{
    const char *ca_file;         /* PEM; NULL: the system's */
    int64_t connect_us;          /* name, TCP and TLS together; 0: 10 s */
    int64_t stall_us;            /* 0: 30 s */
    uint32_t stall_bytes;        /* a second; 0: 1024 */
    struct pace *send, *receive; /* limits of the bodies' rates; NULL: none.  Must outlive it. */
    const char *resolve[4];      /* "host:port:address" instead of asking the resolver (tests) */
};

/* Connects to nothing yet.  The options are copied; io is kept. */
enum cpam_status http_client_new(struct io *io, const struct http_options *options,
                                 struct http **out, struct cpam_err *err) CPAM_CHECK;

#endif
