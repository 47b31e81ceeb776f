/* src/net/talk.c - one netlink request and its answer. */
#include "net/talk.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define REPLY_MAX                                                                                  \
    32768 /* the kernel fills at most this much for a dump (libmnl's own choice: 8 KiB) */

struct xeno_talk {
    struct mnl_socket *sock;
    uint32_t seq;
    char reason[128]; /* the kernel's own words about the last failure, or empty */
};

int xeno_talk_open(int bus, struct xeno_talk **ret, struct xeno_err *err)
{
    xeno_auto(xeno_talk) t = xeno_new0(struct xeno_talk);
    int one = 1;

    t->sock = mnl_socket_open2(bus, SOCK_CLOEXEC);
    if (!t->sock || mnl_socket_bind(t->sock, 0, MNL_SOCKET_AUTOPID) < 0)
        return xeno_fail_errno(err, -errno, "net.link", "open a netlink socket");
    (void)mnl_socket_setsockopt(t->sock, NETLINK_EXT_ACK, &one, sizeof one);
    (void)mnl_socket_setsockopt(t->sock, NETLINK_GET_STRICT_CHK, &one, sizeof one);
    *ret = xeno_take(&t);
    return 0;
}

void xeno_talk_close(struct xeno_talk *t)
{
    if (!t)
        return;
    if (t->sock)
        mnl_socket_close(t->sock);
    free(t);
}

uint32_t xeno_talk_seq(struct xeno_talk *t)
{
    return ++t->seq;
}

struct nlmsghdr *xeno_talk_msg(char *buf, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | flags;
    return nlh;
}

/* The verdict in an NLMSG_ERROR message; keeps the kernel's words. */
static int verdict(struct xeno_talk *t, const struct nlmsghdr *nlh)
{
    const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
    size_t skip = sizeof *e;
    struct nlattr *a;

    if (mnl_nlmsg_get_payload_len(nlh) < sizeof *e)
        return -EBADMSG;
    if (e->error == 0 || !(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
        return e->error;
    if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
        skip += e->msg.nlmsg_len - sizeof e->msg;
    mnl_attr_for_each(a, nlh, skip)
    {
        if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
            mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
            snprintf(t->reason, sizeof t->reason, " (%s)", mnl_attr_get_str(a));
    }
    return e->error;
}

/* Receive until the answer to `seq` has ended. */
static int answer(struct xeno_talk *t, uint32_t seq,
                  int (*each)(const struct nlmsghdr *nlh, void *user), void *user)
{
    char buf[REPLY_MAX];
    bool changed = false;
    int r = 0;

    for (;;) {
        ssize_t got = mnl_socket_recvfrom(t->sock, buf, sizeof buf);
        struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
        int left = (int)got;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
            if (nlh->nlmsg_seq != seq)
                continue; /* left over from a question whose answer was broken off */
            changed = changed || (nlh->nlmsg_flags & NLM_F_DUMP_INTR);
            if (nlh->nlmsg_type == NLMSG_ERROR)
                return r < 0 ? r : verdict(t, nlh);
            if (nlh->nlmsg_type == NLMSG_DONE)
                return r < 0 ? r : changed ? -EINTR : 0;
            if (r == 0 && each)
                r = each(nlh, user);
        }
    }
}

static int ask(struct xeno_talk *t, struct nlmsghdr *nlh,
               int (*each)(const struct nlmsghdr *nlh, void *user), void *user)
{
    nlh->nlmsg_seq = xeno_talk_seq(t);
    t->reason[0] = '\0';
    /* NLM_F_DUMP is made of two bits; a dump ends by itself, all else with an acknowledgement. */
    if ((nlh->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
        nlh->nlmsg_flags |= NLM_F_ACK;
    if (mnl_socket_sendto(t->sock, nlh, nlh->nlmsg_len) < 0)
        return -errno;
    return answer(t, nlh->nlmsg_seq, each, user);
}

static int explain(struct xeno_talk *t, int r, const char *token, struct xeno_err *err,
                   const char *fmt, va_list ap)
{
    xeno_autofree char *what = NULL;

    if (r >= 0)
        return 0;
    what = xeno_vasprintf(fmt, ap);
    return xeno_fail(err, r, token, "%s: %s%s", what, strerror(-r), t->reason);
}

int xeno_talk_do(struct xeno_talk *t, struct nlmsghdr *nlh, const char *token, struct xeno_err *err,
                 const char *fmt, ...)
{
    va_list ap;
    int r = ask(t, nlh, NULL, NULL);

    va_start(ap, fmt);
    r = explain(t, r, token, err, fmt, ap);
    va_end(ap);
    return r;
}

int xeno_talk_get(struct xeno_talk *t, struct nlmsghdr *nlh,
                  int (*each)(const struct nlmsghdr *nlh, void *user), void *user,
                  const char *token, struct xeno_err *err, const char *fmt, ...)
{
    va_list ap;
    int r = ask(t, nlh, each, user);

    va_start(ap, fmt);
    r = explain(t, r, token, err, fmt, ap);
    va_end(ap);
    return r;
}

int xeno_talk_batch(struct xeno_talk *t, const void *data, size_t len)
{
    char buf[REPLY_MAX];
    int r = 0, heard = 0, broken = 0;

    t->reason[0] = '\0';
    if (mnl_socket_sendto(t->sock, data, len) < 0)
        return -errno;
    for (;;) {
        ssize_t got = recv(mnl_socket_get_fd(t->sock), buf, sizeof buf, MSG_DONTWAIT);
        struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
        int left = (int)got;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            broken = errno;
            break;
        }
        for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
            if (nlh->nlmsg_type != NLMSG_ERROR)
                continue;
            heard++;
            if (r == 0)
                r = verdict(t, nlh);
        }
    }
    if (heard > 0)
        return r;
    return broken == EAGAIN ? -EPROTO : -broken;
}
