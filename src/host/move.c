/* src/host/move.c - one transition, from the trigger to the messages that follow from it. */
#include <stdio.h>
#include <string.h>

#include "host/internal.h"

void session_arm(struct xeno_host *h, struct session *s)
{
    int64_t ms;

    /* Before its order is bound nothing runs that could be stopped or have used something. */
    s->step = s->r.state == XENO_ENDING && s->r.epoch == 0 ? STEP_LAST : STEP_FIRST;
    s->tries = 0;
    s->retry_ns = 0;
    s->grumbled = false;
    if (xeno_state_info((enum xeno_state)s->r.state)->share != XENO_SHARE_ALL)
        s->entered_ns = mono_ns(h); /* time without a task manager is the host's own trouble */
    switch (s->r.state) {
    case XENO_HELD:
        ms = h->cfg.validate_timeout_ms;
        break;
    case XENO_CREATING:
    case XENO_RESTORING:
        ms = h->cfg.create_timeout_ms;
        break;
    case XENO_SUSPENDING:
    case XENO_ENDING:
        ms = h->cfg.stop_timeout_ms;
        break;
    default: /* by the wall clock: life time and grace time */
        s->deadline_ns = NEVER;
        return;
    }
    s->deadline_ns = host_after(h, ms);
}

static void begin_meter(struct xeno_host *h, struct session *s)
{
    if (s->r.meter.at_ms != 0)
        return;
    s->r.meter.at_ms = wall_ms(h);
    s->r.charged_to_ms = s->r.meter.at_ms;
    s->mono_ms = mono_ns(h) / XENO_NS_PER_MS;
}

/* After a restore, what ran before is to be started again. */
static int restart_tasks(struct xeno_host *h, struct session *s, struct xeno_err *err)
{
    int r = 0;

    for (struct task *t = s->tasks; t && r == 0; t = t->next) {
        struct task again;

        if (t->state != TASK_UP)
            continue;
        again = *t;
        again.state = TASK_PENDING;
        r = journal_task_put(h, s->id, &again, err);
    }
    return r;
}

/* The end of the order: a final charge ends its binding, unless none was or can be made. */
static int settle_order(struct xeno_host *h, struct session *s, bool *ret_release,
                        struct xeno_err *err)
{
    *ret_release = order_needs_release(&s->r);
    if (s->r.meter.at_ms != 0) {
        int r = charge_cut(h, s, true, err);

        if (r < 0)
            return r;
    }
    return *ret_release ? journal_release_put(h, s->r.order, s->id, err) : 0;
}

/* An order that was to take over will not be needed. */
static int write_no_next(struct xeno_host *h, struct session *s, const char *next_order,
                         struct xeno_err *err)
{
    int r;

    r = journal_release_put(h, next_order, s->id, err);
    return r == 0 ? journal_chain_put(h, s, err) : r;
}

/* What this transition writes; in the caller's transaction. */
static int write_move(struct xeno_host *h, struct session *s, enum xeno_trigger trigger,
                      const struct rec *old, bool *ret_release, struct xeno_err *err)
{
    int r = 0;

    if (trigger == XENO_ON_RESTORED)
        r = restart_tasks(h, s, err);
    if (r == 0 && s->r.state == XENO_ENDED) {
        r = settle_order(h, s, ret_release, err);
        if (r == 0 && old->next_order[0])
            r = write_no_next(h, s, old->next_order, err);
    }
    if (r == 0)
        r = journal_session_put(h, s, err);
    return r;
}

static void tell_move(struct xeno_host *h, struct session *s, const struct rec *old)
{
    struct xeno_json *o = xeno_json_object();

    xeno_json_set_str(o, "state", xeno_state_name((enum xeno_state)s->r.state));
    xeno_json_set_str(o, "from", xeno_state_name((enum xeno_state)old->state));
    if (s->r.reason[0])
        xeno_json_set_str(o, "reason", s->r.reason);
    event_tell(h, s, "session.state", o);
}

