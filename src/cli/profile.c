/* src/cli/profile.c - who the user is: key, credential, XenoCorp. */
#include "cli/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/out.h"

#define PROFILE_MAX 65536

void cli_profile_free(struct cli_profile *p)
{
    if (!p)
        return;
    if (p->dirfd >= 0)
        close(p->dirfd);
    free(p->path);
    free(p->corp_url);
    free(p->name);
    free(p->images);
    free(p->ca_pem);
    free(p->cert_pem);
    xeno_key_free(p->key);
    xeno_cert_free(p->cert);
    free(p);
}

char *cli_profile_path(const struct cli *cli)
{
    const char *home = cli->home ? cli->home : getenv("XENO_HOME");

    if (home && *home)
        return xeno_strdup(home);
    home = getenv("XDG_CONFIG_HOME");
    if (home && *home == '/')
        return xeno_asprintf("%s/xeno", home);
    home = getenv("HOME");
    return xeno_asprintf("%s/.config/xeno", home && *home ? home : "");
}

int cli_profile_put(const struct cli *cli, const char *name, const struct xeno_json *j,
                    struct xeno_err *err)
{
    xeno_autofree char *folder = cli_profile_path(cli), *text = NULL;
    xeno_autoclose int dirfd = -1;
    size_t len;
    int r = xeno_mkdirs(AT_FDCWD, folder, 0700, err);

    if (r < 0)
        return r;
    dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return xeno_fail_errno(err, -errno, "profile.write", "open %s", folder);
    text = xeno_json_format(j, true, &len);
    return xeno_file_write(dirfd, name, 0600, text, len, err);
}

static int missing(const char *path, struct xeno_err *err)
{
    return xeno_fail(err, -ENOENT, "profile.missing",
                     "you are not registered with a XenoCorp (no "
                     "profile in %s)",
                     path);
}

/* A missing file is a missing profile; anything else is said as it is. */
static int read_text(const struct cli_profile *p, const char *name, char **ret,
                     struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    size_t len;
    int r = xeno_file_read(p->dirfd, name, PROFILE_MAX, ret, &len, &why);

    if (r == -ENOENT)
        return missing(p->path, err);
    return r < 0 ? xeno_fail(err, r, why.token, "%s/%s: %s", p->path, name, why.text) : 0;
}

static int read_profile(struct cli_profile *p, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_json_at top;
    const char *url, *id, *name = "", *images = NULL;
    int r;

    r = read_text(p, "profile.json", &text, err);
    if (r == 0)
        r = xeno_json_parse(text, strlen(text), PROFILE_MAX, &j, err);
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_str(&top, "corp_url", 1, 512, &url, err);
    if (r == 0)
        r = xeno_json_str(&top, "corp_id", XENO_ID_CHARS, XENO_ID_CHARS, &id, err);
    if (r == 0)
        r = xeno_json_str_opt(&top, "name", 0, 256, &name, err);
    if (r >= 0)
        r = xeno_json_str_opt(&top, "images", 1, 4096, &images, err);
    if (r < 0)
        return xeno_context(err, r, "%s/profile.json", p->path);
    p->corp_url = xeno_strdup(url);
    p->name = xeno_strdup(name);
    p->images = xeno_strdup(images);
    memcpy(p->corp_id.s, id, sizeof p->corp_id.s);
    return 0;
}

static int read_credential(struct cli_profile *p, struct xeno_err *err)
{
    int r;

    r = xeno_key_load(p->dirfd, "key.pem", &p->key, err);
    if (r == -ENOENT)
        return missing(p->path, err);
    if (r == 0)
        r = read_text(p, "ca.pem", &p->ca_pem, err);
    if (r == 0)
        r = read_text(p, "credential.pem", &p->cert_pem, err);
    if (r == 0)
        r = xeno_ca_pub(p->ca_pem, &p->corp, err);
    if (r == 0)
        r = xeno_cert_parse(p->cert_pem, 0, &p->cert, err);
    if (r < 0)
        return xeno_context(err, r, "%s", p->path);
    if (strcmp(xeno_id_of(&p->corp).s, p->corp_id.s) != 0)
        return xeno_fail(err, -EINVAL, "profile.corp",
                         "%s: ca.pem is of another XenoCorp (%s) than "
                         "profile.json says",
                         p->path, xeno_id_of(&p->corp).s);
    return 0;
}

/* Is a third of its life left, or less? */
static bool is_old(const struct cli *cli, const struct xeno_cert *cert)
{
    int64_t life = cert->not_after.ns - cert->not_before.ns;

    return xeno_wall(cli->env).ns > cert->not_after.ns - life / 3;
}

