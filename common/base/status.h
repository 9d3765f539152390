/*
 * status.h - what a function that can fail came back with.
 *
 * The status is what a caller may decide on; the text in struct cpam_err is for people.  Few
 * values on purpose: a new one is worth having only if some caller acts differently on it.
 */
#ifndef CPAM_BASE_STATUS_H
#define CPAM_BASE_STATUS_H

/* A result that must be looked at; GCC does not let a cast to void silence it. */
#define CPAM_CHECK __attribute__((warn_unused_result))

enum cpam_status
{
    CPAM_OK = 0,
    CPAM_NOT_FOUND,   /* the other side answered: it is not there (proven, never guessed) */
    CPAM_EXISTS,      /* the name is taken: put-if-absent lost, or by other content */
    CPAM_USAGE,       /* a wrong option or configuration */
    CPAM_INVALID,     /* the input is not what it has to be (not a WAL segment, wrong size, ...) */
    CPAM_CORRUPT,     /* stored bytes are damaged, cut short, forged, or not authenticated */
    CPAM_FOREIGN,     /* good, but of another repository, cluster or system identifier */
    CPAM_UNCLAIMED,   /* a restored copy that must not archive before it is claimed */
    CPAM_UNREACHABLE, /* a recovery target that no backup and WAL here can reach */
    CPAM_REFUSED,     /* the other side refused for good: permissions, credentials, policy */
    CPAM_TRANSIENT,   /* may well work when tried again */
    CPAM_DEADLINE,    /* the time given for it is used up */
    CPAM_IO,          /* a local read or write failed (errno in err->sys) */
    CPAM_UNKNOWN,     /* could not be told: hidden by a delete marker, a listing cut short, ... */
    CPAM_NO_MEMORY,
    CPAM_CANCELLED, /* a signal, or another worker's failure, ended it */
    CPAM_INTERNAL,  /* a fault of this program */
    CPAM_STATUS_COUNT
};

/* The status as one lower-case word for logs and JSON: "not_found".  Never NULL. */
const char *cpam_status_name(enum cpam_status status);

#endif
