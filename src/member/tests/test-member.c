/* src/member/tests/test-member.c - joining, loading, renewing and the revocation list, against a
 * XenoCorp that does as the tests wish. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/log.h"
#include "crypto/x509.h"
#include "doc/revoke.h"
#include "doc/token.h"
#include "member/serve.h"

#define DAY 86400

/* The real clock, and what the test added to it. */
struct shifted {
    struct xeno_env env;
    int64_t by_s;
};

static xeno_time shifted_wall(const struct xeno_env *env)
{
    const struct shifted *s = (const struct shifted *)env;

    return xeno_time_add(xeno_wall(xeno_env_real()), xeno_s(s->by_s));
}

static xeno_time shifted_mono(const struct xeno_env *env)
{
    const struct shifted *s = (const struct shifted *)env;

    return xeno_time_add(xeno_mono(xeno_env_real()), xeno_s(s->by_s));
}

static void shifted_random(const struct xeno_env *env, void *out, size_t len)
{
    (void)env;
    xeno_random(xeno_env_real(), out, len);
}

/* The XenoCorp, and the member's folder. */
struct fake {
    struct sd_event *loop;
    struct shifted clock; /* the member's */
    struct xeno_key *ca, *tls, *stranger;
    char *ca_pem, *strange_ca_pem, *chain;
    char token[XENO_TOKEN_TEXT], url[64], dir[64];
    int dirfd;
    struct xeno_http_server *server;

    enum xeno_party kind;           /* of the credentials it gives out */
    const struct xeno_key *instead; /* whose key they are for, when not the asker's */
    bool lies;                      /* tells another CA than its own */
    int64_t life_s;
    int64_t version; /* of the revocation list */
    const char *const *revoked;
    size_t revoked_count;

    char path[64]; /* of the last request to join */
    char *body;    /* and what it told */
    unsigned renewals, lists;
};

static char *issue(const struct fake *f, const struct xeno_pub *pub)
{
    xeno_time now = shifted_wall(&f->clock.env);
    static const char *const hosts[] = { "127.0.0.1", NULL };
    struct xeno_cert_spec spec = { .kind = f->kind,
                                   .pub = *pub,
                                   .not_before = xeno_time_add(now, xeno_s(-60)),
                                   .not_after = xeno_time_add(now, xeno_s(f->life_s)),
                                   .hosts = hosts };
    char *pem = NULL;

    if (f->instead)
        spec.pub = *xeno_key_pub(f->instead);
    xeno_cert_serial(xeno_env_real(), spec.serial);
    assert_int_equal(xeno_cert_make(f->ca, f->ca_pem, &spec, &pem, NULL), 0);
    return pem;
}

/* Both joining and renewing bring a request by the member's key. */
static void answer_csr(struct fake *f, struct xeno_http_req *q)
{
    xeno_auto(xeno_json) body = NULL;
    xeno_autofree char *cert = NULL;
    struct xeno_json *reply = xeno_json_object();
    struct xeno_json_at at;
    struct xeno_pub pub;
    const char *csr;

    assert_int_equal(xeno_http_body_json(q, &body), 0);
    at = xeno_json_top(body);
    assert_int_equal(xeno_json_str(&at, "csr", 1, XENO_CERT_PEM_MAX, &csr, NULL), 0);
    assert_int_equal(xeno_csr_check(csr, &pub, NULL), 0);
    cert = issue(f, &pub);
    xeno_json_set_str(reply, "certificate", cert);
    xeno_json_set_str(reply, "ca", f->lies ? f->strange_ca_pem : f->ca_pem);
    xeno_http_reply_json(q, 200, reply);
}

static void on_join(struct xeno_http_req *q, void *user)
{
    struct fake *f = user;
    size_t len;
    const char *text = xeno_http_body(q, &len);

    snprintf(f->path, sizeof f->path, "%s", xeno_http_path(q));
    free(f->body);
    f->body = xeno_strndup(text, len);
    answer_csr(f, q);
}

static void on_renew(struct xeno_http_req *q, void *user)
{
    struct fake *f = user;

    f->renewals++;
    answer_csr(f, q);
}

static void on_list(struct xeno_http_req *q, void *user)
{
    struct fake *f = user;
    xeno_time now = shifted_wall(&f->clock.env);
    struct xeno_json *reply = xeno_json_object();
    xeno_autofree char *text = NULL;

    f->lists++;
    assert_int_equal(xeno_revocations_sign(f->ca, f->version, now, xeno_time_add(now, xeno_s(3600)),
                                           f->revoked, f->revoked_count, &text, NULL),
                     0);
    xeno_json_set_str(reply, "signed", text);
    xeno_http_reply_json(q, 200, reply);
}

