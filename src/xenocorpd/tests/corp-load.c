/* src/xenocorpd/tests/corp-load.c - load on a xenocorpd that may be killed at any moment.
 *
 *     corp-load URL CA.pem OPERATOR.key OPERATOR.pem SESSIONS BATCHES ORDERS [BATCH-SIZE [AT-ONCE]]
 *
 * Enrols a client and a XenoServer, binds SESSIONS orders to sessions, then posts BATCHES batches
 * of charges and makes ORDERS small orders, several of each under way. Every request is sent again
 * under the same name until it is answered; batches are signed before the clock starts. At the end
 * it reads everything back: each acknowledged charge must be there exactly once, each small order
 * too, and the accounts must be what follows. Prints one line of JSON; exits with 1 when anything
 * is wrong. For tests/system and bench/.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <uthash.h>

#include "base/io.h"
#include "doc/charge.h"
#include "doc/order.h"
#include "http/client.h"

#define SMALL_ORDER   1000 /* micro-credits */
#define SESSION_ORDER INT64_C(1000000000)
#define AMOUNT        121 /* of each charge */
#define RETRY_US      20000

struct session {
    char order[XENO_ORDER_ID_CHARS + 1], name[XENO_SESSION_ID_CHARS + 1];
    int64_t seq;
    int64_t seen, seen_sum; /* of its sequences, when read back */
    UT_hash_handle hh;      /* by name */
};

struct load;

/* A request that is sent until it is answered. */
struct wish {
    struct load *load;
    struct xeno_http_client *client;
    const char *path, *type;
    char *body, *idem;
    void (*answered)(struct wish *w, const char *body, size_t len);
    sd_event_source *again;
};

struct load {
    sd_event *loop;
    const struct xeno_env *env;
    const char *url;
    char *ca_pem;
    struct xeno_http_client *op, *client, *server;
    struct xeno_key *client_key, *server_key;
    struct xeno_id client_id, server_id;
    struct session *sessions, *by_name;
    size_t session_count, next_session, batch_size, at_once;
    size_t batches_left, orders_left, under_way;
    char **batches; /* signed texts; taken from the end */
    int64_t posted, repeated, refused, sent_again, orders_made;
    double batch_seconds;
};

static void die(const char *what, const struct xeno_err *err)
{
    fprintf(stderr, "corp-load: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- one after another: enrolment and reading back --- */

static struct xeno_json *ask(struct load *l, struct xeno_http_client *c, const char *method,
                             const char *path, struct xeno_json *body, const char *idem)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", l->url, path);
    xeno_autofree char *text = NULL, *answer = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json *reply = NULL;
    size_t len = 0;

    if (body)
        text = xeno_json_format(body, false, &len);
    xeno_json_unref(body);
    struct xeno_http_ask q = { .method = method,
                               .url = url,
                               .body = text,
                               .body_len = len,
                               .idempotency_key = idem,
                               .retry = true,
                               .deadline = xeno_s(30) };

    if (xeno_http_wait(c, &q, NULL, &answer, &len, &err) < 0 ||
        xeno_json_parse(answer, len, 4 << 20, &reply, &err) < 0)
        die(path, &err);
    return reply;
}

static const char *text_of(const struct xeno_json *j, const char *key)
{
    struct xeno_json_at at = xeno_json_top(j);
    const char *text = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_json_str(&at, key, 0, 1 << 20, &text, &err) < 0)
        die(key, &err);
    return text;
}

static int64_t int_of(const struct xeno_json *j, const char *key)
{
    struct xeno_json_at at = xeno_json_top(j);
    struct xeno_err err = XENO_ERR_INIT;
    int64_t n = 0;

    if (xeno_json_int(&at, key, INT64_MIN, INT64_MAX, &n, &err) < 0)
        die(key, &err);
    return n;
}

