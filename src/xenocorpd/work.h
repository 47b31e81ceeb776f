/* src/xenocorpd/work.h - group commit: many requests, one transaction, one disk flush.
 *
 *     submit -> [to check] -> checkers: signatures, parsing   (several threads, no books)
 *                    |  refused
 *                    |--------------------------.
 *            [to apply] -> writer: the books     \          (one thread, owns the database)
 *                    |     begin, apply..., commit \
 *            [done] <------------------------------'
 *     collect -> done()                                      (the loop's thread)
 *
 * The writer takes everything that waits, up to a bound, as one group; while it flushes, the next
 * group gathers. No timer holds a request back, so a lone request costs one flush and a crowd
 * shares one. An answer leaves only after the commit.
 *
 *  1 A piece of work is in exactly one queue or with exactly one thread.
 *  2 done() runs exactly once for each submitted piece, after its group is on the disk or undone.
 *  3 When a group fails in the database it is undone, and each of its pieces is tried in a group of
 *    its own, so that one bad piece spoils no other.
 *  4 Everything waiting is bounded in number and bytes: a full queue refuses at the door.
 */
#ifndef XENO_XENOCORPD_WORK_H
#define XENO_XENOCORPD_WORK_H

#include "corp/corp.h"
#include "corp/log.h"

struct work;

/* One piece; the first member of a larger struct. Whoever submits it owns it again in done(). */
struct work_item {
    /* On a checker; NULL: nothing to check. A failure goes straight to done(). */
    int (*check)(struct work_item *w);
    /* On the writer, in an open group; more than once when a group fails. NULL: nothing to do. */
    int (*apply)(struct work_item *w, struct xeno_corp *corp);
    /* On the thread that collects, with result and err filled. */
    void (*done)(struct work_item *w);
    size_t bytes;  /* what it holds, for the bound */
    size_t weight; /* rows it writes, about: what a group is bounded by */

    int result; /* what check() or apply() returned, or the failure of the commit */
    struct xeno_err err;
    struct work_item *next;
};

struct work_limits {
    unsigned checkers;   /* threads; 0: as many as there are processors, at most 4 */
    size_t items;        /* waiting at most */
    size_t bytes;        /* held by waiting ones at most */
    size_t group_weight; /* in one group at most */
};
extern const struct work_limits work_limits_default;

/* Start the threads. `corp` belongs to the writer until work_free().
 * Errors: token work.start. */
int work_new(struct xeno_corp *corp, const struct work_limits *limits, struct work **ret,
             struct xeno_err *err);
/* Finish everything that was submitted, then end the threads. Call work_collect() before
 * work_free(). No submit after this. */
void work_stop(struct work *w);
void work_free(struct work *w); /* stopped or not; what was not collected is lost */
XENO_DEFINE_AUTO(work, work_free);

/* Returns: false when it is full: the piece is still the caller's. */
bool work_submit(struct work *w, struct work_item *item);

/* Readable when work_collect() has something to do: an eventfd, borrowed. */
int work_fd(const struct work *w);
/* Run done() of everything that is. Returns: how many. */
size_t work_collect(struct work *w);

struct work_stats {
    uint64_t groups, applied, undone; /* since the start */
    size_t waiting, bytes;            /* now */
};
struct work_stats work_stats(struct work *w);

/* The newest signed head of the log. It covers every piece that is done. Context: any thread. */
void work_head(struct work *w, char ret[XENO_LOG_HEAD_MAX + 1]);

#endif
