/* src/corp/storage.h - write certificates and audits: what a XenoStore node is paid for
 * (rfc/0013-storage-certificates.md).
 *
 * A node binds an order to a certificate and charges it as a XenoServer does a session
 * (validate.h, charges.h). As long as the binding is in force, the node is asked now and then, at
 * random or by the owner, for one block of one object:
 *
 *     open --the right block, in time--> passed
 *       '----anything else, or nothing by the deadline--> wrong, late: payment is suspended
 *
 *  1 Which block is asked for is random over all bytes of the certificate.
 *  2 What is judged by is the certificate, which has the root of each object's tree: a XenoCorp
 *    needs no object.
 *  3 Suspended is paid up to the moment of the question: charges of intervals that end later are
 *    refused (charge.audit). It stays so until the binding ends: the node releases it, or the owner
 *    closes the order.
 *  4 Questions and their outcome are acts in the log.
 */
#ifndef XENO_CORP_STORAGE_H
#define XENO_CORP_STORAGE_H

#include "corp/corp.h"
#include "doc/storage.h"

#define XENO_CHALLENGES_MAX 100 /* in a page */

enum xeno_challenge_result {
    XENO_CHALLENGE_OPEN,
    XENO_CHALLENGE_PASSED,
    XENO_CHALLENGE_WRONG,
    XENO_CHALLENGE_LATE,
};

struct xeno_challenge {
    int64_t n;
    char order[XENO_ORDER_ID_CHARS + 1];
    char certificate[XENO_SESSION_ID_CHARS + 1];
    char node[XENO_ID_CHARS + 1];
    bool owner; /* who asked: the owner; else XenoCorp */
    char digest[XENO_DIGEST_TEXT];
    int64_t block, made_ms, deadline_ms, ended_ms; /* ended 0: it is open */
    enum xeno_challenge_result result;
};

const char *xeno_challenge_word(enum xeno_challenge_result result); /* "open", "passed", ... */

/* Client `id` has the certificate that his order is bound to audited now. One that he asked for
 * and is open is the answer, too.
 * Errors: -ENOENT order.unknown, storage.unbound (no certificate is bound to it). */
int xeno_challenge_ask(struct xeno_corp *corp, const char *id, const char *order,
                       struct xeno_challenge *ret, struct xeno_err *err);

/* Up to `max` after number `after`, oldest first: of a node, those it has to answer; of a client,
 * all of his. Returns: how many. Errors: -ENOENT registry.unknown. */
int xeno_challenges(struct xeno_corp *corp, const char *id, int64_t after, int max,
                    struct xeno_challenge *ret, struct xeno_err *err);

/* Node `id` answers challenge `n`; `a` is what its signed text `text` says. Again: the same result.
 * Errors: -ENOENT storage.challenge: it was not asked that. */
int xeno_challenge_answer(struct xeno_corp *corp, const char *id, int64_t n,
                          const struct xeno_store_answer *a, const char *text,
                          struct xeno_challenge *ret, struct xeno_err *err);

#endif
