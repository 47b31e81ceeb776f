/* src/cli/service-watch.c - the tasks of every replica: deployed, until they run and answer. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/guard.h"
#include "cli/out.h"
#include "cli/service.h"
#include "cli/task.h"

#define PAUSE_MS     5
#define PAUSE_MS_MAX 200

/* --- where it is --- */

static struct xeno_json_at ports_of(const struct cli_replica *re, size_t *ret_count)
{
    struct xeno_json_at top = xeno_json_top(re->making.session->object);

    return cli_list(&top, "ports", ret_count);
}

/* An address of its own, or the host of its XenoServer's URL. */
static void find_host(struct cli_replica *re)
{
    struct xeno_json_at top = xeno_json_top(re->making.session->object);
    struct xeno_json_at grant = cli_obj(&top, "grant");
    const char *own = cli_str(&top, "address"), *url = strstr(re->making.server->url, "://");
    size_t len;

    if (cli_int(&grant, "addresses", 0) > 0 && xeno_address_ok(own)) {
        snprintf(re->host, sizeof re->host, "%s", own);
        return;
    }
    url = url ? url + 3 : "";
    len = *url == '[' ? strcspn(url, "]") + 1 : strcspn(url, ":/");
    snprintf(re->host, sizeof re->host, "%.*s", (int)len, url);
}

int64_t cli_replica_port(const struct xeno_json_at *p)
{
    int64_t outside = cli_int(p, "host_port", 0);

    return outside > 0 ? outside : cli_int(p, "port", 0);
}

static uint16_t first_port(const struct cli_replica *re, const char *proto)
{
    size_t n;
    struct xeno_json_at list = ports_of(re, &n);

    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at p = xeno_json_item(&list, i);
        int64_t port = cli_replica_port(&p);

        if (port > 0 && port <= UINT16_MAX && (!proto || strcmp(cli_str(&p, "proto"), proto) == 0))
            return (uint16_t)port;
    }
    return 0;
}

bool cli_replica_silent(const struct cli_replica *re)
{
    return !re->out && re->at_ms[CLI_ANSWERS] < 0 && first_port(re, "tcp") > 0;
}

/* --- deploy --- */

static void on_task(struct cli_asked *a, void *arg)
{
    struct cli_replica *re = a->who;

    (void)arg;
    if (a->answer &&
        cli_task_take(re->making.session, a->answer, &re->tasks[re->task_count], &a->err) == 0) {
        re->task_count++;
        return;
    }
    re->why = a->err;
    cli_replica_failed(re);
}

/* The task's text for this replica; the caller's, NULL: re->why says why not. */
static char *task_text(struct cli_replica *re, size_t i)
{
    xeno_auto(xeno_task_doc) doc = NULL;
    struct xeno_replica as = { .number = re->number,
                               .count = (unsigned)re->rollout->count,
                               .server = re->making.server->name,
                               .address = re->host,
                               .port = first_port(re, NULL) };

    if (xeno_service_task(re->rollout->service, i, &as, &doc, &re->why) < 0) {
        cli_replica_failed(re);
        return NULL;
    }
    return xeno_task_doc_format(doc, NULL);
}

/* Task `i` at every replica. */
static int deploy_all(struct cli_rollout *ro, size_t i, struct xeno_err *err)
{
    xeno_autofree struct cli_asked *list = xeno_new0_n(struct cli_asked, ro->count);
    char *paths[XENO_REPLICAS_MAX], *texts[XENO_REPLICAS_MAX];
    size_t n = 0;

    for (size_t k = 0; k < ro->count; k++) {
        struct cli_replica *re = &ro->replicas[k];

        if (re->out || !(texts[n] = task_text(re, i)))
            continue;
        paths[n] = xeno_asprintf(CLI_TASKS_PATH, re->making.session->session);
        list[n].ask = cli_task_ask(re->making.session, paths[n], texts[n]);
        list[n++].who = re;
    }
    cli_ask_all(ro->cli, list, n, on_task, NULL);
    for (size_t k = 0; k < n; k++) {
        xeno_json_unref(list[k].answer);
        free(paths[k]);
        free(texts[k]);
    }
    for (size_t k = 0; k < ro->count; k++)
        if (!ro->replicas[k].out && ro->replicas[k].why.code < 0)
            cli_replica_drop(&ro->replicas[k]);
    return cli_rollout_go_on(ro, err);
}

/* --- until it runs --- */

/* All tasks run or are over: 1; not yet: 0; one never will: negative, with re->why. */
static int started(struct cli_replica *re)
{
    int all = 1;

    for (size_t i = 0; i < re->task_count; i++) {
        int r = cli_task_started(re->making.session, re->tasks[i], &re->why);

        if (r < 0)
            return r;
        all &= r;
    }
    return all;
}

