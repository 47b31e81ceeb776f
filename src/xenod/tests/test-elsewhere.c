/* src/xenod/tests/test-elsewhere.c - names of images elsewhere: shared questions, bounds, who
 * leaves.
 *
 * The image manager is played here: it notes what it is asked and answers when told to.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/agent-link.h"
#include "xenod/elsewhere.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* --- the image manager --- */

static struct question {
    char name[XENO_IMAGE_REF_TEXT];
    enum xeno_image_kind kind;
    xeno_agent_resolved *done;
    void *data; /* NULL: answered, or nobody wants to know */
} questions[64];
static struct xeno_env_test world;
static size_t asked;
static int refuse; /* what asking fails with */

static struct xeno_agent_link *const manager = (struct xeno_agent_link *)questions;

int xeno_agent_link_resolve(struct xeno_agent_link *l, const char *name, enum xeno_image_kind kind,
                            xeno_time timeout, xeno_agent_resolved *done, void *data,
                            struct xeno_err *err)
{
    struct question *q = &questions[asked];

    assert_ptr_equal(l, manager);
    assert_true(timeout.ns > 0 && asked < XENO_LEN(questions));
    if (refuse < 0)
        return xeno_fail(err, refuse, "agent.away", "it is not there");
    snprintf(q->name, sizeof q->name, "%s", name);
    q->kind = kind;
    q->done = done;
    q->data = data;
    asked++;
    return 0;
}

void xeno_agent_link_forget(struct xeno_agent_link *l, const void *data)
{
    assert_ptr_equal(l, manager);
    for (size_t i = 0; i < asked; i++)
        if (questions[i].data == data)
            questions[i].data = NULL;
}

void xeno_agent_image_free(struct xeno_agent_image *im)
{
    free(im);
}

static void answer(size_t i, const char *digest)
{
    struct xeno_agent_image *im = xeno_new0(struct xeno_agent_image);
    void *data = questions[i].data;

    assert_non_null(data);
    snprintf(im->manifest, sizeof im->manifest, "%s", digest);
    questions[i].data = NULL;
    questions[i].done(data, im, NULL);
}

static void refused(size_t i, int code, const char *token)
{
    struct xeno_err err = XENO_ERR_INIT;
    void *data = questions[i].data;

    assert_non_null(data);
    xeno_fail(&err, code, token, "the registry says no");
    questions[i].data = NULL;
    questions[i].done(data, NULL, &err);
}

/* --- who asks --- */

struct asker {
    struct xeno_requirement *req;
    struct xenod_pin *pin;
    int told; /* how often */
    struct xeno_err err;
    struct asker *cancels; /* when it is told */
};

static void on_pinned(void *arg, const struct xeno_err *err)
{
    struct asker *a = arg;

    a->told++;
    a->pin = NULL;
    if (err)
        a->err = *err;
    if (a->cancels)
        xenod_pin_cancel(xeno_take(&a->cancels->pin));
}

static struct xeno_requirement *needs(const char *template_ref, const char *overlay)
{
    struct xeno_requirement *req = xeno_new0(struct xeno_requirement);

    snprintf(req->template_ref, sizeof req->template_ref, "%s", template_ref);
    if (overlay)
        snprintf(req->overlays[req->overlay_count++], sizeof req->overlays[0], "%s", overlay);
    return req;
}

static int begin(struct xenod_elsewhere *e, struct asker *a, const char *owner,
                 const char *template_ref, const char *overlay, struct xeno_err *err)
{
    a->req = needs(template_ref, overlay);
    return xenod_elsewhere_pin(e, owner, a->req, on_pinned, a, &a->pin, err);
}

static int setup(void **state)
{
    (void)state;
    memset(questions, 0, sizeof questions);
    asked = 0;
    refuse = 0;
    xeno_env_test_init(&world, xeno_s(1000), 1);
    return 0;
}

static bool have_a(void *ctx, const char *digest)
{
    (void)ctx;
    return strcmp(digest, A) == 0;
}

/* --- tests --- */

static void nothing_elsewhere(void **state)
{
    static const char here[] = "oci://h/r@" A, *const rows[] = { "", "template://debian", A, here };
    xeno_auto(xenod_elsewhere) e = xenod_elsewhere_new(&world.env, manager, have_a, NULL);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct asker a = { .told = 0 };

        assert_int_equal(begin(e, &a, "me", rows[i], NULL, NULL), 0);
        assert_string_equal(a.req->template_ref, i == 3 ? A : rows[i]);
        assert_int_equal(xenod_elsewhere_counts(e).waiting, 0);
        free(a.req);
    }
    assert_int_equal(asked, 0);
}

