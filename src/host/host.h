/* src/host/host.h - a XenoServer's own mind: what it holds, runs, meters, charges and remembers.
 *
 * Pure (DESIGN rule 6): no socket, no thread, no logging. The clock and randomness come by `env`,
 * the journal is `db`, and everything that has to happen elsewhere leaves through `struct
 * xeno_host_ports` as a message with a tag; the answer comes back later by xeno_host_task_done() or
 * xeno_host_corp_done() with that tag. Messages may be lost, late or repeated: the host gives up
 * waiting after a time, sends the request again under a new tag, and passes over answers whose tag
 * it no longer waits for. All requests are idempotent, so sending one again is always right.
 *
 * How a program uses it:
 *
 *     xeno_host_open(&config, env, db, &ports, &host, err)     start and restart are one path
 *     xeno_host_task_link(host, true)         task manager connected: host asks it for its `list`,
 *                                             adopts what it owns, destroys what nobody owns
 *     when xeno_host_next() says so:       xeno_host_tick(host)
 *     for an API call:       xeno_host_hold(), _create(), _deploy(), ... then a *_json() view
 *     for an answer:         xeno_host_task_done(), xeno_host_corp_done()
 *     for a task event:      xeno_host_task_event()
 *     xeno_host_free()       forgets the memory; sessions, journal and charges stay as they are.
 *                            A crash is the same without the call.
 *
 * Every call that changes anything has journalled it, durably, before it returns and before a
 * message about it leaves. Ports are called from inside these calls, after the commit; a port may
 * not call back into the host (queue the answer, then deliver it).
 *
 * Authority: `who` is the id of the asking party as its TLS credential proved it; NULL is the
 * operator. A session or hold is visible to its owner and the operator only; for others it does not
 * exist (-ENOENT session.unknown, hold.unknown).
 *
 * Units: *_ms lengths and wall-clock milliseconds, money int64 micro-credits, sizes bytes, CPU
 * msps. Context: one thread. Returned struct xeno_json is the caller's.
 */
#ifndef XENO_HOST_HOST_H
#define XENO_HOST_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/key.h"
#include "db/db.h"
#include "host/admission.h"
#include "host/tariff.h"
#include "json/json.h"
#include "spec/grant.h"
#include "task/proto.h"

#define XENO_SESSION_CHARS     16 /* base32 */
#define XENO_HOLD_CHARS        16
#define XENO_SESSION_NAME_MAX  63
#define XENO_HOST_LIFETIME_MAX (INT64_C(400) * 24 * 3600) /* seconds */
#define XENO_HOST_EVENTS       256                        /* kept for each session */

struct xeno_host;
struct xeno_requirement; /* spec/requirement.h */
struct xeno_task_doc;    /* spec/task-doc.h */

/* --- configuration: policy, decided by the operator; copied by xeno_host_open() --- */

struct xeno_host_config {
    const struct xeno_key *key;   /* the XenoServer's; borrowed while the host lives */
    struct xeno_pub corp;         /* the XenoCorp whose orders are taken */
    const char *driver;           /* task manager's driver: "null", "oci" */
    const char *const *env_types; /* EnvType values this host runs, NULL-terminated; borrowed */
    const char *kernel;           /* release of the sessions' kernel; NULL: not known; borrowed */
    struct xeno_capacity capacity;
    struct xeno_tariff tariff; /* of new holds; sessions keep what they were quoted */

    int64_t sample_ms;           /* usage is sampled and money looked at each: 1,000 */
    int64_t charge_interval_ms;  /* default 10,000 */
    int64_t hold_ttl_ms;         /* when the asker names none: 30,000 */
    int64_t hold_ttl_max_ms;     /* 300,000 */
    int64_t grace_ms;            /* kept, suspended, after the money is out: 900,000 */
    int64_t retain_ms;           /* an ended session is shown for: 86,400,000 */
    int warn_percent[2];         /* of the running part of the order: 20, 5 */
    int64_t validate_timeout_ms; /* state held: 30,000 */
    int64_t
        create_timeout_ms;   /* creating and restoring: 600,000; a new template is unpacked in it */
    int64_t stop_timeout_ms; /* suspending: 60,000; ending never gives up */
    int64_t task_timeout_ms; /* one answer of the task manager: 15,000 */
    int64_t corp_timeout_ms; /* one answer of the XenoCorp: 15,000 */
    size_t sessions_max;     /* live at once: 4,096 */
    size_t owner_sessions_max; /* live at once of one owner, holds counted: 1,024 */
};

/* Every number above its default; key, corp, driver, env_types, capacity and tariff zero. */
void xeno_host_config_default(struct xeno_host_config *cfg);

/* --- what the host sends --- */

/* A message to the XenoCorp: POST `path` with `body`, GET without one (NULL); `key` is the
 * Idempotency-Key, NULL for none. Borrowed for the call. Do not retry it: the host does. */
