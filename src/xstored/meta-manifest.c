/* src/xstored/meta-manifest.c - manifests, what they need, and tags. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xstored/meta-priv.h"

int meta_repository(struct xeno_db *db, const char *repo, struct xeno_err *err)
{
    int64_t there = 0;
    int r =
        xeno_db_one_int(db, 0, &there, err, "SELECT 1 FROM repository WHERE name = $1", "t", repo);

    if (r == 0 && !there)
        return xeno_fail(err, -ENOENT, "store.repository", "there is no repository %.255s", repo);
    return r;
}

static int is_manifest(struct xeno_db *db, const char *repo, const char *digest, int64_t *ret,
                       struct xeno_err *err)
{
    return xeno_db_one_int(db, 0, ret, err,
                           "SELECT 1 FROM manifest WHERE repository = $1 AND digest = $2", "tt",
                           repo, digest);
}

/* --- putting --- */

static int check_ref(struct xeno_db *db, const char *repo, const struct xstored_ref *ref,
                     struct xeno_err *err)
{
    int64_t size = 0, manifest = 1;
    int r = xstored_meta_blob(db, repo, ref->digest, &size, err);

    if (r == 0 && ref->manifest)
        r = is_manifest(db, repo, ref->digest, &manifest, err);
    if (r == -ENOENT || (r == 0 && !manifest))
        return xeno_fail(err, -ENOENT, "store.manifest_blob",
                         "the manifest names %s, which is not in %.255s: push it first",
                         ref->digest, repo);
    if (r == 0 && size != ref->size_bytes)
        return xeno_fail(err, -EINVAL, "store.manifest",
                         "the manifest says that %s has %" PRId64 " bytes, but it has %" PRId64,
                         ref->digest, ref->size_bytes, size);
    return r;
}

static int add_needs(struct xeno_db *db, const char *repo, const char *digest,
                     const struct xstored_doc *doc, int64_t now_ms,
                     const struct xstored_limits *limits, struct xstored_refusal *refusal,
                     struct xeno_err *err)
{
    int64_t count = 0;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < doc->count; i++) {
        r = xeno_db_run(db, err,
                        "INSERT INTO need (repository, manifest, digest) VALUES ($1, $2, $3)"
                        " ON CONFLICT (repository, manifest, digest) DO NOTHING",
                        "ttt", repo, digest, doc->refs[i].digest);
        if (r == 1) { /* a manifest may name the same layer twice */
            count++;
            r = meta_need(db, repo, doc->refs[i].digest, 1, now_ms, err);
        }
    }
    if (r >= 0)
        r = meta_entries(db, xstored_name_owner(repo).s, count, limits, refusal, err);
    return r < 0 ? r : 0;
}

static int add_manifest(struct xeno_db *db, const char *repo, const char *digest, int64_t size,
                        const struct xstored_doc *doc, int64_t now_ms,
                        const struct xstored_limits *limits, struct xstored_refusal *refusal,
                        struct xeno_err *err)
{
    xeno_auto(xeno_json) descriptor = xstored_doc_descriptor(doc, digest, size);
    xeno_autofree char *text = xeno_json_format(descriptor, false, NULL);
    int r = xeno_db_run(db, err,
                        "INSERT INTO manifest"
                        " (repository, digest, media_type, artifact_type, subject, descriptor)"
                        " VALUES ($1, $2, $3, $4, $5, $6)",
                        "tttttt", repo, digest, doc->media_type, doc->artifact_type, doc->subject,
                        text);

    if (r >= 0)
        r = meta_need(db, repo, digest, 1, now_ms, err);
    return r < 0 ? r : add_needs(db, repo, digest, doc, now_ms, limits, refusal, err);
}

/* What it stood for is kept; to say the same again changes nothing. */
int meta_set_tag(struct xeno_db *db, const char *repo, const char *tag, const char *digest,
                 int64_t now_ms, const struct xstored_limits *limits,
                 struct xstored_refusal *refusal, struct xeno_err *err)
{
    int64_t same = 0;
    int r = xeno_db_one_int(db, -1, &same, err,
                            "SELECT digest = $1 FROM tag WHERE repository = $2 AND name = $3",
                            "ttt", digest, repo, tag);

    if (r == 0 && same == 0)
        r = meta_keep_head(db, repo, tag, now_ms, limits, refusal, err);
    if (r == 0 && same >= 0)
        r = xeno_db_run(db, err, "UPDATE tag SET digest = $1 WHERE repository = $2 AND name = $3",
                        "ttt", digest, repo, tag);
    if (r == 0 && same < 0) {
        r = meta_entries(db, xstored_name_owner(repo).s, 1, limits, refusal, err);
        if (r == 0)
            r = xeno_db_run(db, err,
                            "INSERT INTO tag (repository, name, digest) VALUES ($1, $2, $3)", "ttt",
                            repo, tag, digest);
    }
    return r < 0 ? r : 0;
}

int xstored_meta_put(struct xeno_db *db, const char *repo, const struct xstored_doc *doc,
                     const char *digest, int64_t size_bytes, const char *tag, int64_t now_ms,
                     const struct xstored_limits *limits, struct xstored_refusal *refusal,
                     struct xeno_err *err)
{
    int64_t there = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < doc->count; i++)
        r = check_ref(db, repo, &doc->refs[i], err);
    if (r == 0)
        r = xstored_meta_add(db, repo, digest, size_bytes, now_ms, limits, refusal, err);
    if (r == 0)
        r = is_manifest(db, repo, digest, &there, err);
    if (r == 0 && !there)
        r = add_manifest(db, repo, digest, size_bytes, doc, now_ms, limits, refusal, err);
    if (r == 0 && tag)
        r = meta_set_tag(db, repo, tag, digest, now_ms, limits, refusal, err);
    return r;
}

