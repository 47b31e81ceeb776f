/* src/keep/tests/test-keep.c - certificates, their meters and charges, at the boundaries. What
 * comes of a month of them is sim/test-storage.c's. */
#include "keep/keep.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bill/outbox.h"

#define NOW     INT64_C(1700000000000)
#define DAY_MS  INT64_C(86400000)
#define HOUR_MS INT64_C(3600000)
#define GIB     (INT64_C(1) << 30)

struct shop {
    struct xeno_db *db;
    struct xeno_key *store, *owner, *other;
    struct xeno_keep_terms terms;
};

static struct xeno_key *key_of(uint8_t n)
{
    uint8_t seed[32] = { n };

    return xeno_key_from_seed(seed);
}

static int set_up(void **state)
{
    struct shop *s = xeno_new0(struct shop);

    xeno_crypto_init();
    assert_int_equal(xeno_db_open("sqlite::memory:", &s->db, NULL), 0);
    assert_int_equal(xeno_keep_open(s->db, NULL), 0);
    s->store = key_of(1);
    s->owner = key_of(2);
    s->other = key_of(3);
    s->terms = (struct xeno_keep_terms){
        .price = 1000000, .tariff = 1, .interval_ms = HOUR_MS, .most = 4
    };
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct shop *s = *state;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_keep_check(s->db, &err) < 0)
        fail_msg("%s", err.text);
    xeno_db_free(s->db);
    xeno_key_free(s->store);
    xeno_key_free(s->owner);
    xeno_key_free(s->other);
    free(s);
    return 0;
}

/* Objects are named by a letter each; the size is that of each. */
static int add(struct shop *s, const struct xeno_key *owner, char id, const char *letters,
               int64_t size, int64_t life_ms, int64_t now_ms, struct xeno_err *err)
{
    struct xeno_stored_object list[8] = { { .size = 0 } };
    struct xeno_writecert c = { .copies = 1, .objects = list, .issued = xeno_ms(NOW) };
    xeno_autofree char *text = NULL;
    char order[XENO_ORDER_ID_CHARS + 1];

    for (; letters[c.count]; c.count++) {
        memcpy(list[c.count].digest, "sha256:", 7);
        memset(list[c.count].digest + 7, letters[c.count], 64);
        list[c.count].size = size;
    }
    memset(c.id, id, XENO_SESSION_ID_CHARS);
    memset(order, id, XENO_ORDER_ID_CHARS);
    order[XENO_ORDER_ID_CHARS] = '\0';
    c.expires = xeno_ms(NOW + life_ms);
    memcpy(c.digest, list[0].digest, sizeof c.digest);
    assert_int_equal(xeno_writecert_sign(owner, &c, &text, NULL), 0);
    return xeno_keep_add(s->db, &c, text, "chain", order, xeno_key_pub(owner), &s->terms, now_ms,
                         err);
}

/* The XenoCorp's answer to the next question of that kind; NULL: refused as `token`. */
static int answer(struct shop *s, enum xeno_keep_kind kind, struct xeno_json *reply,
                  const char *token, int64_t now_ms)
{
    xeno_auto(xeno_json) owned = reply;
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_keep_op op;
    int r = xeno_keep_next(s->db, s->store, kind, &op, NULL);

    if (r <= 0)
        return -ENOMSG;
    if (token)
        xeno_fail(&why, -EPERM, token, "no");
    r = xeno_keep_answered(s->db, s->store, &op, owned, &why, &s->terms, now_ms, NULL);
    xeno_keep_op_release(&op);
    return r;
}

static int bound(struct shop *s, int64_t left, int64_t window_ms, int64_t now_ms)
{
    struct xeno_json *reply = xeno_json_object();

    xeno_json_set_int(reply, "epoch", 1);
    xeno_json_set_int(reply, "left", left);
    xeno_json_set_int(reply, "expires_ms", window_ms);
    xeno_json_set_int(reply, "copy", 1);
    return answer(s, XENO_KEEP_VALIDATE, reply, NULL, now_ms);
}

/* Number `key` of certificate `id`, as its owner sees it. */
static int64_t number(struct shop *s, const struct xeno_key *owner, char id, const char *key,
                      int64_t now_ms)
{
    struct xeno_id who = xeno_id_of(xeno_key_pub(owner));
    char name[XENO_SESSION_ID_CHARS + 1] = "";
    xeno_auto(xeno_json) view = NULL;
    struct xeno_json_at top;
    int64_t n = -1;

    memset(name, id, XENO_SESSION_ID_CHARS);
    assert_int_equal(xeno_keep_view(s->db, who.s, name, now_ms, &view, NULL), 0);
    top = xeno_json_top(view);
    (void)xeno_json_int_opt(&top, key, 0, INT64_MAX, &n, NULL);
    return n;
}

