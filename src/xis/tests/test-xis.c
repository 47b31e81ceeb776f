/* src/xis/tests/test-xis.c - the store's edges and bounds; test-xis-model.c has the middle. */
#include "xis/xis.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xis/tests/fake.h"
#include "xis/kept.h"
#include "xis/watch.h"

#define T0 xeno_s(1700000000)

struct fixture {
    struct xeno_env_test world;
    struct xeno_xis *x;
    struct xeno_xis_reader *r;
    struct xeno_err err;
};

static void begin(struct fixture *f, const struct xeno_xis_limits *limits)
{
    *f = (struct fixture){ .err = XENO_ERR_INIT };
    xeno_env_test_init(&f->world, T0, 1);
    f->x = xeno_xis_new(&f->world.env, limits);
    f->r = xeno_xis_reader_new(f->x);
    assert_non_null(f->r);
}

static void end(struct fixture *f)
{
    xeno_xis_reader_free(f->r);
    xeno_xis_free(f->x);
}

static int put(struct fixture *f, uint32_t n, int64_t version, const char *path, const char *value,
               const struct xeno_xis_carrier *c)
{
    const struct fake_leaf leaf = { path, value };

    f->err = (struct xeno_err)XENO_ERR_INIT;
    return xeno_xis_put(f->x,
                        fake_advert(n, version, xeno_time_add(f->world.now, xeno_s(60)), &leaf, 1),
                        c, NULL, &f->err);
}

static size_t look(struct fixture *f, struct xeno_lookup l, uint64_t *total, struct xeno_hit *hits)
{
    size_t n;

    xeno_xis_enter(f->r);
    n = xeno_xis_lookup(f->r, &l, total, hits);
    xeno_xis_leave(f->r);
    return n;
}

static void empty(void **state)
{
    struct xeno_xis_ask ask = { .limit = 10 };
    struct xeno_xis_answer a;
    struct xeno_xis_entry e;
    struct xeno_hit hits[10];
    struct fixture f;
    uint64_t total = 7;
    int64_t next;
    bool more = true;

    (void)state;
    begin(&f, NULL);
    assert_int_equal(look(&f, (struct xeno_lookup){ .token = "a", .limit = 10 }, &total, hits), 0);
    assert_int_equal(total, 0);
    assert_int_equal(xeno_xis_query(f.r, &ask, &a, hits, NULL), 0);
    assert_true(a.exact && a.total == 0 && a.count == 0);
    assert_int_equal(xeno_xis_changes(f.r, 0, 1, &e, &next, &more), 0);
    assert_true(next == 0 && !more);
    assert_false(xeno_xis_get(f.r, fake_id(1).s, &e));
    assert_false(xeno_xis_get(f.r, "short", &e));
    assert_int_equal(xeno_xis_age(f.x, f.world.now, 10), 0);
    assert_int_equal(xeno_xis_next(f.x).ns, INT64_MAX);
    end(&f);
}

static void many_of_one_value(void **state)
{
    struct xeno_lookup l = { .token = "EnvType", .limit = 10 };
    struct xeno_hit hits[10];
    struct fixture f;
    uint64_t total;

    (void)state;
    begin(&f, NULL);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(put(&f, i, 1, "EnvType", "Linux", NULL), 0);
    for (uint32_t i = 0; i < 20000; i += 2)
        assert_int_equal(put(&f, i, 2, "EnvType", "Linux VM", NULL), 0);
    xeno_lookup_is(&l, "Linux");
    l.place = 9995;
    assert_int_equal(look(&f, l, &total, hits), 5);
    assert_int_equal(total, 10000);
    l.place = 10000;
    assert_int_equal(look(&f, l, &total, hits), 0);
    l.place = UINT64_MAX;
    l.desc = true;
    assert_int_equal(look(&f, l, &total, hits), 0);
    assert_int_equal(total, 10000);
    l.limit = 0;
    assert_int_equal(look(&f, l, &total, hits), 0);
    l = (struct xeno_lookup){ .token = "EnvType", .range = XENO_LOOKUP_NUMBERS, .min = NAN };
    assert_int_equal(look(&f, l, &total, hits), 0);
    end(&f);
}

static struct xeno_xis_carrier carrier(uint32_t n)
{
    static struct xeno_id id;

    id = fake_id(n);
    return (struct xeno_xis_carrier){ .id = id.s,
                                      .bounds = { .adverts = 2,
                                                  .own_bytes = 6,
                                                  .other_bytes = 8,
                                                  .tokens = 3,
                                                  .updates_s = 2,
                                                  .burst = 3 } };
}