static struct xeno_http_client *client_new(struct load *l, const char *cert,
                                           const struct xeno_key *key)
{
    struct xeno_http_client_opts opts = {
        .env = l->env, .ca_pem = l->ca_pem, .cert_pem = cert, .key = key
    };
    struct xeno_http_client *c = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_http_client_new(l->loop, &opts, &c, &err) < 0)
        die("client", &err);
    return c;
}

static struct xeno_http_client *enrol(struct load *l, bool server, struct xeno_key **ret_key,
                                      struct xeno_id *ret_id)
{
    xeno_auto(xeno_http_client) nobody = client_new(l, NULL, NULL);
    struct xeno_json *body = xeno_json_object(), *machine = xeno_json_object();
    xeno_auto(xeno_json) token = NULL;
    xeno_auto(xeno_json) joined = NULL;
    xeno_autofree char *csr = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    xeno_json_set_str(body, "kind", server ? "server" : "client");
    token = ask(l, l->op, "POST", "/v1/admin/tokens", body, NULL);
    *ret_key = xeno_key_new(l->env);
    *ret_id = xeno_id_of(xeno_key_pub(*ret_key));
    if (xeno_csr_make(*ret_key, &csr, &err) < 0)
        die("request", &err);
    xeno_json_set_str(machine, "architecture", "x86_64");
    xeno_json_set_int(machine, "cpus", 1);
    xeno_json_set_int(machine, "memory_bytes", 1);
    xeno_json_set_int(machine, "network_mbps", 1);
    body = xeno_json_object();
    xeno_json_set_str(body, "token", text_of(token, "token"));
    xeno_json_set_str(body, "name", "load");
    xeno_json_set_str(body, "csr", csr);
    if (server)
        xeno_json_set_str(body, "endpoint", "https://127.0.0.1:1");
    xeno_json_set(body, "machine", machine);
    joined = ask(l, nobody, "POST", server ? "/v1/servers" : "/v1/clients", body, NULL);
    return client_new(l, text_of(joined, "certificate"), *ret_key);
}

static void bind_session(struct load *l, struct session *s, size_t i)
{
    struct xeno_json *body = xeno_json_object();
    xeno_autofree char *idem = xeno_asprintf("bind-%zu", i);
    xeno_auto(xeno_json) order = NULL;
    xeno_auto(xeno_json) bound = NULL;
    xeno_autofree char *shown = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_pub corp;
    char pub[XENO_PUB_TEXT];

    xeno_json_set_int(body, "amount", SESSION_ORDER);
    xeno_json_set_int(body, "lifetime_s", 3600);
    order = ask(l, l->client, "POST", "/v1/orders", body, idem);
    snprintf(s->order, sizeof s->order, "%s", text_of(order, "order"));
    xeno_session_id_new(l->env, s->name);
    xeno_pub_text(xeno_key_pub(l->client_key), pub);
    if (xeno_ca_pub(l->ca_pem, &corp, &err) < 0 ||
        xeno_order_present(text_of(order, "chain"), strlen(text_of(order, "chain")), &corp,
                           l->client_key, l->server_id.s, xeno_micro(0), xeno_wall(l->env), &shown,
                           &err) < 0)
        die("present", &err);
    body = xeno_json_object();
    xeno_json_set_str(body, "chain", shown);
    xeno_json_set_str(body, "session", s->name);
    xeno_json_set_int(body, "epoch", 0);
    xeno_json_set_str(body, "env_type", "Linux");
    xeno_json_set_int(body, "rate_per_hour", 0);
    xeno_json_set_str(body, "holder", pub);
    bound = ask(l, l->server, "POST", "/v1/validate", body, idem);
    if (int_of(bound, "epoch") != 1)
        die("validate", NULL);
}