static void template_and_overlay(void **state)
{
    xeno_auto(xenod_elsewhere) e = xenod_elsewhere_new(&world.env, manager, NULL, NULL);
    struct asker a = { .told = 0 };

    (void)state;
    assert_int_equal(begin(e, &a, "me", "oci://h/t", "oci://h/o@" A, NULL), 1);
    assert_int_equal(asked, 2);
    assert_string_equal(questions[0].name, "oci://h/t");
    assert_int_equal(questions[0].kind, XENO_IMAGE_TEMPLATE);
    assert_int_equal(questions[1].kind, XENO_IMAGE_OVERLAY);
    answer(1, A);
    assert_int_equal(a.told, 0);
    answer(0, B);
    assert_int_equal(a.told, 1);
    assert_int_equal(a.err.code, 0);
    assert_string_equal(a.req->template_ref, B);
    assert_string_equal(a.req->overlays[0], A);
    free(a.req);
}

/* One question for all who ask it at the same time; asked again later it is another one. */
static void shared(void **state)
{
    xeno_auto(xenod_elsewhere) e = xenod_elsewhere_new(&world.env, manager, NULL, NULL);
    struct asker a[4] = { { .told = 0 } };

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(begin(e, &a[i], i == 2 ? "other" : "me", "oci://h/t", NULL, NULL), 1);
    assert_int_equal(begin(e, &a[3], "me", "", "oci://h/t", NULL), 1);
    assert_int_equal(asked, 2); /* as an overlay it is another question */
    xenod_pin_cancel(xeno_take(&a[1].pin));
    answer(0, B);
    assert_int_equal(a[0].told + a[2].told, 2);
    assert_int_equal(a[1].told + a[3].told, 0);
    assert_string_equal(a[2].req->template_ref, B);
    free(xeno_take(&a[0].req));
    assert_int_equal(begin(e, &a[0], "me", "oci://h/t", NULL, NULL), 1);
    assert_int_equal(asked, 3);
    xenod_pin_cancel(a[0].pin);
    xenod_pin_cancel(a[3].pin);
    assert_null(questions[2].data); /* nobody waits: the question is forgotten */
    assert_int_equal(xenod_elsewhere_counts(e).waiting, 0);
    for (size_t i = 0; i < 4; i++)
        free(a[i].req);
}

/* The first failure is the whole one's; what else was asked for it is forgotten. */
static void failures(void **state)
{
    static const struct {
        int code, want;
        const char *token;
    } rows[] = { { -ENOENT, -ENOENT, "oci.unknown" },
                 { -EACCES, -EPERM, "oci.denied" },
                 { -ETIMEDOUT, -ETIMEDOUT, "agent.timeout" } };

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xenod_elsewhere) e = xenod_elsewhere_new(&world.env, manager, NULL, NULL);
        struct asker a = { .told = 0 };

        setup(state);
        assert_int_equal(begin(e, &a, "me", "oci://h/t", "oci://h/o", NULL), 1);
        refused(1, rows[i].code, rows[i].token);
        assert_int_equal(a.told, 1);
        assert_int_equal(a.err.code, rows[i].want);
        assert_string_equal(a.err.token, rows[i].token);
        assert_non_null(strstr(a.err.text, "oci://h/o: the registry says no"));
        assert_string_equal(a.req->template_ref, "oci://h/t");
        assert_null(questions[0].data);
        free(a.req);
    }
}

/* Whoever is told may take another with it, which waits for the same. */
static void told_and_gone(void **state)
{
    xeno_auto(xenod_elsewhere) e = xenod_elsewhere_new(&world.env, manager, NULL, NULL);
    struct asker a = { .told = 0 }, b = { .told = 0 };

    (void)state;
    assert_int_equal(begin(e, &a, "me", "oci://h/t", NULL, NULL), 1);
    assert_int_equal(begin(e, &b, "me", "oci://h/t", "oci://h/o", NULL), 1);
    a.cancels = &b;
    answer(0, A);
    assert_int_equal(a.told, 1);
    assert_int_equal(b.told, 0);
    assert_null(questions[1].data);
    free(a.req);
    free(b.req);
}

static void too_many_of_one(void **state)
{
    xeno_auto(xenod_elsewhere) e = xenod_elsewhere_new(&world.env, manager, NULL, NULL);
    struct asker a[XENOD_PIN_OWNER_MAX + 2] = { { .told = 0 } };
    struct xeno_err err = XENO_ERR_INIT;
    size_t n = 0;

    (void)state;
    for (; n < XENOD_PIN_OWNER_MAX; n++)
        assert_int_equal(begin(e, &a[n], "me", "oci://h/t", NULL, &err), 1);
    assert_int_equal(begin(e, &a[n], "me", "oci://h/t", NULL, &err), -EAGAIN);
    assert_string_equal(err.token, "image.waiting");
    assert_int_equal(begin(e, &a[n + 1], "another", "oci://h/t", NULL, &err), 1);
    n += 2;
    for (size_t i = 0; i < n; i++)
        free(a[i].req); /* they are not written to any more */
}

