/* src/host/journal.c - the rows that a host is rebuilt from.
 *
 *   hold     id, owner, expires_ms, offer (JSON: what was offered and at which prices)
 *   session  id, owner, offer, chain, next_chain, body (JSON: struct rec, rewritten at each change)
 *   task     session, name, body (JSON: state and program)
 *   outbox   session, seq, n (order of sending), amount, body (JSON: the charge)
 *   refused  session, seq, amount, token, detail, time_ms: charges XenoCorp would not take
 *   release  order_id, session: bindings that XenoCorp is still to be told the end of
 *   host     key, value: how often this journal was opened
 *
 * A rec and its meter are read and written by the tables below, so that a member is named once.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"

#define BODY_MAX (96 * 1024)

static const char *const schema[] = {
    "CREATE TABLE host (key text PRIMARY KEY, value bigint NOT NULL);"
    "CREATE TABLE hold (id text PRIMARY KEY, owner text NOT NULL, expires_ms bigint NOT NULL,"
    " offer text NOT NULL);"
    "CREATE TABLE session (id text PRIMARY KEY, owner text NOT NULL, offer text NOT NULL,"
    " chain text NOT NULL, next_chain text, body text NOT NULL);"
    "CREATE TABLE task (session text NOT NULL REFERENCES session (id), name text NOT NULL,"
    " body text NOT NULL, PRIMARY KEY (session, name));"
    "CREATE TABLE outbox (n bigint NOT NULL UNIQUE, session text NOT NULL, seq bigint NOT NULL,"
    " amount bigint NOT NULL CHECK (amount >= 0), body text NOT NULL, PRIMARY KEY (session, seq));"
    "CREATE TABLE refused (session text NOT NULL, seq bigint NOT NULL, amount bigint NOT NULL,"
    " token text NOT NULL, detail text NOT NULL, time_ms bigint NOT NULL,"
    " PRIMARY KEY (session, seq));"
    "CREATE TABLE release (order_id text NOT NULL, session text NOT NULL,"
    " PRIMARY KEY (order_id, session));",
};

/* --- struct rec as JSON --- */

struct field {
    const char *key;
    size_t off, size; /* size 0: an int64_t; else a text of at most size - 1 bytes */
};
#define INT(member)                                                                                \
    {                                                                                              \
#member, offsetof(struct rec, member), 0                                                   \
    }
#define TEXT(member)                                                                               \
    {                                                                                              \
#member, offsetof(struct rec, member), sizeof(((struct rec *)0)->member)                   \
    }

static const struct field rec_fields[] = {
    INT(since_ms),  INT(parked),        TEXT(reason),       INT(created_ms),       INT(ends_ms),
    TEXT(order),    INT(epoch),         INT(budget),        INT(order_charged),    INT(window_ms),
    INT(dead),      TEXT(next_order),   INT(next_for),      INT(next_lifetime_ms), INT(validations),
    INT(seq),       INT(charged_to_ms), INT(charged),       INT(posted),           INT(refused),
    INT(forfeited), INT(warned),        INT(grace_ends_ms), INT(task_number),
};

#define METER(member)                                                                              \
    {                                                                                              \
#member, offsetof(struct xeno_meter, member), 0                                            \
    }
static const struct field meter_fields[] = {
    METER(at_ms),      METER(shortfall_us), METER(cpu_seen),  METER(cpu_waits),
    METER(cpu_room),   METER(net_seen),     METER(net_waits), METER(net_room),
    METER(stall_seen), METER(memory_bytes), METER(memory_ms), METER(memory_rest),
    METER(disk_bytes), METER(disk_ms),      METER(disk_rest),
};

/* The five numbers of each resource, in this order. */
static int64_t *meter_cell(struct xeno_meter *m, int res, int column)
{
    switch (column) {
    case 0:
        return &m->total[res].reserved;
    case 1:
        return &m->total[res].used;
    case 2:
        return &m->accounted[res];
    case 3:
        return &m->told[res].reserved;
    default:
        return &m->told[res].used;
    }
}
#define METER_COLUMNS 5
static const char *const meter_columns[METER_COLUMNS] = { "reserved", "used", "accounted",
                                                          "told_reserved", "told_used" };

