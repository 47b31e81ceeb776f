/* src/xenod/identity.c - who this XenoServer is, and keeping that true.
 *
 * key.pem is made at enrolment and never changes; credential.pem lives a day and is renewed when
 * two thirds of that are over; ca.pem is the XenoCorp's. The revocation list is fetched when the
 * last one says so, and kept, so that a restart without the XenoCorp still knows it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "json/json.h"
#include "xenod/xenod.h"

#define RETRY_MS       30000
#define RETRY_LEAST_MS 1000
#define FETCH_LEAST_MS 10000
#define FETCH_MOST_MS  60000 /* so long may a credential still be used that was revoked */

static const char revocations_name[] = "revocations";

int xenod_identity_dir(struct xenod *d, struct xeno_err *err)
{
    int r = xeno_mkdirs(AT_FDCWD, d->opt.dir, 0755, err);

    if (r < 0)
        return r;
    (void)chmod(d->opt.dir,
                0700); /* ours alone; refused when it is somebody else's, then so be it */
    d->dirfd = open(d->opt.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dirfd < 0)
        return xeno_fail_errno(err, -errno, "identity.dir", "open folder '%s'", d->opt.dir);
    return 0;
}

int xenod_identity_check(const struct xenod *d, const char *cert_pem, const char *ca_pem,
                         struct xeno_cert **ret, struct xeno_err *err)
{
    xeno_auto(xeno_cert) cert = NULL;
    int r = xeno_cert_parse(cert_pem, 0, &cert, err);

    if (r == 0)
        r = xeno_cert_check(cert_pem, 0, ca_pem, xeno_wall(d->env), err);
    if (r < 0)
        return r;
    if (cert->kind != XENO_PARTY_SERVER)
        return xeno_fail(err, -EPERM, "identity.kind",
                         "the credential is a %s's; enrol with a token for servers",
                         xeno_party_name(cert->kind));
    if (strcmp(cert->id.s, d->id.s) != 0)
        return xeno_fail(err, -EPERM, "identity.key", "the credential is %s's, the key is %s's",
                         cert->id.s, d->id.s);
    *ret = xeno_take(&cert);
    return 0;
}

static int load_pem(struct xenod *d, const char *name, char **ret, struct xeno_err *err)
{
    size_t len;
    int r = xeno_file_read(d->dirfd, name, XENO_CERT_PEM_MAX, ret, &len, err);

    if (r == -ENOENT)
        return xeno_fail(err, r, "identity.missing",
                         "there is no %s in '%s': get a token from the XenoCorp and run "
                         "xenod --enrol TOKEN",
                         name, d->opt.dir);
    return r;
}

static void load_revocations(struct xenod *d)
{
    xeno_autofree char *text = xenod_keep_get(d, revocations_name);
    struct xeno_err err = XENO_ERR_INIT;

    if (text && xeno_revocations_read(text, strlen(text), &d->corp_pub, &d->revoked, &err) < 0)
        xeno_log_err(LOG_WARNING, "revocations.kept", &err, "%s", "");
}

/* The answer of a renewal: a credential for our key, in *ret as PEM (borrowed from *ret_json). */
static int read_renewed(const struct xenod *d, const char *body, size_t len,
                        struct xeno_json **ret_json, const char **ret, struct xeno_cert **ret_cert,
                        struct xeno_err *err)
{
    struct xeno_json_at at;
    int r = xeno_json_parse(body, len, 64 * 1024, ret_json, err);

    if (r < 0)
        return r;
    at = xeno_json_top(*ret_json);
    r = xeno_json_str(&at, "certificate", 1, XENO_CERT_PEM_MAX, ret, err);
    if (r == 0)
        r = xenod_identity_check(d, *ret, d->ca_pem, ret_cert, err);
    if (r == 0)
        r = xeno_file_write(d->dirfd, "credential.pem", 0644, *ret, strlen(*ret), err);
    return r;
}

static char *renewal_body(const struct xenod *d, size_t *ret_len)
{
    xeno_auto(xeno_json) body = xeno_json_object();
    xeno_autofree char *csr = NULL;

    if (xeno_csr_make(d->key, &csr, NULL) == 0)
        xeno_json_set_str(body, "csr", csr);
    return xeno_json_format(body, false, ret_len);
}

