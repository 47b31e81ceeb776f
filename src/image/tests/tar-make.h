/* src/image/tests/tar-make.h - tars as an attacker writes them: header by header, nothing checked.
 */
#ifndef XENO_TEST_TAR_MAKE_H
#define XENO_TEST_TAR_MAKE_H

#include <stdint.h>

#include "base/buf.h"
#include "image/store.h"
#include "image/tar.h"

struct member {
    char type; /* '0' file, '1' hard link, '2' link, '3' char, '4' block, '5' folder, '6' fifo */
    const char *name, *link, *data;
    unsigned mode;
    int64_t uid;
    int64_t size; /* said in the header; 0: as long as data */
};

/* Append a member, with its data padded to blocks. Long names get a GNU 'L' member before. */
void tar_add(struct xeno_buf *b, const struct member *m);
/* A pax header ("keyword=value") for the member that follows. */
void tar_pax(struct xeno_buf *b, const char *keyword, const void *value, size_t len);
void tar_end(struct xeno_buf *b);

/* A temporary folder, removed by temp_drop(). */
char *temp_new(void);
void temp_drop(char *path);
char *temp_path(const char *dir, const char *name);
void temp_write(const char *dir, const char *name, const void *data, size_t len);

/* A descriptor to read the buffer from, and a layer that describes it (digests filled in). */
int layer_fd(const struct xeno_buf *b, struct xeno_layer *ret);

/* The buffer as a plain layer of a new image `name`; returns the layer's digest in *ret. */
void store_image(struct xeno_store *st, const struct xeno_buf *b, const char *name,
                 struct xeno_layer *ret);

/* Can children be confined here at all? Else tests of it are skipped. */
bool can_confine(void);

#endif
