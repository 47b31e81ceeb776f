/* src/net/net.c - an instance's network: open, list, sweep. Sessions: session.c. */
#include "net/net.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "net/internal.h"
#include "net/ns.h"
#include "net/resolv.h"
#include "net/rules.h"

static int configure_dns(struct xeno_net *net, const struct xeno_net_config *c,
                         struct xeno_err *err)
{
    struct xeno_net_dns found;

    if (c->n_dns == 0) {
        xeno_net_dns_find("/", &found);
        for (; net->n_dns < found.n; net->n_dns++)
            (void)xeno_net_address_parse(found.server[net->n_dns], &net->dns[net->n_dns], NULL);
    }
    for (; net->n_dns < c->n_dns; net->n_dns++) {
        int r = xeno_net_address_parse(c->dns[net->n_dns], &net->dns[net->n_dns], err);

        if (r < 0)
            return r;
    }
    return 0;
}

static int configure(struct xeno_net *net, const struct xeno_net_config *c, struct xeno_err *err)
{
    int r;

    if (!c->instance || !xeno_net_instance_ok(c->instance))
        return xeno_fail(err, -EINVAL, "net.config",
                         "instance '%.40s' is not 1 to %d lower-case letters and digits",
                         c->instance ? c->instance : "", XENO_NET_INSTANCE_MAX);
    if (!c->run_dir || c->run_dir[0] != '/')
        return xeno_fail(err, -EINVAL, "net.config", "the run directory is not an absolute path");
    if (c->uplink && (strlen(c->uplink) >= IFNAMSIZ || strpbrk(c->uplink, "\"*\\ \t\n")))
        return xeno_fail(err, -EINVAL, "net.config", "uplink '%.40s' is not an interface name",
                         c->uplink);
    if (c->n_deny > XENO_NET_DENY_MAX || c->n_dns > XENO_NET_DNS_MAX)
        return xeno_fail(err, -EINVAL, "net.config",
                         "%zu denied prefixes and %zu name servers, at most %d and %d", c->n_deny,
                         c->n_dns, XENO_NET_DENY_MAX, XENO_NET_DNS_MAX);
    r = xeno_net_prefix_parse(c->pool, &net->pool, err);
    if (r < 0)
        return r;
    if (net->pool.bits < 16 || net->pool.bits > 29)
        return xeno_fail(err, -EINVAL, "net.config", "pool '%s' is not between /16 and /29",
                         c->pool);
    for (; net->n_deny < c->n_deny; net->n_deny++) {
        r = xeno_net_prefix_parse(c->deny[net->n_deny], &net->deny[net->n_deny], err);
        if (r < 0)
            return r;
    }
    return configure_dns(net, c, err);
}

static void derive(struct xeno_net *net, const struct xeno_net_config *c)
{
    snprintf(net->instance, sizeof net->instance, "%s", c->instance);
    snprintf(net->uplink, sizeof net->uplink, "%s", c->uplink ? c->uplink : "");
    snprintf(net->cables, sizeof net->cables, "xv%s-", net->instance);
    xeno_net_table_name(net->instance, net->table);
    net->gateway = xeno_net_gateway_of(net->pool);
    net->pins = xeno_asprintf("%s/netns", c->run_dir);
}

/* The bridge carries the pool in its alias, so that a change of configuration is noticed; it is
 * made anew then, and what hangs on it goes. */
static int leave_old_pool(struct xeno_net *net, const struct xeno_rtnl_link *bridge,
                          struct xeno_err *err)
{
    xeno_autofree struct xeno_rtnl_link *cables = NULL;
    struct xeno_net_prefix old;
    size_t n;
    int r;

