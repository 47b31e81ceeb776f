/* src/rd/request.c - the question of rfc/0019, read from JSON. */
#include "rd/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rd/place.h"
#include "rd/table.h"
#include "xis/query.h"

static const char *const members[] = {
    "requirement", "where",          "isolation", "near",       "equal", "disjoint_to", "beside",
    "sets",        "objective",      "max_cost",  "duration_s", "usage", "count",       "spread",
    "probe",       "max_complaints", "layers",    "documents",  NULL,
};

static int wrong(const struct xeno_json_at *at, const char *must, struct xeno_err *err)
{
    return xeno_fail(err, -EINVAL, "find.request", "%s: must be %s", at->path, must);
}

static int wrong_item(const struct xeno_json_at *arr, size_t i, const char *must,
                      struct xeno_err *err)
{
    struct xeno_json_at item = xeno_json_item(arr, i);

    return wrong(&item, must, err);
}

static int read_requirement(const struct xeno_json_at *at, struct xeno_rd_request *r,
                            struct xeno_err *err)
{
    const char *text = NULL;
    int got = xeno_json_str_opt(at, "requirement", 1, XENO_REQUIREMENT_MAX_BYTES, &text, err);

    if (got != 0)
        return got < 0 ? got : 0;
    got = xeno_requirement_parse(text, strlen(text), &r->requirement, err);
    if (got < 0)
        return xeno_context(err, got, "requirement");
    r->duration_s = r->requirement->lifetime_s;
    return 0;
}

static int read_where(const struct xeno_json_at *at, struct xeno_rd_request *r,
                      struct xeno_err *err)
{
    struct xeno_json_at where;
    int got = xeno_json_obj_opt(at, "where", &where, err);

    if (got == 0)
        got = xeno_query_read(&where, &r->where, err);
    return got < 0 ? got : 0;
}

static int read_isolation(const struct xeno_json_at *at, struct xeno_rd_request *r,
                          struct xeno_err *err)
{
    static const char *const names[] = { "null", "process", "container", "vm" };
    struct xeno_json_at arr;
    const char *text;
    size_t n = 0, k;
    int got = xeno_json_arr_opt(at, "isolation", XENO_LEN(names), &arr, &n, err);

    for (size_t i = 0; got == 0 && i < n; i++) {
        got = xeno_json_item_str(&arr, i, 1, 16, &text, err);
        if (got < 0)
            return got;
        for (k = 0; k < XENO_LEN(names) && strcmp(names[k], text) != 0; k++)
            ;
        if (k == XENO_LEN(names))
            return wrong_item(&arr, i, "null, process, container or vm", err);
        r->isolation |= 1u << k;
    }
    return got < 0 ? got : 0;
}

static int read_address(const struct xeno_json_at *at, const char *text, char out[XENO_RD_ADDRESS],
                        struct xeno_err *err)
{
    char host[XENO_RD_ADDRESS];
    uint16_t port;

    if (!xeno_rd_address(text, host, &port))
        return wrong(at, "a numeric address, with or without a port", err);
    snprintf(out, XENO_RD_ADDRESS, "%s", text);
    return 0;
}

static int read_place(const struct xeno_json_at *at, bool bound, struct xeno_rd_place *p,
                      struct xeno_err *err)
{
    static const char *const with[] = { "address", "server", "rtt_max_us", NULL };
    static const char *const without[] = { "address", "server", NULL };
    const char *address = NULL, *server = NULL;
    int got = xeno_json_only(at, bound ? with : without, err);

    if (got >= 0)
        got = xeno_json_str_opt(at, "address", 1, XENO_RD_ADDRESS - 1, &address, err);
    if (got >= 0)
        got = xeno_json_str_opt(at, "server", XENO_ID_CHARS, XENO_ID_CHARS, &server, err);
    if (got >= 0)
        got = xeno_json_int_opt(at, "rtt_max_us", 1, INT64_C(3600000000), &p->rtt_max_us, err);
    if (got < 0)
        return got;
    if (!address == !server)
        return wrong(at, "one of address and server", err);
    if (address)
        return read_address(at, address, p->address, err);
    if (!xeno_id_ok(server))
        return wrong(at, "the id of a XenoServer", err);
    memcpy(p->id.s, server, XENO_ID_CHARS + 1);
    return 0;
}

