/* src/cli/session-commit.c - session commit: what a session has written, as an overlay here.
 *
 *     ask for the layer --head: what it is over--> is all of that here? --> take the bytes
 *     --> does their digest match? --> pack, judge, name
 *
 * The bytes go to a file without a name, as fast as the network gives them, since the session
 * stands still meanwhile: packing takes longer. Interrupted at any time, nothing is left but blobs
 * that the store collects.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/find.h"
#include "cli/image.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "crypto/base64.h"
#include "image/commit.h"

#define READY_S 600 /* for the server to look through the layer before it sends */

const struct cli_option cli_session_commit_options[] = {
    { "as", 0, "NAME", "its name here: overlay://NAME (default: the session's)", false, 0 },
    { "server", 's', "SERVER", "where it is (default: all you know are searched)", false,
      CLI_OFFER_SERVER },
    STORE_OPTION,
    { NULL },
};

struct fetch {
    struct cli *cli;
    struct xeno_store *store;
    struct cli_progress *progress;
    struct xeno_image *image; /* what is below; from the answer's head on */
    struct xeno_sha256 *hash;
    int fd;
    int64_t bytes, expected;
    char digest[XENO_DIGEST_TEXT]; /* as the server says; "" before it did */
    bool over;
    struct xeno_err err;
};

/* --- the answer --- */

/* "sha256:A sha256:B" to words that point into `text`. */
static int split(char *text, const char *ret[XENO_LAYERS_MAX], size_t *ret_n, struct xeno_err *err)
{
    char *save = NULL;

    for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (*ret_n == XENO_LAYERS_MAX || !xeno_digest_ok(w))
            return xeno_fail(err, -EPROTO, "commit.answer",
                             "the XenoServer names layers in a way that makes no sense");
        ret[(*ret_n)++] = w;
    }
    return 0;
}

static int on_head(const struct xeno_http_answer *a, void *arg, struct xeno_err *err)
{
    struct fetch *f = arg;
    const char *over = xeno_http_answer_header(a, "Xeno-Layer-Over");
    const char *bytes = xeno_http_answer_header(a, "Xeno-Layer-Bytes");
    xeno_autofree char *text = xeno_strdup(over ? over : "");
    const char *layers[XENO_LAYERS_MAX];
    size_t n = 0;
    int r = split(text, layers, &n, err);

    f->expected = bytes ? strtoll(bytes, NULL, 10) : 0;
    return r < 0 ? r : xeno_commit_below(f->store, layers, n, &f->image, err);
}

static int on_bytes(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct fetch *f = arg;
    int r = xeno_write_all(f->fd, data, len);

    if (r < 0)
        return xeno_fail_errno(err, r, "commit.write", "keep the layer in /var/tmp");
    xeno_sha256_add(f->hash, data, len);
    f->bytes += (int64_t)len;
    cli_progress_bytes(f->progress, f->bytes, f->expected > f->bytes ? f->expected : f->bytes);
    return 0;
}

/* "sha-256=:BASE64:" (RFC 9530). */
static void read_digest(const char *field, char ret[XENO_DIGEST_TEXT])
{
    static const char prefix[] = "sha-256=:";
    const char *at = field ? strstr(field, prefix) : NULL, *end;
    xeno_autofree uint8_t *sha = NULL;
    size_t len = 0;

    if (!at)
        return;
    at += strlen(prefix);
    end = strchr(at, ':');
    sha = end ? xeno_unbase64(at, (size_t)(end - at), 32, &len) : NULL;
    if (sha && len == 32)
        xeno_digest_text(sha, ret);
}

static void on_done(const struct xeno_http_answer *a, void *arg)
{
    struct fetch *f = arg;

    f->over = true;
    if (a->err)
        f->err = *a->err;
    else
        read_digest(xeno_http_answer_trailer(a, "Repr-Digest"), f->digest);
}

/* --- fetching --- */

