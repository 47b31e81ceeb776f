/* src/xrdd/tests/fixture.c - an RD in this process, and all it speaks to. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/io.h"
#include "spec/requirement.h"
#include "xis/advert.h"

static char *certificate(struct fixture *f, const struct xeno_key *key, enum xeno_party kind)
{
    static const char *const hosts[] = { "127.0.0.1", NULL };
    xeno_time now = xeno_wall(xeno_env_real());
    struct xeno_cert_spec spec = { .kind = kind,
                                   .pub = *xeno_key_pub(key),
                                   .not_before = xeno_time_add(now, xeno_s(-3600)),
                                   .not_after = xeno_time_add(now, xeno_s(90 * 86400)),
                                   .hosts = kind == XENO_PARTY_CLIENT ? NULL : hosts };
    char *pem = NULL;

    xeno_cert_serial(xeno_env_real(), spec.serial);
    assert_int_equal(xeno_cert_make(f->ca, f->ca_pem, &spec, &pem, NULL), 0);
    return pem;
}

static struct xeno_http_server *serve(struct fixture *f, const struct xeno_key *key,
                                      enum xeno_party kind, const struct xeno_http_route *routes,
                                      void *user)
{
    xeno_autofree char *pem = certificate(f, key, kind);
    struct xeno_http_server_opts opts = { .listen = "127.0.0.1:0",
                                          .listen_fd = -1,
                                          .cert_pem = pem,
                                          .key = key,
                                          .ca_pem = f->ca_pem,
                                          .env = xeno_env_real(),
                                          .routes = routes,
                                          .user = user };
    struct xeno_http_server *s = NULL;

    assert_int_equal(xeno_http_server_new(f->loop, &opts, &s, NULL), 0);
    return s;
}

/* --- a XIS --- */

static void answer_changes(struct fake_xis *x, struct xeno_http_req *q, int64_t after,
                           int64_t limit)
{
    struct xeno_json *body = xeno_json_object(), *list = xeno_json_array();
    int64_t next = after;

    for (; next < (int64_t)x->count && next - after < limit; next++)
        xeno_json_append(list, xeno_json_ref(x->changes[next]));
    xeno_json_set_str(body, "epoch", x->epoch);
    xeno_json_set(body, "changes", list);
    xeno_json_set_int(body, "next", next);
    xeno_json_set_bool(body, "more", next < (int64_t)x->count);
    xeno_http_reply_json(q, 200, body);
}

static void on_gone(void *arg)
{
    ((struct fake_xis *)arg)->waiting = NULL;
}

static void get_changes(struct xeno_http_req *q, void *user)
{
    struct fake_xis *x = user;
    const char *epoch = xeno_http_query(q, "epoch");
    int64_t after = atoll(xeno_http_query(q, "after")), limit = atoll(xeno_http_query(q, "limit"));

    x->asked++;
    if (x->nonsense) {
        xeno_http_reply_data(q, 200, "application/json", x->nonsense, strlen(x->nonsense));
    } else if (after > (int64_t)x->count || (epoch && strcmp(epoch, x->epoch) != 0)) {
        struct xeno_json *body = xeno_json_object();

        xeno_json_set_str(body, "epoch", x->epoch);
        xeno_json_set_bool(body, "gap", true);
        xeno_http_reply_json(q, 200, body);
    } else if (after == (int64_t)x->count && atoi(xeno_http_query(q, "wait")) > 0) {
        assert_null(x->waiting);
        x->waiting = q;
        x->waiting_after = after;
        xeno_http_on_gone(q, on_gone, x);
    } else {
        answer_changes(x, q, after, limit);
    }
}

void fixture_xis(struct fixture *f, int i)
{
    static const struct xeno_http_route routes[] = { { "GET", "/v1/changes", 0, 0, get_changes },
                                                     { NULL } };
    xeno_auto(xeno_key) key = xeno_key_new(xeno_env_real());
    struct fake_xis *x = &f->xis[i];

    x->f = f;
    snprintf(x->epoch, sizeof x->epoch, "e%d", i);
    x->http = serve(f, key, XENO_PARTY_NODE, routes, x);
}

void fixture_xis_gone(struct fixture *f, int i)
{
    xeno_http_server_free(xeno_take(&f->xis[i].http));
}

