/* src/doc/charge-priv.h - the two ways to read a batch of charges, for this folder and its fuzzer.
 */
#ifndef XENO_DOC_CHARGE_PRIV_H
#define XENO_DOC_CHARGE_PRIV_H

#include "doc/charge.h"

/* Read a batch in exactly the form that xeno_charge_batch_sign() writes, with every charge sound.
 * `text` is followed by a zero byte. Returns false, and nothing in *b, for any other text: then
 * xeno_charge_batch_parse() says what it is. */
bool xeno_charge_match(const char *text, size_t len, struct xeno_charge_batch *b);

/* Read any batch. Errors as xeno_charge_batch_read(). */
int xeno_charge_batch_parse(const char *text, size_t len, struct xeno_charge_batch *b,
                            struct xeno_err *err);

#endif
