/* src/member/check.c - what --check says of a member's daemon. */
#include "member/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "sandbox/sandbox.h"

#define CLOCK_LEAST INT64_C(1735689600) /* 2025-01-01: a clock before it was never set */

static void line(const char *how, const char *what, const char *fmt, va_list ap)
{
    printf("%-8s %-14s ", how, what);
    vprintf(fmt, ap);
    putchar('\n');
}

void xeno_check_say(struct xeno_check *c, bool ok, const char *what, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line(ok ? "ok" : "MISSING", what, fmt, ap);
    va_end(ap);
    c->missing += !ok;
}

void xeno_check_note(const char *what, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    line("note", what, fmt, ap);
    va_end(ap);
}

void xeno_check_clock(struct xeno_check *c, const struct xeno_env *env)
{
    xeno_time now = xeno_wall(env);
    char text[XENO_TIME_TEXT];

    xeno_check_say(c, now.ns / XENO_NS_PER_S > CLOCK_LEAST, "clock",
                   "it is %s; credentials and orders need a right clock: run a time service",
                   xeno_time_text(now, text));
}

int xeno_check_dir(struct xeno_check *c, const char *dir)
{
    struct stat st;
    bool ok = stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && access(dir, W_OK | X_OK) == 0;

    if (!ok) {
        xeno_check_say(c, false, "folder", "%s: make it, owned by the user %s runs as", dir,
                       c->program);
        return -1;
    }
    xeno_check_say(c, true, "folder", "%s", dir);
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void xeno_check_credential(struct xeno_check *c, struct xeno_member *m, struct sd_event *loop)
{
    struct xeno_err err = XENO_ERR_INIT;
    char text[XENO_TIME_TEXT];

    if (xeno_member_load(m, loop, &err) < 0)
        xeno_check_say(c, false, "credential", "%s", err.text);
    else
        xeno_check_say(c, true, "credential", "%s, of XenoCorp %s, until %s", xeno_member_id(m)->s,
                       xeno_member_corp(m)->s,
                       xeno_time_text(xeno_member_cert(m)->not_after, text));
}

static void check_corp(struct xeno_check *c, const struct xeno_member *m, const char *corp_url,
                       struct sd_event *loop, const char *otherwise)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_member_corp_check(m, loop, &err) < 0)
        xeno_check_say(c, false, "XenoCorp", "%s: %s; until it answers %s", corp_url, err.text,
                       otherwise);
    else
        xeno_check_say(c, true, "XenoCorp", "%s answers", corp_url);
}

bool xeno_check_member(struct xeno_check *c, const struct xeno_member_opts *who, int *ret_dirfd,
                       struct sd_event **loop, struct xeno_member **ret, const char *otherwise)
{
    struct xeno_member_opts opts = *who;

    xeno_check_clock(c, who->env);
    *ret_dirfd = opts.dirfd = xeno_check_dir(c, who->dir);
    if (opts.dirfd < 0 || (!*loop && sd_event_default(loop) < 0))
        return false;
    *ret = xeno_member_new(&opts);
    xeno_check_credential(c, *ret, *loop);
    if (!xeno_member_cert(*ret))
        return false;
    check_corp(c, *ret, who->corp_url, *loop, otherwise);
    return true;
}

void xeno_check_listen(struct xeno_check *c, const char *listen)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autoclose int fd = -1;
    int r = xeno_http_listen(listen, &fd, &err);

    if (r == 0)
        xeno_check_say(c, true, "listen", "%s", listen);
    else if (r == -EADDRINUSE)
        xeno_check_note("listen",
                        "%s is taken: by this %s if it runs, or its socket unit; else see who has "
                        "it: ss -ltnp",
                        listen, c->program);
    else
        xeno_check_say(c, false, "listen", "%s", err.text);
}

void xeno_check_sandbox(struct xeno_check *c)
{
    xeno_check_say(c, xeno_sandbox_has_seccomp(), "seccomp", "the kernel must filter system calls");
    if (!xeno_sandbox_has_landlock())
        xeno_check_note("Landlock", "not in this kernel: files are protected by their owners only");
}

int xeno_check_end(const struct xeno_check *c)
{
    if (c->missing)
        printf("%d missing\n", c->missing);
    return c->missing ? EXIT_FAILURE : EXIT_SUCCESS;
}
