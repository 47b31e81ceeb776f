/* src/rd/tests/test-find.c - find against a naive evaluator, over made-up adverts of every kind. */
#include "rd/find.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "rd/answer.h"
#include "rd/tests/naive.h"
#include "rd/tests/servers.h"

#define SERVERS 90
#define ROUNDS  1500
#define NOW     xeno_s(1800000000)

struct world {
    struct xeno_env_test t;
    struct xeno_rd *rd;
    struct naive_server all[SERVERS];
    int64_t version;
};

static const char *const wheres[] = {
    "{\"token\":\"Location/Country\",\"is\":\"DE\"}",
    "{\"token\":\"Location/Country\",\"in\":[\"UK\",\"a country with a long name\",49]}",
    "{\"token\":\"CPUmsps\",\"min\":100,\"max\":900}",
    "{\"token\":\"Extra/Deep/Token\",\"exists\":true}",
    "{\"not\":{\"token\":\"Extra/Deep/Token\",\"is\":1}}",
    "{\"token\":\"Software\",\"is\":\"a text that is longer than sixteen bytes\"}",
    "{\"token\":\"Operator\",\"from\":\"o\",\"to\":\"thref\"}",
    ("{\"or\":[{\"token\":\"MemoryMB\",\"min\":300},{\"not\":{\"token\":\"Isolation\",\"is\":\"vm\"}}"
     ",{\"and\":[{\"token\":\"Ports\",\"max\":5},{\"token\":\"LoadPercent\",\"max\":60}]}]}"),
    "{\"token\":\"CachedLayer\",\"is\":\"00000000000000ff\"}",
    "{\"token\":\"Not/There\",\"min\":1}",
};

/* --- the world --- */

static void world_init(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    xeno_env_test_init(&w->t, NOW, seed);
    w->rd = xeno_rd_new(SERVERS);
}

static void world_release(struct world *w)
{
    for (size_t i = 0; i < SERVERS; i++)
        xeno_advert_free(w->all[i].advert);
    xeno_rd_free(w->rd);
}

static void world_remove(struct world *w, unsigned n)
{
    struct xeno_id id = servers_id(n);

    assert_int_equal(xeno_rd_remove(w->rd, &id), w->all[n].advert != NULL);
    xeno_advert_free(xeno_take(&w->all[n].advert));
    w->all[n].complaints = 0;
}

static void world_put(struct world *w, unsigned n)
{
    xeno_time expires = xeno_time_add(NOW, xeno_s(servers_pick(&w->t, 12) ? 600 : -1));
    struct xeno_env_test again = w->t;
    struct xeno_id id = servers_id(n);

    w->version++;
    xeno_advert_free(w->all[n].advert);
    w->all[n].advert = servers_odd(&w->t, n, w->version, expires);
    assert_int_equal(xeno_rd_put(w->rd, servers_odd(&again, n, w->version, expires), NULL), 0);
    if (servers_pick(&w->t, 4) == 0) {
        w->all[n].complaints = servers_pick(&w->t, 5);
        assert_true(xeno_rd_complaints(w->rd, &id, w->all[n].complaints));
    }
}

static void world_step(struct world *w)
{
    for (int i = 0; i < 8; i++) {
        unsigned n = servers_pick(&w->t, SERVERS);

        if (servers_pick(&w->t, 8) == 0)
            world_remove(w, n);
        else
            world_put(w, n);
    }
}

static size_t world_count(const struct world *w)
{
    size_t n = 0;

    for (size_t i = 0; i < SERVERS; i++)
        n += w->all[i].advert != NULL;
    return n;
}

static const struct naive_server *world_at(const struct world *w, const struct xeno_id *id)
{
    for (size_t i = 0; i < SERVERS; i++) {
        if (w->all[i].advert && strcmp(w->all[i].advert->id.s, id->s) == 0)
            return &w->all[i];
    }
    fail_msg("%s was found and is not there", id->s);
    return NULL;
}

/* --- questions --- */

static int64_t one_of(struct xeno_env_test *t, const int64_t *values, unsigned n)
{
    return values[servers_pick(t, n)];
}
#define ONE_OF(t, ...)                                                                             \
    one_of(t, (const int64_t[]){ __VA_ARGS__ },                                                    \
           sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))

static struct xeno_requirement *any_requirement(struct xeno_env_test *t)
{
    static const char *const kernels[] = { "", "", "5.10", "6.1.0-2", "99999" };
    struct xeno_requirement *r = xeno_requirement_new("test");

