/* src/image/toc-priv.h - what writing and reading a table share. */
#ifndef XENO_IMAGE_TOC_PRIV_H
#define XENO_IMAGE_TOC_PRIV_H

#include "image/toc.h"

const char *xeno_toc_type_name(enum xeno_tar_type type); /* NULL: no table has it */
void xeno_toc_file_release(struct xeno_toc_file *f);
void xeno_toc_push(struct xeno_toc *t, const struct xeno_toc_file *f); /* takes what f owns */

#endif
