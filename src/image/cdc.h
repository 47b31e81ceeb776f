/* src/image/cdc.h - cut a file by its content, so that an edit changes the pieces around it only.
 *
 * FastCDC (Xia et al., USENIX ATC 2016): a gear hash over the last 64 bytes, a stricter mask below
 * the wanted size and a laxer one above it ("normalized chunking"). The table of the hash and the
 * three sizes are part of the format of our layers (RFC 7): another choice would cut the same file
 * elsewhere and share nothing with what is stored already.
 *
 * Pure. Context: any thread.
 */
#ifndef XENO_IMAGE_CDC_H
#define XENO_IMAGE_CDC_H

#include <stddef.h>

#define XENO_CDC_MIN (16 * 1024)
#define XENO_CDC_AVG (64 * 1024)
#define XENO_CDC_MAX (256 * 1024)

/* The length of the first piece of `data`. Offer XENO_CDC_MAX bytes, or all that is left of the
 * file when that is less: what is beyond XENO_CDC_MAX is not looked at.
 *
 * Returns: from 1 to XENO_CDC_MAX, and `len` itself when len <= XENO_CDC_MIN; 0 for len 0. */
size_t xeno_cdc_cut(const void *data, size_t len);

#endif
