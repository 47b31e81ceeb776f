/* src/net/rtnl.c - the socket, links and their counters. Addresses and routes: rtnl-route.c. */
#include "net/rtnl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>

#include "net/talk.h"

int xeno_rtnl_open(struct xeno_rtnl **ret, struct xeno_err *err)
{
    return xeno_talk_open(NETLINK_ROUTE, (struct xeno_talk **)ret, err);
}

void xeno_rtnl_close(struct xeno_rtnl *nl)
{
    xeno_talk_close((struct xeno_talk *)nl);
}

static struct nlmsghdr *link_msg(char *buf, uint16_t type, uint16_t flags, int ifindex)
{
    struct nlmsghdr *nlh = xeno_talk_msg(buf, type, flags);
    struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof *ifi);

    ifi->ifi_family = AF_UNSPEC;
    ifi->ifi_index = ifindex;
    return nlh;
}

int xeno_rtnl_veth_add(struct xeno_rtnl *nl, const struct xeno_rtnl_veth *v, struct xeno_err *err)
{
    char buf[XENO_TALK_BUF];
    struct nlmsghdr *nlh = link_msg(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
    struct nlattr *info, *data, *peer;

    mnl_attr_put_strz(nlh, IFLA_IFNAME, v->name);
    mnl_attr_put(nlh, IFLA_ADDRESS, XENO_NET_MAC_LEN, v->mac);
    info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
    mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
    data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
    peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(nlh, IFLA_IFNAME, v->peer_name);
    mnl_attr_put(nlh, IFLA_ADDRESS, XENO_NET_MAC_LEN, v->peer_mac);
    mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)v->ns_fd);
    mnl_attr_nest_end(nlh, peer);
    mnl_attr_nest_end(nlh, data);
    mnl_attr_nest_end(nlh, info);
    return xeno_talk_do(xeno_talk_of(nl), nlh, "net.link", err, "make the cable '%s'", v->name);
}

int xeno_rtnl_bridge_add(struct xeno_rtnl *nl, const char *name, struct xeno_err *err)
{
    char buf[XENO_TALK_BUF];
    struct nlmsghdr *nlh = link_msg(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
    struct nlattr *info;

    mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
    info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
    mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "bridge");
    mnl_attr_nest_end(nlh, info);
    return xeno_talk_do(xeno_talk_of(nl), nlh, "net.link", err, "make the bridge '%s'", name);
}

int xeno_rtnl_link_up(struct xeno_rtnl *nl, int ifindex, const char *alias, bool noarp,
                      struct xeno_err *err)
{
    char buf[XENO_TALK_BUF];
    struct nlmsghdr *nlh = link_msg(buf, RTM_NEWLINK, 0, ifindex);
    struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

    ifi->ifi_flags = noarp ? IFF_UP | IFF_NOARP : IFF_UP;
    ifi->ifi_change = ifi->ifi_flags;
    if (alias)
        mnl_attr_put_strz(nlh, IFLA_IFALIAS, alias);
    return xeno_talk_do(xeno_talk_of(nl), nlh, "net.link", err, "bring link %d up", ifindex);
}

int xeno_rtnl_link_del(struct xeno_rtnl *nl, int ifindex, struct xeno_err *err)
{
    char buf[XENO_TALK_BUF];
    struct xeno_err why = XENO_ERR_INIT;
    struct nlmsghdr *nlh = link_msg(buf, RTM_DELLINK, 0, ifindex);
    int r = xeno_talk_do(xeno_talk_of(nl), nlh, "net.link", &why, "remove link %d", ifindex);

    if (r == -ENODEV)
        return 0;
    if (r < 0 && err)
        *err = why;
    return r;
}

struct link_list {
    const char *prefix;
    struct xeno_rtnl_link *at;
    size_t n, room;
};

