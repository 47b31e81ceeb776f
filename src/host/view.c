/* src/host/view.c - what others see: JSON and metrics. Reads only. */
#include <errno.h>
#include <string.h>

#include "bill/outbox.h"
#include "host/internal.h"

#define LIST_LIMIT 1000

const char *task_state_name(enum task_state state)
{
    static const char *const names[] = { "pending", "running", "exited", "failed" };

    return names[state];
}

/* --- tasks and sessions --- */

/* While a session is stopped its tasks are, too; they are started again when it is restored. */
static const char *task_shown(const struct session *s, const struct task *t)
{
    if (t->state != TASK_UP)
        return task_state_name(t->state);
    switch (s->r.state) {
    case XENO_RUNNING:
        return task_state_name(t->state);
    case XENO_PAUSED:
        return "paused";
    default:
        return "stopped";
    }
}

static struct xeno_json *task_view(const struct session *s, const struct task *t)
{
    struct xeno_json *o = xeno_json_object(), *argv = xeno_json_array();

    xeno_json_set_str(o, "task", t->name);
    xeno_json_set_str(o, "state", task_shown(s, t));
    for (size_t i = 0; t->program.argv && t->program.argv[i]; i++)
        xeno_json_append_str(argv, t->program.argv[i]);
    xeno_json_set(o, "argv", argv);
    xeno_json_set_bool(o, "terminal", t->program.terminal);
    xeno_json_set_int(o, "since_ms", t->since_ms);
    if (t->state == TASK_EXITED) {
        xeno_json_set_int(o, "code", t->code);
        if (t->signal != 0)
            xeno_json_set_int(o, "signal", t->signal);
        xeno_json_set_bool(o, "oom", t->oom);
    }
    if (t->reason[0])
        xeno_json_set_str(o, "reason", t->reason);
    return o;
}

static struct xeno_json *tasks_view(const struct session *s)
{
    struct xeno_json *list = xeno_json_array();

    for (const struct task *t = s->tasks; t; t = t->next)
        xeno_json_append(list, task_view(s, t));
    return list;
}

static struct xeno_json *ports_view(const struct xeno_grant *g)
{
    struct xeno_json *list = xeno_json_array();

    for (size_t i = 0; i < g->port_count; i++) {
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_int(o, "port", g->ports[i].port);
        if (g->ports[i].host_port != 0)
            xeno_json_set_int(o, "host_port", g->ports[i].host_port);
        xeno_json_set_str(o, "proto", xeno_proto_name(g->ports[i].proto));
        xeno_json_append(list, o);
    }
    return list;
}

static int64_t at_least_zero(int64_t n)
{
    return n > 0 ? n : 0;
}

/* What of the open amount will be charged: as far as the order goes. */
static int64_t chargeable(const struct session *s)
{
    int64_t open = xeno_meter_open(&s->r.meter, &s->offer.tariff);
    int64_t room = s->r.dead ? 0 : at_least_zero(s->r.budget - s->r.order_charged);

    return open < room ? open : room;
}

struct xeno_json *session_view(struct xeno_host *h, struct session *s)
{
    const struct offer *of = &s->offer;
    struct xeno_json *o = xeno_json_object();

    session_advance(h, s);
    xeno_json_set_str(o, "session", s->id);
    xeno_json_set_str(o, "name", of->name);
    xeno_json_set_str(o, "state", xeno_state_name((enum xeno_state)s->r.state));
    if (s->r.reason[0])
        xeno_json_set_str(o, "reason", s->r.reason);
    xeno_json_set_int(o, "since_ms", s->r.since_ms);
    xeno_json_set_str(o, "owner", s->owner.s);
    xeno_json_set_str(o, "env_type", of->env_type);
    xeno_json_set_str(o, "order", s->r.order);
    xeno_json_set_int(o, "epoch", s->r.epoch);
    if (s->r.next_order[0])
        xeno_json_set_str(o, "next_order", s->r.next_order);
    xeno_json_set_int(o, "created_ms", s->r.created_ms);
    xeno_json_set_int(o, "ends_ms", s->r.ends_ms);
    if (s->r.grace_ends_ms > 0 && s->r.state != XENO_ENDED)
        xeno_json_set_int(o, "grace_ends_ms", s->r.grace_ends_ms);
    xeno_json_set(o, "grant", xeno_grant_json(&of->grant));
    xeno_json_set_str(o, "address", of->grant.address);
    xeno_json_set(o, "ports", ports_view(&of->grant));
    xeno_json_set(o, "tasks", tasks_view(s));
    xeno_json_set_int(o, "spent", s->r.charged + chargeable(s));
    xeno_json_set_int(o, "left", s->r.dead ? 0 : at_least_zero(s->r.budget - session_on_order(s)));
    xeno_json_set_int(o, "rate_per_hour", session_hour_max(of));
    return o;
}

