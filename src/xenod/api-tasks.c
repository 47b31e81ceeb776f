/* src/xenod/api-tasks.c - tasks: deployed, shown, sent signals. */
#include <errno.h>
#include <string.h>

#include "spec/task-doc.h"
#include "xenod/signals.h"
#include "xenod/xenod.h"

static struct xeno_task_doc *body_task(struct xeno_http_req *q)
{
    struct xeno_task_doc *t = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t len;
    const char *text = xeno_http_body(q, &len);

    if (!xeno_http_is_type(q, "application/xml") && !xeno_http_is_type(q, "text/xml"))
        xeno_fail(&err, -EMEDIUMTYPE, "api.type",
                  "the body must be a task document, Content-Type application/xml");
    else if (xeno_task_doc_parse(text, len, &t, &err) == 0)
        return t;
    xenod_refuse(q, &err);
    return NULL;
}

void xenod_post_task(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    xeno_auto(xeno_task_doc) t = body_task(q);
    const char *session = xeno_http_param(q, "session");
    char name[XENO_TASK_NAME_MAX + 1] = "";
    struct xeno_json *body;
    struct xeno_err err = XENO_ERR_INIT;

    if (!t)
        return;
    xenod_image_complete(d, session, t);
    if (xenod_begin_new(d, &err) < 0) {
        xenod_refuse(q, &err);
        return;
    }
    if (xeno_host_deploy(d->host, xenod_who(d, q), session, t, name, &err) < 0) {
        xenod_cancel(d);
        xenod_refuse(q, &err);
        return;
    }
    body = xeno_json_object();
    xeno_json_set_str(body, "session", session);
    xeno_json_set_str(body, "task", name);
    xeno_http_reply_json(q, 201, body);
    xenod_end(d);
}

void xenod_get_tasks(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    struct xeno_json *body = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_host_tasks_json(d->host, xenod_who(d, q), xeno_http_param(q, "session"), &body, &err) <
        0)
        xenod_refuse(q, &err);
    else
        xeno_http_reply_json(q, 200, body);
}

void xenod_post_signal(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    xeno_auto(xeno_json) body = NULL;
    struct xeno_json_at at;
    struct xeno_err err = XENO_ERR_INIT;
    const char *name = NULL;
    int r, signo = 0;

    if (xeno_http_body_json(q, &body) < 0)
        return;
    at = xeno_json_top(body);
    r = xeno_json_str(&at, "signal", 1, 16, &name, &err);
    if (r == 0)
        r = xenod_signal_parse(name, &signo, &err);
    if (r == 0)
        r = xeno_host_signal(d->host, xenod_who(d, q), xeno_http_param(q, "session"),
                             xeno_http_param(q, "task"), signo, NULL, &err);
    if (r < 0)
        xenod_refuse(q, &err);
    else
        xeno_http_reply_json(q, 202, xeno_json_ref(body));
}
