/* src/doc/tests/test-name.c */
#include "doc/name.h"

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

#define NOW_MS INT64_C(1700000000000)
#define A64    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A40    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct xeno_key *key_of(uint8_t n)
{
    uint8_t seed[32] = { n };

    return xeno_key_from_seed(seed);
}

static struct xeno_name a_name(int64_t sequence, const char *hex, bool moves)
{
    struct xeno_name n = { .name = "12",
                           .version = "current",
                           .sequence = sequence,
                           .moves = moves,
                           .issued = xeno_ms(NOW_MS),
                           .expires = xeno_ms(moves ? NOW_MS + 86400000 : 0) };

    snprintf(n.digest, sizeof n.digest, "sha256:%s", hex);
    return n;
}

static void both_ways(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    struct xeno_id id = xeno_id_of(xeno_key_pub(key));

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct xeno_name n = a_name(7, A64, i & 1), back;
        xeno_autofree char *text = NULL;

        n.overlay = i & 2;
        text = xeno_name_sign(key, &n);
        assert_int_equal(xeno_name_read(text, strlen(text), &back, NULL), 0);
        assert_string_equal(back.publisher.s, id.s);
        assert_string_equal(back.name, "12");
        assert_string_equal(back.version, "current");
        assert_string_equal(back.digest, n.digest);
        assert_int_equal(back.sequence, 7);
        assert_int_equal(back.overlay, n.overlay);
        assert_int_equal(back.moves, n.moves);
        assert_int_equal(back.issued.ns, n.issued.ns);
        assert_int_equal(back.expires.ns, n.expires.ns);
    }
}

/* A payload with the key of `says` in it, signed by `key`. */
static char *signed_by(const struct xeno_key *key, const char *typ, const char *before,
                       const struct xeno_key *says, const char *after)
{
    char pub[XENO_PUB_TEXT];
    xeno_autofree char *text = NULL;

    xeno_pub_text(xeno_key_pub(says), pub);
    text = xeno_asprintf("{\"v\":1,%s\"key\":\"%s\",%s", before, pub, after);
    return xeno_jws_sign(key, typ, text, strlen(text));
}

/* Signed by the publisher itself, or not, and no statement. */
static void refused(void **state)
{
#define NAME  "\"name\":\"12\",\"version\":\"c\",\"sequence\":7,"
#define IMAGE "\"digest\":\"sha256:" A64 "\",\"kind\":\"template\","
#define FIXED "\"moves\":false,\"issued_ms\":1"
    xeno_auto(xeno_key) key = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);
    xeno_autofree char *mine =
        xeno_asprintf("\"publisher\":\"%s\",", xeno_id_of(xeno_key_pub(key)).s);
    const struct {
        const char *after, *token;
        const struct xeno_key *signer, *says;
        const char *typ;
    } rows[] = {
        { NAME IMAGE FIXED "}", NULL, key, key, XENO_TYP_NAME },
        { NAME IMAGE "\"moves\":true,\"issued_ms\":1,\"expires_ms\":2}", NULL, key, key,
          XENO_TYP_NAME },
        { NAME IMAGE FIXED "}", "jws.typ", key, key, XENO_TYP_REVOCATIONS },
        { NAME IMAGE FIXED "}", "jws.kid", other, key, XENO_TYP_NAME },
        { NAME IMAGE FIXED "}", "jws.kid", key, other, XENO_TYP_NAME },
        { NAME IMAGE FIXED "}", "name.publisher", other, other, XENO_TYP_NAME },
        { NAME IMAGE FIXED ",\"more\":1}", "json.unknown", key, key, XENO_TYP_NAME },
        { NAME IMAGE FIXED ",\"expires_ms\":2}", "name.expiry", key, key, XENO_TYP_NAME },
        { NAME IMAGE "\"moves\":true,\"issued_ms\":1}", "name.expiry", key, key, XENO_TYP_NAME },
        { NAME IMAGE "\"issued_ms\":1}", "json.missing", key, key, XENO_TYP_NAME },
        { NAME "\"digest\":\"sha256:12\",\"kind\":\"template\"," FIXED "}", "name.digest", key, key,
          XENO_TYP_NAME },
        { NAME "\"digest\":\"sha256:" A64 "\",\"kind\":\"disk\"," FIXED "}", "name.kind", key, key,
          XENO_TYP_NAME },
        { "\"name\":\"a/b\",\"version\":\"c\",\"sequence\":7," IMAGE FIXED "}", "name.word", key,
          key, XENO_TYP_NAME },
        { "\"name\":\"a\",\"version\":\"..\",\"sequence\":7," IMAGE FIXED "}", "name.word", key,
          key, XENO_TYP_NAME },
        { "\"name\":\"a\",\"version\":\"c\",\"sequence\":0," IMAGE FIXED "}", "json.range", key,
          key, XENO_TYP_NAME },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *text =
            signed_by(rows[i].signer, rows[i].typ, mine, rows[i].says, rows[i].after);
        struct xeno_name back = { .sequence = 77 };
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_name_read(text, strlen(text), &back, &err);

        print_message("%zu %s: %s\n", i, rows[i].token ? rows[i].token : "good", err.text);
        assert_int_equal(r == 0, rows[i].token == NULL);
        assert_string_equal(err.token, rows[i].token ? rows[i].token : "");
        assert_true(r == 0 || back.sequence == 77);
    }
}

