/* src/xis/tests/test-advert.c */
#include "xis/advert.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "crypto/jws.h"
#include "xml/xml.h"

extern const char xeno_xsd_advert[];
extern const size_t xeno_xsd_advert_len;

#define CORP "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define T0   xeno_s(1700000000)

static struct xeno_key *key_of(uint8_t fill)
{
    uint8_t seed[32];

    memset(seed, fill, sizeof seed);
    return xeno_key_from_seed(seed);
}

static const char *const corps[] = { CORP, NULL };
static const char *const isolation[] = { "container", "vm", NULL };

static struct xeno_advert_maker *maker(const struct xeno_key *key, int64_t version)
{
    const struct xeno_advert_head head = { .version = version,
                                           .expires = xeno_time_add(T0, xeno_s(600)),
                                           .endpoint = "https://[::1]:7443",
                                           .corps = corps,
                                           .isolation = isolation };

    return xeno_advert_maker_new(xeno_key_pub(key), &head);
}

/* What a small XenoServer says, with `free` and `load` to be moved. */
static struct xeno_advert_maker *sample(const struct xeno_key *key, int64_t version, int64_t spare,
                                        double load)
{
    struct xeno_advert_maker *m = maker(key, version);

    xeno_advert_add(m, "Name", "a <b> & \"c\"\td");
    xeno_advert_add(m, "Machine/CPU", "Some CPU @ 3.2 GHz");
    xeno_advert_add_int(m, "Machine/CPUs", 8);
    xeno_advert_add_int(m, "CPUmsps", spare);
    xeno_advert_add_num(m, "LoadPercent", load, 1);
    xeno_advert_add(m, "Price/CPU/ReservedMicro", "12");
    xeno_advert_add(m, "Price/CPU/UsedMicro", "3");
    xeno_advert_add(m, "CachedImage", "0123456789012345");
    xeno_advert_add(m, "CachedImage", "00ff456789012345");
    xeno_advert_add(m, "Measured/Peer/Id", "p");
    xeno_advert_add_num(m, "Measured/Peer/RttMs", 1.5, 3);
    xeno_advert_add(m, "Measured/Peer/Id", "q");
    xeno_advert_add_num(m, "Measured/Peer/RttMs", 20, 3);
    return m;
}

static char *signed_sample(const struct xeno_key *key, int64_t version, int64_t spare, double load)
{
    xeno_auto(xeno_advert_maker) m = sample(key, version, spare, load);
    char *jws = NULL;

    assert_int_equal(xeno_advert_sign(m, key, &jws, NULL), 0);
    return jws;
}

static struct xeno_advert *open_text(const char *jws)
{
    struct xeno_advert *a = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int r = xeno_advert_open(jws, strlen(jws), &a, &err);

    if (r < 0)
        print_message("%s: %s\n", err.token, err.text);
    assert_int_equal(r, 0);
    return a;
}

static void both_ways(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);
    xeno_auto(xeno_advert) a = open_text(jws);
    struct xeno_id id = xeno_id_of(xeno_key_pub(key));
    const struct xeno_leaf *leaf;

    (void)state;
    assert_string_equal(a->id.s, id.s);
    assert_memory_equal(&a->key, xeno_key_pub(key), sizeof a->key);
    assert_true(a->version == 7 && a->base == 7 && !a->withdrawn && !a->delta);
    assert_int_equal(a->expires.ns, xeno_time_add(T0, xeno_s(600)).ns);
    assert_string_equal(a->endpoint, "https://[::1]:7443");
    assert_string_equal(a->jws, jws);
    assert_int_equal(a->leaf_count, 8 + 13);
    assert_string_equal(xeno_advert_text(a, "Name", NULL), "a <b> & \"c\" d");
    assert_string_equal(xeno_advert_text(a, "Isolation", NULL), "container");
    assert_true(xeno_advert_number(a, "CPUmsps", -1) == 150);
    assert_true(xeno_advert_number(a, "LoadPercent", -1) == 12.5);
    assert_true(xeno_advert_number(a, "Name", -1) == -1);
    assert_null(xeno_advert_leaf(a, "Machine"));
    leaf = xeno_advert_leaf(a, "CachedImage");
    assert_false(leaf->number); /* 16 digits: a digest is never taken for a number */
    leaf = xeno_advert_leaf_next(a, leaf);
    assert_string_equal(leaf->value, "00ff456789012345");
    assert_null(xeno_advert_leaf_next(a, leaf));
}

