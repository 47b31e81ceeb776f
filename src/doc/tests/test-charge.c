/* src/doc/tests/test-charge.c */
#include "doc/charge-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/io.h"
#include "crypto/jws.h"

#define ORDER   "orderorderorderorderorderorderab"
#define SESSION "sessionsessionab"

static struct xeno_key *key_of(uint8_t fill)
{
    uint8_t seed[32];

    memset(seed, fill, sizeof seed);
    return xeno_key_from_seed(seed);
}

static struct xeno_charge sample(int64_t seq)
{
    struct xeno_charge c = { .order = ORDER,
                             .session = SESSION,
                             .epoch = 1,
                             .seq = seq,
                             .from = xeno_ms(1000),
                             .to = xeno_ms(11000),
                             .tariff = 3,
                             .amount = { 30 },
                             .activity = "debian-apache: web",
                             .item_count = 2 };

    c.items[0] = (struct xeno_charge_item){
        .res = XENO_RES_CPU, .reserved = 1000000, .used = 7, .price_used = { 5 }, .amount = { 10 }
    };
    c.items[1] = (struct xeno_charge_item){ .res = XENO_RES_NET, .used = 9, .amount = { 20 } };
    return c;
}

static bool same(const struct xeno_charge *a, const struct xeno_charge *b)
{
    uint8_t x[32], y[32];

    xeno_charge_digest(a, x);
    xeno_charge_digest(b, y);
    return memcmp(x, y, sizeof x) == 0;
}

/* --- the check of one charge --- */

static void no_change(struct xeno_charge *c)
{
    (void)c;
}
static void free_of_charge(struct xeno_charge *c)
{
    c->amount = xeno_micro(0);
    c->item_count = 0;
}
static void most(struct xeno_charge *c)
{
    c->amount = c->items[0].amount = xeno_micro(XENO_CREDIT_MAX);
    c->items[0].used = c->items[0].reserved = XENO_QUANTITY_MAX;
    c->item_count = 1;
}
static void sum_short(struct xeno_charge *c)
{
    c->amount.micro--;
}
static void sum_over(struct xeno_charge *c)
{
    c->amount.micro++;
}
static void item_negative(struct xeno_charge *c)
{
    c->items[0].amount = xeno_micro(-1);
    c->amount = xeno_micro(19);
}
static void amount_negative(struct xeno_charge *c)
{
    c->amount = xeno_micro(-1);
    c->item_count = 0;
}
static void amount_huge(struct xeno_charge *c)
{
    c->amount = xeno_micro(INT64_MAX);
}
static void quantity_negative(struct xeno_charge *c)
{
    c->items[1].used = -1;
}
static void quantity_huge(struct xeno_charge *c)
{
    c->items[1].reserved = INT64_MAX;
}
static void price_negative(struct xeno_charge *c)
{
    c->items[1].price_reserved = xeno_micro(-1);
}
static void res_twice(struct xeno_charge *c)
{
    c->items[1].res = XENO_RES_CPU;
}
static void res_unknown(struct xeno_charge *c)
{
    c->items[1].res = XENO_RES_COUNT;
}
static void items_many(struct xeno_charge *c)
{
    c->item_count = XENO_RES_COUNT + 1;
}
static void backwards(struct xeno_charge *c)
{
    c->to = xeno_ms(999);
}
static void not_whole(struct xeno_charge *c)
{
    c->to.ns++;
}
static void seq_zero(struct xeno_charge *c)
{
    c->seq = 0;
}
static void epoch_zero(struct xeno_charge *c)
{
    c->epoch = 0;
}
static void order_bad(struct xeno_charge *c)
{
    c->order[3] = '1';
}
static void session_short(struct xeno_charge *c)
{
    c->session[15] = '\0';
}
static void activity_long(struct xeno_charge *c)
{
    memset(c->activity, 'a', sizeof c->activity);
}

