/* src/base/tests/test-slab.c - blocks are apart, come back, and let their slabs go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/slab.h"

#define BLOCKS 6000 /* some slabs of each size here */

static const size_t sizes[] = { 1, 64, 832, 1100, 2688 };

static void fill(unsigned char *b, size_t size, size_t i)
{
    memset(b, (int)(i * 31 & 0xff), size);
    memcpy(b, &i, size < sizeof i ? size : sizeof i);
}

static void check(const unsigned char *b, size_t size, size_t i)
{
    unsigned char want[2688];

    fill(want, size, i);
    assert_memory_equal(b, want, size);
}

static void blocks_are_apart(void **state)
{
    unsigned char **b = xeno_new0_n(unsigned char *, BLOCKS);

    (void)state;
    for (size_t k = 0; k < XENO_LEN(sizes); k++) {
        struct xeno_slabs s;
        size_t most;

        xeno_slabs_init(&s, sizes[k]);
        assert_true(s.size >= sizes[k] && s.size % 64 == 0);
        for (size_t i = 0; i < BLOCKS; i++) {
            b[i] = xeno_slab_take(&s);
            assert_int_equal((uintptr_t)b[i] % 64, 0);
            fill(b[i], s.size < 2688 ? s.size : 2688, i);
        }
        assert_int_equal(s.bytes, BLOCKS * s.size);
        most = s.count;
        /* Every third comes and goes: what is between stays as it is, in as many slabs. */
        for (size_t i = 0; i < BLOCKS; i += 3)
            xeno_slab_give(b[i]);
        for (size_t i = 0; i < BLOCKS; i += 3) {
            b[i] = xeno_slab_take(&s);
            fill(b[i], s.size, i);
        }
        assert_int_equal(s.count, most);
        for (size_t i = 0; i < BLOCKS; i++)
            check(b[i], s.size, i);
        /* All go, from both ends: one slab is left. */
        for (size_t i = 0; i < BLOCKS; i++)
            xeno_slab_give(b[i % 2 ? i : (BLOCKS - 2 - i) / 2 * 2]);
        assert_int_equal(s.count, 1);
        assert_true(s.bytes < (size_t)2 << 20);
        xeno_slabs_release(&s);
        assert_int_equal(s.bytes, 0);
        assert_int_equal(s.count, 0);
    }
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(blocks_are_apart) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
