/* fuzz/task/fuzz-task-reply.c - replies and events are read as carefully as requests. */
#include "fuzz.h"
#include "task/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xeno_task_session_info session;
    xeno_auto(xeno_json) root = NULL;
    struct xeno_task_usage usage;
    struct xeno_task_event event;
    struct xeno_json_at top;

    if (xeno_json_parse((const char *)data, size, XENO_TASK_FRAME_MAX, &root, NULL) < 0)
        return 0;
    top = xeno_json_top(root);
    if (xeno_task_session_read(&top, &session, NULL) == 0)
        XENO_REQUIRE(session.ntasks <= XENO_TASK_TASKS_MAX);
    if (xeno_task_usage_read(&top, &usage, NULL) == 0)
        XENO_REQUIRE(usage.cpu_us >= 0);
    if (xeno_task_event_read(&top, &event, NULL) == 0)
        XENO_REQUIRE(event.kind < XENO_TASK_EVENT_KINDS && event.code <= 255);
    return 0;
}
