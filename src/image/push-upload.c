/* src/image/push-upload.c - one blob to a registry.
 *
 * It goes through these states; each is one request:
 *
 *     HEAD --200--> over (it is there)
 *       |404
 *     OPEN (POST, mount=) --201--> over (mounted)
 *       |202, Location; a small one: WHOLE (PUT ?digest= with all of it), which ends as CLOSE does
 *     SEND (PATCH a piece) --2xx--> SEND the next ... --all sent--> CLOSE (PUT ?digest=)
 *       | broke off, 416, 429, 5xx           |201                      | broke off
 *     ASK (GET: how much is there?) --> SEND   over                    SEEK (HEAD) --200--> over
 *                                     or CLOSE         (also after 404)     |404: OPEN
 *
 * Bounds: TROUBLES_MAX answers in a row that did not bring the upload further, RESTARTS_MAX times
 * OPEN again where ASK or SEEK finds nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "image/push-priv.h"

#define TROUBLES_MAX 8
#define RESTARTS_MAX 3            /* of an upload, from its first byte */
#define WHOLE_BYTES  (256 * 1024) /* at most; more is worth being gone on with */
#define CLOSE_WAIT_S 600          /* the registry reads the whole blob again */
#define PAUSE_MS     200          /* doubled with each trouble */
#define PAUSE_MAX_S  60           /* Retry-After that is waited for */

/* --- what answers say --- */

static bool take_location(struct upload *u, const struct xeno_http_answer *a)
{
    const char *path = registry_upload_path(u->p->r, xeno_http_answer_header(a, "Location"));

    if (!path)
        return false;
    free(u->location);
    u->location = xeno_strdup(path);
    return true;
}

static void no_location(struct upload *u, const struct xeno_http_answer *a)
{
    const char *where = xeno_http_answer_header(a, "Location");
    struct xeno_err err = XENO_ERR_INIT;

    xeno_fail(&err, -EPROTO, "oci.answer",
              "%s names no place of its own for the upload, but '%.200s'", u->p->r->base,
              where ? where : "");
    upload_failed(u, &err);
}

/* How much it has by its own word; -1: it does not say. An empty upload is "0-0" to some. */
static int64_t has_bytes(const struct upload *u, const struct xeno_http_answer *a)
{
    const char *range = xeno_http_answer_header(a, "Range");
    int64_t first, last;

    if (!range || !registry_range_parse(range, &first, &last) || first != 0 || last >= u->size)
        return -1;
    return last == 0 ? 0 : last + 1;
}

static int on_pause(sd_event_source *src, uint64_t usec, void *user)
{
    struct upload *u = user;

    (void)usec;
    sd_event_source_disable_unref(src);
    u->pause = NULL;
    upload_step(u);
    return 0;
}

/* Go on with `state` after a while; too often in a row is a failure. */
static void trouble(struct upload *u, const struct xeno_http_answer *a, enum state state)
{
    const char *after = xeno_http_answer_header(a, "Retry-After");
    int64_t asked_s = after ? strtol(after, NULL, 10) : 0;
    uint64_t ms = (uint64_t)PAUSE_MS << u->troubles;
    struct xeno_err none = XENO_ERR_INIT;
    uint32_t rnd;

    if (++u->troubles > TROUBLES_MAX || asked_s > PAUSE_MAX_S || asked_s < 0) {
        if (!a->err)
            xeno_fail(&none, -EPROTO, "oci.answer", "the upload does not get on");
        upload_failed(u, a->err ? a->err : &none);
        return;
    }
    xeno_random(u->p->r->env, &rnd, sizeof(rnd));
    ms = ms / 2 + rnd % (ms / 2 + 1) + (uint64_t)asked_s * 1000;
    u->state = state;
    if (sd_event_add_time_relative(u->p->r->loop, &u->pause, CLOCK_MONOTONIC, ms * 1000, 1000,
                                   on_pause, u) < 0)
        upload_step(u);
}

static void next_state(struct upload *u, enum state state)
{
    u->state = state;
    upload_step(u);
}

/* --- one state's answer --- */

static bool begin_anew(struct upload *u)
{
    upload_show(u, 0);
    u->at = 0;
    return ++u->restarts <= RESTARTS_MAX;
}

static void on_head(struct upload *u, const struct xeno_http_answer *a)
{
    if (a->status == 200) {
        u->p->ret->there += u->state == HEAD;
        upload_over(u);
    } else if (a->status == 404 && u->state == HEAD) {
        next_state(u, OPEN);
    } else if (a->status == 404 && begin_anew(u)) {
        next_state(u, OPEN);
    } else {
        upload_failed(u, a->err);
    }
}

static void on_open(struct upload *u, const struct xeno_http_answer *a)
{
    const char *least = xeno_http_answer_header(a, "OCI-Chunk-Min-Length");

    if (a->status == 201) {
        u->p->ret->mounted++;
        upload_over(u);
    } else if (a->err) {
        upload_failed(u, a->err);
    } else if (!take_location(u, a)) {
        no_location(u, a);
    } else {
        if (least && strtoll(least, NULL, 10) > u->p->chunk)
            u->p->chunk = strtoll(least, NULL, 10);
        u->at = 0;
        next_state(u, u->size == 0 ? CLOSE : u->size <= WHOLE_BYTES ? WHOLE : SEND);
    }
}

