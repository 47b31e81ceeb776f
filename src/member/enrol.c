/* src/member/enrol.c - join a XenoCorp: make a key, exchange a one-time token for a credential. */
#include <errno.h>
#include <string.h>

#include "base/io.h"
#include "doc/token.h"
#include "json/json.h"
#include "member/member-priv.h"

#define ANSWER_MAX_BYTES (64 * 1024)

static int get_key(struct xeno_member *m, struct xeno_err *err)
{
    xeno_auto(xeno_key) key = NULL;
    int r = xeno_key_load(m->opt.dirfd, "key.pem", &key, err);

    if (r == -ENOENT) {
        key = xeno_key_new(m->opt.env);
        r = xeno_key_save(key, m->opt.dirfd, "key.pem", err);
    }
    if (r < 0)
        return r;
    xeno_key_free(m->key);
    m->key = xeno_take(&key);
    m->id = xeno_id_of(xeno_key_pub(m->key));
    return 0;
}

static struct xeno_json *hosts_json(const char *hosts)
{
    xeno_autofree char *copy = xeno_strdup(hosts);
    struct xeno_json *arr = xeno_json_array();
    char *rest = copy, *word;

    while ((word = strsep(&rest, ", ")) != NULL) {
        if (*word)
            xeno_json_append_str(arr, word);
    }
    return arr;
}

char *xeno_member_endpoint(const struct xeno_member_told *told, const char *listen)
{
    const char *port = strrchr(listen, ':'), *hosts = told->hosts;

    if (told->endpoint)
        return xeno_strdup(told->endpoint);
    return xeno_asprintf("https://%.*s%s", (int)strcspn(hosts, ", "), hosts, port ? port : "");
}

static int make_request(const struct xeno_member *m, const char *token,
                        const struct xeno_member_join *join, char **ret, size_t *ret_len,
                        struct xeno_err *err)
{
    xeno_auto(xeno_json) body = xeno_json_object();
    xeno_autofree char *csr = NULL;
    xeno_autofree char *endpoint = xeno_member_endpoint(join->told, join->listen);
    struct xeno_json *payout = xeno_json_object();
    const struct xeno_member_told *told = join->told;
    int r = xeno_csr_make(m->key, &csr, err);

    xeno_json_set_str(payout, "account", told->payout);
    xeno_json_set_str(body, "token", token);
    xeno_json_set_str(body, "csr", csr);
    xeno_json_set_str(body, "name", told->name);
    xeno_json_set_str(body, "owner", told->owner);
    xeno_json_set_str(body, "contact", told->contact ? told->contact : told->owner);
    xeno_json_set(body, "payout", payout);
    if (join->about)
        xeno_json_set(body, join->about, xeno_json_ref(join->has));
    xeno_json_set_str(body, "endpoint", endpoint);
    xeno_json_set(body, "hosts", hosts_json(told->hosts));
    if (r < 0)
        return r;
    *ret = xeno_json_format(body, false, ret_len);
    return 0;
}

/* The answer: a credential by the XenoCorp that the token names, for our key. */
static int save(struct xeno_member *m, const char *answer, size_t len, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    xeno_auto(xeno_cert) cert = NULL;
    struct xeno_json_at at;
    const char *ca = NULL, *pem = NULL;
    struct xeno_pub pub;
    int r = xeno_json_parse(answer, len, ANSWER_MAX_BYTES, &j, err);

    if (r < 0)
        return r;
    at = xeno_json_top(j);
    r = xeno_json_str(&at, "ca", 1, XENO_CERT_PEM_MAX, &ca, err);
    if (r == 0)
        r = xeno_json_str(&at, "certificate", 1, XENO_CERT_PEM_MAX, &pem, err);
    if (r == 0)
        r = xeno_ca_pub(ca, &pub, err);
    if (r == 0 && strcmp(xeno_id_of(&pub).s, m->corp.s) != 0)
        r = xeno_fail(err, -EPERM, "identity.corp", "the answer is of another XenoCorp, not %s",
                      m->corp.s);
    if (r == 0)
        r = member_check(m, pem, ca, &cert, err);
    if (r == 0)
        r = xeno_file_write(m->opt.dirfd, "ca.pem", 0644, ca, strlen(ca), err);
    if (r == 0)
        r = xeno_file_write(m->opt.dirfd, "credential.pem", 0644, pem, strlen(pem), err);
    return r;
}

static int exchange(struct xeno_member *m, struct sd_event *loop, const char *token,
                    const struct xeno_member_join *join, struct xeno_err *err)
{
    xeno_auto(xeno_http_client) client = NULL;
    xeno_autofree char *body = NULL;
    xeno_autofree char *answer = NULL;
    xeno_autofree char *url = NULL;
    struct xeno_http_client_opts opts = { .env = m->opt.env, .pin_ca = m->corp.s };
    struct xeno_http_ask ask = { .method = "POST", .retry = true, .deadline = xeno_s(30) };
    size_t len = 0;
    int r = make_request(m, token, join, &body, &ask.body_len, err);

    if (r == 0)
        r = xeno_http_client_new(loop, &opts, &client, err);
    if (r < 0)
        return r;
    url = xeno_asprintf("%s/v1/%ss", m->opt.corp_url, xeno_party_name(m->opt.kind));
    ask.url = url;
    ask.body = body;
    r = xeno_http_wait(client, &ask, NULL, &answer, &len, err);
    return r < 0 ? r : save(m, answer, len, err);
}

int xeno_member_enrol(struct xeno_member *m, struct sd_event *loop, const char *token,
                      const struct xeno_member_join *join, struct xeno_err *err)
{
    int r;

    if (!m->opt.corp_url)
        return xeno_fail(err, -EINVAL, "conf.missing", "say where the XenoCorp is: --corp-url=...");
    r = xeno_token_parse(token, &m->corp, err);
    if (r == 0)
        r = get_key(m, err);
    if (r < 0)
        return r;
    r = exchange(m, loop, token, join, err);
    if (r < 0)
        return xeno_context(err, r, "enrol at %s", m->opt.corp_url);
    return xeno_member_load(m, NULL, err);
}
