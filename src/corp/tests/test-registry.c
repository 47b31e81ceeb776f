/* src/corp/tests/test-registry.c - tokens, joining, credentials, revocation, kept answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/tests/fixture.h"
#include "doc/revoke.h"

static void a_client_joins_once(void **state)
{
    static const char *const hosts[] = { NULL };
    struct fixture f;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_key) key = NULL;
    xeno_auto(xeno_key) thief = NULL;
    xeno_auto(xeno_cert) cert = NULL;
    xeno_autofree char *pem = NULL, *again = NULL, *none = NULL;
    char token[XENO_TOKEN_TEXT], second[XENO_TOKEN_TEXT];
    struct xeno_party_view v;
    struct xeno_id id, same;
    int64_t n = -1;

    (void)state;
    fixture_open(&f, 1);
    key = xeno_key_new(&f.env.env);
    thief = xeno_key_new(&f.env.env);
    struct xeno_join join = { .token = token,
                              .kind = XENO_PARTY_CLIENT,
                              .pub = *xeno_key_pub(key),
                              .name = "Ann",
                              .contact = "ann@example.org",
                              .details = "{\"card\":\"x\"}",
                              .pseudonym = true,
                              .hosts = hosts };

    assert_int_equal(
        IN_GROUP(&f, xeno_token_issue(f.corp, "op", XENO_ROLE_CLIENT, xeno_s(60), token, NULL)), 0);
    assert_int_equal(
        IN_GROUP(&f, xeno_token_issue(f.corp, "op", XENO_ROLE_CLIENT, xeno_s(60), second, NULL)),
        0);
    assert_int_equal(IN_GROUP(&f, xeno_register(f.corp, &join, &id, &pem, &err)), 0);
    assert_int_equal(xeno_cert_check(pem, 0, f.ca_pem, f.env.now, NULL), 0);
    assert_int_equal(xeno_cert_parse(pem, 0, &cert, NULL), 0);
    assert_string_equal(cert->id.s, id.s);
    assert_true(cert->pseudonym);
    assert_int_equal(cert->kind, XENO_PARTY_CLIENT);
    assert_int_equal(cert->not_after.ns, xeno_time_add(f.env.now, xeno_s(24 * 3600)).ns);
    assert_int_equal(IN_GROUP(&f, xeno_party_get(f.corp, id.s, &v, NULL)), 0);
    assert_string_equal(v.name, join.name);
    assert_string_equal(v.contact, join.contact);
    assert_int_equal(xeno_db_one_int(f.db, -1, &n, NULL,
                                     "SELECT count(*) FROM party WHERE id = $1 AND details = $2",
                                     "tt", id.s, join.details),
                     0);
    assert_int_equal(n, 1);

    /* the answer was lost: the same again, even after the token's time */
    fixture_wait(&f, 3600 * 1000);
    assert_int_equal(IN_GROUP(&f, xeno_register(f.corp, &join, &same, &again, &err)), 0);
    assert_string_equal(same.s, id.s);
    /* somebody who saw the token */
    join.pub = *xeno_key_pub(thief);
    assert_int_equal(IN_GROUP(&f, xeno_register(f.corp, &join, &same, &none, &err)), -EPERM);
    assert_string_equal(err.token, "registry.token");
    /* the same key with another token */
    join.pub = *xeno_key_pub(key);
    join.token = second;
    assert_int_equal(IN_GROUP(&f, xeno_register(f.corp, &join, &same, &none, &err)), -EPERM);
    assert_string_equal(err.token, "registry.token"); /* it has expired by now */
    assert_int_equal(
        IN_GROUP(&f, xeno_token_issue(f.corp, "op", XENO_ROLE_CLIENT, xeno_s(60), second, NULL)),
        0);
    assert_int_equal(IN_GROUP(&f, xeno_register(f.corp, &join, &same, &none, &err)), -EEXIST);
    assert_null(none);
    fixture_close(&f);
}

