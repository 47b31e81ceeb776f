/* src/image/agent-link.c - ask the image manager from a loop. */
#include "image/agent-link.h"

#include <errno.h>
#include <string.h>

#include "image/agent-proto.h"
#include "rpc/link.h"

struct xeno_agent_link {
    struct xeno_rpc_link *link;
};

/* A question under way: whom to tell, and what kind of answer it is. */
struct question {
    xeno_agent_resolved *resolved;
    xeno_agent_progressed *progressed;
    xeno_agent_kept *kept;
    struct xeno_agent_link *parent;
    struct xeno_agent_request *q; /* of a keep that is not over: what is left to say, from `said` */
    size_t count, said;
    xeno_time timeout;
    void *data;
};

static void question_free(void *p)
{
    struct question *n = p;

    xeno_agent_request_free(n->q);
    free(n);
}

int xeno_agent_link_new(sd_event *loop, const char *socket_path, void (*state)(void *data, bool up),
                        void *data, struct xeno_agent_link **ret, struct xeno_err *err)
{
    struct xeno_rpc_opts o = { .socket = socket_path,
                               .peer = "the image manager",
                               .kind = XENO_AGENT_FRAMES,
                               .open_max = XENO_AGENT_LINK_MAX,
                               .state = state,
                               .data = data };
    struct xeno_agent_link *l = xeno_new0(struct xeno_agent_link);
    int r = xeno_rpc_link_new(loop, &o, &l->link, err);

    if (r < 0) {
        free(l);
        return r;
    }
    *ret = l;
    return 0;
}

void xeno_agent_link_free(struct xeno_agent_link *l)
{
    if (!l)
        return;
    xeno_rpc_link_free(l->link);
    free(l);
}

bool xeno_agent_link_up(const struct xeno_agent_link *l)
{
    return xeno_rpc_link_up(l->link);
}

void xeno_agent_link_forget(struct xeno_agent_link *l, const void *data)
{
    xeno_rpc_forget(l->link, data);
}

/* --- answers --- */

static void tell_image(const struct question *n, const struct xeno_json_at *ok,
                       const struct xeno_err *why)
{
    struct xeno_agent_image *im = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (ok && xeno_agent_image_read(ok, &im, &err) < 0)
        why = &err;
    n->resolved(n->data, im, why);
}

static void tell_progress(const struct question *n, const struct xeno_json_at *ok,
                          const struct xeno_err *why)
{
    xeno_autofree struct xeno_agent_progress *items =
        xeno_new0_n(struct xeno_agent_progress, n->count + 1);
    struct xeno_err err = XENO_ERR_INIT;

    if (ok && xeno_agent_progress_read(ok, items, n->count, &err) < 0)
        why = &err;
    n->progressed(n->data, items, why ? 0 : n->count, why);
}

static int keep_next(struct question *n, struct xeno_err *err);

static void on_answer(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                      const struct xeno_err *why)
{
    struct question *n = data;
    struct xeno_err err = XENO_ERR_INIT;

    (void)fds;
    (void)nfds;
    if (n->resolved) {
        tell_image(n, ok, why);
    } else if (n->progressed) {
        tell_progress(n, ok, why);
    } else {
        if (ok && n->said < n->count) {
            if (keep_next(n, &err) >= 0)
                return;
            why = &err;
        }
        n->kept(n->data, why);
    }
    question_free(n);
}

/* --- questions --- */

/* The question stays the caller's when this fails. */
static int ask(struct question *n, struct xeno_agent_request *q, struct xeno_err *err)
{
    struct xeno_rpc_ask ask = {
        .timeout = n->timeout, .done = on_answer, .data = n, .owner = n->data, .drop = question_free
    };
    xeno_autofree char *text = NULL;
    size_t len;

    q->id = xeno_rpc_next_id(n->parent->link);
    if (n->timeout.ns > 0 && n->timeout.ns / 2 < XENO_AGENT_WAIT_MAX_S * XENO_NS_PER_S)
        q->wait = xeno_ns(n->timeout.ns / 2); /* so that it answers in time */
    text = xeno_agent_request_format(q, &len);
    return xeno_rpc_link_ask(n->parent->link, q->id, text, len, &ask, err);
}

static int ask_first(struct question *n, struct xeno_agent_request *q, struct xeno_err *err)
{
    int r = ask(n, q, err);

    if (r < 0)
        question_free(n);
    return r;
}

static struct question *question_new(struct xeno_agent_link *l, xeno_time timeout, void *data)
{
    struct question *n = xeno_new0(struct question);

    n->parent = l;
    n->timeout = timeout;
    n->data = data;
    return n;
}

int xeno_agent_link_resolve(struct xeno_agent_link *l, const char *name, enum xeno_image_kind kind,
                            xeno_time timeout, xeno_agent_resolved *done, void *data,
                            struct xeno_err *err)
{
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(XENO_AGENT_RESOLVE);
    struct question *n;

    if (strlen(name) > XENO_AGENT_NAME_MAX || name[0] == '\0')
        return xeno_fail(err, -EINVAL, "agent.name", "a name has 1 to %d bytes",
                         XENO_AGENT_NAME_MAX);
    strcpy(q->name, name);
    q->kind = kind;
    n = question_new(l, timeout, data);
    n->resolved = done;
    return ask_first(n, q, err);
}

int xeno_agent_link_progress(struct xeno_agent_link *l, const char *const *layers, size_t count,
                             xeno_time timeout, xeno_agent_progressed *done, void *data,
                             struct xeno_err *err)
{
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(XENO_AGENT_PROGRESS);
    struct question *n;

    if (count > XENO_AGENT_LAYERS_MAX)
        return xeno_fail(err, -EINVAL, "agent.layers", "at most %d layers at a time",
                         XENO_AGENT_LAYERS_MAX);
    xeno_agent_request_digests(q, layers, count);
    n = question_new(l, timeout, data);
    n->progressed = done;
    n->count = count;
    return ask_first(n, q, err);
}

/* What does not fit one message is said in several, each after the answer to the last. */
static int keep_next(struct question *n, struct xeno_err *err)
{
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(XENO_AGENT_KEEP);
    const char *part[XENO_AGENT_KEEP_MAX];
    size_t count = 0;

    while (count < XENO_AGENT_KEEP_MAX && n->said + count < n->count) {
        part[count] = n->q->digests[n->said + count];
        count++;
    }
    xeno_agent_request_digests(q, part, count);
    n->said += count;
    q->more = n->said < n->count;
    return ask(n, q, err);
}

int xeno_agent_link_keep(struct xeno_agent_link *l, const char *const *images, size_t count,
                         xeno_time timeout, xeno_agent_kept *done, void *data, struct xeno_err *err)
{
    struct question *n = question_new(l, timeout, data);
    int r;

    n->kept = done;
    n->count = count;
    n->q = xeno_agent_request_new(XENO_AGENT_KEEP);
    xeno_agent_request_digests(n->q, images, count);
    r = keep_next(n, err);
    if (r < 0)
        question_free(n);
    return r;
}
