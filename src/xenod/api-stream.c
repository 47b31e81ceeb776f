/* src/xenod/api-stream.c - exec and attach: a request that becomes a byte stream. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/enc.h"
#include "spec/task-doc.h"
#include "xenod/stream.h"

#define ARGV_TEXT_MAX (32 * 1024)

/* ?argv=["sh","-c","..."] into a task document's form, so that image defaults can be filled in. */
static int read_argv(struct xeno_http_req *q, struct xeno_task_doc *t, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    const char *text = xeno_http_query(q, "argv");
    const char *key = NULL;
    struct xeno_json_at at;
    int r;

    if (!text)
        return xeno_fail(err, -EINVAL, "api.query", "argv is missing: a JSON array of words");
    r = xeno_json_parse(text, strlen(text), ARGV_TEXT_MAX, &j, err);
    if (r < 0)
        return xeno_context(err, r, "argv");
    at = xeno_json_top(j);
    key = xeno_json_key(&at, 0);
    t->argv = xeno_new0_n(char *, XENO_TASK_DOC_ARGS + 1);
    for (; !key && t->argc < XENO_TASK_DOC_ARGS && xeno_json_item(&at, t->argc).j; t->argc++) {
        const char *word;

        r = xeno_json_item_str(&at, t->argc, 0, XENO_TASK_DOC_ARG_BYTES, &word, err);
        if (r < 0)
            return xeno_context(err, r, "argv");
        t->argv[t->argc] = xeno_strdup(word);
    }
    if (t->argc == 0 || t->argv[0][0] == '\0')
        return xeno_fail(err, -EINVAL, "api.query",
                         "argv must be a JSON array of 1 to %d words, the program first",
                         XENO_TASK_DOC_ARGS);
    return 0;
}

/* Repeated nowhere in a session's life; also not after a restart. */
static void exec_name(const struct xenod *d, char out[XENO_TASK_NAME_MAX + 1])
{
    uint8_t raw[10];
    char text[17];

    xeno_random(d->env, raw, sizeof raw);
    xeno_base32(raw, sizeof raw, text);
    snprintf(out, XENO_TASK_NAME_MAX + 1, "x%s", text);
}

static struct xeno_task_request *exec_request(struct xenod *d, const char *session,
                                              struct xeno_task_doc *t)
{
    struct xeno_task_request *ask = xeno_task_request_new(XENO_TASK_EXEC, session);

    exec_name(d, ask->exec);
    ask->program.argv = xeno_take(&t->argv);
    ask->program.env = xeno_take(&t->env);
    ask->program.cwd = xeno_take(&t->cwd);
    ask->program.user = xeno_take(&t->user);
    ask->program.terminal = t->terminal;
    return ask;
}

void xenod_get_exec(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    const char *session = xeno_http_param(q, "session"), *task = xeno_http_query(q, "task");
    xeno_auto(xeno_task_doc) t = xeno_new0(struct xeno_task_doc);
    xeno_auto(xeno_task_request) ask = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int64_t cols, rows;

    if (!xenod_stream_asked(q) || !xenod_query_int(q, "cols", 1, 10000, 80, &cols) ||
        !xenod_query_int(q, "rows", 1, 10000, 24, &rows))
        return;
    if (xeno_host_check(d->host, xenod_who(d, q), session, task, true, &err) < 0 ||
        read_argv(q, t, &err) < 0) {
        xenod_refuse(q, &err);
        return;
    }
    t->terminal = xenod_query_flag(q, "tty");
    xenod_image_complete(d, session, t);
    ask = exec_request(d, session, t);
    if (task)
        snprintf(ask->task, sizeof ask->task, "%s", task);
    if (t->terminal) {
        ask->cols = cols;
        ask->rows = rows;
    }
    xenod_stream_start(xenod_stream_new(d, XENOD_EXEC, session, ask->exec, t->terminal), q, ask);
}

void xenod_get_attach(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    const char *session = xeno_http_param(q, "session"), *task = xeno_http_param(q, "task");
    xeno_auto(xeno_task_request) ask = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (!xenod_stream_asked(q))
        return;
    if (xeno_host_check(d->host, xenod_who(d, q), session, task, true, &err) < 0) {
        xenod_refuse(q, &err);
        return;
    }
    ask = xeno_task_request_new(XENO_TASK_ATTACH, session);
    snprintf(ask->task, sizeof ask->task, "%s", task);
    /* Whether it has a terminal is the task's affair; an end of input is told either way. */
    xenod_stream_start(xenod_stream_new(d, XENOD_ATTACH, session, task, false), q, ask);
}
