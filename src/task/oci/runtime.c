/* src/task/oci/runtime.c - which OCI runtime works on this host, and how it is called. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "task/oci/oci.h"
#include "task/oci/seccomp.h"
#include "task/proc.h"

#define PROBE_WAIT_MS 10000
#define WORDS_MAX     32

static void add_head(struct xeno_oci *oci, char *word)
{
    oci->strings[oci->nhead] = word;
    oci->head[oci->nhead++] = word;
}

static void clear_head(struct xeno_oci *oci)
{
    for (size_t i = 0; i < oci->nhead; i++) {
        free(oci->strings[i]);
        oci->head[i] = oci->strings[i] = NULL;
    }
    oci->nhead = 0;
}

int xeno_oci_call(const struct xeno_oci *oci, const char *const *words, int timeout_ms,
                  struct xeno_err *err)
{
    const char *argv[WORDS_MAX + 1];
    size_t n = 0;

    for (size_t i = 0; i < oci->nhead; i++)
        argv[n++] = oci->head[i];
    for (size_t i = 0; words[i] && n < WORDS_MAX; i++)
        argv[n++] = words[i];
    argv[n] = NULL;
    return xeno_proc_check(argv, timeout_ms, err);
}

/* --- the probe --- */

/* A bundle whose only file is our static helper, to be run as "/true". */
static int write_bundle(const struct xeno_task_host *h, const char *dir, struct xeno_err *err)
{
    static const char config[] =
        "{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":false,\"user\":{\"uid\":0,\"gid\":0},"
        "\"args\":[\"/true\",\"--xeno-true\"],\"cwd\":\"/\",\"noNewPrivileges\":true},"
        "\"root\":{\"path\":\"rootfs\",\"readonly\":true},\"mounts\":["
        "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
        "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}],"
        "\"linux\":{\"cgroupsPath\":\"%s\","
        "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},"
        "{\"type\":\"network\"}]}}";
    xeno_autofree char *rootfs = xeno_asprintf("%s/rootfs", dir);
    xeno_autofree char *proc = xeno_asprintf("%s/proc", rootfs);
    xeno_autofree char *dev = xeno_asprintf("%s/dev", rootfs);
    xeno_autofree char *program = xeno_asprintf("%s/true", rootfs);
    xeno_autofree char *path = xeno_asprintf("%s/config.json", dir);
    xeno_autofree char *helper = xeno_asprintf("%s/xeno-crun", h->libexec);
    xeno_autofree char *cgroup = xeno_cgroup_oci_path(h->cgroups, "probe", "t");
    xeno_autofree char *text = xeno_asprintf(config, cgroup);
    xeno_autofree char *binary = NULL;
    size_t len;
    int r;

    r = xeno_mkdirs(AT_FDCWD, proc, 0755, err);
    if (r == 0)
        r = xeno_mkdirs(AT_FDCWD, dev, 0755, err);
    if (r == 0)
        r = xeno_file_read(AT_FDCWD, helper, 16 << 20, &binary, &len, err);
    if (r == 0)
        r = xeno_run_write(program, binary, len, err);
    if (r == 0 && chmod(program, 0755) < 0)
        r = xeno_fail_errno(err, -errno, "oci.missing", "make '%s' a program", program);
    return r < 0 ? r : xeno_run_write(path, text, strlen(text), err);
}

static int try_runtime(struct xeno_task_host *h, struct xeno_oci *oci, const char *name,
                       const char *bundle, struct xeno_err *err)
{
    xeno_autofree char *id = xeno_asprintf("%s-probe", h->instance);
    const char *const clean[] = { "delete", "--force", id, NULL };
    const char *const run[] = { "run", "--bundle", bundle, id, NULL };
    const char *hybrid = xeno_cgroups_hybrid(h->cgroups);
    char *program = xeno_proc_find(name);
    int r;

    if (!program)
        return xeno_fail(err, -ENOENT, "oci.missing", "%s is not installed", name);
    clear_head(oci);
    oci->crun = strcmp(name, "crun") == 0;
    oci->name = name;
    if (oci->crun)
        add_head(oci, xeno_asprintf("%s/xeno-crun", h->libexec));
    if (oci->crun && hybrid) {
        add_head(oci, xeno_strdup("--xeno-hide"));
        add_head(oci, xeno_strdup(hybrid));
    }
    if (oci->crun)
        add_head(oci, xeno_strdup("--xeno-run"));
    add_head(oci, program);
    add_head(oci, xeno_strdup("--root"));
    add_head(oci, xeno_strdup(oci->root));
    xeno_oci_call(oci, clean, PROBE_WAIT_MS, NULL); /* what a killed probe left */
    r = xeno_oci_call(oci, run, PROBE_WAIT_MS, err);
    xeno_cgroup_remove(h->cgroups, "probe", NULL);
    return r < 0 ? xeno_context(err, r, "try %s", name) : 0;
}

/* crun before runc: it starts a container in half the time. */
static int choose(struct xeno_task_host *h, struct xeno_oci *oci, struct xeno_err *err)
{
    xeno_autofree char *bundle = xeno_asprintf("%s/probe", h->dir);
    struct xeno_err crun = XENO_ERR_INIT, runc = XENO_ERR_INIT;
    int r;

    r = write_bundle(h, bundle, err);
    if (r < 0)
        return r;
    if (try_runtime(h, oci, "crun", bundle, &crun) < 0 &&
        try_runtime(h, oci, "runc", bundle, &runc) < 0)
        r = xeno_fail(err, -ENOTSUP, "oci.runtime", "no OCI runtime runs here: %.200s; %.200s",
                      crun.text, runc.text);
    xeno_remove_tree(AT_FDCWD, bundle, NULL);
    return r;
}

static int make_folder(const char *path, struct xeno_err *err)
{
    return xeno_mkdirs(AT_FDCWD, path, 0700, err);
}

int xeno_oci_probe(struct xeno_task_host *h, struct xeno_err *err)
{
    struct xeno_oci *oci;
    int r;

    if (h->oci)
        return 0;
    if (!h->cgroups)
        return xeno_fail(err, -EPERM, "oci.rights", "containers need root and control groups");
    oci = xeno_new0(struct xeno_oci); /* lives as long as the program */
    oci->root = xeno_asprintf("%s/runtime", h->dir);
    oci->exits = xeno_asprintf("%s/exits", h->dir);
    oci->conmon = xeno_proc_find("conmon");
    if (!oci->conmon)
        return xeno_fail(err, -ENOENT, "oci.missing", "conmon is not installed");
    r = make_folder(oci->root, err);
    if (r == 0)
        r = make_folder(oci->exits, err);
    if (r == 0)
        r = choose(h, oci, err);
    if (r == 0 && oci->crun)
        r = xeno_oci_seccomp_bpf(&oci->bpf, err);
    if (r < 0)
        return r;
    if (!oci->bpf)
        oci->seccomp = xeno_oci_seccomp_json();
    h->oci = oci;
    return 0;
}

/* --- what every container of a session has --- */

char *xeno_oci_name(const struct xeno_task_host *h, const struct xeno_run *run, const char *task)
{
    return xeno_asprintf("%s-%s-%s", h->instance, run->id, task);
}

void xeno_oci_words_release(struct xeno_oci_words *w)
{
    free(w->rootfs);
    free(w->sys);
    free(w->files);
    free(w->netns);
    free(w->cgroup);
    *w = (struct xeno_oci_words){ .rootfs = NULL };
}