    if (xeno_net_prefix_parse(bridge->alias, &old, NULL) < 0 ||
        (old.base == net->pool.base && old.bits == net->pool.bits))
        return 0;
    r = xeno_rtnl_link_list(net->rtnl, net->cables, &cables, &n, err);
    if (r < 0)
        return r;
    if (n > 0)
        return xeno_fail(
            err, -EBUSY, "net.pool",
            "%zu sessions of instance '%s' live in pool %s: end them before changing it", n,
            net->instance, bridge->alias);
    return xeno_rtnl_link_del(net->rtnl, bridge->ifindex, err);
}

/* Addresses of the pool that nobody has lead to the bridge, where nobody is, and not to somebody's
 * upstream. A route on a link needs no cleaning up: it goes with it. */
static int furnish_bridge(struct xeno_net *net, int ifindex, struct xeno_err *err)
{
    const struct xeno_rtnl_route route = { .to = net->pool,
                                           .ifindex = ifindex,
                                           .source = net->gateway };
    char pool[XENO_NET_ADDRESS_TEXT + 4], base[XENO_NET_ADDRESS_TEXT];
    int r;

    snprintf(pool, sizeof pool, "%s/%d", xeno_net_address_text(net->pool.base, base),
             net->pool.bits);
    r = xeno_rtnl_link_up(net->rtnl, ifindex, pool, true, err);
    if (r == 0)
        r = xeno_rtnl_address_add(net->rtnl, ifindex, net->gateway, err);
    return r < 0 ? r : xeno_rtnl_route_set(net->rtnl, &route, err);
}

static int open_bridge(struct xeno_net *net, struct xeno_err *err)
{
    xeno_autofree struct xeno_rtnl_link *found = NULL;
    char name[IFNAMSIZ], sysctl[64];
    size_t n;
    int r, ifindex;

    xeno_net_bridge_name(net->instance, name);
    r = xeno_rtnl_link_list(net->rtnl, name, &found, &n, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n && r == 0; i++) {
        if (strcmp(found[i].name, name) == 0)
            r = leave_old_pool(net, &found[i], err);
    }
    if (r == 0) {
        r = xeno_rtnl_bridge_add(net->rtnl, name, err);
        if (r == -EEXIST)
            r = 0;
    }
    if (r < 0)
        return r;
    ifindex = xeno_rtnl_link_find(net->rtnl, name, err);
    if (ifindex < 0)
        return ifindex;
    snprintf(sysctl, sizeof sysctl, "ipv6/conf/%s/disable_ipv6", name);
    r = xeno_ns_sysctl(sysctl, "1", true, err);
    return r < 0 ? r : furnish_bridge(net, ifindex, err);
}

static int load_rules(struct xeno_net *net, struct xeno_err *err)
{
    const struct xeno_net_rules rules = {
        .instance = net->instance,
        .pool = net->pool,
        .uplink = net->uplink[0] ? net->uplink : NULL,
        .deny = net->deny,
        .n_deny = net->n_deny,
        .dns = net->dns,
        .n_dns = net->n_dns,
    };
    xeno_autofree char *text = xeno_net_rules_text(&rules);

    return xeno_net_nft(text, err);
}

/* A cable without a pin is a remnant, or on its way out: left for the sweep. */
static void adopt(struct xeno_net *net, const struct xeno_rtnl_link *link,
                  const struct xeno_elem *elems, size_t n)
{
    xeno_autofree char *path = NULL;
    struct xeno_net_session *s;
    uint32_t number;

    if (!xeno_net_session_ok(link->alias) ||
        !xeno_net_cable_number(net->instance, link->name, &number))
        return;
    path = xeno_net_ns_path(net, link->alias);
    if (!xeno_ns_pinned(path))
        return;
    HASH_FIND_STR(net->sessions, link->alias, s);
    if (s)
        return; /* a second cable of one session is a remnant too */
    s = xeno_new0(struct xeno_net_session);
    snprintf(s->name, sizeof s->name, "%s", link->alias);
    snprintf(s->cable, sizeof s->cable, "%s", link->name);
    s->ifindex = link->ifindex;
    s->address = net->pool.base + number;
    for (size_t i = 0; i < n; i++) {
        if (elems[i].kind == XENO_ELEM_PORT && elems[i].address == s->address)
            (void)xeno_net_session_note_port(s, elems[i].port);
    }
    HASH_ADD_STR(net->sessions, name, s);
}

