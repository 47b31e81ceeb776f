/* src/task/oci/config.h - the config.json of a task (OCI runtime specification 1.0).
 *
 * What a stranger's program gets: a user namespace in which its root is a subordinate user of the
 * host, no new privileges, the capabilities of a default container, a filter of system calls,
 * masked and read-only paths below /proc and /sys, no device of the host, the session's network
 * namespace and root file system, and namespaces of its own for all else. Limits are the session's
 * cgroup's, above the one made for the task. Pure: the caller reads and writes files.
 */
#ifndef XENO_TASK_OCI_CONFIG_H
#define XENO_TASK_OCI_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "json/json.h"
#include "task/oci/user.h"
#include "task/proto.h"

struct xeno_oci_bundle {
    const struct xeno_task_program *program;
    struct xeno_oci_user user;
    const char *hostname;
    const char *rootfs; /* absolute */
    const char *files;  /* folder with resolv.conf, hosts and hostname, to be bound into /etc */
    const char *sys;    /* a sysfs of the session's own network namespace; NULL: no /sys */
    const char *netns;  /* path; NULL: a new one */
    const char *cgroup; /* linux.cgroupsPath */
    uint32_t id_base, id_count;      /* root in the session is this one on the host */
    uint64_t nofile;                 /* RLIMIT_NOFILE, soft and hard */
    const char *bpf;                 /* the filter as crun takes it; NULL: use `seccomp` */
    const struct xeno_json *seccomp; /* linux.seccomp for other runtimes */
    int64_t cols, rows;              /* of a terminal; 0: unknown */
};

/* The whole document; the caller's. */
struct xeno_json *xeno_oci_config(const struct xeno_oci_bundle *b);

/* Its process object alone, for exec; the caller's. */
struct xeno_json *xeno_oci_process(const struct xeno_oci_bundle *b);

#endif