static const struct {
    const char *name;
    enum xeno_role role; /* of the token */
    enum xeno_party kind;
    int64_t wait_s;
    const char *token, *party, *endpoint, *hosts[3]; /* NULL token: the right one */
    int want;
    const char *word;
} join_rows[] = {
    { "client", XENO_ROLE_CLIENT, XENO_PARTY_CLIENT, 0, NULL, "n", NULL, { NULL }, 0, "" },
    { "operator", XENO_ROLE_OPERATOR, XENO_PARTY_CLIENT, 0, NULL, "n", NULL, { NULL }, 0, "" },
    { "server",
      XENO_ROLE_SERVER,
      XENO_PARTY_SERVER,
      0,
      NULL,
      "n",
      "https://h:1",
      { "h", "::1" },
      0,
      "" },
    { "node", XENO_ROLE_NODE, XENO_PARTY_NODE, 0, NULL, "n", "https://h:1", { "h" }, 0, "" },
    { "node by a server's token",
      XENO_ROLE_SERVER,
      XENO_PARTY_NODE,
      0,
      NULL,
      "n",
      "https://h:1",
      { NULL },
      -EPERM,
      "registry.token" },
    { "client by a node's token",
      XENO_ROLE_NODE,
      XENO_PARTY_CLIENT,
      0,
      NULL,
      "n",
      NULL,
      { NULL },
      -EPERM,
      "registry.token" },
    { "a node without endpoint",
      XENO_ROLE_NODE,
      XENO_PARTY_NODE,
      0,
      NULL,
      "n",
      NULL,
      { NULL },
      -EINVAL,
      "registry.field" },
    { "in the last second",
      XENO_ROLE_CLIENT,
      XENO_PARTY_CLIENT,
      59,
      NULL,
      "n",
      NULL,
      { NULL },
      0,
      "" },
    { "too late",
      XENO_ROLE_CLIENT,
      XENO_PARTY_CLIENT,
      60,
      NULL,
      "n",
      NULL,
      { NULL },
      -EPERM,
      "registry.token" },
    { "server by a client's token",
      XENO_ROLE_CLIENT,
      XENO_PARTY_SERVER,
      0,
      NULL,
      "n",
      "https://h:1",
      { NULL },
      -EPERM,
      "registry.token" },
    { "client by a server's token",
      XENO_ROLE_SERVER,
      XENO_PARTY_CLIENT,
      0,
      NULL,
      "n",
      NULL,
      { NULL },
      -EPERM,
      "registry.token" },
    { "not a token",
      XENO_ROLE_CLIENT,
      XENO_PARTY_CLIENT,
      0,
      "xt1.x",
      "n",
      NULL,
      { NULL },
      -EINVAL,
      "token.format" },
    { "no name",
      XENO_ROLE_CLIENT,
      XENO_PARTY_CLIENT,
      0,
      NULL,
      "",
      NULL,
      { NULL },
      -EINVAL,
      "registry.field" },
    { "a name with a line break",
      XENO_ROLE_CLIENT,
      XENO_PARTY_CLIENT,
      0,
      NULL,
      "a\nb",
      NULL,
      { NULL },
      -EINVAL,
      "registry.field" },
    { "a plain endpoint",
      XENO_ROLE_SERVER,
      XENO_PARTY_SERVER,
      0,
      NULL,
      "n",
      "http://h:1",
      { NULL },
      -EINVAL,
      "registry.field" },
    { "no endpoint",
      XENO_ROLE_SERVER,
      XENO_PARTY_SERVER,
      0,
      NULL,
      "n",
      NULL,
      { NULL },
      -EINVAL,
      "registry.field" },
    { "a host of two words",
      XENO_ROLE_SERVER,
      XENO_PARTY_SERVER,
      0,
      NULL,
      "n",
      "https://h:1",
      { "a b" },
      -EINVAL,
      "registry.field" },
};

