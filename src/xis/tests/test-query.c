/* src/xis/tests/test-query.c */
#include "xis/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xis/advert.h"

/* What is asked about: one number, one text, a set of both kinds, a set of texts. */
static const struct {
    const char *token, *value;
} thing[] = {
    { "n", "5" },   { "s", "mm" },  { "mix", "7" },
    { "mix", "x" }, { "set", "a" }, { "set", "long text, and more" },
};

static bool value_of(void *ctx, const struct xeno_query_node *node, size_t i,
                     struct xeno_query_value *ret)
{
    (void)ctx;
    for (size_t k = 0; k < XENO_LEN(thing); k++) {
        if (strcmp(thing[k].token, node->token) != 0 || i-- > 0)
            continue;
        *ret = (struct xeno_query_value){ .text = thing[k].value };
        ret->number = xeno_advert_is_number(ret->text, &ret->n);
        return true;
    }
    return false;
}

#define F XENO_FALSE
#define T XENO_TRUE
#define U XENO_UNKNOWN

static const struct {
    const char *text, *words;
    enum xeno_truth want;
} rows[] = {
    { "{'token':'n','min':5,'max':5}", "n from 5 to 5", T },
    { "{'token':'n','min':5.001}", "n at least 5.001", F },
    { "{'token':'n','max':-0.25}", "n at most -0.25", F },
    { "{'token':'s','min':1}", "s at least 1", U },
    { "{'token':'none','min':1}", "none at least 1", U },
    { "{'not':{'token':'none','min':1}}", "not (none at least 1)", U },
    { "{'not':{'token':'s','min':1}}", "not (s at least 1)", U },
    { "{'token':'n','is':5}", "n is 5", T },
    { "{'token':'n','is':'5.0'}", "n is 5", T },
    { "{'token':'n','is':'five'}", "n is five", U },
    { "{'token':'s','is':'mm'}", "s is mm", T },
    { "{'token':'s','is':'m'}", "s is m", F },
    { "{'token':'s','in':['a','mm']}", "s is one of a, mm", T },
    { "{'token':'s','in':[1,2]}", "s is one of 1, 2", U },
    { "{'token':'s','from':'mm','to':'mm'}", "s from \"mm\" to \"mm\"", T },
    { "{'token':'s','from':'mma'}", "s not before \"mma\"", F },
    { "{'token':'s','to':'m'}", "s not after \"m\"", F },
    { "{'token':'n','to':'m'}", "n not after \"m\"", U },
    { "{'token':'mix','is':'x'}", "mix is x", T },
    { "{'token':'mix','is':7}", "mix is 7", T },
    { "{'token':'mix','min':8}", "mix at least 8", F },
    { "{'token':'set','is':'long text, and more'}", "set is long text, and more", T },
    { "{'not':{'token':'set','is':'a'}}", "not (set is a)", F },
    { "{'token':'n','exists':true}", "n is told", T },
    { "{'token':'none','exists':true}", "none is told", F },
    { "{'not':{'token':'none','exists':true}}", "not (none is told)", T },
    { "{'token':'none','exists':false}", "none is not told", T },
    { "{'and':[{'token':'n','is':5},{'token':'none','is':1}]}", "n is 5 and none is 1", U },
    { "{'and':[{'token':'none','is':1},{'token':'n','is':6}]}", "none is 1 and n is 6", F },
    { "{'or':[{'token':'none','is':1},{'token':'n','is':5}]}", "none is 1 or n is 5", T },
    { "{'or':[{'token':'none','is':1},{'token':'n','is':6}]}", "none is 1 or n is 6", U },
    { "{'not':{'or':[{'token':'n','is':1},{'token':'n','is':6}]}}", "not (n is 1 or n is 6)", T },
};

/* The rows have ' where JSON has ". */
static char *json_of(const char *text)
{
    char *copy = xeno_strdup(text);

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    return copy;
}

