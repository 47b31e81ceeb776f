/* src/xstored/names.h - what a request to a registry may say: repositories, tags, digests, ranges.
 *
 * The grammar is that of the OCI distribution specification (1.1, "Pulling manifests"), with a
 * first component of our own: a repository is "OWNERID/name", OWNERID being the id of the party
 * that may write to it (crypto/key.h). Pure: text in, decisions out.
 */
#ifndef XENO_XSTORED_NAMES_H
#define XENO_XSTORED_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/key.h"

#define XSTORED_NAME_MAX  255 /* letters of a repository's name */
#define XSTORED_NAME_DEEP 16  /* components, the owner's among them */
#define XSTORED_TAG_MAX   128

/* Errors: -EINVAL store.name. */
int xstored_name_check(const char *name, struct xeno_err *err);
/* The owner of a repository whose name was checked. */
struct xeno_id xstored_name_owner(const char *name);

/* Errors: -EINVAL store.tag. */
int xstored_tag_check(const char *tag, struct xeno_err *err);
/* Errors: -EINVAL store.digest, also for algorithms other than sha256. */
int xstored_digest_check(const char *digest, struct xeno_err *err);
/* A tag or a digest; *ret_digest says which. Errors: both of the above. */
int xstored_reference_check(const char *ref, bool *ret_digest, struct xeno_err *err);

/* "0-99", the form of the specification, or "bytes 0-99/100" as RFC 9110 has it: the bytes of a
 * piece. Errors: -EINVAL store.content_range. */
int xstored_content_range(const char *text, int64_t *ret_first, int64_t *ret_len,
                          struct xeno_err *err);

/* How many items a page may have: `n` of the query, at most `max`; NULL: max.
 * Errors: -EINVAL store.page. */
int xstored_page_size(const char *n, int max, int *ret, struct xeno_err *err);

#endif
