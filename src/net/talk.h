/* src/net/talk.h - one netlink request and its answer, for rtnl, elem and flows. */
#ifndef XENO_NET_TALK_H
#define XENO_NET_TALK_H

#include <linux/netlink.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define XENO_TALK_BUF   4096 /* bytes of a request */
#define XENO_TALK_TRIES 10   /* dumps that were interrupted by a change */

struct xeno_talk;
struct xeno_rtnl;

int xeno_talk_open(int bus, struct xeno_talk **ret, struct xeno_err *err);
void xeno_talk_close(struct xeno_talk *t);
XENO_DEFINE_AUTO(xeno_talk, xeno_talk_close);

/* The opaque handle of rtnl.h is this socket under a name that callers cannot mix up. */
static inline struct xeno_talk *xeno_talk_of(struct xeno_rtnl *nl)
{
    return (struct xeno_talk *)nl;
}

/* Begin a request in `buf` (XENO_TALK_BUF bytes). */
struct nlmsghdr *xeno_talk_msg(char *buf, uint16_t type, uint16_t flags);

/* Send a request that changes something; wait for its verdict. The words after `err` say what was
 * tried, for the error's text. */
int xeno_talk_do(struct xeno_talk *t, struct nlmsghdr *nlh, const char *token, struct xeno_err *err,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Send a question; `each` is called for every message of the answer and returns 0 or a negative
 * errno, which ends the answer. Errors: -EINTR the state changed in the middle of a dump. */
int xeno_talk_get(struct xeno_talk *t, struct nlmsghdr *nlh,
                  int (*each)(const struct nlmsghdr *nlh, void *user), void *user,
                  const char *token, struct xeno_err *err, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));

/* Send `len` bytes of messages that succeed or fail as one (an nftables batch; each message is
 * numbered by xeno_talk_seq()) and collect the verdicts, which are there when send returns. */
int xeno_talk_batch(struct xeno_talk *t, const void *data, size_t len);
uint32_t xeno_talk_seq(struct xeno_talk *t);

#endif
