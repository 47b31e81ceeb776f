/* src/xenod/image.c - what the image stores of this machine say about a session's file system.
 *
 * Names are resolved here, without rights; xeno-taskd gets digests and checks them. There are two
 * stores: the operator's, with images that are whole, and the image manager's, which has manifests
 * and configs of images that are fetched as they are read; in it an image is found by its digest
 * alone, which elsewhere.c put in place of its name. What an image gives its programs (environment,
 * folder, user) is remembered with the hold or session, since a name may point elsewhere when the
 * first task is deployed.
 */
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "doc/name.h"
#include "json/json.h"
#include "spec/requirement.h"
#include "spec/task-doc.h"
#include "xenod/elsewhere.h"
#include "xenod/xenod.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DOC_MAX      (256 * 1024)

int xenod_image_open(struct xenod *d, struct xeno_err *err)
{
    if (d->opt.imaged_store && *d->opt.imaged_store) /* the sandbox allows what is there by then */
        (void)xeno_mkdirs(AT_FDCWD, d->opt.imaged_store, 0755, NULL);
    if (!d->opt.images || !*d->opt.images)
        return 0;
    return xeno_store_open(d->opt.images, XENO_STORE_READ, &d->images, err);
}

/* --- finding --- */

/* The images of a requirement, the template first. */
struct parts {
    size_t count;
    struct xeno_image *of[XENO_TASK_IMAGES_MAX];
    bool fetched[XENO_TASK_IMAGES_MAX]; /* in the image manager's store */
};

static void parts_release(struct parts *p)
{
    for (size_t i = 0; i < p->count; i++)
        xeno_image_free(p->of[i]);
}
#define autoparts __attribute__((cleanup(parts_release))) struct parts

/* It makes its store at its first start, which may come after ours. */
static bool open_fetched(struct xenod *d)
{
    if (d->fetched || !d->opt.imaged_store || !*d->opt.imaged_store)
        return d->fetched;
    return xeno_store_open(d->opt.imaged_store, XENO_STORE_READ, &d->fetched, NULL) == 0;
}

struct xeno_store *xenod_image_fetched(struct xenod *d)
{
    return open_fetched(d) ? d->fetched : NULL;
}

static bool is_digest(const char *ref)
{
    return strncmp(ref, "sha256:", 7) == 0;
}

bool xenod_image_here(void *ctx, const char *digest)
{
    struct xenod *d = ctx;
    xeno_auto(xeno_image) im = NULL;

    return is_digest(digest) && d->images &&
           xeno_store_resolve(d->images, digest, NULL, &im, NULL) == 0;
}

/* A name that nobody here has: of two or three words, it may be one that was signed. */
static int unknown(const char *ref, const struct xeno_err *why, struct xeno_err *err)
{
    const char *name = strstr(ref, "://");
    struct xeno_name_ref words;

    if (!name || xeno_name_ref_parse(name + 3, &words, NULL) < 0)
        return xeno_fail(err, why->code, why->token, "%s", why->text);
    return xeno_fail(err, -ENOENT, "image.signed",
                     "this XenoServer has no '%.140s' of its own, and believes no publisher: if it "
                     "is a signed name, your xeno asks what it stands for, when you know the "
                     "publisher (xeno publisher add), and sends oci://HOST/REPO@DIGEST",
                     ref);
}

static int find_part(struct xenod *d, const char *ref, struct parts *p, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_image **ret = &p->of[p->count];
    int r = d->images ? xeno_store_resolve(d->images, ref, NULL, ret, &why)
                      : xeno_fail(&why, -ENOENT, "image.store", "this host has no image store");

    if (r == -ENOENT && is_digest(ref) && open_fetched(d) &&
        xeno_store_load(d->fetched, ref, ret, NULL) == 0) {
        p->fetched[p->count++] = true;
        return 0;
    }
    if (r == -ENOENT)
        return unknown(ref, &why, err);
    if (r < 0)
        return xeno_fail(err, r, why.token, "%s", why.text);
    p->count++;
    return 0;
}

int xenod_image_pin(struct xenod *d, const struct xeno_id *who, struct xeno_requirement *req,
                    bool hold, void (*done)(void *arg, const struct xeno_err *err), void *arg,
                    struct xenod_pin **ret, struct xeno_err *err)
{
    int r;

