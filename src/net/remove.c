/* src/net/remove.c - take an instance's network off the machine, whatever state it is in.
 *
 * Nothing is built for it, and nothing but names is trusted: the pool, which only matters for flows
 * in progress, is what the bridge says.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/internal.h"
#include "net/ns.h"
#include "net/rules.h"

/* The first failure is told; what comes after is done all the same. */
static void note(int *first, int r, struct xeno_err *why, struct xeno_err *err)
{
    if (r < 0 && *first == 0) {
        *first = r;
        if (err)
            *err = *why;
    }
    *why = (struct xeno_err)XENO_ERR_INIT;
}

static int remove_pins(const char *pins, struct xeno_net_removed *done, struct xeno_err *err)
{
    DIR *dir = opendir(pins);
    struct dirent *e;
    int r = 0;

    if (!dir && errno == ENOENT)
        return 0;
    if (!dir)
        return xeno_fail_errno(err, -errno, "net.pin", "open '%s'", pins);
    while (r == 0 && (e = readdir(dir)) != NULL) {
        xeno_autofree char *path = NULL;

        if (!xeno_net_session_ok(e->d_name))
            continue;
        path = xeno_asprintf("%s/%s", pins, e->d_name);
        done->namespaces += xeno_ns_pinned(path);
        r = xeno_ns_unpin(path, err);
    }
    closedir(dir);
    if (r == 0)
        (void)rmdir(pins);
    return r;
}

/* By name: also the cables of namespaces that somebody still holds, and those that are going
 * already, which costs only time. */
static int remove_cables(struct xeno_net *net, struct xeno_net_removed *done, struct xeno_err *err)
{
    xeno_autofree struct xeno_rtnl_link *links = NULL;
    size_t n = 0;
    int r = xeno_rtnl_link_list(net->rtnl, net->cables, &links, &n, err);

    for (size_t i = 0; i < n && r == 0; i++) {
        r = xeno_rtnl_link_del(net->rtnl, links[i].ifindex, err);
        done->cables += r == 0;
    }
    return r;
}

static int remove_rules(struct xeno_net *net, struct xeno_net_removed *done, struct xeno_err *err)
{
    xeno_autofree char *look = xeno_asprintf("list table inet %s\n", net->table);
    xeno_autofree char *drop =
        xeno_asprintf("add table inet %s\ndelete table inet %s\n", net->table, net->table);
    bool there = xeno_net_nft(look, NULL) == 0;
    int r = xeno_net_nft(drop, err);

    done->rules = there && r == 0;
    return r;
}

/* The flows of its pool go with the bridge: an address of it may soon be another's. */
static int remove_bridge(struct xeno_net *net, struct xeno_net_removed *done, struct xeno_err *err)
{
    xeno_autofree struct xeno_rtnl_link *found = NULL;
    char name[IFNAMSIZ];
    size_t n = 0;
    int r;

    xeno_net_bridge_name(net->instance, name);
    r = xeno_rtnl_link_list(net->rtnl, name, &found, &n, err);
    for (size_t i = 0; i < n && r == 0; i++) {
        if (strcmp(found[i].name, name) != 0)
            continue;
        if (xeno_net_prefix_parse(found[i].alias, &net->pool, NULL) == 0)
            r = xeno_net_stale_adopt(net, err);
        if (r == 0)
            r = xeno_rtnl_link_del(net->rtnl, found[i].ifindex, err);
        done->bridge = r == 0;
    }
    return r;
}

int xeno_net_remove(const char *instance, const char *run_dir, struct xeno_net_removed *ret,
                    struct xeno_err *err)
{
    xeno_auto(xeno_net) net = xeno_new0(struct xeno_net);
    struct xeno_err why = XENO_ERR_INIT;
    int first = 0, r;

    *ret = (struct xeno_net_removed){ .cables = 0 };
    if (!xeno_net_instance_ok(instance))
        return xeno_fail(err, -EINVAL, "net.config",
                         "instance '%.40s' is not 1 to %d lower-case letters and digits", instance,
                         XENO_NET_INSTANCE_MAX);
    snprintf(net->instance, sizeof net->instance, "%s", instance);
    snprintf(net->cables, sizeof net->cables, "xv%s-", net->instance);
    xeno_net_table_name(net->instance, net->table);
    net->pins = xeno_asprintf("%s/netns", run_dir);
    r = xeno_rtnl_open(&net->rtnl, err);
    if (r == 0)
        r = xeno_flows_open(&net->flows, err);
    if (r < 0)
        return r;
    note(&first, remove_cables(net, ret, &why), &why, err);
    note(&first, remove_pins(net->pins, ret, &why), &why, err);
    note(&first, remove_rules(net, ret, &why), &why, err);
    note(&first, remove_bridge(net, ret, &why), &why, err);
    return first < 0 ? xeno_context(err, first, "network of instance '%s'", instance) : 0;
}
