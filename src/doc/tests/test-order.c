/* src/doc/tests/test-order.c */
#include "doc/order.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/io.h"
#include "crypto/jws.h"

#define NOW_MS   INT64_C(1795000000000)
#define ORDER    "orderorderorderorderorderorderab"
#define SERVER_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SERVER_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SERVER_C "cccccccccccccccccccccccccccccccc"

static struct xeno_key *corp, *client, *agent, *stranger;

static struct xeno_key *key_of(uint8_t fill)
{
    uint8_t seed[32];

    memset(seed, fill, sizeof seed);
    return xeno_key_from_seed(seed);
}

static int set_up(void **state)
{
    (void)state;
    corp = key_of(1);
    client = key_of(2);
    agent = key_of(3);
    stranger = key_of(4);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    xeno_key_free(corp);
    xeno_key_free(client);
    xeno_key_free(agent);
    xeno_key_free(stranger);
    return 0;
}

/* 100 credits for an hour, usable by the client. */
static char *issue(void)
{
    struct xeno_order_offer offer = { .order = ORDER,
                                      .sponsor = xeno_id_of(xeno_key_pub(client)).s,
                                      .limit = xeno_micro(100 * XENO_CREDIT),
                                      .issued = xeno_ms(NOW_MS),
                                      .expires = xeno_ms(NOW_MS + 3600000),
                                      .key = *xeno_key_pub(client) };
    char *text = NULL;

    assert_int_equal(xeno_order_issue(corp, &offer, &text, NULL), 0);
    return text;
}

static int read_chain(const char *text, struct xeno_order_terms *t, struct xeno_err *err)
{
    return xeno_order_read(text, strlen(text), xeno_key_pub(corp), t, err);
}

/* Sign a JSON text as a block after `chain` (NULL: as block 0). @CORP, @KEY, @PREV stand for the
 * ids and hashes that fit. */
static char *with_block(const char *chain, const struct xeno_key *signer, const char *typ,
                        const char *json)
{
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_autofree char *prev = NULL;
    xeno_autofree char *block = NULL;
    const char *last = chain ? (strrchr(chain, '~') ? strrchr(chain, '~') + 1 : chain) : "";
    char pub[XENO_PUB_TEXT];
    uint8_t sha[32];

    xeno_sha256_of(last, strlen(last), sha);
    prev = xeno_b64url(sha, sizeof sha);
    xeno_pub_text(xeno_key_pub(client), pub);
    for (const char *p = json; *p; p++) {
        if (strncmp(p, "@CORP", 5) == 0 && (p += 4))
            xeno_buf_puts(&b, xeno_id_of(xeno_key_pub(corp)).s);
        else if (strncmp(p, "@PREV", 5) == 0 && (p += 4))
            xeno_buf_puts(&b, prev);
        else if (strncmp(p, "@KEY", 4) == 0 && (p += 3))
            xeno_buf_puts(&b, pub);
        else
            xeno_buf_add(&b, p, 1);
    }
    block = xeno_jws_sign(signer, typ, b.data, b.len);
    return chain ? xeno_asprintf("%s~%s", chain, block) : xeno_strdup(block);
}

static void first_block(void **state)
{
    xeno_autofree char *text = issue();
    struct xeno_order_terms t;
    struct xeno_id id;
    char order[XENO_ORDER_ID_CHARS + 1];

    (void)state;
    assert_int_equal(read_chain(text, &t, NULL), 0);
    assert_string_equal(t.order, ORDER);
    assert_string_equal(t.corp.s, xeno_id_of(xeno_key_pub(corp)).s);
    assert_string_equal(t.sponsor.s, xeno_id_of(xeno_key_pub(client)).s);
    assert_true(t.limit.micro == 100 * XENO_CREDIT && t.max_total.micro == t.limit.micro);
    assert_true(t.max_rate.micro == INT64_MAX && t.any_server && t.any_env && t.validate_first);
    assert_true(t.not_before.ns == xeno_ms(NOW_MS).ns);
    assert_true(t.not_after.ns == xeno_ms(NOW_MS + 3600000).ns);
    assert_memory_equal(&t.holder, xeno_key_pub(client), sizeof t.holder);
    assert_int_equal(t.blocks, 1);
    assert_int_equal(xeno_order_peek(text, strlen(text), &id, order, NULL), 0);
    assert_string_equal(id.s, t.corp.s);
    assert_string_equal(order, ORDER);
}

