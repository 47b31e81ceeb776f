/* src/task/oci/user.h - who a program runs as, from the session's own passwd and group files.
 * The files are the session's and so hostile: bounded, and read without following a link out. */
#ifndef XENO_TASK_OCI_USER_H
#define XENO_TASK_OCI_USER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define XENO_OCI_GROUPS_MAX 64

struct xeno_oci_user {
    uint32_t uid, gid;
    size_t ngroups;
    uint32_t groups[XENO_OCI_GROUPS_MAX]; /* supplementary */
    char home[256];                       /* "/" when unknown */
};

/* `who` is "", "name", "uid", or either with ":group" or ":gid"; "" is root. passwd and group are
 * the texts of the files, "" when there are none. Pure.
 * Errors: -ENOENT oci.user: no such name; -ERANGE oci.user: an id of 65536 or more. */
int xeno_oci_user_find(const char *who, const char *passwd, const char *group,
                       struct xeno_oci_user *ret, struct xeno_err *err);

/* The same with the files of the root file system at `rootfs`. */
int xeno_oci_user_in(const char *rootfs, const char *who, struct xeno_oci_user *ret,
                     struct xeno_err *err);

#endif
