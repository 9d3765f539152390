/*
 * protect.c - this process shall not be looked into.
 *
 * Apart from the secrets themselves, so that a program that has none is not linked with OpenSSL.
 */
#include <sys/prctl.h>
#include <sys/resource.h>

#include "crypto/secret.h"

void
secrets_protect_process(void)
{
    struct rlimit none = {0, 0};

    (void) setrlimit(RLIMIT_CORE, &none);
    (void) prctl(PR_SET_DUMPABLE, 0);
}
