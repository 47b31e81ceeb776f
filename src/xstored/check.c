/* src/xstored/check.c - --check: what is missing for serving, and what to do about it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "keep/keep.h"
#include "member/check.h"
#include "xstored/xstored.h"

/* Looked at beside a daemon that runs; the sums are computed again. */
static void check_books(struct xstored *d, struct xeno_check *c)
{
    struct xstored_total t = { 0 };
    struct xeno_err err = XENO_ERR_INIT;
    char size[32];
    int r = 0;

    if (faccessat(d->dirfd, "store.db", F_OK, 0) == 0) { /* else it never ran */
        r = xstored_open_books(d, &err);
        if (r == 0)
            r = xstored_meta_check(d->view, &err);
        if (r == 0)
            r = xeno_keep_check(d->view, &err);
        if (r == 0)
            r = xstored_meta_total(d->view, &t, &err);
    }
    if (r < 0)
        xeno_check_say(c, false, "objects", "%s", err.text);
    else
        xeno_check_say(c, true, "objects", "%" PRId64 ", %s, %" PRId64 " of them damaged", t.blobs,
                       xeno_size_text(t.bytes, size), t.damaged);
}

/* A folder of their own is somebody else's to make. */
static void check_objects(const struct xstored *d, struct xeno_check *c)
{
    const char *dir = d->opt.objects;

    if (dir && *dir && access(dir, W_OK | X_OK) < 0)
        xeno_check_say(
            c, false, "objects",
            "%s: make it, owned by the user xstored runs as, and let its unit write there", dir);
}

static void no_key(const char *key, void *arg)
{
    (void)key;
    (void)arg;
}

/* Is it there, and may its keys be listed? */
static void check_bucket(const struct xstored *d, struct xeno_check *c)
{
    xeno_autofree char *keys = xeno_asprintf("%s/s3-keys", d->opt.dir);
    const struct bucket_opts opts = xstored_bucket(d, keys);
    xeno_auto(bucket) b = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    if (!d->opt.s3_url || !*d->opt.s3_url)
        return;
    r = bucket_new(&opts, &b, &err);
    if (r == 0)
        r = bucket_list(b, "", "", 1, no_key, NULL, &err);
    xeno_check_say(c, r >= 0, "bucket", "%s", r < 0 ? err.text : d->opt.s3_url);
}

int xstored_check(struct xstored *d)
{
    const struct xeno_member_opts who = xstored_member_opts(d);
    struct xeno_check c = { .program = who.program };

    (void)xeno_check_member(&c, &who, &d->dirfd, &d->loop, &d->member,
                            "the credential is not renewed, and who is revoked is not known");
    if (d->dirfd >= 0)
        check_books(d, &c);
    check_objects(d, &c);
    check_bucket(d, &c);
    xeno_check_listen(&c, d->opt.listen);
    xeno_check_sandbox(&c);
    return xeno_check_end(&c);
}