/* The document is well laid out, and what the schema asks for. */
static void layout(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);
    xeno_auto(xeno_xml_schema) schema = NULL;
    xeno_auto(xeno_xml) doc = NULL;
    xeno_auto(xeno_jws) j = NULL;

    (void)state;
    assert_int_equal(xeno_jws_parse(jws, strlen(jws), &j, NULL), 0);
    assert_non_null(
        strstr(j->payload, "\n<Machine><CPU>Some CPU @ 3.2 GHz</CPU><CPUs>8</CPUs></Machine>\n"));
    assert_non_null(strstr(j->payload, "\n<Price><CPU><ReservedMicro>12</ReservedMicro>"
                                       "<UsedMicro>3</UsedMicro></CPU></Price>\n"));
    assert_non_null(strstr(j->payload,
                           "\n<Measured><Peer><Id>p</Id><RttMs>1.500</RttMs></Peer>"
                           "<Peer><Id>q</Id><RttMs>20.000</RttMs></Peer></Measured>\n</Advert>\n"));
    assert_int_equal(xeno_xml_schema_new(xeno_xsd_advert, xeno_xsd_advert_len, NULL, &schema, NULL),
                     0);
    assert_int_equal(
        xeno_xml_parse(j->payload, j->payload_len, XENO_ADVERT_MAX_BYTES, schema, &doc, NULL), 0);
}

static void every_letter_counts(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);

    (void)state;
    for (size_t i = 0, n = strlen(jws); i < n; i += 7) {
        xeno_auto(xeno_advert) a = NULL;
        char was = jws[i];

        jws[i] = was == 'A' ? 'B' : 'A';
        assert_true(xeno_advert_open(jws, strlen(jws), &a, NULL) < 0);
        jws[i] = was;
    }
}

static void without_signature(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);
    xeno_auto(xeno_advert) a = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    char *last = jws + strlen(jws) - 10;

    (void)state;
    *last = *last == 'A' ? 'B' : 'A';
    assert_int_equal(xeno_advert_open(jws, strlen(jws), &a, &err), -EPERM);
    assert_string_equal(err.token, "jws.signature");
    assert_int_equal(xeno_advert_reopen(jws, strlen(jws), &a, &err), 0);
    assert_int_equal(a->version, 7);
}

/* --- documents that are none --- */

#define HEAD_1 "<Version>5</Version><Expires>1700000600000</Expires>"
#define HEAD_2 "<Corp>" CORP "</Corp><Isolation>vm</Isolation><Endpoint>https://h:1</Endpoint>"

