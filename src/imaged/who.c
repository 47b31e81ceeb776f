/* src/imaged/who.c - the credential of xenod, read again when xenod has renewed it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "imaged/imaged.h"

/* A member that was loaded: sources borrow its key, which nearly never changes, for as long as we
 * run. */
struct who {
    struct xeno_member *member;
    struct who *older;
};

static int64_t changed_at(int dirfd)
{
    struct stat st;

    if (fstatat(dirfd, "credential.pem", &st, 0) < 0)
        return 0;
    return st.st_mtim.tv_sec * XENO_NS_PER_S + st.st_mtim.tv_nsec;
}

static int load(struct imaged *d, struct xeno_err *err)
{
    struct xeno_member_opts opts = { .env = d->env,
                                     .kind = XENO_PARTY_SERVER,
                                     .program = "xenod",
                                     .dir = d->opt.identity,
                                     .dirfd = d->who_dirfd };
    struct xeno_member *m = xeno_member_new(&opts);
    struct who *w;
    int r = xeno_member_load(m, NULL, err);

    if (r < 0) {
        xeno_member_free(m);
        return r;
    }
    w = xeno_new0(struct who);
    w->member = m;
    pthread_mutex_lock(&d->who_mutex);
    w->older = d->who;
    d->who = w;
    d->generation++;
    pthread_mutex_unlock(&d->who_mutex);
    return 0;
}

void who_look(struct imaged *d)
{
    struct xeno_err err = XENO_ERR_INIT;
    int64_t at;

    if (!d->opt.identity || !*d->opt.identity)
        return;
    if (d->who_dirfd < 0)
        d->who_dirfd = open(d->opt.identity, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    at = d->who_dirfd >= 0 ? changed_at(d->who_dirfd) : 0;
    if (at == d->who_mtime_ns)
        return;
    d->who_mtime_ns = at; /* one that cannot be read is told of once */
    if (at == 0)
        return;
    if (load(d, &err) < 0)
        xeno_log_err(LOG_WARNING, "identity.unusable", &err, "dir=%s", d->opt.identity);
    else
        xeno_log(LOG_INFO, "identity.read", "id=%s", xeno_member_id(d->who->member)->s);
}

int who_source(struct imaged *d, const struct xeno_source_registry_opts *opts,
               struct xeno_source **ret, struct xeno_err *err)
{
    struct xeno_source_registry_opts o = *opts;
    struct xeno_source_party party;
    const struct xeno_member *m;

    pthread_mutex_lock(&d->who_mutex);
    m = d->who ? d->who->member : NULL;
    pthread_mutex_unlock(&d->who_mutex);
    if (!m)
        return xeno_fail(err, -EACCES, "agent.identity", "there is no credential to show");
    party = (struct xeno_source_party){ .ca_pem = xeno_member_ca_pem(m),
                                        .cert_pem = xeno_member_cert_pem(m),
                                        .key = xeno_member_key(m) };
    o.party = &party;
    return xeno_source_registry(&o, ret, err);
}

void who_close(struct imaged *d)
{
    while (d->who) {
        struct who *w = d->who;

        d->who = w->older;
        xeno_member_free(w->member);
        free(w);
    }
    if (d->who_dirfd >= 0)
        close(xeno_take_fd(&d->who_dirfd));
}
