/* src/xenod/api-sessions.c - sessions: made, shown, and told what to do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "spec/requirement.h"
#include "xenod/elsewhere.h"
#include "xenod/xenod.h"

#define CHAIN_MAX  (32 * 1024)
#define PROOF_MAX  2048
#define PAGE_MAX   1000
#define PAGE       100
#define EXTEND_MAX (XENO_HOST_LIFETIME_MAX)

/* Answer with the session object; a wrong id with its problem. */
static void reply_session(struct xenod *d, struct xeno_http_req *q, const struct xeno_id *who,
                          const char *session, int status)
{
    struct xeno_json *body = NULL, *image;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_host_session_json(d->host, who, session, &body, &err) < 0) {
        xenod_refuse(q, &err);
        return;
    }
    image = xenod_fetching_json(d, session);
    if (image)
        xeno_json_set(body, "image", image);
    xeno_http_reply_json(q, status, body);
}

/* --- making --- */

/* What POST /v1/sessions asks; borrows from the body. */
struct ask {
    const char *hold, *requirements, *chain, *proof, *name;
};

static int read_ask(const struct xeno_json *body, struct ask *ret, struct xeno_err *err)
{
    static const char *const keys[] = { "hold", "requirements", "chain", "proof", "name", NULL };
    struct xeno_json_at at = xeno_json_top(body);
    int r = xeno_json_only(&at, keys, err);

    memset(ret, 0, sizeof *ret);
    if (r >= 0)
        r = xeno_json_str(&at, "chain", 1, CHAIN_MAX, &ret->chain, err);
    if (r >= 0)
        r = xeno_json_str_opt(&at, "hold", XENO_HOLD_CHARS, XENO_HOLD_CHARS, &ret->hold, err);
    if (r >= 0)
        r = xeno_json_str_opt(&at, "requirements", 1, XENO_REQUIREMENT_MAX_BYTES,
                              &ret->requirements, err);
    if (r >= 0)
        r = xeno_json_str_opt(&at, "proof", 1, PROOF_MAX, &ret->proof, err);
    if (r >= 0)
        r = xeno_json_str_opt(&at, "name", 1, XENO_SESSION_NAME_MAX, &ret->name, err);
    if (r < 0)
        return r;
    if (!ret->hold == !ret->requirements)
        return xeno_fail(err, -EINVAL, "api.session",
                         "give either hold or requirements, and not both");
    return 0;
}

/* What a proof of possession must be for: the document, or the hold's id. */
static void audience_of(const struct ask *a, char out[65])
{
    const char *text = a->requirements ? a->requirements : a->hold;
    uint8_t sha[32];

    xeno_sha256_of(text, strlen(text), sha);
    xeno_hex(sha, sizeof sha, out);
}

static int create(struct xenod *d, const struct xeno_cert *peer, const struct ask *a,
                  const struct xeno_requirement *req, bool dry_run,
                  char ret_id[XENO_SESSION_CHARS + 1], struct xeno_err *err)
{
    char audience[65];
    struct xeno_host_create c = {
        .who = &peer->id,
        .holder = &peer->pub,
        .hold = a->hold,
        .req = req,
        .chain = a->chain,
        .proof = a->proof,
        .proof_aud_sha = a->proof ? audience : NULL,
        .name = a->name,
    };

    audience_of(a, audience);
    return xeno_host_create(d->host, &c, dry_run, ret_id, err);
}

static void reply_possible(struct xeno_http_req *q)
{
    struct xeno_json *body = xeno_json_object();

    xeno_json_set_bool(body, "dry_run", true);
    xeno_json_set_bool(body, "possible", true);
    xeno_http_reply_json(q, 200, body);
}

/* A session that is asked for, which may have to wait for the names of its images. */
struct asked_session {
    struct xenod *d;
    struct xeno_http_req *q;
    struct xeno_json *body;
    struct ask ask;               /* borrows from the body */
    struct xeno_requirement *req; /* NULL: of a hold */
    bool dry_run;
    struct xenod_pin *pin; /* NULL: not waiting */
};

static void asked_free(struct asked_session *a)
{
    xenod_pin_cancel(a->pin);
    xeno_requirement_free(a->req);
    xeno_json_unref(a->body);
    free(a);
}

static void on_asker_gone(void *arg)
{
    asked_free(arg);
}

