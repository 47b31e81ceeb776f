/* src/sandbox/sandbox.h - after start, a daemon that faces the network can only shrink.
 *
 * Entering drops every capability and the bounding set, sets no_new_privs, restricts the file
 * system to a few folders (Landlock, where the kernel has it) and the system calls to what the
 * libraries of these daemons need (seccomp). What cannot be a library's doing (ptrace, mount, bpf,
 * io_uring, execve, new processes, ...) kills the process; everything else that is not on the list
 * fails with EPERM. Threads may still be made: name look-ups need them.
 */
#ifndef XENO_SANDBOX_SANDBOX_H
#define XENO_SANDBOX_SANDBOX_H

#include <stdbool.h>

#include "base/err.h"

/* Become `user` (a name or a number) and its groups, when the process is root; otherwise no effect.
 * Context: first of all, so that every file is made by that user.
 * Errors: -ENOENT sandbox.user, -EPERM sandbox.user. */
int xeno_sandbox_user(const char *user, struct xeno_err *err);

/* Enter. There is no way back.
 *
 * profile: "xenod", "xenod-calls", "xenocorpd", "xstored", "xrdd", "xisd", "imaged", "emulate" or
 * "cowfs". folders: what may be written to, NULL-terminated (missing ones are passed over); system
 * folders stay readable. NULL: the file system is not restricted. Context: one thread; sockets,
 * keys and configuration are open already. Landlock keeps files open that are. "xenod-calls" may
 * bind TCP sockets to an address, though not to a port, as a connection from there needs. "cowfs"
 * is that of a file server: it keeps the capabilities that it has, and may in its folders make
 * files of every kind, move and link them between folders, and set attributes. Errors: -EINVAL
 * sandbox.profile, and the errno of the step with sandbox.capabilities, sandbox.landlock or
 * sandbox.seccomp; the process is in an undefined state: exit.
 */
int xeno_sandbox_enter(const char *profile, const char *const *folders, struct xeno_err *err);
/* The same with folders that may be read, but not written to; NULL: none. */
int xeno_sandbox_enter_with(const char *profile, const char *const *folders,
                            const char *const *readable, struct xeno_err *err);

/* Has this kernel what it takes? For --check. */
bool xeno_sandbox_has_landlock(void);
bool xeno_sandbox_has_seccomp(void);

#endif
