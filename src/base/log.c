/* src/base/log.c - one line an event, to stderr. */
#include "base/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

static const char *log_program = "xeno";
static int log_level = LOG_INFO;
static bool log_journal;

void xeno_log_init(const char *program, int level)
{
    log_program = program;
    log_level = level;
    log_journal = getenv("JOURNAL_STREAM") != NULL;
}

static const char *level_name(int level)
{
    static const char *const names[] = { "emerg",   "alert",  "crit", "error",
                                         "warning", "notice", "info", "debug" };
    return level >= 0 && level <= LOG_DEBUG ? names[level] : "?";
}

static void put_head(struct xeno_buf *b, int level, const char *event)
{
    struct timespec ts;
    struct tm tm;
    char when[32];

    if (log_journal) {
        xeno_buf_printf(b, "<%d>%s ", level, event);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    xeno_buf_printf(b, "%s.%03ldZ %s %s %s ", when, ts.tv_nsec / 1000000, log_program,
                    level_name(level), event);
}

/* One line stays one line, whatever a stranger put into it. */
static void put_line(struct xeno_buf *b)
{
    ssize_t n;

    for (size_t i = 0; i < b->len; i++) {
        if ((unsigned char)b->data[i] < 0x20 || b->data[i] == 0x7f)
            b->data[i] = '?';
    }
    xeno_buf_add(b, "\n", 1);
    n = write(STDERR_FILENO, b->data, b->len);
    (void)n; /* nowhere to say it */
}

void xeno_log(int level, const char *event, const char *fmt, ...)
{
    int saved = errno;
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_autofree char *text = NULL;
    va_list ap;

    if (level > log_level)
        return;
    va_start(ap, fmt);
    text = xeno_vasprintf(fmt, ap);
    va_end(ap);
    put_head(&b, level, event);
    xeno_buf_puts(&b, text);
    put_line(&b);
    errno = saved;
}

void xeno_log_err(int level, const char *event, const struct xeno_err *err, const char *fmt, ...)
{
    int saved = errno;
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_autofree char *text = NULL;
    va_list ap;

    if (level > log_level)
        return;
    va_start(ap, fmt);
    text = xeno_vasprintf(fmt, ap);
    va_end(ap);
    put_head(&b, level, event);
    xeno_buf_printf(&b, "%s%serror=%s text=\"%s\"", text, *text ? " " : "", err->token, err->text);
    put_line(&b);
    errno = saved;
}
