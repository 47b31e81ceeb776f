/* src/image/source-registry.c - a connection for each thread that reads from a registry. */
#include "image/source-registry.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "crypto/key.h"

#define IDLE_MAX 16 /* connections kept */

struct conn {
    struct sd_event *loop;
    struct xeno_http_client *http;
    struct xeno_registry *registry;
    struct conn *next;
};

struct registry_source {
    struct xeno_source base; /* first, so the two pointers are one */
    const struct xeno_env *env;
    char *url, *repo, *ca_file, *password;
    char *ca_pem, *cert_pem; /* NULL: it is not of our XenoCorp */
    const struct xeno_key *key;
    bool plain;
    unsigned pace_s, wait_s;
    int (*guard)(void *arg, const struct xeno_http_peer *p, struct xeno_err *err);
    void *guard_arg;
    pthread_mutex_t mutex; /* of the next two */
    struct conn *idle;
    unsigned idle_count;
};

static void conn_free(struct conn *c)
{
    if (!c)
        return;
    xeno_registry_free(c->registry);
    xeno_http_client_free(c->http);
    sd_event_unref(c->loop);
    free(c);
}

static int conn_open(struct registry_source *rs, struct conn **ret, struct xeno_err *err)
{
    struct xeno_http_client_opts web = { .env = rs->env,
                                         .web = true,
                                         .ca_file = rs->ca_file,
                                         .plain_loopback = rs->plain,
                                         .guard = rs->guard,
                                         .guard_arg = rs->guard_arg };
    struct xeno_http_client_opts party = { .env = rs->env,
                                           .ca_pem = rs->ca_pem,
                                           .cert_pem = rs->cert_pem,
                                           .key = rs->key,
                                           .guard = rs->guard,
                                           .guard_arg = rs->guard_arg };
    struct conn *c = xeno_new0(struct conn);
    struct xeno_registry_opts o = { .env = rs->env,
                                    .base = rs->url,
                                    .repo = rs->repo,
                                    .password = rs->password,
                                    .parallel = 1,
                                    .pace_s = rs->pace_s,
                                    .wait_s = rs->wait_s };
    int r = sd_event_new(&c->loop);

    if (r < 0)
        r = xeno_fail_errno(err, r, "http.client", "make a loop");
    else
        r = xeno_http_client_new(c->loop, rs->ca_pem ? &party : &web, &c->http, err);
    o.loop = c->loop;
    o.http = c->http;
    if (r >= 0)
        r = xeno_registry_new(&o, &c->registry, err);
    if (r < 0) {
        conn_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

static int conn_take(struct registry_source *rs, struct conn **ret, struct xeno_err *err)
{
    struct conn *c;

    pthread_mutex_lock(&rs->mutex);
    c = rs->idle;
    if (c) {
        rs->idle = c->next;
        rs->idle_count--;
    }
    pthread_mutex_unlock(&rs->mutex);
    *ret = c;
    return c ? 0 : conn_open(rs, ret, err);
}

/* sound: nothing is under way on it. */
static void conn_put(struct registry_source *rs, struct conn *c, bool sound)
{
    pthread_mutex_lock(&rs->mutex);
    if (sound && rs->idle_count < IDLE_MAX) {
        c->next = rs->idle;
        rs->idle = c;
        rs->idle_count++;
        c = NULL;
    }
    pthread_mutex_unlock(&rs->mutex);
    conn_free(c);
}

int xeno_source_registry_do(struct xeno_source *s,
                            int (*fn)(struct xeno_registry *r, void *arg, struct xeno_err *err),
                            void *arg, struct xeno_err *err)
{
    struct registry_source *rs = (struct registry_source *)s;
    struct conn *c = NULL;
    int r = conn_take(rs, &c, err);

    if (r < 0)
        return r;
    r = fn(c->registry, arg, err);
    conn_put(rs, c, r >= 0);
    return r;
}

struct asked {
    const char *ref;
    char **ret_text;
    size_t *ret_len;
    char *ret_digest;
};

static int ask_manifest(struct xeno_registry *r, void *arg, struct xeno_err *err)
{
    const struct asked *a = arg;

    return xeno_registry_manifest(r, a->ref, NULL, a->ret_text, a->ret_len, a->ret_digest, err);
}

int xeno_source_registry_manifest(struct xeno_source *s, const char *ref, char **ret_text,
                                  size_t *ret_len, char ret_digest[XENO_DIGEST_TEXT],
                                  struct xeno_err *err)
{
    struct asked a = {
        .ref = ref, .ret_text = ret_text, .ret_len = ret_len, .ret_digest = ret_digest
    };

    return xeno_source_registry_do(s, ask_manifest, &a, err);
}

struct reading {
    const char *digest;
    int64_t offset;
    void *buf;
    size_t len;
};

static int ask_part(struct xeno_registry *r, void *arg, struct xeno_err *err)
{
    const struct reading *g = arg;

    return xeno_registry_read(r, g->digest, g->offset, g->len, g->buf, err);
}

static int registry_read(struct xeno_source *s, const char *digest, int64_t offset, void *buf,
                         size_t len, const struct xeno_source_want *want, struct xeno_err *err)
{
    struct reading g = { .digest = digest, .offset = offset, .buf = buf, .len = len };

    (void)want;
    return xeno_source_registry_do(s, ask_part, &g, err);
}

static void registry_free(struct xeno_source *s)
{
    struct registry_source *rs = (struct registry_source *)s;
    struct conn *c, *next;

    for (c = rs->idle; c; c = next) {
        next = c->next;
        conn_free(c);
    }
    if (rs->password)
        xeno_wipe(rs->password, strlen(rs->password));
    pthread_mutex_destroy(&rs->mutex);
    free(rs->password);
    free(rs->cert_pem);
    free(rs->ca_pem);
    free(rs->ca_file);
    free(rs->repo);
    free(rs->url);
    free(rs);
}

static const struct xeno_source_ops registry_ops = { .read = registry_read, .free = registry_free };

int xeno_source_registry(const struct xeno_source_registry_opts *opts, struct xeno_source **ret,
                         struct xeno_err *err)
{
    struct registry_source *rs;
    char *password = NULL;
    int r = 0;

    if (!opts->party && !opts->anonymous)
        r = xeno_registry_password(opts->auth_file, opts->name->host, opts->name->repo, &password,
                                   err);

    if (r < 0)
        return r;
    rs = xeno_new0(struct registry_source);
    rs->base.ops = &registry_ops;
    rs->base.name =
        xeno_asprintf("%s%s/%s", XENO_REGISTRY_SCHEME, opts->name->host, opts->name->repo);
    rs->env = opts->env;
    rs->url =
        xeno_asprintf("%s://%s", opts->plain && !opts->party ? "http" : "https", opts->name->host);
    if (opts->party) {
        rs->ca_pem = xeno_strdup(opts->party->ca_pem);
        rs->cert_pem = xeno_strdup(opts->party->cert_pem);
        rs->key = opts->party->key;
    }
    rs->repo = xeno_strdup(opts->name->repo);
    rs->ca_file = xeno_strdup(opts->ca_file);
    rs->password = password;
    rs->plain = opts->plain;
    rs->pace_s = opts->pace_s;
    rs->wait_s = opts->wait_s;
    rs->guard = opts->guard;
    rs->guard_arg = opts->guard_arg;
    pthread_mutex_init(&rs->mutex, NULL);
    *ret = &rs->base;
    return 0;
}
