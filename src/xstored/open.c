/* src/xstored/open.c - put the parts together, and take them apart. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/io.h"
#include "base/log.h"
#include "sandbox/sandbox.h"
#include "xstored/job.h"
#include "xstored/upload.h"

/* --- who we are --- */

static int open_dir(struct xstored *d, struct xeno_err *err)
{
    int r = xeno_mkdirs(AT_FDCWD, d->opt.dir, 0755, err);

    if (r < 0)
        return r;
    (void)chmod(d->opt.dir, 0700); /* refused when it is somebody else's, then so be it */
    d->dirfd = open(d->opt.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dirfd < 0)
        return xeno_fail_errno(err, -errno, "store.dir", "open folder '%s'", d->opt.dir);
    return 0;
}

static int load_pem(struct xstored *d, const char *name, char **ret, struct xeno_err *err)
{
    size_t len;
    int r = xeno_file_read(d->dirfd, name, XENO_CERT_PEM_MAX, ret, &len, err);

    if (r == -ENOENT)
        return xeno_fail(err, r, "store.identity",
                         "there is no %s in '%s': put key.pem, credential.pem and ca.pem there",
                         name, d->opt.dir);
    return r;
}

static int check_credential(struct xstored *d, struct xeno_err *err)
{
    int r = xeno_cert_parse(d->cert_pem, 0, &d->cert, err);

    if (r == 0)
        r = xeno_cert_check(d->cert_pem, 0, d->ca_pem, xeno_wall(d->env), err);
    if (r < 0)
        return r;
    if (d->cert->kind != XENO_PARTY_NODE && d->cert->kind != XENO_PARTY_SERVER)
        return xeno_fail(err, -EPERM, "store.identity",
                         "the credential is a %s's; a XenoStore is a node",
                         xeno_party_name(d->cert->kind));
    if (strcmp(d->cert->id.s, d->id.s) != 0)
        return xeno_fail(err, -EPERM, "store.identity", "the credential is %s's, the key is %s's",
                         d->cert->id.s, d->id.s);
    return 0;
}

static int open_identity(struct xstored *d, struct xeno_err *err)
{
    int r = load_pem(d, "ca.pem", &d->ca_pem, err);

    if (r == 0)
        r = load_pem(d, "credential.pem", &d->cert_pem, err);
    if (r == 0)
        r = xeno_key_load(d->dirfd, "key.pem", &d->key, err);
    if (r < 0)
        return r;
    d->id = xeno_id_of(xeno_key_pub(d->key));
    r = check_credential(d, err);
    return r < 0 ? xeno_context(err, r, "credential in '%s'", d->opt.dir) : 0;
}

/* --- what we keep --- */

/* Two daemons on the same objects would each remove what only the other knows. */
static int lock_dir(struct xstored *d, struct xeno_err *err)
{
    if (xeno_lock(d->dirfd, XENO_LOCK_RESTART_MS) < 0)
        return xeno_fail(err, -EBUSY, "store.lock", "another xstored has '%s' open: end it first",
                         d->opt.dir);
    return 0;
}

static int open_books(struct xstored *d, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("sqlite:%s/store.db", d->opt.dir);
    int r = xeno_db_open(url, &d->books, err);

    if (r == 0)
        r = xstored_meta_open(d->books, err);
    if (r == 0)
        r = xeno_db_open(url, &d->view, err);
    return r;
}

static int open_objects(struct xstored *d, struct xeno_err *err)
{
    xeno_autofree char *inside = xeno_asprintf("%s/objects", d->opt.dir);
    bool given = d->opt.objects && *d->opt.objects;

    return xstored_backend_dir.open(given ? d->opt.objects : inside, &d->objects, err);
}

int xstored_open(struct xstored *d, struct xeno_err *err)
{
    int r = open_dir(d, err);

    if (r == 0)
        r = open_identity(d, err);
    if (r == 0)
        r = lock_dir(d, err);
    if (r == 0)
        r = open_books(d, err);
    if (r == 0)
        r = open_objects(d, err);
    if (r == 0)
        r = xstored_uploads_load(d, err);
    return r;
}

/* --- serving --- */

static int open_server(struct xstored *d, struct xeno_err *err)
{
    struct xeno_http_limits limits = xeno_http_limits_default;
    struct xeno_http_server_opts opts = {
        .listen = d->opt.listen,
        .listen_fd = sd_listen_fds(1) == 1 ? SD_LISTEN_FDS_START : -1,
        .cert_pem = d->cert_pem,
        .key = d->key,
        .ca_pem = d->ca_pem,
        .env = d->env,
        .limits = &limits,
        .routes = xstored_routes,
        .user = d,
        .problem = xstored_problem,
    };

    limits.connections = (unsigned)d->opt.connections;
    limits.connections_per_address = (unsigned)d->opt.connections_per_address;
    limits.running_per_peer = (unsigned)d->opt.running_per_peer;
    return xeno_http_server_new(d->loop, &opts, &d->server, err);
}

int xstored_listen(struct xstored *d, struct xeno_err *err)
{
    int r = d->loop ? 0 : sd_event_default(&d->loop);

    if (r < 0)
        return xeno_fail_errno(err, r, "store.loop", "make an event loop");
    return open_server(d, err);
}

static int on_work(sd_event_source *s, int fd, uint32_t events, void *user)
{
    struct xstored *d = user;

    (void)s;
    (void)fd;
    (void)events;
    (void)xeno_work_collect(d->work);
    return 0;
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *user)
{
    struct xstored *d = user;

    (void)s;
    xeno_log(LOG_NOTICE, "stop", "signal=%u", si->ssi_signo);
    return sd_event_exit(d->loop, 0);
}

