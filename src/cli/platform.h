/* src/cli/platform.h - a whole platform on one machine: one XenoCorp, N XenoServers, a XenoStore,
 * an information service.
 *
 *     DIR/platform.json     what is there and what runs, by pid and start time
 *     DIR/corp  DIR/xN      folders of xenocorpd and of each xenod, owned by their users
 *     DIR/store  DIR/xis  DIR/rd    of xstored, xisd and xrdd, when there are
 *     DIR/xN-task           of each xeno-taskd; DIR/cache: layers unpacked for all of them
 *     DIR/xN-imaged         of each xeno-imaged, with its socket
 *     DIR/images            the image store;  DIR/run: sockets;  DIR/log: what they print
 *     DIR/operator          an operator's profile; DIR/client: a client's, when the user has his
 * own
 *
 * Starting is idempotent: what runs is left alone, what is missing is made or started. A process is
 * ours only if pid and start time are those that were recorded; nothing else is ever signalled.
 */
#ifndef XENO_CLI_PLATFORM_H
#define XENO_CLI_PLATFORM_H

#include <sys/types.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/profile.h"

#define PLATFORM_SERVERS_MAX 32
#define PLATFORM_ADDRESS     16
#define PLATFORM_TERM_S      15

struct platform_process {
    pid_t pid;     /* 0: none */
    int64_t start; /* in clock ticks since boot: field 22 of /proc/PID/stat */
};

struct platform_server {
    char name[16];     /* "x1" */
    char instance[16]; /* names bridge, cgroup, table: unique on the machine */
    int index;         /* of the instance: pool 10.201.INDEX.0/24, ports 20000 + 500 * INDEX */
    int port;
    /* Where others reach it and where it is: 127.0.0.1 unless a network is emulated. */
    char seen[PLATFORM_ADDRESS], real[PLATFORM_ADDRESS];
    char id[XENO_ID_CHARS + 1]; /* "" before it has joined */
    uid_t uid;
    struct platform_process xenod, taskd, imaged;
    int store_port; /* of the XenoStore that its image manager was told of */
};

/* A node of the XenoCorp, of which a platform has one of a kind at most. */
enum platform_node_name { PLATFORM_STORE, PLATFORM_XIS, PLATFORM_RD, PLATFORM_NODES };
struct platform_node_kind {
    const char *name; /* its folder and log */
    const char *program, *set, *title;
    int below; /* its port: so many below the XenoCorp's */
};
extern const struct platform_node_kind platform_node_kinds[PLATFORM_NODES];

struct platform_node {
    int port;                   /* 0: the platform has none */
    char id[XENO_ID_CHARS + 1]; /* "" before it has joined */
    uid_t uid;
    struct platform_process process;
};

struct platform_emulation {
    char *matrix;         /* file of round trips; NULL: no network is emulated */
    size_t nodes, client; /* how many it has, and the client's */
    unsigned subnet;
    struct platform_process process;
};

struct platform {
    char *dir;
    bool null_driver;
    int corp_port;
    char corp_id[XENO_ID_CHARS + 1];
    uid_t corp_uid;
    struct platform_process corp;
    char *client; /* profile folder */
    size_t count;
    struct platform_server servers[PLATFORM_SERVERS_MAX];
    struct platform_node nodes[PLATFORM_NODES];
    struct platform_emulation emulation;
};
void platform_free(struct platform *p);
XENO_DEFINE_AUTO(platform, platform_free);

/* --- platform-state.c --- */