static int check(struct fetch *f, struct xeno_err *err)
{
    char have[XENO_DIGEST_TEXT];
    uint8_t sha[32];

    if (f->err.code < 0 && f->image)
        return xeno_fail(err, f->err.code, f->err.token,
                         "%s: the layer was not sent to its end, and nothing is kept", f->err.text);
    if (f->err.code < 0)
        return xeno_fail(err, f->err.code, f->err.token, "%s", f->err.text);
    xeno_sha256_end(f->hash, sha);
    xeno_digest_text(sha, have);
    if (!f->image || strcmp(have, f->digest) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt",
                         "what came has the digest %s, the XenoServer read %s: nothing is kept",
                         have, f->digest[0] ? f->digest : "something that it does not name");
    return 0;
}

static int fetch(struct fetch *f, const struct cli_found *s, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/sessions/%s/layer", s->server.url, s->session);
    struct xeno_http_ask ask = { .method = "GET",
                                 .url = url,
                                 .server_id = s->server.id,
                                 .pace_s = READY_S,
                                 .head = on_head,
                                 .sink = on_bytes,
                                 .done = on_done,
                                 .arg = f };
    struct xeno_http_client *http;
    int r = cli_http(f->cli, &http, err);

    if (r < 0)
        return r;
    xeno_http_send(http, &ask);
    while (r >= 0 && !f->over)
        r = sd_event_run(cli_loop(f->cli), UINT64_MAX);
    return r < 0 ? xeno_fail_errno(err, r, "cli.loop", "wait for the layer") : check(f, err);
}

static int open_nameless(struct xeno_err *err)
{
    char path[] = "/var/tmp/xeno-commit-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "commit.write", "make a file in /var/tmp");
    unlink(path);
    return fd;
}

/* --- all of it --- */

static int name_of(const struct cli_args *args, const struct cli_found *s, const char **ret,
                   struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(s->object);
    const char *text = cli_value(args, "as");
    const char *scheme = text ? strstr(text, "://") : NULL;

    if (scheme && strncmp(text, "overlay://", 10) != 0)
        return cli_usage(err, "--as overlay://NAME, not '%s': what a session wrote is an overlay",
                         text);
    *ret = scheme ? scheme + 3 : text ? text : cli_str(&top, "name");
    if (xeno_image_name_ok(*ret))
        return 0;
    return cli_usage(err, "'%s' cannot be the name of an overlay: give one by --as", *ret);
}

static int commit(struct fetch *f, const struct cli_found *s, const char *name,
                  struct xeno_made *ret, struct xeno_err *err)
{
    struct xeno_commit_opts o = { .fd = f->fd, .name = name };
    struct xeno_progress hook;
    int r;

    f->progress = cli_progress_new(f->cli, "fetching what %s has written", s->session);
    r = fetch(f, s, err);
    if (r == 0 && lseek(f->fd, 0, SEEK_SET) < 0)
        r = xeno_fail_errno(err, -errno, "commit.write", "read the layer again");
    if (r < 0)
        return r;
    hook = cli_progress_hook(f->progress);
    o.digest = f->digest;
    o.size_bytes = f->bytes;
    o.progress = &hook;
    return xeno_commit_layer(f->store, f->image, &o, ret, err);
}

int cli_session_commit(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_found) s = NULL;
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_sha256) hash = xeno_sha256_new();
    struct fetch f = { .cli = cli, .hash = hash, .fd = -1 };
    struct xeno_made made;
    const char *name = NULL;
    int r = cli_find_session(cli, cli_value(args, "server"), args->words[0], &s, err);

    if (r == 0)
        r = name_of(args, s, &name, err);
    if (r == 0)
        r = cli_store_open(cli, args, XENO_STORE_CREATE, &st, err);
    if (r == 0)
        r = f.fd = open_nameless(err);
    if (r < 0)
        return r;
    f.store = st;
    r = commit(&f, s, name, &made, err);
    cli_progress_free(f.progress);
    close(f.fd);
    if (r == 0)
        cli_print_made(cli, name, &made);
    if (r == 0 && f.image->base[0] == '\0')
        cli_note(cli, "the template it goes over is not in this image store");
    xeno_image_free(f.image);
    return r < 0 ? r : CLI_OK;
}