/* --- block 0: texts that a XenoCorp's key signed and that are still no order --- */

#define BASE0(limit, issued, expires, more)                                                        \
    "{\"v\":1,\"corp\":\"@CORP\",\"order\":\"" ORDER "\",\"currency\":\"XCR\",\"limit\":" limit    \
    ",\"issued_ms\":" issued ",\"expires_ms\":" expires ",\"key\":\"@KEY\",\"conditions\":"        \
    "[\"validate-before-work\"]" more "}"

static const struct {
    const char *name, *json, *token; /* NULL: accepted */
} firsts[] = {
    { "good", BASE0("1", "1", "2", ""), NULL },
    { "pseudonymous, most money", BASE0("1000000000000000", "1", "2", ""), NULL },
    { "no money", BASE0("0", "1", "2", ""), "json.range" },
    { "negative", BASE0("-1", "1", "2", ""), "json.range" },
    { "above the bound", BASE0("1000000000000001", "1", "2", ""), "json.range" },
    { "2^63", BASE0("9223372036854775808", "1", "2", ""), "json.syntax" },
    { "fraction", BASE0("1.5", "1", "2", ""), "json.type" },
    { "text", BASE0("\"1\"", "1", "2", ""), "json.type" },
    { "expires as it is issued", BASE0("1", "2", "2", ""), "json.range" },
    { "time out of bounds", BASE0("1", "1", "9223372036855", ""), "json.range" },
    { "unknown member", BASE0("1", "1", "2", ",\"discount\":5"), "json.unknown" },
    { "twice the same", BASE0("1", "1", "2", ",\"limit\":1"), "json.syntax" },
    { "sponsor is no id", BASE0("1", "1", "2", ",\"sponsor\":\"bob\""), "json.range" },
    { "sponsor with digits",
      BASE0("1", "1", "2", ",\"sponsor\":\"0123456789abcdefghijklmnopqrstuv\""), "order.format" },
    { "other corp",
      "{\"v\":1,\"corp\":\"" SERVER_A "\",\"order\":\"" ORDER
      "\",\"currency\":\"XCR\",\"limit\":1,\"issued_ms\":1,\"expires_ms\":2,\"key\":\"@KEY\","
      "\"conditions\":[]}",
      "order.corp" },
    { "other currency",
      "{\"v\":1,\"corp\":\"@CORP\",\"order\":\"" ORDER
      "\",\"currency\":\"USD\",\"limit\":1,\"issued_ms\":1,\"expires_ms\":2,\"key\":\"@KEY\","
      "\"conditions\":[]}",
      "order.format" },
    { "unknown condition",
      "{\"v\":1,\"corp\":\"@CORP\",\"order\":\"" ORDER
      "\",\"currency\":\"XCR\",\"limit\":1,\"issued_ms\":1,\"expires_ms\":2,\"key\":\"@KEY\","
      "\"conditions\":[\"full-moon\"]}",
      "order.format" },
    { "no key",
      "{\"v\":1,\"corp\":\"@CORP\",\"order\":\"" ORDER
      "\",\"currency\":\"XCR\",\"limit\":1,\"issued_ms\":1,\"expires_ms\":2,\"conditions\":[]}",
      "json.missing" },
    { "bad key",
      "{\"v\":1,\"corp\":\"@CORP\",\"order\":\"" ORDER
      "\",\"currency\":\"XCR\",\"limit\":1,\"issued_ms\":1,\"expires_ms\":2,\"key\":\"abc\","
      "\"conditions\":[]}",
      "order.format" },
    { "version 2", "{\"v\":2}", "doc.version" },
    { "no version", "{}", "json.missing" },
    { "array", "[]", "json.type" },
    { "no JSON", "order", "json.syntax" },
    { "empty", "", "json.syntax" },
};

static void first_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(firsts); i++) {
        xeno_autofree char *text = with_block(NULL, corp, XENO_TYP_ORDER, firsts[i].json);
        struct xeno_order_terms t = { .blocks = 77 };
        struct xeno_err err = XENO_ERR_INIT;
        int r = read_chain(text, &t, &err);

        if (!firsts[i].token) {
            assert_int_equal(r, 0);
            assert_true(t.sponsor.s[0] == '\0');
            continue;
        }
        if (r == 0 || strcmp(err.token, firsts[i].token) != 0)
            fail_msg("%s: %d %s %s", firsts[i].name, r, err.token, err.text);
        assert_int_equal(t.blocks, 77); /* untouched on failure */
        assert_memory_equal(err.text, "block 0: ", 9);
    }
}

