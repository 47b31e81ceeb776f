/* fuzz/spec/fuzz-task-doc.c - what is accepted is within its bounds and round-trips. */
#include <string.h>

#include "../fuzz.h"
#include "spec/task-doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_auto(xeno_task_doc) a = NULL;
    xeno_auto(xeno_task_doc) b = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    size_t len;

    if (xeno_task_doc_parse((const char *)data, size, &a, &err) < 0) {
        XENO_REQUIRE(err.code < 0 && err.token[0] != '\0' && err.text[0] != '\0');
        return 0;
    }
    XENO_REQUIRE(a->argc >= 1 && a->argc <= XENO_TASK_DOC_ARGS && a->argv[0][0] != '\0');
    for (size_t i = 0; i < a->argc; i++)
        XENO_REQUIRE(strlen(a->argv[i]) <= XENO_TASK_DOC_ARG_BYTES);
    for (size_t i = 0; i < a->env_count; i++)
        XENO_REQUIRE(strchr(a->env[i], '=') > a->env[i]);
    text = xeno_task_doc_format(a, &len);
    /* Escapes can make the canonical text longer than a document may be. */
    if (len > XENO_TASK_DOC_MAX_BYTES)
        return 0;
    XENO_REQUIRE(xeno_task_doc_parse(text, len, &b, NULL) == 0);
    XENO_REQUIRE(xeno_task_doc_equal(a, b));
    return 0;
}
