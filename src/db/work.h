/* src/db/work.h - group commit: many requests, one transaction, one disk flush.
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
#ifndef XENO_DB_WORK_H
#define XENO_DB_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct xeno_work;

/* What the writer works on; everything is called on it alone. */
struct xeno_work_books {
    void *user;
    int (*begin)(void *user, struct xeno_err *err);
    /* On the disk when it returns 0; else the group is undone. */
    int (*commit)(void *user, struct xeno_err *err);
    /* After each group, before its pieces are handed back; NULL: nothing. */
    void (*after)(void *user);
};

/* One piece; the first member of a larger struct. Whoever submits it owns it again in done(). */
struct xeno_work_item {
    /* On a checker; NULL: nothing to check. A failure goes straight to done(). */
    int (*check)(struct xeno_work_item *w);
    /* On the writer, in an open group; more than once when a group fails. NULL: nothing to do. */
    int (*apply)(struct xeno_work_item *w, void *user);
    /* On the thread that collects, with result and err filled. */
    void (*done)(struct xeno_work_item *w);
    size_t bytes;  /* what it holds, for the bound */
    size_t weight; /* rows it writes, about: what a group is bounded by */

    int result; /* what check() or apply() returned, or the failure of the commit */
    struct xeno_err err;
    struct xeno_work_item *next;
};

struct xeno_work_limits {
    unsigned checkers;   /* threads; 0: as many as there are processors, at most 4 */
    size_t items;        /* waiting at most */
    size_t bytes;        /* held by waiting ones at most */
    size_t group_weight; /* in one group at most */
};
extern const struct xeno_work_limits xeno_work_limits_default;

/* Start the threads. What `books` stands for belongs to the writer until xeno_work_free().
 * Errors: token work.start. */
int xeno_work_new(const struct xeno_work_books *books, const struct xeno_work_limits *limits,
                  struct xeno_work **ret, struct xeno_err *err);
/* Finish everything that was submitted, then end the threads. Call xeno_work_collect() before
 * xeno_work_free(). No submit after this. */
void xeno_work_stop(struct xeno_work *w);
void xeno_work_free(struct xeno_work *w); /* stopped or not; what was not collected is lost */
XENO_DEFINE_AUTO(xeno_work, xeno_work_free);

/* Returns: false when it is full: the piece is still the caller's. */
bool xeno_work_submit(struct xeno_work *w, struct xeno_work_item *item);

/* Readable when xeno_work_collect() has something to do: an eventfd, borrowed. */
int xeno_work_fd(const struct xeno_work *w);
/* Run done() of everything that is. Returns: how many. */
size_t xeno_work_collect(struct xeno_work *w);

struct xeno_work_stats {
    uint64_t groups, applied, undone; /* since the start */
    size_t waiting, bytes;            /* now */
};
struct xeno_work_stats xeno_work_stats(struct xeno_work *w);

#endif
