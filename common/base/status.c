/*
 * status.c - the words for each status, one row each.
 */
#include "base/status.h"

static const char *const names[CPAM_STATUS_COUNT] = {
    [CPAM_OK] = "ok",
    [CPAM_NOT_FOUND] = "not_found",
    [CPAM_EXISTS] = "exists",
    [CPAM_USAGE] = "usage",
    [CPAM_INVALID] = "invalid",
    [CPAM_CORRUPT] = "corrupt",
    [CPAM_FOREIGN] = "foreign",
    [CPAM_UNCLAIMED] = "unclaimed",
    [CPAM_UNREACHABLE] = "unreachable",
    [CPAM_REFUSED] = "refused",
    [CPAM_TRANSIENT] = "transient",
    [CPAM_DEADLINE] = "deadline",
    [CPAM_IO] = "io",
    [CPAM_UNKNOWN] = "unknown",
    [CPAM_NO_MEMORY] = "no_memory",
    [CPAM_CANCELLED] = "cancelled",
    [CPAM_INTERNAL] = "internal",
};

const char *
cpam_status_name(enum cpam_status status)
{
    if ((unsigned) status >= CPAM_STATUS_COUNT)
        return "internal";
    return names[status];
}
