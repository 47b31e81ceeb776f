/* sim/economy.c - a whole economy under a virtual clock. */
#include "sim/economy.h"

#include <stdio.h>
#include <string.h>

#include "corp/audit.h"
#include "corp/ledger.h"

#define HOUR_MS INT64_C(3600000)

const struct economy_options economy_default = {
    .seed = 1,
    .servers = 2,
    .clients = 3,
    .sample_ms = 1000,
    .charge_ms = 10000,
    .act_ms = 60000,
    .check_each = 1,
};

void economy_open(struct economy *e, const struct economy_options *o)
{
    struct xeno_host_config cfg;

    memset(e, 0, sizeof(*e));
    world_init(&e->w, o->seed, &o->faults);
    sim_corp_open(&e->corp, &e->w);
    e->corp.check_each = o->check_each;
    sim_server_config(&cfg);
    cfg.sample_ms = o->sample_ms;
    cfg.charge_interval_ms = o->charge_ms;
    cfg.retain_ms = INT64_C(400) * 24 * HOUR_MS; /* to add everything up at the end */
    for (size_t i = 0; i < o->servers; i++)
        sim_server_open(&e->servers[e->server_count++], &e->w, &e->corp, &cfg);
    for (size_t i = 0; i < o->clients; i++) {
        struct sim_client *c = &e->clients[e->client_count++];

        sim_client_open(c, &e->w, &e->corp, e->servers, e->server_count, INT64_C(20000000000));
        sim_client_begin(c, o->act_ms);
    }
}

void economy_release(struct economy *e)
{
    world_release(&e->w);
    for (size_t i = 0; i < e->server_count; i++)
        sim_server_release(&e->servers[i]);
    for (size_t i = 0; i < e->client_count; i++)
        sim_client_release(&e->clients[i]);
    sim_corp_release(&e->corp);
}

/* One accident, now and then. */
static void accident(struct economy *e, int64_t *away_until)
{
    struct sim_server *s = &e->servers[world_dice(&e->w, e->server_count)];

    switch (world_dice(&e->w, 100)) {
    case 0:
        *away_until = world_ms(&e->w) + HOUR_MS;
        break;
    case 1:
        if (s->host)
            sim_server_boot(s);
        break;
    case 2:
    case 3:
        sim_server_link_loss(s, (int64_t)world_dice(&e->w, 300000));
        break;
    default:
        sim_server_task_exit(s);
    }
}

void economy_run(struct economy *e, int64_t ms)
{
    int64_t until = world_ms(&e->w) + ms, away_until = 0;
    bool calm = e->w.faults.lose == 0;

    while (world_ms(&e->w) < until && !e->w.failed) {
        world_run_ms(&e->w, 5 * 60 * 1000);
        if (!calm)
            accident(e, &away_until);
        e->corp.away = world_ms(&e->w) < away_until;
        sim_corp_tick(&e->corp);
    }
    e->corp.away = false;
}

/* --- the end --- */

/* Nothing lives, and XenoCorp knows of no binding: the last charges have arrived. */
static bool quiet(struct economy *e)
{
    struct xeno_ledger_totals totals = { .clients = 0 };

    for (size_t i = 0; i < e->server_count; i++) {
        xeno_auto(xeno_json) status = NULL;
        struct xeno_json_at top;
        int64_t sessions = 1;

        if (!e->servers[i].host)
            return false;
        status = xeno_host_status_json(e->servers[i].host);
        top = xeno_json_top(status);
        (void)xeno_json_int(&top, "sessions", 0, INT64_MAX, &sessions, NULL);
        if (sessions > 0)
            return false;
    }
    return xeno_ledger_totals(e->corp.corp, &totals, NULL) == 0 && totals.orders_bound == 0;
}

static void end_all(struct economy *e)
{
    e->w.faults = sim_faults_none;
    for (size_t i = 0; i < e->client_count; i++)
        e->clients[i].resting = true;
    /* What clients have forgotten ends by itself: orders and life times are finite. */
    for (int tenth = 0; tenth < 240 && !e->w.failed && !quiet(e); tenth++) {
        for (size_t i = 0; i < e->client_count; i++)
            (void)sim_client_end_all(&e->clients[i]);
        world_run_ms(&e->w, HOUR_MS / 10);
        sim_corp_tick(&e->corp);
    }
    world_run_ms(&e->w, HOUR_MS / 10); /* what is still under way, such as releases */
}

/* One member of a JSON view as an integer. */
static int64_t member(struct economy *e, const struct xeno_json *o, const char *key)
{
    struct xeno_json_at top = xeno_json_top(o);
    int64_t n = 0;

    if (xeno_json_int(&top, key, INT64_MIN, INT64_MAX, &n, NULL) < 0)
        sim_fail(&e->w, "no '%s' in a usage report", key);
    return n;
}

/* The charges XenoCorp posted for one session: in order, touching, without gaps; their sum. */
static int64_t posted_sum(struct economy *e, const char *session, bool whole, int64_t *ret_count)
{
    xeno_autofree struct xeno_audit_charge *page =
        xeno_new0_n(struct xeno_audit_charge, XENO_AUDIT_MAX);
    int64_t after = 0, sum = 0, seq = 0, to_ms = 0;
    int n;

    do {
        n = xeno_audit_charges(e->corp.corp, NULL, session, after, XENO_AUDIT_MAX, page, NULL);
        for (int i = 0; i < n; i++) {
            if (page[i].seq <= seq || (whole && page[i].seq != seq + 1) ||
                (whole && to_ms != 0 && page[i].from_ms != to_ms))
                sim_fail(&e->w, "session %s: charge %lld follows %lld", session,
                         (long long)page[i].seq, (long long)seq);
            seq = page[i].seq;
            to_ms = page[i].to_ms;
            sum += page[i].amount;
            after = page[i].entry;
            (*ret_count)++;
        }
    } while (n == XENO_AUDIT_MAX);
    return sum;
}

