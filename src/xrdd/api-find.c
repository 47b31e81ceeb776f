/* src/xrdd/api-find.c - POST /v1/find (rfc/0019).
 *
 *     read -> what is not known of addresses is measured, while the loop goes on -> find -> answer
 *
 * A question that waits is its request's: when the asker leaves, it goes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "http/problem.h"
#include "rd/answer.h"
#include "rd/request.h"
#include "xrdd/xrdd.h"

#define WANTS (XENO_RD_TARGETS + 1) /* all addresses of a question */

struct question {
    struct xrdd *d;
    struct xeno_http_req *q;
    struct xeno_rd_request req;
    struct xrdd_wait *wait;
};

static void question_free(struct question *f)
{
    xrdd_measure_leave(f->wait);
    xeno_rd_request_release(&f->req);
    free(f);
}

static void on_gone(void *arg)
{
    question_free(arg);
}

/* --- who asks --- */

struct asker {
    struct xeno_rd_client client;
    const char *attrs[XENO_RD_ATTRS][2];
    char *texts[XENO_RD_ATTRS];
};

static void asker_release(struct asker *a)
{
    for (size_t i = 0; i < a->client.attr_count; i++)
        free(a->texts[i]);
}

/* What an Accept may ask about: the credential, and nothing that the asker says of itself. */
static void read_asker(const struct question *f, struct asker *a)
{
    const struct xeno_cert *peer = xeno_http_peer(f->q);
    struct xeno_rd_client *c = &a->client;

    *a = (struct asker){ .client = { .id = peer->id,
                                     .corp = xeno_member_corp(f->d->member)->s,
                                     .kind = xeno_party_name(peer->kind) } };
    for (size_t i = 0; i < peer->attr_count && c->attr_count < XENO_RD_ATTRS; i++) {
        char *text = xeno_strdup(peer->attrs[i]), *equals = strchr(text, '=');

        if (equals)
            *equals = '\0';
        a->texts[c->attr_count] = text;
        a->attrs[c->attr_count][0] = text;
        a->attrs[c->attr_count++][1] = equals ? equals + 1 : "";
    }
    c->attrs = (const void *)a->attrs;
}

static int find(struct question *f, const struct xeno_rd_request *req,
                const struct xeno_rd_network *net, struct xeno_rd_result **ret,
                struct xeno_err *err)
{
    struct asker a;
    int r;

    read_asker(f, &a);
    r = xeno_rd_find(xrdd_world_rd(f->d->world), req, &a.client, net, xeno_wall(f->d->env), ret,
                     err);
    asker_release(&a);
    return r;
}

/* --- what is known of addresses --- */

static const struct xeno_rd_place *place_of(const struct xeno_rd_request *req, size_t target)
{
    return target < req->near_count ? &req->near[target] : &req->equal[target - req->near_count];
}

static void estimate(void *ctx, size_t target, const uint32_t *slots, size_t n,
                     struct xeno_latency *ret)
{
    const struct question *f = ctx;

    xrdd_measure_estimate(f->d->measure, place_of(&f->req, target)->address, slots, n, ret);
}

static bool server(void *ctx, size_t target, uint32_t *ret_slot)
{
    const struct question *f = ctx;

    return xrdd_world_at(f->d->world, place_of(&f->req, target)->address, ret_slot);
}

static bool path(void *ctx, uint32_t slot, struct xeno_path *ret)
{
    const struct question *f = ctx;

    return xrdd_measure_path(f->d->measure, f->req.disjoint_to, slot, ret);
}

/* --- measuring --- */

/* Those that match but for what is to be measured; when there are more than can be told, all. */
static uint32_t *candidates(struct question *f, size_t *ret_count)
{
    struct xeno_rd *rd = xrdd_world_rd(f->d->world);
    xeno_auto(xeno_rd_result) res = NULL;
    struct xeno_rd_request req = f->req;
    size_t slots = xeno_rd_slots(rd), n = 0;
    uint32_t *ret = xeno_new0_n(uint32_t, slots + 1);

    for (size_t i = 0; i < req.near_count; i++)
        req.near[i].rtt_max_us = 0;
    req.near_count = req.equal_count = req.term_count = 0;
    req.disjoint_to[0] = '\0';
    req.sets = 0;
    req.count = XENO_RD_COUNT;
    if (find(f, &req, &(struct xeno_rd_network){ .ctx = NULL }, &res, NULL) == 0 &&
        res->matched <= res->answer_count) {
        for (size_t i = 0; i < res->answer_count; i++)
            n += xeno_rd_slot(rd, &res->answers[i].advert->id, &ret[n]);
    } else {
        for (size_t i = 0; i < slots; i++)
            if (xeno_rd_at(rd, (uint32_t)i))
                ret[n++] = (uint32_t)i;
    }
    *ret_count = n;
    return ret;
}

/* For paths: those of `beside` first, since the others are compared with them. The caller's. */
static uint32_t *walkers(const struct question *f, const uint32_t *slots, size_t n,
                         size_t *ret_count)
{
    const struct xeno_rd *rd = xrdd_world_rd(f->d->world);
    uint32_t *ret = xeno_new0_n(uint32_t, f->req.beside_count + n + 1);
    size_t count = 0;

    for (size_t i = 0; i < f->req.beside_count; i++)
        count += xeno_rd_slot(rd, &f->req.beside[i], &ret[count]);
    memcpy(ret + count, slots, n * sizeof *slots);
    *ret_count = count + n;
    return ret;
}

