/* src/task/cgroup-priv.h - what the two cgroup back ends share. Only for cgroup*.c. */
#ifndef XENO_TASK_CGROUP_PRIV_H
#define XENO_TASK_CGROUP_PRIV_H

#include "task/cgroup.h"

#define XENO_CGROUP_PERIOD_US 100000
#define XENO_CGROUP_TREES_MAX 24

/* One mounted hierarchy of version 1. */
struct xeno_cgroup_tree {
    char mount[128];
    char controllers[64]; /* ",cpu,cpuacct," with a comma at both ends; ",name=systemd," */
};

struct xeno_cgroup_ops {
    const char *version;
    int (*prepare)(struct xeno_cgroups *cg, struct xeno_err *err);
    bool (*find)(struct xeno_cgroups *cg); /* like prepare, but only what is there */
    int (*set)(struct xeno_cgroups *cg, const char *session, const struct xeno_cgroup_limits *l,
               struct xeno_err *err);
    int (*usage)(const struct xeno_cgroups *cg, const char *session, struct xeno_cgroup_usage *ret);
    int64_t (*oom_kills)(const struct xeno_cgroups *cg, const char *session, const char *task);
    int (*oom_fd)(const struct xeno_cgroups *cg, const char *session);
    int (*freeze)(struct xeno_cgroups *cg, const char *session, bool frozen, struct xeno_err *err);
    int (*kill_all)(struct xeno_cgroups *cg,
                    const char *session); /* one round; how many are left */
    int (*favour)(struct xeno_cgroups *cg, pid_t pid);
    void (*supervise)(const struct xeno_cgroups *cg);                      /* NULL: nothing to do */
    int (*birthplace)(const struct xeno_cgroups *cg, const char *session); /* NULL: any */
};

extern const struct xeno_cgroup_ops xeno_cgroup_v1, xeno_cgroup_v2;

struct xeno_cgroups {
    const struct xeno_cgroup_ops *ops;
    char instance[32];
    /* version 1: every mounted hierarchy; version 2: one, with the group we live in */
    struct xeno_cgroup_tree trees[XENO_CGROUP_TREES_MAX];
    size_t ntrees;
    char unified[128]; /* a cgroup2 mount beside version 1; "" */
    char top[512];     /* version 2: the group that was given to us; "": the root */
    char base[512];    /* TOP/xeno-INST */
    bool apart;        /* version 2: TOP is a unit of its own, and we are not in it */
    int lock;          /* of the instance: its group's folder, locked; -1 */
};

/* Index of the tree that has a controller, or -1. */
int xeno_cgroup_tree_of(const struct xeno_cgroups *cg, const char *controller);

/* MOUNT BASE/sessions/SESSION[/TASK][/FILE]; the caller's. task and file may be NULL. */
char *xeno_cgroup_file(const struct xeno_cgroups *cg, size_t tree, const char *session,
                       const char *task, const char *file);

/* Version 2, in a unit: only one of its instances at a time takes controllers from TOP or gives
 * them back, or what one has just enabled for its group is gone before it enables it in there. Held
 * until *ret_fd is closed; -1, and nothing held, where TOP is the root. Errors: -EBUSY
 * cgroup.busy. */
int xeno_cgroup_lock_top(const struct xeno_cgroups *cg, int *ret_fd, struct xeno_err *err);

/* Small files of the kernel. write: 0 or -errno. read: false when it cannot be read. */
int xeno_cgroup_write(const char *path, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool xeno_cgroup_read(const char *path, char *buf, size_t room);
int64_t xeno_cgroup_read_int(const char *path); /* 0 when it cannot be read or says "max" */

/* The number behind `key` in text of "key value" lines; 0 when there is none. Pure. */
int64_t xeno_cgroup_stat(const char *text, const char *key);

/* The total of the line "some" in text of a pressure file; 0 when there is none. Pure. */
int64_t xeno_cgroup_pressure(const char *text);

/* Parse one line of /proc/self/mountinfo. Returns: 1 for a version 1 tree, 2 for cgroup2, 0 else.
 * Pure. */
int xeno_cgroup_mount_line(const char *line, struct xeno_cgroup_tree *ret);

/* mkdir that takes what is there. */
int xeno_cgroup_mkdir(const char *path);

/* Send SIGKILL to every process in the folder's cgroup.procs and in those below it.
 * Returns: how many there were. */
int xeno_cgroup_signal_tree(const char *path);

#endif
