/* src/host/internal.h - what the files of src/host share. Private.
 *
 * host.c     open, load, tick              ask.c     holds and new sessions
 * verb.c     what owners ask of sessions   move.c    transitions
 * money.c    budgets, charges, warnings    outbox.c  charges on their way
 * corp.c     validate, release, backoff    op.c      messages that are waited for
 * drive.c    sessions at the task manager  task.c    tasks there
 * sample.c   usage from there              reconcile.c  agreeing with it after a restart
 * journal.c, rec.c  rows                   event.c, view.c, metrics.c  what others see
 * loghead.c  the XenoCorp's log
 *
 * How a change is made: copy s->r, change s->r, write it inside a transaction, commit; when that
 * fails put the copy back. Only then may messages leave (drive_session(), corp_kick(),
 * outbox_kick()).
 */
#ifndef XENO_HOST_INTERNAL_H
#define XENO_HOST_INTERNAL_H

#include <uthash.h>

#include "base/enc.h"
#include "doc/loghead.h"
#include "doc/order.h"
#include "host/host.h"
#include "host/meter.h"
#include "host/session.h"

#define REASON_CHARS 192
#define NEVER        INT64_MAX

/* What was offered and agreed; never changes. Written once, as JSON. */
struct offer {
    char name[XENO_SESSION_NAME_MAX + 1];
    char env_type[XENO_ENV_TYPE_CHARS + 1];
    struct xeno_grant grant;
    struct xeno_tariff tariff;
    int64_t lifetime_ms;
    int64_t max_total; /* of the requirement, over all orders; 0: no limit */
    int64_t tasks_max;
    struct xeno_host_image image;
};

struct hold {
    char id[XENO_HOLD_CHARS + 1];
    struct xeno_id owner;
    int64_t expires_ms;
    int64_t taken_ns; /* monotonic; by an earlier life: when it was read */
    struct offer offer;
    UT_hash_handle hh;
};

enum purpose { FOR_NOTHING, FOR_RESTORE, FOR_EXTEND };

/* What is journalled each time it changes. Plain values, copied whole. */
struct rec {
    int64_t state; /* enum xeno_state; by name in the journal */
    int64_t since_ms;
    int64_t parked;            /* its claim is the kept part only */
    char reason[REASON_CHARS]; /* why it is in this state: a token, or a token and a text */
    int64_t created_ms, ends_ms;

    /* The order in force. */
    char order[XENO_ORDER_ID_CHARS + 1];
    int64_t epoch;         /* of its binding; 0: not validated yet */
    int64_t budget;        /* what this session may be charged on it, grace time included */
    int64_t order_charged; /* put into charges on it */
    int64_t window_ms;     /* nothing after this time is paid for */
    int64_t dead;          /* XenoCorp refused a charge: no more of them on this order */

    /* An order that is being validated to take over. */
    char next_order[XENO_ORDER_ID_CHARS + 1];
    int64_t next_for; /* enum purpose */
    int64_t next_lifetime_ms;
    int64_t validations; /* asked for so far: a key of its own for each */

    int64_t seq;           /* of the last charge */
    int64_t charged_to_ms; /* where the last one ended */
    int64_t charged;       /* sum of all charges ever made */
    int64_t posted, refused, forfeited;
    int64_t warned;        /* how many of the warnings were given on this order */
    int64_t grace_ends_ms; /* 0: no grace time runs */
    int64_t task_number;   /* last one named by us */
    struct xeno_meter meter;
};

enum task_state { TASK_PENDING, TASK_UP, TASK_EXITED, TASK_FAILED };

struct task {
    char name[XENO_TASK_NAME_MAX + 1];
    enum task_state state;
    int64_t code, signal;
    bool oom;
    int64_t since_ms;
    char reason[REASON_CHARS];
    struct xeno_task_program program;
    uint64_t tag; /* of the start under way; 0: none */
    struct task *next;
};

/* How far the present state's work has come. Not journalled: it starts over after a restart. */
enum step { STEP_FIRST, STEP_USAGE, STEP_LAST };

struct session {
    char id[XENO_SESSION_CHARS + 1];
    struct xeno_id owner;
    struct offer offer;
    char *chain, *next_chain; /* owned; next_chain NULL when none is being validated */
    struct rec r;
    struct task *tasks;

