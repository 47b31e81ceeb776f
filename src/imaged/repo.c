/* src/imaged/repo.c - repositories: by which trust they are spoken to, and when they are left
 * alone.
 *
 * A door is a source of bytes with one idea of trust: the web's, or our XenoCorp's with our
 * credential. A host is tried with the web's first; when its certificate is nobody's that the web
 * believes, with our XenoCorp's. Which of them it was is remembered as long as we run. A door of an
 * older credential is closed when nobody is in it any more.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "image/chunked.h"
#include "imaged/imaged.h"

#define QUIET_FIRST_MS 500
#define QUIET_MAX_MS   5000 /* for names; reads have their own (image/source.h) */

struct door {
    struct xeno_source *source;
    unsigned generation; /* of the credential */
    unsigned users;
    bool stale;
};

struct repo {
    struct imaged *d;
    char *name;
    struct xeno_registry_name where;
    struct xeno_sources *sources; /* one: us */
    atomic_bool away;
    pthread_mutex_t mutex; /* of the rest; the daemon's may be taken within, never the reverse */
    struct door *web, *corp;
    enum { TRUST_UNKNOWN, TRUST_WEB, TRUST_CORP } trust;
    unsigned quiet; /* calls that were not answered, in a row */
    xeno_time quiet_until;
    struct xeno_err last; /* of them */
    UT_hash_handle hh;
};

const char *repo_name(const struct repo *p)
{
    return p->name;
}

const char *repo_host(const struct repo *p)
{
    return p->where.host;
}

struct imaged *repo_daemon(const struct repo *p)
{
    return p->d;
}

/* --- doors --- */

static void door_free(struct door *o)
{
    if (!o)
        return;
    free(o->source->name);
    o->source->ops->free(o->source);
    free(o);
}

static int door_open(struct repo *p, bool corp, struct door **ret, struct xeno_err *err)
{
    const struct imaged_options *opt = &p->d->opt;
    struct xeno_source_registry_opts o = {
        .env = p->d->env,
        .name = &p->where,
        .ca_file = opt->ca_file && *opt->ca_file ? opt->ca_file : NULL,
        .auth_file = opt->auth_file,
        .anonymous = !opt->auth_file || !*opt->auth_file,
        .pace_s = (unsigned)(opt->pace.ns / XENO_NS_PER_S),
        .wait_s = (unsigned)(opt->pace.ns / XENO_NS_PER_S),
        .guard = guard_check,
        .guard_arg = p,
    };
    struct door *door = xeno_new0(struct door);
    int r;

    guard_lists(p->d, p->where.host, &o.plain);
    door->generation = p->d->generation;
    r = corp ? who_source(p->d, &o, &door->source, err)
             : xeno_source_registry(&o, &door->source, err);
    if (r < 0) {
        free(door);
        return r;
    }
    *ret = door;
    return 0;
}

/* Somebody goes in; the door stays as long as he is. */
static int enter(struct repo *p, bool corp, struct door **ret, struct xeno_err *err)
{
    struct door **at = corp ? &p->corp : &p->web, *old = NULL;
    int r = 0;

    pthread_mutex_lock(&p->mutex);
    if (*at && (*at)->generation != p->d->generation) {
        (*at)->stale = true;
        old = (*at)->users == 0 ? *at : NULL;
        *at = NULL;
    }
    if (!*at)
        r = door_open(p, corp, at, err);
    if (r >= 0) {
        (*at)->users++;
        *ret = *at;
    }
    pthread_mutex_unlock(&p->mutex);
    door_free(old);
    return r;
}

static void leave(struct repo *p, struct door *o)
{
    bool last;

    pthread_mutex_lock(&p->mutex);
    last = --o->users == 0 && o->stale;
    pthread_mutex_unlock(&p->mutex);
    if (last)
        door_free(o);
}

/* --- calls --- */

struct call {
    int (*fn)(struct xeno_registry *r, void *arg, struct xeno_err *err);
    void *arg;
};

static int through(struct repo *p, bool corp, const struct call *c, struct xeno_err *err)
{
    struct door *o = NULL;
    int r = enter(p, corp, &o, err);

    if (r < 0)
        return r;
    r = xeno_source_registry_do(o->source, c->fn, c->arg, err);
    leave(p, o);
    return r;
}

static void set_trust(struct repo *p, int trust)
{
    pthread_mutex_lock(&p->mutex);
    p->trust = trust;
    pthread_mutex_unlock(&p->mutex);
}

static bool is_tls(int r, const struct xeno_err *err)
{
    return r < 0 && (xeno_err_is(err, "http.tls") || strncmp(err->token, "x509.", 5) == 0 ||
                     xeno_err_is(err, "http.peer"));
}

