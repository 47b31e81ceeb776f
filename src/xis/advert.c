/* src/xis/advert.c - read adverts and withdrawals, and look into them. */
#include "xis/advert.h"

#include <errno.h>
#include <string.h>

#include "xis/advert-priv.h"

void xeno_advert_free(struct xeno_advert *a)
{
    if (!a)
        return;
    free(a->leaves);
    free(a->jws);
    free(a->delta);
    free(a);
}

struct xeno_advert *xeno_advert_pack(const struct xeno_leaf *leaves, size_t count)
{
    struct xeno_advert *a = xeno_new0(struct xeno_advert);
    size_t room = 0;
    char *text;

    for (size_t i = 0; i < count; i++)
        room += strlen(leaves[i].path) + strlen(leaves[i].value) + 2;
    a->leaf_count = count;
    a->leaves = xeno_alloc0(count * sizeof *a->leaves + room + 1, 1);
    text = (char *)(a->leaves + count);
    for (size_t i = 0; i < count; i++) {
        struct xeno_leaf *to = &a->leaves[i];

        *to = leaves[i];
        if (i > 0 && strcmp(to[-1].path, leaves[i].path) == 0) {
            to->path = to[-1].path; /* one text for the values of a set */
        } else {
            to->path = text;
            text = stpcpy(text, leaves[i].path) + 1;
        }
        to->value = text;
        text = stpcpy(text, leaves[i].value) + 1;
    }
    return a;
}

/* --- opening --- */

int xeno_advert_jws_read(const char *jws, size_t len, struct xeno_jws **ret, struct xeno_err *err)
{
    xeno_auto(xeno_jws) j = NULL;
    int r;

    if (len > XENO_ADVERT_JWS_MAX)
        return xeno_fail(err, -EFBIG, "advert.size",
                         "an advert has %zu bytes when signed, at most %d", len,
                         XENO_ADVERT_JWS_MAX);
    r = xeno_jws_parse(jws, len, &j, err);
    if (r < 0)
        return r;
    if (j->payload_len > XENO_ADVERT_MAX_BYTES)
        return xeno_fail(err, -EFBIG, "advert.size", "the document has %zu bytes, at most %d",
                         j->payload_len, XENO_ADVERT_MAX_BYTES);
    *ret = xeno_take(&j);
    return 0;
}

bool xeno_advert_kind_of(const struct xeno_jws *jws, enum xeno_advert_kind *ret)
{
    static const char *const typs[] = {
        [XENO_ADVERT_WHOLE] = XENO_ADVERT_TYP,
        [XENO_ADVERT_DELTA] = XENO_ADVERT_DELTA_TYP,
        [XENO_ADVERT_WITHDRAWAL] = XENO_ADVERT_WITHDRAWAL_TYP,
    };

    for (size_t i = 0; i < XENO_LEN(typs); i++) {
        if (strcmp(jws->typ, typs[i]) == 0) {
            *ret = (enum xeno_advert_kind)i;
            return true;
        }
    }
    return false;
}

static struct xeno_advert *advert_of(const struct xeno_advert_doc *d, bool withdrawn)
{
    struct xeno_advert *a = xeno_advert_pack(d->leaves, withdrawn ? 0 : d->count);

    a->id = d->id;
    a->key = d->key;
    a->version = a->base = d->version;
    a->expires = d->expires;
    a->withdrawn = withdrawn;
    if (!withdrawn)
        a->endpoint = a->leaves[d->head - 1].value;
    return a;
}

static int read_advert(const char *jws, size_t len, bool verify, struct xeno_advert **ret,
                       struct xeno_err *err)
{
    __attribute__((cleanup(xeno_advert_doc_release))) struct xeno_advert_doc d;
    xeno_auto(xeno_jws) j = NULL;
    enum xeno_advert_kind kind;
    struct xeno_advert *a;
    int r;

    d.text = (struct xeno_buf)XENO_BUF_INIT;
    r = xeno_advert_jws_read(jws, len, &j, err);
    if (r < 0)
        return r;
    if (!xeno_advert_kind_of(j, &kind) || kind == XENO_ADVERT_DELTA)
        return xeno_fail(err, -EPERM, "jws.typ", "the document is of type '%s', not '%s' or '%s'",
                         j->typ, XENO_ADVERT_TYP, XENO_ADVERT_WITHDRAWAL_TYP);
    r = xeno_advert_doc_read(j, kind, &d, err);
    if (r == 0 && verify)
        r = xeno_jws_check(j, j->typ, &d.key, err);
    if (r < 0)
        return r;
    a = advert_of(&d, kind == XENO_ADVERT_WITHDRAWAL);
    a->jws = xeno_strndup(jws, len);
    a->jws_len = len;
    *ret = a;
    return 0;
}

int xeno_advert_open(const char *jws, size_t len, struct xeno_advert **ret, struct xeno_err *err)
{
    return read_advert(jws, len, true, ret, err);
}

int xeno_advert_reopen(const char *jws, size_t len, struct xeno_advert **ret, struct xeno_err *err)
{
    return read_advert(jws, len, false, ret, err);
}

int xeno_advert_timely(const struct xeno_advert *a, xeno_time now, struct xeno_err *err)
{
    char text[XENO_TIME_TEXT];

    if (a->expires.ns <= now.ns)
        return xeno_fail(err, -ETIME, "advert.expired", "Expires: the lease was over at %s",
                         xeno_time_text(a->expires, text));
    if (a->expires.ns - now.ns > xeno_s(XENO_ADVERT_LEASE_S + XENO_ADVERT_SKEW_S).ns)
        return xeno_fail(err, -EINVAL, "advert.lease",
                         "Expires: the lease would go on until %s; at most %d s from now are "
                         "allowed",
                         xeno_time_text(a->expires, text), XENO_ADVERT_LEASE_S);
    return 0;
}

int xeno_advert_peek(const char *jws, size_t len, enum xeno_advert_kind *ret_kind,
                     struct xeno_id *ret_id, struct xeno_err *err)
{
    xeno_auto(xeno_jws) j = NULL;
    int r = xeno_advert_jws_read(jws, len, &j, err);

    if (r < 0)
        return r;
    if (!xeno_advert_kind_of(j, ret_kind))
        return xeno_fail(err, -EINVAL, "advert.form",
                         "a document of type '%s' is no advert, delta or withdrawal", j->typ);
    *ret_id = j->kid;
    return 0;
}

/* --- looking --- */

static const struct xeno_leaf *leaf_from(const struct xeno_advert *a, size_t i, const char *path)
{
    for (; i < a->leaf_count; i++) {
        if (strcmp(a->leaves[i].path, path) == 0)
            return &a->leaves[i];
    }
    return NULL;
}

const struct xeno_leaf *xeno_advert_leaf(const struct xeno_advert *a, const char *path)
{
    return leaf_from(a, 0, path);
}

const struct xeno_leaf *xeno_advert_leaf_next(const struct xeno_advert *a,
                                              const struct xeno_leaf *leaf)
{
    return leaf_from(a, (size_t)(leaf - a->leaves) + 1, leaf->path);
}

const char *xeno_advert_text(const struct xeno_advert *a, const char *path, const char *none)
{
    const struct xeno_leaf *leaf = xeno_advert_leaf(a, path);

    return leaf ? leaf->value : none;
}

double xeno_advert_number(const struct xeno_advert *a, const char *path, double none)
{
    const struct xeno_leaf *leaf = xeno_advert_leaf(a, path);

    return leaf && leaf->number ? leaf->n : none;
}
