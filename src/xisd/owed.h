/* src/xisd/owed.h - what the index has and the shared database has not, is written to it.
 *
 * Peers tell us adverts while the database is away; and a database that was put back to an older
 * state has lost some. Both are in the index without a number (xis/kept.h). When the database
 * answers again they go the way of any update, checked as one from their publishers.
 * Context: the loop's thread.
 */
#ifndef XENO_XISD_OWED_H
#define XENO_XISD_OWED_H

#include "xisd/xisd.h"

/* Look through the index, from now on. */
void xisd_owed_begin(struct xisd *d);
/* Some more of it; once a second. */
void xisd_owed_tend(struct xisd *d);

#endif
