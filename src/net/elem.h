/* src/net/elem.h - elements of the instance's nft sets: which session has what.
 *
 * Raw nfnetlink, since adding an element through libnftables costs a millisecond and more with
 * every element that exists. All changes of one call are one transaction: all or nothing.
 */
#ifndef XENO_NET_ELEM_H
#define XENO_NET_ELEM_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/names.h"
#include "net/net.h"
#include "net/talk.h"

enum xeno_elem_kind { XENO_ELEM_SOURCE, XENO_ELEM_PORT };

struct xeno_elem {
    enum xeno_elem_kind kind;
    bool remove; /* else add */
    uint32_t address;
    char cable[IFNAMSIZ];      /* source: the host's end; its MAC follows from the address */
    struct xeno_net_port port; /* port */
};

#define XENO_ELEM_BATCH_MAX (2 * XENO_NET_PORTS_MAX + 2)

/* Errors: -EEXIST net.port a host port is published already; -ENOENT removing what is not there;
 * -EINVAL more than XENO_ELEM_BATCH_MAX; others net.nft. */
int xeno_elem_change(struct xeno_talk *t, const char *table, const struct xeno_elem *elems,
                     size_t n, struct xeno_err *err);

/* All elements of the source set and both port maps. Returns: an array, the caller's (free()). */
int xeno_elem_list(struct xeno_talk *t, const char *table, struct xeno_elem **ret, size_t *ret_n,
                   struct xeno_err *err);

#endif
