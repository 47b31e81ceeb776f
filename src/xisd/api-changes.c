/* src/xisd/api-changes.c - the feed of changes, and those who wait for the next. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "xis/kept.h"
#include "xisd/party.h"

#define PAGE_BYTES (4 << 20) /* of one answer; the next document is the last */
#define PAGE       1000
#define PAGE_USUAL 100
#define WAIT_S     30

struct xisd_waiter {
    struct xisd *d;
    struct xeno_http_req *q;
    char id[XENO_ID_CHARS + 1]; /* whose */
    char epoch[XISD_EPOCH + 1]; /* in which it asked */
    int64_t after, limit;
    xeno_time until; /* monotonic */
    struct xisd_waiter *prev, *next;
};

static void put_change(struct xeno_buf *out, const struct xeno_xis_entry *e)
{
    xisd_put_int(out, "{\"seq\":", e->kept);
    xeno_buf_printf(out, ",\"id\":\"%s\"", e->id);
    if (e->state == XENO_XIS_EXPIRED) {
        xeno_buf_puts(out, ",\"expired\":true}");
        return;
    }
    xisd_put_int(out, ",\"version\":", e->version);
    xisd_put_int(out, ",\"expires_ms\":", e->expires.ns / XENO_NS_PER_MS);
    if (e->state == XENO_XIS_WITHDRAWN)
        xeno_buf_puts(out, ",\"withdrawn\":true");
    if (e->jws)
        xisd_put_texts(out, e->state == XENO_XIS_WITHDRAWN ? "withdrawal" : "advert", e);
    xeno_buf_puts(out, "}");
}

/* Answer with what is after `after`. Returns: how many changes that is; none is not answered unless
 * `empty`. */
static size_t tell(struct xisd *d, struct xeno_http_req *q, int64_t after, int64_t limit,
                   bool empty)
{
    struct xeno_xis_entry entries[PAGE];
    xeno_autobuf out = XENO_BUF_INIT;
    int64_t next = after;
    bool more = false;
    size_t count, i = 0;

    xeno_xis_enter(d->reader);
    count = xeno_kept_changes(d->reader, after, (size_t)limit, entries, &next, &more);
    if (count > 0 || empty) {
        xeno_buf_printf(&out, "{\"epoch\":\"%s\",\"changes\":[", d->epoch);
        for (; i < count && out.len < PAGE_BYTES; i++) {
            xeno_buf_add(&out, ",", i > 0);
            put_change(&out, &entries[i]);
        }
        if (i < count) {
            next = entries[i - 1].kept;
            more = true;
        }
    }
    xeno_xis_leave(d->reader);
    if (count == 0 && !empty)
        return 0;
    d->counts.changes += (int64_t)i;
    xisd_put_int(&out, "],\"next\":", next);
    xeno_buf_puts(&out, more ? ",\"more\":true}" : ",\"more\":false}");
    xeno_http_reply_data(q, 200, "application/json", out.data, out.len);
    return i;
}

static void answer_gap(struct xisd *d, struct xeno_http_req *q)
{
    struct xeno_json *body = xeno_json_object();

    xeno_json_set_str(body, "epoch", d->epoch);
    xeno_json_set_bool(body, "gap", true);
    xeno_http_reply_json(q, 200, body);
}

/* --- waiting --- */

static void waiter_free(struct xisd_waiter *w)
{
    DL_DELETE(w->d->waiters, w);
    xisd_wait_end(w->d, w->id);
    free(w);
}

static void on_gone(void *arg)
{
    waiter_free(arg);
}

/* Another node of our database may have told more than we have yet; if we do not have it in the
 * end, that was another state of it. Returns: whether it was answered. */
static bool tell_waiter(struct xisd_waiter *w, bool over)
{
    if (strcmp(w->epoch, w->d->epoch) != 0 || (over && w->after > xeno_kept_seq(w->d->reader))) {
        answer_gap(w->d, w->q);
        return true;
    }
    return tell(w->d, w->q, w->after, w->limit, over) > 0 || over;
}

void xisd_waiters_tell(struct xisd *d)
{
    xeno_time now = xeno_mono(d->env);
    struct xisd_waiter *w, *next;

    DL_FOREACH_SAFE (d->waiters, w, next)
        if (tell_waiter(w, w->until.ns <= now.ns))
            waiter_free(w);
}

/* The server is gone, and has told each of them. */
void xisd_waiters_free(struct xisd *d)
{
    while (d->waiters)
        waiter_free(d->waiters);
}

static int wait_for(struct xisd *d, struct xeno_http_req *q, int64_t after, int64_t limit,
                    int64_t seconds, struct xeno_err *err)
{
    const char *id = xeno_http_peer(q)->id.s;
    struct xisd_waiter *w;
    int r = xisd_wait_begin(d, id, err);

    if (r < 0)
        return r;
    w = xeno_new0(struct xisd_waiter);
    w->d = d;
    w->q = q;
    memcpy(w->id, id, sizeof w->id);
    memcpy(w->epoch, d->epoch, sizeof w->epoch);
    w->after = after;
    w->limit = limit;
    w->until = xeno_time_add(xeno_mono(d->env), xeno_s(seconds));
    DL_APPEND(d->waiters, w);
    xeno_http_on_gone(q, on_gone, w);
    return 0;
}

/* --- the request --- */

void xisd_get_changes(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    const char *epoch = xeno_http_query(q, "epoch");
    int64_t after = 0, limit = PAGE_USUAL, seconds = 0;
    struct xeno_err err = XENO_ERR_INIT;
    int r = xisd_query_int(q, "after", 0, INT64_MAX, &after, &err);

    d->counts.requests++;
    if (r == 0)
        r = xisd_query_int(q, "limit", 1, PAGE, &limit, &err);
    if (r == 0)
        r = xisd_query_int(q, "wait", 0, WAIT_S, &seconds, &err);
    if (r == 0) /* from a peer we may have much, but not in the order of the database */
        r = xisd_check_ready(d, d->feed_whole, &err);
    if (r < 0) {
        xisd_refuse(d, q, &err);
        return;
    }
    if (!xisd_may_ask(d, q, limit))
        return;
    if ((epoch && strcmp(epoch, d->epoch) != 0) ||
        (seconds == 0 && after > xeno_kept_seq(d->reader))) {
        answer_gap(d, q);
        return;
    }
    if (tell(d, q, after, limit, seconds == 0) > 0 || seconds == 0)
        return;
    if (wait_for(d, q, after, limit, seconds, &err) < 0)
        xisd_refuse(d, q, &err);
}
