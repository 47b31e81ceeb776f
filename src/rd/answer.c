/* src/rd/answer.c - the answer of rfc/0019, as JSON. */
#include "rd/answer.h"

#include <math.h>

#include "rd/find-priv.h"

static void set_texts(struct xeno_json *obj, const char *key, const struct xeno_advert *a,
                      const char *path)
{
    struct xeno_json *arr = xeno_json_array();

    for (const struct xeno_leaf *l = xeno_advert_leaf(a, path); l; l = xeno_advert_leaf_next(a, l))
        xeno_json_append_str(arr, l->value);
    xeno_json_set(obj, key, arr);
}

static void set_known(struct xeno_json *obj, const char *key, int64_t n)
{
    if (n >= 0)
        xeno_json_set_int(obj, key, n);
}

static struct xeno_json *price_json(const struct xeno_rd_answer *a)
{
    struct xeno_json *o = xeno_json_object();
    double epoch = xeno_advert_number(a->advert, "Price/Epoch", 0);

    if (epoch >= 1 && epoch <= 1e15)
        xeno_json_set_int(o, "epoch", (int64_t)epoch);
    set_known(o, "hour", a->hour);
    set_known(o, "total", a->total);
    return o;
}

/* A text as the operator wrote it, a number too ("51"). */
static void set_text(struct xeno_json *obj, const char *key, const struct xeno_advert *a,
                     const char *path)
{
    const struct xeno_leaf *l = xeno_advert_leaf(a, path);

    if (l)
        xeno_json_set_str(obj, key, l->value);
}

static struct xeno_json *location_json(const struct xeno_advert *a)
{
    struct xeno_json *o = xeno_json_object();

    set_text(o, "place", a, "Location/Place");
    set_text(o, "country", a, "Location/Country");
    return o;
}

static int64_t us(float ms)
{
    double v = (double)ms * 1000.0 + 0.5;

    return v >= 0 && v < 1e15 ? (int64_t)v : 0;
}

static struct xeno_json *latency_json(const struct xeno_rd_answer *a)
{
    struct xeno_json *arr = xeno_json_array();

    for (size_t i = 0; i < a->latency_count; i++) {
        const struct xeno_latency *l = &a->latency[i].rtt;
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_str(o, "to", rd_place_text(a->latency[i].place));
        if (l->how != XENO_LATENCY_UNKNOWN) {
            xeno_json_set_int(o, "rtt_us", rd_us(l));
            xeno_json_set_int(o, "low_us", us(l->low));
            xeno_json_set_int(o, "high_us", us(l->high));
        }
        xeno_json_set_str(o, "how", xeno_latency_how_text(l->how));
        xeno_json_append(arr, o);
    }
    return arr;
}

static struct xeno_json *warm_json(const struct xeno_rd_answer *a)
{
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_int(o, "have", (int64_t)a->have);
    xeno_json_set_int(o, "of", (int64_t)a->of);
    return o;
}

static struct xeno_json *answer_json(const struct xeno_rd_answer *a, bool documents)
{
    const struct xeno_advert *ad = a->advert;
    struct xeno_json *o = xeno_json_object(), *why = xeno_json_array();

    xeno_json_set_str(o, "id", ad->id.s);
    set_text(o, "name", ad, "Name");
    set_text(o, "operator", ad, "Operator");
    xeno_json_set_str(o, "endpoint", ad->endpoint);
    xeno_json_set_int(o, "version", ad->version);
    xeno_json_set_int(o, "expires_ms", ad->expires.ns / XENO_NS_PER_MS);
    set_texts(o, "isolation", ad, "Isolation");
    set_texts(o, "corps", ad, "Corp");
    xeno_json_set(o, "price", price_json(a));
    set_known(o, "load_percent", a->load_percent);
    xeno_json_set(o, "location", location_json(ad));
    xeno_json_set(o, "latency", latency_json(a));
    xeno_json_set(o, "warm", warm_json(a));
    xeno_json_set_int(o, "complaints", a->complaints);
    if (a->set > 0)
        xeno_json_set_int(o, "set", a->set);
    xeno_json_set_int(o, "score", a->score);
    for (size_t i = 0; i < a->why_count; i++)
        xeno_json_append_str(why, a->why[i]);
    xeno_json_set(o, "why", why);
    if (documents) {
        xeno_json_set_str(o, "advert", ad->jws);
        xeno_json_set_str(o, "delta", ad->delta);
    }
    return o;
}

static struct xeno_json *fell_json(const struct xeno_rd_fell *fell)
{
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_str(o, "constraint", xeno_rd_constraint_name(fell->constraint));
    xeno_json_set_str(o, "text", fell->text);
    xeno_json_set_int(o, "count", (int64_t)fell->count);
    xeno_json_set_int(o, "only", (int64_t)fell->only);
    xeno_json_set_bool(o, "unknown", fell->unknown);
    return o;
}

struct xeno_json *xeno_rd_answer_json(const struct xeno_rd_result *res, bool documents)
{
    struct xeno_json *o = xeno_json_object(), *answers = xeno_json_array();
    struct xeno_json *fell = xeno_json_array(), *nearest = xeno_json_array();

    for (size_t i = 0; i < res->answer_count; i++)
        xeno_json_append(answers, answer_json(&res->answers[i], documents));
    for (size_t i = 0; i < res->fell_count; i++)
        xeno_json_append(fell, fell_json(&res->fell[i]));
    for (size_t i = 0; i < res->relax_count; i++) {
        struct xeno_json *r = xeno_json_object();

        xeno_json_set_str(r, "relax", res->relax[i].text);
        xeno_json_set_int(r, "matches", (int64_t)res->relax[i].matches);
        xeno_json_append(nearest, r);
    }
    xeno_json_set(o, "answers", answers);
    xeno_json_set_int(o, "considered", (int64_t)res->considered);
    xeno_json_set_int(o, "matched", (int64_t)res->matched);
    xeno_json_set(o, "fell", fell);
    xeno_json_set(o, "nearest", nearest);
    return o;
}