    uint64_t tag;      /* message to the task manager under way; 0: none */
    uint64_t corp_tag; /* validation under way; 0: none */
    enum step step;
    bool built;               /* the task manager said so, on this connection */
    bool frozen;              /* the task manager says its processes are */
    bool listed;              /* seen in the list being reconciled */
    bool grumbled;            /* an ending that takes too long was told */
    bool end_told;            /* the end of its life time was */
    int64_t entered_ns;       /* monotonic: the present state; by an earlier life: when read */
    int64_t deadline_ns;      /* monotonic: of the present state; NEVER: none */
    int64_t next_deadline_ns; /* of the validation of next_order */
    int64_t retry_ns;         /* not before: the next message to the task manager */
    unsigned tries;
    uint64_t sample_after;         /* wants a usage sample with a number of at least this */
    int64_t mono_ms;               /* when the meter was advanced; -1: by an earlier life */
    int64_t queued, queued_amount; /* charges in the outbox */
    int64_t free_ms, paid_ms;      /* in states that cost nothing, or all: idle.c */
    int64_t lost_ns;               /* monotonic: when it last lost its file system; 0: never */

    struct event *events; /* ring */
    size_t event_first, event_count;
    UT_hash_handle hh;
};

struct event {
    uint64_t id;
    const char *type; /* literal */
    char *data;
};

enum op_kind {
    OP_CREATE,
    OP_START,
    OP_SIGNAL,
    OP_PAUSE,
    OP_RESUME,
    OP_SNAPSHOT,
    OP_RESTORE,
    OP_DESTROY,
    OP_SWEEP, /* destroy of something nobody owns, snapshot of what should be stopped */
    OP_USAGE,
    OP_LIST,
    OP_VALIDATE,
    OP_RELEASE,
    OP_CHARGES,
    OP_LOG,
};

/* A message that is waited for. */
struct op {
    uint64_t tag;
    enum op_kind kind;
    char session[XENO_SESSION_CHARS + 1];
    char name[XENO_ORDER_ID_CHARS + 1]; /* task, or order of a release */
    int64_t deadline_ns;
    UT_hash_handle hh;
};

struct release {
    char order[XENO_ORDER_ID_CHARS + 1];
    char session[XENO_SESSION_CHARS + 1];
    uint64_t tag;
    int64_t retry_ns;
    int64_t sure_ns; /* monotonic: until then "never bound" may still become untrue */
    struct release *next;
};

/* What is known of the XenoCorp's log: loghead.c. */
struct log_watch {
    struct xeno_log_head seen, last, asked;
    char seen_text[XENO_LOG_HEAD_MAX + 1]; /* as signed; "": none yet */
    char last_text[XENO_LOG_HEAD_MAX + 1], asked_text[XENO_LOG_HEAD_MAX + 1];
    bool have_last;
    bool doubted, untold;
    char doubt[512];
    uint64_t tag; /* of the question under way; 0: none */
    int64_t check_ns;
};

struct xeno_host {
    struct xeno_host_config cfg;
    const struct xeno_env *env;
    struct xeno_db *db;
    struct xeno_host_ports ports;
    struct xeno_id id;
    char *driver; /* owned copy of cfg.driver */
    struct xeno_admission *admission;
    struct hold *holds;
    struct idler *idlers;
    struct session *sessions;
    struct op *ops;
    struct release *releases;

    uint64_t tag, event_id;
    bool link;          /* the task manager is connected */
    bool reconciled;    /* ... and its list has been gone through */
    int64_t relist_ns;  /* ask for the list (again) then; NEVER: not needed */
    int64_t sample_ns;  /* next sample */
    int64_t wake_ns;    /* next tick wanted */
    uint64_t sample_no; /* of the last usage request sent */
    uint64_t usage_tag;

    int64_t corp_retry_ns; /* nothing goes to the XenoCorp before */
    unsigned corp_tries;
    uint64_t outbox_tag; /* batch under way */
    int64_t outbox_retry_ns;
    int64_t outbox_count, outbox_next;
    struct log_watch log;

    struct {
        int64_t created, refused, ended, suspended, charges, charged, posted, refused_charges;
        int64_t batches, late_answers, task_errors, corp_errors, proofs;
    } count;
};

/* --- time --- */
static inline int64_t wall_ms(const struct xeno_host *h)
{
    return xeno_wall(h->env).ns / XENO_NS_PER_MS;
}
static inline int64_t mono_ns(const struct xeno_host *h)
{
    return xeno_mono(h->env).ns;
}
/* How far ahead money must reach: a tick, a stale sample, and the way to the task manager. */
static inline int64_t lookahead_ms(const struct xeno_host *h)
{
    return 2 * h->cfg.sample_ms + 1000;
}
/* Monotonic time `ms` from now; also asks for a tick then. */
int64_t host_after(struct xeno_host *h, int64_t ms);
/* 2^tries times first_ms, at most most_ms, with jitter of a quarter. */
int64_t host_backoff(struct xeno_host *h, unsigned tries, int64_t first_ms, int64_t most_ms);

