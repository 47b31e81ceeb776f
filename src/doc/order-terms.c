/* src/doc/order-terms.c - what a chain allows, and who may do what (rfc/0001-order-chain.md 2, 5).
 */
#include "doc/order.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/enc.h"
#include "doc/order-priv.h"

static int bad_id(const char *where, struct xeno_err *err)
{
    return xeno_fail(err, -EINVAL, "order.format", "%s: not an id (32 letters of base32)", where);
}

static int read_id(const struct xeno_json_at *at, const char *key, struct xeno_id *ret,
                   struct xeno_err *err)
{
    const char *text;
    int r = xeno_json_str(at, key, XENO_ID_CHARS, XENO_ID_CHARS, &text, err);

    if (r < 0)
        return r;
    if (!xeno_id_ok(text))
        return bad_id(key, err);
    memcpy(ret->s, text, sizeof ret->s);
    return 0;
}

static int read_conditions(const struct xeno_json_at *at, struct xeno_order_terms *t,
                           struct xeno_err *err)
{
    struct xeno_json_at list;
    const char *text;
    size_t count;
    int r;

    r = xeno_json_arr(at, "conditions", 8, &list, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = xeno_json_item_str(&list, i, 1, 64, &text, err);
        if (r < 0)
            return r;
        /* A condition we do not know is one we would break. */
        if (strcmp(text, XENO_CONDITION_VALIDATE) != 0)
            return xeno_fail(err, -EINVAL, "order.format", "conditions[%zu]: '%s' is not known", i,
                             text);
        t->validate_first = true;
    }
    return r;
}

static int read_money(const struct xeno_json_at *at, struct xeno_order_terms *t,
                      struct xeno_err *err)
{
    const char *currency;
    int r;

    r = xeno_json_str(at, "currency", 1, 8, &currency, err);
    if (r < 0)
        return r;
    if (strcmp(currency, XENO_CURRENCY) != 0)
        return xeno_fail(err, -EINVAL, "order.format", "currency: '%s' is not " XENO_CURRENCY,
                         currency);
    r = xeno_json_int(at, "limit", 1, XENO_CREDIT_MAX, &t->limit.micro, err);
    t->max_total = t->limit;
    t->max_rate = xeno_micro(INT64_MAX);
    return r;
}

static int read_times(const struct xeno_json_at *at, struct xeno_order_terms *t,
                      struct xeno_err *err)
{
    int r;

    r = xeno_doc_time(at, "issued_ms", 0, &t->issued, err);
    if (r == 0)
        r = xeno_doc_time(at, "expires_ms", t->issued.ns / XENO_NS_PER_MS + 1, &t->expires, err);
    t->not_before = t->issued;
    t->not_after = t->expires;
    return r;
}

int xeno_order_base(const struct xeno_json_at *at, struct xeno_order_terms *t, struct xeno_err *err)
{
    static const char *const known[] = { "v",        "corp",       "order",     "sponsor",
                                         "currency", "limit",      "issued_ms", "expires_ms",
                                         "key",      "conditions", NULL };
    const char *text;
    int r;

    r = xeno_doc_version(at, err);
    if (r == 0)
        r = xeno_json_only(at, known, err);
    if (r == 0)
        r = read_id(at, "corp", &t->corp, err);
    if (r == 0)
        r = xeno_json_str(at, "order", XENO_ORDER_ID_CHARS, XENO_ORDER_ID_CHARS, &text, err);
    if (r < 0)
        return r;
    if (!xeno_base32_ok(text, XENO_ORDER_ID_CHARS))
        return bad_id("order", err);
    memcpy(t->order, text, sizeof t->order);
    r = xeno_json_str_opt(at, "sponsor", 0, XENO_ID_CHARS, &text, err);
    if (r == 0)
        r = read_id(at, "sponsor", &t->sponsor, err);
    if (r >= 0)
        r = read_money(at, t, err);
    if (r == 0)
        r = read_times(at, t, err);
    if (r == 0)
        r = read_conditions(at, t, err);
    if (r == 0)
        r = xeno_json_str(at, "key", 1, XENO_PUB_TEXT - 1, &text, err);
    if (r < 0)
        return r;
    if (!xeno_pub_parse(text, &t->holder))
        return xeno_fail(err, -EINVAL, "order.format", "key: not a public key (43 letters)");
    t->any_server = t->any_env = true;
    return 0;
}

/* --- narrowing --- */

static bool lists_server(const struct xeno_order_terms *t, const char *id)
{
    for (size_t i = 0; i < t->server_count; i++)
        if (strcmp(t->servers[i].s, id) == 0)
            return true;
    return false;
}

static bool lists_env(const struct xeno_order_terms *t, const char *name)
{
    for (size_t i = 0; i < t->env_count; i++)
        if (strcmp(t->envs[i], name) == 0)
            return true;
    return false;
}

static bool env_ok(const char *name)
{
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
            return false;
    return name[0] != '\0' && strlen(name) <= XENO_ENV_TYPE_CHARS;
}

