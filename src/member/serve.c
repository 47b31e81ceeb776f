/* src/member/serve.c - what a member shows and trusts when it serves and when it calls. */
#include <systemd/sd-daemon.h>

#include "member/member-priv.h"

void xeno_member_serves(struct xeno_member *m, struct xeno_http_server_opts *opts)
{
    opts->env = m->opt.env;
    opts->listen_fd = sd_listen_fds(1) == 1 ? SD_LISTEN_FDS_START : -1;
    opts->cert_pem = m->cert_pem;
    opts->key = m->key;
    opts->ca_pem = m->ca_pem;
    opts->revoked = xeno_member_revoked;
    opts->revoked_user = m;
}

void xeno_member_calls(const struct xeno_member *m, struct xeno_http_client_opts *opts)
{
    opts->env = m->opt.env;
    opts->ca_pem = m->ca_pem;
    opts->cert_pem = m->cert_pem;
    opts->key = m->key;
}
