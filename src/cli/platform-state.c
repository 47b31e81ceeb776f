/* src/cli/platform-state.c - what a platform is made of, and which processes are its own. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/platform.h"
#include "line/mirror.h"

#define STATE_BYTES 65536

void platform_free(struct platform *p)
{
    if (!p)
        return;
    free(p->dir);
    free(p->client);
    free(p->emulation.matrix);
    free(p);
}

char *platform_dir(const struct cli_args *args)
{
    const char *given = cli_value(args, "dir"), *home = getenv("HOME");
    char *whole;

    if (given) {
        whole = realpath(given, NULL);
        if (whole)
            return whole;
        if (*given == '/')
            return xeno_strdup(given);
        {
            xeno_autofree char *cwd = getcwd(NULL, 0);

            return xeno_asprintf("%s/%s", cwd ? cwd : "", given);
        }
    }
    if (geteuid() == 0)
        return xeno_strdup(XENO_DATA_DIR "/platform");
    return xeno_asprintf("%s/.local/share/xeno/platform", home ? home : "");
}

char *platform_path(const struct platform *p, const char *fmt, ...)
{
    xeno_autofree char *rest = NULL;
    va_list ap;

    va_start(ap, fmt);
    rest = xeno_vasprintf(fmt, ap);
    va_end(ap);
    return xeno_asprintf("%s/%s", p->dir, rest);
}

char *platform_corp_url(const struct platform *p)
{
    return xeno_asprintf("https://127.0.0.1:%d", p->corp_port);
}

char *platform_server_url(const struct platform_server *s)
{
    return xeno_asprintf("https://%s:%d", s->seen, s->port);
}

/* --- processes --- */

static int64_t start_of(pid_t pid)
{
    char path[64], text[1024], *p;
    xeno_autoclose int fd = -1;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n <= 0)
        return -1;
    text[n] = '\0';
    p = strrchr(text, ')'); /* the name may hold anything */
    if (!p || p[1] == '\0' || p[2] == 'Z')
        return -1; /* a zombie has ended */
    for (int field = 3; field < 22; field++) {
        p = strchr(p + 1, ' ');
        if (!p)
            return -1;
    }
    p = strchr(p, ' ');
    return p ? strtoll(p + 1, NULL, 10) : -1;
}

struct platform_process platform_process_of(pid_t pid)
{
    return (struct platform_process){ .pid = pid, .start = start_of(pid) };
}

bool platform_alive(const struct platform_process *proc)
{
    return proc->pid > 0 && start_of(proc->pid) == proc->start;
}

void platform_stop(struct cli *cli, struct platform_process *proc, xeno_time limit)
{
    xeno_autoclose int fd = -1;
    xeno_time end = xeno_time_add(xeno_mono(cli->env), limit);

    if (proc->pid <= 0)
        return;
    /* Held by descriptor, so that the number cannot become another process's in between. */
    fd = (int)syscall(SYS_pidfd_open, proc->pid, 0);
    if (fd >= 0 && platform_alive(proc)) {
        syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0);
        while (platform_alive(proc) && xeno_mono(cli->env).ns < end.ns)
            cli_wait(cli, xeno_ms(20));
        if (platform_alive(proc))
            syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    }
    *proc = (struct platform_process){ .pid = 0 };
}

/* --- the file --- */

static struct xeno_json *process_json(const struct platform_process *proc)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_int(j, "pid", proc->pid);
    xeno_json_set_int(j, "start", proc->start);
    return j;
}

static struct xeno_json *server_json(const struct platform_server *s)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "name", s->name);
    xeno_json_set_str(j, "instance", s->instance);
    xeno_json_set_int(j, "index", s->index);
    xeno_json_set_int(j, "port", s->port);
    xeno_json_set_str(j, "id", s->id);
    xeno_json_set_int(j, "uid", s->uid);
    xeno_json_set(j, "xenod", process_json(&s->xenod));
    xeno_json_set(j, "taskd", process_json(&s->taskd));
    xeno_json_set(j, "imaged", process_json(&s->imaged));
    xeno_json_set_int(j, "store_port", s->store_port);
    return j;
}

