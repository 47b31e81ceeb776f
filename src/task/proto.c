/* src/task/proto.c - requests of the task protocol, made and read. */
#include "task/proto.h"

#include <errno.h>
#include <string.h>

#include "base/enc.h"
#include "rpc/message.h"

/* Which members a request of each op has besides id and op. */
enum {
    HAS_SESSION = 1,
    HAS_DRIVER = 2,
    HAS_SPEC = 4,
    HAS_TASK = 8,  /* needed */
    MAY_TASK = 16, /* one of task and exec for signal and winch; optional for exec */
    HAS_EXEC = 32,
    MAY_EXEC = 64,
    HAS_PROGRAM = 128,
    HAS_SIGNAL = 256,
    HAS_SIZE = 512,
    MAY_SIZE = 1024,
    MAY_AFTER = 2048,
};

static const struct {
    const char *name;
    unsigned has;
} ops[XENO_TASK_OPS] = {
    [XENO_TASK_DESCRIBE] = { "describe", 0 },
    [XENO_TASK_CREATE] = { "create", HAS_SESSION | HAS_DRIVER | HAS_SPEC },
    [XENO_TASK_START] = { "start", HAS_SESSION | HAS_TASK | HAS_PROGRAM },
    [XENO_TASK_SIGNAL] = { "signal", HAS_SESSION | MAY_TASK | MAY_EXEC | HAS_SIGNAL },
    [XENO_TASK_PAUSE] = { "pause", HAS_SESSION },
    [XENO_TASK_RESUME] = { "resume", HAS_SESSION },
    [XENO_TASK_SNAPSHOT] = { "snapshot", HAS_SESSION },
    [XENO_TASK_RESTORE] = { "restore", HAS_SESSION | HAS_SPEC },
    [XENO_TASK_RESIZE] = { "resize", HAS_SESSION | HAS_SPEC },
    [XENO_TASK_USAGE] = { "usage", MAY_AFTER },
    [XENO_TASK_EXEC] = { "exec", HAS_SESSION | MAY_TASK | HAS_EXEC | HAS_PROGRAM | MAY_SIZE },
    [XENO_TASK_WINCH] = { "winch", HAS_SESSION | MAY_TASK | MAY_EXEC | HAS_SIZE },
    [XENO_TASK_ATTACH] = { "attach", HAS_SESSION | HAS_TASK },
    [XENO_TASK_LOGS] = { "logs", HAS_SESSION | HAS_TASK },
    [XENO_TASK_DESTROY] = { "destroy", HAS_SESSION },
    [XENO_TASK_LIST] = { "list", MAY_AFTER },
    [XENO_TASK_COMMIT] = { "commit", HAS_SESSION },
};

const char *xeno_task_op_name(enum xeno_task_op op)
{
    return op < XENO_TASK_OPS ? ops[op].name : "?";
}

/* --- text forms --- */

bool xeno_task_session_ok(const char *text)
{
    return xeno_base32_ok(text, XENO_TASK_SESSION_LEN);
}

