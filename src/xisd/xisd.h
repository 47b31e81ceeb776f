/* src/xisd/xisd.h - what the files of xisd share. Private to the program.
 *
 * xisd faces the network and holds no rights. One thread runs the loop: it alone changes the index
 * in memory (src/xis/xis.h) and reads it for requests, so a lookup waits for nothing. An update
 * goes through the threads of db/work.h: checkers verify signatures and parse, the one writer keeps
 * the documents in the database, and back on the loop the index takes them and the answer leaves.
 *
 *     PUT, PATCH, DELETE -> carrier's bounds -> checkers -> writer: database -> loop: index, answer
 *     lookups, queries, changes, watches -> index                             (rfc/0016)
 */
#ifndef XENO_XISD_XISD_H
#define XENO_XISD_XISD_H

#include <systemd/sd-event.h>

#include "base/env.h"
#include "db/db.h"
#include "db/work.h"
#include "http/server.h"
#include "member/member.h"
#include "xisd/options.h"

struct xisd {
    struct xisd_options opt;
    int argc; /* to read the configuration again */
    char **argv;
    const struct xeno_env *env;
    sd_event *loop;
    xeno_time started; /* wall clock */

    int dirfd;                  /* of opt.dir; locked while it is ours */
    struct xeno_member *member; /* who we are: identity.c */
    struct xeno_http_client *client;

    struct xeno_db *books; /* the writer's, once `work` runs */
    struct xeno_work *work;
    struct xeno_http_server *server;
    struct xeno_daemon_loop *basics; /* signals, watchdog, finished work */
    sd_event_source *sources[4];
    size_t source_count;
};

/* --- identity.c: the member of the XenoCorp that it is --- */
struct xeno_member *xisd_identity_new(const struct xisd *d); /* not loaded */
int xisd_identity_open(struct xisd *d, struct xeno_err *err);
/* Opens the folder, too; prints the id. */
int xisd_enrol(struct xisd *d, const char *token, struct xeno_err *err);
/* Renewal and revocations from now on. Context: before the sandbox; with a server. */
int xisd_identity_start(struct xisd *d, struct xeno_err *err);
void xisd_identity_stop(struct xisd *d);

/* --- open.c --- */
int xisd_open_dir(struct xisd *d, struct xeno_err *err);
/* The loop, once. */
int xisd_loop(struct xisd *d, struct xeno_err *err);
/* Folder, lock, key, credential, database: needs the rights the daemon starts with. */
int xisd_open(struct xisd *d, struct xeno_err *err);
/* The loop and the listening server, which answers nobody until the loop runs. Context: before the
 * sandbox, which allows no new listening. */
int xisd_listen(struct xisd *d, struct xeno_err *err);
/* Threads and timers. Context: inside the sandbox; the threads inherit it. */
int xisd_start(struct xisd *d, struct xeno_err *err);
/* Finish what is at work, and close; any state. */
void xisd_release(struct xisd *d);
/* What is done once a second. */
void xisd_tick(struct xisd *d);

/* --- check.c --- */
int xisd_check(struct xisd *d); /* prints; returns the exit code */

/* --- api.c --- */
extern const struct xeno_http_route xisd_routes[];
void xisd_get_health(struct xeno_http_req *q, void *user);

#endif
