/* src/taskd/tests/task-ask.c - speak the task protocol by hand, for the system tests.
 *
 *     task-ask SOCKET describe | list | usage | events SECONDS
 *     task-ask SOCKET create SESSION DRIVER KEY=VALUE...      restore, resize SESSION KEY=VALUE...
 *     task-ask SOCKET start SESSION TASK [OPTION...] -- PROGRAM...
 *     task-ask SOCKET exec SESSION EXEC [OPTION...] -- PROGRAM...    exits with its code
 *     task-ask SOCKET signal|winch SESSION task|exec NAME NUMBER...
 *     task-ask SOCKET pause|resume|snapshot|destroy SESSION
 *     task-ask SOCKET commit SESSION                                  prints the tar
 *     task-ask SOCKET logs SESSION TASK      attach SESSION TASK
 *     task-ask SOCKET wait SESSION TASK SECONDS                       prints its code
 *
 * Keys: cpu burst memory pids disk net address hostname, port=IN:HOST:tcp, layer=sha256:...
 * image=sha256:... Options: --terminal --stdin --size=COLSxROWS --user=U --cwd=D --env=N=V
 * --task=T. Prints the reply's object; `events` prints "listening" to standard error when it will
 * miss none. A failure prints "TOKEN: TEXT" to standard error and exits with 125.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "task/client.h"

static struct {
    sd_event *loop;
    struct xeno_task_client *client;
    struct xeno_task_request *q;
    int argc;
    char **argv;
    int fds[XENO_FRAME_FDS_MAX];
    size_t nfds;
    const char *until_task; /* wait: for its end */
    const char *until_exec;
    bool print_events, over;
    int code;
} ask = { .code = 125 };

static void end(int code)
{
    ask.over = true;
    ask.code = code;
    sd_event_exit(ask.loop, 0);
}

/* --- the request from words --- */

static void set_port(struct xeno_task_spec *spec, const char *value)
{
    unsigned port = 0, host = 0;
    char proto[8] = "tcp";

    sscanf(value, "%u:%u:%7s", &port, &host, proto);
    spec->ports[spec->nports++] =
        (struct xeno_task_port){ (uint16_t)port, (uint16_t)host, strcmp(proto, "udp") == 0 };
}

static void set_key(struct xeno_task_spec *spec, char *word)
{
    char *value = strchr(word, '=');
    const struct {
        const char *key;
        int64_t *to;
    } rows[] = {
        { "cpu", &spec->cpu_msps },        { "burst", &spec->cpu_burst_ms },
        { "memory", &spec->memory_bytes }, { "pids", &spec->pids },
        { "disk", &spec->disk_bytes },     { "net", &spec->net_kbps },
    };

    if (!value)
        return;
    *value++ = '\0';
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        if (strcmp(rows[i].key, word) == 0)
            *rows[i].to = atoll(value);
    if (strcmp(word, "address") == 0)
        snprintf(spec->address, sizeof spec->address, "%s", value);
    if (strcmp(word, "hostname") == 0)
        snprintf(spec->hostname, sizeof spec->hostname, "%s", value);
    if (strcmp(word, "port") == 0)
        set_port(spec, value);
    if (strcmp(word, "image") == 0 && spec->nimages < XENO_TASK_IMAGES_MAX)
        snprintf(spec->images[spec->nimages++], XENO_TASK_LAYER_MAX + 1, "%s", value);
    if (strcmp(word, "layer") == 0)
        snprintf(spec->layers[spec->nlayers++], XENO_TASK_LAYER_MAX + 1, "%s", value);
}

static void set_spec(struct xeno_task_request *q, int argc, char **argv)
{
    q->spec = (struct xeno_task_spec){
        .cpu_msps = 500, .memory_bytes = 64 << 20, .pids = 64, .disk_bytes = 32 << 20
    };
    for (int i = 0; i < argc; i++)
        set_key(&q->spec, argv[i]);
}