bool xeno_task_name_ok(const char *text)
{
    size_t len = strlen(text);

    return len >= 1 && len <= XENO_TASK_NAME_MAX && text[0] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

bool xeno_task_layer_ok(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 && strlen(text) == XENO_TASK_LAYER_MAX &&
           strspn(text + 7, "0123456789abcdef") == 64;
}

/* Addresses are checked in full by the network; here only that they are of its letters. */
static bool address_ok(const char *text)
{
    return text[strspn(text, "0123456789abcdef.:")] == '\0';
}

/* One label after the other: letters, digits, inner hyphens; so it can go into files as it is. */
static bool hostname_ok(const char *text)
{
    size_t len = strlen(text);

    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") ==
               len &&
           text[0] != '-' && text[0] != '.' && (len == 0 || text[len - 1] != '-');
}

/* --- spec --- */

bool xeno_task_spec_equal(const struct xeno_task_spec *a, const struct xeno_task_spec *b)
{
    if (a->cpu_msps != b->cpu_msps || a->cpu_burst_ms != b->cpu_burst_ms ||
        a->memory_bytes != b->memory_bytes || a->pids != b->pids ||
        a->disk_bytes != b->disk_bytes || a->net_kbps != b->net_kbps ||
        strcmp(a->address, b->address) != 0 || strcmp(a->hostname, b->hostname) != 0 ||
        a->nports != b->nports || a->nlayers != b->nlayers || a->nimages != b->nimages)
        return false;
    for (size_t i = 0; i < a->nports; i++)
        if (a->ports[i].port != b->ports[i].port ||
            a->ports[i].host_port != b->ports[i].host_port || a->ports[i].udp != b->ports[i].udp)
            return false;
    for (size_t i = 0; i < a->nlayers; i++)
        if (strcmp(a->layers[i], b->layers[i]) != 0)
            return false;
    for (size_t i = 0; i < a->nimages; i++)
        if (strcmp(a->images[i], b->images[i]) != 0)
            return false;
    return true;
}

struct xeno_json *xeno_task_spec_json(const struct xeno_task_spec *spec)
{
    struct xeno_json *obj = xeno_json_object();
    struct xeno_json *ports = xeno_json_array();
    struct xeno_json *layers = xeno_json_array(), *images = NULL;

    xeno_json_set_int(obj, "cpu_msps", spec->cpu_msps);
    xeno_json_set_int(obj, "cpu_burst_ms", spec->cpu_burst_ms);
    xeno_json_set_int(obj, "memory_bytes", spec->memory_bytes);
    xeno_json_set_int(obj, "pids", spec->pids);
    xeno_json_set_int(obj, "disk_bytes", spec->disk_bytes);
    xeno_json_set_int(obj, "net_kbps", spec->net_kbps);
    xeno_json_set_str(obj, "address", spec->address);
    xeno_json_set_str(obj, "hostname", spec->hostname);
    for (size_t i = 0; i < spec->nports; i++) {
        struct xeno_json *port = xeno_json_object();

        xeno_json_set_int(port, "port", spec->ports[i].port);
        xeno_json_set_int(port, "host_port", spec->ports[i].host_port);
        xeno_json_set_str(port, "proto", spec->ports[i].udp ? "udp" : "tcp");
        xeno_json_append(ports, port);
    }
    xeno_json_set(obj, "ports", ports);
    for (size_t i = 0; i < spec->nlayers; i++)
        xeno_json_append_str(layers, spec->layers[i]);
    xeno_json_set(obj, "layers", layers);
    if (spec->nimages > 0)
        xeno_json_set(obj, "images", images = xeno_json_array());
    for (size_t i = 0; i < spec->nimages; i++)
        xeno_json_append_str(images, spec->images[i]);
    return obj;
}

static int read_ports(const struct xeno_json_at *at, struct xeno_task_spec *spec,
                      struct xeno_err *err)
{
    static const char *const keys[] = { "port", "host_port", "proto", NULL };
    struct xeno_json_at arr;
    int r;

    r = xeno_json_arr_opt(at, "ports", XENO_TASK_PORTS_MAX, &arr, &spec->nports, err);
    if (r != 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; i < spec->nports; i++) {
        struct xeno_json_at item = xeno_json_item(&arr, i);
        int64_t port, host_port;
        const char *proto;

        r = xeno_json_only(&item, keys, err);
        if (r == 0)
            r = xeno_json_int(&item, "port", 1, UINT16_MAX, &port, err);
        if (r == 0)
            r = xeno_json_int(&item, "host_port", 1, UINT16_MAX, &host_port, err);
        if (r == 0)
            r = xeno_json_str(&item, "proto", 1, 8, &proto, err);
        if (r < 0)
            return r;
        if (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0)
            return xeno_fail(err, -EINVAL, "task.proto", "%s.proto is neither tcp nor udp",
                             item.path);
        spec->ports[i] = (struct xeno_task_port){ .port = (uint16_t)port,
                                                  .host_port = (uint16_t)host_port,
                                                  .udp = strcmp(proto, "udp") == 0 };
    }
    return 0;
}

/* A list of digests, `max` at most. Absent: none. */
static int read_digests(const struct xeno_json_at *at, const char *key, size_t max,
                        char (*ret)[XENO_TASK_LAYER_MAX + 1], size_t *ret_count,
                        struct xeno_err *err)
{
    struct xeno_json_at arr;
    const char *digest;
    int r;

    r = xeno_json_arr_opt(at, key, max, &arr, ret_count, err);
    if (r != 0)
        return r < 0 ? r : 0;
    for (size_t i = 0; i < *ret_count; i++) {
        r = xeno_json_item_str(&arr, i, 1, XENO_TASK_LAYER_MAX, &digest, err);
        if (r < 0)
            return r;
        if (!xeno_task_layer_ok(digest))
            return xeno_fail(err, -EINVAL, "task.layer", "%s[%zu] is not sha256: and 64 digits",
                             arr.path, i);
        strcpy(ret[i], digest);
    }
    return 0;
}

static int read_amounts(const struct xeno_json_at *at, struct xeno_task_spec *spec,
                        struct xeno_err *err)
{
    const struct {
        const char *key;
        int64_t min, max;
        int64_t *to;
    } rows[] = {
        { "cpu_msps", 1, XENO_TASK_MSPS_MAX, &spec->cpu_msps },
        { "cpu_burst_ms", 0, XENO_TASK_MSPS_MAX, &spec->cpu_burst_ms },
        { "memory_bytes", 1024 * 1024, XENO_TASK_BYTES_MAX, &spec->memory_bytes },
        { "pids", 1, 1000000, &spec->pids },
        { "disk_bytes", XENO_TASK_DISK_MIN, XENO_TASK_BYTES_MAX, &spec->disk_bytes },
        { "net_kbps", 0, XENO_TASK_KBPS_MAX, &spec->net_kbps },
    };

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        int r = xeno_json_int(at, rows[i].key, rows[i].min, rows[i].max, rows[i].to, err);

        if (r < 0)
            return r;
    }
    return 0;
}

