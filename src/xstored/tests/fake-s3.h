/* src/xstored/tests/fake-s3.h - an object store in this process that does as it is told, also what
 * is wrong. One bucket, called "b"; a thread for each connection.
 *
 * It looks at no signature: Swift does (tests/system/t0424).
 */
#ifndef XENO_XSTORED_TESTS_FAKE_S3_H
#define XENO_XSTORED_TESTS_FAKE_S3_H

#include <stdbool.h>
#include <stddef.h>

enum fake_fault {
    FAKE_RIGHT,
    FAKE_STATUS,   /* answers `status` */
    FAKE_WRONG,    /* a bit of what is read is another */
    FAKE_SHORT,    /* a byte less than there is, and says so */
    FAKE_CUT,      /* breaks off in the middle of an answer */
    FAKE_DROP,     /* does it, and closes the connection without an answer */
    FAKE_SILENT,   /* neither does it nor answers */
    FAKE_LATE_BAD, /* answers 200, and an error in the document */
};

struct fake;

struct fake *fake_new(void);
void fake_free(struct fake *s);
unsigned fake_port(const struct fake *s);

/* The next `times` requests of that method to a key that has `part` in it (or a query that has) go
 * wrong; -1: all. */
void fake_break(struct fake *s, const char *method, const char *part, enum fake_fault fault,
                int status, int times);
void fake_heal(struct fake *s);

int fake_count(struct fake *s, const char *part);                   /* keys that have it */
int fake_uploads(struct fake *s);                                   /* that are open */
int fake_right(struct fake *s, const char *part, const char *data); /* that hold that text */
/* Change a byte of what the first key that has `part` holds. */
void fake_damage(struct fake *s, const char *part);
void fake_put(struct fake *s, const char *key, const char *data, size_t len);
void fake_open(struct fake *s, const char *key); /* an upload in parts that nobody ends */
void fake_remove(struct fake *s, const char *part);

#endif
