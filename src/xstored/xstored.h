/* src/xstored/xstored.h - what the files of xstored share. Private to the program.
 *
 * xstored faces the network and holds no rights. One thread runs the loop: requests, hashing of
 * what arrives, and lookups on a connection of its own that only reads. What waits for a disk is
 * done by the threads of db/work.h: helpers settle objects and read them again, the one writer
 * changes the metadata and names the objects, and an answer leaves after both are on the disk.
 */
#ifndef XENO_XSTORED_XSTORED_H
#define XENO_XSTORED_XSTORED_H

#include <systemd/sd-event.h>

#include "base/env.h"
#include "crypto/x509.h"
#include "doc/pass.h"
#include "db/db.h"
#include "db/work.h"
#include "http/server.h"
#include "member/member.h"
#include "xstored/backend.h"
#include "xstored/meta.h"
#include "xstored/options.h"

struct xstored_upload;
struct xstored_use;
struct xstored_scrub;
struct xstored_mend;

/* Since the start, for /metrics. Only the loop's thread writes. */
struct xstored_counts {
    int64_t requests, refused, received_bytes, pushed, mounted, expired, collected, scrubbed_bytes,
        quarantined, passes, fetched_bytes, mended, restored;
};

struct xstored {
    struct xstored_options opt;
    int argc; /* to read the configuration again */
    char **argv;
    const struct xeno_env *env;
    sd_event *loop;

    int dirfd;                  /* of opt.dir; locked while it is ours */
    struct xeno_member *member; /* who we are */
    struct xeno_http_client *client;

    struct xeno_db *books; /* the writer's, once `work` runs */
    struct xeno_db *view;  /* the loop's */
    struct xstored_objects *objects;
    struct xeno_work *work;
    struct xeno_http_server *server;
    struct xeno_daemon_loop *basics; /* signals, watchdog, finished work */

    struct xstored_upload *uploads; /* upload.c */
    struct xstored_use *uses;
    struct xstored_scrub *scrub; /* tend.c */
    struct xstored_mend *mend;
    struct xstored_pay *pay; /* pay.c */
    bool tending, sweeping;  /* such a job is under way */
    bool tidying;            /* the same of a place that is elsewhere */
    xeno_time tidy_after;    /* monotonic: not before, since it failed */
    int64_t sweep_cursor;    /* -1: all objects were compared with the metadata */
    struct xstored_counts counts;
};

/* --- open.c --- */
/* The member of a XenoCorp that it is. All borrowed. */
struct xeno_member_opts xstored_member_opts(const struct xstored *d);
/* Join with a token: opens the folder, too; prints the id. */
int xstored_enrol(struct xstored *d, const char *token, struct xeno_err *err);
int xstored_open_books(struct xstored *d, struct xeno_err *err);
/* Where the bucket is; `keys` (borrowed, as all of it): the file unless the options name one. */
struct bucket_opts xstored_bucket(const struct xstored *d, const char *keys);
/* Folder, lock, key, credential, metadata, objects: needs the rights the daemon starts with. */
int xstored_open(struct xstored *d, struct xeno_err *err);
/* The listening server, which answers nobody until the loop runs, and the client. Context: before
 * the sandbox, which allows no new listening. */
int xstored_listen(struct xstored *d, struct xeno_err *err);
/* Threads and timers. Context: inside the sandbox; the threads inherit it. */
int xstored_start(struct xstored *d, struct xeno_err *err);
/* Finish what is at work, and close; any state. */
void xstored_release(struct xstored *d);

/* --- pay.c: being paid for what is kept --- */
int xstored_pay_open(struct xstored *d, struct xeno_err *err);
void xstored_pay_tick(struct xstored *d); /* once a second */

/* --- check.c --- */
int xstored_check(struct xstored *d); /* prints; returns the exit code */

/* --- tend.c: what is done without being asked --- */
int xstored_tend_start(struct xstored *d, struct xeno_err *err);
void xstored_tend_stop(struct xstored *d);
void xstored_tend_tick(struct xstored *d); /* once a second */
/* What is over goes now, not at the next tick: limits have changed. */
void xstored_tend_now(struct xstored *d);
/* An object was found not to have its content: quarantine what `fd` (taken) has open. */
void xstored_damaged(struct xstored *d, const char *digest, int fd, const char *why);

/* --- mend.c: what is damaged is fetched again from mirrors --- */
void xstored_mend_open(struct xstored *d);
void xstored_mend_tick(struct xstored *d);
void xstored_mend_now(struct xstored *d);  /* something was found damaged */
void xstored_mend_stop(struct xstored *d); /* what is fetched is given up soon */
void xstored_mend_close(struct xstored *d);