static bool state_is(struct shop *s, const struct xeno_key *owner, char id, const char *state,
                     const char *reason)
{
    struct xeno_id who = xeno_id_of(xeno_key_pub(owner));
    char name[XENO_SESSION_ID_CHARS + 1] = "";
    xeno_auto(xeno_json) view = NULL;
    struct xeno_json_at top;
    const char *is = "", *why = "";

    memset(name, id, XENO_SESSION_ID_CHARS);
    assert_int_equal(xeno_keep_view(s->db, who.s, name, NOW, &view, NULL), 0);
    top = xeno_json_top(view);
    (void)xeno_json_str(&top, "state", 0, 100, &is, NULL);
    (void)xeno_json_str_opt(&top, "reason", 0, 1000, &why, NULL);
    return strcmp(is, state) == 0 && strncmp(why, reason, strlen(reason)) == 0;
}

static void tick(struct shop *s, int64_t now_ms)
{
    int r;

    while ((r = xeno_keep_tick(s->db, s->terms.interval_ms, now_ms, NULL)) > 0)
        ;
    assert_int_equal(r, 0);
}

static int64_t outbox(struct shop *s, const char *sql)
{
    int64_t n = 0;

    assert_int_equal(xeno_db_one_int(s->db, 0, &n, NULL, sql, ""), 0);
    return n;
}

/* --- sums --- */

/* However it is cut, a sum is rounded once: floor(MiB * ms * price / a GiB and day). */
static void rounded_once(void **state)
{
    static const struct {
        int64_t size, price, step_ms, steps, want;
    } rows[] = {
        { GIB, 1000000, DAY_MS, 1, 1000000 },
        { GIB, 1000000, DAY_MS / 2, 2, 1000000 },
        { GIB, 1, DAY_MS, 3, 3 },
        { GIB / 3, 1, HOUR_MS, 71, 0 }, /* 71 / 72 of one */
        { GIB / 3 + 1, 1, HOUR_MS, 73, 1 },
        { 1, 1000000, HOUR_MS, 24, 0 },
        { 1, GIB, DAY_MS, 1, 0 }, /* below a MiB * ms there is nothing */
        { 1 << 20, 86400000, 1, 1, 0 },
        { 1 << 20, INT64_C(1024) * 86400000, 1, 7, 7 },
    };

    tear_down(state);
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct shop *s;

        set_up(state);
        s = *state;
        s->terms.price = rows[i].price;
        s->terms.interval_ms = 1;
        assert_int_equal(add(s, s->owner, 'a', "0", rows[i].size, 40 * DAY_MS, NOW, NULL), 1);
        assert_int_equal(bound(s, XENO_CREDIT, NOW + 40 * DAY_MS, NOW), 0);
        for (int64_t k = 1; k <= rows[i].steps; k++)
            tick(s, NOW + k * rows[i].step_ms);
        print_message("row %zu\n", i);
        assert_int_equal(number(s, s->owner, 'a', "charged", NOW), rows[i].want);
        assert_int_equal(outbox(s, "SELECT sum(amount) FROM outbox"), rows[i].want);
        tear_down(state);
    }
    set_up(state);
}

/* --- ends --- */

/* An order that pays for less than the time ends to the millisecond, whenever the tick comes. */
static void spent(void **state)
{
    struct shop *s = *state;

    for (int64_t late = 0; late < 3; late++) {
        char id = (char)('a' + late);

        assert_int_equal(add(s, s->owner, id, (char[]){ id, 0 }, GIB, 10 * DAY_MS, NOW, NULL), 1);
        /* a credit a day: of 99999 micro-credits the last one is owed from 8640000 ms on */
        assert_int_equal(bound(s, 99999, NOW + 10 * DAY_MS, NOW), 0);
        assert_int_equal(number(s, s->owner, id, "ends_ms", NOW), NOW + 8639999);
        assert_true(state_is(s, s->owner, id, "kept", ""));
    }
    tick(s, NOW + 8639998);
    assert_true(state_is(s, s->owner, 'a', "kept", ""));
    tick(s, NOW + 5 * DAY_MS);
    for (char id = 'a'; id < 'd'; id++) {
        assert_true(state_is(s, s->owner, id, "ended", "spent"));
        assert_int_equal(number(s, s->owner, id, "charged", NOW), 99999);
        assert_int_equal(number(s, s->owner, id, "ends_ms", NOW), NOW + 8639999);
    }
}