int xeno_host_session_json(struct xeno_host *h, const struct xeno_id *who, const char *session,
                           struct xeno_json **ret, struct xeno_err *err)
{
    struct session *s;
    int r;

    r = host_find(h, who, session, &s, err);
    if (r < 0)
        return r;
    *ret = session_view(h, s);
    return 0;
}

int xeno_host_tasks_json(struct xeno_host *h, const struct xeno_id *who, const char *session,
                         struct xeno_json **ret, struct xeno_err *err)
{
    struct session *s;
    int r;

    r = host_find(h, who, session, &s, err);
    if (r < 0)
        return r;
    *ret = xeno_json_object();
    xeno_json_set_str(*ret, "session", s->id);
    xeno_json_set(*ret, "tasks", tasks_view(s));
    return 0;
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(struct session *const *)a)->id, (*(struct session *const *)b)->id);
}

struct xeno_json *xeno_host_sessions_json(struct xeno_host *h, const struct xeno_id *who,
                                          const char *after, size_t limit)
{
    xeno_autofree struct session **all =
        xeno_new0_n(struct session *, (size_t)HASH_COUNT(h->sessions) + 1);
    struct xeno_json *o = xeno_json_object(), *list = xeno_json_array();
    struct session *s, *next;
    size_t count = 0, shown;

    if (limit < 1 || limit > LIST_LIMIT)
        limit = LIST_LIMIT;
    HASH_ITER (hh, h->sessions, s, next)
        if ((!who || strcmp(who->s, s->owner.s) == 0) && (!after || strcmp(s->id, after) > 0))
            all[count++] = s;
    qsort(all, count, sizeof(*all), by_id);
    shown = count < limit ? count : limit;
    for (size_t i = 0; i < shown; i++)
        xeno_json_append(list, session_view(h, all[i]));
    xeno_json_set(o, "sessions", list);
    if (shown < count)
        xeno_json_set_str(o, "next", all[shown - 1]->id);
    return o;
}

/* --- usage --- */

static struct xeno_json *items_view(const struct session *s)
{
    struct xeno_json *list = xeno_json_array();

    for (int res = 0; res < XENO_RES_COUNT; res++) {
        const struct xeno_quantity *q = &s->r.meter.total[res];
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_str(o, "res", xeno_res_name(res));
        xeno_json_set_int(o, "reserved", q->reserved);
        xeno_json_set_int(o, "used", q->used);
        xeno_json_set_int(o, "price_reserved", s->offer.tariff.price[res].reserved);
        xeno_json_set_int(o, "price_used", s->offer.tariff.price[res].used);
        xeno_json_set_int(o, "amount", xeno_meter_owed(&s->r.meter, &s->offer.tariff, res));
        xeno_json_append(list, o);
    }
    return list;
}

int xeno_host_usage_json(struct xeno_host *h, const struct xeno_id *who, const char *session,
                         struct xeno_json **ret, struct xeno_err *err)
{
    struct session *s;
    struct xeno_json *o;
    int64_t open;
    int r;

    r = host_find(h, who, session, &s, err);
    if (r < 0)
        return r;
    session_advance(h, s);
    open = xeno_meter_open(&s->r.meter, &s->offer.tariff);
    o = xeno_json_object();
    xeno_json_set_str(o, "session", s->id);
    xeno_json_set_int(o, "to_ms", s->r.meter.at_ms);
    xeno_json_set_int(o, "tariff", s->offer.tariff.epoch);
    xeno_json_set(o, "items", items_view(s));
    xeno_json_set_int(o, "amount", s->r.charged + chargeable(s));
    xeno_json_set_int(o, "charged", s->r.charged);
    xeno_json_set_int(o, "posted", s->r.posted);
    xeno_json_set_int(o, "pending", s->queued_amount);
    xeno_json_set_int(o, "forfeited", s->r.forfeited + open - chargeable(s));
    xeno_json_set_int(o, "refused_amount", s->r.refused);
    xeno_json_set(o, "refused", xeno_outbox_refused(h->db, s->id));
    xeno_json_set_int(o, "charges", s->r.seq);
    xeno_json_set_int(o, "shortfall_cpu_us", s->r.meter.shortfall_us);
    *ret = o;
    return 0;
}