/* --- who.c: who asks, by whatever they show, and what they may: the one place --- */
struct xstored_asker {
    struct xeno_id id;
    bool limited;          /* to what `pass` allows; else to what the party itself may */
    unsigned changes;      /* what a change is here: XENO_PASS_PUSH or _DELETE */
    struct xeno_pass pass; /* of either kind */
};
/* By credential, access pass (Bearer) or login pass (Basic). Errors: -EACCES, with http.credential
 * for nothing, and what is wrong with what was shown. */
int xstored_who(struct xstored *d, const struct xeno_http_req *q, struct xstored_asker *ret,
                struct xeno_err *err);
/* May they read from, change that repository? Its name was checked.
 * Errors: -EPERM store.owner, -EACCES pass.scope (another pass would do). */
int xstored_may_read(const struct xstored_asker *who, const char *repo, struct xeno_err *err);
int xstored_may_write(const struct xstored_asker *who, const char *repo, struct xeno_err *err);
/* May they have the list of their own repositories? */
int xstored_may_list(const struct xstored_asker *who, struct xeno_err *err);

/* --- api.c --- */
extern const struct xeno_http_route xstored_routes[];
/* Every problem document of the server also says it in the form of the distribution spec. */
void xstored_problem(struct xeno_http_req *q, const struct xeno_err *err, struct xeno_json *problem,
                     void *user);
/* Answer a failure. */
void xstored_refuse(struct xstored *d, struct xeno_http_req *q, const struct xeno_err *err);
/* Who asks for the repository of the path, and for what? Also answers the request when it is none
 * of theirs: then false. */
bool xstored_reader(struct xstored *d, struct xeno_http_req *q, const char **ret_repo);
bool xstored_writer(struct xstored *d, struct xeno_http_req *q, const char **ret_repo);
int64_t xstored_now_ms(const struct xstored *d);
struct xstored_limits xstored_limits(const struct xstored *d);
/* "Location: /v2/REPO/WHAT/NAME" */
void xstored_location(struct xeno_http_req *q, const char *repo, const char *what,
                      const char *name);
/* "Link: <...&last=LAST>; rel="next"" for the present path. */
void xstored_next(struct xeno_http_req *q, const char *name, const char *value, const char *last);

/* --- pass.c --- */
/* Say where a pass is to be had, with an answer that asks for one. */
void xstored_challenge(struct xstored *d, struct xeno_http_req *q, const struct xeno_err *err);
void xstored_get_token(struct xeno_http_req *q, void *user);
void xstored_post_login(struct xeno_http_req *q, void *user);

void xstored_get_base(struct xeno_http_req *q, void *user);
void xstored_get_catalog(struct xeno_http_req *q, void *user);
void xstored_get_tags(struct xeno_http_req *q, void *user);
void xstored_get_referrers(struct xeno_http_req *q, void *user);
void xstored_get_history(struct xeno_http_req *q, void *user);
void xstored_post_history(struct xeno_http_req *q, void *user);
void xstored_get_blob(struct xeno_http_req *q, void *user); /* HEAD, too */
void xstored_delete_blob(struct xeno_http_req *q, void *user);
void xstored_get_manifest(struct xeno_http_req *q, void *user); /* HEAD, too */
void xstored_put_manifest(struct xeno_http_req *q, void *user);
void xstored_delete_manifest(struct xeno_http_req *q, void *user);
extern const struct xeno_http_sink xstored_sink; /* of the next three */
void xstored_post_upload(struct xeno_http_req *q, void *user);
void xstored_patch_upload(struct xeno_http_req *q, void *user);
void xstored_put_upload(struct xeno_http_req *q, void *user);
void xstored_get_upload(struct xeno_http_req *q, void *user);
void xstored_delete_upload(struct xeno_http_req *q, void *user);
void xstored_post_certificate(struct xeno_http_req *q, void *user); /* api-pay.c */
void xstored_get_certificates(struct xeno_http_req *q, void *user);
void xstored_get_certificate(struct xeno_http_req *q, void *user);
void xstored_post_reclaim(struct xeno_http_req *q, void *user);
void xstored_get_health(struct xeno_http_req *q, void *user);
void xstored_get_usage(struct xeno_http_req *q, void *user);
void xstored_get_metrics(struct xeno_http_req *q, void *user);

#endif