/* The new list is what both allow, without repeats: at most as long as the restriction's. */
static int narrow_servers(const struct xeno_json_at *at, struct xeno_order_terms *t,
                          struct xeno_err *err)
{
    struct xeno_order_terms next = { .server_count = 0 };
    struct xeno_json_at list;
    const char *id;
    size_t count;
    int r;

    r = xeno_json_arr_opt(at, "servers", XENO_ORDER_SERVERS_MAX, &list, &count, err);
    if (r != 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; i < count; i++) {
        r = xeno_json_item_str(&list, i, XENO_ID_CHARS, XENO_ID_CHARS, &id, err);
        if (r < 0)
            return r;
        if (!xeno_id_ok(id))
            return bad_id("restrict.servers", err);
        if ((t->any_server || lists_server(t, id)) && !lists_server(&next, id))
            memcpy(next.servers[next.server_count++].s, id, XENO_ID_CHARS + 1);
    }
    if (count == 0)
        return xeno_fail(err, -EINVAL, "order.format", "restrict.servers: the list is empty");
    memcpy(t->servers, next.servers, sizeof next.servers);
    t->server_count = next.server_count;
    t->any_server = false;
    return 0;
}

static int narrow_envs(const struct xeno_json_at *at, struct xeno_order_terms *t,
                       struct xeno_err *err)
{
    struct xeno_order_terms next = { .env_count = 0 };
    struct xeno_json_at list;
    const char *name;
    size_t count;
    int r;

    r = xeno_json_arr_opt(at, "env_types", XENO_ORDER_ENVS_MAX, &list, &count, err);
    if (r != 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; i < count; i++) {
        r = xeno_json_item_str(&list, i, 1, XENO_ENV_TYPE_CHARS, &name, err);
        if (r < 0)
            return r;
        if (!env_ok(name))
            return xeno_fail(err, -EINVAL, "order.format",
                             "restrict.env_types[%zu]: letters, digits and . _ - only", i);
        if ((t->any_env || lists_env(t, name)) && !lists_env(&next, name))
            strcpy(next.envs[next.env_count++], name); /* its length was checked */
    }
    if (count == 0)
        return xeno_fail(err, -EINVAL, "order.format", "restrict.env_types: the list is empty");
    memcpy(t->envs, next.envs, sizeof next.envs);
    t->env_count = next.env_count;
    t->any_env = false;
    return 0;
}

static int narrow_money(const struct xeno_json_at *at, const char *key, xeno_credit *limit,
                        struct xeno_err *err)
{
    int64_t micro;
    int r = xeno_json_int_opt(at, key, 1, XENO_CREDIT_MAX, &micro, err);

    if (r == 0 && micro < limit->micro)
        limit->micro = micro;
    return r < 0 ? r : 0;
}

static int narrow_window(const struct xeno_json_at *at, struct xeno_order_terms *t,
                         struct xeno_err *err)
{
    xeno_time when;
    int r;

    r = xeno_doc_time_opt(at, "not_before_ms", 0, &when, err);
    if (r == 0 && when.ns > t->not_before.ns)
        t->not_before = when;
    if (r >= 0)
        r = xeno_doc_time_opt(at, "not_after_ms", 0, &when, err);
    if (r == 0 && when.ns < t->not_after.ns)
        t->not_after = when;
    return r < 0 ? r : 0;
}

int xeno_order_narrow(const struct xeno_json_at *at, struct xeno_order_terms *t,
                      struct xeno_err *err)
{
    static const char *const known[] = { "servers",       "env_types",    "max_total", "max_rate",
                                         "not_before_ms", "not_after_ms", NULL };
    int r;

    r = xeno_json_only(at, known, err);
    if (r == 0)
        r = narrow_servers(at, t, err);
    if (r == 0)
        r = narrow_envs(at, t, err);
    if (r == 0)
        r = narrow_money(at, "max_total", &t->max_total, err);
    if (r == 0)
        r = narrow_money(at, "max_rate", &t->max_rate, err);
    if (r == 0)
        r = narrow_window(at, t, err);
    return r;
}

int xeno_order_presented(const struct xeno_json_at *at, struct xeno_order_terms *t,
                         struct xeno_err *err)
{
    static const char *const known[] = { "server", "time_ms", NULL };
    int r = xeno_json_only(at, known, err);

    if (r == 0)
        r = read_id(at, "server", &t->presented_to, err);
    return r < 0 ? r : xeno_doc_time(at, "time_ms", 0, &t->presented_at, err);
}

/* --- judging --- */

static int presentation_permits(const struct xeno_order_terms *t, const struct xeno_order_ctx *ctx,
                                struct xeno_err *err)
{
    int64_t off_ms = t->presented_at.ns / XENO_NS_PER_MS - ctx->now.ns / XENO_NS_PER_MS;