static void set_program(struct xeno_task_request *q, int argc, char **argv)
{
    struct xeno_task_program *p = &q->program;
    size_t nenv = 0, n = 0;
    int i = 0;

    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--terminal") == 0)
            p->terminal = true;
        else if (strcmp(argv[i], "--stdin") == 0)
            p->open_stdin = true;
        else if (strncmp(argv[i], "--size=", 7) == 0)
            sscanf(argv[i] + 7, "%ldx%ld", &q->cols, &q->rows);
        else if (strncmp(argv[i], "--user=", 7) == 0)
            p->user = xeno_strdup(argv[i] + 7);
        else if (strncmp(argv[i], "--cwd=", 6) == 0)
            p->cwd = xeno_strdup(argv[i] + 6);
        else if (strncmp(argv[i], "--task=", 7) == 0)
            snprintf(q->task, sizeof q->task, "%s", argv[i] + 7);
        else if (strncmp(argv[i], "--env=", 6) == 0) {
            p->env = xeno_grow(p->env, nenv + 2);
            p->env[nenv++] = xeno_strdup(argv[i] + 6);
            p->env[nenv] = NULL;
        }
    }
    p->argv = xeno_new0_n(char *, (size_t)(argc - i) + 2);
    for (i++; i < argc; i++)
        p->argv[n++] = xeno_strdup(argv[i]);
}

static enum xeno_task_op op_named(const char *name)
{
    enum xeno_task_op op = 0;

    while (op < XENO_TASK_OPS && strcmp(xeno_task_op_name(op), name) != 0)
        op++;
    return op;
}

static void set_name(char *to, const char *from)
{
    snprintf(to, XENO_TASK_NAME_MAX + 1, "%s", from);
}

static struct xeno_task_request *make_request(int argc, char **argv)
{
    struct xeno_task_request *q = xeno_task_request_new(op_named(argv[0]), argv[1]);

    if (q->op == XENO_TASK_CREATE) {
        snprintf(q->driver, sizeof q->driver, "%s", argc > 2 ? argv[2] : "");
        set_spec(q, argc - 3, argv + 3);
    } else if (q->op == XENO_TASK_RESTORE || q->op == XENO_TASK_RESIZE) {
        set_spec(q, argc - 2, argv + 2);
    } else if ((q->op == XENO_TASK_START || q->op == XENO_TASK_EXEC) && argc > 3) {
        set_name(q->op == XENO_TASK_START ? q->task : q->exec, argv[2]);
        set_program(q, argc - 3, argv + 3);
    } else if ((q->op == XENO_TASK_SIGNAL || q->op == XENO_TASK_WINCH) && argc > 4) {
        set_name(strcmp(argv[2], "exec") == 0 ? q->exec : q->task, argv[3]);
        q->signal = q->cols = atoll(argv[4]);
        q->rows = argc > 5 ? atoll(argv[5]) : 0;
    } else if ((q->op == XENO_TASK_LOGS || q->op == XENO_TASK_ATTACH) && argc > 2) {
        set_name(q->task, argv[2]);
    }
    return q;
}

/* --- answers --- */

/* Pump until both outputs are at their end. A terminal is one descriptor, pipes are three. */
static void pump(void)
{
    bool terminal = ask.nfds == 1;
    struct pollfd p[3] = { { 0, POLLIN, 0 },
                           { terminal ? ask.fds[0] : ask.fds[1], POLLIN, 0 },
                           { terminal ? -1 : ask.fds[2], POLLIN, 0 } };
    char buf[4096];

    while (p[1].fd >= 0 || p[2].fd >= 0) {
        poll(p, 3, -1);
        if (p[0].revents) {
            ssize_t n = read(0, buf, sizeof buf);

            if (n > 0 && xeno_write_all(ask.fds[0], buf, (size_t)n) < 0)
                n = 0;
            if (n <= 0) {
                p[0].fd = -1;
                if (!terminal)
                    close(ask.fds[0]);
            }
        }
        for (int i = 1; i < 3; i++) {
            ssize_t n;

            if (p[i].fd < 0 || !p[i].revents)
                continue;
            n = read(p[i].fd, buf, sizeof buf);
            if (n <= 0)
                p[i].fd = -1; /* of a terminal: EIO */
            else
                xeno_write_all(i, buf, (size_t)n);
        }
    }
}

