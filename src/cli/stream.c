/* src/cli/stream.c - a command in a session at the user's fingertips. */
#include "cli/stream.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/terminal.h"
#include "http/problem.h"
#include "http/stream.h"

#define PIECE       16384
#define WAITING_MAX (256 * 1024) /* bytes for the session; above, the keyboard is not read */
#define KEY_P       0x10
#define KEY_Q       0x11

struct stream {
    struct cli *cli;
    const struct cli_stream_opts *opts;
    int fd;
    struct xeno_stream in;
    struct xeno_buf out;
    sd_event_source *io, *input, *signals[8];
    size_t signal_count;
    bool over, input_ended, saw_p;
    int interrupts;
    int code; /* of the command; CLI_STREAM_LOST until it came */
    struct xeno_err err;
};

static void finish(struct stream *s, int code)
{
    s->over = true;
    s->code = code;
}

/* --- to the session --- */

static void watch(struct stream *s)
{
    bool room = s->out.len < WAITING_MAX;

    sd_event_source_set_io_events(s->io, EPOLLIN | (s->out.len ? (unsigned)EPOLLOUT : 0));
    if (s->input)
        sd_event_source_set_enabled(s->input, room && !s->input_ended ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void flush_out(struct stream *s)
{
    while (s->out.len > 0) {
        ssize_t n = send(s->fd, s->out.data, s->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; /* full, or gone: then reading says so */
        xeno_buf_shift(&s->out, (size_t)n);
    }
    watch(s);
}

static void put(struct stream *s, enum xeno_channel channel, const void *data, size_t len)
{
    xeno_stream_put(&s->out, channel, data, len);
    flush_out(s);
}

static void send_size(struct stream *s)
{
    char text[64];
    int columns, rows;

    if (!s->opts->terminal || !cli_terminal_size(&columns, &rows))
        return;
    snprintf(text, sizeof text, "{\"resize\":[%d,%d]}", columns, rows);
    put(s, XENO_CHANNEL_CONTROL, text, strlen(text));
}

static void send_signal(struct stream *s, const char *name)
{
    char text[64];

    snprintf(text, sizeof text, "{\"signal\":\"%s\"}", name);
    put(s, XENO_CHANNEL_CONTROL, text, strlen(text));
}

/* ctrl-p ctrl-q leaves; a ctrl-p followed by anything else is sent on. Returns the bytes to send,
 * which may begin with the held-back ctrl-p: `keys` has a byte of room before it. */
static size_t look_for_detach(struct stream *s, char **keys, size_t len)
{
    char *p = *keys;

    if (!s->opts->detach || !s->opts->terminal)
        return len;
    if (s->saw_p) {
        s->saw_p = false;
        if (p[0] == KEY_Q) {
            finish(s, CLI_STREAM_DETACHED);
            return 0;
        }
        *--p = KEY_P;
        *keys = p;
        len++;
    }
    for (size_t i = 0; i + 1 < len; i++)
        if (p[i] == KEY_P && p[i + 1] == KEY_Q) {
            finish(s, CLI_STREAM_DETACHED);
            return i;
        }
    if (p[len - 1] == KEY_P) {
        s->saw_p = true;
        len--;
    }
    return len;
}

static void read_input(struct stream *s)
{
    char room[PIECE + 1], *keys = room + 1;
    ssize_t n = read(STDIN_FILENO, keys, PIECE);
    size_t len;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        s->input_ended = true;
        put(s, XENO_CHANNEL_STDIN, "", 0);
        return;
    }
    len = look_for_detach(s, &keys, (size_t)n);
    if (len > 0)
        put(s, XENO_CHANNEL_STDIN, keys, len);
}

static int on_input(sd_event_source *src, int fd, uint32_t events, void *arg)
{
    (void)src, (void)fd, (void)events;
    read_input(arg);
    return 0;
}

/* Files cannot be polled: they are always ready. */
static int on_file(sd_event_source *src, void *arg)
{
    (void)src;
    read_input(arg);
    return 0;
}

/* --- from the session --- */

static void on_control(struct stream *s, const struct xeno_frame *f)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, problem;
    int64_t code;

    if (xeno_json_parse(f->data, f->len, 65536, &doc, NULL) < 0)
        return;
    top = xeno_json_top(doc);
    if (xeno_json_int_opt(&top, "exit", 0, 255, &code, NULL) == 0)
        finish(s, (int)code);
    else if (xeno_json_obj_opt(&top, "error", &problem, NULL) == 0) {
        xeno_autofree char *text = xeno_json_format(problem.j, false, NULL);
        int64_t status = 500;

        xeno_json_int_opt(&problem, "status", 100, 599, &status, NULL);
        xeno_problem_read((int)status, text, strlen(text), &s->err);
        finish(s, CLI_STREAM_LOST);
    }
}

static void on_frame(struct stream *s, const struct xeno_frame *f)
{
    switch (f->channel) {
    case XENO_CHANNEL_STDOUT:
        xeno_write_all(STDOUT_FILENO, f->data, f->len);
        break;
    case XENO_CHANNEL_STDERR:
        xeno_write_all(STDERR_FILENO, f->data, f->len);
        break;
    case XENO_CHANNEL_CONTROL:
        on_control(s, f);
        break;
    default:
        break; /* stdin comes from us only */
    }
}

static void read_net(struct stream *s)
{
    char piece[PIECE];
    struct xeno_frame f;
    ssize_t n = recv(s->fd, piece, sizeof piece, MSG_DONTWAIT);
    int r = 0;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        finish(s, CLI_STREAM_LOST);
        return;
    }
    xeno_stream_add(&s->in, piece, (size_t)n);
    while (!s->over && (r = xeno_stream_next(&s->in, &f, &s->err)) > 0)
        on_frame(s, &f);
    if (r < 0)
        finish(s, CLI_STREAM_LOST);
}

