/* src/xisd/follow.h - what other nodes write to a database that we share with them (rfc/0017,
 * section 1).
 *
 * A thread with a connection of its own reads the rows after the last number it has seen, whenever
 * it is notified and every few seconds in any case, and parses what the index has not. The loop's
 * thread puts them into the index, a page at a time; the next is read when the last one is in.
 * While the database is away the index stays as it is; then the thread goes on from its number, or
 * from the first if the database has been put back to an older state. It makes the tables, too, if
 * the database was away at the start; `loading` is over when it came to the last row once.
 */
#ifndef XENO_XISD_FOLLOW_H
#define XENO_XISD_FOLLOW_H

#include "xisd/xisd.h"

/* Its connection. Without effect when nobody else writes to our database. Context: before the
 * sandbox, with the database open. */
int xisd_follow_open(struct xisd *d, struct xeno_err *err);
/* From the first row on. Context: inside the sandbox; the index is there. */
int xisd_follow_start(struct xisd *d, struct xeno_err *err);
/* Any state. The index and its readers are still there. */
void xisd_follow_free(struct xisd *d);

/* In the writer's transaction: tell the others when it commits. */
int xisd_follow_tell(struct xisd *d, struct xeno_err *err);

#endif
