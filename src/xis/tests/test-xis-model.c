/* src/xis/tests/test-xis-model.c - the store against a plain list, over random operations.
 *
 * XENO_MODEL_STEPS: how many in all (1,000,000 for the whole run); XENO_MODEL_SEED: one seed alone.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xis/tests/fake.h"
#include "xis/watch.h"

#define T0       xeno_s(1700000000)
#define STEPS    60000 /* of a usual run */
#define SEEDS    12
#define LEAVES   6
#define REMEMBER 600
#define BATCH    70 /* lookups at once */

static const char *const paths[] = { "a", "b/c", "b/d", "Corp", "e", "f/g/h" };
static const char *const values[] = {
    "0",
    "-1",
    "1.5",
    "2",
    "3",
    "-0",
    "10",
    "10.",
    "",
    "a",
    "b",
    "prefix-x",
    "prefix-xa",
    "prefix-xb",
    "z",
    "1e3",
    "prefix-x and more",
    "12345678",
    "prefix-w",
};

/* What the list knows of a party. */
struct party {
    enum { UNKNOWN, ALIVE, EXPIRED, WITHDRAWN } state;
    int64_t version, seq;
    xeno_time expires, until;
    size_t count;
    struct fake_leaf leaf[LEAVES];
};

struct model {
    struct xeno_env_test world;
    struct xeno_xis *x;
    struct xeno_xis_reader *r;
    struct party *party;
    uint32_t parties;
    int64_t seq;
    struct xeno_watch *watch;
    struct xeno_query_tree *watched;
    int64_t heard;
    bool *told; /* what the watch said that matches */
    uint64_t seed;
    size_t step;
};

static uint32_t pick(struct model *m, uint32_t n)
{
    return (uint32_t)(xeno_env_test_next(&m->world) >> 33) % n;
}

/* Say where it is, since the assertion itself cannot. */
#define CHECK(m, what)                                                                             \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            print_error("seed %llu, step %zu: %s\n", (unsigned long long)(m)->seed, (m)->step,     \
                        #what);                                                                    \
            assert_true(what);                                                                     \
        }                                                                                          \
    } while (0)

static struct party *party_of(struct model *m, const char *id)
{
    for (uint32_t i = 0; i < m->parties; i++)
        if (strcmp(fake_id(i).s, id) == 0)
            return &m->party[i];
    return NULL;
}

/* --- changes --- */

static void put(struct model *m)
{
    uint32_t n = pick(m, m->parties);
    struct party *p = &m->party[n], old = *p;
    int64_t version = p->version + (pick(m, 8) ? 1 + pick(m, 3) : -(int64_t)pick(m, 2)), seq = 0;
    xeno_time expires = xeno_time_add(m->world.now, xeno_s(1 + (int64_t)pick(m, 3000)));
    bool withdraw = pick(m, 12) == 0;
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    if (version < 1)
        version = 1;
    if (!withdraw && (p->state != ALIVE || pick(m, 2))) {
        p->count = pick(m, LEAVES + 1);
        for (size_t i = 0; i < p->count; i++) {
            p->leaf[i].path = paths[pick(m, XENO_LEN(paths))];
            p->leaf[i].value = values[pick(m, XENO_LEN(values))];
        }
    } else if (!withdraw && p->count > 0) { /* as after a delta: one value moved */
        p->leaf[pick(m, (uint32_t)p->count)].value = values[pick(m, XENO_LEN(values))];
    }
    if (withdraw)
        r = xeno_xis_put(m->x, fake_withdrawal(n, version, expires), NULL, &seq, &err);
    else
        r = xeno_xis_put(m->x, fake_advert(n, version, expires, p->leaf, p->count), NULL, &seq,
                         &err);
    if (old.state != UNKNOWN && version <= old.version) {
        CHECK(m, r == -EEXIST && xeno_err_is(&err, "xis.old"));
        *p = old;
        return;
    }
    CHECK(m, r == 0 && seq == m->seq + 1);
    m->seq = p->seq = seq;
    p->version = version;
    p->expires = expires;
    p->until = old.state != UNKNOWN && old.until.ns > expires.ns ? old.until : expires;
    p->state = withdraw ? WITHDRAWN : ALIVE;
    if (withdraw && p->until.ns < m->world.now.ns + xeno_s(REMEMBER).ns)
        p->until = xeno_time_add(m->world.now, xeno_s(REMEMBER));
}

