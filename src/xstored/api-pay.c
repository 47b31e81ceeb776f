/* src/xstored/api-pay.c - certificates: arriving, looked at, reclaimed
 * (rfc/0013-storage-certificates.md). */
#include <errno.h>
#include <string.h>

#include "doc/order.h"
#include "xstored/pay.h"

#define LIST_MOST 1000
#define HOUR_MS   INT64_C(3600000)

/* Whose certificates? A pass for single repositories is not enough. Answers a refusal: then false.
 */
static bool owner(struct xstored *d, struct xeno_http_req *q, struct xstored_asker *who)
{
    struct xeno_err err = XENO_ERR_INIT;
    int r = xstored_who(d, q, who, &err);

    if (r == 0)
        r = xstored_may_list(who, &err);
    if (r < 0)
        xstored_refuse(d, q, &err);
    return r == 0;
}

/* --- arriving --- */

struct arrival {
    struct xeno_json *body; /* the texts are its */
    const char *text, *chain;
    struct xeno_writecert *cert;
    struct xeno_order_terms terms;
    struct xeno_keep_terms agreed;
    int64_t at_ms;
    bool fresh;
};

static void arrival_free(void *arg)
{
    struct arrival *a = arg;

    xeno_json_unref(a->body);
    xeno_writecert_free(a->cert);
    free(a);
}

/* The owner could be convinced of a wrong root only by a store that answers an audit with it. */
static int prove_roots(struct job *j, struct xeno_err *err)
{
    const struct arrival *a = j->args;
    int r = 0;

    for (size_t i = 0; r == 0 && i < a->cert->count; i++) {
        const struct xeno_stored_object *o = &a->cert->objects[i];
        xeno_auto(xeno_blocktree) tree = NULL;
        struct xeno_hash root;

        r = xeno_blocktree_new(o->size, -1, &tree, err);
        if (r == 0)
            r = pay_read(j->d, o->digest, o->size, tree, err);
        if (r == 0)
            r = xeno_blocktree_end(tree, &root, NULL, err);
        if (r == 0 && !xeno_hash_equal(&root, &o->root))
            r = xeno_fail(err, -EINVAL, "storage.objects", "%s has another root than it says",
                          o->digest);
    }
    return r;
}

static int act_arrival(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    struct arrival *a = j->args;
    int r = xstored_meta_matches(db, a->cert, err);

    if (r == 0)
        r = xeno_keep_add(db, a->cert, a->text, a->chain, a->terms.order, &a->terms.holder,
                          &a->agreed, a->at_ms, err);
    a->fresh = r > 0;
    return r;
}

/* The loop's connection sees what was committed. */
static void reply_view(struct job *j, const char *id, const char *who, int status)
{
    struct xeno_json *view = NULL;

    j->item.result = xeno_keep_view(j->d->view, who, id, pay_now(j->d), &view, &j->item.err);
    if (j->item.result >= 0)
        xeno_http_reply_json(j->q, status, view);
}

static void finish_arrival(struct job *j)
{
    const struct arrival *a = j->args;

    if (j->item.result < 0)
        return;
    reply_view(j, a->cert->id, a->cert->owner.s, a->fresh ? 202 : 200);
    pay_kick(j->d);
}

static int read_arrival(struct arrival *a, struct xeno_err *err)
{
    static const char *const known[] = { "certificate", "chain", NULL };
    struct xeno_json_at top = xeno_json_top(a->body);
    int r = xeno_json_only(&top, known, err);

    if (r == 0)
        r = xeno_json_str(&top, "certificate", 1, XENO_WRITECERT_BYTES_MAX, &a->text, err);
    return r < 0 ? r : xeno_json_str(&top, "chain", 1, XENO_ORDER_BYTES_MAX, &a->chain, err);
}

static int check_order(const struct xstored *d, struct arrival *a, const struct xeno_id *who,
                       struct xeno_err *err)
{
    struct xeno_id holder;
    int r = xeno_order_read(a->chain, strlen(a->chain), xeno_member_corp_pub(d->member), &a->terms,
                            err);

    if (r < 0)
        return r;
    holder = xeno_id_of(&a->terms.holder);
    if (strcmp(holder.s, who->s) != 0)
        return xeno_fail(err, -EPERM, "order.holder", "the order is for the key of %s, and %s asks",
                         holder.s, who->s);
    return xeno_writecert_read(a->text, strlen(a->text), &a->terms.holder, &a->cert, err);
}

