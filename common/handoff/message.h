/*
 * message.h - what goes over the socket between a front and its worker.
 *
 * One message is one datagram of a SOCK_SEQPACKET socket: magic, protocol number, type, length, then
 * fields in a fixed order.  The first 12 bytes are the same in every protocol there will ever be, so
 * that two builds can always tell each other apart.  Only processes of one user on one host talk:
 * numbers are little-endian, and nothing is kept on disk.
 */
#ifndef CPAM_HANDOFF_MESSAGE_H
#define CPAM_HANDOFF_MESSAGE_H

#include "handoff/call.h"

enum
{
    HANDOFF_PROTOCOL = 1,
    HANDOFF_MESSAGE_MAX = 32 << 10,
    HANDOFF_PATH_MAX = 4096,  /* with the NUL */
    HANDOFF_VERSION_MAX = 64, /* with the NUL */
    HANDOFF_HEADER_SIZE = 12
};

enum handoff_message_type
{
    HANDOFF_MESSAGE_QUESTION = 1, /* is this done / where is this? */
    HANDOFF_MESSAGE_TICK,         /* the worker lives */
    HANDOFF_MESSAGE_RETIRED,      /* another worker is to be asked */
    HANDOFF_MESSAGE_BUSY,         /* too many callers: ask again in a moment */
    HANDOFF_MESSAGE_ANSWER        /* also how a worker's start went, on the starter's pipe */
};

/* Only the members of its type count.  Texts are borrowed; a parsed message's lie in its bytes. */
struct handoff_message
{
    enum handoff_message_type type;
    uint16_t protocol; /* another one than HANDOFF_PROTOCOL: nothing else was looked at */

    const char *version, *config;       /* question: of the front; its configuration file */
    struct handoff_stamp config_stamp;  /* what that file is now */
    struct handoff_stamp program_stamp; /* what the worker's program is now */
    enum handoff_role role;             /* question */
    const char *name;                   /* question */
    struct handoff_stamp stamp;         /* question */
    int64_t left;                       /* question: us the caller will wait, < 0 for ever */
    enum cpam_status status;            /* answer */
    const char *path, *sentence, *hint; /* answer; "" for none */
};

/* Bytes written.  A text that is too long is an error of the caller (CPAM_INVALID). */
enum cpam_status handoff_message_write(const struct handoff_message *message,
                                       uint8_t out[HANDOFF_MESSAGE_MAX], size_t *size,
                                       struct cpam_err *err) CPAM_CHECK;

/* CPAM_CORRUPT unless it is exactly one message. */
enum cpam_status handoff_message_parse(const void *data, size_t size, struct handoff_message *out,
                                       struct cpam_err *err) CPAM_CHECK;

#endif
