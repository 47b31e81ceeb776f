/* src/xrdd/follow.c - following the change feeds of XIS nodes. */
#include "xrdd/follow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "xrdd/told.h"

#define PAGE      100 /* changes in one answer: what the loop's thread checks without a break */
#define WAIT_S    20  /* a long poll */
#define RETRY_MS  500 /* the first wait; doubled up to the next */
#define RETRY_MAX INT64_C(30000)

struct source {
    struct xrdd_follow *all;
    char *url;
    struct xrdd_told told;
    struct xeno_http_call *call; /* NULL: none under way */
    bool heard, away;
    xeno_time asked, fresh; /* monotonic: of the question; of the last that left nothing open */
    xeno_time not_before;
    int64_t wait_ms;
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

static int take_answer(struct source *s, const char *body, size_t len, struct xeno_err *err)
{
    int r = xrdd_told_take(&s->told, body, len, err);

    if (r < 0 || s->told.more)
        return r;
    s->heard = true;
    s->fresh = s->told.count == 0 ? xeno_mono(s->all->opts.env) : s->asked;
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
    xeno_autofree char *epoch = xeno_http_escape(s->told.epoch);
    xeno_autofree char *url = xeno_asprintf(
        "%s/v1/changes?%s%s%safter=%" PRId64 "&limit=%d&wait=%d", s->url, *epoch ? "epoch=" : "",
        epoch, *epoch ? "&" : "", s->told.after, PAGE, s->told.whole ? WAIT_S : 0);
    struct xeno_http_ask q = { .method = "GET",
                               .url = url,
                               .deadline = xeno_s(WAIT_S + 20),
                               .max_body = XRDD_TOLD_MAX,
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
    *s = (struct source){ .all = f, .url = xeno_strndup(word, len) };
    s->told = (struct xrdd_told){ f->opts.world, (unsigned)f->count, s->url, .after = 0 };
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
    if (s->told.whole && s->call && !s->away &&
        xeno_mono(env).ns - s->asked.ns < xeno_s(WAIT_S + 2).ns)
        return 0;
    return (xeno_mono(env).ns - s->fresh.ns) / XENO_NS_PER_MS;
}

struct xrdd_followed xrdd_follow_get(const struct xrdd_follow *f, size_t i)
{
    const struct source *s = &f->sources[i];

    return (struct xrdd_followed){ .url = s->url,
                                   .heard = s->heard,
                                   .age_ms = age_ms(s),
                                   .changes = s->told.changes,
                                   .refused = s->told.refused };
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
