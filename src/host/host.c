/* src/host/host.c - opening, time, and what everything else is found by. */
#include "host/host.h"

#include <errno.h>
#include <string.h>

#include "host/internal.h"

/* --- configuration --- */

void xeno_host_config_default(struct xeno_host_config *cfg)
{
    *cfg = (struct xeno_host_config){
        .sample_ms = 1000,
        .charge_interval_ms = 10 * 1000,
        .hold_ttl_ms = 30 * 1000,
        .hold_ttl_max_ms = 300 * 1000,
        .grace_ms = 900 * 1000,
        .retain_ms = 24 * 3600 * 1000,
        .warn_percent = { 20, 5 },
        .validate_timeout_ms = 30 * 1000,
        .create_timeout_ms = 600 * 1000,
        .stop_timeout_ms = 60 * 1000,
        .task_timeout_ms = 15 * 1000,
        .corp_timeout_ms = 15 * 1000,
        .sessions_max = 4096,
        .owner_sessions_max = 1024,
    };
}

static int config_check(const struct xeno_host_config *c, struct xeno_err *err)
{
    const struct {
        const char *name;
        int64_t value, min, max;
    } rows[] = {
        { "sample_ms", c->sample_ms, 100, 60 * 1000 },
        { "charge_interval_ms", c->charge_interval_ms, 1000, 3600 * 1000 },
        { "hold_ttl_ms", c->hold_ttl_ms, 1000, c->hold_ttl_max_ms },
        { "hold_ttl_max_ms", c->hold_ttl_max_ms, 1000, 24 * 3600 * 1000 },
        { "grace_ms", c->grace_ms, 0, INT64_C(30) * 24 * 3600 * 1000 },
        { "retain_ms", c->retain_ms, 0, INT64_C(400) * 24 * 3600 * 1000 },
        { "warn_percent[0]", c->warn_percent[0], 0, 100 },
        { "warn_percent[1]", c->warn_percent[1], 0, c->warn_percent[0] },
        { "validate_timeout_ms", c->validate_timeout_ms, 1000, 3600 * 1000 },
        { "create_timeout_ms", c->create_timeout_ms, 1000, 3600 * 1000 },
        { "stop_timeout_ms", c->stop_timeout_ms, 1000, 3600 * 1000 },
        { "task_timeout_ms", c->task_timeout_ms, 1000, 3600 * 1000 },
        { "corp_timeout_ms", c->corp_timeout_ms, 1000, 3600 * 1000 },
        { "sessions_max", (int64_t)c->sessions_max, 1, 65536 },
        { "owner_sessions_max", (int64_t)c->owner_sessions_max, 1, 65536 },
    };
    int r;

    if (!c->key || !c->driver || strlen(c->driver) > XENO_TASK_DRIVER_MAX || !c->env_types)
        return xeno_fail(err, -EINVAL, "host.config", "key, driver or env_types is missing");
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        if (rows[i].value < rows[i].min || rows[i].value > rows[i].max)
            return xeno_fail(err, -EINVAL, "host.config", "%s is %lld, must be %lld to %lld",
                             rows[i].name, (long long)rows[i].value, (long long)rows[i].min,
                             (long long)rows[i].max);
    r = xeno_tariff_check(&c->tariff, err);
    return r < 0 ? r : xeno_capacity_check(&c->capacity, err);
}

int xeno_host_reconfigure(struct xeno_host *h, const struct xeno_host_config *cfg,
                          struct xeno_err *err)
{
    struct xeno_host_config old = h->cfg;
    int r;

    r = config_check(cfg, err);
    if (r < 0)
        return r;
    h->cfg = *cfg;
    h->cfg.key = old.key; /* who we are, whom we trust and what runs things needs a restart */
    h->cfg.corp = old.corp;
    h->cfg.driver = old.driver;
    xeno_admission_resize(h->admission, &cfg->capacity);
    return 0;
}

/* --- finding --- */

struct session *host_session(const struct xeno_host *h, const char *id)
{
    struct session *s = NULL;

    if (id)
        HASH_FIND_STR(h->sessions, id, s);
    return s;
}

int host_find(const struct xeno_host *h, const struct xeno_id *who, const char *id,
              struct session **ret, struct xeno_err *err)
{
    struct session *s = host_session(h, id);

    if (!s || (who && strcmp(who->s, s->owner.s) != 0))
        return xeno_fail(err, -ENOENT, "session.unknown", "you have no session '%.40s' here",
                         id ? id : "");
    *ret = s;
    return 0;
}

