/* src/corp/tests/test-log.c - the audit log: every act a leaf, every head of one history. */
#include "corp/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/schema.h"
#include "corp/tests/fixture.h"

#define LEAVES_MOST 8192

/* Two clients, a XenoServer, and an order of the first bound to a session. */
struct scene {
    struct fixture f;
    struct fixture_party ann, eve, server;
    char order[XENO_ORDER_ID_CHARS + 1];
    char *chain;
    int64_t seq;
};
#define SESSION "mzxw6ytbonxwiza2"

static void scene_open(struct scene *s, uint64_t seed)
{
    struct xeno_bound b;

    memset(s, 0, sizeof *s);
    fixture_open(&s->f, seed);
    fixture_join(&s->f, XENO_ROLE_CLIENT, &s->ann);
    fixture_join(&s->f, XENO_ROLE_CLIENT, &s->eve);
    fixture_join(&s->f, XENO_ROLE_SERVER, &s->server);
    fixture_fund(&s->f, &s->ann, 1000000000);
    s->chain = fixture_order(&s->f, &s->ann, 500000000, s->order);
    assert_int_equal(fixture_validate(&s->f, &s->server, &s->ann, s->chain, SESSION, 0, &b, NULL),
                     0);
}

static void scene_close(struct scene *s)
{
    free(s->chain);
    fixture_party_release(&s->ann);
    fixture_party_release(&s->eve);
    fixture_party_release(&s->server);
    fixture_close(&s->f);
}

static void charge(struct scene *s, int count)
{
    struct xeno_charge list[XENO_CHARGE_BATCH_MAX];
    struct xeno_charge_results res = { 0 };

    for (int i = 0; i < count; i++) {
        s->seq++;
        list[i] = fixture_charge(&s->f, s->order, SESSION, 1, s->seq, 10 + s->seq % 7);
    }
    assert_int_equal(fixture_post(&s->f, &s->server, list, (size_t)count, &res, NULL), 0);
    assert_int_equal(res.posted, count);
    xeno_charge_results_release(&res);
}

/* --- what a reader sees --- */

struct pages {
    struct xeno_log_entry list[LEAVES_MOST];
    int count;
};

static void read_log(struct scene *s, const char *id, bool all, int page, struct pages *ret)
{
    int64_t from = 0;
    int n;

    memset(ret, 0, sizeof *ret);
    do {
        n = IN_GROUP(
            &s->f, xeno_log_entries(s->f.corp, id, all, from, page, ret->list + ret->count, NULL));
        assert_true(n >= 0 && n <= page);
        for (int i = 0; i < n; i++) {
            assert_true(ret->list[ret->count].n >= from);
            from = ret->list[ret->count].n + 1;
            ret->count++;
        }
    } while (n == page);
}

static void pages_release(struct pages *p)
{
    xeno_log_entries_release(p->list, p->count);
}

/* By the definition, from what an operator reads. */
static struct xeno_hash naive_root(const struct xeno_log_entry *d, int64_t n)
{
    struct xeno_hash left, right;
    int64_t k = 1;

    if (n == 1)
        return xeno_hash_leaf(d[0].text, strlen(d[0].text));
    while (k * 2 < n)
        k *= 2;
    left = naive_root(d, k);
    right = naive_root(d + k, n - k);
    return xeno_hash_node(&left, &right);
}

static struct xeno_log_head head_now(struct scene *s)
{
    struct xeno_log_head h = { .size = -1 };
    const char *text = xeno_log_head_text(s->f.corp);

    assert_int_equal(xeno_log_head_read(text, strlen(text), xeno_key_pub(s->f.ca), &h, NULL), 0);
    return h;
}

/* The signed root is that of the leaves, each read without a gap; heads before are of its history.
 */
static void assert_whole(struct scene *s, int page)
{
    static struct pages p;
    struct xeno_log_head h;
    struct xeno_hash root;

    read_log(s, NULL, false, page, &p);
    h = head_now(s);
    assert_int_equal(p.count, h.size);
    for (int i = 0; i < p.count; i++)
        assert_int_equal(p.list[i].n, i);
    root = naive_root(p.list, p.count);
    assert_true(xeno_hash_equal(&root, &h.root));
    pages_release(&p);
}

