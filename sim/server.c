/* sim/server.c - a XenoServer in the simulator. */
#include "sim/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MIB (INT64_C(1) << 20)

static const char *const env_types[] = { "Linux", NULL };

void sim_server_config(struct xeno_host_config *cfg)
{
    xeno_host_config_default(cfg);
    cfg->driver = "null";
    cfg->env_types = env_types;
    cfg->kernel = "6.1.0";
    cfg->capacity = (struct xeno_capacity){
        .cpu_msps = 4000,
        .memory_bytes = 8192 * MIB,
        .disk_bytes = 100000 * MIB,
        .net_kbps = 1000000,
        .reserve_cpu_msps = 400,
        .reserve_memory_bytes = 512 * MIB,
        .reserve_disk_bytes = 1024 * MIB,
        .headroom_percent = 10,
        .nat_first = 0x0a4d0002,
        .nat_count = 250,
        .own_first = 0xc6336410,
        .own_count = 4,
        .port_first = 20000,
        .port_last = 20999,
    };
    cfg->tariff = (struct xeno_tariff){
        .epoch = 1,
        .price = { [XENO_RES_CPU] = { 20, 40 },
                   [XENO_RES_MEMORY] = { 4000, 2000 },
                   [XENO_RES_DISK] = { 300, 100 },
                   [XENO_RES_NET] = { 500, 30000 },
                   [XENO_RES_ADDRESS] = { 2000, 0 } },
    };
}

/* --- its clock --- */

static xeno_time set_wall(const struct xeno_env *env)
{
    const struct sim_clock *c = (const struct sim_clock *)env;

    return xeno_time_add(c->w->t.now, xeno_ms(c->set_ms));
}

static xeno_time world_mono(const struct xeno_env *env)
{
    return xeno_mono(world_env(((const struct sim_clock *)env)->w));
}

static void world_random(const struct xeno_env *env, void *out, size_t len)
{
    xeno_random(world_env(((const struct sim_clock *)env)->w), out, len);
}

/* --- the network to the XenoCorp --- */

struct corp_message {
    struct sim_server *s;
    uint64_t tag, life;
    struct sim_request *q;
    struct xeno_json *reply;
    bool refused, failed;
    struct xeno_err err;
};

static void corp_message_free(void *arg)
{
    struct corp_message *m = arg;

    sim_request_free(m->q);
    xeno_json_unref(m->reply);
    free(m);
}

static void deliver_reply(void *arg)
{
    struct corp_message *m = arg;
    struct sim_server *s = m->s;

    /* The connection died with the process that made it. */
    if (m->life == s->life && sim_server_begin(s)) {
        xeno_host_corp_done(s->host, m->tag, m->reply, m->refused, m->failed ? &m->err : NULL);
        (void)sim_server_end(s);
    }
    corp_message_free(m);
}

static void send_reply(struct corp_message *from, struct xeno_json *reply, bool refused,
                       const struct xeno_err *err)
{
    struct corp_message *m = xeno_new0(struct corp_message);

    m->s = from->s;
    m->tag = from->tag;
    m->life = from->life;
    m->reply = reply;
    m->refused = refused;
    m->failed = err != NULL;
    if (err)
        m->err = *err;
    world_after(m->s->w, world_latency(m->s->w), deliver_reply, m, corp_message_free);
}

static void deliver_request(void *arg)
{
    struct corp_message *m = arg;
    struct sim_server *s = m->s;
    struct xeno_json *reply = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    bool refused = false;
    int r;

    r = sim_corp_handle(s->corp, m->q, &reply, &refused, &err);
    if (r == 0) { /* a reset connection, told at once, or silence */
        xeno_fail(&err, -ECONNRESET, "http.connect", "connection lost");
        if (world_dice(s->w, 2))
            send_reply(m, NULL, false, &err);
    } else if (!world_chance(s->w, s->w->faults.lose)) {
        send_reply(m, reply, refused, r < 0 ? &err : NULL);
        if (world_chance(s->w, s->w->faults.repeat))
            send_reply(m, xeno_json_ref(reply), refused, r < 0 ? &err : NULL);
        reply = NULL;
    }
    xeno_json_unref(reply);
    corp_message_free(m);
}

static char *copy(const char *text)
{
    return text ? xeno_strdup(text) : NULL;
}

static void send_request(struct sim_server *s, uint64_t tag, const struct xeno_host_corp_op *op)
{
    struct corp_message *m = xeno_new0(struct corp_message);

    m->s = s;
    m->tag = tag;
    m->life = s->life;
    m->q = xeno_new0(struct sim_request);
    m->q->server = s->self.id;
    m->q->pub = *xeno_key_pub(s->self.key);
    m->q->path = copy(op->path);
    m->q->key = copy(op->key);
    m->q->body = op->body ? xeno_strndup(op->body, op->body_len) : NULL;
    m->q->body_len = op->body_len;
    world_after(s->w, world_latency(s->w), deliver_request, m, corp_message_free);
}

