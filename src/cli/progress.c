/* src/cli/progress.c - a line on the terminal that shows that long work goes on. */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "cli/out.h"

#define TURN_US  100000
#define BAR      24
#define COLUMNS  80
#define QUIET_NS (300 * XENO_NS_PER_MS) /* work over sooner shows nothing */

struct cli_progress {
    struct cli *cli;
    bool on, drawn;
    char what[256];
    int64_t done, total;
    unsigned turn;
    xeno_time start, last;
    sd_event_source *timer;
};

static unsigned columns(void)
{
    struct winsize w;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : COLUMNS;
}

static void draw_bar(char *out, size_t room, int64_t done, int64_t total)
{
    int full = (int)(done >= total ? BAR : done * BAR / total);
    char have[32], all[32];

    snprintf(out, room, " [%.*s%*s] %s / %s", full, "########################", BAR - full, "",
             xeno_size_text(done, have), xeno_size_text(total, all));
}

static void draw(struct cli_progress *p)
{
    static const char *const wheel[] = { "|", "/", "-", "\\" };
    char bar[128] = "", line[512];
    xeno_time now = xeno_mono(p->cli->env);

    if (!p->on || now.ns - p->start.ns < QUIET_NS ||
        now.ns - p->last.ns < TURN_US / 2 * INT64_C(1000))
        return;
    p->last = now;
    p->drawn = true;
    if (p->total > 0)
        draw_bar(bar, sizeof bar, p->done, p->total);
    snprintf(line, sizeof line, "%s %s%s", wheel[p->turn++ % 4], p->what, bar);
    fprintf(stderr, "\r%.*s\033[K", (int)columns() - 1, line);
    fflush(stderr);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
    draw(arg);
    sd_event_source_set_time(s, usec + TURN_US);
    sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

struct cli_progress *cli_progress_new(struct cli *cli, const char *fmt, ...)
{
    struct cli_progress *p = xeno_new0(struct cli_progress);
    const char *term = getenv("TERM");
    va_list ap;

    p->cli = cli;
    p->on = cli->err_tty && !cli->json && !cli->quiet && term && strcmp(term, "dumb") != 0;
    p->start = xeno_mono(cli->env);
    va_start(ap, fmt);
    vsnprintf(p->what, sizeof p->what, fmt, ap);
    va_end(ap);
    if (p->on)
        sd_event_add_time_relative(cli_loop(cli), &p->timer, CLOCK_MONOTONIC, TURN_US, 1000,
                                   on_timer, p);
    return p;
}

void cli_progress_say(struct cli_progress *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->what, sizeof p->what, fmt, ap);
    va_end(ap);
    draw(p);
}

void cli_progress_bytes(struct cli_progress *p, int64_t done, int64_t total)
{
    p->done = done;
    p->total = total;
    draw(p);
}

void cli_progress_free(struct cli_progress *p)
{
    if (!p)
        return;
    sd_event_source_disable_unref(p->timer);
    if (p->drawn)
        fprintf(stderr, "\r\033[K");
    free(p);
}

static bool on_image(void *arg, const struct xeno_progress_at *at)
{
    struct cli_progress *p = arg;

    if (at->text && *at->text)
        snprintf(p->what, sizeof p->what, "%s: %s", at->phase, cli_clean(at->text));
    else if (strncmp(p->what, at->phase, strlen(at->phase)) != 0)
        snprintf(p->what, sizeof p->what, "%s", at->phase);
    p->done = at->done_bytes;
    p->total = at->total_bytes;
    draw(p);
    return true;
}

struct xeno_progress cli_progress_hook(struct cli_progress *p)
{
    return (struct xeno_progress){ .fn = on_image, .arg = p };
}