/* --- finding --- */
struct session *host_session(const struct xeno_host *h, const char *id);
/* The same for who is asking. Errors: -ENOENT session.unknown. */
int host_find(const struct xeno_host *h, const struct xeno_id *who, const char *id,
              struct session **ret, struct xeno_err *err);
struct task *session_task(const struct session *s, const char *name);
void session_free(struct session *s);
void hold_free(struct hold *hold);
void offer_release(struct offer *o);
void task_free(struct task *t);
size_t host_owned(const struct xeno_host *h, const struct xeno_id *owner); /* live ones */

/* --- op.c --- */
struct op *op_new(struct xeno_host *h, enum op_kind kind, const char *session, const char *name,
                  int64_t timeout_ms);
/* Out of the table, the caller's to free; NULL when nobody waits for it. */
struct op *op_take(struct xeno_host *h, uint64_t tag);
void op_drop(struct xeno_host *h, uint64_t *tag); /* wait no longer; *tag becomes 0 */
void op_timeouts(struct xeno_host *h);            /* those nobody answered */

/* --- journal.c; all but the first run inside the caller's transaction --- */
int journal_open(struct xeno_host *h, struct xeno_err *err); /* schema, then everything in it */
int journal_hold_put(struct xeno_host *h, const struct hold *hold, struct xeno_err *err);
int journal_hold_drop(struct xeno_host *h, const char *id, struct xeno_err *err);
int journal_session_new(struct xeno_host *h, const struct session *s, struct xeno_err *err);
int journal_session_put(struct xeno_host *h, const struct session *s, struct xeno_err *err);
int journal_chain_put(struct xeno_host *h, const struct session *s, struct xeno_err *err);
int journal_session_drop(struct xeno_host *h, const char *id, struct xeno_err *err);
int journal_task_put(struct xeno_host *h, const char *session, const struct task *t,
                     struct xeno_err *err);
int journal_release_put(struct xeno_host *h, const char *order, const char *session,
                        struct xeno_err *err);
int journal_release_drop(struct xeno_host *h, const char *order, const char *session,
                         struct xeno_err *err);

/* End the transaction: commit it, or undo it when r is negative. Returns: r, or commit's failure.
 */
int journal_end(struct xeno_host *h, int r, struct xeno_err *err);
/* Begin, write s->r, commit; `old` goes back on failure. */
int session_save(struct xeno_host *h, struct session *s, const struct rec *old,
                 struct xeno_err *err);

/* --- rec.c: texts are the caller's; a failed read may leave *ret half filled --- */
char *rec_text(const struct rec *r);
int rec_read(const char *text, struct rec *ret, struct xeno_err *err);
char *offer_text(const struct offer *o);
int offer_read(const char *text, struct offer *ret, struct xeno_err *err);
char *task_text(const struct task *t);
int task_read(const char *text, struct task *t, struct xeno_err *err);

/* --- move.c --- */
/* Take the transition of `trigger`: settle the meter, journal, change the claim, tell. Returns 0
 * also when it means nothing in the present state (see xeno_state_next() to know before). `reason`
 * may be NULL. Errors: the database's, admission's for a restore; then nothing has changed. */
int session_move(struct xeno_host *h, struct session *s, enum xeno_trigger trigger,
                 const char *reason, struct xeno_err *err);
/* The same where nobody is there to be told of a failure: it is tried again by the next tick. */
void session_try_move(struct xeno_host *h, struct session *s, enum xeno_trigger trigger,
                      const char *reason);
/* Set the deadlines that belong to the present state. */
void session_arm(struct xeno_host *h, struct session *s);

/* --- idle.c --- */
/* May `who` hold something, or make a session? Errors: -EAGAIN hold.idle, session.idle. */
int idle_check_hold(struct xeno_host *h, const struct xeno_id *who, struct xeno_err *err);
int idle_check_session(struct xeno_host *h, const struct xeno_id *who, struct xeno_err *err);
int64_t idle_held_ms(const struct xeno_host *h, const struct hold *hold);
void idle_hold_ended(struct xeno_host *h, const struct hold *hold); /* without a session */
/* `s` has left `state`, and is armed for its next one after this. */
void idle_left(struct xeno_host *h, struct session *s, enum xeno_state state);
void idle_free(struct xeno_host *h);

/* --- ask.c --- */
void hold_quote(const struct hold *hold, struct xeno_host_quote *ret);
/* Check an order chain and whether this session may use it, at this host and now; `proof` and `sha`
 * as in struct xeno_host_create; `ahead`: it need not be presented yet. Errors: those of
 * doc/order.h. */