static void pump_attach(int fd)
{
    struct pollfd p[2] = { { 0, POLLIN, 0 }, { fd, POLLIN, 0 } };
    char buf[9000];
    ssize_t n;

    for (;;) {
        poll(p, 2, -1);
        if (p[0].revents) {
            n = read(0, buf, 4096);
            if (n <= 0)
                p[0].fd = -1;
            else if (send(fd, buf, (size_t)n, 0) < 0)
                return;
        }
        if (p[1].revents) {
            n = recv(fd, buf, sizeof buf, 0);
            if (n <= 0)
                return;
            xeno_write_all(buf[0] == 3 ? 2 : 1, buf + 1, (size_t)n - 1);
        }
    }
}

/* The tar to standard output. Returns: was its end told? Else what was told instead is printed. */
static bool pump_layer(int fd)
{
    static char buf[XENO_TASK_LAYER_PACKET];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) {
        if (buf[0] != XENO_TASK_LAYER_DATA) {
            fprintf(stderr, "%.*s\n", (int)n - 1, buf + 1);
            return buf[0] == XENO_TASK_LAYER_END;
        }
        if (xeno_write_all(1, buf + 1, (size_t)n - 1) < 0)
            return false;
    }
    fprintf(stderr, "cut short\n");
    return false;
}

static void fail(const struct xeno_err *err)
{
    fprintf(stderr, "%s: %s\n", err->token, err->text);
    end(125);
}

static void on_answer(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                      const struct xeno_err *err)
{
    (void)data;
    if (err) {
        fail(err);
        return;
    }
    ask.nfds = nfds;
    for (size_t i = 0; i < nfds; i++) {
        ask.fds[i] = fds[i];
        fds[i] = -1;
    }
    if (ask.q->op == XENO_TASK_EXEC) {
        pump(); /* the end is told by an event */
        return;
    }
    if (nfds == 1 && ask.q->op == XENO_TASK_ATTACH) {
        pump_attach(ask.fds[0]);
    } else if (nfds == 1 && ask.q->op == XENO_TASK_COMMIT) {
        end(pump_layer(ask.fds[0]) ? 0 : 125);
        return;
    } else if (nfds == 1) {
        xeno_autofree char *text = NULL;
        size_t len;

        if (xeno_read_all(ask.fds[0], 64 << 20, &text, &len) == 0)
            xeno_write_all(1, text, len);
    } else {
        size_t len;
        xeno_autofree char *text = xeno_json_format(ok->j, false, &len);

        printf("%s\n", text);
    }
    end(0);
}

static void on_list(void *data, const struct xeno_task_session_info *items, size_t n,
                    const struct xeno_err *err)
{
    (void)data;
    if (err) {
        fail(err);
        return;
    }
    if (ask.print_events) { /* who is answered is told every event from then on */
        fprintf(stderr, "listening\n");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        size_t len;

        if (ask.until_task) {
            for (size_t k = 0; k < items[i].ntasks; k++)
                if (!ask.over && strcmp(items[i].session, ask.argv[1]) == 0 &&
                    strcmp(items[i].tasks[k].task, ask.until_task) == 0 &&
                    items[i].tasks[k].state == XENO_TASK_STOPPED) {
                    printf("%d%s\n", (int)items[i].tasks[k].code,
                           items[i].tasks[k].oom ? " oom" : "");
                    end(0);
                }
        } else {
            struct xeno_json *j = xeno_task_session_json(&items[i]);
            char *text = xeno_json_format(j, false, &len);

            printf("%s\n", text);
            free(text);
            xeno_json_unref(j);
        }
    }
    if (!ask.until_task)
        end(0);
}

