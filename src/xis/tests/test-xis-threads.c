/* src/xis/tests/test-xis-threads.c - readers beside a writer: what they see is whole.
 *
 * To be run under ThreadSanitizer too, which finds what no assertion here does.
 */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xis/tests/fake.h"

#define READERS 3
#define PARTIES 300
#define PUTS    12000
#define BATCH   60 /* lookups at once */
#define T0      xeno_s(1700000000)

struct shared {
    struct xeno_xis *x;
    atomic_bool over;
    atomic_size_t wrong, looked;
};

struct looker {
    struct shared *s;
    struct xeno_xis_reader *r;
    pthread_t thread;
};

#define EXPECT(s, what)                                                                            \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            print_error("not so: %s\n", #what);                                                    \
            atomic_fetch_add(&(s)->wrong, 1);                                                      \
        }                                                                                          \
    } while (0)

static void see_lookup(struct shared *s, struct xeno_xis_reader *r, uint64_t at)
{
    struct xeno_lookup l = { .token = at & 1 ? "CPUmsps" : "Name",
                             .range = at & 1 ? XENO_LOOKUP_NUMBERS : XENO_LOOKUP_ALL,
                             .min = (double)(at % 50),
                             .max = (double)(at % 50) + 20,
                             .desc = at & 2,
                             .place = at % 7,
                             .limit = 10 };
    struct xeno_hit hits[10];
    struct xeno_xis_entry e;
    uint64_t total;
    size_t n = xeno_xis_lookup(r, &l, &total, hits);

    EXPECT(s, n <= total && total <= PARTIES);
    for (size_t i = 0; i < n; i++) {
        EXPECT(s, strlen(hits[i].id) == XENO_ID_CHARS);
        if (hits[i].value.number) {
            EXPECT(s, hits[i].value.n >= l.min && hits[i].value.n <= l.max);
            EXPECT(s, i == 0 || (l.desc ? hits[i].value.n <= hits[i - 1].value.n
                                        : hits[i].value.n >= hits[i - 1].value.n));
        } else {
            EXPECT(s, strncmp(hits[i].value.text, "name ", 5) == 0);
        }
        if (xeno_xis_entry(r, &hits[i], &e))
            EXPECT(s, e.jws[0] == 'A' && strcmp(e.id, hits[i].id) == 0);
    }
}

/* A batch sees one moment: the parts of a range add up, and a lookup said twice is answered alike,
 * also where it stands far behind in the batch. */
static void see_batch(struct shared *s, struct xeno_xis_reader *r, uint64_t at)
{
    struct xeno_lookup l[BATCH];
    struct xeno_hit hits[BATCH * 5];
    struct xeno_found found[BATCH];

    for (size_t i = 0; i < BATCH; i++) {
        l[i] = (struct xeno_lookup){ .token = "CPUmsps",
                                     .range = XENO_LOOKUP_NUMBERS,
                                     .min = i % 3 == 2 ? (double)(at % 70) : 0,
                                     .max = i % 3 == 1 ? (double)(at % 70) - 0.5 : 70,
                                     .limit = 5 };
        if (i % 4 == 3)
            l[i].token = "Name";
    }
    xeno_xis_lookups(r, l, BATCH, found, hits);
    for (size_t i = 12; i < BATCH; i++) {
        EXPECT(s, found[i].total == found[i % 12].total && found[i].count == found[i % 12].count);
        for (size_t k = 0; k < found[i].count; k++)
            EXPECT(s, found[i].hits[k].slot == found[i % 12].hits[k].slot);
    }
    EXPECT(s, found[0].total == found[1].total + found[2].total);
}

static void see_states(struct shared *s, struct xeno_xis_reader *r, uint64_t at)
{
    struct xeno_xis_entry e[8];
    int64_t next, after = xeno_xis_seq(r) - (int64_t)(at % 20);
    struct xeno_token_info tokens[8];
    struct xeno_query_value v;
    size_t n;
    bool more;

    if (after < 0)
        after = 0;
    n = xeno_xis_changes(r, after, 8, e, &next, &more);
    for (size_t i = 0; i < n; i++) {
        EXPECT(s, e[i].seq > (i ? e[i - 1].seq : after) && e[i].seq <= next);
        EXPECT(s, (e[i].state == XENO_XIS_EXPIRED) == !e[i].jws);
    }
    if (xeno_xis_get(r, fake_id((uint32_t)(at % PARTIES)).s, &e[0]) && e[0].jws) {
        char text[64];

        snprintf(text, sizeof text, "%c%u.%" PRId64, e[0].state == XENO_XIS_ALIVE ? 'A' : 'W',
                 (unsigned)(at % PARTIES), e[0].version);
        EXPECT(s, strcmp(e[0].jws, text) == 0);
    }
    if (xeno_xis_value(r, fake_id((uint32_t)(at % PARTIES)).s, "Name", 0, &v))
        EXPECT(s, !v.number && strncmp(v.text, "name ", 5) == 0);
    for (size_t i = 0, k = xeno_xis_tokens(r, NULL, 8, tokens); i < k; i++)
        EXPECT(s, tokens[i].numbers + tokens[i].strings > 0);
}

