/* src/xrdd/accounts.c - what each credential has asked for in this minute. */
#include "xrdd/accounts.h"

#include <uthash.h>

struct account {
    struct xeno_id id;
    int64_t count[XRDD_ACCOUNT_WHATS];
    UT_hash_handle hh;
};

struct xrdd_accounts {
    const struct xeno_env *env;
    int64_t minute;
    struct account *all; /* as many as asked in it: members of the XenoCorp */
};

struct xrdd_accounts *xrdd_accounts_new(const struct xeno_env *env)
{
    struct xrdd_accounts *a = xeno_new0(struct xrdd_accounts);

    a->env = env;
    return a;
}

static void forget_all(struct xrdd_accounts *a)
{
    struct account *c, *next;

    HASH_ITER (hh, a->all, c, next) {
        HASH_DEL(a->all, c);
        free(c);
    }
}

void xrdd_accounts_free(struct xrdd_accounts *a)
{
    if (!a)
        return;
    forget_all(a);
    free(a);
}

bool xrdd_account(struct xrdd_accounts *a, const struct xeno_id *who, enum xrdd_account_what what,
                  int64_t most)
{
    int64_t minute = xeno_mono(a->env).ns / (60 * XENO_NS_PER_S);
    struct account *c = NULL;

    if (minute != a->minute)
        forget_all(a);
    a->minute = minute;
    HASH_FIND(hh, a->all, who->s, XENO_ID_CHARS, c);
    if (!c) {
        c = xeno_new0(struct account);
        c->id = *who;
        HASH_ADD_KEYPTR(hh, a->all, c->id.s, XENO_ID_CHARS, c);
    }
    if (c->count[what] >= most)
        return false;
    c->count[what]++;
    return true;
}
