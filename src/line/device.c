/* src/line/device.c - a tun device that lives as long as its descriptor, and routes to it. */
#include "line/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/io.h"
#include "line/mirror.h"
#include "net/rtnl.h"

#define ROUTES_BYTES (1 << 20)
#define WIDE_BITS    16 /* a wider route, such as 10.0.0.0/8, leads somewhere else on the whole */

/* Leads a route of this machine into the `bits` wide prefix of `base`? Numbers in the file are in
 * network order as the processor reads them. */
static bool routed(const char *routes, uint32_t base, unsigned bits)
{
    uint32_t mask = ~UINT32_C(0) << (32 - bits);

    for (const char *p = strchr(routes, '\n'); p; p = strchr(p + 1, '\n')) {
        unsigned to, m;

        if (sscanf(p + 1, "%*s %x %*x %*x %*d %*d %*d %x", &to, &m) != 2)
            continue;
        to = __builtin_bswap32(to);
        m = __builtin_bswap32(m);
        if (m >= ~UINT32_C(0) << (32 - WIDE_BITS) && ((to ^ base) & m & mask) == 0)
            return true;
    }
    return false;
}

static int take(unsigned subnet, int *ret, char name[IFNAMSIZ], struct xeno_err *err)
{
    struct ifreq r = { .ifr_flags = (short)(IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL) };
    xeno_autoclose int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "emulate.device",
                               "open /dev/net/tun (emulation needs root and the kernel's tun)");
    snprintf(r.ifr_name, sizeof r.ifr_name, "xenoemu%u", subnet);
    if (ioctl(fd, TUNSETIFF, &r) < 0)
        return xeno_fail_errno(err, -errno, "emulate.device",
                               "make the device %s (emulation needs root)", r.ifr_name);
    memcpy(name, r.ifr_name, IFNAMSIZ);
    *ret = xeno_take_fd(&fd);
    return 0;
}

/* No router is looked for there. Best effort: a kernel without IPv6 has no such file. */
static void no_six(const char *name)
{
    xeno_autofree char *path = xeno_asprintf("/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    xeno_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, "1", 1) < 0)
        errno = 0;
}

static int set_routes(const char *name, unsigned subnet, size_t client, struct xeno_err *err)
{
    xeno_auto(xeno_rtnl) nl = NULL;
    struct xeno_rtnl_route real = { .to = { xeno_mirror_real(subnet, 0), XENO_MIRROR_BITS },
                                    .local = true };
    struct xeno_rtnl_route seen = { .to = { xeno_mirror_seen(subnet, 0), XENO_MIRROR_BITS },
                                    .source = xeno_mirror_real(subnet, client) };
    int r = xeno_rtnl_open(&nl, err), index = -1;

    if (r == 0)
        r = index = xeno_rtnl_link_find(nl, name, err);
    real.ifindex = seen.ifindex = index;
    if (r >= 0)
        r = xeno_rtnl_link_up(nl, index, NULL, false, err);
    if (r == 0)
        r = xeno_rtnl_route_set(nl, &real, err);
    return r == 0 ? xeno_rtnl_route_set(nl, &seen, err) : r;
}

static int try(unsigned subnet, const char *routes, size_t client, int *ret, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    char name[IFNAMSIZ];
    int r;

    if (routed(routes, xeno_mirror_real(subnet, 0), XENO_MIRROR_BITS) ||
        routed(routes, xeno_mirror_seen(subnet, 0), XENO_MIRROR_BITS))
        return xeno_fail(err, -EBUSY, "emulate.device", "this machine has routes to subnet %u",
                         subnet);
    r = take(subnet, &fd, name, err);
    if (r < 0)
        return r;
    no_six(name);
    r = set_routes(name, subnet, client, err);
    if (r == 0)
        *ret = xeno_take_fd(&fd);
    return r;
}

int xeno_line_device(int wish, size_t client, unsigned *ret_subnet, int *ret, struct xeno_err *err)
{
    xeno_autofree char *routes = NULL;
    unsigned first = wish >= 0 ? (unsigned)wish % XENO_MIRROR_SUBNETS : 0;
    size_t len;
    int r = xeno_file_read(AT_FDCWD, "/proc/net/route", ROUTES_BYTES, &routes, &len, err);

    if (r < 0)
        return r;
    for (unsigned i = 0; i < XENO_MIRROR_SUBNETS; i++) {
        unsigned subnet = (first + i) % XENO_MIRROR_SUBNETS;

        r = try(subnet, routes, client, ret, err);
        if (r == -EBUSY)
            continue;
        *ret_subnet = subnet;
        return r;
    }
    return xeno_fail(err, -EBUSY, "emulate.device",
                     "all %d subnets of 10.78.0.0/16 and 10.79.0.0/16 are in use on this machine",
                     XENO_MIRROR_SUBNETS);
}
