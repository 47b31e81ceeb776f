/* src/xrdd/told.c - what a page of an XIS's change feed says. */
#include "xrdd/told.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "json/json.h"

static void begin_anew(struct xrdd_told *t, const char *epoch)
{
    xeno_log(LOG_INFO, "xis.gap", "xis=%s", t->url);
    snprintf(t->epoch, sizeof t->epoch, "%s", epoch);
    t->after = 0;
    t->more = true;
    t->count = 0;
    t->whole = false;
    xrdd_world_restart(t->world, t->source);
}

static int take_advert(struct xrdd_told *t, const struct xeno_json_at *at, const char *id,
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
        return xrdd_world_tell(t->world, t->source, id, version, jws, delta, err);
    xrdd_world_untell(t->world, t->source, id); /* its word only: others may have it */
    return 0;
}

/* One change. Its form is the XIS's; what is wrong with an advert is the advert's, and passed over.
 */
static int take_change(struct xrdd_told *t, const struct xeno_json_at *at, struct xeno_err *err)
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
    t->changes++;
    if (expired) {
        xrdd_world_untell(t->world, t->source, id);
    } else if (take_advert(t, at, id, &why) < 0) {
        t->refused++;
        xeno_log_err(LOG_DEBUG, "xis.advert", &why, "xis=%s server=%s", t->url, id);
    }
    return 0;
}

static int take_changes(struct xrdd_told *t, const struct xeno_json_at *top, const char *epoch,
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

        r = take_change(t, &at, err);
    }
    if (r == 0 && more && next <= t->after)
        r = xeno_fail(err, -EPROTO, "rd.xis", "there is more after %" PRId64 ", and no way to it",
                      t->after);
    if (r < 0)
        return r;
    snprintf(t->epoch, sizeof t->epoch, "%s", epoch);
    t->after = next;
    t->more = more;
    t->count = n;
    if (more)
        return 0;
    if (!t->whole)
        xrdd_world_through(t->world, t->source);
    t->whole = true;
    return 0;
}

int xrdd_told_take(struct xrdd_told *t, const char *body, size_t len, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *epoch = NULL;
    bool gap = false;
    int r = xeno_json_parse(body, len, XRDD_TOLD_MAX, &j, err);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_str(&top, "epoch", 1, XRDD_EPOCH_MAX, &epoch, err);
    if (r == 0)
        r = xeno_json_bool_opt(&top, "gap", &gap, err);
    if (r < 0)
        return r;
    if (!gap)
        return take_changes(t, &top, epoch, err);
    if (t->after == 0 && strcmp(epoch, t->epoch) == 0)
        return xeno_fail(err, -EPROTO, "rd.xis", "it has no beginning");
    begin_anew(t, epoch);
    return 0;
}
