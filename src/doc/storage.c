/* src/doc/storage.c - certificates, receipts, reclaims and answers: their JSON
 * (rfc/0013-storage-certificates.md). */
#include "doc/storage.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "crypto/jws.h"

/* --- the members of a document, as a table --- */

enum kind { ID, SESSION, ORDER, DIGEST, NUMBER, TIME };

struct member {
    const char *key;
    enum kind kind;
    size_t offset;
    int64_t min, max; /* of a number */
};

static size_t letters(enum kind kind)
{
    return kind == SESSION ? XENO_SESSION_ID_CHARS : kind == DIGEST ? XENO_DIGEST_TEXT - 1 : 32;
}

static void put_members(struct xeno_json *doc, const struct member *m, const void *from)
{
    xeno_json_set_int(doc, "v", 1);
    for (; m->key; m++) {
        const char *at = (const char *)from + m->offset;

        if (m->kind == NUMBER)
            xeno_json_set_int(doc, m->key, *(const int64_t *)(const void *)at);
        else if (m->kind == TIME)
            xeno_json_set_int(doc, m->key,
                              ((const xeno_time *)(const void *)at)->ns / XENO_NS_PER_MS);
        else
            xeno_json_set_str(doc, m->key, at);
    }
}

static int read_text(const struct xeno_json_at *top, const struct member *m, char *to,
                     struct xeno_err *err)
{
    size_t len = letters(m->kind);
    const char *text = NULL;
    int r = xeno_json_str(top, m->key, len, len, &text, err);

    if (r < 0)
        return r;
    if (m->kind == DIGEST ? !xeno_digest_ok(text) : !xeno_base32_ok(text, len))
        return xeno_fail(err, -EINVAL, "storage.format", "%s: '%.80s' is none", m->key, text);
    memcpy(to, text, len + 1);
    return 0;
}

static int read_members(const struct xeno_json_at *top, const struct member *m, void *to,
                        struct xeno_err *err)
{
    int r = xeno_doc_version(top, err);

    for (; r == 0 && m->key; m++) {
        char *at = (char *)to + m->offset;

        if (m->kind == NUMBER)
            r = xeno_json_int(top, m->key, m->min, m->max, (int64_t *)(void *)at, err);
        else if (m->kind == TIME)
            r = xeno_doc_time(top, m->key, 0, (xeno_time *)(void *)at, err);
        else
            r = read_text(top, m, at, err);
    }
    return r;
}

/* Refuse what is neither in the table nor one of `more`. */
static int only_members(const struct xeno_json_at *top, const struct member *m, const char *more[2],
                        struct xeno_err *err)
{
    const char *known[16] = { "v" };
    size_t n = 1;

    for (; m->key; m++)
        known[n++] = m->key;
    for (size_t i = 0; i < 2 && more[i]; i++)
        known[n++] = more[i];
    return xeno_json_only(top, known, err);
}

static char *sign_doc(const struct xeno_key *key, const char *typ, const struct xeno_json *doc)
{
    size_t len;
    xeno_autofree char *text = xeno_json_format(doc, false, &len);

    return xeno_jws_sign(key, typ, text, len);
}

struct shown {
    struct xeno_json *doc;
    struct xeno_json_at top;
};

static int open_doc(const char *text, size_t len, size_t max, const char *typ,
                    const struct xeno_pub *by, struct shown *ret, struct xeno_err *err)
{
    xeno_auto(xeno_jws) jws = NULL;
    int r;

    if (len > max)
        return xeno_fail(err, -EFBIG, "storage.size", "it has at most %zu bytes, not %zu", max,
                         len);
    r = xeno_jws_parse(text, len, &jws, err);
    if (r == 0)
        r = xeno_jws_check(jws, typ, by, err);
    if (r == 0)
        r = xeno_json_parse(jws->payload, jws->payload_len, max, &ret->doc, err);
    if (r == 0)
        ret->top = xeno_json_top(ret->doc);
    return r;
}

/* The party that a document says it is of must be its signer. */
static int check_signer(const struct xeno_id *says, const struct xeno_pub *by, struct xeno_err *err)
{
    struct xeno_id id = xeno_id_of(by);

    if (strcmp(says->s, id.s) == 0)
        return 0;
    return xeno_fail(err, -EPERM, "storage.owner", "%s signed for %s", id.s, says->s);
}

