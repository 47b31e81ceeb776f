/* src/xstored/tests/fixture.c - a XenoStore in this process. */
#include "fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/io.h"

static xeno_time wall(const struct xeno_env *env)
{
    return xeno_time_add(xeno_wall(xeno_env_real()),
                         xeno_ms(((const struct fixture *)env)->ahead_ms));
}

static xeno_time mono(const struct xeno_env *env)
{
    (void)env;
    return xeno_mono(xeno_env_real());
}

static void fresh(const struct xeno_env *env, void *out, size_t len)
{
    (void)env;
    xeno_random(xeno_env_real(), out, len);
}

static char *certificate(struct fixture *f, const struct xeno_key *key, enum xeno_party kind)
{
    static const char *const hosts[] = { "127.0.0.1", NULL };
    xeno_time now = xeno_wall(xeno_env_real());
    struct xeno_cert_spec spec = { .kind = kind,
                                   .pub = *xeno_key_pub(key),
                                   .not_before = xeno_time_add(now, xeno_s(-3600)),
                                   .not_after = xeno_time_add(now, xeno_s(90 * 86400)),
                                   .hosts = kind == XENO_PARTY_CLIENT ? NULL : hosts };
    char *pem = NULL;

    xeno_cert_serial(xeno_env_real(), spec.serial);
    assert_int_equal(xeno_cert_make(f->ca, f->ca_pem, &spec, &pem, NULL), 0);
    return pem;
}

static void make_person(struct fixture *f, int who)
{
    f->key[who] = xeno_key_new(xeno_env_real());
    f->id[who] = xeno_id_of(xeno_key_pub(f->key[who]));
    if (who != NOBODY)
        f->pem[who] = certificate(f, f->key[who], XENO_PARTY_CLIENT);
}

void fixture_connect(struct fixture *f)
{
    assert_true(sd_event_new(&f->loop) >= 0);
    for (int who = 0; who < PEOPLE; who++) {
        struct xeno_http_client_opts opts = { .env = xeno_env_real(),
                                              .ca_pem = f->ca_pem,
                                              .cert_pem = f->pem[who],
                                              .key = f->pem[who] ? f->key[who] : NULL };

        assert_int_equal(xeno_http_client_new(f->loop, &opts, &f->client[who], NULL), 0);
    }
}

void fixture_empty(struct fixture *f)
{
    static const char *const names[] = { "objects", "store.db", "store.db-wal", "store.db-shm" };

    for (size_t i = 0; i < XENO_LEN(names); i++) {
        xeno_autofree char *path = xeno_asprintf("%s/%s", f->dir, names[i]);

        assert_int_equal(xeno_remove_tree(AT_FDCWD, path, NULL), 0);
    }
}

static void make_files(struct fixture *f)
{
    xeno_auto(xeno_key) key = xeno_key_new(xeno_env_real());
    xeno_autofree char *pem = certificate(f, key, XENO_PARTY_NODE);
    xeno_autoclose int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(xeno_key_save(key, dir, "key.pem", NULL), 0);
    assert_int_equal(xeno_file_write(dir, "credential.pem", 0644, pem, strlen(pem), NULL), 0);
    assert_int_equal(xeno_file_write(dir, "ca.pem", 0644, f->ca_pem, strlen(f->ca_pem), NULL), 0);
}

void fixture_make(struct fixture *f)
{
    xeno_time now = xeno_wall(xeno_env_real());
    sigset_t set;

    *f = (struct fixture){ .env = { wall, mono, fresh }, .d = { .dirfd = -1 } };
    xeno_crypto_init();
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL); /* they are the loop's */
    strcpy(f->dir, "/var/tmp/xeno-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->ca = xeno_key_new(xeno_env_real());
    assert_int_equal(xeno_ca_make(f->ca, xeno_time_add(now, xeno_s(-3600)),
                                  xeno_time_add(now, xeno_s(100 * 86400)), &f->ca_pem, NULL),
                     0);
    make_files(f);
    for (int who = 0; who < PEOPLE; who++)
        make_person(f, who);
    fixture_connect(f);
}

void fixture_remove(struct fixture *f)
{
    for (int who = 0; who < PEOPLE; who++) {
        xeno_http_client_free(f->client[who]);
        xeno_key_free(f->key[who]);
        free(f->pem[who]);
    }
    xeno_key_free(f->ca);
    free(f->ca_pem);
    sd_event_unref(f->loop);
    xeno_remove_tree(AT_FDCWD, f->dir, NULL);
}

void fixture_start(struct fixture *f, const char *options)
{
    const struct xeno_conf_program *p = &xstored_program;
    struct xeno_err err = XENO_ERR_INIT;
    struct xstored_options *opt = &f->d.opt;

    f->d = (struct xstored){ .env = &f->env, .dirfd = -1, .loop = sd_event_ref(f->loop) };
    xeno_conf_defaults(p->items, p->count, opt);
    assert_int_equal(xeno_conf_set(p->items, p->count, opt, "dir", f->dir, NULL), 0);
    assert_int_equal(xeno_conf_set(p->items, p->count, opt, "listen", "127.0.0.1:0", NULL), 0);
    assert_int_equal(xeno_conf_parse(p->items, p->count, opt, options ? options : "", "test", &err),
                     0);
    if (xstored_open(&f->d, &err) < 0 || xstored_listen(&f->d, &err) < 0 ||
        xstored_start(&f->d, &err) < 0)
        fail_msg("%s: %s", err.token, err.text);
    snprintf(f->base, sizeof f->base, "https://127.0.0.1:%u", xeno_http_server_port(f->d.server));
}

