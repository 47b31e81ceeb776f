/* sim/corpside.c - a XenoCorp in the simulator. */
#include "sim/corpside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "corp/charges.h"
#include "corp/idem.h"
#include "corp/ledger.h"
#include "corp/log.h"
#include "corp/orders.h"
#include "corp/storage.h"
#include "corp/validate.h"

static void must(struct sim_corp *c, int r, const struct xeno_err *err, const char *what)
{
    if (r < 0)
        sim_fail(c->w, "%s: %s: %s", what, err->token, err->text);
}

static void reopen(struct sim_corp *c)
{
    struct xeno_err err = XENO_ERR_INIT;

    xeno_corp_free(xeno_take(&c->corp));
    must(c,
         xeno_corp_open(c->db, world_env(c->w), c->ca, c->ca_pem, &xeno_corp_policy_default,
                        &c->corp, &err),
         &err, "open the XenoCorp");
}

void sim_corp_open(struct sim_corp *c, struct world *w)
{
    struct xeno_err err = XENO_ERR_INIT;

    *c = (struct sim_corp){ .w = w, .books = sim_books_new(), .check_each = 1 };
    xeno_crypto_init();
    c->ca = xeno_key_new(world_env(w));
    must(c,
         xeno_ca_make(c->ca, xeno_s(SIM_START_S - 3600), xeno_s(SIM_START_S + 86400 * 400),
                      &c->ca_pem, &err),
         &err, "make the CA");
    must(c, xeno_db_open("sqlite::memory:", &c->db, &err), &err, "open the books");
    reopen(c);
}

void sim_corp_release(struct sim_corp *c)
{
    xeno_corp_free(c->corp);
    sim_books_free(c->books);
    xeno_db_free(c->db);
    xeno_key_free(c->ca);
    free(c->ca_pem);
}

void sim_corp_check(struct sim_corp *c)
{
    struct xeno_ledger_totals totals = { 0 };
    struct xeno_err err = XENO_ERR_INIT;

    must(c, xeno_ledger_totals(c->corp, &totals, &err), &err, "totals");
    if (totals.sum.micro != 0)
        sim_fail(c->w, "the accounts sum up to %lld", (long long)totals.sum.micro);
    must(c, sim_books_follow(c->books, c->db, &err), &err, "after a commit");
    c->commits++;
    if (c->check_each == 0 || c->commits % c->check_each != 0)
        return;
    c->checks++;
    must(c, xeno_ledger_check(c->db, &err), &err, "ledger");
}

/* --- groups --- */

static void begin(struct sim_corp *c)
{
    struct xeno_err err = XENO_ERR_INIT;

    must(c, xeno_corp_begin(c->corp, &err), &err, "begin");
}

/* Returns: false when the XenoCorp crashed, before or after the commit. */
static bool commit(struct sim_corp *c)
{
    struct xeno_err err = XENO_ERR_INIT;
    bool crash = world_chance(c->w, c->w->faults.corp_crash), late = world_dice(c->w, 2);

    if (crash && !late) {
        xeno_corp_rollback(c->corp);
    } else {
        must(c, xeno_corp_commit(c->corp, &err), &err, "commit");
    }
    if (crash) {
        c->crashes++;
        reopen(c);
    }
    sim_corp_check(c);
    return !crash;
}

/* The same for what operators and clients do by hand: they see to it that it is done. */
static void commit_surely(struct sim_corp *c, int r, struct xeno_err *err, const char *what)
{
    must(c, r, err, what);
    must(c, xeno_corp_commit(c->corp, err), err, "commit");
    sim_corp_check(c);
}

void sim_corp_join(struct sim_corp *c, enum xeno_role role, struct sim_party *ret)
{
    bool server = role == XENO_ROLE_SERVER || role == XENO_ROLE_NODE;
    char token[XENO_TOKEN_TEXT];
    xeno_autofree char *cert = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_join join = { .token = token,
                              .name = "simulated",
                              .contact = "",
                              .kind = xeno_role_party(role),
                              .endpoint = server ? "https://127.0.0.1:1" : NULL };

    ret->key = xeno_key_new(world_env(c->w));
    join.pub = *xeno_key_pub(ret->key);
    begin(c);
    commit_surely(c, xeno_token_issue(c->corp, "sim", role, xeno_s(60), token, &err), &err,
                  "token");
    begin(c);
    commit_surely(c, xeno_register(c->corp, &join, &ret->id, &cert, &err), &err, "register");
}

void sim_corp_fund(struct sim_corp *c, const struct sim_party *p, int64_t micro)
{
    struct xeno_err err = XENO_ERR_INIT;

    begin(c);
    commit_surely(c, xeno_ledger_fund(c->corp, "sim", p->id.s, xeno_micro(micro), "paid", &err),
                  &err, "fund");
}