/* --- further blocks --- */

#define NEXT(restrict) "{\"v\":1,\"n\":1,\"prev\":\"@PREV\",\"restrict\":" restrict "}"

static const struct {
    const char *name, *json, *token;
} nexts[] = {
    { "empty restriction", NEXT("{}"), NULL },
    { "all of them",
      NEXT("{\"servers\":[\"" SERVER_A "\"],\"env_types\":[\"Linux\"],\"max_total\":1,"
           "\"max_rate\":1,\"not_before_ms\":0,\"not_after_ms\":1}"),
      NULL },
    { "unknown restriction", NEXT("{\"max_sessions\":1}"), "json.unknown" },
    { "restriction twice", NEXT("{\"max_total\":5,\"max_total\":6}"), "json.syntax" },
    { "no servers", NEXT("{\"servers\":[]}"), "order.format" },
    { "server is no id", NEXT("{\"servers\":[\"me\"]}"), "json.range" },
    { "server in capitals", NEXT("{\"servers\":[\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]}"),
      "order.format" },
    { "servers as text", NEXT("{\"servers\":\"" SERVER_A "\"}"), "json.type" },
    { "no types", NEXT("{\"env_types\":[]}"), "order.format" },
    { "empty type", NEXT("{\"env_types\":[\"\"]}"), "json.range" },
    { "type with a slash", NEXT("{\"env_types\":[\"a/b\"]}"), "order.format" },
    { "nine types", NEXT("{\"env_types\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]}"),
      "json.range" },
    { "long type", NEXT("{\"env_types\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}"), "json.range" },
    { "total of nothing", NEXT("{\"max_total\":0}"), "json.range" },
    { "negative total", NEXT("{\"max_total\":-5}"), "json.range" },
    { "total of 2^63", NEXT("{\"max_total\":9223372036854775808}"), "json.syntax" },
    { "rate of nothing", NEXT("{\"max_rate\":0}"), "json.range" },
    { "rate as text", NEXT("{\"max_rate\":\"5\"}"), "json.type" },
    { "negative time", NEXT("{\"not_after_ms\":-1}"), "json.range" },
    { "far time", NEXT("{\"not_before_ms\":9223372036855}"), "json.range" },
    { "restriction missing", "{\"v\":1,\"n\":1,\"prev\":\"@PREV\"}", "json.missing" },
    { "unknown member", "{\"v\":1,\"n\":1,\"prev\":\"@PREV\",\"restrict\":{},\"limit\":9}",
      "json.unknown" },
    { "wrong number", "{\"v\":1,\"n\":2,\"prev\":\"@PREV\",\"restrict\":{}}", "order.link" },
    { "number zero", "{\"v\":1,\"n\":0,\"prev\":\"@PREV\",\"restrict\":{}}", "order.link" },
    { "other prev",
      "{\"v\":1,\"n\":1,\"prev\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\",\"restrict\":{}}",
      "order.link" },
    { "short prev", "{\"v\":1,\"n\":1,\"prev\":\"abc\",\"restrict\":{}}", "json.range" },
    { "no prev", "{\"v\":1,\"n\":1,\"restrict\":{}}", "json.missing" },
    { "bad next key", "{\"v\":1,\"n\":1,\"prev\":\"@PREV\",\"restrict\":{},\"key\":\"abc\"}",
      "order.format" },
    { "later version", "{\"v\":2,\"n\":1,\"prev\":\"@PREV\",\"restrict\":{}}", "doc.version" },
};

static void next_rows(void **state)
{
    xeno_autofree char *base = issue();

    (void)state;
    for (size_t i = 0; i < XENO_LEN(nexts); i++) {
        xeno_autofree char *text = with_block(base, client, XENO_TYP_ORDER_BLOCK, nexts[i].json);
        struct xeno_order_terms t = { .blocks = 77 };
        struct xeno_err err = XENO_ERR_INIT;
        int r = read_chain(text, &t, &err);

        if (!nexts[i].token) {
            if (r < 0)
                fail_msg("%s: %s", nexts[i].name, err.text);
            assert_int_equal(t.blocks, 2);
            continue;
        }
        if (r == 0 || strcmp(err.token, nexts[i].token) != 0)
            fail_msg("%s: %d %s %s", nexts[i].name, r, err.token, err.text);
        assert_int_equal(t.blocks, 77);
        assert_memory_equal(err.text, "block 1: ", 9);
    }
}

