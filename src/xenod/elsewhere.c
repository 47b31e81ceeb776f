/* src/xenod/elsewhere.c - names of images that are elsewhere, asked of the image manager. */
#include "xenod/elsewhere.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "base/log.h"
#include "image/agent-link.h"

#define SCHEME "oci://"
#define NAMES  (XENO_OVERLAYS_MAX + 1)

/* A place of a requirement that waits for a name. */
struct slot {
    struct xenod_pin *pin;
    struct job *job; /* NULL: it has its answer */
    char *ref;       /* XENO_IMAGE_REF_TEXT bytes of the requirement */
    struct slot *prev, *next;
};

/* A name that is being asked for; it lives as long as anybody waits for it. */
struct job {
    struct xenod_elsewhere *e;
    char *key; /* kind and name */
    const char *name;
    enum xeno_image_kind kind;
    bool open;     /* it is asked, and there is no answer yet */
    bool answered; /* its slots are being told */
    xeno_time end; /* monotonic: it waits for the image manager until then */
    struct slot *slots;
    UT_hash_handle hh;
};

struct xenod_pin {
    struct xenod_elsewhere *e;
    char owner[XENO_ID_CHARS + 1];
    xenod_pinned *done;
    void *arg;
    size_t open; /* slots without an answer */
    struct slot slots[NAMES];
    struct xenod_pin *prev, *next;
};

struct xenod_elsewhere {
    const struct xeno_env *env;
    struct xeno_agent_link *link;
    bool (*here)(void *ctx, const char *digest);
    void *ctx;
    struct job *jobs;
    struct xenod_pin *pins;
    struct xenod_elsewhere_count count;
};

struct xenod_elsewhere *xenod_elsewhere_new(const struct xeno_env *env,
                                            struct xeno_agent_link *link,
                                            bool (*here)(void *ctx, const char *digest), void *ctx)
{
    struct xenod_elsewhere *e = xeno_new0(struct xenod_elsewhere);

    e->env = env;
    e->link = link;
    e->here = here;
    e->ctx = ctx;
    return e;
}

struct xenod_elsewhere_count xenod_elsewhere_counts(const struct xenod_elsewhere *e)
{
    return e->count;
}

/* --- jobs --- */

static void job_free(struct job *j)
{
    HASH_DEL(j->e->jobs, j);
    xeno_agent_link_forget(j->e->link, j);
    free(j->key);
    free(j);
}

/* `s` waits no more. */
static void slot_leave(struct slot *s)
{
    struct job *j = s->job;

    if (!j)
        return;
    s->job = NULL;
    DL_DELETE(j->slots, s);
    if (!j->slots && !j->answered)
        job_free(j);
}

static void pin_free(struct xenod_pin *p)
{
    for (size_t i = 0; i < NAMES; i++)
        slot_leave(&p->slots[i]);
    DL_DELETE(p->e->pins, p);
    p->e->count.waiting--;
    free(p);
}

void xenod_pin_cancel(struct xenod_pin *p)
{
    if (p)
        pin_free(p);
}

void xenod_elsewhere_free(struct xenod_elsewhere *e)
{
    if (!e)
        return;
    while (e->pins)
        pin_free(e->pins);
    free(e);
}

static void finish(struct xenod_pin *p, const struct xeno_err *err)
{
    xenod_pinned *done = p->done;
    void *arg = p->arg;

    pin_free(p);
    done(arg, err);
}

/* What the registry wants is not the client's credential for us; and who is away comes back. */
static void explain(const struct job *j, const struct xeno_err *why, struct xeno_err *ret)
{
    int code = why->code == -EACCES ? -EPERM : why->code == -ENOTCONN ? -EAGAIN : why->code;

    xeno_fail(ret, code, why->token, "%s: %s", j->name, why->text);
}

/* Tell those who wait. Each may leave, and others with it, while they are told. */
static void on_resolved(void *data, struct xeno_agent_image *im, const struct xeno_err *err)
{
    struct job *j = data;
    struct xeno_err why = XENO_ERR_INIT;
    struct slot *s;

    j->open = false;
    if (err && err->code == -ENOTCONN && xeno_mono(j->e->env).ns < j->end.ns)
        return; /* it was lost with the connection, and is asked again */
    j->answered = true;
    if (err) {
        j->e->count.failed++;
        explain(j, err, &why);
    } else if (im->old) {
        j->e->count.old++;
        xeno_log(LOG_NOTICE, "image.old", "name=%s manifest=%s", j->name, im->manifest);
    }
    while ((s = j->slots) != NULL) {
        struct xenod_pin *p = s->pin;

        slot_leave(s);
        if (!err)
            snprintf(s->ref, XENO_IMAGE_REF_TEXT, "%s", im->manifest);
        if (err || --p->open == 0)
            finish(p, err ? &why : NULL);
    }
    xeno_agent_image_free(im);
    job_free(j);
}

/* When it cannot be asked now it is at the next tick. */
static void job_ask(struct job *j)
{
    j->open = xeno_agent_link_resolve(j->e->link, j->name, j->kind, xeno_s(XENOD_PIN_WAIT_S),
                                      on_resolved, j, NULL) == 0;
}