/* The machine was off for longer than a credential lives. It cannot be shown any more, but a
 * request by the same key will do. Waits for the answer: without it there is nothing to serve. */
static int renew_expired(struct xenod *d, struct xeno_err *err)
{
    struct xeno_http_client_opts opts = { .env = d->env, .ca_pem = d->ca_pem };
    xeno_auto(xeno_http_client) client = NULL;
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *url = xeno_asprintf("%s/v1/credentials/renew", d->opt.corp_url);
    xeno_autofree char *body = NULL;
    xeno_autofree char *answer = NULL;
    struct xeno_http_ask ask = {
        .method = "POST", .url = url, .server_id = d->corp.s, .deadline = xeno_s(20)
    };
    const char *pem = NULL;
    size_t len = 0;
    int r = xeno_http_client_new(d->loop, &opts, &client, err);

    if (r < 0)
        return r;
    ask.body = body = renewal_body(d, &ask.body_len);
    r = xeno_http_wait(client, &ask, NULL, &answer, &len, err);
    if (r == 0)
        r = read_renewed(d, answer, len, &j, &pem, &d->cert, err);
    if (r < 0)
        return xeno_context(err, r, "the credential has expired and could not be renewed");
    free(d->cert_pem);
    d->cert_pem = xeno_strdup(pem);
    return 0;
}

int xenod_identity_open(struct xenod *d, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    int r = load_pem(d, "ca.pem", &d->ca_pem, err);

    if (r == 0)
        r = xeno_ca_pub(d->ca_pem, &d->corp_pub, err);
    if (r == 0)
        r = load_pem(d, "credential.pem", &d->cert_pem, err);
    if (r == 0)
        r = xeno_key_load(d->dirfd, "key.pem", &d->key, err);
    if (r < 0)
        return r;
    d->corp = xeno_id_of(&d->corp_pub);
    d->id = xeno_id_of(xeno_key_pub(d->key));
    r = xenod_identity_check(d, d->cert_pem, d->ca_pem, &d->cert, &why);
    if (r < 0 && xeno_err_is(&why, "x509.expired") && d->loop)
        return renew_expired(d, err);
    if (r < 0 && err)
        *err = why;
    return r < 0 ? xeno_context(err, r, "credential in '%s'", d->opt.dir) : 0;
}

bool xenod_revoked(const char *serial, void *user)
{
    struct xenod *d = user;

    return xeno_revocations_has(d->revoked, serial);
}

/* --- renewal --- */

static int take_renewed(struct xenod *d, const char *body, size_t len, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    xeno_auto(xeno_cert) cert = NULL;
    const char *pem = NULL;
    int r = read_renewed(d, body, len, &j, &pem, &cert, err);

    if (r == 0)
        r = xeno_http_server_cert(d->server, pem, d->key, err);
    if (r == 0)
        r = xeno_http_client_cert(d->client, pem, d->key, err);
    if (r < 0)
        return r;
    free(d->cert_pem);
    d->cert_pem = xeno_strdup(pem);
    xeno_cert_free(d->cert);
    d->cert = xeno_take(&cert);
    return 0;
}

/* How long to wait before the next try: a third of the time that is left, within bounds, so that
 * there is more than one however short a credential lives. */
static xeno_time renew_wait(const struct xenod *d)
{
    int64_t left_ms = (d->cert->not_after.ns - xeno_wall(d->env).ns) / XENO_NS_PER_MS;

    if (left_ms <= 0 || left_ms / 3 > RETRY_MS)
        return xeno_ms(RETRY_MS);
    return xeno_ms(left_ms / 3 > RETRY_LEAST_MS ? left_ms / 3 : RETRY_LEAST_MS);
}