static void answer(void *arg);

static void measure(struct question *f)
{
    const struct xeno_rd_request *req = &f->req;
    struct xrdd_want wants[WANTS];
    size_t n = 0, slot_count = 0, walker_count = 0;
    xeno_autofree uint32_t *slots = NULL;
    xeno_autofree uint32_t *ways = NULL;
    uint32_t server;

    for (size_t i = 0; i < req->near_count + req->equal_count; i++) {
        const char *address = place_of(req, i)->address;

        if (*address && !xrdd_world_at(f->d->world, address, &server))
            wants[n++] = (struct xrdd_want){ .address = address };
    }
    if (n == 0 && !*req->disjoint_to)
        return;
    slots = candidates(f, &slot_count);
    for (size_t i = 0; i < n; i++) {
        wants[i].slots = slots;
        wants[i].slot_count = slot_count;
    }
    if (*req->disjoint_to) {
        ways = walkers(f, slots, slot_count, &walker_count);
        wants[n++] = (struct xrdd_want){
            .address = req->disjoint_to, .paths = true, .slots = ways, .slot_count = walker_count
        };
    }
    f->wait = xrdd_measure_begin(f->d->measure, &xeno_http_peer(f->q)->id, wants, n, answer, f);
}

/* --- answering --- */

static int64_t measured(const struct question *f)
{
    const struct xeno_rd_request *req = &f->req;
    int64_t n = *req->disjoint_to ? xrdd_measure_known(f->d->measure, req->disjoint_to) : 0;

    for (size_t i = 0; i < req->near_count + req->equal_count; i++)
        if (*place_of(req, i)->address)
            n += xrdd_measure_known(f->d->measure, place_of(req, i)->address);
    return n;
}

struct xeno_json *xrdd_sources_json(const struct xrdd *d)
{
    struct xeno_json *list = xeno_json_array();

    for (size_t i = 0; i < xrdd_follow_count(d->follow); i++) {
        struct xrdd_followed s = xrdd_follow_get(d->follow, i);
        struct xeno_json *j = xeno_json_object();

        xeno_json_set_str(j, "url", s.url);
        if (s.age_ms >= 0)
            xeno_json_set_int(j, "age_ms", s.age_ms);
        xeno_json_append(list, j);
    }
    return list;
}

/* The question's last act, from the loop or its handler. */
static void answer(void *arg)
{
    struct question *f = arg;
    struct xrdd *d = f->d;
    const struct xeno_rd_network net = {
        .ctx = f, .server = server, .estimate = estimate, .path = path
    };
    xeno_auto(xeno_rd_result) res = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json *body;

    f->wait = NULL;
    if (find(f, &f->req, &net, &res, &err) < 0) {
        xrdd_refuse(d, f->q, &err);
        question_free(f);
        return;
    }
    d->counts.answers++;
    d->counts.empty += res->answer_count == 0;
    body = xeno_rd_answer_json(res, f->req.documents);
    xeno_json_set_int(body, "probed", measured(f));
    xeno_json_set_int(body, "age_ms", xrdd_follow_age_ms(d->follow));
    xeno_json_set(body, "xis", xrdd_sources_json(d));
    xeno_http_reply_json(f->q, 200, body);
    question_free(f);
}

/* --- asked --- */

static int read_question(struct question *f, struct xeno_err *err)
{
    xeno_auto(xeno_json) body = NULL;
    struct xeno_json_at top;
    const char *text;
    size_t len;
    int r;

    text = xeno_http_body(f->q, &len);
    r = xeno_json_parse(text, len, XENO_RD_REQUEST_BYTES, &body, err);
    if (r < 0)
        return r;
    top = xeno_json_top(body);
    return xeno_rd_request_read(&top, &f->req, err);
}

static int may_find(struct xrdd *d, const struct xeno_http_req *q, struct xeno_err *err)
{
    if (xrdd_account(d->accounts, &xeno_http_peer(q)->id, XRDD_FINDS, d->opt.finds_per_minute))
        return 0;
    return xeno_fail(err, -EUSERS, "find.rate",
                     "one credential may ask %" PRId64 " times in a minute: ask again in the next",
                     d->opt.finds_per_minute);
}

void xrdd_post_find(struct xeno_http_req *q, void *user)
{
    struct xrdd *d = user;
    struct question *f = xeno_new0(struct question);
    struct xeno_err err = XENO_ERR_INIT;
    int r = may_find(d, q, &err);

    *f = (struct question){ .d = d, .q = q };
    xeno_rd_request_init(&f->req);
    d->counts.requests++;
    if (r == 0)
        r = read_question(f, &err);
    if (r == 0 && !xrdd_follow_heard(d->follow))
        r = xeno_fail(&err, -EAGAIN, "find.empty",
                      "no XIS has answered since this RD started: ask again in a moment");
    if (r < 0) {
        xrdd_refuse(d, q, &err);
        question_free(f);
        return;
    }
    if (f->req.probe)
        measure(f);
    if (f->wait)
        xeno_http_on_gone(q, on_gone, f);
    else
        answer(f);
}