    r->cpu_burst_ms = 0;
    r->cpu_msps = ONE_OF(t, 1, 100, 150, 2000);
    r->memory_bytes = ONE_OF(t, 4, 128, 383, 384, 1024) << 20;
    r->disk_bytes = ONE_OF(t, 4, 256, 5000) << 20;
    r->net_kbps = ONE_OF(t, 1000, 10000, 50000);
    r->pids = ONE_OF(t, 1, 512, 2000);
    r->addresses = servers_pick(t, 4) == 0;
    r->port_count = (size_t)ONE_OF(t, 0, 0, 1, 5);
    if (servers_pick(t, 4) == 0)
        r->max_per_hour = ONE_OF(t, 1, 1000, 100000, 10000000);
    if (servers_pick(t, 4) == 0)
        r->max_total = ONE_OF(t, 1, 1000, 100000, 10000000);
    strcpy(r->kernel, kernels[servers_pick(t, XENO_LEN(kernels))]);
    if (servers_pick(t, 10) == 0)
        strcpy(r->env_type, "an environment with a long name");
    return r;
}

static void any_places(struct xeno_env_test *t, struct xeno_rd_request *r)
{
    r->near_count = (size_t)ONE_OF(t, 0, 0, 1, 3);
    r->equal_count = (size_t)ONE_OF(t, 0, 0, 2, 3);
    for (size_t i = 0; i < r->near_count; i++) {
        strcpy(r->near[i].address, "192.0.2.1:443");
        r->near[i].rtt_max_us = ONE_OF(t, 0, 20000, 250500);
    }
    for (size_t i = 0; i < r->equal_count; i++)
        strcpy(r->equal[i].address, "2001:db8::1");
}

static void any_objective(struct xeno_env_test *t, struct xeno_rd_request *r)
{
    size_t wanted = (size_t)ONE_OF(t, 0, 1, 1, 2, 3);

    for (size_t i = 0; i < wanted; i++) {
        enum xeno_rd_what what = (enum xeno_rd_what)servers_pick(t, XENO_RD_WHAT_COUNT);

        if (what == XENO_RD_DISJOINT || (what == XENO_RD_EQUAL && r->equal_count == 0) ||
            ((what == XENO_RD_RTT_MAX || what == XENO_RD_RTT_MEAN) && r->near_count == 0))
            continue;
        r->terms[r->term_count].what = what;
        r->terms[r->term_count++].weight = ONE_OF(t, 1, 3, 1000);
    }
}

/* The where of its parts, without the one at `without`. */
static void set_where(struct naive_question *q, size_t without)
{
    xeno_autobuf text = XENO_BUF_INIT;
    size_t n = 0;

    xeno_query_free(q->req.where);
    q->req.where = NULL;
    xeno_buf_puts(&text, "{\"and\":[");
    for (size_t i = 0; i < q->part_count; i++) {
        if (i == without)
            continue;
        xeno_buf_printf(&text, "%s%s", n > 0 ? "," : "", q->parts[i]);
        q->parts[n++] = q->parts[i];
    }
    q->part_count = n;
    xeno_buf_puts(&text, "]}");
    if (n > 0)
        assert_int_equal(xeno_query_parse(text.data, text.len, &q->req.where, NULL), 0);
}

static void any_question(struct xeno_env_test *t, struct naive_question *q)
{
    static const struct {
        const char *key, *value;
    } attrs[] = { { "group", "b" }, { "ban", "1" } };
    bool narrow = servers_pick(t, 3) == 0;

    memset(q, 0, sizeof(*q));
    xeno_rd_request_init(&q->req);
    q->now = NOW;
    q->client.corp = servers_pick(t, 3) ? SERVERS_CORP : NULL;
    q->client.kind = servers_pick(t, 5) ? "client" : NULL;
    q->client.attrs = (const void *)attrs;
    q->client.attr_count = servers_pick(t, 3);
    if (servers_pick(t, 4))
        q->req.requirement = any_requirement(t);
    q->req.isolation = servers_pick(t, 3) == 0 ? 1 + servers_pick(t, 15) : 0;
    any_places(t, &q->req);
    any_objective(t, &q->req);
    for (unsigned i = narrow ? servers_pick(t, NAIVE_PARTS + 1) : 0; i > 0; i--)
        q->parts[q->part_count++] = wheres[servers_pick(t, XENO_LEN(wheres))];
    set_where(q, SIZE_MAX);
    if (q->req.requirement && servers_pick(t, 4) == 0)
        q->req.max_cost = ONE_OF(t, 0, 5000, 2000000);
    if (servers_pick(t, 5) == 0)
        q->req.max_complaints = servers_pick(t, 3);
    q->req.duration_s = ONE_OF(t, 1, 3600, 864000, XENO_RD_DURATION_S);
    q->req.cpu_percent = ONE_OF(t, 0, 33, 100);
    q->req.net_bytes = ONE_OF(t, 0, 1000000000, INT64_MAX);
    q->req.layer_count = (size_t)ONE_OF(t, 0, 3);
    for (size_t i = 0; i < q->req.layer_count; i++)
        q->req.layers[i] = i + 1;
    q->req.count = ONE_OF(t, 1, 3, 100, 100);
}