static void age(struct model *m)
{
    xeno_time now = m->world.now = xeno_time_add(m->world.now, xeno_ms(pick(m, 60000)));
    size_t due = 0;

    for (uint32_t i = 0; i < m->parties; i++) {
        struct party *p = &m->party[i];
        xeno_time at = p->state == ALIVE ? p->expires : p->until;

        due += p->state != UNKNOWN && at.ns <= now.ns;
    }
    CHECK(m, (due > 0) == (xeno_xis_next(m->x).ns <= now.ns));
    CHECK(m, xeno_xis_age(m->x, now, SIZE_MAX) == due);
    for (uint32_t i = 0; i < m->parties; i++) {
        struct party *p = &m->party[i];
        struct xeno_xis_entry e;

        if (p->state == UNKNOWN || (p->state == ALIVE ? p->expires : p->until).ns > now.ns)
            continue;
        if (p->state != ALIVE) {
            *p = (struct party){ .state = UNKNOWN };
            continue;
        }
        p->state = EXPIRED;
        if (p->until.ns < now.ns + xeno_s(REMEMBER).ns)
            p->until = xeno_time_add(now, xeno_s(REMEMBER));
        CHECK(m, xeno_xis_get(m->r, fake_id(i).s, &e) && e.state == XENO_XIS_EXPIRED && !e.jws);
        CHECK(m, e.seq > m->seq - (int64_t)due);
        p->seq = e.seq;
    }
    for (uint32_t i = 0; i < m->parties; i++)
        if (m->party[i].seq > m->seq)
            m->seq = m->party[i].seq;
}

/* --- the list's answers --- */

static struct xeno_query_value value_of(const char *text)
{
    struct xeno_query_value v = { .text = text };

    v.number = xeno_advert_is_number(text, &v.n);
    if (v.number)
        v.text = NULL;
    return v;
}

static int compare_values(const struct xeno_query_value *a, const struct xeno_query_value *b)
{
    if (a->number != b->number)
        return a->number ? -1 : 1;
    if (a->number)
        return a->n < b->n ? -1 : a->n > b->n;
    return strcmp(a->text, b->text);
}

struct row {
    struct xeno_query_value v;
    uint32_t party;
    bool has;
};

static int row_order(const void *a, const void *b)
{
    return compare_values(&((const struct row *)a)->v, &((const struct row *)b)->v);
}

/* Is this leaf's value one that the same party had already? Sets have each once. */
static bool again(const struct party *p, size_t leaf)
{
    struct xeno_query_value v = value_of(p->leaf[leaf].value), o;

    for (size_t i = 0; i < leaf; i++) {
        o = value_of(p->leaf[i].value);
        if (strcmp(p->leaf[i].path, p->leaf[leaf].path) == 0 && compare_values(&v, &o) == 0)
            return true;
    }
    return false;
}

static bool in_range(const struct xeno_lookup *l, const struct xeno_query_value *v)
{
    switch (l->range) {
    case XENO_LOOKUP_NUMBERS:
        return v->number && v->n >= l->min && v->n <= l->max;
    case XENO_LOOKUP_STRINGS:
        return !v->number && (!l->from || strcmp(v->text, l->from) >= 0) &&
               (!l->to || strcmp(v->text, l->to) <= 0);
    default:
        return true;
    }
}

static size_t rows_of(struct model *m, const struct xeno_lookup *l, struct row *rows)
{
    size_t n = 0;

    for (uint32_t i = 0; i < m->parties; i++)
        for (size_t k = 0; m->party[i].state == ALIVE && k < m->party[i].count; k++) {
            struct xeno_query_value v = value_of(m->party[i].leaf[k].value);

            if (strcmp(m->party[i].leaf[k].path, l->token) == 0 && !again(&m->party[i], k) &&
                in_range(l, &v))
                rows[n++] = (struct row){ .v = v, .party = i };
        }
    qsort(rows, n, sizeof rows[0], row_order);
    return n;
}

static struct xeno_lookup any_lookup(struct model *m)
{
    struct xeno_lookup l = { .token = paths[pick(m, XENO_LEN(paths))],
                             .desc = pick(m, 2),
                             .place = pick(m, 3) ? 0 : pick(m, 2 * m->parties),
                             .limit = pick(m, 20) };

    l.range = (enum xeno_lookup_range)pick(m, 3);
    l.min = (double)pick(m, 6) - 2;
    l.max = l.min + pick(m, 4);
    if (pick(m, 4) == 0)
        l.max = l.min - 1;
    l.from = pick(m, 3) ? values[pick(m, XENO_LEN(values))] : NULL;
    l.to = pick(m, 3) ? values[pick(m, XENO_LEN(values))] : NULL;
    if (pick(m, 4) == 0)
        xeno_lookup_is(&l, values[pick(m, XENO_LEN(values))]);
    return l;
}

