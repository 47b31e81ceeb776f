/* src/xenocorpd/books.h - the books as what one writer commits for all (db/work.h), and the newest
 * signed head of their log. */
#ifndef XENO_XENOCORPD_BOOKS_H
#define XENO_XENOCORPD_BOOKS_H

#include "corp/corp.h"
#include "corp/log.h"
#include "db/work.h"

struct books;

/* Borrows corp, which belongs to the writer from xeno_work_new() until xeno_work_free(). */
struct books *books_new(struct xeno_corp *corp);
void books_free(struct books *b);
XENO_DEFINE_AUTO(books, books_free);

/* xeno_work_new() on these books. Free the work first. */
int books_work(struct books *b, const struct xeno_work_limits *limits, struct xeno_work **ret,
               struct xeno_err *err);
/* Of what apply() is given as `user`. Context: the writer. */
struct xeno_corp *books_corp(void *user);

/* The newest signed head of the log. It covers every piece that is done. Context: any thread. */
void books_head(struct books *b, char ret[XENO_LOG_HEAD_MAX + 1]);

#endif