struct xeno_host_corp_op {
    const char *path; /* "/v1/validate", "/v1/validate/release", "/v1/charges", "/v1/log/..." */
    const char *content_type;
    const char *key;
    const char *body;
    size_t body_len;
};

/* Something happened in a session. `id` grows by time and over restarts: it is the SSE id. */
struct xeno_host_event {
    uint64_t id;
    const char *session;
    const char *type; /* session.state, session.warning, session.ends, task.started, task.exit,
                         task.oom, task.failed, charge.refused, session.order; and what
                         xeno_host_tell() was given */
    const char *data; /* one JSON object, one line: {"time_ms":..,"state":..,...} */
};

/* What a session's root file system is made of, by digests. Owned by whoever has it. */
struct xeno_host_image {
    size_t layer_count, image_count;
    char (*layers)[XENO_LAYER_TEXT]; /* bottom first */
    char (*images)[XENO_LAYER_TEXT]; /* manifests of the images they are of */
};
void xeno_host_image_release(struct xeno_host_image *im);

struct xeno_host_ports {
    /* A request to the task manager, but for its id. Borrowed for the call (it may write the id).
     */
    void (*task)(void *ctx, uint64_t tag, struct xeno_task_request *q);
    void (*corp)(void *ctx, uint64_t tag, const struct xeno_host_corp_op *op);
    void (*event)(void *ctx, const struct xeno_host_event *ev); /* optional */
    /* Say what the requirement's template and overlays are made of, in *ret (empty before; the
     * host's after). At once: a look-up on this machine. Optional: no layers. */
    int (*image)(void *ctx, const struct xeno_requirement *req, struct xeno_host_image *ret,
                 struct xeno_err *err);
    /* Does a program of the machine listen there? At once; a look at the kernel. Optional: no. */
    xeno_port_in_use *port_in_use;
    void *ctx;
};

/* Open the journal in `db` (its schema is made or brought up to date), read it, and take up what
 * was under way. Borrows: cfg for the call; env, db and ports->ctx while the host lives.
 * Errors: -EINVAL host.config; those of db/. */
int xeno_host_open(const struct xeno_host_config *cfg, const struct xeno_env *env,
                   struct xeno_db *db, const struct xeno_host_ports *ports, struct xeno_host **ret,
                   struct xeno_err *err);
void xeno_host_free(struct xeno_host *h);
XENO_DEFINE_AUTO(xeno_host, xeno_host_free);

/* Change prices, intervals and capacity while running (a reload). What is sold stays sold.
 * Errors: -EINVAL host.config; unchanged then. */
int xeno_host_reconfigure(struct xeno_host *h, const struct xeno_host_config *cfg,
                          struct xeno_err *err);

/* --- what a client asks --- */

struct xeno_host_quote {
    char hold[XENO_HOLD_CHARS + 1];
    int64_t expires_ms;
    struct xeno_grant grant;
    struct xeno_tariff tariff;
    int64_t per_hour_max;      /* running, everything used to the full */
    int64_t reserved_per_hour; /* running, nothing used */
};

/* Reserve what `req` asks for until it expires, at a quoted price.
 *
 * ttl_ms: 0 for the default; above the maximum it is cut to it.
 * Errors: -EAGAIN admission.cpu, .memory, .disk, .net, .addresses, .ports, .sessions: asked, left
 *                 and limit in the text; nothing is taken
 *         -ERANGE admission.*: more than this host could ever give
 *         -EDQUOT admission.owner: too many sessions of this owner
 *         -EAGAIN hold.idle: this owner kept too much of the host in holds it made nothing of; it
 *                 may create a session directly
 *         -EAGAIN session.idle: or in sessions that were made and ended and hardly ran
 *         -ENOTSUP host.env-type, host.kernel: not one this host runs
 *         -EDQUOT price.per-hour: costs more than the document's MaxPricePerHour
 *         and those of ports->image.
 */
int xeno_host_hold(struct xeno_host *h, const struct xeno_id *who,
                   const struct xeno_requirement *req, int64_t ttl_ms, struct xeno_host_quote *ret,
                   struct xeno_err *err);
/* Would a hold, or else a session, be refused now for another reason than its image? For a program
 * that has to look far away for the image first; changes nothing.
 * Errors: those of xeno_host_hold() but ports->image's. */
int xeno_host_possible(struct xeno_host *h, const struct xeno_id *who,
                       const struct xeno_requirement *req, bool hold, struct xeno_err *err);
/* Errors: -ENOENT hold.unknown. */
int xeno_host_hold_release(struct xeno_host *h, const struct xeno_id *who, const char *hold,
                           struct xeno_err *err);