static const struct {
    const char *name;
    void (*change)(struct xeno_charge *c);
    const char *token;
} checks[] = {
    { "sound", no_change, NULL },
    { "free", free_of_charge, NULL },
    { "the most", most, NULL },
    { "one too little", sum_short, "charge.sum" },
    { "one too much", sum_over, "charge.sum" },
    { "negative item", item_negative, "charge.format" },
    { "negative amount", amount_negative, "charge.format" },
    { "huge amount", amount_huge, "charge.format" },
    { "negative quantity", quantity_negative, "charge.format" },
    { "huge quantity", quantity_huge, "charge.format" },
    { "negative price", price_negative, "charge.format" },
    { "resource twice", res_twice, "charge.format" },
    { "unknown resource", res_unknown, "charge.format" },
    { "too many items", items_many, "charge.format" },
    { "ends before it begins", backwards, "charge.format" },
    { "not whole milliseconds", not_whole, "charge.format" },
    { "sequence 0", seq_zero, "charge.format" },
    { "epoch 0", epoch_zero, "charge.format" },
    { "no order id", order_bad, "charge.format" },
    { "no session id", session_short, "charge.format" },
    { "long activity", activity_long, "charge.format" },
};

static void check_rows(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(checks); i++) {
        struct xeno_charge c = sample(1);
        struct xeno_err err = XENO_ERR_INIT;
        char *text = NULL;
        int r;

        checks[i].change(&c);
        r = xeno_charge_check(&c, &err);
        if (checks[i].token ? r == 0 || strcmp(err.token, checks[i].token) != 0 : r != 0)
            fail_msg("%s: %d %s", checks[i].name, r, err.text);
        /* What is unsound is never signed. */
        assert_int_equal(xeno_charge_batch_sign(key, &c, 1, &text, NULL), r);
        free(text);
    }
}

/* --- batches --- */

static void both_ways(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);
    xeno_auto(xeno_charge_batch) b = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_charge list[XENO_CHARGE_BATCH_MAX + 1];
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(list); i++)
        list[i] = sample((int64_t)i + 1);
    list[7].final = true;
    strcpy(list[8].activity, "");
    strcpy(list[9].activity, "\"quoted\" \\ \xc3\xa9\t");
    assert_int_equal(xeno_charge_batch_sign(key, list, 0, &text, &err), -EINVAL);
    assert_string_equal(err.token, "charge.batch");
    assert_int_equal(xeno_charge_batch_sign(key, list, XENO_LEN(list), &text, &err), -EINVAL);
    assert_int_equal(xeno_charge_batch_sign(key, list, XENO_CHARGE_BATCH_MAX, &text, &err), 0);
    assert_int_equal(xeno_charge_batch_read(text, strlen(text), xeno_key_pub(other), &b, &err),
                     -EPERM);
    assert_null(b);
    assert_int_equal(xeno_charge_batch_read(text, strlen(text), xeno_key_pub(key), &b, &err), 0);
    assert_int_equal(b->count, XENO_CHARGE_BATCH_MAX);
    assert_string_equal(b->server.s, xeno_id_of(xeno_key_pub(key)).s);
    for (size_t i = 0; i < b->count; i++) {
        assert_null(b->faults[i]);
        assert_true(same(&list[i], &b->charges[i]));
        assert_int_equal(b->charges[i].final, i == 7);
    }
    assert_string_equal(b->charges[9].activity, list[9].activity);
}

/* The largest batch there can be fits its bound. */
static void largest_batch(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *text = NULL;
    struct xeno_charge list[XENO_CHARGE_BATCH_MAX];
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_charge c = sample(INT64_MAX);

    (void)state;
    c.epoch = c.tariff = INT64_MAX;
    c.from = c.to = xeno_ms(XENO_DOC_MS_MAX);
    c.item_count = XENO_RES_COUNT;
    memset(c.activity, 1, XENO_CHARGE_ACTIVITY_MAX); /* six letters each in JSON */
    for (int i = 0; i < XENO_RES_COUNT; i++)
        c.items[i] = (struct xeno_charge_item){ .res = (enum xeno_res)i,
                                                .reserved = XENO_QUANTITY_MAX,
                                                .used = XENO_QUANTITY_MAX,
                                                .price_reserved = { XENO_CREDIT_MAX },
                                                .price_used = { XENO_CREDIT_MAX },
                                                .amount = { XENO_CREDIT_MAX / 5 } };
    c.amount = xeno_micro(XENO_CREDIT_MAX);
    for (size_t i = 0; i < XENO_LEN(list); i++)
        list[i] = c;
    assert_int_equal(xeno_charge_batch_sign(key, list, XENO_LEN(list), &text, &err), 0);
    assert_true(strlen(text) <= XENO_CHARGE_BATCH_BYTES);
}

