/* src/xstored/meta.c - objects and their links: who is charged for what. */
#include "xstored/meta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "xstored/meta-priv.h"

static const char *const schema[] = {
    "CREATE TABLE owner ("
    " id text PRIMARY KEY, used_bytes bigint NOT NULL CHECK (used_bytes >= 0),"
    " entries bigint NOT NULL CHECK (entries >= 0));"
    "CREATE TABLE repository (name text PRIMARY KEY, owner text NOT NULL);"
    "CREATE INDEX repository_owner ON repository (owner, name);"
    "CREATE TABLE blob ("
    " digest text PRIMARY KEY, size_bytes bigint NOT NULL CHECK (size_bytes >= 0),"
    " links bigint NOT NULL CHECK (links >= 0), damaged bigint NOT NULL);"
    "CREATE INDEX blob_free ON blob (digest) WHERE links = 0;"
    "CREATE TABLE link ("
    " repository text NOT NULL REFERENCES repository (name),"
    " digest text NOT NULL REFERENCES blob (digest), owner text NOT NULL,"
    " needs bigint NOT NULL CHECK (needs >= 0), since_ms bigint NOT NULL,"
    " PRIMARY KEY (repository, digest));"
    "CREATE INDEX link_owner ON link (owner, digest);"
    "CREATE INDEX link_digest ON link (digest);"
    "CREATE INDEX link_idle ON link (since_ms) WHERE needs = 0;"
    "CREATE TABLE manifest ("
    " repository text NOT NULL, digest text NOT NULL, media_type text NOT NULL,"
    " artifact_type text NOT NULL, subject text NOT NULL, descriptor text NOT NULL,"
    " PRIMARY KEY (repository, digest),"
    " FOREIGN KEY (repository, digest) REFERENCES link (repository, digest));"
    "CREATE INDEX manifest_subject ON manifest (repository, subject, digest) WHERE subject <> '';"
    "CREATE TABLE need ("
    " repository text NOT NULL, manifest text NOT NULL, digest text NOT NULL,"
    " PRIMARY KEY (repository, manifest, digest),"
    " FOREIGN KEY (repository, digest) REFERENCES link (repository, digest));"
    "CREATE INDEX need_digest ON need (repository, digest);"
    "CREATE TABLE tag ("
    " repository text NOT NULL, name text NOT NULL, digest text NOT NULL,"
    " PRIMARY KEY (repository, name),"
    " FOREIGN KEY (repository, digest) REFERENCES manifest (repository, digest));"
    "CREATE INDEX tag_digest ON tag (repository, digest);"
    "CREATE TABLE total ("
    " id bigint PRIMARY KEY, blobs bigint NOT NULL, bytes bigint NOT NULL, damaged bigint NOT NULL,"
    " scrubbed text NOT NULL);"
    "INSERT INTO total VALUES (1, 0, 0, 0, '')",
    /* since_ms -1: it costs nothing */
    "CREATE TABLE unpaid ("
    " repository text NOT NULL, digest text NOT NULL, since_ms bigint NOT NULL,"
    " PRIMARY KEY (repository, digest),"
    " FOREIGN KEY (repository, digest) REFERENCES manifest (repository, digest));"
    "CREATE INDEX unpaid_since ON unpaid (since_ms) WHERE since_ms >= 0;",
    "CREATE TABLE head ("
    " repository text NOT NULL, name text NOT NULL, n bigint NOT NULL, digest text NOT NULL,"
    " until_ms bigint NOT NULL, doomed bigint NOT NULL,"
    " PRIMARY KEY (repository, name, n),"
    " FOREIGN KEY (repository, digest) REFERENCES manifest (repository, digest));"
    "CREATE INDEX head_digest ON head (repository, digest);"
    "CREATE INDEX head_until ON head (until_ms);",
};

int xstored_meta_open(struct xeno_db *db, struct xeno_err *err)
{
    return xeno_db_migrate(db, schema, XENO_LEN(schema), err);
}

static int no_blob(const char *repo, const char *digest, struct xeno_err *err)
{
    return xeno_fail(err, -ENOENT, "store.blob", "there is no %s in %.255s", digest, repo);
}

/* --- owners --- */

int xstored_meta_used(struct xeno_db *db, const char *owner, int64_t *ret_bytes,
                      struct xeno_err *err)
{
    return xeno_db_one_int(db, 0, ret_bytes, err, "SELECT used_bytes FROM owner WHERE id = $1", "t",
                           owner);
}

int xstored_meta_entries(struct xeno_db *db, const char *owner, int64_t *ret_entries,
                         struct xeno_err *err)
{
    return xeno_db_one_int(db, 0, ret_entries, err, "SELECT entries FROM owner WHERE id = $1", "t",
                           owner);
}

