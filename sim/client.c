/* sim/client.c - a client in the simulator. */
#include "sim/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "doc/order.h"
#include "spec/requirement.h"
#include "spec/task-doc.h"

#define MIB (INT64_C(1) << 20)

void sim_client_open(struct sim_client *c, struct world *w, struct sim_corp *corp,
                     struct sim_server *servers, size_t count, int64_t micro)
{
    *c = (struct sim_client){ .w = w, .corp = corp, .servers = servers, .server_count = count };
    sim_corp_join(corp, XENO_ROLE_CLIENT, &c->self);
    sim_corp_fund(corp, &c->self, micro);
}

void sim_client_release(struct sim_client *c)
{
    xeno_key_free(c->self.key);
}

struct xeno_requirement *sim_requirement(struct world *w, bool small)
{
    struct xeno_requirement *req = xeno_requirement_new("simulated");

    req->cpu_msps = small ? 100 : 50 + (int64_t)world_dice(w, 900);
    req->memory_bytes = small ? 64 * MIB : (16 + (int64_t)world_dice(w, 2000)) * MIB;
    req->disk_bytes = small ? 256 * MIB : (64 + (int64_t)world_dice(w, 20000)) * MIB;
    req->net_kbps = small ? 1000 : 100 + (int64_t)world_dice(w, 100000);
    req->addresses = !small && world_dice(w, 10) == 0;
    req->lifetime_s = small ? 3600 : 600 + (int64_t)world_dice(w, 4 * 3600);
    req->port_count = small ? 1 : world_dice(w, 3);
    for (size_t i = 0; i < req->port_count; i++)
        req->ports[i] = (struct xeno_port){ .port = (uint16_t)(80 + i) };
    return req;
}

/* An order of its own, sometimes narrowed before it is shown. */
static char *make_chain(struct sim_client *c, int64_t micro)
{
    char order[XENO_ORDER_ID_CHARS + 1];
    struct xeno_err err = XENO_ERR_INIT;
    char *chain = sim_corp_order(c->corp, &c->self, micro, 12 * 3600 * 1000, order), *narrow;
    struct xeno_order_restriction r = { .max_total = xeno_micro(micro / 2),
                                        .max_rate = xeno_micro(INT64_C(1000000000)) };

    if (!chain || world_dice(c->w, 4) != 0)
        return chain;
    if (xeno_order_append(chain, strlen(chain), xeno_corp_pub(c->corp->corp), c->self.key, &r, NULL,
                          &narrow, &err) < 0) {
        sim_fail(c->w, "narrow an order: %s: %s", err.token, err.text);
        return chain;
    }
    free(chain);
    return narrow;
}

static struct sim_rented *free_place(struct sim_client *c)
{
    for (size_t i = 0; i < SIM_CLIENT_SESSIONS; i++)
        if (!c->rented[i].server)
            return &c->rented[i];
    return NULL;
}

int sim_client_deploy(struct sim_client *c, struct sim_server *s, const char *session)
{
    static char run[] = "/bin/run", arg[] = "--all";
    char *argv[] = { run, arg, NULL };
    struct xeno_task_doc doc = { .argv = argv, .argc = 2 };
    char name[XENO_TASK_NAME_MAX + 1];
    int r;

    (void)c;
    if (!sim_server_begin(s))
        return -ECONNREFUSED;
    r = xeno_host_deploy(s->host, &c->self.id, session, &doc, name, NULL);
    return sim_server_end(s) ? r : -ECONNRESET;
}

/* Half of them hold first, and then pay no more than the quote. A hold that is not used expires.
 * `chain` is taken. */
static int rent(struct sim_client *c, struct sim_server *s, struct xeno_host_create *ask,
                char *chain, char *ret_session, struct xeno_err *err)
{
    xeno_autofree char *owned = chain, *shown = NULL;
    struct xeno_host_quote quote = { .per_hour_max = 0 };
    int r;

    if (world_dice(c->w, 2)) {
        r = xeno_host_hold(s->host, &c->self.id, ask->req, 0, &quote, err);
        if (r < 0)
            return r;
        if (world_dice(c->w, 8) == 0)
            return xeno_fail(err, -ECANCELED, "sim.mind", "changed its mind");
        ask->hold = quote.hold;
        ask->req = NULL;
    }
    ask->chain = shown =
        sim_present(c->corp, &c->self, xeno_take(&owned), &s->self.id, quote.per_hour_max);
    return xeno_host_create(s->host, ask, false, ret_session, err);
}

int sim_client_rent(struct sim_client *c, size_t i, int64_t micro,
                    const struct xeno_requirement *req, char ret_session[XENO_SESSION_CHARS + 1],
                    struct xeno_err *err)
{
    struct sim_server *s = &c->servers[i];
    xeno_autofree char *chain = make_chain(c, micro);
    struct sim_rented *place = free_place(c);
    struct xeno_host_create ask = { .who = &c->self.id,
                                    .holder = xeno_key_pub(c->self.key),
                                    .req = req };
    int r;

    if (!chain)
        return xeno_fail(err, -EDQUOT, "ledger.funds", "no credit left");
    if (!sim_server_begin(s))
        return xeno_fail(err, -ECONNREFUSED, "http.connect", "the server is down");
    r = rent(c, s, &ask, xeno_take(&chain), ret_session, err);
    if (!sim_server_end(s)) { /* it may exist: it is forgotten */
        c->forgotten++;
        return xeno_fail(err, -ECONNRESET, "http.connect", "the server died");
    }
    if (r == 0 && place) {
        place->server = s;
        memcpy(place->session, ret_session, XENO_SESSION_CHARS + 1);
    }
    return r;
}

