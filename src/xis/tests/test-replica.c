/* src/xis/tests/test-replica.c - replication under a virtual clock: partitions, loss, reordering,
 * duplicates, nodes lost and new, peers that lie. XENO_SEEDS: how many worlds; XENO_SEED: one. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "replica-world.h"
#include "xis/advert.h"

#define LEASE xeno_s(20 * 3600)

/* What is alive somewhere is alive, as new or newer, everywhere. */
static void assert_nothing_lost(struct world *w, const int64_t *known)
{
    for (size_t n = 0; n < w->count; n++) {
        if (!w->nodes[n].up || w->nodes[n].liar)
            continue;
        for (size_t i = 0; i < ADVERTS; i++)
            assert_true(world_has(w, n, i) >= known[i]);
    }
}

static void note_known(const struct world *w, int64_t *known)
{
    memset(known, 0, ADVERTS * sizeof *known);
    for (size_t n = 0; n < w->count; n++) {
        for (size_t i = 0; i < ADVERTS && w->nodes[n].up && !w->nodes[n].liar; i++) {
            if (world_has(w, n, i) > known[i])
                known[i] = world_has(w, n, i);
        }
    }
}

static bool settle(struct world *w, xeno_time most)
{
    xeno_time end = xeno_time_add(w->t.now, most);

    do
        world_run(w, xeno_s(5));
    while (!world_agrees(w) && w->t.now.ns < end.ns);
    return world_agrees(w);
}

/* --- one thing at a time --- */

static void what_one_takes_all_have(void **state)
{
    int64_t known[ADVERTS];
    struct world w;

    (void)state;
    world_init(&w, 1, 4);
    for (size_t i = 0; i < ADVERTS; i++)
        assert_true(world_publish(&w, i % 4, i, LEASE));
    note_known(&w, known);
    assert_true(settle(&w, xeno_s(60)));
    assert_nothing_lost(&w, known);
    world_release(&w);
}

/* What came to one node goes to each of the others about once: that is what vectors are for. */
static void little_is_sent_twice(void **state)
{
    uint64_t offered = 0, kept = 0, bytes;
    struct world w;

    (void)state;
    world_init(&w, 2, 4);
    world_run(&w, xeno_s(20));
    for (int round = 0; round < 30; round++) {
        for (size_t i = 0; i < ADVERTS; i++)
            world_publish(&w, world_below(&w, 4), i, LEASE);
        world_run(&w, xeno_s(20));
    }
    assert_true(world_agrees(&w));
    for (size_t n = 0; n < w.count; n++) {
        struct xeno_replica_stats s = xeno_replica_stats(w.nodes[n].r);

        offered += s.offered;
        kept += s.kept;
        assert_int_equal(s.doubts, 0);
    }
    assert_int_equal(kept, 30 * ADVERTS * 3);
    print_message("%" PRIu64 " offered of %" PRIu64 "\n", offered, kept);
    assert_true(offered < kept * 3 / 2);
    bytes = w.bytes;
    world_run(&w, xeno_s(600)); /* and nothing, when there is nothing new */
    for (size_t n = 0; n < w.count; n++)
        offered -= xeno_replica_stats(w.nodes[n].r).offered;
    assert_int_equal(offered, 0);
    assert_true(w.bytes - bytes < 4 * 3 * 300 * 1000);
    world_release(&w);
}

/* A node that restarts has its disk, and asks for what it missed only. */
static void a_restart_fetches_what_was_missed(void **state)
{
    struct xeno_replica_stats s;
    struct world w;

    (void)state;
    world_init(&w, 3, 3);
    for (size_t i = 0; i < ADVERTS; i++)
        world_publish(&w, 0, i, LEASE);
    assert_true(settle(&w, xeno_s(60)));
    world_kill(&w, 2);
    for (size_t i = 0; i < 7; i++)
        world_publish(&w, 1, i, LEASE);
    world_run(&w, xeno_s(30));
    world_start(&w, 2, false);
    assert_true(settle(&w, xeno_s(60)));
    s = xeno_replica_stats(w.nodes[2].r);
    assert_int_equal(s.kept, 7);
    assert_int_equal(s.repaired, 7);
    world_release(&w);
}

/* A version that is over keeps older ones out, also one whose lease goes on. */
static void what_is_over_stays_known(void **state)
{
    struct version old, brief;
    struct world w;

    (void)state;
    world_init(&w, 4, 2);
    old = (struct version){ .version = 5, .expires = xeno_time_add(w.t.now, LEASE) };
    brief = (struct version){ .version = 6, .expires = xeno_time_add(w.t.now, xeno_s(60)) };
    w.nodes[1].group = 1; /* the old version waits where nobody hears it */
    assert_true(world_bring(&w, 1, 0, old));
    assert_true(world_bring(&w, 0, 0, brief));
    world_run(&w, xeno_s(120));
    assert_int_equal(world_has(&w, 0, 0), 0);
    w.nodes[1].group = 0;
    world_run(&w, xeno_s(600));
    assert_int_equal(world_has(&w, 0, 0), 0);
    assert_false(world_bring(&w, 0, 0, old));
    assert_int_equal(xeno_replica_stats(w.nodes[0].r).forgotten, 1);
    w.t.now = xeno_time_add(w.t.now, xeno_s(XENO_ADVERT_LEASE_S + 3 * XENO_ADVERT_SKEW_S));
    world_run(&w, xeno_s(10));
    assert_int_equal(xeno_replica_stats(w.nodes[0].r).forgotten, 0);
    world_release(&w);
}