static int job_new(struct xenod_elsewhere *e, const char *key, const char *name,
                   enum xeno_image_kind kind, struct job **ret, struct xeno_err *err)
{
    struct job *j;

    if (HASH_COUNT(e->jobs) >= XENOD_PIN_JOBS_MAX)
        return xeno_fail(err, -EAGAIN, "image.waiting",
                         "%d images are being looked for already; try again", XENOD_PIN_JOBS_MAX);
    j = xeno_new0(struct job);
    j->e = e;
    j->key = xeno_strdup(key);
    j->name = j->key + (name - key);
    j->kind = kind;
    j->end = xeno_time_add(xeno_mono(e->env), xeno_s(XENOD_PIN_AWAY_S));
    HASH_ADD_KEYPTR(hh, e->jobs, j->key, strlen(j->key), j);
    e->count.asked++;
    *ret = j;
    job_ask(j);
    return 0;
}

void xenod_elsewhere_tick(struct xenod_elsewhere *e)
{
    struct xeno_err away = XENO_ERR_INIT;
    xeno_time now = xeno_mono(e->env);
    struct job *j, *next;

    xeno_fail(&away, -ENOTCONN, "agent.away",
              "this XenoServer's image manager is away; try again later");
    HASH_ITER (hh, e->jobs, j, next)
        if (!j->open)
            job_ask(j);
    /* From the start again after each: others may have gone with it. */
    for (j = e->jobs; j; j = next) {
        next = j->hh.next;
        if (j->open || now.ns < j->end.ns)
            continue;
        on_resolved(j, NULL, &away);
        next = e->jobs;
    }
}

/* --- pins --- */

static bool is_elsewhere(const char *ref)
{
    return strncmp(ref, SCHEME, strlen(SCHEME)) == 0;
}

bool xenod_elsewhere_named(const struct xeno_requirement *req)
{
    bool named = is_elsewhere(req->template_ref);

    for (size_t i = 0; i < req->overlay_count; i++)
        named |= is_elsewhere(req->overlays[i]);
    return named;
}

/* Is it named by a digest that this machine has? Then that is its name here. */
static bool take_here(const struct xenod_elsewhere *e, char *ref)
{
    const char *digest = strrchr(ref, '@');

    if (!digest || !e->here || !e->here(e->ctx, digest + 1))
        return false;
    memmove(ref, digest + 1, strlen(digest + 1) + 1);
    return true;
}

static int ask(struct xenod_pin *p, struct slot *s, char *ref, enum xeno_image_kind kind,
               struct xeno_err *err)
{
    struct xenod_elsewhere *e = p->e;
    xeno_autofree char *key = NULL;
    struct job *j = NULL;
    int r;

    if (!is_elsewhere(ref) || take_here(e, ref))
        return 0;
    key = xeno_asprintf("%s %s", xeno_image_kind_name(kind), ref);
    HASH_FIND_STR(e->jobs, key, j);
    if (j) {
        e->count.shared++;
    } else {
        r = job_new(e, key, strchr(key, ' ') + 1, kind, &j, err);
        if (r < 0)
            return r;
    }
    s->ref = ref;
    s->job = j;
    DL_APPEND(j->slots, s);
    p->open++;
    return 0;
}

static int check_room(const struct xenod_elsewhere *e, const char *owner, struct xeno_err *err)
{
    const struct xenod_pin *p;
    size_t all = 0, own = 0;

    if (!e->link)
        return xeno_fail(err, -EOPNOTSUPP, "image.elsewhere",
                         "this XenoServer fetches no images: name one of its own");
    DL_FOREACH (e->pins, p) {
        all++;
        own += strcmp(p->owner, owner) == 0;
    }
    if (own >= XENOD_PIN_OWNER_MAX || all >= XENOD_PINS_MAX)
        return xeno_fail(err, -EAGAIN, "image.waiting",
                         "%zu requests of yours (at most %d) and %zu in all (at most %d) wait for "
                         "images; try again",
                         own, XENOD_PIN_OWNER_MAX, all, XENOD_PINS_MAX);
    return 0;
}

int xenod_elsewhere_pin(struct xenod_elsewhere *e, const char *owner, struct xeno_requirement *req,
                        xenod_pinned *done, void *arg, struct xenod_pin **ret, struct xeno_err *err)
{
    struct xenod_pin *p;
    int r;

    if (!xenod_elsewhere_named(req))
        return 0;
    r = check_room(e, owner, err);
    if (r < 0)
        return r;
    p = xeno_new0(struct xenod_pin);
    p->e = e;
    p->done = done;
    p->arg = arg;
    snprintf(p->owner, sizeof p->owner, "%s", owner);
    DL_APPEND(e->pins, p);
    e->count.waiting++;
    for (size_t i = 0; i < NAMES; i++)
        p->slots[i].pin = p;
    r = ask(p, &p->slots[0], req->template_ref, XENO_IMAGE_TEMPLATE, err);
    for (size_t i = 0; r == 0 && i < req->overlay_count; i++)
        r = ask(p, &p->slots[i + 1], req->overlays[i], XENO_IMAGE_OVERLAY, err);
    if (r < 0 || p->open == 0) {
        pin_free(p);
        return r;
    }
    *ret = p;
    return 1;
}