static void quotas(void **state)
{
    struct xeno_xis_carrier c = carrier(1);
    struct fixture f;

    (void)state;
    begin(&f, NULL);
    /* Its own does not count among the others; its text is "A1.1", 4 bytes. */
    assert_int_equal(put(&f, 1, 1, "a", "1", &c), 0);
    assert_int_equal(put(&f, 1, 100, "a", "1", &c), 0);
    assert_int_equal(put(&f, 1, 10000, "a", "1", &c), -EDQUOT); /* "A1.10000" is over own_bytes */
    assert_string_equal(f.err.token, "xis.quota");
    assert_int_equal(xeno_xis_version(f.x, fake_id(1).s), 100);
    assert_int_equal(put(&f, 2, 1, "a", "1", &c), 0);
    assert_int_equal(put(&f, 3, 1, "a", "1", &c), 0);
    assert_int_equal(put(&f, 4, 1, "a", "1", &c), -EDQUOT);  /* two of others */
    assert_int_equal(put(&f, 3, 2, "a", "2", &c), 0);        /* one of the two again */
    assert_int_equal(put(&f, 3, 10, "a", "2", &c), -EDQUOT); /* 9 bytes of others */
    assert_int_equal(put(&f, 4, 1, "a", "1", NULL), 0);      /* nobody's */
    /* Somebody else brings a newer one: it counts there from then on. */
    c = carrier(9);
    assert_int_equal(put(&f, 3, 3, "a", "1", &c), 0);
    c = carrier(1);
    assert_int_equal(put(&f, 5, 1, "a", "1", &c), 0);
    end(&f);
}

static void new_tokens(void **state)
{
    struct xeno_xis_carrier c = carrier(1);
    struct xeno_xis_limits few = { .tokens = 4 };
    struct xeno_token_info info[4];
    struct fixture f;

    (void)state;
    begin(&f, &few);
    assert_int_equal(put(&f, 1, 1, "p", "1", &c), 0); /* Id and p are new */
    assert_int_equal(put(&f, 1, 2, "q", "1", &c), 0); /* q is, and p is not any more */
    assert_int_equal(put(&f, 2, 1, "r", "x", &c), 0); /* three are its */
    assert_int_equal(put(&f, 3, 1, "s", "x", &c), -EDQUOT);
    assert_string_equal(f.err.token, "xis.quota");
    assert_int_equal(put(&f, 3, 1, "s", "x", NULL), 0);
    assert_int_equal(put(&f, 4, 1, "t", "x", NULL), -ENOSPC);
    assert_string_equal(f.err.token, "xis.full");
    assert_int_equal(xeno_xis_tokens(f.r, "Id", 4, info), 3);
    assert_string_equal(info[0].path, "q");
    assert_true(info[0].numbers == 1 && info[0].min == 1 && info[0].max == 1);
    assert_true(info[1].strings == 1 && info[1].numbers == 0);
    end(&f);
}