/* One letter of a statement that is right. */
static void forged(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    struct xeno_name n = a_name(7, A64, true), back;
    xeno_autofree char *text = xeno_name_sign(key, &n);
    size_t len = strlen(text);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        char was = text[i];

        text[i] = was == 'A' ? 'B' : 'A';
        assert_true(xeno_name_read(text, len, &back, NULL) < 0);
        text[i] = was;
        assert_true(xeno_name_read(text, i, &back, NULL) < 0);
    }
    assert_int_equal(xeno_name_read(text, len, &back, NULL), 0);
}

static void another_than_asked_for(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);
    struct xeno_id us = xeno_id_of(xeno_key_pub(key)), them = xeno_id_of(xeno_key_pub(other));
    struct xeno_name moving = a_name(7, A64, true), fixed = a_name(7, A64, false);
    const struct {
        const struct xeno_name *n;
        const struct xeno_id *publisher;
        const char *name, *version;
        int64_t ms;
        const char *token;
    } rows[] = {
        { &moving, &us, "12", "current", NOW_MS + 86399999, NULL },
        { &moving, &us, "12", "current", NOW_MS + 86400000, "name.expired" },
        { &fixed, &us, "12", "current", NOW_MS + 864000000000, NULL },
        { &fixed, &them, "12", "current", NOW_MS, "name.publisher" },
        { &fixed, &us, "13", "current", NOW_MS, "name.other" },
        { &fixed, &us, "12", "past", NOW_MS, "name.other" },
    };

    (void)state;
    moving.publisher = fixed.publisher = us;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_name_ref ref = { .publisher = "" };
        struct xeno_err err = XENO_ERR_INIT;

        snprintf(ref.name, sizeof ref.name, "%s", rows[i].name);
        snprintf(ref.version, sizeof ref.version, "%s", rows[i].version);
        print_message("%zu\n", i);
        assert_int_equal(
            xeno_name_accept(rows[i].n, rows[i].publisher, &ref, xeno_ms(rows[i].ms), &err) == 0,
            rows[i].token == NULL);
        assert_string_equal(err.token, rows[i].token ? rows[i].token : "");
    }
}

static void order(void **state)
{
    static const struct {
        const char *name;
        int64_t seen_seq, shown_seq;
        bool seen_moves, shown_moves;
        const char *seen, *shown;
        enum xeno_name_order order;
    } rows[] = {
        { "the same", 5, 5, true, true, A64, A64, XENO_NAME_SAME },
        { "it moved", 5, 6, true, true, A64, B64, XENO_NAME_LATER },
        { "said again", 5, 6, true, true, A64, A64, XENO_NAME_LATER },
        { "an older one", 6, 5, true, true, A64, B64, XENO_NAME_OLDER },
        { "one number, two images", 5, 5, true, true, A64, B64, XENO_NAME_CONTRADICTS },
        { "one number, moving or not", 5, 5, true, false, A64, A64, XENO_NAME_CONTRADICTS },
        { "it comes to rest", 5, 6, true, false, A64, B64, XENO_NAME_LATER },
        { "seen at rest, shown before", 6, 5, false, true, B64, A64, XENO_NAME_OLDER },
        { "fixed, said again", 5, 6, false, false, A64, A64, XENO_NAME_LATER },
        { "fixed, older", 6, 5, false, false, A64, A64, XENO_NAME_OLDER },
        { "fixed, and changed", 5, 6, false, false, A64, B64, XENO_NAME_CONTRADICTS },
        { "fixed, and changed, the new one seen first", 6, 5, false, false, B64, A64,
          XENO_NAME_CONTRADICTS },
        { "fixed, and moves", 5, 6, false, true, A64, A64, XENO_NAME_CONTRADICTS },
        { "moves, and was fixed", 6, 5, true, false, B64, A64, XENO_NAME_CONTRADICTS },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_name seen = a_name(rows[i].seen_seq, rows[i].seen, rows[i].seen_moves);
        struct xeno_name shown = a_name(rows[i].shown_seq, rows[i].shown, rows[i].shown_moves);

        print_message("%s\n", rows[i].name);
        assert_int_equal(xeno_name_compare(&seen, &shown), rows[i].order);
        shown = seen;
        shown.overlay = true;
        assert_int_equal(xeno_name_compare(&seen, &shown), XENO_NAME_CONTRADICTS);
    }
    assert_int_equal(xeno_name_next(0, xeno_ms(NOW_MS)), NOW_MS / 1000);
    assert_int_equal(xeno_name_next(NOW_MS / 1000, xeno_ms(NOW_MS)), NOW_MS / 1000 + 1);
    assert_int_equal(xeno_name_next(NOW_MS, xeno_ms(NOW_MS)), NOW_MS + 1);
}

