/* src/sandbox/sandbox.c - enter: user, capabilities, then Landlock, then seccomp. */
#include "sandbox/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "sandbox/parts.h"

/* The daemons of one kind share what they need; a name of its own keeps a typing error from opening
 * more than was meant. */
static const struct profile {
    const char *name;
    bool serves; /* files, with rights of its own */
    bool moves;  /* files between its folders, as an image store does */
    bool calls;  /* binds sockets to an address for connections; a port is the kernel's choice */
} profiles[] = { { "xenod", false, false, false },     { "xenod-calls", false, false, true },
                 { "xenocorpd", false, false, false }, { "xstored", false, false, false },
                 { "xrdd", false, false, false },      { "xisd", false, false, false },
                 { "imaged", false, true, false },     { "emulate", false, false, false },
                 { "cowfs", true, true, false } };

/* --- user --- */

static const struct passwd *find_user(const char *user)
{
    char *end;
    unsigned long uid = strtoul(user, &end, 10);

    if (*user != '\0' && *end == '\0')
        return getpwuid((uid_t)uid);
    return getpwnam(user);
}

int xeno_sandbox_user(const char *user, struct xeno_err *err)
{
    const struct passwd *pw;

    if (geteuid() != 0)
        return 0;
    pw = find_user(user);
    if (!pw)
        return xeno_fail(err, -ENOENT, "sandbox.user", "there is no user '%.64s' on this machine",
                         user);
    if (initgroups(pw->pw_name, pw->pw_gid) < 0 ||
        setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
        setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
        return xeno_fail_errno(err, -errno, "sandbox.user", "become user '%.64s'", user);
    return 0;
}

/* --- capabilities --- */

static int drop_capabilities(struct xeno_err *err)
{
    /* The bounding set can only be cut by who may; without, no_new_privs makes it meaningless. */
    bool bounds =
        prctl(PR_CAPBSET_READ, 0) == 1 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) == 1;

    capng_clear(CAPNG_SELECT_ALL);
    if (bounds && capng_apply(CAPNG_SELECT_BOUNDS) < 0)
        return xeno_fail_errno(err, -EPERM, "sandbox.capabilities", "empty the bounding set");
    if (capng_apply(CAPNG_SELECT_CAPS) < 0)
        return xeno_fail_errno(err, -EPERM, "sandbox.capabilities", "drop all capabilities");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return xeno_fail_errno(err, -errno, "sandbox.capabilities", "empty the ambient set");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return xeno_fail_errno(err, -errno, "sandbox.capabilities", "set no_new_privs");
    return 0;
}

static int keep_capabilities(struct xeno_err *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return xeno_fail_errno(err, -errno, "sandbox.capabilities", "set no_new_privs");
    return 0;
}

int xeno_sandbox_enter_with(const char *profile, const char *const *folders,
                            const char *const *readable, struct xeno_err *err)
{
    const struct profile *p = NULL;
    int r;

    for (size_t i = 0; i < XENO_LEN(profiles); i++)
        if (strcmp(profiles[i].name, profile) == 0)
            p = &profiles[i];
    if (!p)
        return xeno_fail(err, -EINVAL, "sandbox.profile", "there is no sandbox '%.32s'", profile);
    r = p->serves ? keep_capabilities(err) : drop_capabilities(err);
    if (r == 0 && folders)
        r = xeno_sandbox_landlock(folders, readable, p->serves, p->moves, p->calls, err);
    if (r == 0)
        r = xeno_sandbox_seccomp(p->serves, err);
    return r;
}

int xeno_sandbox_enter(const char *profile, const char *const *folders, struct xeno_err *err)
{
    return xeno_sandbox_enter_with(profile, folders, NULL, err);
}
