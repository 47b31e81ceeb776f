/* src/host/verb.c - what owners ask of their sessions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"
#include "spec/task-doc.h"

static int wrong_state(const struct session *s, const char *what, struct xeno_err *err)
{
    return xeno_fail(err, -EBUSY, "session.state", "session %s is %s%s%s%s: it cannot %s now",
                     s->id, xeno_state_name((enum xeno_state)s->r.state),
                     s->r.reason[0] ? " (" : "", s->r.reason, s->r.reason[0] ? ")" : "", what);
}

/* --- pause, resume, suspend, end --- */

static const struct {
    const char *word;
    enum xeno_trigger trigger;
    unsigned done; /* states in which it is so already, or under way */
} verbs[] = {
    [XENO_HOST_PAUSE] = { "be paused", XENO_ON_PAUSE, 1U << XENO_PAUSED },
    [XENO_HOST_RESUME] = { "be resumed", XENO_ON_RESUME, 1U << XENO_RUNNING },
    [XENO_HOST_SUSPEND] = { "be suspended", XENO_ON_SUSPEND,
                            1U << XENO_SUSPENDING | 1U << XENO_SUSPENDED },
    [XENO_HOST_END] = { "be ended", XENO_ON_END, 1U << XENO_ENDING | 1U << XENO_ENDED },
};

int xeno_host_do(struct xeno_host *h, const struct xeno_id *who, const char *session,
                 enum xeno_host_verb verb, struct xeno_err *err)
{
    struct session *s;
    int r;

    r = host_find(h, who, session, &s, err);
    if (r < 0)
        return r;
    if (verbs[verb].done & 1U << s->r.state)
        return 0;
    if (xeno_state_next((enum xeno_state)s->r.state, verbs[verb].trigger) < 0)
        return wrong_state(s, verbs[verb].word, err);
    return session_move(h, s, verbs[verb].trigger, "owner", err);
}

/* --- restore, extend --- */

/* Have `chain` validated, to pay from now on. */
static int next_begin(struct xeno_host *h, struct session *s, const struct xeno_pub *holder,
                      const char *chain, enum purpose purpose, int64_t lifetime_ms,
                      struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *terms = xeno_new0(struct xeno_order_terms);
    struct rec old = s->r;
    int r;

    if (s->next_chain)
        return xeno_fail(err, -EBUSY, "order.pending", "order %s is being validated already",
                         s->r.next_order);
    r = order_check(h, &s->offer, chain, holder, NULL, NULL, false, terms, err);
    if (r < 0)
        return r;
    if (strcmp(terms->order, s->r.order) == 0)
        return xeno_fail(err, -EINVAL, "order.same",
                         "the session pays from order %s already; give another", s->r.order);
    r = money_enough(h, &s->offer, terms->max_total.micro, err);
    if (r < 0)
        return r;
    memcpy(s->r.next_order, terms->order, sizeof(s->r.next_order));
    s->r.next_for = purpose;
    s->r.next_lifetime_ms = lifetime_ms;
    s->r.validations++;
    s->next_chain = xeno_strdup(chain);
    r = xeno_db_begin(h->db, err);
    if (r == 0) {
        r = journal_chain_put(h, s, err);
        r = journal_end(h, r == 0 ? journal_session_put(h, s, err) : r, err);
    }
    if (r < 0) {
        s->r = old;
        free(xeno_take(&s->next_chain));
        return r;
    }
    s->next_deadline_ns = host_after(h, h->cfg.validate_timeout_ms);
    corp_kick(h);
    return 0;
}

static int check_money_left(const struct xeno_host *h, const struct session *s,
                            struct xeno_err *err)
{
    int64_t left = session_running_part(h, s) - session_on_order(s);
    int64_t need = session_run_need(h, s);

    if (!s->r.dead && left >= need)
        return 0;
    return xeno_fail(
        err, -EDQUOT, "order.spent",
        "order %s leaves %s credits to run on, it takes at least %s; give another order",
        s->r.order,
        xeno_credit_text(xeno_micro(s->r.dead || left < 0 ? 0 : left),
                         (char[XENO_CREDIT_TEXT]){ 0 }),
        xeno_credit_text(xeno_micro(need), (char[XENO_CREDIT_TEXT]){ 0 }));
}

int xeno_host_restore(struct xeno_host *h, const struct xeno_id *who, const struct xeno_pub *holder,
                      const char *session, const char *chain, struct xeno_err *err)
{
    struct session *s;
    int r;

    r = host_find(h, who, session, &s, err);
    if (r < 0)
        return r;
    if (!chain && (s->r.state == XENO_RESTORING || s->r.state == XENO_RUNNING))
        return 0;
    if (s->r.state != XENO_SUSPENDED)
        return wrong_state(s, "be restored", err);
    if (chain)
        return next_begin(h, s, holder, chain, FOR_RESTORE, 0, err);
    session_advance(h, s);
    r = check_money_left(h, s, err);
    return r < 0 ? r : session_move(h, s, XENO_ON_RESTORE, NULL, err);
}

