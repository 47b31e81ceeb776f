/* src/xenocorpd/store.c - opening the books' database. */
#include "xenocorpd/store.h"

#include <string.h>

static int tune_sqlite(struct xeno_db *db, struct xeno_err *err)
{
    static const char *const pragmas[] = {
        "PRAGMA cache_size = -65536",            /* KiB */
        "PRAGMA wal_autocheckpoint = 8192",      /* pages: 32 MiB */
        "PRAGMA journal_size_limit = 134217728", /* bytes: after a burst the log shrinks again */
    };

    for (size_t i = 0; i < XENO_LEN(pragmas); i++) {
        int r = xeno_db_run(db, err, pragmas[i], "");

        if (r < 0)
            return r;
    }
    return 0;
}

int store_open(const char *url, struct xeno_db **ret, struct xeno_err *err)
{
    xeno_auto(xeno_db) db = NULL;
    int r = xeno_db_open(url, &db, err);

    if (r == 0 && strncmp(url, "sqlite:", 7) == 0)
        r = tune_sqlite(db, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&db);
    return 0;
}
