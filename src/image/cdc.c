/* src/image/cdc.c - FastCDC with a gear table that is made, not stored. */
#include "image/cdc.h"

#include <pthread.h>
#include <stdint.h>

#include "crypto/key.h"

/* The hash moves left, so that its upper bits depend on the most bytes: masks look at those.
 * 2^16 is the wanted size; two bits more before it, two fewer after. */
#define MASK_BEFORE (((UINT64_C(1) << 18) - 1) << 46)
#define MASK_AFTER  (((UINT64_C(1) << 14) - 1) << 50)

static uint64_t gear[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* gear[b]: the first 8 bytes, big endian, of SHA-256 of the byte b. */
static void make_gear(void)
{
    for (unsigned b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b, sha[32];

        xeno_sha256_of(&byte, 1, sha);
        for (int i = 0; i < 8; i++)
            gear[b] = gear[b] << 8 | sha[i];
    }
}

size_t xeno_cdc_cut(const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t end = len < XENO_CDC_MAX ? len : XENO_CDC_MAX;
    size_t middle = end < XENO_CDC_AVG ? end : XENO_CDC_AVG;
    size_t i = XENO_CDC_MIN;
    uint64_t hash = 0;

    if (len <= XENO_CDC_MIN)
        return len;
    pthread_once(&once, make_gear);
    for (; i < middle; i++) {
        hash = (hash << 1) + gear[p[i]];
        if (!(hash & MASK_BEFORE))
            return i + 1;
    }
    for (; i < end; i++) {
        hash = (hash << 1) + gear[p[i]];
        if (!(hash & MASK_AFTER))
            return i + 1;
    }
    return end;
}
