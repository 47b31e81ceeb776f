/* src/cli/kept.c - small files about sessions, in a folder of the profile. */
#include "cli/kept.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/io.h"
#include "doc/types.h"

#define NAME_LENGTH (XENO_ID_CHARS + 1 + XENO_SESSION_ID_CHARS)

/* NULL: these are none. */
static char *path_of(const struct cli_kept *k, const struct cli_server *server, const char *session)
{
    if (!server->id || !xeno_id_ok(server->id) || !xeno_base32_ok(session, XENO_SESSION_ID_CHARS))
        return NULL;
    return xeno_asprintf("%s/%s-%s", k->folder, server->id, session);
}

static void make_room(struct cli *cli, const struct cli_kept *k)
{
    xeno_autofree char *folder = xeno_asprintf("%s/%s", cli->profile->path, k->folder);
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
    if (d && n >= k->max_files)
        unlinkat(dirfd(d), oldest, 0);
    if (d)
        closedir(d);
}

void cli_kept_put(struct cli *cli, const struct cli_kept *k, const struct cli_server *server,
                  const char *session, const char *text)
{
    xeno_autofree char *path = path_of(k, server, session);
    xeno_autoclose int fd = -1;
    size_t len = strlen(text);

    if (!path || len > k->max_bytes || xeno_mkdirs(cli->profile->dirfd, k->folder, 0700, NULL) < 0)
        return;
    make_room(cli, k);
    fd = openat(cli->profile->dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                0600);
    if (fd >= 0)
        (void)xeno_write_all(fd, text, len);
}

char *cli_kept_get(struct cli *cli, const struct cli_kept *k, const struct cli_server *server,
                   const char *session)
{
    xeno_autofree char *path = path_of(k, server, session);
    char *text = NULL;
    size_t len;

    if (!path || xeno_file_read(cli->profile->dirfd, path, k->max_bytes, &text, &len, NULL) < 0)
        return NULL;
    return text;
}

void cli_kept_drop(struct cli *cli, const struct cli_kept *k, const struct cli_server *server,
                   const char *session)
{
    xeno_autofree char *path = path_of(k, server, session);

    if (path)
        unlinkat(cli->profile->dirfd, path, 0);
}