static const char *const list_ab[] = { SERVER_A, SERVER_B };
static const char *const list_bc[] = { SERVER_B, SERVER_C };
static const char *const linux_null[] = { "Linux", "null" };
static const char *const only_null[] = { "null" };

/* Not inlined: gcc 12 then takes the text it returns for a dangling pointer. */
__attribute__((noinline)) static char *append(const char *chain, const struct xeno_key *holder,
                                              const struct xeno_order_restriction *r,
                                              const struct xeno_key *next)
{
    struct xeno_err err = XENO_ERR_INIT;
    char *text = NULL;

    if (xeno_order_append(chain, strlen(chain), xeno_key_pub(corp), holder, r,
                          next ? xeno_key_pub(next) : NULL, &text, &err) < 0)
        fail_msg("%s", err.text);
    return text;
}

/* A later block asks for more in every respect: nothing widens. */
static void only_narrows(void **state)
{
    const struct xeno_order_restriction tight = { .server_count = 2,
                                                  .servers = list_ab,
                                                  .env_count = 2,
                                                  .envs = linux_null,
                                                  .max_total = { 50 },
                                                  .max_rate = { 5 },
                                                  .not_before = xeno_ms(NOW_MS + 10),
                                                  .not_after = xeno_ms(NOW_MS + 20) };
    const struct xeno_order_restriction wide = { .server_count = 2,
                                                 .servers = list_bc,
                                                 .env_count = 1,
                                                 .envs = only_null,
                                                 .max_total = { 1000 * XENO_CREDIT },
                                                 .max_rate = { 1000 * XENO_CREDIT },
                                                 .not_before = xeno_ms(1),
                                                 .not_after = xeno_ms(NOW_MS * 2) };
    xeno_autofree char *base = issue();
    xeno_autofree char *once = append(base, client, &tight, agent);
    xeno_autofree char *twice = append(once, agent, &wide, NULL);
    struct xeno_order_terms t;

    (void)state;
    assert_int_equal(read_chain(twice, &t, NULL), 0);
    assert_int_equal(t.blocks, 3);
    assert_true(t.limit.micro == 100 * XENO_CREDIT);
    assert_true(t.max_total.micro == 50 && t.max_rate.micro == 5);
    assert_true(t.not_before.ns == tight.not_before.ns && t.not_after.ns == tight.not_after.ns);
    assert_int_equal(t.server_count, 1);
    assert_string_equal(t.servers[0].s, SERVER_B);
    assert_int_equal(t.env_count, 1);
    assert_string_equal(t.envs[0], "null");
    assert_memory_equal(&t.holder, xeno_key_pub(agent), sizeof t.holder);
}

/* Lists without a common member leave nothing, not everything. */
static void nothing_left(void **state)
{
    const struct xeno_order_restriction a = { .server_count = 1, .servers = list_ab };
    const struct xeno_order_restriction c = { .server_count = 1, .servers = list_bc };
    xeno_autofree char *base = issue();
    xeno_autofree char *once = append(base, client, &a, NULL);
    xeno_autofree char *twice = append(once, client, &c, NULL);
    struct xeno_order_ctx ctx = {
        .env_type = "Linux", .now = xeno_ms(NOW_MS), .holder = xeno_key_pub(client), .ahead = true
    };
    struct xeno_order_terms t;

    (void)state;
    assert_int_equal(read_chain(twice, &t, NULL), 0);
    assert_int_equal(t.server_count, 0);
    for (size_t i = 0; i < 2; i++) {
        struct xeno_err err = XENO_ERR_INIT;

        ctx.server = list_ab[i];
        assert_int_equal(xeno_order_permits(&t, &ctx, &err), -EPERM);
        assert_string_equal(err.token, "order.server");
    }
}

