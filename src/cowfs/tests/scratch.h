/* src/cowfs/tests/scratch.h - a folder of its own for each test, which is the working folder
 * meanwhile. */
#ifndef XENO_COWFS_TESTS_SCRATCH_H
#define XENO_COWFS_TESTS_SCRATCH_H

#include <stddef.h>

/* Makes and enters a folder /var/tmp/xeno-NAME.*, with these folders in it; else the test fails. */
void scratch_make(const char *name, const char *const *folders, size_t n);

/* Leaves and removes it, as a teardown of cmocka. Returns: 0, or an error. */
int scratch_remove(void **state);

/* A new file with that text. */
void put(const char *path, const char *text);

#endif
