/* src/xis/replica-hear.c - what a peer's answer does. Everything in it is the peer's word. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/enc.h"
#include "xis/advert.h"
#include "xis/replica-priv.h"

#define DOUBT_S 3600
#define LIST    2048 /* ids of one bucket in an answer */

static xeno_time after(const struct xeno_replica *r, xeno_time len)
{
    return xeno_time_add(xeno_mono(r->env), len);
}

static void wait_until(struct peer *p, xeno_time at)
{
    p->phase = WAITING;
    p->at = at;
}

static int bad(struct xeno_err *err, const char *what)
{
    return xeno_fail(err, -EBADMSG, "replica.answer", "a peer's answer: %s", what);
}

static void release_busy(struct xeno_replica *r, size_t peer)
{
    if (r->busy == peer)
        r->busy = NOBODY;
}

/* --- vectors that a peer gives --- */

/* Everything it stands for has been taken. Of origins that we have nothing of there is nothing to
 * remember. */
static void adopt(struct xeno_replica *r, size_t peer, const struct vector *v)
{
    if (xeno_mono(r->env).ns < r->peers[peer].doubted_until.ns)
        return;
    for (size_t i = 0; i < v->count; i++) {
        struct origin *o = xeno_replica_origin(r, v->at[i].origin);

        if (o && o->covered < v->at[i].seq) {
            o->covered = v->at[i].seq;
            o->raised_by = peer;
        }
    }
}

/* A repair brought what the vector said was here: somebody told us too much. */
static void doubt(struct xeno_replica *r, struct xeno_stamp stamp)
{
    struct origin *o = xeno_replica_origin(r, stamp.origin);
    xeno_time now = xeno_mono(r->env);

    if (!o || o->covered < stamp.seq)
        return;
    if (o->raised_by != NOBODY)
        r->peers[o->raised_by].doubted_until = xeno_time_add(now, xeno_s(DOUBT_S));
    o->covered = 0;
    o->raised_by = NOBODY;
    r->stats.doubts++;
    for (size_t i = 0; i < r->peer_count; i++) /* what else was passed over? */
        r->peers[i].repair_at = now;
}

/* --- repairs --- */

void xeno_replica_repair_drop(struct xeno_replica *r, size_t peer)
{
    struct repair *rp = &r->peers[peer].repair;

    free(rp->prefixes);
    free(rp->wanted);
    memset(rp, 0, sizeof *rp);
    release_busy(r, peer);
}

/* We have all that the peer had at its first answer, unless something was left out. */
void xeno_replica_repair_end(struct xeno_replica *r, size_t peer)
{
    struct peer *p = &r->peers[peer];
    struct repair *rp = &p->repair;
    bool again = rp->cut && rp->news;

    r->stats.repairs++;
    r->stats.whole += !rp->cut;
    if (!rp->cut && !rp->refused) {
        p->epoch = rp->epoch;
        p->after = rp->next;
        adopt(r, peer, &rp->vector);
    }
    p->repair_at = after(r, xeno_replica_jitter(r, again ? r->limits.poll : r->limits.repair));
    p->failures = 0;
    /* Not taken for good: what it has is asked for from here on, the rest by the next repair. */
    if (p->epoch == 0 && !again) {
        p->epoch = rp->epoch;
        p->after = rp->next;
    }
    wait_until(p, after(r, xeno_replica_jitter(r, r->limits.poll)));
    xeno_replica_repair_drop(r, peer);
}

static void repair_go_on(struct xeno_replica *r, size_t peer)
{
    struct peer *p = &r->peers[peer];

    if (p->repair.prefix_count == 0 && p->repair.wanted_count == 0)
        xeno_replica_repair_end(r, peer);
    else
        wait_until(p, xeno_mono(r->env));
}

static void push_prefix(struct repair *rp, const char *prefix, char letter, const char *from)
{
    struct prefix *at;
    size_t len = strlen(prefix);

    if (rp->prefix_count == rp->prefix_room) {
        rp->prefix_room = rp->prefix_room ? rp->prefix_room * 2 : 64;
        rp->prefixes = xeno_grow(rp->prefixes, rp->prefix_room);
    }
    at = &rp->prefixes[rp->prefix_count++];
    memset(at, 0, sizeof *at);
    memcpy(at->text, prefix, len);
    if (letter)
        at->text[len] = letter;
    memcpy(at->after, from, strlen(from));
}

