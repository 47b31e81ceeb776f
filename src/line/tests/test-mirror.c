/* src/line/tests/test-mirror.c */
#include "line/mirror.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SUBNET 5 /* 10.78.20.0/22 and 10.79.20.0/22 */

static struct xeno_matrix *matrix(void)
{
    static const char text[] = "0 41 20\n41 0 1\n20 1 0\n";
    struct xeno_matrix *m = NULL;

    assert_int_equal(xeno_matrix_read(text, strlen(text), &m, NULL), 0);
    return m;
}

static uint32_t sum(const uint8_t *p, size_t len)
{
    uint32_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (n >> 16)
        n = (n & 0xffff) + (n >> 16);
    return n;
}

/* A header for `total` bytes with a right sum. */
static void header(uint8_t *p, size_t total, uint8_t ttl, uint8_t protocol, uint32_t from,
                   uint32_t to)
{
    uint8_t h[20] = { 0x45, 0, (uint8_t)(total >> 8), (uint8_t)total, 0, 1, 0, 0, ttl, protocol };
    uint32_t s;

    for (int i = 0; i < 4; i++) {
        h[12 + i] = (uint8_t)(from >> (24 - 8 * i));
        h[16 + i] = (uint8_t)(to >> (24 - 8 * i));
    }
    s = ~sum(h, sizeof h);
    h[10] = (uint8_t)(s >> 8);
    h[11] = (uint8_t)s;
    memcpy(p, h, sizeof h);
}

static uint32_t at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void turns(void **state)
{
    xeno_auto(xeno_matrix) m = matrix();
    uint8_t p[40] = { 0 }, answer[XENO_MIRROR_ANSWER];
    uint32_t us = 0, before;
    size_t len;

    (void)state;
    header(p, sizeof p, 64, 6, xeno_mirror_real(SUBNET, 1), xeno_mirror_seen(SUBNET, 2));
    before = sum(p + 12, 8);
    assert_int_equal(xeno_mirror_turn(m, SUBNET, p, sizeof p, &us, answer, &len), XENO_MIRROR_PASS);
    assert_int_equal(us, 20500);
    assert_int_equal(at(p + 12), xeno_mirror_seen(SUBNET, 1));
    assert_int_equal(at(p + 16), xeno_mirror_real(SUBNET, 2));
    assert_int_equal(sum(p, 20), 0xffff);     /* the header's own sum is right */
    assert_int_equal(sum(p + 12, 8), before); /* and those over the addresses stay */
    assert_int_equal(p[8], 62);
}

static void drops(void **state)
{
    static const struct {
        uint32_t from, to;
    } rows[] = {
        { 0x0a4f1401, 0x0a4e1404 }, /* there are three nodes */
        { 0x0a4f1401, 0x0a4e1400 }, { 0x0a4f1404, 0x0a4e1401 }, { 0x0a4f1801, 0x0a4e1401 },
        { 0x0a4e1401, 0x0a4f1402 }, { 0x7f000001, 0x0a4e1401 }, { 0x0a4f1401, 0x0a4e1601 },
    };
    xeno_auto(xeno_matrix) m = matrix();
    uint8_t p[40] = { 0 }, answer[XENO_MIRROR_ANSWER];
    uint32_t us;
    size_t len;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        header(p, sizeof p, 64, 17, rows[i].from, rows[i].to);
        assert_int_equal(xeno_mirror_turn(m, SUBNET, p, sizeof p, &us, answer, &len),
                         XENO_MIRROR_DROP);
    }
    header(p, sizeof p, 64, 17, 0x0a4f1401, 0x0a4e1402);
    for (size_t n = 0; n < 20; n++)
        assert_int_equal(xeno_mirror_turn(m, SUBNET, p, n, &us, answer, &len), XENO_MIRROR_DROP);
    p[0] = 0x4f; /* options longer than the packet */
    assert_int_equal(xeno_mirror_turn(m, SUBNET, p, sizeof p, &us, answer, &len), XENO_MIRROR_DROP);
    p[0] = 0x60;
    assert_int_equal(xeno_mirror_turn(m, SUBNET, p, sizeof p, &us, answer, &len), XENO_MIRROR_DROP);
}

/* What a node refuses comes back in the words of who asked. */
static void quotes(void **state)
{
    xeno_auto(xeno_matrix) m = matrix();
    uint8_t p[56] = { 0 }, answer[XENO_MIRROR_ANSWER];
    uint32_t us;
    size_t len;

    (void)state;
    header(p, sizeof p, 64, 1, xeno_mirror_real(SUBNET, 2), xeno_mirror_seen(SUBNET, 1));
    p[20] = 3;
    header(p + 28, 28, 62, 17, xeno_mirror_seen(SUBNET, 1), xeno_mirror_real(SUBNET, 2));
    assert_int_equal(xeno_mirror_turn(m, SUBNET, p, sizeof p, &us, answer, &len), XENO_MIRROR_PASS);
    assert_int_equal(at(p + 28 + 12), xeno_mirror_real(SUBNET, 1));
    assert_int_equal(at(p + 28 + 16), xeno_mirror_seen(SUBNET, 2));
    assert_int_equal(sum(p + 28, 20), 0xffff);
}

static void routers(void **state)
{
    static const struct {
        uint8_t ttl;
        uint32_t router, us;
    } rows[] = { { 1, 513, 2562 }, { 2, 514, 38438 } }; /* 2 and 3 are of one site */
    xeno_auto(xeno_matrix) m = matrix();
    uint8_t p[60] = { 0 }, answer[XENO_MIRROR_ANSWER];
    size_t len;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        uint32_t us = 0;

        header(p, sizeof p, rows[i].ttl, 17, xeno_mirror_real(SUBNET, 1),
               xeno_mirror_seen(SUBNET, 2));
        assert_int_equal(xeno_mirror_turn(m, SUBNET, p, sizeof p, &us, answer, &len),
                         XENO_MIRROR_EXPIRED);
        assert_int_equal(len, 56);
        assert_int_equal(us, rows[i].us);
        assert_int_equal(at(answer + 12), xeno_mirror_seen(SUBNET, rows[i].router));
        assert_int_equal(at(answer + 16), xeno_mirror_real(SUBNET, 1));
        assert_int_equal(sum(answer, 20), 0xffff);
        assert_int_equal(sum(answer + 20, len - 20), 0xffff);
        assert_memory_equal(answer + 28, p, 28);
    }
    assert_int_equal(xeno_matrix_site(m, 3), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns),
        cmocka_unit_test(drops),
        cmocka_unit_test(quotes),
        cmocka_unit_test(routers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
