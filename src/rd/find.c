/* src/rd/find.c - one find, from the question to the answer. */
#include "rd/find-priv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rd/place.h"

const char *xeno_rd_what_name(enum xeno_rd_what what)
{
    static const char *const names[XENO_RD_WHAT_COUNT] = {
        [XENO_RD_COST] = "cost",   [XENO_RD_RTT_MAX] = "rtt-max",   [XENO_RD_RTT_MEAN] = "rtt-mean",
        [XENO_RD_EQUAL] = "equal", [XENO_RD_DISJOINT] = "disjoint", [XENO_RD_WARM] = "warm",
        [XENO_RD_LOAD] = "load",
    };

    return what < XENO_RD_WHAT_COUNT ? names[what] : "?";
}

/* --- scratch --- */

void rd_scratch_free(struct rd_scratch *s)
{
    if (!s)
        return;
    free(s->no);
    free(s->unknown);
    free(s->total);
    free(s->score);
    for (size_t i = 0; i < XENO_RD_TERMS; i++)
        free(s->terms[i]);
    free(s->values);
    for (size_t i = 0; i < XENO_RD_TARGETS; i++)
        free(s->latency[i]);
    for (size_t i = 0; i < XENO_RD_TARGETS; i++)
        free(s->rough[i]);
    free(s->packed);
    free(s->live);
    free(s->order);
    free(s->groups);
    free(s);
}

#define column(pp, n) (*(pp) = xeno_new0_n(__typeof__(**(pp)), n))

/* As large as the table; what only some finds need is made when one does. */
static struct rd_scratch *scratch(struct xeno_rd *rd, const struct xeno_rd_request *req)
{
    size_t n = rd->room ? rd->room : 1, targets = req->near_count + req->equal_count;
    struct rd_scratch *s = rd->scratch;

    if (!s || s->room != n) {
        rd_scratch_free(s);
        s = rd->scratch = xeno_new0(struct rd_scratch);
        s->room = n;
        column(&s->no, n);
        column(&s->unknown, n);
        column(&s->total, n);
        column(&s->score, n);
        column(&s->values, n);
        column(&s->packed, n);
        column(&s->live, n);
        column(&s->order, n);
        for (s->group_room = 2; s->group_room < 2 * n;)
            s->group_room *= 2;
        column(&s->groups, s->group_room);
    }
    for (size_t i = 0; i < (req->term_count > 3 ? req->term_count : 3); i++) {
        if (!s->terms[i])
            column(&s->terms[i], n);
    }
    for (size_t i = 0; i < targets; i++) {
        if (!s->latency[i])
            column(&s->latency[i], n);
        if (!s->rough[i])
            column(&s->rough[i], n);
    }
    return s;
}

/* --- the question --- */

void xeno_rd_request_init(struct xeno_rd_request *req)
{
    memset(req, 0, sizeof(*req));
    req->max_cost = req->max_complaints = -1;
    req->duration_s = 3600;
    req->cpu_percent = 100;
    req->count = 10;
    req->probe = true;
}

void xeno_rd_request_release(struct xeno_rd_request *req)
{
    xeno_requirement_free(req->requirement);
    xeno_query_free(req->where);
    req->requirement = NULL;
    req->where = NULL;
}

static int refuse(struct xeno_err *err, const char *text)
{
    return xeno_fail(err, -EINVAL, "find.request", "%s", text);
}

int xeno_rd_request_check(const struct xeno_rd_request *r, struct xeno_err *err)
{
    char host[XENO_RD_ADDRESS];
    uint16_t port;

    if (r->near_count > XENO_RD_PLACES || r->equal_count > XENO_RD_PLACES ||
        r->beside_count > XENO_RD_PLACES || r->term_count > XENO_RD_TERMS ||
        r->layer_count > XENO_RD_LAYERS)
        return refuse(err, "too many of something");
    if (r->count < 1 || r->count > XENO_RD_COUNT)
        return refuse(err, "count: must be 1 to 100");
    if (r->equal_count == 1)
        return refuse(err, "equal: two places or more");
    if (r->duration_s < 1 || r->duration_s > XENO_RD_DURATION_S)
        return refuse(err, "duration_s: must be 1 to 34560000");
    if (r->cpu_percent < 0 || r->cpu_percent > 100 || r->net_bytes < 0)
        return refuse(err, "usage: cpu_percent must be 0 to 100, net_bytes 0 or more");
    if (r->max_cost > XENO_CREDIT_MAX)
        return refuse(err, "max_cost: must be at most 10^15 micro-credits");
    if (r->max_cost >= 0 && !r->requirement)
        return refuse(err, "max_cost: without a requirement there is nothing to price");
    if (*r->disjoint_to && !xeno_rd_address(r->disjoint_to, host, &port))
        return refuse(err, "disjoint_to: must be a numeric address");
    if ((r->beside_count > 0 || r->sets != 0) && !*r->disjoint_to)
        return refuse(err, "beside, sets: need disjoint_to");
    if (r->sets != 0 && (r->sets < 2 || r->sets > XENO_RD_SETS || r->sets > r->count))
        return refuse(err, "sets: must be 2 to 8, and no more than count");
    for (size_t i = 0; i < r->term_count; i++) {
        enum xeno_rd_what what = r->terms[i].what;

        if (r->terms[i].weight < 1 || r->terms[i].weight > XENO_RD_WEIGHT)
            return refuse(err, "objective: a weight must be 1 to 1000");
        if (((what == XENO_RD_RTT_MAX || what == XENO_RD_RTT_MEAN) && r->near_count == 0) ||
            (what == XENO_RD_EQUAL && r->equal_count == 0) ||
            (what == XENO_RD_DISJOINT && !*r->disjoint_to))
            return xeno_fail(err, -EINVAL, "find.request", "objective: %s needs %s",
                             xeno_rd_what_name(what),
                             what == XENO_RD_EQUAL      ? "equal"
                             : what == XENO_RD_DISJOINT ? "disjoint_to"
                                                        : "near");
    }
    return 0;
}