static struct xeno_json *node_json(const struct platform_node *n, const char *program)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_int(j, "port", n->port);
    xeno_json_set_str(j, "id", n->id);
    xeno_json_set_int(j, "uid", n->uid);
    xeno_json_set(j, program, process_json(&n->process));
    return j;
}

static struct xeno_json *emulation_json(const struct platform_emulation *e)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "matrix", e->matrix);
    xeno_json_set_int(j, "nodes", (int64_t)e->nodes);
    xeno_json_set_int(j, "client", (int64_t)e->client);
    xeno_json_set_int(j, "subnet", e->subnet);
    xeno_json_set(j, "process", process_json(&e->process));
    return j;
}

int platform_save(const struct platform *p, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = xeno_json_object();
    struct xeno_json *list = xeno_json_array();
    xeno_autofree char *path = platform_path(p, "platform.json");
    xeno_autofree char *text = NULL;
    size_t len;

    xeno_json_set_int(j, "v", 1);
    xeno_json_set_bool(j, "null_driver", p->null_driver);
    xeno_json_set_int(j, "corp_port", p->corp_port);
    xeno_json_set_str(j, "corp_id", p->corp_id);
    xeno_json_set_int(j, "corp_uid", p->corp_uid);
    xeno_json_set(j, "corp", process_json(&p->corp));
    xeno_json_set_str(j, "client", p->client);
    for (size_t i = 0; i < p->count; i++)
        xeno_json_append(list, server_json(&p->servers[i]));
    xeno_json_set(j, "servers", list);
    for (size_t i = 0; i < PLATFORM_NODES; i++)
        if (p->nodes[i].port)
            xeno_json_set(j, platform_node_kinds[i].name,
                          node_json(&p->nodes[i], platform_node_kinds[i].program));
    if (p->emulation.matrix)
        xeno_json_set(j, "emulation", emulation_json(&p->emulation));
    text = xeno_json_format(j, true, &len);
    return xeno_file_write(AT_FDCWD, path, 0644, text, len, err);
}

static int read_int(const struct xeno_json_at *at, const char *key, int64_t max, int *ret,
                    struct xeno_err *err)
{
    int64_t n;
    int r = xeno_json_int(at, key, 0, max, &n, err);

    if (r == 0)
        *ret = (int)n;
    return r;
}

static int read_uid(const struct xeno_json_at *at, const char *key, uid_t *ret,
                    struct xeno_err *err)
{
    int64_t n;
    int r = xeno_json_int(at, key, 0, UINT32_MAX - 1, &n, err);

    if (r == 0)
        *ret = (uid_t)n;
    return r;
}

static int read_process(const struct xeno_json_at *at, const char *key,
                        struct platform_process *ret, struct xeno_err *err)
{
    struct xeno_json_at p;
    int pid = 0, r;

    r = xeno_json_obj(at, key, &p, err);
    if (r == 0)
        r = read_int(&p, "pid", INT32_MAX, &pid, err);
    if (r == 0)
        r = xeno_json_int(&p, "start", -1, INT64_MAX, &ret->start, err);
    ret->pid = pid;
    return r;
}

static int read_text(const struct xeno_json_at *at, const char *key, size_t min, char *out,
                     size_t room, struct xeno_err *err)
{
    const char *text;
    int r = xeno_json_str(at, key, min, room - 1, &text, err);

    if (r == 0)
        strcpy(out, text); /* its length was checked */
    return r;
}

static int read_server(const struct xeno_json_at *at, struct platform_server *s,
                       struct xeno_err *err)
{
    struct xeno_json_at imaged;
    int r;

    r = read_text(at, "name", 1, s->name, sizeof s->name, err);
    if (r == 0)
        r = read_text(at, "instance", 1, s->instance, sizeof s->instance, err);
    if (r == 0)
        r = read_int(at, "index", 254, &s->index, err);
    if (r == 0)
        r = read_int(at, "port", 65535, &s->port, err);
    if (r == 0)
        r = read_text(at, "id", 0, s->id, sizeof s->id, err);
    if (r == 0)
        r = read_uid(at, "uid", &s->uid, err);
    if (r == 0)
        r = read_process(at, "xenod", &s->xenod, err);
    if (r == 0)
        r = read_process(at, "taskd", &s->taskd, err);
    if (r == 0 && xeno_json_obj_opt(at, "imaged", &imaged, NULL) == 0) /* older ones had none */
        r = read_process(at, "imaged", &s->imaged, err);
    if (r == 0 && s->imaged.pid)
        r = read_int(at, "store_port", 65535, &s->store_port, err);
    return r;
}

