/* src/rd/tests/test-paths.c - what two paths share, and sets that share least. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "rd/paths.h"

static struct xeno_path path(const char *text)
{
    struct xeno_path p;

    assert_int_equal(xeno_path_read(text, &p, NULL), 0);
    return p;
}

static const struct {
    const char *name, *a, *b, *to;
    unsigned hops, prefixes;
    double unseen;
} rows[] = {
    { "apart", "1.2.3.4 5.6.7.8", "9.9.9.9 8.8.8.8", NULL, 0, 0, 0 },
    { "a hop", "1.2.3.4 5.6.7.8", "9.9.9.9 5.6.7.8", NULL, 1, 0, 0 },
    { "a prefix", "1.2.3.4 5.6.7.8", "9.9.9.9 5.6.7.9", NULL, 0, 1, 0 },
    { "next prefix", "5.6.7.8", "5.6.8.8", NULL, 0, 0, 0 },
    { "v6 prefix", "2001:db8:1:2::1", "2001:db8:1:3::1", NULL, 0, 1, 0 },
    { "v6 other site", "2001:db8:1:2::1", "2001:db8:2:2::1", NULL, 0, 0, 0 },
    { "mapped", "::ffff:5.6.7.8", "5.6.7.8", NULL, 1, 0, 0 },
    { "private hops tell nothing", "10.0.0.1 1.2.3.4", "10.0.0.1 9.9.9.9", NULL, 0, 0, .5 },
    { "silent hops are not shared", "* 1.2.3.4", "* 9.9.9.9", NULL, 0, 0, .5 },
    { "the address itself", "1.2.3.4 7.7.7.7", "9.9.9.9 7.7.7.7", "7.7.7.7", 0, 0, 0 },
    { "nothing seen", "", "9.9.9.9", NULL, 0, 0, 1 },
    { "a hop and its prefix count once", "5.6.7.8 5.6.7.9", "5.6.7.8", NULL, 1, 0, 0 },
};

static void shared(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct xeno_path a = path(rows[i].a), b = path(rows[i].b);
        struct xeno_hop to = xeno_hop_read(rows[i].to ? rows[i].to : "");
        const struct xeno_hop *end = rows[i].to ? &to : NULL;
        struct xeno_path_shared s = xeno_path_shared(&a, &b, end);

        print_message("# %s\n", rows[i].name);
        assert_int_equal(s.hops, rows[i].hops);
        assert_int_equal(s.prefixes, rows[i].prefixes);
        assert_true(fabs(s.unseen - rows[i].unseen) < 1e-9);
        assert_true(fabs(xeno_path_risk(&a, &b, end) - xeno_path_risk(&b, &a, end)) < 1e-9);
    }
}

static void refused(void **state)
{
    struct xeno_path p = { .count = 7 };
    struct xeno_err err = XENO_ERR_INIT;
    char many[2 * XENO_PATH_HOPS + 3] = "*";

    (void)state;
    assert_int_equal(xeno_path_read("1.2.3.4 nowhere", &p, &err), -EINVAL);
    assert_string_equal(err.token, "paths.hop");
    for (size_t i = 1; i <= XENO_PATH_HOPS; i++)
        strcat(many, " *");
    assert_int_equal(xeno_path_read(many, &p, &err), -E2BIG);
    assert_int_equal(p.count, 7);
    many[2 * XENO_PATH_HOPS] = '\0';
    assert_int_equal(xeno_path_read(many, &p, &err), 0);
}

/* Both ways of looking, at every set and by growing, find sets that share nothing. */
static void sets(void **state)
{
    struct xeno_path p[60];
    const struct xeno_path *of[60];
    size_t set[4];
    double risk;

    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        char text[64];

        snprintf(text, sizeof text, "20.%u.0.1 30.%u.0.%u", i % 7, i % 11, i);
        p[i] = path(text);
        of[i] = &p[i];
    }
    assert_int_equal(xeno_paths_disjoint(of, 12, 2, NULL, set, &risk, NULL), 0);
    assert_true(set[0] == 0 && set[1] == 1 && risk < .01);
    assert_int_equal(xeno_paths_disjoint(of, 60, 4, NULL, set, &risk, NULL), 0); /* 487,635 sets */
    assert_true(risk < .01);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_true(set[k] < set[i] && xeno_path_risk(of[set[i]], of[set[k]], NULL) < .01);
    of[0] = NULL; /* nothing known: never before one that is known */
    assert_int_equal(xeno_paths_disjoint(of, 12, 2, NULL, set, &risk, NULL), 0);
    assert_true(set[0] == 1 && set[1] == 2);
    assert_int_equal(xeno_paths_disjoint(of, 3, 4, NULL, set, &risk, NULL), -EINVAL);
    assert_int_equal(xeno_paths_disjoint(of, 3, 0, NULL, set, &risk, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(shared), cmocka_unit_test(refused),
                                        cmocka_unit_test(sets) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
