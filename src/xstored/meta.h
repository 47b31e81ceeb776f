/* src/xstored/meta.h - what a XenoStore knows about its objects: whose they are and what needs
 * them.
 *
 *     repository --tags--> manifest --needs--> link --of--> object
 *
 * A link is an object's place in one repository. An object is kept once, however many links it
 * has; each owner is charged for it once, however many of its repositories link it. A link that no
 * manifest of its repository needs is idle, and dropped after a grace time; an object without links
 * is removed. A manifest is an object with a link like any other, needed by itself until it is
 * deleted.
 *
 * In SQL (src/db), since sizes, references and quotas must change together with what they count;
 * docs/decisions says what was weighed. Plain functions on a connection: no clock, no files. Those
 * that write are called in a transaction (on the writer), those that read on any connection.
 *
 *  1 owner.used_bytes is the sum of the sizes of the distinct objects that its links name, and
 *    owner.entries the number of its links, needs, tags and kept heads.
 *  2 blob.links is the number of links that name it; link.needs that of the manifests that need it.
 *  3 What a manifest needs has a link in the manifest's repository.
 *  4 total is the count and size of the rows of blob, and how many of them are damaged.
 */
#ifndef XENO_XSTORED_META_H
#define XENO_XSTORED_META_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "crypto/key.h"
#include "db/db.h"
#include "doc/storage.h"
#include "xstored/doc.h"
#include "xstored/names.h"

int xstored_meta_open(struct xeno_db *db, struct xeno_err *err);

/* What an owner may have, and has; filled when one of them was the reason of a refusal. */
struct xstored_limits {
    int64_t quota_bytes, entries;
};
struct xstored_refusal {
    int64_t limit, asked, left; /* bytes or entries; all 0: it was for another reason */
};

/* --- objects --- */

/* What the owner has: bytes, and entries. 0: it never put anything. */
int xstored_meta_used(struct xeno_db *db, const char *owner, int64_t *ret_bytes,
                      struct xeno_err *err);
int xstored_meta_entries(struct xeno_db *db, const char *owner, int64_t *ret_entries,
                         struct xeno_err *err);

/* Is it in that repository, and good? Errors: -ENOENT store.blob. */
int xstored_meta_blob(struct xeno_db *db, const char *repo, const char *digest, int64_t *ret_size,
                      struct xeno_err *err);

/* Link an object to a repository; it is made known if it was not, and is good from now on. Again:
 * its grace time starts over.
 * Errors: -EPERM store.quota, store.entries with *refusal filled. */
int xstored_meta_add(struct xeno_db *db, const char *repo, const char *digest, int64_t size_bytes,
                     int64_t now_ms, const struct xstored_limits *limits,
                     struct xstored_refusal *refusal, struct xeno_err *err);
/* The same with what another repository has. Errors: also -ENOENT store.blob. */
int xstored_meta_mount(struct xeno_db *db, const char *repo, const char *from, const char *digest,
                       int64_t now_ms, const struct xstored_limits *limits,
                       struct xstored_refusal *refusal, struct xeno_err *err);
/* Drop its link. Errors: -ENOENT store.blob, -EBUSY store.needed. */
int xstored_meta_unlink(struct xeno_db *db, const char *repo, const char *digest,
                        struct xeno_err *err);
/* Somebody relies on an idle link: its grace time starts over. */
int xstored_meta_touch(struct xeno_db *db, const char *repo, const char *digest, int64_t now_ms,
                       struct xeno_err *err);
/* When did the grace time of an idle link start? -1: it is needed, or there is none. */
int xstored_meta_idle(struct xeno_db *db, const char *repo, const char *digest, int64_t *ret_ms,
                      struct xeno_err *err);

/* --- manifests and tags --- */

struct xstored_manifest {
    char digest[XENO_DIGEST_TEXT];
    char media_type[XSTORED_TYPE_MAX + 1];
    int64_t size_bytes;
};

/* Put a manifest whose object is there or about to be; tag NULL: none.
 * Errors: -ENOENT store.manifest_blob (something it needs is not in the repository), -EINVAL
 * store.manifest (a size is not right), and those of xstored_meta_add(). */
int xstored_meta_put(struct xeno_db *db, const char *repo, const struct xstored_doc *doc,
                     const char *digest, int64_t size_bytes, const char *tag, int64_t now_ms,
                     const struct xstored_limits *limits, struct xstored_refusal *refusal,
                     struct xeno_err *err);
/* By tag or digest. Errors: -ENOENT store.repository, store.manifest_unknown. */
int xstored_meta_manifest(struct xeno_db *db, const char *repo, const char *ref,
                          struct xstored_manifest *ret, struct xeno_err *err);
/* A tag goes alone; a digest takes all its tags along. Errors: as above; -EBUSY store.needed: an
 * index lists it. */
int xstored_meta_delete(struct xeno_db *db, const char *repo, const char *ref, int64_t now_ms,
                        struct xeno_err *err);

/* --- what tags stood for before: kept for a time, whoever moved them --- */

#define XSTORED_HEADS_MAX 1000 /* of a tag, told at once */

/* Of a tag: [{"n","digest","size_bytes","until_ms"}], the latest first; n is what restore names it
 * by, until_ms when something else took its place. */
int xstored_meta_heads(struct xeno_db *db, const char *repo, const char *tag,
                       struct xeno_json **ret, struct xeno_err *err);