static void repeats_count_once(void **state)
{
    const char *many[XENO_ORDER_SERVERS_MAX];
    struct xeno_order_restriction r = { .server_count = XENO_ORDER_SERVERS_MAX, .servers = many };
    xeno_autofree char *base = issue();
    xeno_autofree char *once = NULL;
    struct xeno_order_terms t;
    char *no = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    const char *more[XENO_ORDER_SERVERS_MAX + 1];

    (void)state;
    for (size_t i = 0; i <= XENO_ORDER_SERVERS_MAX; i++)
        more[i] = SERVER_A;
    memcpy(many, more, sizeof many);
    once = append(base, client, &r, NULL);
    assert_int_equal(read_chain(once, &t, NULL), 0);
    assert_int_equal(t.server_count, 1);
    r = (struct xeno_order_restriction){ .server_count = XENO_LEN(more), .servers = more };
    assert_true(
        xeno_order_append(base, strlen(base), xeno_key_pub(corp), client, &r, NULL, &no, &err) < 0);
    assert_string_equal(err.token, "order.restriction");
    assert_null(no);
}

/* --- chains put together wrongly --- */

static void tampering(void **state)
{
    const struct xeno_order_restriction r1 = { .max_total = { 10 } }, r2 = { .max_rate = { 10 } };
    xeno_autofree char *base = issue();
    xeno_autofree char *one = append(base, client, &r1, NULL);
    xeno_autofree char *two = append(one, client, &r2, NULL);
    const char *b1 = strchr(two, '~') + 1, *b2 = strchr(b1, '~') + 1;
    xeno_autofree char *left_out = xeno_asprintf("%s~%s", base, b2);
    xeno_autofree char *swapped = xeno_asprintf("%s~%s~%.*s", base, b2, (int)(b2 - 1 - b1), b1);
    xeno_autofree char *repeated =
        xeno_asprintf("%s~%.*s~%.*s", base, (int)(b2 - 1 - b1), b1, (int)(b2 - 1 - b1), b1);
    xeno_autofree char *headless = xeno_strdup(b1);
    xeno_autofree char *base_twice = xeno_asprintf("%s~%s", base, base);
    xeno_autofree char *trailing = xeno_asprintf("%s~", two);
    xeno_autofree char *leading = xeno_asprintf("~%s", two);
    xeno_autofree char *by_stranger = with_block(base, stranger, XENO_TYP_ORDER_BLOCK, NEXT("{}"));
    xeno_autofree char *by_corp = with_block(base, corp, XENO_TYP_ORDER_BLOCK, NEXT("{}"));
    xeno_autofree char *wrong_typ = with_block(base, client, XENO_TYP_PROOF, NEXT("{}"));
    xeno_autofree char *zero_typ =
        with_block(NULL, corp, XENO_TYP_ORDER_BLOCK, BASE0("1", "1", "2", ""));
    xeno_autofree char *zero_stranger =
        with_block(NULL, stranger, XENO_TYP_ORDER, BASE0("1", "1", "2", ""));
    const struct {
        const char *name, *text, *token;
    } rows[] = {
        { "a block left out", left_out, "order.link" },
        { "swapped", swapped, "order.link" },
        { "repeated", repeated, "order.link" },
        { "without its head", headless, "order.signature" },
        { "head twice", base_twice, "order.signature" },
        { "nothing after", trailing, "order.format" },
        { "nothing before", leading, "order.format" },
        { "added by a stranger", by_stranger, "order.signature" },
        { "added by the XenoCorp", by_corp, "order.signature" },
        { "another kind of document", wrong_typ, "order.signature" },
        { "a block as head", zero_typ, "order.signature" },
        { "a head by a stranger", zero_stranger, "order.signature" },
        { "empty", "", "order.format" },
        { "not a document", "hello", "order.format" },
    };
    struct xeno_order_terms t;

    (void)state;
    assert_int_equal(read_chain(two, &t, NULL), 0);
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_err err = XENO_ERR_INIT;

        if (read_chain(rows[i].text, &t, &err) == 0 || strcmp(err.token, rows[i].token) != 0)
            fail_msg("%s: %s %s", rows[i].name, err.token, err.text);
    }
    /* Cut at the end of a block it is an earlier, wider order: the holder of the last key cannot
     * use that, since it names another one, or the same holder narrowed only itself. Cut anywhere
     * else it is nothing. */
    for (size_t len = 0; two[len]; len++) {
        if (len == strlen(base) || len == strlen(one))
            continue;
        assert_true(xeno_order_read(two, len, xeno_key_pub(corp), &t, NULL) < 0);
    }
}

