/* src/conf/conf.h - configuration: one table a program (STYLE 7).
 *
 * From the table come parsing (file "key = value" lines, then --key=value arguments, which win),
 * --check, --dump-config and the man page section (--dump-config=mdoc). Unknown keys, repeated keys
 * and values out of bounds are errors that name file, line, key and limit. Policy only: whatever
 * can be probed is probed (DESIGN rule 9).
 */
#ifndef XENO_CONF_CONF_H
#define XENO_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum xeno_conf_type {
    XENO_CONF_TEXT,     /* char *, owned */
    XENO_CONF_INT,      /* int64_t */
    XENO_CONF_BOOL,     /* bool: yes or no */
    XENO_CONF_SIZE,     /* int64_t bytes: 512M */
    XENO_CONF_DURATION, /* xeno_time: 10s */
    XENO_CONF_CREDIT,   /* xeno_credit: 0.25 */
};

struct xeno_conf_item {
    const char *name; /* "listen", "tariff.cpu" */
    enum xeno_conf_type type;
    size_t offset;        /* of the field in the program's struct */
    const char *unit;     /* for people: "micro-credits per CPU second"; NULL: none */
    const char *fallback; /* as it would be written; NULL: empty, or required when `required` */
    int64_t min, max;     /* of numbers (SIZE in bytes, DURATION in milliseconds, CREDIT in
                             micro-credits); of TEXT: its length; both 0: no bound */
    bool required, reloadable, secret;
    const char *help; /* one sentence */
};

/* Set every field to its fallback. */
void xeno_conf_defaults(const struct xeno_conf_item *items, size_t count, void *conf);
/* Read a file over it. Errors: -EINVAL conf.syntax, conf.unknown, conf.repeated, conf.range. */
int xeno_conf_file(const struct xeno_conf_item *items, size_t count, void *conf, const char *path,
                   struct xeno_err *err);
int xeno_conf_parse(const struct xeno_conf_item *items, size_t count, void *conf, const char *text,
                    const char *where, struct xeno_err *err);
/* One "name=value". */
int xeno_conf_set(const struct xeno_conf_item *items, size_t count, void *conf, const char *name,
                  const char *value, struct xeno_err *err);
/* Of `fresh`, read anew, take what may change while the program runs; what was there before goes
 * with `fresh`, to be released. */
void xeno_conf_take(const struct xeno_conf_item *items, size_t count, void *conf, void *fresh);
/* Are all required ones there? Errors: -EINVAL conf.missing. */
int xeno_conf_complete(const struct xeno_conf_item *items, size_t count, const void *conf,
                       struct xeno_err *err);
/* A number of that type as it would be written: "64M", "90s", "0.25". */
#define XENO_CONF_NUMBER_TEXT 32
const char *xeno_conf_number(enum xeno_conf_type type, int64_t n, char buf[XENO_CONF_NUMBER_TEXT]);

/* Secrets print as "(secret)". */
void xeno_conf_dump(const struct xeno_conf_item *items, size_t count, const void *conf, FILE *out);
void xeno_conf_mdoc(const struct xeno_conf_item *items, size_t count, FILE *out);
void xeno_conf_release(const struct xeno_conf_item *items, size_t count, void *conf);

#endif
