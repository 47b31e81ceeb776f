/* src/xenod/image.c - what the local image store says about a session's file system.
 *
 * Names are resolved here, without rights; xeno-taskd gets digests and checks them. What an image
 * gives its programs (environment, folder, user) is remembered with the hold or session, since a
 * name may point elsewhere when the first task is deployed.
 */
#include "image/store.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "json/json.h"
#include "spec/requirement.h"
#include "spec/task-doc.h"
#include "xenod/xenod.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define DOC_MAX      (256 * 1024)

int xenod_image_open(struct xenod *d, struct xeno_err *err)
{
    if (!d->opt.images || !*d->opt.images)
        return 0;
    return xeno_store_open(d->opt.images, XENO_STORE_READ, &d->images, err);
}

/* The image a requirement means; NULL in *ret when it means none and none is needed. */
static int stack(struct xenod *d, const struct xeno_requirement *req, struct xeno_image **ret,
                 struct xeno_err *err)
{
    const char *overlays[XENO_OVERLAYS_MAX];
    const char *template = *req->template_ref ? req->template_ref : d->opt.template_ref;

    *ret = NULL;
    if (strcmp(d->opt.driver, "null") == 0 && !d->images)
        return 0; /* nothing runs, so nothing is needed */
    if (!template || !*template)
        return xeno_fail(err, -EINVAL, "image.template",
                         "EnvTemplate: name a template; this host has none for documents without");
    if (!d->images)
        return xeno_fail(err, -ENOENT, "image.store", "this host has no image store");
    for (size_t i = 0; i < req->overlay_count; i++)
        overlays[i] = req->overlays[i];
    return xeno_store_stack(d->images, template, overlays, req->overlay_count, ret, err);
}

int xenod_image_layers(void *ctx, const struct xeno_requirement *req, char (**ret)[XENO_LAYER_TEXT],
                       size_t *ret_count, struct xeno_err *err)
{
    xeno_auto(xeno_image) im = NULL;
    int r = stack(ctx, req, &im, err);

    if (r < 0)
        return r;
    *ret = NULL;
    *ret_count = im ? im->layer_count : 0;
    if (*ret_count == 0)
        return 0;
    if (*ret_count > XENO_TASK_LAYERS_MAX)
        return xeno_fail(err, -E2BIG, "image.layers",
                         "the image has %zu layers, at most %d can be "
                         "stacked",
                         *ret_count, XENO_TASK_LAYERS_MAX);
    *ret = xeno_alloc0(*ret_count, XENO_LAYER_TEXT);
    for (size_t i = 0; i < *ret_count; i++)
        snprintf((*ret)[i], XENO_LAYER_TEXT, "%s", im->layers[i].digest);
    return 0;
}

/* --- what is remembered --- */

void xenod_image_remember(struct xenod *d, const char *id, const struct xeno_requirement *req)
{
    xeno_auto(xeno_image) im = NULL;
    xeno_auto(xeno_json) doc = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_json *env = xeno_json_array();
    struct xeno_err err = XENO_ERR_INIT;

    doc = xeno_json_object();
    xeno_json_set(doc, "env", env);
    if (stack(d, req, &im, &err) < 0 || !im)
        return; /* no image: nothing to give */
    for (char **p = im->env; p && *p; p++)
        xeno_json_append_str(env, *p);
    xeno_json_set_str(doc, "cwd", im->cwd);
    xeno_json_set_str(doc, "user", im->user);
    text = xeno_json_format(doc, false, NULL);
    if (xeno_db_run(d->db, &err,
                    "INSERT INTO xenod_image (id, doc, time_ms) VALUES ($1, $2, $3)"
                    " ON CONFLICT (id) DO NOTHING",
                    "tti", id, text, xeno_wall(d->env).ns / XENO_NS_PER_MS) < 0)
        xeno_log_err(LOG_ERR, "image.remember", &err, "id=%s", id);
}

void xenod_image_rename(struct xenod *d, const char *from, const char *to)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_db_run(d->db, &err, "UPDATE xenod_image SET id = $2 WHERE id = $1", "tt", from, to) <
        0)
        xeno_log_err(LOG_ERR, "image.remember", &err, "id=%s", to);
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