static void assert_continues(struct scene *s, const struct xeno_log_head *old)
{
    struct xeno_log_head now = head_now(s);
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_proof p;

    assert_true(now.size >= old->size);
    assert_int_equal(xeno_log_consistency(s->f.corp, old->size, now.size, &p, NULL), 0);
    if (xeno_log_heads_check(old, &now, &p, &err) < 0)
        fail_msg("%s", err.text);
}

/* --- tests --- */

static void each_act_is_a_leaf(void **state)
{
    static const char *const words[] = { "log",     "token",         "register",  "credential",
                                         "fund",    "order",         "validate",  "charge",
                                         "release", "order-closing", "order-end", "disable" };
    static struct pages p;
    struct scene s;
    struct xeno_order_view v;

    (void)state;
    scene_open(&s, 1);
    charge(&s, 3);
    assert_int_equal(IN_GROUP(&s.f, xeno_order_close(s.f.corp, s.ann.id.s, s.order, &v, NULL)), 0);
    assert_int_equal(
        IN_GROUP(&s.f, xeno_validate_release(s.f.corp, s.server.id.s, s.order, SESSION, NULL)), 0);
    assert_int_equal(IN_GROUP(&s.f, xeno_disable(s.f.corp, "test", s.eve.id.s, NULL)), 0);
    read_log(&s, NULL, false, 5, &p);
    for (size_t i = 0; i < XENO_LEN(words); i++) {
        xeno_autofree char *member = xeno_asprintf("{\"v\":1,\"act\":\"%s\",", words[i]);
        int found = 0;

        for (int k = 0; k < p.count; k++)
            found += strncmp(p.list[k].text, member, strlen(member)) == 0;
        print_message("%s: %d\n", words[i], found);
        assert_true(found > 0);
    }
    /* refused: no leaf */
    assert_int_equal(
        IN_GROUP(&s.f, xeno_ledger_fund(s.f.corp, "test", s.ann.id.s, xeno_micro(0), "", NULL)),
        -EINVAL);
    assert_int_equal(head_now(&s).size, p.count);
    pages_release(&p);
    assert_balanced(&s.f);
    scene_close(&s);
}

static void grows_and_keeps(void **state)
{
    struct xeno_log_head heads[16];
    struct scene s;
    int count = 0;

    (void)state;
    scene_open(&s, 2);
    while (head_now(&s).size < 4300) { /* past two levels of stored nodes */
        if (count < 16)
            heads[count++] = head_now(&s);
        charge(&s, (int)(s.seq * 37 % 99) + 1);
    }
    for (int i = 0; i < count; i++)
        assert_continues(&s, &heads[i]);
    assert_whole(&s, 1000);
    assert_whole(&s, 7 * 61);
    assert_balanced(&s.f);
    scene_close(&s);
}

/* Any leaf by number, in any tree since then. */
static void proofs_of_any_leaf(void **state)
{
    static struct pages p;
    struct scene s;
    struct xeno_log_head h;
    struct xeno_hash leaf;
    struct xeno_proof proof;

    (void)state;
    scene_open(&s, 3);
    for (int i = 0; i < 20; i++)
        charge(&s, 1 + i * 13 % 31);
    read_log(&s, NULL, false, 1000, &p);
    h = head_now(&s);
    for (int64_t n = 0; n < h.size; n += 5) {
        assert_int_equal(xeno_log_inclusion(s.f.corp, n, h.size, &leaf, &proof, NULL), 0);
        assert_true(xeno_hash_equal(&leaf, &p.list[n].hash));
        assert_int_equal(xeno_inclusion_check(&leaf, n, h.size, &h.root, &proof, NULL), 0);
        if (n + 1 < h.size)
            assert_int_equal(xeno_inclusion_check(&leaf, n + 1, h.size, &h.root, &proof, NULL),
                             -EPERM);
    }
    assert_int_equal(xeno_log_inclusion(s.f.corp, h.size, h.size, &leaf, &proof, NULL), -ERANGE);
    assert_int_equal(xeno_log_inclusion(s.f.corp, 0, h.size + 1, &leaf, &proof, NULL), -ERANGE);
    assert_int_equal(xeno_log_consistency(s.f.corp, 1, h.size + 1, &proof, NULL), -ERANGE);
    pages_release(&p);
    scene_close(&s);
}