static void too_small(void **state)
{
    struct shop *s = *state;

    assert_int_equal(add(s, s->owner, 'a', "0", GIB, 10 * DAY_MS, NOW, NULL), 1);
    assert_int_equal(bound(s, 1000000 / 24 - 1, NOW + 10 * DAY_MS, NOW), 0);
    assert_true(state_is(s, s->owner, 'a', "ended", "order.too-small"));
    assert_int_equal(answer(s, XENO_KEEP_RELEASE, xeno_json_object(), NULL, NOW), 0);
    assert_int_equal(answer(s, XENO_KEEP_RELEASE, xeno_json_object(), NULL, NOW), -ENOMSG);
    assert_int_equal(outbox(s, "SELECT count(*) FROM outbox"), 0);
}

/* --- who pays --- */

static void overlap(void **state)
{
    struct shop *s = *state;

    assert_int_equal(add(s, s->owner, 'a', "01", GIB, DAY_MS, NOW, NULL), 1);
    assert_int_equal(add(s, s->owner, 'b', "12", GIB, 2 * DAY_MS, NOW, NULL), 1);
    assert_int_equal(add(s, s->other, 'c', "1", GIB, 2 * DAY_MS, NOW, NULL), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bound(s, 100000000, NOW + 3 * DAY_MS, NOW), 0);
    assert_int_equal(number(s, s->owner, 'a', "paying_bytes", NOW), 2 * GIB);
    assert_int_equal(number(s, s->owner, 'b', "paying_bytes", NOW), GIB);
    assert_int_equal(number(s, s->other, 'c', "paying_bytes", NOW), GIB); /* another owner pays */
    tick(s, NOW + 3 * DAY_MS);
    assert_int_equal(number(s, s->owner, 'a', "charged", NOW), 2000000);
    assert_int_equal(number(s, s->owner, 'b', "charged", NOW), 3000000); /* a day each: 1 and 2 */
    assert_int_equal(number(s, s->other, 'c', "charged", NOW), 2000000);
}

/* --- repeats, refusals --- */

static void again(void **state)
{
    struct shop *s = *state;
    struct xeno_reclaim doc = { .time = xeno_ms(NOW) };
    xeno_autofree char *text = NULL, *forged = NULL, *first = NULL, *second = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    memset(doc.certificate, 'a', XENO_SESSION_ID_CHARS);
    text = xeno_reclaim_sign(s->owner, &doc);
    forged = xeno_reclaim_sign(s->other, &doc);
    assert_int_equal(add(s, s->owner, 'a', "0", GIB, 4 * DAY_MS, NOW, NULL), 1);
    assert_int_equal(add(s, s->owner, 'a', "0", GIB, 4 * DAY_MS, NOW, NULL), 0);
    assert_int_equal(add(s, s->owner, 'a', "01", GIB, 4 * DAY_MS, NOW, NULL), -EEXIST);
    assert_int_equal(xeno_keep_reclaim(s->db, s->store, doc.certificate, text, NOW, &first, NULL),
                     -EAGAIN);
    assert_int_equal(bound(s, 9000000, NOW + 9 * DAY_MS, NOW), 0);
    assert_int_equal(bound(s, 9000000, NOW + 9 * DAY_MS, NOW), -ENOMSG);
    assert_int_equal(xeno_keep_reclaim(s->db, s->store, doc.certificate, forged, NOW, &first, &err),
                     -EPERM);
    assert_int_equal(
        xeno_keep_reclaim(s->db, s->store, "bbbbbbbbbbbbbbbb", text, NOW, &first, NULL), -ENOENT);
    assert_true(state_is(s, s->owner, 'a', "kept", ""));
    assert_int_equal(
        xeno_keep_reclaim(s->db, s->store, doc.certificate, text, NOW + DAY_MS, &first, NULL), 0);
    assert_int_equal(
        xeno_keep_reclaim(s->db, s->store, doc.certificate, text, NOW + 2 * DAY_MS, &second, NULL),
        0);
    assert_string_equal(first, second);
    assert_int_equal(number(s, s->owner, 'a', "charged", NOW), 1000000);
    for (char id = 'b'; id < 'f'; id++)
        assert_int_equal(add(s, s->owner, id, "0", GIB, 4 * DAY_MS, NOW, NULL), 1);
    assert_int_equal(add(s, s->owner, 'f', "0", GIB, 4 * DAY_MS, NOW, NULL), -EPERM);
    assert_int_equal(add(s, s->other, 'f', "0", GIB, 4 * DAY_MS, NOW, NULL), 1);
}