static void question_release(struct naive_question *q)
{
    xeno_rd_request_release(&q->req);
}

/* --- find --- */

static void estimate(void *ctx, size_t target, const uint32_t *slots, size_t n,
                     struct xeno_latency *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = naive_rtt(&xeno_rd_at(ctx, slots[i])->id, target);
}

static struct xeno_rd_result *find(const struct world *w, const struct naive_question *q)
{
    struct xeno_rd_network net = { .ctx = w->rd, .estimate = estimate };
    struct xeno_rd_result *res = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_rd_find(w->rd, &q->req, &q->client, &net, q->now, &res, &err) < 0)
        fail_msg("%s", err.text);
    return res;
}

static size_t naive_count(const struct world *w, const struct naive_question *q)
{
    size_t n = 0;

    for (size_t i = 0; i < SERVERS; i++)
        n += w->all[i].advert && naive_matches(q, &w->all[i]);
    return n;
}

/* --- properties --- */

/* Nothing is returned that does not match; when unlimited, nothing that does is missing. */
static void check_match(const struct world *w, const struct naive_question *q,
                        const struct xeno_rd_result *res)
{
    size_t count = naive_count(w, q);

    assert_int_equal(res->considered, world_count(w));
    assert_int_equal(res->matched, count);
    assert_int_equal(res->answer_count,
                     count < (size_t)q->req.count ? count : (size_t)q->req.count);
    for (size_t i = 0; i < res->answer_count; i++) {
        const struct xeno_rd_answer *a = &res->answers[i];
        const struct naive_server *s = world_at(w, &a->advert->id);

        assert_true(naive_matches(q, s));
        assert_int_equal(a->total, naive_total(q, s->advert));
        assert_int_equal(a->complaints, s->complaints);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(res->answers[k].advert, a->advert);
    }
}

