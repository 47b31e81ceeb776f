/* src/xisd/tests/test-store.c - what the database keeps of adverts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xisd/store.h"

static struct xeno_db *fresh(void)
{
    struct xeno_db *db = NULL;

    assert_int_equal(xeno_db_open("sqlite::memory:", &db, NULL), 0);
    assert_int_equal(xisd_store_open(db, NULL), 0);
    assert_int_equal(xisd_store_open(db, NULL), 0);
    return db;
}

static struct xisd_row row(const char *id, int64_t version)
{
    return (struct xisd_row){ .id = id,
                              .carrier = "c",
                              .version = version,
                              .base = version,
                              .expires_ms = 1000 * version,
                              .jws = "whole",
                              .jws_len = 5 };
}

/* One row in a transaction of its own. */
static int put(struct xeno_db *db, struct xisd_row r, int64_t *ret_seq)
{
    struct xeno_err err = XENO_ERR_INIT;
    int e;

    assert_int_equal(xisd_store_begin(db, 10, &r.seq, NULL), 0);
    if (ret_seq)
        *ret_seq = r.seq;
    e = xisd_store_put(db, &r, &err);
    if (e < 0)
        xeno_db_rollback(db);
    else
        assert_int_equal(xeno_db_commit(db, NULL), 0);
    return e;
}

struct seen {
    int count;
    int64_t version[16];
    char id[16][8], delta[16][16];
};

static int on_row(void *arg, const struct xisd_row *r, struct xeno_err *err)
{
    struct seen *s = arg;

    (void)err;
    snprintf(s->id[s->count], sizeof s->id[0], "%s", r->id);
    snprintf(s->delta[s->count], sizeof s->delta[0], "%s", r->delta ? r->delta : "-");
    assert_int_equal(r->jws_len, strlen(r->jws));
    s->version[s->count++] = r->version;
    return 0;
}

static struct seen all(struct xeno_db *db)
{
    struct seen s = { 0 };
    int n = xisd_store_read(db, 0, 16, on_row, &s, NULL);

    assert_int_equal(n, s.count);
    return s;
}

static void higher_wins(void **state)
{
    xeno_auto(xeno_db) db = fresh();
    struct seen s;
    int64_t n = 0;

    (void)state;
    assert_int_equal(put(db, row("a", 5), NULL), 0);
    assert_int_equal(put(db, row("a", 5), NULL), -EEXIST);
    assert_int_equal(put(db, row("a", 4), NULL), -EEXIST);
    assert_int_equal(put(db, row("a", 6), NULL), 0);
    s = all(db);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.version[0], 6);
    assert_int_equal(xisd_store_count(db, &n, NULL), 0);
    assert_int_equal(n, 1);
}

static void numbers_rise(void **state)
{
    xeno_auto(xeno_db) db = fresh();
    int64_t first = 0, second = 0, again = 0;
    struct seen s = { 0 };

    (void)state;
    put(db, row("a", 1), &first);
    put(db, row("b", 1), &second);
    assert_true(second >= first + 10);
    put(db, row("a", 2), &again);
    assert_true(again > second);
    s = all(db);
    assert_string_equal(s.id[0], "b");
    assert_string_equal(s.id[1], "a");
    memset(&s, 0, sizeof s);
    assert_int_equal(xisd_store_read(db, second, 16, on_row, &s, NULL), 1);
    assert_string_equal(s.id[0], "a");
}

/* A delta belongs to its base, whatever else it finds there. */
static void deltas(void **state)
{
    xeno_auto(xeno_db) db = fresh();
    struct xisd_row d = row("a", 7);
    struct seen s;

    (void)state;
    d.base = 5;
    d.delta = "moved";
    d.delta_len = 5;
    put(db, row("a", 5), NULL);
    assert_int_equal(put(db, d, NULL), 0);
    s = all(db);
    assert_string_equal(s.delta[0], "moved");
    assert_int_equal(put(db, d, NULL), -EEXIST);
    assert_int_equal(put(db, row("a", 8), NULL), 0);
    s = all(db);
    assert_string_equal(s.delta[0], "-");
    d.version = 9; /* the base is not there any more: both texts are kept together */
    assert_int_equal(put(db, d, NULL), 0);
    s = all(db);
    assert_string_equal(s.delta[0], "moved");
    assert_int_equal(s.version[0], 9);
}

static void swept(void **state)
{
    xeno_auto(xeno_db) db = fresh();
    struct seen s;

    (void)state;
    put(db, row("a", 1), NULL);
    put(db, row("b", 2), NULL);
    put(db, row("c", 3), NULL);
    assert_int_equal(xisd_store_sweep(db, 3000, 1, NULL), 1);
    assert_int_equal(xisd_store_sweep(db, 3000, 10, NULL), 1);
    assert_int_equal(xisd_store_sweep(db, 3000, 10, NULL), 0);
    s = all(db);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.id[0], "c");
}

/* The numbers have a name, which goes with them. */
static void named(void **state)
{
    xeno_auto(xeno_db) db = fresh();
    struct xisd_clock c = { .seq = 7 };
    int64_t seq = 0;
    bool has = true;

    (void)state;
    assert_int_equal(xisd_store_clock(db, &c, NULL), 0);
    assert_true(c.seq == 0 && c.epoch[0] == '\0');
    assert_int_equal(xisd_store_rename(db, "", "aaaaaaaaaaaaaaaa", NULL), 0);
    assert_int_equal(xisd_store_rename(db, "", "bbbbbbbbbbbbbbbb", NULL), 0); /* too late */
    assert_int_equal(put(db, row("a", 1), &seq), 0);
    assert_int_equal(xisd_store_clock(db, &c, NULL), 0);
    assert_string_equal(c.epoch, "aaaaaaaaaaaaaaaa");
    assert_true(c.seq >= seq);

    assert_int_equal(xisd_store_has(db, "a", seq, &has, NULL), 0);
    assert_true(has);
    assert_int_equal(xisd_store_has(db, "a", seq + 1, &has, NULL), 0);
    assert_false(has);
    assert_int_equal(put(db, row("a", 2), NULL), 0);
    assert_int_equal(xisd_store_has(db, "a", seq, &has, NULL), 0);
    assert_true(has); /* a newer one */
    assert_int_equal(xisd_store_has(db, "b", 1, &has, NULL), 0);
    assert_false(has);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(higher_wins), cmocka_unit_test(numbers_rise), cmocka_unit_test(deltas),
        cmocka_unit_test(named),       cmocka_unit_test(swept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