static bool mentions(const struct pages *p, const char *text)
{
    for (int i = 0; i < p->count; i++)
        if (p->list[i].text && strstr(p->list[i].text, text))
            return true;
    return false;
}

static void everybody_reads_what_is_theirs(void **state)
{
    static struct pages ann, eve, server, all;
    struct scene s;

    (void)state;
    scene_open(&s, 4);
    charge(&s, 5);
    read_log(&s, s.ann.id.s, false, 2, &ann);
    read_log(&s, s.eve.id.s, false, 2, &eve);
    read_log(&s, s.server.id.s, false, 2, &server);
    read_log(&s, s.eve.id.s, true, 3, &all);
    assert_true(mentions(&ann, "\"validate\"") && mentions(&ann, "\"charge\""));
    assert_true(mentions(&ann, "\"fund\"") && mentions(&ann, "\"credential\""));
    assert_true(mentions(&server, "\"validate\"") && mentions(&server, "\"charge\""));
    assert_false(mentions(&server, s.ann.id.s)); /* whose order it is, is not told */
    assert_false(mentions(&ann, s.eve.id.s));
    assert_false(mentions(&eve, s.order));
    assert_true(mentions(&eve, "\"register\""));
    /* all of them: hashes, with texts where they are hers */
    assert_int_equal(all.count, head_now(&s).size);
    assert_false(mentions(&all, s.order));
    assert_true(mentions(&all, "\"register\""));
    for (int i = 0, k = 0; i < all.count && k < eve.count; i++) {
        if (i != eve.list[k].n)
            continue;
        assert_string_equal(all.list[i].text, eve.list[k].text);
        k++;
    }
    pages_release(&ann);
    pages_release(&eve);
    pages_release(&server);
    pages_release(&all);
    scene_close(&s);
}

/* A charge's leaf is what its XenoServer computes of it alone. */
static void both_sides_know_the_leaf(void **state)
{
    static struct pages p;
    struct scene s;
    struct xeno_charge c;
    struct xeno_charge_results res = { 0 };
    struct xeno_hash want;
    uint8_t sha[32];

    (void)state;
    scene_open(&s, 5);
    c = fixture_charge(&s.f, s.order, SESSION, 1, 1, 77);
    assert_int_equal(fixture_post(&s.f, &s.server, &c, 1, &res, NULL), 0);
    xeno_charge_results_release(&res);
    xeno_charge_digest(&c, sha);
    want = xeno_charge_leaf_hash(&c, s.server.id.s, sha);
    read_log(&s, s.server.id.s, false, 100, &p);
    assert_true(xeno_hash_equal(&want, &p.list[p.count - 1].hash));
    pages_release(&p);
    read_log(&s, s.ann.id.s, false, 100, &p);
    assert_true(xeno_hash_equal(&want, &p.list[p.count - 1].hash));
    assert_true(p.list[p.count - 1].entry > 0);
    pages_release(&p);
    scene_close(&s);
}

static void reopen(struct scene *s)
{
    xeno_corp_free(s->f.corp);
    assert_int_equal(xeno_corp_open(s->f.db, &s->f.env.env, s->f.ca, s->f.ca_pem, &s->f.policy,
                                    &s->f.corp, NULL),
                     0);
}