/* The connection broke, or the registry wants us to come again: then it is asked where it is. */
static bool is_trouble(const struct xeno_http_answer *a)
{
    return a->status == 416 || a->status == 429 || a->status >= 500 ||
           (a->status == 0 &&
            (xeno_err_is(a->err, "http.transport") || xeno_err_is(a->err, "http.connect")));
}

static void on_sent(struct upload *u, const struct xeno_http_answer *a)
{
    if (is_trouble(a)) {
        trouble(u, a, ASK);
        return;
    }
    if (a->err) {
        upload_failed(u, a->err);
        return;
    }
    if (!take_location(u, a)) {
        no_location(u, a);
        return;
    }
    u->at = u->end;
    u->troubles = 0;
    upload_show(u, u->at);
    next_state(u, u->at < u->size ? SEND : CLOSE);
}

static void on_asked(struct upload *u, const struct xeno_http_answer *a)
{
    int64_t has = has_bytes(u, a);

    /* It has forgotten the upload, or (docker-registry) drops one that broke. */
    if ((a->status == 400 || a->status == 404 || a->status == 416) && begin_anew(u)) {
        next_state(u, OPEN);
        return;
    }
    if (is_trouble(a)) {
        trouble(u, a, ASK);
        return;
    }
    if (a->err) {
        upload_failed(u, a->err);
        return;
    }
    if (has > u->at)
        u->troubles = 0;
    u->at = has > 0 ? has : 0;
    upload_show(u, u->at);
    if (xeno_http_answer_header(a, "Location") && !take_location(u, a))
        no_location(u, a);
    else
        next_state(u, u->at < u->size ? SEND : CLOSE);
}

static void on_closed(struct upload *u, const struct xeno_http_answer *a)
{
    if (!a->err)
        upload_over(u);
    else if (is_trouble(a) || a->status == 404) /* by a repeat of libcurl's it may be closed */
        trouble(u, a, SEEK);
    else
        upload_failed(u, a->err);
}

static void on_answer(const struct xeno_http_answer *a, void *arg)
{
    struct upload *u = arg;

    u->ask = NULL;
    switch (u->state) {
    case HEAD:
    case SEEK:
        on_head(u, a);
        break;
    case OPEN:
        on_open(u, a);
        break;
    case SEND:
        on_sent(u, a);
        break;
    case ASK:
        on_asked(u, a);
        break;
    case WHOLE:
    case CLOSE:
        on_closed(u, a);
        break;
    }
}

/* --- one state's request --- */

static void on_bytes(size_t len, void *arg)
{
    struct upload *u = arg;

    upload_show(u, u->shown + (int64_t)len > u->end ? u->end : u->shown + (int64_t)len);
}

static struct ask *ask_open(struct upload *u)
{
    struct xeno_registry *r = u->p->r;

    return registry_ask_new(r, "POST",
                            xeno_asprintf("/v2/%s/blobs/uploads/?mount=%s%s%s", r->repo, u->digest,
                                          r->from ? "&from=" : "", r->from ? r->from : ""));
}

static struct ask *ask_send(struct upload *u)
{
    struct ask *a = registry_ask_new(u->p->r, "PATCH", xeno_strdup(u->location));
    int64_t left = u->size - u->at;

    u->end = u->at + (left < u->p->chunk ? left : u->p->chunk);
    registry_ask_header(a, "Content-Range",
                        xeno_asprintf("%" PRId64 "-%" PRId64, u->at, u->end - 1));
    a->part = (struct xeno_http_part){
        .fd = u->fd, .offset = u->at, .len = u->end - u->at, .sent = on_bytes
    };
    a->retry = false; /* what came over may be kept: it is asked, not told again */
    return a;
}

static struct ask *ask_close(struct upload *u)
{
    struct ask *a =
        registry_ask_new(u->p->r, "PUT",
                         xeno_asprintf("%s%cdigest=%s", u->location,
                                       strchr(u->location, '?') ? '&' : '?', u->digest));

    a->retry = false; /* a repeat would find no upload */
    a->wait_s = CLOSE_WAIT_S;
    return a;
}

static struct ask *ask_whole(struct upload *u)
{
    struct ask *a = ask_close(u);

    u->end = u->size;
    a->part = (struct xeno_http_part){ .fd = u->fd, .len = u->size, .sent = on_bytes };
    return a;
}

void upload_step(struct upload *u)
{
    struct xeno_registry *r = u->p->r;
    struct ask *a;

    switch (u->state) {
    case OPEN:
        a = ask_open(u);
        break;
    case SEND:
        a = ask_send(u);
        break;
    case ASK:
        a = registry_ask_new(r, "GET", xeno_strdup(u->location));
        break;
    case WHOLE:
        a = ask_whole(u);
        break;
    case CLOSE:
        a = ask_close(u);
        break;
    default:
        a = registry_ask_new(r, "HEAD", xeno_asprintf("/v2/%s/blobs/%s", r->repo, u->digest));
    }
    a->done = on_answer;
    a->arg = u;
    u->ask = a;
    registry_ask_send(a);
}

void upload_release(struct upload *u)
{
    registry_ask_cancel(u->ask);
    sd_event_source_disable_unref(u->pause);
    free(u->location);
    if (u->fd >= 0)
        close(u->fd);
}
