/* src/doc/charge.h - what a XenoServer asks to be paid for (rfc/0002-charge.md).
 *
 * A charge covers one interval of one session, itemised by resource. A batch of them is one
 * document signed by the XenoServer. Both sides use the same check, so that what the host sends is
 * never refused for its form. Pure. Context: any thread.
 */
#ifndef XENO_DOC_CHARGE_H
#define XENO_DOC_CHARGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/units.h"
#include "crypto/key.h"
#include "doc/types.h"

#define XENO_CHARGE_BATCH_MAX    100
#define XENO_CHARGE_BATCH_BYTES  (512 * 1024)                 /* of the signed text */
#define XENO_CHARGE_ACTIVITY_MAX 256                          /* bytes of UTF-8 */
#define XENO_QUANTITY_MAX        INT64_C(4000000000000000000) /* of any resource */

enum xeno_res {
    XENO_RES_CPU,     /* reserved and used: CPU microseconds */
    XENO_RES_MEMORY,  /* MiB * ms */
    XENO_RES_DISK,    /* MiB * ms */
    XENO_RES_NET,     /* reserved: kbit/s * ms; used: bytes both ways */
    XENO_RES_ADDRESS, /* address * ms */
    XENO_RES_COUNT
};
const char *xeno_res_name(enum xeno_res res); /* "cpu", "memory", "disk", "net", "address" */
bool xeno_res_parse(const char *name, enum xeno_res *ret);

struct xeno_charge_item {
    enum xeno_res res;
    int64_t reserved, used;                 /* in the interval, 0 to XENO_QUANTITY_MAX */
    xeno_credit price_reserved, price_used; /* per unit of the tariff */
    xeno_credit amount;                     /* 0 to XENO_CREDIT_MAX */
};

struct xeno_charge {
    char order[XENO_ORDER_ID_CHARS + 1];
    char session[XENO_SESSION_ID_CHARS + 1];
    int64_t epoch;      /* of the binding, from 1 */
    int64_t seq;        /* from 1, without gaps */
    xeno_time from, to; /* wall clock, whole milliseconds; contiguous with the neighbours */
    int64_t tariff;     /* epoch number of the prices */
    xeno_credit amount; /* the sum of the items' */
    bool final;         /* the last of its session and epoch */
    char activity[XENO_CHARGE_ACTIVITY_MAX + 1]; /* for the audit trail; may be empty */
    size_t item_count;
    struct xeno_charge_item items[XENO_RES_COUNT]; /* each resource at most once */
};

/* Is it sound in itself? Errors: -EINVAL charge.sum (the items do not add up to the amount, or
 * overflow), charge.format (anything else, naming the element and its limit). */
int xeno_charge_check(const struct xeno_charge *c, struct xeno_err *err);

/* The same document has the same digest, another one another: what tells a repeat from a second
 * charge under a number that is taken. Not a digest of its text: its members in fixed order. */
void xeno_charge_digest(const struct xeno_charge *c, uint8_t out[32]);

/* One charge as a JSON object, the caller's, and back. Reading checks bounds and members, not
 * xeno_charge_check(). Errors: tokens of json.h. */
struct xeno_json *xeno_charge_json(const struct xeno_charge *c);
int xeno_charge_read(const struct xeno_json_at *at, struct xeno_charge *ret, struct xeno_err *err);
/* Items alone, for a database row: a JSON array and back (0 to XENO_RES_COUNT of them). */
struct xeno_json *xeno_charge_items_json(const struct xeno_charge *c);

/* Sign `count` charges, each sound (checked). Returns: the text, the caller's.
 * Errors: -EINVAL charge.batch (none, too many), and those of xeno_charge_check() with "charges[i]"
 * in front; -EFBIG charge.size. */
int xeno_charge_batch_sign(const struct xeno_key *server, const struct xeno_charge *charges,
                           size_t count, char **ret, struct xeno_err *err);

struct xeno_charge_batch {
    struct xeno_id server; /* who signed it */
    size_t count;
    struct xeno_charge *charges; /* owned */
    struct xeno_err **faults;    /* owned, one a charge: NULL when it is sound, else why not. Of a
                                    charge with a fault only session and seq can be relied on. */
};
void xeno_charge_batch_free(struct xeno_charge_batch *b);
XENO_DEFINE_AUTO(xeno_charge_batch, xeno_charge_batch_free);

/* Check signature, form and every sum of a batch that `server` signed. One unsound charge does not
 * spoil the others: it is a fault of its own, as long as it names its session and sequence.
 *
 * Errors: -EFBIG charge.size; -EINVAL charge.batch; -EPERM charge.server (it names another server
 *         than its signer); tokens of jws.h and json.h. *ret is set on success only.
 */
int xeno_charge_batch_read(const char *text, size_t len, const struct xeno_pub *server,
                           struct xeno_charge_batch **ret, struct xeno_err *err);

#endif
