/* src/http/tests/test-auth.c - who may ask, and whom a client believes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "world.h"

static struct world w;

static int start(void **state)
{
    (void)state;
    world_start(&w, &world_limits, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_stop(&w);
    return 0;
}

static void good_and_anonymous(void **state)
{
    xeno_auto(xeno_http_client) anon = world_client(&w, NULL, NULL);
    struct xeno_err err = XENO_ERR_INIT;
    char *body = NULL;

    (void)state;
    assert_int_equal(ask(&w, w.client, "GET", "/private?x=a%20b", NULL, NULL, &body, &err), 200);
    assert_non_null(strstr(body, w.client_id.s));
    assert_non_null(strstr(body, "\"x\":\"a b\""));
    assert_non_null(strstr(body, "\"loopback\":true"));
    free(body);
    assert_int_equal(ask(&w, w.client, "GET", "/private?x=1&y=9&x=2&x=3", NULL, NULL, &body, &err),
                     200);
    assert_non_null(strstr(body, "\"x\":\"1\",\"count\":3,\"second\":\"2\""));
    free(body);
    assert_int_equal(ask(&w, anon, "GET", "/ping", NULL, NULL, &body, &err), 200);
    assert_non_null(strstr(body, "nobody"));
    free(body);
    assert_int_equal(ask(&w, anon, "GET", "/private", NULL, NULL, &body, &err), 401);
    assert_string_equal(err.token, "http.credential");
    assert_int_equal(err.code, -EACCES);
}

/* A client whose certificate is worth nothing: 401 with the reason, but welcome where anybody is.
 */
static void refused(const char *cert, const struct xeno_key *key, const char *token)
{
    xeno_auto(xeno_http_client) c = world_client(&w, cert, key);
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *body = NULL;

    assert_int_equal(ask(&w, c, "GET", "/private", NULL, NULL, NULL, &err), 401);
    print_message("%s: %s\n", err.token, err.text);
    assert_string_equal(err.token, token);
    assert_int_equal(ask(&w, c, "GET", "/ping", NULL, NULL, &body, &err), 200);
    assert_non_null(strstr(body, "nobody"));
    assert_int_equal(ask(&w, c, "GET", "/private", NULL, NULL, NULL, &err), 401);
    assert_string_equal(err.token, token); /* also after it was let through there */
}

static void bad_certificates(void **state)
{
    xeno_auto(xeno_key) rogue = xeno_key_new(xeno_env_real());
    xeno_autofree char *rogue_ca = NULL;
    xeno_autofree char *stranger = NULL;
    xeno_autofree char *expired = NULL;
    xeno_autofree char *early = NULL;
    xeno_autofree char *posing = NULL;
    xeno_time now = xeno_wall(xeno_env_real());

    (void)state;
    assert_int_equal(xeno_ca_make(rogue, now, xeno_time_add(now, xeno_s(9999)), &rogue_ca, NULL),
                     0);
    stranger = world_cert(rogue, rogue_ca, w.other_key, XENO_PARTY_CLIENT, -60, 60);
    refused(stranger, w.other_key, "x509.untrusted");
    /* signed by a key that is not the CA's, over the CA's name */
    posing = world_cert(rogue, w.ca_pem, w.other_key, XENO_PARTY_CLIENT, -60, 60);
    refused(posing, w.other_key, "x509.untrusted");
    expired = world_cert(w.ca, w.ca_pem, w.other_key, XENO_PARTY_CLIENT, -60, -1);
    refused(expired, w.other_key, "x509.expired");
    early = world_cert(w.ca, w.ca_pem, w.other_key, XENO_PARTY_CLIENT, 60, 600);
    refused(early, w.other_key, "x509.early");
}

static void revoked_while_connected(void **state)
{
    struct xeno_cert *cert = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_cert_parse(w.client_pem, 0, &cert, NULL), 0);
    assert_int_equal(ask(&w, w.client, "GET", "/private", NULL, NULL, NULL, &err), 200);
    w.revoked = cert->serial;
    assert_int_equal(ask(&w, w.client, "GET", "/private", NULL, NULL, NULL, &err), 401);
    assert_string_equal(err.token, "x509.revoked");
    w.revoked = NULL;
    xeno_cert_free(cert);
}

static void expires_while_connected(void **state)
{
    struct xeno_env_test env;
    xeno_auto(xeno_http_server) s = NULL;
    struct world v = w;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    xeno_env_test_init(&env, xeno_wall(xeno_env_real()), 1);
    s = world_server(&w, &world_limits, &env.env);
    snprintf(v.base, sizeof(v.base), "https://127.0.0.1:%u", xeno_http_server_port(s));
    assert_int_equal(ask(&v, w.client, "GET", "/private", NULL, NULL, NULL, &err), 200);
    env.now = xeno_time_add(env.now, xeno_s(3601));
    assert_int_equal(ask(&v, w.client, "GET", "/private", NULL, NULL, NULL, &err), 401);
    assert_string_equal(err.token, "x509.expired");
}

/* One request to the world's server as `server_id`, from a client made with `o`. When the client
 * does not believe the server, not a byte of the request gets there. */
