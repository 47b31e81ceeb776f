/* src/xenocorpd/state.c - what a XenoCorp keeps in its folder.
 *
 *   ca-key.pem  ca.pem      the CA: its key's id is the XenoCorp's id. Made once, never again.
 *   tls-key.pem tls.pem     what the API is served with; made anew by itself
 *   ledger.db               the books
 *   lock                    held by the one process that writes to them
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "corp/registry.h"
#include "crypto/x509.h"
#include "xenocorpd/corpd.h"
#include "xenocorpd/store.h"

#define CA_LIFE_S     (INT64_C(20) * 365 * 86400)
#define TLS_LIFE_S    (30 * 86400)
#define TLS_RENEW_S   (20 * 86400) /* of its life passed */
#define EARLY_S       3600         /* certificates start in the past, for clocks that are behind */
#define PEM_MAX       (64 * 1024)
#define HOSTS_MAX     16
#define FIRST_TOKEN_S (7 * 86400)

static int open_dir(struct corpd *d, struct xeno_err *err)
{
    int r = xeno_mkdirs(AT_FDCWD, d->options.dir, 0700, err);

    if (r < 0)
        return r;
    d->dir = open(d->options.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dir < 0)
        return xeno_fail_errno(err, -errno, "io.open", "open folder '%s'", d->options.dir);
    d->lock = openat(d->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock < 0)
        return xeno_fail_errno(err, -errno, "corpd.lock", "open '%s/lock'", d->options.dir);
    if (xeno_lock(d->lock, XENO_LOCK_RESTART_MS) < 0)
        return xeno_fail(err, -EBUSY, "corpd.lock",
                         "another xenocorpd has the books in '%s' open: end it first",
                         d->options.dir);
    return 0;
}

