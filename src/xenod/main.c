/* src/xenod/main.c - the environment manager: faces the network, holds no rights. */
#include <stdio.h>

#include "base/log.h"
#include "base/signals.h"
#include "daemon/loop.h"
#include "sandbox/sandbox.h"
#include "xenod/xenod.h"

static int fail(const struct xeno_err *err)
{
    xeno_log_err(LOG_ERR, "xenod.exit", err, "%s", "");
    return EXIT_FAILURE;
}

static int enter_sandbox(const struct xenod *d, struct xeno_err *err)
{
    xeno_autofree char *config = xeno_conf_folder(d->argc, d->argv);
    const char *const folders[] = { d->opt.dir, NULL };
    const char *readable[4] = { NULL };
    bool calls = d->opt.probe_source && *d->opt.probe_source;
    size_t n = 0;

    if (d->opt.images && *d->opt.images)
        readable[n++] = d->opt.images;
    if (d->opt.imaged_store && *d->opt.imaged_store)
        readable[n++] = d->opt.imaged_store;
    readable[n] = config;
    return xeno_sandbox_enter_with(calls ? "xenod-calls" : "xenod", folders, readable, err);
}

static int serve(struct xenod *d, struct xeno_err *err)
{
    int r;

    xeno_signals_for_loop();
    r = xenod_open(d, err);
    if (r == 0)
        r = enter_sandbox(d, err);
    if (r == 0)
        r = xenod_adopt(d, err);
    return r < 0 ? r : xeno_daemon_run(d->loop, err);
}

int main(int argc, char **argv)
{
    xeno_auto(xenod) d = xeno_new0(struct xenod);
    struct xeno_conf_ask ask = { .todo = XENO_CONF_DONE };
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    xeno_log_init("xenod", LOG_INFO);
    xeno_crypto_init();
    d->env = xeno_env_real();
    d->dirfd = -1;
    d->argc = argc;
    d->argv = argv;
    r = xeno_conf_args(&xenod_program, &d->opt, argc, argv, &ask, &err);
    if (r == 0)
        r = xenod_options_check(&d->opt, &err);
    if (r < 0)
        return fail(&err);
    if (ask.todo == XENO_CONF_DONE)
        return EXIT_SUCCESS;
    xeno_log_init("xenod", d->opt.debug ? LOG_DEBUG : LOG_INFO);
    if (d->opt.user && *d->opt.user && xeno_sandbox_user(d->opt.user, &err) < 0)
        return fail(&err);
    if (ask.todo == XENO_CONF_CHECK)
        return xenod_check(d);
    r = ask.todo == XENO_CONF_VERB ? xenod_enrol(d, ask.value, &err) : serve(d, &err);
    return r < 0 ? fail(&err) : EXIT_SUCCESS;
}
