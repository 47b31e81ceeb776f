/* src/xrdd/follow.h - following the change feeds of XIS nodes (rfc/0016, section 5).
 *
 * Each XIS that the operator names is followed by itself: asked from the beginning once, then held
 * on to with long polls. One that is away, or answers nonsense, is asked again with growing,
 * jittered waits; what it told stays, and only gets older. Context: the thread of the loop.
 */
#ifndef XENO_XRDD_FOLLOW_H
#define XENO_XRDD_FOLLOW_H

#include "http/client.h"
#include "xrdd/world.h"

struct xrdd_follow; /* all of them */

struct xrdd_follow_opts {
    const struct xeno_env *env;
    struct xeno_http_client *client; /* borrowed, as the world, until it is freed */
    struct xrdd_world *world;
    const char *urls; /* with commas; copied */
};

/* Errors: -EINVAL rd.xis (none, more than XRDD_SOURCES, or no https). */
int xrdd_follow_new(const struct xrdd_follow_opts *opts, struct xrdd_follow **ret,
                    struct xeno_err *err);
void xrdd_follow_free(struct xrdd_follow *f); /* before the client */
XENO_DEFINE_AUTO(xrdd_follow, xrdd_follow_free);
/* Ask those that are due. Once a second. */
void xrdd_follow_tick(struct xrdd_follow *f);

struct xrdd_followed {
    const char *url;
    bool heard;     /* it was followed to the end of its feed once, since the start */
    int64_t age_ms; /* since we were last as new as it; -1: never */
    int64_t changes, refused;
};
size_t xrdd_follow_count(const struct xrdd_follow *f);
struct xrdd_followed xrdd_follow_get(const struct xrdd_follow *f, size_t i);
/* Was any of them heard? */
bool xrdd_follow_heard(const struct xrdd_follow *f);
/* The oldest of those that were heard; those that never answered say nothing. */
int64_t xrdd_follow_age_ms(const struct xrdd_follow *f);

#endif