/* --- the small ones --- */

static const struct member receipt_members[] = {
    { "store", ID, offsetof(struct xeno_store_receipt, store), 0, 0 },
    { "owner", ID, offsetof(struct xeno_store_receipt, owner), 0, 0 },
    { "certificate", SESSION, offsetof(struct xeno_store_receipt, certificate), 0, 0 },
    { "digest", DIGEST, offsetof(struct xeno_store_receipt, digest), 0, 0 },
    { "size", NUMBER, offsetof(struct xeno_store_receipt, size), 0, XENO_STORED_MAX },
    { "copy", NUMBER, offsetof(struct xeno_store_receipt, copy), 1, XENO_WRITECERT_COPIES },
    { "order", ORDER, offsetof(struct xeno_store_receipt, order), 0, 0 },
    { "epoch", NUMBER, offsetof(struct xeno_store_receipt, epoch), 1, INT64_MAX },
    { "tariff", NUMBER, offsetof(struct xeno_store_receipt, tariff), 0, INT64_MAX },
    { "price", NUMBER, offsetof(struct xeno_store_receipt, price), 0, XENO_CREDIT_MAX },
    { "from_ms", TIME, offsetof(struct xeno_store_receipt, from), 0, 0 },
    { "expires_ms", TIME, offsetof(struct xeno_store_receipt, expires), 0, 0 },
    { NULL, ID, 0, 0, 0 },
};

static const struct member reclaim_members[] = {
    { "owner", ID, offsetof(struct xeno_reclaim, owner), 0, 0 },
    { "certificate", SESSION, offsetof(struct xeno_reclaim, certificate), 0, 0 },
    { "time_ms", TIME, offsetof(struct xeno_reclaim, time), 0, 0 },
    { NULL, ID, 0, 0, 0 },
};

static const struct member reclaimed_members[] = {
    { "store", ID, offsetof(struct xeno_reclaim_receipt, store), 0, 0 },
    { "owner", ID, offsetof(struct xeno_reclaim_receipt, owner), 0, 0 },
    { "certificate", SESSION, offsetof(struct xeno_reclaim_receipt, certificate), 0, 0 },
    { "order", ORDER, offsetof(struct xeno_reclaim_receipt, order), 0, 0 },
    { "from_ms", TIME, offsetof(struct xeno_reclaim_receipt, from), 0, 0 },
    { "to_ms", TIME, offsetof(struct xeno_reclaim_receipt, to), 0, 0 },
    { "charged", NUMBER, offsetof(struct xeno_reclaim_receipt, charged), 0, XENO_CREDIT_MAX },
    { "rest", NUMBER, offsetof(struct xeno_reclaim_receipt, rest), 0, XENO_CREDIT_MAX },
    { NULL, ID, 0, 0, 0 },
};

static char *sign_small(const struct xeno_key *key, const char *typ, const struct member *members,
                        const void *from)
{
    xeno_auto(xeno_json) doc = xeno_json_object();

    put_members(doc, members, from);
    return sign_doc(key, typ, doc);
}

static int read_small(const char *text, size_t len, const char *typ, const struct xeno_pub *by,
                      const struct member *members, void *to, struct xeno_err *err)
{
    const char *none[2] = { NULL, NULL };
    struct shown s = { NULL, { NULL } };
    int r = open_doc(text, len, XENO_STORAGE_DOC_MAX, typ, by, &s, err);

    if (r == 0)
        r = only_members(&s.top, members, none, err);
    if (r == 0)
        r = read_members(&s.top, members, to, err);
    xeno_json_unref(s.doc);
    return r;
}

char *xeno_store_receipt_sign(const struct xeno_key *store, const struct xeno_store_receipt *r)
{
    struct xeno_store_receipt full = *r;

    full.store = xeno_id_of(xeno_key_pub(store));
    return sign_small(store, XENO_TYP_RECEIPT, receipt_members, &full);
}

char *xeno_reclaim_sign(const struct xeno_key *owner, const struct xeno_reclaim *r)
{
    struct xeno_reclaim full = *r;

    full.owner = xeno_id_of(xeno_key_pub(owner));
    return sign_small(owner, XENO_TYP_RECLAIM, reclaim_members, &full);
}