static int read_node(const struct xeno_json_at *top, const struct platform_node_kind *k,
                     struct platform_node *n, struct xeno_err *err)
{
    struct xeno_json_at at;
    int r = xeno_json_obj_opt(top, k->name, &at, err);

    if (r != 0)
        return r < 0 ? r : 0;
    r = read_int(&at, "port", 65535, &n->port, err);
    if (r == 0)
        r = read_text(&at, "id", 0, n->id, sizeof n->id, err);
    if (r == 0)
        r = read_uid(&at, "uid", &n->uid, err);
    if (r == 0)
        r = read_process(&at, k->program, &n->process, err);
    return r;
}

static int read_emulation(const struct xeno_json_at *at, struct platform_emulation *e,
                          struct xeno_err *err)
{
    const char *matrix;
    int nodes = 0, client = 0, subnet = 0, r;

    r = xeno_json_str(at, "matrix", 1, 4096, &matrix, err);
    if (r == 0)
        r = read_int(at, "nodes", XENO_MATRIX_NODES, &nodes, err);
    if (r == 0 && nodes < 2)
        r = xeno_fail(err, -EINVAL, "platform.emulate", "a network has two nodes at least");
    if (r == 0)
        r = read_int(at, "client", nodes, &client, err);
    if (r == 0)
        r = read_int(at, "subnet", XENO_MIRROR_SUBNETS - 1, &subnet, err);
    if (r == 0)
        r = read_process(at, "process", &e->process, err);
    if (r < 0)
        return r;
    e->matrix = xeno_strdup(matrix);
    e->nodes = (size_t)nodes;
    e->client = (size_t)client;
    e->subnet = (unsigned)subnet;
    return 0;
}

static int read_state(const struct xeno_json_at *top, struct platform *p, struct xeno_err *err)
{
    struct xeno_json_at list, emulation;
    const char *client = NULL;
    int r;

    r = xeno_json_bool(top, "null_driver", &p->null_driver, err);
    if (r == 0)
        r = read_int(top, "corp_port", 65535, &p->corp_port, err);
    if (r == 0)
        r = read_text(top, "corp_id", 0, p->corp_id, sizeof p->corp_id, err);
    if (r == 0)
        r = read_uid(top, "corp_uid", &p->corp_uid, err);
    if (r == 0)
        r = read_process(top, "corp", &p->corp, err);
    if (r == 0)
        r = xeno_json_str_opt(top, "client", 1, 4096, &client, err);
    if (r >= 0)
        r = xeno_json_arr(top, "servers", PLATFORM_SERVERS_MAX, &list, &p->count, err);
    p->client = xeno_strdup(client);
    for (size_t i = 0; r == 0 && i < p->count; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);

        r = read_server(&at, &p->servers[i], err);
    }
    for (size_t i = 0; r == 0 && i < PLATFORM_NODES; i++)
        r = read_node(top, &platform_node_kinds[i], &p->nodes[i], err);
    if (r >= 0)
        r = xeno_json_obj_opt(top, "emulation", &emulation, err);
    if (r == 0)
        r = read_emulation(&emulation, &p->emulation, err);
    if (r >= 0)
        platform_emulate_place(p);
    return r < 0 ? r : 0;
}

int platform_load(const char *dir, struct platform **ret, struct xeno_err *err)
{
    xeno_auto(platform) p = xeno_new0(struct platform);
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *path = xeno_asprintf("%s/platform.json", dir);
    xeno_autofree char *text = NULL;
    struct xeno_json_at top;
    size_t len;
    int r;

    p->dir = xeno_strdup(dir);
    r = xeno_file_read(AT_FDCWD, path, STATE_BYTES, &text, &len, err);
    if (r == -ENOENT)
        return xeno_fail(err, -ENOENT, "platform.none", "there is no platform in %s", dir);
    if (r == 0)
        r = xeno_json_parse(text, len, STATE_BYTES, &j, err);
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = read_state(&top, p, err);
    if (r < 0)
        return xeno_context(err, r, "%s", path);
    *ret = xeno_take(&p);
    return 0;
}