char *sim_corp_order(struct sim_corp *c, const struct sim_party *p, int64_t micro, int64_t ms,
                     char ret_order[33])
{
    struct xeno_order_ask ask = { .amount = xeno_micro(micro),
                                  .expires = xeno_time_add(c->w->t.now, xeno_ms(ms)) };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_order_view view;
    char *chain = NULL;
    int r;

    begin(c);
    r = xeno_order_create(c->corp, p->id.s, &ask, &view, &chain, &err);
    commit_surely(c, 0, &err, "order");
    if (r < 0)
        return NULL; /* not enough credit: refused, and nothing has changed */
    memcpy(ret_order, view.order, sizeof(view.order));
    return chain;
}

char *sim_present(struct sim_corp *c, const struct sim_party *p, char *chain,
                  const struct xeno_id *server, int64_t max_rate)
{
    xeno_autofree char *owned = chain;
    struct xeno_err err = XENO_ERR_INIT;
    char *shown = NULL;

    if (owned && xeno_order_present(owned, strlen(owned), xeno_corp_pub(c->corp), p->key, server->s,
                                    xeno_micro(max_rate), c->w->t.now, &shown, &err) < 0)
        sim_fail(c->w, "present an order: %s: %s", err.token, err.text);
    return shown;
}

void sim_corp_close(struct sim_corp *c, const struct sim_party *p, const char *order)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_order_view view;

    begin(c);
    commit_surely(c, xeno_order_close(c->corp, p->id.s, order, &view, &err), &err, "close");
}

void sim_corp_tick(struct sim_corp *c)
{
    struct xeno_err err = XENO_ERR_INIT;

    begin(c);
    commit_surely(c, xeno_corp_tick(c->corp, 100, &err), &err, "tick");
}

/* --- requests --- */

void sim_request_free(struct sim_request *q)
{
    if (!q)
        return;
    free(q->path);
    free(q->key);
    free(q->body);
    free(q);
}

static int read_body(const struct sim_request *q, struct xeno_json **ret, struct xeno_err *err)
{
    return xeno_json_parse(q->body, q->body_len, 128 * 1024, ret, err);
}

static int do_validate(struct sim_corp *c, const struct sim_request *q, struct xeno_json **ret,
                       struct xeno_err *err)
{
    xeno_auto(xeno_validation) v = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_validate_ask ask = { .server = q->server.s };
    struct xeno_json_at top;
    struct xeno_bound b;
    const char *holder = "";
    int r;

