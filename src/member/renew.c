/* src/member/renew.c - a new credential before the old one ends, or right after. */
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "json/json.h"
#include "member/member-priv.h"

#define RETRY_MS         30000
#define RETRY_LEAST_MS   1000
#define ANSWER_MAX_BYTES (64 * 1024)

/* The answer of a renewal: a credential for our key, in *ret as PEM (borrowed from *ret_json). */
static int read_renewed(const struct xeno_member *m, const char *body, size_t len,
                        struct xeno_json **ret_json, const char **ret, struct xeno_cert **ret_cert,
                        struct xeno_err *err)
{
    struct xeno_json_at at;
    int r = xeno_json_parse(body, len, ANSWER_MAX_BYTES, ret_json, err);

    if (r < 0)
        return r;
    at = xeno_json_top(*ret_json);
    r = xeno_json_str(&at, "certificate", 1, XENO_CERT_PEM_MAX, ret, err);
    if (r == 0)
        r = member_check(m, *ret, m->ca_pem, ret_cert, err);
    if (r == 0)
        r = xeno_file_write(m->opt.dirfd, "credential.pem", 0644, *ret, strlen(*ret), err);
    return r;
}

static char *renewal_body(const struct xeno_member *m, size_t *ret_len)
{
    xeno_auto(xeno_json) body = xeno_json_object();
    xeno_autofree char *csr = NULL;

    if (xeno_csr_make(m->key, &csr, NULL) == 0)
        xeno_json_set_str(body, "csr", csr);
    return xeno_json_format(body, false, ret_len);
}

int member_renew_expired(struct xeno_member *m, struct sd_event *loop, struct xeno_err *err)
{
    struct xeno_http_client_opts opts = { .env = m->opt.env, .ca_pem = m->ca_pem };
    xeno_auto(xeno_http_client) client = NULL;
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *url = xeno_asprintf("%s/v1/credentials/renew", m->opt.corp_url);
    xeno_autofree char *body = NULL;
    xeno_autofree char *answer = NULL;
    struct xeno_http_ask ask = {
        .method = "POST", .url = url, .server_id = m->corp.s, .deadline = xeno_s(20)
    };
    const char *pem = NULL;
    size_t len = 0;
    int r = xeno_http_client_new(loop, &opts, &client, err);

    if (r < 0)
        return r;
    ask.body = body = renewal_body(m, &ask.body_len);
    r = xeno_http_wait(client, &ask, NULL, &answer, &len, err);
    if (r == 0)
        r = read_renewed(m, answer, len, &j, &pem, &m->cert, err);
    if (r < 0)
        return xeno_context(err, r, "the credential has expired and could not be renewed");
    free(m->cert_pem);
    m->cert_pem = xeno_strdup(pem);
    return 0;
}

static int take_renewed(struct xeno_member *m, const char *body, size_t len, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    xeno_auto(xeno_cert) cert = NULL;
    const char *pem = NULL;
    int r = read_renewed(m, body, len, &j, &pem, &cert, err);

    if (r == 0)
        r = xeno_http_client_cert(m->client, pem, m->key, err);
    if (r == 0 && m->server)
        r = xeno_http_server_cert(m->server, pem, m->key, err);
    if (r < 0)
        return r;
    free(m->cert_pem);
    m->cert_pem = xeno_strdup(pem);
    xeno_cert_free(m->cert);
    m->cert = xeno_take(&cert);
    return 0;
}

/* How long to wait before the next try: a third of the time that is left, within bounds, so that
 * there is more than one however short a credential lives. */
static xeno_time renew_wait(const struct xeno_member *m)
{
    int64_t left_ms = (m->cert->not_after.ns - xeno_wall(m->opt.env).ns) / XENO_NS_PER_MS;

    if (left_ms <= 0 || left_ms / 3 > RETRY_MS)
        return xeno_ms(RETRY_MS);
    return xeno_ms(left_ms / 3 > RETRY_LEAST_MS ? left_ms / 3 : RETRY_LEAST_MS);
}

static void on_renewed(const struct xeno_http_answer *a, void *arg)
{
    struct xeno_member *m = arg;
    struct xeno_err err = XENO_ERR_INIT;
    const struct xeno_err *why = a->err ? a->err : &err;
    char until[XENO_TIME_TEXT];
    bool good = !a->err && take_renewed(m, a->body, a->len, &err) == 0;

    m->renewing = false;
    m->renew_after = xeno_time_add(xeno_mono(m->opt.env), renew_wait(m));
    m->corp_answers = a->status != 0;
    xeno_time_text(m->cert->not_after, until);
    if (good)
        xeno_log(LOG_INFO, "credential.renewed", "serial=%s valid-until=%s", m->cert->serial,
                 until);
    else
        xeno_log_err(a->err ? LOG_WARNING : LOG_ERR, "credential.renew", why, "valid-until=%s",
                     until);
}

static void renew(struct xeno_member *m)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/credentials/renew", m->opt.corp_url);
    xeno_autofree char *body = NULL;
    struct xeno_http_ask ask = { .method = "POST",
                                 .url = url,
                                 .server_id = m->corp.s,
                                 .deadline = xeno_s(20),
                                 .done = on_renewed,
                                 .arg = m };

    ask.body = body = renewal_body(m, &ask.body_len);
    m->renewing = true;
    xeno_http_send(m->client, &ask);
}

void member_renew_tick(struct xeno_member *m)
{
    int64_t life = m->cert->not_after.ns - m->cert->not_before.ns;

    if (!m->renewing && xeno_wall(m->opt.env).ns >= m->cert->not_after.ns - life / 3 &&
        xeno_mono(m->opt.env).ns >= m->renew_after.ns)
        renew(m);
}