static void rates(void **state)
{
    struct xeno_xis_carrier c = carrier(1);
    xeno_time wait = xeno_ns(0);
    struct fixture f;

    (void)state;
    begin(&f, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(xeno_xis_admit(f.x, &c, NULL, NULL), 0);
    assert_int_equal(xeno_xis_admit(f.x, &c, &wait, &f.err), -EAGAIN);
    assert_string_equal(f.err.token, "xis.rate");
    assert_in_range(wait.ns, 1, XENO_NS_PER_S / 2 + 1);
    f.world.now = xeno_time_add(f.world.now, wait);
    assert_int_equal(xeno_xis_admit(f.x, &c, NULL, NULL), 0);
    assert_int_equal(xeno_xis_admit(f.x, &c, NULL, NULL), -EAGAIN);
    f.world.now = xeno_time_add(f.world.now, xeno_s(3600));
    for (int i = 0; i < 3; i++)
        assert_int_equal(xeno_xis_admit(f.x, &c, NULL, NULL), 0);
    assert_int_equal(xeno_xis_admit(f.x, &c, NULL, NULL), -EAGAIN);
    end(&f);
}

/* A carrier of which nothing is left, and that was quiet, is forgotten with its sums. */
static void carriers_are_forgotten(void **state)
{
    struct xeno_xis_stats s;
    struct fixture f;

    (void)state;
    begin(&f, NULL);
    for (uint32_t i = 0; i < 100; i++) {
        struct xeno_xis_carrier c = carrier(i);

        assert_int_equal(xeno_xis_admit(f.x, &c, NULL, NULL), 0);
    }
    xeno_xis_stats(f.x, &s);
    assert_int_equal(s.carriers, 100);
    f.world.now = xeno_time_add(f.world.now, xeno_s(10));
    for (int i = 0; i < 20; i++)
        xeno_xis_age(f.x, f.world.now, 10);
    xeno_xis_stats(f.x, &s);
    assert_int_equal(s.carriers, 0);
    end(&f);
}

static void leases(void **state)
{
    const struct fake_leaf leaf = { "a", "1" };
    struct xeno_xis_carrier c = carrier(1);
    struct xeno_xis_entry e;
    struct fixture f;

    (void)state;
    c.bounds.own_bytes = c.bounds.other_bytes = 1000;
    begin(&f, NULL);
    assert_int_equal(xeno_xis_put(f.x, fake_advert(1, 1, T0, &leaf, 1), &c, NULL, &f.err), -ETIME);
    assert_int_equal(xeno_xis_put(f.x,
                                  fake_advert(1, 1, xeno_time_add(T0, xeno_s(25 * 3600)), &leaf, 1),
                                  &c, NULL, &f.err),
                     -EINVAL);
    assert_string_equal(f.err.token, "advert.lease");
    /* From the node's own database: what is over is remembered, so that nothing older comes. */
    assert_int_equal(xeno_xis_put(f.x, fake_advert(1, 5, T0, &leaf, 1), NULL, NULL, NULL), 0);
    assert_true(xeno_xis_get(f.r, fake_id(1).s, &e) && e.state == XENO_XIS_EXPIRED);
    assert_int_equal(put(&f, 1, 5, "a", "1", &c), -EEXIST);
    assert_int_equal(put(&f, 1, 6, "a", "1", &c), 0);
    end(&f);
}

static void full(void **state)
{
    struct xeno_xis_limits two = { .ids = 2 };
    struct fixture f;

    (void)state;
    begin(&f, &two);
    assert_int_equal(put(&f, 1, 1, "a", "1", NULL), 0);
    assert_int_equal(put(&f, 2, 1, "a", "1", NULL), 0);
    assert_int_equal(put(&f, 3, 1, "only/here", "x", NULL), -ENOSPC);
    assert_string_equal(f.err.token, "xis.full");
    assert_int_equal(put(&f, 2, 2, "a", "1", NULL), 0);
    f.world.now = xeno_time_add(f.world.now, xeno_s(3600));
    assert_int_equal(xeno_xis_age(f.x, f.world.now, 1), 1);
    assert_int_equal(xeno_xis_age(f.x, f.world.now, 10), 1);
    assert_int_equal(put(&f, 3, 1, "a", "1", NULL), -ENOSPC); /* dead ones are remembered */
    f.world.now = xeno_time_add(f.world.now, xeno_s(3600));
    assert_int_equal(xeno_xis_age(f.x, f.world.now, 10), 2);
    assert_int_equal(put(&f, 3, 1, "a", "1", NULL), 0);
    end(&f);
}

static void work_is_bounded(void **state)
{
    struct xeno_xis_ask ask = { .limit = 3, .work = 50 };
    struct xeno_xis_answer a;
    struct xeno_hit hits[3];
    struct fixture f;

    (void)state;
    begin(&f, NULL);
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(put(&f, i, 1, "a", "1", NULL), 0);
    assert_int_equal(xeno_xis_query(f.r, &ask, &a, hits, NULL), 0);
    assert_true(!a.exact && a.looked == 50 && a.total == 50 && a.count == 3);
    ask.place = XENO_XIS_REACH;
    assert_int_equal(xeno_xis_query(f.r, &ask, &a, hits, &f.err), -EINVAL);
    assert_string_equal(f.err.token, "query.reach");
    ask = (struct xeno_xis_ask){ .limit = XENO_XIS_LIMIT + 1 };
    assert_int_equal(xeno_xis_query(f.r, &ask, &a, hits, &f.err), -EINVAL);
    assert_string_equal(f.err.token, "query.limit");
    end(&f);
}

static struct xeno_query_tree *all(void)
{
    static const char text[] = "{\"token\":\"a\",\"exists\":true}";
    struct xeno_query_tree *q = NULL;

    assert_int_equal(xeno_query_parse(text, strlen(text), &q, NULL), 0);
    return q;
}

static void watch_bounds(void **state)
{
    struct xeno_xis_limits limits = { .watches = 3, .carrier_watches = 2 };
    struct xeno_watch *w[3], *other = NULL;
    struct fixture f;

    (void)state;
    begin(&f, &limits);
    assert_int_equal(xeno_watch_new(f.x, "me", all(), xeno_ms(99), xeno_s(60), T0, &other, &f.err),
                     -EINVAL);
    assert_int_equal(xeno_watch_new(f.x, "me", all(), xeno_ms(100), xeno_s(9), T0, &other, &f.err),
                     -EINVAL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            xeno_watch_new(f.x, "me", all(), xeno_ms(100), xeno_s(60), T0, &w[i], NULL), 0);
    assert_int_equal(xeno_watch_new(f.x, "me", all(), xeno_ms(100), xeno_s(60), T0, &other, &f.err),
                     -EDQUOT);
    assert_string_equal(f.err.token, "xis.watches");
    assert_int_equal(xeno_watch_new(f.x, "you", all(), xeno_ms(100), xeno_s(60), T0, &w[2], NULL),
                     0);
    assert_int_equal(xeno_watch_new(f.x, "she", all(), xeno_ms(100), xeno_s(60), T0, &other, NULL),
                     -EDQUOT);
    assert_ptr_equal(xeno_watch_find(f.x, "you", xeno_watch_name(w[2])), w[2]);
    assert_null(xeno_watch_find(f.x, "me", xeno_watch_name(w[2])));
    assert_int_equal(xeno_watch_renew(w[2], xeno_s(120), T0, NULL), 0);
    assert_int_equal(xeno_watch_age(f.x, xeno_time_add(T0, xeno_s(60))), 2);
    assert_ptr_equal(xeno_watch_find(f.x, "you", xeno_watch_name(w[2])), w[2]);
    end(&f);
}

static void watch_gap(void **state)
{
    struct xeno_watch_event e[2];
    struct xeno_watch *w;
    struct fixture f;

    (void)state;
    begin(&f, NULL);
    for (uint32_t i = 0; i < XENO_WATCH_HISTORY + 10; i++)
        assert_int_equal(put(&f, i, 1, "a", "1", NULL), 0);
    assert_int_equal(xeno_watch_new(f.x, "me", all(), xeno_ms(100), xeno_s(60), T0, &w, NULL), 0);
    assert_int_equal(xeno_watch_poll(w, T0, 100).ns, T0.ns); /* there is more */
    assert_true(xeno_watch_poll(w, T0, 10000).ns > T0.ns);
    assert_int_equal(xeno_watch_events(w, 0, 2, e), 2);
    assert_true(e[0].kind == XENO_WATCH_GAP && e[0].lost == 10 && e[0].id == 10);
    assert_true(e[1].kind == XENO_WATCH_MATCH && e[1].id == 11);
    assert_int_equal(xeno_watch_events(w, 10, 2, e), 2);
    assert_true(e[0].kind == XENO_WATCH_MATCH && e[0].id == 11);
    assert_int_equal(xeno_watch_events(w, XENO_WATCH_HISTORY + 10, 2, e), 0);
    /* What changes within the interval is told once, as it is then. */
    for (int64_t v = 2; v < 9; v++)
        assert_int_equal(put(&f, 0, v, "a", "1", NULL), 0);
    xeno_watch_poll(w, xeno_time_add(T0, xeno_ms(50)), 100);
    assert_int_equal(xeno_watch_events(w, XENO_WATCH_HISTORY + 10, 2, e), 0);
    xeno_watch_poll(w, xeno_time_add(T0, xeno_ms(100)), 100);
    assert_int_equal(xeno_watch_events(w, XENO_WATCH_HISTORY + 10, 2, e), 1);
    assert_int_equal(e[0].version, 8);
    end(&f);
}

static void explained(void **state)
{
    static const char text[] = "{\"and\":[{\"token\":\"a\",\"min\":2},{\"token\":\"b\",\"is\":1}]}";
    struct xeno_query_tree *q = NULL;
    struct xeno_xis_clause c[3];
    struct xeno_xis_reason why[3];
    struct fixture f;

    (void)state;
    begin(&f, NULL);
    assert_int_equal(xeno_query_parse(text, strlen(text), &q, NULL), 0);
    assert_int_equal(put(&f, 1, 1, "a", "1", NULL), 0);
    assert_int_equal(put(&f, 2, 1, "a", "2", NULL), 0);
    assert_int_equal(put(&f, 3, 1, "b", "1", NULL), 0);
    assert_int_equal(xeno_xis_explain(f.r, q, 0, c), 3);
    assert_true(c[0].n[XENO_TRUE] == 0 && c[0].n[XENO_FALSE] == 1 && c[0].n[XENO_UNKNOWN] == 2);
    assert_true(c[1].n[XENO_TRUE] == 1 && c[1].n[XENO_FALSE] == 1 && c[1].n[XENO_UNKNOWN] == 1);
    assert_true(c[2].n[XENO_TRUE] == 1 && c[2].n[XENO_UNKNOWN] == 2);
    assert_true(xeno_xis_explain_one(f.r, q, fake_id(1).s, why));
    assert_true(why[0].truth == XENO_FALSE && why[1].truth == XENO_FALSE);
    assert_true(why[1].value.number && why[1].value.n == 1);
    assert_true(why[2].truth == XENO_UNKNOWN && !why[2].value.number && !why[2].value.text);
    assert_false(xeno_xis_explain_one(f.r, q, fake_id(4).s, why));
    xeno_query_free(q);
    end(&f);
}

/* What is on its way counts as if it were here, and is put without bounds then. */
static void claims(void **state)
{
    const struct fake_leaf leaves[] = { { "A", "1" }, { "B", "1" }, { "B", "2" } };
    const struct xeno_xis_carrier c = {
        .id = "cccccccccccccccccccccccccccccccc",
        .bounds = { .adverts = 2, .own_bytes = SIZE_MAX, .other_bytes = SIZE_MAX, .tokens = 5 }
    };
    struct xeno_xis_carrier free_of = { .id = c.id, .bounds = XENO_XIS_UNBOUNDED };
    struct xeno_xis_claim a = { 0 }, b = { 0 }, d = { 0 };
    const struct xeno_xis_limits limits = { .ids = 3 };
    xeno_auto(xeno_advert) one = NULL;
    xeno_auto(xeno_advert) two = NULL;
    struct fixture f;

    (void)state;
    begin(&f, &limits);
    one = fake_advert(1, 1, xeno_time_add(f.world.now, xeno_s(60)), leaves, 3);
    two = fake_advert(2, 1, xeno_time_add(f.world.now, xeno_s(60)), leaves, 1);
    assert_int_equal(xeno_xis_claim(f.x, one, &c, &a, &f.err), 0); /* Id, A and B are new */
    assert_int_equal(xeno_xis_claim(f.x, two, &c, &b, &f.err), 0); /* as are Id and A */
    assert_int_equal(xeno_xis_claim(f.x, two, &c, &d, &f.err), -EDQUOT);
    assert_int_equal(d.carrier, 0);
    free_of.bounds.tokens = 6;
    assert_int_equal(xeno_xis_claim(f.x, two, &free_of, &d, &f.err), -EDQUOT); /* 5 and 2 */
    free_of.bounds.tokens = SIZE_MAX;
    xeno_xis_claim_end(f.x, &b);
    xeno_xis_claim_end(f.x, &b);
    xeno_xis_claim_end(f.x, &a);
    assert_int_equal(xeno_xis_put(f.x, xeno_take(&one), &free_of, NULL, NULL), 0);
    assert_int_equal(xeno_xis_claim(f.x, two, &c, &b, &f.err), 0);
    assert_int_equal(xeno_xis_claim(f.x, two, &c, &d, &f.err), -EDQUOT); /* adverts */
    xeno_xis_claim_end(f.x, &b);
    free_of.bounds.tokens = 0; /* A is here */
    assert_int_equal(xeno_xis_claim(f.x, two, &free_of, &b, &f.err), 0);
    assert_int_equal(put(&f, 3, 1, "A", "1", NULL), 0);
    assert_int_equal(xeno_xis_claim(f.x, two, &free_of, &d, &f.err), -ENOSPC); /* ids */
    xeno_xis_claim_end(f.x, &b);
    assert_int_equal(xeno_xis_claim(f.x, two, &free_of, &d, &f.err), 0);
    xeno_xis_claim_end(f.x, &d);
    xeno_advert_free(two);
    two = fake_advert(3, 1, xeno_time_add(f.world.now, xeno_s(60)), leaves, 1);
    assert_int_equal(xeno_xis_claim(f.x, two, &free_of, &d, &f.err), -EEXIST);
    end(&f);
}

/* What a database numbers is told in its order, and no further than everything has come. */
static int keep(struct fixture *f, uint32_t n, int64_t version, int64_t kept)
{
    const struct fake_leaf leaf = { "a", "1" };

    return xeno_kept_put(f->x,
                         fake_advert(n, version, xeno_time_add(f->world.now, xeno_s(60)), &leaf, 1),
                         NULL, kept, &f->err);
}

/* The numbers that are told after `after`, as text. */
static const char *told(struct fixture *f, int64_t after, size_t limit)
{
    static char text[200];
    struct xeno_xis_entry e[8];
    int64_t next;
    bool more;
    size_t n, len = 0;

    xeno_xis_enter(f->r);
    n = xeno_kept_changes(f->r, after, limit, e, &next, &more);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%" PRId64 "%s ", e[i].kept,
                                e[i].state == XENO_XIS_EXPIRED ? "x" : "");
    snprintf(text + len, sizeof text - len, "%s%" PRId64, more ? "+" : "=", next);
    xeno_xis_leave(f->r);
    return text;
}