/* --- holds and status --- */

struct xeno_json *xeno_host_quote_json(struct xeno_host *h, const struct xeno_host_quote *q)
{
    struct xeno_json *o = xeno_json_object(), *price = xeno_json_object();

    (void)h;
    xeno_json_set_int(price, "per_hour_max", q->per_hour_max);
    xeno_json_set_int(price, "reserved_per_hour", q->reserved_per_hour);
    xeno_json_set(price, "tariff", xeno_tariff_json(&q->tariff));
    xeno_json_set_str(o, "hold", q->hold);
    xeno_json_set_int(o, "expires_ms", q->expires_ms);
    xeno_json_set(o, "price", price);
    xeno_json_set(o, "grant", xeno_grant_json(&q->grant));
    return o;
}

struct xeno_json *xeno_host_holds_json(struct xeno_host *h, const struct xeno_id *who)
{
    struct xeno_json *o = xeno_json_object(), *list = xeno_json_array();
    struct hold *hold, *next;

    HASH_ITER (hh, h->holds, hold, next) {
        struct xeno_host_quote q;

        if ((who && strcmp(who->s, hold->owner.s) != 0) || hold->expires_ms <= wall_ms(h))
            continue;
        hold_quote(hold, &q);
        xeno_json_append(list, xeno_host_quote_json(h, &q));
    }
    xeno_json_set(o, "holds", list);
    return o;
}

struct xeno_json *xeno_host_status_json(struct xeno_host *h)
{
    struct xeno_free left = xeno_admission_left(h->admission);
    struct xeno_json *o = xeno_json_object(), *free_now = xeno_json_object();
    struct xeno_json *envs = xeno_json_array();

    xeno_json_set_int(o, "v", 1);
    xeno_json_set_str(o, "server", h->id.s);
    xeno_json_set_str(o, "driver", h->driver);
    for (size_t i = 0; h->cfg.env_types[i]; i++)
        xeno_json_append_str(envs, h->cfg.env_types[i]);
    xeno_json_set(o, "env_types", envs);
    xeno_json_set_str(o, "kernel", h->cfg.kernel);
    xeno_json_set_int(free_now, "cpu_msps", left.cpu_msps);
    xeno_json_set_int(free_now, "memory_bytes", left.memory_bytes);
    xeno_json_set_int(free_now, "disk_bytes", left.disk_bytes);
    xeno_json_set_int(free_now, "net_kbps", left.net_kbps);
    xeno_json_set_int(free_now, "addresses", left.own_addresses);
    xeno_json_set_int(free_now, "ports", left.ports);
    xeno_json_set(o, "free", free_now);
    xeno_json_set(o, "capacity", xeno_admission_json(h->admission));
    xeno_json_set(o, "price", xeno_tariff_json(&h->cfg.tariff));
    xeno_json_set_int(o, "sessions", (int64_t)host_owned(h, NULL));
    xeno_json_set_bool(o, "task_manager", h->reconciled);
    xeno_json_set(o, "corp_log", log_view(h));
    xeno_json_set_int(o, "time_ms", wall_ms(h));
    return o;
}

void xeno_host_room(const struct xeno_host *h, struct xeno_host_room *ret)
{
    *ret = (struct xeno_host_room){ .left = xeno_admission_left(h->admission),
                                    .limit = xeno_admission_limit(h->admission),
                                    .sessions = host_owned(h, NULL),
                                    .sessions_max = h->cfg.sessions_max,
                                    .tariff = h->cfg.tariff,
                                    .env_types = h->cfg.env_types };
}

static bool is_building(const struct session *s)
{
    return s->r.state == XENO_HELD || s->r.state == XENO_CREATING || s->r.state == XENO_RESTORING;
}

void xeno_host_each(struct xeno_host *h,
                    void (*fn)(void *ctx, const char *id, const struct xeno_host_image *im,
                               bool building),
                    void *ctx)
{
    struct session *s, *next_s;
    struct hold *hold, *next_h;

    HASH_ITER (hh, h->sessions, s, next_s)
        if (s->r.state != XENO_ENDED)
            fn(ctx, s->id, &s->offer.image, is_building(s));
    HASH_ITER (hh, h->holds, hold, next_h)
        fn(ctx, hold->id, &hold->offer.image, false);
}