static int check_arrival(const struct xstored *d, struct arrival *a, const struct xeno_id *who,
                         struct xeno_err *err)
{
    struct xeno_order_ctx ctx = { .server = xeno_member_id(d->member)->s,
                                  .env_type = XENO_STORAGE_ENV,
                                  .now = xeno_wall(d->env),
                                  .holder = &a->terms.holder };
    int r = check_order(d, a, who, err);

    if (r < 0)
        return r;
    if (a->agreed.price == 0)
        return xeno_fail(err, -EINVAL, "store.free", "keeping it costs nothing at this store");
    if (a->cert->expires.ns <= ctx.now.ns)
        return xeno_fail(err, -EINVAL, "storage.time", "the certificate has expired");
    ctx.rate_per_hour.micro = xeno_stored_cost(a->cert->size, a->agreed.price, HOUR_MS);
    r = xeno_order_permits(&a->terms, &ctx, err);
    return r < 0 ? r : xstored_meta_matches(d->view, a->cert, err);
}

void xstored_post_certificate(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_asker who;
    struct xeno_json *body = NULL;
    struct arrival *a;
    struct job *j;
    int r;

    if (!owner(d, q, &who) || xeno_http_body_json(q, &body) < 0)
        return;
    a = xeno_new0(struct arrival);
    a->body = body;
    a->agreed = pay_terms(d);
    a->at_ms = pay_now(d);
    r = read_arrival(a, &err);
    if (r == 0)
        r = check_arrival(d, a, &who.id, &err);
    if (r < 0) {
        arrival_free(a);
        xstored_refuse(d, q, &err);
        return;
    }
    j = job_new(d, q, act_arrival, a, arrival_free);
    j->prepare = prove_roots;
    j->finish = finish_arrival;
    j->item.bytes += sizeof *a + XENO_WRITECERT_BYTES_MAX;
    job_submit(j);
}

/* --- looked at --- */

void xstored_get_certificates(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_asker who;
    struct xeno_json *body, *list = NULL;

    if (!owner(d, q, &who))
        return;
    if (xeno_keep_list(d->view, who.id.s, LIST_MOST, pay_now(d), &list, &err) < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    body = xeno_json_object();
    xeno_json_set(body, "certificates", list);
    xeno_http_reply_json(q, 200, body);
}

void xstored_get_certificate(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_asker who;
    struct xeno_json *view = NULL;

    if (!owner(d, q, &who))
        return;
    if (xeno_keep_view(d->view, who.id.s, xeno_http_param(q, "certificate"), pay_now(d), &view,
                       &err) < 0)
        xstored_refuse(d, q, &err);
    else
        xeno_http_reply_json(q, 200, view);
}

/* --- reclaimed --- */

struct reclaim {
    char *id, *text;
    struct xeno_id who;
    int64_t at_ms;
};

static void reclaim_free(void *arg)
{
    struct reclaim *c = arg;

    free(c->id);
    free(c->text);
    free(c);
}

static int act_reclaim(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    const struct reclaim *c = j->args;
    xeno_autofree char *receipt = NULL;

    return xeno_keep_reclaim(db, xeno_member_key(j->d->member), c->id, c->text, c->at_ms, &receipt,
                             err);
}

static void finish_reclaim(struct job *j)
{
    const struct reclaim *c = j->args;

    if (j->item.result < 0)
        return;
    reply_view(j, c->id, c->who.s, 200);
    pay_kick(j->d);
}

void xstored_post_reclaim(struct xeno_http_req *q, void *user)
{
    static const char *const known[] = { "reclaim", NULL };
    struct xstored *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_asker who;
    xeno_auto(xeno_json) body = NULL;
    const char *text = NULL;
    struct xeno_json_at top;
    struct reclaim *c;
    struct job *j;
    int r;

    if (!owner(d, q, &who) || xeno_http_body_json(q, &body) < 0)
        return;
    top = xeno_json_top(body);
    r = xeno_json_only(&top, known, &err);
    if (r == 0)
        r = xeno_json_str(&top, "reclaim", 1, XENO_STORAGE_DOC_MAX, &text, &err);
    if (r < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    c = xeno_new0(struct reclaim);
    c->id = xeno_strdup(xeno_http_param(q, "certificate"));
    c->text = xeno_strdup(text);
    c->who = who.id;
    c->at_ms = pay_now(d);
    j = job_new(d, q, act_reclaim, c, reclaim_free);
    j->finish = finish_reclaim;
    job_submit(j);
}