char *xeno_reclaim_receipt_sign(const struct xeno_key *store, const struct xeno_reclaim_receipt *r)
{
    struct xeno_reclaim_receipt full = *r;

    full.store = xeno_id_of(xeno_key_pub(store));
    return sign_small(store, XENO_TYP_RECLAIMED, reclaimed_members, &full);
}

int xeno_store_receipt_read(const char *text, size_t len, const struct xeno_pub *store,
                            struct xeno_store_receipt *ret, struct xeno_err *err)
{
    struct xeno_store_receipt r = { .size = 0 };
    int e = read_small(text, len, XENO_TYP_RECEIPT, store, receipt_members, &r, err);

    if (e == 0)
        e = check_signer(&r.store, store, err);
    if (e == 0)
        *ret = r;
    return e;
}

int xeno_reclaim_read(const char *text, size_t len, const struct xeno_pub *owner,
                      struct xeno_reclaim *ret, struct xeno_err *err)
{
    struct xeno_reclaim r = { .time = { 0 } };
    int e = read_small(text, len, XENO_TYP_RECLAIM, owner, reclaim_members, &r, err);

    if (e == 0)
        e = check_signer(&r.owner, owner, err);
    if (e == 0)
        *ret = r;
    return e;
}

int xeno_reclaim_receipt_read(const char *text, size_t len, const struct xeno_pub *store,
                              struct xeno_reclaim_receipt *ret, struct xeno_err *err)
{
    struct xeno_reclaim_receipt r = { .from = { 0 } };
    int e = read_small(text, len, XENO_TYP_RECLAIMED, store, reclaimed_members, &r, err);

    if (e == 0)
        e = check_signer(&r.store, store, err);
    if (e == 0)
        *ret = r;
    return e;
}

/* --- certificates --- */

static const struct member cert_members[] = {
    { "id", SESSION, offsetof(struct xeno_writecert, id), 0, 0 },
    { "owner", ID, offsetof(struct xeno_writecert, owner), 0, 0 },
    { "digest", DIGEST, offsetof(struct xeno_writecert, digest), 0, 0 },
    { "size", NUMBER, offsetof(struct xeno_writecert, size), 0, XENO_STORED_MAX },
    { "copies", NUMBER, offsetof(struct xeno_writecert, copies), 1, XENO_WRITECERT_COPIES },
    { "issued_ms", TIME, offsetof(struct xeno_writecert, issued), 0, 0 },
    { "expires_ms", TIME, offsetof(struct xeno_writecert, expires), 0, 0 },
    { NULL, ID, 0, 0, 0 },
};

void xeno_writecert_free(struct xeno_writecert *c)
{
    if (!c)
        return;
    free(c->objects);
    free(c);
}

static int by_digest(const void *a, const void *b)
{
    return strcmp(((const struct xeno_stored_object *)a)->digest,
                  ((const struct xeno_stored_object *)b)->digest);
}

const struct xeno_stored_object *xeno_writecert_object(const struct xeno_writecert *c,
                                                       const char *digest)
{
    struct xeno_stored_object key = { .size = 0 };

    if (!xeno_digest_ok(digest))
        return NULL;
    memcpy(key.digest, digest, XENO_DIGEST_TEXT);
    return bsearch(&key, c->objects, c->count, sizeof *c->objects, by_digest);
}

static int check_cert(const struct xeno_writecert *c, struct xeno_err *err)
{
    int64_t sum = 0;

    for (size_t i = 0; i < c->count; i++) {
        if (i > 0 && strcmp(c->objects[i - 1].digest, c->objects[i].digest) >= 0)
            return xeno_fail(err, -EINVAL, "storage.objects",
                             "objects[%zu]: they are in the order of their digests, none twice", i);
        if (__builtin_add_overflow(sum, c->objects[i].size, &sum))
            return xeno_fail(err, -EINVAL, "storage.sum", "the sizes overflow");
    }
    if (sum != c->size)
        return xeno_fail(err, -EINVAL, "storage.sum",
                         "the objects have %" PRId64 " bytes, size says %" PRId64, sum, c->size);
    if (!xeno_writecert_object(c, c->digest))
        return xeno_fail(err, -EINVAL, "storage.objects", "%s is not among the objects", c->digest);
    if (c->expires.ns <= c->issued.ns)
        return xeno_fail(err, -EINVAL, "storage.time", "it expires before it is issued");
    return 0;
}