static void act_rent(struct sim_client *c)
{
    static const int64_t sums[] = { 3000, 30000, 300000, 3000000, 30000000 };
    xeno_auto(xeno_requirement) req = sim_requirement(c->w, false);
    struct xeno_err err = XENO_ERR_INIT;
    char session[XENO_SESSION_CHARS + 1];
    int r;

    if (!free_place(c))
        return;
    r = sim_client_rent(c, world_dice(c->w, c->server_count), sums[world_dice(c->w, 5)], req,
                        session, &err);
    if (r < 0) {
        c->refused++;
        return;
    }
    c->created++;
}

/* Another order for a session that waits for one, or just in case. */
static int top_up(struct sim_client *c, struct sim_rented *x, bool restore)
{
    xeno_autofree char *chain =
        sim_present(c->corp, &c->self, make_chain(c, 300000 + (int64_t)world_dice(c->w, 3000000)),
                    &x->server->self.id, 0);
    const struct xeno_pub *pub = xeno_key_pub(c->self.key);

    if (!chain)
        return -EDQUOT;
    c->topped_up++;
    if (restore)
        return xeno_host_restore(x->server->host, &c->self.id, pub, x->session, chain, NULL);
    return xeno_host_extend(x->server->host, &c->self.id, pub, x->session, 600000, chain, NULL);
}

static int act_on(struct sim_client *c, struct sim_rented *x)
{
    struct xeno_host *h = x->server->host;
    const struct xeno_id *me = &c->self.id;

    switch (world_dice(c->w, 12)) {
    case 0:
        return xeno_host_do(h, me, x->session, XENO_HOST_PAUSE, NULL);
    case 1:
    case 2:
        return xeno_host_do(h, me, x->session, XENO_HOST_RESUME, NULL);
    case 3:
        return xeno_host_do(h, me, x->session, XENO_HOST_SUSPEND, NULL);
    case 4:
    case 5:
        return xeno_host_restore(h, me, xeno_key_pub(c->self.key), x->session, NULL, NULL);
    case 6:
        return top_up(c, x, true);
    case 7:
        return top_up(c, x, false);
    case 8:
        return xeno_host_extend(h, me, NULL, x->session, 60000, NULL, NULL);
    case 9:
        return xeno_host_do(h, me, x->session, XENO_HOST_END, NULL);
    case 10:
        return xeno_host_signal(h, me, x->session, "t1", 15, NULL, NULL);
    default:
        return 0;
    }
}

/* Look at it as a person does; forget it when it has ended. */
static void look(struct sim_client *c, struct sim_rented *x)
{
    xeno_auto(xeno_json) view = NULL;
    xeno_auto(xeno_json) usage = NULL;
    struct xeno_json_at top;
    const char *state = "ended";
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_host_session_json(x->server->host, &c->self.id, x->session, &view, &err) < 0) {
        sim_fail(c->w, "session %s is lost: %s", x->session, err.text);
        return;
    }
    if (xeno_host_usage_json(x->server->host, &c->self.id, x->session, &usage, &err) < 0)
        sim_fail(c->w, "usage of %s: %s", x->session, err.text);
    top = xeno_json_top(view);
    (void)xeno_json_str(&top, "state", 1, 32, &state, NULL);
    if (strcmp(state, "ended") == 0)
        x->server = NULL;
}

static void act(struct sim_client *c)
{
    struct sim_rented *x = &c->rented[world_dice(c->w, SIM_CLIENT_SESSIONS)];
    struct sim_server *s = x->server;

    c->acts++;
    if (!s || world_dice(c->w, 3) == 0) {
        act_rent(c);
        return;
    }
    if (world_dice(c->w, 3) == 0)
        (void)sim_client_deploy(c, s, x->session);
    if (!sim_server_begin(s))
        return;
    (void)act_on(c, x);
    if (!sim_server_end(s) || !sim_server_begin(s))
        return;
    look(c, x);
    (void)sim_server_end(s);
}

struct next_act {
    struct sim_client *c;
    int64_t mean_ms;
};

static void act_now(void *arg)
{
    struct next_act *n = arg;
    struct sim_client *c = n->c;

    if (!c->resting) {
        act(c);
        world_after(c->w, (int64_t)world_dice(c->w, (uint64_t)n->mean_ms * 2), act_now, n, free);
        return;
    }
    free(n);
}

void sim_client_begin(struct sim_client *c, int64_t mean_ms)
{
    struct next_act *n = xeno_new0(struct next_act);

    n->c = c;
    n->mean_ms = mean_ms;
    world_after(c->w, (int64_t)world_dice(c->w, (uint64_t)mean_ms), act_now, n, free);
}

int sim_client_end_all(struct sim_client *c)
{
    int left = 0;

    for (size_t i = 0; i < SIM_CLIENT_SESSIONS; i++) {
        struct sim_rented *x = &c->rented[i];
        struct sim_server *s = x->server;

        if (!s)
            continue;
        left++;
        if (!sim_server_begin(s))
            continue;
        (void)xeno_host_do(s->host, &c->self.id, x->session, XENO_HOST_END, NULL);
        look(c, x);
        (void)sim_server_end(s);
    }
    return left;
}
