/* fuzz/xis/fuzz-advert.c - the fast reader of adverts takes nothing that the XML library and the
 * schema would not, and reads the same leaves.
 *
 * The input is a document; it is signed here by one fixed key, so that the form is reached. A delta
 * is merged into a fixed document.
 */
#include <pthread.h>
#include <string.h>

#include "../fuzz.h"
#include "crypto/jws.h"
#include "xis/advert.h"
#include "xml/leaves.h"
#include "xml/xml.h"

extern const char xeno_xsd_advert[];
extern const size_t xeno_xsd_advert_len;

static struct xeno_key *key;
static struct xeno_xml_schema *schema;
static struct xeno_advert *whole;

static void init(void)
{
    static const char *const corps[] = { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL };
    static const char *const isolation[] = { "vm", NULL };
    const struct xeno_advert_head head = { .version = 7,
                                           .expires = xeno_s(1700000000),
                                           .endpoint = "https://h:1",
                                           .corps = corps,
                                           .isolation = isolation };
    xeno_auto(xeno_advert_maker) m = NULL;
    xeno_autofree char *jws = NULL;
    uint8_t seed[32];

    xeno_crypto_init();
    memset(seed, 'x', sizeof seed);
    key = xeno_key_from_seed(seed);
    XENO_REQUIRE(xeno_xml_schema_new(xeno_xsd_advert, xeno_xsd_advert_len, NULL, &schema, NULL) ==
                 0);
    m = xeno_advert_maker_new(xeno_key_pub(key), &head);
    xeno_advert_add(m, "A", "1");
    xeno_advert_add(m, "B/C", "1.5");
    xeno_advert_add(m, "B/D", "text");
    xeno_advert_add(m, "B/C", "-2");
    XENO_REQUIRE(xeno_advert_sign(m, key, &jws, NULL) == 0);
    XENO_REQUIRE(xeno_advert_open(jws, strlen(jws), &whole, NULL) == 0);
}

/* The library's document, walked beside the leaves that were told. */
struct beside {
    const struct xeno_xml_node *next; /* the element the next leaf must be in, or be */
    const struct xeno_xml_node *up[32];
    int depth;
};

static int on_leaf(void *ctx, const char *path, size_t path_len, const char *value,
                   size_t value_len, int line, struct xeno_err *err)
{
    struct beside *b = ctx;
    const char *name = strrchr(path, '/');
    xeno_autofree char *token = NULL;

    (void)line;
    (void)err;
    XENO_REQUIRE(strlen(path) == path_len && strlen(value) == value_len);
    while (!b->next && b->depth > 0)
        b->next = xeno_xml_next(b->up[--b->depth], NULL);
    for (;;) {
        const struct xeno_xml_node *below = xeno_xml_child(b->next, NULL);

        XENO_REQUIRE(b->next);
        if (!below)
            break;
        b->up[b->depth++] = b->next;
        b->next = below;
    }
    token = xeno_xml_token(b->next);
    XENO_REQUIRE(strcmp(token, value) == 0);
    XENO_REQUIRE(strcmp(xeno_xml_name(b->next), name ? name + 1 : path) == 0);
    b->next = xeno_xml_next(b->next, NULL);
    return 0;
}

static void read_beside(const char *text, size_t len, const struct xeno_xml_schema *against)
{
    static const struct xeno_leaves_bounds bounds = {
        .path = 128, .value = 256, .leaves = 512, .depth = 8
    };
    static const char *const roots[] = { "Advert", "AdvertDelta", "AdvertWithdrawal" };
    xeno_auto(xeno_xml) doc = NULL;
    struct beside b = { .depth = 0 };
    int read = 0;

    XENO_REQUIRE(xeno_xml_parse(text, len, XENO_ADVERT_MAX_BYTES, against, &doc, NULL) == 0);
    b.next = xeno_xml_child(xeno_xml_root(doc), NULL);
    for (size_t i = 0; i < XENO_LEN(roots); i++) {
        if (strcmp(xeno_xml_name(xeno_xml_root(doc)), roots[i]) == 0)
            read = xeno_leaves_read(text, len, roots[i], &bounds, on_leaf, &b, NULL);
    }
    XENO_REQUIRE(read == 0);
    while (!b.next && b.depth > 0)
        b.next = xeno_xml_next(b.up[--b.depth], NULL);
    XENO_REQUIRE(!b.next); /* and none is left out */
}

static void check(const struct xeno_advert *a)
{
    XENO_REQUIRE(a->version >= 1 && a->version <= XENO_ADVERT_VERSION && a->base >= 1);
    XENO_REQUIRE(a->leaf_count <= XENO_ADVERT_LEAVES);
    for (size_t i = 0; i < a->leaf_count; i++) {
        double n = 0;

        XENO_REQUIRE(strlen(a->leaves[i].path) <= XENO_ADVERT_PATH);
        XENO_REQUIRE(strlen(a->leaves[i].value) <= XENO_ADVERT_VALUE);
        XENO_REQUIRE(xeno_advert_is_number(a->leaves[i].value, &n) == a->leaves[i].number);
        XENO_REQUIRE(n == a->leaves[i].n);
    }
}

static int nothing(void *ctx, const char *path, size_t path_len, const char *value,
                   size_t value_len, int line, struct xeno_err *err)
{
    (void)ctx;
    (void)path;
    (void)path_len;
    (void)value;
    (void)value_len;
    (void)line;
    (void)err;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct xeno_leaves_bounds bounds = {
        .path = 128, .value = 256, .leaves = 512, .depth = 8
    };
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    bool delta = size > 12 && memcmp(data, "<AdvertDelta", 12) == 0;
    bool withdrawal = size > 17 && memcmp(data, "<AdvertWithdrawal", 17) == 0;
    const char *typ = delta        ? XENO_ADVERT_DELTA_TYP
                      : withdrawal ? XENO_ADVERT_WITHDRAWAL_TYP
                                   : XENO_ADVERT_TYP;
    xeno_auto(xeno_advert) a = NULL;
    xeno_autofree char *jws = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    pthread_once(&once, init);
    if (size > XENO_ADVERT_MAX_BYTES)
        return 0;
    if (xeno_leaves_read((const char *)data, size, "Advert", &bounds, nothing, NULL, NULL) == 0)
        read_beside((const char *)data, size, NULL);
    jws = xeno_jws_sign(key, typ, data, size);
    r = delta ? xeno_advert_merge(whole, jws, strlen(jws), &a, &err)
              : xeno_advert_open(jws, strlen(jws), &a, &err);
    if (r < 0) {
        XENO_REQUIRE(!a && err.code < 0 && err.token[0] != '\0' && err.text[0] != '\0');
        return 0;
    }
    read_beside((const char *)data, size, schema);
    check(a);
    return 0;
}
