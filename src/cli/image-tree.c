/* src/cli/image-tree.c - `overlay tree`: an image's layers, and all that its mount files name. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/image.h"
#include "cli/out.h"
#include "cli/remote.h"
#include "cli/signed.h"
#include "image/mount-tree.h"

const struct cli_option cli_overlay_tree_options[] = {
    STORE_OPTION,
    { "arch", 0, "ARCH", "of images for several machines, this one's: amd64, arm64", false, 0 },
    REMOTE_OPTIONS,
    { NULL },
};

struct walk {
    struct cli *cli;
    const struct cli_args *args;
    struct xeno_store *st;
    struct xeno_err *why; /* why there is no image store */
    size_t failed;
};

/* --- where images are: a place is a registry's repository, or none, the image store --- */

static int find_remote(struct walk *w, const char *text, struct xeno_image **ret, void **ret_place,
                       struct xeno_err *err)
{
    xeno_auto(cli_remote) remote = NULL;
    xeno_auto(xeno_image) image = NULL;
    char digest[XENO_DIGEST_TEXT];
    xeno_autofree char *manifest = NULL;
    size_t len;
    int r = cli_remote_open(w->cli, w->args, text, NULL, false, &remote, err);

    if (r >= 0)
        r = xeno_registry_manifest(remote->registry,
                                   remote->name.digest[0] ? remote->name.digest : remote->name.tag,
                                   cli_value(w->args, "arch"), &manifest, &len, digest, err);
    if (r >= 0)
        r = xeno_manifest_parse(manifest, len, &image, err);
    if (r < 0)
        return r;
    snprintf(image->digest, sizeof image->digest, "%s", digest);
    *ret = xeno_take(&image);
    *ret_place = xeno_take(&remote);
    return 0;
}

static int find_text(struct walk *w, const char *text, struct xeno_image **ret, void **ret_place,
                     struct xeno_err *err)
{
    if (strncmp(text, XENO_REGISTRY_SCHEME, strlen(XENO_REGISTRY_SCHEME)) == 0)
        return find_remote(w, text, ret, ret_place, err);
    if (!w->st)
        return xeno_fail(err, w->why->code, w->why->token, "%s", w->why->text);
    return xeno_store_resolve(w->st, text, cli_value(w->args, "arch"), ret, err);
}

static int find(void *arg, const struct xeno_mount_ref *ref, struct xeno_image **ret,
                void **ret_place, struct xeno_err *err)
{
    return find_text(arg, ref->text, ret, ret_place, err);
}

static void leave(void *arg, void *place)
{
    (void)arg;
    cli_remote_free(place);
}

static int open_whole(void *arg, void *place, const char *digest, int *ret_fd, struct xeno_err *err)
{
    struct walk *w = arg;
    int64_t size;

    if (place)
        return xeno_fail(err, -ENOENT, "image.toc",
                         "it has no table of contents: pull the image to see what is in it");
    return xeno_store_open_blob(w->st, digest, ret_fd, &size, err);
}

static int read_part(void *arg, void *place, const char *digest, int64_t offset, void *buf,
                     size_t len, struct xeno_err *err)
{
    struct cli_remote *remote = place;
    xeno_autoclose int fd = -1;
    int r;

    if (remote)
        return xeno_registry_read(remote->registry, digest, offset, len, buf, err);
    r = open_whole(arg, NULL, digest, &fd, err);
    if (r >= 0 && pread(fd, buf, len, offset) != (ssize_t)len)
        r = xeno_fail(err, -EBADMSG, "image.corrupt", "blob %s ends too early", digest);
    return r;
}

/* A signed name is what its publisher says, unless an image here is called so. */
static int find_root(struct walk *w, const char *word, struct xeno_image **ret, void **ret_place,
                     struct xeno_err *err)
{
    int r = find_text(w, word, ret, ret_place, err);
    xeno_autofree char *pinned = NULL;

    if (r != -ENOENT || !cli_is_signed(word))
        return r;
    r = cli_signed_pin(w->cli, word, &pinned, err);
    return r > 0 ? find_remote(w, pinned, ret, ret_place, err) : r < 0 ? r : -ENOENT;
}

/* --- as text --- */

static void say_error(struct walk *w, int depth, const struct xeno_err *why)
{
    if (why->code != 0)
        cli_say(w->cli, "%*s! %s", depth * 2, "", cli_clean(why->text));
    w->failed += why->code != 0;
}

static void say_tree(struct walk *w, const struct xeno_mount_tree *t, int depth);

static const char *note_of(const struct xeno_mount_dir *d)
{
    return d->hidden                           ? "  (hidden by a layer above)"
           : d->count == 0 && d->why.code == 0 ? "  mounts nothing"
                                               : "";
}

/* What is mounted is read by pieces. */
static bool is_mountable(struct walk *w, const struct xeno_mount_layer *l, int depth)
{
    bool is = depth == 0 || l->layer.toc.bytes > 0;

    w->failed += !is;
    return is;
}

