/* src/net/elem.c - elements of the instance's nft sets. */
#include "net/elem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <string.h>

#include "net/rules.h"

#define ELEM_BYTES 256 /* one message, with room to spare */

/* Keys as nftables lays them out: each part of a concatenation begins at a multiple of four. */
struct source_key {
    char cable[IFNAMSIZ];
    uint8_t mac[8];
    uint32_t address;
};
struct port_value {
    uint32_t address;
    uint16_t port;
    uint16_t pad;
};
_Static_assert(sizeof(struct source_key) == 28, "the key of set source");
_Static_assert(sizeof(struct port_value) == 8, "the value of the port maps");

static struct nlmsghdr *put_header(char *at, uint16_t type, uint16_t flags, uint8_t family,
                                   uint16_t res, uint32_t seq)
{
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(at);
    struct nfgenmsg *nfg;

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | flags;
    nlh->nlmsg_seq = seq;
    nfg = mnl_nlmsg_put_extra_header(nlh, sizeof *nfg);
    nfg->nfgen_family = family;
    nfg->version = NFNETLINK_V0;
    nfg->res_id = htons(res);
    return nlh;
}

static uint16_t nft_type(uint16_t msg)
{
    return (uint16_t)((NFNL_SUBSYS_NFTABLES << 8) | msg);
}

static const char *set_of(const struct xeno_elem *e)
{
    if (e->kind == XENO_ELEM_SOURCE)
        return XENO_NET_SET_SOURCE;
    return e->port.proto == IPPROTO_UDP ? XENO_NET_MAP_UDP : XENO_NET_MAP_TCP;
}

static void put_value(struct nlmsghdr *nlh, uint16_t type, const void *data, size_t len)
{
    struct nlattr *nest = mnl_attr_nest_start(nlh, type);

    mnl_attr_put(nlh, NFTA_DATA_VALUE, len, data);
    mnl_attr_nest_end(nlh, nest);
}

static void put_source(struct nlmsghdr *nlh, const struct xeno_elem *e)
{
    struct source_key key = { .address = htonl(e->address) };

    memcpy(key.cable, e->cable, sizeof key.cable);
    xeno_net_mac_session(e->address, key.mac);
    put_value(nlh, NFTA_SET_ELEM_KEY, &key, sizeof key);
}

static void put_port(struct nlmsghdr *nlh, const struct xeno_elem *e)
{
    uint16_t key = htons(e->port.host_port);
    struct port_value value = { .address = htonl(e->address), .port = htons(e->port.port) };

    put_value(nlh, NFTA_SET_ELEM_KEY, &key, sizeof key);
    if (!e->remove)
        put_value(nlh, NFTA_SET_ELEM_DATA, &value, sizeof value);
}

static size_t put_elem(char *at, const char *table, const struct xeno_elem *e, uint32_t seq)
{
    uint16_t flags = e->remove ? NLM_F_ACK : NLM_F_ACK | NLM_F_CREATE;
    uint16_t type = nft_type(e->remove ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM);
    struct nlmsghdr *nlh = put_header(at, type, flags, NFPROTO_INET, 0, seq);
    struct nlattr *list, *one;

    mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, table);
    mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set_of(e));
    list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
    one = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
    if (e->kind == XENO_ELEM_SOURCE)
        put_source(nlh, e);
    else
        put_port(nlh, e);
    mnl_attr_nest_end(nlh, one);
    mnl_attr_nest_end(nlh, list);
    return nlh->nlmsg_len;
}

int xeno_elem_change(struct xeno_talk *t, const char *table, const struct xeno_elem *elems,
                     size_t n, struct xeno_err *err)
{
    char buf[(XENO_ELEM_BATCH_MAX + 2) * ELEM_BYTES];
    size_t len;
    int r;

    if (n == 0)
        return 0;
    if (n > XENO_ELEM_BATCH_MAX)
        return xeno_fail(err, -EINVAL, "net.nft", "%zu changes at once, at most %d", n,
                         XENO_ELEM_BATCH_MAX);
    len =
        put_header(buf, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, xeno_talk_seq(t))
            ->nlmsg_len;
    for (size_t i = 0; i < n; i++)
        len += put_elem(buf + len, table, &elems[i], xeno_talk_seq(t));
    len += put_header(buf + len, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES,
                      xeno_talk_seq(t))
               ->nlmsg_len;

    r = xeno_talk_batch(t, buf, len);
    if (r == -EEXIST || r == -EBUSY)
        return xeno_fail(err, -EEXIST, "net.port", "a host port is published by another session");
    if (r < 0)
        return xeno_fail_errno(err, r, "net.nft", "change sets of table '%s'", table);
    return 0;
}