static void port_corp(void *ctx, uint64_t tag, const struct xeno_host_corp_op *op)
{
    struct sim_server *s = ctx;

    if (s->mute || world_chance(s->w, s->w->faults.lose))
        return;
    send_request(s, tag, op);
    if (world_chance(s->w, s->w->faults.repeat))
        send_request(s, tag, op);
}

/* --- the socket to the task manager: in order, and nothing is lost but the connection --- */

struct task_message {
    struct sim_server *s;
    uint64_t tag, life, link;
    char *text; /* the request, as its frame */
    size_t len;
    struct xeno_json *ok;
    bool is_event;
    struct xeno_task_event event;
    struct xeno_err err;
};

static void task_message_free(void *arg)
{
    struct task_message *m = arg;

    free(m->text);
    xeno_json_unref(m->ok);
    free(m);
}

static void deliver_answer(void *arg)
{
    struct task_message *m = arg;
    struct sim_server *s = m->s;

    if (m->life == s->life && m->link == s->link && s->linked && sim_server_begin(s)) {
        struct xeno_json_at at;

        if (m->ok)
            at = xeno_json_top(m->ok);
        if (m->is_event)
            xeno_host_task_event(s->host, &m->event);
        else
            xeno_host_task_done(s->host, m->tag, m->ok ? &at : NULL, m->ok ? NULL : &m->err);
        (void)sim_server_end(s);
    }
    task_message_free(m);
}

static void answer_later(struct task_message *m)
{
    world_after(m->s->w, 1, deliver_answer, m, task_message_free);
}

static void perform(void *arg)
{
    struct task_message *m = arg;
    struct sim_server *s = m->s;
    xeno_auto(xeno_task_request) q = NULL;
    int r;

    r = xeno_task_request_parse(m->text, m->len, &q, &m->err);
    if (r < 0) {
        sim_fail(s->w, "a request the protocol refuses: %s: %s: %.300s", m->err.token, m->err.text,
                 m->text);
        task_message_free(m);
        return;
    }
    if (s->deaf & 1u << q->op) {
        task_message_free(m);
        return;
    }
    if (q->op != XENO_TASK_LIST && world_chance(s->w, s->w->faults.task_failure))
        xeno_fail(&m->err, -EIO, "task.io", "it failed, for the test");
    else
        (void)taskman_handle(s->tm, q, &m->ok, &m->err);
    answer_later(m);
}

static int64_t work_ms(struct world *w, enum xeno_task_op op)
{
    switch (op) {
    case XENO_TASK_CREATE:
    case XENO_TASK_RESTORE:
        return 10 + (int64_t)world_dice(w, 200);
    case XENO_TASK_SNAPSHOT:
    case XENO_TASK_DESTROY:
        return 5 + (int64_t)world_dice(w, 500);
    default:
        return 1 + (int64_t)world_dice(w, 10);
    }
}

static void port_task(void *ctx, uint64_t tag, struct xeno_task_request *q)
{
    struct sim_server *s = ctx;
    struct task_message *m;
    struct xeno_err err = XENO_ERR_INIT;
    int64_t now = world_ms(s->w), ms = work_ms(s->w, q->op);

    if (s->mute || !s->linked)
        return;
    m = xeno_new0(struct task_message);
    m->s = s;
    m->tag = tag;
    m->life = s->life;
    m->link = s->link;
    q->id = (int64_t)tag;
    s->early += q->op == XENO_TASK_START && !taskman_has(s->tm, q->session);
    if (xeno_task_request_format(q, &m->text, &m->len, &err) < 0) {
        sim_fail(s->w, "a request that has no form: %s: %s", err.token, err.text);
        task_message_free(m);
        return;
    }
    s->free_ms = (s->free_ms > now ? s->free_ms : now) + ms;
    world_after(s->w, s->free_ms - now, perform, m, task_message_free);
}

static void port_event(void *ctx, const struct xeno_host_event *ev)
{
    struct sim_server *s = ctx;

    if (s->on_event && !s->mute)
        s->on_event(s->on_event_ctx, ev);
}

/* --- life and death --- */

static void link_up(void *arg)
{
    struct task_message *m = arg;
    struct sim_server *s = m->s;

    if (m->life == s->life && m->link == s->link && sim_server_begin(s)) {
        s->linked = true;
        xeno_host_task_link(s->host, true);
        (void)sim_server_end(s);
    }
    task_message_free(m);
}

static void link_later(struct sim_server *s, int64_t ms)
{
    struct task_message *m = xeno_new0(struct task_message);

    m->s = s;
    m->life = s->life;
    m->link = s->link;
    world_after(s->w, ms, link_up, m, task_message_free);
}

static void tick(void *arg);

static void tick_later(struct sim_server *s)
{
    int64_t due = xeno_host_next(s->host).ns / XENO_NS_PER_MS + 1, now = world_ms(s->w);
    struct task_message *m;

    if (due <= now)
        due = now + 1;
    if (s->tick_at <= due && s->tick_at > now)
        return; /* one is on its way */
    s->tick_at = due;
    m = xeno_new0(struct task_message);
    m->s = s;
    m->life = s->life;
    m->tag = (uint64_t)due;
    world_after(s->w, due - now, tick, m, task_message_free);
}

