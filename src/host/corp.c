/* src/host/corp.c - what a host asks its XenoCorp: validate an order, end a binding, take charges.
 *
 * All three are idempotent and sent until they are answered. When XenoCorp does not answer, one
 * clock for all of them keeps the host from hammering it: nothing is sent before corp_retry_ns.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"

#define RETRY_FIRST_MS   500
#define RETRY_MOST_MS    30000
#define RELEASES_AT_ONCE 8

bool corp_may(const struct xeno_host *h)
{
    return mono_ns(h) >= h->corp_retry_ns;
}

void corp_failed(struct xeno_host *h)
{
    h->count.corp_errors++;
    if (!corp_may(h))
        return; /* of several that were under way, the first one counts */
    h->corp_retry_ns =
        host_after(h, host_backoff(h, h->corp_tries++, RETRY_FIRST_MS, RETRY_MOST_MS));
}

static void corp_answered(struct xeno_host *h)
{
    h->corp_tries = 0;
    h->corp_retry_ns = 0;
}

void corp_send(struct xeno_host *h, const struct op *op, const char *path, const char *type,
               const char *key, const char *body, size_t len)
{
    h->ports.corp(
        h->ports.ctx, op->tag,
        &(struct xeno_host_corp_op){
            .path = path, .content_type = type, .key = key, .body = body, .body_len = len });
}

static void send_json(struct xeno_host *h, const struct op *op, const char *path, const char *key,
                      const struct xeno_json *doc)
{
    size_t len;
    xeno_autofree char *body = xeno_json_format(doc, false, &len);

    corp_send(h, op, path, "application/json", key, body, len);
}

/* --- validate --- */

static const char *chain_asked(const struct session *s)
{
    if (s->r.state == XENO_HELD)
        return s->chain;
    return s->next_chain;
}

static void ask_validation(struct xeno_host *h, struct session *s)
{
    xeno_auto(xeno_json) doc = NULL;
    xeno_autofree struct xeno_order_terms *terms = xeno_new0(struct xeno_order_terms);
    const char *chain = chain_asked(s);
    char holder[XENO_PUB_TEXT], key[XENO_SESSION_CHARS + 24];
    struct op *op;

    if (!chain || s->corp_tag != 0 ||
        xeno_order_read(chain, strlen(chain), &h->cfg.corp, terms, NULL) < 0)
        return; /* it was read before it was journalled: it can be read */
    xeno_pub_text(&terms->holder, holder);
    doc = xeno_json_object();
    xeno_json_set_str(doc, "chain", chain);
    xeno_json_set_str(doc, "session", s->id);
    xeno_json_set_int(doc, "epoch", 0);
    xeno_json_set_str(doc, "env_type", s->offer.env_type);
    xeno_json_set_int(doc, "rate_per_hour", session_hour_max(&s->offer));
    xeno_json_set_str(doc, "holder", holder);
    snprintf(key, sizeof(key), "%s-%lld", s->id, (long long)s->r.validations);
    op = op_new(h, OP_VALIDATE, s->id, terms->order, h->cfg.corp_timeout_ms);
    s->corp_tag = op->tag;
    send_json(h, op, "/v1/validate", key, doc);
}

struct bound {
    int64_t epoch, left, expires_ms;
};

static int read_bound(const struct xeno_json *reply, struct bound *ret, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(reply);
    int r;

    r = xeno_json_int(&top, "epoch", 1, INT64_MAX, &ret->epoch, err);
    if (r == 0)
        r = xeno_json_int(&top, "left", 0, XENO_CREDIT_MAX, &ret->left, err);
    if (r == 0)
        r = xeno_json_int(&top, "expires_ms", 0, INT64_MAX, &ret->expires_ms, err);
    return r;
}

/* What this session may be charged on an order of which `left` is left. */
static int64_t budget_of(const struct session *s, int64_t left)
{
    int64_t open = xeno_meter_open(&s->r.meter, &s->offer.tariff);
    int64_t own = s->offer.max_total > 0 ? s->offer.max_total - s->r.charged - open : left;

    if (own < 0)
        own = 0;
    return own < left ? own : left;
}

