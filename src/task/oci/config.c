/* src/task/oci/config.c - the config.json of a task. */
#include "task/oci/config.h"

#include <string.h>

#include "base/buf.h"

/* What Docker, Podman and containerd give a container that asks for nothing. */
static const char *const capabilities[] = {
    "CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",     "CAP_FSETID",
    "CAP_KILL",        "CAP_MKNOD",   "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",    "CAP_SETFCAP",
    "CAP_SETGID",      "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT",
};

static const char *const masked[] = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kmsg",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/sys/firmware",
    "/sys/fs/bpf",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
    "/sys/devices/virtual/powercap",
    "/sys/devices/virtual/dmi",
    "/sys/class/dmi",
};

static const char *const readonly[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

/* Each has a space between its options. */
static const struct {
    const char *at, *type, *options;
} mounts[] = {
    { "/proc", "proc", "nosuid noexec nodev" },
    { "/dev", "tmpfs", "nosuid noexec strictatime mode=755 size=1024k" },
    { "/dev/pts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5" },
    { "/dev/shm", "tmpfs", "nosuid noexec nodev mode=1777 size=65536k" },
    { "/dev/mqueue", "mqueue", "nosuid noexec nodev" },
};

static struct xeno_json *words(const char *const *list, size_t n)
{
    struct xeno_json *arr = xeno_json_array();

    for (size_t i = 0; i < n; i++)
        xeno_json_append_str(arr, list[i]);
    return arr;
}

static struct xeno_json *list_of(char *const *list)
{
    struct xeno_json *arr = xeno_json_array();

    for (size_t i = 0; list && list[i]; i++)
        xeno_json_append_str(arr, list[i]);
    return arr;
}

/* --- process --- */

static struct xeno_json *user_json(const struct xeno_oci_user *u)
{
    struct xeno_json *obj = xeno_json_object();
    struct xeno_json *groups = NULL;
    xeno_autobuf text = XENO_BUF_INIT;

    xeno_json_set_int(obj, "uid", u->uid);
    xeno_json_set_int(obj, "gid", u->gid);
    xeno_buf_puts(&text, "[");
    for (size_t i = 0; i < u->ngroups; i++)
        xeno_buf_printf(&text, "%s%u", i > 0 ? "," : "", u->groups[i]);
    xeno_buf_puts(&text, "]");
    if (xeno_json_parse(text.data, text.len, text.len, &groups, NULL) == 0)
        xeno_json_set(obj, "additionalGids", groups);
    return obj;
}

/* Another user than root keeps the bound, so that set-user-id programs work as far as the lack of
 * new privileges lets them, and has none in force. */
static struct xeno_json *capabilities_json(bool root)
{
    struct xeno_json *obj = xeno_json_object();
    size_t n = root ? XENO_LEN(capabilities) : 0;

    xeno_json_set(obj, "bounding", words(capabilities, XENO_LEN(capabilities)));
    xeno_json_set(obj, "permitted", words(capabilities, n));
    xeno_json_set(obj, "effective", words(capabilities, n));
    xeno_json_set(obj, "inheritable", xeno_json_array());
    xeno_json_set(obj, "ambient", xeno_json_array());
    return obj;
}

static bool has_variable(char *const *env, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; env && env[i]; i++)
        if (strncmp(env[i], name, len) == 0 && env[i][len] == '=')
            return true;
    return false;
}

static void add_variable(struct xeno_json *arr, char *const *env, const char *name,
                         const char *value)
{
    xeno_autofree char *word = NULL;

    if (has_variable(env, name))
        return;
    word = xeno_asprintf("%s=%s", name, value);
    xeno_json_append_str(arr, word);
}

static struct xeno_json *environment(const struct xeno_oci_bundle *b)
{
    struct xeno_json *arr = list_of(b->program->env);

    add_variable(arr, b->program->env, "PATH",
                 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    add_variable(arr, b->program->env, "HOSTNAME", b->hostname);
    add_variable(arr, b->program->env, "HOME", b->user.home);
    if (b->program->terminal)
        add_variable(arr, b->program->env, "TERM", "xterm");
    return arr;
}

static struct xeno_json *limit(const char *type, int64_t value)
{
    struct xeno_json *obj = xeno_json_object();

    xeno_json_set_str(obj, "type", type);
    xeno_json_set_int(obj, "soft", value);
    xeno_json_set_int(obj, "hard", value);
    return obj;
}

struct xeno_json *xeno_oci_process(const struct xeno_oci_bundle *b)
{
    struct xeno_json *obj = xeno_json_object();
    struct xeno_json *limits = xeno_json_array();

    xeno_json_set_bool(obj, "terminal", b->program->terminal);
    if (b->program->terminal && b->cols > 0) {
        struct xeno_json *size = xeno_json_object();

        xeno_json_set_int(size, "width", b->cols);
        xeno_json_set_int(size, "height", b->rows);
        xeno_json_set(obj, "consoleSize", size);
    }
    xeno_json_set(obj, "user", user_json(&b->user));
    xeno_json_set(obj, "args", list_of(b->program->argv));
    xeno_json_set(obj, "env", environment(b));
    xeno_json_set_str(obj, "cwd", b->program->cwd ? b->program->cwd : "/");
    xeno_json_set(obj, "capabilities", capabilities_json(b->user.uid == 0));
    xeno_json_append(limits, limit("RLIMIT_NOFILE", (int64_t)b->nofile));
    xeno_json_append(limits, limit("RLIMIT_CORE", 0)); /* would go to the host's handler */
    xeno_json_set(obj, "rlimits", limits);
    xeno_json_set_bool(obj, "noNewPrivileges", true);
    return obj;
}

/* --- mounts --- */

static struct xeno_json *options_json(const char *options)
{
    struct xeno_json *arr = xeno_json_array();
    xeno_autofree char *copy = xeno_strdup(options);

