/* src/image/agent.h - the asking side of the image manager's protocol (rfc/0011).
 *
 * The image manager, xeno-imaged, fetches what this machine does not have. It has an image store
 * of its own (image/store.h), DIR/store, in which layers may be missing: manifests and configs that
 * were resolved are there and are read by xeno_store_load(); tables of contents of layers by
 * pieces are blobs there, named by their own digest; a layer that came whole is an ordinary blob.
 *
 * Nothing it gives is believed: manifests and blobs carry their digests, and who reads by pieces
 * checks each (image/source.h).
 *
 * Two forms. `struct xeno_agent` blocks, for xeno-taskd's jobs, xeno-cowfs and tools: any number of
 * threads, a connection for each that waits at the time, and none before the first call.
 * `struct xeno_agent_link` (image/agent-link.h) is asynchronous on an sd-event loop, for xenod.
 *
 * While the image manager is away (it restarts) calls wait for it, no longer than the patience.
 *
 * Errors of all calls: as the image manager tells them: code, token and text; besides
 *     -ENOTCONN agent.away     it is not there, and the patience is over
 *     -ETIMEDOUT agent.timeout it does not answer
 *     -EPROTO agent.answer     its answer is not one of this protocol
 */
#ifndef XENO_IMAGE_AGENT_H
#define XENO_IMAGE_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "image/manifest.h"
#include "image/source.h"

#define XENO_AGENT_NAME_MAX   700
#define XENO_AGENT_READ_MAX   (4 << 20)       /* bytes of one read */
#define XENO_AGENT_LAYERS_MAX XENO_LAYERS_MAX /* of one progress */
#define XENO_AGENT_WAIT_MAX_S 600

/* --- what it says --- */

struct xeno_agent_layer {
    char digest[XENO_DIGEST_TEXT];
    int64_t size_bytes;
    bool table; /* it has a table of contents: xeno_agent_fetch() will say "pieces" */
};
/* What a name stands for. */
struct xeno_agent_image {
    char manifest[XENO_DIGEST_TEXT];
    char *name; /* as it was resolved */
    enum xeno_image_kind kind;
    bool old; /* the registry is away; this is what it said last */
    size_t layer_count;
    struct xeno_agent_layer *layers; /* bottom first */
};
void xeno_agent_image_free(struct xeno_agent_image *im);
XENO_DEFINE_AUTO(xeno_agent_image, xeno_agent_image_free);

enum xeno_agent_way { XENO_AGENT_PIECES, XENO_AGENT_WHOLE };
struct xeno_agent_fetched {
    enum xeno_agent_way way;
    int64_t size_bytes;          /* of the layer's blob */
    struct xeno_toc_place table; /* for pieces; its blob in the store is named by its digest */
};

enum xeno_agent_state {
    XENO_AGENT_UNKNOWN, /* no image that was resolved has it */
    XENO_AGENT_KNOWN,   /* nothing was fetched yet */
    XENO_AGENT_FETCHING,
    XENO_AGENT_TABLE, /* by pieces, and can be used */
    XENO_AGENT_STORED,
    XENO_AGENT_FAILED, /* `error` says why */
    XENO_AGENT_STATES
};
const char *xeno_agent_state_name(enum xeno_agent_state s); /* "unknown" ...; never NULL */

struct xeno_agent_progress {
    char layer[XENO_DIGEST_TEXT];
    int64_t size_bytes;
    int64_t fetched_bytes; /* from the network, since the image manager was started */
    int64_t total_bytes;   /* that must come before the layer can be used; 0: none, or not known */
    enum xeno_agent_state state;
    struct xeno_err error; /* code 0: none */
};

/* --- asking and waiting --- */

struct xeno_agent;

struct xeno_agent_opts {
    const struct xeno_env *env; /* borrowed until it is freed */
    const char *socket;         /* copied */
    /* A length: how long calls wait for an image manager that is away, and it for registries that
     * are; at most XENO_AGENT_WAIT_MAX_S. */
    xeno_time patience;
};

/* Nothing is asked yet. Errors: -ENAMETOOLONG agent.socket. */
int xeno_agent_new(const struct xeno_agent_opts *opts, struct xeno_agent **ret,
                   struct xeno_err *err);
/* After every call has returned, and every source of it is freed. */
void xeno_agent_free(struct xeno_agent *a);
XENO_DEFINE_AUTO(xeno_agent, xeno_agent_free);

/* What `name`, "oci://...", stands for; its manifest and config are in the store then.
 * Errors: those of rfc/0011, section 4. */
int xeno_agent_resolve(struct xeno_agent *a, const char *name, enum xeno_image_kind kind,
                       struct xeno_agent_image **ret, struct xeno_err *err);

/* See that a layer of an image that was resolved can be used. May take minutes, as long as bytes
 * come. Errors: -ENOENT agent.layer and the others of rfc/0011. */
int xeno_agent_fetch(struct xeno_agent *a, const char *layer, struct xeno_agent_fetched *ret,
                     struct xeno_err *err);

/* `len` bytes at `offset` of the layer's blob, at most XENO_AGENT_READ_MAX. want: what they must
 * be, so that a repository that gives other bytes is passed over; NULL: not checked. Whoever asks
 * checks them again. */
int xeno_agent_read(struct xeno_agent *a, const char *layer, int64_t offset, void *buf, size_t len,
                    const struct xeno_source_want *want, struct xeno_err *err);

/* How far `count` layers are (at most XENO_AGENT_LAYERS_MAX), in the same order, into ret[]. */
int xeno_agent_progress(struct xeno_agent *a, const char *const *layers, size_t count,
                        struct xeno_agent_progress *ret, struct xeno_err *err);

/* Which images (digests of manifests) are needed: replaces what was said before. */
int xeno_agent_keep(struct xeno_agent *a, const char *const *images, size_t count,
                    struct xeno_err *err);

/* The numbers of rfc/0011, section 5, as an object; the caller's. */
int xeno_agent_status(struct xeno_agent *a, struct xeno_json **ret, struct xeno_err *err);

/* The layers as a source of bytes (image/source.h), named `name` in errors and events. One agent
 * gives any number: take one for each layer, each in a struct xeno_sources of its own, since a
 * source that is away is not asked for other layers for a while either. It waits by itself, so that
 * the patience of the struct xeno_sources can be 0. Borrows the agent until it is freed. */
int xeno_source_agent(struct xeno_agent *a, const char *name, struct xeno_source **ret,
                      struct xeno_err *err);

#endif