static int read_places(const struct xeno_json_at *at, const char *key, struct xeno_rd_place *all,
                       size_t *ret_count, struct xeno_err *err)
{
    struct xeno_json_at arr;
    size_t n = 0;
    int got = xeno_json_arr_opt(at, key, XENO_RD_PLACES, &arr, &n, err);

    for (size_t i = 0; got == 0 && i < n; i++) {
        struct xeno_json_at item = xeno_json_item(&arr, i);

        got = read_place(&item, strcmp(key, "near") == 0, &all[i], err);
    }
    if (got >= 0)
        *ret_count = n;
    return got < 0 ? got : 0;
}

static int read_apart(const struct xeno_json_at *at, struct xeno_rd_request *r,
                      struct xeno_err *err)
{
    const char *to = NULL, *id;
    struct xeno_json_at arr;
    size_t n = 0;
    int got = xeno_json_str_opt(at, "disjoint_to", 1, XENO_RD_ADDRESS - 1, &to, err);

    if (got == 0)
        got = read_address(at, to, r->disjoint_to, err);
    if (got >= 0)
        got = xeno_json_int_opt(at, "sets", 2, XENO_RD_SETS, &r->sets, err);
    if (got >= 0)
        got = xeno_json_arr_opt(at, "beside", XENO_RD_PLACES, &arr, &n, err);
    for (size_t i = 0; got == 0 && i < n; i++) {
        got = xeno_json_item_str(&arr, i, XENO_ID_CHARS, XENO_ID_CHARS, &id, err);
        if (got < 0)
            return got;
        if (!xeno_id_ok(id))
            return wrong_item(&arr, i, "the id of a XenoServer", err);
        memcpy(r->beside[i].s, id, XENO_ID_CHARS + 1);
        r->beside_count = i + 1;
    }
    return got < 0 ? got : 0;
}

static int read_term(const struct xeno_json_at *at, struct xeno_rd_term *t, struct xeno_err *err)
{
    static const char *const keys[] = { "what", "weight", NULL };
    const char *what;
    int got = xeno_json_only(at, keys, err);

    t->weight = 1;
    if (got >= 0)
        got = xeno_json_str(at, "what", 1, 16, &what, err);
    if (got >= 0)
        got = xeno_json_int_opt(at, "weight", 1, XENO_RD_WEIGHT, &t->weight, err);
    if (got < 0)
        return got;
    for (int i = 0; i < XENO_RD_WHAT_COUNT; i++) {
        t->what = (enum xeno_rd_what)i;
        if (strcmp(xeno_rd_what_name(t->what), what) == 0)
            return 0;
    }
    return wrong(at, "cost, rtt-max, rtt-mean, equal, disjoint, warm or load", err);
}

static int read_objective(const struct xeno_json_at *at, struct xeno_rd_request *r,
                          struct xeno_err *err)
{
    struct xeno_json_at arr;
    size_t n = 0;
    int got = xeno_json_arr_opt(at, "objective", XENO_RD_TERMS, &arr, &n, err);

    for (size_t i = 0; got == 0 && i < n; i++) {
        struct xeno_json_at item = xeno_json_item(&arr, i);

        got = read_term(&item, &r->terms[i], err);
        r->term_count = i + 1;
    }
    return got < 0 ? got : 0;
}

static int read_money(const struct xeno_json_at *at, struct xeno_rd_request *r,
                      struct xeno_err *err)
{
    static const char *const keys[] = { "cpu_percent", "net_bytes", NULL };
    struct xeno_json_at usage;
    int got = xeno_json_int_opt(at, "max_cost", 0, XENO_CREDIT_MAX, &r->max_cost, err);

