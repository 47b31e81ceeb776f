/* src/image/push.h - an image of a store to a registry.
 *
 * What is there already is not sent again: each blob is asked for first, then the registry is asked
 * to take it from another of its repositories. The others go in pieces of `chunk_bytes`, small ones
 * in one; when a connection breaks the registry is asked how much it has, and the rest follows. The
 * manifest comes when all blobs are there, so no name ever stands for half an image.
 *
 * The store is only read, so that whoever may read an image may push it.
 *
 * Context: blocking; runs the registry's loop.
 */
#ifndef XENO_IMAGE_PUSH_H
#define XENO_IMAGE_PUSH_H

#include "image/registry.h"
#include "image/store.h"

#define XENO_PUSH_CHUNK (32 << 20)

struct xeno_push_opts {
    struct xeno_registry *registry;       /* made with `write` */
    const char *ref;                      /* of the image here */
    const char *tag;                      /* its name there; NULL: none but its digest */
    int64_t chunk_bytes;                  /* 0: XENO_PUSH_CHUNK, or what the registry asks for */
    const struct xeno_progress *progress; /* "send", in bytes of blobs */
};

struct xeno_pushed {
    char digest[XENO_DIGEST_TEXT];
    int64_t size_bytes;           /* of its layers */
    size_t blobs, there, mounted; /* all, the config among them; those not sent */
    int64_t sent_bytes;           /* to the registry, repeats counted again */
    int64_t requests;
};

/* Errors: those of image/registry.h and of xeno_store_resolve(); -EBADMSG image.corrupt also when
 *         the registry names another digest for what it was sent. */
int xeno_image_push(struct xeno_store *st, const struct xeno_push_opts *opts,
                    struct xeno_pushed *ret, struct xeno_err *err);

#endif
