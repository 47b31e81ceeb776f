/* src/doc/tests/test-loghead.c - signed heads, the leaf of a charge, and the examples of rfc/0006.
 */
#include "doc/loghead.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/io.h"
#include "crypto/jws.h"

static struct xeno_key *key_of(uint8_t fill)
{
    uint8_t seed[32];

    memset(seed, fill, sizeof seed);
    return xeno_key_from_seed(seed);
}

static struct xeno_hash leaf_of(const char *text)
{
    return xeno_hash_leaf(text, strlen(text));
}

/* --- heads --- */

static void both_ways(void **state)
{
    xeno_auto(xeno_key) corp = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);
    struct xeno_hash root = leaf_of("x");
    struct xeno_log_head h = { .size = -1 };
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *text = xeno_log_head_sign(corp, XENO_TREE_MAX, &root, xeno_ms(12));

    (void)state;
    assert_true(strlen(text) <= XENO_LOG_HEAD_MAX);
    assert_int_equal(xeno_log_head_read(text, strlen(text), xeno_key_pub(other), &h, &err), -EPERM);
    assert_int_equal(h.size, -1);
    assert_int_equal(xeno_log_head_read(text, strlen(text), xeno_key_pub(corp), &h, &err), 0);
    assert_true(h.size == XENO_TREE_MAX && h.time.ns == xeno_ms(12).ns);
    assert_true(xeno_hash_equal(&h.root, &root));
    assert_string_equal(h.corp.s, xeno_id_of(xeno_key_pub(corp)).s);
}

#define ID   "%s" /* the signer's */
#define HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const struct {
    const char *name, *typ, *payload;
    int want;
    const char *token;
} rows[] = {
    { "sound", XENO_TYP_LOG_HEAD,
      "{\"v\":1,\"corp\":\"" ID "\",\"size\":3,\"root\":\"" HASH "\",\"time_ms\":1}", 0, NULL },
    { "another kind", XENO_TYP_CHARGES,
      "{\"v\":1,\"corp\":\"" ID "\",\"size\":3,\"root\":\"" HASH "\",\"time_ms\":1}", -EPERM,
      "jws.typ" },
    { "a later form", XENO_TYP_LOG_HEAD,
      "{\"v\":2,\"corp\":\"" ID "\",\"size\":3,\"root\":\"" HASH "\",\"time_ms\":1}", -EPROTO,
      "doc.version" },
    { "somebody else's", XENO_TYP_LOG_HEAD,
      "{\"v\":1,\"corp\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"size\":3,\"root\":\"" HASH
      "\",\"time_ms\":1}",
      -EPERM, "log.corp" },
    { "less than nothing", XENO_TYP_LOG_HEAD,
      "{\"v\":1,\"corp\":\"" ID "\",\"size\":-1,\"root\":\"" HASH "\",\"time_ms\":1}", -EINVAL,
      "json.range" },
    { "too large", XENO_TYP_LOG_HEAD,
      "{\"v\":1,\"corp\":\"" ID "\",\"size\":281474976710657,\"root\":\"" HASH "\",\"time_ms\":1}",
      -EINVAL, "json.range" },
    { "a short root", XENO_TYP_LOG_HEAD,
      "{\"v\":1,\"corp\":\"" ID "\",\"size\":3,\"root\":\"AAAA\",\"time_ms\":1}", -EINVAL,
      "json.range" },
    { "a root in other letters", XENO_TYP_LOG_HEAD,
      "{\"v\":1,\"corp\":\"" ID
      "\",\"size\":3,\"root\":\"+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"time_ms\":1}",
      -EINVAL, "log.hash" },
    { "no time", XENO_TYP_LOG_HEAD,
      "{\"v\":1,\"corp\":\"" ID "\",\"size\":3,\"root\":\"" HASH "\"}", -EINVAL, "json.missing" },
    { "one member more", XENO_TYP_LOG_HEAD,
      "{\"v\":1,\"corp\":\"" ID "\",\"size\":3,\"root\":\"" HASH "\",\"time_ms\":1,\"x\":1}",
      -EINVAL, "json.unknown" },
};