struct xeno_host_create {
    const struct xeno_id *who;          /* owner of the session to be; never NULL */
    const struct xeno_pub *holder;      /* the key the TLS credential proved */
    const char *hold;                   /* either: the id of a hold of the same owner */
    const struct xeno_requirement *req; /* or: the document, held and committed in one step */
    const char *chain;                  /* the order chain, text, presented to this host */
    const char *proof;                  /* optional: a xeno-proof+json by the chain's last key */
    const char *proof_aud_sha; /* with proof: SHA-256 of what is asked for, 64 hex digits */
    const char *name;          /* optional: defaults to the requirement's EnvName */
};

/* Make a session. It starts in state held; creating follows when the XenoCorp has validated the
 * order, running when the task manager has built it. dry_run checks everything that can be checked
 * without the XenoCorp and changes nothing (ret_id is untouched); for it the chain need not be
 * presented.
 *
 * Returns: 0 with the id in ret_id.
 * Errors:  those of xeno_host_hold() but hold.idle; -ENOENT hold.unknown; those of
 *          xeno_order_verify() and xeno_order_permits() (order.*); -EDQUOT order.too-small when the
 *          order cannot pay for the grace time and at least one charge interval.
 */
int xeno_host_create(struct xeno_host *h, const struct xeno_host_create *ask, bool dry_run,
                     char ret_id[XENO_SESSION_CHARS + 1], struct xeno_err *err);

/* Deploy a task. In state running it is started now; in held, creating and restoring as soon as the
 * session runs. Deploying one that exists under that name with the same content has no effect.
 * Errors: -ENOENT session.unknown, -EBUSY session.state, -EEXIST task.exists, -EINVAL task.name,
 *         -EMSGSIZE task.size (more than a frame of the task protocol holds), -EDQUOT task.count.
 */
int xeno_host_deploy(struct xeno_host *h, const struct xeno_id *who, const char *session,
                     const struct xeno_task_doc *task, char ret_name[XENO_TASK_NAME_MAX + 1],
                     struct xeno_err *err);

enum xeno_host_verb { XENO_HOST_PAUSE, XENO_HOST_RESUME, XENO_HOST_SUSPEND, XENO_HOST_END };

/* Asking for what is so already, or under way, is success.
 * Errors: -ENOENT session.unknown; -EBUSY session.state: not possible in the state it is in. */
int xeno_host_do(struct xeno_host *h, const struct xeno_id *who, const char *session,
                 enum xeno_host_verb verb, struct xeno_err *err);

/* Bring a suspended session back: CPU, memory and network are admitted again (errors of
 * xeno_host_hold()). With a chain, the session pays from that order as soon as it is validated.
 * Errors: -EDQUOT order.spent: nothing left to run on, give another order. */
int xeno_host_restore(struct xeno_host *h, const struct xeno_id *who, const struct xeno_pub *holder,
                      const char *session, const char *chain, struct xeno_err *err);

/* More time, more money, or both. lifetime_ms is added to the session's end; 0: not changed.
 * A chain is validated first; event session.order says how that ended. */
int xeno_host_extend(struct xeno_host *h, const struct xeno_id *who, const struct xeno_pub *holder,
                     const char *session, int64_t lifetime_ms, const char *chain,
                     struct xeno_err *err);

/* Send a signal to a task. *ret_tag: the tag the task manager's answer will carry, for a caller
 * that wants to wait for it; may be NULL. Errors: -ENOENT session.unknown, task.unknown; -EBUSY
 * session.state; -EINVAL task.signal. */
int xeno_host_signal(struct xeno_host *h, const struct xeno_id *who, const char *session,
                     const char *task, int signo, uint64_t *ret_tag, struct xeno_err *err);

/* For what the program does itself (events, logs, exec, attach): is there such a session, and such
 * a task in it (NULL: not asked)? With needs_processes it must be running or paused, too. Errors:
 * -ENOENT session.unknown, task.unknown; -EBUSY session.state. */
int xeno_host_check(struct xeno_host *h, const struct xeno_id *who, const char *session,
                    const char *task, bool needs_processes, struct xeno_err *err);

/* May the writable layer be read, and which layers (their digests, bottom first, borrowed for the
 * call) is it over? Errors: -ENOENT session.unknown; -EBUSY session.state: it has none, or it is on
 * the way to another state. */
int xeno_host_written(struct xeno_host *h, const struct xeno_id *who, const char *session,
                      void (*fn)(void *ctx, const char *digest), void *ctx, struct xeno_err *err);

/* --- answers and events --- */

/* The task manager's answer to the request with that tag: its reply object in `ok`, or why it
 * failed. A lost connection may be told as a failure (-ENOTCONN) or not at all. */
void xeno_host_task_done(struct xeno_host *h, uint64_t tag, const struct xeno_json_at *ok,
                         const struct xeno_err *failure);
