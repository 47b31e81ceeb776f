/* src/xrdd/world.c - the XenoServers that are known. */
#include "xrdd/world.h"

#include <errno.h>
#include <string.h>
#include <uthash.h>

#include "xrdd/places.h"

struct server {
    struct xeno_id id;
    int64_t version;
    xeno_time expires;
    bool withdrawn;
    unsigned told; /* a bit for each source that has it now */
    struct xrdd_home home;
    UT_hash_handle hh;
};

/* Apart from the servers: what comes back has its complaints still. */
struct counted {
    struct xeno_id id;
    int64_t count;
    UT_hash_handle hh;
};

struct xrdd_world {
    const struct xeno_env *env;
    struct xeno_rd *rd;
    size_t max;
    struct server *all; /* withdrawn ones, too, which rd has not */
    struct xrdd_places *places;
    struct counted *counted;
    unsigned open; /* a bit for each source that is telling from the beginning */
};

struct xrdd_world *xrdd_world_new(const struct xeno_env *env, size_t max)
{
    struct xrdd_world *w = xeno_new0(struct xrdd_world);

    *w = (struct xrdd_world){
        .env = env, .rd = xeno_rd_new(max), .max = max, .places = xrdd_places_new()
    };
    return w;
}

void xrdd_world_free(struct xrdd_world *w)
{
    struct server *s, *next;
    struct counted *c, *after;

    if (!w)
        return;
    HASH_ITER (hh, w->counted, c, after) {
        HASH_DEL(w->counted, c);
        free(c);
    }
    HASH_ITER (hh, w->all, s, next) {
        HASH_DEL(w->all, s);
        free(s);
    }
    xrdd_places_free(w->places);
    xeno_rd_free(w->rd);
    free(w);
}

struct xeno_rd *xrdd_world_rd(const struct xrdd_world *w)
{
    return w->rd;
}

bool xrdd_world_at(const struct xrdd_world *w, const char *address, uint32_t *ret_slot)
{
    return xrdd_places_find(w->places, address, ret_slot);
}

static struct server *find(const struct xrdd_world *w, const char *id)
{
    struct server *s = NULL;

    if (xeno_id_ok(id))
        HASH_FIND(hh, w->all, id, XENO_ID_CHARS, s);
    return s;
}

/* Out of what is searched. */
static void take_away(struct xrdd_world *w, struct server *s)
{
    xrdd_places_leave(w->places, &s->home);
    xeno_rd_remove(w->rd, &s->id);
}

static void forget(struct xrdd_world *w, struct server *s)
{
    take_away(w, s);
    HASH_DEL(w->all, s);
    free(s);
}

/* A withdrawal stays until its lease ends, whoever tells it; and while a source is telling from the
 * beginning, what it has not told yet may follow. */
static bool is_lost(const struct xrdd_world *w, const struct server *s)
{
    return s->told == 0 && !s->withdrawn && w->open == 0;
}

/* --- what is told --- */

static int check_size(const char *text, size_t *ret, struct xeno_err *err)
{
    *ret = strlen(text);
    if (*ret > XENO_ADVERT_JWS_MAX)
        return xeno_fail(err, -EFBIG, "advert.size", "an advert of %zu bytes: at most %d", *ret,
                         XENO_ADVERT_JWS_MAX);
    return 0;
}

/* The whole document. One that is here as it stands was checked when it came: with most updates
 * only the delta is new. */
static int open_whole(const struct xeno_advert *have, const char *jws, struct xeno_advert **ret,
                      struct xeno_err *err)
{
    size_t len;
    int r = check_size(jws, &len, err);

    if (r < 0)
        return r;
    if (have && have->jws_len == len && memcmp(have->jws, jws, len) == 0)
        return xeno_advert_reopen(jws, len, ret, err);
    return xeno_advert_open(jws, len, ret, err);
}

static int open_told(const struct xeno_advert *have, const char *jws, const char *delta,
                     struct xeno_advert **ret, struct xeno_err *err)
{
    xeno_auto(xeno_advert) whole = NULL;
    size_t len;
    int r = open_whole(have, jws, &whole, err);

    if (r == 0 && !delta)
        *ret = xeno_take(&whole);
    if (r < 0 || !delta)
        return r;
    r = check_size(delta, &len, err);
    return r < 0 ? r : xeno_advert_merge(whole, delta, len, ret, err);
}

static int open_checked(const struct xrdd_world *w, const char *id, const char *jws,
                        const char *delta, struct xeno_advert **ret, struct xeno_err *err)
{
    const struct server *s = find(w, id);
    xeno_auto(xeno_advert) fresh = NULL;
    int r = open_told(s ? xeno_rd_get(w->rd, &s->id) : NULL, jws, delta, &fresh, err);

    if (r == 0 && strcmp(fresh->id.s, id) != 0)
        r = xeno_fail(err, -EPERM, "rd.id", "%s's advert was told as %.32s's", fresh->id.s, id);
    if (r == 0)
        r = xeno_advert_timely(fresh, xeno_wall(w->env), err);
    if (r == 0)
        *ret = xeno_take(&fresh);
    return r;
}