static void on_health(struct xeno_http_req *q, void *user)
{
    (void)user;
    xeno_http_reply_json(q, 200, xeno_json_object());
}

static const struct xeno_http_route routes[] = {
    { "POST", "/v1/servers", XENO_ROUTE_ANON, 16384, on_join },
    { "POST", "/v1/nodes", XENO_ROUTE_ANON, 16384, on_join },
    { "POST", "/v1/credentials/renew", XENO_ROUTE_ANON, 16384, on_renew },
    { "GET", "/v1/revocations", XENO_ROUTE_ANON, 0, on_list },
    { "GET", "/healthz", XENO_ROUTE_ANON, 0, on_health },
    { NULL },
};

static char *make_ca(const struct xeno_key *key)
{
    xeno_time now = xeno_wall(xeno_env_real());
    char *pem = NULL;

    assert_int_equal(xeno_ca_make(key, xeno_time_add(now, xeno_s(-100 * DAY)),
                                  xeno_time_add(now, xeno_s(100 * DAY)), &pem, NULL),
                     0);
    return pem;
}

static void serve(struct fake *f)
{
    struct xeno_http_server_opts opts = { .listen = "127.0.0.1:0",
                                          .listen_fd = -1,
                                          .cert_pem = f->chain,
                                          .key = f->tls,
                                          .ca_pem = f->ca_pem,
                                          .env = xeno_env_real(),
                                          .routes = routes,
                                          .user = f };

    assert_int_equal(xeno_http_server_new(f->loop, &opts, &f->server, NULL), 0);
    snprintf(f->url, sizeof f->url, "https://127.0.0.1:%u", xeno_http_server_port(f->server));
}

