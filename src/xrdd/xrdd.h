/* src/xrdd/xrdd.h - what the files of xrdd share. Private to the program.
 *
 * xrdd faces the network, holds no rights, and keeps nothing: what it knows it has from XIS nodes
 * by their public interface (rfc/0016), and after a restart it has it from there again. It answers
 * rfc/0019. One thread runs the loop, and does the work: finds, and checking what XIS nodes tell.
 * Nothing here waits: a question that needs measurements is kept until they came, or their time is
 * over.
 */
#ifndef XENO_XRDD_XRDD_H
#define XENO_XRDD_XRDD_H

#include <systemd/sd-event.h>

#include "base/env.h"
#include "http/client.h"
#include "http/server.h"
#include "member/member.h"
#include "xrdd/accounts.h"
#include "xrdd/complaints.h"
#include "xrdd/follow.h"
#include "xrdd/measure.h"
#include "xrdd/options.h"
#include "xrdd/world.h"

/* Since the start, for /metrics. */
struct xrdd_counts {
    int64_t requests, refused, answers, empty;
};

struct xrdd {
    struct xrdd_options opt;
    int argc; /* to read the configuration again */
    char **argv;
    const struct xeno_env *env;
    sd_event *loop;

    int dirfd; /* of opt.dir */
    struct xeno_member *member;
    struct xeno_http_client *client;
    struct xeno_http_server *server;
    struct xeno_daemon_loop *basics; /* signals, watchdog */

    struct xrdd_world *world;
    struct xrdd_follow *follow;
    struct xrdd_measure *measure;
    struct xrdd_accounts *accounts;
    struct xrdd_complaints complaints;
    struct xeno_http_client *stranger; /* goes where adverts lead, within `allow` */
    char *shown;                       /* the credential it has */
    xeno_time aged;                    /* monotonic: when the world was looked through */

    struct xrdd_counts counts;
};

/* --- open.c --- */
/* The member of a XenoCorp that it is. All borrowed. */
struct xeno_member_opts xrdd_member_opts(const struct xrdd *d);
int xrdd_enrol(struct xrdd *d, const char *token, struct xeno_err *err); /* prints the id */
/* Folder, key, credential and the listening server. Context: before the sandbox. */
int xrdd_open(struct xrdd *d, struct xeno_err *err);
int xrdd_start(struct xrdd *d, struct xeno_err *err); /* inside the sandbox */
void xrdd_release(struct xrdd *d);                    /* any state */

/* --- check.c --- */
int xrdd_check(struct xrdd *d); /* prints; returns the exit code */

/* --- api*.c --- */
extern const struct xeno_http_route xrdd_routes[];
void xrdd_refuse(struct xrdd *d, struct xeno_http_req *q, const struct xeno_err *err);
void xrdd_post_find(struct xeno_http_req *q, void *user); /* api-find.c */
/* The XIS nodes that are followed, with their ages; the caller's. */
struct xeno_json *xrdd_sources_json(const struct xrdd *d);
void xrdd_get_health(struct xeno_http_req *q, void *user);
void xrdd_get_metrics(struct xeno_http_req *q, void *user);

#endif
