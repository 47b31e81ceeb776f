/* src/host/publish.h - the host's ports that sessions may publish.
 *
 * A grant with an address of its own has all ports of that: nothing is checked, taken or given for
 * it. Private to admission.c, which is the manual. Pure, but for what in_use asks.
 */
#ifndef XENO_HOST_PUBLISH_H
#define XENO_HOST_PUBLISH_H

#include "host/admission.h"
#include "host/pool.h"

struct ports {
    struct pool tcp, udp; /* from `first` */
    uint16_t first, last;
    size_t kept;              /* of tcp, the daemon's */
    xeno_port_in_use *in_use; /* by other programs; NULL: nobody asks */
    void *in_use_ctx;
};

void ports_init(struct ports *p, uint16_t first, uint16_t last); /* last below first: none */
void ports_release(struct ports *p);

/* Take a TCP port out of the sale, if it is in it and free. */
void ports_keep(struct ports *p, uint16_t port);
size_t ports_count(const struct xeno_grant *g, enum xeno_proto proto);

/* Can those be had that are asked for by number, and as many others? Errors: admission.ports. */
int ports_check(const struct ports *p, const struct xeno_grant *g, struct xeno_err *err);
/* And could the others be chosen? */
int ports_try(struct ports *p, const struct xeno_grant *g, struct xeno_err *err);
/* Take what was checked just now, and choose; on failure g and p are as before. */
int ports_take(struct ports *p, struct xeno_grant *g, struct xeno_err *err);
/* Take what was sold before; nobody is asked. Errors: -EEXIST admission.port. */
int ports_adopt(struct ports *p, const struct xeno_grant *g, struct xeno_err *err);
void ports_give(struct ports *p, const struct xeno_grant *g);

#endif