static void truths(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *text = json_of(rows[i].text), *again = NULL, *twice = NULL;
        xeno_auto(xeno_query_tree) q = NULL;
        xeno_auto(xeno_query_tree) back = NULL;
        xeno_auto(xeno_json) j = NULL;
        xeno_auto(xeno_json) k = NULL;
        xeno_autobuf words = XENO_BUF_INIT;
        struct xeno_err err = XENO_ERR_INIT;

        print_message("%s\n", text);
        if (xeno_query_parse(text, strlen(text), &q, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(xeno_query_eval(q, value_of, NULL), rows[i].want);
        xeno_query_words(q, 0, &words);
        assert_string_equal(words.data, rows[i].words);
        j = xeno_query_json(q, 0);
        again = xeno_json_format(j, false, NULL);
        assert_int_equal(xeno_query_parse(again, strlen(again), &back, NULL), 0);
        k = xeno_query_json(back, 0);
        twice = xeno_json_format(k, false, NULL);
        assert_string_equal(again, twice);
        assert_int_equal(xeno_query_eval(back, value_of, NULL), rows[i].want);
    }
}

static const struct {
    const char *text, *token;
} bad[] = {
    { "{}", "query.form" },
    { "[]", "json.type" },
    { "{'token':'a'}", "query.form" },
    { "{'min':1}", "json.missing" },
    { "{'token':'','min':1}", "json.range" },
    { "{'token':'a','min':'1'}", "json.type" },
    { "{'token':'a','min':null}", "query.form" },
    { "{'token':'a','min':2,'max':1}", "query.form" },
    { "{'token':'a','from':'b','to':'a'}", "query.form" },
    { "{'token':'a','min':1,'from':'a'}", "query.form" },
    { "{'token':'a','is':[1]}", "query.form" },
    { "{'token':'a','in':[]}", "query.form" },
    { "{'token':'a','in':1}", "json.type" },
    { "{'token':'a','exists':1}", "json.type" },
    { "{'token':'a','min':1,'minimum':1}", "json.unknown" },
    { "{'and':[]}", "query.form" },
    { "{'and':{}}", "json.type" },
    { "{'not':[]}", "json.type" },
    { "{'not':{'token':'a','min':1},'token':'a'}", "query.form" },
    { "{'not':{'token':'a','min':1},'or':[{'token':'a','min':1}]}", "query.form" },
    { "{'token':'a','min':1e999}", "json.syntax" },
};

static void refuses(const char *text, const char *token)
{
    struct xeno_query_tree *q = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    print_message("%.60s\n", text);
    assert_true(xeno_query_parse(text, strlen(text), &q, &err) < 0);
    assert_string_equal(err.token, token);
    assert_null(q);
}

static void refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        xeno_autofree char *text = json_of(bad[i].text);

        refuses(text, bad[i].token);
    }
}

/* One part repeated within brackets. */
static char *many(const char *open, const char *part, size_t n, const char *close)
{
    xeno_autobuf b = XENO_BUF_INIT;

    xeno_buf_puts(&b, open);
    for (size_t i = 0; i < n; i++)
        xeno_buf_printf(&b, "%s%s",
                        i && part[0] != '{' && part[0] != '"' ? ""
                        : i                                   ? ","
                                                              : "",
                        part);
    xeno_buf_puts(&b, close);
    return xeno_buf_take(&b, NULL);
}

static void bounds(void **state)
{
    static const char clause[] = "{\"token\":\"a\",\"min\":1}";
    struct xeno_query_tree *q = NULL;
    xeno_autofree char *most = many("{\"and\":[", clause, XENO_QUERY_NODES - 1, "]}");
    xeno_autofree char *over = many("{\"and\":[", clause, XENO_QUERY_NODES, "]}");
    xeno_autofree char *values =
        many("{\"token\":\"a\",\"in\":[", "\"v\"", XENO_QUERY_VALUES + 1, "]}");
    xeno_autofree char *long_token =
        many("{\"token\":\"", "a", XENO_ADVERT_PATH + 1, "\",\"min\":1}");
    xeno_autofree char *deep = NULL, *deeper = NULL;
    xeno_autobuf b = XENO_BUF_INIT;

    (void)state;
    assert_int_equal(xeno_query_parse(most, strlen(most), &q, NULL), 0);
    assert_int_equal(q->count, XENO_QUERY_NODES);
    xeno_query_free(xeno_take(&q));
    refuses(over, "query.nodes");
    refuses(values, "json.range");
    refuses(long_token, "json.range");
    for (int depth = XENO_QUERY_DEPTH; depth <= XENO_QUERY_DEPTH + 1; depth++) {
        for (int i = 1; i < depth; i++)
            xeno_buf_puts(&b, "{\"not\":");
        xeno_buf_puts(&b, clause);
        for (int i = 1; i < depth; i++)
            xeno_buf_puts(&b, "}");
        *(depth == XENO_QUERY_DEPTH ? &deep : &deeper) = xeno_buf_take(&b, NULL);
    }
    assert_int_equal(xeno_query_parse(deep, strlen(deep), &q, NULL), 0);
    xeno_query_free(xeno_take(&q));
    refuses(deeper, "query.depth");
}

static void numbers(void **state)
{
    static const struct {
        double n;
        const char *want;
    } texts[] = { { 0, "0" },
                  { -0.0, "0" },
                  { 1.5, "1.5" },
                  { -100, "-100" },
                  { 0.1, "0.1" },
                  { 0.00001, "0.00001" },
                  { 123456789012345, "123456789012345" },
                  { 0.1234, "0.1234" } };
    char out[XENO_NUMBER_TEXT];

    (void)state;
    for (size_t i = 0; i < XENO_LEN(texts); i++)
        assert_string_equal(xeno_number_text(texts[i].n, out), texts[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truths),
        cmocka_unit_test(refusals),
        cmocka_unit_test(bounds),
        cmocka_unit_test(numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