static const struct {
    const char *name, *text; /* "$" stands for Id and Key of the signer */
    int want;
    const char *token;
} rows[] = {
    { "least", "<Advert>$" HEAD_1 HEAD_2 "</Advert>", 0, "" },
    { "declared",
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Advert>$" HEAD_1 HEAD_2 "</Advert>\n", 0, "" },
    { "empty leaf", "<Advert>$" HEAD_1 HEAD_2 "<A/><B></B></Advert>", 0, "" },
    { "references", "<Advert>$" HEAD_1 HEAD_2 "<A>&lt;&#65;&#x1F600;&#32;x</A></Advert>", 0, "" },
    { "nothing", "", -EINVAL, "advert.form" },
    { "another root", "<Advertt></Advertt>", -EINVAL, "advert.form" },
    { "no open end", "<Advert>$" HEAD_1 HEAD_2, -EINVAL, "advert.form" },
    { "more after", "<Advert>$" HEAD_1 HEAD_2 "</Advert><A/>", -EINVAL, "advert.form" },
    { "attribute", "<Advert>$" HEAD_1 HEAD_2 "<A b=\"c\">d</A></Advert>", -EINVAL, "advert.form" },
    { "namespace", "<Advert xmlns=\"x\">$" HEAD_1 HEAD_2 "</Advert>", -EINVAL, "advert.form" },
    { "prefix", "<Advert>$" HEAD_1 HEAD_2 "<a:B>c</a:B></Advert>", -EINVAL, "advert.form" },
    { "document type", "<!DOCTYPE Advert><Advert>$" HEAD_1 HEAD_2 "</Advert>", -EINVAL,
      "advert.form" },
    { "comment", "<Advert>$" HEAD_1 HEAD_2 "<!-- x --></Advert>", -EINVAL, "advert.form" },
    { "instruction", "<Advert>$" HEAD_1 HEAD_2 "<?x?></Advert>", -EINVAL, "advert.form" },
    { "CDATA", "<Advert>$" HEAD_1 HEAD_2 "<A><![CDATA[x]]></A></Advert>", -EINVAL, "advert.form" },
    { "text before elements", "<Advert>$" HEAD_1 HEAD_2 "<A>x<B>y</B></A></Advert>", -EINVAL,
      "advert.form" },
    { "text after elements", "<Advert>$" HEAD_1 HEAD_2 "<A><B>y</B>x</A></Advert>", -EINVAL,
      "advert.form" },
    { "text in the root", "<Advert>$" HEAD_1 HEAD_2 "x</Advert>", -EINVAL, "advert.form" },
    { "crossed", "<Advert>$" HEAD_1 HEAD_2 "<A><B>y</A></B></Advert>", -EINVAL, "advert.form" },
    { "entity", "<Advert>$" HEAD_1 HEAD_2 "<A>&nbsp;</A></Advert>", -EINVAL, "advert.form" },
    { "no character", "<Advert>$" HEAD_1 HEAD_2 "<A>&#0;</A></Advert>", -EINVAL, "advert.form" },
    { "no UTF-8", "<Advert>$" HEAD_1 HEAD_2 "<A>\xc0\x80</A></Advert>", -EINVAL, "advert.form" },
    { "surrogate", "<Advert>$" HEAD_1 HEAD_2 "<A>\xed\xa0\x80</A></Advert>", -EINVAL,
      "advert.form" },
    { "control", "<Advert>$" HEAD_1 HEAD_2 "<A>\x01</A></Advert>", -EINVAL, "advert.form" },
    { "]]>", "<Advert>$" HEAD_1 HEAD_2 "<A>]]></A></Advert>", -EINVAL, "advert.form" },
    { "no version", "<Advert>$<Expires>1</Expires>" HEAD_2 "</Advert>", -EINVAL, "advert.form" },
    { "version 0", "<Advert>$<Version>0</Version><Expires>1</Expires>" HEAD_2 "</Advert>", -EINVAL,
      "advert.form" },
    { "version 2^53",
      "<Advert>$<Version>9007199254740992</Version><Expires>1</Expires>" HEAD_2 "</Advert>",
      -EINVAL, "advert.form" },
    { "version with a zero",
      "<Advert>$<Version>07</Version><Expires>1</Expires>" HEAD_2 "</Advert>", -EINVAL,
      "advert.form" },
    { "expires in words",
      "<Advert>$<Version>1</Version><Expires>never</Expires>" HEAD_2 "</Advert>", -EINVAL,
      "advert.form" },
    { "expires past all time",
      "<Advert>$<Version>1</Version><Expires>9000000000001</Expires>" HEAD_2 "</Advert>", -EINVAL,
      "advert.form" },
    { "no corp",
      "<Advert>$" HEAD_1 "<Isolation>vm</Isolation><Endpoint>https://h</Endpoint></Advert>",
      -EINVAL, "advert.form" },
    { "isolation of another kind",
      "<Advert>$" HEAD_1 "<Corp>" CORP
      "</Corp><Isolation>cell</Isolation><Endpoint>https://h</Endpoint></Advert>",
      -EINVAL, "advert.form" },
    { "order of elements",
      "<Advert>$" HEAD_1 "<Isolation>vm</Isolation><Corp>" CORP
      "</Corp><Endpoint>https://h</Endpoint></Advert>",
      -EINVAL, "advert.form" },
    { "endpoint without TLS",
      "<Advert>$" HEAD_1 "<Corp>" CORP
      "</Corp><Isolation>vm</Isolation><Endpoint>http://h</Endpoint></Advert>",
      -EINVAL, "advert.form" },
    { "endpoint with a path",
      "<Advert>$" HEAD_1 "<Corp>" CORP
      "</Corp><Isolation>vm</Isolation><Endpoint>https://h/p</Endpoint></Advert>",
      -EINVAL, "advert.form" },
    { "endpoint twice", "<Advert>$" HEAD_1 HEAD_2 "<Endpoint>https://g</Endpoint></Advert>",
      -EINVAL, "advert.form" },
    { "id below", "<Advert>$" HEAD_1 HEAD_2 "<A/><Id><B>1</B></Id></Advert>", -EINVAL,
      "advert.form" },
    { "eight deep",
      "<Advert>$" HEAD_1 HEAD_2 "<A><B><C><D><E><F><G>1</G></F></E></D></C></B></A></Advert>", 0,
      "" },
    { "nine deep",
      "<Advert>$" HEAD_1 HEAD_2
      "<A><B><C><D><E><F><G><H>1</H></G></F></E></D></C></B></A></Advert>",
      -EINVAL, "advert.bounds" },
};

/* `text` with "$" replaced, signed as `typ`. */
static char *forge(const struct xeno_key *key, const char *typ, const char *text)
{
    struct xeno_id id = xeno_id_of(xeno_key_pub(key));
    const char *at = strchr(text, '$');
    xeno_autobuf b = XENO_BUF_INIT;
    char pub[XENO_PUB_TEXT];

    xeno_pub_text(xeno_key_pub(key), pub);
    if (at) {
        xeno_buf_add(&b, text, (size_t)(at - text));
        xeno_buf_printf(&b, "<Id>%s</Id><Key>%s</Key>", id.s, pub);
        text = at + 1;
    }
    xeno_buf_puts(&b, text);
    return xeno_jws_sign(key, typ, b.data ? b.data : "", b.len);
}

static void forms(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *jws = forge(key, XENO_ADVERT_TYP, rows[i].text);
        xeno_auto(xeno_advert) a = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_advert_open(jws, strlen(jws), &a, &err);

        print_message("%s: %s\n", rows[i].name, err.text);
        assert_int_equal(r, rows[i].want);
        assert_string_equal(err.token, rows[i].token);
        assert_true((r == 0) == (a != NULL));
    }
}

