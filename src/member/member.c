/* src/member/member.c - the folder of a member: key, credential, CA, and what is told of them. */
#include "member/member.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "member/member-priv.h"

int xeno_member_dir(const char *dir, int *ret_fd, struct xeno_err *err)
{
    int r = xeno_mkdirs(AT_FDCWD, dir, 0755, err);

    if (r < 0)
        return r;
    (void)chmod(dir, 0700); /* ours alone; refused when it is somebody else's, then so be it */
    r = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r < 0)
        return xeno_fail_errno(err, -errno, "identity.dir", "open folder '%s'", dir);
    *ret_fd = r;
    return 0;
}

struct xeno_member *xeno_member_new(const struct xeno_member_opts *opts)
{
    struct xeno_member *m = xeno_new0(struct xeno_member);

    m->opt = *opts;
    m->opt.program = xeno_strdup(opts->program);
    m->opt.corp_url = xeno_strdup(opts->corp_url);
    m->opt.dir = xeno_strdup(opts->dir);
    return m;
}

void xeno_member_free(struct xeno_member *m)
{
    if (!m)
        return;
    xeno_revocations_free(m->revoked);
    xeno_cert_free(m->cert);
    xeno_key_free(m->key);
    free(m->cert_pem);
    free(m->ca_pem);
    free((char *)m->opt.program);
    free((char *)m->opt.corp_url);
    free((char *)m->opt.dir);
    free(m);
}

/* --- key and credential --- */

int member_check(const struct xeno_member *m, const char *cert_pem, const char *ca_pem,
                 struct xeno_cert **ret, struct xeno_err *err)
{
    xeno_auto(xeno_cert) cert = NULL;
    int r = xeno_cert_parse(cert_pem, 0, &cert, err);

    if (r == 0)
        r = xeno_cert_check(cert_pem, 0, ca_pem, xeno_wall(m->opt.env), err);
    if (r < 0)
        return r;
    if (cert->kind != m->opt.kind)
        return xeno_fail(err, -EPERM, "identity.kind",
                         "the credential is a %s's; enrol with a token for %ss",
                         xeno_party_name(cert->kind), xeno_party_name(m->opt.kind));
    if (strcmp(cert->id.s, m->id.s) != 0)
        return xeno_fail(err, -EPERM, "identity.key", "the credential is %s's, the key is %s's",
                         cert->id.s, m->id.s);
    *ret = xeno_take(&cert);
    return 0;
}

static int load_pem(const struct xeno_member *m, const char *name, char **ret, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r = xeno_file_read(m->opt.dirfd, name, XENO_CERT_PEM_MAX, &text, &len, err);

    if (r == -ENOENT)
        return xeno_fail(err, r, "identity.missing",
                         "there is no %s in '%s': get a token from the XenoCorp and run "
                         "%s --enrol TOKEN",
                         name, m->opt.dir, m->opt.program);
    if (r < 0)
        return r;
    free(*ret);
    *ret = xeno_take(&text);
    return 0;
}

int xeno_member_load(struct xeno_member *m, struct sd_event *loop, struct xeno_err *err)
{
    xeno_auto(xeno_key) key = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    int r = load_pem(m, "ca.pem", &m->ca_pem, err);

    if (r == 0)
        r = xeno_ca_pub(m->ca_pem, &m->corp_pub, err);
    if (r == 0)
        r = load_pem(m, "credential.pem", &m->cert_pem, err);
    if (r == 0)
        r = xeno_key_load(m->opt.dirfd, "key.pem", &key, err);
    if (r < 0)
        return r;
    xeno_key_free(m->key);
    m->key = xeno_take(&key);
    m->corp = xeno_id_of(&m->corp_pub);
    m->id = xeno_id_of(xeno_key_pub(m->key));
    xeno_cert_free(m->cert);
    m->cert = NULL;
    r = member_check(m, m->cert_pem, m->ca_pem, &m->cert, &why);
    if (r < 0 && xeno_err_is(&why, "x509.expired") && loop && m->opt.corp_url)
        return member_renew_expired(m, loop, err);
    if (r < 0 && err)
        *err = why;
    return r < 0 ? xeno_context(err, r, "credential in '%s'", m->opt.dir) : 0;
}

/* --- while it runs --- */

void xeno_member_attach(struct xeno_member *m, struct xeno_http_client *client,
                        struct xeno_http_server *server)
{
    if (client)
        m->client = client;
    if (server)
        m->server = server;
    if (!m->revoked)
        member_revoked_load(m);
}

void xeno_member_tick(struct xeno_member *m)
{
    if (!m->client || !m->opt.corp_url)
        return;
    member_revoked_tick(m);
    member_renew_tick(m);
}

int xeno_member_corp_check(const struct xeno_member *m, struct sd_event *loop, struct xeno_err *err)
{
    struct xeno_http_client_opts opts = { .env = m->opt.env, .ca_pem = m->ca_pem };
    xeno_auto(xeno_http_client) client = NULL;
    xeno_autofree char *url = xeno_asprintf("%s/healthz", m->opt.corp_url);
    struct xeno_http_ask ask = {
        .method = "GET", .url = url, .server_id = m->corp.s, .deadline = xeno_s(5)
    };
    int r = xeno_http_client_new(loop, &opts, &client, err);

    return r < 0 ? r : xeno_http_wait(client, &ask, NULL, NULL, NULL, err);
}

bool xeno_member_corp_refused(const struct xeno_http_answer *a)
{
    static const int passing[] = { 401, 408, 421, 425, 429 };

    if (a->status < 400 || a->status > 499 || strcmp(a->type, "application/problem+json") != 0)
        return false;
    for (size_t i = 0; i < XENO_LEN(passing); i++) {
        if (a->status == passing[i])
            return false;
    }
    return true;
}

bool xeno_member_corp_answers(const struct xeno_member *m)
{
    return m->corp_answers;
}

void xeno_member_corp_heard(struct xeno_member *m, bool answered)
{
    m->corp_answers = answered;
}

/* --- who it is --- */

const struct xeno_key *xeno_member_key(const struct xeno_member *m)
{
    return m->key;
}

const struct xeno_id *xeno_member_id(const struct xeno_member *m)
{
    return &m->id;
}

const struct xeno_id *xeno_member_corp(const struct xeno_member *m)
{
    return &m->corp;
}

const struct xeno_pub *xeno_member_corp_pub(const struct xeno_member *m)
{
    return &m->corp_pub;
}

const char *xeno_member_ca_pem(const struct xeno_member *m)
{
    return m->ca_pem;
}

const char *xeno_member_cert_pem(const struct xeno_member *m)
{
    return m->cert_pem;
}

const struct xeno_cert *xeno_member_cert(const struct xeno_member *m)
{
    return m->cert;
}