/* Make it and answer. */
static int make(struct asked_session *a, struct xeno_err *err)
{
    const struct xeno_cert *peer = xeno_http_peer(a->q);
    char id[XENO_SESSION_CHARS + 1] = "";
    struct xenod *d = a->d;
    int r = xenod_begin_new(d, err);

    if (r < 0)
        return r;
    r = create(d, peer, &a->ask, a->req, a->dry_run, id, err);
    if (r < 0 || a->dry_run) {
        xenod_cancel(d);
        if (r >= 0)
            reply_possible(a->q);
        return r;
    }
    if (a->req)
        xenod_image_remember(d, id, a->req);
    else
        xenod_image_rename(d, a->ask.hold, id);
    reply_session(d, a->q, &peer->id, id, 201);
    xenod_end(d);
    return 0;
}

static void on_pinned(void *arg, const struct xeno_err *failure)
{
    struct asked_session *a = arg;
    struct xeno_err err = XENO_ERR_INIT;

    a->pin = NULL;
    if (failure)
        xenod_refuse(a->q, failure);
    else if (make(a, &err) < 0)
        xenod_refuse(a->q, &err);
    asked_free(a);
}

/* Returns: 1 when it waits now; 0: answered. */
static int begin(struct asked_session *a, struct xeno_err *err)
{
    const struct xeno_id *who = &xeno_http_peer(a->q)->id;
    const char *text;
    int r = read_ask(a->body, &a->ask, err);

    text = a->ask.requirements;
    if (r == 0)
        r = xenod_client(a->q, err);
    if (r == 0 && text)
        r = xeno_requirement_parse(text, strlen(text), &a->req, err);
    if (r == 0 && text)
        r = xenod_image_pin(a->d, who, a->req, false, on_pinned, a, &a->pin, err);
    return r != 0 ? r : make(a, err);
}

void xenod_post_session(struct xeno_http_req *q, void *user)
{
    struct asked_session *a;
    struct xeno_json *body = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    if (xeno_http_body_json(q, &body) < 0)
        return;
    a = xeno_new0(struct asked_session);
    a->d = user;
    a->q = q;
    a->body = body;
    a->dry_run = xenod_query_flag(q, "dry_run");
    r = begin(a, &err);
    if (r > 0) {
        xeno_http_on_gone(q, on_asker_gone, a);
        return;
    }
    if (r < 0)
        xenod_refuse(q, &err);
    asked_free(a);
}

/* --- showing --- */

/* Each with its image, as it was when it was last looked at. */
static void add_images(struct xenod *d, struct xeno_json *page)
{
    struct xeno_json_at top = xeno_json_top(page), list;
    size_t n = 0;

    if (xeno_json_arr_opt(&top, "sessions", PAGE_MAX, &list, &n, NULL) != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at s = xeno_json_item(&list, i);
        struct xeno_json *image;
        const char *id;

        if (xeno_json_str(&s, "session", 1, XENO_SESSION_CHARS, &id, NULL) < 0)
            continue;
        image = xenod_fetching_json(d, id);
        if (image)
            xeno_json_set((struct xeno_json *)s.j, "image", image);
    }
}

void xenod_get_sessions(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    const char *after = xeno_http_query(q, "after");
    struct xeno_json *page;
    int64_t limit;

    if (!xenod_query_int(q, "limit", 1, PAGE_MAX, PAGE, &limit))
        return;
    page = xeno_host_sessions_json(d->host, xenod_who(d, q), after, (size_t)limit);
    add_images(d, page);
    xeno_http_reply_json(q, 200, page);
}

/* A look at a session, which waits a moment for how far its image is. */
struct look {
    struct xenod *d;
    struct xeno_http_req *q;
    char session[XENO_SESSION_CHARS + 1];
};

static void on_looked(void *arg)
{
    struct look *l = arg;

    reply_session(l->d, l->q, xenod_who(l->d, l->q), l->session, 200);
    free(l);
}

static void on_looker_gone(void *arg)
{
    struct look *l = arg;

    xenod_fetching_forget(l->d, l->session, l);
    free(l);
}

void xenod_get_session(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    const char *session = xeno_http_param(q, "session");
    struct look *l;

    if (xeno_host_check(d->host, xenod_who(d, q), session, NULL, false, NULL) < 0) {
        reply_session(d, q, xenod_who(d, q), session, 200); /* says why */
        return;
    }
    l = xeno_new0(struct look);
    l->d = d;
    l->q = q;
    snprintf(l->session, sizeof l->session, "%s", session);
    if (xenod_fetching_look(d, session, on_looked, l)) {
        xeno_http_on_gone(q, on_looker_gone, l);
        return;
    }
    reply_session(d, q, xenod_who(d, q), session, 200);
    free(l);
}

