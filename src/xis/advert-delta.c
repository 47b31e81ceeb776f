/* src/xis/advert-delta.c - new numbers for a document. */
#include <errno.h>
#include <string.h>

#include "xis/advert-priv.h"

#define SLOTS 1024 /* twice the leaves there may be */
#define NONE  UINT16_MAX

/* Which leaves of a document have a path: chains through next[], in document order. Leaves that got
 * their number are taken out, so that the next one of a set comes first. */
struct paths {
    uint16_t first[SLOTS], next[XENO_ADVERT_LEAVES];
    const struct xeno_leaf *leaves;
};

static unsigned slot_of(const char *path)
{
    uint32_t h = 2166136261U;

    for (; *path; path++)
        h = (h ^ (unsigned char)*path) * 16777619U;
    return h % SLOTS;
}

static void paths_init(struct paths *p, const struct xeno_leaf *leaves, size_t count)
{
    p->leaves = leaves;
    memset(p->first, 0xff, sizeof p->first);
    for (size_t i = count; i-- > 0;) {
        uint16_t *first = &p->first[slot_of(leaves[i].path)];

        p->next[i] = *first;
        *first = (uint16_t)i;
    }
}

/* The first leaf of that path that is left; NONE. Taken out if `take`. */
static uint16_t paths_find(struct paths *p, const char *path, bool take)
{
    uint16_t *at = &p->first[slot_of(path)], i;

    while (*at != NONE && strcmp(p->leaves[*at].path, path) != 0)
        at = &p->next[*at];
    i = *at;
    if (i != NONE && take)
        *at = p->next[i];
    return i;
}

static int refused(struct xeno_err *err, const char *path, const char *why)
{
    return xeno_fail(err, -EINVAL, "advert.delta", "%s: %s", path, why);
}

/* Put the delta's numbers into `leaves`, a copy of the document's. */
static int apply(struct xeno_leaf *leaves, size_t count, const struct xeno_advert_doc *d,
                 struct xeno_err *err)
{
    struct paths paths;

    paths_init(&paths, leaves, count);
    for (size_t i = d->head; i < d->count; i++) {
        const struct xeno_leaf *from = &d->leaves[i];
        uint16_t at = paths_find(&paths, from->path, true);

        if (at == NONE)
            return refused(err, from->path, "the document has no such element, or not so many");
        if (!from->number || !leaves[at].number)
            return refused(err, from->path, "a delta gives numbers for numbers only");
        leaves[at].value = from->value;
        leaves[at].n = from->n;
    }
    for (size_t i = d->head; i < d->count; i++) {
        if (paths_find(&paths, d->leaves[i].path, false) != NONE)
            return refused(err, d->leaves[i].path, "the document has more of these elements");
    }
    return 0;
}

static void set_number(struct xeno_leaf *leaf, const char *value)
{
    leaf->value = value;
    leaf->number = xeno_advert_is_number(value, &leaf->n);
    if (!leaf->number)
        leaf->n = 0;
}

/* The document with version, expiry and numbers of the delta. */
static int combine(const struct xeno_advert *whole, const struct xeno_advert_doc *d,
                   struct xeno_advert **ret, struct xeno_err *err)
{
    struct xeno_leaf leaves[XENO_ADVERT_LEAVES];
    struct xeno_advert *a;
    int r;

    memcpy(leaves, whole->leaves, whole->leaf_count * sizeof *leaves);
    r = apply(leaves, whole->leaf_count, d, err);
    if (r < 0)
        return r;
    set_number(&leaves[XENO_ADVERT_AT_VERSION], d->leaves[1].value);
    set_number(&leaves[XENO_ADVERT_AT_EXPIRES], d->leaves[3].value);
    a = xeno_advert_pack(leaves, whole->leaf_count);
    a->id = whole->id;
    a->key = whole->key;
    a->version = d->version;
    a->base = d->base;
    a->expires = d->expires;
    a->endpoint = xeno_advert_leaf(a, "Endpoint")->value;
    *ret = a;
    return 0;
}

static int check_base(const struct xeno_advert *a, const struct xeno_advert_doc *d,
                      struct xeno_err *err)
{
    if (strcmp(a->id.s, d->id.s) != 0)
        return xeno_fail(err, -EPERM, "advert.key", "a delta of %s, the advert is that of %s",
                         d->id.s, a->id.s);
    if (a->withdrawn || d->base != a->base)
        return xeno_fail(err, -ESTALE, "advert.base",
                         "Base: the delta belongs to version %lld, the document here is %lld%s",
                         (long long)d->base, (long long)a->base, a->withdrawn ? ", withdrawn" : "");
    if (d->version <= d->base)
        return xeno_fail(err, -EINVAL, "advert.delta", "Version: it is not higher than Base");
    return 0;
}

static int merge(const struct xeno_advert *a, const char *delta, size_t len, bool verify,
                 struct xeno_advert **ret, struct xeno_err *err)
{
    __attribute__((cleanup(xeno_advert_doc_release))) struct xeno_advert_doc d;
    xeno_auto(xeno_jws) j = NULL;
    xeno_auto(xeno_advert) whole = NULL;
    struct xeno_advert *made = NULL;
    enum xeno_advert_kind kind;
    int r;

    d.text = (struct xeno_buf)XENO_BUF_INIT;
    r = xeno_advert_jws_read(delta, len, &j, err);
    if (r < 0)
        return r;
    if (!xeno_advert_kind_of(j, &kind) || kind != XENO_ADVERT_DELTA)
        return xeno_fail(err, -EPERM, "jws.typ", "the document is of type '%s', not '%s'", j->typ,
                         XENO_ADVERT_DELTA_TYP);
    r = xeno_advert_doc_read(j, kind, &d, err);
    if (r == 0)
        r = check_base(a, &d, err);
    if (r == 0 && verify)
        r = xeno_jws_check(j, XENO_ADVERT_DELTA_TYP, &a->key, err);
    if (r == 0 && a->delta) /* numbers that moved back are not in the new delta */
        r = xeno_advert_reopen(a->jws, a->jws_len, &whole, err);
    if (r == 0)
        r = combine(whole ? whole : a, &d, &made, err);
    if (r < 0)
        return r;
    made->jws = xeno_strndup(a->jws, a->jws_len);
    made->jws_len = a->jws_len;
    made->delta = xeno_strndup(delta, len);
    made->delta_len = len;
    *ret = made;
    return 0;
}

int xeno_advert_merge(const struct xeno_advert *a, const char *delta, size_t len,
                      struct xeno_advert **ret, struct xeno_err *err)
{
    return merge(a, delta, len, true, ret, err);
}

int xeno_advert_remerge(const struct xeno_advert *a, const char *delta, size_t len,
                        struct xeno_advert **ret, struct xeno_err *err)
{
    return merge(a, delta, len, false, ret, err);
}
