/* src/image/cache-priv.h - the inside of the layer cache. */
#ifndef XENO_IMAGE_CACHE_PRIV_H
#define XENO_IMAGE_CACHE_PRIV_H

#include "image/cache.h"

#define XENO_HEX_CHARS 64

struct xeno_cache {
    char *path;
    int dirfd;
    int layers, meta, pins, work, locks; /* open folders */
    struct xeno_unpack_limits limits;
};

const char *xeno_hex_of(const char *digest); /* the part after "sha256:" */
bool xeno_hex_ok(const char *text);          /* 64 lower-case digits */

/* flock(2) on `name` below `dirfd`; the file is made when missing. -EWOULDBLOCK with LOCK_NB. */
int xeno_cache_flock(int dirfd, const char *name, int op, int *ret_fd, struct xeno_err *err);

/* Read the pins of all sessions: a table of digests in use, freed by xeno_pins_free. */
struct xeno_pins;
int xeno_pins_read(struct xeno_cache *c, struct xeno_pins **ret, struct xeno_err *err);
bool xeno_pins_has(const struct xeno_pins *p, const char *hex);
void xeno_pins_free(struct xeno_pins *p);
XENO_DEFINE_AUTO(xeno_pins, xeno_pins_free);

/* What is known of a layer that is there. */
int xeno_cache_meta_write(struct xeno_cache *c, const char *hex, const struct xeno_unpacked *u,
                          struct xeno_err *err);
int64_t xeno_cache_meta_bytes(struct xeno_cache *c, const char *hex); /* 0: not known */

/* Remove what is in work/ and nobody works on. */
void xeno_cache_tidy(struct xeno_cache *c);

#endif