static void set_up(struct load *l)
{
    struct xeno_json *body = xeno_json_object();

    l->client = enrol(l, false, &l->client_key, &l->client_id);
    l->server = enrol(l, true, &l->server_key, &l->server_id);
    xeno_json_set_str(body, "id", l->client_id.s);
    xeno_json_set_int(body, "amount",
                      (int64_t)l->session_count * SESSION_ORDER +
                          (int64_t)l->orders_left * SMALL_ORDER);
    xeno_json_unref(ask(l, l->op, "POST", "/v1/admin/fund", body, l->client_id.s));
    l->sessions = xeno_new0_n(struct session, l->session_count);
    for (size_t i = 0; i < l->session_count; i++)
        bind_session(l, &l->sessions[i], i);
}

/* --- many at once: wishes --- */

static void wish_free(struct wish *w)
{
    sd_event_source_unref(w->again);
    free(w->body);
    free(w->idem);
    free(w);
}

static void more(struct load *l);
static void send_wish(struct wish *w);

static int on_again(sd_event_source *s, uint64_t usec, void *arg)
{
    (void)s;
    (void)usec;
    send_wish(arg);
    return 0;
}

static void on_answer(const struct xeno_http_answer *a, void *arg)
{
    struct wish *w = arg;
    struct load *l = w->load;

    if (a->status >= 400 && a->status < 500 && a->status != 429)
        die(w->path, a->err);
    if (a->status < 200 || a->status > 299) {
        l->sent_again++;
        w->again = sd_event_source_unref(w->again);
        sd_event_add_time_relative(l->loop, &w->again, CLOCK_MONOTONIC, RETRY_US, 0, on_again, w);
        return;
    }
    w->answered(w, a->body, a->len);
    wish_free(w);
    l->under_way--;
    more(l);
}

static void send_wish(struct wish *w)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", w->load->url, w->path);
    struct xeno_http_ask q = { .method = "POST",
                               .url = url,
                               .type = w->type,
                               .body = w->body,
                               .body_len = strlen(w->body),
                               .idempotency_key = w->idem,
                               .deadline = xeno_s(10),
                               .done = on_answer,
                               .arg = w };

    (void)xeno_http_send(w->client, &q);
}

static void batch_answered(struct wish *w, const char *body, size_t len)
{
    struct load *l = w->load;
    xeno_auto(xeno_json) reply = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json_at top, list, item;
    const char *status = "";
    size_t count = 0;

    if (xeno_json_parse(body, len, 4 << 20, &reply, &err) < 0)
        die("answer", &err);
    top = xeno_json_top(reply);
    if (xeno_json_arr(&top, "results", 100, &list, &count, &err) < 0 || count != l->batch_size)
        die("results", &err);
    for (size_t i = 0; i < count; i++) {
        item = xeno_json_item(&list, i);
        if (xeno_json_str(&item, "status", 1, 20, &status, &err) < 0)
            die("status", &err);
        l->posted += strcmp(status, "posted") == 0;
        l->repeated += strcmp(status, "repeated") == 0;
        l->refused += strcmp(status, "refused") == 0;
    }
}

static void order_answered(struct wish *w, const char *body, size_t len)
{
    (void)body;
    (void)len;
    w->load->orders_made++;
}

static char *make_batch(struct load *l)
{
    struct xeno_charge *charges = xeno_new0_n(struct xeno_charge, l->batch_size);
    int64_t now_ms = xeno_wall(l->env).ns / XENO_NS_PER_MS;
    struct xeno_err err = XENO_ERR_INIT;
    char *text = NULL;

    for (size_t i = 0; i < l->batch_size; i++) {
        struct session *s = &l->sessions[l->next_session++ % l->session_count];
        struct xeno_charge *c = &charges[i];

        memcpy(c->order, s->order, sizeof c->order);
        memcpy(c->session, s->name, sizeof c->session);
        c->epoch = 1;
        c->seq = ++s->seq;
        c->from = c->to = xeno_ms(now_ms);
        c->amount.micro = AMOUNT;
        strcpy(c->activity, "load");
        c->item_count = 4;
        for (int k = 0; k < 4; k++)
            c->items[k] = (struct xeno_charge_item){ (enum xeno_res)k, 1000000, 123456 + k,
                                                     { 20 },           { 100 }, { k ? 40 : 1 } };
    }
    if (xeno_charge_batch_sign(l->server_key, charges, l->batch_size, &text, &err) < 0)
        die("sign", &err);
    free(charges);
    return text;
}