static void check_fell(const struct world *w, const struct naive_question *q,
                       const struct xeno_rd_result *res)
{
    size_t count[XENO_RD_C_COUNT][2] = { { 0 } }, only[XENO_RD_C_COUNT][2] = { { 0 } };
    size_t sum = res->matched;

    for (size_t i = 0; i < SERVERS; i++) {
        int first = -1, unknown = 0, failed = 0;

        for (int c = 0; w->all[i].advert && c < XENO_RD_C_COUNT; c++) {
            enum xeno_truth t = XENO_TRUE;

            if (naive_asked(q, (enum xeno_rd_constraint)c))
                t = naive_holds(q, &w->all[i], (enum xeno_rd_constraint)c);
            failed += t != XENO_TRUE;
            if (t != XENO_TRUE && first < 0) {
                first = c;
                unknown = t == XENO_UNKNOWN;
            }
        }
        if (first >= 0) {
            count[first][unknown]++;
            only[first][unknown] += failed == 1;
        }
    }
    for (size_t i = 0; i < res->fell_count; i++) {
        const struct xeno_rd_fell *f = &res->fell[i];

        assert_int_equal(f->count, count[f->constraint][f->unknown]);
        assert_int_equal(f->only, only[f->constraint][f->unknown]);
        assert_true(strlen(f->text) > 8);
        sum += f->count;
    }
    assert_int_equal(sum, res->considered);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Scores of all that match, by rfc/0019: one value as it is, several on the common scale. */
static size_t naive_scores(const struct world *w, const struct naive_question *q,
                           const struct naive_server **all, double *score)
{
    struct xeno_rd_term terms[XENO_RD_TERMS], cost = { XENO_RD_COST, 1 };
    size_t n = 0, count = 0;
    double weights = 0, v[SERVERS], known[SERVERS];

    memcpy(terms, q->req.terms, sizeof(terms));
    count = q->req.term_count;
    if (count == 0 && q->req.near_count > 0)
        terms[count++] = (struct xeno_rd_term){ XENO_RD_RTT_MAX, 1 };
    if (q->req.term_count == 0 && q->req.equal_count > 0)
        terms[count++] = (struct xeno_rd_term){ XENO_RD_EQUAL, 1 };
    if (count == 0)
        terms[count++] = cost;
    for (size_t i = 0; i < SERVERS; i++) {
        if (w->all[i].advert && naive_matches(q, &w->all[i])) {
            score[n] = 0;
            all[n++] = &w->all[i];
        }
    }
    for (size_t k = 0; k < count; k++) {
        double best, unit;
        size_t m = 0;

        for (size_t i = 0; i < n; i++) {
            v[i] = naive_value(q, all[i], terms[k].what);
            if (v[i] < INFINITY)
                known[m++] = v[i];
        }
        qsort(known, m, sizeof(*known), by_value);
        best = m > 0 ? known[0] : 0;
        unit = m > 0 ? known[m / 2] - best : 0;
        if (unit == 0 && m > 0)
            unit = known[m - 1] - best;
        weights += (double)terms[k].weight;
        for (size_t i = 0; i < n && count == 1; i++)
            score[i] = v[i];
        for (size_t i = 0; i < n && count > 1; i++)
            score[i] += (double)terms[k].weight *
                        (v[i] < INFINITY ? fmin(10, unit > 0 ? (v[i] - best) / unit : 0) : 10);
    }
    for (size_t i = 0; i < n && count > 1; i++)
        score[i] /= weights;
    return n;
}

/* Does a come before b? Scores that differ by less than rounding are left open. */
static bool may_precede(const struct naive_question *q, const struct naive_server *a, double x,
                        const struct naive_server *b, double y)
{
    uint64_t p = (uint64_t)naive_total(q, a->advert), r = (uint64_t)naive_total(q, b->advert);

    if (x != y && !(fabs(x - y) <= 1e-9 * fmax(1, fabs(x))))
        return x < y;
    if (x != y)
        return true;
    return p != r ? p < r : strcmp(a->advert->id.s, b->advert->id.s) < 0;
}

static void check_order(const struct world *w, const struct naive_question *q,
                        const struct xeno_rd_result *res)
{
    const struct naive_server *all[SERVERS];
    double score[SERVERS];
    size_t n = naive_scores(w, q, all, score), place[SERVERS];

    for (size_t i = 0; i < n; i++) {
        place[i] = SIZE_MAX;
        for (size_t k = 0; k < res->answer_count; k++) {
            if (strcmp(res->answers[k].advert->id.s, all[i]->advert->id.s) == 0)
                place[i] = k;
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            if (place[i] < place[k])
                assert_true(may_precede(q, all[i], score[i], all[k], score[k]));
        }
    }
}

static void relax(struct naive_question *q, const struct xeno_rd_relaxed *p)
{
    struct xeno_requirement *r = q->req.requirement;
    enum xeno_rd_constraint c = p->constraint;

    if (c >= XENO_RD_C_WHERE && c < XENO_RD_C_RTT) {
        set_where(q, c - XENO_RD_C_WHERE);
        return;
    }
    if (c >= XENO_RD_C_RTT) {
        q->req.near[c - XENO_RD_C_RTT].rtt_max_us = p->drop ? 0 : p->to;
        return;
    }
    switch (c) {
    case XENO_RD_C_ISOLATION:
        q->req.isolation = p->drop ? 0 : (unsigned)p->to;
        break;
    case XENO_RD_C_KERNEL:
        *r->kernel = '\0';
        break;
    case XENO_RD_C_CPU:
        r->cpu_msps = p->to;
        break;
    case XENO_RD_C_MEMORY:
        r->memory_bytes = p->to << 20;
        break;
    case XENO_RD_C_DISK:
        r->disk_bytes = p->to << 20;
        break;
    case XENO_RD_C_NET:
        r->net_kbps = p->to * 1000;
        break;
    case XENO_RD_C_PROCESSES:
        r->pids = p->to;
        break;
    case XENO_RD_C_ADDRESSES:
        r->addresses = (int)p->to;
        break;
    case XENO_RD_C_PORTS:
        r->port_count = (size_t)p->to;
        break;
    case XENO_RD_C_HOUR:
        r->max_per_hour = p->drop ? 0 : p->to;
        break;
    case XENO_RD_C_TOTAL:
        r->max_total = p->drop ? 0 : p->to;
        break;
    case XENO_RD_C_COST:
        q->req.max_cost = p->drop ? -1 : p->to;
        break;
    case XENO_RD_C_COMPLAINTS:
        q->req.max_complaints = p->to;
        break;
    default:
        fail_msg("nobody can ask otherwise for %s", xeno_rd_constraint_name(c));
    }
}

/* Whatever is told to be asked for instead gives at least as many. Asking for less costs less, so
 * it may be more. */
static void check_relax(const struct world *w, const struct naive_question *q, uint64_t seed,
                        const struct xeno_rd_result *res, size_t *ret_pairs)
{
    for (size_t i = 0; i < res->relax_count; i++) {
        const struct xeno_rd_relax *r = &res->relax[i];
        struct xeno_env_test t;
        struct naive_question other;

        xeno_env_test_init(&t, NOW, seed);
        any_question(&t, &other); /* the same one again */
        assert_int_equal(other.part_count, q->part_count);
        assert_true(r->matches > res->matched);
        assert_true(strlen(r->text) > 5);
        /* the later part first, so that parts of where keep their places */
        for (size_t k = r->part_count; k-- > 0;)
            relax(&other, &r->part[k]);
        if (r->matches > naive_count(w, &other))
            fail_msg("%s: %zu told, %zu do", r->text, r->matches, naive_count(w, &other));
        *ret_pairs += r->part_count == 2;
        question_release(&other);
    }
}

static void find_is_right(void **state)
{
    size_t matched = 0, relaxed = 0, pairs = 0, unknown = 0;
    uint64_t rounds = servers_rounds(ROUNDS), seed = servers_seed(0) * 100000000 + 1000;
    struct world w;

    (void)state;
    world_init(&w, servers_seed(42));
    for (uint64_t round = 0; round < rounds; round++) {
        struct xeno_env_test t;
        struct naive_question q;
        struct xeno_rd_result *res;

        world_step(&w);
        xeno_env_test_init(&t, NOW, seed + round);
        any_question(&t, &q);
        res = find(&w, &q);
        check_match(&w, &q, res);
        check_fell(&w, &q, res);
        check_order(&w, &q, res);
        check_relax(&w, &q, seed + round, res, &pairs);
        matched += res->matched > 0;
        relaxed += res->relax_count > 0;
        for (size_t i = 0; i < res->fell_count; i++)
            unknown += res->fell[i].unknown;
        xeno_rd_result_free(res);
        question_release(&q);
    }
    world_release(&w);
    /* all of it was put to the test */
    assert_true(matched > rounds / 8 && matched < rounds);
    assert_true(relaxed > rounds / 8 && pairs > rounds / 75 && unknown > rounds);
}

static const char *text_of(const struct xeno_advert *a, const char *path)
{
    const struct xeno_leaf *l = xeno_advert_leaf(a, path);

    return l ? l->value : "";
}

static size_t different(const struct xeno_advert *const *all, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < i && strcmp(text_of(all[k], "Operator"), text_of(all[i], "Operator")) != 0)
            k++;
        count += k == i;
    }
    return count;
}

/* As many different operators as there can be, and no fewer answers for it. */
static void spread_over_operators(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, 5);
    for (unsigned i = 0; i < SERVERS; i++)
        world_put(&w, i);
    for (int64_t count = 1; count <= 40; count++) {
        const struct xeno_advert *got[XENO_RD_COUNT], *all[SERVERS];
        struct naive_question q = { .now = NOW };
        struct xeno_rd_result *res;
        size_t n = 0, most;

        xeno_rd_request_init(&q.req);
        q.req.count = count;
        q.req.spread = XENO_RD_SPREAD_OPERATOR;
        for (size_t i = 0; i < SERVERS; i++) {
            if (naive_matches(&q, &w.all[i]))
                all[n++] = w.all[i].advert;
        }
        most = different(all, n);
        res = find(&w, &q);
        assert_int_equal(res->answer_count, n < (size_t)count ? n : (size_t)count);
        for (size_t i = 0; i < res->answer_count; i++)
            got[i] = res->answers[i].advert;
        assert_int_equal(different(got, res->answer_count),
                         most < (size_t)count ? most : (size_t)count);
        xeno_rd_result_free(res);
    }
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spread_over_operators),
        cmocka_unit_test(find_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