static void lookup(struct model *m)
{
    struct row *rows = xeno_new0_n(struct row, (size_t)m->parties * LEAVES + 1);
    struct xeno_lookup l = any_lookup(m);
    size_t total = rows_of(m, &l, rows), n, want;
    struct xeno_hit hits[20];
    uint64_t got;

    xeno_xis_enter(m->r);
    n = xeno_xis_lookup(m->r, &l, &got, hits);
    want = l.place >= total ? 0 : total - l.place;
    CHECK(m, got == total && n == (want < l.limit ? want : l.limit));
    for (size_t i = 0; i < n; i++) {
        const struct row *row = &rows[l.desc ? total - 1 - l.place - i : l.place + i];
        bool there = false;

        CHECK(m, compare_values(&hits[i].value, &row->v) == 0);
        for (size_t k = 0; k < total && !there; k++)
            there = compare_values(&rows[k].v, &row->v) == 0 &&
                    strcmp(fake_id(rows[k].party).s, hits[i].id) == 0;
        CHECK(m, there);
        for (size_t k = 0; k < i; k++)
            CHECK(m, hits[k].slot != hits[i].slot ||
                         compare_values(&hits[k].value, &hits[i].value) != 0);
    }
    xeno_xis_leave(m->r);
    free(rows);
}

/* Several at once are what each is by itself. */
static void lookups(struct model *m)
{
    struct xeno_hit hits[BATCH * 20], alone[20], *next = hits;
    struct xeno_found found[BATCH];
    struct xeno_lookup l[BATCH];
    size_t n = pick(m, 5) ? pick(m, 20) : pick(m, BATCH + 1), sum;
    uint64_t total;

    for (size_t i = 0; i < n; i++) {
        l[i] = any_lookup(m);
        if (pick(m, 20) == 0)
            l[i].token = "nobody/has/it";
    }
    xeno_xis_enter(m->r);
    sum = xeno_xis_lookups(m->r, l, n, found, hits);
    for (size_t i = 0; i < n; i++) {
        CHECK(m, found[i].hits == next);
        CHECK(m, xeno_xis_lookup(m->r, &l[i], &total, alone) == found[i].count);
        CHECK(m, found[i].total == total);
        for (size_t k = 0; k < found[i].count; k++, next++)
            CHECK(m, next->slot == alone[k].slot && strcmp(next->id, alone[k].id) == 0 &&
                         compare_values(&next->value, &alone[k].value) == 0);
    }
    CHECK(m, hits + sum == next);
    xeno_xis_leave(m->r);
}

/* --- queries --- */

static void any_clause(struct model *m, struct xeno_buf *b)
{
    const char *path = pick(m, 20) ? paths[pick(m, XENO_LEN(paths))] : "nobody/has/it";
    int min = (int)pick(m, 6) - 2;

    xeno_buf_printf(b, "{\"token\":\"%s\",", path);
    switch (pick(m, 6)) {
    case 0:
        xeno_buf_printf(b, "\"min\":%d,\"max\":%d.5}", min, min < 0 ? 0 : min);
        return;
    case 1:
        xeno_buf_printf(b, pick(m, 2) ? "\"min\":%d}" : "\"max\":%d}", min);
        return;
    case 2:
        xeno_buf_printf(b, "\"is\":\"%s\"}", values[pick(m, XENO_LEN(values))]);
        return;
    case 3:
        xeno_buf_printf(b, "\"in\":[\"%s\",%d]}", values[pick(m, XENO_LEN(values))], min);
        return;
    case 4:
        xeno_buf_printf(b, "\"from\":\"%s\"}", values[pick(m, XENO_LEN(values))]);
        return;
    default:
        xeno_buf_printf(b, "\"exists\":%s}", pick(m, 2) ? "true" : "false");
    }
}

static void any_node(struct model *m, struct xeno_buf *b, int depth)
{
    uint32_t kind = depth >= 3 ? 3 : pick(m, 6), parts = 1 + pick(m, 3);

    if (kind > 2) {
        any_clause(m, b);
        return;
    }
    if (kind == 2) {
        xeno_buf_puts(b, "{\"not\":");
        any_node(m, b, depth + 1);
        xeno_buf_puts(b, "}");
        return;
    }
    xeno_buf_puts(b, kind ? "{\"and\":[" : "{\"or\":[");
    for (uint32_t i = 0; i < parts; i++) {
        xeno_buf_puts(b, i ? "," : "");
        any_node(m, b, depth + 1);
    }
    xeno_buf_puts(b, "]}");
}

static struct xeno_query_tree *any_query(struct model *m)
{
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_query_tree *q = NULL;