static int start(void **state)
{
    struct fake *f = xeno_new0(struct fake);
    struct xeno_id corp;
    xeno_autofree char *leaf = NULL;

    xeno_crypto_init();
    xeno_log_init("test", LOG_CRIT);
    f->clock.env = (struct xeno_env){ shifted_wall, shifted_mono, shifted_random };
    assert_true(sd_event_new(&f->loop) >= 0);
    f->ca = xeno_key_new(xeno_env_real());
    f->tls = xeno_key_new(xeno_env_real());
    f->stranger = xeno_key_new(xeno_env_real());
    f->ca_pem = make_ca(f->ca);
    f->strange_ca_pem = make_ca(f->stranger);
    corp = xeno_id_of(xeno_key_pub(f->ca));
    xeno_token_make(xeno_env_real(), &corp, f->token);
    f->kind = XENO_PARTY_CORP;
    f->life_s = 50 * DAY;
    leaf = issue(f, xeno_key_pub(f->tls));
    f->chain = xeno_asprintf("%s%s", leaf, f->ca_pem);
    f->kind = XENO_PARTY_NODE;
    f->life_s = DAY;
    f->version = 1;
    serve(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/xeno-member-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(xeno_member_dir(f->dir, &f->dirfd, NULL), 0);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fake *f = *state;

    xeno_http_server_free(f->server);
    xeno_key_free(f->ca);
    xeno_key_free(f->tls);
    xeno_key_free(f->stranger);
    free(f->ca_pem);
    free(f->strange_ca_pem);
    free(f->chain);
    free(f->body);
    close(f->dirfd);
    xeno_remove_tree(AT_FDCWD, f->dir, NULL);
    sd_event_unref(f->loop);
    free(f);
    return 0;
}

/* --- the member --- */

static struct xeno_member *member_of(struct fake *f, enum xeno_party kind)
{
    struct xeno_member_opts opts = { .env = &f->clock.env,
                                     .kind = kind,
                                     .program = "xenothing",
                                     .corp_url = f->url,
                                     .dir = f->dir,
                                     .dirfd = f->dirfd };

    return xeno_member_new(&opts);
}

static int enrol(struct fake *f, struct xeno_member *m, struct xeno_err *err)
{
    xeno_auto(xeno_json) has = xeno_json_object();
    struct xeno_member_told told = { .name = (char[]){ "s1" },
                                     .owner = (char[]){ "somebody" },
                                     .payout = (char[]){ "account 7" },
                                     .hosts = (char[]){ "127.0.0.1, store.example" } };
    struct xeno_member_join join = {
        .told = &told, .listen = "0.0.0.0:8444", .about = "storage", .has = has
    };
    int r;

    xeno_json_set_int(has, "capacity_bytes", 4096);
    r = xeno_member_enrol(m, f->loop, f->token, &join, err);
    if (r < 0)
        print_message("%s: %s\n", err->token, err->text);
    return r;
}

/* A member that joined: as a program has it that starts for the first time. */
static struct xeno_member *joined(struct fake *f)
{
    struct xeno_member *m = member_of(f, f->kind);
    struct xeno_err err = XENO_ERR_INIT;

    assert_int_equal(enrol(f, m, &err), 0);
    return m;
}

static bool has_file(const struct fake *f, const char *name)
{
    return faccessat(f->dirfd, name, F_OK, 0) == 0;
}

static struct xeno_http_client *client_of(struct fake *f, const struct xeno_member *m)
{
    struct xeno_http_client_opts opts = { .env = xeno_env_real(),
                                          .ca_pem = f->ca_pem,
                                          .cert_pem = xeno_member_cert_pem(m),
                                          .key = xeno_member_key(m) };
    struct xeno_http_client *c = NULL;

    assert_int_equal(xeno_http_client_new(f->loop, &opts, &c, NULL), 0);
    return c;
}

static void run_ms(struct fake *f, uint64_t ms)
{
    assert_true(sd_event_run(f->loop, ms * 1000) >= 0);
}

#define until(f, cond)                                                                             \
    do {                                                                                           \
        for (int tries_ = 0; !(cond) && tries_ < 10000; tries_++)                                  \
            run_ms((f), 2);                                                                        \
        assert_true(cond);                                                                         \
    } while (0)

/* Tick as a daemon does, and let time go on, until there was one more request of that sort, and an
 * answer to some. */
static void settle(struct fake *f, struct xeno_member *m, const unsigned *counter)
{
    unsigned before = *counter;

    xeno_member_corp_heard(m, false);
    for (int s = 0; s < 10000 && (*counter == before || !xeno_member_corp_answers(m)); s++) {
        xeno_member_tick(m);
        run_ms(f, 2);
        f->clock.by_s++;
    }
    assert_true(*counter > before);
}

/* --- joining --- */

static void joins(void **state)
{
    static const struct {
        enum xeno_party kind;
        const char *path;
    } rows[] = { { XENO_PARTY_SERVER, "/v1/servers" }, { XENO_PARTY_NODE, "/v1/nodes" } };
    struct fake *f = *state;
    struct xeno_id first = { "" };

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_member) m = NULL;
        struct stat st;

        f->kind = rows[i].kind;
        m = joined(f);
        assert_string_equal(f->path, rows[i].path);
        assert_non_null(strstr(f->body, "\"storage\":{\"capacity_bytes\":4096}"));
        assert_non_null(strstr(f->body, "\"hosts\":[\"127.0.0.1\",\"store.example\"]"));
        assert_non_null(strstr(f->body, "\"endpoint\":\"https://127.0.0.1:8444\""));
        assert_non_null(strstr(f->body, "\"contact\":\"somebody\""));
        assert_non_null(strstr(f->body, f->token));
        assert_int_equal(fstatat(f->dirfd, "key.pem", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(xeno_member_cert(m)->kind, rows[i].kind);
        if (i == 0)
            first = *xeno_member_id(m);
        assert_string_equal(xeno_member_id(m)->s, first.s); /* a key that is there stays */
        assert_int_equal(xeno_member_corp_check(m, f->loop, NULL), 0);
    }
}

static void refuses_what_it_cannot_be(void **state)
{
    struct fake *f = *state;
    struct {
        const char *name, *token;
        enum xeno_party kind;
        const struct xeno_key *instead;
        bool lies;
    } rows[] = {
        { "another's kind", "identity.kind", XENO_PARTY_CLIENT, NULL, false },
        { "another's key", "identity.key", XENO_PARTY_NODE, f->stranger, false },
        { "another CA", "identity.corp", XENO_PARTY_NODE, NULL, true },
    };

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_member) m = member_of(f, XENO_PARTY_NODE);
        struct xeno_err err = XENO_ERR_INIT;

        f->kind = rows[i].kind;
        f->instead = rows[i].instead;
        f->lies = rows[i].lies;
        assert_int_equal(enrol(f, m, &err), -EPERM);
        assert_string_equal(err.token, rows[i].token);
        assert_false(has_file(f, "credential.pem"));
        assert_false(has_file(f, "ca.pem"));
    }
}

static void the_token_names_the_corp(void **state)
{
    struct fake *f = *state;
    xeno_auto(xeno_member) m = member_of(f, XENO_PARTY_NODE);
    struct xeno_id other = xeno_id_of(xeno_key_pub(f->stranger));
    struct xeno_err err = XENO_ERR_INIT;

    xeno_token_make(xeno_env_real(), &other, f->token);
    assert_true(enrol(f, m, &err) < 0);
    assert_null(f->body); /* nothing was told to who answered */
    snprintf(f->token, sizeof f->token, "xt1.nonsense");
    assert_int_equal(enrol(f, m, &err), -EINVAL);
    assert_string_equal(err.token, "token.format");
}