static int refuse(const char *token, const char *what, int64_t limit, int64_t used, int64_t asked,
                  struct xstored_refusal *refusal, struct xeno_err *err)
{
    int64_t left = limit > used ? limit - used : 0;

    if (refusal)
        *refusal = (struct xstored_refusal){ limit, asked, left };
    return xeno_fail(err, -EPERM, token,
                     "the owner may have %" PRId64 " %s, %" PRId64 " are left, %" PRId64
                     " are asked for: delete something first",
                     limit, what, left, asked);
}

int meta_entries(struct xeno_db *db, const char *owner, int64_t n,
                 const struct xstored_limits *limits, struct xstored_refusal *refusal,
                 struct xeno_err *err)
{
    int64_t have = 0;
    int r =
        xeno_db_one_int(db, 0, &have, err, "SELECT entries FROM owner WHERE id = $1", "t", owner);

    if (r == 0 && n > 0 && have + n > limits->entries)
        return refuse("store.entries", "entries (links, references and tags)", limits->entries,
                      have, n, refusal, err);
    if (r == 0)
        r = xeno_db_run(db, err, "UPDATE owner SET entries = entries + $1 WHERE id = $2", "it", n,
                        owner);
    return r < 0 ? r : 0;
}

/* Does the owner pay for it already? */
static int is_charged(struct xeno_db *db, const char *owner, const char *digest, int64_t *ret,
                      struct xeno_err *err)
{
    return xeno_db_one_int(db, 0, ret, err,
                           "SELECT 1 FROM link WHERE owner = $1 AND digest = $2 LIMIT 1", "tt",
                           owner, digest);
}

static int charge(struct xeno_db *db, const char *owner, const char *digest, int64_t size,
                  const struct xstored_limits *limits, struct xstored_refusal *refusal,
                  struct xeno_err *err)
{
    int64_t charged = 0, used = 0;
    int r = is_charged(db, owner, digest, &charged, err);

    if (r == 0)
        r = xstored_meta_used(db, owner, &used, err);
    if (r < 0 || charged)
        return r;
    if (size > limits->quota_bytes - used)
        return refuse("store.quota", "bytes", limits->quota_bytes, used, size, refusal, err);
    r = xeno_db_run(db, err, "UPDATE owner SET used_bytes = used_bytes + $1 WHERE id = $2", "it",
                    size, owner);
    return r < 0 ? r : 0;
}

/* --- objects --- */

int xstored_meta_blob(struct xeno_db *db, const char *repo, const char *digest, int64_t *ret_size,
                      struct xeno_err *err)
{
    int64_t size = -1;
    int r = xeno_db_one_int(db, -1, &size, err,
                            "SELECT b.size_bytes FROM link l JOIN blob b ON b.digest = l.digest"
                            " WHERE l.repository = $1 AND l.digest = $2 AND b.damaged = 0",
                            "tt", repo, digest);

    if (r < 0)
        return r;
    if (size < 0)
        return no_blob(repo, digest, err);
    *ret_size = size;
    return 0;
}

/* The rows that a link stands on. */
static int make_rows(struct xeno_db *db, const char *repo, const char *owner, const char *digest,
                     int64_t size, struct xeno_err *err)
{
    int r = xeno_db_run(db, err,
                        "INSERT INTO owner (id, used_bytes, entries) VALUES ($1, 0, 0)"
                        " ON CONFLICT (id) DO NOTHING",
                        "t", owner);

    if (r >= 0)
        r = xeno_db_run(db, err,
                        "INSERT INTO repository (name, owner) VALUES ($1, $2)"
                        " ON CONFLICT (name) DO NOTHING",
                        "tt", repo, owner);
    if (r >= 0)
        r = xeno_db_run(db, err,
                        "INSERT INTO blob (digest, size_bytes, links, damaged)"
                        " VALUES ($1, $2, 0, 0) ON CONFLICT (digest) DO NOTHING",
                        "ti", digest, size);
    if (r == 1)
        r = xeno_db_run(db, err,
                        "UPDATE total SET blobs = blobs + 1, bytes = bytes + $1 WHERE id = 1", "i",
                        size);
    return r;
}

static int add_link(struct xeno_db *db, const char *repo, const char *digest, int64_t size,
                    int64_t now_ms, const struct xstored_limits *limits,
                    struct xstored_refusal *refusal, struct xeno_err *err)
{
    struct xeno_id owner = xstored_name_owner(repo);
    int r = make_rows(db, repo, owner.s, digest, size, err);

