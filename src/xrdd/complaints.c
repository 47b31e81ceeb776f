/* src/xrdd/complaints.c - following what clients complained about. */
#include "xrdd/complaints.h"

#include <inttypes.h>

#include "base/log.h"
#include "json/json.h"

#define EVERY_S 60
#define PAGE    100

static int take_page(struct xrdd_complaints *c, const char *body, size_t len, bool *ret_more,
                     struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    int64_t next = 0;
    size_t n = 0;
    int r = xeno_json_parse(body, len, len, &j, err);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_arr(&top, "complaints", 1000, &list, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);
        const char *server = NULL;
        int64_t number = 0, count = 0;

        r = xeno_json_int(&at, "complaint", 1, INT64_MAX, &number, err);
        if (r == 0)
            r = xeno_json_str(&at, "server", XENO_ID_CHARS, XENO_ID_CHARS, &server, err);
        if (r == 0)
            r = xeno_json_int(&at, "count", 1, INT64_MAX, &count, err);
        if (r < 0)
            break;
        xrdd_world_complaints(c->world, server, count);
        c->after = number > c->after ? number : c->after;
    }
    *ret_more = r == 0 && n > 0 && xeno_json_int_opt(&top, "next", 0, INT64_MAX, &next, NULL) == 0;
    return r;
}

static void on_answer(const struct xeno_http_answer *a, void *arg)
{
    struct xrdd_complaints *c = arg;
    struct xeno_err err = XENO_ERR_INIT;
    bool more = false;

    c->call = NULL;
    if (a->status / 100 == 2 && take_page(c, a->body, a->len, &more, &err) < 0)
        xeno_log_err(LOG_WARNING, "complaints.read", &err, "corp=%s", c->corp_url);
    if (more)
        c->due = xeno_ns(0);
}

void xrdd_complaints_tick(struct xrdd_complaints *c)
{
    xeno_time now = xeno_mono(c->env);
    xeno_autofree char *url = NULL;
    struct xeno_http_ask ask = {
        .method = "GET", .server_id = c->corp_id, .done = on_answer, .arg = c
    };

    if (c->call || !c->corp_url || now.ns < c->due.ns)
        return;
    c->due = xeno_time_add(now, xeno_s(EVERY_S));
    url = xeno_asprintf("%s/v1/complaints?after=%" PRId64 "&limit=%d", c->corp_url, c->after, PAGE);
    ask.url = url;
    c->call = xeno_http_send(c->client, &ask);
}

void xrdd_complaints_release(struct xrdd_complaints *c)
{
    if (c->call)
        xeno_http_cancel(xeno_take(&c->call));
}