    if (!*req->template_ref && d->opt.template_ref)
        snprintf(req->template_ref, sizeof req->template_ref, "%s", d->opt.template_ref);
    if (!xenod_elsewhere_named(req))
        return 0;
    r = xeno_host_possible(d->host, who, req, hold, err);
    return r < 0 ? r : xenod_elsewhere_pin(d->elsewhere, who->s, req, done, arg, ret, err);
}

/* What a requirement means; nothing when it means nothing and nothing is needed. */
static int find_parts(struct xenod *d, const struct xeno_requirement *req, struct parts *p,
                      struct xeno_err *err)
{
    const char *template = *req->template_ref ? req->template_ref : d->opt.template_ref;
    int r;

    if (strcmp(d->opt.driver, "null") == 0 && !d->images && !(template && is_digest(template)))
        return 0; /* nothing runs, so nothing is needed */
    if (!template || !*template)
        return xeno_fail(err, -EINVAL, "image.template",
                         "EnvTemplate: name a template; this host has none for documents without");
    r = find_part(d, template, p, err);
    for (size_t i = 0; r == 0 && i < req->overlay_count; i++)
        r = find_part(d, req->overlays[i], p, err);
    return r;
}

/* As one image; NULL of no parts. */
static int stack(const struct parts *p, struct xeno_image **ret, struct xeno_err *err)
{
    xeno_auto(xeno_image) im = p->count > 0 ? xeno_image_new() : NULL;

    for (size_t i = 0; i < p->count; i++) {
        int r = xeno_image_over(im, p->of[i], err);

        if (r < 0)
            return r;
    }
    if (im && im->layer_count > XENO_TASK_LAYERS_MAX)
        return xeno_fail(err, -E2BIG, "image.layers",
                         "the image has %zu layers, at most %d can be stacked", im->layer_count,
                         XENO_TASK_LAYERS_MAX);
    *ret = xeno_take(&im);
    return 0;
}

int xenod_image_port(void *ctx, const struct xeno_requirement *req, struct xeno_host_image *ret,
                     struct xeno_err *err)
{
    xeno_auto(xeno_image) im = NULL;
    autoparts p = { .count = 0 };
    int r = find_parts(ctx, req, &p, err);

    if (r == 0)
        r = stack(&p, &im, err);
    if (r < 0 || !im)
        return r;
    ret->layer_count = im->layer_count;
    ret->layers = xeno_alloc0(im->layer_count + 1, XENO_LAYER_TEXT);
    for (size_t i = 0; i < im->layer_count; i++)
        snprintf(ret->layers[i], XENO_LAYER_TEXT, "%s", im->layers[i].digest);
    ret->image_count = p.count;
    ret->images = xeno_alloc0(p.count, XENO_LAYER_TEXT);
    for (size_t i = 0; i < p.count; i++)
        snprintf(ret->images[i], XENO_LAYER_TEXT, "%s", p.of[i]->digest);
    return 0;
}

/* --- what is remembered --- */

/* {"manifests","layers","bytes","far"}: far are the layers of images that are not in our store. */
static struct xeno_json *made_of(const struct parts *p)
{
    struct xeno_json *j = xeno_json_object(), *manifests = xeno_json_array();
    struct xeno_json *far = xeno_json_array();
    int64_t layers = 0, bytes = 0;

    for (size_t i = 0; i < p->count; i++) {
        const struct xeno_image *im = p->of[i];

        xeno_json_append_str(manifests, im->digest);
        layers += (int64_t)im->layer_count;
        bytes += im->size_bytes;
        for (size_t k = 0; p->fetched[i] && k < im->layer_count; k++)
            xeno_json_append_str(far, im->layers[k].digest);
    }
    xeno_json_set(j, "manifests", manifests);
    xeno_json_set_int(j, "layers", layers);
    xeno_json_set_int(j, "bytes", bytes);
    xeno_json_set(j, "far", far);
    return j;
}

static struct xeno_json *gives(const struct xeno_image *im)
{
    struct xeno_json *doc = xeno_json_object(), *env = xeno_json_array();

    for (char **p = im->env; p && *p; p++)
        xeno_json_append_str(env, *p);
    xeno_json_set(doc, "env", env);
    xeno_json_set_str(doc, "cwd", im->cwd);
    xeno_json_set_str(doc, "user", im->user);
    return doc;
}

