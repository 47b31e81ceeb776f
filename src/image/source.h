/* src/image/source.h - bytes of blobs, from whoever has them.
 *
 * A source gives parts of blobs and is believed nothing: what it gives is checked by the caller's
 * function. Several are asked in their order. One that gives wrong bytes (it lies) is not asked for
 * these again for five minutes and not waited for, and after three such not for anything; one that
 * does not answer (it is away) is asked again after a wait that doubles, with jitter, from half a
 * second to a minute, by one thread at a time. When nobody else is left a reader waits for those
 * that are away, no longer than his patience.
 *
 * Context: any number of threads, but for new, add and free.
 */
#ifndef XENO_IMAGE_SOURCE_H
#define XENO_IMAGE_SOURCE_H

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "image/chunked.h"

/* --- one source --- */

struct xeno_source;

/* What bytes must be, for a source that has them from several others and can pass over one that
 * lies; nobody believes that it did. */
struct xeno_source_want {
    const uint8_t *sha; /* 32 bytes: the digest */
    int64_t
        size_bytes; /* above zero: of so many bytes, of which they are a zstd frame; 0: of them */
};

struct xeno_source_ops {
    /* `len` bytes at `offset` of the blob "sha256:HEX". want: NULL, or may be passed over. Bounded
     * in time. Any number of threads.
     * Errors: -ENOENT: it has no such blob, and is asked for others all the same; -EBADMSG: it
     * knows itself that whoever it has them from gives wrong ones, likewise. */
    int (*read)(struct xeno_source *s, const char *digest, int64_t offset, void *buf, size_t len,
                const struct xeno_source_want *want, struct xeno_err *err);
    void (*free)(struct xeno_source *s);
};
struct xeno_source {
    const struct xeno_source_ops *ops;
    char *name; /* for people: in errors and events */
};

/* The blobs of an image store (image/store.h). Errors: those of xeno_store_open(). */
int xeno_source_store(const char *path, struct xeno_source **ret, struct xeno_err *err);

/* --- several --- */

enum xeno_source_state {
    XENO_SOURCE_LIES, /* each time; the error says of what */
    XENO_SOURCE_AWAY, /* when it begins */
    XENO_SOURCE_BACK
};
struct xeno_source_event {
    enum xeno_source_state state;
    const char *source, *digest; /* its name; the blob */
    int64_t offset;
    const struct xeno_err *err; /* NULL for XENO_SOURCE_BACK */
};

struct xeno_sources_opts {
    const struct xeno_env *env;
    xeno_time patience; /* a length; 0: nobody is waited for */
    void (*event)(void *arg, const struct xeno_source_event *e); /* NULL; from any thread */
    void *arg;
    void (*wait)(void *arg, xeno_time length); /* NULL: sleep; for tests */
};

struct xeno_sources;
struct xeno_sources *xeno_sources_new(const struct xeno_sources_opts *opts); /* copied */
void xeno_sources_free(struct xeno_sources *s);
XENO_DEFINE_AUTO(xeno_sources, xeno_sources_free);
/* Behind those there are. Takes `one`. */
void xeno_sources_add(struct xeno_sources *s, struct xeno_source *one);

/* A part of a blob, into buf. want: for the sources; NULL. check: are these the right bytes?
 * -EBADMSG says no.
 * Errors: of the last source that was asked, with its name; -ENOENT image.blob when nobody has it;
 *         -EIO source.none when all that are left are liars. */
int xeno_sources_read(struct xeno_sources *s, const char *digest, int64_t offset, void *buf,
                      size_t len, const struct xeno_source_want *want,
                      int (*check)(void *arg, const void *data, struct xeno_err *err), void *arg,
                      struct xeno_err *err);

/* A piece of a layer, checked, decompressed into `out` (piece->size_bytes). */
int xeno_sources_piece(struct xeno_sources *s, const char *digest,
                       const struct xeno_toc_chunk *piece, void *out, struct xeno_err *err);

/* A part of a blob as it stands there, checked against its digest: a table of contents. */
int xeno_sources_part(struct xeno_sources *s, const char *digest, int64_t offset, size_t len,
                      const uint8_t sha[32], void *out, struct xeno_err *err);

/* Bytes that came from sources, right or wrong. */
int64_t xeno_sources_bytes(const struct xeno_sources *s);

#endif