bool xeno_net_owned(const struct xeno_net *net, uint32_t address)
{
    for (const struct xeno_net_session *s = net->sessions; s; s = s->hh.next) {
        if (s->address == address)
            return true;
    }
    return false;
}

/* What the sets say about addresses that no session has: from a crash, or a pin that somebody took.
 */
static int drop_orphans(struct xeno_net *net, struct xeno_elem *elems, size_t n,
                        struct xeno_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int r;

        if (xeno_net_owned(net, elems[i].address))
            continue;
        elems[i].remove = true;
        r = xeno_elem_change(net->nft, net->table, &elems[i], 1, err);
        if (r < 0 && r != -ENOENT)
            return r;
    }
    return 0;
}

static int adopt_all(struct xeno_net *net, struct xeno_err *err)
{
    xeno_autofree struct xeno_rtnl_link *links = NULL;
    xeno_autofree struct xeno_elem *elems = NULL;
    size_t n_links, n_elems;
    int r = xeno_rtnl_link_list(net->rtnl, net->cables, &links, &n_links, err);

    if (r == 0)
        r = xeno_elem_list(net->nft, net->table, &elems, &n_elems, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n_links; i++)
        adopt(net, &links[i], elems, n_elems);
    return drop_orphans(net, elems, n_elems, err);
}

static int build(struct xeno_net *net, struct xeno_err *err)
{
    int r = xeno_mkdirs(AT_FDCWD, net->pins, 0755, err);

    if (r == 0)
        r = xeno_rtnl_open(&net->rtnl, err);
    if (r == 0)
        r = xeno_talk_open(NETLINK_NETFILTER, &net->nft, err);
    if (r == 0)
        r = xeno_flows_open(&net->flows, err);
    if (r == 0)
        r = open_bridge(net, err);
    if (r == 0)
        r = load_rules(net, err);
    if (r == 0)
        r = xeno_ns_sysctl("ipv4/ip_forward", "1", false, err);
    if (r == 0)
        r = adopt_all(net, err);
    if (r == 0)
        r = xeno_net_stale_adopt(net, err);
    return r;
}

int xeno_net_open(const struct xeno_net_config *config, struct xeno_net **ret, struct xeno_err *err)
{
    xeno_auto(xeno_net) net = xeno_new0(struct xeno_net);
    struct xeno_err why = XENO_ERR_INIT;
    int r = configure(net, config, err);

    if (r < 0)
        return r;
    derive(net, config);
    r = build(net, &why);
    if (r == -EPERM)
        return xeno_fail(err, r, "net.rights",
                         "session networks need CAP_NET_ADMIN and CAP_SYS_ADMIN (%s)", why.text);
    if (r < 0) {
        if (err)
            *err = why;
        return xeno_context(err, r, "network of instance '%s'", net->instance);
    }
    *ret = xeno_take(&net);
    return 0;
}

void xeno_net_free(struct xeno_net *net)
{
    struct xeno_net_session *s, *next;

    if (!net)
        return;
    HASH_ITER (hh, net->sessions, s, next)
        xeno_net_session_forget(net, s);
    xeno_rtnl_close(net->rtnl);
    xeno_talk_close(net->nft);
    xeno_flows_close(net->flows);
    free(net->pins);
    free(net);
}

struct info_list {
    struct xeno_net_info *at;
    size_t n, room;
};

static struct xeno_net_info *info_add(struct info_list *list, const char *session)
{
    if (list->n == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->at = xeno_grow(list->at, list->room);
    }
    memset(&list->at[list->n], 0, sizeof *list->at);
    snprintf(list->at[list->n].session, sizeof list->at->session, "%s", session);
    return &list->at[list->n++];
}

