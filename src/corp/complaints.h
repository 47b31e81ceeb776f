/* src/corp/complaints.h - complaints about adverts that a session showed to be false (rfc/0020).
 *
 * The XenoCorp judges nothing. It sees that the complaint, the advert and the receipts are signed
 * by whom they say, that the client had that session at that XenoServer, and counts: one complaint
 * of a client about a session, and so many a day. Each is an act in the audit log that the
 * XenoServer can read.
 */
#ifndef XENO_CORP_COMPLAINTS_H
#define XENO_CORP_COMPLAINTS_H

#include "corp/corp.h"
#include "doc/complaint.h"

#define XENO_COMPLAINTS_A_DAY 20 /* of one client */
#define XENO_COMPLAINTS_PAGE  1000

/* A complaint that was looked at, on its own. */
struct xeno_complaint_checked;
void xeno_complaint_checked_free(struct xeno_complaint_checked *c);
XENO_DEFINE_AUTO(xeno_complaint_checked, xeno_complaint_checked_free);

/* Read it and check every signature in it. Context: any thread.
 * Errors: those of xeno_complaint_read() and xis/advert.h; -EPERM complaint.evidence: the advert or
 *         a receipt is not the XenoServer's. */
int xeno_complaint_check(const char *text, size_t len, const struct xeno_pub *client,
                         struct xeno_complaint_checked **ret, struct xeno_err *err);

/* File it, in the open group.
 * Returns: 0 and its number; the same text again gives the same number.
 * Errors:  -ENOENT registry.unknown, -ENOENT complaint.session (the client never had an order bound
 *          to that session there), -EEXIST complaint.twice (another about it), -EUSERS
 *          complaint.rate. */
int xeno_complaint_file(struct xeno_corp *corp, const struct xeno_complaint_checked *c,
                        int64_t *ret_n, struct xeno_err *err);

struct xeno_complaint_row {
    int64_t n, time_ms;
    char server[XENO_ID_CHARS + 1], client[XENO_ID_CHARS + 1];
    char session[XENO_SESSION_ID_CHARS + 1];
    enum xeno_complaint_about about;
    int64_t version; /* of the advert */
    int64_t count;   /* complaints about that XenoServer, this one and those before it */
};

/* Up to `max` of those after number `after`, oldest first. Returns: how many. */
int xeno_complaints(struct xeno_corp *corp, int64_t after, int max, struct xeno_complaint_row *ret,
                    struct xeno_err *err);

/* One, with the signed text, the caller's. Errors: -ENOENT complaint.unknown. */
int xeno_complaint_get(struct xeno_corp *corp, int64_t n, struct xeno_complaint_row *ret,
                       char **ret_document, struct xeno_err *err);

#endif