static int check_lifetime(const struct session *s, int64_t lifetime_ms, struct xeno_err *err)
{
    int64_t most = XENO_HOST_LIFETIME_MAX * 1000 - (s->r.ends_ms - s->r.created_ms);

    if (lifetime_ms >= 0 && lifetime_ms <= most)
        return 0;
    return xeno_fail(err, -ERANGE, "session.lifetime",
                     "the life time can be extended by 0 to %lld s, asked for %lld",
                     (long long)(most / 1000), (long long)(lifetime_ms / 1000));
}

static int add_lifetime(struct xeno_host *h, struct session *s, int64_t lifetime_ms,
                        struct xeno_err *err)
{
    struct rec old = s->r;
    struct xeno_json *o;
    int r;

    if (s->r.epoch > 0 && s->r.ends_ms + lifetime_ms > s->r.window_ms)
        return xeno_fail(err, -EDQUOT, "order.window",
                         "order %s pays for %lld s more, asked for %lld; give another order",
                         s->r.order, (long long)((s->r.window_ms - s->r.ends_ms) / 1000),
                         (long long)(lifetime_ms / 1000));
    s->r.ends_ms += lifetime_ms;
    r = session_save(h, s, &old, err);
    if (r < 0)
        return r;
    o = xeno_json_object();
    xeno_json_set_int(o, "ends_ms", s->r.ends_ms);
    event_tell(h, s, "session.ends", o);
    return 0;
}

int xeno_host_extend(struct xeno_host *h, const struct xeno_id *who, const struct xeno_pub *holder,
                     const char *session, int64_t lifetime_ms, const char *chain,
                     struct xeno_err *err)
{
    struct session *s;
    int r;

    r = host_find(h, who, session, &s, err);
    if (r < 0)
        return r;
    if (s->r.state == XENO_HELD || s->r.state >= XENO_ENDING)
        return wrong_state(s, "be extended", err);
    r = check_lifetime(s, lifetime_ms, err);
    if (r < 0)
        return r;
    if (chain)
        return next_begin(h, s, holder, chain, FOR_EXTEND, lifetime_ms, err);
    return lifetime_ms > 0 ? add_lifetime(h, s, lifetime_ms, err) : 0;
}

/* --- tasks --- */

static bool same_list(char *const *a, char *const *b)
{
    size_t i = 0;

    if (!a || !b)
        return (!a || !*a) && (!b || !*b);
    for (; a[i] && b[i]; i++)
        if (strcmp(a[i], b[i]) != 0)
            return false;
    return a[i] == b[i];
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_program(const struct xeno_task_program *p, const struct xeno_task_doc *doc)
{
    return same_list(p->argv, doc->argv) && same_list(p->env, doc->env) &&
           same_text(p->cwd, doc->cwd) && same_text(p->user, doc->user) &&
           p->terminal == doc->terminal;
}

static char **copy_list(char *const *from)
{
    size_t n = 0;
    char **list;

    while (from && from[n])
        n++;
    list = xeno_new0_n(char *, n + 1);
    for (size_t i = 0; i < n; i++)
        list[i] = xeno_strdup(from[i]);
    return list;
}

static struct task *task_new(struct xeno_host *h, const char *name, const struct xeno_task_doc *doc)
{
    struct task *t = xeno_new0(struct task);

    snprintf(t->name, sizeof(t->name), "%s", name);
    t->state = TASK_PENDING;
    t->since_ms = wall_ms(h);
    t->program.argv = copy_list(doc->argv);
    t->program.env = copy_list(doc->env);
    t->program.cwd = xeno_strdup(doc->cwd);
    t->program.user = xeno_strdup(doc->user);
    t->program.terminal = doc->terminal;
    t->program.open_stdin = doc->terminal;
    return t;
}

/* The request must fit a frame, or the task could never be started. */
static int check_size(const struct session *s, struct task *t, struct xeno_err *err)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(XENO_TASK_START, s->id);
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    snprintf(q->task, sizeof(q->task), "%s", t->name);
    q->program = t->program;
    r = xeno_task_request_format(q, &text, &len, err);
    memset(&q->program, 0, sizeof(q->program));
    return r < 0 ? xeno_context(err, r, "task %s", t->name) : 0;
}

static int task_enter(struct xeno_host *h, struct session *s, struct task *t, struct xeno_err *err)
{
    struct rec old = s->r;
    struct task **end;
    int r;

    r = check_size(s, t, err);
    if (r < 0)
        return r;
    s->r.task_number++;
    r = xeno_db_begin(h->db, err);
    if (r == 0) {
        r = journal_task_put(h, s->id, t, err);
        r = journal_end(h, r == 0 ? journal_session_put(h, s, err) : r, err);
    }
    if (r < 0) {
        s->r = old;
        return r;
    }
    for (end = &s->tasks; *end;)
        end = &(*end)->next;
    *end = t;
    return 0;
}

static size_t task_count(const struct session *s)
{
    size_t n = 0;

    for (const struct task *t = s->tasks; t; t = t->next)
        n++;
    return n;
}

