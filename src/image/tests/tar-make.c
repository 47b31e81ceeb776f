/* src/image/tests/tar-make.c - see tar-make.h */
#include "image/tests/tar-make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/confine.h"

#include <sys/wait.h>

static void pad(struct xeno_buf *b)
{
    static const char zeros[512];

    assert_true(xeno_buf_add(b, zeros, (512 - b->len % 512) % 512));
}

static void octal(char *field, size_t len, uint64_t value)
{
    field[len - 1] = '\0';
    for (size_t i = len - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
}

/* Sizes beyond octal are base 256, as GNU tar writes them. */
static void number(char *field, size_t len, int64_t value)
{
    if (value >= 0 && (len >= 22 || value < INT64_C(1) << 3 * (len - 1))) {
        octal(field, len, (uint64_t)value);
        return;
    }
    memset(field, value < 0 ? 0xff : 0, len);
    for (size_t i = 0; i < 8 && i < len; i++)
        field[len - 1 - i] = (char)((uint64_t)value >> 8 * i);
    field[0] = (char)(value < 0 ? 0xff : 0x80);
}

static void header(struct xeno_buf *b, const struct member *m, int64_t size)
{
    char h[512] = { 0 };
    unsigned sum = 0;

    memcpy(h, m->name, strnlen(m->name, 100));
    octal(h + 100, 8, m->mode ? m->mode : m->type == '5' ? 0755 : 0644);
    number(h + 108, 8, m->uid);
    number(h + 116, 8, m->uid);
    number(h + 124, 12, size);
    octal(h + 136, 12, 1000000000);
    memset(h + 148, ' ', 8);
    h[156] = m->type;
    if (m->link)
        memcpy(h + 157, m->link, strnlen(m->link, 100));
    memcpy(h + 257, "ustar\00000", 8);
    if (m->type == '3' || m->type == '4') {
        octal(h + 329, 8, 1);
        octal(h + 337, 8, 3);
    }
    for (size_t i = 0; i < sizeof(h); i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    assert_true(xeno_buf_add(b, h, sizeof(h)));
}

void tar_add(struct xeno_buf *b, const struct member *m)
{
    size_t len = m->data ? strlen(m->data) : 0;

    if (strlen(m->name) > 100) {
        struct member l = { .type = 'L', .name = "././@LongLink", .data = m->name };

        header(b, &l, (int64_t)strlen(m->name) + 1);
        assert_true(xeno_buf_add(b, m->name, strlen(m->name) + 1));
        pad(b);
    }
    header(b, m, m->size ? m->size : (int64_t)len);
    assert_true(xeno_buf_add(b, m->data ? m->data : "", len));
    pad(b);
}

void tar_pax(struct xeno_buf *b, const char *keyword, const void *value, size_t len)
{
    struct member x = { .type = 'x', .name = "pax" };
    size_t body = strlen(keyword) + len + 3, all = body + 1;
    char digits[24];

    while ((size_t)snprintf(digits, sizeof(digits), "%zu", all) + body != all)
        all++;
    header(b, &x, (int64_t)all);
    xeno_buf_printf(b, "%zu %s=", all, keyword);
    xeno_buf_add(b, value, len);
    xeno_buf_puts(b, "\n");
    pad(b);
}

void tar_end(struct xeno_buf *b)
{
    static const char zeros[1024];

    assert_true(xeno_buf_add(b, zeros, sizeof(zeros)));
}

char *temp_new(void)
{
    char *path = xeno_strdup("/var/tmp/xeno-unit-XXXXXX"); /* a disk: tmpfs may lack attributes */

    assert_non_null(mkdtemp(path));
    return path;
}

void temp_drop(char *path)
{
    assert_int_equal(xeno_remove_tree(AT_FDCWD, path, NULL), 0);
    free(path);
}

char *temp_path(const char *dir, const char *name)
{
    return xeno_asprintf("%s/%s", dir, name);
}

void temp_write(const char *dir, const char *name, const void *data, size_t len)
{
    xeno_autofree char *path = temp_path(dir, name);

    assert_int_equal(xeno_file_write(AT_FDCWD, path, 0644, data, len, NULL), 0);
}

int layer_fd(const struct xeno_buf *b, struct xeno_layer *ret)
{
    int fd = memfd_create("layer", MFD_CLOEXEC);
    uint8_t sha[32];

    assert_true(fd >= 0);
    assert_int_equal(xeno_write_all(fd, b->data, b->len), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    memset(ret, 0, sizeof(*ret));
    xeno_sha256_of(b->data, b->len, sha);
    xeno_digest_text(sha, ret->digest);
    xeno_digest_text(sha, ret->diff_id);
    ret->size_bytes = (int64_t)b->len;
    return fd;
}

void store_image(struct xeno_store *st, const struct xeno_buf *b, const char *name,
                 struct xeno_layer *ret)
{
    xeno_auto(xeno_image) im = xeno_image_new();
    struct xeno_layer layer;
    int fd = layer_fd(b, &layer);

    close(fd);
    assert_int_equal(xeno_store_put(st, b->data, b->len, layer.digest, NULL), 0);
    xeno_image_add_layer(im, &layer);
    snprintf(im->arch, sizeof(im->arch), "%s", xeno_image_host_arch());
    snprintf(im->os, sizeof(im->os), "linux");
    assert_int_equal(xeno_store_commit(st, im, name, NULL), 0);
    if (ret)
        *ret = layer;
}

static int do_nothing(int in, int out, void *arg)
{
    (void)in;
    (void)out;
    (void)arg;
    return 0;
}

bool can_confine(void)
{
    char *dir = temp_new();
    xeno_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct xeno_confine_opts o = { .dirfd = fd, .own = true, .file_bytes = 1 };
    struct xeno_confined c;
    struct xeno_err err = XENO_ERR_INIT;
    int r = xeno_confine_start(&o, do_nothing, NULL, &c, &err);

    if (r >= 0) {
        waitpid(c.pid, NULL, 0);
        close(c.in);
        close(c.out);
    } else {
        print_message("cannot confine here: %s\n", err.text);
    }
    temp_drop(dir);
    return r >= 0;
}