/* A new session's order is bound. */
static void begin_on_order(struct xeno_host *h, struct session *s, const struct bound *b)
{
    struct xeno_err err = XENO_ERR_INIT;
    int64_t budget = budget_of(s, b->left);
    char reason[REASON_CHARS];
    struct rec old = s->r;

    s->r.epoch = b->epoch;
    s->r.budget = budget;
    s->r.window_ms = b->expires_ms;
    if (s->r.ends_ms > b->expires_ms)
        s->r.ends_ms = b->expires_ms;
    if (money_enough(h, &s->offer, budget, &err) < 0) {
        reason_from(&err, reason);
        session_try_move(h, s, XENO_ON_FAIL, reason);
        return;
    }
    if (session_move(h, s, XENO_ON_VALIDATED, NULL, NULL) < 0)
        s->r = old; /* the journal is away: the next try asks again */
}

static void tell_order(struct xeno_host *h, struct session *s, const char *order, bool ok,
                       const struct xeno_err *why)
{
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_str(o, "order", order);
    xeno_json_set_bool(o, "ok", ok);
    if (why) {
        xeno_json_set_str(o, "type", why->token);
        xeno_json_set_str(o, "detail", why->text);
    }
    event_tell(h, s, "session.order", o);
}

void order_forget_next(struct rec *r)
{
    r->next_order[0] = '\0';
    r->next_for = FOR_NOTHING;
    r->next_lifetime_ms = 0;
}

/* Write what s->r and the chains are now; with `release`, that order's binding is to be ended. */
static int save_orders(struct xeno_host *h, struct session *s, const char *release,
                       struct xeno_err *err)
{
    int r = 0;

    if (release)
        r = journal_release_put(h, release, s->id, err);
    if (r == 0)
        r = journal_chain_put(h, s, err);
    if (r == 0)
        r = journal_session_put(h, s, err);
    return r;
}

/* The order that was to take over will not. */
static void drop_next(struct xeno_host *h, struct session *s, const struct xeno_err *why)
{
    char *chain = s->next_chain;
    char order[XENO_ORDER_ID_CHARS + 1];
    struct rec old = s->r;

    memcpy(order, s->r.next_order, sizeof(order));
    s->next_chain = NULL;
    order_forget_next(&s->r);
    if (xeno_db_begin(h->db, NULL) < 0 ||
        journal_end(h, save_orders(h, s, order, NULL), NULL) < 0) {
        s->r = old;
        s->next_chain = chain;
        return;
    }
    free(chain);
    op_drop(h, &s->corp_tag);
    release_add(h, order, s->id);
    tell_order(h, s, order, false, why);
}

static void use_next(struct rec *r, const struct bound *b, int64_t budget)
{
    memcpy(r->order, r->next_order, sizeof(r->order));
    r->epoch = b->epoch;
    r->budget = budget;
    r->order_charged = 0;
    r->window_ms = b->expires_ms;
    r->dead = 0;
    r->warned = 0;
    r->grace_ends_ms = 0;
    r->ends_ms += r->next_lifetime_ms;
    if (r->ends_ms > b->expires_ms)
        r->ends_ms = b->expires_ms;
    order_forget_next(r);
}

/* Can the order in force not be ended by a final charge? One that is dead takes none, and before a
 * session has run there is nothing to charge for. */
bool order_needs_release(const struct rec *r)
{
    return r->dead || r->meter.at_ms == 0;
}

/* The last charge of the old order, then the new one in its place; in the caller's transaction. */
static int write_switch(struct xeno_host *h, struct session *s, const struct bound *b,
                        int64_t budget, struct xeno_err *err)
{
    char old_order[XENO_ORDER_ID_CHARS + 1];
    bool release = order_needs_release(&s->r);
    int r = 0;

    memcpy(old_order, s->r.order, sizeof(old_order));
    if (s->r.meter.at_ms != 0)
        r = charge_cut(h, s, true, err);
    if (r < 0)
        return r;
    use_next(&s->r, b, budget);
    return save_orders(h, s, release ? old_order : NULL, err);
}

