/* src/image/tests/test-commit.c - what a session ran over, and its layer on top. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "image/commit.h"
#include "image/tests/tar-make.h"

enum { ONE, TWO, OVER, LAYERS };

struct world {
    char *top;
    struct xeno_store *st;
    char layer[LAYERS + 1][XENO_DIGEST_TEXT]; /* the last one is nowhere */
};

static void put(struct world *w, const char *name, enum xeno_image_kind kind, const int *layers,
                size_t count)
{
    xeno_auto(xeno_image) im = xeno_image_new();

    for (size_t i = 0; i < count; i++) {
        xeno_autobuf b = XENO_BUF_INIT;
        char text[8];
        struct xeno_layer layer;

        snprintf(text, sizeof text, "l%d", layers[i]);
        tar_add(&b, &(struct member){ '0', text, .data = text });
        tar_end(&b);
        close(layer_fd(&b, &layer));
        assert_int_equal(xeno_store_put(w->st, b.data, b.len, layer.digest, NULL), 0);
        strcpy(w->layer[layers[i]], layer.digest);
        xeno_image_add_layer(im, &layer);
    }
    im->kind = kind;
    strcpy(im->os, "linux");
    snprintf(im->arch, sizeof im->arch, "%s", xeno_image_host_arch());
    if (kind == XENO_IMAGE_OVERLAY)
        im->env = xeno_env_set(im->env, "FROM=overlay");
    assert_int_equal(xeno_store_commit(w->st, im, name, NULL), 0);
}

static int start(void **state)
{
    struct world *w = xeno_new0(struct world);

    w->top = temp_new();
    assert_int_equal(xeno_store_open(w->top, XENO_STORE_CREATE, &w->st, NULL), 0);
    put(w, "small", XENO_IMAGE_TEMPLATE, (const int[]){ ONE }, 1);
    put(w, "large", XENO_IMAGE_TEMPLATE, (const int[]){ ONE, TWO }, 2);
    put(w, "over", XENO_IMAGE_OVERLAY, (const int[]){ OVER }, 1);
    memset(w->layer[LAYERS], '0', XENO_DIGEST_TEXT - 1);
    memcpy(w->layer[LAYERS], "sha256:", 7);
    *state = w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;

    xeno_store_free(w->st);
    temp_drop(w->top);
    free(w);
    return 0;
}

static const struct {
    const char *what, *over; /* numbers of layers, bottom first */
    const char *base;        /* the template that is found; NULL: none */
    size_t layers;           /* of overlays */
    int want;
} rows[] = {
    { "nothing", "", NULL, 0, 0 },
    { "a template", "0", "small", 0, 0 },
    { "the one with more of them", "01", "large", 0, 0 },
    { "and an overlay", "012", "large", 1, 0 },
    { "twice", "022", "small", 2, 0 },
    { "a template that is elsewhere", "3", NULL, 0, 0 },
    { "all of it elsewhere", "31", NULL, 0, 0 },
    { "an overlay that is elsewhere", "013", NULL, 0, -ENOENT },
    { "one of two", "0123", NULL, 0, -ENOENT },
};

static void below(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_image) im = NULL;
        xeno_auto(xeno_image) base = NULL;
        const char *over[8];
        struct xeno_err err = XENO_ERR_INIT;
        size_t n = strlen(rows[i].over);

        print_message("%s\n", rows[i].what);
        for (size_t k = 0; k < n; k++)
            over[k] = w->layer[rows[i].over[k] - '0'];
        assert_int_equal(xeno_commit_below(w->st, over, n, &im, &err), rows[i].want);
        if (rows[i].want < 0) {
            assert_string_equal(err.token, "commit.overlay");
            assert_non_null(strstr(err.text, w->layer[LAYERS]));
            continue;
        }
        if (rows[i].base)
            assert_int_equal(xeno_store_resolve(w->st, rows[i].base, NULL, &base, NULL), 0);
        assert_string_equal(im->base, base ? base->digest : "");
        assert_int_equal(im->layer_count, rows[i].layers);
        assert_int_equal(im->kind, XENO_IMAGE_OVERLAY);
        assert_int_equal(xeno_words_count(im->env), rows[i].layers > 0);
        assert_true(n == 0 ? im->over == NULL : strncmp(im->over, over[0], 71) == 0);
    }
}

static void on_top(void **state)
{
    struct world *w = *state;
    const char *over[] = { w->layer[ONE], w->layer[OVER] };
    xeno_auto(xeno_image) im = NULL;
    xeno_auto(xeno_image) got = NULL;
    xeno_autobuf b = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_commit_opts o = { .name = "new" };
    struct xeno_layer tar;
    struct xeno_made made;
    xeno_autoclose int fd = -1;

    if (!can_confine())
        skip();
    tar_add(&b, &(struct member){ '0', ".wh.l0" });
    tar_add(&b, &(struct member){ '0', "more", .data = "more" });
    tar_end(&b);
    fd = layer_fd(&b, &tar);
    o.fd = fd;
    o.size_bytes = tar.size_bytes;
    assert_int_equal(xeno_commit_below(w->st, over, 2, &im, NULL), 0);

    /* not what the server read: nothing is named */
    o.digest = w->layer[ONE];
    assert_int_equal(xeno_commit_layer(w->st, im, &o, &made, &err), -EBADMSG);
    assert_string_equal(err.token, "image.corrupt");
    assert_int_equal(xeno_store_resolve(w->st, "new", NULL, &got, NULL), -ENOENT);
    assert_int_equal(im->layer_count, 1);

    o.digest = tar.digest;
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    if (xeno_commit_layer(w->st, im, &o, &made, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(made.layers, 2);
    assert_int_equal(xeno_store_resolve(w->st, "overlay://new", NULL, &got, NULL), 0);
    assert_string_equal(got->digest, made.digest);
    assert_string_equal(got->layers[0].digest, w->layer[OVER]);
    assert_true(got->layers[1].toc.bytes > 0); /* in pieces */
    assert_string_equal(got->base, im->base);
    assert_string_equal(got->over, im->over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(below, start, stop),
        cmocka_unit_test_setup_teardown(on_top, start, stop),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
