/* src/xisd/tests/test-ask.c - lookups as they are asked, numbers and strings as they are said. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json/json.h"
#include "xisd/ask.h"

static const struct {
    const char *line, *token; /* token NULL: it is read */
} lines[] = {
    { "{\"token\":\"CPU\"}", NULL },
    { " { \"token\" : \"CPU\" , \"min\" : 1 } ", NULL },
    { "{\"token\":\"CPU\",\"min\":-1.5,\"max\":2e3,\"limit\":0,\"place\":9007199254740991}", NULL },
    { "{\"token\":\"CPU\",\"is\":\"Li\\u006eux\",\"order\":\"desc\"}", NULL },
    { "{\"token\":\"CPU\",\"is\":150}", NULL },
    { "{\"token\":\"CPU\",\"from\":\"\",\"to\":\"\\\"\\\\\\/\\n\"}", NULL },
    { "{}", "lookup.token" },
    { "", "lookup.form" },
    { "[]", "lookup.form" },
    { "{\"token\":\"CPU\"", "lookup.form" },
    { "{\"token\":\"CPU\"}}", "lookup.form" },
    { "{\"token\":\"CPU\"} x", "lookup.form" },
    { "{\"token\":\"CPU\",}", "lookup.form" },
    { "{\"token\" \"CPU\"}", "lookup.form" },
    { "{\"token\":CPU}", "lookup.form" },
    { "{\"token\":{}}", "lookup.form" },
    { "{\"token\":\"C\nU\"}", "lookup.form" },
    { "{\"token\":\"\\x\"}", "lookup.form" },
    { "{\"token\":\"\\u12\"}", "lookup.form" },
    { "{\"token\":\"\\ud800x\"}", "lookup.form" },
    { "{\"token\":\"\\u0000\"}", "lookup.form" },
    { "{\"token\":7}", "lookup.form" },
    { "{\"token\":\"CPU\",\"min\":\"7\"}", "lookup.form" },
    { "{\"token\":\"\"}", "lookup.token" },
    { "{\"token\":\"CPU\",\"token\":\"CPU\"}", "lookup.repeated" },
    { "{\"token\":\"CPU\",\"what\":1}", "lookup.unknown" },
    { "{\"token\":\"CPU\",\"min\":1e999}", "lookup.number" },
    { "{\"token\":\"CPU\",\"min\":--1}", "lookup.number" },
    { "{\"token\":\"CPU\",\"min\":1.}", "lookup.number" },
    { "{\"token\":\"CPU\",\"min\":000000000000000000000000000000001}", "lookup.number" },
    { "{\"token\":\"CPU\",\"min\":1,\"from\":\"a\"}", "lookup.range" },
    { "{\"token\":\"CPU\",\"min\":1,\"is\":\"a\"}", "lookup.range" },
    { "{\"token\":\"CPU\",\"order\":\"up\"}", "lookup.order" },
    { "{\"token\":\"CPU\",\"limit\":1001}", "lookup.limit" },
    { "{\"token\":\"CPU\",\"limit\":-1}", "lookup.limit" },
    { "{\"token\":\"CPU\",\"limit\":1.5}", "lookup.limit" },
    { "{\"token\":\"CPU\",\"place\":9007199254740992}", "lookup.place" },
};

static void lines_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(lines); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        struct xisd_ask a;
        size_t len = strlen(lines[i].line);
        /* From the heap and without an end, so that a byte read behind it is seen. */
        xeno_autofree char *text = malloc(len ? len : 1);
        int r;

        memcpy(text, lines[i].line, len);
        r = xisd_ask_line(text, len, &a, &err);
        print_message("%s: %s\n", lines[i].line, err.text);
        assert_string_equal(err.token, lines[i].token ? lines[i].token : "");
        assert_int_equal(r, lines[i].token ? -EINVAL : 0);
    }
}