static void on_object(struct cli_asked *a, void *arg)
{
    struct cli_replica *re = a->who;
    int r;

    (void)arg;
    if (!a->answer) {
        re->why = a->err;
        cli_replica_failed(re);
        return;
    }
    xeno_json_unref(re->making.session->object);
    re->making.session->object = xeno_json_ref(a->answer);
    r = started(re);
    if (r < 0)
        cli_replica_failed(re);
    else if (r > 0)
        cli_replica_step(re, CLI_RUNNING);
    else
        cli_replica_fetching(re);
}

/* Returns: how many do not run yet. */
static size_t look(struct cli_rollout *ro)
{
    xeno_autofree struct cli_asked *list = xeno_new0_n(struct cli_asked, ro->count);
    char *paths[XENO_REPLICAS_MAX];
    size_t n = 0, left = 0;

    for (size_t i = 0; i < ro->count; i++) {
        struct cli_replica *re = &ro->replicas[i];
        const struct cli_found *f = re->making.session;

        if (re->out || re->at_ms[CLI_RUNNING] >= 0)
            continue;
        paths[n] = xeno_asprintf("/v1/sessions/%s", f->session);
        list[n].ask = (struct cli_ask){
            .method = "GET", .base = f->server.url, .server_id = f->server.id, .path = paths[n]
        };
        list[n++].who = re;
    }
    cli_ask_all(ro->cli, list, n, on_object, NULL);
    for (size_t i = 0; i < n; i++) {
        struct cli_replica *re = list[i].who;

        xeno_json_unref(list[i].answer);
        free(paths[i]);
        if (re->why.code < 0)
            cli_replica_drop(re);
        else
            left += re->at_ms[CLI_RUNNING] < 0;
    }
    return left;
}

/* --- until it answers --- */

static int begin_probe(const struct cli_replica *re)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *list;
    xeno_autofree char *port = xeno_asprintf("%u", first_port(re, "tcp"));
    xeno_autofree char *host = xeno_strdup(re->host + (*re->host == '['));
    int fd;

    host[strcspn(host, "]")] = '\0';
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return -1;
    fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) < 0 && errno != EINPROGRESS) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    return fd;
}

/* One look, which does not wait. */
static void probe(struct cli_replica *re)
{
    struct pollfd p = { .events = POLLOUT };
    int why = 0;
    socklen_t len = sizeof why;

    if (re->probe < 0)
        re->probe = begin_probe(re);
    p.fd = re->probe;
    if (re->probe < 0 || poll(&p, 1, 0) < 1)
        return;
    if (getsockopt(re->probe, SOL_SOCKET, SO_ERROR, &why, &len) == 0 && why == 0)
        cli_replica_step(re, CLI_ANSWERS);
    close(xeno_take_fd(&re->probe));
}

/* Returns: how many do not answer yet, of those that run and should. */
static size_t probe_all(struct cli_rollout *ro)
{
    xeno_time now = xeno_mono(ro->cli->env);
    size_t left = 0;

    for (size_t i = 0; i < ro->count; i++) {
        struct cli_replica *re = &ro->replicas[i];
        xeno_time end = xeno_time_add(ro->start, xeno_ms(re->at_ms[CLI_RUNNING]));

        if (!cli_replica_silent(re) || re->at_ms[CLI_RUNNING] < 0 ||
            now.ns > xeno_time_add(end, ro->port_wait).ns)
            continue;
        probe(re);
        left += re->at_ms[CLI_ANSWERS] < 0;
    }
    return left;
}

/* Who takes too long did not start. Returns: how many. */
static size_t too_late(struct cli_rollout *ro)
{
    size_t n = 0;

    for (size_t i = 0; i < ro->count; i++) {
        struct cli_replica *re = &ro->replicas[i];

        if (re->out || re->at_ms[CLI_RUNNING] >= 0 ||
            !cli_patience_over(&re->patience, ro->cli, re->making.session->object))
            continue;
        n++;
        xeno_fail(&re->why, -ETIMEDOUT, "session.wait", "its tasks have not started after %d s",
                  CLI_START_WAIT_S);
        cli_replica_failed(re);
        cli_replica_drop(re);
    }
    return n;
}

int cli_rollout_run(struct cli_rollout *ro, struct xeno_err *err)
{
    int64_t pause_ms = PAUSE_MS;
    int r = 0;

    for (size_t i = 0; i < ro->count; i++)
        if (!ro->replicas[i].out) {
            find_host(&ro->replicas[i]);
            ro->replicas[i].patience = cli_patience_for(ro->cli, xeno_s(CLI_START_WAIT_S));
        }
    for (size_t i = 0; r == 0 && i < ro->service->task_count; i++)
        r = deploy_all(ro, i, err);
    while (r == 0) {
        size_t starting = look(ro), silent = ro->port_wait.ns > 0 ? probe_all(ro) : 0;

        starting -= too_late(ro);
        r = cli_rollout_go_on(ro, err);
        if (r < 0 || starting + silent == 0)
            break;
        cli_wait(ro->cli, xeno_ms(pause_ms));
        pause_ms = pause_ms * 2 < PAUSE_MS_MAX ? pause_ms * 2 : PAUSE_MS_MAX;
    }
    return r;
}
