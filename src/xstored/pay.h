/* src/xstored/pay.h - being paid: what pay.c, audit.c and api-pay.c share. */
#ifndef XENO_XSTORED_PAY_H
#define XENO_XSTORED_PAY_H

#include "keep/keep.h"
#include "xstored/job.h"

/* The lines to the XenoCorp: one question at a time on each. */
enum { PAY_AUDIT = XENO_KEEP_KINDS, PAY_LINES };

struct xstored_pay {
    struct {
        bool busy;
        unsigned tries;
        int64_t after_ns; /* monotonic: not before */
    } lines[PAY_LINES];
    int64_t at_ms, mono_ms; /* the time by which is billed; mono -1: not known */
    bool ticking;
    int64_t look_ns; /* monotonic: when it is looked for what nobody pays for */
};

int64_t pay_now(struct xstored *d);
struct xeno_keep_terms pay_terms(const struct xstored *d);
/* Ask the XenoCorp: `body` NULL: GET. */
void pay_send(struct xstored *d, const char *path, const char *type, const char *body,
              void (*done)(const struct xeno_http_answer *a, void *arg), void *arg);
/* The line is free again; after a failure not at once. */
void pay_done(struct xstored *d, int line, bool failed);
void pay_kick(struct xstored *d); /* send what can be sent */

/* audit.c */
void pay_ask_audits(struct xstored *d);

/* All of an object, in order, from wherever it is. Context: a helper.
 * Errors: -EBADMSG store.damaged: its content is not right; those of the backend. */
int pay_read(struct xstored *d, const char *digest, int64_t size, struct xeno_blocktree *tree,
             struct xeno_err *err);

#endif
