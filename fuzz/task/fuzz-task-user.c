/* fuzz/task/fuzz-task-user.c - passwd and group files are the session's: hostile.
 *
 * The name comes first, up to a zero byte, then
 * passwd, up to another, then group. */
#include <string.h>

#include "fuzz.h"
#include "base/mem.h"
#include "task/oci/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_autofree char *text = xeno_alloc0(size + 3, 1);
    struct xeno_oci_user user;
    const char *who, *passwd, *group, *end;

    if (size > 0)
        memcpy(text, data, size);
    end = text + size;
    who = text;
    passwd = who + strlen(who) + 1;
    group = passwd <= end ? passwd + strlen(passwd) + 1 : end + 1;
    if (passwd > end)
        passwd = end;
    if (group > end)
        group = end;
    if (xeno_oci_user_find(who, passwd, group, &user, NULL) == 0)
        XENO_REQUIRE(user.uid <= 65535 && user.gid <= 65535 &&
                     user.ngroups <= XENO_OCI_GROUPS_MAX && user.home[0] == '/');
    return 0;
}