static void check_session(struct economy *e, struct sim_server *s, const char *session,
                          struct economy_sums *sums)
{
    xeno_auto(xeno_json) usage = NULL;
    int64_t amount, charged, posted, refused, count = 0, sum;

    if (xeno_host_usage_json(s->host, NULL, session, &usage, NULL) < 0) {
        sim_fail(&e->w, "session %s has no usage report", session);
        return;
    }
    amount = member(e, usage, "amount");
    charged = member(e, usage, "charged");
    posted = member(e, usage, "posted");
    refused = member(e, usage, "refused_amount");
    sum = posted_sum(e, session, refused == 0, &count);
    if (amount != charged || charged != posted + refused || posted != sum)
        sim_fail(&e->w,
                 "session %s: used %lld, charged %lld, posted %lld, refused %lld, ledger %lld",
                 session, (long long)amount, (long long)charged, (long long)posted,
                 (long long)refused, (long long)sum);
    sums->sessions++;
    sums->usage += amount;
    sums->charged += charged;
    sums->refused += refused;
    sums->forfeited += member(e, usage, "forfeited");
    sums->charges += count;
}

static void check_server(struct economy *e, struct sim_server *s, struct economy_sums *sums)
{
    xeno_auto(xeno_json) list = NULL;
    struct xeno_json_at top, sessions;
    const char *after = NULL;
    size_t count = 0;

    if (!s->host) {
        sim_fail(&e->w, "a server is down at the end");
        return;
    }
    do {
        struct xeno_json *page = xeno_host_sessions_json(s->host, NULL, after, 1000);

        xeno_json_unref(list);
        list = page;
        top = xeno_json_top(list);
        if (xeno_json_arr(&top, "sessions", 1000, &sessions, &count, NULL) < 0)
            sim_fail(&e->w, "no list of sessions");
        for (size_t i = 0; i < count; i++) {
            struct xeno_json_at one = xeno_json_item(&sessions, i);
            const char *id = "", *state = "";

            (void)xeno_json_str(&one, "session", 1, 64, &id, NULL);
            (void)xeno_json_str(&one, "state", 1, 64, &state, NULL);
            if (strcmp(state, "ended") != 0)
                sim_fail(&e->w, "session %s is %s at the end", id, state);
            check_session(e, s, id, sums);
        }
        after = NULL;
        (void)xeno_json_str_opt(&top, "next", 1, 64, &after, NULL);
    } while (after);
    if (taskman_sessions(s->tm) != 0)
        sim_fail(&e->w, "a task manager still has %zu sessions", taskman_sessions(s->tm));
}

/* What a host says of itself when nothing is left. */
static void check_empty(struct economy *e, struct sim_server *s)
{
    xeno_auto(xeno_json) status = NULL;
    struct xeno_json_at top, capacity;
    int64_t claims = -1, sessions = -1;

    if (!s->host)
        return;
    status = xeno_host_status_json(s->host);
    top = xeno_json_top(status);
    (void)xeno_json_int(&top, "sessions", 0, INT64_MAX, &sessions, NULL);
    if (xeno_json_obj(&top, "capacity", &capacity, NULL) == 0)
        (void)xeno_json_int(&capacity, "claims", 0, INT64_MAX, &claims, NULL);
    if (claims != 0 || sessions != 0)
        sim_fail(&e->w, "%lld claims and %lld sessions are left", (long long)claims,
                 (long long)sessions);
}

struct economy_sums economy_sums(struct economy *e)
{
    struct economy_sums sums = { .sessions = 0 };
    struct xeno_ledger_totals totals = { .clients = 0 };
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_corp_begin(e->corp.corp, &err) < 0)
        sim_fail(&e->w, "begin: %s", err.text);
    for (size_t i = 0; i < e->server_count && !e->w.failed; i++)
        check_server(e, &e->servers[i], &sums);
    if (xeno_ledger_totals(e->corp.corp, &totals, &err) < 0)
        sim_fail(&e->w, "totals: %s", err.text);
    xeno_corp_rollback(e->corp.corp); /* only read */
    sums.ledger = totals.earned.micro + totals.fees.micro;
    if (totals.orders_bound != 0)
        sim_fail(&e->w, "%lld orders are still bound", (long long)totals.orders_bound);
    return sums;
}

void economy_close(struct economy *e)
{
    struct economy_sums sums;
    struct xeno_err err = XENO_ERR_INIT;

    end_all(e);
    if (e->w.failed)
        return;
    sums = economy_sums(e);
    for (size_t i = 0; i < e->server_count; i++)
        check_empty(e, &e->servers[i]);
    if (sums.usage != sums.charged || sums.charged - sums.refused != sums.ledger)
        sim_fail(&e->w, "used %lld, charged %lld, of that refused %lld, ledger %lld",
                 (long long)sums.usage, (long long)sums.charged, (long long)sums.refused,
                 (long long)sums.ledger);
    if (xeno_ledger_check(e->corp.db, &err) < 0)
        sim_fail(&e->w, "%s: %s", err.token, err.text);
}