/* The next question of a node to a peer; the caller's. */
static void next_question(struct world *w, size_t node, size_t peer, char **ret)
{
    xeno_time at;
    size_t len;

    while (xeno_replica_ask(w->nodes[node].r, peer, ret, &len, &at) == 0)
        w->t.now = xeno_time_add(w->t.now, STEP);
}

/* What follows a member's name in a question. */
static const char *member(const char *question, const char *name)
{
    const char *at = strstr(question, name);

    assert_non_null(at);
    return at + strlen(name);
}

/* A peer says that it has all there is of another, and gives nothing: what was passed over comes by
 * a repair, and then its word counts for nothing. */
static void a_vector_that_says_too_much_is_found_out(void **state)
{
    xeno_autofree char *to_liar = NULL;
    xeno_autofree char *to_other = NULL;
    char text[512];
    struct world w;

    (void)state;
    world_init(&w, 5, 3);
    assert_true(world_publish(&w, 1, 0, LEASE));
    assert_true(settle(&w, xeno_s(60)));
    w.nodes[1].group = 1;
    for (size_t i = 1; i < 9; i++)
        assert_true(world_publish(&w, 1, i, LEASE));
    next_question(&w, 0, 0, &to_other); /* has the other's origin as its epoch */
    xeno_replica_lost(w.nodes[0].r, 0);
    next_question(&w, 0, 1, &to_liar);
    snprintf(text, sizeof text,
             "{\"n\":%lld,\"epoch\":\"%.16s\",\"next\":%lld,\"more\":false,"
             "\"vector\":{\"%.16s\":1000000},\"entries\":[]}",
             atoll(member(to_liar, "\"n\":")), member(to_liar, "\"epoch\":\""),
             atoll(member(to_liar, "\"after\":")), member(to_other, "\"epoch\":\""));
    assert_int_equal(xeno_replica_hear(w.nodes[0].r, 1, text, strlen(text), NULL), 0);
    w.nodes[1].group = 0;
    world_run(&w, xeno_s(240));
    for (size_t i = 0; i < 9; i++)
        assert_true(world_has(&w, 0, i) == w.made[i].version);
    assert_int_equal(xeno_replica_stats(w.nodes[0].r).doubts, 1);
    world_release(&w);
}

/* --- messages --- */

static void bad_messages(void **state)
{
    static const struct {
        const char *text, *token;
    } questions[] = {
        { "", "json.syntax" },
        { "{}", "json.missing" },
        { "{\"n\":1}", "replica.question" },
        { "{\"n\":-1,\"fetch\":[]}", "json.range" },
        { "{\"n\":1,\"push\":{}}", "json.unknown" },
        { "{\"n\":1,\"pull\":{\"vector\":{}}}", "json.missing" },
        { "{\"n\":1,\"pull\":{\"after\":0,\"vector\":{\"x\":1}}}", "replica.origin" },
        { "{\"n\":1,\"pull\":{\"after\":0,\"vector\":{\"00000000000000ag\":1}}}",
          "replica.origin" },
        { "{\"n\":1,\"pull\":{\"after\":0,\"epoch\":\"0000000000000000\",\"vector\":{}}}",
          "replica.origin" },
        { "{\"n\":1,\"tree\":[{\"prefix\":\"abc\"}]}", "json.range" },
        { "{\"n\":1,\"tree\":[{\"prefix\":\"A\"}]}", "replica.question" },
        { "{\"n\":1,\"tree\":[{\"prefix\":\"ab\",\"after\":\"x\"}]}", "json.range" },
        { "{\"n\":1,\"fetch\":[\"x\"]}", "json.range" },
    };
    struct world w;

    (void)state;
    world_init(&w, 6, 2);
    for (size_t i = 0; i < XENO_LEN(questions); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        char *ret = NULL;
        size_t len;

        assert_true(xeno_replica_answer(w.nodes[0].r, questions[i].text, strlen(questions[i].text),
                                        &ret, &len, &err) < 0);
        assert_string_equal(err.token, questions[i].token);
        assert_null(ret);
    }
    assert_int_equal(xeno_replica_hear(w.nodes[0].r, 0, "{\"n\":1}", 7, NULL), -ESTALE);
    world_release(&w);
}

/* --- everything at once --- */