#define CHARGE(session, seq, amount, items)                                                        \
    "{\"order\":\"" ORDER "\",\"epoch\":1,\"session\":\"" session "\",\"seq\":" seq                \
    ",\"from_ms\":1,\"to_ms\":2,\"tariff\":1,\"amount\":" amount                                   \
    ",\"final\":false,\"activity\":\"\",\"items\":[" items "]}"
#define ITEM(res, amount)                                                                          \
    "{\"res\":\"" res "\",\"reserved\":0,\"used\":0,\"price_reserved\":0,\"price_used\":0,"        \
    "\"amount\":" amount "}"
#define BATCH(charges) "{\"v\":1,\"server\":\"@SERVER\",\"charges\":[" charges "]}"
#define GOOD           CHARGE(SESSION, "1", "5", ITEM("cpu", "5"))

static const struct {
    const char *name, *json;
    const char *token; /* of the batch; NULL: accepted */
    const char *fault; /* of its last charge; NULL: sound */
} batches[] = {
    { "one", BATCH(GOOD), NULL, NULL },
    { "bad sum beside a good one", BATCH(GOOD "," CHARGE(SESSION, "2", "6", ITEM("cpu", "5"))),
      NULL, "charge.sum" },
    { "unknown resource", BATCH(GOOD "," CHARGE(SESSION, "2", "5", ITEM("gpu", "5"))), NULL,
      "charge.format" },
    { "six items",
      BATCH(CHARGE(SESSION, "2", "0",
                   ITEM("cpu", "0") "," ITEM("cpu", "0") "," ITEM("cpu", "0") "," ITEM(
                       "cpu", "0") "," ITEM("cpu", "0") "," ITEM("cpu", "0"))),
      NULL, "json.range" },
    { "negative amount", BATCH(CHARGE(SESSION, "2", "-5", ITEM("cpu", "-5"))), NULL, "json.range" },
    { "amount with a fraction", BATCH(CHARGE(SESSION, "2", "5.0", ITEM("cpu", "5"))), NULL,
      "json.type" },
    { "unknown member", BATCH("{\"session\":\"" SESSION "\",\"seq\":2,\"tip\":1}"), NULL,
      "json.unknown" },
    { "name only", BATCH("{\"session\":\"" SESSION "\",\"seq\":2}"), NULL, "json.missing" },
    { "amount of 2^63", BATCH(CHARGE(SESSION, "2", "9223372036854775808", "")), "json.syntax",
      NULL },
    { "no session", BATCH("{\"seq\":2}"), "json.missing", NULL },
    { "sequence 0", BATCH(CHARGE(SESSION, "0", "0", "")), "json.range", NULL },
    { "session is no id", BATCH(CHARGE("SESSIONSESSIONAB", "1", "0", "")), "charge.format", NULL },
    { "charge is text", BATCH("\"pay me\""), "json.type", NULL },
    { "member twice", BATCH("{\"seq\":1,\"seq\":2}"), "json.syntax", NULL },
    { "no charges", BATCH(""), "charge.batch", NULL },
    { "another server", "{\"v\":1,\"server\":\"" ORDER "\",\"charges\":[" GOOD "]}",
      "charge.server", NULL },
    { "version 2", "{\"v\":2,\"server\":\"@SERVER\",\"charges\":[" GOOD "]}", "doc.version", NULL },
    { "more", "{\"v\":1,\"server\":\"@SERVER\",\"charges\":[" GOOD "],\"x\":1}", "json.unknown",
      NULL },
    { "no batch", "{}", "json.missing", NULL },
};

