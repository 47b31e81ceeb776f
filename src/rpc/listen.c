/* src/rpc/listen.c - a unix socket to listen on. */
#include "rpc/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

#define BACKLOG 64

int xeno_rpc_listen(const char *path, mode_t mode, const char *token, int *ret_fd,
                    struct xeno_err *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    xeno_autoclose int fd = -1;

    if (strlen(path) >= sizeof address.sun_path)
        return xeno_fail(err, -ENAMETOOLONG, token,
                         "the socket's path has %zu bytes, the limit is %zu", strlen(path),
                         sizeof address.sun_path - 1);
    strcpy(address.sun_path, path); /* its length was checked */
    unlink(path);                   /* of a daemon before us: a lock says that it is gone */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || fchmod(fd, mode) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, mode) < 0 ||
        listen(fd, BACKLOG) < 0)
        return xeno_fail_errno(err, -errno, token, "listen on '%s'", path);
    *ret_fd = xeno_take_fd(&fd);
    return 0;
}

int xeno_rpc_accept(int fd, struct ucred *ret)
{
    xeno_autoclose int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    socklen_t len = sizeof *ret;

    if (conn < 0 || getsockopt(conn, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0)
        return -1;
    return xeno_take_fd(&conn);
}
