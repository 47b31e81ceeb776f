/* src/task/proto.h - the task protocol: requests, replies, events (rfc/0003-task-protocol.md).
 *
 * A message is a JSON object of at most XENO_TASK_FRAME_MAX bytes behind its length (u32, big
 * endian); descriptors travel by SCM_RIGHTS with the first byte of its frame
 * (rpc/frame.h). A request
 * is {"id":n,"op":OP,...}, a reply {"id":n,"ok":{...}} or
 * {"id":n,"error":{"token","text","errno"}}, an event {"event":NAME,...} without id. Both sides use
 * this one file: xenod formats requests and parses replies, xeno-taskd the other way round.
 * Everything is copied field by field into structs with fixed limits; an unknown member, a missing
 * one and one out of bounds are errors that name it.
 *
 * Pure: no I/O. Context: one thread.
 */
#ifndef XENO_TASK_PROTO_H
#define XENO_TASK_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"

#define XENO_TASK_FRAME_MAX (64 * 1024)
#define XENO_TASK_QUEUE_MAX (4 * 1024 * 1024) /* unsent */
/* Its frames (rpc/frame.h). */
#define XENO_TASK_FRAMES                                                                           \
    ((struct xeno_frames_kind){                                                                    \
        .name = "task", .frame_max = XENO_TASK_FRAME_MAX, .queue_max = XENO_TASK_QUEUE_MAX })

#define XENO_TASK_SESSION_LEN 16 /* base32 letters of a session id */
#define XENO_TASK_NAME_MAX    31 /* of a task or exec: [a-z0-9][a-z0-9-]* */
#define XENO_TASK_DRIVER_MAX  15
#define XENO_TASK_HOST_MAX    63 /* of a host name */
#define XENO_TASK_ADDRESS_MAX 45 /* text of an IP address */
#define XENO_TASK_LAYER_MAX   71 /* "sha256:" and 64 hexadecimal digits */
#define XENO_TASK_PORTS_MAX   64
#define XENO_TASK_LAYERS_MAX  64
#define XENO_TASK_IMAGES_MAX  17  /* a template and its overlays */
#define XENO_TASK_ARGS_MAX    256 /* arguments, and as many environment variables */
#define XENO_TASK_ARG_MAX     8192
#define XENO_TASK_TASKS_MAX   32 /* of one session, ended ones included */
#define XENO_TASK_EXECS_MAX   32 /* of one session at once */

#define XENO_TASK_MSPS_MAX  INT64_C(1000000)        /* a thousand cores */
#define XENO_TASK_BYTES_MAX INT64_C(17592186044416) /* 16 TiB: memory, disk */
#define XENO_TASK_DISK_MIN  INT64_C(4194304)        /* the smallest file system that is of use */
#define XENO_TASK_KBPS_MAX  INT64_C(1000000000)

enum xeno_task_op {
    XENO_TASK_DESCRIBE, /* what this host is and can run */
    XENO_TASK_CREATE,   /* session, driver, spec */
    XENO_TASK_START,    /* session, task, argv, env, cwd, user, terminal, stdin */
    XENO_TASK_SIGNAL,   /* session, task or exec, signal */
    XENO_TASK_PAUSE,    /* session: freeze every process */
    XENO_TASK_RESUME,   /* session */
    XENO_TASK_SNAPSHOT, /* session: stop processes, drop cgroup and network, keep writable layer */
    XENO_TASK_RESTORE,  /* session, spec: build again around the writable layer */
    XENO_TASK_RESIZE,   /* session, spec: other limits; layers and address must be the same */
    XENO_TASK_USAGE,    /* opt. after: cumulative use of every session, a page at a time */
    XENO_TASK_EXEC,     /* session, exec, argv, env; opt. task, cwd, user, terminal, cols, rows */
    XENO_TASK_WINCH,    /* session, task or exec, cols, rows */
    XENO_TASK_ATTACH,   /* session, task -> [conmon's attach socket, SEQPACKET] */
    XENO_TASK_LOGS,     /* session, task -> [log file, read only] */
    XENO_TASK_DESTROY,  /* session: kill, unmount, delete everything; again: no effect */
    XENO_TASK_LIST,     /* opt. after: every session and its tasks, a page at a time */
    XENO_TASK_COMMIT,   /* session -> [the writable layer as a tar, SEQPACKET]; frozen meanwhile */
    XENO_TASK_OPS
};