/* After a hand-over the old key adds nothing more, and the shorter chain is not for the agent. */
static void handed_over(void **state)
{
    const struct xeno_order_restriction none = { .max_total = { 10 } };
    xeno_autofree char *base = issue();
    xeno_autofree char *given = append(base, client, &none, agent);
    struct xeno_order_ctx ctx = { .server = SERVER_A,
                                  .env_type = "Linux",
                                  .now = xeno_ms(NOW_MS),
                                  .holder = xeno_key_pub(agent),
                                  .ahead = true };
    struct xeno_order_terms t;
    struct xeno_err err = XENO_ERR_INIT;
    char *no = NULL;

    (void)state;
    assert_true(xeno_order_append(given, strlen(given), xeno_key_pub(corp), client, &none, NULL,
                                  &no, &err) < 0);
    assert_string_equal(err.token, "order.holder");
    assert_null(no);
    assert_int_equal(read_chain(given, &t, NULL), 0);
    assert_int_equal(xeno_order_permits(&t, &ctx, NULL), 0);
    assert_int_equal(read_chain(base, &t, NULL), 0);
    assert_int_equal(xeno_order_permits(&t, &ctx, &err), -EPERM);
    assert_string_equal(err.token, "order.holder");
}

static void eight_blocks(void **state)
{
    const struct xeno_order_restriction r = { .max_total = { 10 } };
    char *chain = issue(), *next = NULL;
    xeno_autofree char *eight = NULL;
    xeno_autofree char *nine = NULL;
    struct xeno_order_terms t;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    for (int i = 1; i < XENO_ORDER_BLOCKS_MAX - 1; i++) {
        next = append(chain, client, &r, NULL);
        free(chain);
        chain = next;
    }
    next = NULL;
    assert_int_equal(
        xeno_order_append(chain, strlen(chain), xeno_key_pub(corp), client, &r, NULL, &next, &err),
        -E2BIG);
    assert_string_equal(err.token, "order.blocks");
    assert_null(next);
    eight = with_block(chain, client, XENO_TYP_ORDER_BLOCK,
                       "{\"v\":1,\"n\":7,\"prev\":\"@PREV\",\"restrict\":{}}");
    assert_int_equal(read_chain(eight, &t, NULL), 0);
    assert_int_equal(t.blocks, 8);
    nine = with_block(eight, client, XENO_TYP_ORDER_BLOCK,
                      "{\"v\":1,\"n\":8,\"prev\":\"@PREV\",\"restrict\":{}}");
    assert_int_equal(read_chain(nine, &t, &err), -EINVAL);
    assert_string_equal(err.token, "order.format");
    free(chain);
}

static void too_long(void **state)
{
    xeno_autofree char *text = xeno_alloc0(XENO_ORDER_BYTES_MAX + 2, 1);
    struct xeno_order_terms t;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    memset(text, 'A', XENO_ORDER_BYTES_MAX + 1);
    assert_int_equal(read_chain(text, &t, &err), -EFBIG);
    assert_string_equal(err.token, "order.size");
}

static const struct {
    const char *name;
    const char *server, *env;
    int64_t at_ms, rate; /* from NOW_MS; micro-credits an hour */
    const char *token;   /* NULL: permitted */
} uses[] = {
    { "as allowed", SERVER_A, "Linux", 10, 5, NULL },
    { "the other server", SERVER_B, "null", 10, 5, NULL },
    { "last millisecond", SERVER_A, "Linux", 19, 0, NULL },
    { "one too late", SERVER_A, "Linux", 20, 5, "order.expired" },
    { "one too early", SERVER_A, "Linux", 9, 5, "order.early" },
    { "elsewhere", SERVER_C, "Linux", 10, 5, "order.server" },
    { "no server", "", "Linux", 10, 5, "order.server" },
    { "another type", SERVER_A, "Windows", 10, 5, "order.env_type" },
    { "case counts", SERVER_A, "linux", 10, 5, "order.env_type" },
    { "one too dear", SERVER_A, "Linux", 10, 6, "order.rate" },
    { "far too dear", SERVER_A, "Linux", 10, INT64_MAX, "order.rate" },
};