static void say_dir(struct walk *w, const struct xeno_mount_dir *d, int depth)
{
    cli_say(w->cli, "%*s/%s%s", depth * 2, "", strcmp(d->path, ".") == 0 ? "" : cli_clean(d->path),
            note_of(d));
    if (d->hidden)
        return;
    say_error(w, depth + 1, &d->why);
    for (size_t i = 0; i < d->count; i++)
        say_tree(w, &d->mounts[i], depth + 1);
}

static void say_tree(struct walk *w, const struct xeno_mount_tree *t, int depth)
{
    char size[32];

    cli_say(w->cli, "%*s%s%s%s%s", depth * 2, "", cli_clean(t->ref), t->digest[0] ? "  " : "",
            t->digest, t->digest[0] && depth > 0 && !t->fixed ? "  (the name can move)" : "");
    say_error(w, depth + 1, &t->why);
    for (size_t i = 0; i < t->layer_count; i++) {
        const struct xeno_mount_layer *l = &t->layers[i];

        cli_say(w->cli, "%*slayer %s  %s%s", depth * 2 + 2, "", l->layer.digest,
                xeno_size_text(l->layer.size_bytes, size),
                is_mountable(w, l, depth) ? ""
                                          : "  ! without a table of contents: cannot be mounted");
        say_error(w, depth + 2, &l->why);
        for (size_t k = 0; k < l->count; k++)
            say_dir(w, &l->dirs[k], depth + 2);
    }
}

/* --- as JSON --- */

static void set_error(struct walk *w, struct xeno_json *j, const struct xeno_err *why)
{
    struct xeno_json *e = why->code != 0 ? xeno_json_object() : NULL;

    if (e) {
        xeno_json_set_str(e, "token", why->token);
        xeno_json_set_str(e, "text", why->text);
        xeno_json_set(j, "error", e);
    } else {
        xeno_json_set_str(j, "error", NULL);
    }
    w->failed += e != NULL;
}

static struct xeno_json *tree_json(struct walk *w, const struct xeno_mount_tree *t, int depth);

static struct xeno_json *dir_json(struct walk *w, const struct xeno_mount_dir *d, int depth)
{
    struct xeno_json *j = xeno_json_object(), *mounts = xeno_json_array();
    xeno_autofree char *path = xeno_asprintf("/%s", strcmp(d->path, ".") == 0 ? "" : d->path);
    struct xeno_err none = XENO_ERR_INIT;

    xeno_json_set_str(j, "path", path);
    xeno_json_set_bool(j, "hidden", d->hidden);
    set_error(w, j, d->hidden ? &none : &d->why);
    for (size_t i = 0; i < d->count; i++)
        xeno_json_append(mounts, tree_json(w, &d->mounts[i], depth + 1));
    xeno_json_set(j, "mounts", mounts);
    return j;
}

static struct xeno_json *tree_json(struct walk *w, const struct xeno_mount_tree *t, int depth)
{
    struct xeno_json *j = xeno_json_object(), *layers = xeno_json_array();

    xeno_json_set_str(j, "ref", t->ref);
    xeno_json_set_bool(j, "fixed", t->fixed);
    xeno_json_set_str(j, "digest", t->digest[0] ? t->digest : NULL);
    set_error(w, j, &t->why);
    for (size_t i = 0; i < t->layer_count; i++) {
        const struct xeno_mount_layer *l = &t->layers[i];
        struct xeno_json *layer = xeno_json_object(), *dirs = xeno_json_array();

        xeno_json_set_str(layer, "digest", l->layer.digest);
        xeno_json_set_int(layer, "size_bytes", l->layer.size_bytes);
        xeno_json_set_bool(layer, "mountable", is_mountable(w, l, depth));
        set_error(w, layer, &l->why);
        for (size_t k = 0; k < l->count; k++)
            xeno_json_append(dirs, dir_json(w, &l->dirs[k], depth));
        xeno_json_set(layer, "mount_files", dirs);
        xeno_json_append(layers, layer);
    }
    xeno_json_set(j, "layers", layers);
    return j;
}

/* --- the verb --- */

int cli_overlay_tree(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    struct walk w = { .cli = cli, .args = args, .why = &why };
    const struct xeno_mount_tree_opts opts = {
        .find = find, .leave = leave, .read = read_part, .open = open_whole, .arg = &w
    };
    xeno_auto(xeno_store) st = NULL;
    xeno_auto(xeno_image) image = NULL;
    xeno_auto(xeno_mount_tree) t = NULL;
    void *place = NULL;
    int r;

    if (cli_store_open(cli, args, XENO_STORE_READ, &st, &why) >= 0)
        w.st = st;
    r = find_root(&w, args->words[0], &image, &place, err);
    if (r < 0)
        return r;
    t = xeno_mount_tree_make(&opts, args->words[0], image, place);
    cli_remote_free(place);
    if (cli->json)
        cli_json(tree_json(&w, t, 0));
    else
        say_tree(&w, t, 0);
    return w.failed > 0 ? CLI_FAILED : CLI_OK;
}
