/* src/xstored/meta-history.c - what tags stood for before.
 *
 * A row of `head` is a manifest that a tag stood for until until_ms. While there is one its
 * manifest is not deleted for anybody but the owner by its own credential; `doomed` remembers that
 * somebody else wanted it gone. Rows count as entries, and manifests as bytes, of the owner:
 * whoever may push can fill the quota by overwriting, and then cannot push, but makes no head go.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xstored/meta-priv.h"

/* --- keeping --- */

int meta_keep_head(struct xeno_db *db, const char *repo, const char *tag, int64_t now_ms,
                   const struct xstored_limits *limits, struct xstored_refusal *refusal,
                   struct xeno_err *err)
{
    int r = xeno_db_run(db, err,
                        "INSERT INTO head (repository, name, n, digest, until_ms, doomed)"
                        " SELECT repository, name, (SELECT coalesce(max(n), 0) + 1 FROM head h"
                        "  WHERE h.repository = $1 AND h.name = $2), digest, $3, 0 FROM tag"
                        " WHERE repository = $1 AND name = $2",
                        "tti", repo, tag, now_ms);

    return r <= 0 ? r : meta_entries(db, xstored_name_owner(repo).s, r, limits, refusal, err);
}

int meta_drop_heads(struct xeno_db *db, const char *repo, const char *digest, struct xeno_err *err)
{
    int r = xeno_db_run(db, err, "DELETE FROM head WHERE repository = $1 AND digest = $2", "tt",
                        repo, digest);

    return r <= 0 ? r : meta_entries(db, xstored_name_owner(repo).s, -r, NULL, NULL, err);
}

/* --- showing --- */

static struct xeno_json *head_json(struct xeno_query *q)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_int(j, "n", xeno_query_col_int(q, 0));
    xeno_json_set_str(j, "digest", xeno_query_col_text(q, 1));
    xeno_json_set_int(j, "size_bytes", xeno_query_col_int(q, 2));
    xeno_json_set_int(j, "until_ms", xeno_query_col_int(q, 3));
    return j;
}

/* size_bytes: of the manifest and all that it names itself, which for an image is all of it. */
int xstored_meta_heads(struct xeno_db *db, const char *repo, const char *tag,
                       struct xeno_json **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) list = xeno_json_array();
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q,
                             "SELECT h.n, h.digest, (SELECT b.size_bytes FROM blob b"
                             "  WHERE b.digest = h.digest) + (SELECT coalesce(sum(b.size_bytes), 0)"
                             "  FROM need d JOIN blob b ON b.digest = d.digest"
                             "  WHERE d.repository = $1 AND d.manifest = h.digest), h.until_ms"
                             " FROM head h WHERE h.repository = $1 AND h.name = $2"
                             " ORDER BY h.n DESC LIMIT $3",
                             err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, repo);
    xeno_query_text(&q, 2, tag);
    xeno_query_int(&q, 3, XSTORED_HEADS_MAX);
    while ((r = xeno_query_step(&q, err)) > 0)
        xeno_json_append(list, head_json(&q));
    if (r < 0)
        return r;
    *ret = xeno_take(&list);
    return 0;
}

int xstored_meta_count_heads(struct xeno_db *db, int64_t *ret, struct xeno_err *err)
{
    return xeno_db_one_int(db, 0, ret, err, "SELECT count(*) FROM head", "");
}

/* --- restoring --- */

static int find_head(struct xeno_db *db, const char *repo, const char *tag, int64_t n,
                     char ret[XENO_DIGEST_TEXT], struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q,
                             "SELECT digest FROM head WHERE repository = $1 AND name = $2"
                             " AND n = $3",
                             err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, repo);
    xeno_query_text(&q, 2, tag);
    xeno_query_int(&q, 3, n);
    r = xeno_query_step(&q, err);
    if (r > 0)
        snprintf(ret, XENO_DIGEST_TEXT, "%s", xeno_query_col_text(&q, 0));
    if (r == 0)
        return xeno_fail(err, -ENOENT, "store.head", "%.255s:%s has no head %" PRId64 " (any more)",
                         repo, tag, n);
    return r < 0 ? r : 0;
}

int xstored_meta_restore(struct xeno_db *db, const char *repo, const char *tag, int64_t n,
                         int64_t now_ms, const struct xstored_limits *limits,
                         struct xstored_refusal *refusal, char ret_digest[XENO_DIGEST_TEXT],
                         struct xeno_err *err)
{
    int r = find_head(db, repo, tag, n, ret_digest, err);

    if (r == 0)
        r = meta_set_tag(db, repo, tag, ret_digest, now_ms, limits, refusal, err);
    if (r == 0) /* whoever wanted it gone does not decide any more */
        r = xeno_db_run(db, err, "UPDATE head SET doomed = 0 WHERE repository = $1 AND digest = $2",
                        "tt", repo, ret_digest);
    return r < 0 ? r : 0;
}

/* --- deleting, by somebody who may not shorten it --- */