static int on_link(const struct nlmsghdr *nlh, void *user)
{
    const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
    const char *name = NULL, *alias = "";
    struct link_list *list = user;
    struct nlattr *a;

    if (nlh->nlmsg_type != RTM_NEWLINK)
        return 0;
    mnl_attr_for_each(a, nlh, sizeof *ifi)
    {
        if (mnl_attr_get_type(a) == IFLA_IFNAME && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
            name = mnl_attr_get_str(a);
        if (mnl_attr_get_type(a) == IFLA_IFALIAS && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
            alias = mnl_attr_get_str(a);
    }
    if (!name || strncmp(name, list->prefix, strlen(list->prefix)) != 0)
        return 0;
    if (list->n == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->at = xeno_grow(list->at, list->room);
    }
    memset(&list->at[list->n], 0, sizeof *list->at);
    list->at[list->n].ifindex = ifi->ifi_index;
    strncpy(list->at[list->n].name, name, IFNAMSIZ - 1);
    strncpy(list->at[list->n].alias, alias, XENO_NET_SESSION_MAX);
    list->n++;
    return 0;
}

int xeno_rtnl_link_find(struct xeno_rtnl *nl, const char *name, struct xeno_err *err)
{
    char buf[XENO_TALK_BUF];
    struct link_list list = { .prefix = name };
    struct nlmsghdr *nlh = link_msg(buf, RTM_GETLINK, 0, 0);
    int r;

    mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
    r = xeno_talk_get(xeno_talk_of(nl), nlh, on_link, &list, "net.link", err, "find link '%s'",
                      name);
    if (r == 0)
        r = list.n > 0 ? list.at[0].ifindex : xeno_fail(err, -ENODEV, "net.link", "no such link");
    free(list.at);
    return r;
}

int xeno_rtnl_link_list(struct xeno_rtnl *nl, const char *prefix, struct xeno_rtnl_link **ret,
                        size_t *ret_n, struct xeno_err *err)
{
    struct link_list list = { .prefix = prefix };
    int r, tries = 0;

    /* A link that comes or goes in the middle interrupts a dump: start over. */
    do {
        char buf[XENO_TALK_BUF];
        struct nlmsghdr *nlh = link_msg(buf, RTM_GETLINK, NLM_F_DUMP, 0);

        mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        list.n = 0;
        r = xeno_talk_get(xeno_talk_of(nl), nlh, on_link, &list, "net.link", err, "list links");
    } while (r == -EINTR && ++tries < XENO_TALK_TRIES);
    if (r < 0) {
        free(list.at);
        return r;
    }
    *ret = list.at;
    *ret_n = list.n;
    return 0;
}

struct stats_list {
    struct xeno_rtnl_stats *at;
    size_t n, room;
};

static int on_stats(const struct nlmsghdr *nlh, void *user)
{
    const struct if_stats_msg *ifs = mnl_nlmsg_get_payload(nlh);
    struct stats_list *list = user;
    struct rtnl_link_stats64 s;
    struct nlattr *a;

    if (nlh->nlmsg_type != RTM_NEWSTATS)
        return 0;
    mnl_attr_for_each(a, nlh, sizeof *ifs)
    {
        if (mnl_attr_get_type(a) != IFLA_STATS_LINK_64)
            continue;
        /* The kernel's struct grows over the years: the first members are what we need. */
        memset(&s, 0, sizeof s);
        memcpy(&s, mnl_attr_get_payload(a),
               mnl_attr_get_payload_len(a) < sizeof s ? mnl_attr_get_payload_len(a) : sizeof s);
        if (list->n == list->room) {
            list->room = list->room ? list->room * 2 : 16;
            list->at = xeno_grow(list->at, list->room);
        }
        list->at[list->n++] = (struct xeno_rtnl_stats){
            .ifindex = (int)ifs->ifindex,
            .rx_bytes = s.rx_bytes,
            .rx_packets = s.rx_packets,
            .tx_bytes = s.tx_bytes,
            .tx_packets = s.tx_packets,
        };
    }
    return 0;
}

int xeno_rtnl_stats(struct xeno_rtnl *nl, int ifindex, struct xeno_rtnl_stats **ret, size_t *ret_n,
                    struct xeno_err *err)
{
    struct stats_list list = { .n = 0 };
    int r, tries = 0;

    do {
        char buf[XENO_TALK_BUF];
        struct nlmsghdr *nlh = xeno_talk_msg(buf, RTM_GETSTATS, ifindex ? 0 : NLM_F_DUMP);
        struct if_stats_msg *ifs = mnl_nlmsg_put_extra_header(nlh, sizeof *ifs);

        ifs->ifindex = (uint32_t)ifindex;
        ifs->filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
        list.n = 0;
        r = xeno_talk_get(xeno_talk_of(nl), nlh, on_stats, &list, "net.link", err,
                          "read the counters of links");
    } while (r == -EINTR && ++tries < XENO_TALK_TRIES);
    if (r < 0) {
        free(list.at);
        return r;
    }
    *ret = list.at;
    *ret_n = list.n;
    return 0;
}
