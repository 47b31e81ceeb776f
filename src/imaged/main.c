/* src/imaged/main.c - the image manager: faces registries, holds no rights. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/signals.h"
#include "daemon/loop.h"
#include "imaged/imaged.h"
#include "sandbox/sandbox.h"

static int fail_out(const struct xeno_err *err)
{
    xeno_log_err(LOG_ERR, "exit", err, "status=1");
    return EXIT_FAILURE;
}

/* A connection for each thread of each session that waits for a read. */
static void want_files(void)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
    }
}

static int start(struct imaged *d, struct xeno_err *err)
{
    const char *const folders[] = { d->opt.dir, NULL };
    xeno_autofree char *config = xeno_conf_folder(d->argc, d->argv);
    const char *const maybe[] = { config, d->opt.identity, d->opt.ca_file, d->opt.auth_file };
    const char *readable[XENO_LEN(maybe) + 1] = { NULL };
    size_t n = 0;
    int r;

    for (size_t i = 0; i < XENO_LEN(maybe); i++)
        if (maybe[i] && *maybe[i])
            readable[n++] = maybe[i];
    xeno_signals_for_loop();
    want_files();
    r = imaged_open(d, err);
    if (r == 0)
        r = xeno_sandbox_enter_with("imaged", folders, readable, err);
    return r < 0 ? r : imaged_start(d, err);
}

static int serve(struct imaged *d, struct xeno_err *err)
{
    int r = start(d, err);

    return r < 0 ? r : xeno_daemon_run(d->loop, err);
}

static int status(const struct imaged *d, struct xeno_err *err)
{
    const struct xeno_agent_opts opts = { .env = d->env, .socket = d->opt.socket };
    xeno_auto(xeno_agent) a = NULL;
    xeno_auto(xeno_json) numbers = NULL;
    xeno_autofree char *text = NULL;
    size_t len;
    int r = xeno_agent_new(&opts, &a, err);

    if (r == 0)
        r = xeno_agent_status(a, &numbers, err);
    if (r < 0)
        return r;
    text = xeno_json_format(numbers, true, &len);
    puts(text);
    return 0;
}

static int run(struct imaged *d, const struct xeno_conf_ask *ask, struct xeno_err *err)
{
    int r = d->opt.user && *d->opt.user ? xeno_sandbox_user(d->opt.user, err) : 0;

    if (r == 0)
        r = guard_entries(d->opt.registries, err);
    if (r == 0 && ask->todo == XENO_CONF_CHECK)
        return imaged_check(d);
    if (r == 0)
        r = ask->todo == XENO_CONF_VERB ? status(d, err) : serve(d, err);
    return r < 0 ? fail_out(err) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct imaged d = { .argc = argc,
                        .argv = argv,
                        .env = xeno_env_real(),
                        .lock = -1,
                        .who_dirfd = -1,
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .files_mutex = PTHREAD_MUTEX_INITIALIZER,
                        .who_mutex = PTHREAD_MUTEX_INITIALIZER };
    struct xeno_conf_ask ask = { .todo = XENO_CONF_DONE };
    struct xeno_err err = XENO_ERR_INIT;
    int r = EXIT_SUCCESS;

    umask(022); /* the store is readable by all */
    xeno_log_init("xeno-imaged", LOG_INFO);
    xeno_crypto_init();
    if (xeno_conf_args(&imaged_program, &d.opt, argc, argv, &ask, &err) < 0) {
        r = fail_out(&err);
    } else if (ask.todo != XENO_CONF_DONE) {
        xeno_log_init("xeno-imaged", d.opt.debug ? LOG_DEBUG : LOG_INFO);
        r = run(&d, &ask, &err);
    }
    imaged_release(&d);
    return r;
}
