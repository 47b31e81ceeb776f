/* src/xml/leaves.h - XML of elements and text only, read leaf by leaf without a tree.
 *
 * For documents that come ten thousand a second (adverts): a strict part of XML 1.0 in UTF-8. One
 * root, elements without attributes and namespaces, of ASCII names; an element holds either
 * elements or text; the five entities and numbered characters; an XML declaration may come first.
 * No comments, CDATA, processing instructions or document types. What it takes, libxml2 takes too
 * and reads the same (fuzz/xis checks that); it is eight times as fast, because there is no tree,
 * no dictionary and no automaton.
 *
 * Time is linear in the bytes, memory is the caller's stack. Context: any thread.
 */
#ifndef XENO_XML_LEAVES_H
#define XENO_XML_LEAVES_H

#include <stddef.h>

#include "base/err.h"

#define XENO_LEAVES_PATH_MAX  128
#define XENO_LEAVES_VALUE_MAX 256

struct xeno_leaves_bounds {
    size_t path, value; /* bytes, at most those above */
    size_t leaves;
    int depth; /* the root counted, at most 16 */
};

/* One element without elements inside: `path` from below the root on, joined by "/"; `value` with
 * white space trimmed and runs of it made one space. Both end with zero and last for the call.
 * Returns: below zero to stop the reading with that error. */
typedef int xeno_leaves_fn(void *ctx, const char *path, size_t path_len, const char *value,
                           size_t value_len, int line, struct xeno_err *err);

/* Errors: -EINVAL leaves.form    not such a document: line and what is wrong
 *                 leaves.bounds  a bound passed: names the element and the bound
 *         and those of `fn`. */
int xeno_leaves_read(const char *text, size_t len, const char *root,
                     const struct xeno_leaves_bounds *bounds, xeno_leaves_fn *fn, void *ctx,
                     struct xeno_err *err);

#endif