static void joining(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(join_rows); i++) {
        struct fixture f;
        struct xeno_err err = XENO_ERR_INIT;
        xeno_auto(xeno_key) key = NULL;
        xeno_auto(xeno_cert) cert = NULL;
        xeno_autofree char *pem = NULL;
        char token[XENO_TOKEN_TEXT];
        struct xeno_party_view v;
        struct xeno_id id;

        print_message("# %s\n", join_rows[i].name);
        fixture_open(&f, i + 1);
        key = xeno_key_new(&f.env.env);
        struct xeno_join join = { .token = join_rows[i].token ? join_rows[i].token : token,
                                  .kind = join_rows[i].kind,
                                  .pub = *xeno_key_pub(key),
                                  .name = join_rows[i].party,
                                  .endpoint = join_rows[i].endpoint,
                                  .hosts = join_rows[i].hosts };

        assert_int_equal(IN_GROUP(&f, xeno_token_issue(f.corp, "op", join_rows[i].role, xeno_s(60),
                                                       token, NULL)),
                         0);
        fixture_wait(&f, join_rows[i].wait_s * 1000);
        assert_int_equal(IN_GROUP(&f, xeno_register(f.corp, &join, &id, &pem, &err)),
                         join_rows[i].want);
        assert_string_equal(err.token, join_rows[i].word);
        assert_int_equal(IN_GROUP(&f, xeno_parties(f.corp, 0, 1, &v, NULL)),
                         join_rows[i].want == 0);
        if (pem) {
            assert_int_equal(xeno_cert_parse(pem, 0, &cert, NULL), 0);
            assert_int_equal(cert->attr_count, join_rows[i].role == XENO_ROLE_OPERATOR);
            assert_int_equal(v.role, join_rows[i].role);
            assert_int_equal(cert->kind, join_rows[i].kind);
        }
        fixture_close(&f);
    }
}

static void a_disabled_party_is_out(void **state)
{
    struct fixture f;
    struct fixture_party client, server;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_party_view v;
    struct xeno_bound b;
    xeno_auto(xeno_revocations) before = NULL;
    xeno_auto(xeno_revocations) after = NULL;
    xeno_autofree char *first = NULL, *list = NULL, *chain = NULL, *pem = NULL, *none = NULL;
    xeno_auto(xeno_cert) cert = NULL;
    char order[XENO_ORDER_ID_CHARS + 1];

    (void)state;
    fixture_open(&f, 1);
    fixture_join(&f, XENO_ROLE_CLIENT, &client);
    fixture_join(&f, XENO_ROLE_SERVER, &server);
    fixture_fund(&f, &client, 1000);
    chain = fixture_order(&f, &client, 1000, order);
    assert_int_equal(IN_GROUP(&f, xeno_renew(f.corp, client.id.s, &pem, NULL)), 0);
    assert_int_equal(xeno_cert_parse(pem, 0, &cert, NULL), 0);
    assert_int_equal(IN_GROUP(&f, xeno_revocation_list(f.corp, xeno_s(60), &first, NULL)), 0);
    assert_int_equal(
        xeno_revocations_read(first, strlen(first), xeno_corp_pub(f.corp), &before, NULL), 0);
    assert_int_equal(before->count, 0);

    assert_int_equal(IN_GROUP(&f, xeno_disable(f.corp, "op", client.id.s, &err)), 0);
    assert_int_equal(IN_GROUP(&f, xeno_disable(f.corp, "op", client.id.s, &err)), 0);
    assert_int_equal(IN_GROUP(&f, xeno_revocation_list(f.corp, xeno_s(60), &list, NULL)), 0);
    assert_int_equal(xeno_revocations_read(list, strlen(list), xeno_corp_pub(f.corp), &after, NULL),
                     0);
    assert_int_equal(after->version, before->version + 1);
    assert_int_equal(after->count, 2); /* joined, renewed */
    assert_true(xeno_revocations_has(after, cert->serial));
    assert_int_equal(IN_GROUP(&f, xeno_renew(f.corp, client.id.s, &none, &err)), -EPERM);
    assert_string_equal(err.token, "registry.disabled");
    assert_int_equal(fixture_validate(&f, &server, &client, chain, "aaaaaaaaaaaaaaaa", 0, &b, &err),
                     -EPERM);
    assert_string_equal(err.token, "registry.disabled");
    assert_int_equal(IN_GROUP(&f, xeno_party_get(f.corp, client.id.s, &v, NULL)), 0);
    assert_true(v.disabled);
    assert_int_equal(v.held.micro, 1000);
    assert_int_equal(IN_GROUP(&f, xeno_disable(f.corp, "op", "nobody", &err)), -ENOENT);
    assert_balanced(&f);
    fixture_party_release(&client);
    fixture_party_release(&server);
    fixture_close(&f);
}

