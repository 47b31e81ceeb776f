/* src/xisd/update.c - updates. */
#include "xisd/update.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "xis/kept.h"
#include "xisd/follow.h"
#include "xisd/party.h"
#include "xisd/peer.h"
#include "xisd/store.h"

/* Numbers that a group of the writer takes at once; what it does not use is passed over. */
#define GROUP 512

struct update {
    struct xeno_work_item item; /* first: the two pointers are one */
    struct xisd *d;
    struct xeno_http_req *q; /* NULL: of `from` */
    enum xeno_advert_kind kind;
    char carrier_id[XENO_ID_CHARS + 1];
    struct xeno_xis_carrier carrier; /* with q */
    struct xisd_update_from from;
    char *jws, *delta; /* texts; of a delta alone, jws is what the index has */
    size_t jws_len, delta_len;
    bool ours; /* jws was checked when it came */
    xeno_time now;
    struct xeno_advert *a;
    int64_t seq;                 /* of its row; 0: the database has none */
    int64_t there;               /* version in the database that is not older; 0: none is */
    struct xeno_xis_claim claim; /* of the carrier's bounds, while it is written */
};

static void update_free(struct update *u)
{
    xeno_xis_claim_end(u->d->xis, &u->claim);
    xeno_advert_free(u->a);
    free(u->jws);
    free(u->delta);
    free(u);
}

/* --- on the threads --- */

static int check(struct xeno_work_item *item)
{
    struct update *u = (struct update *)item;
    xeno_auto(xeno_advert) whole = NULL;
    int r = u->ours ? xeno_advert_reopen(u->jws, u->jws_len, &whole, &item->err)
                    : xeno_advert_open(u->jws, u->jws_len, &whole, &item->err);

    if (r == 0 && u->delta)
        r = xeno_advert_merge(whole, u->delta, u->delta_len, &u->a, &item->err);
    else
        u->a = xeno_take(&whole);
    return r < 0 ? r : xeno_advert_timely(u->a, u->now, &item->err);
}

static int apply(struct xeno_work_item *item, void *user)
{
    struct update *u = (struct update *)item;
    struct xisd *d = user;
    struct xisd_row row;
    int r;

    xisd_row_of(u->a, u->carrier_id, &row);
    row.seq = u->seq = d->next_seq++;
    r = xisd_store_put(d->books, &row, &item->err);
    if (r == -EEXIST) /* another node may have written it, and we have not read it yet */
        (void)xisd_store_version(d->books, u->a->id.s, &u->there, NULL);
    return r;
}

static int begin(void *user, struct xeno_err *err)
{
    struct xisd *d = user;

    return xisd_store_begin(d->books, GROUP, &d->next_seq, err);
}

static int commit(void *user, struct xeno_err *err)
{
    struct xisd *d = user;
    int r = xisd_follow_tell(d, err);

    if (r == 0)
        r = xeno_db_commit(d->books, err);
    if (r < 0)
        xeno_db_rollback(d->books);
    return r;
}

int xisd_work_start(struct xisd *d, struct xeno_err *err)
{
    const struct xeno_work_books books = { .user = d, .begin = begin, .commit = commit };
    struct xeno_work_limits limits = xeno_work_limits_default;

    limits.group_weight = GROUP;
    return xeno_work_new(&books, &limits, &d->work, err);
}

/* --- the end of one --- */

/* In the words of rfc/0016. */
static void translate(struct xeno_err *err)
{
    if (strcmp(err->token, "advert.base") == 0) {
        err->code = -EBUSY;
        snprintf(err->token, sizeof err->token, "xis.base");
    } else if (strcmp(err->token, "advert.expired") == 0) {
        err->code = -EINVAL;
    } else if (strncmp(err->token, "db.", 3) == 0) {
        err->code = -EAGAIN; /* whatever it is, it is ours, and later it may do */
    }
}

static void refuse(struct update *u, struct xeno_err *err)
{
    struct xeno_json *extra;
    int64_t version;

    translate(err);
    if (u->from.done)
        u->from.done(u->from.arg, err->code, 0, err);
    if (!u->q)
        return;
    if (strcmp(err->token, "xis.old") != 0) {
        xisd_refuse(u->d, u->q, err);
        return;
    }
    version = xeno_xis_version(u->d->xis, u->a->id.s);
    if (version < u->there)
        version = u->there;
    extra = xeno_json_object();
    xeno_json_set_int(extra, "version", version);
    u->d->counts.refused++;
    xeno_http_reply_problem(u->q, err, extra);
}

