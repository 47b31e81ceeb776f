/* src/cli/api.c - requests to the XenoCorp and to XenoServers, one at a time. */
#include "cli/api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/enc.h"

#define PAGE      500
#define PAGES_MAX (CLI_PAGES_ITEMS / PAGE)

int cli_http(struct cli *cli, struct xeno_http_client **ret, struct xeno_err *err)
{
    struct xeno_http_client_opts opts;
    int r;

    r = cli_profile_need(cli, err);
    if (r < 0)
        return r;
    if (!cli->http) {
        opts = (struct xeno_http_client_opts){ .env = cli->env,
                                               .ca_pem = cli->profile->ca_pem,
                                               .cert_pem = cli->profile->cert_pem,
                                               .key = cli->profile->key };
        r = xeno_http_client_new(cli_loop(cli), &opts, &cli->http, err);
        if (r < 0)
            return r;
    }
    *ret = cli->http;
    return 0;
}

void cli_new_key(struct cli *cli, char out[33])
{
    uint8_t raw[16];

    xeno_random(cli->env, raw, sizeof raw);
    xeno_hex(raw, sizeof raw, out);
}

bool cli_lost(const struct xeno_err *err)
{
    switch (-err->code) {
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

static int send_once(struct cli *cli, const struct cli_ask *ask, const char *url, const char *body,
                     size_t len, const char *key, char **ret_text, size_t *ret_len,
                     struct xeno_err *err)
{
    struct xeno_http_client *http;
    struct xeno_http_ask a = { .method = ask->method,
                               .url = url,
                               .server_id = ask->server_id,
                               .type = ask->type,
                               .body = body,
                               .body_len = len,
                               .idempotency_key = key,
                               .deadline = ask->deadline };
    int r = cli_http(cli, &http, err);

    return r < 0 ? r : xeno_http_wait(http, &a, NULL, ret_text, ret_len, err);
}

int cli_ask(struct cli *cli, const struct cli_ask *ask, struct xeno_json **ret,
            struct xeno_err *err)
{
    xeno_auto(xeno_json) body = ask->body;
    xeno_autofree char *body_text = NULL;
    xeno_autofree char *url = xeno_asprintf("%s%s", ask->base, ask->path);
    xeno_autofree char *text = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    char key[33] = "";
    size_t len = 0, body_len = 0;
    int r = 0;

    if (body)
        body_text = xeno_json_format(body, false, &body_len);
    else if (ask->text) {
        body_text = xeno_strdup(ask->text);
        body_len = strlen(ask->text);
    }
    if (ask->spends)
        cli_new_key(cli, key);
    for (int i = 0; i < CLI_TRIES; i++) {
        why = (struct xeno_err)XENO_ERR_INIT;
        r = send_once(cli, ask, url, body_text, body_len, ask->spends ? key : NULL, &text, &len,
                      &why);
        if (r >= 0 || !cli_lost(&why) || (strcmp(ask->method, "GET") != 0 && !ask->spends))
            break;
    }
    if (r < 0)
        return xeno_fail(err, why.code, why.token, "%s", why.text);
    if (!ret)
        return 0;
    r = xeno_json_parse(len > 0 ? text : "{}", len > 0 ? len : 2, CLI_ANSWER_MAX, ret, err);
    return r < 0 ? xeno_context(err, r, "the answer of %s", url) : 0;
}

static char *path_of(const char *fmt, va_list ap)
{
    return xeno_vasprintf(fmt, ap);
}

int cli_corp_get(struct cli *cli, struct xeno_json **ret, struct xeno_err *err, const char *fmt,
                 ...)
{
    xeno_autofree char *path = NULL;
    va_list ap;
    int r = cli_profile_need(cli, err);

    if (r < 0)
        return r;
    va_start(ap, fmt);
    path = path_of(fmt, ap);
    va_end(ap);
    return cli_ask(
        cli, &(struct cli_ask){ .method = "GET", .base = cli->profile->corp_url, .path = path },
        ret, err);
}

int cli_corp_post(struct cli *cli, struct xeno_json *body, struct xeno_json **ret,
                  struct xeno_err *err, const char *fmt, ...)
{
    xeno_autofree char *path = NULL;
    va_list ap;
    int r = cli_profile_need(cli, err);

    if (r < 0) {
        xeno_json_unref(body);
        return r;
    }
    va_start(ap, fmt);
    path = path_of(fmt, ap);
    va_end(ap);
    return cli_ask(cli,
                   &(struct cli_ask){ .method = "POST",
                                      .base = cli->profile->corp_url,
                                      .path = path,
                                      .body = body,
                                      .spends = true },
                   ret, err);
}

int cli_server_get(struct cli *cli, const struct cli_server *s, struct xeno_json **ret,
                   struct xeno_err *err, const char *fmt, ...)
{
    xeno_autofree char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    path = path_of(fmt, ap);
    va_end(ap);
    return cli_ask(
        cli, &(struct cli_ask){ .method = "GET", .base = s->url, .server_id = s->id, .path = path },
        ret, err);
}

int cli_server_post(struct cli *cli, const struct cli_server *s, struct xeno_json *body,
                    struct xeno_json **ret, struct xeno_err *err, const char *fmt, ...)
{
    xeno_autofree char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    path = path_of(fmt, ap);
    va_end(ap);
    return cli_ask(cli,
                   &(struct cli_ask){ .method = "POST",
                                      .base = s->url,
                                      .server_id = s->id,
                                      .path = path,
                                      .body = body,
                                      .spends = true },
                   ret, err);
}

/* The "next" of a page, as text for the query; NULL when it was the last. */
static char *next_of(const struct xeno_json_at *page)
{
    const char *text = NULL;
    int64_t n;

    if (xeno_json_str_opt(page, "next", 1, 256, &text, NULL) == 0)
        return xeno_http_escape(text);
    if (xeno_json_int_opt(page, "next", 0, INT64_MAX, &n, NULL) == 0)
        return xeno_asprintf("%lld", (long long)n);
    return NULL;
}

int cli_pages(struct cli *cli, const struct cli_server *s, const char *path, const char *member,
              struct xeno_json **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) all = xeno_json_object();
    struct xeno_json *items = xeno_json_array();
    xeno_autofree char *after = NULL;
    const char *sep = strchr(path, '?') ? "&" : "?";

    xeno_json_set(all, member, items);
    for (int i = 0; i < PAGES_MAX; i++) {
        xeno_auto(xeno_json) page = NULL;
        struct xeno_json_at top, list;
        size_t count;
        int r;

        r = s ? cli_server_get(cli, s, &page, err, "%s%slimit=%d%s%s", path, sep, PAGE,
                               after ? "&after=" : "", after ? after : "")
              : cli_corp_get(cli, &page, err, "%s%slimit=%d%s%s", path, sep, PAGE,
                             after ? "&after=" : "", after ? after : "");
        if (r < 0)
            return r;
        top = xeno_json_top(page);
        r = xeno_json_arr(&top, member, 100000, &list, &count, err);
        if (r < 0)
            return xeno_context(err, r, "the answer to %s", path);
        for (size_t k = 0; k < count; k++)
            xeno_json_append(items, xeno_json_ref((struct xeno_json *)xeno_json_item(&list, k).j));
        free(xeno_take(&after));
        after = next_of(&top);
        if (!after || count == 0)
            break;
    }
    *ret = xeno_take(&all);
    return 0;
}