static void goes_on_after_a_restart(void **state)
{
    struct xeno_log_head h;
    struct scene s;

    (void)state;
    scene_open(&s, 6);
    for (int i = 0; i < 30; i++) {
        charge(&s, 1 + i * 7 % 20);
        h = head_now(&s);
        reopen(&s);
        assert_int_equal(head_now(&s).size, h.size); /* opening is no act */
        assert_continues(&s, &h);
    }
    /* what is undone leaves no leaf, and the next group goes on where the last ended */
    h = head_now(&s);
    assert_int_equal(xeno_corp_begin(s.f.corp, NULL), 0);
    assert_int_equal(xeno_ledger_fund(s.f.corp, "test", s.ann.id.s, xeno_micro(5), "", NULL), 0);
    xeno_corp_rollback(s.f.corp);
    assert_int_equal(head_now(&s).size, h.size);
    fixture_fund(&s.f, &s.ann, 5);
    assert_int_equal(head_now(&s).size, h.size + 1);
    assert_continues(&s, &h);
    assert_whole(&s, 100);
    assert_balanced(&s.f);
    scene_close(&s);
}

/* Books of before there was a log: the charges in them are its first leaves. */
static void older_books(void **state)
{
    static const char *const undo[] = {
        "DROP TABLE log_hash",
        "DROP TABLE log_act",
        "DROP TABLE log_charges",
        "DROP TABLE log_head",
        "ALTER TABLE binding DROP COLUMN leaf",
        "ALTER TABLE binding DROP COLUMN end_leaf",
        "ALTER TABLE binding ADD COLUMN chain text NOT NULL DEFAULT ''",
        "DROP TABLE binding_text",
        "DROP TABLE certificate",
        "DROP TABLE challenge",
        "DROP TABLE complaint",
        "ALTER TABLE orders DROP COLUMN b_suspended_ms",
        "UPDATE entry SET sha = substr(sha, 1, 16)",
        "UPDATE xeno_schema SET version = 1 WHERE part = 'main'",
    };
    static struct pages p;
    struct scene s;
    struct xeno_charge_results res = { 0 };
    struct xeno_charge again;

    (void)state;
    scene_open(&s, 7);
    charge(&s, 40);
    again = fixture_charge(&s.f, s.order, SESSION, 1, 40, 10 + 40 % 7);
    for (size_t i = 0; i < XENO_LEN(undo); i++)
        assert_true(xeno_db_run(s.f.db, NULL, undo[i], "") >= 0);
    reopen(&s);
    assert_int_equal(head_now(&s).size, 41);
    assert_balanced(&s.f);
    read_log(&s, s.ann.id.s, false, 7, &p);
    assert_int_equal(p.count, 40);
    pages_release(&p);
    /* a repeat is told from another charge by what was kept of the first */
    assert_int_equal(fixture_post(&s.f, &s.server, &again, 1, &res, NULL), 0);
    assert_int_equal(res.repeated, 1);
    xeno_charge_results_release(&res);
    charge(&s, 3);
    assert_whole(&s, 9);
    scene_close(&s);
}

/* A head is signed again while nothing happens, so that its time says how fresh it is. */
static void heads_stay_fresh(void **state)
{
    struct xeno_log_head h, later;
    struct scene s;

    (void)state;
    scene_open(&s, 8);
    h = head_now(&s);
    fixture_wait(&s.f, 30000);
    assert_int_equal(IN_GROUP(&s.f, 0), 0);
    assert_int_equal(head_now(&s).time.ns, h.time.ns);
    fixture_wait(&s.f, 31000);
    assert_int_equal(IN_GROUP(&s.f, 0), 0);
    later = head_now(&s);
    assert_true(later.time.ns > h.time.ns);
    assert_int_equal(later.size, h.size);
    assert_int_equal(xeno_log_heads_compare(&h, &later, NULL), 0);
    scene_close(&s);
}

static const struct {
    const char *what, *sql;
} forgeries[] = {
    { "a charge's amount",
      "UPDATE entry SET tariff = tariff + 1 WHERE n = (SELECT max(n) FROM entry)" },
    { "an act's text", "UPDATE log_act SET body = replace(body, 'fund', 'gift')" },
    { "an act gone", "DELETE FROM log_act WHERE leaf = 3" },
    { "a hash", "UPDATE log_hash SET hashes = zeroblob(length(hashes))"
                " WHERE n = (SELECT max(n) FROM log_hash)" },
    { "an inner node", "UPDATE log_hash SET hashes = zeroblob(length(hashes))"
                       " WHERE n = (SELECT min(n) FROM log_hash)" },
    { "a charge without a leaf", "UPDATE log_charges SET count = count - 1" },
    { "the end cut off", "DELETE FROM log_act WHERE leaf > 5" },
};

