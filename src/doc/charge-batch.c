/* src/doc/charge-batch.c - charges signed together (rfc/0002-charge.md 3). */
#include "doc/charge-priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "crypto/jws.h"

void xeno_charge_batch_free(struct xeno_charge_batch *b)
{
    if (!b)
        return;
    for (size_t i = 0; b->faults && i < b->count; i++)
        free(b->faults[i]);
    free(b->faults);
    free(b->charges);
    free(b);
}

static int bad_count(size_t count, struct xeno_err *err)
{
    return xeno_fail(err, -EINVAL, "charge.batch", "a batch of %zu charges, must be 1 to %d", count,
                     XENO_CHARGE_BATCH_MAX);
}

int xeno_charge_batch_sign(const struct xeno_key *server, const struct xeno_charge *charges,
                           size_t count, char **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    struct xeno_id id = xeno_id_of(xeno_key_pub(server));
    xeno_autofree char *text = NULL;
    xeno_autofree char *jws = NULL;
    struct xeno_json *list;
    size_t len;
    int r;

    if (count < 1 || count > XENO_CHARGE_BATCH_MAX)
        return bad_count(count, err);
    for (size_t i = 0; i < count; i++) {
        r = xeno_charge_check(&charges[i], err);
        if (r < 0)
            return xeno_context(err, r, "charges[%zu]", i);
    }
    list = xeno_json_array();
    for (size_t i = 0; i < count; i++)
        xeno_json_append(list, xeno_charge_json(&charges[i]));
    xeno_json_set_int(doc, "v", 1);
    xeno_json_set_str(doc, "server", id.s);
    xeno_json_set(doc, "charges", list);
    text = xeno_json_format(doc, false, &len);
    jws = xeno_jws_sign(server, XENO_TYP_CHARGES, text, len);
    if (strlen(jws) > XENO_CHARGE_BATCH_BYTES)
        return xeno_fail(err, -EFBIG, "charge.size",
                         "a batch of %zu bytes, at most %d: send fewer "
                         "charges at once",
                         strlen(jws), XENO_CHARGE_BATCH_BYTES);
    *ret = xeno_take(&jws);
    return 0;
}

/* One unsound charge is remembered as its fault; only one without a name spoils the batch. */
static int read_one(const struct xeno_json_at *at, struct xeno_charge *c, struct xeno_err **fault,
                    struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;

    if (xeno_charge_read(at, c, &why) == 0 && xeno_charge_check(c, &why) == 0)
        return 0;
    if (c->seq < 1 || !xeno_base32_ok(c->session, XENO_SESSION_ID_CHARS))
        return xeno_fail(err, why.code, why.token, "%s", why.text);
    *fault = xeno_memdup(&why, sizeof why);
    return 0;
}

static int read_charges(const struct xeno_json_at *top, struct xeno_charge_batch *b,
                        struct xeno_err *err)
{
    struct xeno_json_at list;
    size_t count;
    int r;

    r = xeno_json_arr(top, "charges", XENO_CHARGE_BATCH_MAX, &list, &count, err);
    if (r < 0)
        return r;
    if (count == 0)
        return bad_count(count, err);
    b->charges = xeno_new0_n(struct xeno_charge, count);
    b->faults = xeno_new0_n(struct xeno_err *, count);
    b->count = count;
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);

        r = read_one(&item, &b->charges[i], &b->faults[i], err);
    }
    return r;
}

static int read_batch(const struct xeno_json_at *top, struct xeno_charge_batch *b,
                      struct xeno_err *err)
{
    static const char *const known[] = { "v", "server", "charges", NULL };
    const char *server;
    int r;

    r = xeno_doc_version(top, err);
    if (r == 0)
        r = xeno_json_only(top, known, err);
    if (r == 0)
        r = xeno_json_str(top, "server", XENO_ID_CHARS, XENO_ID_CHARS, &server, err);
    if (r < 0)
        return r;
    if (strcmp(server, b->server.s) != 0)
        return xeno_fail(err, -EPERM, "charge.server", "the batch names %s and is signed by %s",
                         server, b->server.s);
    return read_charges(top, b, err);
}

int xeno_charge_batch_parse(const char *text, size_t len, struct xeno_charge_batch *b,
                            struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    int r;

    r = xeno_json_parse(text, len, XENO_CHARGE_BATCH_BYTES, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    return read_batch(&top, b, err);
}

int xeno_charge_batch_read(const char *text, size_t len, const struct xeno_pub *server,
                           struct xeno_charge_batch **ret, struct xeno_err *err)
{
    xeno_auto(xeno_charge_batch) b = NULL;
    xeno_auto(xeno_jws) jws = NULL;
    int r;

    if (len > XENO_CHARGE_BATCH_BYTES)
        return xeno_fail(err, -EFBIG, "charge.size", "a batch of %zu bytes, at most %d", len,
                         XENO_CHARGE_BATCH_BYTES);
    r = xeno_jws_parse(text, len, &jws, err);
    if (r == 0)
        r = xeno_jws_check(jws, XENO_TYP_CHARGES, server, err);
    if (r < 0)
        return r;
    b = xeno_new0(struct xeno_charge_batch);
    b->server = jws->kid;
    if (!xeno_charge_match(jws->payload, jws->payload_len, b))
        r = xeno_charge_batch_parse(jws->payload, jws->payload_len, b, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&b);
    return 0;
}
