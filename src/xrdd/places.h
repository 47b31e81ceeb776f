/* src/xrdd/places.h - which XenoServer is at an address of the network.
 *
 * A find asks this for each of its addresses, so all are kept by the text of their endpoint, with
 * its port and without. Of several at one address the one in the lowest slot counts. Texts are
 * compared, and not what they mean: "::1" is not "0::1".
 * Context: the thread of the loop.
 */
#ifndef XENO_XRDD_PLACES_H
#define XENO_XRDD_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct xrdd_places;
struct xrdd_places *xrdd_places_new(void);
void xrdd_places_free(
    struct xrdd_places *p); /* whoever is still somewhere must not leave any more */
XENO_DEFINE_AUTO(xrdd_places, xrdd_places_free);

/* Where one XenoServer is; all zeros: nowhere. Lies in the server's own memory, and stays there. */
struct xrdd_home {
    struct xrdd_stay {
        struct xrdd_stay *prev, *next;
        struct xrdd_place *place;
        uint32_t slot;
    } at[2]; /* HOST, HOST:PORT */
};

/* It is at "https://HOST" or "https://HOST:PORT" now, and nowhere else; at anything else nobody
 * finds it. */
void xrdd_places_move(struct xrdd_places *p, struct xrdd_home *home, const char *endpoint,
                      uint32_t slot);
void xrdd_places_leave(struct xrdd_places *p, struct xrdd_home *home);

/* The slot of who is at an address as rd/place.h reads it, on that port if it has one; false:
 * nobody is. */
bool xrdd_places_find(struct xrdd_places *p, const char *address, uint32_t *ret_slot);

#endif
