/* src/member/serve.c - the way up of a daemon that is a member. */
#include "member/serve.h"

#include <errno.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/io.h"
#include "member/member-priv.h"

int xeno_member_open(const struct xeno_member_opts *who, int *ret_dirfd, struct sd_event **loop,
                     struct xeno_member **ret, struct xeno_err *err)
{
    struct xeno_member_opts opts = *who;
    int r = xeno_member_dir(who->dir, &opts.dirfd, err);

    if (r < 0)
        return r;
    *ret_dirfd = opts.dirfd;
    r = *loop ? 0 : sd_event_default(loop);
    if (r < 0)
        return xeno_fail_errno(err, r, "loop.new", "make an event loop");
    *ret = xeno_member_new(&opts);
    return 0;
}

int xeno_member_lock(const struct xeno_member *m, struct xeno_err *err)
{
    if (xeno_lock(m->opt.dirfd, XENO_LOCK_RESTART_MS) < 0)
        return xeno_fail(err, -EBUSY, "identity.lock", "another %s has '%s' open: end it first",
                         m->opt.program, m->opt.dir);
    return 0;
}

int xeno_member_join(struct xeno_member *m, struct sd_event *loop, const char *token,
                     const struct xeno_member_join *join, struct xeno_err *err)
{
    int r = xeno_member_enrol(m, loop, token, join, err);

    if (r == 0)
        printf("%s\n", m->id.s);
    return r;
}

int xeno_member_listen(struct xeno_member *m, struct sd_event *loop,
                       const struct xeno_member_serving *most,
                       const struct xeno_http_server_opts *opts, struct xeno_http_server **ret,
                       struct xeno_err *err)
{
    struct xeno_http_limits limits = xeno_http_limits_default;
    struct xeno_http_server_opts all = *opts;

    limits.connections = (unsigned)most->connections;
    limits.connections_per_address = (unsigned)most->connections_per_address;
    if (most->running_per_peer)
        limits.running_per_peer = (unsigned)most->running_per_peer;
    all.env = m->opt.env;
    all.listen = most->listen;
    all.listen_fd = sd_listen_fds(1) == 1 ? SD_LISTEN_FDS_START : -1;
    all.limits = &limits;
    all.cert_pem = m->cert_pem;
    all.key = m->key;
    all.ca_pem = m->ca_pem;
    all.revoked = xeno_member_revoked;
    all.revoked_user = m;
    return xeno_http_server_new(loop, &all, ret, err);
}

void xeno_member_calls(const struct xeno_member *m, struct xeno_http_client_opts *opts)
{
    opts->env = m->opt.env;
    opts->ca_pem = m->ca_pem;
    opts->cert_pem = m->cert_pem;
    opts->key = m->key;
}

int xeno_member_client(const struct xeno_member *m, struct sd_event *loop,
                       struct xeno_http_client **ret, struct xeno_err *err)
{
    struct xeno_http_client_opts opts = { .env = NULL };

    xeno_member_calls(m, &opts);
    return xeno_http_client_new(loop, &opts, ret, err);
}
