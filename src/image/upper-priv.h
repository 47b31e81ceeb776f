/* src/image/upper-priv.h - the walk of image/upper.h, for its tests. */
#ifndef XENO_IMAGE_UPPER_PRIV_H
#define XENO_IMAGE_UPPER_PRIV_H

#include "image/pack.h"

/* In this process, whose rights it uses: judge the folder `root` and, unless pack is NULL, write
 * it. ret: entries and disk_bytes. */
int xeno_upper_walk(int root, const struct xeno_unpack_limits *limits, struct xeno_pack *pack,
                    struct xeno_unpacked *ret, struct xeno_err *err);

#endif