static void use_rows(void **state)
{
    const struct xeno_order_restriction r = { .server_count = 2,
                                              .servers = list_ab,
                                              .env_count = 2,
                                              .envs = linux_null,
                                              .max_rate = { 5 },
                                              .not_before = xeno_ms(NOW_MS + 10),
                                              .not_after = xeno_ms(NOW_MS + 20) };
    xeno_autofree char *base = issue();
    xeno_autofree char *chain = append(base, client, &r, NULL);
    struct xeno_order_terms t;

    (void)state;
    assert_int_equal(read_chain(chain, &t, NULL), 0);
    for (size_t i = 0; i < XENO_LEN(uses); i++) {
        struct xeno_order_ctx ctx = { .server = uses[i].server,
                                      .env_type = uses[i].env,
                                      .now = xeno_ms(NOW_MS + uses[i].at_ms),
                                      .rate_per_hour = { uses[i].rate },
                                      .holder = xeno_key_pub(client),
                                      .ahead = true };
        struct xeno_err err = XENO_ERR_INIT;
        int got = xeno_order_permits(&t, &ctx, &err);

        if (!uses[i].token ? got != 0 : got == 0 || strcmp(err.token, uses[i].token) != 0)
            fail_msg("%s: %d %s", uses[i].name, got, err.text);
    }
}

static void offers_refused(void **state)
{
    struct xeno_order_offer good = { .order = ORDER,
                                     .limit = { 1 },
                                     .issued = xeno_ms(5),
                                     .expires = xeno_ms(6),
                                     .key = *xeno_key_pub(client) };
    struct xeno_order_offer bad[6];
    char *text = NULL;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++)
        bad[i] = good;
    bad[0].order = "x";
    bad[1].limit = xeno_micro(0);
    bad[2].limit = xeno_micro(XENO_CREDIT_MAX + 1);
    bad[3].expires = good.issued;
    bad[4].sponsor = "bob";
    bad[5].issued = xeno_ms(-1);
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        struct xeno_err err = XENO_ERR_INIT;

        assert_int_equal(xeno_order_issue(corp, &bad[i], &text, &err), -EINVAL);
        assert_string_equal(err.token, "order.offer");
        assert_null(text);
    }
    assert_int_equal(xeno_order_issue(corp, &good, &text, NULL), 0);
    free(text);
}

static void terms_as_json(void **state)
{
    const struct xeno_order_restriction r = { .server_count = 1,
                                              .servers = list_ab,
                                              .max_rate = { 5 } };
    xeno_autofree char *base = issue();
    xeno_autofree char *chain = append(base, client, &r, NULL);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_order_terms t;
    struct xeno_json_at top;
    int64_t n;

    (void)state;
    assert_int_equal(read_chain(chain, &t, NULL), 0);
    j = xeno_order_terms_json(&t);
    top = xeno_json_top(j);
    assert_int_equal(xeno_json_int(&top, "max_rate", 5, 5, &n, NULL), 0);
    assert_int_equal(xeno_json_int(&top, "limit", 100 * XENO_CREDIT, 100 * XENO_CREDIT, &n, NULL),
                     0);
    assert_int_equal(xeno_json_int(&top, "blocks", 2, 2, &n, NULL), 0);
}

/* The example of rfc/0001 is what it says it is. */
static void rfc_example(void **state)
{
    xeno_autofree char *rfc = NULL;
    xeno_autobuf chain = XENO_BUF_INIT;
    struct xeno_order_terms t;
    struct xeno_err err = XENO_ERR_INIT;
    size_t len;
    char *line;

    (void)state;
    assert_int_equal(xeno_file_read(AT_FDCWD, XENO_RFC, 1 << 20, &rfc, &len, &err), 0);
    line = strstr(rfc, "    eyJ");
    assert_non_null(line);
    for (line = strtok(line, "\n"); line; line = strtok(NULL, "\n"))
        xeno_buf_puts(&chain, line + strspn(line, " "));
    if (read_chain(chain.data, &t, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(t.blocks, 3);
    assert_string_equal(xeno_id_of(&t.holder).s, xeno_id_of(xeno_key_pub(agent)).s);
    assert_true(t.max_total.micro == 2500000 && t.max_rate.micro == 1000000);
    assert_true(!t.any_server && !t.any_env && t.server_count == 1 && t.env_count == 1);
    assert_true(t.not_after.ns == xeno_ms(INT64_C(1795001800000)).ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_block),   cmocka_unit_test(first_rows),
        cmocka_unit_test(next_rows),     cmocka_unit_test(only_narrows),
        cmocka_unit_test(nothing_left),  cmocka_unit_test(repeats_count_once),
        cmocka_unit_test(tampering),     cmocka_unit_test(handed_over),
        cmocka_unit_test(eight_blocks),  cmocka_unit_test(too_long),
        cmocka_unit_test(use_rows),      cmocka_unit_test(offers_refused),
        cmocka_unit_test(terms_as_json), cmocka_unit_test(rfc_example),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
