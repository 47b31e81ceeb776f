/* src/xisd/peer.h - other nodes that have databases of their own: we pull from them, they from us
 * (rfc/0017, sections 2 to 5).
 *
 * src/xis/replica.h decides what is asked and when; here are its transport (POST /v1/replica,
 * mutual TLS), its store (the index, and updates that go the way of any other) and its clock.
 * Context: the loop's thread.
 */
#ifndef XENO_XISD_PEER_H
#define XENO_XISD_PEER_H

#include "xis/replica.h"
#include "xisd/xisd.h"

/* Are the URLs of the option "peers" good? Errors: -EINVAL xis.peers. */
int xisd_peers_check(const char *text, struct xeno_err *err);

/* With what the index has. Context: after xisd_load(). */
int xisd_peers_start(struct xisd *d, struct xeno_err *err);
void xisd_peers_free(struct xisd *d); /* after the client's and the writer's end; any state */

/* The index has this version now; its stamp says from whom it is (none: it came to us first). */
void xisd_peers_note(struct xisd *d, const struct xeno_replica_item *it);

/* Has one of them told all that it had since we started? */
bool xisd_peers_whole(const struct xisd *d);

/* Ask whoever is to be asked; once a second, and when something has come. */
void xisd_peers_tend(struct xisd *d);

void xisd_post_replica(struct xeno_http_req *q, void *user);
/* For /v1/status; NULL: there are none. */
struct xeno_json *xisd_peers_status(const struct xisd *d);

#endif
