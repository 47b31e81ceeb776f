/* src/xisd/main.c - the information service: faces the network, holds no rights. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/signals.h"
#include "daemon/loop.h"
#include "sandbox/sandbox.h"
#include "xisd/xisd.h"

static int fail_out(const struct xeno_err *err)
{
    xeno_log_err(LOG_ERR, "exit", err, "status=1");
    return EXIT_FAILURE;
}

static int start(struct xisd *d, struct xeno_err *err)
{
    const char *const folders[] = { d->opt.dir, NULL };
    xeno_autofree char *config = xeno_conf_folder(d->argc, d->argv);
    const char *const readable[] = { config, NULL };
    int r;

    xeno_signals_for_loop();
    r = xisd_open(d, err);
    if (r == 0)
        r = xisd_listen(d, err);
    if (r == 0)
        r = xeno_sandbox_enter_with("xisd", folders, readable, err);
    return r < 0 ? r : xisd_start(d, err);
}

static int serve(struct xisd *d, struct xeno_err *err)
{
    int r = start(d, err);

    return r < 0 ? r : xeno_daemon_run(d->loop, err);
}

static int run(struct xisd *d, const struct xeno_conf_ask *ask, struct xeno_err *err)
{
    int r = d->opt.user && *d->opt.user ? xeno_sandbox_user(d->opt.user, err) : 0;

    if (r < 0)
        return fail_out(err);
    if (ask->todo == XENO_CONF_CHECK)
        return xisd_check(d);
    if (ask->todo == XENO_CONF_VERB)
        return xisd_enrol(d, ask->value, err) < 0 ? fail_out(err) : EXIT_SUCCESS;
    return serve(d, err) < 0 ? fail_out(err) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct xisd d = { .argc = argc, .argv = argv, .env = xeno_env_real(), .dirfd = -1 };
    struct xeno_conf_ask ask = { .todo = XENO_CONF_DONE };
    struct xeno_err err = XENO_ERR_INIT;
    int r = EXIT_SUCCESS;

    umask(077);
    xeno_log_init("xisd", LOG_INFO);
    xeno_crypto_init();
    if (xeno_conf_args(&xisd_program, &d.opt, argc, argv, &ask, &err) < 0) {
        r = fail_out(&err);
    } else if (ask.todo != XENO_CONF_DONE) {
        xeno_log_init("xisd", d.opt.debug ? LOG_DEBUG : LOG_INFO);
        r = run(&d, &ask, &err);
    }
    xisd_release(&d);
    return r;
}
