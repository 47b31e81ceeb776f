/* src/xenod/check.c - --check: what is missing for serving, and what to do about it.
 *
 * Changes nothing. Each line is "ok" or "MISSING", what was looked at, and what was found.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "image/store.h"
#include "member/check.h"
#include "xenod/advertise.h"
#include "xenod/targets.h"
#include "xenod/xenod.h"

#define DISK_LEAST  (INT64_C(1) << 30)
#define DESCRIBE_US (3 * 1000 * 1000)

struct check {
    struct xeno_check out;
    struct xenod *d;
    bool described; /* the task manager answered, whatever it said */
};

static void check_disk(struct check *c)
{
    char text[32];

    xeno_check_say(&c->out, c->d->machine.disk_bytes >= DISK_LEAST, "disk",
                   "%s free in %s; sessions and the journal "
                   "need 1 GiB at the least",
                   xeno_size_text(c->d->machine.disk_bytes, text), c->d->opt.dir);
}

static void check_journal(struct check *c)
{
    xeno_autofree char *path = xeno_asprintf("%s/journal.db", c->d->opt.dir);
    bool ok = access(path, F_OK) < 0 || access(path, R_OK | W_OK) == 0;

    xeno_check_say(&c->out, ok, "journal",
                   ok ? "%s" : "%s: not ours to write; give it to the user xenod runs as", path);
}

static void check_images(struct check *c)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (strcmp(c->d->opt.driver, "null") == 0 && !c->d->opt.images)
        return;
    if (!c->d->opt.images || !*c->d->opt.images) {
        xeno_check_say(&c->out, false, "images",
                       "no store is configured: set images, and make a template with "
                       "xeno template build");
        return;
    }
    if (xenod_image_open(c->d, &err) < 0)
        xeno_check_say(
            &c->out, false, "images",
            "%s; make a template there: xeno template build debian:bookworm --name debian --store %s",
            err.text, c->d->opt.images);
    else
        xeno_check_say(
            &c->out, true, "images", "%s, template of documents without one: %s", c->d->opt.images,
            c->d->opt.template_ref && *c->d->opt.template_ref ? c->d->opt.template_ref : "none");
}

/* Its own --check says what it lacks; here, whether it is where we look for it. */
static void check_image_manager(struct check *c)
{
    const char *path = c->d->opt.imaged, *store = c->d->opt.imaged_store;
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    xeno_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (!path || !*path) {
        xeno_check_note("image manager",
                        "none (imaged): sessions start from images of this machine only");
        return;
    }
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        xeno_check_say(&c->out, false, "image manager",
                       "nobody answers at %s: start xeno-imaged, as the same user", path);
    else
        xeno_check_say(&c->out, access(store, R_OK | X_OK) == 0, "image manager",
                       "%s, whose store is to be read in %s (imaged-store)", path, store);
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
        xeno_check_say(&c->out, false, "task manager", "%s: %s", c->d->opt.task_socket, err->text);
    else if (xenod_task_check(c->d, ok, &why) < 0)
        xeno_check_say(&c->out, false, "task manager", "%s", why.text);
    else
        xeno_check_say(&c->out, true, "task manager", "%s has the driver %s", c->d->opt.task_socket,
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
        xeno_check_say(&c->out, false, "task manager", "%s", err.text);
        return;
    }
    (void)sd_event_add_time_relative(c->d->loop, NULL, CLOCK_MONOTONIC, DESCRIBE_US, 0, on_timeout,
                                     NULL);
    (void)sd_event_loop(c->d->loop);
    if (!c->described)
        xeno_check_say(&c->out, false, "task manager",
                       "nobody answers at %s: start xeno-taskd, and allow this user "
                       "with its option peer-uid",
                       c->d->opt.task_socket);
}

/* --- information services --- */

static void check_service(struct check *c, struct xeno_http_client *client, const char *url)
{
    xeno_autofree char *health = xeno_asprintf("%s/healthz", url);
    struct xeno_http_ask ask = { .method = "GET", .url = health, .deadline = xeno_s(5) };
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_http_wait(client, &ask, NULL, NULL, NULL, &err) < 0)
        xeno_check_say(&c->out, false, "XIS",
                       "%s: %s; until it answers nobody finds this XenoServer there", url,
                       err.text);
    else
        xeno_check_say(&c->out, true, "XIS", "%s answers", url);
}

static void check_services(struct check *c)
{
    struct xeno_http_client_opts opts = { .env = c->d->env,
                                          .ca_pem = xeno_member_ca_pem(c->d->member) };
    xeno_auto(xeno_http_client) client = NULL;
    char *urls[XENO_REFRESH_SERVICES];
    int n = xenod_xis_urls(c->d->opt.xis, urls, NULL); /* was checked */

    if (n <= 0) {
        xeno_check_note("XIS", "none (xis): clients must know this XenoServer's address");
        return;
    }
    if (xeno_http_client_new(c->d->loop, &opts, &client, NULL) < 0)
        client = NULL;
    while (n > 0) {
        n--;
        if (client)
            check_service(c, client, urls[n]);
        free(urls[n]);
    }
}

/* --- measuring --- */

/* Nothing is wrong without it: TCP does, to those who answer by that. */
static void check_echo(void)
{
    xeno_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

    if (fd >= 0)
        xeno_check_note("ICMP echo", "may be sent");
    else
        xeno_check_note("ICMP echo",
                        "may not be sent, so addresses are measured by TCP only: sysctl -w "
                        "net.ipv4.ping_group_range=\"0 2147483647\"");
}

/* An address that is not this machine's would make every measurement fail. */
static void check_source(struct check *c)
{
    union xenod_address a[2];
    int n = xenod_addresses_read(c->d->opt.probe_source, "probe-source", 2, a, NULL);

    for (int i = 0; i < n; i++) {
        xeno_autoclose int fd = socket(a[i].any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char text[XENOD_ADDRESS_TEXT];
        bool good = fd >= 0 && bind(fd, &a[i].any, xenod_address_len(&a[i])) == 0;

        xenod_address_text(&a[i], text);
        if (good)
            xeno_check_say(&c->out, true, "probe source", "%s", text);
        else
            xeno_check_say(&c->out, false, "probe source",
                           "%s: %s; probe-source is to be an address of this machine", text,
                           strerror(errno));
    }
}

int xenod_check(struct xenod *d)
{
    const struct xeno_member_opts who = xenod_member_opts(d);
    struct check c = { .out = { .program = who.program }, .d = d };

    if (xeno_check_member(&c.out, &who, &d->dirfd, &d->loop, &d->member,
                          "no session can begin, those that run go on"))
        check_services(&c);
    xenod_machine_read(&d->machine, d->opt.dir);
    check_disk(&c);
    check_journal(&c);
    check_images(&c);
    check_image_manager(&c);
    xeno_check_listen(&c.out, d->opt.listen);
    check_source(&c);
    check_echo();
    xeno_check_sandbox(&c.out);
    check_task_manager(&c); /* last: it uses the loop up */
    return xeno_check_end(&c.out);
}
