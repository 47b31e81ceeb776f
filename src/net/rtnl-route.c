/* src/net/rtnl-route.c - addresses, routes, neighbours and shapers of rtnl.h. */
#include "net/rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "net/talk.h"

#define BURST_MIN 16384u /* holds ten full frames: TCP never waits for a token at low rates */
#define BURST_MAX (4u << 20)

int xeno_rtnl_address_add(struct xeno_rtnl *nl, int ifindex, uint32_t address, struct xeno_err *err)
{
    char buf[XENO_TALK_BUF], text[XENO_NET_ADDRESS_TEXT];
    struct nlmsghdr *nlh = xeno_talk_msg(buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof *ifa);

    ifa->ifa_family = AF_INET;
    ifa->ifa_index = (uint32_t)ifindex;
    ifa->ifa_prefixlen = 32;
    ifa->ifa_scope = RT_SCOPE_UNIVERSE;
    mnl_attr_put_u32(nlh, IFA_LOCAL, htonl(address));
    mnl_attr_put_u32(nlh, IFA_ADDRESS, htonl(address));
    return xeno_talk_do(xeno_talk_of(nl), nlh, "net.link", err, "give link %d the address %s",
                        ifindex, xeno_net_address_text(address, text));
}

static struct nlmsghdr *route_msg(char *buf, uint16_t type, uint16_t flags,
                                  const struct xeno_rtnl_route *r)
{
    struct nlmsghdr *nlh = xeno_talk_msg(buf, type, flags);
    struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof *rtm);

    rtm->rtm_family = AF_INET;
    rtm->rtm_dst_len = r->to.bits;
    rtm->rtm_table = r->local ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
    rtm->rtm_protocol = RTPROT_STATIC;
    rtm->rtm_type = r->local ? RTN_LOCAL : RTN_UNICAST;
    rtm->rtm_scope = r->local ? RT_SCOPE_HOST : !r->via ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    if (r->to.bits > 0)
        mnl_attr_put_u32(nlh, RTA_DST, htonl(r->to.base));
    mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)r->ifindex);
    if (r->via)
        mnl_attr_put_u32(nlh, RTA_GATEWAY, htonl(r->via));
    if (r->source)
        mnl_attr_put_u32(nlh, RTA_PREFSRC, htonl(r->source));
    return nlh;
}

int xeno_rtnl_route_set(struct xeno_rtnl *nl, const struct xeno_rtnl_route *r, struct xeno_err *err)
{
    char buf[XENO_TALK_BUF], text[XENO_NET_ADDRESS_TEXT];
    struct nlmsghdr *nlh = route_msg(buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, r);

    return xeno_talk_do(xeno_talk_of(nl), nlh, "net.link", err, "set the route to %s/%d",
                        xeno_net_address_text(r->to.base, text), r->to.bits);
}

int xeno_rtnl_route_del(struct xeno_rtnl *nl, const struct xeno_rtnl_route *r, struct xeno_err *err)
{
    char buf[XENO_TALK_BUF], text[XENO_NET_ADDRESS_TEXT];
    struct nlmsghdr *nlh = route_msg(buf, RTM_DELROUTE, 0, r);
    struct xeno_err why = XENO_ERR_INIT;
    int rc = xeno_talk_do(xeno_talk_of(nl), nlh, "net.link", &why, "remove the route to %s/%d",
                          xeno_net_address_text(r->to.base, text), r->to.bits);

    if (rc == -ESRCH || rc == -ENODEV)
        return 0;
    if (rc < 0 && err)
        *err = why;
    return rc;
}

int xeno_rtnl_neighbour_set(struct xeno_rtnl *nl, int ifindex, uint32_t address,
                            const uint8_t mac[XENO_NET_MAC_LEN], struct xeno_err *err)
{
    char buf[XENO_TALK_BUF], text[XENO_NET_ADDRESS_TEXT];
    struct nlmsghdr *nlh = xeno_talk_msg(buf, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    struct ndmsg *nd = mnl_nlmsg_put_extra_header(nlh, sizeof *nd);

    nd->ndm_family = AF_INET;
    nd->ndm_ifindex = ifindex;
    nd->ndm_state = NUD_PERMANENT;
    mnl_attr_put_u32(nlh, NDA_DST, htonl(address));
    mnl_attr_put(nlh, NDA_LLADDR, XENO_NET_MAC_LEN, mac);
    return xeno_talk_do(xeno_talk_of(nl), nlh, "net.link", err, "fix the neighbour %s",
                        xeno_net_address_text(address, text));
}

static uint32_t clamp(uint64_t v, uint32_t lo, uint32_t hi)
{
    return v < lo ? lo : v > hi ? hi : (uint32_t)v;
}

/* 4 ms of the rate: timers that come late cost no throughput. */
uint32_t xeno_rtnl_burst_bytes(uint32_t kbit)
{
    return clamp((uint64_t)kbit * 125 * 4 / 1000, BURST_MIN, BURST_MAX);
}

/* 50 ms of the rate wait behind the bucket; at low rates no less than a dozen frames. */
uint32_t xeno_rtnl_queue_bytes(uint32_t kbit)
{
    return clamp((uint64_t)kbit * 125 * 50 / 1000, BURST_MIN, 16u << 20) +
           xeno_rtnl_burst_bytes(kbit);
}

static struct nlmsghdr *qdisc_msg(char *buf, uint16_t type, uint16_t flags, int ifindex)
{
    struct nlmsghdr *nlh = xeno_talk_msg(buf, type, flags);
    struct tcmsg *tcm = mnl_nlmsg_put_extra_header(nlh, sizeof *tcm);

    tcm->tcm_family = AF_UNSPEC;
    tcm->tcm_ifindex = ifindex;
    tcm->tcm_parent = TC_H_ROOT;
    tcm->tcm_handle = TC_H_MAKE(1 << 16, 0);
    return nlh;
}

/* Without TCA_TBF_RTAB: a known link layer makes the kernel compute the costs itself. */
int xeno_rtnl_shape(struct xeno_rtnl *nl, int ifindex, uint32_t kbit, struct xeno_err *err)
{
    char buf[XENO_TALK_BUF];
    struct tc_tbf_qopt q = { .rate = { .linklayer = TC_LINKLAYER_ETHERNET, .rate = kbit * 125 },
                             .limit = xeno_rtnl_queue_bytes(kbit) };
    struct nlmsghdr *nlh;
    struct nlattr *options;

    if (kbit == 0) {
        struct xeno_err why = XENO_ERR_INIT;
        int r;

        nlh = qdisc_msg(buf, RTM_DELQDISC, 0, ifindex);
        r = xeno_talk_do(xeno_talk_of(nl), nlh, "net.link", &why, "stop shaping link %d", ifindex);
        if (r < 0 && r != -ENOENT && r != -EINVAL) {
            if (err)
                *err = why;
            return r;
        }
        return 0; /* there was none */
    }
    nlh = qdisc_msg(buf, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex);
    mnl_attr_put_strz(nlh, TCA_KIND, "tbf");
    options = mnl_attr_nest_start(nlh, TCA_OPTIONS);
    mnl_attr_put(nlh, TCA_TBF_PARMS, sizeof q, &q);
    mnl_attr_put_u32(nlh, TCA_TBF_BURST, xeno_rtnl_burst_bytes(kbit));
    mnl_attr_nest_end(nlh, options);
    return xeno_talk_do(xeno_talk_of(nl), nlh, "net.link", err, "shape link %d to %u kbit/s",
                        ifindex, kbit);
}
