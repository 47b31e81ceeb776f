/* src/spec/task-doc.h - the task document: a program to be deployed in a session.
 *
 * XML, root Task, schema schemas/task.xsd. Pure. Context: any thread after xeno_spec_init().
 */
#ifndef XENO_SPEC_TASK_DOC_H
#define XENO_SPEC_TASK_DOC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define XENO_TASK_DOC_MAX_BYTES (64 * 1024)
#define XENO_TASK_DOC_ARGS      256 /* arguments, and as many environment variables */
#define XENO_TASK_DOC_ARG_BYTES 8192

struct xeno_task_doc {
    char *name;  /* NULL: the host names it */
    char **argv; /* NULL-terminated, at least one, the first not empty */
    size_t argc;
    char **env; /* "NAME=value", NULL-terminated; names differ */
    size_t env_count;
    char *cwd;  /* absolute; NULL: the image's, or / */
    char *user; /* "name", "uid", either with ":group"; NULL: the image's, or root inside */
    bool terminal;
};
void xeno_task_doc_free(struct xeno_task_doc *t);
XENO_DEFINE_AUTO(xeno_task_doc, xeno_task_doc_free);

/* Errors: those of xml.h, -EINVAL spec.argument, spec.environment, spec.directory: line, element
 * and limit in the text. */
int xeno_task_doc_parse(const char *text, size_t len, struct xeno_task_doc **ret,
                        struct xeno_err *err);
/* The canonical document; the caller's. */
char *xeno_task_doc_format(const struct xeno_task_doc *t, size_t *ret_len);
bool xeno_task_doc_equal(const struct xeno_task_doc *a, const struct xeno_task_doc *b);

#endif