static void references_are_read(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *jws =
        forge(key, XENO_ADVERT_TYP,
              "<Advert>$" HEAD_1 HEAD_2 "<A> \n&lt;&#65;&#x1F600;&#32;\r\n x&#9; </A></Advert>");
    xeno_auto(xeno_advert) a = open_text(jws);

    (void)state;
    assert_string_equal(xeno_advert_text(a, "A", NULL), "<A\xf0\x9f\x98\x80 x");
}

/* A document just at a bound is read, one past it is refused by name. */
static void bound(const char *path, size_t leaves, size_t value_len, const char *token)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_auto(xeno_advert_maker) m = maker(key, 1);
    xeno_autofree char *value = xeno_alloc0(value_len + 1, 1);
    xeno_autofree char *jws = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    memset(value, 'x', value_len);
    for (size_t i = 0; i < leaves; i++)
        xeno_advert_add(m, path, value);
    r = xeno_advert_sign(m, key, &jws, &err);
    print_message("%zu of %.20s with %zu: %s\n", leaves, path, value_len, err.text);
    assert_string_equal(err.token, token);
    assert_true((r == 0) == (*token == '\0'));
}

static void bounds(void **state)
{
    char path[XENO_ADVERT_PATH + 2];

    (void)state;
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    bound("A", XENO_ADVERT_LEAVES - 8, 1, "");
    bound("A", XENO_ADVERT_LEAVES - 7, 1, "advert.bounds");
    bound("A", 1, XENO_ADVERT_VALUE, "");
    bound("A", 1, XENO_ADVERT_VALUE + 1, "advert.bounds");
    bound(path + 1, 1, 1, "");
    bound(path, 1, 1, "advert.bounds");
    bound("A", 300, 250, "advert.size");
}