struct task *session_task(const struct session *s, const char *name)
{
    for (struct task *t = s->tasks; t; t = t->next)
        if (strcmp(t->name, name) == 0)
            return t;
    return NULL;
}

size_t host_owned(const struct xeno_host *h, const struct xeno_id *owner)
{
    struct session *s, *next_s;
    struct hold *hold, *next_h;
    size_t n = 0;

    HASH_ITER (hh, h->sessions, s, next_s)
        n += s->r.state != XENO_ENDED && (!owner || strcmp(owner->s, s->owner.s) == 0);
    HASH_ITER (hh, h->holds, hold, next_h)
        n += !owner || strcmp(owner->s, hold->owner.s) == 0;
    return n;
}

/* --- time --- */

int64_t host_after(struct xeno_host *h, int64_t ms)
{
    int64_t at;

    if (__builtin_mul_overflow(ms, XENO_NS_PER_MS, &at) ||
        __builtin_add_overflow(at, mono_ns(h), &at))
        return NEVER;
    if (at < h->wake_ns)
        h->wake_ns = at;
    return at;
}

int64_t host_backoff(struct xeno_host *h, unsigned tries, int64_t first_ms, int64_t most_ms)
{
    int64_t ms = first_ms << (tries < 20 ? tries : 20);
    uint32_t dice;

    if (ms > most_ms)
        ms = most_ms;
    xeno_random(h->env, &dice, sizeof(dice));
    return ms - ms / 8 + dice % (ms / 4 + 1);
}

xeno_time xeno_host_next(const struct xeno_host *h)
{
    return xeno_ns(h->wake_ns);
}

/* --- memory --- */

void xeno_host_image_release(struct xeno_host_image *im)
{
    free(im->layers);
    free(im->images);
    memset(im, 0, sizeof *im);
}

void offer_release(struct offer *o)
{
    xeno_host_image_release(&o->image);
}

void hold_free(struct hold *hold)
{
    if (!hold)
        return;
    offer_release(&hold->offer);
    free(hold);
}

void task_free(struct task *t)
{
    if (!t)
        return;
    xeno_task_program_release(&t->program);
    free(t);
}

void session_free(struct session *s)
{
    struct task *t;

    if (!s)
        return;
    while ((t = s->tasks)) {
        s->tasks = t->next;
        task_free(t);
    }
    events_free(s);
    offer_release(&s->offer);
    free(s->chain);
    free(s->next_chain);
    free(s);
}

void xeno_host_free(struct xeno_host *h)
{
    struct session *s, *next_s;
    struct hold *hold, *next_h;
    struct op *op, *next_o;
    struct release *rel;

    if (!h)
        return;
    HASH_ITER (hh, h->sessions, s, next_s) {
        HASH_DEL(h->sessions, s);
        session_free(s);
    }
    HASH_ITER (hh, h->holds, hold, next_h) {
        HASH_DEL(h->holds, hold);
        hold_free(hold);
    }
    HASH_ITER (hh, h->ops, op, next_o) {
        HASH_DEL(h->ops, op);
        free(op);
    }
    idle_free(h);
    while ((rel = h->releases)) {
        h->releases = rel->next;
        free(rel);
    }
    xeno_admission_free(h->admission);
    free(h->driver);
    free(h);
}

/* --- opening --- */

/* A watcher that comes back after a restart learns what is true now. */
static void tell_adopted(struct xeno_host *h)
{
    struct session *s, *next;

    HASH_ITER (hh, h->sessions, s, next) {
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_str(o, "state", xeno_state_name((enum xeno_state)s->r.state));
        xeno_json_set_bool(o, "restarted", true);
        event_tell(h, s, "session.state", o);
        session_arm(h, s);
        if (s->next_chain)
            s->next_deadline_ns = host_after(h, h->cfg.validate_timeout_ms);
    }
}

int xeno_host_open(const struct xeno_host_config *cfg, const struct xeno_env *env,
                   struct xeno_db *db, const struct xeno_host_ports *ports, struct xeno_host **ret,
                   struct xeno_err *err)
{
    xeno_auto(xeno_host) h = NULL;
    int r;

    r = config_check(cfg, err);
    if (r < 0)
        return r;
    h = xeno_new0(struct xeno_host);
    h->cfg = *cfg;
    h->driver = xeno_strdup(cfg->driver);
    h->env = env;
    h->db = db;
    h->ports = *ports;
    h->id = xeno_id_of(xeno_key_pub(cfg->key));
    h->admission = xeno_admission_new(&cfg->capacity);
    h->relist_ns = NEVER;
    h->wake_ns = mono_ns(h);
    h->sample_ns = mono_ns(h);
    r = journal_open(h, err);
    if (r < 0)
        return r;
    xeno_admission_keep_daemon_port(h->admission);
    xeno_admission_ask_ports(h->admission, ports->port_in_use, ports->ctx);
    tell_adopted(h);
    corp_kick(h);
    *ret = xeno_take(&h);
    return 0;
}