static int is_head(struct xeno_db *db, const char *repo, const char *digest, int64_t *ret,
                   struct xeno_err *err)
{
    return xeno_db_one_int(db, 0, ret, err,
                           "SELECT 1 FROM head WHERE repository = $1 AND digest = $2 LIMIT 1", "tt",
                           repo, digest);
}

/* One of its tags. Returns: 1 or 0. */
static int next_tag(struct xeno_db *db, const char *repo, const char *digest,
                    char ret[XSTORED_NAME_MAX + 1], struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(
        db, &q, "SELECT name FROM tag WHERE repository = $1 AND digest = $2 LIMIT 1", err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, repo);
    xeno_query_text(&q, 2, digest);
    r = xeno_query_step(&q, err);
    if (r > 0)
        snprintf(ret, XSTORED_NAME_MAX + 1, "%s", xeno_query_col_text(&q, 0));
    return r;
}

static int doom_tag(struct xeno_db *db, const char *repo, const char *tag, int64_t now_ms,
                    const struct xstored_limits *limits, struct xstored_refusal *refusal,
                    struct xeno_err *err)
{
    int r = meta_keep_head(db, repo, tag, now_ms, limits, refusal, err);

    return r < 0 ? r : xstored_meta_delete(db, repo, tag, now_ms, err);
}

int xstored_meta_doom(struct xeno_db *db, const char *repo, const char *ref, int64_t now_ms,
                      const struct xstored_limits *limits, struct xstored_refusal *refusal,
                      struct xeno_err *err)
{
    char tag[XSTORED_NAME_MAX + 1];
    int64_t head = 0;
    int r = 0;

    if (!strchr(ref, ':'))
        return doom_tag(db, repo, ref, now_ms, limits, refusal, err);
    while ((r = next_tag(db, repo, ref, tag, err)) > 0) {
        r = doom_tag(db, repo, tag, now_ms, limits, refusal, err);
        if (r < 0)
            return r;
    }
    if (r == 0)
        r = is_head(db, repo, ref, &head, err);
    if (r == 0 && !head)
        return xstored_meta_delete(db, repo, ref, now_ms, err);
    if (r == 0)
        r = xeno_db_run(db, err, "UPDATE head SET doomed = 1 WHERE repository = $1 AND digest = $2",
                        "tt", repo, ref);
    return r < 0 ? r : 0;
}

/* --- when their time is over --- */

struct head {
    char repo[XSTORED_NAME_MAX + 1], tag[XSTORED_NAME_MAX + 1], digest[XENO_DIGEST_TEXT];
    int64_t n;
    bool doomed;
};

/* The oldest. Returns: 1 or 0. */
static int next_head(struct xeno_db *db, int64_t before_ms, struct head *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q,
                             "SELECT repository, name, n, digest, doomed FROM head"
                             " WHERE until_ms < $1 ORDER BY until_ms LIMIT 1",
                             err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, before_ms);
    r = xeno_query_step(&q, err);
    if (r <= 0)
        return r;
    snprintf(ret->repo, sizeof ret->repo, "%s", xeno_query_col_text(&q, 0));
    snprintf(ret->tag, sizeof ret->tag, "%s", xeno_query_col_text(&q, 1));
    ret->n = xeno_query_col_int(&q, 2);
    snprintf(ret->digest, sizeof ret->digest, "%s", xeno_query_col_text(&q, 3));
    ret->doomed = xeno_query_col_int(&q, 4) != 0;
    return r;
}

/* What was to be deleted goes with its last head, unless it is in use again or is paid for. */
static int bury(struct xeno_db *db, const struct head *h, int64_t now_ms, struct xeno_err *err)
{
    char tag[XSTORED_NAME_MAX + 1];
    int64_t head = 0;
    int r = is_head(db, h->repo, h->digest, &head, err);

    if (r == 0 && !head)
        r = next_tag(db, h->repo, h->digest, tag, err);
    if (r != 0 || head)
        return r < 0 ? r : 0;
    r = xstored_meta_deletable(db, h->repo, h->digest, err);
    if (r == 0)
        r = xstored_meta_delete(db, h->repo, h->digest, now_ms, err);
    return r == -EBUSY ? 0 : r;
}

int xstored_meta_forget_heads(struct xeno_db *db, int64_t before_ms, int64_t now_ms, int max,
                              struct xeno_err *err)
{
    struct head h;
    int n = 0, r = 0;

    while (n < max && (r = next_head(db, before_ms, &h, err)) > 0) {
        r = xeno_db_run(db, err, "DELETE FROM head WHERE repository = $1 AND name = $2 AND n = $3",
                        "tti", h.repo, h.tag, h.n);
        if (r >= 0)
            r = meta_entries(db, xstored_name_owner(h.repo).s, -1, NULL, NULL, err);
        if (r == 0 && h.doomed)
            r = bury(db, &h, now_ms, err);
        if (r < 0)
            return r;
        n++;
    }
    return r < 0 ? r : n;
}
