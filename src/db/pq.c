/* src/db/pq.c - loads libpq. */
#include "db/pq.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

#include "base/mem.h"

#define LIBRARY "libpq.so.5"

static struct xeno_pq calls;
static const char *missing = "";
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* It stays loaded: OpenSSL's handlers at exit are in it. */
static void load(void)
{
    static const struct {
        const char *name;
        size_t at;
    } table[] = {
#define X(name) { #name, offsetof(struct xeno_pq, name) },
        XENO_PQ_CALLS(X)
#undef X
    };
    void *lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    missing = lib ? NULL : LIBRARY;
    for (size_t i = 0; lib && i < XENO_LEN(table); i++) {
        void *sym = dlsym(lib, table[i].name);

        if (!sym)
            missing = table[i].name;
        *(void **)((char *)&calls + table[i].at) = sym;
    }
}

int xeno_pq_load(const struct xeno_pq **ret, struct xeno_err *err)
{
    pthread_once(&once, load);
    if (missing)
        return xeno_fail(err, -ENOPKG, "db.open",
                         "PostgreSQL's client library is needed and has no %s: install the package "
                         "libpq5",
                         missing);
    *ret = &calls;
    return 0;
}