void fixture_stop(struct fixture *f)
{
    xstored_release(&f->d);
    f->d = (struct xstored){ .dirfd = -1 };
}

/* --- asking --- */

void answer_release(struct answer *a)
{
    free(a->body);
    *a = (struct answer){ .status = 0 };
}

struct call {
    struct answer *a;
    bool over;
};

static void keep(const struct xeno_http_answer *from, const char *name, char *out, size_t room)
{
    const char *value = xeno_http_answer_header(from, name);

    snprintf(out, room, "%s", value ? value : "");
}

static void keep_code(struct answer *a)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list, first;
    const char *code = "";
    size_t count = 0;

    if (a->status < 400 || xeno_json_parse(a->body, a->len, 1 << 20, &j, NULL) < 0)
        return;
    top = xeno_json_top(j);
    if (xeno_json_arr(&top, "errors", 1, &list, &count, NULL) < 0 || count != 1)
        return;
    first = xeno_json_item(&list, 0);
    xeno_json_str(&first, "code", 1, 60, &code, NULL);
    snprintf(a->code, sizeof a->code, "%s", code);
}

static void on_done(const struct xeno_http_answer *from, void *arg)
{
    struct call *c = arg;
    struct answer *a = c->a;

    c->over = true;
    a->status = from->status;
    a->body = xeno_alloc0(from->len + 1, 1);
    memcpy(a->body, from->body, from->len);
    a->len = from->len;
    if (!from->status)
        print_message("no answer: %s\n", from->err ? from->err->text : "");
    snprintf(a->type, sizeof a->type, "%s", from->type);
    keep(from, "Location", a->location, sizeof a->location);
    keep(from, "Range", a->range, sizeof a->range);
    keep(from, "Docker-Content-Digest", a->digest, sizeof a->digest);
    keep(from, "Link", a->link, sizeof a->link);
    keep(from, "OCI-Subject", a->subject, sizeof a->subject);
    keep(from, "Content-Range", a->content_range, sizeof a->content_range);
    keep(from, "OCI-Filters-Applied", a->filters, sizeof a->filters);
    keep(from, "WWW-Authenticate", a->challenge, sizeof a->challenge);
    keep_code(a);
}

int fixture_ask(struct fixture *f, const struct question *q, struct answer *a)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", f->base, q->path);
    struct xeno_http_header headers[3];
    struct call call = { .a = a };
    struct xeno_http_ask ask = { .method = q->method,
                                 .url = url,
                                 .type = q->type ? q->type : "application/octet-stream",
                                 .body = q->body,
                                 .body_len = q->len    ? q->len
                                             : q->body ? strlen(q->body)
                                                       : 0,
                                 .headers = headers,
                                 .deadline = xeno_s(60),
                                 .done = on_done,
                                 .arg = &call };

    if (q->range)
        headers[ask.header_count++] = (struct xeno_http_header){ "Range", q->range };
    if (q->content_range)
        headers[ask.header_count++] =
            (struct xeno_http_header){ "Content-Range", q->content_range };
    if (q->authorization)
        headers[ask.header_count++] =
            (struct xeno_http_header){ "Authorization", q->authorization };
    answer_release(a);
    xeno_http_send(f->client[q->who], &ask);
    while (!call.over)
        assert_true(sd_event_run(f->loop, UINT64_MAX) >= 0);
    return a->status;
}

int fixture_say(struct fixture *f, struct answer *a, int who, const char *method, const char *body,
                const char *fmt, ...)
{
    xeno_autofree char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    path = xeno_vasprintf(fmt, ap);
    va_end(ap);
    return fixture_ask(
        f, &(struct question){ .who = who, .method = method, .path = path, .body = body }, a);
}

static int on_time(sd_event_source *s, uint64_t usec, void *user)
{
    (void)s;
    (void)usec;
    *(bool *)user = true;
    return 0;
}

void fixture_run_ms(struct fixture *f, unsigned ms)
{
    sd_event_source *s = NULL;
    bool over = false;

    sd_event_add_time_relative(f->loop, &s, CLOCK_MONOTONIC, ms * 1000u, 500, on_time, &over);
    while (!over)
        assert_true(sd_event_run(f->loop, UINT64_MAX) >= 0);
    sd_event_source_unref(s);
}

/* --- content --- */

void digest_of(const void *data, size_t len, char ret[XENO_DIGEST_TEXT])
{
    uint8_t sum[32];

    xeno_sha256_of(data, len, sum);
    xeno_digest_text(sum, ret);
}

void push_blob(struct fixture *f, int who, const char *repo, const char *text,
               char ret_digest[XENO_DIGEST_TEXT])
{
    struct answer a = { .status = 0 };

    digest_of(text, strlen(text), ret_digest);
    assert_int_equal(
        fixture_say(f, &a, who, "POST", text, "/v2/%s/blobs/uploads/?digest=%s", repo, ret_digest),
        201);
    answer_release(&a);
}

char *make_manifest(const char *config, size_t config_len, const char *layer, size_t layer_len,
                    const char *subject, const char *note)
{
    xeno_autofree char *refers =
        subject
            ? xeno_asprintf(",\"artifactType\":\"application/x-note\",\"subject\":{\"mediaType\":"
                            "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\","
                            "\"size\":2}",
                            subject)
            : xeno_strdup("");

    return xeno_asprintf(
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
        "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
        "\"size\":%zu},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
        "\"digest\":\"%s\",\"size\":%zu}]%s,\"annotations\":{\"note\":\"%s\"}}",
        config, config_len, layer, layer_len, refers, note);
}