/* Of the options just read, take those that may change while running. */
static void take_reloadable(struct xstored *d, struct xstored_options *fresh)
{
    for (size_t i = 0; i < xstored_program.count; i++) {
        const struct xeno_conf_item *it = &xstored_program.items[i];
        char *to = (char *)&d->opt + it->offset, *from = (char *)fresh + it->offset;
        size_t size = it->type == XENO_CONF_BOOL ? sizeof(bool) : sizeof(int64_t);
        char old[sizeof(int64_t)];

        if (!it->reloadable)
            continue;
        memcpy(old, to, size);
        memcpy(to, from, size);
        memcpy(from, old, size); /* released with the rest */
    }
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *user)
{
    struct xstored *d = user;
    struct xstored_options fresh = { .dir = NULL };
    struct xeno_conf_ask ask;
    struct xeno_err err = XENO_ERR_INIT;

    (void)s;
    (void)si;
    if (xeno_conf_args(&xstored_program, &fresh, d->argc, d->argv, &ask, &err) < 0) {
        xeno_log_err(LOG_ERR, "config.reload", &err, "kept=old");
    } else {
        take_reloadable(d, &fresh);
        xeno_log_init("xstored", d->opt.debug ? LOG_DEBUG : LOG_INFO);
        xeno_log(LOG_NOTICE, "config.reloaded", "quota=%" PRId64, d->opt.quota_bytes);
    }
    xeno_conf_release(xstored_program.items, xstored_program.count, &fresh);
    return 0;
}

static int add_sources(struct xstored *d)
{
    static const struct {
        int signal;
        sd_event_signal_handler_t handler;
    } signals[] = { { SIGTERM, on_signal }, { SIGINT, on_signal }, { SIGHUP, on_hangup } };
    int r = sd_event_add_io(d->loop, &d->sources[d->source_count++], xeno_work_fd(d->work), EPOLLIN,
                            on_work, d);

    for (size_t i = 0; r >= 0 && i < XENO_LEN(signals); i++)
        r = sd_event_add_signal(d->loop, &d->sources[d->source_count++], signals[i].signal,
                                signals[i].handler, d);
    if (r >= 0)
        r = sd_event_set_watchdog(d->loop, 1);
    return r;
}

int xstored_start(struct xstored *d, struct xeno_err *err)
{
    int r = job_start(d, err);

    if (r < 0)
        return r;
    r = add_sources(d);
    if (r < 0)
        return xeno_fail_errno(err, r, "store.loop", "set up the event loop");
    r = xstored_tend_start(d, err);
    if (r < 0)
        return r;
    xeno_log(LOG_NOTICE, "start", "version=%s store=%s port=%u", xeno_version(), d->id.s,
             xeno_http_server_port(d->server));
    return 0;
}

/* What is at work is finished; the answers may not leave any more. */
static void stop(struct xstored *d)
{
    if (d->work) {
        xeno_work_stop(d->work);
        (void)xeno_work_collect(d->work);
    }
    xeno_http_server_free(xeno_take(&d->server));
    xstored_tend_stop(d);
    xeno_work_free(xeno_take(&d->work));
    while (d->source_count > 0)
        sd_event_source_disable_unref(d->sources[--d->source_count]);
    sd_event_unref(xeno_take(&d->loop));
}

void xstored_release(struct xstored *d)
{
    stop(d);
    xstored_uploads_release(d);
    if (d->objects)
        d->objects->back->close(d->objects);
    xeno_db_free(d->view);
    xeno_db_free(d->books);
    xeno_cert_free(d->cert);
    xeno_key_free(d->key);
    free(d->cert_pem);
    free(d->ca_pem);
    if (d->dirfd >= 0)
        close(d->dirfd);
    xeno_conf_release(xstored_program.items, xstored_program.count, &d->opt);
}

/* --- --check --- */

static int check_books(struct xstored *d, struct xstored_total *t, struct xeno_err *err)
{
    int r;

    if (faccessat(d->dirfd, "store.db", F_OK, 0) < 0)
        return 0; /* it never ran */
    r = open_books(d, err);
    if (r == 0)
        r = xstored_meta_check(d->view, err);
    return r < 0 ? r : xstored_meta_total(d->view, t, err);
}

/* Looked at beside a daemon that runs; the sums are computed again. */
int xstored_check(struct xstored *d)
{
    struct xstored_total t = { 0 };
    struct xeno_err err = XENO_ERR_INIT;
    char size[32], until[XENO_TIME_TEXT];
    int r = open_dir(d, &err);

    if (r == 0)
        r = open_identity(d, &err);
    if (r == 0)
        r = check_books(d, &t, &err);
    if (r < 0) {
        printf("MISSING  %s\n", err.text);
        return EXIT_FAILURE;
    }
    printf("ok       credential     %s, until %s\n", d->id.s,
           xeno_time_text(d->cert->not_after, until));
    printf("ok       objects        %" PRId64 ", %s, %" PRId64 " of them damaged\n", t.blobs,
           xeno_size_text(t.bytes, size), t.damaged);
    printf("%-8s seccomp        the kernel must filter system calls\n",
           xeno_sandbox_has_seccomp() ? "ok" : "MISSING");
    if (!xeno_sandbox_has_landlock())
        printf("note     Landlock       not in this kernel: files are protected by their owners "
               "only\n");
    return xeno_sandbox_has_seccomp() ? EXIT_SUCCESS : EXIT_FAILURE;
}
