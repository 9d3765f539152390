/*
 * twin_real.c - in a test program that makes its own twin, the real door is io_posix().
 */
#include "io/io.h"

struct io *io_twin_real(void);

struct io *
io_twin_real(void)
{
    return io_posix();
}