static void see_query(struct shared *s, struct xeno_xis_reader *r, const struct xeno_query_tree *q)
{
    struct xeno_xis_ask ask = { .where = q, .order = "CPUmsps", .limit = 10 };
    struct xeno_xis_answer a;
    struct xeno_hit hits[10];

    EXPECT(s, xeno_xis_query(r, &ask, &a, hits, NULL) == 0 && a.exact && a.total <= PARTIES);
    for (size_t i = 1; i < a.count; i++)
        EXPECT(s, hits[i].value.n >= hits[i - 1].value.n);
}

static void *reader(void *arg)
{
    static const char text[] = "{\"or\":[{\"token\":\"CPUmsps\",\"max\":30},"
                               "{\"not\":{\"token\":\"Name\",\"from\":\"name 2\"}}]}";
    const struct looker *l = arg;
    struct shared *s = l->s;
    struct xeno_xis_reader *r = l->r;
    struct xeno_query_tree *q = NULL;

    EXPECT(s, xeno_query_parse(text, strlen(text), &q, NULL) == 0);
    for (uint64_t at = 0; !atomic_load(&s->over); at++) {
        xeno_xis_enter(r);
        see_lookup(s, r, at);
        see_batch(s, r, at);
        see_states(s, r, at * 7);
        if (at % 16 == 0)
            see_query(s, r, q);
        xeno_xis_leave(r);
        atomic_fetch_add(&s->looked, 1);
    }
    xeno_query_free(q);
    return NULL;
}

static void write_some(struct shared *s, struct xeno_env_test *world)
{
    for (int64_t i = 0; i < PUTS; i++) {
        uint64_t at = xeno_env_test_next(world) >> 20;
        uint32_t n = (uint32_t)at % PARTIES;
        int64_t version = xeno_xis_version(s->x, fake_id(n).s) + 1;
        xeno_time expires = xeno_time_add(world->now, xeno_s(1 + (int64_t)(at >> 10) % 900));
        char cpu[24], name[24], path[24];
        const struct fake_leaf leaves[] = { { "CPUmsps", cpu }, { "Name", name }, { path, "1" } };

        snprintf(cpu, sizeof cpu, "%u", (unsigned)(at >> 12) % 70);
        snprintf(name, sizeof name, "name %u", (unsigned)(at >> 16) % 900);
        snprintf(path, sizeof path, "Extra/E%u", (unsigned)(at >> 18) % 500);
        xeno_xis_put(s->x,
                     at >> 8 & 15 ? fake_advert(n, version, expires, leaves, XENO_LEN(leaves))
                                  : fake_withdrawal(n, version, expires),
                     NULL, NULL, NULL);
        world->now = xeno_time_add(world->now, xeno_ms((int64_t)at % 200));
        xeno_xis_age(s->x, world->now, 8);
    }
}

static void whole(void **state)
{
    struct xeno_env_test world;
    struct shared s = { .wrong = 0 };
    struct looker l[READERS];

    (void)state;
    xeno_env_test_init(&world, T0, 7);
    s.x = xeno_xis_new(&world.env, NULL);
    for (size_t i = 0; i < READERS; i++) {
        l[i] = (struct looker){ .s = &s, .r = xeno_xis_reader_new(s.x) };
        assert_int_equal(pthread_create(&l[i].thread, NULL, reader, &l[i]), 0);
    }
    while (atomic_load(&s.looked) < READERS)
        sched_yield();
    write_some(&s, &world);
    atomic_store(&s.over, true);
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(l[i].thread, NULL);
        xeno_xis_reader_free(l[i].r);
    }
    assert_int_equal(atomic_load(&s.wrong), 0);
    xeno_xis_free(s.x);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(whole) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
