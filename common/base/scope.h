/*
 * scope.h - what is owned is released at the end of its scope.
 *
 *     CPAM_AUTO(sink_free) struct sink *chain = NULL;
 *
 * calls sink_free(chain) on every way out.  The variable must be initialised on the same line;
 * every x_free accepts NULL.  CPAM_STEAL(variable) hands the value over and leaves NULL behind.
 * CPAM_SCOPED(x_free, struct x) is written once, after the declaration of x_free in its header.
 */
#ifndef CPAM_BASE_SCOPE_H
#define CPAM_BASE_SCOPE_H

#include <stdlib.h>

#define CPAM_SCOPED(fn, type)                                                                      \
    static inline void fn##_scoped_(type **at)                                                     \
    {                                                                                              \
        fn(*at);                                                                                   \
    }                                                                                              \
    struct cpam_scoped_needs_a_semicolon_

#define CPAM_AUTO(fn) __attribute__((cleanup(fn##_scoped_)))

#define CPAM_STEAL(variable)                                                                       \
    __extension__({                                                                                \
        __typeof__(variable) cpam_stolen_ = (variable);                                            \
        (variable) = NULL;                                                                         \
        cpam_stolen_;                                                                              \
    })

/* CPAM_AUTO(free): memory from malloc, whatever it is used as. */
static inline void
free_scoped_(void *at)
{
    free(*(void **) at);
}

#endif
