/* src/cli/tests/test-choose.c */
#include "cli/choose.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* `full`: for each candidate how many replicas it has room for, as a digit. Replicas ask at the
 * same time, round by round, as xeno deploy does; the answer says who got how many. */
static const struct {
    const char *name, *full;
    size_t want, least;
    bool share;
    int begin; /* of cli_choice_init() */
    const char *got;
    bool enough;
} rows[] = {
    { "the first ones", "9999", 3, 3, false, 0, "1110", true },
    { "one is full, the next is taken", "9099", 3, 3, false, 0, "1011", true },
    { "nobody is left", "909", 3, 3, false, 0, "101", false },
    { "two are enough", "909", 3, 2, false, 0, "101", true },
    { "two were enough, one is not", "900", 3, 2, false, 0, "100", false },
    { "too few to begin with", "99", 3, 3, false, -EINVAL, "", false },
    { "too few for all, enough for the least", "99", 3, 2, false, 0, "11", true },
    { "none", "", 1, 1, true, -EINVAL, "", false },
    { "shared evenly", "99", 5, 5, true, 0, "32", true },
    { "shared as far as there is room", "19", 4, 4, true, 0, "13", true },
    { "shared, and full", "11", 3, 3, true, 0, "11", false },
    { "one for all", "9", 3, 3, true, 0, "3", true },
};

static void choose(size_t row)
{
    size_t n = strlen(rows[row].full), held = 0, left = rows[row].want;
    struct cli_choice c;
    char got[16] = "";
    int r = cli_choice_init(&c, n, rows[row].want, rows[row].least, rows[row].share, NULL);

    assert_int_equal(r, rows[row].begin);
    if (r < 0)
        return;
    memset(got, '0', n);
    while (left > 0) {
        int asked[16];
        size_t k = 0;

        while (k < left && (asked[k] = cli_choice_next(&c)) >= 0)
            k++;
        if (k == 0)
            break;
        left = 0;
        for (size_t i = 0; i < k; i++) {
            if (got[asked[i]] < rows[row].full[asked[i]]) {
                got[asked[i]]++;
                held++;
            } else {
                cli_choice_refuse(&c, asked[i]);
                left++;
            }
        }
    }
    assert_string_equal(got, rows[row].got);
    assert_int_equal(cli_choice_enough(&c, held), rows[row].enough);
}

static void who_gets_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        print_message("%s\n", rows[i].name);
        choose(i);
    }
}

static void limits_are_shared(void **state)
{
    static const struct {
        int64_t limit;
        size_t want;
        int64_t own, each;
        int r;
    } row[] = {
        { 3000000, 3, 0, 1000000, 0 },
        { 1000000, 3, 0, 333333, 0 },
        { 3000000, 3, 5, 5, 0 },
        { 3000000, 3, 2000000, 1000000, 0 },
        { 3, 3, 0, 1, 0 },
        { 2, 3, 0, 7, -EDQUOT },
        { INT64_MAX, 1, 0, INT64_MAX, 0 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(row); i++) {
        int64_t each = 7;

        assert_int_equal(cli_choice_share(row[i].limit, row[i].want, row[i].own, &each, NULL),
                         row[i].r);
        assert_int_equal(each, row[i].each);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_gets_them),
        cmocka_unit_test(limits_are_shared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
