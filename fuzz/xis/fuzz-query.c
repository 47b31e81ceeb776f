/* fuzz/xis/fuzz-query.c - what is accepted is within its bounds, round-trips, and is what it was of
 * a few values; the store finds by it what evaluation says. */
#include <string.h>

#include "../fuzz.h"
#include "xis/tests/fake.h"

static const struct fake_leaf leaves[] = {
    { "a", "1" }, { "a", "b" }, { "b/c", "-2.5" }, { "EnvType", "Linux" }, { "Name", "xeno" },
};

static bool value_of(void *ctx, const struct xeno_query_node *node, size_t i,
                     struct xeno_query_value *ret)
{
    (void)ctx;
    for (size_t k = 0; k < XENO_LEN(leaves); k++) {
        if (strcmp(leaves[k].path, node->token) != 0 || i-- > 0)
            continue;
        *ret = (struct xeno_query_value){ .text = leaves[k].value };
        ret->number = xeno_advert_is_number(ret->text, &ret->n);
        return true;
    }
    return false;
}

static void check_shape(const struct xeno_query_tree *q)
{
    XENO_REQUIRE(q->count >= 1 && q->count <= XENO_QUERY_NODES && q->nodes[0].end == q->count);
    for (size_t i = 0; i < q->count; i++) {
        const struct xeno_query_node *n = &q->nodes[i];

        XENO_REQUIRE(n->depth < XENO_QUERY_DEPTH && n->end > i && n->end <= q->count);
        XENO_REQUIRE((n->op > XENO_QUERY_NOT) == (n->token != NULL));
        XENO_REQUIRE((n->op <= XENO_QUERY_NOT) == (n->end > i + 1));
        XENO_REQUIRE(n->value_count <= XENO_QUERY_VALUES);
    }
}

/* One advert of these values, found exactly when the query is true of them. */
static void check_store(const struct xeno_query_tree *q, enum xeno_truth truth)
{
    struct xeno_env_test world;
    struct xeno_xis_ask ask = { .where = q, .limit = 1 };
    struct xeno_xis_answer a;
    struct xeno_hit hit;
    struct xeno_xis *x;
    struct xeno_xis_reader *r;

    /* The store's adverts have an Id beside these. */
    for (size_t i = 0; i < q->count; i++)
        if (q->nodes[i].token && strcmp(q->nodes[i].token, "Id") == 0)
            return;
    xeno_env_test_init(&world, xeno_s(1), 1);
    x = xeno_xis_new(&world.env, NULL);
    r = xeno_xis_reader_new(x);
    XENO_REQUIRE(xeno_xis_put(x, fake_advert(1, 1, xeno_s(9), leaves, XENO_LEN(leaves)), NULL, NULL,
                              NULL) == 0);
    XENO_REQUIRE(xeno_xis_query(r, &ask, &a, &hit, NULL) == 0);
    XENO_REQUIRE(a.exact && a.total == (truth == XENO_TRUE));
    xeno_xis_reader_free(r);
    xeno_xis_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_auto(xeno_query_tree) q = NULL;
    xeno_auto(xeno_query_tree) again = NULL;
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *text = NULL;
    xeno_autobuf words = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    enum xeno_truth truth;
    size_t len;

    if (xeno_query_parse((const char *)data, size, &q, &err) < 0) {
        XENO_REQUIRE(err.code < 0 && err.token[0] != '\0' && err.text[0] != '\0');
        return 0;
    }
    check_shape(q);
    truth = xeno_query_eval(q, value_of, NULL);
    j = xeno_query_json(q, 0);
    text = xeno_json_format(j, false, &len);
    XENO_REQUIRE(xeno_query_parse(text, len, &again, NULL) == 0);
    XENO_REQUIRE(again->count == q->count && xeno_query_eval(again, value_of, NULL) == truth);
    xeno_query_words(q, 0, &words);
    XENO_REQUIRE(words.len > 0);
    check_store(q, truth);
    return 0;
}