static int on_net(sd_event_source *src, int fd, uint32_t events, void *arg)
{
    struct stream *s = arg;

    (void)src, (void)fd;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_net(s);
    if (!s->over && (events & EPOLLOUT))
        flush_out(s);
    return 0;
}

/* --- signals --- */

static const struct {
    int number;
    const char *name; /* NULL: not passed on */
} passed[] = { { SIGINT, "INT" },   { SIGTERM, "TERM" }, { SIGHUP, "HUP" },
               { SIGQUIT, "QUIT" }, { SIGWINCH, NULL },  { SIGCONT, NULL } };

static int on_signal(sd_event_source *src, const struct signalfd_siginfo *si, void *arg)
{
    struct stream *s = arg;
    int number = (int)si->ssi_signo;

    (void)src;
    if (number == SIGCONT && s->opts->terminal)
        cli_terminal_raw(); /* the shell had its own mode while we were stopped */
    if (number == SIGWINCH || number == SIGCONT) {
        send_size(s);
        return 0;
    }
    /* A terminal that went away takes no second signal to understand. */
    if (++s->interrupts > 1 || (s->opts->terminal && number == SIGHUP)) {
        finish(s, 128 + number);
        return 0;
    }
    for (size_t i = 0; i < XENO_LEN(passed); i++)
        if (passed[i].number == number && passed[i].name)
            send_signal(s, passed[i].name);
    return 0;
}

static void add_signals(struct stream *s)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < XENO_LEN(passed); i++)
        sigaddset(&set, passed[i].number);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (size_t i = 0; i < XENO_LEN(passed); i++)
        if (sd_event_add_signal(s->cli->loop, &s->signals[s->signal_count], passed[i].number,
                                on_signal, s) >= 0)
            s->signal_count++;
}

/* --- all of it --- */

static void release(struct stream *s)
{
    sigset_t set;

    if (s->opts->terminal)
        cli_terminal_restore();
    sd_event_source_disable_unref(s->io);
    sd_event_source_disable_unref(s->input);
    for (size_t i = 0; i < s->signal_count; i++)
        sd_event_source_disable_unref(s->signals[i]);
    sigemptyset(&set);
    for (size_t i = 0; i < XENO_LEN(passed); i++)
        sigaddset(&set, passed[i].number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    if (s->fd >= 0)
        close(s->fd);
    xeno_stream_release(&s->in);
    xeno_buf_release(&s->out);
}

static int open_input(struct stream *s)
{
    int r;

    if (!s->opts->input) {
        s->input_ended = true;
        put(s, XENO_CHANNEL_STDIN, "", 0);
        return 0;
    }
    r = sd_event_add_io(s->cli->loop, &s->input, STDIN_FILENO, EPOLLIN, on_input, s);
    if (r == -EPERM) {
        r = sd_event_add_defer(s->cli->loop, &s->input, on_file, s);
        if (r >= 0)
            r = sd_event_source_set_enabled(s->input, SD_EVENT_ON);
    }
    return r;
}

static int carry(struct stream *s, struct xeno_err *err)
{
    int r;

    r = sd_event_add_io(s->cli->loop, &s->io, s->fd, EPOLLIN, on_net, s);
    if (r >= 0) {
        add_signals(s);
        if (s->opts->terminal)
            cli_terminal_raw();
        send_size(s);
        r = open_input(s);
    }
    while (r >= 0 && !s->over)
        r = sd_event_run(s->cli->loop, UINT64_MAX);
    if (r < 0)
        return xeno_fail_errno(err, r, "stream.loop", "wait for the session");
    return 0;
}

int cli_stream(struct cli *cli, const struct cli_server *server, const char *path,
               const struct cli_stream_opts *opts, int *ret_code, struct xeno_err *err)
{
    struct stream s = { .cli = cli, .opts = opts, .fd = -1, .code = CLI_STREAM_LOST };
    xeno_autofree char *url = xeno_asprintf("%s%s", server->url, path);
    struct xeno_http_client *http;
    int r = cli_http(cli, &http, err);

    if (r < 0)
        return r;
    fflush(stdout);
    r = xeno_http_upgrade_wait(http, url, server->id, "xeno-stream/1", &s.fd, err);
    if (r == 0)
        r = carry(&s, err);
    release(&s);
    if (r == 0 && s.code == CLI_STREAM_LOST && s.err.code < 0)
        r = xeno_fail(err, s.err.code, s.err.token, "%s", s.err.text);
    if (r == 0)
        *ret_code = s.code;
    return r;
}
