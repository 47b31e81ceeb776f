/* src/sandbox/parts.h - the steps of entering; for the files of src/sandbox only. */
#ifndef XENO_SANDBOX_PARTS_H
#define XENO_SANDBOX_PARTS_H

#include <stdbool.h>

#include "base/err.h"

/* A kernel without Landlock is not an error; readable may be NULL. serves: a file server. moves:
 * files between folders. calls: from an address that it chooses. */
int xeno_sandbox_landlock(const char *const *folders, const char *const *readable, bool serves,
                          bool moves, bool calls, struct xeno_err *err);
int xeno_sandbox_seccomp(bool serves, struct xeno_err *err);

#endif
