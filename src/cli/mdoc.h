/* src/cli/mdoc.h - the manual page is made of the same table as the help. */
#ifndef XENO_CLI_MDOC_H
#define XENO_CLI_MDOC_H

/* Print the section VERBS of xeno(1). */
void cli_mdoc(void);

#endif
