/* src/image/tests/pull-world.c - an image that changes, and a registry that serves it. */
#include "image/tests/pull-world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/io.h"
#include "image/build-priv.h"
#include "image/tests/tar-make.h"

#define SMALL_MAX 20000
#define LARGE_MAX 600000

/* --- an image that changes --- */

struct xeno_env_test env;
struct pull_file files[FILES];

uint64_t pick(uint64_t below)
{
    return xeno_env_test_next(&env) % below;
}

static void change_file(struct pull_file *f, size_t i)
{
    switch (pick(4)) {
    case 0:
        f->there = !f->there;
        break;
    case 1:
        f->mode = f->mode == 0644 ? 0755 : 0644; /* its head alone */
        break;
    case 2:
        f->size = pick(i % 20 == 0 ? LARGE_MAX : SMALL_MAX);
        break;
    default:
        f->seed = xeno_env_test_next(&env);
    }
}

/* Bytes that compress somewhat; a longer file begins as the shorter of that seed. */
static char *content_of(const struct pull_file *f)
{
    char *data = xeno_alloc0(1, f->size + 1);
    uint64_t x = f->seed | 1;

    for (size_t i = 0; i < f->size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (char)('a' + x % 20);
    }
    return data;
}

static void pack_files(struct xeno_store *st, struct xeno_layer *ret)
{
    xeno_auto(xeno_layer_writer) w = NULL;
    xeno_auto(xeno_pack) p = NULL;
    struct xeno_pack_output out;

    assert_int_equal(xeno_layer_new(st, XENO_COMPRESS_ZSTD, &w, NULL), 0);
    assert_int_equal(xeno_layer_pack(w, &out, NULL), 0);
    assert_int_equal(xeno_pack_new(&out, &p, NULL), 0);
    for (size_t i = 0; i < FILES; i++) {
        xeno_autofree char *name = xeno_asprintf("file-%zu", i), *data = content_of(&files[i]);
        struct xeno_tar_entry e = { .type = XENO_TAR_FILE,
                                    .name = name,
                                    .link = "",
                                    .mode = files[i].mode,
                                    .size_bytes = (int64_t)files[i].size };

        if (!files[i].there)
            continue;
        assert_int_equal(xeno_pack_add(p, &e, NULL), 0);
        assert_int_equal(xeno_pack_data(p, data, files[i].size, NULL), 0);
    }
    assert_int_equal(xeno_pack_end(p, NULL), 0);
    assert_int_equal(xeno_layer_commit(w, ret, NULL, NULL), 0);
}

void make_image(struct xeno_store *st, const char *name, char ret_digest[XENO_DIGEST_TEXT])
{
    xeno_auto(xeno_image) im = xeno_image_new();
    struct xeno_layer layer;

    im->kind = XENO_IMAGE_TEMPLATE;
    snprintf(im->arch, sizeof(im->arch), "%s", xeno_image_host_arch());
    snprintf(im->os, sizeof(im->os), "linux");
    pack_files(st, &layer);
    xeno_image_add_layer(im, &layer);
    assert_int_equal(xeno_store_commit(st, im, name, NULL), 0);
    memcpy(ret_digest, im->digest, XENO_DIGEST_TEXT);
}

/* --- a registry that serves a store, in a process of its own --- */

static void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

/* Of an answer of len bytes, how many are sent; BREAKS_AND_LIES also spoils one, now and then. */
static size_t spoil(const struct served *s, char *data, size_t len)
{
    bool breaks = *s->trick == BREAKS || *s->trick == BREAKS_AND_LIES;

    if (*s->trick == WRONG_RANGES || (*s->trick == BREAKS_AND_LIES && pick(20) == 0))
        data[pick(len)] ^= 1;
    return breaks && pick(6) == 0 ? pick(len + 1) : len;
}