/* --- loading --- */

static void says_what_is_missing(void **state)
{
    struct fake *f = *state;
    xeno_auto(xeno_member) m = member_of(f, XENO_PARTY_NODE);
    struct xeno_err err = XENO_ERR_INIT;

    assert_int_equal(xeno_member_load(m, f->loop, &err), -ENOENT);
    assert_string_equal(err.token, "identity.missing");
    assert_non_null(strstr(err.text, "xenothing --enrol"));
    assert_null(xeno_member_cert(m));
}

static void renews_what_expired(void **state)
{
    struct fake *f = *state;
    xeno_auto(xeno_member) m = joined(f);
    struct xeno_err err = XENO_ERR_INIT;
    char old[41];

    snprintf(old, sizeof old, "%s", xeno_member_cert(m)->serial);
    f->clock.by_s = 2 * DAY;
    assert_int_equal(xeno_member_load(m, NULL, &err), -EPERM);
    assert_string_equal(err.token, "x509.expired");
    assert_null(xeno_member_cert(m));
    assert_int_equal(xeno_member_load(m, f->loop, &err), 0);
    assert_int_equal(f->renewals, 1);
    assert_string_not_equal(xeno_member_cert(m)->serial, old);
    assert_int_equal(xeno_member_load(m, NULL, &err), 0); /* it is in the folder, too */
    xeno_http_server_free(f->server);                     /* and with nobody there */
    f->server = NULL;
    f->clock.by_s = 4 * DAY;
    assert_true(xeno_member_load(m, f->loop, &err) < 0);
    assert_non_null(strstr(err.text, "could not be renewed"));
    assert_null(xeno_member_cert(m));
}

/* --- while it runs --- */

static void renews_in_time(void **state)
{
    struct fake *f = *state;
    xeno_auto(xeno_member) m = joined(f);
    xeno_auto(xeno_http_client) client = client_of(f, m);
    xeno_autofree char *before = xeno_strdup(xeno_member_cert_pem(m));
    struct xeno_err err = XENO_ERR_INIT;

    xeno_member_attach(m, client, NULL);
    settle(f, m, &f->lists);
    assert_int_equal(f->renewals, 0); /* a fresh one is good for a while */
    f->clock.by_s = DAY / 2;
    settle(f, m, &f->lists);
    assert_int_equal(f->renewals, 0);
    f->clock.by_s = DAY - DAY / 3 + 60;
    f->kind = XENO_PARTY_CLIENT; /* an answer that is no good leaves the old one */
    settle(f, m, &f->renewals);
    /* It is asked for again only when the first answer was read. */
    settle(f, m, &f->renewals);
    assert_string_equal(xeno_member_cert_pem(m), before);
    f->kind = XENO_PARTY_NODE;
    settle(f, m, &f->renewals);
    until(f, strcmp(xeno_member_cert_pem(m), before) != 0);
    assert_int_equal(xeno_member_load(m, NULL, &err), 0);
    assert_string_not_equal(xeno_member_cert_pem(m), before);
}

static void follows_the_list(void **state)
{
    static const char *const serials[] = { "0abc", "0def" };
    struct fake *f = *state;
    xeno_auto(xeno_member) m = joined(f);
    xeno_auto(xeno_member) again = NULL;
    xeno_auto(xeno_http_client) client = client_of(f, m);

    xeno_member_attach(m, client, NULL);
    assert_false(xeno_member_revoked("0abc", m));
    f->version = 5;
    f->revoked = serials;
    f->revoked_count = 1;
    settle(f, m, &f->lists);
    until(f, xeno_member_revoked("0abc", m));
    assert_false(xeno_member_revoked("0def", m));

    f->version = 4; /* an older one is a replay, whatever it says */
    f->revoked_count = 0;
    xeno_member_fetch_now(m);
    settle(f, m, &f->lists);
    assert_true(xeno_member_revoked("0abc", m));

    f->version = 6;
    f->revoked_count = 2;
    f->clock.by_s += 61; /* within a minute, whatever the last one said */
    settle(f, m, &f->lists);
    until(f, xeno_member_revoked("0def", m));

    again = member_of(f, XENO_PARTY_NODE); /* a restart, and no XenoCorp */
    assert_int_equal(xeno_member_load(again, NULL, NULL), 0);
    assert_false(xeno_member_revoked("0def", again));
    xeno_member_attach(again, NULL, NULL);
    assert_true(xeno_member_revoked("0def", again));
}