static int visit(const struct xeno_http_client_opts *o, const char *base, const char *server_id,
                 struct xeno_err *err)
{
    xeno_auto(xeno_http_client) c = NULL;
    xeno_autofree char *url = xeno_asprintf("%s/ping", base);
    struct xeno_http_ask a = {
        .method = "GET", .url = url, .server_id = server_id, .retry = true, .deadline = xeno_s(5)
    };
    unsigned before = world_pings;
    int status = -1;

    assert_int_equal(xeno_http_client_new(w.loop, o, &c, NULL), 0);
    xeno_http_wait(c, &a, &status, NULL, NULL, err);
    print_message("%s: %s\n", err->token, err->text);
    assert_int_equal(world_pings, before + (status == 200));
    return status;
}

static void client_checks_the_server(void **state)
{
    xeno_auto(xeno_key) rogue = xeno_key_new(xeno_env_real());
    xeno_autofree char *rogue_ca = NULL;
    xeno_autofree char *by_name = NULL;
    struct xeno_http_client_opts o = { .env = xeno_env_real(), .ca_pem = w.ca_pem };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_env_test env;

    (void)state;
    assert_int_equal(visit(&o, w.base, NULL, &err), 200);
    assert_int_equal(visit(&o, w.base, w.server_id.s, &err), 200);
    assert_int_equal(visit(&o, w.base, w.client_id.s, &err), 0);
    assert_string_equal(err.token, "http.peer");
    assert_int_equal(err.code, -EPERM);
    by_name = xeno_asprintf("https://localhost:%u", xeno_http_server_port(w.server));
    assert_int_equal(visit(&o, by_name, NULL, &err), 200);
    by_name[8] = 'x'; /* xocalhost is no name in the certificate; it resolves to nothing either */
    assert_int_equal(visit(&o, by_name, NULL, &err), 0);

    xeno_env_test_init(&env, xeno_time_add(xeno_wall(xeno_env_real()), xeno_s(7200)), 1);
    o.env = &env.env;
    assert_int_equal(visit(&o, w.base, w.server_id.s, &err), 0);
    assert_string_equal(err.token, "x509.expired");
    o.env = xeno_env_real();

    assert_int_equal(xeno_ca_make(rogue, xeno_wall(o.env),
                                  xeno_time_add(xeno_wall(o.env), xeno_s(99)), &rogue_ca, NULL),
                     0);
    o.ca_pem = rogue_ca;
    assert_int_equal(visit(&o, w.base, w.server_id.s, &err), 0);
    assert_string_equal(err.token, "x509.untrusted");
    o.ca_pem = NULL;
    assert_int_equal(visit(&o, w.base, NULL, &err), 0);
    assert_string_equal(err.token, "x509.untrusted");
}

/* Also when the connection is kept from a request that was right. */
static void each_request_is_checked(void **state)
{
    xeno_autofree char *url = xeno_asprintf("%s/ping", w.base);
    struct xeno_http_ask a = { .method = "GET", .url = url, .server_id = w.server_id.s };
    xeno_auto(xeno_http_client) c = world_client(&w, w.client_pem, w.client_key);
    struct xeno_err err = XENO_ERR_INIT;
    unsigned before = world_pings;

    (void)state;
    assert_int_equal(xeno_http_wait(c, &a, NULL, NULL, NULL, &err), 0);
    a.server_id = w.client_id.s;
    assert_int_equal(xeno_http_wait(c, &a, NULL, NULL, NULL, &err), -EPERM);
    assert_string_equal(err.token, "http.peer");
    a.server_id = w.server_id.s;
    assert_int_equal(xeno_http_wait(c, &a, NULL, NULL, NULL, &err), 0);
    assert_int_equal(world_pings, before + 2);
}

static void host_must_be_in_the_certificate(void **state)
{
    struct xeno_http_client_opts o = { .env = xeno_env_real(), .ca_pem = w.ca_pem };
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *other = NULL;

    (void)state;
    /* 127.0.0.2 would be another certificate's host; the listener is reached by "0" as well */
    other = xeno_asprintf("https://0:%u", xeno_http_server_port(w.server));
    assert_int_equal(visit(&o, other, NULL, &err), 0);
    assert_string_equal(err.token, "http.peer");
    assert_int_equal(visit(&o, other, w.server_id.s, &err), 200); /* the id decides */
}

static void pinned_ca(void **state)
{
    struct xeno_http_client_opts o = { .env = xeno_env_real(), .pin_ca = w.ca_id.s };
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(visit(&o, w.base, NULL, &err), 200);
    o.pin_ca = w.server_id.s; /* in the chain, but no CA */
    assert_int_equal(visit(&o, w.base, NULL, &err), 0);
    assert_string_equal(err.token, "http.pin");
}

static void a_client_certificate_is_no_server(void **state)
{
    xeno_auto(xeno_http_server) s = NULL;
    struct xeno_http_client_opts o = { .env = xeno_env_real(), .ca_pem = w.ca_pem };
    struct xeno_err err = XENO_ERR_INIT;
    struct world v = w;
    xeno_autofree char *base = NULL;

    (void)state;
    v.server_chain = w.client_pem;
    v.server_key = w.client_key;
    s = world_server(&v, &world_limits, NULL);
    base = xeno_asprintf("https://127.0.0.1:%u", xeno_http_server_port(s));
    assert_int_equal(visit(&o, base, w.client_id.s, &err), 0);
    assert_string_equal(err.token, "http.peer");
}

