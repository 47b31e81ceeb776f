/* src/rpc/listen.h - the answering side's socket: made, and who comes by it. */
#ifndef XENO_RPC_LISTEN_H
#define XENO_RPC_LISTEN_H

#include <sys/socket.h>
#include <sys/types.h>

#include "base/err.h"

/* Listen on the unix socket `path`, in the place of one that was left there; it is of that mode
 * from its first moment. token: of the errors, "task.socket". Returns: 0 and the descriptor, which
 * is the caller's. Errors: -ENAMETOOLONG, and those of bind(2). */
int xeno_rpc_listen(const char *path, mode_t mode, const char *token, int *ret_fd,
                    struct xeno_err *err);

/* Who has come, and by whom; the descriptor is non-blocking and the caller's. -1: nobody, or nobody
 * that can be told who he is. */
int xeno_rpc_accept(int fd, struct ucred *ret);

#endif
