/* src/xenod/fetching.c - how far the images of sessions are, and which the image manager must keep.
 *
 * Of each hold and session there is an entry with what it is made of (image.c remembers that). For
 * layers that come from elsewhere the image manager is asked how far they are: each second while
 * the session is being made, each five seconds later, and when somebody looks at the session. What
 * has changed is told to those who watch it, as event session.image.
 *
 * Bytes are counted since the image manager was started, for all sessions that share a layer: what
 * somebody else's session brought need not come again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "base/log.h"
#include "image/agent-link.h"
#include "json/json.h"
#include "xenod/elsewhere.h"
#include "xenod/xenod.h"

#define TICK_US      1000000
#define RUNNING_S    5 /* between two looks at a session that runs */
#define KEEP_S       60
#define LOOKS_MAX    24 /* questions open at a time: names are asked for, too */
#define FRESH_NS     (300 * XENO_NS_PER_MS)
#define ANSWER       xeno_ms(1500)
#define TELL_PART    20 /* a twentieth more of the bytes is worth an event */
#define MANIFESTS    XENO_TASK_IMAGES_MAX
#define REASON_BYTES 300

/* Somebody who waits for the answer of a look. */
struct looker {
    void (*done)(void *arg);
    void *arg;
    struct looker *next;
};

struct xenod_image {
    struct xenod *d;
    char id[XENO_SESSION_CHARS + 1];
    struct xeno_json *about; /* as xenod_image_recall() gives it; NULL: it remembers nothing */
    size_t far_count;
    char (*far)[XENO_LAYER_TEXT]; /* layers from elsewhere */

    int64_t fetched_bytes, needed_bytes;
    const char *state, *way; /* literals; way NULL: not known yet */
    char why[REASON_BYTES];  /* of state failed, or of a part that cannot be read */
    xeno_time looked;        /* monotonic: the last answer */
    bool asking;
    bool live;     /* the host has it, and it is not ended */
    bool building; /* as of xeno_host_each() */
    bool seen;     /* by the tick under way */
    struct looker *lookers;

    int64_t told_bytes; /* by the last event */
    const char *told_state;
    char told_why[REASON_BYTES];
    UT_hash_handle hh;
};

/* --- entries --- */

static void entry_free(struct xenod_image *e)
{
    struct xenod *d = e->d;
    struct looker *l;

    if (e->asking)
        xeno_agent_link_forget(d->agent, e);
    HASH_DEL(d->image_of, e);
    while ((l = e->lookers) != NULL) {
        LL_DELETE(e->lookers, l);
        l->done(l->arg);
        free(l);
    }
    xeno_json_unref(e->about);
    free(e->far);
    free(e);
}

static void read_far(struct xenod_image *e)
{
    struct xeno_json_at top = xeno_json_top(e->about), far;
    const char *digest;
    size_t n = 0;

    if (xeno_json_arr_opt(&top, "far", XENO_TASK_LAYERS_MAX, &far, &n, NULL) != 0)
        return;
    e->far = xeno_alloc0(n + 1, XENO_LAYER_TEXT);
    for (size_t i = 0; i < n; i++)
        if (xeno_json_item_str(&far, i, 1, XENO_LAYER_TEXT - 1, &digest, NULL) == 0)
            snprintf(e->far[e->far_count++], XENO_LAYER_TEXT, "%s", digest);
}

/* Of a session or hold that there is, or was. */
static struct xenod_image *entry_of(struct xenod *d, const char *id)
{
    struct xenod_image *e = NULL;

    HASH_FIND_STR(d->image_of, id, e);
    if (e)
        return e;
    e = xeno_new0(struct xenod_image);
    e->d = d;
    snprintf(e->id, sizeof e->id, "%s", id);
    e->about = xenod_image_recall(d, id);
    if (e->about)
        read_far(e);
    e->state = e->told_state = e->far_count > 0 ? "waiting" : "here";
    e->way = e->far_count > 0 ? NULL : "local";
    HASH_ADD_STR(d->image_of, id, e);
    return e;
}

void xenod_fetching_add(struct xenod *d, const char *id)
{
    struct xenod_image *e = entry_of(d, id);

    e->live = e->building = true;
    d->keep_due |= e->far_count > 0;
}

/* --- how far --- */

static struct xeno_json *progress_json(const struct xenod_image *e)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "state", e->state);
    xeno_json_set_str(j, "way", e->way);
    xeno_json_set_int(j, "fetched_bytes", e->fetched_bytes);
    xeno_json_set_int(j, "needed_bytes", e->needed_bytes);
    if (*e->why)
        xeno_json_set_str(j, "error", e->why);
    return j;
}

