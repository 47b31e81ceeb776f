/* src/corp/validate.c - binding orders to sessions, and letting them go. */
#include "corp/validate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/enc.h"
#include "corp/internal.h"

struct xeno_validation {
    char server[XENO_ID_CHARS + 1];
    char session[CORP_SESSION_CHARS + 1];
    char order[CORP_ORDER_CHARS + 1];
    char env_type[XENO_ENV_TYPE_CHARS + 1];
    char holder[XENO_PUB_TEXT];
    int64_t epoch, rate_per_hour, limit;
    struct corp_terms terms;
    char *chain, *certificate;   /* owned; certificate NULL: of a session */
    struct xeno_writecert *cert; /* what it says */
};

void xeno_validation_free(struct xeno_validation *v)
{
    if (!v)
        return;
    xeno_writecert_free(v->cert);
    free(v->certificate);
    free(v->chain);
    free(v);
}

static int check_ask(const struct xeno_validate_ask *ask, struct xeno_err *err)
{
    if (!xeno_base32_ok(ask->session, CORP_SESSION_CHARS))
        return xeno_fail(err, -EINVAL, "order.session", "session is %d base32 letters",
                         CORP_SESSION_CHARS);
    if (ask->epoch < 0)
        return xeno_fail(err, -EINVAL, "order.epoch", "epoch is 0 or more, not %" PRId64,
                         ask->epoch);
    return 0;
}

static struct xeno_validation *validation_new(const struct xeno_validate_ask *ask,
                                              const struct xeno_order_terms *t)
{
    struct xeno_validation *v = xeno_new0(struct xeno_validation);

    snprintf(v->server, sizeof v->server, "%s", ask->server);
    snprintf(v->session, sizeof v->session, "%s", ask->session);
    snprintf(v->order, sizeof v->order, "%s", t->order);
    snprintf(v->env_type, sizeof v->env_type, "%s", ask->env_type);
    xeno_pub_text(&ask->holder, v->holder);
    v->epoch = ask->epoch;
    v->rate_per_hour = ask->rate_per_hour.micro;
    v->limit = t->limit.micro;
    v->terms = (struct corp_terms){
        .max_total = t->max_total.micro,
        .max_rate = t->max_rate.micro == INT64_MAX ? 0 : t->max_rate.micro,
        .not_before_ms = t->not_before.ns / XENO_NS_PER_MS,
        .not_after_ms = t->not_after.ns / XENO_NS_PER_MS,
    };
    v->chain = xeno_strndup(ask->chain, ask->chain_len);
    return v;
}

/* The certificate of a node's ask, if that has one: signed by who may use the order. */
static int check_certificate(const struct xeno_validate_ask *ask, struct xeno_writecert **ret,
                             struct xeno_err *err)
{
    bool storage = strcmp(ask->env_type, XENO_STORAGE_ENV) == 0;
    int r;

    if (storage != (ask->certificate != NULL))
        return xeno_fail(err, -EINVAL, "order.certificate",
                         "an environment of type '%s' %s a write certificate", ask->env_type,
                         storage ? "needs" : "has no");
    if (!ask->certificate)
        return 0;
    r = xeno_writecert_read(ask->certificate, strlen(ask->certificate), &ask->holder, ret, err);
    if (r == 0 && strcmp((*ret)->id, ask->session) != 0)
        r = xeno_fail(err, -EINVAL, "order.certificate", "session is not the certificate's id");
    return r;
}

int xeno_validate_check(const struct xeno_pub *corp, xeno_time now,
                        const struct xeno_validate_ask *ask, struct xeno_validation **ret,
                        struct xeno_err *err)
{
    struct xeno_order_terms terms;
    struct xeno_order_ctx ctx = {
        .server = ask->server,
        .env_type = ask->env_type,
        .now = now,
        .rate_per_hour = ask->rate_per_hour,
        .holder = &ask->holder,
    };
    xeno_auto(xeno_writecert) cert = NULL;
    int r = check_ask(ask, err);

    if (r == 0)
        r = check_certificate(ask, &cert, err);
    if (r == 0)
        r = xeno_order_read(ask->chain, ask->chain_len, corp, &terms, err);
    if (r == 0)
        r = xeno_order_permits(&terms, &ctx, err);
    if (r < 0)
        return r;
    *ret = validation_new(ask, &terms);
    (*ret)->certificate = cert ? xeno_strdup(ask->certificate) : NULL;
    (*ret)->cert = xeno_take(&cert);
    return 0;
}

/* --- binding --- */

static void fill_bound(const struct corp_order *o, const struct xeno_validation *v,
                       struct xeno_bound *ret)
{
    int64_t left = o->terms.max_total - o->charged;

    *ret = (struct xeno_bound){
        .epoch = o->epoch,
        .limit = { o->terms.max_total },
        .charged = { o->charged },
        .left = { left < 0 ? 0 : left },
        .expires_ms = o->terms.not_after_ms < o->expires_ms ? o->terms.not_after_ms : o->expires_ms,
        .deadline_ms = o->deadline_ms,
    };
    memcpy(ret->order, o->id, sizeof ret->order);
    memcpy(ret->session, v->session, sizeof ret->session);
}