    for (char *save, *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        xeno_json_append_str(arr, w);
    return arr;
}

static void add_mount(struct xeno_json *arr, const char *at, const char *type, const char *source,
                      const char *options)
{
    struct xeno_json *obj = xeno_json_object();

    xeno_json_set_str(obj, "destination", at);
    xeno_json_set_str(obj, "type", type);
    xeno_json_set_str(obj, "source", source);
    xeno_json_set(obj, "options", options_json(options));
    xeno_json_append(arr, obj);
}

static struct xeno_json *mounts_json(const struct xeno_oci_bundle *b)
{
    static const char *const files[] = { "resolv.conf", "hosts", "hostname" };
    struct xeno_json *arr = xeno_json_array();

    for (size_t i = 0; i < XENO_LEN(mounts); i++)
        add_mount(arr, mounts[i].at, mounts[i].type, mounts[i].type, mounts[i].options);
    if (b->sys)
        add_mount(arr, "/sys", "bind", b->sys, "bind ro nosuid noexec nodev");
    for (size_t i = 0; i < XENO_LEN(files); i++) {
        xeno_autofree char *from = xeno_asprintf("%s/%s", b->files, files[i]);
        xeno_autofree char *at = xeno_asprintf("/etc/%s", files[i]);

        add_mount(arr, at, "bind", from, "bind rw nosuid noexec nodev");
    }
    return arr;
}

/* --- linux --- */

static void add_namespace(struct xeno_json *arr, const char *type, const char *path)
{
    struct xeno_json *obj = xeno_json_object();

    xeno_json_set_str(obj, "type", type);
    xeno_json_set_str(obj, "path", path);
    xeno_json_append(arr, obj);
}

static struct xeno_json *namespaces(const struct xeno_oci_bundle *b)
{
    struct xeno_json *arr = xeno_json_array();

    add_namespace(arr, "pid", NULL);
    add_namespace(arr, "ipc", NULL);
    add_namespace(arr, "uts", NULL);
    add_namespace(arr, "mount", NULL);
    add_namespace(arr, "cgroup", NULL);
    add_namespace(arr, "user", NULL);
    add_namespace(arr, "network", b->netns);
    return arr;
}

static struct xeno_json *mapping(const struct xeno_oci_bundle *b)
{
    struct xeno_json *arr = xeno_json_array();
    struct xeno_json *obj = xeno_json_object();

    xeno_json_set_int(obj, "containerID", 0);
    xeno_json_set_int(obj, "hostID", b->id_base);
    xeno_json_set_int(obj, "size", b->id_count);
    xeno_json_append(arr, obj);
    return arr;
}

/* No device at all but those the runtime always makes (null, zero, full, random, urandom, tty). */
static struct xeno_json *resources(void)
{
    struct xeno_json *obj = xeno_json_object();
    struct xeno_json *devices = xeno_json_array();
    struct xeno_json *rule = xeno_json_object();

    xeno_json_set_bool(rule, "allow", false);
    xeno_json_set_str(rule, "access", "rwm");
    xeno_json_append(devices, rule);
    xeno_json_set(obj, "devices", devices);
    return obj;
}

static struct xeno_json *linux_json(const struct xeno_oci_bundle *b)
{
    struct xeno_json *obj = xeno_json_object();

    xeno_json_set(obj, "namespaces", namespaces(b));
    xeno_json_set(obj, "uidMappings", mapping(b));
    xeno_json_set(obj, "gidMappings", mapping(b));
    xeno_json_set_str(obj, "cgroupsPath", b->cgroup);
    xeno_json_set(obj, "resources", resources());
    xeno_json_set(obj, "maskedPaths", words(masked, XENO_LEN(masked)));
    xeno_json_set(obj, "readonlyPaths", words(readonly, XENO_LEN(readonly)));
    if (!b->bpf && b->seccomp)
        xeno_json_set(obj, "seccomp", xeno_json_ref((struct xeno_json *)b->seccomp));
    return obj;
}

struct xeno_json *xeno_oci_config(const struct xeno_oci_bundle *b)
{
    struct xeno_json *obj = xeno_json_object();
    struct xeno_json *root = xeno_json_object();

    xeno_json_set_str(obj, "ociVersion", "1.0.2");
    xeno_json_set(obj, "process", xeno_oci_process(b));
    xeno_json_set_str(root, "path", b->rootfs);
    xeno_json_set_bool(root, "readonly", false);
    xeno_json_set(obj, "root", root);
    xeno_json_set_str(obj, "hostname", b->hostname);
    xeno_json_set(obj, "mounts", mounts_json(b));
    xeno_json_set(obj, "linux", linux_json(b));
    if (b->bpf) {
        struct xeno_json *notes = xeno_json_object();

        xeno_json_set_str(notes, "run.oci.seccomp_bpf_data", b->bpf);
        xeno_json_set(obj, "annotations", notes);
    }
    return obj;
}