static void switched(struct xeno_host *h, struct session *s, const struct rec *old,
                     enum purpose purpose)
{
    struct xeno_err err = XENO_ERR_INIT;

    outbox_added(h, s, old);
    if (order_needs_release(old))
        release_add(h, old->order, s->id);
    tell_order(h, s, s->r.order, true, NULL);
    if (purpose == FOR_RESTORE && session_move(h, s, XENO_ON_RESTORE, NULL, &err) < 0)
        tell_order(h, s, s->r.order, true, &err); /* paid for, but no room: it can be tried again */
    outbox_kick(h);
}

/* The next order is bound: everything up to now is the old one's, the rest is this one's. */
static void switch_order(struct xeno_host *h, struct session *s, const struct bound *b)
{
    struct xeno_err err = XENO_ERR_INIT;
    char *old_chain = s->chain, *new_chain = s->next_chain;
    enum purpose purpose = (enum purpose)s->r.next_for;
    struct rec old;
    int64_t budget;

    session_advance(h, s);
    budget = budget_of(s, b->left);
    if (money_enough(h, &s->offer, budget, &err) < 0) {
        drop_next(h, s, &err);
        return;
    }
    old = s->r;
    s->chain = new_chain;
    s->next_chain = NULL;
    if (xeno_db_begin(h->db, NULL) < 0 ||
        journal_end(h, write_switch(h, s, b, budget, NULL), NULL) < 0) {
        s->r = old; /* asked again by the next tick */
        s->chain = old_chain;
        s->next_chain = new_chain;
        return;
    }
    free(old_chain);
    switched(h, s, &old, purpose);
}

static void validated(struct xeno_host *h, const struct op *op, const struct xeno_json *reply,
                      const struct xeno_err *refusal)
{
    struct session *s = host_session(h, op->session);
    struct xeno_err err = XENO_ERR_INIT;
    char reason[REASON_CHARS];
    struct bound b;

    if (!s || s->corp_tag != op->tag)
        return;
    s->corp_tag = 0;
    if (!refusal && read_bound(reply, &b, &err) < 0) {
        corp_failed(h); /* an answer that is none: as if it had been lost */
        return;
    }
    if (s->r.state != XENO_HELD && !s->next_chain)
        return;
    if (!refusal && s->r.state == XENO_HELD) {
        begin_on_order(h, s, &b);
    } else if (!refusal) {
        switch_order(h, s, &b);
    } else if (s->r.state == XENO_HELD) {
        reason_from(refusal, reason);
        session_try_move(h, s, XENO_ON_FAIL, reason);
    } else {
        drop_next(h, s, refusal);
    }
}

/* --- release --- */

/* An answer to a validation may still be on its way when the release is: only after a while does
 * "never bound" mean that it never will be. */
void release_add(struct xeno_host *h, const char *order, const char *session)
{
    struct release *rel = xeno_new0(struct release);

    snprintf(rel->order, sizeof(rel->order), "%s", order);
    snprintf(rel->session, sizeof(rel->session), "%s", session);
    rel->sure_ns = mono_ns(h) + 2 * h->cfg.corp_timeout_ms * XENO_NS_PER_MS;
    rel->next = h->releases;
    h->releases = rel;
}

