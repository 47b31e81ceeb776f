/* src/task/oci/user.c - who a program runs as, from the session's own passwd and group files. */
#include "task/oci/user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

#define FILE_MAX_BYTES (1024 * 1024)
#define ID_MAX         65535

/* A line "name:x:1:2..." cut at its colons; fields point into `line`. Returns: how many. */
static size_t cut_line(char *line, char **fields, size_t max)
{
    size_t n = 0;

    for (char *at = line; at && n < max; n++)
        fields[n] = strsep(&at, ":");
    return n;
}

static bool number(const char *text, uint32_t *ret)
{
    size_t len = strlen(text);

    if (len == 0 || len > 9 || strspn(text, "0123456789") != len)
        return false;
    *ret = (uint32_t)strtoul(text, NULL, 10);
    return true;
}

/* The first line of a passwd or group file whose name, or else whose number in field 2, is `who`.
 * Returns: its fields in a copy, the caller's; NULL when there is none. */
static char *find_line(const char *text, const char *who, char **fields, size_t max, size_t *ret_n)
{
    uint32_t want = 0, id;
    bool by_id = number(who, &want);

    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        char *copy = xeno_strndup(line, len);

        *ret_n = cut_line(copy, fields, max);
        if (*ret_n >= 3 &&
            (by_id ? number(fields[2], &id) && id == want : strcmp(fields[0], who) == 0))
            return copy;
        free(copy);
        line += len + (line[len] == '\n');
    }
    return NULL;
}

static bool lists(const char *members, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = members; at && *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return true;
    return false;
}

static void add_groups(const char *group, const char *name, struct xeno_oci_user *u)
{
    for (const char *line = group; *line && u->ngroups < XENO_OCI_GROUPS_MAX;) {
        size_t len = strcspn(line, "\n");
        xeno_autofree char *copy = xeno_strndup(line, len);
        char *fields[4];
        uint32_t gid;

        if (cut_line(copy, fields, 4) == 4 && lists(fields[3], name) && number(fields[2], &gid) &&
            gid <= ID_MAX)
            u->groups[u->ngroups++] = gid;
        line += len + (line[len] == '\n');
    }
}

static int set_user(const char *who, const char *passwd, const char *group, struct xeno_oci_user *u,
                    struct xeno_err *err)
{
    char *fields[7];
    size_t n = 0;
    xeno_autofree char *line = find_line(passwd, who, fields, 7, &n);

    if (!line) {
        if (!number(who, &u->uid))
            return xeno_fail(err, -ENOENT, "oci.user", "the image has no user '%s'", who);
        return 0;
    }
    if (!number(fields[2], &u->uid) || n < 4 || !number(fields[3], &u->gid))
        return xeno_fail(err, -EINVAL, "oci.user", "the image's entry of user '%s' is broken", who);
    if (n >= 6 && fields[5][0] == '/' && strlen(fields[5]) < sizeof u->home)
        strcpy(u->home, fields[5]);
    add_groups(group, fields[0], u);
    return 0;
}

static int set_group(const char *who, const char *group, struct xeno_oci_user *u,
                     struct xeno_err *err)
{
    char *fields[4];
    size_t n = 0;
    xeno_autofree char *line = find_line(group, who, fields, 4, &n);

    u->ngroups = 0; /* who names a group wants that one alone */
    if (number(line ? fields[2] : who, &u->gid))
        return 0;
    return xeno_fail(err, -ENOENT, "oci.user", "the image has no group '%s'", who);
}

int xeno_oci_user_find(const char *who, const char *passwd, const char *group,
                       struct xeno_oci_user *ret, struct xeno_err *err)
{
    struct xeno_oci_user u = { .home = "/" };
    size_t len = strcspn(who, ":");
    xeno_autofree char *name = xeno_strndup(who, len);
    int r;

    r = set_user(len > 0 ? name : "0", passwd, group, &u, err);
    if (r == 0 && who[len] == ':')
        r = set_group(who + len + 1, group, &u, err);
    if (r < 0)
        return r;
    if (u.uid > ID_MAX || u.gid > ID_MAX)
        return xeno_fail(err, -ERANGE, "oci.user", "user '%s' is %u:%u, the limit is %d", who,
                         u.uid, u.gid, ID_MAX);
    *ret = u;
    return 0;
}

/* "" when the file is missing, no file, too big or out of reach. */
static char *read_inside(int root, const char *path)
{
    struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
    xeno_autoclose int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    struct stat st;
    char *text;
    size_t len;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        xeno_read_all(fd, FILE_MAX_BYTES, &text, &len) < 0)
        return xeno_strdup("");
    return text;
}

int xeno_oci_user_in(const char *rootfs, const char *who, struct xeno_oci_user *ret,
                     struct xeno_err *err)
{
    xeno_autoclose int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    xeno_autofree char *passwd = NULL, *group = NULL;

    if (root < 0)
        return xeno_fail_errno(err, -errno, "oci.user", "open '%s'", rootfs);
    passwd = read_inside(root, "etc/passwd");
    group = read_inside(root, "etc/group");
    return xeno_oci_user_find(who, passwd, group, ret, err);
}