static struct xeno_json *objects_json(const struct xeno_writecert *c)
{
    struct xeno_json *list = xeno_json_array();
    char root[XENO_HASH_TEXT];

    for (size_t i = 0; i < c->count; i++) {
        struct xeno_json *o = xeno_json_object();

        xeno_hash_text(&c->objects[i].root, root);
        xeno_json_set_str(o, "digest", c->objects[i].digest);
        xeno_json_set_int(o, "size", c->objects[i].size);
        xeno_json_set_str(o, "root", root);
        xeno_json_append(list, o);
    }
    return list;
}

int xeno_writecert_sign(const struct xeno_key *owner, struct xeno_writecert *c, char **ret,
                        struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    xeno_auto(xeno_writecert) again = NULL;
    xeno_autofree char *text = NULL;
    int r;

    c->owner = xeno_id_of(xeno_key_pub(owner));
    c->size = 0;
    qsort(c->objects, c->count, sizeof *c->objects, by_digest);
    for (size_t i = 0; i < c->count; i++)
        if (__builtin_add_overflow(c->size, c->objects[i].size, &c->size))
            return xeno_fail(err, -EINVAL, "storage.sum", "the sizes overflow");
    put_members(doc, cert_members, c);
    xeno_json_set(doc, "objects", objects_json(c));
    text = sign_doc(owner, XENO_TYP_WRITECERT, doc);
    r = xeno_writecert_read(text, strlen(text), xeno_key_pub(owner), &again, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&text);
    return 0;
}

static int read_object(const struct xeno_json_at *at, struct xeno_stored_object *o,
                       struct xeno_err *err)
{
    static const struct member members[] = {
        { "digest", DIGEST, offsetof(struct xeno_stored_object, digest), 0, 0 },
        { "size", NUMBER, offsetof(struct xeno_stored_object, size), 0, XENO_STORED_MAX },
    };
    static const char *const known[] = { "digest", "size", "root", NULL };
    const char *root = NULL;
    int r = xeno_json_only(at, known, err);

    if (r == 0)
        r = read_text(at, &members[0], o->digest, err);
    if (r == 0)
        r = xeno_json_int(at, "size", 0, XENO_STORED_MAX, &o->size, err);
    if (r == 0)
        r = xeno_json_str(at, "root", XENO_HASH_TEXT - 1, XENO_HASH_TEXT - 1, &root, err);
    if (r == 0 && !xeno_hash_parse(root, &o->root))
        r = xeno_fail(err, -EINVAL, "storage.format", "%s.root: not a hash (43 letters)", at->path);
    return r;
}

static int read_objects(const struct xeno_json_at *top, struct xeno_writecert *c,
                        struct xeno_err *err)
{
    struct xeno_json_at list;
    int r = xeno_json_arr(top, "objects", XENO_WRITECERT_OBJECTS, &list, &c->count, err);

    if (r < 0)
        return r;
    c->objects = xeno_new0_n(struct xeno_stored_object, c->count + 1);
    for (size_t i = 0; r == 0 && i < c->count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);

        r = read_object(&item, &c->objects[i], err);
    }
    return r;
}

int xeno_writecert_read(const char *text, size_t len, const struct xeno_pub *owner,
                        struct xeno_writecert **ret, struct xeno_err *err)
{
    const char *more[2] = { "objects", NULL };
    xeno_auto(xeno_writecert) c = xeno_new0(struct xeno_writecert);
    struct shown s = { NULL, { NULL } };
    int r = open_doc(text, len, XENO_WRITECERT_BYTES_MAX, XENO_TYP_WRITECERT, owner, &s, err);

    if (r == 0)
        r = only_members(&s.top, cert_members, more, err);
    if (r == 0)
        r = read_members(&s.top, cert_members, c, err);
    if (r == 0)
        r = check_signer(&c->owner, owner, err);
    if (r == 0)
        r = read_objects(&s.top, c, err);
    xeno_json_unref(s.doc);
    if (r == 0)
        r = check_cert(c, err);
    if (r == 0)
        *ret = xeno_take(&c);
    return r;
}

