/* src/image/stack.h - which layers lie over each other, and how each is there (RFC 14).
 *
 * A file that xeno-taskd writes for the xeno-cowfs of a session: folders, and layers that are read
 * by pieces over a table of contents, in any order. Who writes it has checked that place and digest
 * of each table are those of the layer's manifest; who reads it checks every byte against them.
 *
 * Pure. Context: one thread per struct.
 */
#ifndef XENO_IMAGE_STACK_H
#define XENO_IMAGE_STACK_H

#include "image/manifest.h"

#define XENO_STACK_MAX       500
#define XENO_STACK_MAX_BYTES (1 << 20) /* of the file */

struct xeno_stack_part {
    char *dir;               /* owned; absolute; NULL: the layer below is read by pieces */
    struct xeno_layer layer; /* digest, size_bytes and toc, which is there */
};
struct xeno_stack {
    size_t count;
    struct xeno_stack_part *parts; /* bottom first */
};

struct xeno_stack *xeno_stack_new(void);
void xeno_stack_free(struct xeno_stack *s);
XENO_DEFINE_AUTO(xeno_stack, xeno_stack_free);

/* On top of what is there; both copied. */
void xeno_stack_add_dir(struct xeno_stack *s, const char *dir);
void xeno_stack_add_layer(struct xeno_stack *s, const struct xeno_layer *layer);
/* Is any part read by pieces? */
bool xeno_stack_by_pieces(const struct xeno_stack *s);

/* The text of the file, the caller's. */
char *xeno_stack_format(const struct xeno_stack *s, size_t *ret_len);
/* Errors: -EINVAL image.stack and json.*, -EFBIG json.size. */
int xeno_stack_parse(const char *text, size_t len, struct xeno_stack **ret, struct xeno_err *err);

#endif
