/* src/xstored/api-history.c - what a tag stood for before: shown to its owner, and brought back.
 *
 * The history is what finds out that a session or a tool with a pass wrote what it should not have,
 * and what undoes it. So neither can read it or act on it: both routes ask for the client
 * certificate itself, and take no pass and no password.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xstored/job.h"

static int owner(struct xstored *d, const struct xeno_http_req *q, struct xstored_asker *ret,
                 struct xeno_err *err)
{
    int r;

    d->counts.requests++;
    r = xstored_who(d, q, ret, err);
    if (r == 0 && !xeno_http_peer(q))
        r = xeno_fail(err, -EPERM, "store.history",
                      "the history of a tag is for its owner's own credential: a pass does not do");
    return r;
}

static int check_repo(const struct xstored_asker *who, const char *repo, struct xeno_err *err)
{
    int r = xstored_name_check(repo ? repo : "", err);

    return r < 0 ? r : xstored_may_write(who, repo, err);
}

static int check_tag(const char *tag, struct xeno_err *err)
{
    bool digest = false;
    int r = xstored_reference_check(tag ? tag : "", &digest, err);

    if (r == 0 && digest)
        return xeno_fail(err, -EINVAL, "store.tag", "a digest has no history: name a tag");
    return r;
}

void xstored_get_history(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    const char *tag = xeno_http_query(q, "tag"), *repo = xeno_http_query(q, "repository");
    struct xeno_json *heads = NULL, *reply;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_manifest now = { .size_bytes = 0 };
    struct xstored_asker who;
    int r = owner(d, q, &who, &err);

    if (r == 0)
        r = check_repo(&who, repo, &err);
    if (r == 0)
        r = check_tag(tag, &err);
    if (r == 0)
        r = xstored_meta_heads(d->view, repo, tag, &heads, &err);
    if (r < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    (void)xstored_meta_manifest(d->view, repo, tag, &now, NULL); /* it may be deleted */
    reply = xeno_json_object();
    xeno_json_set_str(reply, "name", repo);
    xeno_json_set_str(reply, "tag", tag);
    xeno_json_set_str(reply, "digest", now.digest);
    xeno_json_set_int(reply, "kept_s", d->opt.history.ns / XENO_NS_PER_S);
    xeno_json_set(reply, "heads", heads);
    xeno_http_reply_json(q, 200, reply);
}

/* --- bringing one back --- */

struct restore {
    char *repo, *tag;
    int64_t n;
    char digest[XENO_DIGEST_TEXT];
};

static void restore_free(void *arg)
{
    struct restore *s = arg;

    free(s->repo);
    free(s->tag);
    free(s);
}

static int act_restore(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    struct restore *s = j->args;

    return xstored_meta_restore(db, s->repo, s->tag, s->n, j->now_ms, &j->limits, &j->refusal,
                                s->digest, err);
}

static void finish_restore(struct job *j)
{
    const struct restore *s = j->args;
    struct xeno_json *reply;

    if (j->item.result < 0)
        return;
    j->d->counts.restored++;
    reply = xeno_json_object();
    xeno_json_set_str(reply, "name", s->repo);
    xeno_json_set_str(reply, "tag", s->tag);
    xeno_json_set_str(reply, "digest", s->digest);
    xeno_http_reply_json(j->q, 200, reply);
}

static int read_restore(const struct xeno_json *body, const struct xstored_asker *who,
                        struct restore *s, struct xeno_err *err)
{
    static const char *const known[] = { "repository", "tag", "to", NULL };
    struct xeno_json_at top = xeno_json_top(body);
    const char *repo = NULL, *tag = NULL;
    int r = xeno_json_only(&top, known, err);

    if (r == 0)
        r = xeno_json_str(&top, "repository", 1, XSTORED_NAME_MAX, &repo, err);
    if (r == 0)
        r = check_repo(who, repo, err);
    if (r == 0)
        r = xeno_json_str(&top, "tag", 1, XSTORED_NAME_MAX, &tag, err);
    if (r == 0)
        r = xeno_json_int(&top, "to", 1, INT64_MAX, &s->n, err);
    if (r == 0)
        r = check_tag(tag, err);
    if (r == 0) {
        s->repo = xeno_strdup(repo);
        s->tag = xeno_strdup(tag);
    }
    return r;
}

void xstored_post_history(struct xeno_http_req *q, void *user)
{
    xeno_auto(xeno_json) body = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_asker who;
    struct restore *s;
    struct job *j;

    if (owner(user, q, &who, &err) < 0) {
        xstored_refuse(user, q, &err);
        return;
    }
    if (xeno_http_body_json(q, &body) < 0)
        return;
    s = xeno_new0(struct restore);
    j = job_new(user, q, act_restore, s, restore_free);
    if (read_restore(body, &who, s, &err) < 0) {
        job_free(j);
        xstored_refuse(user, q, &err);
        return;
    }
    j->finish = finish_restore;
    job_submit(j);
}