static void refs(void **state)
{
    static const struct {
        const char *text, *publisher, *name, *version; /* NULL: refused */
    } rows[] = {
        { "debian/12/current", "debian", "12", "current" },
        { "12/2026-11-01", "", "12", "2026-11-01" },
        { "abcdefghijklmnopqrstuvwxyz234567/a.b/c_d", "abcdefghijklmnopqrstuvwxyz234567", "a.b",
          "c_d" },
        { A40 "/1", "", A40, "1" },
        { A40 "a/1", NULL, NULL, NULL },
        { "12", NULL, NULL, NULL },
        { "", NULL, NULL, NULL },
        { "a//b", NULL, NULL, NULL },
        { "/a/b", NULL, NULL, NULL },
        { "a/b/", NULL, NULL, NULL },
        { "a/b/c/d", NULL, NULL, NULL },
        { "a/b/c/", NULL, NULL, NULL },
        { "A/b", NULL, NULL, NULL },
        { "a/..", NULL, NULL, NULL },
        { "a/b..c", NULL, NULL, NULL },
        { "a/-b", NULL, NULL, NULL },
        { "a/b@c", NULL, NULL, NULL },
        { "a/b:c", NULL, NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_name_ref ref = { .name = "as it was" };
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_name_ref_parse(rows[i].text, &ref, &err);

        print_message("%s\n", rows[i].text);
        assert_int_equal(r, rows[i].name ? 0 : -EINVAL);
        assert_string_equal(ref.name, rows[i].name ? rows[i].name : "as it was");
        if (r < 0)
            continue;
        assert_string_equal(ref.publisher, rows[i].publisher);
        assert_string_equal(ref.version, rows[i].version);
    }
}

static void the_largest(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    struct xeno_name n = a_name((INT64_C(1) << 53) - 1, A64, true), back;
    xeno_autofree char *text = NULL;
    xeno_autofree char *much = xeno_alloc0(1, XENO_NAME_MAX + 2);
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    memset(n.name, 'a', XENO_NAME_WORD_MAX);
    memset(n.version, 'a', XENO_NAME_WORD_MAX);
    n.issued = n.expires = xeno_ms(XENO_DOC_MS_MAX);
    text = xeno_name_sign(key, &n);
    assert_true(strlen(text) <= XENO_NAME_MAX);
    assert_int_equal(xeno_name_read(text, strlen(text), &back, NULL), 0);
    memset(much, 'a', XENO_NAME_MAX + 1);
    assert_int_equal(xeno_name_read(much, XENO_NAME_MAX + 1, &back, &err), -EFBIG);
}

static void rfc_example(void **state)
{
    static const char mark[] = "`a statement`:\n\n    ";
    xeno_auto(xeno_key) key = key_of(1);
    struct xeno_name n = a_name(1700000000, A64, true);
    xeno_autofree char *rfc = NULL;
    xeno_autofree char *text = xeno_name_sign(key, &n);
    const char *at;
    size_t len;

    (void)state;
    assert_int_equal(xeno_file_read(AT_FDCWD, XENO_RFC, 1 << 20, &rfc, &len, NULL), 0);
    at = strstr(rfc, mark);
    assert_non_null(at);
    at += sizeof mark - 1;
    rfc[(size_t)(at - rfc) + strcspn(at, "\n")] = '\0';
    assert_string_equal(text, at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),   cmocka_unit_test(refused),
        cmocka_unit_test(forged),      cmocka_unit_test(another_than_asked_for),
        cmocka_unit_test(order),       cmocka_unit_test(refs),
        cmocka_unit_test(the_largest), cmocka_unit_test(rfc_example),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
