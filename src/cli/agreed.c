/* src/cli/agreed.c - what an hour of a session may cost, as it was agreed when it was made.
 *
 * Written without waiting for the disk: what a crash takes away is asked of the XenoServer again,
 * and shown.
 */
#include "cli/agreed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/io.h"
#include "cli/api.h"
#include "cli/out.h"

#define FOLDER      "agreed"
#define AGREED_MAX  1024
#define NUMBER_MAX  32 /* bytes of a file */
#define NAME_LENGTH (XENO_ID_CHARS + 1 + XENO_SESSION_ID_CHARS)

/* Both names: a XenoServer has no say in what was agreed with another. NULL: they are none. */
static char *path_of(const struct cli_server *server, const char *session)
{
    if (!server->id || !xeno_id_ok(server->id) || !xeno_base32_ok(session, XENO_SESSION_ID_CHARS))
        return NULL;
    return xeno_asprintf(FOLDER "/%s-%s", server->id, session);
}

/* Sessions that ended by themselves leave theirs behind: above AGREED_MAX the oldest goes. */
static void make_room(struct cli *cli)
{
    xeno_autofree char *folder = xeno_asprintf("%s/" FOLDER, cli->profile->path);
    char oldest[NAME_LENGTH + 1] = "";
    DIR *d = opendir(folder);
    time_t when = 0;
    struct dirent *e;
    struct stat st;
    int n = 0;

    while (d && (e = readdir(d)) != NULL) {
        if (strlen(e->d_name) != NAME_LENGTH || fstatat(dirfd(d), e->d_name, &st, 0) < 0)
            continue;
        if (n++ == 0 || st.st_mtime < when) {
            snprintf(oldest, sizeof oldest, "%s", e->d_name);
            when = st.st_mtime;
        }
    }
    if (d && n >= AGREED_MAX)
        unlinkat(dirfd(d), oldest, 0);
    if (d)
        closedir(d);
}

void cli_agreed_put(struct cli *cli, const struct cli_server *server, const char *session,
                    int64_t per_hour)
{
    xeno_autofree char *path = path_of(server, session);
    xeno_autoclose int fd = -1;

    if (!path || xeno_mkdirs(cli->profile->dirfd, FOLDER, 0700, NULL) < 0)
        return;
    make_room(cli);
    fd = openat(cli->profile->dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                0600);
    if (fd >= 0)
        dprintf(fd, "%" PRId64 "\n", per_hour);
}

int64_t cli_agreed_get(struct cli *cli, const struct cli_server *server, const char *session)
{
    xeno_autofree char *path = path_of(server, session);
    xeno_autofree char *text = NULL;
    long long per_hour;
    char *end;
    size_t len;

    if (!path || xeno_file_read(cli->profile->dirfd, path, NUMBER_MAX, &text, &len, NULL) < 0)
        return -1;
    errno = 0;
    per_hour = strtoll(text, &end, 10);
    return end != text && *end == '\n' && errno == 0 && per_hour >= 0 ? per_hour : -1;
}

void cli_agreed_drop(struct cli *cli, const struct cli_server *server, const char *session)
{
    xeno_autofree char *path = path_of(server, session);

    if (path)
        unlinkat(cli->profile->dirfd, path, 0);
}

int cli_agreed_price(struct cli *cli, const struct cli_args *args, const struct cli_found *f,
                     int64_t *ret, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(f->object);
    int64_t says = cli_int(&top, "rate_per_hour", -1);
    xeno_credit most = xeno_micro(cli_agreed_get(cli, &f->server, f->session));
    char a[XENO_CREDIT_TEXT], b[XENO_CREDIT_TEXT];
    int r = cli_credit(args, "max-price", &most, err);

    if (r < 0)
        return r;
    if (says < 0)
        return xeno_fail(err, -EPROTO, "session.price", "%s does not say what %s costs an hour",
                         f->server.name, f->session);
    xeno_credit_text(xeno_micro(says), a);
    if (most.micro < 0)
        cli_note(cli,
                 "%s says that %s costs at most %s credits an hour; what was agreed is not "
                 "known here",
                 f->server.name, f->session, a);
    else if (says > most.micro)
        return xeno_fail(err, -EDQUOT, "price.per-hour",
                         "%s can cost %s credits an hour, says %s; you agreed to %s (more: "
                         "--max-price)",
                         f->session, a, f->server.name, xeno_credit_text(most, b));
    *ret = says;
    return 0;
}