/* --- the answer --- */

void xeno_rd_result_free(struct xeno_rd_result *res)
{
    if (!res)
        return;
    for (size_t i = 0; i < res->answer_count; i++) {
        for (size_t k = 0; k < res->answers[i].why_count; k++)
            free(res->answers[i].why[k]);
    }
    for (size_t i = 0; i < res->fell_count; i++)
        free(res->fell[i].text);
    for (size_t i = 0; i < res->relax_count; i++)
        free(res->relax[i].text);
    free(res->answers);
    free(res);
}

static int64_t load_of(const struct rd_find *f, uint32_t slot)
{
    double v = rd_term_value(f, XENO_RD_LOAD, slot);

    return v >= 0 && v <= 1e6 ? llround(v) : -1;
}

static void answer(const struct rd_find *f, uint32_t slot, int set, struct xeno_rd_answer *a)
{
    double score = f->s->score[slot];

    a->advert = f->rd->servers[slot]->advert;
    a->hour = rd_hour(f, slot);
    a->total = rd_total(f, slot);
    a->load_percent = load_of(f, slot);
    a->complaints = f->rd->complaints[slot];
    for (size_t i = 0; i < rd_targets(f); i++) {
        a->latency[i].place = rd_target(f, i);
        a->latency[i].rtt = rd_latency(f, i, slot);
    }
    a->latency_count = rd_targets(f);
    a->of = rd_layers_of(f);
    a->have = rd_layers_there(f, slot);
    a->set = set;
    a->score = llround(1e6 * (f->term_count > 1 ? score : rd_scaled(f->scales[0], score)));
    rd_why(f, slot, a);
}

/* The digest of the image, when the requirement names one. */
static void image_of(struct rd_find *f)
{
    const char *ref = f->req->requirement ? f->req->requirement->template_ref : "";
    const char *at = strstr(ref, "sha256:");

    f->image_known = at && rd_prefix(at, &f->image);
}

static void prepare(struct rd_find *f)
{
    uint16_t port;

    image_of(f);
    if (*f->req->disjoint_to && xeno_rd_address(f->req->disjoint_to, f->to_host, &port)) {
        f->to = xeno_hop_read(f->to_host);
        f->to_bloom = rd_bloom_text(f->to_host);
    }
}

int xeno_rd_find(struct xeno_rd *rd, const struct xeno_rd_request *req,
                 const struct xeno_rd_client *client, const struct xeno_rd_network *net,
                 xeno_time now, struct xeno_rd_result **ret, struct xeno_err *err)
{
    struct rd_find f = { .rd = rd, .req = req, .client = client, .net = net, .now = now };
    xeno_auto(xeno_rd_result) res = NULL;
    uint32_t best[XENO_RD_COUNT];
    int sets[XENO_RD_COUNT], r;

    r = xeno_rd_request_check(req, err);
    if (r < 0)
        return r;
    rd->finds++;
    f.s = scratch(rd, req);
    prepare(&f);
    rd_match(&f);
    res = xeno_new0(struct xeno_rd_result);
    res->answer_count = rd_rank(&f, best, sets);
    res->answers = xeno_new0_n(struct xeno_rd_answer, res->answer_count + 1);
    for (size_t i = 0; i < res->answer_count; i++)
        answer(&f, best[i], sets[i], &res->answers[i]);
    rd_explain(&f, res);
    *ret = xeno_take(&res);
    return 0;
}

int xeno_rd_judge(struct xeno_rd *rd, const struct xeno_rd_request *req,
                  const struct xeno_rd_client *client, const struct xeno_rd_network *net,
                  xeno_time now, const struct xeno_id *id,
                  void (*each)(void *ctx, enum xeno_rd_constraint c, bool unknown,
                               const char *text),
                  void *ctx, struct xeno_err *err)
{
    struct rd_find f = { .rd = rd, .req = req, .client = client, .net = net, .now = now };
    uint32_t slot;
    uint64_t fails;
    int r = xeno_rd_request_check(req, err), n = 0;

    if (r < 0)
        return r;
    if (!xeno_rd_slot(rd, id, &slot))
        return xeno_fail(err, -ENOENT, "rd.unknown", "there is no XenoServer %s here", id->s);
    rd->finds++;
    f.s = scratch(rd, req);
    prepare(&f);
    rd_match(&f);
    fails = f.s->no[slot] | f.s->unknown[slot];
    for (int c = 0; c < XENO_RD_C_COUNT; c++) {
        bool unknown = (f.s->unknown[slot] & RD_BIT(c)) != 0;
        xeno_autobuf text = XENO_BUF_INIT;

        if (!(fails & RD_BIT(c)))
            continue;
        rd_constraint_words(&f, (enum xeno_rd_constraint)c, unknown, &text);
        each(ctx, (enum xeno_rd_constraint)c, unknown, text.data);
        n++;
    }
    return n;
}