static void forged_rows_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(forgeries); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        struct scene s;

        print_message("%s\n", forgeries[i].what);
        scene_open(&s, 9);
        for (int k = 0; k < 3; k++)
            charge(&s, 40);
        assert_int_equal(xeno_log_check(s.f.db, &err), 0);
        assert_true(xeno_db_run(s.f.db, NULL, forgeries[i].sql, "") > 0);
        assert_int_equal(xeno_log_check(s.f.db, &err), -EUCLEAN);
        assert_string_equal(err.token, "log.broken");
        scene_close(&s);
    }
}

/* Whoever rewrites all of it, hashes too, is met by a head that was given out, and by any client
 * who kept one. */
static void a_rewritten_history_is_caught(void **state)
{
    struct scene told, shown;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_log_head before, after;
    struct xeno_proof p;
    xeno_autofree char *kept = NULL;

    (void)state;
    scene_open(&told, 10);
    scene_open(&shown, 10); /* the same key, the same history so far */
    charge(&told, 20);
    fixture_wait(&shown.f, 10); /* other times: other charges */
    charge(&shown, 20);
    before = head_now(&told);
    after = head_now(&shown);
    assert_int_equal(before.size, after.size);
    assert_int_equal(xeno_log_heads_compare(&before, &after, &err), -EUCLEAN);
    assert_string_equal(err.token, "log.forked");
    charge(&shown, 10);
    after = head_now(&shown);
    assert_int_equal(xeno_log_heads_compare(&before, &after, &err), 1);
    assert_int_equal(xeno_log_consistency(shown.f.corp, before.size, after.size, &p, NULL), 0);
    assert_int_equal(xeno_log_heads_check(&before, &after, &p, &err), -EUCLEAN);
    assert_string_equal(err.token, "log.unproved");
    /* and by --check, in the tables that were put in the place of the others */
    kept = xeno_strdup(xeno_log_head_text(told.f.corp));
    assert_int_equal(xeno_log_check(shown.f.db, NULL), 0);
    assert_true(xeno_db_run(shown.f.db, NULL,
                            "INSERT INTO log_head (size, time_ms, signed) VALUES ($1, 0, $2)", "it",
                            before.size, kept) > 0);
    assert_int_equal(xeno_log_check(shown.f.db, &err), -EUCLEAN);
    scene_close(&told);
    scene_close(&shown);
}

/* The tick keeps one head a minute. */
static void heads_are_kept(void **state)
{
    struct scene s;
    int64_t kept = -1;

    (void)state;
    scene_open(&s, 11);
    for (int i = 0; i < 10; i++) {
        charge(&s, 1);
        assert_true(IN_GROUP(&s.f, xeno_corp_tick(s.f.corp, 10, NULL)) >= 0);
        fixture_wait(&s.f, 30000);
    }
    assert_int_equal(xeno_db_one_int(s.f.db, 0, &kept, NULL, "SELECT count(*) FROM log_head", ""),
                     0);
    assert_int_equal(kept, 5);
    assert_balanced(&s.f);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_act_is_a_leaf),
        cmocka_unit_test(grows_and_keeps),
        cmocka_unit_test(proofs_of_any_leaf),
        cmocka_unit_test(everybody_reads_what_is_theirs),
        cmocka_unit_test(both_sides_know_the_leaf),
        cmocka_unit_test(goes_on_after_a_restart),
        cmocka_unit_test(older_books),
        cmocka_unit_test(heads_stay_fresh),
        cmocka_unit_test(forged_rows_are_found),
        cmocka_unit_test(a_rewritten_history_is_caught),
        cmocka_unit_test(heads_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
