/* src/imaged/check.c - --check: what is missing for serving, and what to do about it. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "image/registry.h"
#include "imaged/imaged.h"
#include "member/check.h"

static void check_socket(const struct imaged *d, struct xeno_check *c)
{
    xeno_autofree char *copy = xeno_strdup(d->opt.socket);
    const char *folder = dirname(copy);

    xeno_check_say(c, access(folder, W_OK | X_OK) == 0, "socket",
                   "%s: its folder must be there, and be writable for us", d->opt.socket);
}

static void check_identity(const struct imaged *d, struct xeno_check *c)
{
    const char *dir = d->opt.identity;
    struct xeno_member_opts opts = {
        .env = d->env, .kind = XENO_PARTY_SERVER, .program = "xenod", .dir = dir
    };
    struct xeno_member *m;

    if (!dir || !*dir) {
        xeno_check_note("credential", "none is shown to XenoStores (identity)");
        return;
    }
    opts.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opts.dirfd < 0) {
        xeno_check_say(c, false, "credential",
                       "%s: cannot be read; run as the user of xenod (identity)", dir);
        return;
    }
    m = xeno_member_new(&opts);
    xeno_check_credential(c, m, NULL);
    xeno_member_free(m);
    close(opts.dirfd);
}

static void check_files(const struct imaged *d, struct xeno_check *c)
{
    const struct {
        const char *what, *path;
    } files[] = { { "registry-ca", d->opt.ca_file }, { "registry-auth", d->opt.auth_file } };

    for (size_t i = 0; i < XENO_LEN(files); i++)
        if (files[i].path && *files[i].path)
            xeno_check_say(c, access(files[i].path, R_OK) == 0, files[i].what, "%s", files[i].path);
}

static void check_registries(const struct imaged *d, struct xeno_check *c)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (guard_entries(d->opt.registries, &err) < 0)
        xeno_check_say(c, false, "registries", "%s", err.text);
    else
        xeno_check_say(c, true, "registries", "%s",
                       d->opt.registries && *d->opt.registries ? d->opt.registries
                                                               : "of the public internet only");
}

int imaged_check(struct imaged *d)
{
    struct xeno_check c = { .program = "xeno-imaged" };
    int fd;

    xeno_check_clock(&c, d->env);
    fd = xeno_check_dir(&c, d->opt.dir);
    if (fd >= 0)
        close(fd);
    check_socket(d, &c);
    check_identity(d, &c);
    check_files(d, &c);
    check_registries(d, &c);
    xeno_check_sandbox(&c);
    return xeno_check_end(&c);
}
