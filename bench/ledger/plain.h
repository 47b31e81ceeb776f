/* bench/ledger/plain.h - what bench/ledger compares with, in the same process and on the same disk.
 */
#ifndef XENO_BENCH_LEDGER_PLAIN_H
#define XENO_BENCH_LEDGER_PLAIN_H

/* Append 4 KiB and fdatasync, again and again. Returns: how many a second. */
double plain_append(const char *dir, double seconds);

/* One charge a transaction by plain SQL: a row with a unique key, two entries, two balances.
 * Returns: charges a second. */
double plain_sql(const char *dir, double seconds);

#endif
