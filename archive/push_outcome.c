/*
 * push_outcome.c - the order of failures.
 */
#include "push_outcome.h"

int
push_weight(enum cpam_status status)
{
    switch (status)
    {
    case CPAM_OK: return 0;
    case CPAM_EXISTS: return 6;
    case CPAM_FOREIGN:
    case CPAM_INVALID: return 5;
    case CPAM_CORRUPT: return 4;
    case CPAM_USAGE: return 3;
    case CPAM_REFUSED:
    case CPAM_NOT_FOUND: return 2;
    default: return 1;
    }
}
