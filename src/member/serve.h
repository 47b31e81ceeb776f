/* src/member/serve.h - the way up of a daemon that is a member: folder and loop, joining, the
 * server and the client of its credential.
 *
 *     xeno_member_open -> xeno_member_join                                  --enrol
 *     xeno_member_open -> xeno_member_load -> xeno_member_lock -> ... -> xeno_member_listen,
 *     xeno_member_client, xeno_member_attach -> the sandbox -> the loop     serving
 *
 * Context: before the sandbox, which lets nobody listen any more.
 */
#ifndef XENO_MEMBER_SERVE_H
#define XENO_MEMBER_SERVE_H

#include "member/member.h"

/* Open the folder `who->dir` and the thread's event loop, unless *loop is one, and make the member,
 * not loaded.
 *
 * Borrows: who, whose dirfd is not looked at.
 * Returns: all three are the caller's, also after a failure: what was opened by then. Free the
 *          member first; it uses the folder.
 * Errors:  identity.dir, io.mkdir, loop.new.
 */
int xeno_member_open(const struct xeno_member_opts *who, int *ret_dirfd, struct sd_event **loop,
                     struct xeno_member **ret, struct xeno_err *err);

/* Lock the folder: two daemons of one identity would undo each other's work. Waits for one that is
 * just ending. Errors: -EBUSY identity.lock. */
int xeno_member_lock(const struct xeno_member *m, struct xeno_err *err);

/* xeno_member_enrol(), and print the id on standard output, for --enrol. Errors: its own. */
int xeno_member_join(struct xeno_member *m, struct sd_event *loop, const char *token,
                     const struct xeno_member_join *join, struct xeno_err *err);

/* What its operator allows. */
struct xeno_member_serving {
    const char *listen;
    int64_t connections, connections_per_address;
    int64_t running_per_peer; /* requests of one peer at work; 0: the server's default */
};

/* Listen: with the member's clock, key, credential, CA and revocations, besides what is
 * the daemon's own in `opts` (routes, user and so on), and on the socket that systemd has opened
 * for it or `most->listen`. Nobody is answered before the loop runs.
 *
 * Borrows: m, until the server is freed; what opts refers to, likewise.
 * Errors:  those of xeno_http_server_new().
 */
int xeno_member_listen(struct xeno_member *m, struct sd_event *loop,
                       const struct xeno_member_serving *most,
                       const struct xeno_http_server_opts *opts, struct xeno_http_server **ret,
                       struct xeno_err *err);

/* What a client that shows the credential has of it: clock, CA, credential and key, borrowed. */
void xeno_member_calls(const struct xeno_member *m, struct xeno_http_client_opts *opts);
/* Such a client, which may call anybody. Errors: those of xeno_http_client_new(). */
int xeno_member_client(const struct xeno_member *m, struct sd_event *loop,
                       struct xeno_http_client **ret, struct xeno_err *err);

#endif
