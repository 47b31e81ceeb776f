/* bench/ledger/world.c - setting up what bench/ledger measures. */
#include "ledger/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "corp/ledger.h"
#include "corp/orders.h"
#include "corp/registry.h"
#include "xenocorpd/store.h"

#define PAID  (1000000 * XENO_CREDIT) /* to each client */
#define LIMIT (100 * XENO_CREDIT)     /* of an order */

double world_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void world_must(int r, const struct xeno_err *err, const char *what)
{
    if (r >= 0)
        return;
    fprintf(stderr, "bench-ledger: %s: %s (%s)\n", what, err->text, err->token);
    exit(1);
}

static void join(struct world *w, enum xeno_role role, struct world_party *p)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *cert = NULL;
    char token[XENO_TOKEN_TEXT];

    p->key = xeno_key_new(w->env);
    struct xeno_join j = {
        .token = token,
        .kind = role == XENO_ROLE_SERVER ? XENO_PARTY_SERVER : XENO_PARTY_CLIENT,
        .pub = *xeno_key_pub(p->key),
        .name = "bench",
        .endpoint = role == XENO_ROLE_SERVER ? "https://127.0.0.1:1" : NULL,
    };
    world_must(xeno_token_issue(w->corp, "bench", role, xeno_s(60), token, &err), &err, "token");
    world_must(xeno_register(w->corp, &j, &p->id, &cert, &err), &err, "register");
    if (role == XENO_ROLE_CLIENT)
        world_must(xeno_ledger_fund(w->corp, "bench", p->id.s, xeno_micro(PAID), "", &err), &err,
                   "fund");
}

void world_open(struct world *w, const char *dir)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *url = xeno_asprintf("sqlite:%s/ledger.db", dir);
    xeno_time now;

    memset(w, 0, sizeof *w);
    xeno_crypto_init();
    w->env = xeno_env_real();
    now = xeno_wall(w->env);
    w->ca = xeno_key_new(w->env);
    world_must(xeno_ca_make(w->ca, now, xeno_time_add(now, xeno_s(86400)), &w->ca_pem, &err), &err,
               "CA");
    world_must(store_open(url, &w->db, &err), &err, "database");
    world_must(
        xeno_corp_open(w->db, w->env, w->ca, w->ca_pem, &xeno_corp_policy_default, &w->corp, &err),
        &err, "books");
    world_must(xeno_corp_begin(w->corp, &err), &err, "begin");
    for (int i = 0; i < WORLD_CLIENTS; i++)
        join(w, XENO_ROLE_CLIENT, &w->clients[i]);
    for (int i = 0; i < WORLD_SERVERS; i++)
        join(w, XENO_ROLE_SERVER, &w->servers[i]);
    world_must(xeno_corp_commit(w->corp, &err), &err, "commit");
}

void world_close(struct world *w)
{
    for (int i = 0; i < WORLD_CLIENTS; i++)
        xeno_key_free(w->clients[i].key);
    for (int i = 0; i < WORLD_SERVERS; i++)
        xeno_key_free(w->servers[i].key);
    xeno_corp_free(w->corp);
    xeno_db_free(w->db);
    xeno_key_free(w->ca);
    free(w->ca_pem);
}

char *world_chain(struct world *w, int client, int server, char order[XENO_ORDER_ID_CHARS + 1])
{
    const char *servers[] = { w->servers[server].id.s };
    struct xeno_order_restriction only = { .server_count = 1, .servers = servers };
    struct xeno_order_ask ask = {
        .amount = xeno_micro(LIMIT),
        .expires = xeno_time_add(xeno_wall(w->env), xeno_s(3600)),
    };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_order_view v;
    xeno_autofree char *first = NULL;
    xeno_autofree char *narrow = NULL;
    char *chain = NULL;

    world_must(xeno_order_create(w->corp, w->clients[client].id.s, &ask, &v, &first, &err), &err,
               "order");
    world_must(xeno_order_append(first, strlen(first), xeno_corp_pub(w->corp),
                                 w->clients[client].key, &only, NULL, &narrow, &err),
               &err, "restrict");
    world_must(xeno_order_present(narrow, strlen(narrow), xeno_corp_pub(w->corp),
                                  w->clients[client].key, servers[0], xeno_micro(0),
                                  xeno_wall(w->env), &chain, &err),
               &err, "present");
    memcpy(order, v.order, sizeof v.order);
    return chain;
}