static bool is_built_in(int64_t state)
{
    return state == XENO_HELD || state == XENO_CREATING || state == XENO_RESTORING;
}

/* Memory follows what the journal says now. */
static void moved(struct xeno_host *h, struct session *s, enum xeno_trigger trigger,
                  const struct rec *old, bool release)
{
    const struct xeno_state_info *info = xeno_state_info((enum xeno_state)s->r.state);

    outbox_added(h, s, old);
    if (s->r.parked)
        xeno_admission_park(h->admission, s->id);
    if (!info->claimed)
        xeno_admission_drop(h->admission, s->id);
    for (struct task *t = s->tasks; t; t = t->next)
        if (trigger == XENO_ON_RESTORED && t->state == TASK_UP)
            t->state = TASK_PENDING;
    if (release)
        release_add(h, s->r.order, s->id);
    if (s->r.state == XENO_ENDED) {
        if (old->next_order[0])
            release_add(h, old->next_order, s->id);
        op_drop(h, &s->corp_tag);
        h->count.ended++;
    }
    if (s->r.state == XENO_SUSPENDED)
        h->count.suspended++;
    if (s->r.state == XENO_PAUSED)
        s->frozen = false;
    /* What it was being built by is not waited for: the task manager gives up what it fetches for a
     * session that is to be stopped or destroyed, and does the rest in the order it is asked. */
    if (is_built_in(old->state) && (s->r.state == XENO_ENDING || s->r.state == XENO_SUSPENDING))
        op_drop(h, &s->tag);
    idle_left(h, s, (enum xeno_state)old->state);
    session_arm(h, s);
    tell_move(h, s, old);
    drive_session(h, s);
    corp_kick(h);
}

static void set_state(struct xeno_host *h, struct session *s, enum xeno_state next,
                      const char *reason)
{
    s->r.state = next;
    s->r.since_ms = wall_ms(h);
    if (reason)
        snprintf(s->r.reason, sizeof(s->r.reason), "%s", reason);
    if (next == XENO_SUSPENDED)
        s->r.parked = 1; /* also while it ends from there */
    if (next == XENO_RESTORING)
        s->r.parked = 0;
    if (next == XENO_ENDED)
        order_forget_next(&s->r);
    if (next == XENO_RUNNING) {
        begin_meter(h, s);
        s->r.grace_ends_ms = 0;
        s->r.reason[0] = '\0';
    }
}

int session_move(struct xeno_host *h, struct session *s, enum xeno_trigger trigger,
                 const char *reason, struct xeno_err *err)
{
    int next = xeno_state_next((enum xeno_state)s->r.state, trigger);
    bool unpark = s->r.parked && next == XENO_RESTORING, release = false;
    char *next_chain = NULL;
    struct rec old;
    int r;

    if (next < 0)
        return 0;
    session_advance(h, s);
    old = s->r;
    if (unpark) {
        r = xeno_admission_unpark(h->admission, s->id, err);
        if (r < 0)
            return r;
    }
    set_state(h, s, next, reason);
    if (next == XENO_ENDED)
        next_chain = xeno_take(&s->next_chain);
    r = xeno_db_begin(h->db, err);
    if (r == 0)
        r = journal_end(h, write_move(h, s, trigger, &old, &release, err), err);
    if (r < 0) {
        s->r = old;
        if (next_chain)
            s->next_chain = next_chain;
        if (unpark)
            xeno_admission_park(h->admission, s->id);
        return xeno_context(err, r, "session %s", s->id);
    }
    free(next_chain);
    moved(h, s, trigger, &old, release);
    return 0;
}

void session_try_move(struct xeno_host *h, struct session *s, enum xeno_trigger trigger,
                      const char *reason)
{
    if (session_move(h, s, trigger, reason, NULL) < 0)
        s->retry_ns = host_after(h, 1000);
}
