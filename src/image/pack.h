/* src/image/pack.h - write a tar whose bytes depend on its content only (libarchive behind).
 *
 * Members come in the order they are added; times in whole seconds, no access or change times, no
 * user names, no inode numbers: the same calls give the same bytes on every machine.
 */
#ifndef XENO_IMAGE_PACK_H
#define XENO_IMAGE_PACK_H

#include "image/tar.h"

struct xeno_pack;

/* Bytes of the tar go to `write`. `member`, unless NULL, is told of each member when its head has
 * been written, so that the next size_bytes that are written are its data. */
struct xeno_pack_output {
    int (*write)(void *arg, const void *data, size_t len, struct xeno_err *err);
    int (*member)(void *arg, const struct xeno_tar_entry *e, struct xeno_err *err);
    void *arg;
};

int xeno_pack_new(const struct xeno_pack_output *output, struct xeno_pack **ret,
                  struct xeno_err *err);
void xeno_pack_free(struct xeno_pack *p);
XENO_DEFINE_AUTO(xeno_pack, xeno_pack_free);

/* The head of a member; a file's size_bytes of data follow by xeno_pack_data(), its holes as zeros,
 * which are not written when it is `sparse` (pax 1.0: not for a layer that is to have a table of
 * contents, nor for one that other tools shall read). */
int xeno_pack_add(struct xeno_pack *p, const struct xeno_tar_entry *e, struct xeno_err *err);
int xeno_pack_data(struct xeno_pack *p, const void *data, size_t len, struct xeno_err *err);
/* Exactly size_bytes from fd. Errors: -ESTALE image.changed: it was cut meanwhile. */
int xeno_pack_file(struct xeno_pack *p, int fd, int64_t size_bytes, const char *name,
                   struct xeno_err *err);
int xeno_pack_end(struct xeno_pack *p, struct xeno_err *err);

#endif