static void ask_releases(struct xeno_host *h)
{
    int under_way = 0;

    for (struct release *rel = h->releases; rel; rel = rel->next)
        under_way += rel->tag != 0;
    for (struct release *rel = h->releases; rel && under_way < RELEASES_AT_ONCE; rel = rel->next) {
        xeno_auto(xeno_json) doc = NULL;
        uint8_t nonce[10];
        char key[17];
        struct op *op;

        if (rel->tag != 0 || mono_ns(h) < rel->retry_ns)
            continue;
        doc = xeno_json_object();
        xeno_json_set_str(doc, "order", rel->order);
        xeno_json_set_str(doc, "session", rel->session);
        /* A key of its own each time: an answer that was kept may have become untrue. */
        xeno_random(h->env, nonce, sizeof(nonce));
        xeno_base32(nonce, sizeof(nonce), key);
        op = op_new(h, OP_RELEASE, rel->session, rel->order, h->cfg.corp_timeout_ms);
        rel->tag = op->tag;
        under_way++;
        send_json(h, op, "/v1/validate/release", key, doc);
    }
}

static void released(struct xeno_host *h, const struct op *op, const struct xeno_err *refusal)
{
    struct release **at = &h->releases, *rel;

    while (*at && (*at)->tag != op->tag)
        at = &(*at)->next;
    rel = *at;
    if (!rel)
        return;
    rel->tag = 0;
    if (refusal && mono_ns(h) < rel->sure_ns) {
        rel->retry_ns = host_after(h, h->cfg.corp_timeout_ms);
        return;
    }
    if (xeno_db_begin(h->db, NULL) < 0 ||
        journal_end(h, journal_release_drop(h, rel->order, rel->session, NULL), NULL) < 0) {
        rel->retry_ns = host_after(h, RETRY_MOST_MS);
        return;
    }
    *at = rel->next;
    free(rel);
}

/* --- all three --- */

void corp_kick(struct xeno_host *h)
{
    struct session *s, *next;

    if (!corp_may(h))
        return;
    HASH_ITER (hh, h->sessions, s, next)
        if (s->r.state == XENO_HELD || s->next_chain)
            ask_validation(h, s);
    ask_releases(h);
    outbox_kick(h);
    log_kick(h);
}

/* Nobody answered, or with nothing that settles it. */
static void unanswered(struct xeno_host *h, const struct op *op)
{
    struct session *s = host_session(h, op->session);

    if (op->kind == OP_CHARGES && h->outbox_tag == op->tag)
        h->outbox_tag = 0;
    if (op->kind == OP_VALIDATE && s && s->corp_tag == op->tag)
        s->corp_tag = 0;
    for (struct release *rel = h->releases; rel; rel = rel->next)
        if (rel->tag == op->tag)
            rel->tag = 0;
    log_unanswered(h, op);
    corp_failed(h);
}

void corp_timed_out(struct xeno_host *h, const struct op *op)
{
    unanswered(h, op);
}

void xeno_host_corp_done(struct xeno_host *h, uint64_t tag, const struct xeno_json *reply,
                         bool refused, const struct xeno_err *failure)
{
    struct op *op = op_take(h, tag);

    if (!op) {
        h->count.late_answers++;
        return;
    }
    if ((failure || !reply) && !refused) {
        unanswered(h, op);
        free(op);
        return;
    }
    corp_answered(h);
    if (op->kind == OP_CHARGES && refused)
        outbox_refused(h);
    else if (op->kind == OP_VALIDATE)
        validated(h, op, reply, refused ? failure : NULL);
    else if (op->kind == OP_RELEASE)
        released(h, op, refused ? failure : NULL);
    else if (op->kind == OP_CHARGES)
        outbox_done(h, op, reply);
    else if (op->kind == OP_LOG)
        log_proved(h, op, reply, refused ? failure : NULL);
    if (reply)
        log_receipt(h, reply);
    free(op);
    corp_kick(h);
}

/* The validation of a next order takes too long: the session stays on what it has. */
void corp_expire_next(struct xeno_host *h, struct session *s)
{
    struct xeno_err why = XENO_ERR_INIT;

    if (!s->next_chain || mono_ns(h) < s->next_deadline_ns)
        return;
    xeno_fail(&why, -ETIMEDOUT, "corp.timeout", "the XenoCorp did not answer in time");
    drop_next(h, s, &why);
}
