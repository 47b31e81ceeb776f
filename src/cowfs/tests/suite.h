/* src/cowfs/tests/suite.h - what the files of cowfs-suite share: a case's world, its operations.
 *
 * An operation gets its arguments (no fewer than its row wants) and returns 0, with what it has to
 * say in `said`, or -1 with errno. Included after the system's headers: for cowfs-suite-nfs their
 * calls are replaced here by those of suite-nfs.h.
 */
#ifndef XENO_COWFS_TESTS_SUITE_H
#define XENO_COWFS_TESTS_SUITE_H

#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

#include "base/mem.h"

#ifdef SUITE_OVER_NFS
#include "suite-nfs.h"
#endif

#define SLOTS    8
#define TEXT_MAX 8192

struct world {
    int fds[SLOTS];
    ino_t inos[SLOTS];
    struct timespec marks[SLOTS][2]; /* mtime and ctime, as they were */
    void *maps[SLOTS];               /* MAP_BYTES each; NULL: none */
    int runs;                        /* a pipe that a program waits for; -1: none runs */
    bool hidden;                     /* the folder has a mount over it */
    char said[TEXT_MAX];             /* what an operation answered */
};
#define MAP_BYTES 65536
typedef int (*op_fn)(struct world *w, char **a, int n);

struct suite_op {
    const char *name; /* NULL ends a table */
    op_fn fn;
    int args; /* at least */
};
extern const struct suite_op suite_contents[]; /* open files, contents */
extern const struct suite_op suite_room[];     /* holes, reserved room, mappings */
extern const struct suite_op suite_locks[];
extern const struct suite_op suite_names[];   /* names and what is listed */
extern const struct suite_op suite_attrs[];   /* attributes, times, who asks */
extern const struct suite_op suite_process[]; /* programs, limits, mounts, several at once */

/* What the case asked for and cannot have: nothing, of a mount; NULL when a case begins. */
extern const char *suite_missing;

static inline mode_t octal(const char *s)
{
    return (mode_t)strtoul(s, NULL, 8);
}
static inline int slot(const char *s)
{
    return atoi(s) % SLOTS;
}
/* Returns: 0. */
int say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* `n` bytes are in `said`, or a call failed with n < 0: says them less the newlines at their end.
 */
int say_bytes(struct world *w, ssize_t n);
/* Opens with these flags and O_WRONLY, writes, closes. */
int write_with(const char *path, int flags, const char *text);
/* Undoes what a case leaves behind: what runs, is mapped, mounted, limited. */
void process_end(struct world *w);

#endif
