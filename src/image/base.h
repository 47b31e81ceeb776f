/* src/image/base.h - what the file system of an image looks like, without unpacking it.
 *
 * The layers are listed by confined children and laid over each other, whiteouts applied: every
 * name with its type, owner and mode, so that an overlay can be made to fit over it.
 */
#ifndef XENO_IMAGE_BASE_H
#define XENO_IMAGE_BASE_H

#include "image/job.h"
#include "image/store.h"

struct xeno_base;

int xeno_base_read(struct xeno_store *st, const struct xeno_image *im,
                   const struct xeno_progress *progress, struct xeno_base **ret,
                   struct xeno_err *err);
void xeno_base_free(struct xeno_base *b);
XENO_DEFINE_AUTO(xeno_base, xeno_base_free);

/* The name in plain form ("var/www"); NULL when there is nothing. Hard links read as files. */
const struct xeno_listed *xeno_base_get(const struct xeno_base *b, const char *path);

/* Follow links in `path` as a process in the session would; what does not exist is taken as it
 * stands. `last`: also a link at the very end. b may be NULL: then only "." and ".." go.
 * Errors: -ELOOP overlay.target; -EINVAL overlay.target (too long). `out` holds PATH_MAX. */
int xeno_base_resolve(const struct xeno_base *b, const char *path, bool last, char *out,
                      struct xeno_err *err);

/* Visit what is below folder `path` ("." for all), in no order; fn < 0 stops. */
int xeno_base_below(const struct xeno_base *b, const char *path,
                    int (*fn)(void *arg, const struct xeno_listed *e), void *arg);

#endif
