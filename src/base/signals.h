/* src/base/signals.h - signals of a daemon are its event loop's. */
#ifndef XENO_BASE_SIGNALS_H
#define XENO_BASE_SIGNALS_H

/* Block SIGTERM, SIGINT and SIGHUP, here and in every thread made from now on, so that nothing ends
 * the program before its loop takes them; ignore SIGPIPE. Before the first thread. */
void xeno_signals_for_loop(void);

#endif
