/* src/host/ask.c - holds and new sessions: everything between a request and a claim. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"
#include "spec/match.h"

static void new_id(struct xeno_host *h, char out[XENO_SESSION_CHARS + 1])
{
    xeno_session_id_new(h->env, out);
}

/* A name for people: printable ASCII without quotes, as it goes into annotations and logs. */
static int check_name(const char *name, struct xeno_err *err)
{
    size_t len = strlen(name);

    if (len < 1 || len > XENO_SESSION_NAME_MAX)
        return xeno_fail(err, -EINVAL, "session.name", "name: 1 to %d characters",
                         XENO_SESSION_NAME_MAX);
    for (const char *p = name; *p; p++)
        if (*p < ' ' || *p > '~' || strchr("\"'\\`", *p))
            return xeno_fail(err, -EINVAL, "session.name",
                             "name: printable ASCII without quotes and backslashes");
    return 0;
}

/* --- offers --- */

static int match(const struct xeno_host *h, const struct xeno_requirement *req,
                 struct xeno_err *err)
{
    struct xeno_free limit = xeno_admission_limit(h->admission);
    struct xeno_offer offer = {
        .env_types = h->cfg.env_types,
        .kernel = h->cfg.kernel,
        .cpu_msps = limit.cpu_msps,
        .memory_bytes = limit.memory_bytes,
        .disk_bytes = limit.disk_bytes,
        .net_kbps = limit.net_kbps,
        .addresses = limit.own_addresses > 0 ? 1 : 0,
        .port_first = h->cfg.capacity.port_first,
        .port_last = h->cfg.capacity.port_last,
    };

    if (req->port_count > XENO_TASK_PORTS_MAX)
        return xeno_fail(err, -ERANGE, "admission.ports", "Port: asked %zu, the limit is %d",
                         req->port_count, XENO_TASK_PORTS_MAX);
    return xeno_match(req, &offer, err);
}

static int check_price(const struct offer *o, const struct xeno_requirement *req,
                       struct xeno_err *err)
{
    int64_t most = session_hour_max(o);
    char is[XENO_CREDIT_TEXT], limit[XENO_CREDIT_TEXT];

    if (most > XENO_CREDIT_MAX)
        return xeno_fail(err, -ERANGE, "price.range", "an hour of this costs more than any order");
    if (req->max_per_hour == 0 || most <= req->max_per_hour)
        return 0;
    return xeno_fail(err, -EDQUOT, "price.per-hour",
                     "it can cost %s credits an hour here; MaxPricePerHour is %s",
                     xeno_credit_text(xeno_micro(most), is),
                     xeno_credit_text(xeno_micro(req->max_per_hour), limit));
}

/* What this host offers for a requirement, but for its image. */
static int offer_terms(struct xeno_host *h, const struct xeno_requirement *req, struct offer *ret,
                       struct xeno_err *err)
{
    int r;

    r = match(h, req, err);
    if (r < 0)
        return r;
    snprintf(ret->name, sizeof(ret->name), "%s", req->name);
    snprintf(ret->env_type, sizeof(ret->env_type), "%s", req->env_type);
    xeno_requirement_grant(req, &ret->grant);
    ret->tariff = h->cfg.tariff;
    ret->lifetime_ms = req->lifetime_s * 1000;
    ret->max_total = req->max_total;
    ret->tasks_max = req->tasks;
    return check_price(ret, req, err);
}

/* All of it; nothing is claimed. Release it in any case. */
static int offer_make(struct xeno_host *h, const struct xeno_requirement *req, struct offer *ret,
                      struct xeno_err *err)
{
    int r = offer_terms(h, req, ret, err);

    if (r < 0 || !h->ports.image)
        return r;
    return h->ports.image(h->ports.ctx, req, &ret->image, err);
}

static int check_owner(const struct xeno_host *h, const struct xeno_id *who, struct xeno_err *err)
{
    size_t all = host_owned(h, NULL), own = who ? host_owned(h, who) : 0;

    if (all >= h->cfg.sessions_max)
        return xeno_fail(err, -EAGAIN, "admission.sessions",
                         "sessions: asked 1, 0 left of the %zu this host runs; try again later",
                         h->cfg.sessions_max);
    if (own >= h->cfg.owner_sessions_max)
        return xeno_fail(err, -EDQUOT, "admission.owner",
                         "you have %zu sessions and holds here, the limit is %zu", own,
                         h->cfg.owner_sessions_max);
    return 0;
}

/* --- holds --- */

void hold_quote(const struct hold *hold, struct xeno_host_quote *ret)
{
    const struct offer *o = &hold->offer;

    memcpy(ret->hold, hold->id, sizeof(ret->hold));
    ret->expires_ms = hold->expires_ms;
    ret->grant = o->grant;
    ret->tariff = o->tariff;
    ret->per_hour_max = session_hour_max(o);
    ret->reserved_per_hour =
        xeno_tariff_cost(&o->tariff, &o->grant, XENO_SHARE_ALL, false, INT64_C(3600000));
}