static void want(struct xeno_replica *r, struct repair *rp, const char *id, int64_t version)
{
    struct wanted w = { .version = version };

    memcpy(w.id.s, id, XENO_ID_CHARS);
    if (!xeno_replica_news(r, &w.id, version))
        return;
    if (rp->wanted_count == r->limits.fetches) {
        rp->cut = true;
        return;
    }
    if (rp->wanted_count == rp->wanted_room) {
        rp->wanted_room = rp->wanted_room ? rp->wanted_room * 2 : 64;
        rp->wanted = xeno_grow(rp->wanted, rp->wanted_room);
    }
    rp->wanted[rp->wanted_count++] = w;
}

/* The hashes below a prefix: those that differ are looked into. */
static int hear_children(struct xeno_replica *r, struct repair *rp, const struct prefix *at,
                         const struct xeno_json_at *node, struct xeno_err *err)
{
    struct xeno_json_at list;
    size_t count, len = strlen(at->text);
    int x = xeno_json_arr(node, "children", LETTERS, &list, &count, err);

    if (x < 0)
        return x;
    if (count != LETTERS)
        return bad(err, "not 32 children");
    for (size_t i = 0; i < LETTERS; i++) {
        uint8_t theirs[XENO_REPLICA_HASH], ours[XENO_REPLICA_HASH];
        char child[3] = { 0 };
        const char *text;

        x = xeno_json_item_str(&list, i, 2 * XENO_REPLICA_HASH, 2 * XENO_REPLICA_HASH, &text, err);
        if (x < 0 || !xeno_unhex(text, theirs, sizeof theirs))
            return x < 0 ? x : bad(err, "a hash that is none");
        memcpy(child, at->text, len);
        child[len] = xeno_replica_letter(i);
        xeno_replica_hash(r, child, ours);
        if (memcmp(ours, theirs, sizeof ours) != 0)
            push_prefix(rp, at->text, child[len], "");
    }
    return 0;
}

/* A bucket's versions, in the order of ids. */
static int hear_list(struct xeno_replica *r, struct repair *rp, const struct prefix *at,
                     const struct xeno_json_at *node, struct xeno_err *err)
{
    const char *id, *last = at->after;
    struct xeno_json_at versions;
    int64_t version;
    bool more;
    int x = xeno_json_obj(node, "versions", &versions, err);

    if (x == 0)
        x = xeno_json_bool(node, "more", &more, err);
    for (size_t i = 0; x == 0 && (id = xeno_json_key(&versions, i)); i++) {
        if (i == LIST || !xeno_id_ok(id) || strncmp(id, at->text, 2) != 0 || strcmp(id, last) <= 0)
            return bad(err, "a list too long, or not of its prefix, or not in order");
        x = xeno_json_int(&versions, id, 1, XENO_ADVERT_VERSION, &version, err);
        if (x == 0)
            want(r, rp, id, version);
        last = id;
        rp->listed++;
    }
    if (x < 0)
        return x;
    if (more && last == at->after)
        return bad(err, "a list without end");
    if (rp->listed > 2 * r->limits.entries)
        rp->cut = true;
    else if (more)
        push_prefix(rp, at->text, '\0', last);
    return 0;
}

/* A node of the answer belongs to the first prefix asked for that is not answered yet. */
static int hear_node(struct xeno_replica *r, struct repair *rp, const struct prefix *at,
                     const struct xeno_json_at *node, struct xeno_err *err)
{
    const char *prefix;
    int x = xeno_json_str(node, "prefix", 0, 2, &prefix, err);

    if (x < 0)
        return x;
    if (strcmp(prefix, at->text) != 0)
        return bad(err, "a prefix that was not asked for");
    return strlen(prefix) == 2 ? hear_list(r, rp, at, node, err)
                               : hear_children(r, rp, at, node, err);
}

static int hear_start(struct repair *rp, const struct xeno_json_at *top, struct xeno_err *err)
{
    uint64_t epoch = 0;
    int x = xeno_replica_get_origin(top, "epoch", &epoch, err);

    if (x != 0)
        return x < 0 ? x : bad(err, "no epoch");
    if (rp->started)
        return epoch == rp->epoch ? 0 : bad(err, "it is another epoch's");
    rp->epoch = epoch;
    x = xeno_json_int(top, "next", 0, XENO_REPLICA_SEQ, &rp->next, err);
    if (x == 0)
        x = xeno_replica_get_vector(top, &rp->vector, err);
    rp->started = x >= 0;
    return x < 0 ? x : 0;
}