static void accept(struct update *u, const struct xeno_id *id, int64_t version, xeno_time expires,
                   bool fresh, int64_t seq)
{
    struct xeno_json *body;

    u->d->counts.updates++;
    if (u->from.done)
        u->from.done(u->from.arg, 0, seq, NULL);
    if (!u->q)
        return;
    body = xeno_json_object();
    xeno_json_set_str(body, "id", id->s);
    xeno_json_set_int(body, "version", version);
    xeno_json_set_int(body, "expires_ms", expires.ns / XENO_NS_PER_MS);
    xeno_json_set_int(body, "seq", seq);
    xeno_http_reply_json(u->q, fresh && u->kind == XENO_ADVERT_WHOLE ? 201 : 200, body);
}

/* The row that was written is the index's newest, unless others write to the database as well. */
static void note_number(struct update *u, const char *id, int64_t version)
{
    if (u->seq == 0)
        return;
    xeno_kept_number(u->d->xis, id, version, u->seq);
    if (!u->d->follower)
        xeno_kept_through(u->d->xis, u->seq);
}

/* --- on the loop --- */

/* What was written has its place: it was set aside. What is over by now is remembered. */
static int put_kept(struct update *u, struct xeno_err *err)
{
    const struct xeno_xis_carrier c = { .id = u->carrier_id, .bounds = XENO_XIS_UNBOUNDED };
    bool over = u->a->expires.ns <= xeno_wall(u->d->env).ns;

    xeno_xis_claim_end(u->d->xis, &u->claim);
    return xeno_kept_put(u->d->xis, xeno_take(&u->a), u->q && !over ? &c : NULL, u->seq, err);
}

/* The index frees what it is given. */
static void put(struct update *u)
{
    const struct xeno_replica_item it = {
        .id = u->a->id, .version = u->a->version, .expires = u->a->expires, .stamp = u->from.stamp
    };
    bool fresh = xeno_xis_version(u->d->xis, it.id.s) == 0;
    struct xeno_err err = XENO_ERR_INIT;
    int r = put_kept(u, &err);

    /* In the database, and the follower read it there before we came to it; or what was here
     * without a number has one now. */
    if (r == -EEXIST && u->d->follower && u->seq > 0)
        r = 0;
    if (r == 0) {
        note_number(u, it.id.s, it.version);
        xisd_changed(u->d);
        xisd_peers_note(u->d, &it);
        accept(u, &it.id, it.version, it.expires, fresh, u->seq);
    } else {
        u->a = xeno_new0(struct xeno_advert);
        u->a->id = it.id;
        refuse(u, &err);
    }
    update_free(u);
}

static void done(struct xeno_work_item *item)
{
    struct update *u = (struct update *)item;

    if (item->apply)
        u->d->books_fail = item->result < 0 && strncmp(item->err.token, "db.", 3) == 0;
    if (u->d->books_fail && u->a && u->from.memory)
        u->seq = item->result = 0;
    if (item->result >= 0) {
        put(u);
        return;
    }
    if (!u->a)
        u->a = xeno_new0(struct xeno_advert); /* nothing is known of it */
    refuse(u, &item->err);
    update_free(u);
}

static void full(struct update *u)
{
    u->item.result =
        xeno_fail(&u->item.err, -EAGAIN, "xis.busy", "too many updates wait here: try again");
    done(&u->item);
}

/* Checked: it is written if its carrier has room for it, which is set aside until it is in the
 * index. So nothing is written, and seen by other nodes, that is refused then. */
static void checked(struct xeno_work_item *item)
{
    struct update *u = (struct update *)item;

    if (item->result == 0)
        item->result = xeno_xis_claim(u->d->xis, u->a, &u->carrier, &u->claim, &item->err);
    if (item->result < 0) {
        done(item);
        return;
    }
    item->check = NULL;
    item->apply = apply;
    item->done = done;
    if (!xeno_work_submit(u->d->work, item))
        full(u);
}

static void submit(struct update *u)
{
    u->item = (struct xeno_work_item){ .check = check,
                                       .apply = u->q ? NULL : apply,
                                       .done = u->q ? checked : done,
                                       .bytes = sizeof *u + 2 * (u->jws_len + u->delta_len),
                                       .weight = 1 };
    u->now = xeno_wall(u->d->env);
    if (!xeno_work_submit(u->d->work, &u->item))
        full(u);
}

