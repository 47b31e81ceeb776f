/* src/http/metrics.c - Prometheus text. */
#include "http/metrics.h"

#include <inttypes.h>

void xeno_metric(struct xeno_buf *out, const char *name, const char *kind, const char *help)
{
    xeno_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void name_and_label(struct xeno_buf *out, const char *name, const char *label,
                           const char *value)
{
    xeno_buf_puts(out, name);
    if (label) {
        xeno_buf_printf(out, "{%s=\"", label);
        for (; *value; value++) {
            if (*value == '\n')
                xeno_buf_puts(out, "\\n");
            else if (*value == '"' || *value == '\\')
                xeno_buf_printf(out, "\\%c", *value);
            else
                xeno_buf_add(out, value, 1);
        }
        xeno_buf_puts(out, "\"}");
    }
    xeno_buf_puts(out, " ");
}

void xeno_metric_int(struct xeno_buf *out, const char *name, const char *label, const char *value,
                     int64_t n)
{
    name_and_label(out, name, label, value);
    xeno_buf_printf(out, "%" PRId64 "\n", n);
}

void xeno_metric_micro(struct xeno_buf *out, const char *name, const char *label, const char *value,
                       int64_t n)
{
    uint64_t size = n < 0 ? -(uint64_t)n : (uint64_t)n;

    name_and_label(out, name, label, value);
    xeno_buf_printf(out, "%s%" PRIu64 ".%06" PRIu64 "\n", n < 0 ? "-" : "", size / 1000000,
                    size % 1000000);
}