    if (!t->presented_to.s[0])
        return xeno_fail(err, -EPERM, "order.presented",
                         "the chain does not end with a block in which its holder presents it to "
                         "%s (xeno order present)",
                         ctx->server);
    if (strcmp(t->presented_to.s, ctx->server) != 0)
        return xeno_fail(err, -EPERM, "order.presented",
                         "the order was presented to XenoServer %s, not to %s", t->presented_to.s,
                         ctx->server);
    if (off_ms > XENO_ORDER_PRESENT_S * 1000 || off_ms < -XENO_ORDER_PRESENT_S * 1000)
        return xeno_fail(err, -EPERM, "order.presented",
                         "the order was presented %lld ms from now, at most %d s allowed: present "
                         "it again",
                         (long long)off_ms, XENO_ORDER_PRESENT_S);
    return 0;
}

static int window_permits(const struct xeno_order_terms *t, xeno_time now, struct xeno_err *err)
{
    char a[XENO_TIME_TEXT], b[XENO_TIME_TEXT];

    if (now.ns >= t->not_after.ns)
        return xeno_fail(err, -EPERM, "order.expired", "the order could be used until %s, it is %s",
                         xeno_time_text(t->not_after, a), xeno_time_text(now, b));
    if (now.ns < t->not_before.ns)
        return xeno_fail(err, -EPERM, "order.early", "the order can be used from %s on, it is %s",
                         xeno_time_text(t->not_before, a), xeno_time_text(now, b));
    return 0;
}

int xeno_order_permits(const struct xeno_order_terms *t, const struct xeno_order_ctx *ctx,
                       struct xeno_err *err)
{
    char a[XENO_CREDIT_TEXT], b[XENO_CREDIT_TEXT];
    int r;

    if (memcmp(t->holder.b, ctx->holder->b, XENO_PUB_BYTES) != 0)
        return xeno_fail(err, -EPERM, "order.holder",
                         "the order is for the key of %s, and %s presents it",
                         xeno_id_of(&t->holder).s, xeno_id_of(ctx->holder).s);
    r = window_permits(t, ctx->now, err);
    if (r < 0)
        return r;
    if (!t->any_server && !lists_server(t, ctx->server))
        return xeno_fail(err, -EPERM, "order.server",
                         "the order is restricted to %zu other XenoServer%s, not for %s",
                         t->server_count, t->server_count == 1 ? "" : "s", ctx->server);
    if (!t->any_env && !lists_env(t, ctx->env_type))
        return xeno_fail(err, -EPERM, "order.env_type",
                         "the order is not for environments of type '%s'", ctx->env_type);
    if (ctx->rate_per_hour.micro > t->max_rate.micro)
        return xeno_fail(err, -EDQUOT, "order.rate",
                         "the session may cost %s an hour, the order allows %s",
                         xeno_credit_text(ctx->rate_per_hour, a), xeno_credit_text(t->max_rate, b));
    return ctx->ahead ? 0 : presentation_permits(t, ctx, err);
}

static void add_lists(struct xeno_json *j, const struct xeno_order_terms *t)
{
    struct xeno_json *list;

    if (!t->any_server) {
        list = xeno_json_array();
        for (size_t i = 0; i < t->server_count; i++)
            xeno_json_append_str(list, t->servers[i].s);
        xeno_json_set(j, "servers", list);
    }
    if (!t->any_env) {
        list = xeno_json_array();
        for (size_t i = 0; i < t->env_count; i++)
            xeno_json_append_str(list, t->envs[i]);
        xeno_json_set(j, "env_types", list);
    }
}

struct xeno_json *xeno_order_terms_json(const struct xeno_order_terms *t)
{
    struct xeno_json *j = xeno_json_object();
    char key[XENO_PUB_TEXT];

    xeno_pub_text(&t->holder, key);
    xeno_json_set_str(j, "order", t->order);
    xeno_json_set_str(j, "corp", t->corp.s);
    xeno_json_set_str(j, "sponsor", t->sponsor.s[0] ? t->sponsor.s : NULL);
    xeno_json_set_str(j, "currency", XENO_CURRENCY);
    xeno_json_set_int(j, "limit", t->limit.micro);
    xeno_json_set_int(j, "max_total", t->max_total.micro);
    if (t->max_rate.micro != INT64_MAX)
        xeno_json_set_int(j, "max_rate", t->max_rate.micro);
    xeno_json_set_int(j, "issued_ms", t->issued.ns / XENO_NS_PER_MS);
    xeno_json_set_int(j, "expires_ms", t->expires.ns / XENO_NS_PER_MS);
    xeno_json_set_int(j, "not_before_ms", t->not_before.ns / XENO_NS_PER_MS);
    xeno_json_set_int(j, "not_after_ms", t->not_after.ns / XENO_NS_PER_MS);
    add_lists(j, t);
    xeno_json_set_str(j, "key", key);
    xeno_json_set_str(j, "holder", xeno_id_of(&t->holder).s);
    xeno_json_set_int(j, "blocks", (int64_t)t->blocks);
    if (t->presented_to.s[0]) {
        xeno_json_set_str(j, "presented_to", t->presented_to.s);
        xeno_json_set_int(j, "presented_ms", t->presented_at.ns / XENO_NS_PER_MS);
    }
    return j;
}
