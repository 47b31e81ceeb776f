/* src/cli/out.h - results for people and for programs.
 *
 * With --json a verb prints exactly one JSON document (cli_json()) and nothing else on stdout; else
 * tables and lines. Colours only where struct cli says so.
 */
#ifndef XENO_CLI_OUT_H
#define XENO_CLI_OUT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/units.h"
#include "cli/cli.h"

/* Print a document, which is taken. */
void cli_json(struct xeno_json *doc);

/* One line for people on stdout; nothing with --json. */
void cli_say(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One remark on stderr; nothing with --json or --quiet. */
void cli_note(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

enum cli_paint { CLI_PLAIN, CLI_BOLD, CLI_DIM, CLI_GREEN, CLI_YELLOW, CLI_RED };
/* Colours for a state: "running" green, "suspended" yellow, "ended" dim, ... */
enum cli_paint cli_paint_of(const char *state);

/* A table: columns as wide as their widest cell; the last one is not padded. */
struct cli_table {
    size_t columns;
    const char *const *heads;
    unsigned right; /* bit i: column i is aligned to the right */
    unsigned ids; /* bit i: column i holds ids, of which a narrow terminal gets the first letters */
    unsigned optional; /* bit i: column i is left out when nothing stands in it */
    bool folds;        /* on a terminal that is too narrow the last column stands below its row */
    size_t rows;
    char **cells; /* owned */
    enum cli_paint *paints;
};
#define cli_autotable __attribute__((cleanup(cli_table_release))) struct cli_table
void cli_table_release(struct cli_table *t);
/* `heads` has `columns` entries, borrowed. */
struct cli_table cli_table_new(size_t columns, const char *const *heads, unsigned right);
/* A row begins with the first cell; then as many as there are columns. NULL is "-". */
void cli_cell(struct cli_table *t, const char *text);
void cli_cell_paint(struct cli_table *t, const char *text, enum cli_paint paint);
void cli_cell_credit(struct cli_table *t, int64_t micro);
void cli_cell_time(struct cli_table *t, int64_t ms);      /* local time, minutes */
void cli_cell_short(struct cli_table *t, const char *id); /* the first letters of an id */
void cli_table_print(const struct cli *cli, const struct cli_table *t);
/* The same; without rows, `none` is remarked on stderr: why, and what to do about it. */
void cli_table_print_or(const struct cli *cli, const struct cli_table *t, const char *none);

/* "key:   value" lines of one thing. */
void cli_field(const struct cli *cli, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Text from a peer, fit for a terminal: control characters become '?'. Static room for four. */
const char *cli_clean(const char *text);

/* "2026-11-21 10:33" in local time; static room for four. */
const char *cli_when(int64_t ms);

/* Members of an answer, for printing: "" or `none` when missing or of another type. */
const char *cli_str(const struct xeno_json_at *at, const char *key);
int64_t cli_int(const struct xeno_json_at *at, const char *key, int64_t none);
bool cli_bool(const struct xeno_json_at *at, const char *key);
struct xeno_json_at cli_list(const struct xeno_json_at *at, const char *key, size_t *ret_count);
struct xeno_json_at cli_obj(const struct xeno_json_at *at, const char *key); /* j NULL: none */

#endif
