/* src/xrdd/follow.c - following the change feeds of XIS nodes. */
#include "xrdd/follow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "json/json.h"

#define PAGE       100 /* changes in one answer: what the loop's thread checks without a break */
#define WAIT_S     20  /* a long poll */
#define ANSWER_MAX ((size_t)8 << 20)
#define EPOCH_MAX  128
#define RETRY_MS   500 /* the first wait; doubled up to the next */
#define RETRY_MAX  INT64_C(30000)

struct source {
    struct xrdd_follow *all;
    unsigned index;
    char *url;
    char epoch[EPOCH_MAX + 1]; /* "": not known */
    int64_t after;
    struct xeno_http_call *call; /* NULL: none under way */
    bool whole;                  /* what it has was told to its end since the last beginning */
    bool heard, away;
    xeno_time asked, fresh; /* monotonic: of the question; of the last that left nothing open */
    xeno_time not_before;
    int64_t wait_ms;
    int64_t changes, refused;
};

struct xrdd_follow {
    struct xrdd_follow_opts opts;
    size_t count;
    struct source sources[XRDD_SOURCES];
};

/* --- when --- */

/* After a failure: later each time, and not all at once. */
static void put_off(struct source *s)
{
    const struct xeno_env *env = s->all->opts.env;
    uint32_t dice;

    xeno_random(env, &dice, sizeof dice);
    s->wait_ms = s->wait_ms == 0 ? RETRY_MS : s->wait_ms * 2;
    if (s->wait_ms > RETRY_MAX)
        s->wait_ms = RETRY_MAX;
    s->not_before = xeno_time_add(xeno_mono(env), xeno_ms(s->wait_ms / 2 + dice % s->wait_ms));
}

static void failed(struct source *s, const struct xeno_err *err)
{
    if (!s->away)
        xeno_log_err(LOG_WARNING, "xis.away", err, "xis=%s", s->url);
    s->away = true;
    put_off(s);
}

static void worked(struct source *s)
{
    if (s->away)
        xeno_log(LOG_NOTICE, "xis.back", "xis=%s", s->url);
    s->away = false;
    s->wait_ms = 0;
}

/* --- what it tells --- */

static void begin_anew(struct source *s, const char *epoch)
{
    xeno_log(LOG_INFO, "xis.gap", "xis=%s", s->url);
    snprintf(s->epoch, sizeof s->epoch, "%s", epoch);
    s->after = 0;
    s->whole = false;
    xrdd_world_restart(s->all->opts.world, s->index);
}

static int take_advert(struct source *s, const struct xeno_json_at *at, const char *id,
                       struct xeno_err *err)
{
    const char *jws = NULL, *delta = NULL;
    bool withdrawn = false;
    int64_t version = 0;
    int r = xeno_json_int(at, "version", 1, XENO_ADVERT_VERSION, &version, err);

    if (r == 0)
        r = xeno_json_bool_opt(at, "withdrawn", &withdrawn, err);
    if (r >= 0)
        r = xeno_json_str_opt(at, withdrawn ? "withdrawal" : "advert", 1, XENO_ADVERT_JWS_MAX, &jws,
                              err);
    if (r >= 0 && !withdrawn)
        r = xeno_json_str_opt(at, "delta", 1, XENO_ADVERT_JWS_MAX, &delta, err);
    if (r < 0)
        return r;
    if (jws)
        return xrdd_world_tell(s->all->opts.world, s->index, id, version, jws, delta, err);
    xrdd_world_untell(s->all->opts.world, s->index, id); /* its word only: others may have it */
    return 0;
}

/* One change. Its form is the XIS's; what is wrong with an advert is the advert's, and passed over.
 */
static int take_change(struct source *s, const struct xeno_json_at *at, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    const char *id = NULL;
    bool expired = false;
    int64_t seq = 0;
    int r = xeno_json_int(at, "seq", 0, INT64_MAX, &seq, err);

    if (r == 0)
        r = xeno_json_str(at, "id", XENO_ID_CHARS, XENO_ID_CHARS, &id, err);
    if (r == 0)
        r = xeno_json_bool_opt(at, "expired", &expired, err);
    if (r < 0)
        return r;
    s->changes++;
    if (expired) {
        xrdd_world_untell(s->all->opts.world, s->index, id);
    } else if (take_advert(s, at, id, &why) < 0) {
        s->refused++;
        xeno_log_err(LOG_DEBUG, "xis.advert", &why, "xis=%s server=%s", s->url, id);
    }
    return 0;
}

static int take_changes(struct source *s, const struct xeno_json_at *top, const char *epoch,
                        struct xeno_err *err)
{
    struct xeno_json_at list;
    int64_t next = 0;
    bool more = false;
    size_t n = 0;
    int r = xeno_json_arr(top, "changes", 100000, &list, &n, err);

    if (r == 0)
        r = xeno_json_int(top, "next", 0, INT64_MAX, &next, err);
    if (r == 0)
        r = xeno_json_bool(top, "more", &more, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);

        r = take_change(s, &at, err);
    }
    if (r == 0 && more && next <= s->after)
        r = xeno_fail(err, -EPROTO, "rd.xis", "there is more after %" PRId64 ", and no way to it",
                      s->after);
    if (r < 0)
        return r;
    snprintf(s->epoch, sizeof s->epoch, "%s", epoch);
    s->after = next;
    if (more)
        return 0;
    if (!s->whole)
        xrdd_world_through(s->all->opts.world, s->index);
    s->whole = s->heard = true;
    s->fresh = n == 0 ? xeno_mono(s->all->opts.env) : s->asked;
    return 0;
}