static char *sign_text(const struct xeno_key *key, const char *typ, const char *json)
{
    const char *at = strstr(json, "@SERVER");
    xeno_autofree char *text = at ? xeno_asprintf("%.*s%s%s", (int)(at - json), json,
                                                  xeno_id_of(xeno_key_pub(key)).s, at + 7)
                                  : xeno_strdup(json);

    return xeno_jws_sign(key, typ, text, strlen(text));
}

static void batch_rows(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(batches); i++) {
        xeno_autofree char *text = sign_text(key, XENO_TYP_CHARGES, batches[i].json);
        xeno_auto(xeno_charge_batch) b = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_charge_batch_read(text, strlen(text), xeno_key_pub(key), &b, &err);
        const struct xeno_err *fault;

        if (batches[i].token ? r == 0 || strcmp(err.token, batches[i].token) != 0 : r != 0)
            fail_msg("%s: %d %s %s", batches[i].name, r, err.token, err.text);
        if (r < 0)
            continue;
        fault = b->faults[b->count - 1];
        if (batches[i].fault ? !fault || strcmp(fault->token, batches[i].fault) != 0
                             : fault != NULL)
            fail_msg("%s: %s", batches[i].name, fault ? fault->text : "no fault");
        assert_string_equal(b->charges[b->count - 1].session, SESSION);
        assert_true(b->count == 1 || !b->faults[0]);
    }
}

/* What our own writer writes is matched without the parser; one byte aside, the parser decides, and
 * to the same effect where the text means the same. */
static void matched_or_parsed(void **state)
{
    static const struct {
        const char *name, *from, *to; /* the first `from` of the text becomes `to` */
        bool matched, sound;
    } changes[] = {
        { "as written", "", "", true, true },
        { "white space", "{\"v\":1", "{ \"v\":1", false, true },
        { "another order", "\"v\":1,\"server\":", "\"server\":", false, false },
        { "a leading zero", "\"epoch\":1", "\"epoch\":01", false, false },
        { "a fraction", "\"epoch\":1", "\"epoch\":1.0", false, false },
        { "an exponent", "\"epoch\":1", "\"epoch\":1e0", false, false },
        { "minus zero", "\"tariff\":3", "\"tariff\":-0", false, true },
        { "an escape", "debian", "\\u0064ebian", false, true },
        { "20 digits", "\"seq\":1", "\"seq\":10000000000000000000", false, false },
        { "19 digits", "\"seq\":1", "\"seq\":9223372036854775807", true, true },
        { "one above", "\"seq\":1", "\"seq\":9223372036854775808", false, false },
        { "more after", "]}]}", "]}]}x", false, false },
        { "cut", "]}]}", "]}]", false, false },
        { "a resource in capitals", "\"cpu\"", "\"CPU\"", false, false },
    };
    xeno_auto(xeno_key) key = key_of(1);
    struct xeno_charge c = sample(1);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(changes); i++) {
        xeno_autofree char *jws_text = NULL;
        xeno_autofree char *text = NULL;
        xeno_auto(xeno_jws) jws = NULL;
        struct xeno_charge_batch *fast = xeno_new0(struct xeno_charge_batch);
        struct xeno_charge_batch *slow = xeno_new0(struct xeno_charge_batch);
        const char *at;
        int r;

        assert_int_equal(xeno_charge_batch_sign(key, &c, 1, &jws_text, NULL), 0);
        assert_int_equal(xeno_jws_parse(jws_text, strlen(jws_text), &jws, NULL), 0);
        at = strstr(jws->payload, changes[i].from);
        assert_non_null(at);
        text = xeno_asprintf("%.*s%s%s", (int)(at - jws->payload), jws->payload, changes[i].to,
                             at + strlen(changes[i].from));
        fast->server = slow->server = jws->kid;
        print_message("%s\n", changes[i].name);
        assert_int_equal(xeno_charge_match(text, strlen(text), fast), changes[i].matched);
        r = xeno_charge_batch_parse(text, strlen(text), slow, NULL);
        assert_int_equal(r == 0 && !slow->faults[0], changes[i].sound);
        if (changes[i].matched)
            assert_true(same(&fast->charges[0], &slow->charges[0]));
        xeno_charge_batch_free(fast);
        xeno_charge_batch_free(slow);
    }
}

