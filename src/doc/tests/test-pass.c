/* src/doc/tests/test-pass.c */
#include "doc/pass.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/io.h"
#include "crypto/jws.h"

#define CLIENT "abcdefghijklmnopqrstuvwxyz234567"
#define NOW_MS INT64_C(1700000000000)

static struct xeno_key *key_of(uint8_t n)
{
    uint8_t seed[32] = { n };

    return xeno_key_from_seed(seed);
}

static struct xeno_pass a_pass(enum xeno_pass_kind kind)
{
    struct xeno_pass p = { .kind = kind,
                           .client = { CLIENT },
                           .serial = "40ab",
                           .issued = xeno_ms(NOW_MS),
                           .expires = xeno_ms(NOW_MS + 300000) };

    if (kind == XENO_PASS_ACCESS) {
        p.count = 2;
        snprintf(p.scopes[0].name, sizeof p.scopes[0].name, "%s/debian", CLIENT);
        p.scopes[0].actions = XENO_PASS_PULL | XENO_PASS_PUSH;
        p.scopes[1].actions = XENO_PASS_ALL; /* the catalog */
    }
    return p;
}

static int read_at(const char *text, enum xeno_pass_kind kind, const struct xeno_key *store,
                   int64_t ms, struct xeno_pass *ret, struct xeno_err *err)
{
    return xeno_pass_read(text, strlen(text), kind, xeno_key_pub(store), xeno_ms(ms), ret, err);
}

static void both_ways(void **state)
{
    xeno_auto(xeno_key) store = key_of(1);
    struct xeno_id id = xeno_id_of(xeno_key_pub(store));

    (void)state;
    for (int kind = XENO_PASS_LOGIN; kind <= XENO_PASS_ACCESS; kind++) {
        struct xeno_pass p = a_pass((enum xeno_pass_kind)kind), back;
        xeno_autofree char *text = xeno_pass_sign(store, &p);

        assert_int_equal(read_at(text, p.kind, store, NOW_MS, &back, NULL), 0);
        assert_string_equal(back.store.s, id.s);
        assert_string_equal(back.client.s, CLIENT);
        assert_string_equal(back.serial, "40ab");
        assert_int_equal(back.expires.ns, p.expires.ns);
        assert_int_equal(back.count, p.count);
        assert_memory_equal(back.scopes, p.scopes, sizeof p.scopes);
    }
}

static void refused(void **state)
{
    xeno_auto(xeno_key) store = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);
    struct xeno_pass login = a_pass(XENO_PASS_LOGIN), access = a_pass(XENO_PASS_ACCESS);
    xeno_autofree char *one = xeno_pass_sign(store, &login);
    xeno_autofree char *two = xeno_pass_sign(store, &access);
    xeno_autofree char *three = xeno_pass_sign(other, &access);
    const struct {
        const char *name, *text;
        enum xeno_pass_kind kind;
        int64_t ms;
        const char *token;
    } rows[] = {
        { "the last moment", two, XENO_PASS_ACCESS, NOW_MS + 299999, NULL },
        { "over", two, XENO_PASS_ACCESS, NOW_MS + 300000, "pass.expired" },
        { "a password as a bearer token", one, XENO_PASS_ACCESS, NOW_MS, "jws.typ" },
        { "a bearer token as a password", two, XENO_PASS_LOGIN, NOW_MS, "jws.typ" },
        { "another store's", three, XENO_PASS_ACCESS, NOW_MS, "jws.kid" },
        { "nothing", "", XENO_PASS_ACCESS, NOW_MS, "jws.format" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_pass back = { .count = 77 };
        struct xeno_err err = XENO_ERR_INIT;
        int r = read_at(rows[i].text, rows[i].kind, store, rows[i].ms, &back, &err);

        print_message("%s: %s\n", rows[i].name, err.text);
        assert_int_equal(r == 0, rows[i].token == NULL);
        assert_string_equal(err.token, rows[i].token ? rows[i].token : "");
        assert_true(r == 0 || back.count == 77);
    }
}

/* Signed by the store itself, and still no pass. */
static void payloads(void **state)
{
#define HEAD "{\"v\":1,\"store\":\"" CLIENT "\",\"client\":\"" CLIENT "\",\"serial\":\"4a\","
#define TIME "\"issued_ms\":1,\"expires_ms\":1800000000000,"
    static const struct {
        const char *text, *token; /* NULL: good */
    } rows[] = {
        { HEAD TIME "\"scopes\":[]}", NULL },
        { HEAD TIME "\"scopes\":[\"repository:a/b:pull\"]}", NULL },
        { HEAD TIME "\"scopes\":[\"repository:A/b:pull\"]}", "pass.scope" },
        { HEAD TIME "\"scopes\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]}",
          "json.range" },
        { HEAD TIME "\"scopes\":[],\"more\":1}", "json.unknown" },
        { HEAD "\"issued_ms\":1,\"scopes\":[]}", "json.missing" },
        { "{\"v\":2}", "doc.version" },
    };
    xeno_auto(xeno_key) store = key_of(1);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *text =
            xeno_jws_sign(store, XENO_TYP_PASS_ACCESS, rows[i].text, strlen(rows[i].text));
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_pass back;

        print_message("%s\n", rows[i].text);
        assert_int_equal(read_at(text, XENO_PASS_ACCESS, store, NOW_MS, &back, &err) == 0,
                         rows[i].token == NULL);
        assert_string_equal(err.token, rows[i].token ? rows[i].token : "");
    }
}