static void others_key(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);
    struct xeno_id id = xeno_id_of(xeno_key_pub(other));
    char pub[XENO_PUB_TEXT];
    xeno_autofree char *mixed = NULL;
    xeno_autofree char *text = NULL;
    xeno_auto(xeno_advert_maker) m = sample(key, 1, 1, 1);
    xeno_auto(xeno_advert) a = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    char *jws = NULL;

    (void)state;
    assert_int_equal(xeno_advert_sign(m, other, &jws, &err), -EPERM); /* in another's name */
    assert_string_equal(err.token, "advert.key");
    assert_null(jws);
    /* The id of one, the key of another. */
    xeno_pub_text(xeno_key_pub(key), pub);
    text = xeno_asprintf("<Advert><Id>%s</Id><Key>%s</Key>" HEAD_1 HEAD_2 "</Advert>", id.s, pub);
    mixed = xeno_jws_sign(other, XENO_ADVERT_TYP, text, strlen(text));
    assert_int_equal(xeno_advert_open(mixed, strlen(mixed), &a, &err), -EPERM);
    assert_string_equal(err.token, "advert.key");
}

static void leases(void **state)
{
    static const struct {
        int64_t after_s; /* now is so long after the sample's T0; it expires at 600 */
        int want;
    } at[] = { { 0, 0 },
               { 599, 0 },
               { 600, -ETIME },
               { 601, -ETIME },
               { 600 - XENO_ADVERT_LEASE_S - XENO_ADVERT_SKEW_S, 0 },
               { 599 - XENO_ADVERT_LEASE_S - XENO_ADVERT_SKEW_S, -EINVAL } };
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);
    xeno_auto(xeno_advert) a = open_text(jws);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(at); i++)
        assert_int_equal(
            xeno_advert_timely(a, xeno_ns(T0.ns + at[i].after_s * XENO_NS_PER_S), NULL),
            at[i].want);
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        bool number;
        double n;
    } texts[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "12", true, 12 },
        { "-12.50", true, -12.5 },
        { "0.1", true, 0.1 },
        { "007", true, 7 },
        { "999999999999999", true, 999999999999999.0 },
        { "1000000000000000", false, 0 },
        { "0.00000000000001", true, 1e-14 },
        { "0.000000000000001", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { ".5", false, 0 },
        { "5.", false, 0 },
        { "1.2.3", false, 0 },
        { "+1", false, 0 },
        { "1e3", false, 0 },
        { "0x10", false, 0 },
        { " 1", false, 0 },
        { "nan", false, 0 },
        { "inf", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(texts); i++) {
        double n = 0;

        print_message("'%s'\n", texts[i].text);
        assert_int_equal(xeno_advert_is_number(texts[i].text, &n), texts[i].number);
        assert_true(n == texts[i].n);
    }
}

/* --- deltas and withdrawals --- */

static char *delta_of(const struct xeno_key *key, const struct xeno_advert *a, int64_t version,
                      int64_t spare, double load)
{
    xeno_auto(xeno_advert_maker) m = sample(key, version, spare, load);
    char *delta = NULL;

    assert_int_equal(xeno_advert_sign_delta(m, a, key, &delta), 1);
    return delta;
}

static void only_numbers_moved(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);
    xeno_auto(xeno_advert) a = open_text(jws);
    xeno_autofree char *first = delta_of(key, a, 8, 100, 12.5);
    xeno_autofree char *second = NULL;
    xeno_auto(xeno_advert) b = NULL;
    xeno_auto(xeno_advert) c = NULL;

    (void)state;
    assert_int_equal(xeno_advert_merge(a, first, strlen(first), &b, NULL), 0);
    assert_true(b->version == 8 && b->base == 7);
    assert_string_equal(b->jws, jws);
    assert_string_equal(b->delta, first);
    assert_string_equal(b->endpoint, a->endpoint);
    assert_string_equal(xeno_advert_text(b, "Version", NULL), "8");
    assert_true(xeno_advert_number(b, "CPUmsps", -1) == 100);
    assert_int_equal(b->leaf_count, a->leaf_count);
    assert_true(xeno_advert_number(a, "CPUmsps", -1) == 150); /* the old one is as it was */
    /* CPUmsps went back, so the next delta does not name it: it is what the document says. */
    second = delta_of(key, b, 9, 150, 80);
    assert_int_equal(xeno_advert_merge(b, second, strlen(second), &c, NULL), 0);
    assert_true(xeno_advert_number(c, "CPUmsps", -1) == 150);
    assert_true(xeno_advert_number(c, "LoadPercent", -1) == 80);
    assert_true(c->version == 9 && c->base == 7);
    assert_true(strlen(second) < strlen(jws) / 2);
}