/* Whatever is too long is refused by its member, escaped or not. */
static void long_texts(void **state)
{
    static const struct {
        const char *key, *token;
        size_t max;
    } rows[] = { { "token", "lookup.token", XENO_ADVERT_PATH },
                 { "is", "lookup.text", XENO_ADVERT_VALUE },
                 { "from", "lookup.text", XENO_ADVERT_VALUE } };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows) * 4; i++) {
        size_t row = i / 4, n = rows[row].max + (i & 1);
        xeno_autobuf b = XENO_BUF_INIT;
        struct xeno_err err = XENO_ERR_INIT;
        struct xisd_ask a;

        xeno_buf_puts(&b, row > 0 ? "{\"token\":\"t\"," : "{");
        xeno_buf_printf(&b, "\"%s\":\"%s", rows[row].key, i & 2 ? "\\t" : "x");
        for (size_t k = 1; k < n; k++)
            xeno_buf_puts(&b, "x");
        xeno_buf_puts(&b, "\"}");
        xisd_ask_line(b.data, b.len, &a, &err);
        assert_string_equal(err.token, i & 1 ? rows[row].token : "");
    }
}

static void read_as_meant(void **state)
{
    static const char line[] = "{\"token\":\"A\\u00e9\\ud83d\\ude00\",\"min\":-0.25,\"max\":1e3,"
                               "\"order\":\"desc\",\"place\":7,\"limit\":3}";
    struct xisd_ask a;

    (void)state;
    assert_int_equal(xisd_ask_line(line, strlen(line), &a, NULL), 0);
    assert_string_equal(a.token, "A\xc3\xa9\xf0\x9f\x98\x80");
    assert_true(a.min == -0.25 && a.max == 1000 && a.desc && a.place == 7 && a.limit == 3);
    assert_int_equal(xisd_ask_line("{\"token\":\"A\"}", 13, &a, NULL), 0);
    assert_true(!a.desc && a.place == 0 && a.limit == XISD_LIMIT);
}

/* --- numbers --- */

static void numbers_as_said(void **state)
{
    static const struct {
        double n;
        const char *text;
    } rows[] = {
        { 0, "0" },
        { -0.0, "0" },
        { 1, "1" },
        { -1, "-1" },
        { 0.5, "0.5" },
        { -12.25, "-12.25" },
        { 0.1, "0.1" },
        { 1e14, "100000000000000" },
        { 999999999999999, "999999999999999" },
        { 0.001, "0.001" },
        { 3.14159265358979, "3.14159265358979" },
        { 123456.789, "123456.789" },
        { 1e15, "1e+15" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        char text[XISD_NUMBER_TEXT + 1];

        text[xisd_number_text(rows[i].n, text)] = '\0';
        assert_string_equal(text, rows[i].text);
    }
}

/* Every number of at most 15 digits comes back, and no longer than it was written. */
static void numbers_come_back(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        char want[40], text[XISD_NUMBER_TEXT + 1];
        unsigned decimals, digits;
        double n;

        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        digits = 1 + (unsigned)(seed >> 60) % 15;
        decimals = (unsigned)(seed >> 55) % digits;
        snprintf(want, sizeof want, "%.*f", (int)decimals,
                 (double)((seed >> 8) % (uint64_t)pow(10, digits)) / pow(10, decimals));
        n = strtod(want, NULL);
        text[xisd_number_text(n, text)] = '\0';
        assert_true(strtod(text, NULL) == n);
        assert_true(strlen(text) <= strlen(want));
    }
}

static void strings_are_json(void **state)
{
    static const char text[] = "a\"b\\c\x01\x1f\tz";
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at at;
    const char *back;

    (void)state;
    xeno_buf_puts(&b, "{\"x\":");
    xisd_put_string(&b, text, strlen(text));
    xeno_buf_puts(&b, "}");
    assert_int_equal(xeno_json_parse(b.data, b.len, 1000, &j, NULL), 0);
    at = xeno_json_top(j);
    assert_int_equal(xeno_json_str(&at, "x", 0, 100, &back, NULL), 0);
    assert_string_equal(back, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_rows),        cmocka_unit_test(long_texts),
        cmocka_unit_test(read_as_meant),     cmocka_unit_test(numbers_as_said),
        cmocka_unit_test(numbers_come_back), cmocka_unit_test(strings_are_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