/* A repeat of the question is answered even when the order is closing or has expired: the binding
 * is there. What follows is for a new one. */
static int check_bindable(struct xeno_corp *corp, const struct corp_order *o,
                          const struct xeno_validation *v, struct xeno_err *err)
{
    if (o->state == CORP_ORDER_CLOSING || o->state == CORP_ORDER_CLOSED)
        return xeno_fail(err, -EPERM, "order.closed", "its owner closed order %s", o->id);
    if (o->state == CORP_ORDER_EXPIRED || o->expires_ms <= xeno_corp_now_ms(corp))
        return xeno_fail(err, -EPERM, "order.expired", "order %s has expired", o->id);
    if (o->charged >= v->terms.max_total)
        return xeno_fail(
            err, -EDQUOT, "order.spent", "order %s: all of the %s credits it allows are charged",
            o->id, xeno_credit_text(xeno_micro(v->terms.max_total), (char[XENO_CREDIT_TEXT]){ 0 }));
    return 0;
}

/* Only an order whose sponsor is disabled gets no new binding; its id is not told. */
static int check_sponsor(struct xeno_corp *corp, const struct corp_order *o, struct xeno_err *err)
{
    int64_t disabled = 0;
    int r = corp_one(corp, 0, &disabled, err, "SELECT disabled_ms FROM party WHERE n = $1", "i",
                     o->client);

    if (r < 0)
        return r;
    if (disabled != 0)
        return xeno_fail(err, -EPERM, "registry.disabled", "the sponsor of order %s is disabled",
                         o->id);
    return 0;
}

static int insert_binding(struct xeno_corp *corp, const struct corp_order *o,
                          const struct xeno_validation *v, int64_t epoch, int64_t session,
                          int64_t server, int64_t from_ms, struct xeno_err *err)
{
    int r = corp_run(corp, err,
                     "INSERT INTO binding (ord, epoch, session, server, from_ms, ended_ms, how,"
                     " charged, max_total, max_rate, not_before_ms, not_after_ms, rate_per_hour,"
                     " env_type, holder, leaf)"
                     " VALUES ($1, $2, $3, $4, $5, 0, 0, 0, $6, $7, $8, $9, $10, $11, $12, $13)",
                     "iiiiiiiiiitti", o->n, epoch, session, server, from_ms, v->terms.max_total,
                     v->terms.max_rate, v->terms.not_before_ms, v->terms.not_after_ms,
                     v->rate_per_hour, v->env_type, v->holder, corp_log_next(corp));

    if (r >= 0)
        r = corp_run(corp, err, "INSERT INTO binding_text (ord, epoch, chain) VALUES ($1, $2, $3)",
                     "iit", o->n, epoch, v->chain);
    return r < 0 ? r : 0;
}

/* Epoch 0 binds a session for the first time only: a question that was delayed on its way must not
 * bind an order again after its session has ended. */
static int check_fresh(struct xeno_corp *corp, const struct corp_order *o,
                       const struct xeno_validation *v, const struct corp_session *s,
                       struct xeno_err *err)
{
    int64_t ended = 0;
    int r = 0;

    if (v->epoch == o->epoch + 1)
        return 0;
    if (v->epoch == 0 && s)
        r = corp_one(corp, 0, &ended, err,
                     "SELECT count(*) FROM binding WHERE ord = $1 AND session = $2", "ii", o->n,
                     s->n);
    if (r < 0)
        return r;
    if (v->epoch != 0 || ended != 0)
        return xeno_fail(err, -EALREADY, "order.epoch",
                         "order %s is not bound; to bind it again ask for epoch %" PRId64, o->id,
                         o->epoch + 1);
    return 0;
}

/* A presentation is for one binding: the XenoServer still has it when that has ended. */
static int check_unused(struct xeno_corp *corp, const struct corp_order *o,
                        const struct xeno_validation *v, struct xeno_err *err)
{
    int64_t used = 0;
    int r = 0;

    if (o->epoch > 0)
        r = corp_one(corp, 0, &used, err,
                     "SELECT count(*) FROM binding_text WHERE ord = $1 AND chain = $2", "it", o->n,
                     v->chain);
    if (r < 0)
        return r;
    if (used != 0)
        return xeno_fail(err, -EPERM, "order.presented",
                         "order %s was bound by this presentation before: its holder must present "
                         "it again",
                         o->id);
    return 0;
}