static void a_set_moves_as_a_whole(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);
    xeno_auto(xeno_advert) a = open_text(jws);
    xeno_autofree char *delta = xeno_asprintf(
        "<AdvertDelta><Id>%s</Id><Version>8</Version><Base>7</Base><Expires>1</Expires>"
        "<Measured><Peer><RttMs>2</RttMs></Peer><Peer><RttMs>3</RttMs></Peer>"
        "</Measured></AdvertDelta>",
        a->id.s);
    xeno_autofree char *text = xeno_jws_sign(key, XENO_ADVERT_DELTA_TYP, delta, strlen(delta));
    xeno_auto(xeno_advert) b = NULL;
    const struct xeno_leaf *leaf;

    (void)state;
    assert_int_equal(xeno_advert_merge(a, text, strlen(text), &b, NULL), 0);
    leaf = xeno_advert_leaf(b, "Measured/Peer/RttMs");
    assert_true(leaf->n == 2);
    leaf = xeno_advert_leaf_next(b, leaf);
    assert_true(leaf->n == 3);
}

static void more_than_numbers(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);
    xeno_auto(xeno_advert) a = open_text(jws);
    xeno_auto(xeno_advert_maker) more = sample(key, 8, 150, 12.5);
    xeno_auto(xeno_advert_maker) other = maker(key, 8);
    char *delta = NULL;

    (void)state;
    xeno_advert_add_int(more, "New", 1);
    assert_int_equal(xeno_advert_sign_delta(more, a, key, &delta), 0);
    for (size_t i = 8; i < a->leaf_count; i++)
        xeno_advert_add(other, a->leaves[i].path,
                        strcmp(a->leaves[i].path, "Name") == 0 ? "another" : a->leaves[i].value);
    assert_int_equal(xeno_advert_sign_delta(other, a, key, &delta), 0);
    assert_null(delta);
}

static void deltas_refused(void **state)
{
    static const struct {
        const char *name, *text, *token; /* "$": Id */
    } bad[] = {
        { "another base",
          "<AdvertDelta>$<Version>8</Version><Base>6</Base><Expires>1</Expires></AdvertDelta>",
          "advert.base" },
        { "not higher",
          "<AdvertDelta>$<Version>7</Version><Base>7</Base><Expires>1</Expires></AdvertDelta>",
          "advert.delta" },
        { "no such element",
          "<AdvertDelta>$<Version>8</Version><Base>7</Base><Expires>1</Expires><A>1</A></AdvertDelta>",
          "advert.delta" },
        { "no number",
          "<AdvertDelta>$<Version>8</Version><Base>7</Base><Expires>1</Expires><CPUmsps>x</CPUmsps>"
          "</AdvertDelta>",
          "advert.delta" },
        { "was no number",
          "<AdvertDelta>$<Version>8</Version><Base>7</Base><Expires>1</Expires><Name>1</Name>"
          "</AdvertDelta>",
          "advert.delta" },
        { "too few of a set",
          "<AdvertDelta>$<Version>8</Version><Base>7</Base><Expires>1</Expires>"
          "<Measured><Peer><RttMs>1</RttMs></Peer></Measured></AdvertDelta>",
          "advert.delta" },
        { "too many",
          "<AdvertDelta>$<Version>8</Version><Base>7</Base><Expires>1</Expires>"
          "<CPUmsps>1</CPUmsps><CPUmsps>1</CPUmsps></AdvertDelta>",
          "advert.delta" },
        { "mandatory",
          "<AdvertDelta>$<Version>8</Version><Base>7</Base><Expires>1</Expires>"
          "<Endpoint>https://h</Endpoint></AdvertDelta>",
          "advert.form" },
        { "base missing", "<AdvertDelta>$<Version>8</Version><Expires>1</Expires></AdvertDelta>",
          "advert.form" },
    };
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);
    xeno_auto(xeno_advert) a = open_text(jws);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        const char *at = strchr(bad[i].text, '$');
        xeno_autofree char *doc = xeno_asprintf("%.*s<Id>%s</Id>%s", (int)(at - bad[i].text),
                                                bad[i].text, a->id.s, at + 1);
        xeno_autofree char *text = xeno_jws_sign(key, XENO_ADVERT_DELTA_TYP, doc, strlen(doc));
        xeno_auto(xeno_advert) b = NULL;
        struct xeno_err err = XENO_ERR_INIT;

        assert_true(xeno_advert_merge(a, text, strlen(text), &b, &err) < 0);
        print_message("%s: %s\n", bad[i].name, err.text);
        assert_string_equal(err.token, bad[i].token);
        assert_null(b);
    }
}