static struct server *add(struct xrdd_world *w, const struct xeno_id *id)
{
    struct server *s = xeno_new0(struct server);

    s->id = *id;
    HASH_ADD_KEYPTR(hh, w->all, s->id.s, XENO_ID_CHARS, s);
    return s;
}

/* --- complaints --- */

static struct counted *find_counted(const struct xrdd_world *w, const char *id)
{
    struct counted *c = NULL;

    HASH_FIND(hh, w->counted, id, XENO_ID_CHARS, c);
    return c;
}

void xrdd_world_complaints(struct xrdd_world *w, const char *id, int64_t count)
{
    struct counted *c = xeno_id_ok(id) ? find_counted(w, id) : NULL;

    if (!xeno_id_ok(id) || (!c && HASH_COUNT(w->counted) >= w->max))
        return;
    if (!c) {
        c = xeno_new0(struct counted);
        memcpy(c->id.s, id, sizeof c->id.s);
        HASH_ADD_KEYPTR(hh, w->counted, c->id.s, XENO_ID_CHARS, c);
    }
    c->count = count > c->count ? count : c->count;
    (void)xeno_rd_complaints(w->rd, &c->id, c->count);
}

/* --- news --- */

/* Its advert, taken, is the one that is searched. */
static int put(struct xrdd_world *w, struct server *s, struct xeno_advert *fresh,
               struct xeno_err *err)
{
    const struct counted *c = find_counted(w, s->id.s);
    uint32_t slot = 0;
    int r = xeno_rd_put(w->rd, fresh, err);

    if (r < 0) {
        xeno_advert_free(fresh);
        return r;
    }
    if (xeno_rd_slot(w->rd, &s->id, &slot))
        xrdd_places_move(w->places, &s->home, fresh->endpoint, slot);
    if (c)
        (void)xeno_rd_complaints(w->rd, &s->id, c->count);
    return 0;
}

/* The newest word on it is `fresh`, which is taken. */
static int replace(struct xrdd_world *w, struct server *s, struct xeno_advert *fresh,
                   struct xeno_err *err)
{
    s->version = fresh->version;
    s->expires = fresh->expires;
    s->withdrawn = fresh->withdrawn;
    if (!s->withdrawn)
        return put(w, s, fresh, err);
    take_away(w, s);
    xeno_advert_free(fresh);
    return 0;
}

int xrdd_world_tell(struct xrdd_world *w, unsigned source, const char *id, int64_t version,
                    const char *jws, const char *delta, struct xeno_err *err)
{
    struct server *s = find(w, id);
    struct xeno_advert *fresh = NULL;
    int r;

    if (s && s->version >= version) {
        s->told |= 1U << source;
        return 0;
    }
    if (!s && HASH_COUNT(w->all) >= w->max)
        return xeno_fail(err, -ENOSPC, "rd.full", "%zu XenoServers are known: no more are kept",
                         w->max);
    r = open_checked(w, id, jws, delta, &fresh, err);
    if (r < 0)
        return r;
    if (s && s->version >= fresh->version) { /* the version that was told is not its own */
        xeno_advert_free(fresh);
        return 0;
    }
    if (!s)
        s = add(w, &fresh->id);
    s->told |= 1U << source;
    r = replace(w, s, fresh, err);
    return r < 0 ? r : 1;
}

void xrdd_world_untell(struct xrdd_world *w, unsigned source, const char *id)
{
    struct server *s = find(w, id);

    if (!s)
        return;
    s->told &= ~(1U << source);
    if (is_lost(w, s))
        forget(w, s);
}

void xrdd_world_restart(struct xrdd_world *w, unsigned source)
{
    w->open |= 1U << source;
    for (struct server *s = w->all; s; s = s->hh.next)
        s->told &= ~(1U << source);
}

void xrdd_world_through(struct xrdd_world *w, unsigned source)
{
    struct server *s, *next;

    w->open &= ~(1U << source);
    HASH_ITER (hh, w->all, s, next) {
        if (is_lost(w, s))
            forget(w, s);
    }
    xeno_rd_settle(w->rd);
}

void xrdd_world_age(struct xrdd_world *w)
{
    xeno_time now = xeno_wall(w->env);
    struct server *s, *next;

    HASH_ITER (hh, w->all, s, next) {
        if (s->expires.ns <= now.ns)
            forget(w, s);
    }
    xeno_rd_settle(w->rd);
}