static void head_rows(void **state)
{
    xeno_auto(xeno_key) corp = key_of(1);
    struct xeno_id id = xeno_id_of(xeno_key_pub(corp));

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        const char *at = strstr(rows[i].payload, ID);
        xeno_autofree char *payload = at ? xeno_asprintf("%.*s%s%s", (int)(at - rows[i].payload),
                                                         rows[i].payload, id.s, at + strlen(ID))
                                         : xeno_strdup(rows[i].payload);
        xeno_autofree char *text = xeno_jws_sign(corp, rows[i].typ, payload, strlen(payload));
        struct xeno_log_head h = { .size = -7 };
        struct xeno_err err = XENO_ERR_INIT;

        print_message("%s\n", rows[i].name);
        assert_int_equal(xeno_log_head_read(text, strlen(text), xeno_key_pub(corp), &h, &err),
                         rows[i].want);
        if (rows[i].token)
            assert_string_equal(err.token, rows[i].token);
        assert_true(rows[i].want == 0 ? h.size == 3 : h.size == -7);
    }
}

static void a_head_is_short(void **state)
{
    xeno_auto(xeno_key) corp = key_of(1);
    xeno_autofree char *text = xeno_alloc0(XENO_LOG_HEAD_MAX + 2, 1);
    struct xeno_log_head h;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    memset(text, 'e', XENO_LOG_HEAD_MAX + 1);
    assert_int_equal(xeno_log_head_read(text, XENO_LOG_HEAD_MAX + 1, xeno_key_pub(corp), &h, &err),
                     -EFBIG);
}

/* --- two heads --- */

static const struct {
    int64_t a, b;
    bool same_root;
    int want;
} pairs[] = {
    { 5, 5, true, 0 },  { 5, 5, false, -EUCLEAN }, { 0, 5, false, 0 },
    { 5, 0, false, 0 }, { 4, 5, false, 1 },        { 5, 4, true, 1 },
};

static void two_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(pairs); i++) {
        struct xeno_log_head a = { .size = pairs[i].a, .root = leaf_of("a") };
        struct xeno_log_head b = { .size = pairs[i].b,
                                   .root = leaf_of(pairs[i].same_root ? "a" : "b") };
        struct xeno_proof none = { .count = 0 };
        struct xeno_err err = XENO_ERR_INIT;

        assert_int_equal(xeno_log_heads_compare(&a, &b, &err), pairs[i].want);
        assert_int_equal(xeno_log_heads_check(&a, &b, &none, &err),
                         pairs[i].want == 1 ? -EUCLEAN : pairs[i].want);
        if (pairs[i].want)
            assert_string_equal(err.token, pairs[i].want == 1 ? "log.unproved" : "log.forked");
    }
}

/* Whichever was seen first, the proof is from the smaller to the larger. */
static void either_may_be_older(void **state)
{
    struct xeno_log_head a = { .size = 1, .root = leaf_of("a") }, b = { .size = 2 };
    struct xeno_proof p = { .count = 1, .hashes = { leaf_of("b") } };

    (void)state;
    b.root = xeno_hash_node(&a.root, &p.hashes[0]);
    assert_int_equal(xeno_log_heads_check(&a, &b, &p, NULL), 0);
    assert_int_equal(xeno_log_heads_check(&b, &a, &p, NULL), 0);
}

/* --- the document --- */

/* The lines of the rfc between "<!-- NAME -->" and the next blank line, without white space. */
static char *example(const char *rfc, const char *name)
{
    xeno_autofree char *mark = xeno_asprintf("<!-- %s -->\n", name);
    const char *at = strstr(rfc, mark), *end;
    char *out, *to;

    assert_non_null(at);
    at += strlen(mark);
    at += strspn(at, "\n");
    end = strstr(at, "\n\n");
    assert_non_null(end);
    out = to = xeno_alloc0((size_t)(end - at) + 1, 1);
    for (; at < end; at++)
        if (*at != ' ' && *at != '\n')
            *to++ = *at;
    return out;
}