static void bind_one(struct world *w, int i)
{
    struct world_session *s = &w->sessions[i];
    int client = i % WORLD_CLIENTS;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_validation) v = NULL;
    xeno_autofree char *chain = NULL;
    struct xeno_bound bound;

    s->server = i % WORLD_SERVERS;
    xeno_session_id_new(w->env, s->name);
    chain = world_chain(w, client, s->server, s->order);
    struct xeno_validate_ask ask = {
        .chain = chain,
        .chain_len = strlen(chain),
        .server = w->servers[s->server].id.s,
        .session = s->name,
        .env_type = "Linux",
        .holder = *xeno_key_pub(w->clients[client].key),
    };
    world_must(xeno_validate_check(xeno_corp_pub(w->corp), xeno_wall(w->env), &ask, &v, &err), &err,
               "check");
    world_must(xeno_validate_apply(w->corp, v, &bound, &err), &err, "bind");
}

void world_bind(struct world *w)
{
    struct xeno_err err = XENO_ERR_INIT;

    world_must(xeno_corp_begin(w->corp, &err), &err, "begin");
    for (int i = 0; i < WORLD_SESSIONS; i++)
        bind_one(w, i);
    world_must(xeno_corp_commit(w->corp, &err), &err, "commit");
}

/* Four resources, as a XenoServer bills them. */
static void fill_charge(struct world *w, struct world_session *s, struct xeno_charge *c)
{
    static const struct xeno_charge_item items[] = {
        { XENO_RES_CPU, 1000000, 873421, { 20 }, { 100 }, { 87 } },
        { XENO_RES_MEMORY, 1280000, 911360, { 2 }, { 8 }, { 21 } },
        { XENO_RES_DISK, 2560000, 102400, { 1 }, { 2 }, { 9 } },
        { XENO_RES_NET, 100000, 5242880, { 5 }, { 900 }, { 4 } },
    };
    int64_t now_ms = xeno_wall(w->env).ns / XENO_NS_PER_MS;

    memset(c, 0, sizeof *c);
    memcpy(c->order, s->order, sizeof c->order);
    memcpy(c->session, s->name, sizeof c->session);
    c->epoch = 1;
    c->seq = ++s->seq;
    c->from = xeno_ms(now_ms - 10);
    c->to = xeno_ms(now_ms);
    c->tariff = 1;
    strcpy(c->activity, "web server at example");
    c->item_count = XENO_LEN(items);
    memcpy(c->items, items, sizeof items);
    for (size_t i = 0; i < XENO_LEN(items); i++)
        c->amount.micro += items[i].amount.micro;
}

char *world_batch(struct world *w, size_t count, int *ret_server)
{
    static struct xeno_charge charges[XENO_CHARGE_BATCH_MAX];
    int server = w->next / (XENO_CHARGE_BATCH_MAX) % WORLD_SERVERS;
    struct xeno_err err = XENO_ERR_INIT;
    char *text = NULL;

    for (size_t i = 0; i < count; i++) {
        int64_t at = (int64_t)w->next++ * WORLD_SERVERS + server;

        fill_charge(w, &w->sessions[at % WORLD_SESSIONS], &charges[i]);
    }
    world_must(xeno_charge_batch_sign(w->servers[server].key, charges, count, &text, &err), &err,
               "sign");
    *ret_server = server;
    return text;
}
