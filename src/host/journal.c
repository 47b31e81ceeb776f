/* src/host/journal.c - the rows that a host is rebuilt from.
 *
 *   hold     id, owner, expires_ms, offer (JSON: what was offered and at which prices)
 *   session  id, owner, offer, chain, next_chain, body (JSON: struct rec, rewritten at each change)
 *   task     session, name, body (JSON: state and program)
 *   outbox   session, seq, n (order of sending), amount, body (JSON: the charge)
 *   refused  session, seq, amount, token, detail, time_ms: charges XenoCorp would not take
 *   release  order_id, session: bindings that XenoCorp is still to be told the end of
 *   host     key, value: how often this journal was opened
 *   log_head name, text: "seen", the newest head of the XenoCorp's log that was proved; "other" and
 *            "doubt": one that did not continue it, and why
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/internal.h"

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
    "CREATE TABLE log_head (name text PRIMARY KEY, text text NOT NULL);",
};

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
        hold->taken_ns = mono_ns(h);
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
    s->entered_ns = mono_ns(h);
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
    if (r == 0)
        r = log_load(h, err);
    return r < 0 ? xeno_context(err, r, "journal") : 0;
}