static void a_xenocorp_is_known_by_its_ca(void **state)
{
    const char *const hosts[] = { "127.0.0.1", NULL };
    struct xeno_cert_spec spec = { .kind = XENO_PARTY_CORP, .hosts = hosts, .serial = { 1 } };
    xeno_auto(xeno_http_server) s = NULL;
    struct xeno_http_client_opts o = { .env = xeno_env_real(), .ca_pem = w.ca_pem };
    struct xeno_err err = XENO_ERR_INIT;
    struct world v = w;
    xeno_autofree char *base = NULL;
    xeno_autofree char *other_host = NULL;

    (void)state;
    spec.pub = *xeno_key_pub(w.other_key);
    spec.not_before = xeno_time_add(xeno_wall(o.env), xeno_s(-60));
    spec.not_after = xeno_time_add(xeno_wall(o.env), xeno_s(60));
    v.server_key = w.other_key;
    v.server_chain = NULL;
    assert_int_equal(xeno_cert_make(w.ca, w.ca_pem, &spec, &v.server_chain, &err), 0);
    s = world_server(&v, &world_limits, NULL);
    base = xeno_asprintf("https://127.0.0.1:%u", xeno_http_server_port(s));
    other_host = xeno_asprintf("https://localhost:%u", xeno_http_server_port(s));
    assert_int_equal(visit(&o, base, w.ca_id.s, &err), 200);
    assert_int_equal(visit(&o, other_host, w.ca_id.s, &err), 0);
    assert_string_equal(err.token, "http.peer");
    assert_int_equal(visit(&o, base, w.server_id.s, &err), 0);
    free(v.server_chain);
}

static void renewal_both_sides(void **state)
{
    xeno_autofree char *server_leaf = NULL;
    xeno_autofree char *client_new = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_id other = xeno_id_of(xeno_key_pub(w.other_key));
    xeno_auto(xeno_http_client) c = world_client(&w, w.client_pem, w.client_key);
    xeno_autofree char *body = NULL;
    xeno_autofree char *url = xeno_asprintf("%s/private", w.base);
    struct xeno_http_ask a = { .method = "GET", .url = url, .server_id = other.s };

    (void)state;
    server_leaf = world_cert(w.ca, w.ca_pem, w.other_key, XENO_PARTY_SERVER, -60, 60);
    client_new = world_cert(w.ca, w.ca_pem, w.other_key, XENO_PARTY_CLIENT, -60, 60);
    assert_int_equal(ask(&w, c, "GET", "/private", NULL, NULL, NULL, &err), 200);
    assert_int_equal(xeno_http_client_cert(c, client_new, w.other_key, &err), 0);
    assert_int_equal(ask(&w, c, "GET", "/private", NULL, NULL, &body, &err), 200);
    assert_non_null(strstr(body, other.s)); /* a new connection with the new one */

    assert_int_equal(xeno_http_server_cert(w.server, server_leaf, w.other_key, &err), 0);
    assert_int_equal(xeno_http_client_cert(c, w.client_pem, w.client_key, &err), 0);
    assert_int_equal(xeno_http_wait(c, &a, NULL, NULL, NULL, &err), 0);
    assert_int_equal(xeno_http_server_cert(w.server, w.server_chain, w.server_key, &err), 0);
    assert_int_equal(xeno_http_server_cert(w.server, w.server_chain, w.other_key, &err), -EINVAL);
    assert_string_equal(err.token, "http.tls");
}

/* Another implementation, too: OpenSSL's, asking for TLS 1.2 and for 1.3. */
static int s_client(const char *version)
{
    xeno_autofree char *cmd =
        xeno_asprintf("echo | timeout 10 openssl s_client -connect 127.0.0.1:%u %s "
                      ">/dev/null 2>&1",
                      xeno_http_server_port(w.server), version);
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", cmd, NULL);
        _exit(127);
    }
    return run_child(&w, pid);
}

static void only_tls_1_3(void **state)
{
    (void)state;
    assert_int_equal(s_client("-tls1_3"), 0);
    assert_int_equal(s_client("-tls1_2"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_and_anonymous),
        cmocka_unit_test(bad_certificates),
        cmocka_unit_test(revoked_while_connected),
        cmocka_unit_test(expires_while_connected),
        cmocka_unit_test(client_checks_the_server),
        cmocka_unit_test(each_request_is_checked),
        cmocka_unit_test(host_must_be_in_the_certificate),
        cmocka_unit_test(pinned_ca),
        cmocka_unit_test(a_client_certificate_is_no_server),
        cmocka_unit_test(a_xenocorp_is_known_by_its_ca),
        cmocka_unit_test(renewal_both_sides),
        cmocka_unit_test(only_tls_1_3),
    };
    return cmocka_run_group_tests_name("http-auth", tests, start, stop);
}