void fixture_tell(struct fixture *f, int xis, struct xeno_json *change)
{
    struct fake_xis *x = &f->xis[xis];

    assert_true(x->count < CHANGES);
    xeno_json_set_int(change, "seq", (int64_t)x->count + 1);
    x->changes[x->count++] = change;
    if (x->waiting)
        answer_changes(x, xeno_take(&x->waiting), x->waiting_after, 1000);
}

void fixture_new_epoch(struct fixture *f, int xis, const char *epoch)
{
    struct fake_xis *x = &f->xis[xis];

    while (x->count > 0)
        xeno_json_unref(x->changes[--x->count]);
    snprintf(x->epoch, sizeof x->epoch, "%s", epoch);
    if (x->waiting) {
        struct xeno_json *body = xeno_json_object();

        xeno_json_set_str(body, "epoch", x->epoch);
        xeno_json_set_bool(body, "gap", true);
        xeno_http_reply_json(xeno_take(&x->waiting), 200, body);
    }
}

/* --- a XenoServer --- */

static void on_held_gone(void *arg)
{
    ((struct fake_server *)arg)->held = NULL;
}

static void post_probes(struct xeno_http_req *q, void *user)
{
    struct fake_server *s = user;
    struct xeno_json *body, *list;
    struct xeno_err err = XENO_ERR_INIT;

    s->probes++;
    if (s->rtt_us < 0) {
        s->held = q;
        xeno_http_on_gone(q, on_held_gone, s);
        return;
    }
    if (s->rtt_us == 0) {
        xeno_fail(&err, -EUSERS, "probe.rate", "no");
        xeno_http_reply_err(q, &err);
        return;
    }
    body = xeno_json_object();
    list = xeno_json_array();
    for (int i = 0; i < 3; i++) { /* the middle one is it */
        xeno_auto(xeno_json) n = xeno_json_object();

        xeno_json_set_int(n, "n", s->rtt_us + (i == 0 ? 700000 : i));
        xeno_json_append(list, xeno_json_member(n, "n"));
    }
    xeno_json_set(body, "rtt_us", list);
    xeno_http_reply_json(q, 200, body);
}

static void post_traceroutes(struct xeno_http_req *q, void *user)
{
    struct fake_server *s = user;
    struct xeno_json *body = xeno_json_object(), *list = xeno_json_array();
    char hop[32];

    /* The even ones share a hop. */
    s->traces++;
    snprintf(hop, sizeof hop, "198.18.%d.1", s->f->servers == s ? 9 : (int)(s - s->f->servers));
    xeno_json_append_str(list, (s - s->f->servers) % 2 == 0 ? "203.0.112.1" : hop);
    xeno_json_append_str(list, hop);
    xeno_json_set(body, "hops", list);
    xeno_http_reply_json(q, 200, body);
}

void fixture_server(struct fixture *f, int i)
{
    static const struct xeno_http_route routes[] = {
        { "POST", "/v1/probes", 0, 1024, post_probes },
        { "POST", "/v1/traceroutes", 0, 1024, post_traceroutes },
        { NULL },
    };
    struct fake_server *s = &f->servers[i];

    s->f = f;
    s->rtt_us = 20000;
    s->http = serve(f, s->key, XENO_PARTY_SERVER, routes, s);
}

/* --- the XenoCorp --- */

static void get_complaints(struct xeno_http_req *q, void *user)
{
    struct fixture *f = user;
    struct xeno_json *body = xeno_json_object(), *list = xeno_json_array();
    size_t i = (size_t)atoll(xeno_http_query(q, "after")), end = i + 2;

    for (; i < f->corp.count && i < end; i++) {
        struct xeno_json *c = xeno_json_object();
        int64_t count = 1;

        for (size_t k = 0; k < i; k++)
            count += f->corp.server[k] == f->corp.server[i];
        xeno_json_set_int(c, "complaint", (int64_t)i + 1);
        xeno_json_set_str(c, "server", f->servers[f->corp.server[i]].id.s);
        xeno_json_set_int(c, "count", count);
        xeno_json_append(list, c);
    }
    xeno_json_set(body, "complaints", list);
    if (i < f->corp.count)
        xeno_json_set_int(body, "next", (int64_t)i);
    xeno_http_reply_json(q, 200, body);
}