static void wrong_kind_and_size(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *kind = sign_text(key, XENO_TYP_ORDER, BATCH(GOOD));
    xeno_autofree char *huge = xeno_alloc0(XENO_CHARGE_BATCH_BYTES + 2, 1);
    xeno_autobuf many = XENO_BUF_INIT;
    xeno_autofree char *many_text = NULL;
    xeno_auto(xeno_charge_batch) b = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_charge_batch_read(kind, strlen(kind), xeno_key_pub(key), &b, &err),
                     -EPERM);
    assert_string_equal(err.token, "jws.typ");
    memset(huge, 'A', XENO_CHARGE_BATCH_BYTES + 1);
    assert_int_equal(xeno_charge_batch_read(huge, strlen(huge), xeno_key_pub(key), &b, &err),
                     -EFBIG);
    assert_string_equal(err.token, "charge.size");
    xeno_buf_puts(&many, "{\"v\":1,\"server\":\"@SERVER\",\"charges\":[" GOOD);
    for (int i = 0; i < XENO_CHARGE_BATCH_MAX; i++)
        xeno_buf_puts(&many, "," GOOD);
    xeno_buf_puts(&many, "]}");
    many_text = sign_text(key, XENO_TYP_CHARGES, many.data);
    assert_int_equal(
        xeno_charge_batch_read(many_text, strlen(many_text), xeno_key_pub(key), &b, &err), -EINVAL);
    assert_string_equal(err.token, "json.range");
    assert_null(b);
}

/* Every member changes the digest. */
static void digest_sees_all(void **state)
{
    struct xeno_charge a = sample(1), rows[16];

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        rows[i] = a;
    assert_true(same(&a, &rows[0]));
    rows[0].order[0] = 'a';
    rows[1].session[0] = 'a';
    rows[2].epoch++;
    rows[3].seq++;
    rows[4].from.ns++;
    rows[5].to.ns++;
    rows[6].tariff++;
    rows[7].amount.micro++;
    rows[8].final = true;
    rows[9].activity[0] = 'x';
    rows[10].item_count--;
    rows[11].items[1].res = XENO_RES_DISK;
    rows[12].items[1].reserved++;
    rows[13].items[1].used++;
    rows[14].items[1].price_reserved.micro++;
    rows[15].items[1].amount.micro++;
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        assert_false(same(&a, &rows[i]));
    a.items[3].used = 5; /* beyond item_count: no part of it */
    rows[0] = sample(1);
    assert_true(same(&a, &rows[0]));
}

static void names_of_resources(void **state)
{
    enum xeno_res res;

    (void)state;
    for (int i = 0; i < XENO_RES_COUNT; i++) {
        assert_true(xeno_res_parse(xeno_res_name((enum xeno_res)i), &res));
        assert_int_equal(res, i);
    }
    assert_false(xeno_res_parse("", &res));
    assert_false(xeno_res_parse("CPU", &res));
}

/* The example of rfc/0002 is what it says it is. */
static void rfc_example(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_auto(xeno_charge_batch) b = NULL;
    xeno_autofree char *rfc = NULL;
    xeno_autobuf batch = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    size_t len;
    char *line;

    (void)state;
    assert_int_equal(xeno_file_read(AT_FDCWD, XENO_RFC, 1 << 20, &rfc, &len, &err), 0);
    line = strstr(rfc, "    eyJ");
    assert_non_null(line);
    for (line = strtok(line, "\n"); line; line = strtok(NULL, "\n"))
        xeno_buf_puts(&batch, line + strspn(line, " "));
    if (xeno_charge_batch_read(batch.data, batch.len, xeno_key_pub(key), &b, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(b->count, 1);
    assert_null(b->faults[0]);
    assert_true(b->charges[0].amount.micro == 12000 && b->charges[0].seq == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_rows),          cmocka_unit_test(both_ways),
        cmocka_unit_test(largest_batch),       cmocka_unit_test(batch_rows),
        cmocka_unit_test(wrong_kind_and_size), cmocka_unit_test(digest_sees_all),
        cmocka_unit_test(names_of_resources),  cmocka_unit_test(rfc_example),
        cmocka_unit_test(matched_or_parsed),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