/* Claim and journal. */
static int hold_take(struct xeno_host *h, struct hold *hold, struct xeno_err *err)
{
    int r;

    r = xeno_admission_take(h->admission, hold->id, &hold->offer.grant, err);
    if (r < 0)
        return r;
    r = xeno_db_begin(h->db, err);
    if (r == 0)
        r = journal_end(h, journal_hold_put(h, hold, err), err);
    if (r < 0)
        xeno_admission_drop(h->admission, hold->id);
    return r;
}

static int hold_new(struct xeno_host *h, const struct xeno_id *who,
                    const struct xeno_requirement *req, int64_t ttl_ms, struct hold **ret,
                    struct xeno_err *err)
{
    struct hold *hold = xeno_new0(struct hold);
    int64_t most = h->cfg.hold_ttl_max_ms;
    int r;

    *ret = hold;
    if (ttl_ms <= 0)
        ttl_ms = h->cfg.hold_ttl_ms;
    new_id(h, hold->id);
    hold->owner = *who;
    hold->expires_ms = wall_ms(h) + (ttl_ms < most ? ttl_ms : most);
    hold->taken_ns = mono_ns(h);
    r = check_owner(h, who, err);
    if (r == 0)
        r = idle_check_hold(h, who, err);
    return r < 0 ? r : offer_make(h, req, &hold->offer, err);
}

int xeno_host_hold(struct xeno_host *h, const struct xeno_id *who,
                   const struct xeno_requirement *req, int64_t ttl_ms, struct xeno_host_quote *ret,
                   struct xeno_err *err)
{
    struct hold *hold = NULL;
    int r;

    r = hold_new(h, who, req, ttl_ms, &hold, err);
    if (r == 0)
        r = hold_take(h, hold, err);
    if (r < 0) {
        h->count.refused++;
        hold_free(hold);
        return r;
    }
    HASH_ADD_STR(h->holds, id, hold);
    hold_quote(hold, ret);
    return 0;
}

int xeno_host_possible(struct xeno_host *h, const struct xeno_id *who,
                       const struct xeno_requirement *req, bool hold, struct xeno_err *err)
{
    struct offer offer = { .lifetime_ms = 0 };
    int r = check_owner(h, who, err);

    if (r == 0)
        r = hold ? idle_check_hold(h, who, err) : idle_check_session(h, who, err);
    if (r == 0)
        r = offer_terms(h, req, &offer, err);
    if (r == 0)
        r = xeno_admission_try(h->admission, &offer.grant, err);
    if (r < 0)
        h->count.refused++;
    return r;
}

static int find_hold(const struct xeno_host *h, const struct xeno_id *who, const char *id,
                     struct hold **ret, struct xeno_err *err)
{
    struct hold *hold;

    HASH_FIND_STR(h->holds, id, hold);
    if (!hold || (who && strcmp(who->s, hold->owner.s) != 0) || hold->expires_ms <= wall_ms(h))
        return xeno_fail(err, -ENOENT, "hold.unknown",
                         "you have no hold '%.40s' here, or it has expired", id);
    *ret = hold;
    return 0;
}

int xeno_host_hold_release(struct xeno_host *h, const struct xeno_id *who, const char *id,
                           struct xeno_err *err)
{
    struct hold *hold;
    int r;

    r = find_hold(h, who, id, &hold, err);
    if (r < 0)
        return r;
    r = xeno_db_begin(h->db, err);
    if (r == 0)
        r = journal_end(h, journal_hold_drop(h, hold->id, err), err);
    if (r < 0)
        return r;
    xeno_admission_drop(h->admission, hold->id);
    idle_hold_ended(h, hold);
    HASH_DEL(h->holds, hold);
    hold_free(hold);
    return 0;
}

/* --- sessions --- */

int order_check(const struct xeno_host *h, const struct offer *o, const char *chain,
                const struct xeno_pub *holder, const char *proof, const char *sha, bool ahead,
                struct xeno_order_terms *ret, struct xeno_err *err)
{
    struct xeno_order_ctx ctx = {
        .server = h->id.s,
        .env_type = o->env_type,
        .now = xeno_wall(h->env),
        .rate_per_hour = xeno_micro(session_hour_max(o)),
        .holder = holder,
        .ahead = ahead,
    };
    int r;

    r = xeno_order_read(chain, strlen(chain), &h->cfg.corp, ret, err);
    if (r < 0)
        return r;
    if (proof) {
        r = xeno_proof_check(proof, strlen(proof), ret, h->id.s, sha, ctx.now, err);
        if (r < 0)
            return r;
        ctx.holder = &ret->holder; /* proved by signature instead of by TLS */
    }
    return xeno_order_permits(ret, &ctx, err);
}

