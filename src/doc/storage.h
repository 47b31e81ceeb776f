/* src/doc/storage.h - what is signed about stored bytes that are paid for
 * (rfc/0013-storage-certificates.md).
 *
 *   write certificate   the owner: keep this, in so many copies, until then; I pay by the order I
 *                       present with it
 *   receipt             the XenoStore: I keep a copy, from now on, at that price
 *   reclaim             the owner: let it go
 *   reclaim receipt     the XenoStore: I charged so much for it, the rest of the order is yours
 *   answer              the XenoStore, when it is audited: here is that block of that object
 *
 * A certificate is about a manifest and all it needs. It lists each object with its digest, its
 * size and the root of the Merkle tree (merkle.h) over its blocks, so that whoever has the
 * certificate can judge an answer without having the object. Pure. Context: any thread.
 */
#ifndef XENO_DOC_STORAGE_H
#define XENO_DOC_STORAGE_H

#include "base/buf.h"
#include "crypto/key.h"
#include "doc/merkle.h"
#include "doc/types.h"

#define XENO_WRITECERT_BYTES_MAX (96 * 1024) /* of the signed text */
#define XENO_WRITECERT_OBJECTS   256
#define XENO_WRITECERT_COPIES    8
#define XENO_STORED_MAX          (INT64_C(1) << 50) /* bytes of a certificate */
#define XENO_STORED_BLOCK        16384 /* bytes; the last one of an object is shorter */
#define XENO_STORAGE_DOC_MAX     4096  /* of a signed receipt or reclaim */
#define XENO_STORAGE_ANSWER_MAX  (48 * 1024)

/* What an order's environment types say of storage. */
#define XENO_STORAGE_ENV "storage"

struct xeno_stored_object {
    char digest[XENO_DIGEST_TEXT];
    int64_t size;          /* bytes */
    struct xeno_hash root; /* over its blocks */
};

struct xeno_writecert {
    char id[XENO_SESSION_ID_CHARS + 1]; /* in the place of a session's, in bindings and charges */
    struct xeno_id owner;
    char digest[XENO_DIGEST_TEXT]; /* of the manifest */
    int64_t size;                  /* of all objects */
    int64_t copies;                /* XenoStores that may be paid for a copy each */
    xeno_time issued, expires;
    size_t count;
    struct xeno_stored_object *objects; /* owned; by digest, none twice, the manifest among them */
};
void xeno_writecert_free(struct xeno_writecert *c);
XENO_DEFINE_AUTO(xeno_writecert, xeno_writecert_free);

/* `owner` is taken from the key; size is summed, and objects are put in order. Returns: the signed
 * text, the caller's.
 * Errors: those of xeno_writecert_read(). */
int xeno_writecert_sign(const struct xeno_key *owner, struct xeno_writecert *c, char **ret,
                        struct xeno_err *err);
/* Errors: -EFBIG storage.size, -EINVAL storage.objects (too many, out of order, the manifest is not
 *         among them), storage.sum (they are not as large as is said), storage.time, -EPERM
 *         storage.owner; tokens of jws.h and json.h. */
int xeno_writecert_read(const char *text, size_t len, const struct xeno_pub *owner,
                        struct xeno_writecert **ret, struct xeno_err *err);
/* NULL: it is not in it. */
const struct xeno_stored_object *xeno_writecert_object(const struct xeno_writecert *c,
                                                       const char *digest);

/* --- the small ones --- */

struct xeno_store_receipt {
    struct xeno_id store, owner; /* store: from the key */
    char certificate[XENO_SESSION_ID_CHARS + 1];
    char digest[XENO_DIGEST_TEXT];
    int64_t size, copy; /* copy: from 1 */
    char order[XENO_ORDER_ID_CHARS + 1];
    int64_t epoch, tariff;
    xeno_credit price; /* for a GiB and day */
    xeno_time from, expires;
};
struct xeno_reclaim {
    struct xeno_id owner; /* from the key */
    char certificate[XENO_SESSION_ID_CHARS + 1];
    xeno_time time;
};
struct xeno_reclaim_receipt {
    struct xeno_id store, owner; /* store: from the key */
    char certificate[XENO_SESSION_ID_CHARS + 1];
    char order[XENO_ORDER_ID_CHARS + 1];
    xeno_time from, to;
    xeno_credit charged; /* for all of that time */
    xeno_credit rest;    /* what it might have charged and will not */
};

/* Returns: the signed text, the caller's. */
char *xeno_store_receipt_sign(const struct xeno_key *store, const struct xeno_store_receipt *r);
char *xeno_reclaim_sign(const struct xeno_key *owner, const struct xeno_reclaim *r);
char *xeno_reclaim_receipt_sign(const struct xeno_key *store, const struct xeno_reclaim_receipt *r);
/* Errors: -EFBIG storage.size, -EPERM storage.owner (another than its signer), -EINVAL
 * storage.format; tokens of jws.h and json.h. */
int xeno_store_receipt_read(const char *text, size_t len, const struct xeno_pub *store,
                            struct xeno_store_receipt *ret, struct xeno_err *err);
int xeno_reclaim_read(const char *text, size_t len, const struct xeno_pub *owner,
                      struct xeno_reclaim *ret, struct xeno_err *err);
int xeno_reclaim_receipt_read(const char *text, size_t len, const struct xeno_pub *store,
                              struct xeno_reclaim_receipt *ret, struct xeno_err *err);

/* What so many bytes cost in `ms` milliseconds at `price` for a GiB and day, rounded up; INT64_MAX
 * when it does not fit. */
int64_t xeno_stored_cost(int64_t bytes, int64_t price, int64_t ms);

/* --- audits --- */

struct xeno_store_answer {
    struct xeno_id store; /* from the key */
    char certificate[XENO_SESSION_ID_CHARS + 1];
    int64_t audit;
    char digest[XENO_DIGEST_TEXT];
    int64_t block; /* from 0 */
    size_t len;
    uint8_t bytes[XENO_STORED_BLOCK];
    struct xeno_proof proof;
};
char *xeno_store_answer_sign(const struct xeno_key *store, const struct xeno_store_answer *a);
int xeno_store_answer_read(const char *text, size_t len, const struct xeno_pub *store,
                           struct xeno_store_answer *ret, struct xeno_err *err);
/* Is it that block of that object, as the certificate has it?
 * Errors: -EPERM storage.answer, log.proof. */
int xeno_store_answer_check(const struct xeno_store_answer *a, const struct xeno_writecert *c,
                            int64_t audit, const char *digest, int64_t block, struct xeno_err *err);

int64_t xeno_stored_blocks(int64_t size); /* of an object of so many bytes */

/* The tree over an object that is read from its beginning to its end, and the proof of one of its
 * blocks. Needs as much memory whatever its size. */
struct xeno_blocktree;
/* block -1: no proof is wanted. Errors: -ERANGE log.range. */
int xeno_blocktree_new(int64_t size, int64_t block, struct xeno_blocktree **ret,
                       struct xeno_err *err);
void xeno_blocktree_free(struct xeno_blocktree *t);
XENO_DEFINE_AUTO(xeno_blocktree, xeno_blocktree_free);
void xeno_blocktree_add(struct xeno_blocktree *t, const void *data, size_t len);
/* With a block: its bytes and proof go to *ret (NULL: not wanted).
 * Errors: -EINVAL storage.sum: other bytes than it was to have. */
int xeno_blocktree_end(struct xeno_blocktree *t, struct xeno_hash *ret_root,
                       struct xeno_store_answer *ret, struct xeno_err *err);

#endif