static void kept_numbers(void **state)
{
    struct xeno_xis_entry e;
    struct fixture f;

    (void)state;
    begin(&f, NULL);
    assert_int_equal(keep(&f, 1, 1, 10), 0);
    assert_int_equal(keep(&f, 2, 1, 30), 0);
    assert_string_equal(told(&f, 0, 8), "=0"); /* another may have 5 or 20 */
    assert_int_equal(keep(&f, 3, 1, 20), 0);
    xeno_kept_through(f.x, 25);
    assert_string_equal(told(&f, 0, 8), "10 20 =25");
    assert_string_equal(told(&f, 0, 1), "10 +10");
    xeno_kept_through(f.x, 40);
    assert_string_equal(told(&f, 25, 8), "30 =40");
    assert_int_equal(keep(&f, 1, 2, 50), 0); /* its place is the newest one */
    assert_string_equal(told(&f, 0, 8), "20 30 =40");
    xeno_kept_through(f.x, 50);
    assert_string_equal(told(&f, 0, 8), "20 30 50 =50");

    assert_int_equal(keep(&f, 4, 1, 0), 0); /* not in the database yet */
    assert_string_equal(told(&f, 50, 8), "=50");
    xeno_kept_number(f.x, fake_id(4).s, 2, 60); /* another version's */
    xeno_kept_number(f.x, fake_id(4).s, 1, 61);
    assert_int_equal(keep(&f, 4, 1, 62), -EEXIST);
    xeno_kept_through(f.x, 61);
    assert_string_equal(told(&f, 50, 8), "61 =61");

    /* Over: at its place, for as long as an older version could have a lease. */
    f.world.now = xeno_time_add(f.world.now, xeno_s(90));
    assert_int_equal(xeno_xis_age(f.x, f.world.now, 100), 4);
    assert_string_equal(told(&f, 0, 8), "20x 30x 50x 61x =61");
    f.world.now = xeno_time_add(f.world.now, xeno_s(24 * 3600 - 60));
    assert_int_equal(xeno_xis_age(f.x, f.world.now, 100), 0);
    f.world.now = xeno_time_add(f.world.now, xeno_s(20 * 60));
    assert_int_equal(xeno_xis_age(f.x, f.world.now, 100), 4);
    assert_string_equal(told(&f, 0, 8), "=61");

    assert_int_equal(keep(&f, 5, 1, 70), 0);
    xeno_kept_restart(f.x);
    assert_string_equal(told(&f, 0, 8), "=0");
    assert_true(xeno_xis_get(f.r, fake_id(5).s, &e) && e.kept == 0);
    xeno_kept_number(f.x, fake_id(5).s, 1, 3);
    xeno_kept_through(f.x, 3);
    assert_string_equal(told(&f, 0, 8), "3 =3");
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),        cmocka_unit_test(many_of_one_value),
        cmocka_unit_test(quotas),       cmocka_unit_test(new_tokens),
        cmocka_unit_test(rates),        cmocka_unit_test(carriers_are_forgotten),
        cmocka_unit_test(leases),       cmocka_unit_test(full),
        cmocka_unit_test(watch_bounds), cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(kept_numbers), cmocka_unit_test(claims),
        cmocka_unit_test(watch_gap),    cmocka_unit_test(explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