static int bind_order(struct xeno_corp *corp, struct corp_order *o, const struct corp_party *server,
                      const struct xeno_validation *v, struct xeno_err *err)
{
    struct corp_session *s = NULL;
    int64_t now = xeno_corp_now_ms(corp), copy = 0;
    int r = check_bindable(corp, o, v, err);

    if (r == 0)
        r = check_sponsor(corp, o, err);
    if (r == 0)
        r = corp_session(corp, server->n, v->session, &s, err);
    if (r == 0)
        r = check_fresh(corp, o, v, s, err);
    if (r == 0)
        r = check_unused(corp, o, v, err);
    if (r == 0 && v->cert)
        r = corp_certificate_copy(corp, o, v->cert, &copy, err);
    if (r == 0 && !s)
        r = corp_session_new(corp, server->n, v->session, &s, err);
    if (r == 0)
        r = insert_binding(corp, o, v, o->epoch + 1, s->n, server->n, now, err);
    if (r < 0)
        return r;
    o->epoch++;
    o->session = s->n;
    o->server = server->n;
    o->from_ms = now;
    o->to_ms = now;
    o->bound_charged = 0;
    o->base = o->charged;
    o->suspended_ms = 0;
    o->terms = v->terms;
    corp_order_dirty(corp, o);
    if (v->cert)
        r = corp_certificate_new(corp, o, v->holder, v->certificate, v->cert, copy, err);
    if (r < 0)
        return r;
    return corp_log_binding(corp, o, v->server, v->session, "validate", "bound", err);
}

/* The same session goes on under a higher epoch. Its work goes on too: what it did since its last
 * charge may be charged under the new epoch, and its rate is counted from the same start. */
static int rebind_order(struct xeno_corp *corp, struct corp_order *o,
                        const struct xeno_validation *v, struct xeno_err *err)
{
    int64_t from_ms = o->from_ms;
    int r = check_bindable(corp, o, v, err);

    if (r == 0)
        r = corp_run(corp, err,
                     "UPDATE binding SET ended_ms = $1, how = $2, charged = $3"
                     " WHERE ord = $4 AND epoch = $5",
                     "iiiii", xeno_corp_now_ms(corp), (int64_t)CORP_END_REBOUND, o->bound_charged,
                     o->n, o->epoch);
    if (r >= 0)
        r = insert_binding(corp, o, v, o->epoch + 1, o->session, o->server, from_ms, err);
    if (r < 0)
        return r;
    o->epoch++;
    o->bound_charged = 0;
    o->terms = v->terms;
    corp_order_dirty(corp, o);
    return corp_log_binding(corp, o, v->server, v->session, "validate", "rebound", err);
}

/* The order is bound: to this very session (0, or the epoch after its own), or the ask is refused.
 */
static int validate_bound(struct xeno_corp *corp, struct corp_order *o,
                          const struct corp_party *server, const struct xeno_validation *v,
                          struct xeno_err *err)
{
    struct corp_session *s = NULL;
    int r = corp_session(corp, server->n, v->session, &s, err);

    if (r < 0)
        return r;
    if (!s || o->session != s->n)
        return xeno_fail(err, -EBUSY, "order.bound",
                         "order %s is bound to another session until that ends", o->id);
    if (v->epoch == 0 || v->epoch == o->epoch)
        return 0;
    if (v->epoch != o->epoch + 1 || v->cert)
        return xeno_fail(err, -EALREADY, "order.epoch",
                         "order %s is bound under epoch %" PRId64 ", not %" PRId64, o->id, o->epoch,
                         v->epoch);
    return rebind_order(corp, o, v, err);
}

int xeno_validate_apply(struct xeno_corp *corp, const struct xeno_validation *v,
                        struct xeno_bound *ret, struct xeno_err *err)
{
    struct corp_party *server = NULL;
    struct corp_order *o = NULL;
    int r = corp_party_of_kind(corp, v->server, v->cert ? CORP_NODE : CORP_SERVER, &server, err);

    if (r == 0)
        r = corp_order(corp, v->order, &o, err);
    if (r < 0)
        return r;
    if (o->amount != v->limit)
        return xeno_fail(err, -EPERM, "order.limit", "order %s is not for that amount", o->id);
    if (o->session != 0)
        r = validate_bound(corp, o, server, v, err);
    else
        r = bind_order(corp, o, server, v, err);
    if (r < 0)
        return r;
    fill_bound(o, v, ret);
    return v->cert ? corp_certificate_of(corp, o, &ret->copy, err) : 0;
}

int xeno_validate_release(struct xeno_corp *corp, const char *server, const char *order,
                          const char *session, struct xeno_err *err)
{
    struct corp_session *s = NULL;
    struct corp_party *p = NULL;
    struct corp_order *o = NULL;
    int64_t known = 0;
    int r = corp_party_seller(corp, server, &p, err);

    if (r == 0)
        r = corp_order(corp, order, &o, err);
    if (r == 0)
        r = corp_session(corp, p->n, session, &s, err);
    if (r == 0 && s)
        r = corp_one(corp, 0, &known, err,
                     "SELECT count(*) FROM binding WHERE ord = $1 AND session = $2", "ii", o->n,
                     s->n);
    if (r < 0)
        return r;
    if (known == 0)
        return xeno_fail(err, -EPERM, "order.server",
                         "order %s was never bound to this server and session", o->id);
    if (o->session != s->n)
        return 0;
    return corp_unbind(corp, o, CORP_END_RELEASED, err);
}