static void tick(void *arg)
{
    struct task_message *m = arg;
    struct sim_server *s = m->s;
    struct xeno_err err = XENO_ERR_INIT;

    if (m->life == s->life && (int64_t)m->tag == s->tick_at && sim_server_begin(s)) {
        s->tick_at = 0;
        if (xeno_host_tick(s->host, &err) < 0 && !s->mute && s->w->faults.journal == 0)
            sim_fail(s->w, "tick: %s: %s", err.token, err.text);
        (void)sim_server_end(s);
    }
    task_message_free(m);
}

static void start_later(struct sim_server *s, int64_t down_ms);

static void start(struct sim_server *s)
{
    struct xeno_host_ports ports = {
        .task = port_task, .corp = port_corp, .event = port_event, .ctx = s
    };
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_host_open(&s->cfg, &s->clock.env, s->db, &ports, &s->host, &err) < 0) {
        if (s->w->faults.journal == 0)
            sim_fail(s->w, "open a host: %s: %s", err.token, err.text);
        start_later(s, 5000);
        return;
    }
    s->tick_at = 0;
    link_later(s, 5 + (int64_t)world_dice(s->w, 200));
    tick_later(s);
}

static void start_again(void *arg)
{
    struct task_message *m = arg;

    if (m->life == m->s->life && !m->s->host)
        start(m->s);
    task_message_free(m);
}

static void start_later(struct sim_server *s, int64_t down_ms)
{
    struct task_message *m = xeno_new0(struct task_message);

    m->s = s;
    m->life = s->life;
    world_after(s->w, down_ms, start_again, m, task_message_free);
}

void sim_server_open(struct sim_server *s, struct world *w, struct sim_corp *corp,
                     const struct xeno_host_config *cfg)
{
    struct xeno_err err = XENO_ERR_INIT;

    *s = (struct sim_server){
        .w = w,
        .clock = { .env = { set_wall, world_mono, world_random }, .w = w },
        .corp = corp,
        .life = 1,
    };
    sim_corp_join(corp, XENO_ROLE_SERVER, &s->self);
    if (cfg)
        s->cfg = *cfg;
    else
        sim_server_config(&s->cfg);
    s->cfg.key = s->self.key;
    s->cfg.corp = *xeno_corp_pub(corp->corp);
    s->tm = taskman_new(w);
    if (xeno_db_open("sqlite::memory:", &s->db, &err) < 0) {
        sim_fail(w, "open a journal: %s", err.text);
        return;
    }
    start(s);
}

void sim_server_release(struct sim_server *s)
{
    xeno_host_free(s->host);
    xeno_db_free(s->db);
    taskman_free(s->tm);
    xeno_key_free(s->self.key);
}

void sim_server_crash(struct sim_server *s, int64_t down_ms)
{
    xeno_host_free(xeno_take(&s->host));
    s->life++;
    s->link++;
    s->linked = false;
    s->crashes++;
    start_later(s, down_ms);
}

bool sim_server_begin(struct sim_server *s)
{
    if (!s->host || s->w->failed)
        return false;
    s->calls++;
    s->mute = world_chance(s->w, s->w->faults.crash);
    s->outer = s->mute && world_dice(s->w, 2);
    if (s->die_in > 0 && --s->die_in == 0) {
        s->mute = true;
        s->outer = s->die_outer;
    }
    if (s->outer && xeno_db_begin(s->db, NULL) < 0)
        s->outer = false;
    return true;
}

bool sim_server_end(struct sim_server *s)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (s->mute) {
        if (s->outer)
            xeno_db_rollback(s->db);
        s->mute = s->outer = false;
        sim_server_crash(s, (int64_t)world_dice(s->w, 90000));
        return false;
    }
    if (xeno_host_sound(s->host, &err) == -EUCLEAN)
        sim_fail(s->w, "%s: %s", err.token, err.text);
    if (taskman_cpu_msps(s->tm) > s->cfg.capacity.cpu_msps - s->cfg.capacity.reserve_cpu_msps)
        sim_fail(s->w, "the task manager runs more than there is to sell");
    if (s->linked && world_chance(s->w, s->w->faults.link_loss))
        sim_server_link_loss(s, 100 + (int64_t)world_dice(s->w, 20000));
    tick_later(s);
    return true;
}

void sim_server_link_loss(struct sim_server *s, int64_t down_ms)
{
    if (!s->host)
        return;
    s->link++;
    s->linked = false;
    s->links_lost++;
    xeno_host_task_link(s->host, false);
    link_later(s, down_ms);
}

void sim_server_boot(struct sim_server *s)
{
    taskman_boot(s->tm);
    sim_server_crash(s, 30000);
}

void sim_server_task_exit(struct sim_server *s)
{
    struct task_message *m = xeno_new0(struct task_message);

    m->s = s;
    m->life = s->life;
    m->link = s->link;
    m->is_event = true;
    m->event.kind = XENO_TASK_EVENT_EXIT;
    if (taskman_pick(s->tm, m->event.session, m->event.task) &&
        taskman_exit(s->tm, m->event.session, m->event.task)) {
        answer_later(m);
        return;
    }
    task_message_free(m);
}