/* "create" for XENO_TASK_CREATE; never NULL. */
const char *xeno_task_op_name(enum xeno_task_op op);

struct xeno_task_port {
    uint16_t port;      /* inside */
    uint16_t host_port; /* published on the host */
    bool udp;
};

/* What a session is made of. Values are already admitted by xenod; limits here are sanity. */
struct xeno_task_spec {
    int64_t cpu_msps;     /* ms of CPU per second, above zero */
    int64_t cpu_burst_ms; /* at most what the quota of one period is; more is cut by the host */
    int64_t memory_bytes;
    int64_t pids;
    int64_t disk_bytes;                      /* of the writable layer */
    int64_t net_kbps;                        /* each way; 0: no limit */
    char address[XENO_TASK_ADDRESS_MAX + 1]; /* "": loopback only */
    char hostname[XENO_TASK_HOST_MAX + 1];
    size_t nports;
    struct xeno_task_port ports[XENO_TASK_PORTS_MAX];
    size_t nlayers;
    char layers[XENO_TASK_LAYERS_MAX][XENO_TASK_LAYER_MAX + 1]; /* "sha256:...", bottom first */
    /* Manifests of the images that the layers are of. Only they say where the table of a layer is
     * and what its digest is: without them a layer that is not on this host cannot be read by
     * pieces. */
    size_t nimages;
    char images[XENO_TASK_IMAGES_MAX][XENO_TASK_LAYER_MAX + 1]; /* "sha256:..." */
};

bool xeno_task_spec_equal(const struct xeno_task_spec *a, const struct xeno_task_spec *b);
/* The object as it stands in requests and in the run directory; the caller's. */
struct xeno_json *xeno_task_spec_json(const struct xeno_task_spec *spec);
/* Errors: -EINVAL with json.*, task.session, task.address, task.layer ... as token. */
int xeno_task_spec_read(const struct xeno_json_at *at, struct xeno_task_spec *ret,
                        struct xeno_err *err);

/* A program to run, by start or exec. `user` is "", "name", "uid" or either with ":group". */
struct xeno_task_program {
    char **argv; /* NULL-terminated, owned; at least one for start and exec */
    char **env;  /* NULL-terminated "NAME=value", owned; NULL: none */
    char *cwd;   /* owned; NULL: "/" */
    char *user;  /* owned; NULL: root of the session */
    bool terminal;
    bool open_stdin; /* member "stdin": keep standard input open for attach; else it is empty */
};
void xeno_task_program_release(struct xeno_task_program *p);
struct xeno_json *xeno_task_program_json(const struct xeno_task_program *p);
int xeno_task_program_read(const struct xeno_json_at *at, struct xeno_task_program *ret,
                           struct xeno_err *err);

/* One request. A field an op does not use is zero. */
struct xeno_task_request {
    int64_t id;
    enum xeno_task_op op;
    char session[XENO_TASK_SESSION_LEN + 1];
    char driver[XENO_TASK_DRIVER_MAX + 1];
    char task[XENO_TASK_NAME_MAX + 1];
    char exec[XENO_TASK_NAME_MAX + 1];
    struct xeno_task_spec spec;
    struct xeno_task_program program;
    int64_t signal; /* 1 to 64 */
    int64_t cols, rows;
    char after[XENO_TASK_SESSION_LEN + 1]; /* usage, list: sessions whose id sorts behind it */
};

struct xeno_task_request *xeno_task_request_new(enum xeno_task_op op, const char *session);
void xeno_task_request_free(struct xeno_task_request *q);
XENO_DEFINE_AUTO(xeno_task_request, xeno_task_request_free);

/* The text of the frame, without its length; the caller's.
 * Errors: -EMSGSIZE task.size when it would pass XENO_TASK_FRAME_MAX. */
int xeno_task_request_format(const struct xeno_task_request *q, char **ret, size_t *ret_len,
                             struct xeno_err *err);

/* Parse one request. A failure means that the other side is broken or hostile.
 *
 * Returns: 0 and a request, the caller's.
 * Errors:  -EINVAL or -EFBIG with a json.* token, task.op, task.session, task.name, task.argv ...
 */
int xeno_task_request_parse(const char *text, size_t len, struct xeno_task_request **ret,
                            struct xeno_err *err);