static void on_usage(void *data, const struct xeno_task_usage *items, size_t n,
                     const struct xeno_err *err)
{
    (void)data;
    if (err) {
        fail(err);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct xeno_json *j = xeno_task_usage_json(&items[i]);
        size_t len;
        char *text = xeno_json_format(j, false, &len);

        printf("%s\n", text);
        free(text);
        xeno_json_unref(j);
    }
    end(0);
}

static void on_event(void *data, const struct xeno_task_event *e)
{
    (void)data;
    if (ask.print_events) {
        struct xeno_json *j = xeno_task_event_json(e);
        size_t len;
        char *text = xeno_json_format(j, false, &len);

        printf("%s\n", text);
        fflush(stdout);
        free(text);
        xeno_json_unref(j);
    }
    if (ask.q && ask.q->op == XENO_TASK_EXEC && e->kind == XENO_TASK_EVENT_EXEC_EXIT &&
        strcmp(e->exec, ask.q->exec) == 0 && strcmp(e->session, ask.q->session) == 0)
        end((int)e->code);
    if (ask.until_task && !ask.over && e->kind == XENO_TASK_EVENT_EXIT &&
        strcmp(e->session, ask.argv[1]) == 0 && strcmp(e->task, ask.until_task) == 0) {
        printf("%d%s\n", (int)e->code, e->oom ? " oom" : "");
        end(0);
    }
}

static int on_time(sd_event_source *s, uint64_t usec, void *data)
{
    (void)s;
    (void)usec;
    (void)data;
    end(ask.print_events ? 0 : 124);
    return 0;
}

static void on_state(void *data, bool up)
{
    const char *verb = ask.argv[0];
    struct xeno_err err = XENO_ERR_INIT;
    int r = 0;

    (void)data;
    if (!up)
        return;
    if (strcmp(verb, "list") == 0 || ask.until_task || ask.print_events)
        r = xeno_task_client_list(ask.client, xeno_s(60), on_list, NULL, &err);
    else if (strcmp(verb, "usage") == 0)
        r = xeno_task_client_usage(ask.client, xeno_s(60), on_usage, NULL, &err);
    else if (ask.q)
        r = xeno_task_client_ask(ask.client, ask.q, xeno_s(600), on_answer, NULL, &err);
    if (r < 0)
        fail(&err);
}

int main(int argc, char **argv)
{
    const struct xeno_task_client_hooks hooks = { .state = on_state, .event = on_event };
    struct xeno_err err = XENO_ERR_INIT;
    int limit_s = 90;

    if (argc < 3)
        return 125;
    ask.argc = argc - 2;
    ask.argv = argv + 2;
    sd_event_new(&ask.loop);
    if (strcmp(argv[2], "events") == 0) {
        ask.print_events = true;
        limit_s = argc > 3 ? atoi(argv[3]) : 10;
    } else if (strcmp(argv[2], "wait") == 0 && argc > 5) {
        ask.until_task = argv[4];
        limit_s = atoi(argv[5]);
    } else if (op_named(argv[2]) == XENO_TASK_OPS) {
        fprintf(stderr, "unknown verb '%s'\n", argv[2]);
        return 125;
    } else {
        ask.q = make_request(ask.argc, ask.argv);
    }
    sd_event_add_time_relative(ask.loop, NULL, CLOCK_MONOTONIC, (uint64_t)limit_s * 1000000, 0,
                               on_time, NULL);
    if (xeno_task_client_new(ask.loop, argv[1], &hooks, &ask.client, &err) < 0) {
        fail(&err);
        return 125;
    }
    sd_event_loop(ask.loop);
    xeno_task_client_free(ask.client);
    xeno_task_request_free(ask.q);
    sd_event_unref(ask.loop);
    return ask.code;
}