/* --- finding --- */

#define BY_DIGEST                                                                                  \
    "SELECT m.digest, m.media_type, b.size_bytes FROM manifest m"                                  \
    " JOIN blob b ON b.digest = m.digest"                                                          \
    " WHERE m.repository = $1 AND m.digest = $2 AND b.damaged = 0"
#define BY_TAG                                                                                     \
    "SELECT m.digest, m.media_type, b.size_bytes FROM tag t"                                       \
    " JOIN manifest m ON m.repository = t.repository AND m.digest = t.digest"                      \
    " JOIN blob b ON b.digest = m.digest"                                                          \
    " WHERE t.repository = $1 AND t.name = $2 AND b.damaged = 0"

int xstored_meta_manifest(struct xeno_db *db, const char *repo, const char *ref,
                          struct xstored_manifest *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, strchr(ref, ':') ? BY_DIGEST : BY_TAG, err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, repo);
    xeno_query_text(&q, 2, ref);
    r = xeno_query_step(&q, err);
    if (r == 0)
        r = meta_repository(db, repo, err);
    if (r == 0)
        return xeno_fail(err, -ENOENT, "store.manifest_unknown",
                         "there is no manifest %s in %.255s", ref, repo);
    if (r < 0)
        return r;
    snprintf(ret->digest, sizeof ret->digest, "%s", xeno_query_col_text(&q, 0));
    snprintf(ret->media_type, sizeof ret->media_type, "%s", xeno_query_col_text(&q, 1));
    ret->size_bytes = xeno_query_col_int(&q, 2);
    return 0;
}

/* --- deleting --- */

static int drop_needs(struct xeno_db *db, const char *repo, const char *digest, int64_t now_ms,
                      struct xeno_err *err)
{
    int r = xeno_db_run(db, err,
                        "UPDATE link SET needs = needs - 1, since_ms = $1 WHERE repository = $2"
                        " AND digest IN (SELECT digest FROM need"
                        "  WHERE repository = $2 AND manifest = $3)",
                        "itt", now_ms, repo, digest);

    if (r >= 0)
        r = xeno_db_run(db, err, "DELETE FROM need WHERE repository = $1 AND manifest = $2", "tt",
                        repo, digest);
    return r < 0 ? r : meta_entries(db, xstored_name_owner(repo).s, -r, NULL, NULL, err);
}

static int drop_tags(struct xeno_db *db, const char *repo, const char *digest, struct xeno_err *err)
{
    int r = xeno_db_run(db, err, "DELETE FROM tag WHERE repository = $1 AND digest = $2", "tt",
                        repo, digest);

    return r < 0 ? r : meta_entries(db, xstored_name_owner(repo).s, -r, NULL, NULL, err);
}

static int drop_manifest(struct xeno_db *db, const char *repo, const char *digest, int64_t now_ms,
                         struct xeno_err *err)
{
    int64_t listed = 0;
    int r = xeno_db_one_int(db, 0, &listed, err,
                            "SELECT 1 FROM need WHERE repository = $1 AND digest = $2 LIMIT 1",
                            "tt", repo, digest);

    if (r == 0 && listed)
        return xeno_fail(err, -EBUSY, "store.needed",
                         "%s is listed by an index of %.255s: delete that first", digest, repo);
    if (r == 0)
        r = drop_tags(db, repo, digest, err);
    if (r == 0)
        r = meta_drop_heads(db, repo, digest, err);
    if (r == 0)
        r = drop_needs(db, repo, digest, now_ms, err);
    if (r == 0)
        r = xeno_db_run(db, err, "DELETE FROM unpaid WHERE repository = $1 AND digest = $2", "tt",
                        repo, digest);
    if (r >= 0)
        r = xeno_db_run(db, err, "DELETE FROM manifest WHERE repository = $1 AND digest = $2", "tt",
                        repo, digest);
    return r < 0 ? r : meta_drop_link(db, repo, digest, err);
}

static int drop_tag(struct xeno_db *db, const char *repo, const char *tag, struct xeno_err *err)
{
    int r = xeno_db_run(db, err, "DELETE FROM tag WHERE repository = $1 AND name = $2", "tt", repo,
                        tag);

    if (r == 0)
        r = meta_repository(db, repo, err);
    else if (r > 0)
        return meta_entries(db, xstored_name_owner(repo).s, -1, NULL, NULL, err);
    if (r == 0)
        return xeno_fail(err, -ENOENT, "store.manifest_unknown", "there is no tag %s in %.255s",
                         tag, repo);
    return r;
}

/* A damaged one can be deleted as well. */
int xstored_meta_delete(struct xeno_db *db, const char *repo, const char *ref, int64_t now_ms,
                        struct xeno_err *err)
{
    int64_t there = 0;
    int r;

    if (!strchr(ref, ':'))
        return drop_tag(db, repo, ref, err);
    r = meta_repository(db, repo, err);
    if (r == 0)
        r = is_manifest(db, repo, ref, &there, err);
    if (r == 0 && !there)
        return xeno_fail(err, -ENOENT, "store.manifest_unknown",
                         "there is no manifest %s in %.255s", ref, repo);
    return r < 0 ? r : drop_manifest(db, repo, ref, now_ms, err);
}