/* By the trust that is right for the host. */
static int ask(struct repo *p, const struct call *c, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    int trust, r = -EPROTO;

    pthread_mutex_lock(&p->mutex);
    trust = p->trust;
    pthread_mutex_unlock(&p->mutex);
    if (trust != TRUST_CORP) {
        r = through(p, false, c, err);
        if (!is_tls(r, err)) {
            if (r >= 0)
                set_trust(p, TRUST_WEB);
            return r;
        }
    }
    if (trust == TRUST_WEB) {
        set_trust(p, TRUST_UNKNOWN); /* it has another certificate now */
        return r;
    }
    r = through(p, true, c, &why);
    if (r >= 0)
        set_trust(p, TRUST_CORP);
    else if (trust == TRUST_CORP && is_tls(r, &why))
        set_trust(p, TRUST_UNKNOWN);
    /* Of a host that neither knows, the web's reason is the better one. */
    if (r < 0 && (trust == TRUST_CORP || !(is_tls(r, &why) || xeno_err_is(&why, "agent.identity"))))
        *err = why;
    return r < 0 ? err->code : r;
}

bool repo_away(const struct xeno_err *err)
{
    static const char *const passing[] = { "http.connect",   "http.deadline", "http.pace",
                                           "http.transport", "oci.status",    "source.away",
                                           "agent.source" };

    for (size_t i = 0; i < XENO_LEN(passing); i++)
        if (xeno_err_is(err, passing[i]))
            return true;
    return false;
}

/* Is it left alone? Then why is in err. */
static bool is_quiet(struct repo *p, struct xeno_err *err)
{
    bool quiet;

    pthread_mutex_lock(&p->mutex);
    quiet = p->quiet > 0 && xeno_mono(p->d->env).ns < p->quiet_until.ns;
    if (quiet)
        *err = p->last;
    pthread_mutex_unlock(&p->mutex);
    return quiet;
}

static void note_answer(struct repo *p, int r, const struct xeno_err *err)
{
    int64_t ms = QUIET_FIRST_MS;
    uint32_t chance;

    pthread_mutex_lock(&p->mutex);
    if (r >= 0 || !repo_away(err)) {
        p->quiet = 0;
        p->away = false;
    } else {
        for (unsigned i = 0; i < p->quiet && ms < QUIET_MAX_MS; i++)
            ms *= 2;
        xeno_random(p->d->env, &chance, sizeof chance);
        ms += chance % (uint32_t)(ms / 4);
        p->quiet++;
        p->quiet_until = xeno_time_add(xeno_mono(p->d->env), xeno_ms(ms));
        p->last = *err;
        p->away = true;
    }
    pthread_mutex_unlock(&p->mutex);
}

int repo_do(struct repo *p, int (*fn)(struct xeno_registry *r, void *arg, struct xeno_err *err),
            void *arg, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    const struct call c = { .fn = fn, .arg = arg };
    int r;

    if (is_quiet(p, &why)) {
        r = why.code;
    } else {
        r = ask(p, &c, &why);
        note_answer(p, r, &why);
    }
    if (xeno_err_is(&why, "agent.refused"))
        atomic_fetch_add(&p->d->count.refused, 1);
    if (r < 0 && err)
        *err = why;
    return r;
}

/* --- as a source of bytes --- */

struct repo_source {
    struct xeno_source base; /* first, so the two pointers are one */
    struct repo *repo;
};
struct part {
    const char *digest;
    int64_t offset;
    void *buf;
    size_t len;
};

static int read_part(struct xeno_registry *r, void *arg, struct xeno_err *err)
{
    const struct part *g = arg;

    return xeno_registry_read(r, g->digest, g->offset, g->len, g->buf, err);
}

static int source_read(struct xeno_source *s, const char *digest, int64_t offset, void *buf,
                       size_t len, const struct xeno_source_want *want, struct xeno_err *err)
{
    struct repo *p = ((struct repo_source *)s)->repo;
    struct part g = { .digest = digest, .offset = offset, .buf = buf, .len = len };
    const struct call c = { .fn = read_part, .arg = &g };
    struct xeno_err why = XENO_ERR_INIT;
    int r = ask(p, &c, &why);

    (void)want;
    if (r < 0) {
        pthread_mutex_lock(&p->mutex);
        p->last = why;
        pthread_mutex_unlock(&p->mutex);
        if (err)
            *err = why;
    }
    return r;
}

static void source_free(struct xeno_source *s)
{
    free((struct repo_source *)s);
}

static const struct xeno_source_ops repo_ops = { .read = source_read, .free = source_free };

