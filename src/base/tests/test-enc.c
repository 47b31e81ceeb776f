/* src/base/tests/test-enc.c */
#include "base/enc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void hex_both_ways(void **state)
{
    uint8_t raw[3] = { 0x00, 0xab, 0x7f }, back[3];
    char text[7];

    (void)state;
    xeno_hex(raw, 3, text);
    assert_string_equal(text, "00ab7f");
    assert_true(xeno_unhex(text, back, 3));
    assert_memory_equal(raw, back, 3);
    assert_false(xeno_unhex("00ab7", back, 3));
    assert_false(xeno_unhex("00AB7F", back, 3));
    assert_false(xeno_unhex("00ab7f00", back, 3));
}

static void base32_of_rfc_4648(void **state)
{
    char text[17];

    (void)state;
    xeno_base32("fooba", 5, text);
    assert_string_equal(text, "mzxw6ytb");
    assert_true(xeno_base32_ok(text, 8));
    assert_false(xeno_base32_ok(text, 7));
    assert_false(xeno_base32_ok("mzxw6yt1", 8));
    assert_false(xeno_base32_ok("MZXW6YTB", 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(base32_of_rfc_4648),
    };
    return cmocka_run_group_tests_name("enc", tests, NULL, NULL);
}