void xenod_get_usage(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    struct xeno_json *body = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_host_usage_json(d->host, xenod_who(d, q), xeno_http_param(q, "session"), &body, &err) <
        0)
        xenod_refuse(q, &err);
    else
        xeno_http_reply_json(q, 200, body);
}

/* --- verbs --- */

static enum xeno_host_verb verb_of(const char *path)
{
    static const struct {
        const char *word;
        enum xeno_host_verb verb;
    } verbs[] = { { "/pause", XENO_HOST_PAUSE },
                  { "/resume", XENO_HOST_RESUME },
                  { "/suspend", XENO_HOST_SUSPEND } };
    const char *word = strrchr(path, '/');

    for (size_t i = 0; i < XENO_LEN(verbs); i++) {
        if (strcmp(word, verbs[i].word) == 0)
            return verbs[i].verb;
    }
    return XENO_HOST_END;
}

/* Answer a request that changed a session, or was refused. */
static void finish(struct xenod *d, struct xeno_http_req *q, int r, const struct xeno_err *err)
{
    if (r < 0) {
        xenod_cancel(d);
        xenod_refuse(q, err);
        return;
    }
    reply_session(d, q, xenod_who(d, q), xeno_http_param(q, "session"), 202);
    xenod_end(d);
}

void xenod_post_verb(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    xenod_begin(d); /* ending must work on a full disk, too */
    r = xeno_host_do(d->host, xenod_who(d, q), xeno_http_param(q, "session"),
                     verb_of(xeno_http_path(q)), &err);
    finish(d, q, r, &err);
}

/* The members "chain" and, for extend, "lifetime_s"; both may be missing, and so may the body. */
static int read_more(struct xeno_http_req *q, struct xeno_json **ret_body, const char **ret_chain,
                     int64_t *ret_lifetime_s, struct xeno_err *err)
{
    static const char *const both[] = { "chain", "lifetime_s", NULL };
    static const char *const one[] = { "chain", NULL };
    struct xeno_json_at at;
    size_t len;
    const char *text = xeno_http_body(q, &len);
    int r;

    if (len == 0)
        return 0;
    r = xeno_json_parse(text, len, 128 * 1024, ret_body, err);
    if (r < 0)
        return r;
    at = xeno_json_top(*ret_body);
    r = xeno_json_only(&at, ret_lifetime_s ? both : one, err);
    if (r >= 0)
        r = xeno_json_str_opt(&at, "chain", 1, CHAIN_MAX, ret_chain, err);
    if (r >= 0 && ret_lifetime_s)
        r = xeno_json_int_opt(&at, "lifetime_s", 1, EXTEND_MAX, ret_lifetime_s, err);
    return r < 0 ? r : 0;
}

void xenod_post_restore(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    xeno_auto(xeno_json) body = NULL;
    const char *chain = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int r = read_more(q, &body, &chain, NULL, &err);

    if (r == 0)
        r = xenod_begin_new(d, &err);
    if (r < 0) {
        xenod_refuse(q, &err);
        return;
    }
    r = xeno_host_restore(d->host, xenod_who(d, q), &xeno_http_peer(q)->pub,
                          xeno_http_param(q, "session"), chain, &err);
    finish(d, q, r, &err);
}

void xenod_post_extend(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    xeno_auto(xeno_json) body = NULL;
    const char *chain = NULL;
    int64_t lifetime_s = 0;
    struct xeno_err err = XENO_ERR_INIT;
    int r = read_more(q, &body, &chain, &lifetime_s, &err);

    if (r == 0 && !chain && lifetime_s == 0)
        r = xeno_fail(&err, -EINVAL, "api.extend", "give lifetime_s, chain or both");
    if (r == 0)
        r = xenod_begin_new(d, &err);
    if (r < 0) {
        xenod_refuse(q, &err);
        return;
    }
    r = xeno_host_extend(d->host, xenod_who(d, q), &xeno_http_peer(q)->pub,
                         xeno_http_param(q, "session"), lifetime_s * 1000, chain, &err);
    finish(d, q, r, &err);
}