static void trouble(struct world *w)
{
    size_t n = world_below(w, w->count);

    switch (world_below(w, 60)) {
    case 0:
        for (size_t i = 0; i < w->count; i++)
            w->nodes[i].group = (int)world_below(w, 2);
        break;
    case 1:
        for (size_t i = 0; i < w->count; i++)
            w->nodes[i].group = 0;
        break;
    case 2:
        if (w->nodes[n].up)
            world_kill(w, n);
        break;
    case 3:
        if (!w->nodes[n].up)
            world_start(w, n, world_below(w, 4) == 0); /* one in four has lost its disk */
        break;
    default:
        break;
    }
}

/* Publishers bring to any node, some of it stale. */
static void publish_some(struct world *w)
{
    size_t i = world_below(w, ADVERTS), n = world_below(w, w->count);
    struct version old = w->made[i];

    if (world_below(w, 10) == 0 && old.version > 1) {
        old.version -= 1;
        world_bring(w, n, i, old);
        return;
    }
    world_publish(w, n, i, LEASE);
}

static void one_world(uint64_t seed)
{
    int64_t known[ADVERTS];
    struct world w;

    world_init(&w, seed, 3 + seed % 4);
    w.loss = (unsigned)world_below(&w, 30);
    w.again = (unsigned)world_below(&w, 30);
    for (size_t i = 0; i < w.count; i++)
        w.nodes[i].skew = xeno_s((int64_t)world_below(&w, 200) - 100);
    w.nodes[0].liar = seed % 2;
    for (int i = 0; i < 1600; i++) {
        trouble(&w);
        for (uint64_t k = world_below(&w, 4); k > 0; k--)
            publish_some(&w);
        world_step(&w);
    }
    w.loss = w.again = 0;
    for (size_t i = 0; i < w.count; i++) {
        w.nodes[i].group = 0;
        if (!w.nodes[i].up)
            world_start(&w, i, false);
    }
    note_known(&w, known);
    if (!settle(&w, xeno_s(900)))
        fail_msg("seed %" PRIu64 " does not converge", seed);
    assert_nothing_lost(&w, known);
    world_release(&w);
}

/* A peer goes after the first of two pages: the other page comes from somebody else. */
static void half_of_a_peer_is_not_all_of_it(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 7, 3);
    for (size_t i = 0; i < w.count; i++) {
        world_kill(&w, i);
        w.repair = xeno_s(10 * 86400);
        world_start(&w, i, true);
    }
    world_run(&w, xeno_s(30));
    w.nodes[0].group = 1;
    for (size_t i = 0; i < ADVERTS; i++)
        world_publish(&w, 1, i, LEASE);
    world_run(&w, xeno_s(30));
    w.nodes[0].group = 0;
    w.nodes[2].group = 1;
    for (int i = 0; i < 400 && xeno_replica_stats(w.nodes[0].r).kept == 0; i++)
        world_step(&w);
    assert_int_equal(xeno_replica_stats(w.nodes[0].r).kept, XENO_REPLICA_PAGE);
    w.nodes[1].group = 2;
    w.nodes[2].group = 0;
    world_run(&w, xeno_s(60));
    assert_int_equal(xeno_replica_stats(w.nodes[0].r).kept, ADVERTS);
    world_release(&w);
}

/* Among honest nodes that stay up nothing is ever missed, so that no repair is needed: cursors and
 * vectors move only when all they stand for was taken. */
static void pulls_miss_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        int64_t known[ADVERTS];
        struct world w;

        world_init(&w, seed, 4);
        for (size_t i = 0; i < w.count; i++) {
            world_kill(&w, i);
            w.repair = xeno_s(10 * 86400);
            world_start(&w, i, true);
        }
        world_run(&w, xeno_s(30)); /* who is empty pulls */
        w.loss = w.again = 25;
        for (int i = 0; i < 1600; i++) {
            for (size_t k = 0; k < w.count && i % 100 == 0; k++)
                w.nodes[k].group = (int)world_below(&w, 2);
            publish_some(&w);
            world_step(&w);
        }
        w.loss = w.again = 0;
        for (size_t i = 0; i < w.count; i++)
            w.nodes[i].group = 0;
        note_known(&w, known);
        assert_true(settle(&w, xeno_s(300)));
        assert_nothing_lost(&w, known);
        for (size_t i = 0; i < w.count; i++)
            assert_int_equal(xeno_replica_stats(w.nodes[i].r).repaired, 0);
        world_release(&w);
    }
}

static void any_world_converges(void **state)
{
    const char *one = getenv("XENO_SEED"), *many = getenv("XENO_SEEDS");
    uint64_t count = many ? strtoull(many, NULL, 10) : 14;

    (void)state;
    if (one) {
        one_world(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= count; seed++)
        one_world(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_takes_all_have),
        cmocka_unit_test(little_is_sent_twice),
        cmocka_unit_test(a_restart_fetches_what_was_missed),
        cmocka_unit_test(what_is_over_stays_known),
        cmocka_unit_test(a_vector_that_says_too_much_is_found_out),
        cmocka_unit_test(bad_messages),
        cmocka_unit_test(half_of_a_peer_is_not_all_of_it),
        cmocka_unit_test(pulls_miss_nothing),
        cmocka_unit_test(any_world_converges),
    };
    return cmocka_run_group_tests_name("replica", tests, NULL, NULL);
}
