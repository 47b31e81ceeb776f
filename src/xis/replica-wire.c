/* src/xis/replica-wire.c - what messages of RFC 0017 are made of: origins, vectors, entries. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xis/advert.h"
#include "xis/replica-priv.h"

#define ORIGIN_CHARS 16

static void origin_text(uint64_t origin, char out[ORIGIN_CHARS + 1])
{
    snprintf(out, ORIGIN_CHARS + 1, "%016" PRIx64, origin);
}

/* 0: it is none. */
static uint64_t origin_of(const char *text)
{
    if (strlen(text) != ORIGIN_CHARS || strspn(text, "0123456789abcdef") != ORIGIN_CHARS)
        return 0;
    return strtoull(text, NULL, 16);
}

void xeno_replica_put_origin(struct xeno_json *o, const char *key, uint64_t origin)
{
    char text[ORIGIN_CHARS + 1];

    origin_text(origin, text);
    xeno_json_set_str(o, key, text);
}

int xeno_replica_get_origin(const struct xeno_json_at *at, const char *key, uint64_t *ret,
                            struct xeno_err *err)
{
    const char *text;
    int r = xeno_json_str_opt(at, key, ORIGIN_CHARS, ORIGIN_CHARS, &text, err);

    if (r != 0)
        return r;
    if (origin_of(text) == 0)
        return xeno_fail(err, -EINVAL, "replica.origin", "'%s' is no origin: 16 digits, 0 to f",
                         text);
    *ret = origin_of(text);
    return 0;
}

/* --- vectors --- */

static int by_origin(const void *a, const void *b)
{
    uint64_t x = ((const struct xeno_stamp *)a)->origin, y = ((const struct xeno_stamp *)b)->origin;

    return x < y ? -1 : x > y;
}

int64_t xeno_replica_covers(const struct vector *v, uint64_t origin)
{
    const struct xeno_stamp key = { .origin = origin };
    const struct xeno_stamp *at = bsearch(&key, v->at, v->count, sizeof *v->at, by_origin);

    return at ? at->seq : 0;
}

struct xeno_json *xeno_replica_vector(const struct xeno_replica *r)
{
    struct xeno_json *o = xeno_json_object();
    char text[ORIGIN_CHARS + 1];

    origin_text(r->origin, text);
    xeno_json_set_int(o, text, r->seq);
    for (size_t i = 0; i < r->origin_count; i++) {
        origin_text(r->origins[i].id, text);
        if (r->origins[i].covered > 0)
            xeno_json_set_int(o, text, r->origins[i].covered);
    }
    return o;
}

int xeno_replica_get_vector(const struct xeno_json_at *at, struct vector *ret, struct xeno_err *err)
{
    struct xeno_json_at v;
    const char *key;
    int r = xeno_json_obj_opt(at, "vector", &v, err);

    if (r != 0)
        return r;
    ret->count = 0;
    while ((key = xeno_json_key(&v, ret->count))) {
        struct xeno_stamp *s;

        if (ret->count == XENO_REPLICA_ORIGINS)
            return xeno_fail(err, -EFBIG, "replica.vector", "vector has more than %d origins",
                             XENO_REPLICA_ORIGINS);
        s = &ret->at[ret->count];
        s->origin = origin_of(key);
        if (s->origin == 0)
            return xeno_fail(err, -EINVAL, "replica.origin", "vector: '%.40s' is no origin", key);
        r = xeno_json_int(&v, key, 0, XENO_REPLICA_SEQ, &s->seq, err);
        if (r < 0)
            return r;
        ret->count++;
    }
    qsort(ret->at, ret->count, sizeof *ret->at, by_origin);
    return 0;
}

/* --- entries --- */

struct xeno_json *xeno_replica_entry(const struct entry *e, const struct xeno_replica_text *t)
{
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_str(o, "id", e->id.s);
    xeno_json_set_int(o, "version", e->version);
    xeno_json_set_int(o, "expires_ms", e->expires.ns / XENO_NS_PER_MS);
    if (e->stamp.origin != 0) {
        xeno_replica_put_origin(o, "origin", e->stamp.origin);
        xeno_json_set_int(o, "seq", e->stamp.seq);
    }
    xeno_json_set_str(o, "advert", t->jws);
    xeno_json_set_str(o, "delta", t->delta);
    return o;
}

static int get_texts(const struct xeno_json_at *at, struct xeno_replica_text *t,
                     struct xeno_err *err)
{
    int r = xeno_json_str(at, "advert", 1, XENO_ADVERT_JWS_MAX, &t->jws, err);

    if (r < 0)
        return r;
    r = xeno_json_str_opt(at, "delta", 1, XENO_ADVERT_JWS_MAX, &t->delta, err);
    if (r < 0)
        return r;
    t->jws_len = strlen(t->jws);
    t->delta_len = t->delta ? strlen(t->delta) : 0;
    return 0;
}

int xeno_replica_get_entry(const struct xeno_json_at *at, struct xeno_replica_offer *ret,
                           struct xeno_err *err)
{
    struct xeno_replica_item *it = &ret->item;
    int64_t expires_ms;
    const char *id;
    int r = xeno_json_str(at, "id", XENO_ID_CHARS, XENO_ID_CHARS, &id, err);

    if (r == 0 && !xeno_id_ok(id))
        return xeno_fail(err, -EINVAL, "replica.id", "%s: '%s' is no id", at->path, id);
    if (r == 0)
        r = xeno_json_int(at, "version", 1, XENO_ADVERT_VERSION, &it->version, err);
    if (r == 0)
        r = xeno_json_int(at, "expires_ms", 0, INT64_MAX / XENO_NS_PER_MS, &expires_ms, err);
    if (r == 0)
        r = xeno_replica_get_origin(at, "origin", &it->stamp.origin, err);
    if (r == 0)
        r = xeno_json_int(at, "seq", 1, XENO_REPLICA_SEQ, &it->stamp.seq, err);
    if (r >= 0)
        r = get_texts(at, &ret->text, err);
    if (r < 0)
        return r;
    memcpy(it->id.s, id, sizeof it->id.s);
    it->expires = xeno_ms(expires_ms);
    return 0;
}