/* Kept by the daemon: nothing is written to the folder. */
struct shelf {
    char *text;
};

static char *shelf_get(void *ctx)
{
    return xeno_strdup(((struct shelf *)ctx)->text);
}

static void shelf_put(const char *text, void *ctx)
{
    struct shelf *s = ctx;

    free(s->text);
    s->text = xeno_strdup(text);
}

static void keeps_where_it_is_told(void **state)
{
    static const char *const serials[] = { "0abc" };
    struct fake *f = *state;
    struct shelf shelf = { NULL };
    struct xeno_member_opts opts = { .env = &f->clock.env,
                                     .kind = XENO_PARTY_NODE,
                                     .program = "xenothing",
                                     .corp_url = f->url,
                                     .dir = f->dir,
                                     .dirfd = f->dirfd,
                                     .kept = shelf_get,
                                     .keep = shelf_put,
                                     .ctx = &shelf };
    xeno_auto(xeno_member) m = joined(f);
    xeno_auto(xeno_member) mine = xeno_member_new(&opts);
    xeno_auto(xeno_member) again = xeno_member_new(&opts);
    xeno_auto(xeno_http_client) client = client_of(f, m);

    f->revoked = serials;
    f->revoked_count = 1;
    assert_int_equal(xeno_member_load(mine, NULL, NULL), 0);
    xeno_member_attach(mine, client, NULL);
    settle(f, mine, &f->lists);
    until(f, shelf.text != NULL);
    assert_false(has_file(f, "revocations"));
    assert_int_equal(xeno_member_load(again, NULL, NULL), 0);
    xeno_member_attach(again, NULL, NULL);
    assert_true(xeno_member_revoked("0abc", again));
    free(shelf.text);
}

static void knows_when_nobody_answers(void **state)
{
    struct fake *f = *state;
    xeno_auto(xeno_member) m = joined(f);
    xeno_auto(xeno_http_client) client = client_of(f, m);

    xeno_member_attach(m, client, NULL);
    assert_false(xeno_member_corp_answers(m));
    settle(f, m, &f->lists);
    xeno_http_server_free(f->server);
    f->server = NULL;
    xeno_member_fetch_now(m);
    xeno_member_tick(m);
    until(f, !xeno_member_corp_answers(m));
    assert_true(xeno_member_corp_check(m, f->loop, NULL) < 0);
}

static void opens_locks_and_serves(void **state)
{
    struct fake *f = *state;
    const struct xeno_member_opts who = {
        .env = &f->clock.env, .kind = XENO_PARTY_NODE, .program = "xenothing", .dir = f->dir
    };
    const struct xeno_member_serving most = { .listen = "127.0.0.1:0",
                                              .connections = 9,
                                              .connections_per_address = 9 };
    static const struct xeno_http_route none[] = { { NULL } };
    const struct xeno_http_server_opts opts = { .routes = none };
    xeno_auto(xeno_member) m = joined(f);
    xeno_auto(xeno_member) mine = NULL;
    xeno_auto(xeno_http_server) server = NULL;
    xeno_autoclose int dirfd = -1, held = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct sd_event *loop = f->loop;
    struct xeno_err err = XENO_ERR_INIT;

    assert_int_equal(xeno_member_open(&who, &dirfd, &loop, &mine, NULL), 0);
    assert_ptr_equal(loop, f->loop); /* the one that was there */
    assert_int_equal(xeno_member_load(mine, NULL, NULL), 0);
    assert_string_equal(xeno_member_id(mine)->s, xeno_member_id(m)->s);
    assert_int_equal(flock(held, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(xeno_member_lock(mine, &err), -EBUSY);
    assert_string_equal(err.token, "identity.lock");
    assert_int_equal(flock(held, LOCK_UN), 0);
    assert_int_equal(xeno_member_lock(mine, NULL), 0);
    assert_int_equal(flock(held, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(xeno_member_listen(mine, loop, &most, &opts, &server, NULL), 0);
    assert_true(xeno_http_server_port(server) > 0);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(joins),
        test(refuses_what_it_cannot_be),
        test(the_token_names_the_corp),
        test(says_what_is_missing),
        test(renews_what_expired),
        test(renews_in_time),
        test(follows_the_list),
        test(keeps_where_it_is_told),
        test(knows_when_nobody_answers),
        test(opens_locks_and_serves),
    };
    return cmocka_run_group_tests_name("member", tests, NULL, NULL);
}