int xeno_task_spec_read(const struct xeno_json_at *at, struct xeno_task_spec *ret,
                        struct xeno_err *err)
{
    static const char *const keys[] = { "cpu_msps",   "cpu_burst_ms", "memory_bytes", "pids",
                                        "disk_bytes", "net_kbps",     "address",      "hostname",
                                        "ports",      "layers",       "images",       NULL };
    xeno_autofree struct xeno_task_spec *spec = xeno_new0(struct xeno_task_spec);
    const char *address = "", *hostname = "";
    int r;

    r = xeno_json_only(at, keys, err);
    if (r == 0)
        r = read_amounts(at, spec, err);
    if (r == 0)
        r = xeno_json_str_opt(at, "address", 0, XENO_TASK_ADDRESS_MAX, &address, err);
    if (r >= 0)
        r = xeno_json_str_opt(at, "hostname", 0, XENO_TASK_HOST_MAX, &hostname, err);
    if (r >= 0)
        r = read_ports(at, spec, err);
    if (r >= 0)
        r = read_digests(at, "layers", XENO_TASK_LAYERS_MAX, spec->layers, &spec->nlayers, err);
    if (r >= 0)
        r = read_digests(at, "images", XENO_TASK_IMAGES_MAX, spec->images, &spec->nimages, err);
    if (r < 0)
        return r;
    if (!address_ok(address))
        return xeno_fail(err, -EINVAL, "task.address", "%s.address is not an IP address", at->path);
    if (!hostname_ok(hostname))
        return xeno_fail(err, -EINVAL, "task.hostname", "%s.hostname is not a host name", at->path);
    strcpy(spec->address, address);
    strcpy(spec->hostname, hostname);
    *ret = *spec;
    return 0;
}