static int hear_tree(struct xeno_replica *r, size_t peer, const struct xeno_json_at *top,
                     struct xeno_err *err)
{
    struct repair *rp = &r->peers[peer].repair;
    struct prefix asked[32];
    struct xeno_json_at nodes;
    size_t count;
    int x = hear_start(rp, top, err);

    if (x == 0)
        x = xeno_json_arr(top, "nodes", XENO_LEN(asked), &nodes, &count, err);
    if (x < 0)
        return x;
    if (count == 0 || count > rp->asked)
        return bad(err, "not what was asked for");
    memcpy(asked, rp->prefixes, count * sizeof *asked);
    rp->prefix_count -= count;
    memmove(rp->prefixes, rp->prefixes + count, rp->prefix_count * sizeof *rp->prefixes);
    for (size_t i = 0; i < count; i++) {
        struct xeno_json_at node = xeno_json_item(&nodes, i);

        x = hear_node(r, rp, &asked[i], &node, err);
        if (x < 0)
            return x;
    }
    if (rp->cut)
        rp->prefix_count = 0;
    repair_go_on(r, peer);
    return 0;
}

/* --- what adverts became --- */

static void page_end(struct xeno_replica *r, size_t peer)
{
    struct peer *p = &r->peers[peer];
    struct page *g = &p->page;

    p->phase = WAITING;
    if (g->again) { /* from the same place, later */
        xeno_replica_lost(r, peer);
        return;
    }
    if (p->job == FETCH) {
        p->repair.news |= g->news;
        p->repair.refused |= g->refused;
        repair_go_on(r, peer);
        return;
    }
    p->failures = g->refused ? p->failures + 1 : 0;
    p->epoch = g->epoch;
    p->after = g->next;
    if (g->complete && !g->refused)
        adopt(r, peer, &g->vector);
    r->stats.whole += !g->more;
    if (g->more && g->news) {
        wait_until(p, xeno_mono(r->env));
        return;
    }
    release_busy(r, peer);
    wait_until(p, after(r, xeno_replica_jitter(r, r->limits.poll)));
}

static void page_one_less(struct xeno_replica *r, size_t peer)
{
    if (--r->peers[peer].page.pending == 0)
        page_end(r, peer);
}

void xeno_replica_took(struct xeno_replica *r, uint64_t ticket, int result)
{
    size_t peer = (size_t)(ticket >> 32), i = ticket & UINT32_MAX;
    struct peer *p = &r->peers[peer];

    assert(peer < r->peer_count && p->phase == TAKING && i < p->page.count);
    if (result == 0) {
        r->stats.kept++;
        p->page.news = true;
        if (p->job == FETCH)
            r->stats.repaired++;
        if (p->job == FETCH)
            doubt(r, p->page.stamps[i]);
    } else if (result == -EEXIST || result == -ETIME) {
        r->stats.old++;
    } else if (result == -EAGAIN || result == -ENOSPC || result == -ENOTCONN || result == -EIO) {
        p->page.again = true;
    } else {
        r->stats.refused++;
        p->page.refused = true;
    }
    page_one_less(r, peer);
}

/* Offers those that are news. `offers` are all read before the first is made, so that a page out of
 * form changes nothing. */
static void take_page(struct xeno_replica *r, size_t peer, struct xeno_replica_offer *offers,
                      size_t count)
{
    struct page *g = &r->peers[peer].page;

    r->peers[peer].phase = TAKING;
    g->pending = 1;
    for (size_t i = 0; i < count; i++) {
        struct xeno_replica_offer *o = &offers[i];

        r->stats.offered++;
        if (!xeno_replica_news(r, &o->item.id, o->item.version)) {
            r->stats.old++;
            continue;
        }
        o->peer = peer;
        o->ticket = (uint64_t)peer << 32 | g->count;
        g->stamps[g->count++] = o->item.stamp;
        g->pending++;
        r->host.take(r->host.user, o);
    }
    page_one_less(r, peer);
}

static int read_entries(const struct xeno_replica *r, const struct xeno_json_at *top,
                        struct xeno_replica_offer *offers, size_t *ret_count, struct xeno_err *err)
{
    struct xeno_json_at list;
    int x = xeno_json_arr(top, "entries", XENO_REPLICA_PAGE, &list, ret_count, err);

    for (size_t i = 0; x == 0 && i < *ret_count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);