static void start_wish(struct load *l, bool order)
{
    struct wish *w = xeno_new0(struct wish);

    w->load = l;
    if (order) {
        w->client = l->client;
        w->path = "/v1/orders";
        w->body = xeno_asprintf("{\"amount\":%d,\"lifetime_s\":3600}", SMALL_ORDER);
        w->idem = xeno_asprintf("small-%zu", l->orders_left--);
        w->answered = order_answered;
    } else {
        l->batches_left--;
        w->client = l->server;
        w->path = "/v1/charges";
        w->type = "application/jose";
        w->body = xeno_take(&l->batches[l->batches_left]);
        w->answered = batch_answered;
    }
    l->under_way++;
    send_wish(w);
}

static void more(struct load *l)
{
    while (l->under_way < l->at_once && (l->batches_left > 0 || l->orders_left > 0)) {
        bool order = l->orders_left > 0 && (l->batches_left == 0 || l->under_way % 2);

        start_wish(l, order);
    }
}

/* --- reading back --- */

static void expect(const char *what, int64_t got, int64_t want)
{
    if (got == want)
        return;
    fprintf(stderr, "corp-load: %s: %" PRId64 ", not %" PRId64 "\n", what, got, want);
    exit(1);
}

static int64_t member_of(const struct xeno_json_at *item, const char *key)
{
    struct xeno_err err = XENO_ERR_INIT;
    int64_t n = 0;

    if (xeno_json_int(item, key, INT64_MIN, INT64_MAX, &n, &err) < 0)
        die(key, &err);
    return n;
}

static void see_charge(struct load *l, const struct xeno_json_at *item)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct session *s = NULL;
    const char *name = "";

    if (xeno_json_str(item, "session", 1, 64, &name, &err) < 0)
        die("session", &err);
    HASH_FIND_STR(l->by_name, name, s);
    if (!s)
        die("a charge of an unknown session", NULL);
    s->seen++;
    s->seen_sum += member_of(item, "seq");
}

/* Walk a paged list and count its items; `sum` adds up a member. */
static int64_t walk(struct load *l, struct xeno_http_client *c, const char *path, const char *key,
                    const char *member, int64_t *ret_sum)
{
    int64_t count = 0, after = 0;
    size_t page = 1000;

    *ret_sum = 0;
    while (page == 1000) {
        xeno_autofree char *at = xeno_asprintf("%s%cafter=%" PRId64 "&limit=1000", path,
                                               strchr(path, '?') ? '&' : '?', after);
        xeno_auto(xeno_json) reply = ask(l, c, "GET", at, NULL, NULL);
        struct xeno_json_at top = xeno_json_top(reply), list, item;
        struct xeno_err err = XENO_ERR_INIT;

        if (xeno_json_arr(&top, key, 1000, &list, &page, &err) < 0)
            die(path, &err);
        for (size_t i = 0; i < page; i++) {
            item = xeno_json_item(&list, i);
            *ret_sum += member_of(&item, member);
            if (strcmp(key, "charges") == 0)
                see_charge(l, &item);
        }
        count += (int64_t)page;
        if (page == 1000)
            after = int_of(reply, "next");
    }
    return count;
}