void xenod_image_remember(struct xenod *d, const char *id, const struct xeno_requirement *req)
{
    xeno_auto(xeno_image) im = NULL;
    xeno_auto(xeno_json) doc = NULL;
    xeno_autofree char *text = NULL;
    autoparts p = { .count = 0 };
    struct xeno_err err = XENO_ERR_INIT;

    if (find_parts(d, req, &p, &err) < 0 || stack(&p, &im, &err) < 0 || !im)
        return; /* no image: nothing to give */
    doc = gives(im);
    xeno_json_set(doc, "image", made_of(&p));
    text = xeno_json_format(doc, false, NULL);
    if (xeno_db_run(d->db, &err,
                    "INSERT INTO xenod_image (id, doc, time_ms) VALUES ($1, $2, $3)"
                    " ON CONFLICT (id) DO NOTHING",
                    "tti", id, text, xeno_wall(d->env).ns / XENO_NS_PER_MS) < 0)
        xeno_log_err(LOG_ERR, "image.remember", &err, "id=%s", id);
    xenod_fetching_add(d, id);
}

void xenod_image_rename(struct xenod *d, const char *from, const char *to)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_db_run(d->db, &err, "UPDATE xenod_image SET id = $2 WHERE id = $1", "tt", from, to) <
        0)
        xeno_log_err(LOG_ERR, "image.remember", &err, "id=%s", to);
    xenod_fetching_add(d, to);
}

static struct xeno_json *recall(struct xenod *d, const char *id)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct xeno_json *doc = NULL;
    const char *text;

    if (xeno_query_begin(d->db, &q, "SELECT doc FROM xenod_image WHERE id = $1", NULL) < 0)
        return NULL;
    xeno_query_text(&q, 1, id);
    if (xeno_query_step(&q, NULL) <= 0)
        return NULL;
    text = xeno_query_col_text(&q, 0);
    if (xeno_json_parse(text, strlen(text), DOC_MAX, &doc, NULL) < 0)
        return NULL;
    return doc;
}

struct xeno_json *xenod_image_recall(struct xenod *d, const char *id)
{
    xeno_auto(xeno_json) doc = recall(d, id);
    struct xeno_json_at top, image;

    if (!doc)
        return NULL;
    top = xeno_json_top(doc);
    if (xeno_json_obj_opt(&top, "image", &image, NULL) != 0)
        return NULL;
    return xeno_json_ref((struct xeno_json *)image.j);
}

/* --- filling in --- */

static bool has_variable(const struct xeno_task_doc *t, const char *word)
{
    size_t len = strcspn(word, "=") + 1;

    for (size_t i = 0; i < t->env_count; i++) {
        if (strncmp(t->env[i], word, len) == 0)
            return true;
    }
    return false;
}

static void add_variable(struct xeno_task_doc *t, const char *word)
{
    if (t->env_count >= XENO_TASK_DOC_ARGS || has_variable(t, word))
        return;
    t->env = xeno_grow(t->env, t->env_count + 2);
    t->env[t->env_count++] = xeno_strdup(word);
    t->env[t->env_count] = NULL;
}

static void add_from_image(struct xeno_task_doc *t, const struct xeno_json_at *at)
{
    struct xeno_json_at env;
    size_t count = 0;
    const char *cwd = NULL, *user = NULL;

    if (xeno_json_arr_opt(at, "env", 4096, &env, &count, NULL) != 0)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        const char *word;

        if (xeno_json_item_str(&env, i, 1, XENO_TASK_DOC_ARG_BYTES, &word, NULL) == 0)
            add_variable(t, word);
    }
    (void)xeno_json_str_opt(at, "cwd", 1, 1023, &cwd, NULL);
    (void)xeno_json_str_opt(at, "user", 1, 65, &user, NULL);
    if (!t->cwd && cwd)
        t->cwd = xeno_strdup(cwd);
    if (!t->user && user)
        t->user = xeno_strdup(user);
}

void xenod_image_complete(struct xenod *d, const char *session, struct xeno_task_doc *t)
{
    xeno_auto(xeno_json) doc = recall(d, session);

    if (doc) {
        struct xeno_json_at at = xeno_json_top(doc);

        add_from_image(t, &at);
    }
    add_variable(t, DEFAULT_PATH);
    if (t->terminal)
        add_variable(t, "TERM=xterm");
}