/* --- the tick --- */

static int expire_holds(struct xeno_host *h, struct xeno_err *err)
{
    int64_t now = wall_ms(h);
    struct hold *hold, *next;

    HASH_ITER (hh, h->holds, hold, next) {
        int r;

        if (hold->expires_ms > now)
            continue;
        r = xeno_db_begin(h->db, err);
        if (r == 0)
            r = journal_end(h, journal_hold_drop(h, hold->id, err), err);
        if (r < 0)
            return r;
        xeno_admission_drop(h->admission, hold->id);
        idle_hold_ended(h, hold);
        HASH_DEL(h->holds, hold);
        hold_free(hold);
    }
    return 0;
}

/* Nothing of it is needed any more: it has been shown long enough, and all its charges are taken.
 * Returns: 1 when it is gone. */
static int purge(struct xeno_host *h, struct session *s, struct xeno_err *err)
{
    int r;

    if (s->r.state != XENO_ENDED || s->queued > 0 || wall_ms(h) - s->r.since_ms < h->cfg.retain_ms)
        return 0;
    r = xeno_db_begin(h->db, err);
    if (r == 0)
        r = journal_end(h, journal_session_drop(h, s->id, err), err);
    if (r < 0)
        return r;
    HASH_DEL(h->sessions, s);
    session_free(s);
    return 1;
}

static int state_timeout(struct xeno_host *h, struct session *s, struct xeno_err *err)
{
    if (mono_ns(h) < s->deadline_ns || (s->r.state != XENO_HELD && !h->reconciled))
        return 0;
    if (s->r.state == XENO_ENDING) {
        if (!s->grumbled) {
            struct xeno_json *o = xeno_json_object();

            xeno_json_set_str(o, "reason", "host.stuck");
            event_tell(h, s, "session.warning", o);
        }
        s->grumbled = true;
        return 0;
    }
    return session_move(h, s, XENO_ON_TIMEOUT,
                        s->r.state == XENO_HELD
                            ? "corp.timeout: the XenoCorp did not validate the order in time"
                            : "task.timeout: the task manager was not done in time",
                        err);
}

/* The end of the agreed life time, announced when a tenth of it or a minute is left. */
static int life_time(struct xeno_host *h, struct session *s, struct xeno_err *err)
{
    int64_t left = s->r.ends_ms - wall_ms(h), notice = (s->r.ends_ms - s->r.created_ms) / 10;

    if (s->r.state == XENO_HELD || s->r.state >= XENO_ENDING)
        return 0;
    if (left <= 0)
        return session_move(h, s, XENO_ON_END, "session.lifetime", err);
    if (left > (notice < 60000 ? notice : 60000)) {
        s->end_told = false; /* it may have been extended */
    } else if (!s->end_told) {
        struct xeno_json *o = xeno_json_object();

        s->end_told = true;
        xeno_json_set_int(o, "ends_ms", s->r.ends_ms);
        event_tell(h, s, "session.ends", o);
    }
    return 0;
}

static int tick_session(struct xeno_host *h, struct session *s, struct xeno_err *err)
{
    int r;

    corp_expire_next(h, s);
    r = state_timeout(h, s, err);
    if (r == 0)
        r = life_time(h, s, err);
    if (r == 0)
        r = money_tick(h, s, err);
    drive_session(h, s);
    return r;
}

int xeno_host_tick(struct xeno_host *h, struct xeno_err *err)
{
    struct session *s, *next;
    int r, first = 0;

    h->wake_ns = mono_ns(h) + h->cfg.sample_ms * XENO_NS_PER_MS;
    op_timeouts(h);
    first = expire_holds(h, err);
    HASH_ITER (hh, h->sessions, s, next) {
        r = purge(h, s, err);
        if (r == 0)
            r = tick_session(h, s, err);
        if (r < 0 && first == 0)
            first = r;
    }
    if (mono_ns(h) >= h->sample_ns) {
        h->sample_ns = mono_ns(h) + h->cfg.sample_ms * XENO_NS_PER_MS;
        drive_sample(h);
    }
    if (h->link && mono_ns(h) >= h->relist_ns)
        drive_list(h);
    r = charges_due(h, err);
    corp_kick(h);
    return first < 0 ? first : r;
}