static void list_cable(struct xeno_net *net, struct info_list *list,
                       const struct xeno_rtnl_link *link, const struct xeno_elem *elems, size_t n)
{
    struct xeno_net_info *info;
    uint32_t number, address;

    if (!xeno_net_cable_number(net->instance, link->name, &number))
        return;
    info = info_add(list, xeno_net_session_ok(link->alias) ? link->alias : "");
    address = net->pool.base + number;
    xeno_net_address_text(address, info->address);
    snprintf(info->cable, sizeof info->cable, "%s", link->name);
    for (size_t i = 0; i < n && info->n_ports < XENO_NET_PORTS_MAX; i++) {
        if (elems[i].kind == XENO_ELEM_PORT && elems[i].address == address)
            info->ports[info->n_ports++] = elems[i].port;
    }
}

static int list_pins(struct xeno_net *net, struct info_list *list, struct xeno_err *err)
{
    DIR *dir = opendir(net->pins);
    struct dirent *d;

    if (!dir && errno == ENOENT)
        return 0;
    if (!dir)
        return xeno_fail_errno(err, -errno, "net.pin", "open '%s'", net->pins);
    while ((d = readdir(dir)) != NULL) {
        bool known = false;

        if (!xeno_net_session_ok(d->d_name))
            continue;
        for (size_t i = 0; i < list->n; i++) {
            if (strcmp(list->at[i].session, d->d_name) == 0)
                list->at[i].pinned = known = true;
        }
        if (!known)
            info_add(list, d->d_name)->pinned = true;
    }
    closedir(dir);
    return 0;
}

int xeno_net_list(struct xeno_net *net, struct xeno_net_info **ret, size_t *ret_n,
                  struct xeno_err *err)
{
    xeno_autofree struct xeno_rtnl_link *links = NULL;
    xeno_autofree struct xeno_elem *elems = NULL;
    struct info_list list = { .n = 0 };
    size_t n_links, n_elems;
    int r = xeno_rtnl_link_list(net->rtnl, net->cables, &links, &n_links, err);

    if (r == 0)
        r = xeno_elem_list(net->nft, net->table, &elems, &n_elems, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n_links; i++)
        list_cable(net, &list, &links[i], elems, n_elems);
    r = list_pins(net, &list, err);
    if (r < 0) {
        free(list.at);
        return r;
    }
    *ret = list.at;
    *ret_n = list.n;
    return 0;
}

static bool kept(const char *session, const char *const *keep, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(session, keep[i]) == 0)
            return true;
    }
    return false;
}

/* A cable without a session, or whose namespace a left-over process keeps. */
static int remove_cable(struct xeno_net *net, const struct xeno_net_info *info,
                        struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    int ifindex = xeno_rtnl_link_find(net->rtnl, info->cable, &why);

    if (ifindex == -ENODEV)
        return 0; /* the kernel was faster */
    if (ifindex > 0)
        return xeno_rtnl_link_del(net->rtnl, ifindex, err);
    if (err)
        *err = why;
    return ifindex;
}

int xeno_net_sweep(struct xeno_net *net, const char *const *keep, size_t n_keep,
                   struct xeno_err *err)
{
    xeno_autofree struct xeno_net_info *all = NULL;
    int r, first = 0, removed = 0;
    size_t n;

    r = xeno_net_list(net, &all, &n, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        struct xeno_err *why = first == 0 ? err : NULL;

        if (all[i].session[0] && kept(all[i].session, keep, n_keep))
            continue;
        r = all[i].session[0] ? xeno_net_session_del(net, all[i].session, NULL, why) : 0;
        if (r == 0 && !all[i].pinned)
            r = remove_cable(net, &all[i], why);
        if (r == 0)
            removed++;
        else if (first == 0)
            first = r;
    }
    return first < 0 ? first : removed;
}

char *xeno_net_ns_path(const struct xeno_net *net, const char *session)
{
    return xeno_asprintf("%s/%s", net->pins, session);
}
