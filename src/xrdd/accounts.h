/* src/xrdd/accounts.h - what each credential has asked for in this minute: finds, and prefixes that
 * were measured on its account. Context: the thread of the loop. */
#ifndef XENO_XRDD_ACCOUNTS_H
#define XENO_XRDD_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "crypto/key.h"

enum xrdd_account_what { XRDD_FINDS, XRDD_PREFIXES, XRDD_ACCOUNT_WHATS };

struct xrdd_accounts;
struct xrdd_accounts *xrdd_accounts_new(const struct xeno_env *env);
void xrdd_accounts_free(struct xrdd_accounts *a);
XENO_DEFINE_AUTO(xrdd_accounts, xrdd_accounts_free);

/* Count one more for `who`, unless that would be more than `most` in this minute: then false. */
bool xrdd_account(struct xrdd_accounts *a, const struct xeno_id *who, enum xrdd_account_what what,
                  int64_t most);

#endif
