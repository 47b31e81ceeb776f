/* fuzz/spec/fuzz-service.c - what is accepted gives tasks that are documents, or says why not. */
#include <string.h>

#include "../fuzz.h"
#include "spec/service-doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xeno_replica re = {
        .number = 2, .count = 64, .server = "x2", .address = "192.0.2.1", .port = 65535
    };
    xeno_auto(xeno_service) s = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_service_parse((const char *)data, size, &s, &err) < 0) {
        XENO_REQUIRE(err.code < 0 && err.token[0] != '\0' && err.text[0] != '\0');
        return 0;
    }
    XENO_REQUIRE(s->req && s->task_count >= 1 && s->task_count <= XENO_SERVICE_TASKS);
    XENO_REQUIRE(s->parameter_count <= XENO_SERVICE_PARAMETERS);
    for (size_t i = 0; i < s->task_count; i++) {
        xeno_auto(xeno_task_doc) t = NULL;

        if (xeno_service_task(s, i, &re, &t, &err) < 0)
            continue;
        XENO_REQUIRE(t->argc == s->tasks[i]->argc && t->env_count == s->tasks[i]->env_count);
        for (size_t k = 0; k < t->argc; k++)
            XENO_REQUIRE(strlen(t->argv[k]) <= XENO_TASK_DOC_ARG_BYTES);
    }
    return 0;
}
