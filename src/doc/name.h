/* src/doc/name.h - signed names: what a publisher says that a name stands for (rfc/0010).
 *
 * A statement says: of my name NAME, version VERSION is the image DIGEST. It is signed with the
 * publisher's key, and carries it, so that whoever knows the publisher's id needs nothing else.
 * Who keeps and hands on statements is not trusted: a reader remembers the last one it saw of each
 * name (image/seen.h) and compares what it is shown with it.
 *
 * A name that moves may stand for another image with each statement, and a statement of it ends, so
 * that a store cannot show an old one for ever. One that does not move never stands for anything
 * else, and its statements need no end.
 */
#ifndef XENO_DOC_NAME_H
#define XENO_DOC_NAME_H

#include "crypto/key.h"
#include "doc/types.h"

#define XENO_NAME_MAX      2048 /* bytes of a signed statement */
#define XENO_NAME_WORD_MAX 40   /* so that ID/NAME/VERSION can be the name of an image here */
#define XENO_NAME_WORD     (XENO_NAME_WORD_MAX + 1)

/* [a-z0-9] joined by one of . _ -, at most XENO_NAME_WORD_MAX. */
bool xeno_name_word_ok(const char *word);

/* "[PUBLISHER/]NAME/VERSION", what follows "template://". PUBLISHER is an id, or what the reader
 * calls that id; "" when it is left out. */
struct xeno_name_ref {
    char publisher[XENO_NAME_WORD], name[XENO_NAME_WORD], version[XENO_NAME_WORD];
};
/* Errors: -EINVAL name.ref. */
int xeno_name_ref_parse(const char *text, struct xeno_name_ref *ret, struct xeno_err *err);

struct xeno_name {
    struct xeno_id publisher;
    char name[XENO_NAME_WORD], version[XENO_NAME_WORD];
    int64_t sequence;              /* above zero; grows with each statement about this name */
    char digest[XENO_DIGEST_TEXT]; /* of the image's manifest */
    bool overlay;                  /* else a template */
    bool moves;
    xeno_time issued;
    xeno_time expires; /* of a name that moves; else 0: never */
};

/* `n->publisher` is taken from the key. Returns: the signed text, the caller's. */
char *xeno_name_sign(const struct xeno_key *publisher, const struct xeno_name *n);

/* Is it a statement, signed by the publisher it names? Whether it is of the publisher and the name
 * that were asked for, and not over, is xeno_name_accept()'s.
 * Errors: -EFBIG name.size, -EINVAL name.key, name.word, name.digest, name.kind, name.expiry, and
 *         those of jws.h and json.h. */
int xeno_name_read(const char *text, size_t len, struct xeno_name *ret, struct xeno_err *err);

/* Is it about that name of that publisher, and good at `now`?
 * Errors: -EPERM name.publisher, name.other, -EKEYEXPIRED name.expired. */
int xeno_name_accept(const struct xeno_name *n, const struct xeno_id *publisher,
                     const struct xeno_name_ref *ref, xeno_time now, struct xeno_err *err);

/* What a statement is to one that was seen before, of the same name. */
enum xeno_name_order {
    XENO_NAME_SAME,        /* it says the same under the same number */
    XENO_NAME_LATER,       /* it takes the place of what was seen */
    XENO_NAME_OLDER,       /* it was replaced by what was seen */
    XENO_NAME_CONTRADICTS, /* an honest publisher does not sign both: together they convict it */
};
enum xeno_name_order xeno_name_compare(const struct xeno_name *seen, const struct xeno_name *shown);

/* The number of a publisher's next statement, above `last` (0: none). It is the clock's seconds
 * where those are higher, so that a publisher whose memory was restored from an old copy does not
 * use a number twice. */
int64_t xeno_name_next(int64_t last, xeno_time now);

#endif