/* --- program --- */

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

void xeno_task_program_release(struct xeno_task_program *p)
{
    free_list(p->argv);
    free_list(p->env);
    free(p->cwd);
    free(p->user);
    *p = (struct xeno_task_program){ .argv = NULL };
}

static void set_list(struct xeno_json *obj, const char *key, char *const *list)
{
    struct xeno_json *arr = xeno_json_array();

    for (size_t i = 0; list && list[i]; i++)
        xeno_json_append_str(arr, list[i]);
    xeno_json_set(obj, key, arr);
}

static void set_program(struct xeno_json *obj, const struct xeno_task_program *p)
{
    set_list(obj, "argv", p->argv);
    set_list(obj, "env", p->env);
    xeno_json_set_str(obj, "cwd", p->cwd);
    xeno_json_set_str(obj, "user", p->user);
    xeno_json_set_bool(obj, "terminal", p->terminal);
    xeno_json_set_bool(obj, "stdin", p->open_stdin);
}

struct xeno_json *xeno_task_program_json(const struct xeno_task_program *p)
{
    struct xeno_json *obj = xeno_json_object();

    set_program(obj, p);
    return obj;
}

static int read_list(const struct xeno_json_at *at, const char *key, size_t min_len, char ***ret,
                     struct xeno_err *err)
{
    struct xeno_json_at arr;
    const char *text;
    size_t n;
    int r;

    r = xeno_json_arr_opt(at, key, XENO_TASK_ARGS_MAX, &arr, &n, err);
    if (r != 0)
        return r < 0 ? r : 0;
    *ret = xeno_new0_n(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        r = xeno_json_item_str(&arr, i, i == 0 ? min_len : 0, XENO_TASK_ARG_MAX, &text, err);
        if (r < 0)
            return r;
        (*ret)[i] = xeno_strdup(text);
    }
    return 0;
}

static int check_program(const struct xeno_json_at *at, const struct xeno_task_program *p,
                         struct xeno_err *err)
{
    if (!p->argv || !p->argv[0])
        return xeno_fail(err, -EINVAL, "task.argv", "%s%sargv names no program", at->path,
                         at->path[0] ? "." : "");
    for (size_t i = 0; p->env && p->env[i]; i++)
        if (p->env[i][0] == '=' || !strchr(p->env[i], '='))
            return xeno_fail(err, -EINVAL, "task.env", "env[%zu] is not NAME=value", i);
    if (p->cwd && p->cwd[0] != '/')
        return xeno_fail(err, -EINVAL, "task.cwd", "cwd is not an absolute path");
    return 0;
}

int xeno_task_program_read(const struct xeno_json_at *at, struct xeno_task_program *ret,
                           struct xeno_err *err)
{
    struct xeno_task_program p = { .argv = NULL };
    const char *cwd = NULL, *user = NULL;
    int r;

    r = read_list(at, "argv", 1, &p.argv, err);
    if (r == 0)
        r = read_list(at, "env", 0, &p.env, err);
    if (r == 0)
        r = xeno_json_str_opt(at, "cwd", 1, 4095, &cwd, err);
    if (r >= 0)
        r = xeno_json_str_opt(at, "user", 0, 255, &user, err);
    if (r >= 0)
        r = xeno_json_bool_opt(at, "terminal", &p.terminal, err);
    if (r >= 0)
        r = xeno_json_bool_opt(at, "stdin", &p.open_stdin, err);
    if (r >= 0) {
        p.cwd = xeno_strdup(cwd);
        p.user = xeno_strdup(user);
        r = check_program(at, &p, err);
    }
    if (r < 0) {
        xeno_task_program_release(&p);
        return r;
    }
    *ret = p;
    return 0;
}

/* --- requests --- */

struct xeno_task_request *xeno_task_request_new(enum xeno_task_op op, const char *session)
{
    struct xeno_task_request *q = xeno_new0(struct xeno_task_request);