static void a_node_is_neither_client_nor_server(void **state)
{
    struct fixture f;
    struct fixture_party client, node;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_party_view v;
    struct xeno_statement_line line;
    struct xeno_bound b;
    xeno_autofree char *pem = NULL, *none = NULL, *chain = NULL;
    xeno_auto(xeno_cert) cert = NULL;
    char order[XENO_ORDER_ID_CHARS + 1];

    (void)state;
    fixture_open(&f, 1);
    fixture_join(&f, XENO_ROLE_CLIENT, &client);
    fixture_join(&f, XENO_ROLE_NODE, &node);
    fixture_fund(&f, &client, 1000);
    chain = fixture_order(&f, &client, 1000, order);
    assert_int_equal(IN_GROUP(&f, xeno_renew(f.corp, node.id.s, &pem, NULL)), 0);
    assert_int_equal(xeno_cert_parse(pem, 0, &cert, NULL), 0);
    assert_int_equal(cert->kind, XENO_PARTY_NODE);
    assert_int_equal(
        IN_GROUP(&f, xeno_ledger_fund(f.corp, "op", node.id.s, xeno_micro(1), NULL, &err)), -EPERM);
    assert_string_equal(err.token, "registry.kind");
    assert_int_equal(fixture_validate(&f, &node, &client, chain, "aaaaaaaaaaaaaaaa", 0, &b, &err),
                     -EPERM);
    assert_string_equal(err.token, "registry.kind");
    assert_int_equal(IN_GROUP(&f, xeno_statement(f.corp, node.id.s, 0, 1, &line, NULL)), 0);
    assert_int_equal(IN_GROUP(&f, xeno_disable(f.corp, "op", node.id.s, NULL)), 0);
    assert_int_equal(IN_GROUP(&f, xeno_renew(f.corp, node.id.s, &none, &err)), -EPERM);
    assert_string_equal(err.token, "registry.disabled");
    assert_int_equal(IN_GROUP(&f, xeno_party_get(f.corp, node.id.s, &v, NULL)), 0);
    assert_int_equal(v.role, XENO_ROLE_NODE);
    assert_true(v.disabled);
    assert_int_equal(v.earned.micro + v.free.micro + v.held.micro, 0);
    assert_balanced(&f);
    fixture_party_release(&client);
    fixture_party_release(&node);
    fixture_close(&f);
}

static void renewing_has_an_end(void **state)
{
    struct fixture f;
    struct fixture_party client;
    struct xeno_err err = XENO_ERR_INIT;
    char *pem = NULL;
    int count = 1; /* from joining */

    (void)state;
    fixture_open(&f, 1);
    fixture_join(&f, XENO_ROLE_CLIENT, &client);
    while (IN_GROUP(&f, xeno_renew(f.corp, client.id.s, &pem, &err)) == 0) {
        free(xeno_take(&pem));
        assert_in_range(++count, 2, XENO_CREDENTIALS_MAX);
    }
    assert_int_equal(count, XENO_CREDENTIALS_MAX);
    assert_string_equal(err.token, "registry.often");
    fixture_wait(&f, INT64_C(86400) * 1000);
    assert_int_equal(IN_GROUP(&f, xeno_renew(f.corp, client.id.s, &pem, &err)), 0);
    free(pem);
    fixture_party_release(&client);
    fixture_close(&f);
}