static void serve_blob(const struct served *s, int fd, const char *hex, const char *range)
{
    xeno_autofree char *path = xeno_asprintf("%s/blobs/sha256/%.64s", s->dir, hex), *data = NULL;
    xeno_autofree char *head = NULL, *part = NULL;
    size_t len = 0, first = 0, last;
    bool ranged = range && *s->trick != NO_RANGES;

    if (xeno_file_read(AT_FDCWD, path, 64 << 20, &data, &len, NULL) < 0) {
        send_all(fd, "HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 55);
        return;
    }
    last = len - 1;
    if (ranged && sscanf(range, "bytes=%zu-%zu", &first, &last) != 2)
        _exit(1);
    if (ranged)
        part = xeno_asprintf("Content-Range: bytes %zu-%zu/%zu\r\n", first, last, len);
    head = xeno_asprintf("HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n",
                         ranged ? 206 : 200, last - first + 1, part ? part : "");
    send_all(fd, head, strlen(head));
    len = last - first + 1;
    send_all(fd, data + first,
             ranged || *s->trick != WRONG_RANGES ? spoil(s, data + first, len) : len);
}

static void serve(const struct served *s)
{
    for (;;) {
        char buf[4096], *hex, *range;
        xeno_autoclose int fd = accept(s->fd, NULL, NULL);
        size_t len = 0;
        ssize_t n = 1;

        buf[0] = '\0';
        while (fd >= 0 && n > 0 && !strstr(buf, "\r\n\r\n") && len < sizeof(buf) - 1) {
            n = recv(fd, buf + len, sizeof(buf) - 1 - len, 0);
            len += n > 0 ? (size_t)n : 0;
            buf[len] = '\0';
        }
        hex = strstr(buf, "sha256:");
        range = strstr(buf, "Range: ");
        if (hex)
            serve_blob(s, fd, hex + 7, range ? range + 7 : NULL);
    }
}

static void served_start(struct served *s, const char *dir)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    s->dir = xeno_strdup(dir);
    s->sock = xeno_asprintf("/tmp/xeno-pull-test-%d", (int)getpid());
    s->trick = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", s->sock);
    unlink(s->sock);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->fd, 64), 0);
    s->pid = fork();
    if (s->pid == 0)
        serve(s);
}

static void served_stop(struct served *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    close(s->fd);
    unlink(s->sock);
    munmap((void *)(uintptr_t)s->trick, 4096);
    free(s->sock);
    free(s->dir);
}

/* --- the model --- */

void pull_connect(struct pull_world *w)
{
    struct xeno_http_client_opts opts = { .env = xeno_env_real(), .web = true };

    assert_true(sd_event_new(&w->loop) >= 0);
    assert_int_equal(xeno_http_client_new(w->loop, &opts, &w->http, NULL), 0);
}

int pull_setup(void **state)
{
    struct pull_world *w = xeno_new0(struct pull_world);
    xeno_autofree char *theirs = NULL, *ours = NULL;

    w->dir = temp_new();
    theirs = temp_path(w->dir, "theirs");
    ours = temp_path(w->dir, "ours");
    assert_int_equal(xeno_store_open(theirs, XENO_STORE_CREATE, &w->theirs, NULL), 0);
    assert_int_equal(xeno_store_open(ours, XENO_STORE_CREATE, &w->ours, NULL), 0);
    served_start(&w->served, theirs);
    pull_connect(w);
    xeno_env_test_init(&env, xeno_ns(0), 42);
    for (size_t i = 0; i < FILES; i++) {
        files[i] = (struct pull_file){ .there = true, .mode = 0644 };
        files[i].seed = xeno_env_test_next(&env);
        files[i].size = pick(i % 20 == 0 ? LARGE_MAX : SMALL_MAX);
    }
    *state = w;
    return 0;
}

int pull_teardown(void **state)
{
    struct pull_world *w = *state;

    xeno_http_client_free(w->http);
    sd_event_unref(w->loop);
    served_stop(&w->served);
    xeno_store_free(w->theirs);
    xeno_store_free(w->ours);
    temp_drop(w->dir);
    free(w);
    return 0;
}

int pull(struct pull_world *w, const char *digest, bool whole, struct xeno_pulled *ret,
         struct xeno_err *err)
{
    xeno_autofree char *base = xeno_asprintf("unix:%s:", w->served.sock);
    struct xeno_registry_opts ro = {
        .loop = w->loop, .http = w->http, .env = xeno_env_real(), .base = base, .repo = "a/t"
    };
    struct xeno_pull_opts o = {
        .ref = digest, .name = "t", .kind = XENO_IMAGE_TEMPLATE, .whole = whole
    };
    xeno_auto(xeno_registry) r = NULL;

    assert_int_equal(xeno_registry_new(&ro, &r, NULL), 0);
    o.registry = r;
    return xeno_image_pull(w->ours, &o, ret, err);
}

void change_some(void)
{
    uint64_t count = 1 + pick(6);

    for (uint64_t i = 0; i < count; i++) {
        size_t which = (size_t)pick(FILES);

        change_file(&files[which], which);
    }
}