    q->op = op;
    if (session)
        strncpy(q->session, session, XENO_TASK_SESSION_LEN);
    return q;
}

void xeno_task_request_free(struct xeno_task_request *q)
{
    if (!q)
        return;
    xeno_task_program_release(&q->program);
    free(q);
}

int xeno_task_request_format(const struct xeno_task_request *q, char **ret, size_t *ret_len,
                             struct xeno_err *err)
{
    xeno_auto(xeno_json) obj = xeno_json_object();
    unsigned has = ops[q->op].has;
    size_t len;
    char *text;

    xeno_json_set_int(obj, "id", q->id);
    xeno_json_set_str(obj, "op", ops[q->op].name);
    if (has & HAS_SESSION)
        xeno_json_set_str(obj, "session", q->session);
    if (has & HAS_DRIVER)
        xeno_json_set_str(obj, "driver", q->driver);
    if ((has & (HAS_TASK | MAY_TASK)) && q->task[0])
        xeno_json_set_str(obj, "task", q->task);
    if ((has & (HAS_EXEC | MAY_EXEC)) && q->exec[0])
        xeno_json_set_str(obj, "exec", q->exec);
    if (has & HAS_SPEC)
        xeno_json_set(obj, "spec", xeno_task_spec_json(&q->spec));
    if (has & HAS_PROGRAM)
        set_program(obj, &q->program);
    if (has & HAS_SIGNAL)
        xeno_json_set_int(obj, "signal", q->signal);
    if (has & (HAS_SIZE | MAY_SIZE) && q->cols) {
        xeno_json_set_int(obj, "cols", q->cols);
        xeno_json_set_int(obj, "rows", q->rows);
    }
    if ((has & MAY_AFTER) && q->after[0])
        xeno_json_set_str(obj, "after", q->after);
    text = xeno_json_format(obj, false, &len);
    if (len > XENO_TASK_FRAME_MAX) {
        free(text);
        return xeno_fail(err, -EMSGSIZE, "task.size", "the request has %zu bytes, the limit is %d",
                         len, XENO_TASK_FRAME_MAX);
    }
    *ret = text;
    *ret_len = len;
    return 0;
}

/* Copy member `key` to `to`, whose form `ok` knows; a missing one fails when `needed`. */
static int read_id(const struct xeno_json_at *at, const char *key, bool needed, size_t max,
                   bool (*ok)(const char *), const char *token, char *to, struct xeno_err *err)
{
    const char *text = "";
    int r;

    r = needed ? xeno_json_str(at, key, 1, max, &text, err)
               : xeno_json_str_opt(at, key, 1, max, &text, err);
    if (r < 0)
        return r;
    if (text[0] && !ok(text))
        return xeno_fail(err, -EINVAL, token, "%s '%.64s' is not of the form of one", key, text);
    strcpy(to, text);
    return 0;
}

static int read_size(const struct xeno_json_at *at, bool needed, struct xeno_task_request *q,
                     struct xeno_err *err)
{
    int r;

    if (needed) {
        r = xeno_json_int(at, "cols", 1, 10000, &q->cols, err);
        return r < 0 ? r : xeno_json_int(at, "rows", 1, 10000, &q->rows, err);
    }
    r = xeno_json_int_opt(at, "cols", 1, 10000, &q->cols, err);
    if (r != 0)
        return r < 0 ? r : 0;
    return xeno_json_int(at, "rows", 1, 10000, &q->rows, err);
}

static int read_names(const struct xeno_json_at *at, unsigned has, struct xeno_task_request *q,
                      struct xeno_err *err)
{
    int r = 0;

