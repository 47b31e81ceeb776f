/* src/taskd/check.c - --check: what is missing for running sessions, and what to do about it.
 *
 * Each line is "ok", "MISSING" or "note", what was looked at, and what was found.
 */
#include "taskd/check.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "task/proc.h"
#include "task/serve.h"

static void say(int *missing, const char *how, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void say(int *missing, const char *how, const char *what, const char *fmt, ...)
{
    va_list ap;

    printf("%-8s %-14s ", how, what);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    *missing += strcmp(how, "MISSING") == 0;
}

/* One of two programs, where either will do. */
static void check_programs(int *missing)
{
    static const struct {
        const char *name, *other, *package, *why;
    } rows[] = {
        { "conmon", NULL, "conmon", "it keeps containers while this daemon restarts" },
        { "crun", "runc", "crun or runc", "it starts containers" },
        { "mkfs.ext4", NULL, "e2fsprogs", "it makes writable layers" },
        { "e2fsck", NULL, "e2fsprogs", "it checks writable layers after a crash" },
        { "resize2fs", NULL, "e2fsprogs", "it grows writable layers" },
    };

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *path = xeno_proc_find(rows[i].name);

        if (!path && rows[i].other)
            path = xeno_proc_find(rows[i].other);
        if (path)
            say(missing, "ok", rows[i].name, "%s", path);
        else
            say(missing, "MISSING", rows[i].name, "%s: apt-get install %s", rows[i].why,
                rows[i].package);
    }
}

static void check_peer(const struct taskd *d, int *missing)
{
    const struct passwd *p = getpwuid((uid_t)d->conf.peer_uid);

    if (d->conf.peer_uid == 0)
        say(missing, "note", "peer-uid",
            "only root may connect to %s: for a xenod of its own user, set it to: id -u xenod",
            d->conf.socket);
    else if (p)
        say(missing, "ok", "peer-uid", "%s may connect to %s", p->pw_name, d->conf.socket);
    else
        say(missing, "note", "peer-uid",
            "%" PRId64 " may connect to %s, a user without a name here: is that who xenod runs as?",
            d->conf.peer_uid, d->conf.socket);
}

static void check_images(const struct taskd *d, int *missing)
{
    struct stat st;

    if (stat(d->conf.images, &st) == 0 && S_ISDIR(st.st_mode))
        say(missing, "ok", "images", "%s", d->conf.images);
    else
        say(missing, "MISSING", "images",
            "%s is not there: xeno template build debian:bookworm --name debian --store %s",
            d->conf.images, d->conf.images);
}

/* What sessions of layers that are not here take. An operator who wants none needs none of it. */
static void check_pieces(const struct taskd *d, int *missing)
{
    const char *how = *d->conf.imaged ? "MISSING" : "note";
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_serve_check(d->host.cowfs, &err) < 0)
        say(missing, how, "pieces", "%s", err.text);
    else
        say(missing, "ok", "pieces", "%s", d->host.cowfs);
    if (!*d->conf.imaged)
        say(missing, "note", "imaged",
            "not set: sessions start from what is on this host only (man xeno-imaged)");
    else if (access(d->conf.imaged, F_OK) < 0)
        say(missing, "note", "imaged", "nobody listens at %s yet: start xeno-imaged",
            d->conf.imaged);
    else
        say(missing, "ok", "imaged", "%s, %s", d->conf.imaged, d->conf.imaged_store);
}

static void check_drivers(const struct taskd *d, int *missing)
{
    for (size_t i = 0; xeno_task_drivers[i]; i++) {
        const struct xeno_task_driver *drv = xeno_task_drivers[i];
        char what[32];

        snprintf(what, sizeof what, "driver %s", drv->name);
        if (d->usable[i])
            say(missing, "ok", what, "can run here");
        else
            say(missing, drv->needs_root && geteuid() != 0 ? "note" : "MISSING", what, "%s",
                d->why_not[i]);
    }
}

int taskd_check(const struct taskd *d, const struct xeno_err *opened)
{
    int missing = 0;

    if (geteuid() == 0)
        say(&missing, "ok", "rights", "root");
    else
        say(&missing, "note", "rights",
            "not root: only the driver null can run, which runs nothing");
    check_programs(&missing);
    check_images(d, &missing);
    check_peer(d, &missing);
    if (opened->code == -EBUSY)
        say(&missing, "note", "folder", "%s; what it has open is not looked at", opened->text);
    else if (opened->code < 0)
        say(&missing, "MISSING", "kernel, folder", "%s", opened->text);
    else {
        say(&missing, "ok", "folder", "%s", d->conf.dir);
        check_pieces(d, &missing);
        check_drivers(d, &missing);
    }
    if (missing)
        printf("%d missing\n", missing);
    return missing ? EXIT_FAILURE : EXIT_SUCCESS;
}
