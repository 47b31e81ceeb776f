/* src/xenod/enrol.c - join a XenoCorp: make a key, exchange a one-time token for a credential.
 *
 * The token names the XenoCorp, so that whoever else answers at its address is not taken for it.
 * The key is written before the token is spent: a repeat after a crash gives the same credential.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "doc/token.h"
#include "json/json.h"
#include "xenod/xenod.h"

static int get_key(struct xenod *d, struct xeno_err *err)
{
    int r = xeno_key_load(d->dirfd, "key.pem", &d->key, err);

    if (r == -ENOENT) {
        d->key = xeno_key_new(d->env);
        r = xeno_key_save(d->key, d->dirfd, "key.pem", err);
    }
    if (r == 0)
        d->id = xeno_id_of(xeno_key_pub(d->key));
    return r;
}

static struct xeno_json *machine_json(const struct xenod *d)
{
    struct xeno_json *m = xeno_json_object();

    xeno_json_set_str(m, "architecture", d->machine.architecture);
    xeno_json_set_str(m, "cpu", *d->machine.cpu ? d->machine.cpu : "unknown");
    xeno_json_set_int(m, "cpus", d->machine.cpus);
    xeno_json_set_int(m, "memory_bytes", d->machine.memory_bytes);
    xeno_json_set_int(m, "network_mbps", d->opt.net_mbps);
    return m;
}

static struct xeno_json *hosts_json(const struct xenod *d)
{
    xeno_autofree char *copy = xeno_strdup(d->opt.hosts);
    struct xeno_json *arr = xeno_json_array();
    char *rest = copy, *word;

    while ((word = strsep(&rest, ", ")) != NULL) {
        if (*word)
            xeno_json_append_str(arr, word);
    }
    return arr;
}

/* Where clients reach us when the operator did not say: the first host, the port we listen on. */
static char *endpoint_of(const struct xenod *d)
{
    const char *port = strrchr(d->opt.listen, ':');

    if (d->opt.endpoint)
        return xeno_strdup(d->opt.endpoint);
    return xeno_asprintf("https://%.*s%s", (int)strcspn(d->opt.hosts, ", "), d->opt.hosts,
                         port ? port : "");
}

static int make_request(const struct xenod *d, const char *token, char **ret, size_t *ret_len,
                        struct xeno_err *err)
{
    xeno_auto(xeno_json) body = xeno_json_object();
    xeno_autofree char *csr = NULL;
    xeno_autofree char *endpoint = endpoint_of(d);
    struct xeno_json *payout = xeno_json_object();
    int r = xeno_csr_make(d->key, &csr, err);

    xeno_json_set_str(payout, "account", d->opt.payout);
    xeno_json_set_str(body, "token", token);
    xeno_json_set_str(body, "csr", csr);
    xeno_json_set_str(body, "name", d->opt.name);
    xeno_json_set_str(body, "owner", d->opt.owner);
    xeno_json_set_str(body, "contact", d->opt.contact ? d->opt.contact : d->opt.owner);
    xeno_json_set(body, "payout", payout);
    xeno_json_set(body, "machine", machine_json(d));
    xeno_json_set_str(body, "endpoint", endpoint);
    xeno_json_set(body, "hosts", hosts_json(d));
    if (r < 0)
        return r;
    *ret = xeno_json_format(body, false, ret_len);
    return 0;
}

static int save(struct xenod *d, const char *answer, size_t len, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    xeno_auto(xeno_cert) cert = NULL;
    struct xeno_json_at at;
    const char *ca = NULL, *pem = NULL;
    struct xeno_pub pub;
    int r = xeno_json_parse(answer, len, 64 * 1024, &j, err);

    if (r < 0)
        return r;
    at = xeno_json_top(j);
    r = xeno_json_str(&at, "ca", 1, XENO_CERT_PEM_MAX, &ca, err);
    if (r == 0)
        r = xeno_json_str(&at, "certificate", 1, XENO_CERT_PEM_MAX, &pem, err);
    if (r == 0)
        r = xeno_ca_pub(ca, &pub, err);
    if (r == 0 && strcmp(xeno_id_of(&pub).s, d->corp.s) != 0)
        r = xeno_fail(err, -EPERM, "identity.corp", "the answer is of another XenoCorp, not %s",
                      d->corp.s);
    if (r == 0)
        r = xenod_identity_check(d, pem, ca, &cert, err);
    if (r == 0)
        r = xeno_file_write(d->dirfd, "ca.pem", 0644, ca, strlen(ca), err);
    if (r == 0)
        r = xeno_file_write(d->dirfd, "credential.pem", 0644, pem, strlen(pem), err);
    return r;
}

int xenod_enrol(struct xenod *d, const char *token, struct xeno_err *err)
{
    xeno_autofree char *body = NULL;
    xeno_autofree char *answer = NULL;
    xeno_autofree char *url = NULL;
    struct xeno_http_client_opts opts = { .env = d->env, .pin_ca = d->corp.s };
    struct xeno_http_ask ask = { .method = "POST", .retry = true, .deadline = xeno_s(30) };
    size_t len = 0;
    int r;

    if (!d->opt.corp_url)
        return xeno_fail(err, -EINVAL, "conf.missing", "say where the XenoCorp is: --corp-url=...");
    r = xeno_token_parse(token, &d->corp, err);
    if (r == 0)
        r = xenod_identity_dir(d, err);
    if (r == 0)
        r = get_key(d, err);
    if (r < 0)
        return r;
    xenod_probe(&d->machine, d->opt.dir);
    r = make_request(d, token, &body, &ask.body_len, err);
    if (r == 0)
        r = sd_event_default(&d->loop);
    if (r >= 0)
        r = xeno_http_client_new(d->loop, &opts, &d->client, err);
    if (r < 0)
        return r;
    url = xeno_asprintf("%s/v1/servers", d->opt.corp_url);
    ask.url = url;
    ask.body = body;
    r = xeno_http_wait(d->client, &ask, NULL, &answer, &len, err);
    if (r == 0)
        r = save(d, answer, len, err);
    if (r < 0)
        return xeno_context(err, r, "enrol at %s", d->opt.corp_url);
    printf("%s\n", d->id.s);
    return 0;
}
