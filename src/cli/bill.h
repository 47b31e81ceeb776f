/* src/cli/bill.h - usage reports for people. */
#ifndef XENO_CLI_BILL_H
#define XENO_CLI_BILL_H

#include "cli/cli.h"

/* The items of a usage report as a table. */
void cli_bill_items(struct cli *cli, const struct xeno_json_at *usage);
/* "bill: 0.001234 credits: cpu 0.001, memory 0.000234"; the caller's. */
char *cli_bill_line(const struct xeno_json_at *usage);

#endif
