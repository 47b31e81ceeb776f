/* src/xenod/tests/stream-tool.c - the client's end of exec and attach, for system tests.
 *
 *     stream-tool URL KEY CERT CA [resize=COLS,ROWS] [signal=NAME] [hold] [cut]
 *
 * Standard input is sent, then its end; what comes on the channels is written to standard output
 * and error; the exit code is the program's. resize and signal are sent with the first output, when
 * the program is ready for them; hold: standard input is not read and not ended; cut: leave after
 * the first output, without a word.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/io.h"
#include "http/client.h"
#include "http/stream.h"

struct tool {
    sd_event *loop;
    int fd;
    struct xeno_stream in;
    struct xeno_buf out, controls; /* frames; the latter to be sent with the first output */
    sd_event_source *sock, *input;
    bool cut;
    int code;
};

static void flush_out(struct tool *t)
{
    ssize_t n = t->out.len ? send(t->fd, t->out.data, t->out.len, MSG_NOSIGNAL) : 0;

    if (n > 0)
        xeno_buf_shift(&t->out, (size_t)n);
    if (t->sock)
        sd_event_source_set_io_events(t->sock, EPOLLIN | (t->out.len ? EPOLLOUT : 0));
    if (t->input)
        sd_event_source_set_enabled(t->input, t->out.len > 256 * 1024 ? SD_EVENT_OFF : SD_EVENT_ON);
}

static void put(struct tool *t, enum xeno_channel c, const void *data, size_t len)
{
    xeno_stream_put(&t->out, c, data, len);
    flush_out(t);
}

static void take(struct tool *t, const struct xeno_frame *f)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at at;
    int64_t code;

    if (f->channel == XENO_CHANNEL_CONTROL) {
        fprintf(stderr, "control %.*s\n", (int)f->len, (const char *)f->data);
        if (xeno_json_parse(f->data, f->len, 65536, &j, NULL) < 0)
            return;
        at = xeno_json_top(j);
        t->code = xeno_json_int(&at, "exit", 0, 255, &code, NULL) == 0 ? (int)code : 125;
        sd_event_exit(t->loop, 0);
        return;
    }
    (void)xeno_write_all(f->channel == XENO_CHANNEL_STDERR ? 2 : 1, f->data, f->len);
    if (t->cut)
        _exit(0);
    xeno_buf_add(&t->out, t->controls.data, t->controls.len);
    t->controls.len = 0;
    flush_out(t);
}

static int on_sock(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct tool *t = data;
    struct xeno_frame f;
    char buf[32768];
    ssize_t n;

    (void)s;
    if (events & EPOLLOUT)
        flush_out(t);
    if (!(events & (EPOLLIN | EPOLLHUP)))
        return 0;
    n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) {
        fprintf(stderr, "the connection ended\n");
        return sd_event_exit(t->loop, 0);
    }
    xeno_stream_add(&t->in, buf, (size_t)n);
    while (xeno_stream_next(&t->in, &f, NULL) > 0)
        take(t, &f);
    return 0;
}

static int on_input(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct tool *t = data;
    char buf[16384];
    ssize_t n = read(fd, buf, sizeof buf);

    (void)events;
    if (n > 0) {
        put(t, XENO_CHANNEL_STDIN, buf, (size_t)n);
        return 0;
    }
    t->input = NULL;
    sd_event_source_disable_unref(s);
    put(t, XENO_CHANNEL_STDIN, "", 0);
    return 0;
}

static int end_at_once(sd_event_source *s, void *data)
{
    (void)s;
    put(data, XENO_CHANNEL_STDIN, "", 0);
    return 0;
}

static void options(struct tool *t, int argc, char **argv)
{
    char text[96];
    bool hold = false;

    for (int i = 5; i < argc; i++) {
        if (strncmp(argv[i], "resize=", 7) == 0)
            snprintf(text, sizeof text, "{\"resize\":[%.40s]}", argv[i] + 7);
        else
            snprintf(text, sizeof text, "{\"signal\":\"%.40s\"}", argv[i] + 7);
        if (strncmp(argv[i], "resize=", 7) == 0 || strncmp(argv[i], "signal=", 7) == 0)
            xeno_stream_put(&t->controls, XENO_CHANNEL_CONTROL, text, strlen(text));
        t->cut |= strcmp(argv[i], "cut") == 0;
        hold |= strcmp(argv[i], "hold") == 0 || t->cut;
    }
    /* A regular file is always ready, which epoll does not want to hear. */
    if (!hold && sd_event_add_io(t->loop, &t->input, 0, EPOLLIN, on_input, t) == -EPERM)
        sd_event_add_defer(t->loop, NULL, end_at_once, t);
}

static int load(char **argv, char **ret_cert, char **ret_ca, struct xeno_key **ret_key,
                struct xeno_err *err)
{
    size_t len;
    int r = xeno_key_load(AT_FDCWD, argv[2], ret_key, err);

    if (r == 0)
        r = xeno_file_read(AT_FDCWD, argv[3], 65536, ret_cert, &len, err);
    if (r == 0)
        r = xeno_file_read(AT_FDCWD, argv[4], 65536, ret_ca, &len, err);
    return r;
}

int main(int argc, char **argv)
{
    struct tool t = { .fd = -1, .code = 125 };
    struct xeno_http_client_opts opts = { .env = xeno_env_real() };
    xeno_auto(xeno_key) key = NULL;
    xeno_auto(xeno_http_client) client = NULL;
    xeno_autofree char *cert = NULL;
    xeno_autofree char *ca = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    if (argc < 5)
        return 2;
    xeno_crypto_init();
    r = load(argv, &cert, &ca, &key, &err);
    opts.cert_pem = cert;
    opts.ca_pem = ca;
    opts.key = key;
    if (r == 0)
        r = sd_event_default(&t.loop);
    if (r >= 0)
        r = xeno_http_client_new(t.loop, &opts, &client, &err);
    if (r >= 0)
        r = xeno_http_upgrade_wait(client, argv[1], NULL, XENO_STREAM_PROTOCOL, &t.fd, &err);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", err.token, err.text);
        return 126;
    }
    sd_event_add_io(t.loop, &t.sock, t.fd, EPOLLIN, on_sock, &t);
    options(&t, argc, argv);
    sd_event_loop(t.loop);
    xeno_stream_release(&t.in);
    xeno_buf_release(&t.out);
    xeno_buf_release(&t.controls);
    return t.code;
}