int cli_profile_need(struct cli *cli, struct xeno_err *err)
{
    xeno_auto(cli_profile) p = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    int r;

    if (cli->profile)
        return 0;
    p = xeno_new0(struct cli_profile);
    p->path = cli_profile_path(cli);
    p->dirfd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dirfd < 0)
        return missing(p->path, err);
    r = read_profile(p, err);
    if (r == 0)
        r = read_credential(p, err);
    if (r < 0)
        return r;
    cli->profile = xeno_take(&p);
    /* Best effort while it is still good: the XenoCorp may be away, and work offline goes on. */
    if (is_old(cli, cli->profile->cert) && cli_profile_renew(cli, &why) < 0 &&
        xeno_wall(cli->env).ns > cli->profile->cert->not_after.ns)
        cli_note(cli, "your credential has expired, and renewing it failed: %s", why.text);
    return 0;
}

static int take_credential(struct cli *cli, const char *pem, struct xeno_err *err)
{
    struct cli_profile *p = cli->profile;
    xeno_auto(xeno_cert) cert = NULL;
    int r;

    r = xeno_cert_check(pem, 0, p->ca_pem, xeno_wall(cli->env), err);
    if (r == 0)
        r = xeno_cert_parse(pem, 0, &cert, err);
    if (r == 0 && memcmp(&cert->pub, xeno_key_pub(p->key), sizeof cert->pub) != 0)
        r = xeno_fail(err, -EINVAL, "profile.corp",
                      "the XenoCorp sent a credential for another key");
    if (r == 0)
        r = xeno_file_write(p->dirfd, "credential.pem", 0600, pem, strlen(pem), err);
    if (r < 0)
        return r;
    free(p->cert_pem);
    xeno_cert_free(p->cert);
    p->cert_pem = xeno_strdup(pem);
    p->cert = xeno_take(&cert);
    xeno_http_client_free(cli->http); /* the next request uses the new one */
    cli->http = NULL;
    return 0;
}

/* An expired credential opens no connection; then the request, signed by our key, is all there is.
 */
static int renew_client(struct cli *cli, struct xeno_err *err)
{
    struct xeno_http_client_opts opts = { .env = cli->env, .ca_pem = cli->profile->ca_pem };

    if (cli->http || xeno_wall(cli->env).ns < cli->profile->cert->not_after.ns)
        return 0;
    return xeno_http_client_new(cli_loop(cli), &opts, &cli->http, err);
}

int cli_profile_renew(struct cli *cli, struct xeno_err *err)
{
    xeno_auto(xeno_json) answer = NULL;
    xeno_autofree char *csr = NULL;
    struct xeno_json *body;
    struct xeno_json_at top;
    const char *pem;
    int r;

    r = xeno_csr_make(cli->profile->key, &csr, err);
    if (r == 0)
        r = renew_client(cli, err);
    if (r < 0)
        return r;
    body = xeno_json_object();
    xeno_json_set_str(body, "csr", csr);
    r = cli_corp_post(cli, body, &answer, err, "/v1/credentials/renew");
    if (r < 0) {
        xeno_http_client_free(xeno_take(&cli->http));
        return r;
    }
    top = xeno_json_top(answer);
    r = xeno_json_str(&top, "certificate", 1, XENO_CERT_PEM_MAX, &pem, err);
    return r < 0 ? r : take_credential(cli, pem, err);
}

static char *profile_text(const struct cli_identity *id, size_t *len)
{
    xeno_auto(xeno_json) j = xeno_json_object();

    xeno_json_set_str(j, "corp_url", id->corp_url);
    xeno_json_set_str(j, "corp_id", id->corp_id);
    xeno_json_set_str(j, "name", id->name);
    xeno_json_set_str(j, "images", id->images);
    return xeno_json_format(j, true, len);
}

int cli_profile_write(const char *dir, const struct cli_identity *id, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    r = xeno_mkdirs(AT_FDCWD, dir, 0700, err);
    if (r < 0)
        return r;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "profile.write", "open %s", dir);
    text = profile_text(id, &len);
    r = xeno_key_save(id->key, fd, "key.pem", err);
    if (r == 0)
        r = xeno_file_write(fd, "credential.pem", 0600, id->cert_pem, strlen(id->cert_pem), err);
    if (r == 0)
        r = xeno_file_write(fd, "ca.pem", 0644, id->ca_pem, strlen(id->ca_pem), err);
    if (r == 0) /* last: with it the profile is there */
        r = xeno_file_write(fd, "profile.json", 0644, text, len, err);
    return r;
}