static void fields_set(struct xeno_json *o, const struct field *f, size_t count, const void *from)
{
    for (; count > 0; count--, f++) {
        const char *at = (const char *)from + f->off;

        if (f->size == 0)
            xeno_json_set_int(o, f->key, *(const int64_t *)at);
        else
            xeno_json_set_str(o, f->key, at);
    }
}

static int fields_get(const struct xeno_json_at *o, const struct field *f, size_t count, void *to,
                      struct xeno_err *err)
{
    for (; count > 0; count--, f++) {
        char *at = (char *)to + f->off;
        const char *text = "";
        int r;

        if (f->size == 0) {
            r = xeno_json_int(o, f->key, INT64_MIN, INT64_MAX, (int64_t *)at, err);
        } else {
            r = xeno_json_str(o, f->key, 0, f->size - 1, &text, err);
            if (r == 0)
                snprintf(at, f->size, "%s", text);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static struct xeno_json *meter_json(const struct xeno_meter *m)
{
    struct xeno_json *o = xeno_json_object();

    fields_set(o, meter_fields, XENO_LEN(meter_fields), m);
    for (int res = 0; res < XENO_RES_COUNT; res++) {
        struct xeno_json *cells = xeno_json_object();

        for (int c = 0; c < METER_COLUMNS; c++)
            xeno_json_set_int(cells, meter_columns[c], *meter_cell((struct xeno_meter *)m, res, c));
        xeno_json_set(o, xeno_res_name(res), cells);
    }
    return o;
}

static int meter_read(const struct xeno_json_at *o, struct xeno_meter *m, struct xeno_err *err)
{
    struct xeno_json_at cells;
    int r;

    r = fields_get(o, meter_fields, XENO_LEN(meter_fields), m, err);
    for (int res = 0; res < XENO_RES_COUNT && r == 0; res++) {
        r = xeno_json_obj(o, xeno_res_name(res), &cells, err);
        for (int c = 0; c < METER_COLUMNS && r == 0; c++)
            r = xeno_json_int(&cells, meter_columns[c], INT64_MIN, INT64_MAX, meter_cell(m, res, c),
                              err);
    }
    return r;
}

static char *rec_text(const struct rec *r)
{
    xeno_auto(xeno_json) o = xeno_json_object();

    xeno_json_set_str(o, "state", xeno_state_name((enum xeno_state)r->state));
    fields_set(o, rec_fields, XENO_LEN(rec_fields), r);
    xeno_json_set(o, "meter", meter_json(&r->meter));
    return xeno_json_format(o, false, NULL);
}

/* Parse a text column into an object. */
static int column_json(const char *text, struct xeno_json **ret, struct xeno_err *err)
{
    if (!text)
        return xeno_fail(err, -EPROTO, "journal.row", "an empty column");
    return xeno_json_parse(text, strlen(text), BODY_MAX, ret, err);
}

static int rec_read(const char *text, struct rec *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, meter;
    enum xeno_state state;
    const char *name;
    int r;

    r = column_json(text, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_str(&top, "state", 1, 32, &name, err);
    if (r < 0)
        return r;
    if (!xeno_state_parse(name, &state))
        return xeno_fail(err, -EPROTO, "journal.state", "unknown state '%s'", name);
    ret->state = state;
    r = fields_get(&top, rec_fields, XENO_LEN(rec_fields), ret, err);
    if (r == 0)
        r = xeno_json_obj(&top, "meter", &meter, err);
    return r < 0 ? r : meter_read(&meter, &ret->meter, err);
}

/* --- offers --- */

static char *offer_text(const struct offer *o)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    struct xeno_json *layers = xeno_json_array();

    xeno_json_set_str(doc, "name", o->name);
    xeno_json_set_str(doc, "env_type", o->env_type);
    xeno_json_set_int(doc, "lifetime_ms", o->lifetime_ms);
    xeno_json_set_int(doc, "max_total", o->max_total);
    xeno_json_set_int(doc, "tasks_max", o->tasks_max);
    xeno_json_set(doc, "grant", xeno_grant_json(&o->grant));
    xeno_json_set(doc, "tariff", xeno_tariff_json(&o->tariff));
    for (size_t i = 0; i < o->layer_count; i++)
        xeno_json_append_str(layers, o->layers[i]);
    xeno_json_set(doc, "layers", layers);
    return xeno_json_format(doc, false, NULL);
}

static int layers_read(const struct xeno_json_at *top, struct offer *ret, struct xeno_err *err)
{
    struct xeno_json_at list;
    const char *digest;
    size_t count;
    int r;

    r = xeno_json_arr(top, "layers", XENO_TASK_LAYERS_MAX, &list, &count, err);
    if (r < 0)
        return r;
    ret->layers = count > 0 ? xeno_alloc0(count, sizeof(*ret->layers)) : NULL;
    for (size_t i = 0; i < count; i++) {
        r = xeno_json_item_str(&list, i, 1, XENO_LAYER_TEXT - 1, &digest, err);
        if (r < 0)
            return r;
        snprintf(ret->layers[i], sizeof(*ret->layers), "%s", digest);
    }
    ret->layer_count = count;
    return 0;
}

/* On failure *ret may be half filled: release it in any case. */
static int offer_read(const char *text, struct offer *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, at;
    const char *name = "", *env = "";
    int r;

    r = column_json(text, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_str(&top, "name", 0, sizeof(ret->name) - 1, &name, err);
    if (r == 0)
        r = xeno_json_str(&top, "env_type", 0, sizeof(ret->env_type) - 1, &env, err);
    if (r == 0)
        r = xeno_json_int(&top, "lifetime_ms", 0, INT64_MAX, &ret->lifetime_ms, err);
    if (r == 0)
        r = xeno_json_int(&top, "max_total", 0, INT64_MAX, &ret->max_total, err);
    if (r == 0)
        r = xeno_json_int(&top, "tasks_max", 0, INT64_MAX, &ret->tasks_max, err);
    if (r == 0)
        r = xeno_json_obj(&top, "grant", &at, err);
    if (r == 0)
        r = xeno_grant_read(&at, &ret->grant, err);
    if (r == 0)
        r = xeno_json_obj(&top, "tariff", &at, err);
    if (r == 0)
        r = xeno_tariff_read(&at, &ret->tariff, err);
    if (r < 0)
        return r;
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(ret->env_type, sizeof(ret->env_type), "%s", env);
    return layers_read(&top, ret, err);
}

/* --- tasks --- */

static char *task_text(const struct task *t)
{
    xeno_auto(xeno_json) doc = xeno_json_object();

    xeno_json_set_str(doc, "state", task_state_name(t->state));
    xeno_json_set_int(doc, "code", t->code);
    xeno_json_set_int(doc, "signal", t->signal);
    xeno_json_set_bool(doc, "oom", t->oom);
    xeno_json_set_int(doc, "since_ms", t->since_ms);
    xeno_json_set_str(doc, "reason", t->reason);
    xeno_json_set(doc, "program", xeno_task_program_json(&t->program));
    return xeno_json_format(doc, false, NULL);
}

static int task_read(const char *text, struct task *t, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, at;
    const char *state = "", *reason = "";
    int r;

    r = column_json(text, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_str(&top, "state", 1, 16, &state, err);
    if (r == 0)
        r = xeno_json_int(&top, "code", INT64_MIN, INT64_MAX, &t->code, err);
    if (r == 0)
        r = xeno_json_int(&top, "signal", INT64_MIN, INT64_MAX, &t->signal, err);
    if (r == 0)
        r = xeno_json_bool(&top, "oom", &t->oom, err);
    if (r == 0)
        r = xeno_json_int(&top, "since_ms", 0, INT64_MAX, &t->since_ms, err);
    if (r == 0)
        r = xeno_json_str(&top, "reason", 0, REASON_CHARS - 1, &reason, err);
    if (r == 0)
        r = xeno_json_obj(&top, "program", &at, err);
    if (r == 0)
        r = xeno_task_program_read(&at, &t->program, err);
    if (r < 0)
        return r;
    snprintf(t->reason, sizeof(t->reason), "%s", reason);
    for (int i = TASK_PENDING; i <= TASK_FAILED; i++)
        if (strcmp(task_state_name(i), state) == 0)
            t->state = i;
    return 0;
}

/* --- writing --- */

int journal_hold_put(struct xeno_host *h, const struct hold *hold, struct xeno_err *err)
{
    xeno_autofree char *offer = offer_text(&hold->offer);
    int r;

    r = xeno_db_run(h->db, err,
                    "INSERT INTO hold (id, owner, expires_ms, offer) VALUES ($1, $2, $3, $4)",
                    "ttit", hold->id, hold->owner.s, hold->expires_ms, offer);
    return r < 0 ? r : 0;
}

int journal_hold_drop(struct xeno_host *h, const char *id, struct xeno_err *err)
{
    int r = xeno_db_run(h->db, err, "DELETE FROM hold WHERE id = $1", "t", id);

    return r < 0 ? r : 0;
}

int journal_session_new(struct xeno_host *h, const struct session *s, struct xeno_err *err)
{
    xeno_autofree char *offer = offer_text(&s->offer);
    xeno_autofree char *body = rec_text(&s->r);
    int r;

    r = xeno_db_run(h->db, err,
                    "INSERT INTO session (id, owner, offer, chain, body)"
                    " VALUES ($1, $2, $3, $4, $5)",
                    "ttttt", s->id, s->owner.s, offer, s->chain, body);
    return r < 0 ? r : 0;
}

int journal_session_put(struct xeno_host *h, const struct session *s, struct xeno_err *err)
{
    xeno_autofree char *body = rec_text(&s->r);
    int r;

    r = xeno_db_run(h->db, err, "UPDATE session SET body = $1 WHERE id = $2", "tt", body, s->id);
    return r < 0 ? r : 0;
}

int journal_chain_put(struct xeno_host *h, const struct session *s, struct xeno_err *err)
{
    int r = xeno_db_run(h->db, err, "UPDATE session SET chain = $1, next_chain = $2 WHERE id = $3",
                        "ttt", s->chain, s->next_chain, s->id);

    return r < 0 ? r : 0;
}

int journal_session_drop(struct xeno_host *h, const char *id, struct xeno_err *err)
{
    int r = xeno_db_run(h->db, err, "DELETE FROM task WHERE session = $1", "t", id);

    if (r >= 0)
        r = xeno_db_run(h->db, err, "DELETE FROM refused WHERE session = $1", "t", id);
    if (r >= 0)
        r = xeno_db_run(h->db, err, "DELETE FROM session WHERE id = $1", "t", id);
    return r < 0 ? r : 0;
}

int journal_task_put(struct xeno_host *h, const char *session, const struct task *t,
                     struct xeno_err *err)
{
    xeno_autofree char *body = task_text(t);
    int r;

    r = xeno_db_run(h->db, err,
                    "INSERT INTO task (session, name, body) VALUES ($1, $2, $3)"
                    " ON CONFLICT (session, name) DO UPDATE SET body = excluded.body",
                    "ttt", session, t->name, body);
    return r < 0 ? r : 0;
}

int journal_release_put(struct xeno_host *h, const char *order, const char *session,
                        struct xeno_err *err)
{
    int r = xeno_db_run(h->db, err,
                        "INSERT INTO release (order_id, session) VALUES ($1, $2)"
                        " ON CONFLICT (order_id, session) DO NOTHING",
                        "tt", order, session);

    return r < 0 ? r : 0;
}

int journal_release_drop(struct xeno_host *h, const char *order, const char *session,
                         struct xeno_err *err)
{
    int r = xeno_db_run(h->db, err, "DELETE FROM release WHERE order_id = $1 AND session = $2",
                        "tt", order, session);

    return r < 0 ? r : 0;
}

int journal_end(struct xeno_host *h, int r, struct xeno_err *err)
{
    if (r < 0) {
        xeno_db_rollback(h->db);
        return r;
    }
    return xeno_db_commit(h->db, err); /* undoes by itself when it fails */
}

int session_save(struct xeno_host *h, struct session *s, const struct rec *old,
                 struct xeno_err *err)
{
    int r;

    r = xeno_db_begin(h->db, err);
    if (r == 0)
        r = journal_end(h, journal_session_put(h, s, err), err);
    if (r == 0)
        return 0;
    s->r = *old;
    return xeno_context(err, r, "session %s", s->id);
}

/* --- reading --- */

static void copy_id(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

static int load_holds(struct xeno_host *h, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r;

    r = xeno_query_begin(h->db, &q, "SELECT id, owner, expires_ms, offer FROM hold", err);
    if (r < 0)
        return r;
    while ((r = xeno_query_step(&q, err)) > 0) {
        struct hold *hold = xeno_new0(struct hold);

        copy_id(hold->id, sizeof(hold->id), xeno_query_col_text(&q, 0));
        copy_id(hold->owner.s, sizeof(hold->owner.s), xeno_query_col_text(&q, 1));
        hold->expires_ms = xeno_query_col_int(&q, 2);
        HASH_ADD_STR(h->holds, id, hold);
        r = offer_read(xeno_query_col_text(&q, 3), &hold->offer, err);
        if (r == 0)
            r = xeno_admission_adopt(h->admission, hold->id, &hold->offer.grant, false, err);
        if (r < 0)
            return xeno_context(err, r, "hold %s", hold->id);
    }
    return r;
}

static int load_session(struct xeno_host *h, struct session *s, struct xeno_query *q,
                        struct xeno_err *err)
{
    int r;

    s->chain = xeno_strdup(xeno_query_col_text(q, 3));
    s->next_chain = xeno_strdup(xeno_query_col_text(q, 4));
    s->mono_ms = -1;
    r = offer_read(xeno_query_col_text(q, 2), &s->offer, err);
    if (r == 0)
        r = rec_read(xeno_query_col_text(q, 5), &s->r, err);
    if (r < 0)
        return r;
    if (!xeno_state_info((enum xeno_state)s->r.state)->claimed)
        return 0;
    return xeno_admission_adopt(h->admission, s->id, &s->offer.grant, s->r.parked, err);
}

static int load_sessions(struct xeno_host *h, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r;

    r = xeno_query_begin(h->db, &q, "SELECT id, owner, offer, chain, next_chain, body FROM session",
                         err);
    if (r < 0)
        return r;
    while ((r = xeno_query_step(&q, err)) > 0) {
        struct session *s = xeno_new0(struct session);

        copy_id(s->id, sizeof(s->id), xeno_query_col_text(&q, 0));
        copy_id(s->owner.s, sizeof(s->owner.s), xeno_query_col_text(&q, 1));
        HASH_ADD_STR(h->sessions, id, s);
        r = load_session(h, s, &q, err);
        if (r < 0)
            return xeno_context(err, r, "session %s", s->id);
    }
    return r;
}

static int load_tasks(struct xeno_host *h, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r;

    r = xeno_query_begin(h->db, &q, "SELECT session, name, body FROM task ORDER BY session, name",
                         err);
    if (r < 0)
        return r;
    while ((r = xeno_query_step(&q, err)) > 0) {
        struct session *s = host_session(h, xeno_query_col_text(&q, 0));
        struct task *t, **end;

        if (!s)
            continue;
        t = xeno_new0(struct task);
        copy_id(t->name, sizeof(t->name), xeno_query_col_text(&q, 1));
        for (end = &s->tasks; *end;)
            end = &(*end)->next;
        *end = t;
        r = task_read(xeno_query_col_text(&q, 2), t, err);
        if (r < 0)
            return xeno_context(err, r, "session %s: task %s", s->id, t->name);
    }
    return r;
}

static int load_releases(struct xeno_host *h, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r;

    r = xeno_query_begin(h->db, &q, "SELECT order_id, session FROM release", err);
    if (r < 0)
        return r;
    while ((r = xeno_query_step(&q, err)) > 0)
        release_add(h, xeno_query_col_text(&q, 0), xeno_query_col_text(&q, 1));
    return r;
}

/* Event ids and tags of one life come after all of those before: the number of the life is their
 * upper half, and it is on the disk before the first is given out. */
static int count_lives(struct xeno_host *h, struct xeno_err *err)
{
    int64_t lives = 0;
    int r;

    r = xeno_db_run(h->db, err,
                    "INSERT INTO host (key, value) VALUES ('lives', 1)"
                    " ON CONFLICT (key) DO UPDATE SET value = host.value + 1",
                    "");
    if (r >= 0)
        r = xeno_db_one_int(h->db, 0, &lives, err, "SELECT value FROM host WHERE key = 'lives'",
                            "");
    if (r < 0)
        return r;
    h->event_id = (uint64_t)lives << 24;
    h->tag = (uint64_t)lives << 32;
    return 0;
}

int journal_open(struct xeno_host *h, struct xeno_err *err)
{
    int r;

    r = xeno_db_migrate_part(h->db, "host", schema, XENO_LEN(schema), err);
    if (r == 0)
        r = count_lives(h, err);
    if (r == 0)
        r = load_holds(h, err);
    if (r == 0)
        r = load_sessions(h, err);
    if (r == 0)
        r = load_tasks(h, err);
    if (r == 0)
        r = load_releases(h, err);
    if (r == 0)
        r = outbox_load(h, err);
    return r < 0 ? xeno_context(err, r, "journal") : 0;
}