/* Every charge that was acknowledged is there once, under its own sequence. */
static void read_back(struct load *l, size_t batches)
{
    int64_t charges = (int64_t)(batches * l->batch_size), sum = 0, seen;
    xeno_auto(xeno_json) books = ask(l, l->op, "GET", "/v1/admin/ledger?check=1", NULL, NULL);
    xeno_auto(xeno_json) mine = ask(l, l->client, "GET", "/v1/account", NULL, NULL);

    expect("answered charges", l->posted + l->repeated, charges);
    expect("refused charges", l->refused, 0);
    expect("sum over all accounts", int_of(books, "sum"), 0);
    if (!strstr(text_of(mine, "kind"), "client"))
        die("kind", NULL);
    for (size_t i = 0; i < l->session_count; i++)
        HASH_ADD_STR(l->by_name, name, &l->sessions[i]);
    seen = walk(l, l->op, "/v1/admin/charges", "charges", "seq", &sum);
    for (size_t i = 0; i < l->session_count; i++) {
        const struct session *s = &l->sessions[i];

        expect("charges of a session", s->seen, s->seq);
        expect("sum of its sequences", s->seen_sum, s->seq * (s->seq + 1) / 2);
    }
    HASH_CLEAR(hh, l->by_name);
    expect("charges in the books", seen, charges);
    expect("orders in the books", walk(l, l->client, "/v1/orders", "orders", "charged", &sum),
           (int64_t)l->session_count + l->orders_made);
    expect("charged by the orders", sum, charges * AMOUNT);
    expect("free credit", int_of(mine, "free"), 0);
    (void)walk(l, l->server, "/v1/statement", "entries", "amount", &sum);
    expect("earned by the statement", sum, int_of(books, "earned"));
}

static size_t number(const char *text)
{
    return (size_t)strtoul(text, NULL, 10);
}

static void run(struct load *l)
{
    size_t batches = l->batches_left;
    double start;

    set_up(l);
    l->batches = xeno_new0_n(char *, batches + 1);
    for (size_t i = batches; i > 0; i--)
        l->batches[i - 1] = make_batch(l);
    start = now_s();
    more(l);
    while (l->under_way > 0 && sd_event_run(l->loop, UINT64_MAX) >= 0)
        continue;
    l->batch_seconds = now_s() - start;
    free(l->batches);
    read_back(l, batches);
    printf("{\"charges\":%" PRId64 ",\"repeated\":%" PRId64 ",\"orders\":%" PRId64
           ",\"sent_again\":%" PRId64 ",\"seconds\":%.2f,\"charges_per_s\":%.0f}\n",
           l->posted + l->repeated, l->repeated, l->orders_made, l->sent_again, l->batch_seconds,
           (double)(l->posted + l->repeated) / l->batch_seconds);
}

int main(int argc, char **argv)
{
    struct load l = { .env = xeno_env_real() };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_key *op_key = NULL;
    char *op_pem = NULL;
    size_t len;

    if (argc < 8) {
        fprintf(stderr, "usage: corp-load URL CA KEY CERT SESSIONS BATCHES ORDERS [SIZE [ONCE]]\n");
        return 2;
    }
    xeno_crypto_init();
    l.url = argv[1];
    l.session_count = number(argv[5]);
    l.batches_left = number(argv[6]);
    l.orders_left = number(argv[7]);
    l.batch_size = argc > 8 ? number(argv[8]) : 20;
    l.at_once = argc > 9 ? number(argv[9]) : 8;
    if (xeno_file_read(-100, argv[2], 65536, &l.ca_pem, &len, &err) < 0 ||
        xeno_key_load(-100, argv[3], &op_key, &err) < 0 ||
        xeno_file_read(-100, argv[4], 65536, &op_pem, &len, &err) < 0)
        die("files", &err);
    if (sd_event_default(&l.loop) < 0 || l.session_count == 0 || l.batch_size == 0 ||
        l.batch_size > XENO_CHARGE_BATCH_MAX)
        die("arguments", NULL);
    l.op = client_new(&l, op_pem, op_key);
    run(&l);
    xeno_http_client_free(l.op);
    xeno_http_client_free(l.client);
    xeno_http_client_free(l.server);
    xeno_key_free(l.client_key);
    xeno_key_free(l.server_key);
    xeno_key_free(op_key);
    sd_event_unref(l.loop);
    free(l.sessions);
    free(l.ca_pem);
    free(op_pem);
    return 0;
}