void fixture_corp(struct fixture *f)
{
    static const struct xeno_http_route routes[] = {
        { "GET", "/v1/complaints", 0, 0, get_complaints }, { NULL }
    };

    f->corp.key = xeno_key_new(xeno_env_real());
    f->corp.http = serve(f, f->corp.key, XENO_PARTY_CORP, routes, f);
}

char *fixture_advert(struct fixture *f, int i, int64_t version, const char *more)
{
    struct fake_server *s = &f->servers[i];
    const char *const isolation[] = { "container", NULL };
    xeno_autofree char *endpoint =
        xeno_asprintf("https://127.0.0.1:%u", s->http ? xeno_http_server_port(s->http) : 1);
    struct xeno_advert_head head = { .version = version,
                                     .expires =
                                         xeno_time_add(xeno_wall(xeno_env_real()), xeno_s(3600)),
                                     .endpoint = endpoint,
                                     .isolation = isolation };
    struct xeno_id corp = xeno_id_of(xeno_key_pub(f->ca));
    const char *const own[] = { corp.s, NULL };
    xeno_auto(xeno_advert_maker) m = NULL;
    xeno_autofree char *text = xeno_strdup(more);
    char name[16], *rest = text, *line, *jws = NULL;

    head.corps = own;
    m = xeno_advert_maker_new(xeno_key_pub(s->key), &head);
    snprintf(name, sizeof name, "s%d", i);
    xeno_advert_add(m, "Name", name);
    xeno_advert_add(m, "Accepting", "yes");
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *value = strchr(line, '=');

        *value++ = '\0';
        xeno_advert_add(m, line, value);
    }
    assert_int_equal(xeno_advert_sign(m, s->key, &jws, NULL), 0);
    return jws;
}

struct xeno_json *change_advert(struct fixture *f, int i, int64_t version, const char *jws)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "id", f->servers[i].id.s);
    xeno_json_set_int(j, "version", version);
    xeno_json_set_str(j, "advert", jws);
    return j;
}

void fixture_tell_server(struct fixture *f, int xis, int i, const char *more)
{
    int64_t version = ++f->servers[i].version;
    xeno_autofree char *jws = fixture_advert(f, i, version, more);

    fixture_tell(f, xis, change_advert(f, i, version, jws));
}

/* --- the whole --- */

static void make_files(struct fixture *f)
{
    xeno_auto(xeno_key) key = xeno_key_new(xeno_env_real());
    xeno_autofree char *pem = certificate(f, key, XENO_PARTY_NODE);
    xeno_autoclose int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(xeno_key_save(key, dir, "key.pem", NULL), 0);
    assert_int_equal(xeno_file_write(dir, "credential.pem", 0644, pem, strlen(pem), NULL), 0);
    assert_int_equal(xeno_file_write(dir, "ca.pem", 0644, f->ca_pem, strlen(f->ca_pem), NULL), 0);
}

static void make_client(struct fixture *f)
{
    struct xeno_http_client_opts opts = { .env = xeno_env_real(), .ca_pem = f->ca_pem };

    f->key = xeno_key_new(xeno_env_real());
    f->id = xeno_id_of(xeno_key_pub(f->key));
    f->pem = certificate(f, f->key, XENO_PARTY_CLIENT);
    opts.cert_pem = f->pem;
    opts.key = f->key;
    assert_int_equal(xeno_http_client_new(f->loop, &opts, &f->client, NULL), 0);
}

void fixture_make(struct fixture *f)
{
    xeno_time now = xeno_wall(xeno_env_real());
    sigset_t set;

    *f = (struct fixture){ .d = { .dirfd = -1 } };
    xeno_crypto_init();
    xeno_spec_init();
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL); /* they are the loop's */
    strcpy(f->dir, "/var/tmp/xeno-rd-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_true(sd_event_new(&f->loop) >= 0);
    f->ca = xeno_key_new(xeno_env_real());
    assert_int_equal(xeno_ca_make(f->ca, xeno_time_add(now, xeno_s(-3600)),
                                  xeno_time_add(now, xeno_s(100 * 86400)), &f->ca_pem, NULL),
                     0);
    make_files(f);
    make_client(f);
    for (int i = 0; i < SERVERS; i++) {
        f->servers[i].key = xeno_key_new(xeno_env_real());
        f->servers[i].id = xeno_id_of(xeno_key_pub(f->servers[i].key));
    }
}