/* The folder of --dir, or the default; the caller's. */
char *platform_dir(const struct cli_args *args);
/* Errors: -ENOENT platform.none. */
int platform_load(const char *dir, struct platform **ret, struct xeno_err *err);
int platform_save(const struct platform *p, struct xeno_err *err);
char *platform_path(const struct platform *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
char *platform_corp_url(const struct platform *p);
char *platform_server_url(const struct platform_server *s);

bool platform_alive(const struct platform_process *proc);
struct platform_process platform_process_of(pid_t pid);
/* SIGTERM, then SIGKILL after `limit`. No effect on one that is not ours or has ended. */
void platform_stop(struct cli *cli, struct platform_process *proc, xeno_time limit);

/* --- platform-spawn.c --- */

struct platform_spawn {
    const char *program;     /* "xenod" */
    const char *const *argv; /* without argv[0], NULL-terminated */
    uid_t uid;
    const char *log; /* path of its log */
    int listen_fd;   /* a socket that it is to answer on (sd_listen_fds(3)); 0: none */
};
/* Where a daemon's program is: beside ours in the build tree, or installed. The caller's. */
int platform_program(const char *name, char **ret, struct xeno_err *err);
/* Start it and wait until it says that it is ready.
 * Errors: -EIO platform.start, with the end of its log. */
int platform_start(struct cli *cli, const struct platform *p, const struct platform_spawn *s,
                   struct platform_process *ret, struct xeno_err *err);
/* Run it to its end; *ret_out (NULL allowed) is what it printed. */
int platform_run(const struct platform_spawn *s, char **ret_out, struct xeno_err *err);

/* --- platform-host.c: what instances share on the machine --- */

/* The lowest instance index that nobody on this machine uses, claimed for us (by our pid). */
int platform_claim(const struct platform *p, int *ret_index, struct xeno_err *err);
/* From now on it is in use as long as that process lives. */
void platform_claim_set(const struct platform *p, int index, const struct platform_process *proc);
/* Nobody uses it, as far as we had it. */
void platform_claim_drop(const struct platform *p, int index);
/* Is it free, or ours? Errors: -EBUSY platform.instance. */
int platform_claim_again(const struct platform *p, int index, struct xeno_err *err);
/* Listen on `address` at *port, or where somebody else does, at another port: *port. What is given
 * (*ret_fd, the caller's) is handed to the daemon that is to answer there (platform_spawn), so that
 * of two platforms that start at once none takes the port that the other has just found free.
 * Errors: platform.port. */
int platform_listen(const char *address, int *port, int *ret_fd, struct xeno_err *err);
/* The user a daemon runs as: its system user, else a number nobody has; ours when we are not root.
 */
uid_t platform_user(const char *name, int index);
/* Have xeno-taskd take everything of an instance whose daemons are gone off the machine, unless
 * another platform has it now. *ret_said: what it removed, the caller's; NULL when nobody was
 * asked. Errors: -EIO platform.start, with the end of the log. */
int platform_sweep(const struct platform *p, const struct platform_server *s, char **ret_said,
                   struct xeno_err *err);
/* Can containers run here? NULL, or what is missing. */
const char *platform_lacks(void);

/* --- platform-join.c --- */

/* A context with the operator's profile. */
struct cli platform_operator(const struct cli *cli, const struct platform *p, char **ret_home);
int platform_corp_init(struct cli *cli, struct platform *p, char **ret_token, struct xeno_err *err);
int platform_join_operator(struct cli *cli, struct platform *p, const char *token,
                           struct xeno_err *err);
int platform_token(struct cli *op, const char *kind, char **ret, struct xeno_err *err);
/* Make the client's profile, fund it, tell it of the servers. */
int platform_join_client(struct cli *cli, struct platform *p, xeno_credit fund,
                         struct xeno_err *err);
/* The image store, and a small template to begin with, when the machine has a static busybox. */
int platform_template(struct cli *cli, const struct platform *p, struct xeno_err *err);

/* --- platform-up.c, platform-node.c, platform-imaged.c --- */
/* Make a folder of that mode, owned by `uid`. Errors: io.mkdir, platform.dir. */
int platform_folder(const char *path, mode_t mode, uid_t uid, struct xeno_err *err);
/* The platform shall have one. */
void platform_want_node(struct platform *p, enum platform_node_name name);
/* Enrol and start what of it is not there yet. */
int platform_bring_node(struct cli *cli, struct platform *p, enum platform_node_name name,
                        const struct cli_args *args, struct xeno_err *err);
char *platform_node_url(const struct platform_node *n);
/* Start the image manager of a XenoServer, anew when there is another XenoStore by now. */
int platform_bring_imaged(struct cli *cli, const struct platform *p, struct platform_server *s,
                          const struct cli_args *args, struct xeno_err *err);
/* Make them the client's own, where he has no others. */
int platform_use_nodes(struct cli *client, const struct platform *p, struct xeno_err *err);
/* Wait until the RD has heard of all XenoServers. Best effort: they advertise a moment after they
 * start. */
void platform_await_found(struct cli *cli, const struct platform *p, xeno_time limit);

/* --- platform-emulate.c --- */
/* What the options say of emulation, for a fresh platform or one that is there. Errors:
 * platform.emulate, matrix.*. */
int platform_emulate_want(struct platform *p, const struct cli_args *args, bool fresh,
                          struct xeno_err *err);
/* Start it, when the platform has one. */
int platform_bring_emulation(struct cli *cli, struct platform *p, struct xeno_err *err);
/* Set `seen` and `real` of every XenoServer. */
void platform_emulate_place(struct platform *p);
/* The node of the table that a XenoServer is. */
size_t platform_emulate_node(const struct platform *p, const struct platform_server *s);
/* What xenod must be told, as further words. */
struct cli_words;
void platform_emulate_words(struct cli_words *w, const struct platform *p,
                            const struct platform_server *s);
struct xeno_json *platform_emulate_json(const struct platform *p);

/* --- the verbs --- */
int platform_up(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int platform_down(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
int platform_status(struct cli *cli, const struct cli_args *args, struct xeno_err *err);
extern const struct cli_option platform_up_options[], platform_down_options[],
    platform_status_options[];

#endif