    if (r >= 0)
        r = xstored_meta_touch(db, repo, digest, now_ms, err);
    if (r != 0)
        return r < 0 ? r : 0; /* it was there */
    r = charge(db, owner.s, digest, size, limits, refusal, err);
    if (r == 0)
        r = meta_entries(db, owner.s, 1, limits, refusal, err);
    if (r == 0)
        r = xeno_db_run(db, err,
                        "INSERT INTO link (repository, digest, owner, needs, since_ms)"
                        " VALUES ($1, $2, $3, 0, $4)",
                        "ttti", repo, digest, owner.s, now_ms);
    if (r >= 0)
        r = xeno_db_run(db, err, "UPDATE blob SET links = links + 1 WHERE digest = $1", "t",
                        digest);
    return r < 0 ? r : 0;
}

int xstored_meta_add(struct xeno_db *db, const char *repo, const char *digest, int64_t size_bytes,
                     int64_t now_ms, const struct xstored_limits *limits,
                     struct xstored_refusal *refusal, struct xeno_err *err)
{
    int r = add_link(db, repo, digest, size_bytes, now_ms, limits, refusal, err);

    if (r == 0)
        r = xstored_meta_healed(db, digest, err);
    return r < 0 ? r : 0;
}

int xstored_meta_mount(struct xeno_db *db, const char *repo, const char *from, const char *digest,
                       int64_t now_ms, const struct xstored_limits *limits,
                       struct xstored_refusal *refusal, struct xeno_err *err)
{
    int64_t size;
    int r = xstored_meta_blob(db, from, digest, &size, err);

    return r < 0 ? r : add_link(db, repo, digest, size, now_ms, limits, refusal, err);
}

int xstored_meta_touch(struct xeno_db *db, const char *repo, const char *digest, int64_t now_ms,
                       struct xeno_err *err)
{
    return xeno_db_run(db, err,
                       "UPDATE link SET since_ms = $1 WHERE repository = $2 AND digest = $3", "itt",
                       now_ms, repo, digest);
}

int xstored_meta_idle(struct xeno_db *db, const char *repo, const char *digest, int64_t *ret_ms,
                      struct xeno_err *err)
{
    return xeno_db_one_int(
        db, -1, ret_ms, err,
        "SELECT since_ms FROM link WHERE repository = $1 AND digest = $2 AND needs = 0", "tt", repo,
        digest);
}

/* --- dropping links --- */

int meta_need(struct xeno_db *db, const char *repo, const char *digest, int n, int64_t now_ms,
              struct xeno_err *err)
{
    int r = xeno_db_run(db, err,
                        "UPDATE link SET needs = needs + $1, since_ms = $2"
                        " WHERE repository = $3 AND digest = $4",
                        "iitt", (int64_t)n, now_ms, repo, digest);

    return r < 0 ? r : 0;
}

static int drop_empty_repository(struct xeno_db *db, const char *repo, struct xeno_err *err)
{
    return xeno_db_run(db, err,
                       "DELETE FROM repository WHERE name = $1"
                       " AND NOT EXISTS (SELECT 1 FROM link WHERE repository = $1)",
                       "t", repo);
}

int meta_drop_link(struct xeno_db *db, const char *repo, const char *digest, struct xeno_err *err)
{
    struct xeno_id owner = xstored_name_owner(repo);
    int64_t charged = 0, size = 0;
    int r = xeno_db_run(db, err, "DELETE FROM link WHERE repository = $1 AND digest = $2", "tt",
                        repo, digest);

    if (r >= 0)
        r = meta_entries(db, owner.s, -1, NULL, NULL, err);
    if (r == 0)
        r = xeno_db_run(db, err, "UPDATE blob SET links = links - 1 WHERE digest = $1", "t",
                        digest);
    if (r >= 0)
        r = is_charged(db, owner.s, digest, &charged, err);
    if (r == 0 && !charged)
        r = xeno_db_one_int(db, 0, &size, err, "SELECT size_bytes FROM blob WHERE digest = $1", "t",
                            digest);
    if (r == 0)
        r = xeno_db_run(db, err, "UPDATE owner SET used_bytes = used_bytes - $1 WHERE id = $2",
                        "it", size, owner.s);
    if (r >= 0)
        r = drop_empty_repository(db, repo, err);
    return r < 0 ? r : 0;
}

int xstored_meta_unlink(struct xeno_db *db, const char *repo, const char *digest,
                        struct xeno_err *err)
{
    int64_t needs = -1;
    int r = xeno_db_one_int(db, -1, &needs, err,
                            "SELECT needs FROM link WHERE repository = $1 AND digest = $2", "tt",
                            repo, digest);

    if (r < 0)
        return r;
    if (needs < 0)
        return no_blob(repo, digest, err);
    if (needs > 0)
        return xeno_fail(err, -EBUSY, "store.needed",
                         "%s is needed by %" PRId64 " manifests of %.255s: delete those first",
                         digest, needs, repo);
    return meta_drop_link(db, repo, digest, err);
}