    any_node(m, &b, 0);
    CHECK(m, xeno_query_parse(b.data, b.len, &q, NULL) == 0);
    return q;
}

static bool party_value(void *ctx, const struct xeno_query_node *node, size_t i,
                        struct xeno_query_value *ret)
{
    const struct party *p = ctx;

    for (size_t k = 0; k < p->count; k++)
        if (strcmp(p->leaf[k].path, node->token) == 0 && i-- == 0) {
            *ret = value_of(p->leaf[k].value);
            return true;
        }
    return false;
}

static int matches_asc(const void *a, const void *b)
{
    const struct row *r = a, *o = b;
    int c = r->has != o->has ? (r->has ? -1 : 1) : r->has ? compare_values(&r->v, &o->v) : 0;

    return c ? c : strcmp(fake_id(r->party).s, fake_id(o->party).s);
}

static int matches_desc(const void *a, const void *b)
{
    const struct row *r = a, *o = b;
    int c = r->has != o->has ? (r->has ? -1 : 1) : r->has ? compare_values(&o->v, &r->v) : 0;

    return c ? c : strcmp(fake_id(r->party).s, fake_id(o->party).s);
}

static size_t matches_of(struct model *m, const struct xeno_xis_ask *ask, struct row *rows)
{
    size_t n = 0;

    for (uint32_t i = 0; i < m->parties; i++) {
        struct party *p = &m->party[i];
        struct row row = { .party = i };

        if (p->state != ALIVE ||
            (ask->where && xeno_query_eval(ask->where, party_value, p) != XENO_TRUE))
            continue;
        for (size_t k = 0; ask->order && k < p->count; k++) {
            struct xeno_query_value v = value_of(p->leaf[k].value);
            int c = row.has ? compare_values(&v, &row.v) : 0;

            if (strcmp(p->leaf[k].path, ask->order) == 0 &&
                (!row.has || (ask->desc ? c > 0 : c < 0))) {
                row.v = v;
                row.has = true;
            }
        }
        rows[n++] = row;
    }
    qsort(rows, n, sizeof rows[0], ask->desc ? matches_desc : matches_asc);
    return n;
}

static void query(struct model *m)
{
    xeno_auto(xeno_query_tree) q = any_query(m);
    struct row *rows = xeno_new0_n(struct row, m->parties + 1);
    struct xeno_xis_ask ask = { .where = pick(m, 20) ? q : NULL,
                                .order = pick(m, 3) ? paths[pick(m, XENO_LEN(paths))] : NULL,
                                .desc = pick(m, 2),
                                .place = pick(m, 3) ? 0 : pick(m, m->parties),
                                .limit = pick(m, 20) };
    struct xeno_xis_answer answer;
    struct xeno_hit hits[20];
    size_t total = matches_of(m, &ask, rows);
    struct xeno_xis_clause clauses[XENO_QUERY_NODES];

    xeno_xis_enter(m->r);
    CHECK(m, xeno_xis_query(m->r, &ask, &answer, hits, NULL) == 0);
    CHECK(m, answer.exact && answer.total == total);
    for (size_t i = 0; i < answer.count; i++) {
        CHECK(m, strcmp(hits[i].id, fake_id(rows[ask.place + i].party).s) == 0);
        CHECK(m, !rows[ask.place + i].has ||
                     compare_values(&hits[i].value, &rows[ask.place + i].v) == 0);
    }
    CHECK(m, answer.count == (ask.place >= total              ? 0
                              : total - ask.place < ask.limit ? total - ask.place
                                                              : ask.limit));
    if (ask.where && pick(m, 4) == 0) {
        xeno_xis_explain(m->r, q, 0, clauses);
        CHECK(m, clauses[0].n[XENO_TRUE] == total);
    }
    xeno_xis_leave(m->r);
    free(rows);
}

/* --- the feed, and a watch --- */

static void feed(struct model *m)
{
    int64_t after = pick(m, 4) ? m->seq - (int64_t)pick(m, 20) : 0, next;
    struct xeno_xis_entry e[16];
    size_t n, limit = 1 + pick(m, 16);
    bool more;

    xeno_xis_enter(m->r);
    CHECK(m, xeno_xis_seq(m->r) == m->seq);
    n = xeno_xis_changes(m->r, after, limit, e, &next, &more);
    for (size_t i = 0; i <= n; i++) {
        /* The next one by the list: the smallest above the last. */
        int64_t last = i ? e[i - 1].seq : after, least = INT64_MAX;

        for (uint32_t k = 0; k < m->parties; k++)
            if (m->party[k].state != UNKNOWN && m->party[k].seq > last && m->party[k].seq < least)
                least = m->party[k].seq;
        if (i < n) {
            struct party *p = party_of(m, e[i].id);

            CHECK(m, e[i].seq == least && p->seq == least && p->version == e[i].version);
            CHECK(m, (int)e[i].state == (int)p->state - 1);
        } else {
            CHECK(m, more == (least != INT64_MAX) && (!more || n == limit));
        }
    }
    xeno_xis_leave(m->r);
}