static void time_cleans_up(void **state)
{
    struct fixture f;
    struct fixture_party client;
    char token[XENO_TOKEN_TEXT];
    int64_t n = -1;
    uint8_t sha[32] = { 1 };

    (void)state;
    fixture_open(&f, 1);
    fixture_join(&f, XENO_ROLE_CLIENT, &client);
    for (int i = 0; i < 5; i++)
        assert_int_equal(
            IN_GROUP(&f, xeno_token_issue(f.corp, "op", XENO_ROLE_CLIENT, xeno_s(60), token, NULL)),
            0);
    assert_int_equal(IN_GROUP(&f, xeno_idem_keep(f.corp, "k", sha, 201, "{}", NULL)), 0);
    fixture_wait(&f, INT64_C(2) * 86400 * 1000);
    assert_int_equal(IN_GROUP(&f, xeno_corp_tick(f.corp, 2, NULL)), 1);
    assert_int_equal(IN_GROUP(&f, xeno_corp_tick(f.corp, 10, NULL)), 0);
    assert_int_equal(xeno_db_one_int(f.db, -1, &n, NULL,
                                     "SELECT (SELECT count(*) FROM token)"
                                     " + (SELECT count(*) FROM credential)"
                                     " + (SELECT count(*) FROM idem)",
                                     ""),
                     0);
    assert_int_equal(n, 0);
    fixture_party_release(&client);
    fixture_close(&f);
}

static void answers_are_kept(void **state)
{
    struct fixture f;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *body = NULL;
    uint8_t sha[32] = { 1 }, other[32] = { 2 };
    int status = 0;

    (void)state;
    fixture_open(&f, 1);
    assert_int_equal(IN_GROUP(&f, xeno_idem_find(f.corp, "k", sha, &status, &body, &err)), 0);
    assert_int_equal(IN_GROUP(&f, xeno_idem_keep(f.corp, "k", sha, 201, "{\"a\":1}", &err)), 0);
    assert_int_equal(IN_GROUP(&f, xeno_idem_find(f.corp, "k", sha, &status, &body, &err)), 1);
    assert_int_equal(status, 201);
    assert_string_equal(body, "{\"a\":1}");
    assert_int_equal(IN_GROUP(&f, xeno_idem_find(f.corp, "k", other, &status, &body, &err)),
                     -ENOTUNIQ);
    assert_string_equal(err.token, "http.idempotency");
    fixture_close(&f);
}

static void books_know_their_owner(void **state)
{
    struct fixture f;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_key) other = NULL;
    struct xeno_corp *corp = NULL;

    (void)state;
    fixture_open(&f, 1);
    other = xeno_key_new(&f.env.env);
    assert_int_equal(xeno_corp_open(f.db, &f.env.env, other, f.ca_pem, &f.policy, &corp, &err),
                     -EPERM);
    assert_string_equal(err.token, "corp.key");
    f.policy.fee_bp = 10001;
    assert_int_equal(xeno_corp_open(f.db, &f.env.env, f.ca, f.ca_pem, &f.policy, &corp, &err),
                     -EINVAL);
    assert_string_equal(err.token, "corp.policy");
    assert_null(corp);
    assert_int_equal(IN_GROUP(&f, xeno_corp_set_policy(f.corp, &f.policy, &err)), -EINVAL);
    f.policy.fee_bp = 0;
    assert_int_equal(IN_GROUP(&f, xeno_corp_set_policy(f.corp, &f.policy, &err)), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_joins_once),
        cmocka_unit_test(joining),
        cmocka_unit_test(a_disabled_party_is_out),
        cmocka_unit_test(a_node_is_neither_client_nor_server),
        cmocka_unit_test(renewing_has_an_end),
        cmocka_unit_test(time_cleans_up),
        cmocka_unit_test(answers_are_kept),
        cmocka_unit_test(books_know_their_owner),
    };

    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