/* What the first byte of a packet from the descriptor of a commit says of the rest. */
enum xeno_task_layer_packet {
    XENO_TASK_LAYER_DATA = 1, /* bytes of the tar */
    XENO_TASK_LAYER_END = 2, /* {"digest":"sha256:...","bytes":n,"entries":n}: that was all of it */
    XENO_TASK_LAYER_ERROR = 3 /* {"token","text","errno"}: the rest does not come */
};
#define XENO_TASK_LAYER_PACKET (64 * 1024 + 1)

/* Text forms that both sides check the same way. */
bool xeno_task_session_ok(const char *text); /* 16 base32 letters */
bool xeno_task_name_ok(const char *text);    /* [a-z0-9][a-z0-9-]{0,30} */
bool xeno_task_layer_ok(const char *text);   /* sha256: and 64 digits */

/* --- replies and events --- */

/* What does not fit into one frame comes in pages: the reply to usage and list is
 * {"sessions":[...]} in order of the id, with "next":ID when there are more: ask again with after =
 * ID. xeno_task_client_usage() and xeno_task_client_list() (client.h) do that. */

/* Cumulative since create; never going down while the session lives, also over a restart of
 * xeno-taskd and over snapshot and restore. memory_bytes, disk_bytes and pids are of this moment.
 */
struct xeno_task_usage {
    char session[XENO_TASK_SESSION_LEN + 1];
    int64_t cpu_us;
    int64_t throttled_us;
    int64_t waited_us; /* some process had no processor, its quota's doing included (cgroup.h) */
    int64_t memory_bytes, memory_peak;
    int64_t disk_bytes;
    int64_t net_rx_bytes, net_tx_bytes; /* as the session sees them */
    int64_t net_rx_packets, net_tx_packets;
    int64_t pids;
    int64_t oom_kills;
};
struct xeno_json *xeno_task_usage_json(const struct xeno_task_usage *u);
int xeno_task_usage_read(const struct xeno_json_at *at, struct xeno_task_usage *ret,
                         struct xeno_err *err);

enum xeno_task_state {
    XENO_TASK_CREATED, /* session: no task has run yet; task: known, not started */
    XENO_TASK_RUNNING,
    XENO_TASK_PAUSED,
    XENO_TASK_STOPPED, /* session: after snapshot or a boot; task: has ended */
    XENO_TASK_STATES
};
const char *xeno_task_state_name(enum xeno_task_state s); /* "created" ...; never NULL */

struct xeno_task_info {
    char task[XENO_TASK_NAME_MAX + 1];
    enum xeno_task_state state;
    int64_t pid;  /* of its first process, on the host; 0 when there is none */
    int64_t code; /* exit code, of a stopped one: 128 + signal when a signal ended it */
    bool oom;     /* of a stopped one: the kernel ended it for want of memory */
};

struct xeno_task_session_info {
    char session[XENO_TASK_SESSION_LEN + 1];
    char driver[XENO_TASK_DRIVER_MAX + 1];
    enum xeno_task_state state;
    /* Who served its file system has ended: every access fails, and what was written and not yet
     * closed or synced is lost, which whoever closes it is told. Snapshot and restore bring it
     * back. */
    bool lost;
    size_t ntasks;
    struct xeno_task_info tasks[XENO_TASK_TASKS_MAX];
};
struct xeno_json *xeno_task_session_json(const struct xeno_task_session_info *s);
int xeno_task_session_read(const struct xeno_json_at *at, struct xeno_task_session_info *ret,
                           struct xeno_err *err);

enum xeno_task_event_kind {
    XENO_TASK_EVENT_EXIT,      /* session, task, code, signal, oom: a task has ended */
    XENO_TASK_EVENT_OOM,       /* session: something in it was killed for want of memory */
    XENO_TASK_EVENT_EXEC_EXIT, /* session, exec, code */
    XENO_TASK_EVENT_LOST,      /* session: who served its file system has ended; see `lost` above */
    XENO_TASK_EVENT_KINDS
};

/* Events are told once and lost with a connection: after a reconnect ask `list`. */
struct xeno_task_event {
    enum xeno_task_event_kind kind;
    char session[XENO_TASK_SESSION_LEN + 1];
    char task[XENO_TASK_NAME_MAX + 1];
    char exec[XENO_TASK_NAME_MAX + 1];
    int64_t code;   /* 0 to 255 */
    int64_t signal; /* code - 128 when the code says that a signal ended it, else 0 */
    bool oom;
};
struct xeno_json *xeno_task_event_json(const struct xeno_task_event *e);
int xeno_task_event_read(const struct xeno_json_at *at, struct xeno_task_event *ret,
                         struct xeno_err *err);

#endif