struct xeno_json *xenod_fetching_json(struct xenod *d, const char *id)
{
    struct xenod_image *e = entry_of(d, id);
    struct xeno_json_at top;
    struct xeno_json *j;
    struct xeno_json_at list;
    int64_t n = 0;
    size_t count;

    if (!e->about)
        return NULL;
    j = progress_json(e);
    top = xeno_json_top(e->about);
    if (xeno_json_arr_opt(&top, "manifests", MANIFESTS, &list, &count, NULL) == 0)
        xeno_json_set(j, "manifests", xeno_json_ref((struct xeno_json *)list.j));
    if (xeno_json_int_opt(&top, "layers", 0, INT64_MAX, &n, NULL) == 0)
        xeno_json_set_int(j, "layers", n);
    if (xeno_json_int_opt(&top, "bytes", 0, INT64_MAX, &n, NULL) == 0)
        xeno_json_set_int(j, "bytes", n);
    return j;
}

static void tell(struct xenod_image *e)
{
    bool news = strcmp(e->state, e->told_state) != 0 || strcmp(e->why, e->told_why) != 0;
    int64_t part = e->needed_bytes / TELL_PART;

    if (e->building && e->fetched_bytes - e->told_bytes > part)
        news = true;
    if (!news || !e->live)
        return;
    e->told_state = e->state;
    e->told_bytes = e->fetched_bytes;
    snprintf(e->told_why, sizeof e->told_why, "%s", e->why);
    xeno_host_tell(e->d->host, e->id, "session.image", progress_json(e));
}

/* What the layers are together: the one that is least far counts. What went wrong is told until
 * more bytes come: a repository that is away is tried again and again. */
static void sum_up(struct xenod_image *e, const struct xeno_agent_progress *items, size_t count)
{
    size_t usable = 0, pieces = 0, fetching = 0, failed = 0;
    int64_t before = e->fetched_bytes;

    e->fetched_bytes = e->needed_bytes = 0;
    for (size_t i = 0; i < count; i++)
        e->fetched_bytes += items[i].fetched_bytes;
    if (e->fetched_bytes != before)
        *e->why = '\0';
    for (size_t i = 0; i < count; i++) {
        const struct xeno_agent_progress *p = &items[i];

        e->needed_bytes += p->total_bytes;
        usable += p->state == XENO_AGENT_TABLE || p->state == XENO_AGENT_STORED;
        pieces += p->state == XENO_AGENT_TABLE;
        fetching += p->state == XENO_AGENT_FETCHING;
        failed += p->state == XENO_AGENT_FAILED;
        if (p->error.code < 0)
            snprintf(e->why, sizeof e->why, "%s: %s", p->error.token, p->error.text);
    }
    if (usable == count || (e->way && !e->building)) /* it was usable, and the session has it */
        e->state = "ready";
    else
        e->state = failed > 0 ? "failed" : fetching > 0 ? "fetching" : "waiting";
    if (usable == count)
        e->way = pieces > 0 ? "pieces" : "whole";
}

static void on_progress(void *data, const struct xeno_agent_progress *items, size_t count,
                        const struct xeno_err *err)
{
    struct xenod_image *e = data;
    struct looker *l;

    e->asking = false;
    e->looked = xeno_mono(e->d->env);
    if (!err) {
        sum_up(e, items, count);
        tell(e);
    }
    while ((l = e->lookers) != NULL) {
        LL_DELETE(e->lookers, l);
        l->done(l->arg);
        free(l);
    }
}

static bool ask(struct xenod_image *e)
{
    const char *layers[XENO_TASK_LAYERS_MAX];

    for (size_t i = 0; i < e->far_count; i++)
        layers[i] = e->far[i];
    if (!e->asking)
        e->asking = xeno_agent_link_progress(e->d->agent, layers, e->far_count, ANSWER, on_progress,
                                             e, NULL) == 0;
    return e->asking;
}

bool xenod_fetching_look(struct xenod *d, const char *id, void (*done)(void *arg), void *arg)
{
    struct xenod_image *e = d->agent ? entry_of(d, id) : NULL;
    struct looker *l;

    if (!e || e->far_count == 0 || xeno_mono(d->env).ns - e->looked.ns < FRESH_NS || !ask(e))
        return false;
    l = xeno_new0(struct looker);
    l->done = done;
    l->arg = arg;
    LL_APPEND(e->lookers, l);
    return true;
}

