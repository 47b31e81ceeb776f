/* src/xenocorpd/main.c - XenoCorp: options, what the verbs do, and the loop. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "base/signals.h"
#include "corp/ledger.h"
#include "corp/registry.h"
#include "daemon/loop.h"
#include "sandbox/sandbox.h"
#include "xenocorpd/corpd.h"

static int fail_out(const struct xeno_err *err)
{
    xeno_log_err(LOG_ERR, "exit", err, "status=1");
    return EXIT_FAILURE;
}

/* --- what is not serving --- */

static int print_token(struct corpd *d, struct xeno_err *err)
{
    char token[XENO_TOKEN_TEXT + 4];
    int r = corpd_operator_token(d, token, err);

    if (r < 0)
        return r;
    printf("%s\n", token);
    return 0;
}

static int verb(struct corpd *d, const char *name, struct xeno_err *err)
{
    int r;

    if (strcmp(name, "init") == 0) {
        r = corpd_init(d, err);
        return r < 0 ? r : print_token(d, err);
    }
    r = corpd_open(d, err);
    if (r == 0 && strcmp(name, "operator-token") == 0)
        return print_token(d, err);
    if (r == 0)
        r = xeno_ledger_check(d->db, err);
    if (r == 0)
        printf("the books are in order\n");
    return r;
}

/* Everything serving needs is opened, nothing is served. */
static int check(struct corpd *d, struct xeno_err *err)
{
    int r = corpd_open(d, err);

    if (r < 0)
        return r;
    printf("XenoCorp %s in %s: certificates and books open\n", xeno_corp_id(d->corp),
           d->options.dir);
    printf("sandbox: system calls %s, folders %s\n",
           xeno_sandbox_has_seccomp() ? "restricted" : "not restricted (no seccomp in this kernel)",
           xeno_sandbox_has_landlock() ? "restricted"
                                       : "not restricted (no Landlock in this kernel)");
    return 0;
}

/* --- serving --- */

static int start(struct corpd *d, struct xeno_err *err)
{
    const char *const folders[] = { d->options.dir, NULL };
    int r = corpd_open(d, err);

    if (r < 0)
        return r;
    xeno_signals_for_loop();
    r = corpd_listen(d, err);
    if (r == 0)
        r = xeno_sandbox_enter("xenocorpd", folders, err);
    return r < 0 ? r : corpd_start(d, err);
}

/* What is at work is finished and answered; the answers may not leave any more, and their requests
 * can be repeated. */
static void stop(struct corpd *d)
{
    if (d->work) {
        xeno_work_stop(d->work);
        (void)xeno_work_collect(d->work);
    }
    xeno_http_server_free(d->server);
    xeno_daemon_loop_free(d->basics);
    xeno_work_free(d->work);
    books_free(d->books);
    for (size_t i = 0; i < d->source_count; i++)
        sd_event_source_unref(d->sources[i]);
    sd_event_unref(d->loop);
}

static int serve(struct corpd *d, struct xeno_err *err)
{
    int r = start(d, err);

    if (r == 0)
        r = xeno_daemon_run(d->loop, err);
    stop(d);
    return r;
}

static int run(struct corpd *d, const struct xeno_conf_ask *ask, struct xeno_err *err)
{
    int r = d->options.user ? xeno_sandbox_user(d->options.user, err) : 0;

    if (r < 0)
        return r;
    switch (ask->todo) {
    case XENO_CONF_VERB:
        return verb(d, ask->verb, err);
    case XENO_CONF_CHECK:
        return check(d, err);
    case XENO_CONF_RUN:
        return serve(d, err);
    case XENO_CONF_DONE:
        break;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct corpd d = { .argc = argc, .argv = argv, .env = xeno_env_real(), .dir = -1, .lock = -1 };
    struct xeno_conf_ask ask = { .todo = XENO_CONF_DONE };
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    umask(077);
    xeno_log_init("xenocorpd", LOG_INFO);
    r = xeno_conf_args(&corpd_program, &d.options, argc, argv, &ask, &err);
    if (r == 0) {
        xeno_log_init("xenocorpd", d.options.debug ? LOG_DEBUG : LOG_INFO);
        xeno_crypto_init();
        r = run(&d, &ask, &err);
    }
    corpd_release(&d);
    return r < 0 ? fail_out(&err) : EXIT_SUCCESS;
}