int order_check(const struct xeno_host *h, const struct offer *o, const char *chain,
                const struct xeno_pub *holder, const char *proof, const char *sha, bool ahead,
                struct xeno_order_terms *ret, struct xeno_err *err);

/* --- money.c --- */
void session_advance(struct xeno_host *h, struct session *s); /* the meter, to now */
int64_t session_on_order(const struct session *s);            /* owed on this order */
int64_t session_running_part(const struct xeno_host *h, const struct session *s);
int64_t session_run_need(const struct xeno_host *h, const struct session *s); /* to run at all */
int64_t session_hour_max(const struct offer *o);
/* Can `budget` pay for the grace time and a charge interval of this? Errors: -EDQUOT. */
int money_enough(const struct xeno_host *h, const struct offer *o, int64_t budget,
                 struct xeno_err *err);
/* Cut a charge up to now into the outbox and account for it in s->r; nothing when nothing is owed,
 * unless final. In the caller's transaction. */
int charge_cut(struct xeno_host *h, struct session *s, bool final, struct xeno_err *err);
int money_tick(struct xeno_host *h, struct session *s, struct xeno_err *err);
int charges_due(struct xeno_host *h, struct xeno_err *err);

/* --- outbox.c --- */
struct xeno_charge;
int outbox_put(struct xeno_host *h, const struct xeno_charge *c, struct xeno_err *err);
/* After the commit: count what has been put since `old`. */
void outbox_added(struct xeno_host *h, struct session *s, const struct rec *old);
void outbox_kick(struct xeno_host *h);
void outbox_done(struct xeno_host *h, const struct op *op, const struct xeno_json *reply);
int outbox_load(struct xeno_host *h, struct xeno_err *err);
void outbox_refused(struct xeno_host *h);

/* --- corp.c --- */
void corp_kick(struct xeno_host *h); /* send what waits for the XenoCorp, if it may */
bool corp_may(const struct xeno_host *h);
void corp_failed(struct xeno_host *h); /* nothing goes there for a while */
void order_forget_next(struct rec *r);
bool order_needs_release(const struct rec *r);
void corp_timed_out(struct xeno_host *h, const struct op *op);
void corp_expire_next(struct xeno_host *h, struct session *s);
void corp_send(struct xeno_host *h, const struct op *op, const char *path, const char *type,
               const char *key, const char *body, size_t len);
/* Remember to tell the end of a binding; after the commit of journal_release_put(). */
void release_add(struct xeno_host *h, const char *order, const char *session);

/* --- loghead.c --- */
int log_load(struct xeno_host *h, struct xeno_err *err);
void log_receipt(struct xeno_host *h, const struct xeno_json *reply); /* any answer */
void log_kick(struct xeno_host *h); /* ask for a proof, when it is time */
void log_proved(struct xeno_host *h, const struct op *op, const struct xeno_json *reply,
                const struct xeno_err *refusal);
void log_unanswered(struct xeno_host *h, const struct op *op);
struct xeno_json *log_view(const struct xeno_host *h);

/* --- drive.c --- */
void drive_session(struct xeno_host *h, struct session *s); /* send what its state wants next */
void drive_later(struct xeno_host *h, struct session *s);   /* but not before a while */
bool op_is_transient(int code);                             /* may go away by itself */
void answered_session(struct xeno_host *h, const struct op *op, const struct xeno_json_at *ok,
                      const struct xeno_err *why);

/* --- sample.c --- */
void drive_sample(struct xeno_host *h);
void sample_take(struct xeno_host *h, const struct xeno_task_usage *u);
void sampled(struct xeno_host *h, struct session *s); /* the last one of a session that stops */
void answered_usage(struct xeno_host *h, const struct xeno_json_at *ok);

/* --- task.c --- */
void tasks_start(struct xeno_host *h, struct session *s);
void tasks_reconcile(struct xeno_host *h, struct session *s,
                     const struct xeno_task_session_info *info, bool all);
void answered_start(struct xeno_host *h, const struct op *op, const struct xeno_err *why);

/* --- reconcile.c --- */
void drive_list(struct xeno_host *h);
void answered_list(struct xeno_host *h, const struct xeno_json_at *ok);
void session_lost(struct xeno_host *h, struct session *s); /* running or paused: its file system */

/* --- event.c --- */
/* `data` is taken; "time_ms" is added. */
void event_tell(struct xeno_host *h, struct session *s, const char *type, struct xeno_json *data);
void events_free(struct session *s);
/* "token: text", cut to fit. */
void reason_from(const struct xeno_err *err, char out[REASON_CHARS]);

/* --- view.c --- */
struct xeno_json *session_view(struct xeno_host *h, struct session *s);
const char *task_state_name(enum task_state state);

#endif