static void scopes(void **state)
{
    static const struct {
        const char *text, *name; /* NULL: refused */
        unsigned actions;
        const char *again;
    } rows[] = {
        { "repository:a/b:pull", "a/b", XENO_PASS_PULL, "repository:a/b:pull" },
        { "repository:a/b:push,pull", "a/b", XENO_PASS_PULL | XENO_PASS_PUSH,
          "repository:a/b:pull,push" },
        { "repository:a/b:*", "a/b", XENO_PASS_ALL, "repository:a/b:pull,push,delete" },
        { "repository:a/b:pul,,pushy,pull", "a/b", XENO_PASS_PULL, "repository:a/b:pull" },
        { "repository:a/b:", "a/b", 0, "repository:a/b:" },
        { "registry:catalog:*", "", XENO_PASS_ALL, "registry:catalog:*" },
        { "registry:catalog:list", "", 0, "registry:catalog:" }, /* nothing is not all */
        { "repository::pull", NULL, 0, NULL },
        { "repository:pull", NULL, 0, NULL },
        { "repository:a\"b:pull", NULL, 0, NULL },
        { "repository:a:5000/b:pull", NULL, 0, NULL },
        { "machine:a/b:pull", NULL, 0, NULL },
        { "", NULL, 0, NULL },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_pass_scope s = { .actions = 77 };
        struct xeno_err err = XENO_ERR_INIT;
        char text[XENO_PASS_SCOPE_TEXT];
        int r = xeno_pass_scope_parse(rows[i].text, strlen(rows[i].text), &s, &err);

        print_message("%s\n", rows[i].text);
        assert_int_equal(r, rows[i].name ? 0 : -EINVAL);
        assert_int_equal(s.actions, rows[i].name ? rows[i].actions : 77);
        if (r < 0)
            continue;
        assert_string_equal(s.name, rows[i].name);
        assert_string_equal(xeno_pass_scope_text(&s, text), rows[i].again);
    }
}

static void allows(void **state)
{
    struct xeno_pass p = {
        .count = 3,
        .scopes = { { "a/b", XENO_PASS_PULL }, { "a/b", XENO_PASS_PUSH }, { "a/c", XENO_PASS_ALL } }
    };

    (void)state;
    assert_true(xeno_pass_allows(&p, "a/b", XENO_PASS_PULL | XENO_PASS_PUSH));
    assert_false(xeno_pass_allows(&p, "a/b", XENO_PASS_DELETE));
    assert_true(xeno_pass_allows(&p, "a/c", XENO_PASS_ALL));
    assert_false(xeno_pass_allows(&p, "a", XENO_PASS_PULL));
    assert_false(xeno_pass_allows(&p, "", XENO_PASS_PULL));
}

/* The largest pass there can be is one that a store can read, and fits into a header. */
static void the_most_a_pass_can_say(void **state)
{
    xeno_auto(xeno_key) store = key_of(1);
    struct xeno_pass p = a_pass(XENO_PASS_ACCESS), back;
    xeno_autofree char *text = NULL;

    (void)state;
    p.count = XENO_PASS_SCOPES;
    for (size_t i = 0; i < p.count; i++) {
        memset(p.scopes[i].name, 'a', XENO_PASS_NAME_MAX);
        p.scopes[i].actions = XENO_PASS_ALL;
    }
    memset(p.serial, 'f', sizeof p.serial - 1);
    text = xeno_pass_sign(store, &p);
    assert_true(strlen(text) <= XENO_PASS_MAX);
    assert_int_equal(read_at(text, XENO_PASS_ACCESS, store, NOW_MS, &back, NULL), 0);
}

static char *example(const char *rfc, const char *what)
{
    xeno_autofree char *mark = xeno_asprintf("`%s`:\n\n    ", what);
    const char *at = strstr(rfc, mark);

    assert_non_null(at);
    at += strlen(mark);
    return xeno_strndup(at, strcspn(at, "\n"));
}

static void rfc_example(void **state)
{
    xeno_auto(xeno_key) store = key_of(1);
    struct xeno_pass p = a_pass(XENO_PASS_ACCESS);
    xeno_autofree char *rfc = NULL;
    xeno_autofree char *want = NULL;
    xeno_autofree char *text = xeno_pass_sign(store, &p);
    size_t len;

    (void)state;
    assert_int_equal(xeno_file_read(AT_FDCWD, XENO_RFC, 1 << 20, &rfc, &len, NULL), 0);
    want = example(rfc, "an access pass");
    assert_string_equal(text, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),   cmocka_unit_test(refused),
        cmocka_unit_test(payloads),    cmocka_unit_test(scopes),
        cmocka_unit_test(allows),      cmocka_unit_test(the_most_a_pass_can_say),
        cmocka_unit_test(rfc_example),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests_name("doc-pass", tests, NULL, NULL);
}