    r = read_body(q, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_str(&top, "chain", 1, XENO_ORDER_BYTES_MAX, &ask.chain, err);
    if (r == 0)
        r = xeno_json_str(&top, "session", 1, 64, &ask.session, err);
    if (r == 0)
        r = xeno_json_int(&top, "epoch", 0, INT64_MAX, &ask.epoch, err);
    if (r == 0)
        r = xeno_json_str(&top, "env_type", 1, 64, &ask.env_type, err);
    if (r == 0)
        r = xeno_json_int(&top, "rate_per_hour", 0, INT64_MAX, &ask.rate_per_hour.micro, err);
    if (r == 0)
        r = xeno_json_str(&top, "holder", 1, XENO_PUB_TEXT, &holder, err);
    if (r == 0 && !xeno_pub_parse(holder, &ask.holder))
        r = xeno_fail(err, -EINVAL, "json.type", "holder: not a key");
    if (r == 0)
        r = xeno_json_str_opt(&top, "certificate", 1, XENO_WRITECERT_BYTES_MAX, &ask.certificate,
                              err);
    if (r < 0)
        return r;
    ask.chain_len = strlen(ask.chain);
    r = xeno_validate_check(xeno_corp_pub(c->corp), c->w->t.now, &ask, &v, err);
    if (r == 0)
        r = xeno_validate_apply(c->corp, v, &b, err);
    if (r < 0)
        return r;
    *ret = xeno_json_object();
    xeno_json_set_str(*ret, "order", b.order);
    xeno_json_set_str(*ret, "session", b.session);
    xeno_json_set_int(*ret, "epoch", b.epoch);
    xeno_json_set_int(*ret, "limit", b.limit.micro);
    xeno_json_set_int(*ret, "charged", b.charged.micro);
    xeno_json_set_int(*ret, "left", b.left.micro);
    xeno_json_set_int(*ret, "expires_ms", b.expires_ms);
    if (b.copy)
        xeno_json_set_int(*ret, "copy", b.copy);
    return 0;
}

static int do_release(struct sim_corp *c, const struct sim_request *q, struct xeno_json **ret,
                      struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    const char *order, *session;
    struct xeno_json_at top;
    int r;

    r = read_body(q, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_str(&top, "order", 1, 64, &order, err);
    if (r == 0)
        r = xeno_json_str(&top, "session", 1, 64, &session, err);
    if (r == 0)
        r = xeno_validate_release(c->corp, q->server.s, order, session, err);
    if (r == 0)
        *ret = xeno_json_object();
    return r;
}

static int do_charges(struct sim_corp *c, const struct sim_request *q, struct xeno_json **ret,
                      struct xeno_err *err)
{
    struct xeno_charge_results results = { .count = 0 };
    xeno_auto(xeno_charges) charges = NULL;
    int r;

    r = xeno_charges_check(q->body, q->body_len, &q->pub, &charges, err);
    if (r == 0)
        r = xeno_charges_apply(c->corp, charges, &results, err);
    if (r < 0)
        return r;
    *ret = xeno_charges_reply(charges, &results, world_ms(c->w));
    xeno_charge_results_release(&results);
    return 0;
}

static int do_consistency(struct sim_corp *c, const struct sim_request *q, struct xeno_json **ret,
                          struct xeno_err *err)
{
    long long first = -1, second = -1;
    struct xeno_proof p;
    int r;

    (void)sscanf(q->path, "/v1/log/consistency?first=%lld&second=%lld", &first, &second);
    r = xeno_log_consistency(c->corp, first, second, &p, err);
    if (r < 0)
        return r;
    *ret = xeno_json_object();
    xeno_json_set(*ret, "proof", xeno_proof_json(&p));
    return 0;
}

static int do_audits(struct sim_corp *c, const struct sim_request *q, struct xeno_json **ret,
                     struct xeno_err *err)
{
    struct xeno_challenge list[16];
    struct xeno_json *all;
    int n = xeno_challenges(c->corp, q->server.s, 0, XENO_LEN(list), list, err);

    if (n < 0)
        return n;
    all = xeno_json_array();
    for (int i = 0; i < n; i++) {
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_int(o, "audit", list[i].n);
        xeno_json_set_str(o, "certificate", list[i].certificate);
        xeno_json_set_str(o, "digest", list[i].digest);
        xeno_json_set_int(o, "block", list[i].block);
        xeno_json_append(all, o);
    }
    *ret = xeno_json_object();
    xeno_json_set(*ret, "audits", all);
    return 0;
}

static int do_answer(struct sim_corp *c, const struct sim_request *q, struct xeno_json **ret,
                     struct xeno_err *err)
{
    xeno_autofree struct xeno_store_answer *a = xeno_new0(struct xeno_store_answer);
    struct xeno_challenge h;
    int r = xeno_store_answer_read(q->body, q->body_len, &q->pub, a, err);

    if (r == 0)
        r = xeno_challenge_answer(c->corp, q->server.s, a->audit, a, q->body, &h, err);
    if (r < 0)
        return r;
    *ret = xeno_json_object();
    xeno_json_set_str(*ret, "result", xeno_challenge_word(h.result));
    return 0;
}

static int do_request(struct sim_corp *c, const struct sim_request *q, struct xeno_json **ret,
                      struct xeno_err *err)
{
    if (strcmp(q->path, "/v1/validate") == 0)
        return do_validate(c, q, ret, err);
    if (strcmp(q->path, "/v1/validate/release") == 0)
        return do_release(c, q, ret, err);
    if (strcmp(q->path, "/v1/charges") == 0)
        return do_charges(c, q, ret, err);
    if (strcmp(q->path, "/v1/audits") == 0)
        return do_audits(c, q, ret, err);
    if (strcmp(q->path, "/v1/audits/answers") == 0)
        return do_answer(c, q, ret, err);
    if (strncmp(q->path, "/v1/log/consistency?", 20) == 0)
        return do_consistency(c, q, ret, err);
    return xeno_fail(err, -ENOENT, "http.path", "nothing at %s", q->path);
}

/* An answer that was kept for the same key and body. Returns: 1 with it in *ret. */
static int find_kept(struct sim_corp *c, const char *name, const uint8_t sha[32],
                     struct xeno_json **ret, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    int status = 0, r;

    r = xeno_idem_find(c->corp, name, sha, &status, &text, err);
    if (r <= 0)
        return r;
    r = xeno_json_parse(text, strlen(text), 128 * 1024, ret, err);
    return r < 0 ? r : 1;
}

/* One request in the open group, kept when it has a key and succeeds. */
static int in_group(struct sim_corp *c, const struct sim_request *q, struct xeno_json **ret,
                    struct xeno_err *err)
{
    xeno_autofree char *name = NULL, *text = NULL;
    uint8_t sha[32];
    int r;

    if (!q->key)
        return do_request(c, q, ret, err);
    name = xeno_asprintf("%s POST %s %s", q->server.s, q->path, q->key);
    xeno_sha256_of(q->body, q->body_len, sha);
    r = find_kept(c, name, sha, ret, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = do_request(c, q, ret, err);
    if (r < 0)
        return r;
    text = xeno_json_format(*ret, false, NULL);
    return xeno_idem_keep(c->corp, name, sha, 200, text, err);
}

int sim_corp_handle(struct sim_corp *c, const struct sim_request *q, struct xeno_json **ret,
                    bool *ret_refused, struct xeno_err *err)
{
    int r;

    *ret_refused = false;
    if (c->away)
        return 0;
    begin(c);
    r = in_group(c, q, ret, err);
    if (!commit(c)) {
        xeno_json_unref(xeno_take(ret));
        return 0;
    }
    if (r < 0) {
        *ret_refused = true;
        return r;
    }
    xeno_json_set_str(*ret, "receipt", xeno_log_head_text(c->corp));
    return 1;
}