    if (has & HAS_SESSION)
        r = read_id(at, "session", true, XENO_TASK_SESSION_LEN, xeno_task_session_ok,
                    "task.session", q->session, err);
    if (r == 0 && (has & HAS_DRIVER))
        r = read_id(at, "driver", true, XENO_TASK_DRIVER_MAX, xeno_task_name_ok, "task.driver",
                    q->driver, err);
    if (r == 0 && (has & (HAS_TASK | MAY_TASK)))
        r = read_id(at, "task", has & HAS_TASK, XENO_TASK_NAME_MAX, xeno_task_name_ok, "task.name",
                    q->task, err);
    if (r == 0 && (has & (HAS_EXEC | MAY_EXEC)))
        r = read_id(at, "exec", has & HAS_EXEC, XENO_TASK_NAME_MAX, xeno_task_name_ok, "task.name",
                    q->exec, err);
    if (r == 0 && (has & MAY_TASK) && (has & MAY_EXEC) && !q->task[0] == !q->exec[0])
        return xeno_fail(err, -EINVAL, "task.name", "one of task and exec must be named");
    return r;
}

static int read_request(const struct xeno_json_at *at, struct xeno_task_request *q,
                        struct xeno_err *err)
{
    unsigned has = ops[q->op].has;
    struct xeno_json_at spec;
    int r;

    r = read_names(at, has, q, err);
    if (r == 0 && (has & HAS_SPEC)) {
        r = xeno_json_obj(at, "spec", &spec, err);
        if (r == 0)
            r = xeno_task_spec_read(&spec, &q->spec, err);
    }
    if (r == 0 && (has & HAS_PROGRAM))
        r = xeno_task_program_read(at, &q->program, err);
    if (r == 0 && (has & HAS_SIGNAL))
        r = xeno_json_int(at, "signal", 1, 64, &q->signal, err);
    if (r == 0 && (has & (HAS_SIZE | MAY_SIZE)))
        r = read_size(at, has & HAS_SIZE, q, err);
    if (r == 0 && (has & MAY_AFTER))
        r = read_id(at, "after", false, XENO_TASK_SESSION_LEN, xeno_task_session_ok, "task.session",
                    q->after, err);
    return r;
}

static int check_members(const struct xeno_json_at *at, unsigned has, struct xeno_err *err)
{
    static const struct xeno_rpc_member members[] = {
        { HAS_SESSION, "session" },      { HAS_DRIVER, "driver" },        { HAS_SPEC, "spec" },
        { HAS_TASK | MAY_TASK, "task" }, { HAS_EXEC | MAY_EXEC, "exec" }, { HAS_PROGRAM, "argv" },
        { HAS_PROGRAM, "env" },          { HAS_PROGRAM, "cwd" },          { HAS_PROGRAM, "user" },
        { HAS_PROGRAM, "terminal" },     { HAS_PROGRAM, "stdin" },        { HAS_SIGNAL, "signal" },
        { HAS_SIZE | MAY_SIZE, "cols" }, { HAS_SIZE | MAY_SIZE, "rows" }, { MAY_AFTER, "after" },
    };
    _Static_assert(XENO_LEN(members) <= XENO_RPC_MEMBERS_MAX, "too many members");
    return xeno_rpc_only(at, members, XENO_LEN(members), has, err);
}

int xeno_task_request_parse(const char *text, size_t len, struct xeno_task_request **ret,
                            struct xeno_err *err)
{
    xeno_auto(xeno_json) root = NULL;
    xeno_auto(xeno_task_request) q = xeno_new0(struct xeno_task_request);
    struct xeno_json_at top;
    const char *op;
    int r;

    r = xeno_json_parse(text, len, XENO_TASK_FRAME_MAX, &root, err);
    if (r < 0)
        return r;
    top = xeno_json_top(root);
    r = xeno_rpc_head_read(&top, &q->id, &op, err);
    if (r < 0)
        return r;
    while (q->op < XENO_TASK_OPS && strcmp(ops[q->op].name, op) != 0)
        q->op++;
    if (q->op == XENO_TASK_OPS)
        return xeno_fail(err, -EINVAL, "task.op", "there is no operation '%s'", op);
    r = check_members(&top, ops[q->op].has, err);
    if (r == 0)
        r = read_request(&top, q, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&q);
    return 0;
}
