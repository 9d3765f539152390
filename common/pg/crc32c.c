/*
 * crc32c.c - CRC-32C by the CPU's instruction where it has one, by a table elsewhere.
 *
 * The choice is made once, at the first call; two threads that race for it make the same one.
 */
#include "pg/crc32c.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

#define POLYNOMIAL UINT32_C(0x82F63B78) /* reflected */

typedef uint32_t (*crc_fn)(uint32_t state, const uint8_t *data, size_t size);

static uint32_t table[256];

static void
table_fill(void)
{
    for (uint32_t i = 0; i < 256; i++)
    {
        uint32_t value = i;

        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ ((value & 1) != 0 ? POLYNOMIAL : 0);
        table[i] = value;
    }
}

static uint32_t
by_table(uint32_t state, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        state = state >> 8 ^ table[(state ^ data[i]) & 0xFF];
    return state;
}

#if defined(__x86_64__)
static bool
cpu_can(void)
{
    return __builtin_cpu_supports("sse4.2") != 0;
}

__attribute__((target("sse4.2"))) static uint32_t
by_cpu(uint32_t state, const uint8_t *data, size_t size)
{
    uint64_t wide = state;
    size_t i = 0;

    for (; size - i >= 8; i += 8)
    {
        uint64_t word;

        memcpy(&word, data + i, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    state = (uint32_t) wide;
    for (; i < size; i++)
        state = _mm_crc32_u8(state, data[i]);
    return state;
}
#elif defined(__aarch64__)
static bool
cpu_can(void)
{
    return (getauxval(AT_HWCAP) & (UINT64_C(1) << 7)) != 0; /* HWCAP_CRC32 */
}

__attribute__((target("+crc"))) static uint32_t
by_cpu(uint32_t state, const uint8_t *data, size_t size)
{
    size_t i = 0;

    for (; size - i >= 8; i += 8)
    {
        uint64_t word;

        memcpy(&word, data + i, 8);
        state = __crc32cd(state, word);
    }
    for (; i < size; i++)
        state = __crc32cb(state, data[i]);
    return state;
}
#else
static bool
cpu_can(void)
{
    return false;
}

static uint32_t
by_cpu(uint32_t state, const uint8_t *data, size_t size)
{
    return by_table(state, data, size);
}
#endif

static crc_fn
choose(void)
{
    static _Atomic(crc_fn) chosen;
    crc_fn fn = atomic_load_explicit(&chosen, memory_order_acquire);

    if (fn == NULL)
    {
        fn = by_cpu;
        if (!cpu_can())
        {
            table_fill();
            fn = by_table;
        }
        atomic_store_explicit(&chosen, fn, memory_order_release);
    }
    return fn;
}

uint32_t
crc32c(uint32_t crc, const void *data, size_t size)
{
    return ~choose()(~crc, data, size);
}

uint32_t
crc32c_portable(uint32_t crc, const void *data, size_t size)
{
    table_fill();
    return ~by_table(~crc, data, size);
}

/* a * b modulo the polynomial; bit 31 is x^0. */
static uint32_t
multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;

    for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1)
    {
        if ((a & bit) != 0)
            product ^= b;
        b = b >> 1 ^ ((b & 1) != 0 ? POLYNOMIAL : 0);
    }
    return product;
}

/* x^(8 * bytes): what `bytes` zeros do to the register. */
static uint32_t
shift_by(uint64_t bytes)
{
    uint32_t result = UINT32_C(1) << 31;
    uint32_t power = UINT32_C(1) << 23; /* x^8 */

    for (; bytes != 0; bytes >>= 1)
    {
        if ((bytes & 1) != 0)
            result = multiply(result, power);
        power = multiply(power, power);
    }
    return result;
}

uint32_t
crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t size_b)
{
    return multiply(shift_by(size_b), crc_a) ^ crc_b;
}

uint32_t
crc32c_zeros(uint32_t crc, uint64_t size)
{
    return ~multiply(shift_by(size), ~crc);
}