void xenod_fetching_forget(struct xenod *d, const char *id, void *arg)
{
    struct xenod_image *e = NULL;
    struct looker *l, *next;

    HASH_FIND_STR(d->image_of, id, e);
    LL_FOREACH_SAFE (e ? e->lookers : NULL, l, next) {
        if (l->arg != arg)
            continue;
        LL_DELETE(e->lookers, l);
        free(l);
    }
}

/* --- what must be kept --- */

static void on_kept(void *data, const struct xeno_err *err)
{
    struct xenod *d = data;

    if (err) {
        d->keep_due = true;
        xeno_log_err(LOG_NOTICE, "image.keep", err, "%s", "");
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t each_once(const char **list, size_t count)
{
    size_t kept = 0;

    qsort(list, count, sizeof *list, by_text);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(list[kept - 1], list[i]) != 0)
            list[kept++] = list[i];
    return kept;
}

/* Manifests of every session and hold that is made of something from elsewhere. */
static void tell_kept(struct xenod *d)
{
    xeno_autofree const char **images = xeno_new0_n(const char *, 1);
    size_t count = 0;
    struct xenod_image *e, *next;

    HASH_ITER (hh, d->image_of, e, next) {
        struct xeno_json_at top = xeno_json_top(e->about), list;
        size_t n = 0;

        if (e->far_count == 0 ||
            xeno_json_arr_opt(&top, "manifests", MANIFESTS, &list, &n, NULL) != 0)
            continue;
        images = xeno_grow(images, count + n + 1);
        for (size_t i = 0; i < n; i++)
            if (xeno_json_item_str(&list, i, 1, XENO_LAYER_TEXT, &images[count], NULL) == 0)
                count++;
    }
    count = each_once(images, count);
    if (xeno_agent_link_keep(d->agent, images, count, xeno_s(30), on_kept, d, NULL) == 0) {
        d->keep_due = false;
        d->keep_told = xeno_mono(d->env);
    }
}

/* --- time --- */

static void on_each(void *ctx, const char *id, const struct xeno_host_image *im, bool building)
{
    struct xenod *d = ctx;
    struct xenod_image *e = im->image_count > 0 ? entry_of(d, id) : NULL;

    if (!e)
        return;
    e->seen = e->live = true;
    if (e->building && !building)
        e->looked = xeno_ns(0); /* once more, now that it is over */
    e->building = building;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *data)
{
    struct xenod *d = data;
    struct xenod_image *e, *next;
    xeno_time now = xeno_mono(d->env);
    size_t asked = 0;

    (void)usec;
    xenod_elsewhere_tick(d->elsewhere);
    xeno_host_each(d->host, on_each, d);
    HASH_ITER (hh, d->image_of, e, next) {
        int64_t age = now.ns - e->looked.ns;

        if (!e->seen) {
            entry_free(e);
            continue;
        }
        e->seen = false;
        if (e->far_count > 0 && asked < LOOKS_MAX &&
            (e->building || age > RUNNING_S * XENO_NS_PER_S))
            asked += ask(e);
    }
    if (xeno_agent_link_up(d->agent) &&
        (d->keep_due || now.ns - d->keep_told.ns > KEEP_S * XENO_NS_PER_S))
        tell_kept(d);
    (void)sd_event_source_set_time_relative(s, TICK_US);
    return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void on_link(void *data, bool up)
{
    struct xenod *d = data;

    d->keep_due |= up;
    if (up)
        xenod_elsewhere_tick(d->elsewhere);
    xeno_log(up ? LOG_INFO : LOG_WARNING, up ? "image.up" : "image.away", "socket=%s",
             d->opt.imaged);
}

int xenod_fetching_open(struct xenod *d, struct xeno_err *err)
{
    int r = 0;

    if (d->opt.imaged && *d->opt.imaged)
        r = xeno_agent_link_new(d->loop, d->opt.imaged, on_link, d, &d->agent, err);
    if (r < 0)
        return r;
    d->elsewhere = xenod_elsewhere_new(d->env, d->agent, xenod_image_here, d);
    if (!d->agent)
        return 0;
    r = sd_event_add_time_relative(d->loop, &d->image_tick, CLOCK_MONOTONIC, TICK_US, 0, on_tick,
                                   d);
    return r < 0 ? xeno_fail_errno(err, r, "loop.source", "prepare the event loop") : 0;
}

void xenod_fetching_release(struct xenod *d)
{
    while (d->image_of)
        entry_free(d->image_of);
    sd_event_source_disable_unref(d->image_tick);
    xenod_elsewhere_free(d->elsewhere);
    xeno_agent_link_free(d->agent);
}
