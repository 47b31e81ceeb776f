/* src/image/seen.h - what was last seen of each signed name, so that nobody can go back unnoticed.
 *
 * A folder with one file for each name: the statements that were taken, one a line, the last first;
 * older ones are kept while they name other images, XENO_SEEN_KEPT at most, so that it can be said
 * by which name an image came. A file is replaced in one step and synced (rfc/0010, 4).
 *
 * Only statements that were read (doc/name.h) come in here; what is in the files is checked again
 * when it is read. Several processes may use one folder: `.lock` is held while a file is changed.
 *
 * Context: one thread; blocking file I/O.
 */
#ifndef XENO_IMAGE_SEEN_H
#define XENO_IMAGE_SEEN_H

#include "doc/name.h"

#define XENO_SEEN_KEPT 16

struct xeno_seen;

/* Open the folder `path`; with `write` it is made when it is missing (its parent must be there),
 * without, a missing one is empty. Errors: io.mkdir, name.memory. */
int xeno_seen_open(const char *path, bool write, struct xeno_seen **ret, struct xeno_err *err);
void xeno_seen_free(struct xeno_seen *s);
XENO_DEFINE_AUTO(xeno_seen, xeno_seen_free);

/* Take note of a statement `n`, whose signed text is `text`. It is on the disk when this returns.
 * Errors: -EPERM name.rollback       a later one was seen: this one was put back
 *         -EPERM name.contradiction  the publisher signed this one and another that was seen, which
 *                                    no honest one does; both are kept as proof
 *         -EBADMSG name.memory       the file cannot be read: what was seen is not forgotten by it
 *         io.write */
int xeno_seen_take(struct xeno_seen *s, const struct xeno_name *n, const char *text,
                   struct xeno_err *err);

/* The last statement seen of that name. ret_text: as it was signed, the caller's; NULL allowed.
 * Errors: -ENOENT name.unseen, -EBADMSG name.memory. */
int xeno_seen_last(struct xeno_seen *s, const struct xeno_id *publisher, const char *name,
                   const char *version, struct xeno_name *ret, char **ret_text,
                   struct xeno_err *err);

struct xeno_seen_list {
    size_t count;
    struct xeno_seen_item {
        struct xeno_name n;
        bool last; /* no later one about this name was seen */
    } * items;     /* in order of publisher, name and version, the last statement first */
};
void xeno_seen_list_free(struct xeno_seen_list *list);
XENO_DEFINE_AUTO(xeno_seen_list, xeno_seen_list_free);

/* Everything. A file that cannot be read is passed over: it is for showing only. */
int xeno_seen_list(struct xeno_seen *s, struct xeno_seen_list **ret, struct xeno_err *err);

#endif
