/* src/xisd/xisd.h - what the files of xisd share. Private to the program.
 *
 * xisd faces the network and holds no rights. One thread runs the loop: it alone changes the index
 * in memory (src/xis/xis.h) and reads it for requests, so a lookup waits for nothing. An update
 * goes through the threads of db/work.h: checkers verify signatures and parse, the one writer keeps
 * the documents in the database, and back on the loop the index takes them and the answer leaves.
 *
 *     PUT, PATCH, DELETE -> rate -> checkers -> bounds (loop) -> writer: database -> loop: index,
 *                                                                                answer (update.h)
 *     lookups, queries, changes, watches -> index                                      (rfc/0016)
 */
#ifndef XENO_XISD_XISD_H
#define XENO_XISD_XISD_H

#include <systemd/sd-event.h>

#include "base/env.h"
#include "db/db.h"
#include "db/work.h"
#include "http/server.h"
#include "member/member.h"
#include "xis/xis.h"
#include "xisd/options.h"
#include "xisd/store.h"

struct xisd_follower;
struct xisd_group;
struct xisd_party;
struct xisd_peers;
struct xisd_waiter;
struct xisd_watch;

/* Since the start, for /metrics. Only the loop's thread writes. */
struct xisd_counts {
    int64_t requests, refused, updates, lookups, batches, queries, changes;
};

/* owed.h: where the look through the index is, and how many it found. */
struct xisd_owed {
    bool looks;
    int64_t after;
    size_t given;
};

struct xisd {
    struct xisd_options opt;
    int argc; /* to read the configuration again */
    char **argv;
    const struct xeno_env *env;
    sd_event *loop;
    xeno_time started; /* wall clock */

    int dirfd;                  /* of opt.dir; locked while it is ours */
    struct xeno_member *member; /* who we are */
    struct xeno_http_client *client;

    struct xeno_db *books; /* the writer's, once `work` runs */
    struct xeno_work *work;
    struct xeno_http_server *server;
    struct xeno_daemon_loop *basics; /* signals, watchdog, finished work */

    struct xeno_xis *xis; /* the loop's thread alone */
    struct xeno_xis_reader *reader;
    struct xisd_group *group;   /* api-lookup.c: lookups of a batch that are at work; or NULL */
    int64_t next_seq;           /* of the database: the writer's */
    char epoch[XISD_EPOCH + 1]; /* of its numbers */
    bool feed_whole;            /* all that have numbers are in the index with them */
    xeno_time sweep_after;
    bool sweeping;
    bool loading;       /* follow.c: what the database has is not all in the index yet */
    bool database_away; /* follow.c: it does not answer */
    bool books_fail;    /* it did not take the last update */

    struct xisd_follower *follower; /* follow.c; NULL: nobody else writes to the database */
    struct xisd_peers *peers;       /* peer.c */
    struct xisd_owed owed;

    struct xisd_party *parties;  /* party.c */
    struct xisd_waiter *waiters; /* api-changes.c */
    struct xisd_watch *watches;  /* api-watch.c */
    sd_event_source *told;       /* enabled while those are to be told of changes */
    sd_event_source *polls;      /* timer of the next watch */
    sd_event_source *ages;       /* enabled while more adverts are over */
    struct xisd_counts counts;
};

/* --- open.c --- */
/* The member of a XenoCorp that it is. All borrowed. */
struct xeno_member_opts xisd_member_opts(const struct xisd *d);
/* Join with a token: opens the folder, too; prints the id. */
int xisd_enrol(struct xisd *d, const char *token, struct xeno_err *err);
/* Folder, lock, key, credential, database: needs the rights the daemon starts with. */
int xisd_open(struct xisd *d, struct xeno_err *err);
/* The listening server, which answers nobody until the loop runs, and the client. Context: before
 * the sandbox, which allows no new listening. */