static int check_deploy(const struct session *s, const char *name, struct xeno_err *err)
{
    int64_t most = s->offer.tasks_max > 0 && s->offer.tasks_max < XENO_TASK_TASKS_MAX
                       ? s->offer.tasks_max
                       : XENO_TASK_TASKS_MAX;

    if (s->r.state > XENO_PAUSED && s->r.state != XENO_RESTORING)
        return wrong_state(s, "take a task", err);
    if (!xeno_task_name_ok(name))
        return xeno_fail(err, -EINVAL, "task.name",
                         "task name '%.40s': 1 to %d of a-z, 0-9 and '-', not '-' first", name,
                         XENO_TASK_NAME_MAX);
    if ((int64_t)task_count(s) >= most)
        return xeno_fail(err, -EDQUOT, "task.count",
                         "session %s has %zu tasks, ended ones counted; the limit is %lld", s->id,
                         task_count(s), (long long)most);
    return 0;
}

/* "t1", "t2", ...: the next that is not taken. */
static void next_name(const struct session *s, char out[XENO_TASK_NAME_MAX + 1])
{
    int64_t n = s->r.task_number;

    do
        snprintf(out, XENO_TASK_NAME_MAX + 1, "t%lld", (long long)++n);
    while (session_task(s, out));
}

int xeno_host_deploy(struct xeno_host *h, const struct xeno_id *who, const char *session,
                     const struct xeno_task_doc *doc, char ret_name[XENO_TASK_NAME_MAX + 1],
                     struct xeno_err *err)
{
    char name[XENO_TASK_NAME_MAX + 1];
    struct session *s;
    struct task *t;
    int r;

    r = host_find(h, who, session, &s, err);
    if (r < 0)
        return r;
    t = doc->name ? session_task(s, doc->name) : NULL;
    if (t && same_program(&t->program, doc)) {
        memcpy(ret_name, t->name, sizeof(t->name));
        return 0;
    }
    if (t)
        return xeno_fail(err, -EEXIST, "task.exists", "session %s has another task '%s'", s->id,
                         t->name);
    next_name(s, name);
    r = check_deploy(s, doc->name ? doc->name : name, err);
    if (r < 0)
        return r;
    t = task_new(h, doc->name ? doc->name : name, doc);
    r = task_enter(h, s, t, err);
    if (r < 0) {
        task_free(t);
        return r;
    }
    memcpy(ret_name, t->name, sizeof(t->name));
    drive_session(h, s);
    return 0;
}

static int find_task(const struct session *s, const char *name, struct task **ret,
                     struct xeno_err *err)
{
    *ret = session_task(s, name);
    if (*ret)
        return 0;
    return xeno_fail(err, -ENOENT, "task.unknown", "session %s has no task '%.40s'", s->id, name);
}

int xeno_host_signal(struct xeno_host *h, const struct xeno_id *who, const char *session,
                     const char *task, int signo, uint64_t *ret_tag, struct xeno_err *err)
{
    xeno_auto(xeno_task_request) q = NULL;
    struct session *s;
    struct task *t;
    struct op *op;
    int r;

    r = host_find(h, who, session, &s, err);
    if (r == 0)
        r = find_task(s, task, &t, err);
    if (r < 0)
        return r;
    if (signo < 1 || signo > 64)
        return xeno_fail(err, -EINVAL, "task.signal", "signal is %d, must be 1 to 64", signo);
    if (!xeno_state_info((enum xeno_state)s->r.state)->processes || t->state != TASK_UP)
        return wrong_state(s, "signal that task", err);
    if (!h->reconciled)
        return xeno_fail(err, -EAGAIN, "task.away", "the task manager is away; try again");
    q = xeno_task_request_new(XENO_TASK_SIGNAL, s->id);
    snprintf(q->task, sizeof(q->task), "%s", t->name);
    q->signal = signo;
    op = op_new(h, OP_SIGNAL, s->id, t->name, h->cfg.task_timeout_ms);
    if (ret_tag)
        *ret_tag = op->tag;
    h->ports.task(h->ports.ctx, op->tag, q);
    return 0;
}

int xeno_host_check(struct xeno_host *h, const struct xeno_id *who, const char *session,
                    const char *task, bool needs_processes, struct xeno_err *err)
{
    struct session *s;
    struct task *t;
    int r;

    r = host_find(h, who, session, &s, err);
    if (r == 0 && task)
        r = find_task(s, task, &t, err);
    if (r < 0)
        return r;
    if (needs_processes && !xeno_state_info((enum xeno_state)s->r.state)->processes)
        return wrong_state(s, "be entered", err);
    return 0;
}

int xeno_host_written(struct xeno_host *h, const struct xeno_id *who, const char *session,
                      void (*fn)(void *ctx, const char *digest), void *ctx, struct xeno_err *err)
{
    struct session *s;
    int r = host_find(h, who, session, &s, err);

    if (r < 0)
        return r;
    if (s->r.state != XENO_RUNNING && s->r.state != XENO_PAUSED && s->r.state != XENO_SUSPENDED)
        return wrong_state(s, "be committed", err);
    if (!h->reconciled)
        return xeno_fail(err, -EAGAIN, "task.away", "the task manager is away; try again");
    for (size_t i = 0; i < s->offer.image.layer_count; i++)
        fn(ctx, s->offer.image.layers[i]);
    return 0;
}
