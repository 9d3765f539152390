/*
 * crc32c.c - CRC-32C by carry-less products where the CPU has wide ones, by its own instruction
 * where it has that, by a table elsewhere.
 *
 * The choice is made once, at the first call, and so is each table: threads that race for them wait
 * for the first of them.
 */
#include "pg/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

#define POLYNOMIAL UINT32_C(0x82F63B78) /* reflected */

enum
{
    STRIPE = 2048,   /* bytes: a page of 8 KiB has three of them and a rest */
    FOLDED = 256,    /* bytes that are folded at once */
    FOLD_FROM = 1024 /* where it begins to pay */
};

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

static void
table_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void) pthread_once(&once, table_fill);
}

static uint32_t
by_table(uint32_t state, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        state = state >> 8 ^ table[(state ^ data[i]) & 0xFF];
    return state;
}

/* The instruction, on eight bytes and on one. */
#if defined(__x86_64__)
#define BY_INSTRUCTION     __attribute__((target("sse4.2")))
#define STEP8(state, word) ((uint32_t) _mm_crc32_u64(state, word))
#define STEP1(state, byte) _mm_crc32_u8(state, byte)

static bool
cpu_can(void)
{
    return __builtin_cpu_supports("sse4.2") != 0;
}
#elif defined(__aarch64__)
#define BY_INSTRUCTION     __attribute__((target("+crc")))
#define STEP8(state, word) __crc32cd(state, word)
#define STEP1(state, byte) __crc32cb(state, byte)

static bool
cpu_can(void)
{
    return (getauxval(AT_HWCAP) & (UINT64_C(1) << 7)) != 0; /* HWCAP_CRC32 */
}
#else
#define BY_INSTRUCTION
#define STEP8(state, word) by_table(state, (const uint8_t *) &(word), sizeof(word))
#define STEP1(state, byte) by_table(state, &(byte), 1)

static bool
cpu_can(void)
{
    return false;
}
#endif

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

/* shifted[i][b]: what STRIPE zeros make of a register that has b in byte i and nothing else. */
static uint32_t shifted[4][256];

static void
shifted_fill(void)
{
    uint32_t by = shift_by(STRIPE);

    for (unsigned i = 0; i < 4; i++)
        for (uint32_t b = 0; b < 256; b++)
            shifted[i][b] = multiply(by, b << 8 * i);
}

static void
shifted_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void) pthread_once(&once, shifted_fill);
}

static uint32_t
shift_stripe(uint32_t state)
{
    return shifted[0][state & 0xFF] ^ shifted[1][state >> 8 & 0xFF] ^
           shifted[2][state >> 16 & 0xFF] ^ shifted[3][state >> 24];
}

/* Three stripes side by side: the instruction takes three cycles, and one can begin in each. */
BY_INSTRUCTION static uint32_t
by_stripes(uint32_t state, const uint8_t *data)
{
    uint32_t a = state, b = 0, c = 0;

    for (size_t i = 0; i < STRIPE; i += 8)
    {
        uint64_t words[3];

        memcpy(&words[0], data + i, 8);
        memcpy(&words[1], data + STRIPE + i, 8);
        memcpy(&words[2], data + 2 * (size_t) STRIPE + i, 8);
        a = STEP8(a, words[0]);
        b = STEP8(b, words[1]);
        c = STEP8(c, words[2]);
    }
    return shift_stripe(shift_stripe(a) ^ b) ^ c;
}

BY_INSTRUCTION static uint32_t
by_cpu(uint32_t state, const uint8_t *data, size_t size)
{
    for (; size >= 3 * (size_t) STRIPE; size -= 3 * (size_t) STRIPE)
    {
        state = by_stripes(state, data);
        data += 3 * (size_t) STRIPE;
    }
    for (; size >= 8; size -= 8)
    {
        uint64_t word;

        memcpy(&word, data, 8);
        state = STEP8(state, word);
        data += 8;
    }
    for (; size > 0; size--)
    {
        state = STEP1(state, *data);
        data++;
    }
    return state;
}

#if defined(__x86_64__)
static uint64_t fold_by[2]; /* what carries the halves of 16 bytes over FOLDED bytes */

/* x^(n + 32) and x^(n - 32) for n bits of distance: V. Gopal et al., "Fast CRC Computation for Generic
   Polynomials Using PCLMULQDQ" (Intel, 2009).  The product of reflected factors lies one bit low. */
static void
fold_fill(void)
{
    fold_by[0] = (uint64_t) shift_by(FOLDED + 4) << 1;
    fold_by[1] = (uint64_t) shift_by(FOLDED - 4) << 1;
}

static void
folds_ready(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void) pthread_once(&once, fold_fill);
    shifted_ready(); /* for what is left over */
}

static bool
cpu_folds(void)
{
    return cpu_can() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
}

/* Four lines of 64 bytes, each carried over those behind it; what stays has the CRC of it all. */
__attribute__((target("avx512f,vpclmulqdq,sse4.2"))) static uint32_t
by_folds(uint32_t state, const uint8_t *data, size_t size)
{
    if (size < FOLD_FROM)
        return by_cpu(state, data, size);
    __m512i by =
        _mm512_broadcast_i32x4(_mm_set_epi64x((long long) fold_by[1], (long long) fold_by[0]));
    __m512i lines[4];
    uint8_t rest[FOLDED];

    for (size_t i = 0; i < 4; i++)
        lines[i] = _mm512_loadu_si512(data + i * 64);
    lines[0] = _mm512_xor_si512(lines[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int) state)));
    for (data += FOLDED, size -= FOLDED; size >= FOLDED; data += FOLDED, size -= FOLDED)
        for (size_t i = 0; i < 4; i++)
            lines[i] =
                _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(lines[i], by, 0x00),
                                          _mm512_clmulepi64_epi128(lines[i], by, 0x11),
                                          _mm512_loadu_si512(data + i * 64), 0x96); /* a ^ b ^ c */
    for (size_t i = 0; i < 4; i++)
        _mm512_storeu_si512(rest + i * 64, lines[i]);
    return by_cpu(by_cpu(0, rest, sizeof(rest)), data, size);
}
#else
static bool
cpu_folds(void)
{
    return false;
}
#define folds_ready shifted_ready
#define by_folds    by_cpu
#endif

struct way
{
    bool (*can)(void);
    void (*ready)(void); /* its tables */
    crc_fn run;
};

static bool
always(void)
{
    return true;
}

static const struct way ways[CRC32C_WAYS] = {
    [CRC32C_BY_TABLE] = {always, table_ready, by_table},
    [CRC32C_BY_INSTRUCTION] = {cpu_can, shifted_ready, by_cpu},
    [CRC32C_BY_FOLDS] = {cpu_folds, folds_ready, by_folds}};

static crc_fn chosen;

static void
choose(void)
{
    int way = CRC32C_WAYS - 1;

    while (!ways[way].can())
        way--;
    ways[way].ready();
    chosen = ways[way].run;
}

uint32_t
crc32c(uint32_t crc, const void *data, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void) pthread_once(&once, choose);
    return ~chosen(~crc, data, size);
}

bool
crc32c_by(enum crc32c_way way, uint32_t crc, const void *data, size_t size, uint32_t *out)
{
    if (!ways[way].can())
        return false;
    ways[way].ready();
    *out = ~ways[way].run(~crc, data, size);
    return true;
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
