/* src/task/client.c - the asking side of the task protocol. */
#include "task/client.h"

#include <string.h>

#include "rpc/link.h"

struct xeno_task_client {
    struct xeno_rpc_link *link;
    struct xeno_task_client_hooks hooks;
};

static int on_event(void *data, const struct xeno_json_at *msg, struct xeno_err *err)
{
    const struct xeno_task_client *c = data;
    struct xeno_task_event event;
    int r = xeno_task_event_read(msg, &event, err);

    if (r == 0 && c->hooks.event)
        c->hooks.event(c->hooks.data, &event);
    return r;
}

static void on_state(void *data, bool up)
{
    const struct xeno_task_client *c = data;

    if (c->hooks.state)
        c->hooks.state(c->hooks.data, up);
}

int xeno_task_client_new(sd_event *loop, const char *socket_path,
                         const struct xeno_task_client_hooks *hooks, struct xeno_task_client **ret,
                         struct xeno_err *err)
{
    xeno_auto(xeno_task_client) c = xeno_new0(struct xeno_task_client);
    struct xeno_rpc_opts o = { .socket = socket_path,
                               .peer = "the task manager",
                               .kind = XENO_TASK_FRAMES,
                               .open_max = XENO_TASK_OPEN_MAX,
                               .state = on_state,
                               .event = on_event,
                               .data = c };
    int r;

    if (hooks)
        c->hooks = *hooks;
    r = xeno_rpc_link_new(loop, &o, &c->link, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&c);
    return 0;
}

void xeno_task_client_free(struct xeno_task_client *c)
{
    if (!c)
        return;
    xeno_rpc_link_free(c->link);
    free(c);
}

bool xeno_task_client_up(const struct xeno_task_client *c)
{
    return xeno_rpc_link_up(c->link);
}

static int ask(struct xeno_task_client *c, struct xeno_task_request *q,
               const struct xeno_rpc_ask *form, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    q->id = xeno_rpc_next_id(c->link);
    r = xeno_task_request_format(q, &text, &len, err);
    return r < 0 ? r : xeno_rpc_link_ask(c->link, q->id, text, len, form, err);
}

int xeno_task_client_ask(struct xeno_task_client *c, struct xeno_task_request *q, xeno_time timeout,
                         xeno_task_done *done, void *data, struct xeno_err *err)
{
    return ask(
        c, q,
        &(struct xeno_rpc_ask){ .timeout = timeout, .owner = data, .done = done, .data = data },
        err);
}

void xeno_task_client_forget(struct xeno_task_client *c, const void *data)
{
    xeno_rpc_forget(c->link, data);
}

/* --- page by page --- */

/* A question of which the pages are put together. */
struct pages {
    struct xeno_task_client *client;
    enum xeno_task_op op;
    xeno_time timeout;
    xeno_task_usage_done *usage;
    xeno_task_list_done *list;
    void *data;
    size_t n;
    struct xeno_task_usage *usages;
    struct xeno_task_session_info *sessions;
};

static void pages_free(void *data)
{
    struct pages *p = data;

    free(p->usages);
    free(p->sessions);
    free(p);
}

static void pages_done(struct pages *p, const struct xeno_err *err)
{
    if (p->usage)
        p->usage(p->data, p->usages, err ? 0 : p->n, err);
    else
        p->list(p->data, p->sessions, err ? 0 : p->n, err);
    pages_free(p);
}

static int read_page(struct pages *p, const struct xeno_json_at *ok, struct xeno_err *err)
{
    struct xeno_json_at arr;
    size_t n;
    int r;

    r = xeno_json_arr(ok, "sessions", XENO_TASK_FRAME_MAX, &arr, &n, err);
    if (r < 0)
        return r;
    if (p->usage)
        p->usages = xeno_grow(p->usages, p->n + n + 1);
    else
        p->sessions = xeno_grow(p->sessions, p->n + n + 1);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct xeno_json_at item = xeno_json_item(&arr, i);

        r = p->usage ? xeno_task_usage_read(&item, &p->usages[p->n], err)
                     : xeno_task_session_read(&item, &p->sessions[p->n], err);
        p->n += r == 0;
    }
    return r;
}

static int ask_page(struct pages *p, const char *after, struct xeno_err *err);

static void on_page(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                    const struct xeno_err *why)
{
    struct pages *p = data;
    struct xeno_err err = XENO_ERR_INIT;
    const char *next = NULL;
    int r;

    (void)fds;
    (void)nfds;
    if (why) {
        pages_done(p, why);
        return;
    }
    r = read_page(p, ok, &err);
    if (r == 0)
        r = xeno_json_str_opt(ok, "next", 1, XENO_TASK_SESSION_LEN, &next, &err);
    if (r == 0)
        r = ask_page(p, next, &err);
    else if (r == 1) {
        pages_done(p, NULL);
        return;
    }
    if (r < 0)
        pages_done(p, &err);
}

static int ask_page(struct pages *p, const char *after, struct xeno_err *err)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(p->op, NULL);

    if (after)
        strcpy(q->after, after);
    return ask(p->client, q,
               &(struct xeno_rpc_ask){ .timeout = p->timeout,
                                       .owner = p->data,
                                       .done = on_page,
                                       .data = p,
                                       .drop = pages_free },
               err);
}

static int ask_pages(const struct pages *form, struct xeno_err *err)
{
    struct pages *p = xeno_memdup(form, sizeof *form);
    int r = ask_page(p, NULL, err);

    if (r < 0)
        pages_free(p);
    return r;
}

int xeno_task_client_usage(struct xeno_task_client *c, xeno_time timeout,
                           xeno_task_usage_done *done, void *data, struct xeno_err *err)
{
    return ask_pages(
        &(struct pages){
            .client = c, .op = XENO_TASK_USAGE, .timeout = timeout, .usage = done, .data = data },
        err);
}

int xeno_task_client_list(struct xeno_task_client *c, xeno_time timeout, xeno_task_list_done *done,
                          void *data, struct xeno_err *err)
{
    return ask_pages(
        &(struct pages){
            .client = c, .op = XENO_TASK_LIST, .timeout = timeout, .list = done, .data = data },
        err);
}