/* Let the tag stand for head `n` again; what it stands for now becomes a head. Errors: -ENOENT
 * store.head, -EPERM store.entries. */
int xstored_meta_restore(struct xeno_db *db, const char *repo, const char *tag, int64_t n,
                         int64_t now_ms, const struct xstored_limits *limits,
                         struct xstored_refusal *refusal, char ret_digest[XENO_DIGEST_TEXT],
                         struct xeno_err *err);
/* What deleting does for somebody who must not shorten the history: tags go, and a manifest that is
 * or was a head goes when the time of its last one is over. Errors: as xstored_meta_delete(). */
int xstored_meta_doom(struct xeno_db *db, const char *repo, const char *ref, int64_t now_ms,
                      const struct xstored_limits *limits, struct xstored_refusal *refusal,
                      struct xeno_err *err);
/* Forget heads that something else replaced before `before_ms`, at most `max`. Returns: how many.
 */
int xstored_meta_forget_heads(struct xeno_db *db, int64_t before_ms, int64_t now_ms, int max,
                              struct xeno_err *err);
int xstored_meta_count_heads(struct xeno_db *db, int64_t *ret, struct xeno_err *err);

/* --- what is paid for (keep/keep.h, in the same database) --- */

/* Is `c` about a manifest that its owner has here, and about all of that and nothing else?
 * Errors: -ENOENT store.manifest_unknown, -EINVAL storage.objects naming the first that differs. */
int xstored_meta_matches(struct xeno_db *db, const struct xeno_writecert *c, struct xeno_err *err);
/* Errors: -EBUSY store.certified: a manifest that is paid for cannot be deleted. */
int xstored_meta_deletable(struct xeno_db *db, const char *repo, const char *ref,
                           struct xeno_err *err);
/* Note manifests that nobody pays for, and delete those that were noted `grace_ms` ago or more; at
 * most `max` of each. What comes to XSTORED_UNPAID_MAX bytes at most with all it needs costs
 * nothing. Returns: how many were deleted. */
#define XSTORED_UNPAID_MAX 16384
int xstored_meta_unpaid(struct xeno_db *db, int64_t now_ms, int64_t grace_ms, int max,
                        struct xeno_err *err);
/* Nothing costs anything (any more). */
int xstored_meta_all_free(struct xeno_db *db, struct xeno_err *err);

/* --- lists: the first `max` after `last`, in the order of their bytes --- */

/* As an array of texts; *ret_more: there are more. Errors: -ENOENT store.repository. */
int xstored_meta_tags(struct xeno_db *db, const char *repo, const char *last, int max,
                      struct xeno_json **ret, bool *ret_more, struct xeno_err *err);
int xstored_meta_repositories(struct xeno_db *db, const char *owner, const char *last, int max,
                              struct xeno_json **ret, bool *ret_more, struct xeno_err *err);
/* Descriptors of what refers to `subject`; type NULL: of any. Stops early after max_bytes of them.
 * *ret_last: the digest of the last one, for the next page; "": there is none. */
int xstored_meta_referrers(struct xeno_db *db, const char *repo, const char *subject,
                           const char *type, const char *last, size_t max_bytes,
                           struct xeno_json **ret, char ret_last[XENO_DIGEST_TEXT],
                           struct xeno_err *err);

/* --- tending --- */

/* Drop links that are idle since before `before_ms`, at most `max`. Returns: how many. */
int xstored_meta_expire(struct xeno_db *db, int64_t before_ms, int max, struct xeno_err *err);
/* Forget an object without links. Returns: 1 with its digest, whose bytes are to be removed; 0:
 * there is none. */
int xstored_meta_collect(struct xeno_db *db, char ret[XENO_DIGEST_TEXT], struct xeno_err *err);
/* Is there a row for it? Returns: 1 or 0. */
int xstored_meta_known(struct xeno_db *db, const char *digest, struct xeno_err *err);
/* The next good object after `last` ("" at first). Returns: 1; 0 at the end. */
int xstored_meta_next(struct xeno_db *db, const char *last, char ret[XENO_DIGEST_TEXT],
                      int64_t *ret_size, struct xeno_err *err);
/* Up to which one this pass has come, so that a restart goes on from there; "": to none. */
int xstored_meta_scrubbed(struct xeno_db *db, char ret[XENO_DIGEST_TEXT], struct xeno_err *err);
int xstored_meta_scrubbed_to(struct xeno_db *db, const char *digest, struct xeno_err *err);
/* From now on it is not served, until it is put again. */
int xstored_meta_damaged(struct xeno_db *db, const char *digest, struct xeno_err *err);
/* It is good again. Returns: 1; 0: it was not damaged, or is known no more. */
int xstored_meta_healed(struct xeno_db *db, const char *digest, struct xeno_err *err);
/* The next damaged object after `last` ("" at first), and a repository that has it, the caller's.
 * Returns: 1; 0 at the end. */
int xstored_meta_next_damaged(struct xeno_db *db, const char *last, char ret[XENO_DIGEST_TEXT],
                              int64_t *ret_size, char **ret_repo, struct xeno_err *err);

struct xstored_total {
    int64_t blobs, bytes, damaged;
};
int xstored_meta_total(struct xeno_db *db, struct xstored_total *ret, struct xeno_err *err);

/* Recompute everything that is kept as a sum; for --check and tests.
 * Errors: -EBADMSG store.books, which names the first that is off. */
int xstored_meta_check(struct xeno_db *db, struct xeno_err *err);

#endif
