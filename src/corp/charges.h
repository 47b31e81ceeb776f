/* src/corp/charges.h - posting what XenoServers charge (rfc/0002-charge.md).
 *
 * A batch is one signed document of up to a hundred charges. Good ones are posted, bad ones are
 * refused one by one; posting again what is posted changes nothing ("repeated"), so a XenoServer
 * sends until it is answered. Reasons to refuse:
 *
 *   charge.order    no such order                 charge.server   the order was never bound to
 *   charge.epoch    not the binding's epoch                       that server and session
 *   charge.closed   the binding has ended         charge.sum      the items do not add up
 *   charge.limit    above what the order or its chain allows; the XenoServer must suspend before
 *                   this, and may charge what is left: nothing is posted in part
 *   charge.rate     above the chain's rate an hour, over the binding so far, with 60 s of slack
 *   charge.window   before the binding or the chain's window, after the order's end, in the future
 *   charge.audit    of a XenoStore node: payment is suspended since an audit failed, and the
 *                   interval ends after that
 *   charge.mismatch another charge was posted under that session and sequence
 *   charge.format   anything else that is wrong with it
 *
 * Charges of a session may come in any order of sequence: a refused or late one does not hold up
 * those behind it. XenoCorp's fee is a part of the amount; the XenoServer earns the rest.
 */
#ifndef XENO_CORP_CHARGES_H
#define XENO_CORP_CHARGES_H

#include "corp/corp.h"
#include "doc/charge.h"
#include "json/json.h"

struct xeno_charges; /* a batch whose signature and form were checked */
void xeno_charges_free(struct xeno_charges *c);
XENO_DEFINE_AUTO(xeno_charges, xeno_charges_free);

/* Check a batch by the XenoServer that has key `server`. Pure of books. Context: any thread.
 *
 * Errors: those of xeno_charge_batch_read(). A charge that is bad alone is no error here.
 */
int xeno_charges_check(const char *text, size_t len, const struct xeno_pub *server,
                       struct xeno_charges **ret, struct xeno_err *err);

enum xeno_charge_status { XENO_CHARGE_REFUSED, XENO_CHARGE_POSTED, XENO_CHARGE_REPEATED };

struct xeno_charge_result {
    enum xeno_charge_status status;
    int code;          /* negative errno; 0 unless refused */
    const char *token; /* static text, NULL unless refused */
    char *detail;      /* owned, NULL unless refused */
};
struct xeno_charge_results {
    size_t count; /* in the order of the batch */
    int posted, repeated, refused;
    int64_t micro; /* sum of the posted amounts */
    struct xeno_charge_result *items;
};
void xeno_charge_results_release(struct xeno_charge_results *r); /* all zero is a good start */

/* Post. Errors: -ENOENT registry.unknown, -EPERM registry.kind, registry.disabled, and the
 * database's; *ret is set on success only. */
int xeno_charges_apply(struct xeno_corp *corp, const struct xeno_charges *c,
                       struct xeno_charge_results *ret, struct xeno_err *err);

/* The answer as JSON: {"results":[{"session","seq","status","error"}],"time_ms"}; the caller's. */
struct xeno_json *xeno_charges_reply(const struct xeno_charges *c,
                                     const struct xeno_charge_results *r, int64_t now_ms);

#endif