static void anothers_delta(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);
    xeno_autofree char *theirs = signed_sample(other, 7, 150, 12.5);
    xeno_auto(xeno_advert) a = open_text(jws);
    xeno_auto(xeno_advert) b = open_text(theirs);
    xeno_autofree char *delta = delta_of(other, b, 8, 1, 12.5);
    xeno_autofree char *forged = delta_of(key, a, 8, 1, 12.5);
    xeno_auto(xeno_advert) c = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    char *last = forged + strlen(forged) - 10;

    (void)state;
    assert_int_equal(xeno_advert_merge(a, delta, strlen(delta), &c, &err), -EPERM);
    assert_string_equal(err.token, "advert.key");
    *last = *last == 'A' ? 'B' : 'A';
    assert_int_equal(xeno_advert_merge(a, forged, strlen(forged), &c, &err), -EPERM);
    assert_string_equal(err.token, "jws.signature");
    assert_int_equal(xeno_advert_merge(a, jws, strlen(jws), &c, &err), -EPERM);
    assert_string_equal(err.token, "jws.typ");
}

static void withdrawal(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *text = xeno_advert_sign_withdrawal(key, 9, T0);
    xeno_auto(xeno_advert) a = open_text(text);
    xeno_autofree char *jws = signed_sample(key, 7, 150, 12.5);
    xeno_auto(xeno_advert) old = open_text(jws);
    xeno_autofree char *delta = delta_of(key, old, 10, 1, 12.5);
    xeno_auto(xeno_advert) b = NULL;
    enum xeno_advert_kind kind;
    struct xeno_id id;

    (void)state;
    assert_true(a->withdrawn && a->version == 9 && a->leaf_count == 0 && !a->endpoint);
    assert_int_equal(a->expires.ns, T0.ns);
    assert_int_equal(xeno_advert_merge(a, delta, strlen(delta), &b, NULL), -ESTALE);
    assert_int_equal(xeno_advert_peek(text, strlen(text), &kind, &id, NULL), 0);
    assert_int_equal(kind, XENO_ADVERT_WITHDRAWAL);
    assert_string_equal(id.s, a->id.s);
    assert_int_equal(xeno_advert_peek(delta, strlen(delta), &kind, &id, NULL), 0);
    assert_int_equal(kind, XENO_ADVERT_DELTA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(layout),
        cmocka_unit_test(every_letter_counts),
        cmocka_unit_test(without_signature),
        cmocka_unit_test(forms),
        cmocka_unit_test(references_are_read),
        cmocka_unit_test(bounds),
        cmocka_unit_test(others_key),
        cmocka_unit_test(leases),
        cmocka_unit_test(numbers),
        cmocka_unit_test(only_numbers_moved),
        cmocka_unit_test(a_set_moves_as_a_whole),
        cmocka_unit_test(more_than_numbers),
        cmocka_unit_test(deltas_refused),
        cmocka_unit_test(anothers_delta),
        cmocka_unit_test(withdrawal),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests_name("advert", tests, NULL, NULL);
}
