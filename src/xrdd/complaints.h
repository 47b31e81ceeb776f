/* src/xrdd/complaints.h - following what clients complained about to the XenoCorp (rfc/0020).
 *
 * Asked for every minute, from the last one that is known on. While the XenoCorp is away the counts
 * are older, and nothing else. Context: the thread of the loop.
 */
#ifndef XENO_XRDD_COMPLAINTS_H
#define XENO_XRDD_COMPLAINTS_H

#include "http/client.h"
#include "xrdd/world.h"

struct xrdd_complaints {
    const struct xeno_env *env; /* set these four before the first tick: borrowed */
    struct xeno_http_client *client;
    struct xrdd_world *world;
    const char *corp_url, *corp_id;
    int64_t after;
    xeno_time due;               /* monotonic */
    struct xeno_http_call *call; /* NULL: none under way */
};

void xrdd_complaints_tick(struct xrdd_complaints *c);    /* once a second */
void xrdd_complaints_release(struct xrdd_complaints *c); /* before the client */

#endif
