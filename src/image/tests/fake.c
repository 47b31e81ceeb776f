/* src/image/tests/fake.c - a registry of a test. */
#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

#include <cmocka.h>

#define HEAD_MAX 8192
#define BODY_MAX (4 << 20)

bool fake_header(const struct fake_request *q, const char *name, char *out, size_t room)
{
    xeno_autofree char *key = xeno_asprintf("\r\n%s: ", name);
    const char *at = strcasestr(q->head, key);

    if (!at)
        return false;
    at += strlen(key);
    snprintf(out, room, "%.*s", (int)strcspn(at, "\r"), at);
    return true;
}

void fake_reply(struct xeno_buf *out, int status, const char *extra, const void *body, size_t len)
{
    xeno_buf_printf(out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n",
                    status, len, extra);
    xeno_buf_add(out, body, len);
}

/* The client is in this thread: it has written what fits in the socket, and the rest comes when its
 * loop runs, so bodies are small here. */
static size_t read_some(int fd, char *buf, size_t room)
{
    struct timeval wait = { .tv_sec = 5 };
    ssize_t n;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    n = recv(fd, buf, room, 0);
    return n > 0 ? (size_t)n : 0;
}

static int on_accept(sd_event_source *src, int listening, uint32_t events, void *user)
{
    static char buf[HEAD_MAX + BODY_MAX + 1];
    struct fake *f = user;
    xeno_autobuf out = XENO_BUF_INIT;
    struct fake_request q = { .body = "" };
    char method[16] = "", target[2048] = "", length[32] = "0";
    xeno_autoclose int fd = accept(listening, NULL, NULL);
    size_t len = 0, n = 1, want = 0;
    char *end = NULL;

    (void)src;
    (void)events;
    while (fd >= 0 && !end && n > 0 && len < HEAD_MAX) {
        n = read_some(fd, buf + len, HEAD_MAX - len);
        len += n;
        buf[len] = '\0';
        end = strstr(buf, "\r\n\r\n");
    }
    if (!end || sscanf(buf, "%15s %2047s", method, target) != 2)
        return 0;
    q.method = method;
    q.target = target;
    q.head = buf;
    if (fake_header(&q, "Content-Length", length, sizeof(length)))
        want = strtoul(length, NULL, 10);
    assert_true(want <= BODY_MAX);
    q.body = end + 4;
    while (len - (size_t)(q.body - buf) < want &&
           (n = read_some(fd, buf + len, sizeof(buf) - 1 - len)) > 0)
        len += n;
    buf[len] = '\0';
    q.body_len = len - (size_t)(q.body - buf);
    end[2] = '\0';
    f->asked++;
    xeno_buf_printf(&f->log, "%s %s\n", method, target);
    f->answer(f, &q, &out);
    if (out.len > 0 && send(fd, out.data, out.len, MSG_NOSIGNAL) < 0)
        print_message("the client has gone\n");
    return 0;
}

void fake_reset(struct fake *f)
{
    f->asked = 0;
    xeno_buf_release(&f->log);
    xeno_buf_puts(&f->log, "");
}

void fake_start(struct fake *f,
                void (*answer)(struct fake *, const struct fake_request *, struct xeno_buf *))
{
    struct xeno_http_client_opts opts = { .env = xeno_env_real(), .web = true };
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int size = BODY_MAX;

    memset(f, 0, sizeof(*f));
    f->answer = answer;
    snprintf(f->path, sizeof(f->path), "/tmp/xeno-registry-test-%d", (int)getpid());
    snprintf(f->base, sizeof(f->base), "unix:%s:", f->path);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", f->path);
    unlink(f->path);
    f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(f->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    assert_int_equal(bind(f->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->fd, 16), 0);
    assert_true(sd_event_new(&f->loop) >= 0);
    sd_event_add_io(f->loop, &f->io, f->fd, EPOLLIN, on_accept, f);
    assert_int_equal(xeno_http_client_new(f->loop, &opts, &f->http, NULL), 0);
    fake_reset(f);
}

void fake_stop(struct fake *f)
{
    xeno_http_client_free(f->http);
    sd_event_source_disable_unref(f->io);
    sd_event_unref(f->loop);
    xeno_buf_release(&f->log);
    close(f->fd);
    unlink(f->path);
}