static void on_event(void *arg, const struct xeno_source_event *e)
{
    static const char *const names[] = { "source.lies", "source.away", "source.back" };
    struct repo *p = arg;

    p->away = e->state == XENO_SOURCE_AWAY;
    if (e->err)
        xeno_log_err(e->state == XENO_SOURCE_LIES ? LOG_ERR : LOG_WARNING, names[e->state], e->err,
                     "source=%s blob=%s offset=%lld", e->source, e->digest, (long long)e->offset);
    else
        xeno_log(LOG_NOTICE, names[e->state], "source=%s", e->source);
}

/* --- what bytes must be --- */

struct check {
    const struct xeno_source_want *want;
    size_t len;
};

static int check_bytes(void *arg, const void *data, struct xeno_err *err)
{
    const struct check *c = arg;
    xeno_autofree void *out = NULL;
    struct xeno_toc_chunk piece;
    uint8_t sha[32];

    if (!c->want)
        return 0;
    if (c->want->size_bytes > 0) {
        piece = (struct xeno_toc_chunk){ .size_bytes = c->want->size_bytes,
                                         .blob_bytes = (int64_t)c->len };
        memcpy(piece.sha, c->want->sha, sizeof piece.sha);
        out = xeno_try_alloc((size_t)piece.size_bytes);
        return out ? xeno_chunked_piece(&piece, data, out, err)
                   : xeno_fail(err, -ENOMEM, "agent.memory", "no memory for a piece");
    }
    xeno_sha256_of(data, c->len, sha);
    if (memcmp(sha, c->want->sha, sizeof sha) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "not the bytes of that digest");
    return 0;
}

int repo_read(struct repo *p, const char *layer, int64_t offset, void *buf, size_t len,
              const struct xeno_source_want *want, struct xeno_err *err)
{
    struct check c = { .want = want, .len = len };
    struct xeno_err why = XENO_ERR_INIT;
    int r = xeno_sources_read(p->sources, layer, offset, buf, len, NULL, check_bytes, &c, &why);

    if (r < 0 && xeno_err_is(&why, "source.away")) { /* it says who, not why */
        pthread_mutex_lock(&p->mutex);
        xeno_fail(&why, r, "source.away", "%s: %s", p->name, p->last.text);
        pthread_mutex_unlock(&p->mutex);
    }
    if (r == 0)
        memory_fetched(p->d, layer, (int64_t)len);
    else if (err)
        *err = why;
    return r;
}

/* --- all of them --- */

static struct repo *repo_new(struct imaged *d, const struct xeno_registry_name *where,
                             const char *name)
{
    struct repo *p = xeno_new0(struct repo);
    struct repo_source *s = xeno_new0(struct repo_source);
    const struct xeno_sources_opts o = { .env = d->env, .event = on_event, .arg = p };

    p->d = d;
    p->name = xeno_strdup(name);
    p->where = *where;
    p->where.tag[0] = p->where.digest[0] = '\0';
    pthread_mutex_init(&p->mutex, NULL);
    s->base.ops = &repo_ops;
    s->base.name = xeno_strdup(name);
    s->repo = p;
    p->sources = xeno_sources_new(&o);
    xeno_sources_add(p->sources, &s->base);
    return p;
}

int repo_get(struct imaged *d, const struct xeno_registry_name *where, struct repo **ret,
             struct xeno_err *err)
{
    xeno_autofree char *name =
        xeno_asprintf(XENO_REGISTRY_SCHEME "%s/%s", where->host, where->repo);
    struct repo *p;
    bool room;

    pthread_mutex_lock(&d->mutex);
    HASH_FIND_STR(d->repos, name, p);
    room = HASH_COUNT(d->repos) < IMAGED_REPOS_MAX;
    if (!p && room) {
        p = repo_new(d, where, name);
        HASH_ADD_KEYPTR(hh, d->repos, p->name, strlen(p->name), p);
    }
    pthread_mutex_unlock(&d->mutex);
    if (!p)
        return xeno_fail(err, -EAGAIN, "agent.busy", "%d repositories are known already",
                         IMAGED_REPOS_MAX);
    *ret = p;
    return 0;
}

size_t repos_away(struct imaged *d)
{
    size_t n = 0;

    pthread_mutex_lock(&d->mutex);
    for (const struct repo *p = d->repos; p; p = p->hh.next)
        n += p->away;
    pthread_mutex_unlock(&d->mutex);
    return n;
}

void repos_close(struct imaged *d)
{
    struct repo *p, *next;

    HASH_ITER (hh, d->repos, p, next) {
        HASH_DEL(d->repos, p);
        xeno_sources_free(p->sources);
        door_free(p->web);
        door_free(p->corp);
        pthread_mutex_destroy(&p->mutex);
        free(p->name);
        free(p);
    }
}