        x = xeno_replica_get_entry(&item, &offers[i], err);
        /* What came from us says so truly only of what we know; and "ours first" it is not. */
        if (offers[i].item.stamp.origin == r->origin || offers[i].item.stamp.origin == 0)
            offers[i].item.stamp = (struct xeno_stamp){ .seq = XENO_REPLICA_RESTORED };
    }
    return x;
}

static int hear_fetch(struct xeno_replica *r, size_t peer, const struct xeno_json_at *top,
                      struct xeno_replica_offer *offers, struct xeno_err *err)
{
    struct repair *rp = &r->peers[peer].repair;
    size_t count, i = 0, done = 0;
    size_t asked = rp->wanted_count < XENO_REPLICA_PAGE ? rp->wanted_count : XENO_REPLICA_PAGE;
    int x = hear_start(rp, top, err);

    if (x == 0)
        x = read_entries(r, top, offers, &count, err);
    if (x < 0)
        return x;
    for (; i < count; i++) { /* in the order in which they were asked for */
        while (done < asked && strcmp(rp->wanted[done].id.s, offers[i].item.id.s) != 0)
            done++;
        if (done++ == asked)
            return bad(err, "an advert that was not asked for");
    }
    if (count == 0) /* it said it had them, and has none */
        done = asked;
    rp->wanted_count -= done;
    memmove(rp->wanted, rp->wanted + done, rp->wanted_count * sizeof *rp->wanted);
    take_page(r, peer, offers, count);
    return 0;
}

static int read_pull(const struct xeno_json_at *top, const struct peer *p, struct page *g,
                     struct xeno_err *err)
{
    int x = xeno_json_int(top, "next", p->epoch ? p->after : 0, XENO_REPLICA_SEQ, &g->next, err);

    if (x == 0)
        x = xeno_json_bool(top, "more", &g->more, err);
    if (x < 0)
        return x;
    if (g->more && g->next == (p->epoch ? p->after : 0))
        return bad(err, "more, but no further");
    x = xeno_replica_get_vector(top, &g->vector, err);
    g->complete = x == 0 && !g->more;
    return x < 0 ? x : 0;
}

static int hear_pull(struct xeno_replica *r, size_t peer, const struct xeno_json_at *top,
                     struct xeno_replica_offer *offers, struct xeno_err *err)
{
    struct peer *p = &r->peers[peer];
    bool gap = false;
    size_t count;
    int x = xeno_replica_get_origin(top, "epoch", &p->page.epoch, err);

    if (x == 0)
        x = xeno_json_bool_opt(top, "gap", &gap, err);
    else if (x > 0)
        x = bad(err, "no epoch");
    if (x < 0)
        return x;
    if (gap || (p->epoch != 0 && p->page.epoch != p->epoch)) {
        p->epoch = 0; /* it has started again: compare */
        release_busy(r, peer);
        wait_until(p, after(r, xeno_replica_jitter(r, r->limits.poll)));
        return 0;
    }
    x = read_pull(top, p, &p->page, err);
    if (x == 0)
        x = read_entries(r, top, offers, &count, err);
    if (x < 0)
        return x;
    take_page(r, peer, offers, count);
    return 0;
}

int xeno_replica_hear(struct xeno_replica *r, size_t peer, const char *text, size_t len,
                      struct xeno_err *err)
{
    xeno_autofree struct xeno_replica_offer *offers = NULL;
    struct peer *p = &r->peers[peer];
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    int64_t n;
    int x = xeno_json_parse(text, len, XENO_REPLICA_ANSWER, &doc, err);

    if (x == 0) {
        top = xeno_json_top(doc);
        x = xeno_json_int(&top, "n", 0, XENO_REPLICA_SEQ, &n, err);
    }
    if (p->phase != ASKED || (x == 0 && n != p->n))
        return xeno_fail(err, -ESTALE, "replica.stale", "an answer to no question of now");
    if (x == 0) {
        memset(&p->page, 0, sizeof p->page);
        offers = xeno_new0_n(struct xeno_replica_offer, XENO_REPLICA_PAGE);
        if (p->job == TREE)
            x = hear_tree(r, peer, &top, err);
        else if (p->job == FETCH)
            x = hear_fetch(r, peer, &top, offers, err);
        else
            x = hear_pull(r, peer, &top, offers, err);
    }
    if (x < 0)
        xeno_replica_lost(r, peer);
    return x < 0 ? x : 0;
}
