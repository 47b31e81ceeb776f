/* src/xrdd/places.c - which XenoServer is at an address of the network. */
#include "xrdd/places.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "rd/find.h"

struct xrdd_place {
    struct xrdd_stay *stays; /* never none */
    uint32_t lowest;         /* slot, if it is known */
    bool known;
    UT_hash_handle hh;
    char text[];
};

struct xrdd_places {
    struct xrdd_place *all;
};

struct xrdd_places *xrdd_places_new(void)
{
    return xeno_new0(struct xrdd_places);
}

void xrdd_places_free(struct xrdd_places *p)
{
    struct xrdd_place *place, *next;

    if (!p)
        return;
    HASH_ITER (hh, p->all, place, next) {
        HASH_DEL(p->all, place);
        free(place);
    }
    free(p);
}

static struct xrdd_place *place_at(struct xrdd_places *p, const char *text, size_t len)
{
    struct xrdd_place *place = NULL;

    HASH_FIND(hh, p->all, text, len, place);
    if (place)
        return place;
    place = xeno_alloc0(1, sizeof *place + len + 1);
    memcpy(place->text, text, len);
    HASH_ADD_KEYPTR(hh, p->all, place->text, len, place);
    return place;
}

static void enter(struct xrdd_places *p, struct xrdd_stay *s, const char *text, size_t len,
                  uint32_t slot)
{
    struct xrdd_place *place = place_at(p, text, len);

    *s = (struct xrdd_stay){ .place = place, .slot = slot };
    if (!place->stays)
        place->known = true, place->lowest = slot;
    else if (slot < place->lowest)
        place->lowest = slot;
    DL_APPEND(place->stays, s);
}

/* Who is the lowest now is looked up when somebody asks: thousands may leave one place at once. */
static void leave(struct xrdd_places *p, struct xrdd_stay *s)
{
    struct xrdd_place *place = s->place;

    if (!place)
        return;
    DL_DELETE(place->stays, s);
    if (s->slot == place->lowest)
        place->known = false;
    if (!place->stays) {
        HASH_DEL(p->all, place);
        free(place);
    }
    *s = (struct xrdd_stay){ .place = NULL };
}

/* "HOST" of "HOST:PORT"; 0: it is neither. */
static size_t host_length(const char *text)
{
    const char *end = *text == '[' ? strchr(text, ']') : NULL;
    size_t len = end ? (size_t)(end + 1 - text) : strcspn(text, ":");

    return text[len] == '\0' || text[len] == ':' ? len : 0;
}

void xrdd_places_move(struct xrdd_places *p, struct xrdd_home *home, const char *endpoint,
                      uint32_t slot)
{
    const char *text = strstr(endpoint, "://");
    size_t host = text ? host_length(text + 3) : 0;

    xrdd_places_leave(p, home);
    if (host == 0)
        return;
    enter(p, &home->at[0], text + 3, host, slot);
    if (text[3 + host] != '\0')
        enter(p, &home->at[1], text + 3, strlen(text + 3), slot);
}

void xrdd_places_leave(struct xrdd_places *p, struct xrdd_home *home)
{
    for (size_t i = 0; i < XENO_LEN(home->at); i++)
        leave(p, &home->at[i]);
}

static uint32_t lowest(struct xrdd_place *place)
{
    const struct xrdd_stay *s;

    if (place->known)
        return place->lowest;
    place->lowest = UINT32_MAX;
    DL_FOREACH (place->stays, s)
        place->lowest = s->slot < place->lowest ? s->slot : place->lowest;
    place->known = true;
    return place->lowest;
}

bool xrdd_places_find(struct xrdd_places *p, const char *address, uint32_t *ret_slot)
{
    const char *colon = strchr(address, ':');
    bool bare = *address != '[' && colon && strchr(colon + 1, ':'); /* IPv6 */
    char text[XENO_RD_ADDRESS + 2];
    struct xrdd_place *place = NULL;

    snprintf(text, sizeof text, "%s%s%s", bare ? "[" : "", address, bare ? "]" : "");
    HASH_FIND(hh, p->all, text, strlen(text), place);
    if (place)
        *ret_slot = lowest(place);
    return place;
}
