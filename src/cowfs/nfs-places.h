/* src/cowfs/nfs-places.h - of each object the directory that it was last seen in: a bounded table
 * of numbers, 16 bytes each. Not locked. */
#ifndef XENO_COWFS_NFS_PLACES_H
#define XENO_COWFS_NFS_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xeno_nfs_places;

struct xeno_nfs_places *xeno_nfs_places_new(size_t max);
void xeno_nfs_places_free(struct xeno_nfs_places *p);
/* False, and nothing changed, when the table is full. number is not 0. */
bool xeno_nfs_places_put(struct xeno_nfs_places *p, uint64_t number, uint64_t in);
bool xeno_nfs_places_get(const struct xeno_nfs_places *p, uint64_t number, uint64_t *ret);
void xeno_nfs_places_drop(struct xeno_nfs_places *p, uint64_t number);
void xeno_nfs_places_clear(struct xeno_nfs_places *p);

#endif