static void watch(struct model *m)
{
    struct xeno_watch_event e[8];
    size_t n;

    if (!m->watch) {
        struct xeno_query_tree *q = any_query(m);
        xeno_autofree char *text = NULL;
        xeno_auto(xeno_json) j = xeno_query_json(q, 0);

        xeno_query_free(m->watched);
        text = xeno_json_format(j, false, NULL);
        CHECK(m, xeno_query_parse(text, strlen(text), &m->watched, NULL) == 0);
        CHECK(m, xeno_watch_new(m->x, "owner", q, xeno_ms(100), xeno_s(3600), m->world.now,
                                &m->watch, NULL) == 0);
        m->heard = 0;
        memset(m->told, 0, m->parties * sizeof m->told[0]);
    }
    m->world.now = xeno_time_add(m->world.now, xeno_ms(100));
    xeno_xis_age(m->x, xeno_ns(0), 0);
    do {
        xeno_time again = xeno_watch_poll(m->watch, m->world.now, 100);

        while ((n = xeno_watch_events(m->watch, m->heard, XENO_LEN(e), e)) > 0)
            for (size_t i = 0; i < n; i++) {
                CHECK(m, e[i].kind != XENO_WATCH_GAP && e[i].id == m->heard + 1);
                m->heard = e[i].id;
                m->told[party_of(m, e[i].advert.s) - m->party] = e[i].kind == XENO_WATCH_MATCH;
            }
        if (again.ns > m->world.now.ns)
            break;
    } while (true);
    for (uint32_t i = 0; i < m->parties; i++)
        CHECK(m,
              m->told[i] == (m->party[i].state == ALIVE &&
                             xeno_query_eval(m->watched, party_value, &m->party[i]) == XENO_TRUE));
    if (pick(m, 10) == 0) {
        xeno_watch_free(m->watch);
        m->watch = NULL;
    }
}

static void sums(struct model *m)
{
    size_t alive = 0, dead = 0;
    struct xeno_xis_stats s;

    for (uint32_t i = 0; i < m->parties; i++) {
        alive += m->party[i].state == ALIVE;
        dead += m->party[i].state > ALIVE;
        CHECK(m, xeno_xis_version(m->x, fake_id(i).s) ==
                     (m->party[i].state == UNKNOWN ? 0 : m->party[i].version));
    }
    xeno_xis_stats(m->x, &s);
    CHECK(m, s.alive == alive && s.dead == dead);
}

static void run(uint64_t seed, size_t steps, uint32_t parties)
{
    struct model m = { .seed = seed, .parties = parties };

    xeno_env_test_init(&m.world, T0, seed);
    m.party = xeno_new0_n(struct party, parties);
    m.told = xeno_new0_n(bool, parties);
    m.x = xeno_xis_new(&m.world.env, NULL);
    m.r = xeno_xis_reader_new(m.x);
    for (; m.step < steps; m.step++) {
        uint32_t what = pick(&m, 100);

        if (what < 50)
            put(&m);
        else if (what < 52)
            age(&m);
        else if (what < 70)
            lookup(&m);
        else if (what < 75)
            lookups(&m);
        else if (what < 85)
            query(&m);
        else if (what < 98)
            feed(&m);
        else if (what < 99)
            watch(&m);
        else
            sums(&m);
    }
    xeno_query_free(m.watched);
    xeno_xis_reader_free(m.r);
    xeno_xis_free(m.x);
    free(m.party);
    free(m.told);
}

static void against_a_list(void **state)
{
    static const uint32_t sizes[] = { 3, 40, 40, 150, 600 };
    const char *steps = getenv("XENO_MODEL_STEPS"), *seed = getenv("XENO_MODEL_SEED");
    size_t all = steps ? strtoul(steps, NULL, 10) : STEPS;

    (void)state;
    if (seed) {
        uint64_t s = strtoull(seed, NULL, 10);

        run(s, all / SEEDS, sizes[s % XENO_LEN(sizes)]);
        return;
    }
    for (uint64_t s = 1; s <= SEEDS; s++)
        run(s, all / SEEDS, sizes[s % XENO_LEN(sizes)]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(against_a_list) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