int64_t xeno_stored_cost(int64_t bytes, int64_t price, int64_t ms)
{
    const unsigned __int128 unit = ((unsigned __int128)1 << 30) * 86400000;
    unsigned __int128 n = (unsigned __int128)bytes * (unsigned __int128)price; /* under 2^101 */

    if (bytes < 0 || price < 0 || price > XENO_CREDIT_MAX || ms < 0 || ms > INT64_C(1) << 40)
        return INT64_MAX;
    if (n > ~(unsigned __int128)0 / ((unsigned __int128)ms + 1) - unit)
        return INT64_MAX;
    n = (n * (unsigned __int128)ms + unit - 1) / unit;
    return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

/* --- answers --- */

static const struct member answer_members[] = {
    { "store", ID, offsetof(struct xeno_store_answer, store), 0, 0 },
    { "certificate", SESSION, offsetof(struct xeno_store_answer, certificate), 0, 0 },
    { "audit", NUMBER, offsetof(struct xeno_store_answer, audit), 1, INT64_MAX },
    { "digest", DIGEST, offsetof(struct xeno_store_answer, digest), 0, 0 },
    { "block", NUMBER, offsetof(struct xeno_store_answer, block), 0, XENO_STORED_MAX },
    { NULL, ID, 0, 0, 0 },
};

char *xeno_store_answer_sign(const struct xeno_key *store, const struct xeno_store_answer *a)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    xeno_autofree char *bytes = xeno_b64url(a->bytes, a->len);
    struct xeno_id id = xeno_id_of(xeno_key_pub(store));

    put_members(doc, answer_members, a);
    xeno_json_set_str(doc, "store", id.s);
    xeno_json_set_str(doc, "bytes", bytes);
    xeno_json_set(doc, "proof", xeno_proof_json(&a->proof));
    return sign_doc(store, XENO_TYP_ANSWER, doc);
}

static int read_bytes(const struct xeno_json_at *top, struct xeno_store_answer *a,
                      struct xeno_err *err)
{
    xeno_autofree void *bytes = NULL;
    const char *text = NULL;
    int r = xeno_json_str(top, "bytes", 1, XENO_STORED_BLOCK / 3 * 4 + 4, &text, err);

    if (r < 0)
        return r;
    bytes = xeno_unb64url(text, strlen(text), XENO_STORED_BLOCK, &a->len);
    if (!bytes)
        return xeno_fail(err, -EINVAL, "storage.format", "bytes: not base64url of %d bytes at most",
                         XENO_STORED_BLOCK);
    memcpy(a->bytes, bytes, a->len);
    return 0;
}

int xeno_store_answer_read(const char *text, size_t len, const struct xeno_pub *store,
                           struct xeno_store_answer *ret, struct xeno_err *err)
{
    const char *more[2] = { "bytes", "proof" };
    struct shown s = { NULL, { NULL } };
    int r = open_doc(text, len, XENO_STORAGE_ANSWER_MAX, XENO_TYP_ANSWER, store, &s, err);

    memset(ret, 0, sizeof *ret);
    if (r == 0)
        r = only_members(&s.top, answer_members, more, err);
    if (r == 0)
        r = read_members(&s.top, answer_members, ret, err);
    if (r == 0)
        r = check_signer(&ret->store, store, err);
    if (r == 0)
        r = read_bytes(&s.top, ret, err);
    if (r == 0)
        r = xeno_proof_read(&s.top, "proof", &ret->proof, err);
    xeno_json_unref(s.doc);
    return r;
}

int xeno_store_answer_check(const struct xeno_store_answer *a, const struct xeno_writecert *c,
                            int64_t audit, const char *digest, int64_t block, struct xeno_err *err)
{
    const struct xeno_stored_object *o = xeno_writecert_object(c, digest);
    struct xeno_hash leaf = xeno_hash_leaf(a->bytes, a->len);

    if (!o || a->audit != audit || a->block != block || strcmp(a->digest, digest) != 0 ||
        strcmp(a->certificate, c->id) != 0)
        return xeno_fail(err, -EPERM, "storage.answer",
                         "it is not about what was asked: block %" PRId64 " of %s", block, digest);
    return xeno_inclusion_check(&leaf, block, xeno_stored_blocks(o->size), &o->root, &a->proof,
                                err);
}
