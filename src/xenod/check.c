/* src/xenod/check.c - --check: what is missing for serving, and what to do about it.
 *
 * Changes nothing. Each line is "ok" or "MISSING", what was looked at, and what was found.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "image/store.h"
#include "sandbox/sandbox.h"
#include "xenod/xenod.h"

#define DISK_LEAST  (INT64_C(1) << 30)
#define CLOCK_LEAST INT64_C(1735689600) /* 2025-01-01: a clock before it was never set */
#define DESCRIBE_US (3 * 1000 * 1000)

struct check {
    struct xenod *d;
    int missing;
    bool described; /* the task manager answered, whatever it said */
};

static void say(struct check *c, bool ok, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct check *c, bool ok, const char *what, const char *fmt, ...)
{
    va_list ap;

    printf("%-8s %-14s ", ok ? "ok" : "MISSING", what);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    c->missing += !ok;
}

static void check_clock(struct check *c)
{
    xeno_time now = xeno_wall(c->d->env);
    char text[XENO_TIME_TEXT];

    say(c, now.ns / XENO_NS_PER_S > CLOCK_LEAST, "clock",
        "it is %s; credentials and orders need a "
        "right clock: run a time service",
        xeno_time_text(now, text));
}

static void check_dir(struct check *c)
{
    struct stat st;
    const char *dir = c->d->opt.dir;
    bool ok = stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && access(dir, W_OK | X_OK) == 0;

    say(c, ok, "folder", ok ? "%s" : "%s: make it, owned by the user xenod runs as", dir);
    if (ok)
        c->d->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void check_disk(struct check *c)
{
    char text[32];

    say(c, c->d->machine.disk_bytes >= DISK_LEAST, "disk",
        "%s free in %s; sessions and the journal "
        "need 1 GiB at the least",
        xeno_size_text(c->d->machine.disk_bytes, text), c->d->opt.dir);
}

static void check_credential(struct check *c)
{
    struct xeno_err err = XENO_ERR_INIT;
    char text[XENO_TIME_TEXT];

    if (c->d->dirfd < 0)
        return;
    if (xenod_identity_open(c->d, &err) < 0)
        say(c, false, "credential", "%s", err.text);
    else
        say(c, true, "credential", "%s, of XenoCorp %s, until %s", xeno_member_id(c->d->member)->s,
            xeno_member_corp(c->d->member)->s,
            xeno_time_text(xeno_member_cert(c->d->member)->not_after, text));
}

static void check_journal(struct check *c)
{
    xeno_autofree char *path = xeno_asprintf("%s/journal.db", c->d->opt.dir);
    bool ok = access(path, F_OK) < 0 || access(path, R_OK | W_OK) == 0;

    say(c, ok, "journal", ok ? "%s" : "%s: not ours to write; give it to the user xenod runs as",
        path);
}

static void check_images(struct check *c)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (strcmp(c->d->opt.driver, "null") == 0 && !c->d->opt.images)
        return;
    if (!c->d->opt.images || !*c->d->opt.images) {
        say(c, false, "images",
            "no store is configured: set images, and make a template with "
            "xeno template build");
        return;
    }
    if (xenod_image_open(c->d, &err) < 0)
        say(c, false, "images",
            "%s; make a template there: xeno template build debian:bookworm --name debian --store %s",
            err.text, c->d->opt.images);
    else
        say(c, true, "images", "%s, template of documents without one: %s", c->d->opt.images,
            c->d->opt.template_ref && *c->d->opt.template_ref ? c->d->opt.template_ref : "none");
}

static void check_corp(struct check *c)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (!c->d->member || !xeno_member_cert(c->d->member))
        return;
    if (xeno_member_corp_check(c->d->member, c->d->loop, &err) < 0)
        say(c, false, "XenoCorp",
            "%s: %s; until it answers no session can begin, those that run go "
            "on",
            c->d->opt.corp_url, err.text);
    else
        say(c, true, "XenoCorp", "%s answers", c->d->opt.corp_url);
}

/* With socket activation the address is systemd's business, and a xenod that runs has it. */
static void check_listen(struct check *c)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autoclose int fd = -1;
    int r = xeno_http_listen(c->d->opt.listen, &fd, &err);

    if (r == 0)
        say(c, true, "listen", "%s", c->d->opt.listen);
    else if (r == -EADDRINUSE)
        printf("%-8s %-14s %s is taken: by this xenod if it runs, or its socket unit; else see who "
               "has it: ss -ltnp\n",
               "note", "listen", c->d->opt.listen);
    else
        say(c, false, "listen", "%s", err.text);
}

/* --- task manager --- */

static void on_described(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                         const struct xeno_err *err)
{
    struct check *c = data;
    struct xeno_err why = XENO_ERR_INIT;

    (void)fds;
    (void)nfds;
    c->described = true;
    if (err)
        say(c, false, "task manager", "%s: %s", c->d->opt.task_socket, err->text);
    else if (xenod_task_check(c->d, ok, &why) < 0)
        say(c, false, "task manager", "%s", why.text);
    else
        say(c, true, "task manager", "%s has the driver %s", c->d->opt.task_socket,
            c->d->opt.driver);
    sd_event_exit(c->d->loop, 0);
}

static void on_task_state(void *data, bool up)
{
    struct check *c = data;
    xeno_auto(xeno_task_request) q = xeno_task_request_new(XENO_TASK_DESCRIBE, NULL);

    if (up)
        (void)xeno_task_client_ask(c->d->task, q, xeno_s(3), on_described, c, NULL);
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *data)
{
    (void)usec;
    (void)data;
    return sd_event_exit(sd_event_source_get_event(s), 0);
}

static void check_task_manager(struct check *c)
{
    struct xeno_task_client_hooks hooks = { .state = on_task_state, .data = c };
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_task_client_new(c->d->loop, c->d->opt.task_socket, &hooks, &c->d->task, &err) < 0) {
        say(c, false, "task manager", "%s", err.text);
        return;
    }
    (void)sd_event_add_time_relative(c->d->loop, NULL, CLOCK_MONOTONIC, DESCRIBE_US, 0, on_timeout,
                                     NULL);
    (void)sd_event_loop(c->d->loop);
    if (!c->described)
        say(c, false, "task manager",
            "nobody answers at %s: start xeno-taskd, and allow this user "
            "with its option peer-uid",
            c->d->opt.task_socket);
}

static void check_sandbox(struct check *c)
{
    say(c, xeno_sandbox_has_seccomp(), "seccomp", "the kernel must filter system calls");
    if (!xeno_sandbox_has_landlock())
        printf("%-8s %-14s not in this kernel: files are protected by their owners only\n", "note",
               "Landlock");
}

int xenod_check(struct xenod *d)
{
    struct check c = { .d = d };

    if (sd_event_default(&d->loop) < 0)
        return EXIT_FAILURE;
    xenod_probe(&d->machine, d->opt.dir);
    check_clock(&c);
    check_dir(&c);
    check_disk(&c);
    check_credential(&c);
    check_journal(&c);
    check_images(&c);
    check_corp(&c);
    check_listen(&c);
    check_sandbox(&c);
    check_task_manager(&c); /* last: it uses the loop up */
    if (c.missing)
        printf("%d missing\n", c.missing);
    return c.missing ? EXIT_FAILURE : EXIT_SUCCESS;
}
