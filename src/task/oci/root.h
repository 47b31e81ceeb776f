/* src/task/oci/root.h - the root file system of a session, built and taken down. Only for
 * src/task/oci.
 *
 * Where xeno-cowfs serves it (oci/layers.h says when), SESSION/stack is there and says of what; and
 * the server lives in a control group of its own beside the session's, ID.files: what it uses is
 * not the session's, and is bounded; it does not end with xeno-taskd, and is found again by its
 * group.
 */
#ifndef XENO_TASK_OCI_ROOT_H
#define XENO_TASK_OCI_ROOT_H

#include "task/driver.h"

/* The name of the session's pin in the layer cache; the caller's. Several instances may share a
 * cache, and each knows of its own sessions only. */
char *xeno_oci_pin(const struct xeno_task_host *h, const struct xeno_run *run);

/* Have the session's layers ready, whatever is away fetched before, and mount them. A server of an
 * earlier try is ended first. Errors: those of oci/layers.h and task/rootfs.h. */
int xeno_oci_root_build(const struct xeno_task_host *h, const struct xeno_run *run,
                        struct xeno_err *err);

/* Does xeno-cowfs serve the session? */
bool xeno_oci_root_served(const struct xeno_run *run);

/* The session's processes do not end, though killed: they may wait for the server, and that for
 * bytes from elsewhere. What is cached is written to the writable layer, then the server is killed,
 * so that they go on. Returns: true when there was one. */
bool xeno_oci_root_free(const struct xeno_task_host *h, const struct xeno_run *run);

/* After the session's processes: end the server, when there is one. What is cached is written to
 * the writable layer first, unless the server is dead. Then xeno_rootfs_release(). */
int xeno_oci_root_end(const struct xeno_task_host *h, const struct xeno_run *run,
                      struct xeno_err *err);

/* Kill the server at once, if there is one, so that whatever waits for it goes on; then remove its
 * group. */
int xeno_oci_root_kill(const struct xeno_task_host *h, const struct xeno_run *run,
                       struct xeno_err *err);

/* The driver's calls. */
bool xeno_oci_away(const struct xeno_task_host *h, const struct xeno_task_spec *spec);
int xeno_oci_fetch(const struct xeno_task_host *h, const struct xeno_task_spec *spec,
                   struct xeno_err *err);
int xeno_oci_server_fd(const struct xeno_task_host *h, struct xeno_run *run);

#endif
