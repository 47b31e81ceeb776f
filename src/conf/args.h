/* src/conf/args.h - the command line that every daemon has.
 *
 *     --config FILE   --KEY=VALUE (or --KEY VALUE)   --check   --dump-config[=mdoc]   --help
 *     --version   and the program's own verbs, such as --init or --enrol TOKEN
 *
 * The file is read first, wherever --config stands; arguments win over it, later
 * ones over earlier ones. Context: before anything else, one thread.
 */
#ifndef XENO_CONF_ARGS_H
#define XENO_CONF_ARGS_H

#include "conf/conf.h"

/* Something the program does instead of serving. */
struct xeno_conf_verb {
    const char *name;     /* "enrol" */
    const char *argument; /* "TOKEN"; NULL: takes none */
    const char *help;
};

struct xeno_conf_program {
    const char *name;    /* "xenod" */
    const char *purpose; /* one line */
    const struct xeno_conf_item *items;
    size_t count;
    const struct xeno_conf_verb *verbs; /* ends with name NULL; NULL: none */
};

enum xeno_conf_todo {
    XENO_CONF_RUN,   /* serve */
    XENO_CONF_CHECK, /* --check: say what is missing and what to do */
    XENO_CONF_VERB,  /* one of the program's own */
    XENO_CONF_DONE,  /* help, version or configuration was printed: exit with success */
};

struct xeno_conf_ask {
    enum xeno_conf_todo todo;
    const char *verb;  /* borrowed from the table */
    const char *value; /* its argument, borrowed from argv; NULL: none */
};

/* Set `conf` from defaults, file and arguments; release it with xeno_conf_release(), also after a
 * failure.
 *
 * Errors: -EINVAL conf.argument, and those of conf.h. Required options are checked unless something
 * was printed or asked by a verb.
 */
int xeno_conf_args(const struct xeno_conf_program *p, void *conf, int argc, char **argv,
                   struct xeno_conf_ask *ret, struct xeno_err *err);

/* Read everything again, as at the start, and of that take into `conf` what may change while the
 * program runs. `fresh` is the caller's room for it, zeroed and of the same type as `conf`; it is
 * released. `check`, if not NULL, looks at it first.
 *
 * Errors: those of xeno_conf_args() and check(); nothing was taken.
 */
int xeno_conf_reload(const struct xeno_conf_program *p, void *conf, void *fresh, int argc,
                     char **argv, int (*check)(const void *fresh, struct xeno_err *err),
                     struct xeno_err *err);

/* The folder of the configuration file, which a reload reads: the file itself may be replaced.
 * Returns: the caller's; NULL: there is none. */
char *xeno_conf_folder(int argc, char **argv);

/* "0.1.0", as --version prints it. */
const char *xeno_version(void);

#endif
