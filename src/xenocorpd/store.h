/* src/xenocorpd/store.h - opening the books' database, tuned for many small writes. */
#ifndef XENO_XENOCORPD_STORE_H
#define XENO_XENOCORPD_STORE_H

#include "db/db.h"

/* As xeno_db_open(); for SQLite also a page cache that holds the hot rows and their indexes, and a
 * write-ahead log that is copied back seldom, since hot pages are then copied once for many
 * commits. */
int store_open(const char *url, struct xeno_db **ret, struct xeno_err *err);

#endif