struct elem_list {
    enum xeno_elem_kind kind;
    uint8_t proto;
    struct xeno_elem *at;
    size_t n, room;
};

/* The bytes of a nested NFTA_DATA_VALUE, or NULL when they are not `len`. */
static const void *value_in(const struct nlattr *nest, size_t len)
{
    const struct nlattr *a;

    mnl_attr_for_each_nested(a, nest)
    {
        if (mnl_attr_get_type(a) == NFTA_DATA_VALUE && mnl_attr_get_payload_len(a) == len)
            return mnl_attr_get_payload(a);
    }
    return NULL;
}

static bool read_source(const struct nlattr *key, struct xeno_elem *e)
{
    const struct source_key *k = key ? value_in(key, sizeof *k) : NULL;

    if (!k)
        return false;
    memcpy(e->cable, k->cable, sizeof e->cable);
    e->cable[IFNAMSIZ - 1] = '\0';
    e->address = ntohl(k->address);
    return true;
}

static bool read_port(const struct nlattr *key, const struct nlattr *data, struct xeno_elem *e)
{
    const uint16_t *k = key ? value_in(key, sizeof *k) : NULL;
    const struct port_value *v = data ? value_in(data, sizeof *v) : NULL;

    if (!k || !v)
        return false;
    e->port.host_port = ntohs(*k);
    e->port.port = ntohs(v->port);
    e->address = ntohl(v->address);
    return true;
}

static void on_elem(const struct nlattr *nest, struct elem_list *list)
{
    struct xeno_elem e = { .kind = list->kind, .port.proto = list->proto };
    const struct nlattr *a, *key = NULL, *data = NULL;

    mnl_attr_for_each_nested(a, nest)
    {
        if (mnl_attr_get_type(a) == NFTA_SET_ELEM_KEY)
            key = a;
        if (mnl_attr_get_type(a) == NFTA_SET_ELEM_DATA)
            data = a;
    }
    if (!(e.kind == XENO_ELEM_SOURCE ? read_source(key, &e) : read_port(key, data, &e)))
        return;
    if (list->n == list->room) {
        list->room = list->room ? list->room * 2 : 32;
        list->at = xeno_grow(list->at, list->room);
    }
    list->at[list->n++] = e;
}

static int on_elems(const struct nlmsghdr *nlh, void *user)
{
    const struct nlattr *a, *one;

    if (nlh->nlmsg_type != nft_type(NFT_MSG_NEWSETELEM))
        return 0;
    mnl_attr_for_each(a, nlh, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
            continue;
        mnl_attr_for_each_nested(one, a) on_elem(one, user);
    }
    return 0;
}

static int list_set(struct xeno_talk *t, const char *table, struct elem_list *list,
                    enum xeno_elem_kind kind, uint8_t proto, struct xeno_err *err)
{
    const struct xeno_elem like = { .kind = kind, .port.proto = proto };
    size_t before = list->n;
    int r, tries = 0;

    list->kind = kind;
    list->proto = proto;
    do {
        char buf[ELEM_BYTES];
        struct nlmsghdr *nlh =
            put_header(buf, nft_type(NFT_MSG_GETSETELEM), NLM_F_DUMP, NFPROTO_INET, 0, 0);

        mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, table);
        mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set_of(&like));
        list->n = before;
        r = xeno_talk_get(t, nlh, on_elems, list, "net.nft", err, "list set '%s'", set_of(&like));
    } while (r == -EINTR && ++tries < XENO_TALK_TRIES);
    return r;
}

int xeno_elem_list(struct xeno_talk *t, const char *table, struct xeno_elem **ret, size_t *ret_n,
                   struct xeno_err *err)
{
    struct elem_list list = { .n = 0 };
    int r = list_set(t, table, &list, XENO_ELEM_SOURCE, 0, err);

    if (r == 0)
        r = list_set(t, table, &list, XENO_ELEM_PORT, IPPROTO_TCP, err);
    if (r == 0)
        r = list_set(t, table, &list, XENO_ELEM_PORT, IPPROTO_UDP, err);
    if (r < 0) {
        free(list.at);
        return r;
    }
    *ret = list.at;
    *ret_n = list.n;
    return 0;
}