static void on_renewed(const struct xeno_http_answer *a, void *arg)
{
    struct xenod *d = arg;
    struct xeno_err err = XENO_ERR_INIT;
    const struct xeno_err *why = a->err ? a->err : &err;
    char until[XENO_TIME_TEXT];
    bool good = !a->err && take_renewed(d, a->body, a->len, &err) == 0;

    d->renewing = false;
    d->renew_after = xeno_time_add(xeno_mono(d->env), renew_wait(d));
    d->corp_answers = a->status != 0;
    xeno_time_text(d->cert->not_after, until);
    if (good)
        xeno_log(LOG_INFO, "credential.renewed", "serial=%s valid-until=%s", d->cert->serial,
                 until);
    else
        xeno_log_err(a->err ? LOG_WARNING : LOG_ERR, "credential.renew", why, "valid-until=%s",
                     until);
}

static void renew(struct xenod *d)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/credentials/renew", d->opt.corp_url);
    xeno_autofree char *body = NULL;
    struct xeno_http_ask ask = { .method = "POST",
                                 .url = url,
                                 .server_id = d->corp.s,
                                 .deadline = xeno_s(20),
                                 .done = on_renewed,
                                 .arg = d };

    ask.body = body = renewal_body(d, &ask.body_len);
    d->renewing = true;
    xeno_http_send(d->client, &ask);
}

/* --- revocations --- */

static int take_revocations(struct xenod *d, const char *body, size_t len, struct xeno_err *err)
{
    xeno_auto(xeno_revocations) list = NULL;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at at;
    const char *text;
    int r = xeno_json_parse(body, len, 1 << 20, &j, err);

    if (r < 0)
        return r;
    at = xeno_json_top(j);
    r = xeno_json_str(&at, "signed", 1, 1 << 20, &text, err);
    if (r == 0)
        r = xeno_revocations_read(text, strlen(text), &d->corp_pub, &list, err);
    if (r < 0)
        return r;
    if (d->revoked && list->version < d->revoked->version)
        return xeno_fail(err, -ESTALE, "revoke.version",
                         "version %" PRId64 " is older than %" PRId64 ", which is kept",
                         list->version, d->revoked->version);
    d->fetch_after.ns = list->next.ns - xeno_wall(d->env).ns; /* a length, yet */
    if (!d->revoked || list->version > d->revoked->version) {
        xenod_keep_put(d, revocations_name, text);
        xeno_log(LOG_INFO, "revocations.new", "version=%" PRId64 " count=%zu", list->version,
                 list->count);
    }
    xeno_revocations_free(d->revoked);
    d->revoked = xeno_take(&list);
    return 0;
}

static void on_revocations(const struct xeno_http_answer *a, void *arg)
{
    struct xenod *d = arg;
    struct xeno_err err = XENO_ERR_INIT;

    d->fetching = false;
    d->corp_answers = a->status != 0;
    d->fetch_after = xeno_ms(RETRY_MS);
    if (a->err)
        xeno_log_err(LOG_NOTICE, "revocations.fetch", a->err, "%s", "");
    else if (take_revocations(d, a->body, a->len, &err) < 0)
        xeno_log_err(LOG_WARNING, "revocations.fetch", &err, "%s", "");
    if (d->fetch_after.ns < FETCH_LEAST_MS * XENO_NS_PER_MS)
        d->fetch_after = xeno_ms(FETCH_LEAST_MS);
    if (d->fetch_after.ns > FETCH_MOST_MS * XENO_NS_PER_MS)
        d->fetch_after = xeno_ms(FETCH_MOST_MS);
    d->fetch_after = xeno_time_add(xeno_mono(d->env), d->fetch_after);
}

static void fetch(struct xenod *d)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/revocations", d->opt.corp_url);
    struct xeno_http_ask ask = { .method = "GET",
                                 .url = url,
                                 .server_id = d->corp.s,
                                 .deadline = xeno_s(20),
                                 .done = on_revocations,
                                 .arg = d };

    d->fetching = true;
    xeno_http_send(d->client, &ask);
}

void xenod_identity_tick(struct xenod *d)
{
    xeno_time now = xeno_wall(d->env);
    int64_t life = d->cert->not_after.ns - d->cert->not_before.ns;

    if (!d->revoked && d->fetch_after.ns == 0)
        load_revocations(d);
    if (!d->fetching && xeno_mono(d->env).ns >= d->fetch_after.ns)
        fetch(d);
    if (!d->renewing && now.ns >= d->cert->not_after.ns - life / 3 &&
        xeno_mono(d->env).ns >= d->renew_after.ns)
        renew(d);
}