static bool has_ca(const struct corpd *d)
{
    struct stat st;

    return fstatat(d->dir, "ca-key.pem", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int read_pem(struct corpd *d, const char *name, char **ret, struct xeno_err *err)
{
    size_t len;

    return xeno_file_read(d->dir, name, PEM_MAX, ret, &len, err);
}

/* --- our own TLS certificate --- */

static int make_tls(struct corpd *d, char **ret_pem, struct xeno_err *err)
{
    xeno_autofree char *words = xeno_strdup(d->options.hosts);
    const char *hosts[HOSTS_MAX + 1] = { NULL };
    xeno_time now = xeno_wall(d->env);
    struct xeno_cert_spec spec = {
        .kind = XENO_PARTY_CORP,
        .pub = *xeno_key_pub(d->tls_key),
        .not_before = xeno_time_add(now, xeno_s(-EARLY_S)),
        .not_after = xeno_time_add(now, xeno_s(TLS_LIFE_S)),
        .hosts = hosts,
    };
    char *rest = NULL;
    size_t count = 0;

    for (char *w = strtok_r(words, " ,", &rest); w; w = strtok_r(NULL, " ,", &rest)) {
        if (count == HOSTS_MAX)
            return xeno_fail(err, -EINVAL, "conf.range", "hosts: more than %d names", HOSTS_MAX);
        hosts[count++] = w;
    }
    xeno_random(d->env, spec.serial, sizeof spec.serial);
    spec.serial[0] = (uint8_t)((spec.serial[0] & 0x3f) | 0x40); /* positive, always 20 bytes */
    return xeno_cert_make(d->ca_key, d->ca_pem, &spec, ret_pem, err);
}

/* Is what we have still young, and for the same key? When in doubt a new one costs nothing. */
static bool tls_is_good(struct corpd *d, const char *pem)
{
    xeno_auto(xeno_cert) cert = NULL;
    xeno_time now = xeno_wall(d->env);

    if (xeno_cert_parse(pem, 0, &cert, NULL) < 0 ||
        memcmp(&cert->pub, xeno_key_pub(d->tls_key), sizeof cert->pub) != 0 ||
        cert->not_before.ns > now.ns)
        return false;
    d->tls_renew = xeno_time_add(cert->not_before, xeno_s(TLS_RENEW_S));
    return now.ns < d->tls_renew.ns;
}

static void set_tls(struct corpd *d, const char *pem)
{
    free(d->tls_pem);
    d->tls_pem = xeno_asprintf("%s%s", pem, d->ca_pem);
}

int corpd_renew_tls(struct corpd *d, bool now_please, struct xeno_err *err)
{
    xeno_autofree char *pem = NULL;
    int r;

    if (!now_please && xeno_wall(d->env).ns < d->tls_renew.ns)
        return 0;
    r = make_tls(d, &pem, err);
    if (r == 0)
        r = xeno_file_write(d->dir, "tls.pem", 0644, pem, strlen(pem), err);
    if (r < 0)
        return xeno_context(err, r, "own certificate");
    set_tls(d, pem);
    d->tls_renew = xeno_time_add(xeno_wall(d->env), xeno_s(TLS_RENEW_S));
    return 1;
}

/* A changed list of hosts takes effect with the next start: the certificate is made anew then. */
static int load_tls(struct corpd *d, struct xeno_err *err)
{
    xeno_autofree char *pem = NULL, *hosts = NULL;
    size_t len;
    struct xeno_err why = XENO_ERR_INIT;
    int r = xeno_key_load(d->dir, "tls-key.pem", &d->tls_key, &why);

    if (r == -ENOENT) { /* a key like another: the CA vouches for the new one */
        d->tls_key = xeno_key_new(d->env);
        r = xeno_key_save(d->tls_key, d->dir, "tls-key.pem", &why);
    }
    if (r < 0)
        return xeno_fail(err, why.code, why.token, "%s", why.text);
    if (read_pem(d, "tls.pem", &pem, NULL) == 0 && tls_is_good(d, pem) &&
        xeno_file_read(d->dir, "tls-hosts", 4096, &hosts, &len, NULL) == 0 &&
        strcmp(hosts, d->options.hosts) == 0) {
        set_tls(d, pem);
        return 0;
    }
    r = corpd_renew_tls(d, true, err);
    if (r >= 0)
        r = xeno_file_write(d->dir, "tls-hosts", 0644, d->options.hosts, strlen(d->options.hosts),
                            err);
    return r;
}

/* --- the books --- */

static int open_books(struct corpd *d, struct xeno_err *err)
{
    xeno_autofree char *url = d->options.db && *d->options.db
                                  ? xeno_strdup(d->options.db)
                                  : xeno_asprintf("sqlite:%s/ledger.db", d->options.dir);
    struct xeno_corp_policy policy = corpd_policy(&d->options);
    int r = store_open(url, &d->db, err);

    if (r == 0)
        r = xeno_corp_open(d->db, d->env, d->ca_key, d->ca_pem, &policy, &d->corp, err);
    return r < 0 ? xeno_context(err, r, "the books") : 0;
}

static int load_all(struct corpd *d, struct xeno_err *err)
{
    int r = xeno_key_load(d->dir, "ca-key.pem", &d->ca_key, err);

    if (r == 0)
        r = read_pem(d, "ca.pem", &d->ca_pem, err);
    if (r == 0)
        r = load_tls(d, err);
    if (r == 0)
        r = open_books(d, err);
    return r;
}

/* Books or a certificate without the CA's key: it was lost, and making another XenoCorp in its
 * place would bury what is left. (--init writes the key before either of them.) */
static int check_lost(struct corpd *d, struct xeno_err *err)
{
    if (has_ca(d) ||
        (faccessat(d->dir, "ledger.db", F_OK, 0) < 0 && faccessat(d->dir, "tls.pem", F_OK, 0) < 0))
        return 0;
    return xeno_fail(err, -ENOENT, "corpd.key",
                     "'%s' holds a XenoCorp, but not its key ca-key.pem: bring that back from your "
                     "copy; if there is none, make a new XenoCorp in another folder",
                     d->options.dir);
}

int corpd_open(struct corpd *d, struct xeno_err *err)
{
    int r = open_dir(d, err);

    if (r == 0)
        r = check_lost(d, err);
    if (r < 0)
        return r;
    if (!has_ca(d))
        return xeno_fail(err, -ENOENT, "corpd.init",
                         "there is no XenoCorp in '%s': make one with --init", d->options.dir);
    return load_all(d, err);
}

/* The CA's key is written last: it is what makes the folder a XenoCorp. */
static int make_all(struct corpd *d, struct xeno_err *err)
{
    xeno_auto(xeno_key) ca_key = xeno_key_new(d->env);
    xeno_auto(xeno_key) tls_key = xeno_key_new(d->env);
    xeno_autofree char *ca_pem = NULL;
    xeno_time now = xeno_wall(d->env);
    int r = xeno_ca_make(ca_key, xeno_time_add(now, xeno_s(-EARLY_S)),
                         xeno_time_add(now, xeno_s(CA_LIFE_S)), &ca_pem, err);

    if (r == 0)
        r = xeno_file_write(d->dir, "ca.pem", 0644, ca_pem, strlen(ca_pem), err);
    if (r == 0)
        r = xeno_key_save(tls_key, d->dir, "tls-key.pem", err);
    if (r == 0)
        r = xeno_key_save(ca_key, d->dir, "ca-key.pem", err);
    return r;
}

int corpd_init(struct corpd *d, struct xeno_err *err)
{
    int r = open_dir(d, err);

    if (r == 0)
        r = check_lost(d, err);
    if (r < 0)
        return r;
    if (has_ca(d))
        return xeno_fail(err, -EEXIST, "corpd.init",
                         "'%s' is a XenoCorp already; for another operator use --operator-token",
                         d->options.dir);
    r = make_all(d, err);
    return r < 0 ? r : load_all(d, err);
}

int corpd_operator_token(struct corpd *d, char ret[64], struct xeno_err *err)
{
    int r = xeno_corp_begin(d->corp, err);

    if (r < 0)
        return r;
    r = xeno_token_issue(d->corp, "console", XENO_ROLE_OPERATOR, xeno_s(FIRST_TOKEN_S), ret, err);
    if (r < 0) {
        xeno_corp_rollback(d->corp);
        return r;
    }
    return xeno_corp_commit(d->corp, err);
}

void corpd_release(struct corpd *d)
{
    xeno_corp_free(d->corp);
    xeno_db_free(d->db);
    xeno_key_free(d->ca_key);
    xeno_key_free(d->tls_key);
    xeno_revocations_free(d->revocations);
    free(d->revocations_text);
    free(d->ca_pem);
    free(d->tls_pem);
    xeno_conf_release(corpd_program.items, corpd_program.count, &d->options);
    if (d->dir >= 0)
        close(d->dir);
    if (d->lock >= 0)
        close(d->lock);
}
