/* src/task/oci/seccomp.h - the filter of system calls of a session's programs.
 *
 * Allowed is what programs of a default container may call; a call that is known and refused gives
 * EPERM, one that is not known ENOSYS, so that a C library newer than this list falls back to older
 * calls. Refused on top of what lacks a capability anyway: new namespaces (clone3 says ENOSYS, so
 * that clone's flags can be looked at), mounting, keys, io_uring, userfaultfd, bpf, perf, vsock.
 */
#ifndef XENO_TASK_OCI_SECCOMP_H
#define XENO_TASK_OCI_SECCOMP_H

#include "base/err.h"
#include "json/json.h"

/* linux.seccomp of the OCI specification; the caller's. */
struct xeno_json *xeno_oci_seccomp_json(void);

/* The same, compiled for this machine (and its 32-bit half), in base64, as crun takes it. Takes
 * some milliseconds: once, at start. Errors: token oci.seccomp. */
int xeno_oci_seccomp_bpf(char **ret, struct xeno_err *err);

#endif