    if (got >= 0)
        got = xeno_json_int_opt(at, "duration_s", 1, XENO_RD_DURATION_S, &r->duration_s, err);
    if (got >= 0)
        got = xeno_json_obj_opt(at, "usage", &usage, err);
    if (got != 0)
        return got < 0 ? got : 0;
    got = xeno_json_only(&usage, keys, err);
    if (got >= 0)
        got = xeno_json_int_opt(&usage, "cpu_percent", 0, 100, &r->cpu_percent, err);
    if (got >= 0)
        got = xeno_json_int_opt(&usage, "net_bytes", 0, XENO_QUANTITY_MAX, &r->net_bytes, err);
    return got < 0 ? got : 0;
}

static int read_choice(const struct xeno_json_at *at, struct xeno_rd_request *r,
                       struct xeno_err *err)
{
    static const char *const names[] = { "none", "operator", "place" };
    const char *spread = "none";
    size_t k = 0;
    int got = xeno_json_int_opt(at, "count", 1, XENO_RD_COUNT, &r->count, err);

    if (got >= 0)
        got = xeno_json_int_opt(at, "max_complaints", 0, 1000000000, &r->max_complaints, err);
    if (got >= 0)
        got = xeno_json_bool_opt(at, "probe", &r->probe, err);
    if (got >= 0)
        got = xeno_json_bool_opt(at, "documents", &r->documents, err);
    if (got >= 0)
        got = xeno_json_str_opt(at, "spread", 1, 16, &spread, err);
    if (got < 0)
        return got;
    while (k < XENO_LEN(names) && strcmp(names[k], spread) != 0)
        k++;
    if (k == XENO_LEN(names))
        return xeno_fail(err, -EINVAL, "find.request", "spread: must be none, operator or place");
    r->spread = (enum xeno_rd_spread)k;
    return 0;
}

static int read_layers(const struct xeno_json_at *at, struct xeno_rd_request *r,
                       struct xeno_err *err)
{
    struct xeno_json_at arr;
    const char *text;
    size_t n = 0;
    int got = xeno_json_arr_opt(at, "layers", XENO_RD_LAYERS, &arr, &n, err);

    for (size_t i = 0; got == 0 && i < n; i++) {
        got = xeno_json_item_str(&arr, i, 1, XENO_DIGEST_TEXT, &text, err);
        if (got < 0)
            return got;
        if (!xeno_digest_ok(text) || !rd_prefix(text, &r->layers[i]))
            return wrong_item(&arr, i, "a digest, sha256:...", err);
        r->layer_count = i + 1;
    }
    return got < 0 ? got : 0;
}

int xeno_rd_request_read(const struct xeno_json_at *at, struct xeno_rd_request *ret,
                         struct xeno_err *err)
{
    struct xeno_rd_request r;
    int got;

    xeno_rd_request_init(&r);
    got = xeno_json_only(at, members, err);
    if (got >= 0)
        got = read_requirement(at, &r, err);
    if (got >= 0)
        got = read_where(at, &r, err);
    if (got >= 0)
        got = read_isolation(at, &r, err);
    if (got >= 0)
        got = read_places(at, "near", r.near, &r.near_count, err);
    if (got >= 0)
        got = read_places(at, "equal", r.equal, &r.equal_count, err);
    if (got >= 0)
        got = read_apart(at, &r, err);
    if (got >= 0)
        got = read_objective(at, &r, err);
    if (got >= 0)
        got = read_money(at, &r, err);
    if (got >= 0)
        got = read_choice(at, &r, err);
    if (got >= 0)
        got = read_layers(at, &r, err);
    if (got >= 0)
        got = xeno_rd_request_check(&r, err);
    if (got < 0) {
        xeno_rd_request_release(&r);
        return got;
    }
    *ret = r;
    return 0;
}