static struct xeno_json *results(const char *session, int64_t seq, const char *status)
{
    struct xeno_json *reply = xeno_json_object(), *list = xeno_json_array(),
                     *one = xeno_json_object(), *e = xeno_json_object();

    xeno_json_set_str(one, "session", session);
    xeno_json_set_int(one, "seq", seq);
    xeno_json_set_str(one, "status", status);
    xeno_json_set_str(e, "type", "charge.audit");
    xeno_json_set_str(e, "detail", "it was not shown");
    xeno_json_set(one, "error", e);
    xeno_json_append(list, one);
    xeno_json_set(reply, "results", list);
    return reply;
}

/* A refused charge ends the certificate, and its binding is released when nothing of it is left to
 * be charged. */
static void refused(void **state)
{
    struct shop *s = *state;

    assert_int_equal(add(s, s->owner, 'a', "0", GIB, 4 * DAY_MS, NOW, NULL), 1);
    assert_int_equal(add(s, s->owner, 'b', "0", GIB, 4 * DAY_MS, NOW, NULL), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(bound(s, 9000000, NOW + 9 * DAY_MS, NOW), 0);
    tick(s, NOW + DAY_MS);
    tick(s, NOW + 2 * DAY_MS);
    assert_int_equal(outbox(s, "SELECT count(*) FROM outbox"), 2);
    assert_int_equal(answer(s, XENO_KEEP_CHARGES, NULL, "corp.busy", NOW + 2 * DAY_MS), -EPROTO);
    assert_int_equal(answer(s, XENO_KEEP_CHARGES, xeno_json_object(), NULL, NOW + 2 * DAY_MS) < 0,
                     1);
    assert_int_equal(answer(s, XENO_KEEP_CHARGES, results("aaaaaaaaaaaaaaaa", 1, "refused"), NULL,
                            NOW + 3 * DAY_MS),
                     0);
    assert_true(state_is(s, s->owner, 'a', "ended", "charge.audit: it was not shown"));
    assert_int_equal(number(s, s->owner, 'b', "paying_bytes", NOW), GIB); /* from now on it does */
    assert_int_equal(answer(s, XENO_KEEP_RELEASE, xeno_json_object(), NULL, NOW), -ENOMSG);
    assert_int_equal(answer(s, XENO_KEEP_CHARGES, results("aaaaaaaaaaaaaaaa", 2, "posted"), NULL,
                            NOW + 3 * DAY_MS),
                     0);
    assert_int_equal(answer(s, XENO_KEEP_RELEASE, NULL, "order.server", NOW + 3 * DAY_MS), 0);
    assert_int_equal(answer(s, XENO_KEEP_RELEASE, NULL, "order.server", NOW + 3 * DAY_MS), -ENOMSG);
    tick(s, NOW + 5 * DAY_MS);
    assert_int_equal(number(s, s->owner, 'b', "charged", NOW), 1000000);
    assert_int_equal(number(s, s->owner, 'a', "posted", NOW), 1000000);
}

/* --- dying at every commit: before it, or after it and before anybody hears of it --- */

#define HOURS 30

struct life {
    struct shop *s;
    int commits, fatal; /* 0: none is */
    bool late;
    bool added[2], reclaimed;
    bool posted[2][HOURS * 2 + 4]; /* what XenoCorp has, by sequence */
    int64_t sum[2];
};

/* Ends what xeno_db_begin() began. Returns: whether it was done, and its end was heard. */
static bool commit(struct life *l)
{
    bool dies = ++l->commits == l->fatal;

    if (dies && !l->late)
        xeno_db_rollback(l->s->db);
    else
        assert_int_equal(xeno_db_commit(l->s->db, NULL), 0);
    return !dies;
}

/* XenoCorp posts each charge once. */
static struct xeno_json *post(struct life *l, const char *batch)
{
    xeno_auto(xeno_charge_batch) b = NULL;
    struct xeno_json *reply = xeno_json_object(), *list = xeno_json_array();

    assert_int_equal(
        xeno_charge_batch_read(batch, strlen(batch), xeno_key_pub(l->s->store), &b, NULL), 0);
    for (size_t i = 0; i < b->count; i++) {
        const struct xeno_charge *c = &b->charges[i];
        int which = c->session[0] - 'a';
        struct xeno_json *one = xeno_json_object();

        assert_true(c->seq < (int64_t)XENO_LEN(l->posted[0]));
        xeno_json_set_str(one, "session", c->session);
        xeno_json_set_int(one, "seq", c->seq);
        xeno_json_set_str(one, "status", l->posted[which][c->seq] ? "repeated" : "posted");
        if (!l->posted[which][c->seq])
            l->sum[which] += c->amount.micro;
        l->posted[which][c->seq] = true;
        xeno_json_append(list, one);
    }
    xeno_json_set(reply, "results", list);
    return reply;
}

static struct xeno_json *corp(struct life *l, const struct xeno_keep_op *op)
{
    struct xeno_json *reply;

    if (op->kind == XENO_KEEP_CHARGES)
        return post(l, op->body);
    reply = xeno_json_object();
    xeno_json_set_int(reply, "epoch", 1);
    xeno_json_set_int(reply, "left", 100000000);
    xeno_json_set_int(reply, "expires_ms", NOW + 9 * DAY_MS);
    xeno_json_set_int(reply, "copy", 1);
    return reply;
}

static void talk(struct life *l, int64_t now_ms)
{
    for (int kind = 0; kind < XENO_KEEP_KINDS; kind++) {
        struct xeno_keep_op op;
        bool heard = true;

        while (heard &&
               xeno_keep_next(l->s->db, l->s->store, (enum xeno_keep_kind)kind, &op, NULL) > 0) {
            xeno_auto(xeno_json) reply = corp(l, &op);

            assert_int_equal(xeno_db_begin(l->s->db, NULL), 0);
            assert_int_equal(xeno_keep_answered(l->s->db, l->s->store, &op, reply, NULL,
                                                &l->s->terms, now_ms, NULL),
                             0);
            heard = commit(l);
            xeno_keep_op_release(&op);
        }
    }
}

static void reclaim_a(struct life *l, int64_t now_ms)
{
    struct xeno_reclaim doc = { .time = xeno_ms(NOW) };
    xeno_autofree char *text = NULL, *receipt = NULL;

    memset(doc.certificate, 'a', XENO_SESSION_ID_CHARS);
    text = xeno_reclaim_sign(l->s->owner, &doc);
    assert_int_equal(xeno_db_begin(l->s->db, NULL), 0);
    assert_int_equal(
        xeno_keep_reclaim(l->s->db, l->s->store, doc.certificate, text, now_ms, &receipt, NULL), 0);
    l->reclaimed = commit(l);
}

static void one_life(struct life *l)
{
    for (int64_t now = NOW, h = 0; h < HOURS; h++, now += HOUR_MS) {
        for (int i = 0; i < 2; i++) {
            while (!l->added[i]) {
                assert_int_equal(xeno_db_begin(l->s->db, NULL), 0);
                assert_true(add(l->s, l->s->owner, (char)('a' + i), i ? "12" : "01", GIB,
                                26 * HOUR_MS, now, NULL) >= 0);
                l->added[i] = commit(l);
            }
        }
        for (bool done = false; !done;) {
            assert_int_equal(xeno_db_begin(l->s->db, NULL), 0);
            assert_int_equal(xeno_keep_tick(l->s->db, HOUR_MS, now, NULL), 0);
            done = commit(l);
        }
        talk(l, now);
        talk(l, now);
        while (h >= 10 && !l->reclaimed)
            reclaim_a(l, now);
        assert_int_equal(xeno_keep_check(l->s->db, NULL), 0);
    }
}

static void at_every_commit(void **state)
{
    int all = 0;

    tear_down(state);
    for (int fatal = 0; fatal <= all; fatal++)
        for (int late = 0; late < 2; late++) {
            struct life l = { .fatal = fatal, .late = late };

            set_up(state);
            l.s = *state;
            one_life(&l);
            all = fatal == 0 ? l.commits : all;
            /* 10 hours of two, then: 26 of what a had not, and 16 of what a let go */
            assert_int_equal(l.sum[0], 2 * 10 * 1000000 / 24);
            assert_int_equal(l.sum[1], (26 + 16) * INT64_C(1000000) / 24);
            assert_int_equal(outbox(l.s, "SELECT count(*) FROM outbox"), 0);
            tear_down(state);
        }
    assert_true(all > 60);
    set_up(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rounded_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_small, set_up, tear_down),
        cmocka_unit_test_setup_teardown(overlap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_every_commit, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