void xisd_update_take(struct xisd *d, const struct xisd_update_from *from, const char *jws,
                      size_t len, const char *delta, size_t delta_len)
{
    struct update *u = xeno_new0(struct update);

    u->d = d;
    u->from = *from;
    snprintf(u->carrier_id, sizeof u->carrier_id, "%s", from->carrier);
    u->jws = xeno_strndup(jws, len);
    u->jws_len = len;
    u->delta = delta ? xeno_strndup(delta, delta_len) : NULL;
    u->delta_len = delta_len;
    submit(u);
}

/* --- requests --- */

/* Count it, and see that the text says it is what the path says. */
static int admit(struct xisd *d, struct xeno_http_req *q, enum xeno_advert_kind want,
                 const struct xeno_xis_carrier *c, struct xeno_err *err)
{
    static const char *const names[] = { "an advert", "a delta", "a withdrawal" };
    enum xeno_advert_kind kind;
    xeno_time wait = { 0 };
    struct xeno_id id;
    char seconds[24];
    const char *text;
    size_t len;
    int r = xeno_xis_admit(d->xis, c, &wait, err);

    if (r < 0) {
        snprintf(seconds, sizeof seconds, "%" PRId64, wait.ns / XENO_NS_PER_S + 1);
        if (err)
            err->code = -EUSERS;
        return -EUSERS;
    }
    text = xeno_http_body(q, &len);
    r = xeno_advert_peek(text, len, &kind, &id, err);
    if (r < 0)
        return r;
    if (kind != want)
        return xeno_fail(err, -EINVAL, "xis.kind", "the body is %s; %s is wanted here", names[kind],
                         names[want]);
    if (strcmp(id.s, xeno_http_param(q, "id")) != 0)
        return xeno_fail(err, -EINVAL, "xis.id", "the path says %.*s, the document %s",
                         XENO_ID_CHARS, xeno_http_param(q, "id"), id.s);
    return 0;
}

/* The document that a delta moves the numbers of. */
static int find_base(struct update *u, const char *id, struct xeno_err *err)
{
    struct xeno_xis_entry e;
    int r = 0;

    xeno_xis_enter(u->d->reader);
    if (xeno_xis_get(u->d->reader, id, &e) && e.state == XENO_XIS_ALIVE) {
        u->jws = xeno_strndup(e.jws, e.jws_len);
        u->jws_len = e.jws_len;
        u->ours = true;
    } else {
        r = xeno_fail(err, -EBUSY, "xis.base", "no advert of %s is here: send a whole one", id);
    }
    xeno_xis_leave(u->d->reader);
    return r;
}

static void take(struct xeno_http_req *q, struct xisd *d, enum xeno_advert_kind kind)
{
    struct xeno_xis_carrier c = xisd_carrier(d, q);
    struct xeno_err err = XENO_ERR_INIT;
    struct update *u;
    const char *text;
    size_t len;

    d->counts.requests++;
    if (!xisd_serves(d, q))
        return;
    if (admit(d, q, kind, &c, &err) < 0) {
        xisd_refuse(d, q, &err);
        return;
    }
    text = xeno_http_body(q, &len);
    u = xeno_new0(struct update);
    u->d = d;
    u->kind = kind;
    u->carrier = c;
    snprintf(u->carrier_id, sizeof u->carrier_id, "%s", c.id);
    u->carrier.id = u->carrier_id;
    if (kind == XENO_ADVERT_DELTA) {
        u->delta = xeno_strndup(text, len);
        u->delta_len = len;
        if (find_base(u, xeno_http_param(q, "id"), &err) < 0) {
            xisd_refuse(d, q, &err);
            update_free(u);
            return;
        }
    } else {
        u->jws = xeno_strndup(text, len);
        u->jws_len = len;
    }
    u->q = q;
    submit(u);
}

void xisd_put_advert(struct xeno_http_req *q, void *user)
{
    take(q, user, XENO_ADVERT_WHOLE);
}

void xisd_patch_advert(struct xeno_http_req *q, void *user)
{
    take(q, user, XENO_ADVERT_DELTA);
}

void xisd_delete_advert(struct xeno_http_req *q, void *user)
{
    take(q, user, XENO_ADVERT_WITHDRAWAL);
}
