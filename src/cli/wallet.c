/* src/cli/wallet.c - orders kept in the profile. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/io.h"
#include "cli/profile.h"

#define SUFFIX ".chain"
#define MARK   ".once"
#define NEW_S  600 /* what was made for a session is bound by then, or was left behind */

void cli_strv_free(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **cli_wallet_list(struct cli *cli)
{
    xeno_autofree char *path = xeno_asprintf("%s/wallet", cli->profile->path);
    char **list = xeno_new0_n(char *, 1);
    DIR *d = opendir(path);
    struct dirent *e;
    size_t n = 0;

    while (d && (e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);

        if (len != XENO_ORDER_ID_CHARS + strlen(SUFFIX) ||
            strcmp(e->d_name + XENO_ORDER_ID_CHARS, SUFFIX) != 0)
            continue;
        list = xeno_grow(list, n + 2);
        list[n++] = xeno_strndup(e->d_name, XENO_ORDER_ID_CHARS);
        list[n] = NULL;
    }
    if (d)
        closedir(d);
    qsort(list, n, sizeof *list, by_name);
    return list;
}

/* Chains arrive in mails and pipes: white space around them means nothing. */
static void trim(char *text)
{
    size_t skip = strspn(text, " \t\r\n"), len;

    memmove(text, text + skip, strlen(text + skip) + 1);
    for (len = strlen(text); len > 0 && isspace((unsigned char)text[len - 1]); len--)
        text[len - 1] = '\0';
}

static int read_chain(int dirfd, const char *path, char **ret, struct xeno_err *err)
{
    size_t len;
    int r;

    if (strcmp(path, "-") == 0) {
        r = xeno_read_all(STDIN_FILENO, XENO_ORDER_BYTES_MAX + 64, ret, &len);
        if (r < 0)
            return xeno_fail_errno(err, r, "profile.order", "read the order from standard input");
    } else {
        r = xeno_file_read(dirfd, path, XENO_ORDER_BYTES_MAX + 64, ret, &len, err);
        if (r < 0)
            return r;
    }
    trim(*ret);
    return 0;
}

/* The one order of the wallet whose id begins so. */
static int from_wallet(struct cli *cli, const char *ref, char **ret, struct xeno_err *err)
{
    char **list = cli_wallet_list(cli);
    xeno_autofree char *name = NULL;
    int found = 0;

    for (char **p = list; *p; p++)
        if (strncmp(*p, ref, strlen(ref)) == 0 && found++ == 0)
            name = xeno_asprintf("wallet/%s" SUFFIX, *p);
    cli_strv_free(list);
    if (found == 0)
        return xeno_fail(err, -ENOENT, "profile.order",
                         "no order in your wallet begins with '%s', and there is no file of that "
                         "name",
                         ref);
    if (found > 1)
        return xeno_fail(err, -EINVAL, "profile.order", "%d orders in your wallet begin with '%s'",
                         found, ref);
    return read_chain(cli->profile->dirfd, name, ret, err);
}

int cli_wallet_find(struct cli *cli, const char *ref, char **ret_chain,
                    struct xeno_order_terms *ret, struct xeno_err *err)
{
    xeno_autofree char *chain = NULL;
    bool is_id;
    int r;

    r = cli_profile_need(cli, err);
    if (r < 0)
        return r;
    is_id = *ref && strspn(ref, "abcdefghijklmnopqrstuvwxyz234567") == strlen(ref);
    if (is_id && access(ref, F_OK) != 0)
        r = from_wallet(cli, ref, &chain, err);
    else
        r = read_chain(AT_FDCWD, ref, &chain, err);
    if (r == 0)
        r = xeno_order_read(chain, strlen(chain), &cli->profile->corp, ret, err);
    if (r < 0)
        return xeno_context(err, r, "order %s", ref);
    *ret_chain = xeno_take(&chain);
    return 0;
}

int cli_wallet_put(struct cli *cli, const char *chain, char ret_order[XENO_ORDER_ID_CHARS + 1],
                   struct xeno_err *err)
{
    xeno_autofree char *name = NULL;
    struct xeno_order_terms t;
    int r;

    r = xeno_order_read(chain, strlen(chain), &cli->profile->corp, &t, err);
    if (r == 0)
        r = xeno_mkdirs(cli->profile->dirfd, "wallet", 0700, err);
    if (r < 0)
        return r;
    name = xeno_asprintf("wallet/%s" SUFFIX, t.order);
    r = xeno_file_write(cli->profile->dirfd, name, 0600, chain, strlen(chain), err);
    if (r == 0)
        memcpy(ret_order, t.order, sizeof t.order);
    return r;
}

void cli_wallet_drop(struct cli *cli, const char *order)
{
    xeno_autofree char *name = xeno_asprintf("wallet/%s" SUFFIX, order);
    xeno_autofree char *mark = xeno_asprintf("wallet/%s" MARK, order);

    unlinkat(cli->profile->dirfd, name, 0);
    unlinkat(cli->profile->dirfd, mark, 0);
}

void cli_wallet_mark(struct cli *cli, const char *order)
{
    xeno_autofree char *mark = xeno_asprintf("wallet/%s" MARK, order);

    (void)xeno_mkdirs(cli->profile->dirfd, "wallet", 0700, NULL);
    xeno_file_write(cli->profile->dirfd, mark, 0600, "", 0, NULL);
}

bool cli_wallet_marked(struct cli *cli, const char *order)
{
    xeno_autofree char *mark = xeno_asprintf("wallet/%s" MARK, order);

    return faccessat(cli->profile->dirfd, mark, F_OK, 0) == 0;
}

static bool is_new(struct cli *cli, const char *order)
{
    xeno_autofree char *mark = xeno_asprintf("wallet/%s" MARK, order);
    struct stat st;

    return fstatat(cli->profile->dirfd, mark, &st, 0) == 0 && st.st_mtime + NEW_S > time(NULL);
}

FILE *cli_wallet_claim(struct cli *cli, const char *order)
{
    xeno_autofree char *name = xeno_asprintf("wallet/%s" SUFFIX, order);
    FILE *f;
    int fd;

    if (is_new(cli, order))
        return NULL;
    fd = openat(cli->profile->dirfd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    f = xeno_lock(fd, 0) == 0 ? fdopen(fd, "re") : NULL;
    if (!f)
        close(fd);
    return f;
}