static void rfc_example(void **state)
{
    static const char *const names[] = { "leaf 0", "leaf 1", "leaf 2" };
    xeno_auto(xeno_key) corp = key_of(1);
    xeno_autofree char *rfc = NULL, *head_text = NULL, *old_text = NULL, *proofs = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_log_head h, old;
    struct xeno_hash leaves[3], top;
    struct xeno_json_at at;
    struct xeno_proof p;
    size_t len;

    (void)state;
    assert_int_equal(xeno_file_read(AT_FDCWD, XENO_RFC, 1 << 20, &rfc, &len, NULL), 0);
    for (int i = 0; i < 3; i++) {
        xeno_autofree char *text = example(rfc, names[i]);

        leaves[i] = leaf_of(text);
    }
    top = xeno_hash_node(&leaves[0], &leaves[1]);
    old_text = example(rfc, "head of 2");
    head_text = example(rfc, "head of 3");
    assert_int_equal(xeno_log_head_read(old_text, strlen(old_text), xeno_key_pub(corp), &old, NULL),
                     0);
    assert_int_equal(xeno_log_head_read(head_text, strlen(head_text), xeno_key_pub(corp), &h, NULL),
                     0);
    assert_true(old.size == 2 && xeno_hash_equal(&old.root, &top));
    top = xeno_hash_node(&top, &leaves[2]);
    assert_true(h.size == 3 && xeno_hash_equal(&h.root, &top));
    proofs = example(rfc, "proofs");
    assert_int_equal(xeno_json_parse(proofs, strlen(proofs), 4096, &doc, NULL), 0);
    at = xeno_json_top(doc);
    assert_int_equal(xeno_proof_read(&at, "inclusion_of_1_in_3", &p, NULL), 0);
    assert_int_equal(xeno_inclusion_check(&leaves[1], 1, 3, &h.root, &p, NULL), 0);
    assert_int_equal(xeno_proof_read(&at, "consistency_of_2_and_3", &p, NULL), 0);
    assert_int_equal(xeno_log_heads_check(&old, &h, &p, NULL), 0);
}

static void rfc_charge(void **state)
{
    struct xeno_charge c = {
        .order = "bueqsdxltzm2vxw5nyurzqv6ktbcq4dk",
        .session = "mzxw6ytbonxwiza2",
        .epoch = 1,
        .seq = 3,
        .from = xeno_ms(1700000020000),
        .to = xeno_ms(1700000030000),
        .tariff = 1,
        .amount = xeno_micro(12000),
        .item_count = 1,
        .items = { { XENO_RES_CPU, 1000000, 900000, { 0 }, { 13333 }, { 12000 } } },
    };
    xeno_auto(xeno_key) server = key_of(3);
    struct xeno_id id = xeno_id_of(xeno_key_pub(server));
    xeno_autofree char *rfc = NULL, *text = NULL;
    struct xeno_hash want, got;
    uint8_t sha[32];
    size_t len;

    (void)state;
    assert_int_equal(xeno_file_read(AT_FDCWD, XENO_RFC, 1 << 20, &rfc, &len, NULL), 0);
    text = example(rfc, "leaf 2");
    want = leaf_of(text);
    xeno_charge_digest(&c, sha);
    got = xeno_charge_leaf_hash(&c, id.s, sha);
    assert_true(xeno_hash_equal(&got, &want));
}

/* The largest numbers and names there can be fit into a leaf, and into a head. */
static void the_most_a_leaf_can_say(void **state)
{
    uint8_t sha[32] = { 0xff };
    struct xeno_charge_leaf l = {
        .server = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        .order = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        .session = "zzzzzzzzzzzzzzzz",
        .epoch = INT64_MAX,
        .seq = INT64_MAX,
        .from_ms = INT64_MAX,
        .to_ms = INT64_MAX,
        .tariff = INT64_MAX,
        .amount = INT64_MAX,
        .sha = sha,
        .sha_len = sizeof sha,
    };
    char text[XENO_LEAF_MAX];

    (void)state;
    assert_true(xeno_charge_leaf_text(&l, text) == strlen(text));
    assert_true(strlen(text) < XENO_LEAF_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),           cmocka_unit_test(head_rows),
        cmocka_unit_test(a_head_is_short),     cmocka_unit_test(two_heads),
        cmocka_unit_test(either_may_be_older), cmocka_unit_test(rfc_example),
        cmocka_unit_test(rfc_charge),          cmocka_unit_test(the_most_a_leaf_can_say),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
