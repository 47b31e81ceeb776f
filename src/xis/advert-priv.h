/* src/xis/advert-priv.h - documents of the three kinds while they are read; for src/xis/advert*.c
 * only. */
#ifndef XENO_XIS_ADVERT_PRIV_H
#define XENO_XIS_ADVERT_PRIV_H

#include "base/buf.h"
#include "crypto/jws.h"
#include "xis/advert.h"

/* Where the mandatory leaves of a whole document stand. */
enum { XENO_ADVERT_AT_VERSION = 2, XENO_ADVERT_AT_EXPIRES = 3 };

struct xeno_advert_doc {
    struct xeno_id id;
    struct xeno_pub key;
    int64_t version, base;
    xeno_time expires;
    size_t head; /* leaves that are mandatory ones */
    size_t count;
    struct xeno_leaf leaves[XENO_ADVERT_LEAVES]; /* into text */
    struct xeno_buf text;
};
void xeno_advert_doc_release(struct xeno_advert_doc *d);

/* Take a signed text of that kind apart; its signature is not looked at.
 * Errors: jws.*, advert.size, advert.form, advert.bounds; -EPERM advert.key: Id is not kid. */
int xeno_advert_doc_read(const struct xeno_jws *jws, enum xeno_advert_kind kind,
                         struct xeno_advert_doc *d, struct xeno_err *err);
int xeno_advert_jws_read(const char *jws, size_t len, struct xeno_jws **ret, struct xeno_err *err);

/* Is the text of that kind? What is, is told; no other is looked for. */
bool xeno_advert_kind_of(const struct xeno_jws *jws, enum xeno_advert_kind *ret);

/* An advert with a copy of the leaves in one block; the rest is the caller's to fill in. */
struct xeno_advert *xeno_advert_pack(const struct xeno_leaf *leaves, size_t count);

/* Does a path begin with the name of a mandatory element? */
bool xeno_advert_mandatory(const char *path);

#endif