static struct session *session_new(struct xeno_host *h, const struct xeno_host_create *ask,
                                   const struct offer *o, const struct xeno_order_terms *terms)
{
    struct session *s = xeno_new0(struct session);
    int64_t now = wall_ms(h);

    new_id(h, s->id);
    s->owner = *ask->who;
    s->offer = *o;
    s->chain = xeno_strdup(ask->chain);
    s->mono_ms = -1;
    if (ask->name)
        snprintf(s->offer.name, sizeof(s->offer.name), "%s", ask->name);
    s->r.state = XENO_HELD;
    s->r.since_ms = now;
    s->r.created_ms = now;
    s->r.ends_ms = now + o->lifetime_ms;
    s->r.validations = 1;
    memcpy(s->r.order, terms->order, sizeof(s->r.order));
    return s;
}

static int write_session(struct xeno_host *h, const struct session *s, const struct hold *hold,
                         struct xeno_err *err)
{
    int r;

    r = journal_session_new(h, s, err);
    if (r == 0 && hold)
        r = journal_hold_drop(h, hold->id, err);
    return r;
}

/* Claim, journal, enter. `hold` is a hold of ours to be turned into the session; NULL: none. On
 * failure nothing has changed, and s is the caller's. */
static int session_enter(struct xeno_host *h, struct session *s, struct hold *hold,
                         struct xeno_err *err)
{
    int r;

    if (!hold) {
        r = xeno_admission_take(h->admission, s->id, &s->offer.grant, err);
        if (r < 0)
            return r;
    }
    r = xeno_db_begin(h->db, err);
    if (r == 0)
        r = journal_end(h, write_session(h, s, hold, err), err);
    if (r < 0) {
        if (!hold)
            xeno_admission_drop(h->admission, s->id);
        return r;
    }
    if (hold)
        xeno_admission_rename(h->admission, hold->id, s->id);
    HASH_ADD_STR(h->sessions, id, s);
    h->count.created++;
    return 0;
}

static void begin(struct xeno_host *h, struct session *s)
{
    struct xeno_json *o = xeno_json_object();

    session_arm(h, s);
    xeno_json_set_str(o, "state", xeno_state_name(XENO_HELD));
    event_tell(h, s, "session.state", o);
    drive_session(h, s);
    corp_kick(h);
}

/* Everything that can be said without changing anything. `o` is filled (borrowed image when from a
 * hold, else the caller's to release). */
static int create_check(struct xeno_host *h, const struct xeno_host_create *ask, bool dry_run,
                        struct hold **ret_hold, struct offer *o, struct xeno_order_terms *terms,
                        struct xeno_err *err)
{
    int64_t most;
    int r = 0;

    if (ask->name)
        r = check_name(ask->name, err);
    if (r == 0 && ask->hold) {
        r = find_hold(h, ask->who, ask->hold, ret_hold, err);
        if (r == 0)
            *o = (*ret_hold)->offer;
    } else if (r == 0) {
        r = check_owner(h, ask->who, err);
        if (r == 0)
            r = idle_check_session(h, ask->who, err);
        if (r == 0)
            r = offer_make(h, ask->req, o, err);
    }
    if (r == 0)
        r = order_check(h, o, ask->chain, ask->holder, ask->proof, ask->proof_aud_sha, dry_run,
                        terms, err);
    if (r < 0)
        return r;
    most = terms->max_total.micro;
    if (o->max_total > 0 && o->max_total < most)
        most = o->max_total;
    r = money_enough(h, o, most, err);
    if (r == 0 && !*ret_hold)
        r = xeno_admission_try(h->admission, &o->grant, err);
    return r;
}

static int create(struct xeno_host *h, const struct xeno_host_create *ask, bool dry_run,
                  struct hold *hold, struct offer *o, const struct xeno_order_terms *terms,
                  char *ret_id, struct xeno_err *err)
{
    static const struct xeno_host_image none;
    struct session *s;
    int r;

    if (dry_run)
        return 0;
    s = session_new(h, ask, o, terms);
    r = session_enter(h, s, hold, err);
    if (r < 0) {
        s->offer.image = none; /* still its lender's */
        session_free(s);
        return r;
    }
    o->image = none; /* the session's now */
    if (hold) {
        s->free_ms = idle_held_ms(h, hold);
        hold->offer.image = none;
        HASH_DEL(h->holds, hold);
        hold_free(hold);
    }
    memcpy(ret_id, s->id, sizeof(s->id));
    begin(h, s);
    return 0;
}

int xeno_host_create(struct xeno_host *h, const struct xeno_host_create *ask, bool dry_run,
                     char ret_id[XENO_SESSION_CHARS + 1], struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *terms = xeno_new0(struct xeno_order_terms);
    struct hold *hold = NULL;
    struct offer offer = { .lifetime_ms = 0 };
    int r;

    r = create_check(h, ask, dry_run, &hold, &offer, terms, err);
    if (r == 0)
        r = create(h, ask, dry_run, hold, &offer, terms, ret_id, err);
    if (r < 0 && !dry_run)
        h->count.refused++;
    if (!hold)
        offer_release(&offer);
    return r;
}
