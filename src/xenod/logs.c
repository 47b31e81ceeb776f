/* src/xenod/logs.c - lines of a container log. */
#include "xenod/logs.h"

#include <string.h>

#define LINE_MAX_BYTES (64 * 1024) /* conmon cuts lines into parts long before */

void xenod_log_release(struct xenod_log_reader *rd)
{
    xeno_buf_release(&rd->line);
}

/* One line without its end. */
static void put_line(const struct xenod_log_reader *rd, const char *line, size_t len,
                     struct xeno_buf *out)
{
    const char *end = line + len, *stream = memchr(line, ' ', len), *text;
    unsigned which;
    bool whole;

    text = stream ? memchr(stream + 1, ' ', (size_t)(end - stream - 1)) : NULL;
    if (!text || end - text < 3 || text[2] != ' ' || (text[1] != 'F' && text[1] != 'P')) {
        xeno_buf_add(out, line, len);
        xeno_buf_add(out, "\n", 1);
        return;
    }
    which = strncmp(stream + 1, "stderr", 6) == 0 ? XENOD_LOG_STDERR : XENOD_LOG_STDOUT;
    if (!(rd->want & which))
        return;
    whole = text[1] == 'F';
    if (rd->want & XENOD_LOG_TIMES)
        text = line;
    else
        text += 3;
    xeno_buf_add(out, text, (size_t)(end - text));
    if (whole || rd->want & XENOD_LOG_TIMES)
        xeno_buf_add(out, "\n", 1);
}

void xenod_log_feed(struct xenod_log_reader *rd, const char *data, size_t len, struct xeno_buf *out)
{
    while (len > 0) {
        const char *nl = memchr(data, '\n', len);
        size_t part = nl ? (size_t)(nl - data) : len;

        if (nl && rd->line.len == 0) {
            put_line(rd, data, part, out);
        } else {
            xeno_buf_add(&rd->line, data, part);
            if (nl || rd->line.len > LINE_MAX_BYTES) {
                put_line(rd, rd->line.data, rd->line.len, out);
                rd->line.len = 0;
            }
        }
        part += nl != NULL;
        data += part;
        len -= part;
    }
}

size_t xenod_log_tail(const char *text, size_t len, size_t lines)
{
    size_t at = len;

    if (at > 0 && text[at - 1] == '\n')
        at--; /* the end of the last line */
    for (; lines > 0; lines--) {
        const char *nl = at > 0 ? memrchr(text, '\n', at) : NULL;

        if (!nl)
            return 0;
        at = (size_t)(nl - text);
    }
    return at + 1 > len ? len : at + 1;
}