void fixture_remove(struct fixture *f)
{
    fixture_stop(f);
    xeno_http_client_free(f->client);
    for (int i = 0; i < SERVERS; i++) {
        xeno_http_server_free(f->servers[i].http);
        xeno_key_free(f->servers[i].key);
    }
    for (int i = 0; i < XISES; i++) {
        xeno_http_server_free(f->xis[i].http);
        while (f->xis[i].count > 0)
            xeno_json_unref(f->xis[i].changes[--f->xis[i].count]);
    }
    xeno_http_server_free(f->corp.http);
    xeno_key_free(f->corp.key);
    xeno_key_free(f->key);
    free(f->pem);
    xeno_key_free(f->ca);
    free(f->ca_pem);
    sd_event_unref(f->loop);
    xeno_remove_tree(AT_FDCWD, f->dir, NULL);
}

void fixture_start(struct fixture *f, const char *options)
{
    const struct xeno_conf_program *p = &xrdd_program;
    struct xrdd_options *opt = &f->d.opt;
    xeno_autobuf xis = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;

    f->d = (struct xrdd){ .env = xeno_env_real(), .dirfd = -1, .loop = sd_event_ref(f->loop) };
    for (int i = 0; i < XISES; i++)
        if (f->xis[i].http)
            xeno_buf_printf(&xis, "%shttps://127.0.0.1:%u", xis.len > 0 ? ", " : "",
                            xeno_http_server_port(f->xis[i].http));
    xeno_conf_defaults(p->items, p->count, opt);
    assert_int_equal(xeno_conf_set(p->items, p->count, opt, "dir", f->dir, NULL), 0);
    assert_int_equal(xeno_conf_set(p->items, p->count, opt, "listen", "127.0.0.1:0", NULL), 0);
    assert_int_equal(xeno_conf_set(p->items, p->count, opt, "xis", xis.data, NULL), 0);
    if (f->corp.http) {
        xeno_autofree char *url =
            xeno_asprintf("https://127.0.0.1:%u", xeno_http_server_port(f->corp.http));

        assert_int_equal(xeno_conf_set(p->items, p->count, opt, "corp-url", url, NULL), 0);
    }
    assert_int_equal(xeno_conf_parse(p->items, p->count, opt, options ? options : "", "test", &err),
                     0);
    if (xrdd_open(&f->d, &err) < 0 || xrdd_start(&f->d, &err) < 0)
        fail_msg("%s: %s", err.token, err.text);
    snprintf(f->base, sizeof f->base, "https://127.0.0.1:%u", xeno_http_server_port(f->d.server));
}

void fixture_stop(struct fixture *f)
{
    xrdd_release(&f->d);
    f->d = (struct xrdd){ .dirfd = -1 };
}

static int on_time(sd_event_source *s, uint64_t usec, void *user)
{
    (void)s;
    (void)usec;
    *(bool *)user = true;
    return 0;
}

void fixture_run_ms(struct fixture *f, unsigned ms)
{
    sd_event_source *s = NULL;
    bool over = false;

    assert_true(sd_event_add_time_relative(f->loop, &s, CLOCK_MONOTONIC, ms * 1000ULL, 1, on_time,
                                           &over) >= 0);
    while (!over)
        assert_true(sd_event_run(f->loop, UINT64_MAX) >= 0);
    sd_event_source_disable_unref(s);
}

int fixture_find(struct fixture *f, const char *body, struct xeno_json **ret)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/find", f->base);
    xeno_autofree char *text = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_http_ask ask = {
        .method = "POST", .url = url, .body = body, .body_len = strlen(body), .deadline = xeno_s(60)
    };
    int status = 0;
    size_t len = 0;

    if (xeno_http_wait(f->client, &ask, &status, &text, &len, &err) < 0)
        print_message("%s: %s\n", err.token, err.text);
    else
        assert_int_equal(xeno_json_parse(text, len, 1 << 22, ret, NULL), 0);
    return status;
}

const char *fixture_found(struct fixture *f, const char *body)
{
    static char names[256];
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    size_t n = 0;

    *names = '\0';
    assert_int_equal(fixture_find(f, body, &j), 200);
    top = xeno_json_top(j);
    assert_int_equal(xeno_json_arr(&top, "answers", 100, &list, &n, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);
        const char *name = "";

        xeno_json_str(&at, "name", 1, 60, &name, NULL);
        strcat(strcat(names, i > 0 ? "," : ""), name);
    }
    return names;
}
