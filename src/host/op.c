/* src/host/op.c - messages that are waited for, and the answers to those for the task manager. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"

#define RELIST_MS 30000 /* look again for what nobody owns, when removing it failed */

struct op *op_new(struct xeno_host *h, enum op_kind kind, const char *session, const char *name,
                  int64_t timeout_ms)
{
    struct op *op = xeno_new0(struct op);

    op->tag = ++h->tag;
    op->kind = kind;
    snprintf(op->session, sizeof(op->session), "%s", session);
    snprintf(op->name, sizeof(op->name), "%s", name);
    op->deadline_ns = host_after(h, timeout_ms);
    HASH_ADD(hh, h->ops, tag, sizeof(op->tag), op);
    return op;
}

struct op *op_take(struct xeno_host *h, uint64_t tag)
{
    struct op *op;

    HASH_FIND(hh, h->ops, &tag, sizeof(tag), op);
    if (op)
        HASH_DEL(h->ops, op);
    return op;
}

void op_drop(struct xeno_host *h, uint64_t *tag)
{
    if (*tag != 0)
        free(op_take(h, *tag));
    *tag = 0;
}

void xeno_host_task_link(struct xeno_host *h, bool up)
{
    struct session *s, *next;
    struct op *op, *next_op;

    h->link = up;
    h->reconciled = false;
    h->usage_tag = 0;
    h->relist_ns = NEVER;
    HASH_ITER (hh, h->ops, op, next_op)
        if (op->kind < OP_VALIDATE) {
            HASH_DEL(h->ops, op);
            free(op);
        }
    HASH_ITER (hh, h->sessions, s, next) {
        s->tag = 0;
        s->built = false;
        for (struct task *t = s->tasks; t; t = t->next)
            t->tag = 0;
    }
    if (up)
        drive_list(h);
}

static void answered(struct xeno_host *h, const struct op *op, const struct xeno_json_at *ok,
                     const struct xeno_err *failure)
{
    switch (op->kind) {
    case OP_USAGE:
        answered_usage(h, failure ? NULL : ok);
        break;
    case OP_LIST:
        answered_list(h, failure ? NULL : ok);
        break;
    case OP_START:
        answered_start(h, op, failure);
        break;
    case OP_SWEEP:
        if (failure && failure->code != -ENOENT)
            h->relist_ns = host_after(h, RELIST_MS);
        break;
    case OP_SIGNAL:
        break;
    default:
        answered_session(h, op, ok, failure);
        break;
    }
}

void xeno_host_task_done(struct xeno_host *h, uint64_t tag, const struct xeno_json_at *ok,
                         const struct xeno_err *failure)
{
    struct op *op = op_take(h, tag);

    if (!op) {
        h->count.late_answers++;
        return;
    }
    answered(h, op, ok, failure);
    free(op);
}

static struct op *overdue(const struct xeno_host *h, int64_t now)
{
    struct op *op, *next;

    HASH_ITER (hh, h->ops, op, next)
        if (now >= op->deadline_ns)
            return op;
    return NULL;
}

void op_timeouts(struct xeno_host *h)
{
    struct xeno_err why = XENO_ERR_INIT;
    int64_t now = mono_ns(h);
    struct op *op;

    xeno_fail(&why, -ETIMEDOUT, "task.timeout", "no answer in time");
    while ((op = overdue(h, now))) { /* each may change the table, but adds nothing overdue */
        HASH_DEL(h->ops, op);
        if (op->kind >= OP_VALIDATE)
            corp_timed_out(h, op);
        else
            answered(h, op, NULL, &why);
        free(op);
    }
}