static void too_many_names(void **state)
{
    xeno_auto(xenod_elsewhere) e = xenod_elsewhere_new(&world.env, manager, NULL, NULL);
    struct asker a[XENOD_PIN_JOBS_MAX + 1] = { { .told = 0 } };
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    for (size_t i = 0; i <= XENOD_PIN_JOBS_MAX; i++) {
        char owner[16], name[32];

        snprintf(owner, sizeof owner, "o%zu", i);
        snprintf(name, sizeof name, "oci://h/t%zu", i);
        assert_int_equal(begin(e, &a[i], owner, name, NULL, &err),
                         i < XENOD_PIN_JOBS_MAX ? 1 : -EAGAIN);
    }
    assert_string_equal(err.token, "image.waiting");
    assert_int_equal(xenod_elsewhere_counts(e).waiting, XENOD_PIN_JOBS_MAX);
    for (size_t i = 0; i <= XENOD_PIN_JOBS_MAX; i++)
        free(a[i].req);
}

/* An image manager that is away is waited for, not for ever; what is lost with it is asked again.
 */
static void away_for_a_while(void **state)
{
    xeno_auto(xenod_elsewhere) e = xenod_elsewhere_new(&world.env, manager, NULL, NULL);
    struct asker a = { .told = 0 }, b = { .told = 0 };

    (void)state;
    refuse = -ENOTCONN;
    assert_int_equal(begin(e, &a, "me", "oci://h/t", NULL, NULL), 1);
    assert_int_equal(begin(e, &b, "me", "oci://h/o", NULL, NULL), 1);
    world.now = xeno_time_add(world.now, xeno_s(XENOD_PIN_AWAY_S - 1));
    xenod_elsewhere_tick(e);
    assert_int_equal(asked, 0);
    refuse = 0;
    xenod_elsewhere_tick(e);
    assert_int_equal(asked, 2);
    refused(0, -ENOTCONN, "agent.away");
    assert_int_equal(a.told, 0);
    xenod_elsewhere_tick(e);
    assert_int_equal(asked, 3);
    answer(2, A);
    assert_int_equal(a.told, 1);
    assert_string_equal(a.req->template_ref, A);
    world.now = xeno_time_add(world.now, xeno_s(2));
    xenod_elsewhere_tick(e); /* who is asked already has his own time */
    assert_int_equal(b.told, 0);
    refused(1, -ENOTCONN, "agent.away");
    assert_int_equal(b.told, 1);
    assert_int_equal(b.err.code, -EAGAIN);
    free(a.req);
    free(b.req);
}

static void nobody_to_ask(void **state)
{
    xeno_auto(xenod_elsewhere) without = xenod_elsewhere_new(&world.env, NULL, NULL, NULL);
    xeno_auto(xenod_elsewhere) away = xenod_elsewhere_new(&world.env, manager, NULL, NULL);
    struct asker a = { .told = 0 }, b[2] = { { .told = 0 } };
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(begin(without, &a, "me", "oci://h/t", NULL, &err), -EOPNOTSUPP);
    assert_string_equal(err.token, "image.elsewhere");
    refuse = -ENOTCONN;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(begin(away, &b[i], "me", i ? "oci://h/t" : "oci://h/o", NULL, NULL), 1);
    b[0].cancels = &b[1];
    world.now = xeno_time_add(world.now, xeno_s(XENOD_PIN_AWAY_S));
    xenod_elsewhere_tick(away);
    assert_int_equal(b[0].told, 1);
    assert_int_equal(b[1].told, 0);
    assert_int_equal(b[0].err.code, -EAGAIN);
    assert_string_equal(b[0].err.token, "agent.away");
    assert_int_equal(xenod_elsewhere_counts(away).waiting, 0);
    free(a.req);
    free(b[0].req);
    free(b[1].req);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_elsewhere, setup),
        cmocka_unit_test_setup(template_and_overlay, setup),
        cmocka_unit_test_setup(shared, setup),
        cmocka_unit_test_setup(failures, setup),
        cmocka_unit_test_setup(told_and_gone, setup),
        cmocka_unit_test_setup(too_many_of_one, setup),
        cmocka_unit_test_setup(too_many_names, setup),
        cmocka_unit_test_setup(away_for_a_while, setup),
        cmocka_unit_test_setup(nobody_to_ask, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
