/* src/image/tests/test-pull.c - a model of pulls: an image that changes at random is pulled again
 * and again from a registry, and comes out the same each time, for few bytes. */
#include "image/pull.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "image/diff.h"
#include "image/tests/pull-world.h"
#include "image/tests/tar-make.h"

#define ROUNDS     12
#define FAULTS     5
#define HEADS_ROOM 8000 /* heads of changed files, islands between them, manifest and config */

static void each_update_comes_out(void **state)
{
    struct pull_world *w = *state;
    char digest[XENO_DIGEST_TEXT], name[32], before[32];

    if (!can_confine())
        skip();
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_pulled got;
        struct xeno_diff diff;

        snprintf(before, sizeof(before), "t:%u", i - 1);
        snprintf(name, sizeof(name), "t:%u", i);
        if (i > 0)
            change_some();
        make_image(w->theirs, name, digest);
        *w->served.trick = HONEST;
        assert_int_equal(pull(w, digest, false, &got, &err), 0);
        assert_string_equal(got.digest, digest);
        assert_int_equal(xeno_store_verify(w->ours, digest, NULL, NULL), 0);
        assert_int_equal(got.layers_again, 0);
        if (i == 0)
            continue;
        assert_int_equal(xeno_image_diff(w->theirs, before, name, NULL, NULL, &diff, NULL), 0);
        print_message("round %u: %lld fetched, of %lld; foretold %lld and a table of %lld\n", i,
                      (long long)got.fetched_bytes, (long long)got.size_bytes,
                      (long long)diff.new_bytes, (long long)diff.table_bytes);
        assert_in_range(got.fetched_bytes, 0, diff.new_bytes + diff.table_bytes + HEADS_ROOM);
        if (got.layers_here == 0 && diff.new_bytes < got.size_bytes / 2)
            assert_int_equal(got.layers_pieced, 1);
    }
}

static const struct {
    const char *what;
    enum trick trick;
    bool whole;
    size_t again;
} others[] = {
    { "fetched whole, as was asked", HONEST, true, 0 },
    { "a registry without ranges", NO_RANGES, false, 1 },
    { "ranges that are wrong", WRONG_RANGES, false, 1 },
};

static void whole_where_pieces_do_not_do(void **state)
{
    struct pull_world *w = *state;
    char digest[XENO_DIGEST_TEXT];
    struct xeno_pulled got;

    if (!can_confine())
        skip();
    make_image(w->theirs, "first", digest);
    assert_int_equal(pull(w, digest, false, &got, NULL), 0);
    for (size_t i = 0; i < XENO_LEN(others); i++) {
        struct xeno_err err = XENO_ERR_INIT;

        files[3].seed = 100 + 2 * i;
        files[3].there = true;
        files[3].size = 5000;
        make_image(w->theirs, "next", digest);
        *w->served.trick = others[i].trick;
        print_message("%s\n", others[i].what);
        assert_int_equal(pull(w, digest, others[i].whole, &got, &err), 0);
        assert_int_equal(got.layers_again, others[i].again);
        assert_int_equal(got.layers_pieced, 0);
        assert_int_equal(got.reused_bytes, 0);
        assert_true(got.fetched_bytes > got.size_bytes);
        assert_int_equal(xeno_store_verify(w->ours, digest, NULL, NULL), 0);
    }
}

/* Connections break at random bytes, and at last bytes are wrong too: what comes out is right, or
 * nothing has changed. */
static void breaks_and_lies(void **state)
{
    struct pull_world *w = *state;
    char digest[XENO_DIGEST_TEXT], now[XENO_DIGEST_TEXT] = "";
    unsigned good[2] = { 0, 0 };

    if (!can_confine())
        skip();
    for (unsigned i = 0; i < 2 * FAULTS; i++) {
        struct xeno_err err = XENO_ERR_INIT;
        xeno_auto(xeno_image) im = NULL;
        struct xeno_pulled got;
        int r;

        change_some();
        make_image(w->theirs, "t", digest);
        *w->served.trick = i < FAULTS ? BREAKS : BREAKS_AND_LIES;
        r = pull(w, digest, false, &got, &err);
        print_message("round %u: %s %s\n", i, r == 0 ? "pulled" : err.token, err.text);
        good[i / FAULTS] += r == 0;
        if (r == 0)
            memcpy(now, digest, sizeof(now));
        if (now[0] == '\0')
            continue;
        assert_int_equal(xeno_store_resolve(w->ours, "t", NULL, &im, NULL), 0);
        assert_string_equal(im->digest, now);
        assert_int_equal(xeno_store_verify(w->ours, "t", NULL, NULL), 0);
    }
    assert_in_range(good[0], FAULTS / 2, FAULTS);
    assert_in_range(good[1], 1, FAULTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_update_comes_out, pull_setup, pull_teardown),
        cmocka_unit_test_setup_teardown(whole_where_pieces_do_not_do, pull_setup, pull_teardown),
        cmocka_unit_test_setup_teardown(breaks_and_lies, pull_setup, pull_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
