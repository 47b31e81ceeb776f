/* fuzz/task/fuzz-task-proto.c - no request crashes the task manager's parser; one that is taken
 * reads the same again. */
#include <string.h>

#include "fuzz.h"
#include "task/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_auto(xeno_task_request) a = NULL;
    xeno_auto(xeno_task_request) b = NULL;
    xeno_autofree char *text = NULL;
    xeno_autofree char *again = NULL;
    size_t len, again_len;

    if (xeno_task_request_parse((const char *)data, size, &a, NULL) < 0)
        return 0;
    if (xeno_task_request_format(a, &text, &len, NULL) < 0)
        return 0; /* what barely fitted may not, once defaults are written out */
    XENO_REQUIRE(xeno_task_request_parse(text, len, &b, NULL) == 0);
    XENO_REQUIRE(a->op == b->op && a->id == b->id);
    XENO_REQUIRE(strcmp(a->session, b->session) == 0);
    XENO_REQUIRE(xeno_task_spec_equal(&a->spec, &b->spec));
    XENO_REQUIRE(xeno_task_request_format(b, &again, &again_len, NULL) == 0);
    XENO_REQUIRE(len == again_len && memcmp(text, again, len) == 0);
    return 0;
}