int xisd_listen(struct xisd *d, struct xeno_err *err);
/* Threads and timers. Context: inside the sandbox; the threads inherit it. */
int xisd_start(struct xisd *d, struct xeno_err *err);
/* Finish what is at work, and close; any state. */
void xisd_release(struct xisd *d);

/* --- check.c --- */
int xisd_check(struct xisd *d); /* prints; returns the exit code */

/* Is there something to answer from: all that the database has, or all that a peer had? */
bool xisd_ready(const struct xisd *d);

/* --- api.c --- */
extern const struct xeno_http_route xisd_routes[];
/* Answer a failure. */
void xisd_refuse(struct xisd *d, struct xeno_http_req *q, const struct xeno_err *err);
/* Whole numbers of the query. Errors: -EINVAL xis.parameter. */
int xisd_query_int(const struct xeno_http_req *q, const char *name, int64_t min, int64_t max,
                   int64_t *ret, struct xeno_err *err);
void xisd_put_int(struct xeno_buf *out, const char *before, int64_t n);
/* `,"advert":...,"delta":...` */
void xisd_put_texts(struct xeno_buf *out, const char *name, const struct xeno_xis_entry *e);
void xisd_put_value(struct xeno_buf *out, const struct xeno_query_value *v);

void xisd_get_lookup(struct xeno_http_req *q, void *user); /* api-lookup.c */
void xisd_post_lookups(struct xeno_http_req *q, void *user);
void xisd_get_advert(struct xeno_http_req *q, void *user); /* api-query.c */
void xisd_post_query(struct xeno_http_req *q, void *user);
void xisd_post_explain(struct xeno_http_req *q, void *user);
void xisd_get_tokens(struct xeno_http_req *q, void *user);
void xisd_get_changes(struct xeno_http_req *q, void *user); /* api-changes.c */
void xisd_post_watch(struct xeno_http_req *q, void *user);  /* api-watch.c */
void xisd_get_watch(struct xeno_http_req *q, void *user);
void xisd_renew_watch(struct xeno_http_req *q, void *user);
void xisd_delete_watch(struct xeno_http_req *q, void *user);
void xisd_get_status(struct xeno_http_req *q, void *user); /* api-status.c */
void xisd_get_health(struct xeno_http_req *q, void *user);
void xisd_get_metrics(struct xeno_http_req *q, void *user);

/* --- tell.c: who waits for changes --- */
int xisd_tell_start(struct xisd *d, struct xeno_err *err);
/* The index has changed: whoever waits is told when this turn of the loop is over. */
void xisd_changed(struct xisd *d);
void xisd_waiters_tell(struct xisd *d); /* api-changes.c: those who have something, or are over */
void xisd_waiters_free(struct xisd *d);
void xisd_watches_tend(struct xisd *d); /* api-watch.c: those whose lease is over, once a second */
void xisd_watches_poll(struct xisd *d);
void xisd_watches_free(struct xisd *d);

/* --- load.c: the database at the start, and what is over --- */
/* One that others write to may be away: then follow.c waits for it. */
int xisd_books_open(struct xisd *d, struct xeno_err *err);
/* Where its numbers are, which get a name if they have none. */
int xisd_books_clock(const struct xisd *d, struct xeno_db *db, struct xisd_clock *ret,
                     struct xeno_err *err);
/* They get another name, if they have the name `old`. */
int xisd_books_name(const struct xisd *d, struct xeno_db *db, const char *old,
                    struct xeno_err *err);
/* A further connection. */
int xisd_books_dial(const struct xisd *d, struct xeno_db **ret, struct xeno_err *err);
/* The index, and in it what the database has; of one that others write to, follow.c reads it. */
int xisd_load(struct xisd *d, struct xeno_err *err);
struct xisd_row;
/* What a row says; its signature is checked again only if the option says so. */
int xisd_row_open(const struct xisd *d, const struct xisd_row *row, struct xeno_advert **ret,
                  struct xeno_err *err);
void xisd_age(struct xisd *d); /* index and database */

#endif