void xeno_host_task_event(struct xeno_host *h, const struct xeno_task_event *event);
/* The connection to the task manager came up or went away. Time-outs of states do not run while it
 * is away; on the way up everything is reconciled. A new host starts with it away. */
void xeno_host_task_link(struct xeno_host *h, bool up);

/* The XenoCorp's answer: for 2xx `reply` is its body; else reply is NULL and `failure` the problem
 * it sent (xeno_problem_read()), or why none came. `refused` is true for a problem document with a
 * status from 400 to 499 but 401, 408, 421, 425 and 429: the request itself is wrong, and sending
 * it again will not help. Everything else is tried again. */
void xeno_host_corp_done(struct xeno_host *h, uint64_t tag, const struct xeno_json *reply,
                         bool refused, const struct xeno_err *failure);

/* Was the XenoCorp's log found to have two histories, or could it not show that it has one
 * (rfc/0006)? Returns: true once a life, with why; log it loudly. The status and the metrics say so
 * all the time. */
bool xeno_host_log_doubt(struct xeno_host *h, struct xeno_err *ret);

/* --- time --- */

/* Do what is due: expire holds and leases, sample usage, charge, warn, suspend, end, send again.
 * Bounded work. Errors: the journal could not be written (nothing that needed it was done; it is
 * tried again at the next tick): log it. */
int xeno_host_tick(struct xeno_host *h, struct xeno_err *err);
/* Monotonic time at which xeno_host_tick() should be called next; at most sample_ms away. */
xeno_time xeno_host_next(const struct xeno_host *h);

/* --- views --- */

/* The body of the status document:
 * {"v":1,"server","driver","env_types","free":{..},"capacity":{..},
 * "price":{tariff},"sessions":n,"time_ms"}; the program adds what it knows of the machine and
 * signs it (typ xeno-status+json). */
struct xeno_json *xeno_host_status_json(struct xeno_host *h);
/* What is left and what is sold in all, for who describes this host to others. */
struct xeno_host_room {
    struct xeno_free left, limit;
    size_t sessions, sessions_max;
    struct xeno_tariff tariff;
    const char *const *env_types; /* borrowed */
};
void xeno_host_room(const struct xeno_host *h, struct xeno_host_room *ret);

/* A quote as POST /v1/holds answers it: {"hold","expires_ms","price":{...},"grant":{...}}. */
struct xeno_json *xeno_host_quote_json(struct xeno_host *h, const struct xeno_host_quote *q);
struct xeno_json *xeno_host_holds_json(struct xeno_host *h, const struct xeno_id *who);
/* The session object; see the README of the API. Errors: -ENOENT session.unknown. */
int xeno_host_session_json(struct xeno_host *h, const struct xeno_id *who, const char *session,
                           struct xeno_json **ret, struct xeno_err *err);
/* {"sessions":[...],"next":ID or absent}: at most `limit` (1..1000) after id `after` (NULL: all).
 */
struct xeno_json *xeno_host_sessions_json(struct xeno_host *h, const struct xeno_id *who,
                                          const char *after, size_t limit);
int xeno_host_tasks_json(struct xeno_host *h, const struct xeno_id *who, const char *session,
                         struct xeno_json **ret, struct xeno_err *err);
/* What was reserved and delivered so far, its price, and the charges not yet taken:
 * {"session","from_ms","to_ms","items":[{"res","reserved","used","amount",...}],"amount",
 *  "charged","pending","forfeited","shortfall_cpu_us","refused":[...]}. `amount` is exactly what
 * the XenoCorp has been or will be asked for. */
int xeno_host_usage_json(struct xeno_host *h, const struct xeno_id *who, const char *session,
                         struct xeno_json **ret, struct xeno_err *err);
/* Call fn for each remembered event with an id above `after`, oldest first. */
int xeno_host_events(struct xeno_host *h, const struct xeno_id *who, const char *session,
                     uint64_t after, void (*fn)(void *ctx, const struct xeno_host_event *ev),
                     void *ctx, struct xeno_err *err);
/* Tell those who watch the session what the program knows of it. `type` is a literal, `data` taken.
 * Nothing when there is no such session. */
void xeno_host_tell(struct xeno_host *h, const char *session, const char *type,
                    struct xeno_json *data);
/* Call fn with each session that is not ended, and each hold: what it is made of must be kept.
 * building: the task manager makes it, or is about to. */
void xeno_host_each(struct xeno_host *h,
                    void (*fn)(void *ctx, const char *id, const struct xeno_host_image *im,
                               bool building),
                    void *ctx);
/* Prometheus text, appended. */
void xeno_host_metrics(struct xeno_host *h, struct xeno_buf *out);
/* Check the invariants of session.h in memory and journal; for tests and the simulator.
 * Errors: -EUCLEAN host.broken, naming the first that does not hold. */
int xeno_host_sound(struct xeno_host *h, struct xeno_err *err);

#endif