static int take_answer(struct source *s, const char *body, size_t len, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *epoch = NULL;
    bool gap = false;
    int r = xeno_json_parse(body, len, ANSWER_MAX, &j, err);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_str(&top, "epoch", 1, EPOCH_MAX, &epoch, err);
    if (r == 0)
        r = xeno_json_bool_opt(&top, "gap", &gap, err);
    if (r < 0)
        return r;
    if (!gap)
        return take_changes(s, &top, epoch, err);
    if (s->after == 0 && strcmp(epoch, s->epoch) == 0)
        return xeno_fail(err, -EPROTO, "rd.xis", "it has no beginning");
    begin_anew(s, epoch);
    return 0;
}

/* --- asking --- */

static void ask(struct source *s);

static void on_answer(const struct xeno_http_answer *a, void *arg)
{
    struct source *s = arg;
    struct xeno_err err = XENO_ERR_INIT;

    s->call = NULL;
    if (a->status / 100 != 2) {
        failed(s, a->err);
    } else if (take_answer(s, a->body, a->len, &err) < 0) {
        xeno_context(&err, err.code, "the answer of %s", s->url);
        failed(s, &err);
    } else {
        worked(s);
        ask(s);
    }
}

static void ask(struct source *s)
{
    const struct xrdd_follow_opts *o = &s->all->opts;
    xeno_autofree char *epoch = xeno_http_escape(s->epoch);
    xeno_autofree char *url = xeno_asprintf(
        "%s/v1/changes?%s%s%safter=%" PRId64 "&limit=%d&wait=%d", s->url, *epoch ? "epoch=" : "",
        epoch, *epoch ? "&" : "", s->after, PAGE, s->whole ? WAIT_S : 0);
    struct xeno_http_ask q = { .method = "GET",
                               .url = url,
                               .deadline = xeno_s(WAIT_S + 20),
                               .max_body = ANSWER_MAX,
                               .done = on_answer,
                               .arg = s };

    s->asked = xeno_mono(o->env);
    s->call = xeno_http_send(o->client, &q);
}

void xrdd_follow_tick(struct xrdd_follow *f)
{
    xeno_time now = xeno_mono(f->opts.env);

    for (size_t i = 0; i < f->count; i++)
        if (!f->sources[i].call && f->sources[i].not_before.ns <= now.ns)
            ask(&f->sources[i]);
}

/* --- all of them --- */

static int add_source(struct xrdd_follow *f, const char *word, size_t len, struct xeno_err *err)
{
    struct source *s = &f->sources[f->count];

    if (f->count == XRDD_SOURCES)
        return xeno_fail(err, -EINVAL, "rd.xis", "xis names more than %d", XRDD_SOURCES);
    if (len < 9 || strncmp(word, "https://", 8) != 0)
        return xeno_fail(err, -EINVAL, "rd.xis", "'%.*s' is no https://HOST:PORT", (int)len, word);
    while (word[len - 1] == '/')
        len--;
    *s = (struct source){ .all = f, .index = (unsigned)f->count, .url = xeno_strndup(word, len) };
    f->count++;
    return 0;
}

int xrdd_follow_new(const struct xrdd_follow_opts *opts, struct xrdd_follow **ret,
                    struct xeno_err *err)
{
    xeno_auto(xrdd_follow) f = xeno_new0(struct xrdd_follow);
    const char *p = opts->urls ? opts->urls : "";
    int r = 0;

    f->opts = *opts;
    for (p += strspn(p, ", "); r == 0 && *p; p += strspn(p, ", ")) {
        size_t len = strcspn(p, ", ");

        r = add_source(f, p, len, err);
        p += len;
    }
    if (r == 0 && f->count == 0)
        r = xeno_fail(err, -EINVAL, "rd.xis", "xis names no XIS");
    if (r == 0)
        *ret = xeno_take(&f);
    return r;
}

void xrdd_follow_free(struct xrdd_follow *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++) {
        if (f->sources[i].call)
            xeno_http_cancel(f->sources[i].call);
        free(f->sources[i].url);
    }
    free(f);
}

/* --- how they fare --- */

size_t xrdd_follow_count(const struct xrdd_follow *f)
{
    return f->count;
}

/* A long poll that goes on is as good as an answer: there was nothing to say yet. */
static int64_t age_ms(const struct source *s)
{
    const struct xeno_env *env = s->all->opts.env;

    if (!s->heard)
        return -1;
    if (s->whole && s->call && !s->away && xeno_mono(env).ns - s->asked.ns < xeno_s(WAIT_S + 2).ns)
        return 0;
    return (xeno_mono(env).ns - s->fresh.ns) / XENO_NS_PER_MS;
}

struct xrdd_followed xrdd_follow_get(const struct xrdd_follow *f, size_t i)
{
    const struct source *s = &f->sources[i];

    return (struct xrdd_followed){ .url = s->url,
                                   .heard = s->heard,
                                   .age_ms = age_ms(s),
                                   .changes = s->changes,
                                   .refused = s->refused };
}

bool xrdd_follow_heard(const struct xrdd_follow *f)
{
    return xrdd_follow_age_ms(f) >= 0;
}

int64_t xrdd_follow_age_ms(const struct xrdd_follow *f)
{
    int64_t oldest = -1;

    for (size_t i = 0; i < f->count; i++) {
        int64_t age = age_ms(&f->sources[i]);

        oldest = age > oldest ? age : oldest;
    }
    return oldest;
}
